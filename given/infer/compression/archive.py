"""Archive: rows as a file, and back, by a joint of exact distributions.

    GVNC, version (1 byte), CRC-32 of what follows (4), the model's fingerprint (8), SHA-256 of the entries (16 of its bytes),
    how many rows, rows side by side and symbols of a lane, lengths of items that bring theirs (LEB128), the code

A joint is coded factor by factor, parents first, so that a reader has every condition before what depends on it. The header of
a file is small, since a file may hold ten items: whatever the model states is not written again.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import ProductDistribution, Sequential
from given.infer.compression.coding import alike, check_distribution, coded, coded_text
from given.infer.compression.range_coder import Coder, Reader, Writer
from given.joint import Joint
from given.sources import Columns, stacked
from given.variables import Entries, Finite, Observed, UserError
from given.ways import way

__all__ = ["Compressed", "compress", "decompress"]

_MAGIC, _VERSION = b"GVNC", 2  # 1 had no lengths of series
_BATCH, _NUMBERS = 512, 1 << 23  # rows side by side; numbers of distributions that say all entries at once
SPAN = 1 << 13
_FINGERPRINT, _DIGEST = 8, 16


@dataclass(frozen=True)
class Compressed:
    """Rows as bytes.

    Attributes:
        content: the bytes of a file.
        bits: -log2 p of the rows under the distribution that coded them.
        entries: symbols that were coded.
        rows: how many.
    """

    content: bytes
    bits: float
    entries: int
    rows: int

    def __repr__(self) -> str:
        return (f"Compressed({self.rows:,} rows, {len(self.content):,} bytes, "
                f"{8 * len(self.content) / max(self.entries, 1):.4f} bits an entry)")


def compress(joint: Joint, rows: Columns, fingerprint: bytes, *, batch: int | None = None, span: int = SPAN,
             verify: bool = True) -> Compressed:
    """Rows of all the joint's columns as bytes.

    Args:
        fingerprint: of the model.
        batch: rows coded side by side.
        span: symbols of a lane of a long text at most.
        verify: read the bytes again before they are handed out.

    Raises:
        UserError: a column that cannot be coded, or a value that would not come back as it was.
    """
    check(joint, rows.names)
    with alike(joint) as exact:
        batch = _batch(exact, rows) if batch is None else batch
        writer, seen = Writer(), _Seen()
        entries = 0
        for first in range(0, rows.n, batch):
            some = rows.rows(np.arange(first, min(first + batch, rows.n)))
            told, texts = _told(joint, some, first)
            found = _passed(exact, some.n, writer, seen, span, told, texts)
            entries += sum(int(e.valid.sum()) for e in found.values())  # type: ignore[union-attr,misc]
            entries += sum(len(text) for each in texts.values() for text in each)
    numbers = [rows.n, batch, span, *seen.lengths]
    body = fingerprint[:_FINGERPRINT] + seen.digest + b"".join(map(_varint, numbers)) + writer.content
    content = _MAGIC + bytes([_VERSION]) + zlib.crc32(body).to_bytes(4, "little") + body
    if verify:
        try:
            _check_reads(rows, _read(joint, content, fingerprint))
        except UserError as error:
            raise UserError(f"compress: what was written does not read as it was ({error}); nothing was kept") from None
    return Compressed(content, writer.bits, entries, rows.n)


def decompress(joint: Joint, content: bytes, fingerprint: bytes) -> Columns:
    """The rows of bytes that `compress` made by the same model.

    Raises:
        UserError: these are not such bytes, or the rows are not those that were compressed.
    """
    parts = list(_read(joint, content, fingerprint))
    return Columns({name: stacked([part[name] for part in parts], 0, 1) for name in joint.columns})


def check(joint: Joint, names: Sequence[str]) -> None:
    """Raise `UserError` unless a joint can code rows of these columns and nothing else."""
    if joint.latents:
        raise UserError(f"compress: {joint} has the latent {joint.latents[0]}, which no row tells; use a model without")
    if joint.conditions:
        name = joint.conditions[0]
        raise UserError(f"compress: nothing says p({name}), which is to be coded too; declare it, p({name}) {joint}")
    for name, variable in joint.columns.items():
        if not isinstance(variable.space, Finite):
            reals = [other for other, v in joint.columns.items() if not isinstance(v.space, Finite)]
            symbols = way(f"codecs={{{', '.join(f'{other!r}: Label()' for other in reals)}}}",
                          " ".join(f"--as {other}=label" for other in reals))
            raise UserError(f"{', '.join(reals)}: expected finitely many values to code, got reals; learn again, each "
                            f"value a symbol, {symbols}")
        if name not in names:
            raise UserError(f"compress: no column {name}, which {joint} has; there are {', '.join(names)}")
    other = [name for name in names if name not in joint.columns]
    if other:
        raise UserError(f"compress: column {other[0]} is not in {joint} and would be lost; leave it out of the data, or learn "
                        "a model of it")
    for factor in joint:
        if joint.windowed & {v.name for v in factor.parents} or (factor.x.codec.columns and factor.x.codec.windowed):
            raise UserError(f"{factor}: its items are longer than their window and share an axis with others; give them a "
                            "window that holds them whole")


def _batch(joint: Joint, rows: Columns) -> int:
    """How many rows go side by side, once it is known that every distribution codes."""
    batch = _BATCH
    if not rows.n:
        raise UserError("compress: expected at least one row, got none")
    first = rows.rows(np.arange(1))
    told, _ = _told(joint, first, 0)
    for factor in joint:
        distribution = factor(Observed({v.name: told[v.name] for v in factor.parents}, 1))
        check_distribution(distribution, str(factor))
        for part in distribution.distributions.values() if isinstance(distribution, ProductDistribution) else [distribution]:
            if isinstance(part.space, Finite) and not isinstance(part, Sequential):
                batch = min(batch, max(1, _NUMBERS // (part.space.dimensions * part.space.size)))
    return batch


def _told(joint: Joint, rows: Columns, first: int) -> tuple[dict[str, Entries], dict[str, list[Tensor]]]:
    """The entries of rows, and the symbols of texts in windows, once it is known that all would come back as they were."""
    told, texts = dict[str, Entries](), dict[str, list[Tensor]]()
    for name, variable in joint.columns.items():
        if name in joint.windowed:
            pieces = variable.pieces(rows, first)
            assert pieces is not None
            x = pieces.x
            lengths = torch.zeros(rows.n, dtype=torch.int64).index_add_(0, pieces.item, x.scored.sum(1))
            texts[name] = list(x.tensor[x.scored].split(lengths.tolist()))
            back = _raw(joint, {}, {name: texts[name]})[name]
        else:
            told[name] = variable.encode(rows, first)
            if len(holed := torch.nonzero((told[name].valid & ~told[name].seen).reshape(rows.n, -1).any(1))):  # type: ignore[operator]
                raise UserError("some of it is unknown; compress takes whole rows; fill it by complete, or leave the row out",
                                int(holed[0])).at(name, first)
            back = variable.decode(told[name])[name]
        for row, (was, comes) in enumerate(zip(rows[name], back, strict=True)):
            if not _same(was, comes):
                raise UserError(f"{name}, row {first + row}: {_short(was)} would come back as {_short(comes)}; learn from data "
                                "that has it, or use a codec that keeps it")
    return told, texts


def _passed(joint: Joint, n: int, coder: Coder, seen: _Seen, span: int, told: Mapping[str, Entries],
            texts: dict[str, list[Tensor]]) -> dict[str, Entries]:
    """n rows through a coder, factor by factor: the entries of columns; those of long texts are put into `texts`."""
    found = dict[str, Entries]()
    for factor in joint:
        y = Observed({v.name: found[v.name] for v in factor.parents}, n)
        if factor.x.name in joint.windowed:
            texts[factor.x.name] = _text(factor, y, texts.get(factor.x.name), seen, span, coder)
            for text in texts[factor.x.name]:
                seen.add(text)
        else:
            x = joint.x(factor, told) if told else None
            found |= factor.x.split(coded(factor(y), x, coder, _there(joint, factor, x, n, seen)))
            for name in factor.x.columns:
                seen.add(found[name].tensor, found[name].valid)  # type: ignore[arg-type]
    return found


def _text(factor: Conditional, y: Observed, texts: list[Tensor] | None, seen: _Seen, span: int, coder: Coder) -> list[Tensor]:
    if texts is not None:
        seen.lengths += [len(text) for text in texts]
        return coded_text(factor, y, texts, [len(text) for text in texts], span, coder)
    lengths = [seen.lengths.pop(0) for _ in range(y.n)]
    return coded_text(factor, y, None, lengths, span, coder)


def _there(joint: Joint, factor: Conditional, x: Entries | None, n: int, seen: _Seen) -> Entries | None:
    """Where the items of n rows have entries, if they bring their lengths: those of x, or for a reader those it has read."""
    own, lengths = [name for name in factor.x.columns if joint.columns[name].codec.along is not None], dict[str, Tensor]()
    if not own:
        return None
    for name in own:
        if x is None:
            lengths[name] = torch.tensor([seen.lengths.pop(0) for _ in range(n)])
        else:
            lengths[name] = factor.x.split(x)[name].occupied.sum(1)
            seen.lengths += lengths[name].tolist()
    columns = {name: Entries(torch.zeros(n, *joint.columns[name].space.shape)) for name in factor.x.columns}
    for name, each in lengths.items():
        zeros = columns[name].tensor
        on = torch.arange(zeros.shape[1]) < each[:, None]
        columns[name] = Entries(zeros, valid=on.reshape(*on.shape, *[1] * (zeros.dim() - 2)).expand(zeros.shape))
    return Entries.block(columns) if factor.x.codec.columns else columns[factor.x.name]


class _Seen:
    """What went through a coder.

    Attributes:
        lengths: of items that bring theirs: a writer appends them, a reader takes them away.
    """

    def __init__(self, lengths: Sequence[int] = ()) -> None:
        self.lengths, self.hash = list(lengths), hashlib.sha256()

    def add(self, *parts: Tensor) -> None:
        for part in parts:
            self.hash.update(part.contiguous().numpy().astype("<i8").tobytes())

    @property
    def digest(self) -> bytes:
        return self.hash.digest()[:_DIGEST]


def _read(joint: Joint, content: bytes, fingerprint: bytes) -> Iterator[dict[str, np.ndarray]]:
    """Raw columns, batch by batch; the last step of the iteration says whether they are those that were compressed."""
    n, batch, span, digest, rest = _opened(joint, content, fingerprint)
    lengths = []
    for _ in range(n * sum(v.codec.along is not None for v in joint.columns.values())):
        length, rest = _number(rest)
        lengths.append(length)
    seen, reader = _Seen(lengths), Reader(rest)
    found = list[tuple[dict[str, Entries], dict[str, list[Tensor]]]]()
    wrong = UserError("decodes to other rows than were compressed: this processor or version of torch rounds otherwise; "
                      "decompress where it was compressed, with the same versions")
    with alike(joint) as exact:
        for first in range(0, n, batch):
            texts = dict[str, list[Tensor]]()
            try:
                found.append((_passed(exact, min(batch, n - first), reader, seen, span, {}, texts), texts))
            except (AssertionError, ValueError) as error:  # the coder ran out, or met what no symbol has
                if isinstance(error, UserError):
                    raise
                raise wrong from None
    if seen.digest != digest:
        raise wrong
    yield from (_raw(joint, entries, texts) for entries, texts in found)


def _opened(joint: Joint, content: bytes, fingerprint: bytes) -> tuple[int, int, int, bytes, bytes]:
    """How many rows, rows side by side and symbols of a lane; the digest; and what follows."""
    if not content:
        raise UserError("empty; expected what compress wrote")
    if content[:4] != _MAGIC:
        raise UserError(f"not written by compress: begins with {content[:4]!r}, expected {_MAGIC!r}; pass a file that it wrote")
    if content[4:5] != bytes([_VERSION]):
        raise UserError(f"of version {content[4] if len(content) > 4 else '?'} of the format, expected {_VERSION}; decompress "
                        "with the version of given that wrote it")
    body = content[9:]
    if zlib.crc32(body).to_bytes(4, "little") != content[5:9]:
        raise UserError("cut or changed since it was written: its checksum is another; get the whole file again")
    if body[:_FINGERPRINT] != fingerprint[:_FINGERPRINT]:
        raise UserError(f"compressed by another model than this {joint}; pass the very model, with the same weights")
    digest, rest = body[_FINGERPRINT:_FINGERPRINT + _DIGEST], body[_FINGERPRINT + _DIGEST:]
    n, rest = _number(rest)
    batch, rest = _number(rest)
    span, rest = _number(rest)
    return n, batch, span, digest, rest


def _raw(joint: Joint, entries: Mapping[str, Entries], texts: Mapping[str, list[Tensor]]) -> dict[str, np.ndarray]:
    """Raw columns."""
    raw = dict[str, np.ndarray]()
    for name in joint.columns:
        if name in texts:
            each = [joint.columns[name].decode(Entries(text[None]))[name][0] for text in texts[name]]
            raw[name] = np.empty(len(each), dtype=object)
            raw[name][:] = [item if isinstance(item, np.ndarray) else str(item) for item in each]
        elif name in entries:
            raw |= joint.columns[name].decode(entries[name])
    return raw


def _check_reads(rows: Columns, parts: Iterator[dict[str, np.ndarray]]) -> None:
    """Raise where rows that were read again are not those that were written."""
    first = 0
    for part in parts:
        size = len(next(iter(part.values())))
        for name, values in part.items():
            for row, (was, comes) in enumerate(zip(rows[name][first:first + size], values, strict=True), first):
                if not _same(was, comes):
                    raise UserError(f"{name}, row {row}: {_short(was)} came back as {_short(comes)}")
        first += size


def _same(a: object, b: object) -> bool:
    """Whether two raw values are the same, missing ones among them."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(np.asarray(a), np.asarray(b))
    return a == b or (_missing(a) and _missing(b))


def _missing(a: object) -> bool:
    return a is None or a != a


def _short(value: object) -> str:
    said = repr(value.item() if isinstance(value, np.generic) else value)
    return said if len(said) <= 40 else f"{said[:40]}..."


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _number(content: bytes) -> tuple[int, bytes]:
    """A number that `_varint` wrote, and what follows."""
    at = next((i for i, byte in enumerate(content) if byte < 128), -1)
    return sum((byte & 127) << 7 * i for i, byte in enumerate(content[:at + 1])), content[at + 1:]
