"""Draws that are written as they are drawn: bit for bit those of one call, however few are held at once."""

import json

import numpy as np
import pytest
import torch

import given
from given.app.cli import main
from given.distributions import DiscretizedLogisticMixture, WeightedLevels
from given.sources import Columns
from given.sources.write import save
from given.variables import Finite, UserError


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    word = np.array(["a, b", 'said "c"', "d"], dtype=object)[rng.integers(0, 3, 300)]
    rare = np.where(rng.random(300) < 0.02, 7.0, np.nan)
    data = {"word": word, "x": rng.normal(size=300).round(2), "n": rng.integers(0, 60, 300), "rare": rare}
    model = given.model(None, data)
    model.fit(data, steps=20, progress=False)
    return model


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr("given.verbs.draws.draws_at_once", lambda joint: 16)
    monkeypatch.setattr("given.sources.columns._ROWS", 32)


def check_parts(model, tmp_path):
    whole, drawn = model.sample(100, seed=3), model.draws(100, seed=3)
    assert [run.n for run in drawn.runs()] == [32, 32, 32, 4] and [part.n for part in drawn.batches(40)] == [40, 40, 20]
    for ending in ("csv", "jsonl", "tsv"):
        whole.save(tmp_path / f"whole.{ending}")
        drawn.save(tmp_path / f"parts.{ending}")
        assert (tmp_path / f"whole.{ending}").read_bytes() == (tmp_path / f"parts.{ending}").read_bytes()
    for ending in ("parquet", "npz"):
        drawn.save(tmp_path / f"parts.{ending}")
        back = given.read(str(tmp_path / f"parts.{ending}"))
        for name, values in whole.items():
            np.testing.assert_array_equal(np.asarray(back[name], dtype=values.dtype), values)
    assert {path.suffix for path in tmp_path.iterdir()} == {".csv", ".jsonl", ".tsv", ".parquet", ".npz"}


def test_draws_are_written_part_by_part_as_one_call_draws_them(model, few, tmp_path):
    check_parts(model, tmp_path)


def test_parts_that_begin_anew_are_seen(model, few, tmp_path, monkeypatch):
    monkeypatch.setattr(given.verbs.draws.Draws, "_parts", lambda self: (
        self._held(0, min(16, self.n - start)) for start in range(0, self.n, 16)))
    with pytest.raises(AssertionError):
        check_parts(model, tmp_path)


def test_draws_that_meet_a_condition_are_those_of_one_call(model, few):
    drawn = model.draws(50, where="n > 20", word="d")
    whole = model.sample(50, where="n > 20", word="d")
    again = given.sources.joined([*drawn.runs()])
    assert again["x"].tolist() == whole["x"].tolist() and again.n == 50 and drawn.acceptance == whole.acceptance
    with pytest.raises(UserError, match="expected one item to be given, got 2; ask for each, or use sample"):
        model.given(n=[1, 2]).draws(3)


def test_what_stops_while_drawn_leaves_the_older_file(model, few, tmp_path, monkeypatch):
    (tmp_path / "rows.csv").write_text("older\n")
    drawn = given.verbs.draws.Draws._drawn

    def stops(self, first, n):
        yield from list(drawn(self, first, n))[:4]
        raise KeyboardInterrupt

    monkeypatch.setattr(given.verbs.draws.Draws, "_drawn", stops)
    with pytest.raises(KeyboardInterrupt):
        model.draws(200).save(tmp_path / "rows.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"] and (tmp_path / "rows.csv").read_text() == "older\n"


def test_a_column_that_is_empty_at_first_takes_the_type_of_what_follows(tmp_path):
    pytest.importorskip("pyarrow")
    parts = [{"x": np.array([None, None]), "n": np.array([1, 2])}, {"x": np.array(["a", None]), "n": np.array([3, 4])}]
    save([(part, {}) for part in parts], str(tmp_path / "t.parquet"))
    back = given.read(str(tmp_path / "t.parquet"))
    assert back["x"].tolist() == [None, None, "a", None] and back["n"].tolist() == [1, 2, 3, 4]
    with pytest.raises(UserError, match=r"t.parquet: .*save as .csv"):
        save([({"x": np.array(["a"])}, {}), ({"x": np.array([1.5])}, {})], str(tmp_path / "t.parquet"))


def test_items_of_parts_are_numbered_on(tmp_path, monkeypatch):
    monkeypatch.setattr("given.sources.columns._ROWS", 2)
    columns = Columns({"y": [[1.0], [2.0, 3.0], [4.0]]})
    columns.save(tmp_path / "y.csv")
    assert (tmp_path / "y.csv").read_text() == "item,index,y\n0,0,1.0\n1,0,2.0\n1,1,3.0\n2,0,4.0\n"


def test_any_source_is_saved_part_by_part(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n")
    given.read(str(tmp_path / "t.csv")).save(tmp_path / "t.jsonl")
    lines = (tmp_path / "t.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_levels_are_drawn_as_they_are_scored():
    """Far out in the tails too: the weights may lead there."""
    torch.manual_seed(0)
    V = 40
    logits, means, scales = torch.randn(6, 7) * 2, torch.randn(6, 5), torch.rand(6, 5) * 0.5 + 2e-2
    mixture = DiscretizedLogisticMixture(logits, means, scales, Finite(V, ordered=True))
    torch.testing.assert_close(mixture.cells.log(), mixture.log_probs, rtol=1e-10, atol=1e-10)
    each = torch.stack([mixture.each(torch.full((6,), v)) for v in range(V)], -1)
    torch.testing.assert_close(mixture.log_probs, each, rtol=1e-4, atol=1e-4)
    levels = WeightedLevels(mixture, torch.linspace(0, 80, V).expand(6, V), Finite(V, ordered=True))
    u = torch.rand(6, 1, dtype=torch.float64)[:, 0]
    upto = levels.log_probs.exp().cumsum(-1)
    assert levels.pick(u).tolist() == torch.searchsorted(upto, u[:, None])[:, 0].tolist()
    assert levels.mode().tensor.tolist() == levels.log_probs.argmax(-1).tolist()


def test_a_value_that_was_never_learned_is_named_where_rows_are_asked_about(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model.save("m.given")
    (tmp_path / "new.csv").write_text("n,x\n3,0.5\n999,0.1\n-999,0.2\n,0.2\n")
    assert main(["query", "m.given", "word | n", "new.csv"]) in (0, None)
    assert "values that were never learned, each taken as unknown: n 2 (999, -999; first in row 1)" in capsys.readouterr().err


def frame(n=80):
    """Of every dtype."""
    pd, rng = pytest.importorskip("pandas"), np.random.default_rng(0)
    days = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D")
    return pd.DataFrame({
        "z": pd.array(np.where(rng.random(n) < 0.2, None, rng.integers(0, 1000, n)), dtype="Int64"),
        "grade": pd.Categorical(rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi", "never"], ordered=True),
        "plain": pd.Categorical(rng.choice(["x", "y"], n), ["x", "y", "unused"]),
        "flag": pd.array([None if r < 0.1 else bool(r < 0.5) for r in rng.random(n)], dtype="boolean"),
        "f": rng.normal(size=n).astype("float32"), "price": (rng.random(n) * 100).round(2),
        "when": pd.Series(days + pd.to_timedelta(rng.integers(0, 80000, n), unit="s")).dt.tz_localize("UTC"),
        "day": [day.date() for day in days], "small": rng.integers(-5, 5, n).astype("int8"),
        "a": pd.to_timedelta(rng.integers(0, 1000, n), unit="s")})


def test_draws_have_the_dtypes_and_the_order_of_the_frame(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    data = frame()
    model = given.model(None, given.read(data))
    model.fit(given.read(data), steps=2, progress=False)
    drawn = model.sample(5)
    assert drawn.to_pandas().dtypes.to_dict() == data.dtypes.to_dict() and list(drawn.to_pandas()) == list(data)
    drawn.save(tmp_path / "drawn.csv")
    for line in (tmp_path / "drawn.csv").read_text().splitlines()[1:]:
        z, _, _, _, f, price, when, day, *_ = line.split(",")
        assert "." not in z and len(price.partition(".")[2]) == 2 and len(day) == 10 and when.endswith("Z") and "." not in when
        assert str(np.float32(f)) == f or float(str(np.float32(f))) == float(f)
    data.to_parquet(tmp_path / "data.parquet")
    model = given.model(None, str(tmp_path / "data.parquet"))
    model.fit(str(tmp_path / "data.parquet"), steps=2, progress=False)
    model.draws(5).save(tmp_path / "drawn.parquet")
    types = [{field.name: (field.type.value_type, field.type.ordered) if hasattr(field.type, "ordered") else field.type
              for field in pq.read_schema(tmp_path / f"{name}.parquet")} for name in ("data", "drawn")]
    assert types[0] == types[1] and list(types[0]) == list(types[1])


def test_categories_of_polars_are_read(tmp_path):
    pl = pytest.importorskip("polars")
    data = pl.DataFrame({"c": pl.Series(["v", "u", None, "u"], dtype=pl.Categorical), "n": [1, 2, 3, 4]})
    assert given.read(data).dtypes["c"] == {"categories": ["u", "v"], "ordered": False}
    assert given.read(data).to_polars()["c"].dtype == pl.Categorical
