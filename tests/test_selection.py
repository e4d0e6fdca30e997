"""Numbers that rows held out choose: how many components, how many latents, how wide a kernel."""

import copy
import itertools
import math
import pickle
import re
from functools import partial

import numpy as np
import pytest
import torch
from test_classics import learned, scores, vector

import given
from given import select
from given.codecs import Integer, Label
from given.families import PCA, Dequantised, FactorAnalysis, Gaussian, GaussianMixture, KernelDensity, KMeans, ProbabilisticPCA
from given.lessons import Deadline
from given.selection import search
from given.variables import UserError
from given.verbs.literals import built

torch.set_num_threads(1)


def balls(K=4, n=400, D=2, seed=0):
    rng = np.random.default_rng(seed)
    return 8 * rng.normal(size=(K, D))[rng.integers(0, K, n)] + rng.normal(size=(n, D))


def factors(K=3, n=1500, D=8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, K)) @ rng.normal(size=(K, D)) + 0.5 * rng.normal(size=(n, D))


MIXTURE = partial(GaussianMixture, components=select(1, 12), restarts=1, seed=0)


@pytest.mark.parametrize("family, rows, option, planted", [
    (MIXTURE, balls(), "components", 4),
    (partial(KMeans, components=select(1, 12), seed=0), balls(), "components", 4),
    (partial(ProbabilisticPCA, factors=select(1, 30)), factors(), "factors", 3),
    (partial(FactorAnalysis, factors=select(1, 30), tolerance=1e-4), factors(), "factors", 3),
], ids=["GaussianMixture", "KMeans", "ProbabilisticPCA", "FactorAnalysis"])
def test_a_planted_number_is_found(family, rows, option, planted):
    """Also where the range goes beyond what the rows allow; and what is learned then is what that number alone learns."""
    model = learned(family, rows)
    assert getattr(model, option) == planted
    assert max(model.curve, key=lambda each: each[1])[0] == planted and model.curve[0][0] == 1
    alone = learned(partial(family, **{option: planted}), rows)
    assert torch.equal(scores(model, rows), scores(alone, rows)) and alone.curve == []


def test_the_choice_is_saved_copied_and_made_anew(tmp_path):
    data = {"x": balls(n=200), "kind": np.arange(200) % 2}
    family = partial(MIXTURE, components=select(1, 4))
    model = given.model("p(kind) p(x | kind)", data, families={"x": family}, codecs={"kind": Label()})
    model.fit(data, progress=False)
    part = model.joint.declared[1]
    assert part.components > 1
    model.save(tmp_path / "m.given")
    pickled = pickle.loads(pickle.dumps(part))  # noqa: S301
    for twin in (given.load(tmp_path / "m.given").joint.declared[1], copy.deepcopy(part), pickled):
        assert twin.curve == part.curve and torch.equal(twin.means, part.means)
        assert repr(twin.arguments["components"]) == "select(1, 4)"
    again = given.load(tmp_path / "m.given")
    assert np.array_equal(again.log_prob(x=data["x"], kind=data["kind"]), model.log_prob(x=data["x"], kind=data["kind"]))
    again.fit({name: values[:40] for name, values in data.items()}, progress=False)
    assert again.joint.declared[1].curve != part.curve


def test_a_wrapped_family_chooses_too(tmp_path):
    level = np.concatenate([np.arange(40) % 3, 20 + np.arange(80) % 4])
    data = {"level": level}
    family = partial(Dequantised, family=partial(MIXTURE, components=select(1, 3)))
    model = given.model("p(level)", data, families={"level": family}, codecs={"level": Integer(0, 29)})
    model.fit(data, progress=False)
    inner = model.joint.declared[0].inner
    assert inner.components > 1 and len(inner.curve) > 1
    model.save(tmp_path / "m.given")
    assert np.array_equal(given.load(tmp_path / "m.given").log_prob(data), model.log_prob(data))


def check_halves():
    """A row cut in two halves is worth the row, and a seed is worth its choice."""
    rows = balls(3, n=150)
    family = partial(MIXTURE, components=select(1, 4))
    halves, whole = learned(family, np.repeat(rows, 2, 0), np.full(300, 0.5)), learned(family, rows)
    assert halves.components == whole.components == 3
    assert np.abs(np.array(halves.curve)[:3] - np.array(whole.curve)[:3]).max() < 1e-6
    assert learned(family, rows).curve == whole.curve


def test_weights_are_respected():
    check_halves()
    rows = np.concatenate([balls(3, n=200), 50 + balls(5, n=200)])
    model = learned(partial(MIXTURE, components=select(1, 4)), rows, np.repeat([1.0, 0.0], 200))
    assert model.components == 3


def check_held_out():
    """The score is of rows that were not learned from: more numbers than the data bear are worse."""
    rows = np.random.default_rng(0).normal(size=(120, 2))
    curve = dict(learned(partial(MIXTURE, components=select(1, 12)), rows).curve)
    assert max(curve, key=curve.get) == 1 and max(curve) < 12, "it went on though all was worse"
    assert curve[1] == pytest.approx(-np.log(2 * np.pi * np.e), abs=0.3)


def test_what_is_scored_is_held_out():
    check_held_out()


def test_rows_beyond_the_most_are_left_out_of_the_choice():
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(30_000, 2)))
    from given.selection import _MOST, _rows
    from given.variables import Entries, Observed

    batches = [(Entries(some), Observed(n=len(some)), torch.ones(len(some))) for some in rows.split(4096)]
    kept = _rows(GaussianMixture(vector(2)), batches)
    assert _MOST / 3 < sum(len(weight) for _, _, weight, _ in kept) <= _MOST
    shares = torch.cat([fold for *_, fold in kept]).bincount() / sum(len(fold) for *_, fold in kept)
    assert len(shares) == 4 and float((shares - 0.25).abs().max()) < 0.03


@pytest.mark.parametrize("option, best, most", [
    (select(1, 30), 17, 15), (select(1, 30), 30, 15), (select(2, 1000), 636, 18), (select(-5, 5), 3, 15), (select(7, 7), 7, 1)])
def test_a_search_finds_the_top_of_a_hill(option, best, most):
    """By few trials, without those far beyond it."""
    tried = []
    found = search(option, lambda k: tried.append(k) or -abs(k - best), Deadline())
    assert max(found, key=lambda each: each[1])[0] == pytest.approx(best, rel=0.03)
    assert len(tried) == len(set(tried)) <= most
    assert [k for k, _ in found] == sorted(tried) and all(isinstance(k, int) for k in tried)


def test_a_search_over_reals():
    found = search(select(1e-4, 10.0), lambda h: -abs(math.log(h / 0.3)), Deadline())
    assert max(found, key=lambda each: each[1])[0] == pytest.approx(0.3, rel=0.2) and len(found) < 20
    assert search(select(-1.0, 1.0), lambda h: -h * h, Deadline())[0][0] == -1.0


def test_what_cannot_be_learned_is_left_out():
    def score(k):
        if k > 4:
            raise UserError("too many")
        return k

    assert search(select(1, 30), score, Deadline())[-1] == (4, 4)
    with pytest.raises(UserError, match="too many"):
        search(select(5, 30), score, Deadline())
    clock = itertools.count(3.0, -1.0)
    assert [k for k, _ in search(select(1, 30), float, Deadline(lambda: next(clock)))] == [1], "time was up"


def test_rows_that_are_alike_take_the_first():
    model = learned(partial(MIXTURE, components=select(1, 3)), np.ones((5, 2)))
    assert model.components == 1 and model.curve == []


@pytest.mark.parametrize("make, message", [
    (lambda: select(3, 1), "expected two numbers, the least first"),
    (lambda: select(1, "a"), "expected two numbers"),
    (lambda: PCA(vector(3), components=select(1, 2)), r"components=select\(1, 2\): rows held out choose .* or factors of Prob"),
    (lambda: Gaussian(vector(3), shrinkage=select(0, 1)), "rows held out choose shrinkage of no Gaussian"),
    (lambda: GaussianMixture(vector(2), components=select(0, 4)), "components=0; expected at least 1"),
    (lambda: learned(partial(MIXTURE, components=select(8, 9)), balls(n=6)), "components=8, but there are"),
], ids=["no range", "no numbers", "no density", "not selectable", "none", "few rows"])
def test_what_cannot_be_chosen_says_so(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_bandwidth_of_a_range(tmp_path):
    """By rows left out one by one, as without a range; the curve is saved."""
    rows = np.random.default_rng(1).normal(size=(200, 2))
    model, free = learned(partial(KernelDensity, bandwidth=select(0.01, 3.0)), rows), learned(KernelDensity, rows)
    assert model.chosen[0] == pytest.approx(float(free.chosen[0]), rel=0.3) and len(model.curve) < 20
    assert float(learned(partial(KernelDensity, bandwidth=select(2.0, 3.0)), rows).chosen[0]) == 2
    fitted = given.model("p(x)", {"x": rows}, families={"x": partial(KernelDensity, bandwidth=select(0.01, 3.0))})
    fitted.fit({"x": rows}, progress=False)
    fitted.save(tmp_path / "m.given")
    assert given.load(tmp_path / "m.given").joint.declared[0].curve == fitted.joint.declared[0].curve != []


def test_the_curve_is_shown(tmp_path, capsys):
    """By the model, the command and the page."""
    from given.app.cli import main

    rows = balls(3, n=200)
    (tmp_path / "d.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows))
    family = "a, b=GaussianMixture(components=select(1, 4), restarts=1)"
    assert main(["fit", str(tmp_path / "d.csv"), "p(a, b)", "--family", family, "-o", str(tmp_path / "m.given")]) == 0
    points = given.load(tmp_path / "m.given").curves["components of p(a, b)"]
    assert [number for number, _ in points] == [1, 2, 3, 4]
    best = int(max(points, key=lambda each: each[1])[0])
    assert re.search(rf"components of p\(a, b\) +{best}\n", capsys.readouterr().out)
    assert main(["report", str(tmp_path / "m.given"), str(tmp_path / "d.csv"), "-o", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert "What did held-out rows choose?" in page and f"components of p(a, b), {best} chosen" in page


def test_a_shell_selects():
    family = built("GaussianMixture(components=select(1, 3))", given.families, "--family")
    assert family.keywords == {"components": select(1, 3)}
    assert built("KMeans(components=select(1, last=3))", given.families, "--family").keywords == {"components": select(1, 3)}
    for wrong in ("KMeans(components=select(1, 2, 3))", "Dequantised(KMeans, PCA)"):
        with pytest.raises(UserError, match="expected a name"):
            built(wrong, given.families, "--family")
