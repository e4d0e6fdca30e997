"""given.read and Columns: what goes in, what comes out, and back."""

import numpy as np
import pandas
import polars
import pytest

import given
from given.sources import SAMPLES

TABLE = {"age": np.array([30, 41, 29]), "city": np.array(["Rome", "Oslo", "Rome"]), "income": np.array([1.5, 2.25, -3.0])}


def equal(columns, expected):
    assert columns.names == tuple(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(columns[name], values)
    return True


@pytest.mark.parametrize("source", [
    pytest.param(TABLE, id="mapping"),
    pytest.param({k: v.tolist() for k, v in TABLE.items()}, id="lists"),
    pytest.param(pandas.DataFrame(TABLE), id="pandas"),
    pytest.param(polars.DataFrame(TABLE), id="polars"),
])
def test_read_in_memory(source):
    assert equal(given.read(source), TABLE)


def test_read_keywords():
    assert equal(given.read(**TABLE), TABLE)


def test_read_passes_a_source_through():
    columns = given.read(TABLE)
    assert given.read(columns) is columns


@pytest.mark.parametrize("ending", ["csv", "npz"])
def test_save_and_read_give_the_columns_back(tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    given.read(TABLE).save(path)
    assert equal(given.read(path), TABLE)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_npz_keeps_grids_and_any_name(tmp_path):
    image = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    expected = {"image": image, "file": np.array([1, 2]), "house price": np.array([0.5, 1])}
    given.read(expected).save(tmp_path / "grids.npz")
    back = given.read(tmp_path / "grids.npz")
    assert equal(back, expected)
    assert back["image"].dtype == np.uint8


def test_read_npz_of_numpy(tmp_path):
    np.savez_compressed(tmp_path / "plain.npz", **TABLE)
    assert equal(given.read(tmp_path / "plain.npz"), TABLE)


def test_read_npy(tmp_path):
    grid = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "grid.npy", grid)
    assert equal(given.read(tmp_path / "grid.npy"), {"x": grid})


def test_read_structured_npy(tmp_path):
    rows = np.array([(30, "Rome"), (41, "Oslo")], dtype=[("age", "i8"), ("city", "U4")])
    np.save(tmp_path / "rows.npy", rows)
    assert equal(given.read(tmp_path / "rows.npy"), {"age": [30, 41], "city": ["Rome", "Oslo"]})


@pytest.mark.parametrize(("cells", "kind", "values"), [
    pytest.param(["1", "-20", "+3"], "i", [1, -20, 3], id="whole"),
    pytest.param(["1", "2.5", "1e3"], "f", [1, 2.5, 1000], id="real"),
    pytest.param(["1", "", "3"], "f", [1, np.nan, 3], id="missing-number"),
    pytest.param(["true", "False", "TRUE"], "b", [True, False, True], id="boolean"),
    pytest.param(["007", "010", "003"], "U", ["007", "010", "003"], id="leading-zeros"),
    pytest.param(["1_000", "2", "3"], "U", ["1_000", "2", "3"], id="underscore"),
    pytest.param(["Rome", "NA", "Oslo"], "O", ["Rome", None, "Oslo"], id="missing-text"),
    pytest.param(["99999999999999999999", "1", "2"], "U", ["99999999999999999999", "1", "2"], id="beyond-64-bits"),
    pytest.param(["9223372036854775807", "-9223372036854775808", "2"], "i", [2**63 - 1, -(2**63), 2], id="64-bits"),
    pytest.param(["9007199254740993", "", "2"], "O", ["9007199254740993", None, "2"], id="beyond-a-real"),
    pytest.param(["9007199254740991", "0.5", "2"], "f", [2**53 - 1, 0.5, 2], id="within-a-real"),
    pytest.param(["-nan", "1", "2"], "U", ["-nan", "1", "2"], id="odd-nan"),
    pytest.param(["nan", "1", "x"], "O", [None, "1", "x"], id="nan-in-text"),
    pytest.param(["1", "٢", "3"], "U", ["1", "٢", "3"], id="other-digits"),
    pytest.param(["true", "", "false"], "O", [True, None, False], id="missing-boolean"),
    pytest.param(["true", "1", "0"], "U", ["true", "1", "0"], id="boolean-and-number"),
    pytest.param(["inf", "-Infinity", "1"], "f", [np.inf, -np.inf, 1], id="infinite"),
    pytest.param(["", "NA", "null"], "f", [np.nan] * 3, id="all-missing"),
])
def test_csv_types(tmp_path, cells, kind, values):
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{cell},0\n" for cell in cells))
    read = given.read(tmp_path / "t.csv")["x"]
    assert read.dtype.kind == kind
    np.testing.assert_array_equal(read, np.array(values, dtype=object if kind == "O" else None))


def test_csv_quotes_line_ends_and_byte_order_mark(tmp_path):
    (tmp_path / "t.csv").write_bytes("\ufeffname, text\r\nRømer,\"a, \"\"b\"\"\r\nc\"\r\n\r\nOda,d\r\n".encode())
    assert equal(given.read(tmp_path / "t.csv"), {"name": ["Rømer", "Oda"], "text": ['a, "b"\r\nc', "d"]})


@pytest.mark.parametrize(("name", "n", "columns", "last"), [
    ("digits", 1797, 2, "label"), ("breast_cancer", 569, 31, "diagnosis"), ("wine", 178, 14, "cultivar"),
    ("diabetes", 442, 11, "progression"),
])
def test_samples(name, n, columns, last):
    data = given.read(name)
    assert (data.n, len(data), data.names[-1]) == (n, columns, last)
    assert name in SAMPLES


def test_digits_are_raw():
    data = given.read("digits")
    assert data["image"].shape == (1797, 8, 8) and data["image"].dtype == np.uint8
    assert (data["image"].min(), data["image"].max()) == (0, 16)
    np.testing.assert_array_equal(np.bincount(data["label"]), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])


def test_frames_with_grids_come_back():
    data = given.read("digits").rows(slice(0, 5))
    for frame in (data.to_pandas(), data.to_polars()):
        assert frame.shape == (5, 2)
        assert equal(given.read(frame), data)


@pytest.mark.parametrize("frame", [
    pytest.param(pandas.DataFrame({"x": pandas.array(["a", None], dtype="string")}), id="pandas-text"),
    pytest.param(pandas.DataFrame({"x": pandas.Categorical(["a", None])}), id="pandas-category"),
    pytest.param(polars.DataFrame({"x": ["a", None]}), id="polars-text"),
])
def test_a_missing_cell_is_none(frame):
    assert [value if isinstance(value, str) else None for value in given.read(frame)["x"]] == ["a", None]
    label = given.model("p(x)", frame).joint.columns["x"]
    assert label.decode(label.encode(given.read(frame)))["x"].tolist() == ["a", None]


def test_split_is_a_partition_by_seed():
    data = given.read(x=np.arange(100))
    parts = data.split(0.5, 20, seed=3)
    assert [part.n for part in parts] == [50, 20, 30]
    together = np.concatenate([part["x"] for part in parts])
    assert sorted(together) == list(range(100)) and list(together) != list(range(100))
    np.testing.assert_array_equal(data.split(0.5, 20, seed=3)[1]["x"], parts[1]["x"])
    assert list(data.split(0.5, 20, seed=4)[1]["x"]) != list(parts[1]["x"])


def test_split_leaves_no_row_out_whatever_is_rounded():
    for n in range(1, 12):
        a, b, rest = given.read(x=np.arange(n)).split(0.5, 0.5)
        assert a.n + b.n == n and rest.n == 0


@pytest.mark.parametrize("index", [slice(1, 3), np.array([True, False, True]), np.array([2, 0])])
def test_rows(index):
    assert equal(given.read(TABLE).rows(index), {k: v[index] for k, v in TABLE.items()})


def test_batches_are_the_rows_in_order():
    batches = [batch["x"].tolist() for batch in given.read(x=np.arange(7)).batches(3)]
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


def test_draws_are_flattened_with_their_numbers():
    drawn = given.Columns({"x": np.arange(6).reshape(2, 3)}, axes=2)
    assert drawn.n == 6
    assert equal(drawn.flat(), {"draw": [0, 0, 0, 1, 1, 1], "row": [0, 1, 2, 0, 1, 2], "x": np.arange(6)})
    assert drawn.to_pandas().to_dict("list") == drawn.to_polars().to_dict(as_series=False)


def test_repr_is_short():
    assert repr(given.read(TABLE)) == "Columns(3; age: int64, city: <U4, income: float64)"
    assert repr(given.read("digits")) == "Columns(1797; image: uint8[8, 8], label: int64)"
    assert repr(given.read("breast_cancer")).endswith("and 26 more)")


def test_columns_are_a_mapping():
    data = given.read(TABLE)
    assert "age" in data and "zip" not in data and data.get("zip") is None
    assert list(data) == list(TABLE) and len(data) == 3
