"""Channel: p(h), a radio channel as series of complex numbers, along time or frequency.

A series is one path of the channel, h_1, ..., h_T, or of several antennas or subcarriers at a time, (T, K). What it is made of
are echoes of all delays and Doppler frequencies, so that it is nearly a circular complex normal vector, whose autoregression is
one of complex numbers: `LinearAutoregressive` has its density up to where it stops reading. Innovations of both parts are one
mixture of scales, since measured channels fade in bursts. The trivial baselines are independent complex normals and AR(1).

What is looked at of a channel beside its score is here as well: correlations along an axis, the power of every delay, how
often a path fades below a level and for how long.

Source: Jakes, Microwave mobile communications, 1974
Baddour, Beaulieu, Autoregressive modeling for fading channel simulation, 2005 / https://doi.org/10.1109/TWC.2005.850327
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from given.codecs import Complex, Series, infer
from given.conditional import quoted
from given.families import LinearAutoregressive
from given.sources import Columns, Source, end_to_end, items, joined, ragged
from given.sources import read as read_data
from given.variables import UserError
from given.verbs import Model
from given.verbs import model as model_of

__all__ = ["TRAINING", "baselines", "correlation", "delay_profile", "fades", "measure", "model", "read"]

TRAINING: Mapping[str, Any] = {}
_WINDOW = 512
_PARTS = (("re", "im"), ("real", "imag"), ("i", "q"))  # how names of the two columns of a complex number end


def read(*paths: str | os.PathLike[str]) -> Source:
    """One column: items (T,) or (T, K) of complex numbers, under its name, or h where its parts stand in two.

    One array (items, T), (items, T, K) or (T,) of an .npz or .npy; lists of a .jsonl or .parquet; a table with a row a sample,
    of all one series, or of several by a column `item`. Numbers are complex or text such as 1+2j, or stand in two columns,
    h_re and h_im, real and imag, i and q.

    Raises:
        UserError: other columns.
    """
    if len(paths) != 1:
        raise UserError(f"channel: expected one file, got {len(paths)}")
    data = _whole(paths[0])
    if "item" in data and not any(map(ragged, data.values())):
        data = _whole(paths[0], by="item", time="index" if "index" in data else None)
    columns = {name: values for name, values in data.items() if name not in ("item", "index")}
    try:
        name, values = _one(columns)
        if ragged(values):
            flat, lengths = end_to_end(values)
            return Columns({name: items(_numbers(flat), lengths)})
        values = _numbers(values)
        return Columns({name: values if values.ndim > 1 else values[None]})
    except UserError as error:
        raise error.at(str(paths[0])) from None


def _whole(path: Any, **options: Any) -> Columns:
    data = read_data(path, **options)
    return data if isinstance(data, Columns) else joined(list(data.runs()))


def _one(columns: Mapping[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """Name and values of the one column of complex numbers, or of two columns of their parts.

    Raises:
        UserError: there is no such column, or another one.
    """
    lower = {name.lower(): values for name, values in columns.items()}
    for name in lower if len(lower) == 2 else ():
        for real, imag in _PARTS:
            other = name.removesuffix(real) + imag
            if name.endswith(real) and other != name and other in lower:
                a, b = lower[name], lower[other]
                return "h", items(end_to_end(a)[0] + 1j * end_to_end(b)[0], end_to_end(a)[1]) if ragged(a) else a + 1j * b
    if len(columns) != 1:
        raise UserError(f"expected one column of complex numbers, or two of their parts such as h_re and h_im, got "
                        f"{', '.join(columns)}; leave others out, or write a formula")
    (name, values), = columns.items()
    codec = infer(values)
    if not isinstance(codec.of if isinstance(codec, Series) else codec, Complex):
        raise UserError(f"{name}: expected complex numbers, such as 1+2j, got {codec!r}")
    return name, values


def _numbers(values: np.ndarray) -> np.ndarray:
    codec = Complex(missing="unknown")
    return codec.raw_of(codec.numbers(values))


def model(data: Source, *, seed: int = 0, order: int | None = None, window: int = _WINDOW) -> Model:
    """A model of complex series, nothing of it learned yet.

    Args:
        data: of `read`.
        seed: of nothing, since it is solved.
        order: how many samples before are read; None: as the last fifth says.
        window: the most samples a row holds.
    """
    return _linear(data, partial(LinearAutoregressive, order=order), seed, window)


def _linear(data: Source, family: Any, seed: int = 0, window: int = _WINDOW) -> Model:
    (name,) = data.names
    codec = Series(Complex(), window=window)
    return model_of(f"p({quoted(name)})", data, codecs={name: codec}, families={name: family}, seed=seed)


def measure(model: Model, test: Source) -> dict[str, float]:
    """Nats a complex sample."""
    samples = sum(int(np.size(item)) for batch in test.runs() for item in batch[test.names[0]])
    return {"nats a sample": float(model.score(test).items.sum()) / samples}


def baselines(train: Source, test: Source) -> dict[str, dict[str, float]]:
    """Independent complex normals, and AR(1)."""
    found = {}
    for name, order in (("independent complex normals", 0), ("AR(1)", 1)):
        fitted = _linear(train, partial(LinearAutoregressive, order=order, circular=True, across=False, sizes=False,
                                        components=1))
        fitted.fit(train, held_out=0, progress=False)
        found[name] = measure(fitted, test)
    return found


def correlation(h: np.ndarray, axis: int, most: int) -> np.ndarray:
    """E conj(h_t) h_{t+k} as a share of E |h|^2: (most + 1,) complex, k = 0 ... most along an axis of h (items, ...)."""
    h = np.moveaxis(h, axis, -1)
    each = [(h[..., :h.shape[-1] - k].conj() * h[..., k:]).mean() for k in range(most + 1)]
    return np.array(each) / (np.abs(h) ** 2).mean()


def delay_profile(h: np.ndarray) -> np.ndarray:
    """Which share of the power comes at which delay, (F,), of channels (..., F) along frequencies: 0, 1/B, 2/B, ... of their
    bandwidth B."""
    power = (np.abs(np.fft.ifft(h, axis=-1)) ** 2).reshape(-1, h.shape[-1]).mean(0)
    return power / power.sum()


def fades(h: np.ndarray, axis: int, below: float) -> tuple[float, float]:
    """How often |h| rises through a level, a sample, and how many samples it stays below it on average.

    Args:
        h: (items, ...) complex.
        axis: of time.
        below: the level, as a share of the root of the mean power.
    """
    low = np.moveaxis(np.abs(h), axis, -1) < below * np.sqrt((np.abs(h) ** 2).mean())
    rises = float((low[..., :-1] & ~low[..., 1:]).mean())
    return rises, float(low.mean()) / rises if rises else float("nan")
