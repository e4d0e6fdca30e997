"""Laws of codecs: each takes a codec that has learned nothing yet, and raw values (B, ...) it is made for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from given.testing.cases import DoesNotApply, tensors
from given.variables import Codec, Entries, Finite, Product, Real, UserError, Variable, counted

__all__ = ["CODEC_LAWS"]


def decoding_undoes_encoding(codec: Codec, raw: Any) -> None:
    """decode(encode(r)) is r, to rounding; or, of a codec that keeps less, has the entries of r within its tolerance."""
    codec.learn(raw)
    back = codec.decode(codec.encode(raw))
    if codec.lossy is not None:
        a, b = (codec.encode(r).tensor.double() for r in (raw, back))
        apart = float(((a - b) ** 2).mean().sqrt())
        assert apart <= codec.lossy, f"entries came back {apart:.3g} apart, more than {codec.lossy:g}"
        return
    for name in raw if isinstance(raw, dict) else [None]:
        a, b = (raw[name], back[name]) if name else (raw, back)
        same = np.allclose(a, b, rtol=1e-9, equal_nan=True) if np.asarray(a).dtype.kind in "fc" else np.array_equal(a, b)
        assert same, f"{name or codec}: {a[:3]} came back as {b[:3]}"


def entries_fit_the_space(codec: Codec, raw: Any) -> None:
    """encode gives entries of the codec's space, and draws of several rows decode in their shape."""
    codec.learn(raw)
    x, space = codec.encode(raw), codec.space
    n = len(x)
    for name, s in dict(space.columns).items() if isinstance(space, Product) else [("", space)]:
        t = x.columns[name].tensor if name else x.tensor
        assert t.shape == (n, *s.shape), f"expected {(n, *s.shape)}, got {tuple(t.shape)}"
        if isinstance(s, Finite):
            assert t.dtype == torch.int64 and int(t.max()) < s.size and int(t.min()) >= 0
    draws = codec.decode(x.map(lambda t: t.expand(3, *t.shape)))
    for values in draws.values() if isinstance(draws, dict) else [draws]:
        assert values.shape[:2] == (3, n)


def volume_is_the_derivative(codec: Codec, raw: Any) -> None:
    """log_volume is the log of |d entries / d raw|, entry by entry, and counts only what is seen.

    Where decoding rounds, as to whole numbers or days, the slope is that between raw values of one volume that follow each
    other: there must be some.
    """
    codec.learn(raw)
    x = codec.encode(raw)
    if isinstance(codec.space, Real) and codec.space.may_end:
        raise DoesNotApply("the end is an entry and no raw value")
    if isinstance(codec.space, Product):
        parts = [c.log_volume(x.columns[k]) for k, c in codec.codecs.items()]  # type: ignore[attr-defined]
        assert torch.allclose(codec.log_volume(x), torch.stack(parts).sum(0))
        return
    volume = codec.log_volume(x)
    assert volume.shape == (len(x),) and volume.dtype == torch.float64
    assert bool((codec.log_volume(x.hide()) == 0).all()), "what is unseen has a volume"
    if codec.lossy is not None and (isinstance(codec.space, Real) or codec.space.axes):
        raise DoesNotApply("several raw values have its entries, or its single values have a law of their own")
    if isinstance(codec.space, Real):
        step, atoms = 1e-6, torch.isin(x.tensor, torch.tensor(codec.space.atoms, dtype=torch.float64))
        assert bool((volume[atoms] == 0).all()) if x.tensor.dim() == 1 else not atoms.any(), "an atom has a volume"
        if codec.space.dimensions != np.prod(_parts(codec.decode(x)).shape[1:]):
            _volume_of_map(codec, x, volume)
            return
        seen, back = (x.scored & ~atoms).reshape(len(x), -1).numpy(), _parts(codec.decode(x))
        there = _parts(codec.decode(Entries(x.tensor + step))) - back if back.dtype.kind == "f" else np.zeros(back.shape)
        if (there.reshape(len(x), -1)[seen] == 0).any():  # rounded
            _slopes_between(x.tensor.numpy()[seen[:, 0]], _lengths(raw[seen[:, 0]], codec.measure), volume.numpy()[seen[:, 0]])
            return
        slope = np.log(np.abs(step / np.where(there == 0, step, there))).reshape(len(x), -1)
        assert np.allclose(np.where(seen, slope, 0).sum(1), volume.numpy(), atol=1e-4), "log_volume is not the derivative"
    elif codec.measure == "counting":
        assert bool((volume == 0).all())
    elif codec.lossy is not None:
        _levels_apart(codec)
    else:  # bins: of some entries the density is uniform within
        _cells_between(codec, x, volume)


def _levels_apart(codec: Codec) -> None:
    """Of all levels in order: the middles of neighbours are half of both their widths apart, as far as raw values tell."""
    space = codec.space
    assert isinstance(space, Finite)
    every = Entries(torch.arange(space.size))
    widths = codec.log_volume(every).neg().exp().numpy()
    middles = np.asarray(codec.decode(every))
    rounded = 1.0 if middles.dtype.kind == "i" else 1e-6 * float(np.abs(middles).max())
    apart = np.diff(middles.astype(np.float64)) - (widths[1:] + widths[:-1]) / 2
    assert np.abs(apart).max() <= rounded, "log_volume is not that of the levels"


def _changed(a: Any, b: Any) -> tuple[Any, Any]:
    """The values of the one field by which two items differ; the first of each where none does."""
    each = [tuple(item.values()) if isinstance(item, Mapping) else tuple(item) if isinstance(item, list | tuple) else (item,)
            for item in (a, b)]
    return next(((x, y) for x, y in zip(*each, strict=True) if x != y), (each[0][0], each[1][0]))
def _volume_of_map(codec: Codec, x: Entries, volume: torch.Tensor) -> None:
    """Of raw values in a space of fewer dimensions than they have numbers, as centred points: the Gram determinant's."""
    one, D = x.rows(slice(0, 1)), codec.space.dimensions
    back = codec.decode(one).reshape(-1)
    steps = torch.eye(D, dtype=torch.float64).reshape(D, *codec.space.shape)
    moved = [codec.decode(one.of(one.tensor + step)).reshape(-1) - back for step in steps]
    _, found = np.linalg.slogdet(np.stack(moved) @ np.stack(moved).T)
    assert np.allclose(-found / 2, volume.numpy()), "log_volume is not that of the map"


def _cells_between(codec: Codec, x: Entries, volume: torch.Tensor) -> None:
    """Of rows of one item at most: what the next symbol of an entry decodes as lies half the widths of both bins away."""
    space = codec.space
    assert isinstance(space, Finite) and space.pattern
    for row in range(len(x)):
        width, one = 0.0, x.rows(torch.tensor([row]))
        if int(counted(one, space)) > 1:
            continue
        for entry in range(len(space.pattern) if int(counted(one, space)) else 0):
            first, beyond = space.pattern[entry]
            move = 1 if one.tensor[0, entry] + 1 < beyond else -1
            there = one.of(one.tensor.index_add(1, torch.tensor([entry]), torch.tensor([[move]])))
            a, b = _changed(*(codec.decode(e)[0][0] for e in (one, there)))
            wider = float(volume[row]) - float(codec.log_volume(there)[0])  # log of the share that the other bin is of this one
            width += np.log(2 * abs(a - b) / (1 + np.exp(wider))) if isinstance(a, float) and beyond - first > 1 else 0.0
        assert np.allclose(-width, float(volume[row])), "log_volume is not that of the bins"


def _parts(raw: np.ndarray) -> np.ndarray:
    """Complex values (...) as their parts (..., 2), all others as they are."""
    return np.stack([raw.real, raw.imag], -1) if raw.dtype.kind == "c" else raw


def _lengths(raw: np.ndarray, measure: str) -> np.ndarray:
    """Raw numbers, dates or times (B,) as float64 in the unit of their measure."""
    if raw.dtype.kind in "biuf":
        return raw.astype(np.float64)
    clock = "" if raw.dtype.kind == "M" or "-" in str(raw[0]) else "1970-01-01T"
    times = raw if raw.dtype.kind == "M" else np.array([clock + text for text in raw], dtype="M8[us]")
    return (times - np.datetime64(0, "us")) / np.timedelta64(1, "D" if "days" in measure else "s")


def _slopes_between(x: np.ndarray, raw: np.ndarray, volume: np.ndarray) -> None:
    order = np.argsort(raw)
    dx, dr, change = (np.diff(each[order]) for each in (x, raw, volume))
    piece = (dr > 0) & (np.abs(change) < 1e-9)
    assert piece.any(), "no two values have one volume: give more of them"
    slope = np.log(dx[piece] / dr[piece])
    assert np.allclose(slope, volume[order][1:][piece], atol=1e-6), "log_volume is not the derivative"


def state_is_json(codec: Codec, raw: Any) -> None:
    """The state goes through JSON and back."""
    codec.learn(raw)
    again = type(codec)(**codec.arguments)
    again.restore(json.loads(json.dumps(codec.state())))
    assert again.space == codec.space
    a, b = codec.encode(raw), again.encode(raw)
    assert all(torch.equal(s, t) for s, t in zip(tensors(a), tensors(b), strict=True))


def one_pass_is_enough(codec: Codec, raw: Any) -> None:
    """Learning from batches is learning from all at once."""
    batches = type(codec)(**codec.arguments)
    if isinstance(raw, dict):
        batches = type(codec)({k: type(c)(**c.arguments) for k, c in codec.codecs.items()})  # type: ignore[attr-defined]
    half = len(next(iter(raw.values()))) // 2 if isinstance(raw, dict) else len(raw) // 2
    codec.learn(raw)
    for part in (slice(0, half), slice(half, None)):
        batches.learn({k: v[part] for k, v in raw.items()} if isinstance(raw, dict) else raw[part])
    assert batches.space == codec.space
    for s, t in zip(tensors(codec.encode(raw)), tensors(batches.encode(raw)), strict=True):
        assert torch.allclose(s.double(), t.double(), atol=1e-9)


def items_end_to_end_are_their_rows(codec: Codec, raw: Any) -> None:
    """The entries of whole items, by the codec's own way and by that of any codec, are those of its rows."""
    codec.learn(raw)
    if codec.along is None:
        raise DoesNotApply("its items are as long as their grid, or their end is an entry")
    x = codec.encode(raw)
    for whole in (codec.entire(raw), Codec.entire(codec, raw)):
        rows = whole.rows(codec.along.size)
        assert len(whole.entries) == whole.lengths.sum() and len(whole.lengths) == len(x)
        assert all(torch.equal(s, t) for s, t in zip(tensors(rows), tensors(x), strict=True)), "whole items are other entries"


def errors_name_the_variable(codec: Codec, raw: Any) -> None:
    """What cannot be encoded is a one-line error that begins with the variable's name."""
    codec.learn(raw)
    variable = Variable("thing", codec)
    data = {name: np.array([object()]) for name in variable.columns}
    try:
        variable.encode(data)
    except UserError as error:
        assert str(error).startswith("thing") and "\n" not in str(error)
    else:
        raise AssertionError("an object that is no value was encoded")


CODEC_LAWS: dict[str, Callable[[Codec, Any], None]] = {f.__name__: f for f in (
    decoding_undoes_encoding, entries_fit_the_space, volume_is_the_derivative, state_is_json, one_pass_is_enough,
    items_end_to_end_are_their_rows, errors_name_the_variable)}
