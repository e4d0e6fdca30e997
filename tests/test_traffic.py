"""Arrivals of a user's own table: read as runs of waits, learned by the task, set beside its baselines."""

import numpy as np
import pytest

from given.sources import Columns, arrivals
from given.tasks import traffic
from given.variables import UserError


def written(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    return path


def check_runs(tmp_path):
    """In any order of rows, of every host by itself, in seconds, cut into runs whose first wait is from the run before."""
    rows = [("a", 5, "x"), ("b", 2, "y"), ("a", 1, "y"), ("a", 1, "x"), ("b", 9, "x"), ("a", 11, "z")]
    text = "host,when,kind\n" + "".join(f"{host},2024-01-01 00:00:{when:02},{kind}\n" for host, when, kind in rows)
    found = arrivals(written(tmp_path, text), run=2)
    assert [each.tolist() for each in found["wait"]] == [[0, 4], [6], [7]] and found["host"].tolist() == ["a", "a", "b"]
    assert [each.tolist() for each in found["mark"]] == [["x", "x"], ["z"], ["x"]]
    assert [str(each)[-2:] for each in found["begins"]] == ["01", "05", "02"]


def test_a_table_of_arrivals_is_runs_of_waits(tmp_path):
    check_runs(tmp_path)


def test_waits_of_numbers_keep_their_unit_without_marks(tmp_path):
    found = arrivals(written(tmp_path, "t\n1.5\n0.5\n4\n"))
    assert found["wait"][0].tolist() == [1.0, 2.5] and "mark" not in found


@pytest.mark.parametrize("text, message", [
    ("a,b\nx,y\nz,w\n", r"expected a column time, got a, b; name one so; a table without times is learned without --task"),
    ("time,a,b\n1,x,y\n2,z,w\n", r"expected a column mark, got time, a, b; name one so, or leave out all but one of a, b"),
    ("time,mark,a\n1,x,y\n2,z,w\n", r"columns a beside the time and the mark of arrivals; leave them out, or learn the table"),
    ("time,host\n1,x\n2,y\n", r"no two arrivals of one host; expected at least two"),
    ("time,mark\n1,x\n2,\n3,z\n", r"mark, row 1: is missing; expected the mark of the arrival"),
    ("time\n1\n1\n", r"all arrivals are at one time"),
    ("time,mark\n1,x\n,y\n3,z\n", r"time, row 1: is missing; expected the time of the row")])
def test_what_is_no_table_of_arrivals_is_one_line(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        arrivals(written(tmp_path, text))


def poisson(n, seed):
    rng = np.random.default_rng(seed)
    wait, mark = np.empty(n, dtype=object), np.empty(n, dtype=object)
    wait[:], mark[:] = list(rng.exponential(2.0, (n, 100))), list(rng.choice(["a", "b"], (n, 100), p=[0.8, 0.2]))
    return Columns({"wait": wait, "mark": mark})


def check_baselines():
    """Of a Poisson process that baseline is the truth, to within what is learned of it; the other's waits are log-normal."""
    train, test = poisson(40, 0), poisson(40, 1)
    found = traffic.baselines(train, test)
    wait, rare = np.concatenate(list(test["wait"])), np.concatenate(list(test["mark"])) == "b"
    truth = np.mean(-np.log(2.0) - wait / 2 + np.where(rare, np.log(0.2), np.log(0.8)))
    assert abs(found["Poisson"]["nats an arrival"] - truth) < 2e-3
    lognormal = 0.5 * np.log(2 * np.pi * np.e * np.pi**2 / 6) - np.euler_gamma - 1  # nats above an exponential's entropy
    assert abs(found["renewal"]["nats an arrival"] - truth + lognormal) < 0.02


def test_baselines_are_what_they_should_be():
    check_baselines()


def check_renewal():
    """Where waits and marks follow from the mark before and nothing else, the renewal process is the truth."""
    rng = np.random.default_rng(0)
    mark = rng.integers(0, 2, 4001)
    for k in range(1, 4001):
        mark[k] = 1 - mark[k - 1] if rng.random() < 0.9 else mark[k - 1]
    z = rng.normal(size=4000) + 3 * mark[:-1]
    wait, symbols = np.empty(1, dtype=object), np.empty(1, dtype=object)
    wait[0], symbols[0] = np.exp(z), mark[1:].astype(str)
    data = Columns({"wait": wait, "mark": symbols})
    truth = -0.5 * np.log(2 * np.pi * np.e) - z.mean() + 0.9 * np.log(0.9) + 0.1 * np.log(0.1)
    assert abs(traffic.baselines(data, data)["renewal"]["nats an arrival"] - truth) < 0.05


def test_a_renewal_process_is_the_truth_of_one():
    check_renewal()


def test_rare_marks_are_one_where_there_are_many():
    wait, mark = np.empty(1, dtype=object), np.empty(1, dtype=object)
    mark[0] = np.repeat([f"m{k:02}" for k in range(40)], np.arange(40) + 1)
    wait[0] = np.ones(len(mark[0]))
    model = traffic.model(Columns({"wait": wait, "mark": mark}))
    assert model.joint.columns["mark"].codec.of.space.size == 31
