"""Series from other people's files: which rows are held out, which column is the time, gaps, calendars, what is to come."""

from xml.etree import ElementTree

import numpy as np
import pytest

import given
from given.app.cli import main
from given.families import LinearAutoregressive, SeasonalNaive
from given.variables import UserError

RNG = np.random.default_rng(0)
WAVE = 10 + 3 * np.sin(np.arange(144) * 2 * np.pi / 12) + 0.3 * RNG.normal(size=144)


@pytest.mark.parametrize(("items", "what"), [([WAVE], "the last 10% of the item"),
                                             ([WAVE, WAVE[:50]], "the last 10% of each of 2 items")], ids=["one", "two"])
def test_of_few_series_the_ends_are_held_out(items, what):
    data = given.read(y=items)
    model = given.model("p(y)", data, families={"y": LinearAutoregressive})
    model.fit(data, progress=False)
    train, held = model.split(data)
    assert [len(item) for item in train["y"]] == [130, 45][:len(items)] and held["y"][0].tolist() == WAVE[130:].tolist()
    assert f"{what}, this model" in model.facts["scores"]


def test_of_many_series_whole_ones_are_held_out():
    data = given.read(y=[WAVE[:20 + i] for i in range(20)])
    model = given.model("p(y)", data, families={"y": SeasonalNaive})
    model.fit(data, progress=False)
    assert {len(item) for item in model.split(data)[1]["y"]} <= set(range(20, 40))


@pytest.mark.parametrize("values", [np.r_[np.full(30, 2.5), WAVE.round(0)], np.r_[WAVE[:40], np.nan, WAVE[41:]],
                                    np.arange(40) % 4], ids=["recurring", "missing", "few"])
def test_linear_families_read_the_numbers_of_a_series(values):
    """What recurs is no atom to them, and what is missing unknown."""
    data = given.read(y=[values])
    model = given.model("p(y)", data, families={"y": "SeasonalNaive"})
    model.fit(data, held_out=0, progress=False)
    assert not model.joint.columns["y"].space.atoms and "y: on a line without atoms" in " ".join(model.notes)


HOURS = np.arange("2024-01-01T00", "2024-01-15T00", dtype="M8[h]").astype("M8[s]")
DAILY = 20 * np.sin(np.arange(336) * np.pi / 12)
LOAD = {"date": HOURS, "load": 100 + DAILY + RNG.normal(size=336), "wind": RNG.normal(size=336)}
DAYS = np.arange("2023-01-01", "2023-03-02", dtype="M8[D]")
SALES = {"unique_id": np.repeat(["a", "b"], [40, 60]), "ds": np.r_[DAYS[:40], DAYS], "y": RNG.normal(size=100),
         "region": np.repeat(["north", "south"], [40, 60])}


def saved(tmp_path, columns, name="t.csv"):
    given.read(columns).save(tmp_path / name)
    return str(tmp_path / name)


@pytest.mark.parametrize(("columns", "items", "note"), [
    (LOAD, 1, "date: every hour, from 2024-01-01T00:00:00 on"), (SALES, 2, "ds: every day, from 2023-01-01 on"),
    ({"date": np.arange(20240101, 20240132), "y": RNG.normal(size=31)}, 1, "date: every day"),
    ({"year": np.repeat(np.arange(1990, 2000), 4), "quarter": np.tile([1, 2, 3, 4], 10), "gdp": RNG.normal(size=40)}, 1,
     "date: every 3 months, from 1990-01-01"),
    ({"time": np.round(1949 + np.arange(48) / 12, 3), "y": RNG.normal(size=48)}, 1, "time: every 0.0833"),
], ids=["wide", "long", "numbers", "parts", "decimal years"])
def test_the_time_column_of_series_is_recognised(tmp_path, capsys, columns, items, note):
    data = given.read(columns, time=True)
    assert data.n == items and note in data.described()
    assert main(["fit", saved(tmp_path, columns), "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert note.split(",")[0].replace("T00:00:00", "") in captured.err and "--rows learns rows instead" in captured.err
    assert main(["fit", str(tmp_path / "t.csv"), "--rows", "--dry-run"]) == 0
    assert "Series" not in capsys.readouterr().out


@pytest.mark.parametrize("columns", [
    {"date": RNG.choice(DAYS, 60), "age": RNG.integers(18, 80, 60)},
    {"date": DAYS[np.sort(RNG.permutation(60)[:35])], "y": LOAD["wind"][:35]},
    {"year": np.tile(np.arange(2000, 2010), 4), "firm": np.repeat(list("abcd"), 10), "profit": RNG.normal(size=40)},
    {"date": DAYS[:20], "y": RNG.normal(size=20)},
    {"date": DAYS, "note": [f"on day {i}" for i in range(60)], "y": LOAD["wind"][:60]},
    {"time": RNG.permutation(60), "y": RNG.normal(size=60)},
], ids=["customers", "irregular", "short panels", "few", "texts", "shuffled numbers"])
def test_a_table_with_dates_that_is_no_series_stays_a_table(columns):
    assert given.read(columns, time=True).names == tuple(columns)


def test_a_model_of_series_reads_new_tables_alike(tmp_path):
    model = given.model("p(y)", given.read(SALES, by="unique_id", time="ds"), families={"y": LinearAutoregressive})
    model.fit(SALES, held_out=0, progress=False)
    assert len(model.score(given.read(saved(tmp_path, SALES))).items) == 2
    constant = {**SALES, "y": np.ones(100)}
    assert len(model.score(constant).items) == 2


def test_missing_times_become_holes_and_weekdays_go_on():
    kept = np.delete(np.arange(60), [7, 30, 31])
    found = given.read({"date": DAYS[kept], "y": LOAD["wind"][kept]}, time="date")
    assert np.flatnonzero(np.isnan(found["y"][0])).tolist() == [7, 30, 31] and "3 times are missing, and" in found.about
    market = DAYS[np.is_busday(DAYS)]
    found = given.read({"date": np.delete(market, 5), "y": LOAD["wind"][:len(market) - 1]}, time="date")
    assert len(found["y"][0]) == len(market) - 1 and "every weekday" in found.about and "but for 1" in found.about
    after = found.clock.after(0, len(market) - 1, 3)
    assert np.is_busday(after).all() and after[0] == np.busday_offset(market[-1], 1)


def test_rows_out_of_order_are_sorted_and_said():
    found = given.read({"date": DAYS[::-1], "y": np.arange(60.0)}, time="date")
    assert found["y"][0][0] == 59 and "rows were not in its order, and are sorted by it" in found.about


@pytest.mark.parametrize(("times", "words"), [
    (np.r_[DAYS[:40], DAYS[3:4]], "2023-01-04 stands in row 3 too; expected one row a time"),
    (["2024-01-01 00:00", "2024-01-01 01:00+01:00"], r"row 1: got '2024-01-01 01:00\+01:00'.*in one way, and a zone"),
], ids=["twice", "zones"])
def test_bad_times(times, words):
    with pytest.raises(UserError, match=words):
        given.read({"date": times, "y": np.arange(float(len(times)))}, time="date")


def test_why_a_table_is_nearly_a_series_is_said(tmp_path, capsys):
    months = np.arange("2020-01", "2023-01", dtype="M8[M]").astype("M8[D]")
    changing = np.r_[months, DAYS]
    found = given.read({"t": changing, "y": np.arange(96.0)}, time="t")
    assert "no one step (every month up to 2023-01-01, every day from 2023-01-02 on)" in found.about
    for dates, words in ((changing, "its step changes"), (np.r_[DAYS, DAYS[3:4]], "2023-01-04 stands in rows 3 and 60")):
        assert main(["fit", saved(tmp_path, {"day": dates, "y": RNG.normal(size=len(dates))}), "--dry-run"]) == 0
        assert words in capsys.readouterr().err


def check_calendar():
    """What a calendar says goes on past the end, with the days of the week by name."""
    found = given.read(LOAD, time="date").with_calendar(["hour", "weekday", "month"])
    assert found["hour"][0][:3].tolist() == [0, 1, 2] and found["weekday"][0][[0, 24]].tolist() == ["Mon", "Tue"]
    assert found.clock.calendar("weekday", 0, 338)[-1] == "Mon" and found["month"][0][0] == 1


def test_a_calendar_is_derived():
    check_calendar()


@pytest.fixture(scope="module")
def by_hour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("load")
    data = saved(folder, LOAD)
    assert main(["fit", data, "load | hour", "--family", "load=LinearAutoregressive", "-o", str(folder / "m.given")]) == 0
    return folder


def test_a_calendar_in_a_formula_goes_on_in_a_forecast(by_hour, capsys):
    assert main(["forecast", str(by_hour / "m.given"), str(by_hour / "t.csv"), "--horizon", "24", "--mean"]) == 0
    rows = capsys.readouterr().out.splitlines()
    mean = np.array([float(row.split(",")[-1]) for row in rows[1:]])
    assert rows[1].startswith("0,2024-01-15T00:00:00,") and np.abs(mean - 100 - DAILY[:24]).max() < 3


@pytest.mark.parametrize("horizon", ["0", "-3", "2.5"])
def test_a_horizon_is_a_whole_number_from_one(by_hour, capsys, horizon):
    with pytest.raises(SystemExit):
        main(["forecast", str(by_hour / "m.given"), str(by_hour / "t.csv"), f"--horizon={horizon}"])
    assert "expected a whole number from 1" in capsys.readouterr().err


def test_rows_to_come_are_found_by_item_and_begin_where_series_end(tmp_path):
    promo = RNG.integers(0, 2, 100)
    long = {"shop": SALES["unique_id"], "day": SALES["ds"], "promo": promo, "y": 5.0 * promo + 20 * (SALES["unique_id"] == "b")}
    model = given.model("p(y | promo, shop)", given.read(long, by="shop", time="day"), families={"y": LinearAutoregressive})
    model.fit(long, held_out=0, progress=False)
    to_come = {"shop": np.repeat(["b", "a"], 2), "day": np.r_[DAYS[-1] + np.arange(1, 3), DAYS[40:42]], "promo": [1, 1, 0, 0]}
    paths = model.forecast(long, 2, n=20, future=saved(tmp_path, to_come)).paths["y"].mean(0)
    np.testing.assert_allclose(paths, [[0, 0], [25, 25]], atol=2)
    for change, words in (({"day": to_come["day"] + 1}, "begins at .* for shop a; expected 2023-02-10"),
                          ({"shop": np.repeat(["b", "c"], 2)}, "no rows of shop a")):
        with pytest.raises(UserError, match=words):
            model.forecast(long, 2, future=saved(tmp_path, {**to_come, **change}))
    with pytest.raises(UserError, match=r"promo.*ends early: 2 values"):
        model.forecast(long, 3, future=saved(tmp_path, to_come))


def test_series_with_holes_are_gone_on_from():
    kept = np.delete(np.arange(144), [20, 21, 140])
    month = np.arange("2010-01", "2022-01", dtype="M8[M]").astype("M8[D]")
    data = {"month": month[kept], "y": WAVE[kept]}
    model = given.model(data=data)
    assert str(model) == "p(y)" and type(model.joint.factors[0]).__name__ == "LinearAutoregressive"
    linear = given.model("p(y)", given.read(data, time="month"), families={"y": SeasonalNaive})
    assert int(linear.joint.factors[0].get_buffer("season")) == 12
    linear.fit(data, held_out=0, progress=False)
    found = linear.forecast(data, 2, n=5)
    assert ElementTree.fromstring(found.chart()).tag == "{http://www.w3.org/2000/svg}svg"
    assert found.paths["y"].shape == (5, 1, 2) and not found.notes


def test_constant_channels_are_learned():
    data = given.read(y=[np.ones(40)], z=[WAVE[:40]])
    model = given.model("p(y, z)", data, families={"y, z": LinearAutoregressive})
    model.fit(data, progress=False)
    np.testing.assert_allclose(model.forecast(data, 3, n=4).paths["y"], 1, atol=0.01)


def test_words_are_drawn_with_the_rest_and_left_out_of_a_summary():
    data = given.read(weather=[["sun", "rain", "fog"] * 12])
    model = given.model("p(weather)", data, families={"weather": "Independent"})
    model.fit(data, held_out=0, progress=False)
    found = model.forecast(data, 2, n=3)
    assert set(found.table()["weather"]) <= {"sun", "rain", "fog"} and list(found.summary(interval=0.9)) == ["item", "step"]


def test_when_items_begin_is_no_column_of_a_model():
    late = {**SALES, "ds": np.r_[DAYS[5:45], DAYS]}
    assert str(given.model(data=given.read(late, time=True))) == "p(region) p(y | region)"
