"""Ragged: columns of items of any length, from arrays, JSON lines, Parquet, frames and long tables, and back."""

import json

import numpy as np
import pandas
import polars
import pytest
from test_bad_input import cases, refused

import given
from given.codecs import Series

ROWS = [{"shop": "a", "y": [1.5, 2.0, None], "tags": ["x", "y"], "n": [1, 2], "frames": [[1, 2]]},
        {"shop": "b", "y": [3], "tags": ["x", None], "n": [3], "frames": [[1, 2], [3, 4]]},
        {"shop": None, "y": [], "tags": ["z", "x"], "n": [4, 5], "frames": []}]
LONG = """shop,date,y,promo,size
b,2020-01-03,3,1,9
a,2020-01-02,2,0,7
a,2020-01-01,1,0,7
b,2020-01-01,1,0,9
b,2020-01-02,,1,9
"""


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lists(values):
    """Items as plain lists, None for what is missing."""
    return [None if item is None else [None if v != v else v for v in item.tolist()] for item in values]


@pytest.fixture
def ragged(tmp_path):
    return given.read(lines(tmp_path / "t.jsonl", ROWS))


def test_lists_of_different_lengths_are_items(ragged):
    for name in ("y", "tags", "n", "frames"):
        assert lists(ragged[name]) == [row[name] for row in ROWS]
    assert ragged["y"][0].dtype == np.float64 and ragged["n"][0].dtype == np.int64 and ragged["frames"][1].shape == (2, 2)
    assert repr(ragged) == ("Columns(3; shop: object, y: items of float64, tags: items of text, n: items of int64, "
                            "frames: items of int64)")


def test_lists_of_one_shape_stay_grids(tmp_path):
    rows = [{"a": [1, 2], "b": [True, False], "c": [[1.5], [2]]}, {"a": [3, 4], "b": [True, True], "c": [[0], [1]]}]
    found = given.read(lines(tmp_path / "t.jsonl", rows))
    assert {k: (v.shape, v.dtype.kind) for k, v in found.items()} == {"a": ((2, 2), "i"), "b": ((2, 2), "b"),
                                                                    "c": ((2, 2, 1), "f")}


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_items_are_saved_as_lists(ragged, tmp_path, ending, monkeypatch):
    ragged.save(tmp_path / f"again.{ending}")
    again = given.read(tmp_path / f"again.{ending}")
    assert all(lists(again[name]) == lists(ragged[name]) for name in ("y", "tags", "n", "frames"))
    assert [v.dtype for v in again["n"]] == [v.dtype for v in ragged["n"]]
    monkeypatch.setattr("given.sources.stream._SMALL", 0)  # from disk, a row at a time
    rows = list(given.read(tmp_path / f"again.{ending}").batches(1))
    assert [lists(row["tags"])[0] for row in rows] == [row["tags"] for row in ROWS]


def test_a_line_without_a_list_is_a_missing_item(tmp_path):
    found = given.read(lines(tmp_path / "t.jsonl", [{"y": [1, 2]}, {"y": None}, {"y": [3, 4]}]))
    assert lists(found["y"]) == [[1, 2], None, [3, 4]]
    found.save(tmp_path / "t.parquet")
    assert lists(given.read(tmp_path / "t.parquet")["y"]) == [[1, 2], None, [3, 4]]
    refused(lambda: given.model("p(y)", found), "y, row 1: is missing; expected a list or an array of values")


@pytest.mark.parametrize("library", [pandas, polars])
def test_frames_with_lists_in_their_cells(library):
    cells = {"y": [[1, 2], [3]], "tag": [["a", "b"], ["c", "d"]], "hole": [[1.5], None]}
    found = given.read(library.DataFrame(cells))
    assert {name: lists(found[name]) for name in ("y", "hole")} == {"y": cells["y"], "hole": cells["hole"]}
    assert found["tag"].tolist() == cells["tag"]
    back = found.to_polars()
    assert back.schema["y"] == polars.List(polars.Int64) and back["hole"].to_list() == cells["hole"]
    assert [list(v) for v in found.to_pandas()["y"]] == cells["y"]


def test_text_in_lists_is_labelled_value_by_value(tmp_path):
    rows = [{"tags": ["x", "y"]}, {"tags": ["y", "x"]}]
    for data in (given.read(lines(tmp_path / "t.jsonl", rows)), {"tags": [row["tags"] for row in rows]}):
        model = given.model("p(tags)", data)
        assert isinstance(model.joint.columns["tags"].codec, Series)
        assert model.joint.columns["tags"].space.size == 2


# Long tables


def long(tmp_path, ending="csv", text=LONG):
    (tmp_path / "t.csv").write_text(text)
    if ending != "csv":
        given.read(tmp_path / "t.csv").save(tmp_path / f"t.{ending}")
    return tmp_path / f"t.{ending}"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "npz"])
def test_rows_of_a_long_table_become_items(tmp_path, ending):
    found = given.read(long(tmp_path, ending), by="shop", time="date")
    assert found["shop"].tolist() == ["b", "a"] and found["size"].tolist() == [9, 7]
    assert lists(found["y"]) == [[1, None, 3], [1, 2]] and lists(found["promo"]) == [[0, 1, 1], [0, 0]]
    assert "date" not in found and "2 items by shop, date: every day, from 2020-01-01 on" in found.described()


def test_frames_mappings_and_sources_are_gathered_alike(tmp_path):
    path = long(tmp_path)
    wanted = lists(given.read(path, by="shop", time="date")["y"])
    for data in (pandas.read_csv(path), polars.read_csv(path), dict(given.read(path)), given.read(path)):
        assert lists(given.read(data, by="shop", time="date")["y"]) == wanted


def test_one_series_is_one_item(tmp_path):
    found = given.read(long(tmp_path, text="t,y,unit\n3,1,m\n1,2,m\n2,5,m\n"), time="t")
    assert found.n == 1 and lists(found["y"]) == [[2, 5, 1]] and found["unit"].tolist() == ["m"] and "t" not in found


TIMES = {"month": ("2020-01-31 2020-02-29 2020-03-31", "every month"), "quarter": ("2020-01-01 2020-04-01 2020-07-01",
         "every 3 months"), "year": ("1990 1992 1994", "every 2"), "hour": ("01:00 02:00 03:00", "every 3600 seconds"),
         "real": ("0.1 0.2 0.3", "every 0.1"), "word": ("Jan-2020 Feb-2020 Mar-2020", "every month")}


@pytest.mark.parametrize("times", TIMES)
def test_times_that_are_evenly_spaced_need_no_column(tmp_path, times):
    cells, note = TIMES[times]
    found = given.read(long(tmp_path, text="t,y\n" + "".join(f"{t},{i}\n" for i, t in enumerate(cells.split()))), time="t")
    assert found.names == ("y",) and f"t: {note}" in found.described() and lists(found["y"]) == [[0, 1, 2]]


def test_times_of_their_own_are_a_column_of_items(tmp_path):
    path = long(tmp_path, text="t,y\n2020-01-01,1\n2020-01-02,2\n2020-01-05,4\n")
    found = given.read(path, time="t")
    assert lists(found["t"]) == [["2020-01-01", "2020-01-02", "2020-01-05"]]
    assert repr(given.model("p(y | t)", found).joint.columns["t"].codec).startswith("Series(Time(")


def test_items_that_begin_at_different_times_keep_the_first(tmp_path):
    path = long(tmp_path, text="k,t,y\na,1,1\na,2,2\nb,5,3\nb,6,4\n")
    assert given.read(path, by="k", time="t")["t"].tolist() == [1, 5]


def test_items_are_written_as_a_long_table(tmp_path):
    found = given.read(y=[[1, 2], [3]], tag=[["a", "b"], ["c"]], shop=["u", "v"])
    found.save(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "item,index,y,tag,shop\n0,0,1,a,u\n0,1,2,b,u\n1,0,3,c,v\n"
    again = given.read(tmp_path / "t.csv", by="item", time="index")
    assert lists(again["y"]) == lists(found["y"]) and again["shop"].tolist() == ["u", "v"]
    draws = given.Columns({"y": np.arange(6.0).reshape(2, 1, 3)}, axes=2).long()
    assert draws.names == ("item", "index", "draw", "row", "y") and draws["draw"].tolist() == [0] * 3 + [1] * 3


@cases(
    by=(lambda p: given.read(long(p), by="store"), "t.csv: by='store': no such column; there are shop, date"),
    time=(lambda p: given.read(long(p), by="shop", time="when"), "time='when': no such column"),
    both=(lambda p: given.read(long(p), by="shop", time="shop"), "by='shop': is time= too"),
    tie=(lambda p: given.read(long(p, text="k,t,y\na,1,1\nb,1,2\na,1,3\n"), by="k", time="t"),
         "t.csv: t, row 2: 1 of k a stands in row 0 too; expected one row a time"),
    no_by=(lambda p: given.read(long(p), time="date"), "name the item by by="),
    no_time=(lambda p: given.read(long(p, text="k,t,y\na,1,1\na,,2\n"), by="k", time="t"), "t, row 1: is missing"),
    no_item=(lambda p: given.read(long(p, text="k,t,y\na,1,1\n,2,2\n"), by="k", time="t"), "k, row 1: is missing"),
    words=(lambda p: given.read(long(p, text="k,t,y\na,soon,1\na,late,2\n"), by="k", time="t"),
           "t, row 0: got 'soon'; expected a number, a date or a time"),
    doubt=(lambda p: given.read(long(p, text="t,y\n1/2/2020,1\n2/2/2020,2\n"), time="t"), "say which by dayfirst="),
    alone=(lambda p: given.read(long(p, text="k,t,y\na,1,1\nb,2,2\n"), by="k", time="t"), "no column differs within"),
    lists=(lambda p: given.read({"k": [1, 2], "y": [[1], [2, 3]]}, by="k"), "y: holds lists, so a row is an item already"),
    text=(lambda p: given.read("shakespeare", by="play"), "by='play'; expected file, line or paragraph"),
    images=(lambda p: given.read("digits", by="label", time="x"), "digits is a sample and takes no options"),
    npz=(lambda p: given.read(y=[[1], [2, 3]]).save(p / "t.npz"), "y: its items are of different lengths"),
    table=(lambda p: given.read(y=[[1], [2, 3]], z=[[1], [2]]).save(p / "t.csv"), "z, row 1: has 1 values where y has 2"),
    grids=(lambda p: given.read("digits").save(p / "t.csv"), "image: its values are grids"),
)
def test_bad_input(bad, said, tmp_path):
    refused(lambda: bad(tmp_path), said)
