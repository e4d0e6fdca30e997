"""Backbone: p(C-alpha chain | length, symmetry), how the chain of a protein lies in space.

Noise is taken away by a field that turns with the chain: a diffusion over centred coordinates in angstrom, in which no turn is
more likely than another. A draw has the length that is asked, `length=64`; with `how=Symmetry(3)` it is three chains of that
length, each a third of a turn from the next, exactly, as what begins symmetric stays so. Learned from windows of unbroken
chains, others in every epoch. The metrics look at geometry: the share of bonds of 3.8 angstrom within .2, clashes (pairs more
than two residues apart, nearer than 3.5 angstrom) a chain, and how far the distributions of the radius of gyration and of
contacts (pairs nearer than 8 angstrom) lie from those of held-out chains, by Kolmogorov and Smirnov. The trivial baseline is a
random walk of 3.8 angstrom steps. Whether a sequence folds into what is drawn, nothing here says.

Source: Ho, Jain, Abbeel, Denoising diffusion probabilistic models, 2020 / https://arxiv.org/abs/2006.11239
Trippe et al., Diffusion probabilistic modeling of protein backbones in 3D, 2022 / https://arxiv.org/abs/2206.04119
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Coordinates
from given.conditional import quoted
from given.distributions import Karras
from given.families import Diffusion
from given.nn import ChainField
from given.solve import Ancestral
from given.sources import ChainWindows, Columns, Source, joined, pieces, ragged
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "geometry", "measure", "model", "nearest_rmsd", "parted", "read", "walks"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 3e-3, "patience": None, "held_out": 0}
WINDOW = 64  # residues
_BOND, _WITHIN, _CLASH, _CONTACT = 3.8, 0.2, 3.5, 8.0  # angstrom
_DRAWN = 200  # chains that are judged, at most


def read(data: Source) -> Columns:
    """Unbroken pieces of chains in the column `coords`, those of arrays cut as those of structures are.

    Raises:
        UserError: no column of chains, or one of several.
    """
    rows = data if isinstance(data, Columns) else joined(list(data.runs()))
    names = [name for name, raw in rows.items() if _of_chains(raw)]
    if len(names) != 1:
        raise UserError(f"backbone: expected one column of chains, (length, 3) each, got {' and '.join(names) or 'none'} of "
                        f"{', '.join(rows.names)}")
    found = pieces(rows, names[0])
    if not isinstance(data, Columns) or rows.about is None or "unbroken" not in rows.about:
        return found
    found.about, found.skipped = rows.about, rows.skipped
    return found


def _of_chains(raw: np.ndarray) -> bool:
    first = np.asarray(next((item for item in raw if item is not None), 0) if len(raw) else 0)
    return (ragged(raw) or raw.ndim == 3) and first.ndim == 2 and first.shape[1] == 3


def parted(data: Columns, held_out: float) -> tuple[Source, Columns | None]:
    """Windows of chains to learn from, and windows of others: pieces of one `cluster`, or of one chain by its `id`, stay on one
    side."""
    name = chain_of(data)
    values = data["cluster"] if "cluster" in data else (
        np.array([one.partition("/")[0] for one in data["id"]]) if "id" in data else np.arange(data.n))
    groups = np.unique(values, return_inverse=True)[1]
    apart = np.random.default_rng(0).permutation(groups.max() + 1)[groups] < held_out * (groups.max() + 1)
    train, held = (ChainWindows(data.rows(some), name, WINDOW) for some in (~apart, apart))
    return train, joined(list(held.runs())) if apart.any() else None


def chain_of(data: Source) -> str:
    """The column of chains."""
    first = next(data.batches(8))
    return next(name for name, raw in first.items() if _of_chains(raw))


def model(data: Source, *, seed: int = 0, width: int = 64, pair: int = 32) -> Model:
    """A model of chains of up to 64 residues, nothing of it learned yet.

    Args:
        data: of `read`, or its windows.
        seed: of the initial weights.
        width, pair: of a residue and of a pair of them in the field.
    """
    name, path = chain_of(data), Karras(low=0.005, high=30.0, mean=-1.5, deviation=1.4)
    family = partial(Diffusion, path=path, known=0, net=partial(ChainField, path=path, width=width, pair=pair),
                     solver=Ancestral(64), terms=16, width=4)
    windows = data if isinstance(data, ChainWindows) or not isinstance(data, Columns) else ChainWindows(data, name, WINDOW)
    return model_of(f"p({quoted(name)})", windows, codecs={name: Coordinates(WINDOW)}, families={name: family}, seed=seed)


def geometry(chains: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
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


def beside(chains: Sequence[np.ndarray], true: Sequence[np.ndarray]) -> dict[str, float]:
    """Figures of chains beside those of data."""
    mine, its = geometry(chains), geometry(true)
    return {"bonds of 3.8 A": float(np.mean(np.abs(mine["bonds"] - _BOND) < _WITHIN)), "clashes": float(mine["clashes"].mean()),
            "KS of the radius": _ks(mine["radius"], its["radius"]), "KS of contacts": _ks(mine["contacts"], its["contacts"])}


def _ks(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference of two distribution functions."""
    at = np.concatenate([a, b])
    each = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (a, b)]
    return float(np.abs(each[0] - each[1]).max())


def _whole(test: Columns, name: str) -> list[np.ndarray]:
    """Held-out chains of a whole window, the most common length where none is."""
    lengths = [len(chain) for chain in test[name]]
    long = WINDOW if WINDOW in lengths else max(lengths)
    return [chain for chain in test[name] if len(chain) == long][:4 * _DRAWN]


def measure(model: Model, test: Columns) -> dict[str, float]:
    """Figures of as many draws as there are held-out chains, 200 at most, each as long as those."""
    (factor,) = model.joint
    true = _whole(test, factor.x.name)
    drawn = model.sample(min(_DRAWN, len(true)), length=len(true[0]), seed=0)[factor.x.name]
    return beside(list(drawn), true)


def walks(n: int, length: int, seed: int = 0) -> np.ndarray:
    """(n, length, 3) random walks of 3.8 angstrom steps."""
    steps = np.random.default_rng(seed).normal(size=(n, length - 1, 3))
    steps *= _BOND / np.linalg.norm(steps, axis=-1, keepdims=True)
    return np.concatenate([np.zeros((n, 1, 3)), steps.cumsum(1)], 1)


def baselines(train: Source, test: Columns) -> dict[str, dict[str, float]]:
    """Figures of random walks, and of training chains: those of other proteins are as far from the held-out ones as chains can
    be asked to be."""
    name = chain_of(test)
    true = _whole(test, name)
    windows = [c for batch in train.of_epoch(0, 0).batches(256) for c in batch[name] if len(c) == len(true[0])]
    some = np.random.default_rng(0).permutation(len(windows))[:_DRAWN]
    return {"random walk of 3.8 A steps": beside(list(walks(_DRAWN, len(true[0]))), true),
            "training chains": beside([windows[i] for i in some], true)}


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
