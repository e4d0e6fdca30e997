"""Anomalies: the rate of false alarms that is promised, reasons, and rows judged as they come."""

import io
import json
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm

import given
from given.app.cli import main
from given.evaluate import FalseAlarms
from given.tasks import anomalies
from given.variables import UserError


def log(n, seed, attacks=0.0):
    """Requests of two services, of which one has short replies; attacks have long ones."""
    rng = np.random.default_rng(seed)
    bad, service = rng.random(n) < attacks, rng.choice(["http", "dns"], n)
    size = np.where(bad, 90_000, np.exp(rng.normal(np.where(service == "dns", 4, 7), 0.5))).astype(int)
    return {"service": service, "bytes": size, "ms": rng.exponential(10, n).round(2),
            "label": np.where(bad, "attack", "normal")}


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anomalies")
    given.read(log(600, 0, 0.05)).save(folder / "log.csv")
    status = main(["fit", str(folder / "log.csv"), "--task", "anomalies", "--normal", "label=normal", "--held-out", "0.3", "-o",
                   str(folder / "log.given")])
    assert status == 0
    return folder / "log.given"


def check_rate(n=49, rate=0.1):
    """Over draws of rows held out the mean share of normal rows flagged is at most the rate, and near it."""
    rng, found, bound = np.random.default_rng(0), [], []
    for _ in range(500):
        alarms = FalseAlarms(np.sort(rng.normal(size=n)), rate)
        p = alarms.p_values(new := rng.normal(size=20))
        assert np.array_equal(p <= rate, new > alarms.threshold)
        found.append((p <= rate).mean())
        bound.append(norm.sf(alarms.threshold) <= alarms.at_most)
    assert abs(np.mean(found) - rate) < 0.01 and abs(np.mean(bound) - 0.95) < 0.03


def test_the_rate_of_false_alarms_is_kept():
    check_rate()


def test_a_rate_that_so_few_rows_cannot_promise_is_refused():
    with pytest.raises(UserError, match=r"0\.01 needs 99 normal rows held out, and there are 98; ask for 0\.01 or more"):
        FalseAlarms(np.arange(98.0), 0.01)
    with pytest.raises(UserError, match="expected a rate between 0 and 1"):
        FalseAlarms(np.arange(98.0), 1.5)


def check_reasons(learned):
    """A row is flagged for the cell that is out of place beside the others, and not for those that are rare by themselves."""
    watch = anomalies.Watch(given.load(learned), 0.02)
    rows = {"service": ["http", "http", "http", "gopher"], "bytes": [1000, 9_000_000, 1000, 900], "ms": [5.0, 5.0, 900.0, 5.0]}
    found = watch.judge(given.read(rows))
    assert found["anomaly"].tolist()[:3] == ["no", "yes", "yes"] and found["why"][0] == ""
    assert found["why"][1].startswith("bytes 9000000: expected ") and found["why"][2].startswith("ms 900: expected ")
    low, high = map(float, found["why"][1].split(";")[0].removeprefix("bytes 9000000: expected ").split(" to "))
    assert low < 100 < 1000 < high < 50_000


def test_reasons_are_the_cells_out_of_place(learned):
    check_reasons(learned)


def test_attacks_score_above_normal_rows(learned):
    rows = log(400, 1, 0.2)
    score = -given.load(learned).score({k: v for k, v in rows.items() if k != "label"}).items
    bad = rows["label"] == "attack"
    assert score[bad].min() > np.quantile(score[~bad], 0.99)


class Pipe(io.RawIOBase):
    """Parts that come one by one; what was printed before each is kept."""

    def __init__(self, parts, printed):
        self.parts, self.printed, self.before = list(parts), printed, []

    def readable(self):
        return True

    def readinto(self, buffer):
        self.before.append(self.printed())
        part = self.parts.pop(0) if self.parts else b""
        buffer[:len(part)] = part
        return len(part)


def test_rows_are_judged_as_they_come_and_bad_ones_are_named(learned, monkeypatch, capsys):
    out = []

    def printed():
        out.append(capsys.readouterr())
        return "".join(each.out for each in out)

    parts = [b"http,900,5,normal\n", b"http,1\nhttp,99000000,5,normal\nht\xfftp,900,5,normal\n",
             b"http,oops,5,normal\ndns,50,2,normal\n"]
    pipe = Pipe(parts, printed)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(pipe)))
    assert main(["anomalies", str(learned), "-", "--false-alarms", "0.02"]) == 0
    lines, err = printed().splitlines(), "".join(each.err for each in out)
    assert [line.split(",")[0] for line in lines] == ["row", "0", "1", "2", "3"]
    assert [line.split(",")[3] for line in lines[1:]] == ["no", "yes", "yes", "no"]
    assert "oops, never seen: expected" in lines[3]
    assert [len(a) < len(b) for a, b in pairwise(pipe.before)][:3] == [True, True, True]  # before more came
    assert "the first line is a row; columns are taken to be service, bytes, ms, label" in err
    assert "line 2: got 2 values, expected 4 as in the header; left out" in err and "not UTF-8 (byte 0xff); left out" in err
    assert "2 of 4 rows flagged, 2 bad rows left out" in err


def test_columns_that_say_nothing_are_left_out():
    rng = np.random.default_rng(0)
    when = ["2020-01-02", "2020-01-03"] * 15
    data = given.read({"a": rng.normal(size=30), "b": np.full(30, np.nan), "n": np.arange(30), "when": when})
    model = anomalies.model(data)
    assert str(model) == "p(a)" and [note.partition(":")[0] for note in model.notes] == ["n", "b", "when"]


def test_a_quote_that_is_not_closed_does_not_take_all_memory(monkeypatch):
    from given.sources import Live, live

    monkeypatch.setattr(live, "_LONGEST", 1 << 10)
    pipe = io.BufferedReader(io.BytesIO(b'a,b\n"x,1\n' + b"y,2\n" * 1000))
    found = Live(pipe, {}, skip_bad=True)
    assert sum(batch.n for batch in found.batches(100)) == 1000 and "a quote is not closed" in found.skipped[0]


def test_output_for_machines(learned, tmp_path, capsys):
    given.read(log(20, 2, 0.5)).save(tmp_path / "new.csv")
    assert main(["anomalies", str(learned), str(tmp_path / "new.csv"), "--json", "--flagged", "--false-alarms", "0.02"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found and all(each["anomaly"] == "yes" and each["p"] <= 0.02 for each in found)
    assert main(["anomalies", str(learned), str(tmp_path / "new.csv"), "--false-alarms", "0.0001"]) == 1
    assert "needs 9,999 normal rows held out" in capsys.readouterr().err


@pytest.mark.parametrize("words, error", [
    (["--normal", "label=good"], "--normal: no row has label good; there are attack, normal"),
    (["--normal", "lable=normal"], "--normal: no column lable; there are service, bytes, ms, label"),
    (["p(bytes)"], "--task anomalies says the formula")])
def test_wrong_wishes_are_one_line(words, error, tmp_path, capsys):
    given.read(log(50, 0, 0.3)).save(tmp_path / "log.csv")
    assert main(["fit", str(tmp_path / "log.csv"), "--task", "anomalies", *words]) == 1
    said = capsys.readouterr().err
    assert error in said and said.count("\n") == 1


def test_a_model_of_something_else_is_named():
    model = given.model("p(x)", given.read(x=[1.0, 2.0]))
    with pytest.raises(UserError, match="keeps no scores of normal rows held out; expected a model of given fit DATA --task a"):
        anomalies.Watch(model)
