"""Corrupted tables: whatever happens to a .csv, no row is lost in silence and no error is more than one line.

    python benchmarks/fuzz_csv.py [FILES]     # 10,000 by default

Each file is read by default and with skip_bad=True. The first must end in one line that names the file, or in as many rows
as an independent count finds; the second likewise, where every record counted is either a row or named as skipped. A file
read whole and the same read in small pieces must agree to the value and type.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from unittest import mock

import numpy as np

import given
from given.sources import DelimitedText, Source
from given.sources.stream import File

WORDS = ["Oslo", "Rome", "", "NA", "a b", " x ", "naïve", "007", "1_000", "3.5", "-2", "true", "1e9", "日本", "x,y", 'say "hi"',
         "two\nlines", "99999999999999999999", "nan"]


def table(rng: random.Random) -> bytes:
    """A sound table, quoted where it must be and sometimes where it need not."""
    width, delimiter, end = rng.randint(1, 5), rng.choice(",,,;\t|"), rng.choice(["\n", "\n", "\r\n"])

    def cell(text: str) -> str:
        if any(c in text for c in '"\n' + delimiter) or rng.random() < 0.1:
            return '"' + text.replace('"', '""') + '"'
        return text

    numeric = [rng.random() < 0.5 for _ in range(width)]
    rows = [[f"name{i}" for i in range(width)]]
    for _ in range(rng.randint(0, 12)):
        rows.append([str(rng.randint(-99, 99)) if number else rng.choice(WORDS) for number in numeric])
    text = end.join(delimiter.join(cell(c) for c in row) for row in rows) + (end if rng.random() < 0.8 else "")
    return text.encode(rng.choice(["utf-8"] * 6 + ["utf-8-sig", "latin-1", "utf-16", "cp1252"]), "replace")


def _insert(what: Callable[[random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    def damage(data: bytes, rng: random.Random) -> bytes:
        at = rng.randint(0, len(data))
        return data[:at] + what(rng) + data[at:]
    return damage


def _flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data)) if data else 0
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:] if data else data


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[:rng.randint(0, len(data))]


def _fields(data: bytes, rng: random.Random) -> bytes:
    """A field of a line dropped or doubled."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    cells = lines[at].split(b",")
    cells[rng.randrange(len(cells))::1] = cells[:rng.randint(0, 2)]
    return b"\n".join([*lines[:at], b",".join(cells), *lines[at + 1:]])


def _line(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    lines.insert(rng.randint(0, len(lines)), rng.choice(lines))
    return b"\n".join(lines)


DAMAGES = [_flip, _flip, _cut, _fields, _line, _insert(lambda _: b'"'), _insert(lambda _: b'"'), _insert(lambda _: b"\0"),
           _insert(lambda rng: rng.choice([b",", b";", b"\t", b"|"])), _insert(lambda rng: rng.choice([b"\n", b"\r", b"\r\n"])),
           _insert(lambda rng: bytes([rng.randrange(256)])), _insert(lambda rng: rng.randbytes(rng.randint(1, 9)))]


def count(data: bytes, delimiter: str, header: bool) -> int:
    """How many data records there are, one character at a time; a line that cannot be taken apart is one record."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    blanks = {" ", "\t"} - {delimiter}
    at = records = 0
    while at < len(text):
        after = _record(text, at, delimiter, blanks)
        if after is None:  # beyond taking apart: to the end of its first line
            after = at
            while after < len(text) and text[after] not in "\r\n":
                after += 1
            after += text[after:after + 2] == "\r\n"
            after += 1
        records += bool(text[at:after].strip("\r\n"))
        at = after
    return records - header


def _record(text: str, at: int, delimiter: str, blanks: set[str]) -> int | None:
    """Where the record at `at` ends; None where a quote is wrong."""
    state = "start"
    while at < len(text):
        c, at = text[at], at + 1
        if state == "quoted":
            if c == '"':
                state = "closed" if text[at:at + 1] != '"' else "quoted"
                at += state == "quoted"
        elif c == delimiter:
            state = "start"
        elif c in "\r\n":
            return at + (text[at - 1:at + 1] == "\r\n")
        elif state == "start":
            state = "quoted" if c == '"' else "start" if c in blanks else "plain"
        elif state == "closed" and c not in blanks:
            return None
    return None if state == "quoted" else at


def outcome(path: str, skip_bad: bool) -> str:
    """What reading led to; anything but rows all accounted for, or one line that names the file, is an AssertionError."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        source: Source = given.read(path, skip_bad=skip_bad)
    except given.UserError as error:
        message = str(error)
        assert message.startswith(path) and len(message.splitlines()) == 1 and len(message) < 600, message
        return "refused"
    assert isinstance(source, given.Columns)
    with mock.patch("given.sources.delimited_text._CHUNK", 40):  # in pieces, as a large file is read
        streamed = DelimitedText([File.at(path)], skip_bad=skip_bad)
        batches = list(streamed.batches(3))
    there = count(data, streamed.lexer.delimiter, streamed.header)
    assert source.n == there - len(source.skipped), f"{path}: {source.n} rows, {source.skipped}, of {there} records"
    assert len(set(source.skipped)) == len(source.skipped) and (skip_bad or not source.skipped)
    assert streamed.skipped == source.skipped and [b.n for b in batches[:-1]] == [3] * (len(batches) - 1), path
    for name, values in source.items():
        pieces = [batch[name] for batch in batches]
        assert {piece.dtype for piece in pieces} == {values.dtype}, f"{path}: {name}"
        np.testing.assert_array_equal(np.concatenate(pieces), values, err_msg=path)
    return "skipped some" if source.skipped else "read"


def fuzz(files: int, folder: str, seed: int = 0) -> Counter[str]:
    """Outcomes over so many corrupted files."""
    outcomes: Counter[str] = Counter()
    for i in range(files):
        rng = random.Random(f"{seed} {i}")
        data = table(rng)
        for _ in range(rng.choice([0, 1, 1, 1, 2, 3, 8])):
            data = rng.choice(DAMAGES)(data, rng)
        path = os.path.join(folder, f"{i}.csv")
        with open(path, "wb") as file:
            file.write(data)
        plain, skipping = outcome(path, skip_bad=False), outcome(path, skip_bad=True)
        assert plain == skipping == "read" or plain == "refused", f"{path}: {plain}, then {skipping}"
        outcomes[f"{plain}; with skip_bad {skipping}"] += 1
        os.remove(path)
    return outcomes


if __name__ == "__main__":
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(files, folder)
    for what, n in found.most_common():
        print(f"{n:6,}  {what}")
    print(f"{files:,} files, each read twice: every row read, or named in one line")
