"""Data as other people keep it: row names, frames' types, numbers and times as they are written, text of any kind."""

import ast
import datetime
import decimal
from functools import partial
from pathlib import Path

import numpy as np
import pandas
import polars
import pytest

import given
from given.codecs import Integer, Label, Number, Text, Time, infer_table
from given.families import Categorical, NGram
from given.sources import Columns

RNG = np.random.default_rng(0)
N = 60
HANZI = "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去行过家"


def table(tmp_path, text, name="t.csv", **options):
    (tmp_path / name).write_text(text)
    return given.read(str(tmp_path / name), **options)


def words(n, length, letters="abcdefghij"):
    return ["".join(RNG.choice(list(letters), length)) for _ in range(n)]


# Row names


def test_a_first_column_without_a_name_is_an_index(tmp_path):
    data = table(tmp_path, ",a,b\n0,1.5,x\n1,2.5,y\n2,3.5,x\n3,1.0,y\n")
    assert data.names == ("index", "a", "b") and "the first column has no name and is called index" in data.described()
    codecs, notes = infer_table(data)
    assert list(codecs) == ["a", "b"] and notes[0] == "index: left out: it numbers the rows"
    assert table(tmp_path, ",index,b\n0,1,x\n1,2,y\n").names == ("index_", "index", "b")
    with pytest.raises(given.UserError, match="column 2 has no name; give every column one"):
        table(tmp_path, "a,,b\n1,2,3\n")


def test_row_names_as_r_writes_them(tmp_path):
    """A header without a cell for them, in quotes, between blanks."""
    data = table(tmp_path, '"mpg" "cyl"\n"Mazda RX4" 21 6\n"Datsun 710" 22.8 4\n"Valiant" 18.1 6\n', delimiter=" ")
    assert data.names == ("index", "mpg", "cyl") and data["index"].tolist() == ["Mazda RX4", "Datsun 710", "Valiant"]
    assert "left out" in infer_table(data)[1][0]


def test_an_index_that_repeats_is_a_column(tmp_path):
    data = table(tmp_path, ",a\n" + "".join(f"{i % 3},{i}.5\n" for i in range(30)))
    assert list(infer_table(data)[0]) == ["index", "a"]


def test_the_index_of_a_frame(tmp_path):
    frame = pandas.DataFrame({"a": RNG.normal(size=4), "b": list("xyxy")}, index=[3, 9, 4, 7])
    frame.to_parquet(tmp_path / "t.parquet")
    data = given.read(str(tmp_path / "t.parquet"))
    assert data["index"].tolist() == [3, 9, 4, 7] and list(infer_table(data)[0]) == ["a", "b"]
    assert given.read(frame).names == ("a", "b")  # which rows were kept
    dated = frame.set_index(pandas.date_range("2024-01-01", periods=4, name="day"))
    assert given.read(dated).names == ("day", "a", "b") and isinstance(infer_table(given.read(dated))[0]["day"], Time)
    assert given.read(frame.set_index("b"), ).names == ("b", "a")


def test_years_are_no_row_numbers(tmp_path):
    data = table(tmp_path, "year,no,x\n" + "".join(f"{1950 + i},{i},{i}.5\n" for i in range(N)))
    assert list(infer_table(data)[0]) == ["year", "x"]


def test_codes_among_numbers_are_categories(tmp_path):
    """Stations 1 to 25, and c1: no slip of the pen, as a question mark is."""
    cells = [f"c{i % 2}" if i % 30 == 0 else str(i % 25) for i in range(300)]
    data = table(tmp_path, "a,x\n" + "".join(f"{cell},{i}.5\n" for i, cell in enumerate(cells)))
    assert isinstance(infer_table(data)[0]["a"], Label)


# Frames


DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(days=7 * i) for i in range(N)]
TYPES = {
    "date": (pandas.Series(DAYS), Time), "few dates": (pandas.Series([DAYS[i % 3] for i in range(N)]), Time),
    "decimal": (pandas.Series([decimal.Decimal(i) / 8 for i in range(N)]), Number),
    "few decimals": (pandas.Series([decimal.Decimal(i % 2) / 4 for i in range(N)]), Label),
    "decimal with holes": (pandas.Series([None if i % 9 == 0 else decimal.Decimal(i) / 8 for i in range(N)]), Number),
    "zone": (pandas.Series(pandas.date_range("2020-01-01", periods=N, freq="7h", tz="Europe/Rome")), Time),
    "period": (pandas.Series(pandas.period_range("2020-01", periods=N, freq="M")), Time),
    "duration": (pandas.Series(pandas.to_timedelta(RNG.integers(1, 10**6, N), unit="s")), Number),
    "time of day": (pandas.Series([datetime.time(i % 24, i) for i in range(N)]), Time),
    "few times": (pandas.Series([datetime.time(i % 2, 30) for i in range(N)]), Time),
    "nullable": (pandas.Series([pandas.NA if i % 7 == 0 else i * i for i in range(N)], dtype="Int64"), Number),
    "boolean": (pandas.Series([pandas.NA if i % 7 == 0 else i % 2 == 0 for i in range(N)], dtype="boolean"), Label),
    "float32": (pandas.Series(RNG.normal(size=N).astype("float32")), Number),
    "int8": (pandas.Series(np.arange(N) % 50 * 2, dtype="int8"), Number),
    "string": (pandas.Series([None if i % 9 == 0 else "ab"[i % 2] for i in range(N)], dtype="string"), Label),
    "ordered": (pandas.Series(pandas.Categorical(list("abc" * (N // 3)), list("cxab"), ordered=True)), Label),
    "numbered": (pandas.Series(pandas.Categorical([3, 1, 2] * (N // 3), [1, 2, 3, 4])), Label),
    "wilson_interval": (pandas.Series(pandas.cut(RNG.normal(size=N), 3)), Label),
    "moments": (pandas.Series(pandas.date_range("2020-01-01", periods=N, freq="D")), Time),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_frame_in_and_the_same_types_out(name, tmp_path):
    values, codec = TYPES[name]
    frame = pandas.DataFrame({"a": values, "x": RNG.normal(size=N)})
    data = given.read(frame)
    assert isinstance(infer_table(data)[0]["a"], codec)
    model = given.model("p(a)", data)
    model.fit(data, steps=3, progress=False)
    model.save(tmp_path / "m")
    drawn = given.load(tmp_path / "m").sample(30, seed=0).to_pandas()["a"]
    if name != "wilson_interval":
        back = data.to_pandas()["a"]
        assert back.dtype == values.dtype == drawn.dtype
        assert (back.isna() == values.isna()).all() and back.dropna().tolist() == values.dropna().tolist()
        kinds = {type(v) for v in drawn.dropna()}
        assert kinds == {type(v) for v in values.dropna()}


def test_polars_types_come_back():
    frame = polars.DataFrame({
        "i": polars.Series([1, None, 3] * 9, dtype=polars.Int16), "b": [True, None, False] * 9, "d": DAYS[:27],
        "e": polars.Series(["a", "b", "a"] * 9, dtype=polars.Enum(["b", "c", "a"])),
        "z": polars.Series([datetime.datetime(2024, 1, 1 + i) for i in range(27)]).dt.replace_time_zone("Asia/Tokyo"),
        "t": [datetime.time(i % 24, 30) for i in range(27)], "f": polars.Series(RNG.normal(size=27), dtype=polars.Float32),
        "s": [datetime.timedelta(seconds=i * i) for i in range(27)], "l": [decimal.Decimal(i) / 4 for i in range(27)]})
    data = given.read(frame)
    assert infer_table(data)[0].keys() == set(frame.columns)
    back = data.to_polars()
    assert {n: t for n, t in back.schema.items() if n not in "l"} == {n: t for n, t in frame.schema.items() if n not in "l"}
    assert back.drop("l").equals(frame.drop("l")) and back["l"].to_list() == frame["l"].to_list()


def test_a_draw_that_its_type_cannot_hold_keeps_its_own():
    """300 is no whole number of 8 bits, and "(other)" no category that was declared."""
    columns = Columns({"a": [1, 300], "c": ["x", "(other)"]}, dtypes={"a": "int8", "c": {"categories": ["x"], "ordered": True}})
    frame = columns.to_pandas()
    assert frame["a"].tolist() == [1, 300] and frame["c"].tolist() == ["x", "(other)"]


def test_python_values_by_keyword():
    """The same values in lists, and as what is observed."""
    days = [datetime.date(2020, 1, 1 + i % 9) for i in range(27)]
    data = given.read(day=days, price=[decimal.Decimal(i) / 4 for i in range(27)])
    assert data["day"].dtype == "M8[D]" and data["price"].dtype == np.float64
    rome = pandas.Timestamp("2020-01-01 01:00", tz="Europe/Rome")
    assert given.read(t=[rome.to_pydatetime()])["t"].tolist() == [datetime.datetime(2020, 1, 1)]
    with pytest.raises(given.UserError, match="t: some times have a zone and some have none"):
        given.read(t=[rome.to_pydatetime(), datetime.datetime(2020, 1, 1)])


def test_times_in_parquet(tmp_path):
    """Of any resolution, with and without a zone; durations in seconds, decimals as numbers."""
    frame = pandas.DataFrame({"t": pandas.date_range("2024-01-01", periods=N, freq="h").as_unit("ns"),
                              "z": pandas.date_range("2024-01-01", periods=N, freq="h", tz="Asia/Tokyo"),
                              "d": pandas.to_timedelta(np.arange(N) ** 2, unit="s"),
                              "l": [decimal.Decimal(i) / 4 for i in range(N)]})
    frame.to_parquet(tmp_path / "t.parquet")
    data = given.read(str(tmp_path / "t.parquet"))
    kinds = {name: type(codec) for name, codec in infer_table(data)[0].items()}
    assert kinds == {"t": Time, "z": Time, "d": Number, "l": Number} and data["d"][3] == 9
    assert data.to_pandas()["z"].tolist() == frame["z"].tolist()


# Numbers and times as people write them


WRITTEN = {
    "thousands": (lambda i: f'"{1000 + 37 * i:,}"', lambda i: 1000 + 37 * i, np.int64),
    "thousands and tenths": (lambda i: f'"{1000.5 + 37 * i:,}"', lambda i: 1000.5 + 37 * i, np.float64),
    "money": (lambda i: f"${3.5 * i:.2f}", lambda i: 3.5 * i, np.float64),
    "losses": (lambda i: f'"(${i})"' if i % 2 else f'"${1000 * i:,}"', lambda i: -i if i % 2 else 1000 * i, np.int64),
    "per cent": (lambda i: f"{i}%", lambda i: i, np.int64),
    "euros": (lambda i: f'"{i}.000,50 €"' if i else '"0,50 €"', lambda i: 1000 * i + 0.5, np.float64),
    "spaces": (lambda i: f"{i + 1}\u202f{'000'}", lambda i: 1000 * (i + 1), np.int64),
    "with holes": (lambda i: "" if i % 7 == 0 else f"{i}%", lambda i: np.nan if i % 7 == 0 else i, np.float64),
    "UTC": (lambda i: f"2020-01-{1 + i % 28:02d}T12:{i:02d}:00Z", lambda i: f"2020-01-{1 + i % 28:02d}T12:{i:02d}:00", object),
    "offsets": (lambda i: f"2020-01-01 12:{i:02d}:00+0{1 + i % 2}:00", lambda i: f"2020-01-01T{11 - i % 2}:{i:02d}:00", object),
    "parts": (lambda i: f"2020-01-01T12:00:{i:02d}{'.5' * (i % 2)}Z", lambda i: f"2020-01-01T12:00:{i:02d}.{i % 2 * 5}00000",
              object),
    "day first": (lambda i: f"{1 + i % 28}/2/2020", lambda i: f"2020-02-{1 + i % 28:02d}", object),
    "month first": (lambda i: f"2/{1 + i % 28}/2020 6:30 PM", lambda i: f"2020-02-{1 + i % 28:02d}T18:30", object),
    "points": (lambda i: f"01.0{1 + i % 9}.2020", lambda i: f"2020-0{1 + i % 9}-01", object),
    "names": (lambda i: f"{1 + i % 28} Feb 2020", lambda i: f"2020-02-{1 + i % 28:02d}", object),
    "names first": (lambda i: f'"February {1 + i % 28}, 2020"', lambda i: f"2020-02-{1 + i % 28:02d}", object),
    "clocks": (lambda i: f"{1 + i % 12}:30 PM", lambda i: f"{12 + (1 + i) % 12}:30" if (1 + i) % 12 else "12:30", object),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_cells_are_read_as_they_were_meant(name, tmp_path):
    cell, value, dtype = WRITTEN[name]
    text = "a,x\n" + "".join(f"{cell(i)},{i % 7 + .5}\n" for i in range(N))
    data = table(tmp_path, text)
    wanted = np.array([value(i) for i in range(N)], dtype)
    assert data["a"].dtype == dtype and all(a == b or a != a for a, b in zip(data["a"], wanted, strict=True))
    assert "a: numbers written as" in data.described() or "a: times written as" in data.described()
    codec = infer_table(data)[0]["a"]
    assert isinstance(codec, Time if dtype is object else Number | Label | Integer)
    cells = next(iter(pandas.read_csv(tmp_path / "t.csv", dtype=str, keep_default_na=False).items()))[1]
    assert given.read(pandas.DataFrame({"a": cells}), decimal="." if name != "euros" else ",")["a"].tolist()[1:7] == (
        data["a"].tolist()[1:7])


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_written_numbers_in_other_files(ending, tmp_path):
    """Texts in JSON and Parquet, some missing; beside texts that are codes, and in doubt."""
    frame = pandas.DataFrame({"a": [None if i == 7 else f"${i}.50" for i in range(N)],
                              "d": [f"{1 + i % 28}/2/2020" for i in range(N)],
                              "c": [f"0{i}" for i in range(N)], "e": ["1/2/2020"] * N})
    path = str(tmp_path / f"t.{ending}")
    frame.to_json(path, orient="records", lines=True) if ending == "jsonl" else frame.to_parquet(path)
    data = given.read(path)
    assert data["a"].dtype == np.float64 and data["a"][3] == 3.5 and np.isnan(data["a"][7])
    assert data["d"][3] == "2020-02-04" and data["c"][3] == "03" and "a: numbers written as" in data.described()
    with pytest.raises(given.UserError, match=r"^e: all cells may be written as"):
        given.model(None, data)
    assert given.read(path, dayfirst=True)["e"][0] == "2020-02-01"


def test_decimal_commas_of_a_table(tmp_path):
    """One column leaves no doubt about another; without one a model asks."""
    rows = [f"{i},5;{i + 1},125;{i}" for i in range(N)]
    data = table(tmp_path, "a;b;c\n" + "\n".join(rows) + "\n")
    assert data["a"][3] == 3.5 and data["b"][3] == 4.125 and data["c"].dtype == np.int64
    rows = [f"{i + 1},125;{i}" for i in range(N)]
    doubtful = table(tmp_path, "b;c\n" + "\n".join(rows) + "\n")
    with pytest.raises(given.UserError, match=r"^b: all cells may be written as 1,234.5 and as 1.234,5; say which by decimal="):
        given.model(None, doubtful)
    assert given.model(None, doubtful, codecs={"b": Label()}).joint.columns["b"].space.size == N
    for mark, first in ((",", 1.125), (".", 1125)):
        assert given.read(str(tmp_path / "t.csv"), decimal=mark)["b"][0] == first
    with pytest.raises(given.UserError, match="decimal=';'; expected"):
        given.read(str(tmp_path / "t.csv"), decimal=";")


def test_days_and_months_in_doubt(tmp_path):
    doubtful = table(tmp_path, "d,x\n" + "".join(f"{1 + i % 12}/{1 + i % 7}/2020,{i}.5\n" for i in range(N)))
    with pytest.raises(given.UserError, match=r"^d: all cells may be written as day/month/year and as month/day/year"):
        given.model(None, doubtful)
    assert given.read(str(tmp_path / "t.csv"), dayfirst=False)["d"][1] == "2020-02-02"
    assert given.read(str(tmp_path / "t.csv"), dayfirst=True)["d"][7] == "2020-01-08"
    sure = "d,e\n" + "".join(f"{1 + i % 12}/{1 + i % 7}/2020,2/{1 + i % 28}/2020\n" for i in range(N))
    assert table(tmp_path, sure)["d"][7] == "2020-08-01"


def test_cells_of_several_ways_are_named(tmp_path):
    mixed = table(tmp_path, "a,x\n" + "".join(f"{'$€'[i % 2]}{i}.5,{i}.5\n" for i in range(N)))
    with pytest.raises(given.UserError, match=r"^a: numbers or times written in several ways, such as '\$0.5' and '€1.5'"):
        given.model(None, mixed)
    slip = table(tmp_path, "a,x\n" + "".join(f"{'?' if i == 9 else f'${i}.5'},{i}.5\n" for i in range(N)))
    with pytest.raises(given.UserError, match=r"^a, row 9: got '\?' where 59 of 60 values are numbers or times; mend it"):
        given.model(None, slip)
    both = "a,x\n" + "".join(f"{'?' if i == 9 else f'${i}.5'},{'-inf' if i == 7 else i}\n" for i in range(N))
    skipped = table(tmp_path, both, skip_bad=True)
    assert skipped.n == N - 2 and skipped["a"][8] == 10.5 and skipped["x"].dtype == float
    assert [line.partition("t.csv, ")[2] for line in skipped.skipped] == [
        "row 7: x: got -inf; expected a finite number", "row 9: a: got '?' where 59 of 60 values are numbers or times"]
    assert str(given.model(None, skipped)) == "p(a, x)" and f"{N - 2} rows" in skipped.described()


def test_codes_are_no_numbers(tmp_path):
    """Leading zeros, parts between points, phone numbers, letters."""
    cells = {"zip": lambda i: f"0{2000 + i % 5}", "version": lambda i: f"1.{i % 5}.0", "phone": lambda i: f"555-010{i % 5}"}
    data = table(tmp_path, ",".join(cells) + "\n" + "".join(",".join(c(i) for c in cells.values()) + "\n" for i in range(N)))
    assert data["zip"][1] == "02001" and data["version"][1] == "1.1.0" and data["phone"][1] == "555-0101"


# Text


def test_a_source_of_text_is_text(tmp_path):
    """Whatever its lines look like: short, repeated, without blanks, like numbers or dates."""
    lines = {"names": words(300, 5), "repeated": ["anna", "bo"] * 40, "numbers": [f"{i}" for i in range(40)],
             "dates": ["2020-01-01"] * 30, "hanzi": words(40, 8, HANZI)}
    for name, rows in lines.items():
        data = table(tmp_path, "\n".join(rows) + "\n", f"{name}.txt", by="line")
        for some in (data, data.split(0.8)[0], data.rows(slice(30)), given.read(data)):
            for formula in (None, "p(text)"):
                assert isinstance(given.model(formula, some).joint.columns["text"].codec, Text), name
    (tmp_path / "zh").mkdir()
    for i in range(30):
        (tmp_path / "zh" / f"{i}.txt").write_text("".join(words(1, 30, HANZI)))
    assert isinstance(given.model(None, given.read(str(tmp_path / "zh"))).joint.columns["text"].codec, Text)


def test_texts_in_a_table(tmp_path):
    """Long and different ones are text in any writing; few that repeat are categories; codes and addresses name rows."""
    columns = {"zh": words(N, 12, HANZI), "protein": words(N, 30, "ACDEFGHIKLMNPQRSTVWY"), "smiles": words(N, 25, "CNO()=#1"),
               "kind": ["alpha", "beta", "gamma"] * (N // 3), "code": [f"{i:032x}" for i in RNG.permutation(10**6)[:N]],
               "url": [f"https://example.org/page/{w}" for w in words(N, 6)], "path": [f"/srv/data/{w}/x" for w in words(N, 9)]}
    rows = zip(*columns.values(), strict=True)
    data = table(tmp_path, "\n".join(map(",".join, [tuple(columns), *rows])) + "\n")
    codecs, notes = infer_table(data)
    assert {name: type(codec) for name, codec in codecs.items()} == {"zh": Text, "protein": Text, "smiles": Text, "kind": Label}
    assert [note.partition(":")[0] for note in notes if "left out" in note] == ["code", "url", "path"]
    names = given.read(name=words(200, 5))
    assert isinstance(given.model("p(name)", names).joint.columns["name"].codec, Text)


def test_texts_keep_zero_bytes_at_their_end():
    model = given.model("p(text)", given.read(text=["ab", "abc", "b"] * 20), codecs={"text": Text(unit="bytes")},
                        families={"text": partial(NGram, order=3)})
    model.fit(given.read(text=["ab", "abc", "b"] * 20))
    ends = ["ab\0", "b", "\0\0"]
    assert Columns({"text": ends})["text"].tolist() == ends
    assert len(set(model.log_prob(text=["a", "a\0", "a\0\0"]).tolist())) == 3
    assert model.decompress(model.compress(text=ends).content)["text"].tolist() == ends
    assert given.prefix("a\0").values.item() == "a\0"
    label = Label()
    label.learn(np.array(["a\0", "a"], dtype=object))
    assert label.decode(label.encode(np.array(["a\0"], dtype=object))).tolist() == ["a\0"]


# Whole numbers, names


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, object])
def test_large_whole_numbers(dtype):
    """Those that repeat are categories; those that all differ name their rows."""
    first = 2**63 if dtype is np.uint64 else 2**60
    few, many = first + np.arange(N, dtype=np.uint64) % 3, first + 7919 * np.arange(N, dtype=np.uint64)
    data = given.read(account=few.astype(dtype), device=many.astype(dtype), x=RNG.normal(size=N))
    codecs, notes = infer_table(data)
    assert list(codecs) == ["account", "x"] and notes[1].startswith("device: left out: every value is different")
    model = given.model("p(account)", data, families={"account": Categorical})
    model.fit(data, steps=2, progress=False)
    assert set(model.sample(20, seed=0)["account"].tolist()) <= set(few.tolist())


def test_a_keyword_finds_its_column_however_python_spells_it():
    """Python takes the micro sign for the Greek letter; an exact name comes first."""
    data = given.read({"\u00b5g": RNG.normal(size=N), "g": RNG.choice(["a", "b"], N)})
    model = given.model("p(g) p(\u00b5g | g)", data)
    model.fit(data)
    assert model.given(**{"\u03bcg": 0.5}).probabilities("g").names == ("a", "b")
    assert model.score(**{"\u03bcg": [0.5], "g": ["a"]}).items.shape == (1,)
    assert model.given(g="a").log_prob(**{"\u03bcg": 0.5}).shape == (1,)
    both = given.read({"\u00b5": [1, 2] * 30, "\u03bc": [3, 4] * 30})
    model = given.model("p(\u00b5) p(\u03bc)", both)
    model.fit(both)
    assert model.sample(1, seed=0, **{"\u03bc": 4})["\u03bc"].tolist() == [4]


def test_sources_import_one_another_in_no_circle():
    """Inside functions too."""
    here = Path(given.__file__).parent / "sources"
    needs = {path.stem: {node.module.split(".")[2] for node in ast.walk(ast.parse(path.read_text()))
                         if isinstance(node, ast.ImportFrom) and str(node.module).startswith("given.sources.")}
             for path in here.glob("*.py") if path.stem != "__init__"}
    while free := [name for name, needed in needs.items() if not needed & needs.keys()]:
        for name in free:
            del needs[name]
    assert not needs, f"a circle among {sorted(needs)}"
