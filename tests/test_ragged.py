"""Ragged: columns of items of any length, from arrays, JSON lines, Parquet, frames and long tables, and back."""

import json
from functools import partial

import numpy as np
import pandas
import polars
import pytest
from test_bad_input import cases, refused

import given
from given.app.cli import main
from given.codecs import Number, Series

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
         "every 3 months"), "year": ("1990 1992 1994", "every 2"), "hour": ("01:00 02:00 03:00", "every hour"),
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


# Asked from the shell


@pytest.fixture(scope="module")
def sales(tmp_path_factory):
    """A folder with a long table and a model of it, y given promo."""
    folder, rng = tmp_path_factory.mktemp("sales"), np.random.default_rng(0)
    rows = [f"{shop},{np.datetime64('2020-01-01') + 7 * i},{50 + 5 * (i % 2) + rng.normal():.2f},{i % 2}\n"
            for shop in "abcd" for i in range(rng.integers(8, 20))]
    (folder / "t.csv").write_text("shop,date,y,promo\n" + "".join(rows))
    (folder / "rows.csv").write_text("y,promo\n50,1\n60,0\n")
    assert main(["fit", str(folder / "t.csv"), "y | promo", "--by", "shop", "--time", "date", "--steps", "3",
                 "--held-out", "0", "-o", str(folder / "t.given")]) == 0
    return folder


def shell(capsys, folder, *words):
    capsys.readouterr()
    status = main([str(folder / word) if "." in word and "=" not in word else word for word in words])
    captured = capsys.readouterr()
    return captured.out if status == 0 else captured.err


def test_conditions_in_a_row_are_json_lists(sales, capsys):
    drawn = shell(capsys, sales, "sample", "t.given", "promo=[0, 1, 1]", "-n", "2").splitlines()
    assert drawn[0] == "item,index,y" and len(drawn) == 7
    drawn = shell(capsys, sales, "sample", "t.given", "promo=[0, 1, 1, 0]", "y=[50, 51.5]", "-n", "2", "--json")
    assert [json.loads(line)["y"][:2] for line in drawn.splitlines()] == [[50, 51.5]] * 2
    assert len(shell(capsys, sales, "sample", "t.given", "promo=[0, 1, 1]", "--stream").splitlines()) == 3


def test_series_go_on_as_far_as_what_is_given(sales, capsys):
    rows = [{"y": [50, 51], "promo": [0, 1, 1, 0]}, {"y": None, "promo": [1, 1, 1]}, {"y": [3.25], "promo": [1]}]
    lines(sales / "c.jsonl", rows)
    done = [json.loads(line) for line in shell(capsys, sales, "complete", "t.given", "c.jsonl", "--json").splitlines()]
    assert [len(row["y"]) for row in done] == [4, 3, 1] and done[0]["y"][:2] == [50, 51] and done[2]["y"] == [3.25]
    asked = shell(capsys, sales, "query", "t.given", "y | promo", "c.jsonl").splitlines()
    assert len(asked) == 1 + 4 + 3 + 1
    model = given.load(sales / "t.given")
    many = model.complete({"y": [[50.0]] * 5000, "promo": [[1, 0]] * 4999 + [[1, 0, 1]]})
    assert [len(many["y"][row]) for row in (0, -1)] == [2, 3]


def test_series_that_are_over_come_back_as_they_were(sales, capsys):
    whole = given.read(sales / "t.csv", by="shop", time="date")
    model = given.load(sales / "t.given")
    assert lists(model.complete(whole)["y"]) == lists(whole["y"])
    assert lists(model.given(y=whole["y"], promo=whole["promo"]).sample(columns=["y"])["y"][0]) == lists(whole["y"])
    refused(lambda: model.given(y=[y[:-1] for y in whole["y"]], promo=whole["promo"]).sample(columns=["y"]), "by prefix(...)")
    done = shell(capsys, sales, "complete", "t.given", "t.csv", "--by", "shop", "--time", "date", "--json").splitlines()
    assert [json.loads(line)["y"] for line in done] == lists(whole["y"])


def test_series_go_on_to_a_length():
    data = {"y": [[1.5, 2, 1, 2.5], [2.25, 1.75, 3]]}
    model = given.model("p(y)", data)
    model.facts["fitted"] = True
    assert [list(y[:3]) for y in model.complete(data, length=4)["y"]] == [[1.5, 2, 1], [2.25, 1.75, 3]]
    assert [len(y) for y in model.complete({"y": [[1.0], None]}, length=4)["y"]] == [4, 4]


@pytest.mark.parametrize("codec", [given.codecs.Text(), Series(given.codecs.Label())], ids=["text", "series"])
def test_what_is_drawn_beside_a_hole_is_drawn_again_with_it(codec):
    kinds = ["x", "y", None] * 100
    listed = [[{"x": "a", "y": "b", None: "c"}[kind]] * (2 + i % 2) for i, kind in enumerate(kinds)]
    words = ["".join(each) for each in listed] if isinstance(codec, given.codecs.Text) else listed
    data = {"kind": np.array(kinds, dtype=object), "words": words}
    net = partial(given.families.Autoregressive, net=partial(given.nn.MinGRU, width=16, layers=1))
    model = given.model("p(kind) p(words | kind)", data, codecs={"words": codec}, families={"words": net})
    model.fit(data, steps=150)
    holes = np.full(len(kinds), None)
    done = model.complete({"kind": holes, "words": holes})
    missing = [list(words).count("c") > len(words) / 2 for words in done["words"]]
    assert set(done["kind"]) == {"x", "y"} and sum(missing) < 30, f"{sum(missing)} words are of a kind that is missing"


def test_a_long_table_is_scored_item_by_item(sales, capsys):
    scores = shell(capsys, sales, "score", "t.given", "t.csv", "--by", "shop", "--time", "date").splitlines()
    assert scores[0] == "row,log_prob" and len(scores) == 5


def test_series_are_drawn_given_what_an_item_has_one_of(sales, capsys):
    said = shell(capsys, sales, "fit", "t.csv", "--by", "shop", "--time", "date", "--dry-run")
    assert "p(y, promo)" in said and "series: how columns of values in a row go on together" in said


def test_windows_are_set_from_the_shell(sales, capsys):
    shell(capsys, sales, "fit", "t.csv", "p(y)", "--by", "shop", "--time", "date", "--steps", "2", "--held-out", "0", "--as",
          "y=Series(Number(), window=6)", "-o", "w.given")
    assert len(shell(capsys, sales, "sample", "w.given", "-n", "1", "--length", "50").splitlines()) == 51
    done = shell(capsys, sales, "complete", "w.given", "t.csv", "--by", "shop", "--time", "date", "--length", "25", "--json")
    assert [len(json.loads(line)["y"]) for line in done.splitlines()] == [25] * 4


def test_a_row_goes_on_from_its_own_beginning():
    rng = np.random.default_rng(1)
    data = {"y": [rng.normal(size=n) for n in (9, 12, 3)]}
    model = given.model("p(y)", data, codecs={"y": Series(Number(), window=6, stride=3)})
    model.facts["fitted"] = True
    together = model.complete(data, length=20)["y"]
    alone = [model.given(y=given.prefix(y)).sample(length=20)["y"] for y in data["y"]]
    assert [len(y) for y in together] == [20] * 3
    assert np.allclose(together[0], alone[0][0] if alone[0].ndim > 1 else alone[0], atol=1e-4)


def test_a_series_that_numbers_the_rows_is_left_out(tmp_path):
    text = "no,k,y\n" + "".join(f"{i},{'ab'[i % 2]},{i % 5}\n" for i in range(30))
    model = given.model(data=given.read(long(tmp_path, text=text), by="k"))
    assert list(model.joint.columns) == ["y"]


@pytest.mark.parametrize(("axis", "alike"), [("", False), ("time", True)])
def test_only_axes_of_one_name_have_one_length(axis, alike):
    data = {"a": [[1.0, 2.0], [3.0]] * 5, "time": [[1.0], [2.0, 3.0, 4.0]] * 5}
    model = given.model("p(a) p(time)", data, codecs={"a": Series(Number(), axis="time" if alike else ""),
                                                      "time": Series(Number(), axis=axis)})
    if alike:
        refused(lambda: model.fit(data, steps=1, held_out=0), "time, row 0: has 1 entries along 'time' where a has 2")
    else:
        model.fit(data, steps=1, held_out=0)
        assert model.score(data).items.shape == (10,)


def test_a_series_goes_on_along_its_own_axis_alone():
    """Neither a modelled length nor an axis without a name is another column's."""
    for length in ("given", "modelled"):
        series = partial(Series, Number(), axis="", length=length)
        data = {"y": [[1.0, 2.0, 3.0], [2.0]] * 3, "x": [[1.0, 2.0, 3.0], [4.0, 5.0]] * 3}
        model = given.model("p(y | x)", data, codecs={"y": series(), "x": series()})
        model.facts["fitted"] = True
        assert lists(model.complete(data)["y"]) == data["y"]


@cases(
    word=("sample t.given promo=0,1", "promo: got '0,1'; expected a JSON list of its values"),
    unseen=('sample t.given promo=[0,"x"]', "promo, row 0: unseen category 'x'"),
    length=("sample t.given promo=[0,1] --length 3", "promo: has 2 entries along 'time', got --length 3"),
    flat=("score t.given rows.csv", "y: expected a list or an array of values in every row, got one int64 each"),
    by=("fit t.csv --by store", "t.csv: by='store': no such column"),
)
def test_bad_questions(bad, said, sales, capsys):
    assert said in shell(capsys, sales, *bad.split())


@pytest.mark.parametrize(("y", "promo", "said"), [
    pytest.param([[1.0, 2.0], [1.0]], [[0, 1], [1, 0]], "promo, row 1: has 2 entries along 'time' where y has 1", id="apart"),
    pytest.param([[1.0], []], [[0], [1]], "y, row 1: is empty; expected at least one value", id="empty"),
    pytest.param([[1.0], None], [[0], [1]], "y, row 1: is missing; expected a list", id="missing"),
])
def test_bad_items(y, promo, said, sales):
    refused(lambda: given.load(sales / "t.given").score(y=y, promo=promo), said)


@cases(
    by=(lambda p: given.read(long(p), by="store"), "t.csv: by='store': no such column; there are shop, date"),
    time=(lambda p: given.read(long(p), by="shop", time="when"), "time='when': no such column"),
    both=(lambda p: given.read(long(p), by="shop", time="shop"), "t.csv: shop: is named by by= and by time=; expected"),
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
