"""Readers that stream from disk: what they read, that a stream and the same rows in memory are alike, and what they refuse."""

import csv
import importlib.util
import io
import json
import os
import random
import threading
from pathlib import Path

import numpy as np
import polars
import pytest
from PIL import Image

import given
from given.sources import Stream

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
RNG = np.random.default_rng(0)


@pytest.fixture
def streaming(monkeypatch):
    """Nothing is small enough for memory, and tables are read in pieces of a few lines."""
    monkeypatch.setattr("given.sources.stream._SMALL", 0)
    monkeypatch.setattr("given.sources.delimited_text._CHUNK", 50)
    monkeypatch.setattr("given.sources.jsonl._ROWS", 3)
    monkeypatch.setattr("given.sources.parquet._ROWS", 3)
    monkeypatch.setattr("given.sources.text._ROWS", 2)
    monkeypatch.setattr("given.sources.images._BYTES", 50)


def alike(path, monkeypatch, **options):
    """The rows in memory; a stream of them has the same values and types, in batches of every size, twice."""
    columns = given.read(path, **options)
    assert isinstance(columns, given.Columns)
    with monkeypatch.context() as patch:
        streaming.__wrapped__(patch)
        stream = given.read(path, **options)
        assert isinstance(stream, Stream) and (stream.names, stream.n) == (columns.names, columns.n)
        assert stream.described() == columns.described() and stream.skipped == columns.skipped
        for size in (1, 2, 3, 5, 1000):
            batches = list(stream.batches(size))
            assert [batch.n for batch in batches[:-1]] == [size] * (len(batches) - 1) and 0 < batches[-1].n <= size
            for name, values in columns.items():
                pieces = [batch[name] for batch in batches]
                assert {piece.dtype for piece in pieces} == {values.dtype}
                np.testing.assert_array_equal(np.concatenate(pieces), values)
    return columns


def refused(ask, *said):
    with pytest.raises(given.UserError) as caught:
        ask()
    message = str(caught.value)
    assert all(part in message for part in said), message
    assert len(message.splitlines()) == 1 and len(message) < 400


ROWS = {"n": RNG.integers(-9, 9, 23), "x": np.round(RNG.normal(size=23), 3), "yes": RNG.random(23) < 0.5,
        "word": RNG.choice(["a", "b, c", 'say "so"', " spaced ", "two\nlines", "naïve"], 23)}


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_saved_streamed_and_in_memory_are_alike(tmp_path, monkeypatch, ending):
    path = tmp_path / f"t.{ending}"
    given.read(ROWS).save(path)
    columns = alike(path, monkeypatch)
    for name, values in ROWS.items():
        np.testing.assert_array_equal(columns[name], values)
        assert columns[name].dtype.kind == values.dtype.kind


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_grids_and_missing_texts_come_back(tmp_path, monkeypatch, ending):
    rows = {"grid": np.arange(24).reshape(4, 2, 3), "word": np.array(["NA", None, "", "x"], dtype=object),
            "zero": np.array(["a\0", "b", "c", "d"], dtype=object)}
    given.read(rows).save(tmp_path / f"t.{ending}")
    columns = alike(tmp_path / f"t.{ending}", monkeypatch)
    np.testing.assert_array_equal(columns["grid"], rows["grid"])
    assert columns["word"].tolist() == ["NA", None, "", "x"] and columns["zero"].tolist() == ["a\0", "b", "c", "d"]


def test_a_column_that_turns_to_text_at_the_end_is_text_everywhere(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,2.5\n" * 50 + "1,x\n")
    columns = alike(tmp_path / "t.csv", monkeypatch)
    assert columns["a"].dtype == np.int64 and set(columns["b"].tolist()) == {"2.5", "x"}


def test_a_hole_at_the_end_makes_reals(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("a,b\n" + "1,x\n" * 50 + ",\n")
    columns = alike(tmp_path / "t.csv", monkeypatch)
    assert np.isnan(columns["a"][-1]) and columns["b"][-1] is None


def test_numbers_kept_as_text_are_said(tmp_path):
    (tmp_path / "t.csv").write_text("id,b\n18446744073709551616,1\n2,2\n")
    data = given.read(tmp_path / "t.csv")
    assert data["id"].tolist() == ["18446744073709551616", "2"]
    assert "id: text, since whole numbers there are beyond 64 bits" in data.described()
    (tmp_path / "t.jsonl").write_text('{"id": 18446744073709551616}\n{"id": 2}\n')
    assert given.read(tmp_path / "t.jsonl")["id"].tolist() == ["18446744073709551616", "2"]


def test_described(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n1;2\n3;4\n")
    assert given.read(tmp_path / "t.csv").described() == \
        f"{tmp_path}/t.csv: csv, semicolon between cells, a header, 2 rows x 2 columns (a, b)"
    assert given.read(a=[1]).described() == "Columns(1; a: int64)"


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_cells_as_the_csv_module_takes_them(tmp_path, monkeypatch, delimiter):
    """A second opinion on quotes, over random tables that need no stripping."""
    rng = random.Random(delimiter)
    for i in range(30):
        width = rng.randint(2, 4)
        rows = [[f"name{j}" for j in range(width)]]
        rows += [["".join(rng.choice('ab",;\t|\n \r') for _ in range(rng.randint(1, 6))).join("xx") for _ in range(width)]
                 for _ in range(rng.randint(1, 9))]
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, quoting=rng.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])).writerows(rows)
        (tmp_path / f"{i}.csv").write_bytes(text.getvalue().encode())
        columns = alike(tmp_path / f"{i}.csv", monkeypatch, delimiter=delimiter)
        assert [columns.names, *zip(*columns.values(), strict=True)] == [tuple(row) for row in rows]


def test_blanks_around_cells_go_and_those_in_quotes_stay(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text('a , b\n x ,\t" y "\nz,  w v \n')
    columns = alike(tmp_path / "t.csv", monkeypatch)
    assert (columns["a"].tolist(), columns["b"].tolist()) == (["x", "z"], [" y ", "w v"])


@pytest.mark.parametrize(("text", "options", "names", "rows"), [
    pytest.param("1,2\n3,4\n", {}, ("column_1", "column_2"), 2, id="numbers"),
    pytest.param("Oslo,1\nRome,2\nOslo,3\n", {}, ("column_1", "column_2"), 3, id="repeated-words"),
    pytest.param("x,1990\n1,2\n", {}, ("x", "1990"), 1, id="a-word-above-numbers"),
    pytest.param("a,b\nx,y\n", {}, ("a", "b"), 1, id="words"),
    pytest.param("a,b\nx,y\n", {"header": False}, ("column_1", "column_2"), 2, id="said-none"),
    pytest.param("a,b\nx,y\n", {"header": ["p", "q"]}, ("p", "q"), 2, id="said-names"),
    pytest.param("1,2\n3,4\n", {"header": True}, ("1", "2"), 1, id="said-numbers"),
    pytest.param("a b,c\n1,2\n", {}, ("a b", "c"), 1, id="no-identifier"),
    pytest.param("a\r1\r2\r", {}, ("a",), 2, id="carriage-returns"),
    pytest.param("a;b\n1,5;2\n", {}, ("a", "b"), 1, id="comma-in-cells"),
    pytest.param("a:b\n1:2\n", {"delimiter": ":"}, ("a", "b"), 1, id="colon"),
])
def test_delimiter_and_header(tmp_path, text, options, names, rows):
    (tmp_path / "t.csv").write_bytes(text.encode())
    columns = given.read(tmp_path / "t.csv", **options)
    assert (columns.names, columns.n) == (names, rows)


BAD = b'a,b\n1,2\n3\n4,"5\n6,7\n\xe9,8\n9,1\0\n10,"x"y\n11,12,13\n"14\n15",16,17\n18,19\n'


def test_skipped_rows_are_counted_and_named(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_bytes(BAD)
    refused(lambda: given.read(tmp_path / "t.csv"), "t.csv, line 3: got 1 values, expected 2 as in the header")
    columns = alike(tmp_path / "t.csv", monkeypatch, skip_bad=True)
    assert columns["a"].tolist() == [1, 6, 18]
    reasons = [reason.split("t.csv, ")[1].split(";")[0] for reason in columns.skipped]
    assert reasons == ["line 3: got 1 values, expected 2 as in the header", "line 4: ',' expected after '\"'",
                       "line 6: not UTF-8 (byte 0xe9)", "line 7: a zero byte", "line 8: ',' expected after '\"'",
                       "line 9: got 3 values, expected 2 as in the header",
                       "lines 10 to 11: got 3 values, expected 2 as in the header"]
    assert columns.described().endswith("3 rows x 2 columns (a, b), 7 bad skipped")


def test_a_file_that_changes_is_noticed(tmp_path, streaming):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    stream = given.read(path)
    path.write_text("a,b\n1,2\nx,y\nz,w\n")
    refused(lambda: list(stream.batches(10)), "t.csv: has changed since it was first read")
    path.unlink()
    refused(lambda: list(stream.batches(10)), "t.csv: cannot be read (No such file or directory)")


def test_a_model_learns_from_a_stream_what_it_learns_from_memory(tmp_path, monkeypatch):
    given.read(x=RNG.normal(size=200)).save(tmp_path / "t.csv")
    scores = []
    for small in (1 << 26, 0):
        monkeypatch.setattr("given.sources.stream._SMALL", small)
        data = given.read(tmp_path / "t.csv")
        model = given.model("p(x)", data, families={"x": given.families.Gaussian})
        model.fit(data, held_out=0)
        scores.append(model.score(data).value)
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)


def test_fuzz(tmp_path):
    spec = importlib.util.spec_from_file_location("fuzz_csv", BENCHMARKS / "fuzz_csv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.fuzz(300, str(tmp_path), seed=1).total() == 300


# Globs and standard input


def test_a_glob_is_the_rows_of_all_files(tmp_path, monkeypatch):
    for i in range(3):
        (tmp_path / f"{i}.csv").write_text(f"a,b\n{i},x\n")
    (tmp_path / "2.csv").write_text("a,b\n2.5,x\n")
    assert alike(str(tmp_path / "*.csv"), monkeypatch)["a"].tolist() == [0, 1, 2.5]
    (tmp_path / "3.csv").write_text("a,c\n2,x\n")
    refused(lambda: given.read(str(tmp_path / "*.csv")), "3.csv: has 2 columns, ('a', 'c'); expected 2 as", "0.csv, ('a', 'b')")
    refused(lambda: given.read(str(tmp_path / "*.tsv")), "*.tsv: no file matches")
    (tmp_path / "4.txt").write_text("x")
    refused(lambda: given.read(str(tmp_path / "*.*")), "4.txt: is text", "0.csv is csv; expected one format")


@pytest.mark.parametrize(("content", "options", "n"), [
    pytest.param(b"a,b\n1,2\n", {}, 1, id="csv"),
    pytest.param(b'{"a": 1}\n{"a": 2}\n', {}, 2, id="jsonl"),
    pytest.param(b"one\ntwo\n", {"format": "text", "by": "line"}, 2, id="text"),
])
def test_standard_input(monkeypatch, content, options, n):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    data = given.read("-", **options)
    assert data.n == n and data.described().startswith("stdin: ")


def test_standard_input_of_npz(monkeypatch):
    file = io.BytesIO()
    np.savez(file, a=[1, 2])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.getvalue())))
    assert given.read("-")["a"].tolist() == [1, 2]


def test_a_broken_pipe(monkeypatch):
    class Broken(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, _):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Broken()))
    refused(lambda: given.read("-"), "stdin: cannot be read (Broken pipe)")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    refused(lambda: given.read("-"), "stdin: is empty; expected csv")


def test_a_named_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    writer = threading.Thread(target=(tmp_path / "t.csv").write_text, args=("a,b\n1,2\n",))
    writer.start()
    assert given.read(tmp_path / "t.csv")["b"].tolist() == [2]
    writer.join()


@pytest.mark.parametrize(("name", "options", "said"), [
    pytest.param("t.csv", {"size": (8, 8)}, "t.csv: size= says nothing about csv; leave it out", id="size"),
    pytest.param("t.csv", {"format": "xls"}, "format='xls'; expected csv, tsv,", id="format"),
    pytest.param("t.csv", {"delimiter": ",,"}, "delimiter=',,'; expected one character", id="delimiter"),
    pytest.param("t.csv", {"header": ["a"]}, "header=['a']; expected True, False or 2 names", id="header"),
    pytest.param("t.csv", {"format": "text", "by": "word"}, "by='word'; expected file, line or paragraph", id="by-word"),
    pytest.param("digits", {"by": "line"}, "digits is a sample and takes no options", id="sample"),
    pytest.param("null", {}, "/dev/null: is neither a file, a folder nor a pipe", id="device"),
    pytest.param("loop.csv", {}, "loop.csv: cannot be read (Too many levels of symbolic links)", id="loop"),
    pytest.param("gone.csv", {}, "gone.csv: a symbolic link that leads to nothing", id="dangling"),
    pytest.param("odd.csv", {}, "odd.csv: cannot tell whether the first row ['Oslo', '1'] names the columns", id="unsure"),
    pytest.param("a\0b", {}, "is no path (embedded null", id="zero-byte"),
])
def test_paths_and_options(tmp_path, monkeypatch, name, options, said):
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("a,b\n1,2\n")
    Path("odd.csv").write_text("Oslo,1\nRome,2\n")
    os.symlink("loop.csv", "loop.csv")
    os.symlink("nowhere", "gone.csv")
    refused(lambda: given.read({"null": "/dev/null"}.get(name, name), **options), said)


# JSON lines, Parquet


@pytest.mark.parametrize(("lines", "said"), [
    pytest.param('{"a": 1}\n{"a": \n', "t.jsonl, line 2: column ", id="broken"),
    pytest.param("[1]\n", "line 1: got '[1]'; expected an object", id="no-object"),
    pytest.param('{"a": 1}\n{"a": {"b": 1}}\n', "line 2: a: got an object; expected a number", id="nested"),
    pytest.param('{"a": [[1, 2]]}\n{"a": [[1]]}\n', "line 2: a: got a list of values of shape (1,), expected", id="shapes"),
    pytest.param('{"a": [[1], [2, 3]]}\n', "line 1: a: a list of lists of different lengths", id="ragged"),
    pytest.param('{"a": [1]}\n{"a": 2}\n', "a: lists in some lines, whole in others", id="mixed"),
    pytest.param('{"a": 1, "a": 2}\n', "line 1: object: two columns are called 'a'", id="twice"),
    pytest.param('{"": 1}\n', "column 1 has no name", id="nameless"),
    pytest.param("\n\n", "expected at least one line of JSON, got none", id="blank"),
    pytest.param("[" * 100_000 + "\n", "line 1: ", id="deep"),
    pytest.param("{}\n", "expected at least one column", id="no-column"),
    pytest.param('{"a": "\\ud800"}\n', "line 1: half of a surrogate pair", id="surrogate"),
])
def test_bad_json_lines(tmp_path, lines, said):
    (tmp_path / "t.jsonl").write_text(lines)
    refused(lambda: given.read(tmp_path / "t.jsonl"), said)


def test_json_lines_types(tmp_path, monkeypatch):
    rows = [{"a": 1, "b": 1, "c": "x", "d": True, "e": None, "f": [1, 2]},
            {"a": 2, "b": 1.5, "c": 3, "d": False, "e": None, "f": [1, 2.5]},
            {"a": 3, "c": None, "d": True, "f": [0, 0], "g": "late"}]
    (tmp_path / "t.jsonl").write_text("\ufeff" + "\n".join(map(json.dumps, rows)))
    data = alike(tmp_path / "t.jsonl", monkeypatch)
    assert {name: values.dtype.kind for name, values in data.items()} == dict(zip("abcdefg", "ifObffO", strict=True))
    assert data["c"].tolist() == ["x", "3", None] and data["g"].tolist() == [None, None, "late"]
    np.testing.assert_array_equal(data["b"], [1, 1.5, np.nan])


def test_bad_json_lines_are_skipped(tmp_path, monkeypatch):
    (tmp_path / "t.jsonl").write_bytes(b'{"a": [1]}\nx\n{"a": [[1], [2]]}\n{"a": [3]}\n{"a": "\xff"}\n')
    data = alike(tmp_path / "t.jsonl", monkeypatch, skip_bad=True)
    assert data["a"].tolist() == [[1], [3]] and len(data.skipped) == 3


def test_parquet_types(tmp_path, monkeypatch):
    frame = polars.DataFrame({"i": [1, 2, None, 4], "u": [2**63, 1, 2, 3], "f": [0.5, None, 1, 2],
                              "b": [True, False, True, True], "w": ["NA", None, "", "x"], "big": [2**60, None, 1, 2]},
                             schema_overrides={"u": polars.UInt64, "f": polars.Float32})
    frame = frame.with_columns(day=polars.Series(["2020-01-01"] * 4).str.to_date(),
                               cat=polars.Series(["p", "q", "p", "p"]).cast(polars.Categorical))
    frame.write_parquet(tmp_path / "t.parquet")
    data = alike(tmp_path / "t.parquet", monkeypatch)
    np.testing.assert_array_equal(data["i"], [1, 2, np.nan, 4])
    assert data["u"].tolist() == [str(2**63), "1", "2", "3"] and data["f"].dtype == np.float64
    assert data["w"].tolist() == ["NA", None, "", "x"] and data["big"].tolist() == [str(2**60), None, "1", "2"]
    assert data["day"][0] == "2020-01-01" and data["cat"].tolist() == ["p", "q", "p", "p"] and data["b"].dtype == bool


def test_bad_parquet(tmp_path):
    for name, content in (("cut", b"PAR1"), ("no", b"hello, world, hello")):
        (tmp_path / f"{name}.parquet").write_bytes(content)
        refused(lambda name=name: given.read(tmp_path / f"{name}.parquet"), f"{name}.parquet: is not whole Parquet (")
    polars.DataFrame({"a": [{"b": 1}]}).write_parquet(tmp_path / "s.parquet")
    refused(lambda: given.read(tmp_path / "s.parquet"), "s.parquet: a: ")
    polars.DataFrame({"a": [[[1]], [[1, 2]]]}).write_parquet(tmp_path / "r.parquet")
    refused(lambda: given.read(tmp_path / "r.parquet"), "r.parquet: a: lists of lists of different lengths")


# Text


@pytest.mark.parametrize(("values", "ending"), [(np.array(["a", 1], dtype=object), "parquet")])
def test_what_cannot_be_saved(tmp_path, values, ending):
    refused(lambda: given.read(x=values).save(tmp_path / f"t.{ending}"), f"t.{ending}: ", "save as .npz")
    assert not list(tmp_path.iterdir())


def test_parquet_keeps_the_dtype_of_grids(tmp_path, monkeypatch):
    data = given.read("digits").rows(slice(0, 5))
    data.save(tmp_path / "t.parquet")
    there = alike(tmp_path / "t.parquet", monkeypatch)
    assert there["image"].dtype == np.uint8
    np.testing.assert_array_equal(there["image"], data["image"])


def test_text_by_file_line_and_paragraph(tmp_path, monkeypatch):
    (tmp_path / "t.txt").write_bytes("\ufeffone\r\ntwo\r\n\r\n\n  three\nfour".encode())
    path = tmp_path / "t.txt"
    assert alike(path, monkeypatch)["text"].tolist() == ["one\r\ntwo\r\n\r\n\n  three\nfour"]
    assert alike(path, monkeypatch, by="line")["text"].tolist() == ["one", "two", "  three", "four"]
    assert alike(path, monkeypatch, by="paragraph")["text"].tolist() == ["one\r\ntwo", "  three\nfour"]


def test_folders_of_texts(tmp_path, monkeypatch):
    for label in ("ham", "spam"):
        (tmp_path / label).mkdir()
        for i in range(2):
            (tmp_path / label / f"{i}.txt").write_text(f"{label} {i}")
    data = alike(tmp_path, monkeypatch)
    assert list(zip(data["text"], data["label"], strict=True))[1:3] == [("ham 1", "ham"), ("spam 0", "spam")]
    assert given.read(f"{tmp_path}/*/*.txt")["label"].tolist() == data["label"].tolist()
    assert given.read(tmp_path / "ham").names == ("text",)
    (tmp_path / "odd.txt").write_text("x")
    refused(lambda: given.read(tmp_path), "odd.txt: expected all files in", "or all in a sub-folder")


@pytest.mark.parametrize(("content", "options", "said", "left"), [
    pytest.param(b"", {}, "t.txt: is empty; expected text", None, id="empty"),
    pytest.param(b"a\nb\0", {}, "t.txt, line 2: a zero byte; expected text", None, id="zero"),
    pytest.param(b"a\n\n\xe9b\nc", {"by": "line"}, "t.txt, line 3: not UTF-8 (byte 0xe9); save", ["a", "c"], id="latin"),
    pytest.param(b"a\n\n\nb\n\xe9b\n\nc", {"by": "paragraph"}, "t.txt, line 5: not UTF-8", ["a", "c"], id="paragraph"),
    pytest.param(b"\n \n", {"by": "line"}, "t.txt: expected text, got none", None, id="blank"),
])
def test_bad_text(tmp_path, content, options, said, left):
    (tmp_path / "t.txt").write_bytes(content)
    refused(lambda: given.read(tmp_path / "t.txt", **options), said)
    if left:
        data = given.read(tmp_path / "t.txt", skip_bad=True, **options)
        assert data["text"].tolist() == left and len(data.skipped) == 1 and said in data.skipped[0]


def test_shakespeare():
    data = given.read("shakespeare")
    assert data.names == ("text",) and data.n == 1 and len(data["text"][0]) == 1_115_394
    assert given.read("shakespeare", by="paragraph")["text"][0].startswith("First Citizen:\nBefore we proceed")


# Images


def picture(path, mode="RGB", size=(4, 3), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)
    image.save(path, **options)
    return np.asarray(image)


def test_folders_of_images(tmp_path, monkeypatch):
    expected = [picture(tmp_path / label / f"{i}.png") for label in ("cat", "dog") for i in range(3)]
    data = alike(tmp_path, monkeypatch)
    np.testing.assert_array_equal(data["image"], expected)
    assert data["image"].dtype == np.uint8 and data["label"].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert "images, 3 x 4 RGB" in data.described()
    assert given.read(tmp_path / "cat").names == ("image",)
    assert given.read(tmp_path / "cat", size=(2, 5))["image"].shape == (3, 2, 5, 3)
    assert given.read(tmp_path / "cat" / "0.png").n == 1


def test_grey_and_palette_images(tmp_path):
    grey = picture(tmp_path / "grey" / "a.png", "L")
    np.testing.assert_array_equal(given.read(tmp_path / "grey")["image"], [grey])
    picture(tmp_path / "palette" / "a.png", "P")
    there = given.read(tmp_path / "palette")["image"]
    np.testing.assert_array_equal(there[0], np.asarray(Image.open(tmp_path / "palette" / "a.png").convert("RGB")))


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_images_with_metadata(tmp_path, monkeypatch, ending):
    expected = [picture(tmp_path / name) for name in ("b.png", "sub/a.png")]
    rows = {"file_name": ["sub/a.png", "b.png"], "age": [3, 4]}
    given.read(rows).save(tmp_path / f"metadata.{ending}")
    data = alike(tmp_path, monkeypatch)
    np.testing.assert_array_equal(data["image"], expected[::-1])
    assert data.names == ("image", "age") and data["age"].tolist() == [3, 4]
    picture(tmp_path / "c.png")
    refused(lambda: given.read(tmp_path), f"c.png: is not in {tmp_path}/metadata.{ending}")
    assert len(alike(tmp_path, monkeypatch, skip_bad=True).skipped) == 1
    given.read({"file_name": ["sub/a.png", "b.png", "c.png", "d.png"]}).save(tmp_path / f"metadata.{ending}")
    refused(lambda: given.read(tmp_path), f"metadata.{ending}: no image d.png in the folder")
    assert given.read(tmp_path, skip_bad=True).names == ("image",)


def _bytes(content):
    return lambda path: path.write_bytes(content)


def _sixteen(path):
    Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4)).save(path)


def _cut(path):
    picture(path, size=(64, 64))
    path.write_bytes(path.read_bytes()[:200])


def _frames(path):
    frames = [Image.fromarray(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8)) for _ in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(("name", "make", "said"), [
    pytest.param("b.png", _bytes(b""), "b.png: is empty; expected an image", id="empty"),
    pytest.param("b.png", _bytes(b"hello"), "b.png: cannot be read as an image (no format known)", id="garbage"),
    pytest.param("b.png", _cut, "b.png: cannot be read as an image (", id="cut"),
    pytest.param("b.png", _sixteen, "b.png: has 16 bits a channel; convert it to 8", id="16-bit"),
    pytest.param("b.jpg", lambda path: picture(path, "CMYK"), "b.jpg: has CMYK; convert it to RGB", id="cmyk"),
    pytest.param("b.png", lambda path: picture(path, "RGBA"), "b.png: has an alpha channel; flatten it to RGB", id="alpha"),
    pytest.param("b.png", lambda path: picture(path, "P", transparency=0), "has an alpha channel", id="palette-alpha"),
    pytest.param("b.tif", _frames, "b.tif: has several frames; save one of them", id="frames"),
    pytest.param("b.png", lambda path: picture(path, size=(5, 3)), "b.png: 3 x 5 RGB; expected 3 x 4 RGB as in", id="size"),
    pytest.param("b.png", lambda path: picture(path, "L"), "b.png: 3 x 4 grey; expected 3 x 4 RGB as in", id="grey"),
    pytest.param("b.md", _bytes(b"x"), "b.md: is no image; move it elsewhere, or leave it out with skip_bad=True", id="other"),
])
def test_bad_images(tmp_path, monkeypatch, name, make, said):
    good = picture(tmp_path / "a.png")
    make(tmp_path / name)
    refused(lambda: given.read(tmp_path), said)
    data = alike(tmp_path, monkeypatch, skip_bad=True)
    np.testing.assert_array_equal(data["image"], [good])
    assert len(data.skipped) == 1 and name in data.skipped[0]


def test_bad_folders(tmp_path):
    picture(tmp_path / "loop" / "a" / "x.png")
    os.symlink("..", tmp_path / "loop" / "a" / "back")
    refused(lambda: given.read(tmp_path / "loop"), "back: a symbolic link that leads back to a folder above; remove it")
    picture(tmp_path / "named" / "x.png" / "y.png")
    refused(lambda: given.read(tmp_path / "named"), "x.png: is a folder named like a file; rename it")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "t.csv").write_text("a\n1\n")
    refused(lambda: given.read(tmp_path / "other"), "other: holds .csv; expected images, sounds or .txt; read its files by")
    picture(tmp_path / "deep" / "train" / "cat" / "x.png")
    refused(lambda: given.read(tmp_path / "deep"), "x.png: expected all files in", "read a part of them by a glob")
    refused(lambda: given.read(str(tmp_path / "na*")), "named: is a folder; expected a file")
