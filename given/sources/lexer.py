"""Lexer: delimited text as records of cells.

A cell may stand in double quotes, where delimiters, line ends and blanks belong to it and "" is a quote; blanks around
cells that are not quoted, or around the quotes, do not.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain, repeat

__all__ = ["Lexer"]


class Lexer:
    """Takes text apart into records, for one delimiter."""

    def __init__(self, delimiter: str) -> None:
        d = re.escape(delimiter)
        self.delimiter, self.blanks = delimiter, " \t".replace(delimiter, "")
        blank, end, quoted = f"[{self.blanks}]*+", rf"({d}|\r\n?|\n|\Z)", r'"([^"]*+(?:""[^"]*+)*+)'
        self._cell = re.compile(rf'{blank}{quoted}"{blank}{end}|(?!{blank}")([^{d}\r\n]*+){end}')
        self._open = re.compile(rf"{blank}{quoted}\Z")
        self._line = re.compile(r"[^\r\n]*+(?:\r\n?|\n|\Z)")

    def records(self, text: str, final: bool, long: bool = False) -> Iterator[tuple[str, list[str] | str]]:
        """Each record as it is written, and its cells, or why it has none.

        Unless the text is final, ends before a record that more of it may complete; the first, though, if it is too long.
        """
        at = 0
        while at < len(text):
            line = self._line.match(text, at)
            assert line is not None
            raw = line.group()
            if '"' not in raw:
                cells: list[str] | str = [cell.strip(self.blanks) for cell in raw.rstrip("\r\n").split(self.delimiter)]
            else:
                cells, stop = self._quoted(text, at)
                if cells == "a quote is not closed" and not final and not (long and at == 0):
                    return
                raw = raw if isinstance(cells, str) else text[at:stop]
            yield raw, cells
            at += len(raw)

    def _quoted(self, text: str, at: int) -> tuple[list[str] | str, int]:
        cells = []
        while True:
            cell = self._cell.match(text, at)
            if cell is None:
                unclosed = self._open.match(text, at)
                return "a quote is not closed" if unclosed else f"{self.delimiter!r} expected after '\"'", at
            quoted, after, plain, end = cell.groups()
            cells.append(plain.strip(self.blanks) if quoted is None else quoted.replace('""', '"'))
            at = cell.end()
            if (after or end) != self.delimiter:
                return cells, at

    def plain(self, text: str, width: int) -> list[str] | None:
        """The cells of whole rows, one row after the other; None where a row asks for a closer look."""
        if "\0" in text:
            return None
        if '"' in text:
            return self._by_csv(text, width)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n")
        if "" in lines:
            lines = [line for line in lines if line]
        if set(map(str.count, lines, repeat(self.delimiter))) - {width - 1}:
            return None
        if not lines:
            return []
        text = self.delimiter.join(lines)
        cells = text.split(self.delimiter)
        if any(c in text for c in self.blanks):
            cells = [cell.strip(self.blanks) for cell in cells]
        return cells

    def _by_csv(self, text: str, width: int) -> list[str] | None:
        """The same, with quotes; the csv module agrees with `records` wherever no blank stands at the end of a cell."""
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        if set(map(len, rows)) - {0, width}:
            return None
        cells = list(chain.from_iterable(rows))
        return cells if list(map(str.strip, cells)) == cells else None
