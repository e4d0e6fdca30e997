"""Labels that most rows lack: summed out where they are unknown, read where they are known."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import Label, Number
from given.families import Autoregressive, Categorical, Gaussian, Independent
from given.nn import MADE
from given.train.batches import Batches
from given.train.em import maximise_expectation
from given.verbs.learning import read

CODECS = {"kind": Label(missing="unknown"), "a": Number(), "b": Number()}


def clouds(n, labelled, seed=0):
    """Two clouds apart along a, of which a few rows are labelled; and everybody's label."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=n)
    rows = {"a": kind * 4.0 + rng.normal(size=n), "b": rng.normal(size=n) * (1 + kind)}
    names = np.array(["left", "right"], dtype=object)[kind]
    known = np.full(n, None, dtype=object)
    for k in range(2):
        known[np.flatnonzero(kind == k)[:labelled]] = names[kind == k][0]
    return {**rows, "kind": known}, names


def learned(data, **options):
    codecs = {"kind": Label(missing="unknown"), "a": Number(), "b": Number()}
    families = {"kind": Categorical, "a, b": Gaussian}
    model = given.model("p(kind) p(a, b | kind)", data, codecs=codecs, families=families | options)
    model.fit(data, held_out=0, progress=False)
    return model


def check_partly_known(labelled=4):
    """A row's score is the sum over what its label may be."""
    data, names = clouds(200, labelled)
    model = learned(data)
    cols = {k: data[k] for k in "ab"}
    each = np.stack([model.log_prob(**cols, kind=[name] * 200) for name in ("left", "right")], 1)
    both = np.logaddexp(*each.T)
    expected = np.where(data["kind"] == "left", each[:, 0], np.where(data["kind"] == "right", each[:, 1], both))
    np.testing.assert_allclose(model.log_prob(data), expected, atol=1e-9)
    assert (model.given(**cols).mode()["kind"] == names).mean() > 0.95


def test_a_row_s_score_sums_over_what_its_label_may_be():
    check_partly_known()


def test_rows_without_a_label_help():
    better = list[float]()
    for seed in range(5):
        data, names = clouds(300, 3, seed)
        some = np.array([k is not None for k in data["kind"]])
        right = [(model.given(a=data["a"], b=data["b"]).mode()["kind"] == names).mean()
                 for model in (learned(data), learned({k: v[some] for k, v in data.items()}))]
        better.append(right[0] - right[1])
    assert np.mean(better) > 0.02 and min(better) > -0.01


def test_the_likelihood_never_falls():
    data, _ = clouds(200, 4)
    model = given.model("p(kind) p(a, b | kind)", data, codecs=CODECS, families={
        "kind": partial(Categorical), "a, b": partial(Gaussian, pooled=0.0, shrinkage=0.0)})
    history = maximise_expectation(Batches(model.joint, read(data), 64, 0, None))
    assert len(history) > 3 and (np.diff(history) > -1e-9).all()


def test_a_net_learns_from_rows_without_a_label():
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=400)
    bits = (rng.random((400, 6)) < np.where(kind == 1, 0.9, 0.1)[:, None]).astype(int)
    data = {f"x{i}": bits[:, i] for i in range(6)} | {"kind": np.array([int(k) if i < 60 else None for i, k in enumerate(kind)],
                                                                      dtype=object)}
    left = ", ".join(f"x{i}" for i in range(6))
    model = given.model(f"p(kind) p({left} | kind)", data, codecs={"kind": Label(missing="unknown")}, families={
        left: partial(Autoregressive, net=partial(MADE, hidden=(16,)))})
    model.fit(data, steps=200, progress=False, seed=1)
    found = model.given({name: values for name, values in data.items() if name != "kind"}).mode()["kind"]
    assert (found == kind).mean() > 0.9


def test_holes_are_filled_and_kept(tmp_path):
    data, names = clouds(200, 4)
    model = learned(data)
    filled = model.complete(data)["kind"]
    assert (filled == names).mean() > 0.95
    model.save(tmp_path / "m")
    again = given.load(tmp_path / "m")
    np.testing.assert_array_equal(again.log_prob(data), model.log_prob(data))
    assert set(model.sample(50)["kind"]) == {"left", "right"}


def test_an_unknown_symbol_that_nobody_reads_is_left_out():
    data, _ = clouds(100, 4)
    model = given.model("p(kind) p(a)", data, codecs={k: CODECS[k] for k in ("kind", "a")}, families={"kind": Independent})
    model.fit(data, held_out=0, progress=False)
    assert torch.tensor(model.log_prob(data)).isfinite().all()


def test_what_a_hole_may_mean():
    with pytest.raises(given.UserError, match="missing='hole'; expected 'error' or 'symbol' or 'unknown'"):
        Label(missing="hole")


def test_the_task_names_rows_by_what_lies_together():
    from given.tasks import label_few

    data, names = clouds(300, 4)
    rows = label_few.read(data, target="kind")
    model = label_few.model(rows)
    model.fit(rows, progress=False, **label_few.TRAINING)
    assert str(model) == "p(kind) p(a, b | kind)"
    found = label_few.measure(model, given.read({**data, "kind": names}))["accuracy of 300 labelled"]
    beside = label_few.baselines(rows, given.read({**data, "kind": names}))
    assert found > 0.95 and found >= beside["labelled rows alone"]["accuracy of 300 labelled"] - 0.01
    assert beside["the most frequent label"]["accuracy of 300 labelled"] < 0.6
    with pytest.raises(given.UserError, match="no row has a value of kind; label a few of every kind"):
        label_few.read({**data, "kind": [None] * 300}, target="kind")
