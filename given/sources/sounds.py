"""Sounds: samples of one channel, any number of them, a file a row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np

from given.sources.columns import Columns
from given.sources.folder import CONVERT, SOUNDS, parted
from given.sources.metadata import members
from given.sources.sound_files import spelled_rate
from given.sources.stream import File, Stream
from given.sources.wav import unpacked
from given.variables import UserError

__all__ = ["Sounds", "recording", "sounds_in_folder"]

_BYTES = 1 << 22  # decoded together
_FULL = 1 << 15  # of 16 bits
_MIX = "mix them, as `ffmpeg -i IN -ac 1 OUT.wav` does"
_RESAMPLE = "resample it, as `ffmpeg -i IN -ar {} OUT.wav` does"


class Sounds(Stream):
    """Sound files as the column `sound`, items of samples of one channel: int16 where all files are of 8 or 16 bits, else
    float32 of a full scale of 1. WAV is read as it is, FLAC and OGG by `soundfile`.

    Args:
        files: in order.
        columns: further columns, a row a file.
        skip_bad: leave bad files out and name them in `skipped`.

    Attributes:
        rate: samples a second, the same of all files.

    Raises:
        UserError: file, what it holds, and the way out.
    """

    format = "sound"

    def __init__(self, files: Sequence[File], columns: Columns | None = None, skip_bad: bool = False) -> None:
        super().__init__(files, skip_bad)
        if columns is not None and "sound" in columns:
            raise UserError(f"{self._title}: the metadata have a column 'sound' too; rename it")
        self.columns, self.rate, self.whole, first = columns, 0, True, ""
        self._good, lengths = list[int](), list[int]()
        for i, file in enumerate(self.files):
            try:
                samples, rate = _read(file)
                if self._good and rate != self.rate:
                    raise UserError(f"has {rate:,} samples a second; expected {self.rate:,} as in {first}; "
                                    f"{_RESAMPLE.format(self.rate)}")
                if not self._good:
                    self.rate, first = rate, file.name
                self._good.append(i)
                lengths.append(len(samples))
                self.whole &= samples.dtype.kind == "i"
            except UserError as error:
                self.bad(file.name, str(error))
        self.found(len(self._good), "sounds, got none")
        self._bytes = sum(lengths) * (2 if self.whole else 4)
        self.dtypes = {**(columns.dtypes if columns is not None else {}), "sound": spelled_rate(self.rate)}
        least, most = (length / self.rate for length in (min(lengths), max(lengths)))
        self.notes = [f"{self.rate:,} samples a second, {least:.2f} to {most:.2f} s"]

    @property
    def names(self) -> tuple[str, ...]:
        return ("sound", *(self.columns.names if self.columns is not None else ()))

    @property
    def large(self) -> int:
        return self._bytes

    def blocks(self) -> Iterator[Columns]:
        step = max(1, _BYTES * len(self._good) // max(1, self._bytes))
        for start in range(0, self.n, step):
            index = self._good[start:start + step]
            sound = np.empty(len(index), dtype=object)
            for place, i in enumerate(index):
                samples, rate = _read(self.files[i])
                if rate != self.rate or (self.whole and samples.dtype.kind != "i"):
                    raise UserError(f"{self.files[i].name}: has changed since it was first read; read it again")
                sound[place] = samples if self.whole or samples.dtype.kind == "f" else (samples / _FULL).astype(np.float32)
            about = self.columns.rows(np.array(index)) if self.columns is not None else {}
            yield Columns({"sound": sound, **about}, dtypes=self.dtypes)


def _read(file: File) -> tuple[np.ndarray, int]:
    """Samples (n,), and how many there are a second.

    Raises:
        UserError: no sound, several channels, or not a sample.
    """
    if not file.state[0]:
        raise UserError("is empty; expected a sound")
    with file.open() as handle:
        content = handle.read()
    if content[:4] in (b"fLaC", b"OggS"):
        samples, rate = _by_soundfile(file)
    else:
        try:
            samples, rate, _ = unpacked(content)
        except UserError as error:
            raise error if str(error) != "is no WAV" else UserError("cannot be read as a sound (is neither WAV, FLAC nor OGG); "
                                                                    f"{CONVERT}") from None
    if samples.shape[1] != 1:
        raise UserError(f"has {samples.shape[1]} channels; expected 1; {_MIX}")
    if not len(samples):
        raise UserError("holds no sample; leave it out")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise UserError("holds samples that are no finite numbers; convert it to 16 bits")
    return samples[:, 0], rate


def _by_soundfile(file: File) -> tuple[np.ndarray, int]:
    try:
        import soundfile
    except ImportError:
        raise UserError("FLAC and OGG need soundfile; install it with pip install 'given[sound]', or convert to WAV") from None
    try:
        with file.open() as handle, soundfile.SoundFile(handle) as sound:
            kind = "int16" if sound.subtype in ("PCM_S8", "PCM_16") else "float32"
            return np.asarray(sound.read(dtype=kind, always_2d=True)), int(sound.samplerate)
    except (RuntimeError, OSError) as error:
        raise UserError(f"cannot be read as a sound ({' '.join(str(error).split())})") from None


def sounds_in_folder(folder: str, paths: Sequence[str], skip_bad: bool = False) -> Sounds:
    """The sounds of a folder, and what is known of each, as `members` has it."""
    rows, columns, skipped = members(folder, *parted(paths, SOUNDS), "sound", skip_bad)
    source = Sounds([File.at(path) for path in rows], columns, skip_bad)
    source.skipped[:0] = skipped
    return source


def recording(path: str | os.PathLike[str], rate: int | None = None) -> np.ndarray:
    """The samples (n,) of one file.

    Args:
        path: of a WAV, or with `soundfile` of a FLAC or OGG.
        rate: how many a second it must have; None for any.

    Raises:
        UserError: no such file, another rate, or whatever `Sounds` refuses.
    """
    if not os.path.isfile(path):
        raise UserError(f"{os.fspath(path)}: no such file; expected a sound")
    found = Sounds([File.at(os.fspath(path))])
    if rate is not None and found.rate != rate:
        raise UserError(f"{os.fspath(path)}: has {found.rate:,} samples a second; expected {rate:,}, as what was learned; "
                        f"{_RESAMPLE.format(rate)}")
    samples: np.ndarray = next(found.blocks())["sound"][0]
    return samples
