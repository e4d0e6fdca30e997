"""SMILES: files of molecules, one a line, each with a name after it or without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from given.sources.columns import Columns
from given.sources.kinds import texts
from given.sources.stream import File, Stream, not_utf8

__all__ = ["Smiles"]

_ROWS = 4096  # taken together


class Smiles(Stream):
    """Files .smi: the column `smiles`, and `name` where a line has more than a SMILES: all that stands after the first blank or
    tab, None where nothing does. A first line that begins with the word smiles is a header. Blank lines are no rows. Whether a
    SMILES is one of a molecule is not looked at.

    Args:
        files: in order.
        skip_bad: leave lines that are not UTF-8 out and name them in `skipped`.

    Raises:
        UserError: a file without a line, or a line that is not UTF-8.
    """

    format, dtypes = "smiles", {"smiles": "text", "name": "text"}

    def __init__(self, files: Sequence[File], skip_bad: bool = False) -> None:
        super().__init__(files, skip_bad)
        self._named, n = False, 0
        for where, line in self._lines():
            try:
                self._named |= len(line.decode().split(None, 1)) > 1
                n += 1
            except UnicodeDecodeError as error:
                self.bad(where, not_utf8(line[error.start]))
        self.found(n, "a SMILES a line, got none")

    @property
    def names(self) -> tuple[str, ...]:
        return ("smiles", "name") if self._named else ("smiles",)

    def blocks(self) -> Iterator[Columns]:
        rows: list[list[str]] = []
        for _, line in self._lines():
            try:
                rows.append(line.decode().split(None, 1))
            except UnicodeDecodeError:
                continue
            if len(rows) == _ROWS:
                yield self._columns(rows)
                rows = []
        if rows:
            yield self._columns(rows)

    def _columns(self, rows: list[list[str]]) -> Columns:
        columns = {"smiles": texts([row[0] for row in rows])}
        if self._named:
            columns["name"] = texts([row[1].strip() if len(row) > 1 else None for row in rows])
        return Columns(columns)

    def _lines(self) -> Iterator[tuple[str, bytes]]:
        """Where each line stands, and the line, blank ones and headers left out."""
        for file in self.files:
            with file.open() as handle:
                for number, line in enumerate(handle, 1):
                    line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                    if line.strip() and not (number == 1 and line.split()[0].lower().lstrip(b"#") == b"smiles"):
                        yield f"{file.name}, line {number}", line
