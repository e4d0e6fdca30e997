"""Literals: codecs and families as they are written, `label` or `Number(atoms=[0])`, in a shell or in Python. Only public
names are looked up."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from torch import nn

from given import codecs as _codecs
from given import distributions as _distributions
from given import families as _families
from given import nn as _nets
from given import solve as _solve
from given.conditional import Conditional
from given.lessons import select
from given.variables import Codec, UserError, nearest

__all__ = ["built", "codec_of", "family_of", "split_names"]


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
    found = built(text, _codecs, "--as", "of")
    # As where it is inferred, a missing cell is a value of its own unless something else is said.
    return found(missing="symbol") if "(" not in text and "missing" in inspect.signature(found).parameters else found()


def family_of(said: Any, what: str) -> Callable[..., Conditional]:
    """A family: a class, a partial of one or a function as it is, or as its name says, `Gaussian`, `gaussian_mixture`,
    `GaussianMixture(components=4)`.

    Args:
        said: what was handed in.
        what: it was handed in as, for messages.

    Raises:
        UserError: an object that is already built, a name that is no family's, or something else.
    """
    if isinstance(said, str):
        return built(said, _families, what)
    if isinstance(said, Conditional) or not callable(said):
        raise UserError(f"{what}: expected a family, as Gaussian, \"Gaussian\" or a partial of one, got {said!r}")
    return said


def built(text: str, module: ModuleType, what: str, inner: str = "family") -> Any:
    """A class of a module, or a partial of one: `Empirical`, `Dequantised(family=Gaussian)`, `Series(Number(), window=64)`.
    Only public names are looked up, in whatever case and with or without underscores.

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
    loose = {_loose(name): part for name, part in known.items()}

    def made(node: ast.expr) -> Any:
        if isinstance(node, ast.Name) and (found := known.get(node.id, loose.get(_loose(node.id)))) is not None:
            return found
        if isinstance(node, ast.Name):
            raise UserError(f"{what}: unknown name {node.id!r}; {nearest(node.id, classes)}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            part = made(node.func)
            named = getattr(part, "__name__", "") in classes  # else its own, as those of select(1, 9)
            own = [inner] if named else list(inspect.signature(part).parameters)
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


def _loose(name: str) -> str:
    return name.replace("_", "").lower()
