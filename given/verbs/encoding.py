"""Encoding: the latent of every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from given.conditional import Encodes
from given.distributions import Distribution, Intractable, Noise
from given.joint import Joint
from given.sources import Columns, Source
from given.variables import Finite, UserError, shown

__all__ = ["latents"]

_ROWS = 1 << 12  # encoded at once


@torch.no_grad()
def latents(joint: Joint, source: Source, draws: int | None = None, seed: int = 0) -> Columns:
    """Columns `x.z1`, `x.z2`, ... of each factor that has a latent of its own or finds one, and `z.z1`, ... of each latent z
    that has a posterior: its mean, (rows,) a dimension, or draws, (draws, rows).

    Raises:
        UserError: no family has a representation, a parent's column is not in the data, or there is no row.
    """
    joint.eval()
    if draws is not None and (not isinstance(draws, int | np.integer) or draws < 1):
        raise UserError(f"encode: draws={shown(draws)}; expected a whole number from 1")
    finding = {f.by for f in joint.finders.values()}
    own: list[Any] = [f for f in joint if isinstance(f, Encodes) and f not in finding and not joint.touches_latent(f)]
    if not own and not joint.finders:
        raise UserError(f"encode: no family of {joint} has a representation of a row's columns alone; FactorAnalysis, "
                        "ProbabilisticPCA, PCA, Autoencoder, VAE and VQVAE have")
    read = [v for f in (*own, *finding) for v in f.parents if not set(v.columns) & set(joint.latents)]
    first, parts = 0, list[dict[str, np.ndarray]]()
    for batch in source.batches(_ROWS):
        for name in (name for v in read for name in v.columns):
            if name not in batch:
                raise UserError(f"encode: no column {name}; there are {', '.join(batch.names)}")
        entries = {name: v.encode(batch, first) for name, v in joint.columns.items() if name in batch}
        noise, posteriors = Noise.of(seed, batch.n, first_row=first, device=joint.device), dict[str, Distribution]()
        for name, q in joint.encoded(entries, batch.n, noise)[1].items():
            posteriors[joint.finders[name].title] = q
        posteriors |= {f"{f.x.name}.z": f.encode(joint.x(f, entries), joint.y(f, entries, batch.n)) for f in own}
        parts.append({f"{name}{k + 1}": column for name, q in posteriors.items()
                      for k, column in enumerate(_values(q, draws, noise.fold(name)))})
        first += batch.n
    if not parts:
        raise UserError("encode: expected at least one row, got none")
    return Columns({name: np.concatenate([part[name] for part in parts], -1) for name in parts[0]}, 1 if draws is None else 2)


def _values(q: Distribution, draws: int | None, noise: Noise) -> np.ndarray:
    """(K, rows) the mean of K dimensions, of symbols the mode, or (K, draws, rows)."""
    if draws is not None:
        found = q.sample((draws,), seed=noise)
    else:
        try:
            found = q.mode() if isinstance(q.space, Finite) else q.mean()
        except Intractable as error:
            raise Intractable(f"encode: {error}; or pass draws=") from None
    t = found.tensor.cpu()
    return t.reshape(*t.shape[:t.dim() - len(q.space.axes)], -1).movedim(-1, 0).numpy()
