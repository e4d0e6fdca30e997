"""Traffic: when the next arrival comes, and of what mark: p(wait, mark) in a row. Any table with a time and, it may be, a mark.

The family is chosen by the held-out log-likelihood of an arrival: `Hawkes`, in which arrivals excite those to come by one
memory or by three, or `Autoregressive`, a net that reads waits and marks before. The trivial baselines are a Poisson process,
whose arrivals know nothing of one another, and a renewal process: marks that follow the mark before (a Markov chain), after a
wait that is log-normal for it. All numbers are nats an arrival, in the unit of time of the waits.

Source: Hawkes, Spectra of some self-exciting and mutually exciting point processes, 1971
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import IdentityCodec, Label, Number, Series
from given.conditional import Conditional, quoted
from given.families import Autoregressive, Hawkes
from given.nn import MinGRU
from given.sources import Columns, Source, arrivals, joined
from given.variables import Real
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "loss", "measure", "model", "models", "nats", "read"]

TRAINING: Mapping[str, Any] = {"batch": 16, "lr": 2e-3, "patience": None}
_MEMORIES = 3
_MARKS, _RARE = 30, 5  # the most common ones, of at least so many arrivals; the others are one mark

read = arrivals


def model(data: Source, *, seed: int = 0, memories: int = 1) -> Model:
    """A model of arrivals that excite one another, nothing of it learned yet.

    Args:
        data: the columns wait and, it may be, mark, of `sources.arrivals`.
        seed: of the initial weights.
        memories: of the excitation.
    """
    return _of(data, partial(Hawkes, memories=memories), {}, seed)


def models(data: Source, *, seed: int = 0) -> dict[str, Model]:
    """Models of which held-out arrivals are to choose, by name.

    Args:
        data: as of `model`.
        seed: of the initial weights.
    """
    net, wait = partial(Autoregressive, net=MinGRU), Series(Number(curve="quantile"))
    return {"Hawkes": model(data, seed=seed), f"Hawkes of {_MEMORIES} memories": model(data, seed=seed, memories=_MEMORIES),
            "Autoregressive": _of(data, net, {"wait": wait}, seed)}


def _of(data: Source, family: Callable[..., Conditional], codecs: Mapping[str, Any], seed: int) -> Model:
    names = [name for name in ("wait", "mark") if name in data.names]
    marks = {"mark": Series(Label(rare=_rare(data), unseen="other"))} if "mark" in names else {}
    block = ", ".join(map(quoted, names))
    codecs = {"wait": Series(IdentityCodec(Real())), **marks, **codecs}
    return model_of(f"p({block})", data, codecs=codecs, families={block: family}, seed=seed)


def nats(model: Model, data: Source) -> np.ndarray:
    """The log-likelihood of every run of arrivals, per arrival: (runs,) nats."""
    rows = _rows(data)
    return model.score(rows).items / np.array([len(wait) for wait in rows["wait"]])


def measure(model: Model, test: Source) -> dict[str, float]:
    """Nats an arrival."""
    rows = _rows(test)
    return {"nats an arrival": float(model.score(rows).items.sum() / sum(map(len, rows["wait"])))}


def loss(model: Model, held: Source) -> float:
    """What chooses among `models`."""
    return -measure(model, held)["nats an arrival"]


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """A Poisson process, and a renewal process."""
    (wait, mark), (new, then) = (_arrivals(_rows(data)) for data in (train, test))
    symbols = {value: k for k, value in enumerate(np.unique(mark))}
    K = len(symbols) + 1  # what was never learned is one more
    marks, thens = (np.array([symbols.get(value, K - 1) for value in each]) for each in (mark, then))
    shares = np.bincount(marks, minlength=K) + 0.5
    mean = wait.mean()
    poisson = -np.log(mean) - new / mean + np.log(shares / shares.sum())[thens]
    return {"Poisson": {"nats an arrival": float(poisson.mean())},
            "renewal": {"nats an arrival": float(_renewal((wait, marks), (new, thens), K).mean())}}


def _renewal(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], K: int) -> np.ndarray:
    """log p of waits and marks (n,), each given the mark before: log-normal waits, and marks by smoothed counts.

    A wait of 0 has no logarithm: it is taken for the shortest above 0.
    """
    least = train[0][train[0] > 0].min()
    (x, mark), (z, then) = ((np.log(np.maximum(wait, least)), mark) for wait, mark in (train, test))
    before, prior = mark[:-1], np.bincount(mark, minlength=K) + 0.5
    count = np.full((K, K), 0.0) + prior / prior.sum()
    np.add.at(count, (before, mark[1:]), 1.0)
    n = np.bincount(before, minlength=K) + 1.0  # an arrival like all others is among those after every mark
    mean = (np.bincount(before, x[1:], K) + x.mean()) / n
    variance = (np.bincount(before, x[1:] ** 2, K) + (x**2).mean()) / n - mean**2
    last = np.concatenate([[K - 1], then[:-1]])
    off = (z - mean[last]) ** 2 / variance[last]
    return -0.5 * (off + np.log(2 * np.pi * variance[last])) - z + np.log((count / count.sum(1, keepdims=True))[last, then])


def _rare(data: Source) -> int:
    """Of how many arrivals a mark has to be, so that there are not too many."""
    counts = np.sort(np.unique(_arrivals(_rows(data))[1], return_counts=True)[1])[::-1]
    return max(_RARE, int(counts[_MARKS]) + 1 if len(counts) > _MARKS else 0)


def _arrivals(rows: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Waits and marks of all runs, one after another."""
    wait = np.concatenate(list(rows["wait"]))
    return wait, np.concatenate(list(rows["mark"])) if "mark" in rows else np.full(len(wait), "")


def _rows(data: Source) -> Columns:
    return data if isinstance(data, Columns) else joined(list(data.runs()))
