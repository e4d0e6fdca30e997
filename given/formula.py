"""Formula: who depends on whom, as it is written. Names alone; factors and data are the business of `joint` and `verbs`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from given.conditional import quoted
from given.variables import UserError
from given.ways import way, where

__all__ = ["Term", "by_axes", "ordered", "parse"]


@dataclass(frozen=True)
class Term:
    """One `p(left | parents)` of a formula: names of columns."""

    left: tuple[str, ...]
    parents: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The left side as it is printed: the name of the factor's variable."""
        return self.left[0] if len(self.left) == 1 else ", ".join(map(quoted, self.left))


def by_axes(names: Sequence[str], axes: Mapping[str, str]) -> str:
    """The formula of columns some of which stand along axes: those of one axis together, given all that stand along none.

    >>> by_axes(["shop", "sales", "promo"], {"sales": "time", "promo": "time"})
    'p(shop) p(sales, promo | shop)'
    """
    rest = [quoted(name) for name in names if name not in axes]
    together = [[quoted(name) for name in names if axes.get(name) == axis] for axis in dict.fromkeys(axes.values())]
    given = f" | {', '.join(rest)}" if rest else ""
    return " ".join([f"p({', '.join(rest)})"] * bool(rest) + [f"p({', '.join(each)}{given})" for each in together])


_TOKEN = re.compile(r"\s*(?:(?P<name>[^\W\d]\w*)|`(?P<quoted>[^`]+)`|(?P<mark>[(),|]))")


def parse(formula: str) -> list[Term]:
    """A formula as its terms.

    Names that are not identifiers stand in backticks; `image | label` is short for `p(image | label)`.

    >>> parse("p(label) p(image | label)")
    [Term(left=('label',), parents=()), Term(left=('image',), parents=('label',))]
    >>> parse("`house price`, rooms | city")[0].left
    ('house price', 'rooms')

    Raises:
        UserError: what stands where, and what was expected there.
    """
    if not isinstance(formula, str):
        raise UserError(f"formula: expected text such as 'p(x | y)', got {type(formula).__name__}")
    tokens: list[tuple[str, str]] = []
    at = 0
    while formula[at:].strip():
        match = _TOKEN.match(formula, at)
        if not match:
            at += len(formula[at:]) - len(formula[at:].lstrip())
            raise UserError(f"formula {formula!r}: unexpected {formula[at]!r} at {at}; {_way_out(formula, at)}")
        kind = match.lastgroup or ""
        tokens.append(("name" if kind == "quoted" else kind, match[kind]))
        at = match.end()
    if not tokens:
        raise UserError(f"formula: expected p(x | y), got nothing{_nothing()}")
    factored = len(tokens) > 1 and tokens[0] == ("name", "p") and tokens[1] == ("mark", "(")
    if not factored:
        tokens = [("name", "p"), ("mark", "("), *tokens, ("mark", ")")]
    terms, rest = [], tokens
    while rest:
        if rest[:2] != [("name", "p"), ("mark", "(")]:
            raise UserError(f"formula {formula!r}: expected p(...), got {rest[0][1]!r}; only p(...) stand side by side")
        marks = [i for i, t in enumerate(rest) if t == ("mark", ")")]
        inside = rest[2: marks[0]] if marks else rest[2:]
        if not marks or ("mark", "(") in inside:
            raise UserError(f"formula {formula!r}: a bracket is not closed; expected p(x | y)")
        bars = [i for i, t in enumerate(inside) if t == ("mark", "|")]
        if len(bars) > 1:
            raise UserError(f"formula {formula!r}: a stray bar; expected one | in p(x | y), got {len(bars)}")
        bar = bars[0] if bars else len(inside)
        left = _names(inside[:bar], formula, "left of")
        terms.append(Term(left, _names(inside[bar + 1:], formula, "right of") if bars else ()))
        rest = rest[marks[0] + 1:]
    ordered(terms, formula)
    return terms


_BACKTICKS = "names that are not identifiers stand in backticks, as in p(`house price` | city)"
_SINGLE = ", all in single quotes"
_SIGN = re.compile(r"(?P<sign>==?|<=|>=|!=|<|>)\s*(?P<value>\"[^\"]*\"|'[^']*'|[^\s,|)&]*)")


def _way_out(formula: str, at: int) -> str:
    """What to write instead of what no formula has, at `at`."""
    if found := _SIGN.match(formula, at):
        before = re.search(r"`[^`]+`$|\w+$", formula[:at].rstrip())
        name, value = before[0].strip("`") if before else "x", found["value"].strip("\"'") or "..."
        number = value == "..." or re.fullmatch(r"[-+.\d]+", value)
        said = value if number else f'"{value}"'
        python = f"given({name}={said})" if name.isidentifier() else f'given({{"{name}": {said}}})'
        pair = f"{name}={value}" if re.fullmatch(r"[\w.=+-]+", f"{name}={value}") else f'"{name}={value}"'
        if found["sign"] not in ("=", "=="):
            event = f"between({'None, ' * found['sign'].startswith('<')}{said})"
            python = f"given({name}={event})" if name.isidentifier() else f'given({{"{name}": {event}}})'
            into = way(python, f"given query MODEL ... {where(name, found['sign'], value)}")
            return f"a formula has names alone; a range of values goes into {into}"
        into = way(python, f"given sample MODEL {pair}")
        return f"a formula has names alone; a value goes into {into}"
    if formula[at] == "~":
        left, _, right = formula.replace("p(", "").strip(" )").partition("~")
        names = [name for name in re.split(r"[\s+*:-]+", right) if name and not name.isdigit()]
        return f"write p({left.strip() or 'y'} | {', '.join(names) or 'x'})"
    backticks = _BACKTICKS + way("", _SINGLE)
    return f"columns stand side by side with commas, as p(y | a, b); {backticks}" if formula[at] in "+*:&" else backticks


def _nothing() -> str:
    return way("", "; a name in backticks stands in single quotes, else a shell runs it")


def _names(tokens: Sequence[tuple[str, str]], formula: str, side: str) -> tuple[str, ...]:
    if not tokens or len(tokens) % 2 == 0 or any(
            t[0] != "name" if i % 2 == 0 else t != ("mark", ",") for i, t in enumerate(tokens)):
        got = " ".join(quoted(t[1]) if len(t[1].split()) > 1 else t[1] for t in tokens) or "nothing"
        runs = ([t[1] for t in run] for kind, run in groupby(tokens, lambda t: t[0]) if kind == "name")
        words = next((f"a name of several words in backticks: `{' '.join(run)}`" for run in runs if len(run) > 1), "")
        out = f"; columns stand side by side with commas, {words}{way('', _SINGLE)}" if words else "" if tokens else _nothing()
        raise UserError(f"formula {formula!r}: expected names and commas {side} the bar, got {got!r}{out}")
    return tuple(t[1] for t in tokens[::2])


def ordered(terms: Sequence[Term], formula: str) -> list[int]:
    """An order in which parents come first, once every name is known to stand once on a left side and once in a factor."""
    home: dict[str, Term] = {}
    for term in terms:
        names = [*term.left, *term.parents]
        twice = [name for i, name in enumerate(names) if name in names[:i]] or [n for n in term.left if n in home]
        if twice:
            raise UserError(f"formula {formula!r}: {twice[0]!r} is used twice; a name stands once in a factor and "
                            "left of one bar only")
        home |= {name: term for name in term.left}
    return _sorted(terms, formula)


def _sorted(terms: Sequence[Term], what: str) -> list[int]:
    """An order of the terms in which parents come first. Raises at a cycle, with its path."""
    home = {name: i for i, term in enumerate(terms) for name in term.left}
    done: list[int] = []

    def visit(i: int, path: list[str]) -> None:
        if i in done:
            return
        for name in terms[i].parents:
            if name in path:
                cycle = " <- ".join([*path[path.index(name):], name])
                raise UserError(f"formula {what!r}: a cycle, {cycle}; a variable cannot be its own condition")
            if name in home:
                visit(home[name], [*path, name])
        done.append(i)

    for i, term in enumerate(terms):
        visit(i, list(term.left[:1]) if len(term.left) == 1 else list(term.left))
    return done
