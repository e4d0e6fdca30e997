"""Live: rows of a table as they come through a pipe, in one pass."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from given.sources.columns import Columns, Source, check_names, index_name
from given.sources.delimited_text import sniffed
from given.sources.kinds import Kind
from given.sources.learned import Learned
from given.sources.lexer import Lexer
from given.variables import UserError

__all__ = ["Live"]

_AT_ONCE = 1 << 16  # bytes
_SHOWN, _LONGEST = 40, 1 << 22  # characters of a bad row that are named, and of a record at most


class Live(Source):
    """Delimited text with a header, read once, each batch as soon as its rows are there.

    Args:
        pipe: binary; what it has is taken without waiting for more.
        learned: column -> what its cells were where a model learned them, as which they are read; those of others stay text.
        delimiter: between cells; by default that of `, tab ; |` by which the header has most cells.
        decimal, dayfirst: as of `read`.
        skip_bad: leave bad rows out and name them in `skipped`.
        headers: names of the columns, where the first line may be a row, as that of `tail -f` is: of these the first of as many
            as it has cells, none of which is a name.

    Raises:
        UserError: line and what is wrong there.
    """

    def __init__(self, pipe: BinaryIO, learned: Mapping[str, Learned], delimiter: str | None = None, decimal: str | None = None,
                 dayfirst: bool | None = None, skip_bad: bool = False,
                 headers: Sequence[Sequence[str]] = ()) -> None:
        self.skipped, self._skip_bad, self._line = [], skip_bad, 1
        self.headed = True
        self._learned, self._spelling = learned, (decimal, dayfirst)
        errors = "surrogateescape" if skip_bad else "strict"  # of a bad row alone
        self._pipe, self._decoder, self._text = pipe, codecs.getincrementaldecoder("utf-8-sig")(errors), ""
        self._final = False
        while "\n" not in self._text and not self._final:
            self._more()
        self._lexer = Lexer(delimiter or sniffed(self._text.partition("\n")[0], whole=True))
        first = next(self._records(), None)
        if first is None:
            raise UserError("stdin: is empty; expected a header and rows")
        self._before = list[list[str]]()
        other = next((names for names in headers if len(names) == len(first)), None)
        if other is not None and not set(first) & set(other):
            self.headed, self._before, first = False, [first], [*other]
        self._names = tuple([index_name(first[1:]), *first[1:]] if not first[0] else first)
        check_names(self._names, "stdin")

    @staticmethod
    def fits(pipe: Any) -> bool:
        """Whether what a pipe begins with may be such a table: neither JSON nor an archive."""
        return pipe.peek(1)[:1] not in (b"{", b"P", b"\x93")

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def batches(self, size: int) -> Iterator[Columns]:
        while True:
            rows, self._before = [*self._before, *self._records()], []
            for start in range(0, len(rows), size):
                some = self._readable(rows[start:start + size])
                if some:
                    cells = zip(self._names, zip(*some, strict=True), strict=True)
                    yield Columns({name: self._typed(name, column) for name, column in cells})
            if self._final:
                return
            self._more()

    def _readable(self, rows: list[list[str]]) -> list[list[str]]:
        """Rows without those that have a cell which may be read in two ways, where bad rows are left out."""
        if not self._skip_bad:
            return rows
        kept = list[list[str]]()
        for row in rows:
            wrong = next((why for name, cell in zip(self._names, row, strict=True) if (why := self._wrong(name, cell))), "")
            if wrong:
                self.skipped.append(f"stdin, row {','.join(row)[:_SHOWN]}: {wrong}")
            else:
                kept.append(row)
        return kept

    def _wrong(self, name: str, cell: str) -> str:
        """Why a cell cannot be read as one of its column; nothing where it can."""
        try:
            self._learned.get(name, Learned(Kind("text"))).typed([cell], *self._spelling)
        except UserError as error:
            return f"{name}: {error}"
        return ""

    def _typed(self, name: str, cells: Sequence[str]) -> np.ndarray:
        try:
            return self._learned.get(name, Learned(Kind("text"))).typed(cells, *self._spelling)
        except UserError as error:
            raise UserError(f"stdin: {name}: {error}") from None

    def _more(self) -> None:
        chunk = self._pipe.read1(_AT_ONCE)  # type: ignore[attr-defined]
        self._final = not chunk
        try:
            self._text += self._decoder.decode(chunk, self._final)
        except UnicodeDecodeError as error:
            line = self._line + self._text.count("\n")
            byte = error.object[error.start]
            raise UserError(f"stdin, after line {line}: not UTF-8 (byte {byte:#x}); expected UTF-8") from None

    def _records(self) -> Iterator[list[str]]:
        """The whole records there are; the text that is left may go on."""
        long = len(self._text) > _LONGEST  # a quote that is not closed, which would go on for ever
        whole = len(self._text) if self._final or long else self._text.rfind("\n") + 1
        text, used = self._text[:whole], 0
        names = getattr(self, "_names", None)
        for raw, cells in self._lexer.records(text, self._final, long):
            line, used = self._line, used + len(raw)
            self._line += raw.count("\n")
            if not raw.strip("\r\n"):
                continue
            undecoded = next((c for c in raw if "\udc80" <= c <= "\udcff"), None)
            if undecoded or isinstance(cells, str) or (names is not None and len(cells) != len(names)):
                wrong = f"not UTF-8 (byte {ord(undecoded) - 0xdc00:#x})" if undecoded else cells if isinstance(
                    cells, str) else (f"got {len(cells)} values, expected {len(names or ())} as in the header")
                if not self._skip_bad:
                    raise UserError(f"stdin, line {line}: {wrong}")
                self.skipped.append(f"stdin, line {line}: {wrong}")
                continue
            if names is None:  # the header alone
                self._text = self._text[used:]
                yield cells
                return
            yield cells
        self._text = self._text[used:]
