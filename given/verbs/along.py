"""along: what a factor's latent decodes to, one number of it moved at a time, or from one row's to another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.conditional import Conditional, Decodes
from given.distributions import Distribution, Intractable
from given.evaluate import picture
from given.joint import Joint
from given.sources import Columns, write_file
from given.variables import Entries, Finite, Real, UserError, shown
from given.verbs.checks import check_known
from given.ways import way

__all__ = ["Strip", "interpolated", "latent_pictures", "strip", "traversed"]

_DRAWS = 1000  # of a latent without moments in closed form


@dataclass(frozen=True)
class Strip:
    """One picture, with one number of its latent exaggerated at a time.

    Attributes:
        name: the picture's column.
        latents: (L,) numbers of the latent, from 1 as `encode` counts them, those that move the picture most first.
        values: (V,) what was added to each, in standard deviations of its prior.
        moved: (L,) by how much: the root of the mean square, over values and entries, of what differs from the picture as it is
            decoded, in its levels.
        pictures: (L, V, height, width) or (L, V, height, width, 3), whole levels.
        levels: how many there are.
    """

    name: str
    latents: tuple[int, ...]
    values: tuple[float, ...]
    moved: tuple[float, ...]
    pictures: np.ndarray
    levels: int

    def png(self) -> bytes:
        """The sheet: a row a number of the latent, a column a value."""
        return picture(self.pictures, levels=self.levels, ink=self.levels < 256)

    def save(self, path: str) -> None:
        """Write the sheet.

        Raises:
            UserError: a name that does not end in .png.
        """
        if not str(path).endswith(".png"):
            raise UserError(f"strip: {path}: expected a name that ends in .png")
        content = self.png()
        write_file(path, lambda file: file.write(content))

    def __str__(self) -> str:
        return f"strip of {self.name}: " + ", ".join(f"z{k} {m:.3g}" for k, m in zip(self.latents, self.moved, strict=True))

    __repr__ = __str__


def latent_pictures(joint: Joint) -> str:
    """The left side of the only factor that has a latent of its own, or of the only factor.

    Raises:
        UserError: there are more.
    """
    names = [f.x.name for f in joint if _has_latent(f)] or [f.x.name for f in joint]
    if len(names) != 1:
        raise UserError(f"strip: {joint}: which of {', '.join(names)} is meant? pass {way('name=', '--column ')}{names[0]}")
    return str(names[0])


@torch.no_grad()
def strip(joint: Joint, name: str | None, row: Columns, values: Sequence[float], most: int,
          given: Mapping[str, np.ndarray]) -> Strip:
    """One row's picture with one number of its latent exaggerated at a time, those that move it most first.

    Args:
        joint: the model.
        name: the picture's column, a factor's left side; None for the only one with a latent of its own.
        row: one row.
        values: what is added to a number of the latent, in standard deviations of its prior.
        most: numbers that are kept.
        given: the factor's conditions, in place of the row's.
    """
    if name is None:
        name = latent_pictures(joint)
    if not isinstance(most, int) or most < 1 or not len(values):
        raise UserError(f"strip: most={shown(most)} and {len(values)} values; expected at least 1 of each")
    factor = _with_latent(joint, name, "strip")
    space = factor.x.space
    if len(factor.x.columns) != 1 or not isinstance(space, Finite) or not space.ordered or len(space.axes) not in (2, 3):
        raise UserError(f"strip: {name}: expected pictures, got {space}; use traverse")
    check_known([name], [*row], "strip: column")
    x, still = (_along(joint, factor, each, row, given, "strip").to("cpu") for each in (values, [0.0]))
    each, V = x.tensor.reshape(-1, len(values), *space.shape), len(values)
    moved = (each.double() - still.tensor[0].double()).flatten(1).square().mean(1).sqrt()
    best = moved.argsort(descending=True, stable=True)[:most]
    kept = Entries(each[best].flatten(0, 1))
    pictures = _raw(joint, factor, kept)[name]
    return Strip(name, tuple((best + 1).tolist()), tuple(map(float, values)), tuple(moved[best].tolist()),
                 pictures.reshape(len(best), V, *pictures.shape[1:]), space.size)


@torch.no_grad()
def traversed(joint: Joint, name: str, values: Sequence[float], around: Columns | None,
              given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Items decoded from a latent of which one number at a time takes other values, the rest as they are: raw values
    (latents, values, ...).

    Args:
        joint: the model.
        name: a factor's left side, of a family with a latent of its own.
        values: what is added to the latent, in standard deviations of its prior.
        around: one row, whose latent the others keep; by default the prior's mean.
        given: the factor's conditions, a row each.
    """
    factor = _with_latent(joint, name, "traverse")
    x = _along(joint, factor, values, around, given, "traverse").to("cpu")
    return {k: v.reshape(-1, len(values), *v.shape[1:]) for k, v in _raw(joint, factor, x).items()}


def _along(joint: Joint, factor: Any, values: Sequence[float], around: Columns | None,
           given: Mapping[str, np.ndarray], verb: str) -> Entries:
    """Entries decoded (K V, ...), of every number of the latent in turn."""
    check_known(given, [k for v in factor.parents for k in v.columns], verb)
    known = {k: v for each in (around or {}, given) for k, v in each.items()}
    conditions = {k: joint.columns[k].encode(known) for v in factor.parents for k in v.columns if k in known}
    y = joint.y(factor, conditions, 1)
    middle, spread = _middle(factor.latent(y))
    if around is not None:
        entries = {c: joint.columns[c].encode(around) for c in factor.x.columns}
        middle, _ = _middle(factor.encode(joint.x(factor, entries), y))
    steps, K = torch.tensor(list(values), dtype=torch.float64, device=joint.device), middle.shape[1]
    moved = middle + torch.diag(spread[0])[:, None] * steps[None, :, None]  # (K, V, K)
    many = len(steps) * K
    y = y.rows(torch.zeros(many, dtype=torch.int64, device=joint.device))
    decoded: Entries = factor.decode(Entries(moved.reshape(many, K)), y)
    return decoded


@torch.no_grad()
def interpolated(joint: Joint, name: str, between: Columns, steps: int) -> dict[str, np.ndarray]:
    """Items decoded from the straight line between the latents of two rows: raw values (steps, ...)."""
    factor = _with_latent(joint, name, "interpolate")
    check_known(factor.x.columns, list(between), "interpolate: column")
    y = joint.y(factor, {k: joint.columns[k].encode(between) for v in factor.parents for k in v.columns if k in between}, 2)
    ends, _ = _middle(factor.encode(joint.x(factor, {c: joint.columns[c].encode(between) for c in factor.x.columns}), y))
    t = torch.linspace(0, 1, steps, dtype=torch.float64, device=ends.device)[:, None]
    x = factor.decode(Entries((1 - t) * ends[0] + t * ends[1]), y.rows((t[:, 0] > 0.5).long()))
    return _raw(joint, factor, x.to("cpu"))


def _has_latent(factor: Conditional) -> bool:
    return isinstance(factor, Decodes)


def _with_latent(joint: Joint, name: str, verb: str) -> Any:
    """The factor of a left side, which has a latent.

    Raises:
        UserError: there is none, or it has none.
    """
    factors = {f.x.name: f for f in joint}
    check_known([name], list(factors), verb)
    factor = factors[name]
    if not _has_latent(factor):
        raise UserError(f"{verb}: {factor}: {type(factor).__name__} has no latent to go along; FactorAnalysis, "
                        "ProbabilisticPCA, PCA, Autoencoder and VAE have")
    joint.eval()
    return factor


def _raw(joint: Joint, factor: Conditional, x: Entries) -> dict[str, np.ndarray]:
    """Raw values of a factor's x."""
    found = dict[str, np.ndarray]()
    for column, e in factor.x.split(x).items():
        found |= joint.columns[column].decode(e if isinstance(joint.columns[column].space, Real) else _whole(e))
    return found


def _whole(x: Entries) -> Entries:
    return Entries(x.tensor.round().long())


def _middle(z: Distribution) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (B, K) float64 each; of draws where they have no closed form."""
    try:
        return z.mean().tensor.double(), z.deviation().tensor.double()
    except Intractable:
        draws = z.sample((_DRAWS,)).tensor.double()
        return draws.mean(0), draws.std(0)
