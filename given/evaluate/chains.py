"""Chains of points in space, as of the C-alpha atoms of proteins, in angstrom: bonds, clashes, size, contacts, and the nearest.

A bond is right that is 3.8 angstrom long within .2. A clash is a pair more than two residues apart that is nearer than 3.5, a
contact one nearer than 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from given.evaluate.marginals import statistic

__all__ = ["chain_figures", "chain_geometry", "nearest_rmsd", "random_walks"]

_BOND, _WITHIN, _CLASH, _CONTACT = 3.8, 0.2, 3.5, 8.0  # angstrom


def chain_geometry(chains: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Of chains (length, 3) in angstrom: `bonds`, all lengths between neighbours; and a number each of `clashes`, `radius` of
    gyration in angstrom, and `contacts`."""
    found: dict[str, list[Any]] = {"bonds": [], "clashes": [], "radius": [], "contacts": []}
    for chain in chains:
        apart = np.linalg.norm(chain[:, None] - chain[None], axis=-1)
        far = apart[np.triu_indices(len(chain), 3)]
        found["bonds"] += np.diagonal(apart, 1).tolist()
        found["clashes"].append((far < _CLASH).sum())
        found["contacts"].append((far < _CONTACT).sum())
        found["radius"].append(np.sqrt(((chain - chain.mean(0)) ** 2).sum(-1).mean()))
    return {name: np.array(values) for name, values in found.items()}


def chain_figures(chains: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> dict[str, float]:
    """Figures of chains beside those of data."""
    mine, its = chain_geometry(chains), chain_geometry(true)
    return {"bonds of 3.8 A": float(np.mean(np.abs(mine["bonds"] - _BOND) < _WITHIN)), "clashes": float(mine["clashes"].mean()),
            **{f"KS of {what}": statistic(mine[name], its[name], False)
               for what, name in (("the radius", "radius"), ("contacts", "contacts"))}}


def random_walks(n: int, length: int, seed: int = 0) -> np.ndarray:
    """(n, length, 3) random walks of 3.8 angstrom steps."""
    steps = np.random.default_rng(seed).normal(size=(n, length - 1, 3))
    steps *= _BOND / np.linalg.norm(steps, axis=-1, keepdims=True)
    return np.concatenate([np.zeros((n, 1, 3)), steps.cumsum(1)], 1)


def nearest_rmsd(chains: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """(n,) the least root mean squared deviation, in angstrom, of chains (n, length, 3) from stored ones (m, length, 3), each
    laid on the other by the best turn.

    Source: Kabsch, A solution for the best rotation to relate two sets of vectors, 1976 /
    https://doi.org/10.1107/S0567739476001873
    """
    a, b = (x - x.mean(1, keepdims=True) for x in (np.asarray(chains), np.asarray(stored)))
    own = (b**2).sum((1, 2))
    found = []
    for chain in a:
        product = np.einsum("li,mlj->mij", chain, b)
        s = np.linalg.svd(product, compute_uv=False)
        s[:, 2] *= np.sign(np.linalg.det(product))
        squared = ((chain**2).sum() + own - 2 * s.sum(1)) / chain.shape[0]
        found.append(np.sqrt(squared.clip(min=0).min()))
    return np.array(found)
