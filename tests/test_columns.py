"""What becomes of a table's columns: which codec, atoms and curve, what is left out, and whether the density is honest."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

import given
from given.codecs import Integer, Label, Number, Time, infer, infer_table
from given.families import Autoregressive, Independent
from given.variables import UserError

RNG = np.random.default_rng(0)
N = 400
TABLE = given.read(
    id=np.arange(7000, 7000 + N),
    key=RNG.permutation(100 * N)[:N],
    name=[f"person {i}" for i in range(N)],
    born=np.datetime_as_string(np.datetime64("1950-01-01") + RNG.integers(0, 15000, N)),
    at=[f"{h:02}:{m:02}" for h, m in zip(RNG.integers(0, 24, N), RNG.integers(0, 60, N), strict=True)],
    age=RNG.integers(18, 70, N),
    rooms=RNG.integers(1, 6, N),
    weight=RNG.normal(70, 10, N),
    gain=np.where(RNG.random(N) < 0.8, 0, RNG.lognormal(8, 1, N).round()),
    city=np.where(RNG.random(N) < 0.1, None, RNG.choice(["Oslo", "Rome"], N)),
    street=RNG.choice([f"street {i}" for i in range(30)], N),
    height=np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(170, 8, N)),
)


def test_what_is_inferred():
    codecs, notes = infer_table(TABLE)
    said = {name: f"{type(codec).__name__} {dict(codec.arguments)}" for name, codec in codecs.items()}
    assert said == {
        "born": "Time {'missing': 'symbol'}",
        "at": "Time {'missing': 'symbol'}",
        "age": "Integer {'missing': 'symbol'}",
        "rooms": "Label {'missing': 'symbol'}",
        "weight": "Number {'missing': 'symbol', 'atoms': 'auto', 'curve': 'linear'}",
        "gain": "Number {'missing': 'symbol', 'atoms': 'auto', 'curve': 'quantile'}",
        "city": "Label {'missing': 'symbol'}",
        "street": "Label {'rare': 5, 'unseen': 'other', 'missing': 'symbol'}",
        "height": "Number {'missing': 'symbol', 'atoms': 'auto', 'curve': 'linear'}",
    }
    assert len(notes) == len(TABLE.names)
    assert notes[:3] == ["id: left out: it numbers the rows",
                         "key: left out: every value is different, under the name of a number that identifies",
                         "name: left out: every value is different"]
    assert notes[8].startswith("gain: numbers of") and "0 in" in notes[8] and "on a curve for its long tails" in notes[8]


def test_a_block_of_all_columns_leaves_ids_out_and_a_formula_keeps_them(tmp_path):
    model = given.model(TABLE)
    assert str(model) == "p(born, at, age, rooms, weight, gain, city, street, height)"
    assert isinstance(next(iter(model.joint)), Autoregressive)
    model.save(tmp_path / "m.given")
    assert given.load(tmp_path / "m.given").notes == model.notes and "name: left out" in model.notes[2]
    assert str(given.model("p(id, weight)", TABLE)) == "p(id, weight)"
    assert str(given.model(None, TABLE, codecs={"id": Number()})).startswith("p(id, born")


def test_every_column_comes_back_as_it_was():
    model = given.model(None, TABLE, families={})
    for name, variable in model.joint.columns.items():
        raw = TABLE[name]
        back = variable.decode(variable.encode(TABLE))[name]
        if raw.dtype.kind == "f":
            assert np.allclose(back, raw, rtol=1e-9, equal_nan=True)
        elif name != "street":  # the rare are one
            assert back.tolist() == raw.tolist()


def test_a_column_with_atoms_has_a_probability_at_them_and_a_density_elsewhere():
    """Together they make 1 in raw units."""
    gain = np.where(RNG.random(3000) < 0.7, 0.0, RNG.lognormal(1, 0.7, 3000))
    data = given.read(gain=gain)
    model = given.model("gain", data, families={"gain": Independent})
    model.fit(data, held_out=0)
    grid = np.linspace(1e-4, 200, 200_000)
    mass, density = float(np.exp(model.log_prob(gain=[0.0]))[0]), np.exp(model.log_prob(gain=grid)).sum() * (grid[1] - grid[0])
    assert math.isclose(mass, 0.7, abs_tol=0.04) and math.isclose(mass + density, 1, abs_tol=5e-3)
    assert model.score(data).measure == "counting on atoms, length in raw units elsewhere"
    assert math.isclose(np.mean(model.sample(2000)["gain"] == 0), mass, abs_tol=0.05)


def test_atoms_are_found():
    """By the share of the rows that no more frequent atom holds; beyond 100,000 distinct values too."""
    many = np.concatenate([np.zeros(3000), np.full(60, 7.5), np.full(9, 3.5), RNG.normal(size=931)])
    codec = Number(atoms="auto", curve="quantile")
    codec.learn(many)
    raw = codec.decode(codec.encode(np.array([0.0, 7.5])))
    assert len(codec.space.atoms) == 2 and raw.tolist() == [0, 7.5]
    flood = Number(atoms="auto")
    for part in np.array_split(np.concatenate([RNG.normal(size=150_000), np.full(5_000, 2.5)])[RNG.permutation(155_000)], 3):
        flood.learn(part)
    assert flood.decode(flood.encode(np.array([2.5]))).tolist() == [2.5] and len(flood.space.atoms) == 1


def test_a_curve_makes_a_column_normal():
    r = RNG.lognormal(0, 1.5, 20_000)
    codec = Number(curve="quantile")
    codec.learn(r)
    z = codec.encode(r).tensor.sort().values
    normal = torch.special.ndtri((torch.arange(20_000) + 0.5).double() / 20_000)
    assert float((z - normal).abs()[20:-20].max()) < 0.1
    far = np.array([1e-9, 1e6])
    assert np.allclose(codec.decode(codec.encode(far)), far, rtol=1e-6)


def test_whole_numbers_come_back_as_whole_numbers():
    r = RNG.integers(0, 10_000, 500)
    codec = Number(curve="quantile", atoms="auto")
    codec.learn(r)
    drawn = codec.decode(given.variables.Entries(torch.randn(50, dtype=torch.float64)))
    assert drawn.dtype == np.int64 and codec.measure == "length in raw units"


def test_the_rare_the_unseen_and_the_missing():
    codec = Label(rare=2, unseen="other", missing="symbol")
    codec.learn(np.array(["a", "b", "a", None], dtype=object))
    codec.learn(np.array(["c", "c"]))
    assert codec.decode(codec.encode(np.array(["a", "b", "zebra", None, "c"], dtype=object))).tolist() == [
        "a", "(other)", "(other)", None, "c"]


def test_numbers_between_those_seen_are_possible():
    data = given.read(age=np.repeat([20, 30, 31, 60], 50))
    model = given.model("age", data, codecs={"age": Integer()})
    model.fit(data, held_out=0)
    assert np.isfinite(model.log_prob(age=[45])).all() and model.sample(20)["age"].dtype == np.int64
    assert isinstance(infer(np.repeat(np.arange(20, 60), 10)), Integer)


def test_times_keep_their_form_and_their_unit():
    forms = {"2024-02-29": "days", "2024-02-29T12:30": "seconds", "2024-02-29 12:30:05.123456": "seconds",
             "23:59:58": "seconds"}
    for text, unit in forms.items():
        codec = Time()
        codec.learn(np.array([text]))
        assert codec.measure == f"length in {unit}" and codec.decode(codec.encode(np.array([text]))).tolist() == [text]
    days = Time()
    days.learn(np.array(["2024-01-01", "2024-01-11"], dtype="M8[D]"))
    assert days.decode(days.encode(np.array(["2024-02-29"], dtype="M8[D]"))) == np.datetime64("2024-02-29")


def test_the_mean_of_a_bent_column_is_that_of_draws():
    size = RNG.lognormal(0, 1, 4000)
    data = given.read(size=size)
    model = given.model("size", data)
    model.fit(data)
    assert not model.joint.columns["size"].codec.affine
    assert math.isclose(float(model.given().mean()["size"]), size.mean(), rel_tol=0.2)


def test_every_symbol_is_printed_as_its_own():
    codec = Label(unseen="other", missing="symbol")
    codec.learn(np.array(["a", "None", "nan", None], dtype=object))
    assert codec.names() == ["None", "a", "nan", "(other)", "(missing)"]
    integer = Integer(1, 2, missing="symbol")
    assert integer.names()[-1] == "(missing)"
    for build, text in ((lambda: Label(unseen="other"), "(other)"), (lambda: Label(missing="symbol"), "(missing)")):
        with pytest.raises(UserError, match="rename it"):
            build().learn(np.array([text, "a", None] if text == "(missing)" else [text, "a"], dtype=object))
    with pytest.raises(UserError, match="rename it"):
        Label(["a", "(other)"], unseen="other")


def test_a_label_reads_its_own_draws():
    """Numbers beside "(other)", as objects and as text."""
    codec = Label(rare=2, unseen="other", missing="symbol")
    codec.learn(np.array([1, 1, 2, 2, 3, None], dtype=object))
    drawn = codec.decode(given.variables.Entries(torch.tensor([0, 2, 3, 1])))
    assert drawn.tolist() == [1, "(other)", None, 2] and codec.encode(drawn).tensor.tolist() == [0, 2, 3, 1]
    assert codec.encode(np.array(["2", "(other)", "x", "1"])).tensor.tolist() == [1, 2, 2, 0]
    with pytest.raises(UserError) as error:
        Label([1, 2], unseen="other").encode(np.array(["(other)", 1, None], dtype=object))
    assert error.value.row == 2


def test_one_long_cell_does_not_widen_all():
    raw = np.array([f"{i % 7}" for i in range(2000)] + ["long " * 10_000], dtype=object)
    tracemalloc.start()
    codec = infer(raw)
    codec.learn(raw)
    label = Label()
    label.learn(raw)
    back = label.decode(label.encode(raw))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert back.tolist() == raw.tolist() and most < 10_000_000, f"{most / 1e6:.0f} MB"


@pytest.mark.parametrize("raw", [np.array([2**60 + 4, 1]), np.array([2**53 + 1], dtype=np.uint64),
                                 np.array([-2**60, None], dtype=object), np.array(["1152921504606846980"])])
def test_whole_numbers_that_float64_would_round_are_refused(raw):
    with pytest.raises(UserError, match=r"expected whole numbers up to 2\*\*53.*Label\(\), or divide them"):
        Number(missing="symbol").learn(raw)
    Number().learn(np.array([2**53, -2**53]))
    Number().learn(np.array([1e300 / 1e200, 2.0**60]))


def test_a_codec_decodes_to_one_type():
    """Whatever rows are in the batch."""
    codec = Number(missing="symbol")
    codec.learn(np.array([1, 2, 3, None], dtype=object))
    assert codec.decode(codec.encode(np.array([1, 2]))).dtype == codec.decode(codec.encode(np.array([1, None]))).dtype == float
    codec = Number(missing="symbol")
    codec.learn(np.array([1, 2, 3]))
    far = given.variables.Entries(torch.tensor([2.0**54]))
    assert codec.decode(codec.encode(np.array([1]))).dtype == codec.decode(far).dtype == np.int64
    with pytest.raises(UserError, match=r"drew 8.*; expected whole numbers of 64 bits"):
        codec.decode(given.variables.Entries(torch.tensor([1e30])))
    codec = Time(missing="symbol")
    codec.learn(np.array(["12:30", None], dtype=object))
    assert codec.decode(codec.encode(np.array(["12:30"]))).dtype == object


@pytest.mark.parametrize("text", ["2024-02-29T12:30:05.123457", "0001-01-01T00:00:00.000001", "9999-12-31T23:59:59.123457"])
@pytest.mark.parametrize("dtype", [object, "M8[us]"])
def test_microseconds_survive_far_from_1970(text, dtype):
    near = np.datetime64(text) + (-1 if text[0] == "9" else 1) * RNG.integers(0, 10**15, 500).astype("m8[us]")  # thirty years
    raw = np.append(np.datetime64(text), near)
    raw = np.datetime_as_string(raw).astype(object) if dtype is object else raw
    codec = Time()
    codec.learn(raw[::-1])
    assert (codec.decode(codec.encode(raw)) == raw).all()


def test_times_out_of_years_are_no_times():
    codec = Time()
    codec.learn(np.array(["2024-01-01", "9000-01-01", "2024-03-01"]))
    far = given.variables.Entries(torch.tensor([1e6, -1e6, 1e30], dtype=torch.float64))
    assert codec.decode(far).tolist() == [None] * 3
    codec = Time()
    codec.learn(np.array(["2024-01-01", "2260-01-01", "1700-03-01"], dtype="M8[ns]"))
    assert np.isnat(codec.decode(given.variables.Entries(torch.tensor([9.0, -9.0], dtype=torch.float64)))).all()
    with pytest.raises(UserError, match="got 0000-01-01; expected years from 1 to 9999"):
        Time().learn(np.array(["0000-01-01"]))


def test_months_and_years_have_no_one_length():
    for unit in "MY":
        with pytest.raises(UserError, match=rf"got datetime64\[{unit}\]; expected times in W, D, h,"):
            Time().learn(np.array(["2024", "2025"], dtype=f"M8[{unit}]"))
    for unit, length in (("W", "days"), ("D", "days"), ("h", "seconds")):
        raw = np.array(["2024-02-28", "2025-01-01"], dtype=f"M8[{unit}]")
        codec = Time(curve="linear", atoms=[])
        codec.learn(raw)
        assert codec.measure == f"length in {length}" and (codec.decode(codec.encode(raw)) == raw).all()
        apart = (raw[1] - raw[0]) / np.timedelta64(1, length[0].upper() if length == "days" else "s")
        assert math.isclose(float(codec.encode(raw).tensor.diff()), apart * math.exp(codec.log_volume(codec.encode(raw))[0]))


def test_atoms_closer_than_the_rest_is_wide_are_apart():
    raw = np.concatenate([np.full(50, 1e-9), np.full(50, 2e-9), np.full(50, 3e-9), RNG.normal(1e9, 1e8, 300)])
    for curve in ("linear", "quantile"):
        codec = Number(atoms="auto", curve=curve)
        codec.learn(raw)
        assert len(codec.space.atoms) == 3 and len(set(np.float32(codec.space.atoms))) == 3
        assert codec.decode(codec.encode(raw[:150])).tolist() == raw[:150].tolist()


def test_the_rows_a_curve_is_drawn_through_keep_no_rhythm():
    """Evenly spread rows would hold but some phases of a wave."""
    codec = Number(curve="quantile")
    rows = np.arange(400_000)
    for part in np.array_split(rows, 5):
        codec.learn(part.astype(float))
    held = np.sort(codec.scale_of.held)
    neighbours = float((np.diff(held) == 1).mean())  # the share of the held, as where rows are held independently
    assert math.isclose(neighbours, len(held) / len(rows), rel_tol=0.05)


def test_later_rows_change_what_was_inferred():
    """Rows past the first 65,536: a missing cell, a half, one more value, a value that comes again."""
    n, later = 70_000, np.arange(70_000) >= 69_000
    ages, few = RNG.integers(20, 90, n), RNG.integers(0, 3, n)
    data = given.read(
        gap=np.where(later, np.nan, RNG.normal(size=n)), age_gap=np.where(later, np.nan, ages),
        word_gap=np.where(later, None, RNG.choice(["a", "b"], n)),
        half=np.where(later, 0.5, ages), far=np.where(later, ages * 10**6, ages), third=np.where(later, 1 / 3, few),
        more=np.where(later, ages, few), same=few, run=np.where(later, 5 * np.arange(n), np.arange(n)),
        code=[f"c{i % 68_000}" for i in range(n)], name=[f"n{i}" for i in range(n)])
    codecs, notes = infer_table(data)
    kinds = {name: type(codec).__name__ for name, codec in codecs.items()}
    assert kinds == {"gap": "Number", "age_gap": "Integer", "word_gap": "Label", "half": "Number", "far": "Number",
                     "third": "Number", "more": "Integer", "same": "Label", "run": "Number"}
    assert notes[-2].startswith("code: left out: 65536 different values, most of them in fewer than 5 rows")
    assert notes[-1] == "name: left out: every value is different, judged 65,536 rows at a time"
    model = given.model(data)
    for name in ("gap", "age_gap", "word_gap"):
        last = model.joint.columns[name].decode(model.joint.columns[name].encode(data))[name].tolist()[-1]
        assert last is None or last != last
    model.joint.columns["half"].encode(data)


def test_a_date_is_a_date_however_it_is_written():
    import datetime

    days = [f"2020-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(60)]
    codec = Time()
    codec.learn(np.array(days, dtype=object))
    said = codec.encode(np.array(["2020-03-05"], dtype=object)).tensor
    for raw in (np.array(["2020-03-05"], "M8[D]"), np.array(["2020-03-05"], "M8[ns]"), np.array([datetime.date(2020, 3, 5)]),
                np.array([datetime.datetime(2020, 3, 5)])):
        assert torch.equal(codec.encode(raw).tensor, said)
    with pytest.raises(given.UserError, match="finer"):
        codec.encode(np.array(["2020-03-05T10:00"], "M8[m]"))
    other = Time()
    other.learn(np.array(days, "M8[D]"))
    assert torch.equal(other.encode(np.array(["2020-03-05"], dtype=object)).tensor,
                       other.encode(np.array(["2020-03-05"], "M8[D]")).tensor)
