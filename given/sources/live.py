"""Live: rows of a table as they come through a pipe, in one pass."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from given.sources.columns import Columns, Source, check_names
from given.sources.kinds import MISSING
from given.sources.lexer import Lexer
from given.variables import UserError

__all__ = ["Live"]

_AT_ONCE = 1 << 16  # bytes


class Live(Source):
    """Delimited text with a header, read once, each batch as soon as its rows are there. Cells stay text, a missing one None.

    Args:
        pipe: binary; what it has is taken without waiting for more.
        delimiter: between cells; by default a tab where the header has one, else a comma.
        skip_bad: leave bad rows out and name them in `skipped`.

    Raises:
        UserError: line and what is wrong there.
    """

    def __init__(self, pipe: BinaryIO, delimiter: str | None = None, skip_bad: bool = False) -> None:
        self.skipped, self._skip_bad, self._line = [], skip_bad, 1
        self._pipe, self._decoder, self._text = pipe, codecs.getincrementaldecoder("utf-8-sig")(), ""
        self._final = False
        while "\n" not in self._text and not self._final:
            self._more()
        self._lexer = Lexer(delimiter or ("\t" if "\t" in self._text.partition("\n")[0] else ","))
        first = next(self._records(), None)
        if first is None:
            raise UserError("stdin: is empty; expected a header and rows")
        self._names = tuple(first)
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
            rows = list(self._records())
            for start in range(0, len(rows), size):
                cells = zip(*rows[start:start + size], strict=True)
                yield Columns({name: np.array([None if c in MISSING else c for c in column], dtype=object)
                               for name, column in zip(self._names, cells, strict=True)})
            if self._final:
                return
            self._more()

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
        whole = len(self._text) if self._final else self._text.rfind("\n") + 1
        text, used = self._text[:whole], 0
        names = getattr(self, "_names", None)
        for raw, cells in self._lexer.records(text, self._final):
            line, used = self._line, used + len(raw)
            self._line += raw.count("\n")
            if not raw.strip("\r\n"):
                continue
            if isinstance(cells, str) or (names is not None and len(cells) != len(names)):
                wrong = cells if isinstance(cells, str) else (
                    f"got {len(cells)} values, expected {len(names or ())} as in the header")
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
