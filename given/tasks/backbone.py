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

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Coordinates
from given.conditional import quoted
from given.distributions import Karras
from given.evaluate import chain_figures, random_walks
from given.families import Diffusion
from given.nn import ChainField
from given.solve import Ancestral
from given.sources import ChainWindows, Columns, Source, joined, pieces, ragged
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of
from given.ways import way

__all__ = ["LEAST", "TRAINING", "baselines", "measure", "model", "parted", "read"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 3e-3, "patience": None, "held_out": 0}
LEAST, WINDOW = 32, 64  # residues of a window
_DRAWN = 200  # chains that are judged, at most
_NAMED = 6  # lengths


def read(data: Source) -> Columns:
    """Unbroken pieces of chains of at least 32 residues in the column `coords`, those of arrays cut as those of structures are;
    shorter ones are named in `skipped`.

    Raises:
        UserError: no column of chains, or one of several, or none so long.
    """
    rows = data if isinstance(data, Columns) else joined(list(data.runs()))
    names = [name for name, raw in rows.items() if _of_chains(raw)]
    if len(names) != 1:
        raise UserError(f"backbone: expected one column of chains, (length, 3) each, got {' and '.join(names) or 'none'} of "
                        f"{', '.join(rows.names)}")
    found = pieces(rows, names[0])
    about = rows.about if isinstance(data, Columns) and rows.about and "unbroken" in rows.about else found.about
    lengths = found["length"]
    if not (long := lengths >= LEAST).any():
        shown = ", ".join(map(str, lengths[:_NAMED].tolist())) + ", ..." * (len(lengths) > _NAMED)
        raise UserError(f"{names[0]}: {shown} residues ({about}); expected a piece of at least {LEAST}; add longer chains")
    kept = found.rows(long)
    whose = found["id"].tolist() if "id" in found else [f"piece {i}" for i in range(found.n)]
    short = [f"{whose[i]}: {lengths[i]} residues without a break; expected at least {LEAST}" for i in np.flatnonzero(~long)]
    kept.skipped = [*rows.skipped, *short]
    kept.about = about if not short and ", 0 cut" in about else f"{about}; {len(short)} of fewer than {LEAST} residues left out"
    return kept


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
    if apart.all():
        raise UserError(f"fit: {groups.max() + 1} chain is too few to hold out {held_out:.0%}; pass "
                        f"{way('held_out=0', '--held-out 0')}")
    train, held = (ChainWindows(data.rows(some), name, WINDOW, LEAST) for some in (~apart, apart))
    return train, joined(list(held.runs())) if apart.any() else None


def chain_of(data: Source) -> str:
    """The column of chains."""
    first = next(data.batches(8))
    return next(name for name, raw in first.items() if _of_chains(raw))


def model(data: Source, *, seed: int = 0, width: int = 64, pair: int = 32) -> Model:
    """A model of chains of up to 64 residues, or up to the longest there is, nothing of it learned yet.

    Args:
        data: of `read`, or its windows.
        seed: of the initial weights.
        width, pair: of a residue and of a pair of them in the field.
    """
    name, path = chain_of(data), Karras(low=0.005, high=30.0, mean=-1.5, deviation=1.4)
    family = partial(Diffusion, path=path, known=0, net=partial(ChainField, path=path, width=width, pair=pair),
                     solver=Ancestral(64), terms=16, width=4)
    windows = ChainWindows(data, name, WINDOW, LEAST) if isinstance(data, Columns) else data
    longest = max(len(chain) for batch in windows.batches(256) for chain in batch[name])
    found = model_of(f"p({quoted(name)})", windows, codecs={name: Coordinates(longest)}, families={name: family}, seed=seed)
    if isinstance(data, Columns) and data.about and "left out" in data.about:
        found.facts["notes"].append(data.about)
    return found


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
    return chain_figures(list(drawn), true)


def baselines(train: Source, test: Columns) -> dict[str, dict[str, float]]:
    """Figures of random walks, and of training chains: those of other proteins are as far from the held-out ones as chains can
    be asked to be."""
    name = chain_of(test)
    true = _whole(test, name)
    windows = [c for batch in train.of_epoch(0, 0).batches(256) for c in batch[name] if len(c) == len(true[0])]
    some = np.random.default_rng(0).permutation(len(windows))[:_DRAWN]
    return {"random walk of 3.8 A steps": chain_figures(list(random_walks(_DRAWN, len(true[0]))), true),
            "training chains": chain_figures([windows[i] for i in some], true)}
