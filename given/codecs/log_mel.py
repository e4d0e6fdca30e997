"""LogMel: a sound as frames of loudness, a number of decibels for every band of pitch; and a sound of such frames again.

    x[t, b] = (10 log10 max(sum_f M[b, f] |S[t, f]|^2, floor) - mean_b) / scale_b,    S the spectrum of 48 ms every 16 ms

Bands are evenly spaced on the mel scale. What lies after a sound's end is silence, at the floor, so that how long a sound is
can be read off its frames. Phases are lost, so a density is one of frames, per decibel of each of their numbers, and of no
samples. On the way back, the spectrum that is nearest among those that are nowhere negative is given phases that agree from
frame to frame (Griffin-Lim), and what is silent at the end is cut off; a sound that would be beyond
full scale is made quieter.

Source: Davis, Mermelstein, Comparison of parametric representations for monosyllabic word recognition, 1980
Griffin, Lim, Signal estimation from modified short-time Fourier transform, 1984
Perraudin, Balazs, Sondergaard, A fast Griffin-Lim algorithm, 2013
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.variables import Axis, Codec, Entries, NewValue, Real, UserError
from given.ways import way

__all__ = ["LogMel"]

_FULL = {"i": float(1 << 15), "f": 1.0}
_HOP, _HOPS = 0.016, 3  # seconds from frame to frame, and how many such a frame is long
_FLOOR = -80.0  # decibels below a sine of full scale
_SILENT = 12.0  # decibels above the floor, up to which a frame is
_NEAREST, _ROUNDS, _MOMENTUM = 30, 40, 0.99  # steps to the nearest spectrum, of Griffin-Lim
_NOTHING = 1e-20  # power, far below the floor; processors are slow at the least numbers


class LogMel(Codec):
    """A sound (n,), int16 or real within -1 and 1, any n up to that of the longest learned from: entries (frames, bands). It
    comes back as those learned from are; either is read, 32,768 being 1.

    Args:
        rate: samples a second.
        bands: of every frame.
        seconds: that a sound lasts at most; by default as long as the longest learned from.
        detail: how many of the lowest frequencies along time and along bands are kept of the frames of a whole sound, by the
            cosine transform, as of a photograph in JPEG: few numbers, which families of vectors learn soon. None for frames.
        dynamic: decibels from the loudest number of a sound to silence, so that all sounds are as loud, and what is far below
            speech is not there. None for loudness as it is.

    decode(encode(r)) sounds like r: it has its frames to some 2 decibels, by root mean square, and is as long to within a frame
    and what is silent at its end.
    """

    def __init__(self, rate: int, *, bands: int = 40, seconds: float | None = None,
                 detail: tuple[int, int] | None = None, dynamic: float | None = None) -> None:
        if not isinstance(rate, int) or rate < 1000 or not 4 <= bands <= 128 or (seconds is not None and seconds <= 0):
            raise UserError(f"LogMel: rate={rate!r}, bands={bands!r}, seconds={seconds!r}; expected samples a second from "
                            "1000, 4 to 128 bands, and a time above 0")
        if dynamic is not None and not 0 < dynamic <= -_FLOOR:
            raise UserError(f"LogMel: dynamic={dynamic!r}; expected decibels above 0, at most {-_FLOOR:g}")
        self.dynamic = dynamic
        self.rate, self.bands, self.hop = rate, bands, max(1, round(rate * _HOP))
        self.kind, self.count, self.frames = "", 0, 0 if seconds is None else self.length(round(seconds * rate))
        self.fixed = seconds is not None
        self.detail, self.lossy = detail, 0.25 if detail is None else 0.5
        if detail is not None and not (self.fixed and 0 < detail[0] <= self.frames and 0 < detail[1] <= bands):
            raise UserError(f"LogMel: detail={detail}, seconds={seconds}; expected seconds, and as many numbers along time as "
                            "they have frames at most, and as bands")
        self.sums, self.rows = np.zeros((2, *(detail or (bands,)))), 0

    @property
    def space(self) -> Real:
        self._learned()
        if self.detail is not None:
            return Real(axes=tuple(Axis(name, size) for name, size in zip(("wave", "ripple"), self.detail, strict=True)))
        return Real(axes=(Axis("frame", self.frames, role="time"), Axis("band", self.bands, role="channel")))

    @property
    def measure(self) -> str:
        return "length in decibels of frames"

    def learn(self, raw: np.ndarray) -> None:
        for row, samples in enumerate(raw):
            frames = self._of(samples, row)
            if self.kind and samples.dtype.kind != self.kind:
                raise UserError(f"expected {'int16' if self.kind == 'i' else 'real'} samples as before, got {samples.dtype}; "
                                f"{'multiply by 32768 and round' if self.kind == 'i' else 'divide by 32768'}", row)
            self.kind = samples.dtype.kind
            if not self.fixed:
                self.frames = max(self.frames, len(frames))
            elif len(frames) > self.frames:
                raise UserError(self._too_long(samples), row)
            above = frames - _FLOOR
            if self.detail is not None:
                waves, ripples = self._waves()
                above = (waves[:, :len(above)] @ above @ ripples.T)[None]
            self.sums += np.stack([above.sum(0), (above**2).sum(0)])
            self.rows += 1

    def encode(self, raw: np.ndarray) -> Entries:
        mean, scale = self._lines()
        each = [self._of(samples, row) for row, samples in enumerate(raw)]
        if long := [row for row, frames in enumerate(each) if len(frames) > self.frames]:
            raise NewValue(self._too_long(raw[long[0]]), np.array(long))
        found = np.full((len(raw), self.frames, self.bands), _FLOOR, dtype=np.float32)
        for row, frames in enumerate(each):
            found[row, :len(frames)] = frames
        if self.detail is not None:
            waves, ripples = self._waves()
            found = waves @ (found - _FLOOR) @ ripples.T
        return Entries(torch.from_numpy(((found - mean) / scale).astype(np.float32)))

    def decode(self, x: Entries) -> np.ndarray:
        """(*draws, B, frames, bands) -> (*draws, B) sounds, or one array where all are as long."""
        level = self.decibels(x)
        flat = level.reshape(-1, *level.shape[-2:])
        found = np.empty(len(flat), dtype=object)
        found[:] = [self._sounding(frames) for frames in flat]
        lead = level.shape[:-2]
        if len({len(each) for each in found}) == 1:
            return np.stack([*found]).reshape(*lead, -1)
        return found.reshape(lead)

    def decibels(self, x: Entries) -> np.ndarray:
        """Entries (..., frames, bands) as levels, float64."""
        mean, scale = self._lines()
        found: np.ndarray = x.tensor.detach().cpu().numpy().astype(np.float64) * scale + mean
        if self.detail is not None:
            waves, ripples = self._waves()
            found = np.maximum(waves.T @ found @ ripples, 0.0) + _FLOOR
        return found

    def log_volume(self, x: Entries) -> Tensor:
        each = -torch.log(torch.from_numpy(self._lines()[1]).double()).to(x.device)  # the cosine transform is a rotation
        return torch.where(x.scored, each, 0.0).sum((-2, -1))

    def single(self, raw: np.ndarray) -> bool:
        return raw.ndim == 1 and raw.dtype.kind != "O"

    @property
    def item_axes(self) -> int:
        return 1

    @property
    def affine(self) -> bool:
        return False

    def state(self) -> dict[str, Any]:
        return {"kind": self._learned(), "frames": self.frames, "rows": self.rows, "sums": self.sums.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.kind, self.frames, self.rows = str(state["kind"]), int(state["frames"]), int(state["rows"])
        self.sums = np.array(state["sums"])

    def _learned(self) -> str:
        if not self.kind:
            raise UserError("LogMel() has not seen data yet; let it learn first")
        return self.kind

    def _lines(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean and the standard deviation: (bands,) of all frames, those of silence after the end too, or of `detail`."""
        self._learned()
        n = self.rows * (1 if self.detail is not None else self.frames)
        mean = self.sums[0] / n
        scale = np.sqrt(np.maximum(self.sums[1] / n - mean**2, 1.0))  # of a decibel at least
        return mean + (0.0 if self.detail is not None else _FLOOR), scale

    def length(self, samples: int) -> int:
        """How many frames so many samples have."""
        return -(-samples // self.hop) + 1

    def _too_long(self, samples: np.ndarray) -> str:
        by = "" if self.fixed else ", by the longest learned from"
        return (f"lasts {len(samples) / self.rate:.2f} s; expected at most {self._most:.2f}{by}; cut it, or learn with longer "
                "ones")

    @property
    def _most(self) -> float:
        """Seconds that there is room for."""
        return (self.frames - 1) * self.hop / self.rate

    def _of(self, samples: Any, row: int) -> np.ndarray:
        """The frames of one sound in decibels (frames, bands)."""
        kind = samples.dtype.kind if isinstance(samples, np.ndarray) and samples.ndim == 1 else ""
        if kind not in _FULL or not len(samples):
            got = f"{samples.dtype} {samples.shape}" if isinstance(samples, np.ndarray) else type(samples).__name__
            raise UserError(f"expected a sound of samples (n,), int16 or real, got {got}; read a WAV by "
                            f"{way('given.read(path)', 'its path')}", row)
        if self.kind == "i" and kind == "f" and (most := float(np.abs(samples).max())) > 1:
            raise UserError(f"got a sample of {most:g}; expected int16 as learned, or reals within -1 and 1; divide it by one "
                            "number", row)
        power = np.abs(self._spectra(samples / _FULL[kind], self.length(len(samples)))) ** 2
        found: np.ndarray = 10 * np.log10(np.maximum(power @ self._bands().T, _NOTHING))
        if self.dynamic is not None:
            found += _FLOOR + self.dynamic - max(_FLOOR, found.max())
        return np.maximum(found, _FLOOR)

    def _spectra(self, samples: np.ndarray, frames: int) -> np.ndarray:
        """(frames, frequencies): the first frame is about the first sample; a sine of full scale is about 1."""
        size, window = _HOPS * self.hop, _window(_HOPS * self.hop)
        padded = np.zeros((frames - 1) * self.hop + size)
        padded[size // 2:size // 2 + len(samples)] = samples[:len(padded) - size // 2]
        each = np.lib.stride_tricks.sliding_window_view(padded, size)[::self.hop]
        return np.fft.rfft(each * window) * (2 / window.sum())

    def _samples(self, spectra: np.ndarray) -> np.ndarray:
        """The samples whose spectra are nearest, as many as there are between the middles of the first and last frame."""
        size, window, n = _HOPS * self.hop, _window(_HOPS * self.hop), len(spectra)
        each = np.fft.irfft(spectra * (window.sum() / 2), size) * window
        total, weight = np.zeros((n + _HOPS - 1, self.hop)), np.zeros((n + _HOPS - 1, self.hop))
        for k in range(_HOPS):
            total[k:k + n] += each[:, k * self.hop:(k + 1) * self.hop]
            weight[k:k + n] += window[k * self.hop:(k + 1) * self.hop] ** 2
        found: np.ndarray = (total / np.maximum(weight, 1e-3)).ravel()[size // 2:size // 2 + (n - 1) * self.hop]
        return found

    def _sounding(self, level: np.ndarray) -> np.ndarray:
        """Frames in decibels (frames, bands) as samples, as raw ones are."""
        loud = np.flatnonzero(level.max(1) > _FLOOR + _SILENT)
        level = level[:max(2, int(loud[-1]) + 1 if len(loud) else 0)]
        size = self._nearest(np.where(level > _FLOOR, 10 ** (level / 10), 0.0)) ** 0.5
        turned = np.exp(2j * np.pi * np.random.default_rng(0).random(size.shape))  # the same of every sound
        before = np.zeros_like(turned)
        for _ in range(_ROUNDS):
            now = self._spectra(self._samples(size * turned), len(level))
            ahead = now + _MOMENTUM * (now - before)
            before, turned = now, ahead / np.maximum(np.abs(ahead), 1e-12)
        samples = self._samples(size * turned)
        full, most = _FULL[self.kind], float(np.abs(samples).max())
        samples = samples * (full / max(1.0, most))
        return np.clip(np.rint(samples), -full, full - 1).astype(np.int16) if self.kind == "i" else samples.astype(np.float32)

    def _nearest(self, mel: np.ndarray) -> np.ndarray:
        """(frames, bands) -> (frames, frequencies), no power below 0, whose bands are nearest by least squares."""
        bands = self._bands()
        wanted, power = mel @ bands, np.tile(mel.mean(1, keepdims=True), (1, bands.shape[1]))
        for _ in range(_NEAREST):
            power = np.maximum(power * wanted / np.maximum(power @ bands.T @ bands, _NOTHING), _NOTHING)
        return power

    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        """The cosines along time (k, frames) and along bands (k, bands)."""
        assert self.detail is not None
        return _cosines(self.frames)[:self.detail[0]], _cosines(self.bands)[:self.detail[1]]

    def _bands(self) -> np.ndarray:
        return _filters(self.rate, _HOPS * self.hop, self.bands)

    def __repr__(self) -> str:
        if not self.frames:
            return f"LogMel({self.rate})"
        return f"LogMel({self.rate}, {self.frames} frames of {self.bands} bands, {self._most:.2f} s)"


@functools.cache
def _window(size: int) -> np.ndarray:
    """Hann's."""
    found: np.ndarray = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    return found


@functools.cache
def _cosines(n: int) -> np.ndarray:
    """(n, n) the orthonormal cosine transform, the lowest frequency first."""
    found: np.ndarray = np.cos(np.pi / n * np.arange(n)[:, None] * (np.arange(n) + 0.5)) * (2 / n) ** 0.5
    found[0] /= 2**0.5
    return found


@functools.cache
def _filters(rate: int, size: int, bands: int) -> np.ndarray:
    """Triangles (bands, frequencies), evenly spaced on the mel scale, none narrower than a frequency."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    at, step = np.arange(size // 2 + 1) * rate / size, rate / size
    middle = edges[1:-1, None]
    low, high = np.minimum(edges[:-2, None], middle - step), np.maximum(edges[2:, None], middle + step)
    found: np.ndarray = np.maximum(0, np.minimum((at - low) / (middle - low), (high - at) / (high - middle)))
    return found
