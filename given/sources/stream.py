"""Stream: rows that stay on disk, batch by batch."""

from __future__ import annotations

import abc
import os
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from given.sources.columns import Columns, Source, regrouped
from given.sources.kinds import Kind
from given.sources.learned import Learned
from given.variables import UserError
from given.ways import way

__all__ = ["File", "Stream", "not_utf8", "spooled", "standard_input"]

Marks = tuple[str | None, bool | None]

_SMALL = 1 << 26  # bytes; what is smaller comes into memory


@dataclass(frozen=True)
class File:
    """A file that can be read again and again.

    Args:
        path: where it is.
        name: what messages call it.
        piped: whether it is a copy of what came through a pipe.
    """

    path: str
    name: str
    piped: bool = False

    def open(self) -> IO[bytes]:
        """Its bytes, unpacked where its name ends in .gz or .xz."""
        if self.path.endswith((".gz", ".xz")):
            import gzip
            import lzma

            return gzip.open(self.path) if self.path.endswith(".gz") else lzma.open(self.path)  # type: ignore[return-value]
        return open(self.path, "rb")

    @property
    def state(self) -> tuple[int, int]:
        """Bytes and time of the last change."""
        found = os.stat(self.path)
        return found.st_size, found.st_mtime_ns

    @classmethod
    def at(cls, path: str) -> File:
        """The file at a path; a pipe is copied, since it can be read only once.

        Raises:
            UserError: a folder, or nothing that has bytes.
        """
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise UserError(f"{path}: is a folder; expected a file")
        if stat.S_ISFIFO(mode):
            with open(path, "rb") as pipe:
                return spooled(pipe, path)
        if not stat.S_ISREG(mode):
            raise UserError(f"{path}: is neither a file, a folder nor a pipe")
        return cls(path, path)


def not_utf8(byte: int) -> str:
    """What is wrong with text in another encoding, by its first byte that UTF-8 has not there, and the way out."""
    before = "utf-16" if byte in (0xFE, 0xFF) else "latin1"
    return f"not UTF-8 (byte {byte:#x}); save it as UTF-8{way('', f', as `iconv -f {before} -t utf-8 IN > OUT` does')}"


def spooled(pipe: IO[bytes], name: str) -> File:
    """What comes through a pipe, in a temporary file that goes when nobody reads it any more."""
    handle, path = tempfile.mkstemp(prefix="given-")
    file = File(path, name, piped=True)
    weakref.finalize(file, os.remove, path)
    with open(handle, "wb") as copy:
        shutil.copyfileobj(pipe, copy, 1 << 20)
    return file


class Stream(Source):
    """Rows on disk. A pass over all of them when it is made decides types, counts rows and finds the bad ones.

    Attributes:
        files: in order.
        format: "csv", "jsonl", ...
        n: rows.
        notes: what else is worth saying of how the files were understood.
    """

    format: str
    notes: list[str]

    def __init__(self, files: Sequence[File], skip_bad: bool = False) -> None:
        self.files, self.skip_bad, self.n = list(files), skip_bad, 0
        self.skipped, self.notes = [], []
        self._states = [file.state for file in self.files]

    @abc.abstractmethod
    def blocks(self) -> Iterator[Columns]:
        """One pass over the rows in order, in runs of any length. A ValueError means that the file has changed."""

    @property
    def large(self) -> int:
        """Bytes that all rows are about to take."""
        return sum(size for size, _ in self._states)

    def bad(self, where: str, reason: str) -> None:
        """Name a row that cannot be read.

        Raises:
            UserError: that line, unless bad rows are to be skipped.
        """
        if not self.skip_bad:
            raise UserError(f"{where}: {reason}")
        self.skipped.append(f"{where}: {reason}")

    def understand(self, kinds: Mapping[str, Kind], stated: Marks, learned: Mapping[str, Learned] | None = None,
                   usual: Marks | None = None) -> None:
        """Decide how the cells of all columns are read, now that all have been seen, and note it.

        Args:
            kinds: column -> what its cells are.
            stated: the decimal mark, and whether days come first, where the caller says so.
            learned: as of `read`.
            usual: the same as `stated`, by default as here: for columns whose marks were not learned.

        Raises:
            UserError: cells that may be read in two ways, neither of which was learned.
        """
        self.kinds, dtypes = dict(kinds), dict(self.dtypes)
        for name, kind in kinds.items():
            before = (learned or {}).get(name)
            marks = stated if before is not None and before.marked else usual or stated
            try:
                self.kinds[name], dtype = kind.understood(*marks) if before is None else before.understood(kind, *marks)
            except UserError as error:
                raise UserError(f"{self._title}: {name}: {error}") from None
            if dtype is not None:
                dtypes.setdefault(name, dtype)
        self.dtypes = dtypes
        self.notes = [f"{name}: {kind.note}" for name, kind in self.kinds.items() if kind.note]

    def found(self, n: int, expected: str) -> None:
        """End of the first pass.

        Raises:
            UserError: there was no row.
        """
        self.n = n
        if not n:
            first = f"; all {len(self.skipped)} are bad, the first: {self.skipped[0]}" if self.skipped else ""
            raise UserError(f"{self._title}: expected {expected}{first}")

    def batches(self, size: int) -> Iterator[Columns]:
        try:
            if [file.state for file in self.files] != self._states:
                raise ValueError
            yield from regrouped(self._counted(), size)
        except UserError:
            raise
        except OSError as error:
            raise UserError(f"{error.filename or self._title}: cannot be read ({error.strerror or error})") from None
        except ValueError:
            raise UserError(f"{self._title}: has changed since it was first read; read it again") from None

    def _counted(self) -> Iterator[Columns]:
        """The blocks of one pass. Raises `ValueError` where they have other rows than the first pass found."""
        rows = 0
        for block in self.blocks():
            rows += block.n
            yield block
        if rows != self.n:
            raise ValueError

    @property
    def _title(self) -> str:
        return self.files[0].name if len(self.files) == 1 else f"{self.files[0].name} and {len(self.files) - 1} more"

    def described(self) -> str:
        names = [*self.names[:6], *(["..."] if len(self.names) > 6 else [])]
        size = f"{self.n:,} rows x {len(self.names)} columns ({', '.join(names)})"
        skipped = [f"{len(self.skipped):,} bad skipped"] if self.skipped else []
        facts = ", ".join([self.format, *self.notes, size, *skipped])
        return f"{self._title}: {' '.join(facts.split())}"

    def held(self) -> Columns:
        """All rows in memory."""
        columns = next(self.batches(self.n))
        columns.about, columns.skipped, columns.dtypes = self.described(), self.skipped, self.dtypes
        columns.kinds = self.kinds
        return columns

    def kept(self) -> Source:
        """All rows in memory if they are few, else the stream itself."""
        return self.held() if self.large < _SMALL else self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.described()})"


def standard_input() -> File:
    """What is piped in.

    Raises:
        UserError: a pipe that breaks.
    """
    try:
        return spooled(sys.stdin.buffer, "stdin")
    except (OSError, ValueError) as error:
        raise UserError(f"stdin: cannot be read ({getattr(error, 'strerror', None) or error})") from None
