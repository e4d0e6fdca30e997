"""predicate: what drawn rows have to meet, as an expression of columns: "age > 30 and income == '>50K'".

An expression is read by Python's own parser and then worked out here, so that nothing in it can call or reach anything: columns
by their names (others than identifiers in backticks), numbers, text in quotes, comparisons, `in`, `and`, `or`, `not`,
arithmetic, `is missing`, and a regular expression that a text matches as a whole, `city ~ 'A.*'` or `matches(city, 'A.*')`.
A missing value meets no comparison.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from given.sources import ragged
from given.variables import UserError, nearest, shown
from given.ways import way

__all__ = ["Predicate"]

_PIECES = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?P<name>[^`]+)`|(?P<match>~)|(?P<equal>(?<![=<>!])=(?!=))""",
                     re.DOTALL)
_SHAPES = ("comparisons, and, or, not, in, arithmetic, `is missing` and matches(column, 'regex') of columns, numbers and text "
           "in quotes, as \"age > 30 and city in ['Rome', 'Oslo']\"")
_LONG = 100  # characters that a message shows
_ORDERED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow}


@dataclass(frozen=True)
class _Values:
    """What a part of an expression is, row by row or once.

    Attributes:
        kind: "number", "text" or "condition".
        values: (n,) or (), float64, text or bool.
        there: likewise, False where it is missing.
    """

    kind: str
    values: np.ndarray
    there: Any = True


class Predicate:
    """A condition on rows.

    Args:
        text: the expression.

    Raises:
        UserError: another kind of expression, with what was expected.
    """

    def __init__(self, text: str) -> None:
        self.text, self._quoted = text, list[str]()
        python = _PIECES.sub(self._as_python, text).strip()
        try:
            self._tree = ast.parse(python, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self._wrong(f"is no expression; expected {_SHAPES}") from None

    def __call__(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which rows meet it: (n,) bool.

        Raises:
            UserError: an unknown column, text where a number has to be, or no condition.
        """
        n = len(next(iter(columns.values())))
        with np.errstate(all="ignore"):
            try:
                found = self._of(self._tree, columns)
            except RecursionError:
                raise self._wrong("is nested too deep") from None
        if found.kind != "condition":
            raise self._wrong(f"is a {found.kind}; expected a condition, as \"age > 30\"")
        return np.broadcast_to(found.values & found.there, (n,)).copy()

    def _wrong(self, what: str) -> UserError:
        text = self.text if len(self.text) <= _LONG else f"{self.text[:_LONG]}..."
        return UserError(f"{way('where', '--where')}: {text!r} {what}")

    def _as_python(self, piece: re.Match[str]) -> str:
        """A piece as Python's parser reads it: a name in backticks as one of its own, a match as the sign @."""
        if piece["equal"]:
            raise self._wrong("has a single =; write == where two are to be equal")
        if piece["match"]:
            return "@"
        if piece["name"] is None:
            return piece[0]
        self._quoted.append(piece["name"])
        return f"_quoted_{len(self._quoted) - 1}_"

    def _of(self, node: ast.expr, columns: Mapping[str, np.ndarray]) -> _Values:
        """What a part of the expression is."""
        if isinstance(node, ast.Name):
            return self._column(node.id, columns)
        if isinstance(node, ast.Constant):
            return self._constant(node.value)
        if isinstance(node, ast.BoolOp):
            each = [self._condition(part, columns) for part in node.values]
            whole = each[0]
            for part in each[1:]:
                whole = whole & part if isinstance(node.op, ast.And) else whole | part
            return _Values("condition", whole)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _Values("condition", ~self._condition(node.operand, columns))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            found = self._number(node.operand, columns)
            return _Values("number", -found.values if isinstance(node.op, ast.USub) else found.values, found.there)
        if isinstance(node, ast.Compare):
            return self._compared(node, columns)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            return self._matched(node.left, node.right, columns)
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            a, b = self._number(node.left, columns), self._number(node.right, columns)
            return _Values("number", np.asarray(_ARITHMETIC[type(node.op)](a.values, b.values)), a.there & b.there)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "matches" and (
                len(node.args) == 2 and not node.keywords):
            return self._matched(node.args[0], node.args[1], columns)
        raise self._wrong(f"has {self._source(node)!r}; expected {_SHAPES}")

    def _source(self, node: ast.AST) -> str:
        """A part as it was written."""
        return re.sub(r"_quoted_(\d+)_", lambda m: f"`{self._quoted[int(m[1])]}`", ast.unparse(node))

    def _column(self, name: str, columns: Mapping[str, np.ndarray]) -> _Values:
        if found := re.fullmatch(r"_quoted_(\d+)_", name):
            name = self._quoted[int(found[1])]
        if name not in columns:
            raise self._wrong(f"has an unknown name {name!r}; {nearest(name, columns)}; text stands in quotes, as {name!r}")
        raw = columns[name]
        if raw.ndim > 1 or ragged(raw):
            raise self._wrong(f"asks of {name}, which holds more than one value a row; expected columns of single values, or "
                              "pass a function of columns")
        if raw.dtype.kind == "b":
            return _Values("condition", raw)
        if raw.dtype.kind in "iuf":
            return _Values("number", raw.astype(np.float64), ~np.isnan(raw.astype(np.float64)))
        cells = raw.tolist()
        there = np.array([cell is not None and cell == cell for cell in cells], dtype=bool)
        known = [cell for cell, here in zip(cells, there, strict=True) if here]
        if known and all(isinstance(cell, bool) for cell in known):
            return _Values("condition", np.array([bool(cell) for cell in cells]), there)
        if known and all(isinstance(cell, int | float) for cell in known):
            return _Values("number", np.array([cell if here else np.nan for cell, here in zip(cells, there, strict=True)],
                                              dtype=np.float64), there)
        text = np.datetime_as_string(raw) if raw.dtype.kind == "M" else [str(cell) if here else "" for cell, here in
                                                                         zip(cells, there, strict=True)]
        return _Values("text", np.array(text, dtype=np.str_), there)

    def _constant(self, value: Any) -> _Values:
        if isinstance(value, bool):
            return _Values("condition", np.array(value))
        if isinstance(value, int | float):
            return _Values("number", np.array(float(value) if abs(value) < 2**1000 else np.inf))
        if isinstance(value, str):
            return _Values("text", np.array(value))
        raise self._wrong(f"has {value!r}; expected {_SHAPES}")

    def _condition(self, node: ast.expr, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        found = self._of(node, columns)
        if found.kind != "condition":
            raise self._wrong(f"has {self._source(node)!r}, a {found.kind}, where a condition has to be")
        return np.asarray(found.values & found.there)

    def _number(self, node: ast.expr, columns: Mapping[str, np.ndarray]) -> _Values:
        found = self._of(node, columns)
        if found.kind != "number":
            raise self._wrong(f"has {self._source(node)!r}, a {found.kind}, where a number has to be")
        return found

    def _compared(self, node: ast.Compare, columns: Mapping[str, np.ndarray]) -> _Values:
        """A chain of comparisons, as 30 < age <= 40."""
        whole, left = np.array(True), node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.Is | ast.IsNot) and isinstance(right, ast.Name) and right.id == "missing":
                there = np.asarray(self._of(left, columns).there)
                whole = whole & (there if isinstance(op, ast.IsNot) else ~there)
            elif isinstance(op, ast.In | ast.NotIn) and isinstance(right, ast.List | ast.Tuple | ast.Set):
                found, each = self._of(left, columns), [self._pair(left, ast.Eq(), one, columns) for one in right.elts]
                among = np.logical_or.reduce(each) if each else np.array(False)
                whole = whole & (among if isinstance(op, ast.In) else ~among & found.there)
            elif type(op) in _ORDERED:
                whole = whole & self._pair(left, op, right, columns)
            else:
                raise self._wrong(f"has {self._source(node)!r}; expected {_SHAPES}")
            left = right
        return _Values("condition", whole)

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        a, b = self._of(left, columns), self._of(right, columns)
        if a.kind != b.kind:
            raise self._wrong(f"compares {self._source(left)}, a {a.kind}, with {self._source(right)}, a {b.kind}")
        return np.asarray(_ORDERED[type(op)](a.values, b.values) & a.there & b.there)

    def _matched(self, left: ast.expr, right: ast.expr, columns: Mapping[str, np.ndarray]) -> _Values:
        """Where a text matches a regular expression as a whole."""
        text = self._of(left, columns)
        if text.kind != "text" or not isinstance(right, ast.Constant) or not isinstance(right.value, str):
            raise self._wrong(f"matches {self._source(left)}, a {text.kind}, with {self._source(right)}; expected a column of "
                              "text and a regular expression in quotes")
        try:
            pattern = re.compile(right.value)
        except re.error as error:
            raise self._wrong(f"has the regular expression {shown(right.value)}, which is none: {error}") from None
        hits = {cell: pattern.fullmatch(cell) is not None for cell in set(text.values.ravel().tolist())}
        return _Values("condition", np.array([hits[cell] for cell in np.atleast_1d(text.values).tolist()]), text.there)
