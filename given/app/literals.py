"""Literals: codecs and families as the command line writes them, `label` or `Number(atoms=[0])`. Only public names are looked
up."""

from __future__ import annotations

import ast
import inspect
from functools import partial
from types import ModuleType
from typing import Any

from torch import nn

from given import codecs as _codecs
from given import distributions as _distributions
from given import nn as _nets
from given import solve as _solve
from given.lessons import select
from given.variables import Codec, UserError, nearest

__all__ = ["built", "codec_of", "split_names"]


def split_names(text: str) -> list[str]:
    """What stands between commas that are in no brackets: `Gaussian, Dequantised(family=GAN)` are two."""
    out, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and not depth:
            out.append("")
        else:
            out[-1] += letter
    return [each.strip() for each in out if each.strip()]


def codec_of(text: str) -> Codec:
    """A codec as the line says it: `label`, `Number(atoms=[0])`."""
    name, bracket, rest = text.partition("(")
    proper = next((c for c in _codecs.__all__ if c.lower() == name.lower()), name)
    found = built(proper + bracket + rest, _codecs, "--as", "of")
    # As where it is inferred, a missing cell is a value of its own unless something else is said.
    return found(missing="symbol") if not bracket and "missing" in inspect.signature(found).parameters else found()


def built(text: str, module: ModuleType, what: str, inner: str = "family") -> Any:
    """A class of a module, or a partial of one: `Empirical`, `Dequantised(family=Gaussian)`, `Series(Number(), window=64)`.
    Only public names are looked up.

    Args:
        text: that names it.
        module: whose classes there are.
        what: was handed in, for messages.
        inner: their option that stands without its name: "family", which is a class or a partial of one, or "of", an object.
            With "family", nets, heads, orders, paths, solvers and the like are known too.
    """
    def value(node: ast.expr) -> Any:
        if isinstance(node, ast.Name | ast.Call):
            found = made(node)
            part = getattr(found, "func", found)  # a family or a net is built by its owner, an order or a path is an object
            return found if inner == "family" and issubclass(part, nn.Module) else found()
        if isinstance(node, ast.Tuple | ast.List):
            return tuple(map(value, node.elts)) if isinstance(node, ast.Tuple) else list(map(value, node.elts))
        return ast.literal_eval(node)

    classes = [name for name in module.__all__ if isinstance(getattr(module, name), type)]
    known = {name: getattr(module, name) for name in classes}
    if inner == "family":  # and what they are built of
        parts = {name: getattr(floor, name) for floor in (_distributions, _nets, _solve) for name in floor.__all__}
        known = {name: part for name, part in parts.items() if isinstance(part, type)} | {"select": select} | known

    def made(node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and node.id in known:
            return known[node.id]
        if isinstance(node, ast.Name):
            raise UserError(f"{what}: unknown name {node.id!r}; {nearest(node.id, classes)}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            part = made(node.func)
            own = [inner] if node.func.id in classes else list(inspect.signature(part).parameters)  # of select(1, 9)
            options = [*(ast.keyword(*each) for each in zip(own, node.args, strict=False)), *node.keywords]
            if len(node.args) <= len(own):
                return partial(part, **{k.arg or "": value(k.value) for k in options})
        raise ValueError

    try:
        return made(ast.parse(text, mode="eval").body)
    except UserError:
        raise
    except (ValueError, SyntaxError, TypeError):
        raise UserError(f"{what}: expected a name, or a name with options as in Name(option=value), got {text!r}; there are "
                        f"{', '.join(classes)}") from None
