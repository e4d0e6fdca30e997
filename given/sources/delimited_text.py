"""Tables of text: rows of cells between delimiters (.csv, .tsv), read in runs from disk.

A row that cannot be taken apart (a quote that is not closed, text after a closing quote) is one bad line, and reading goes on
with the next; a row with too many or too few cells is bad as a whole. Blank lines are no rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from given.sources.columns import Columns, check_names, index_name
from given.sources.kinds import Kind
from given.sources.learned import Learned
from given.sources.lexer import Lexer
from given.sources.stream import File, Stream, not_utf8
from given.variables import UserError
from given.ways import way

__all__ = ["DelimitedText"]

_CHUNK = 1 << 17  # bytes read at once: their cells fit a processor's cache
_HEAD = 1 << 20  # bytes by which delimiter and header are told
_LONGEST = 1 << 25  # bytes of the longest row
_CELLS = 1 << 17  # handed on at once
_NUMBERS = ("whole", "real")
_DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", " ": "space"}


class DelimitedText(Stream):
    """Files of delimited text with the same columns.

    Args:
        files: in order.
        delimiter: between cells; by default that of `, tab ; |` by which the first rows agree.
        header: whether the first row names the columns, or their names if no row does; by default guessed from the rows.
        decimal: mark of numbers, "." or ",", where both may be; by default that of other columns, or a point unless semicolons
            stand between cells.
        dayfirst: whether 1/2/2020 is in February; by default as in other columns.
        skip_bad: leave bad rows out and name them in `skipped`.
        learned: as of `read`.

    Raises:
        UserError: file, line and what is wrong there.
    """

    format = "csv"

    def __init__(self, files: Sequence[File], delimiter: str | None = None, header: bool | Sequence[str] | None = None,
                 decimal: str | None = None, dayfirst: bool | None = None, skip_bad: bool = False,
                 learned: Mapping[str, Learned] | None = None) -> None:
        super().__init__(files, skip_bad)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise UserError(f"delimiter={delimiter!r}; expected one character such as ',' or '\\t'")
        self.lexer, self.header = Lexer(delimiter or ","), header is True
        self._names: tuple[str, ...] = ()
        self._nameless = False
        for i, file in enumerate(self.files):
            self._start(file, delimiter if i == 0 else self.lexer.delimiter, header if i == 0 else self.header, i == 0)
        if header is not None and not isinstance(header, bool):
            if not isinstance(header, list | tuple) or list(map(type, header)) != [str] * len(self.names):
                raise UserError(f"{self._title}: header={header!r}; expected True, False or {len(self.names)} names")
            self._names = tuple(header)
        check_names(self.names, self.files[0].name)
        self.dtypes = {self.names[0]: "index"} if self._nameless else {}
        kinds, n, width = [Kind()] * len(self.names), 0, len(self.names)
        for file in self.files:
            for cells in self._rows(file, self.bad):
                kinds = [kind.add(cells[i::width]) for i, kind in enumerate(kinds)]
                n += len(cells) // width
        if decimal not in (None, ".", ","):
            raise UserError(f"decimal={decimal!r}; expected '.' or ','")
        self.understand(dict(zip(self.names, kinds, strict=True)), (decimal, dayfirst), learned,
                        self._usual(kinds, decimal, dayfirst))
        spoken = _DELIMITERS.get(self.lexer.delimiter, repr(self.lexer.delimiter))
        self.notes = [f"{spoken} between cells", "a header" if self.header else "no header",
                      *([f"the first column has no name and is called {self.names[0]}"] if self._nameless else []),
                      *self.notes]
        self.found(n, "a header and at least one row, got a header alone" if self.header else "at least one row")

    def _usual(self, kinds: Sequence[Kind], decimal: str | None, dayfirst: bool | None) -> tuple[str | None, bool | None]:
        """How numbers and times are written here, in doubt as in the columns that leave no doubt."""
        sure = [form.spelling for kind in kinds if (form := kind.understood()[0].form) is not None]
        marks = {spelling[-2] for spelling in sure if spelling[-1] == "5"}
        orders = {spelling == "day/month/year" for spelling in sure if spelling in ("day/month/year", "month/day/year")}
        if decimal is None:
            decimal = marks.pop() if len(marks) == 1 else None if self.lexer.delimiter == ";" else "."
        if dayfirst is None and len(orders) == 1:
            dayfirst = orders.pop()
        return decimal, dayfirst

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    def blocks(self) -> Iterator[Columns]:
        for file in self.files:
            for cells in self._rows(file, bad=lambda *_: None):
                kinds = self.kinds.items()
                yield Columns({name: kind.array(cells[i::len(kinds)]) for i, (name, kind) in enumerate(kinds)})

    def _start(self, file: File, delimiter: str | None, header: object, first: bool) -> None:
        """Delimiter, header and names of the first file; the others must agree."""
        with file.open() as handle:
            head = handle.read(_HEAD)
        if not head:
            raise UserError(f"{file.name}: is empty; expected a header and rows")
        whole = len(head) < _HEAD
        text, _ = _decoded(head.removeprefix(b"\xef\xbb\xbf"))
        lexer = Lexer(delimiter or sniffed(text, whole))
        rows: list[list[str]] = []
        line = 1
        for raw, cells in islice(lexer.records(text, whole), 1000):
            if raw.strip("\r\n"):
                reason = _fault(raw, cells)
                if reason and not rows and (header in (None, True) or not self.skip_bad):
                    raise UserError(f"{file.name}, line {line + reason[0]}: {reason[1]}")
                if not reason:
                    rows.append(list(cells))
            line += _lines(raw)
        if not rows:
            raise UserError(f"{file.name}: expected a header and at least one row, got {'blank lines' if whole else 'no row'}")
        # R writes a header without a cell for the names of rows.
        short = header in (None, True) and len(rows) > 2 and {len(row) for row in rows[1:]} == {len(rows[0]) + 1} and (
            len({row[0] for row in rows[1:]}) == len(rows) - 1)
        if not isinstance(header, bool):
            header = header is None and (short or _has_header(file.name, rows))
        written = ["", *rows[0]] if short else rows[0]
        nameless = bool(header) and not written[0]
        names = tuple([index_name(written[1:]), *written[1:]] if nameless else written) if header else tuple(
            f"column_{i + 1}" for i in range(len(rows[0])))
        if first:
            self.lexer, self.header, self._names = lexer, header, names
            self._nameless = nameless
        elif names != self.names:
            raise UserError(f"{file.name}: has {len(names)} columns, {str(names)[:100]}; expected {len(self.names)} as in "
                            f"{self.files[0].name}, {str(self.names)[:100]}")

    def _rows(self, file: File, bad: Callable[[str, str], None]) -> Iterator[list[str]]:
        """The cells of a run of good rows, one row after the other; bad rows are named."""
        width, line, rest, header = len(self.names), 1, b"", self.header
        with file.open() as handle:
            rest = handle.read(3).removeprefix(b"\xef\xbb\xbf")
            final = False
            while not final:
                chunk = handle.read(max(_CHUNK, len(rest)))
                data, final = rest + chunk, not chunk
                cut = len(data) if final else max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1
                long = len(data) > _LONGEST
                if long and not cut:
                    raise UserError(f"{file.name}, line {line}: goes on for more than 32 MiB; is it a table?")
                text, clean = _decoded(data[:cut])
                rest = data[cut:]
                cells = self.lexer.plain(text, width) if clean and not header else None
                if cells is None:
                    cells, done = [], 0
                    for raw, record in self.lexer.records(text, final, long):
                        done += len(raw)
                        if raw.strip("\r\n"):
                            if header:
                                header = False
                            else:
                                self._take(file, line, raw, record, cells, bad)
                        line += _lines(raw)
                        if len(cells) >= _CELLS:
                            yield cells
                            cells = []
                    rest = text[done:].encode("utf-8", "surrogateescape") + rest
                else:
                    line += _lines(text)
                if cells:
                    yield cells

    def _take(self, file: File, line: int, raw: str, record: list[str] | str, cells: list[str],
              bad: Callable[[str, str], None]) -> None:
        """Add the cells of a good row, or name a bad one."""
        if reason := _fault(raw, record):
            bad(f"{file.name}, line {line + reason[0]}", reason[1])
        elif len(record) != len(self.names):
            last = line + _lines(raw.rstrip("\r\n"))
            where = f"line {line}" if last == line else f"lines {line} to {last}"
            expected = f"expected {len(self.names)} as in the {'header' if self.header else 'first row'}"
            bad(f"{file.name}, {where}", f"got {len(record)} values, {expected}")
        else:
            cells += record


def _decoded(data: bytes) -> tuple[str, bool]:
    """Text, and whether it is UTF-8; other bytes are carried along until their line is named."""
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), False


def _fault(raw: str, cells: list[str] | str) -> tuple[int, str] | None:
    """What is wrong with a record, if anything, and how many lines below its first."""
    stray = re.search("[\0\udc80-\udcff]", raw)
    if stray:
        byte = ord(stray.group()) & 0xFF
        what = not_utf8(byte) if byte else "a zero byte; expected text"
        return _lines(raw[:stray.start()]), what
    return (0, f"{cells}; expected comma-separated values or the like") if isinstance(cells, str) else None


def _lines(text: str) -> int:
    """Line ends in a text that does not begin or end within one."""
    return text.count("\n") + (text.count("\r") - text.count("\r\n") if "\r" in text else 0)


def sniffed(text: str, whole: bool) -> str:
    """The delimiter by which most of the first rows are as wide as the first; of equals, the one with most cells."""
    best, found = (0.0, 0), ","
    for delimiter in ",\t;|":
        records = [cells for raw, cells in islice(Lexer(delimiter).records(text, whole), 100) if raw.strip("\r\n")]
        widths = [len(cells) if isinstance(cells, list) else 0 for cells in records]
        if widths and widths[0] > 1:
            score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
            if score > best:
                best, found = score, delimiter
    return found


def _has_header(name: str, rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: it holds no number, or a text above numbers.

    Raises:
        UserError: it cannot be told.
    """
    first = [Kind.of([cell]).what for cell in rows[0]]
    body = [row for row in rows[1:] if len(row) == len(first)]
    below = [Kind.of([row[i] for row in body]).what for i in range(len(first))]
    if not any(kind in _NUMBERS for kind in first):
        return True
    if any(kind == "text" and under in _NUMBERS for kind, under in zip(first, below, strict=True)):
        return True
    if all(kind in (*_NUMBERS, "") for kind in first) or any(
            kind == "text" and rows[0][i] in [row[i] for row in body] for i, kind in enumerate(first)):
        return False
    raise UserError(f"{name}: cannot tell whether the first row {str(rows[0])[:60]} names the columns; "
                    f"pass {way('header=True or header=False', '--header yes or --header no')}")
