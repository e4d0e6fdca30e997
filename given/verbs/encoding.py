"""Encoding: the latent of every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from given.conditional import Encodes
from given.joint import Joint
from given.sources import Columns, Source
from given.variables import Observed, UserError

__all__ = ["latents"]

_ROWS = 1 << 12  # encoded at once


@torch.no_grad()
def latents(joint: Joint, source: Source) -> Columns:
    """Columns `x.z1`, `x.z2`, ... of each factor that has a latent, (rows,) a dimension.

    Raises:
        UserError: no family has a representation, a parent's column is not in the data, or there is no row.
    """
    factors: list[Any] = [f for f in joint if isinstance(f, Encodes) and not joint.touches_latent(f)]
    if not factors:
        raise UserError(f"encode: no family of {joint} has a representation of a row's columns alone; FactorAnalysis, "
                        "ProbabilisticPCA, VAE and VQVAE have")
    first, parts = 0, list[dict[str, np.ndarray]]()
    for batch in source.batches(_ROWS):
        for name in (v.name for f in factors for v in f.parents if v.name not in joint.latents):
            if name not in batch:
                raise UserError(f"encode: no column {name}; there are {', '.join(batch.names)}")
        entries = {name: v.encode(batch, first) for name, v in joint.columns.items() if name in batch}
        first, found = first + batch.n, dict[str, np.ndarray]()
        for f in factors:
            y = Observed(n=batch.n, device=joint.device) if f in joint.encoders.values() else joint.y(f, entries, batch.n)
            z = f.encode(joint.x(f, entries), y).tensor.reshape(batch.n, -1).cpu().numpy()
            found |= {f"{f.x.name}.z{k + 1}": column for k, column in enumerate(z.T)}
        parts.append(found)
    if not parts:
        raise UserError("encode: expected at least one row, got none")
    return Columns({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
