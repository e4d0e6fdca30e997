"""WAV: samples of one channel in RIFF files, 8 to 32 bits, whole numbers or reals.

Source: Microsoft, Multiple channel audio data and WAVE files, 2007
"""

from __future__ import annotations

import struct

import numpy as np

from given.variables import UserError

__all__ = ["packed", "unpacked"]

_WHOLE, _REAL, _EXTENSIBLE = 1, 3, 0xFFFE
_CODES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "ADPCM", 85: "MP3"}
_TO_THE_END = (0, 0xFFFFFFFF)  # sizes that a writer of a pipe leaves behind
_FULL = 1 << 15  # of 16 bits


def unpacked(content: bytes) -> tuple[np.ndarray, int, int]:
    """The samples of a file (n, channels), how many there are a second, and the channels.

    Samples of 8 and 16 bits are int16, those of 8 times 256; all others are float32 of a full scale of 1, of which 24 bits come
    out as they are and whole numbers of 32 bits rounded to 24.

    Raises:
        UserError: no WAV, a compressed one, or one that ends before it should.
    """
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise UserError("is no WAV")
    at, form = 12, b""
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        body = content[at + 8:at + 8 + size]
        if name == b"fmt ":
            form = body
        elif name == b"data":
            if len(form) < 16:
                break
            if size in _TO_THE_END:
                body = content[at + 8:]
            elif len(body) < size:
                raise UserError(f"is cut short: has {len(body):,} bytes of samples of {size:,}; copy it again")
            return _samples(form, body)
        at += 8 + size + size % 2
    raise UserError("is a WAV without samples or without their format")


def _samples(form: bytes, body: bytes) -> tuple[np.ndarray, int, int]:
    code, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", form)
    if code == _EXTENSIBLE and len(form) >= 26:
        code = struct.unpack_from("<H", form, 24)[0]
    size = block // max(channels, 1)
    if code not in (_WHOLE, _REAL) or not channels or not rate or (code, size) not in (
            (_WHOLE, 1), (_WHOLE, 2), (_WHOLE, 3), (_WHOLE, 4), (_REAL, 4), (_REAL, 8)):
        raise UserError(f"is a WAV of {_CODES.get(code, f'format {code}')}, {bits} bits; expected whole numbers of 8 to 32 "
                        "bits or reals; convert it to 16 bits")
    body = body[:len(body) - len(body) % block]
    if size == 3:
        wide = np.zeros((len(body) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(body, np.uint8).reshape(-1, 3)
        found: np.ndarray = (wide.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    elif size == 1:
        found = (np.frombuffer(body, np.uint8).astype(np.int16) - 128) << 8
    elif (code, size) == (_WHOLE, 2):
        found = np.frombuffer(body, "<i2").astype(np.int16)
    elif code == _WHOLE:
        found = (np.frombuffer(body, "<i4") / 2.0**31).astype(np.float32)
    else:
        found = np.frombuffer(body, f"<f{size}").astype(np.float32)
    return found.reshape(-1, channels), rate, channels


def packed(samples: np.ndarray, rate: int) -> bytes:
    """A file of samples (n,): of int16 as they are, of reals as 32 bits each.

    Raises:
        UserError: other samples.
    """
    if samples.ndim != 1 or samples.dtype.kind not in "if":
        raise UserError(f"expected a sound of samples (n,), got {samples.dtype} {samples.shape}")
    if samples.dtype.kind == "i" and len(samples) and not -_FULL <= int(samples.min()) <= int(samples.max()) < _FULL:
        raise UserError(f"expected samples of 16 bits, got {int(np.abs(samples).max()):,}")
    whole = samples.dtype.kind == "i"
    body = samples.astype("<i2" if whole else "<f4").tobytes()
    width = 2 if whole else 4
    form = struct.pack("<HHIIHH", _WHOLE if whole else _REAL, 1, rate, rate * width, width, 8 * width)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
