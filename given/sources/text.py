"""Text: files, lines or paragraphs as rows of the column `text`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from given.sources.columns import Columns
from given.sources.kinds import Kind, texts
from given.sources.stream import File, Stream, not_utf8
from given.variables import UserError

__all__ = ["Texts"]

_ROWS = 4096  # taken together
_CHARACTERS = 1 << 22  # likewise


class Texts(Stream):
    """UTF-8 text, with or without a byte-order mark, as it stands in the files.

    Args:
        files: in order.
        by: a row is a "file", a "line" (without its line end; blank ones are left out) or a "paragraph" (lines between
            blank ones).
        labels: the class of each file, the column `label`.
        skip_bad: leave bad rows out and name them in `skipped`.

    Raises:
        UserError: file, line and what is wrong there.
    """

    format, dtypes = "text", {"text": "text"}

    def __init__(self, files: Sequence[File], by: str = "file", labels: Sequence[str] | None = None,
                 skip_bad: bool = False) -> None:
        super().__init__(files, skip_bad)
        if by not in ("file", "line", "paragraph"):
            raise UserError(f"by={by!r}; expected file, line or paragraph")
        self.by, self.labels = by, labels
        self.notes = [f"a row a {by}"]
        n = 0
        for i, (line, raw) in self._raw():
            reason = _fault(raw)
            if reason:
                self.bad(f"{self.files[i].name}, line {line + reason[0]}" if raw else self.files[i].name, reason[1])
            n += not reason
        self.found(n, "text, got none")
        self._width = Kind(width=max(map(len, labels or [""])))

    @property
    def names(self) -> tuple[str, ...]:
        return ("text",) if self.labels is None else ("text", "label")

    def blocks(self) -> Iterator[Columns]:
        rows: list[str] = []
        of: list[int] = []
        size = 0
        for i, (_, raw) in self._raw():
            if not _fault(raw):
                rows.append(raw.decode())
                of.append(i)
                size += len(raw)
            if len(rows) == _ROWS or size > _CHARACTERS:
                yield self._columns(rows, of)
                rows, of, size = [], [], 0
        if rows:
            yield self._columns(rows, of)

    def _columns(self, rows: list[str], of: list[int]) -> Columns:
        columns: dict[str, np.ndarray] = {"text": texts(rows)}
        if self.labels is not None:
            columns["label"] = self._width.texts([self.labels[i] for i in of])
        return Columns(columns)

    def _raw(self) -> Iterator[tuple[int, tuple[int, bytes]]]:
        """Each row's file, its first line there and its bytes."""
        for i, file in enumerate(self.files):
            with file.open() as handle:
                mark = handle.read(3)
                if mark != b"\xef\xbb\xbf":
                    handle.seek(0)
                if self.by == "file":
                    yield i, (1, handle.read())
                else:
                    for piece in _pieces(handle, paragraphs=self.by == "paragraph"):
                        yield i, piece


def _pieces(lines: Iterator[bytes], paragraphs: bool) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, or runs of them, each with the number of its first line."""
    held: list[bytes] = []
    first = number = 0
    for number, line in enumerate(lines, 1):
        if line.strip():
            first = first if held else number
            held.append(line)
        if held and not (paragraphs and line.strip()):
            yield first, b"".join(held).rstrip(b"\r\n")
            held = []
    if held:
        yield first, b"".join(held).rstrip(b"\r\n")


def _fault(raw: bytes) -> tuple[int, str] | None:
    """What is wrong with a text, if anything, and how many lines below its first."""
    if not raw:
        return 0, "is empty; expected text"
    if b"\0" in raw:
        return raw[:raw.index(b"\0")].count(b"\n"), "a zero byte; expected text"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return raw[:error.start].count(b"\n"), not_utf8(raw[error.start])
    return None
