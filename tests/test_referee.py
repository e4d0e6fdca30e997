"""What judges models: every statistic on a known truth, and models that are planted called what they are."""

import dataclasses
import re

import numpy as np
import pytest

import given
from given.evaluate import calibration, charts, neighbours, train_on_draws, two_sample, verdict
from given.families import Empirical, Gaussian, Independent
from given.variables import UserError


def normal(seed, n, D=1, shift=0.0):
    x = np.random.default_rng(seed).normal(size=(n, D))
    x[:, 0] += shift
    return x


def rejected(test, pairs, n, shift=0.0, D=1):
    """The share of pairs that a test tells apart at 5 %."""
    return np.mean([getattr(two_sample, test)(normal(2 * i, n, D), normal(2 * i + 1, n, D, shift), seed=i,
                                               permutations=39).p_value <= 0.05
                    for i in range(pairs)])


def check_level(test, pairs=400):
    """Of null pairs 2.5 to 8 % are rejected at 5 %, of pairs apart four in five and more."""
    assert 0.025 <= rejected(test, pairs, 40, D=2) <= 0.08
    assert rejected(test, 15, 1000, 0.2) >= 0.8


def check_interval():
    """Of 95 % intervals of an accuracy whose truth is known at least 90 hold it."""
    held = 0
    for i in range(100):
        found = two_sample.classifier_two_sample(normal(2 * i, 200), normal(2 * i + 1, 200), seed=i, permutations=1)
        held += found.low <= 0.5 <= found.high
    assert held >= 90
    told = two_sample.classifier_two_sample(normal(0, 1000), normal(1, 1000, shift=2.0))
    assert abs(told.accuracy - 0.841) < 0.04  # Phi(1), the best there is


def check_mmd_is_unbiased():
    """Its mean over null pairs is 0, and of normals a shift apart its closed form."""
    null = [two_sample.mmd(normal(2 * i, 50), normal(2 * i + 1, 50), permutations=0).value for i in range(200)]
    assert abs(np.mean(null)) < 4 * np.std(null) / np.sqrt(len(null))
    found = two_sample.mmd(normal(0, 1000), normal(1, 1000, shift=1.0), permutations=0)
    s = np.sqrt((1 + 1) / 2 + 0.25)  # both sides are standardised together
    b = (found.bandwidth * s) ** 2
    truth = 2 * np.sqrt(b / (b + 2)) * (1 - np.exp(-1 / (2 * (b + 2))))
    assert abs(found.value - truth) < 0.02


def check_support():
    """One distribution: density 1 and coverage near 1 - 2**-5; a missing half: recall and coverage halved, precision kept."""
    data, same = normal(0, 600, 2), normal(1, 600, 2)
    found = neighbours.support(data, same)
    assert abs(found.density - 1) < 0.12 and abs(found.coverage - (1 - 2**-5)) < 0.03
    assert min(found.precision, found.recall) > 0.9
    heaps = data * 0.1 + np.repeat([[0.0, 0.0], [9.0, 9.0]], 300, 0)
    half = neighbours.support(heaps, same * 0.1)
    assert half.precision > 0.9 and abs(half.recall - 0.5) < 0.06 and abs(half.coverage - 0.5) < 0.06
    other = neighbours.support(same * 0.1, heaps)
    assert other.recall > 0.9 and abs(other.precision - 0.5) < 0.06


def check_copies():
    """Planted copies are listed by the row they are of; fresh draws, a narrow middle and repeats are none."""
    train, held_out, fresh = (normal(i, 400, 8) for i in range(3))
    planted = fresh.copy()
    planted[:200] = train[100:300] + 1e-3
    found = neighbours.copies(train, planted, held_out)
    assert [(i, row) for i, row, _ in sorted(found.listed)][:200] == [(i, 100 + i) for i in range(200)]
    assert found.memorised and not neighbours.copies(train, fresh, held_out).memorised
    assert neighbours.copies(train, fresh, held_out).low < 0.06
    assert not neighbours.copies(train, 0.05 * fresh, held_out).memorised
    few = np.random.default_rng(0).integers(0, 3, (900, 2)).astype(float)
    assert neighbours.copies(few[:300], few[300:600], few[600:]).share == 0


def check_diversity():
    x, group = normal(0, 2000, 3), np.arange(2000) % 2
    drawn = np.where(group[:, None] == 0, 0.5, 1.0) * normal(1, 2000, 3)
    found = neighbours.diversity(x, drawn, group, group)
    assert abs(found["0"] - 0.5) < 0.03 and abs(found["1"] - 1) < 0.05


def check_calibration():
    """Outcomes drawn by the promise are met, those of a sharper one are not; central intervals cover their level."""
    g = np.random.default_rng(0)
    p = g.dirichlet([1, 1, 1], 4000)
    truth = np.array([g.choice(3, p=row) for row in p])
    assert calibration.reliability(p, truth).error < 0.03
    sharp = p**3 / (p**3).sum(1, keepdims=True)
    assert calibration.reliability(sharp, truth).error > 0.1
    assert abs(calibration.reliability(p, truth).accuracy - p.max(1).mean()) < 0.03
    draws = g.normal(size=(99, 3000))
    assert calibration.coverage(draws, g.normal(size=3000)).error < 0.02
    assert calibration.coverage(draws / 2, g.normal(size=3000)).error > 0.1
    assert calibration.coverage(np.zeros((99, 3000)), np.zeros(3000)).error < 0.02  # equal ones have a place by chance


def check_usefulness():
    x, other = normal(0, 600, 2), normal(1, 600, 2)
    label, noise = (x[:, 0] > 0).astype(int), np.random.default_rng(0).integers(0, 2, 600)
    good = train_on_draws.usefulness((other, (other[:, 0] > 0).astype(int)), (x[:300], label[:300]), (x[300:], label[300:]))
    bad = train_on_draws.usefulness((other, noise), (x[:300], label[:300]), (x[300:], label[300:]))
    assert min(good.drawn, good.real) > 0.95 and abs(bad.drawn - 0.5) < 0.12 and bad.unit == "accuracy"


def check_diagnosis():
    """Planted models, each called what it is: copies, a kernel too narrow, columns by themselves, and the truth."""
    root = np.linalg.cholesky(np.full((4, 4), 0.8) + 0.2 * np.eye(4))
    train, held_out, drawn = (normal(i, 400, 4) @ root.T for i in range(3))

    def log_p(x, cov):
        return -0.5 * ((x @ np.linalg.inv(cov)) * x).sum(1) - 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1]

    base = log_p(train, np.eye(4)), log_p(held_out, np.eye(4))

    def called(draws, cov, more=0.0):
        found, told = neighbours.copies(train, draws, held_out), two_sample.classifier_two_sample(held_out, draws)
        return verdict.diagnosis(found, told, log_p(train, cov) + more, log_p(held_out, cov), base).verdict

    truth = root @ root.T
    assert called(drawn, truth) == called(drawn, truth, 1.2) == "fits"
    assert called(train[::-1] + 1e-3, truth, 5.0) == "memorises"
    assert called(drawn, truth, 9.0) == "overfits"
    assert called(normal(5, 400, 4), np.eye(4)) == "underfits"
    base = log_p(train, truth), log_p(held_out, truth)  # a baseline that is the truth, and as good on both
    assert called(drawn, truth) == "fits"


@pytest.mark.parametrize("test", ["classifier_two_sample", "mmd"])
def test_level_and_power(test):
    check_level(test)


@pytest.mark.parametrize("check", [check_interval, check_mmd_is_unbiased, check_support, check_copies, check_diversity,
                                   check_calibration, check_usefulness, check_diagnosis], ids=lambda f: f.__name__)
def test_on_a_known_truth(check):
    check()


def test_too_few_rows_and_other_columns_are_one_line():
    for test in (two_sample.classifier_two_sample, two_sample.mmd):
        with pytest.raises(UserError, match="at least 10 rows of each set, got 3 and 40"):
            test(normal(0, 3), normal(1, 40))
        with pytest.raises(UserError, match="same columns, got 1 and 2"):
            test(normal(0, 40), normal(1, 40, 2))
    with pytest.raises(UserError, match="more than 5 rows"):
        neighbours.support(normal(0, 5), normal(1, 40))


def correlated(seed, n=400):
    """Four numbers that go together."""
    x = normal(seed, n, 4)
    x[:, 1:] = 0.9 * x[:, :1] + 0.3 * x[:, 1:]
    return {name: x[:, i] for i, name in enumerate("abcd")}


@pytest.fixture(scope="module")
def found():
    return given.compare(correlated(0), families=["Gaussian", Independent, "GAN", "Categorical"], minutes=0.01, seeds=2)


def test_families_are_ranked_on_the_same_rows_and_others_say_why_not(found):
    assert found.order[0] == "Gaussian" and found.rank("Gaussian") == "1"
    assert found.rank("Independent") == found.rank("independent columns") == "2="  # one model, learned twice
    assert found.rank("GAN") == "-" and found.entrants["GAN"].scores == ()
    assert found.refused["Categorical"].startswith("Categorical: expected one finite entry")
    assert found.difference("Gaussian", "Independent")[0] > 1
    assert len({len(e.score.items) for e in found.entrants.values() if e.score is not None}) == 1
    assert "do not apply:" in str(found) and found.json()["entrants"][0]["tied"] == []


def test_a_leaderboard_is_one_page(found, tmp_path):
    found.save(str(tmp_path / "board.html"))
    page = (tmp_path / "board.html").read_text()
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page and "<link" not in page
    for section in ("Leaderboard", "Diagnosis", "Draws side by side", "Density of two columns", "Calibration", "Marginals",
                    "Families that do not apply"):
        assert f"<h2>{section}</h2>" in page
    assert "predicted from the others: R2" in page and "<li>calibration: d: " in page and "Predicted: the level" in page
    assert '<td data-of="rank">1</td>' in page and ", of d." in page  # narrow screens have no header to read
    for sentence in (e.assessment.diagnosis.sentence for e in found.entrants.values()):
        assert not re.search(r"\de-\d", sentence), sentence


def test_two_scores_of_minus_infinity_do_not_differ():
    model = given.model("p(a)", data := given.read({"a": list("aabb")}), families={"a": Empirical})
    model.fit(data, held_out=0)
    scores = {name: dataclasses.replace(model.score(data), items=np.array(items))
              for name, items in (("p", [-np.inf, -1.0, -1.0, -1.0]), ("q", [-np.inf, -2.0, -1.0, -1.0]))}
    assert given.Comparison(scores).difference("p", "q")[0] == 0.25


def test_a_difference_that_is_rounding_is_zero():
    items = np.random.default_rng(0).normal(size=(2, 50))
    said = verdict.diagnosis(None, None, items[0] + 1e-17, items[1], (items[0], items[1] + 1e-16)).sentence
    assert "score 0 ± 0 nats" in said and "+0 ± 0 nats against the baseline" in said


def check_ties():
    """Of equals none is above the other; the spread over seeds widens intervals; a bound may be higher than it is ranked."""
    from dataclasses import replace

    from given.evaluate import Assessment, Entrant, Leaderboard, Score

    def entrant(name, *means, kind="exact", n=100):
        scores = tuple(Score(mean + 0.1 * normal(7 + i, n)[:, 0], kind, "nats/item", "counting", columns=("x",))
                       for i, mean in enumerate(means))
        return Entrant(name, name, Assessment(verdict.diagnosis(None, None)), scores)

    some = [entrant("a", 0.0), entrant("b", -0.1), entrant("c", -1.0, kind="bound"), entrant("d", -0.6, 1.0),
            entrant("e", -2.0, n=50)]
    board = Leaderboard("p(x)", "a", {e.name: e for e in some}, {}, given.Columns({"x": [1, 2]}))
    assert board.above("a", "b") and not board.above("b", "a") and not board.above("a", "a")
    assert not board.above("a", "d") and not board.above("d", "a")
    assert board.difference("a", "e")[0] == pytest.approx(2.0)  # on the rows of both
    few = replace(board, test=given.Columns({"x": range(100)}), entrants={**board.entrants, "z": entrant("z", 9.0, n=2)})
    assert few.rank("z") == "?" and few.rank("a") == "1="
    assert [board.rank(name) for name in "abcde"] == ["1=", "2", "3-", "1=", "5"]
    heavy = np.where(np.arange(100) == 3, -1e9, some[0].scores[0].items - 0.1)  # one row makes the mean, all say the same
    board = replace(board, entrants={**board.entrants, "f": Entrant("f", "f", some[0].assessment, (replace(
        some[0].scores[0], items=heavy),))})
    assert board.above("a", "f") and not board.above("f", "a")
    other = replace(board, entrants={"a": some[0], "b": replace(some[1], scores=(replace(some[1].scores[0], measure="x"),))})
    with pytest.raises(UserError, match="differ in measure"):
        other.difference("a", "b")


def test_ties():
    check_ties()


def check_planted(seeds):
    """A memoriser, and pixels by themselves given the label: each is called what it is; so is the truth of four numbers."""
    digits = given.read("digits")
    for seed in seeds:
        board = given.compare(digits, "image | label", families={"memoriser": Empirical, "by itself": Independent},
                              minutes=0.02, seeds=1, seed=seed)
        assert board.entrants["memoriser"].assessment.diagnosis.verdict == "memorises"
        assert board.entrants["by itself"].assessment.diagnosis.verdict == "underfits"
        assert "is row" in str(board.entrants["memoriser"].assessment)
        board = given.compare(correlated(seed), families={"truth": Gaussian}, minutes=0.02, seeds=1, seed=seed)
        assert board.entrants["truth"].assessment.diagnosis.verdict == "fits"


def test_planted_models_are_called_what_they_are():
    check_planted([0])


@pytest.mark.parametrize("options, line", [({"seeds": 0}, "seeds=0; expected a whole number from 1"),
                                           ({"minutes": 0}, "minutes=0; expected a number above 0"),
                                           ({"families": ["Gausian"]}, "unknown name 'Gausian'"),
                                           ({"families": []}, "expected at least one, got none"),
                                           ({"families": ["Categorical"]}, "no family applies; Categorical: ")])
def test_what_cannot_be_compared_is_one_line(options, line):
    with pytest.raises(UserError, match=line):
        given.compare(correlated(0, 60), **options)


@pytest.mark.parametrize("name", ["Gaussian", "gaussian", "GaussianMixture(components=2)", "gaussian_mixture(components=2)"])
def test_a_family_is_known_by_its_name_everywhere(name):
    """In compare, model and scikit-learn's estimators, in whatever case, with options or without."""
    from given.sklearn import Density

    x = correlated(0, 60)
    proper = "GaussianMixture" if "ixture" in name else "Gaussian"
    built = given.model(data=x, families={"a, b, c, d": name}).joint.factors[0]
    assert type(built).__name__ == proper and getattr(built, "components", 2) == 2
    assert type(Density(name, steps=1).fit(np.stack(list(x.values()), 1)).model_.joint.factors[0]) is type(built)
    assert any(proper in each for each in given.compare(x, families=[name], minutes=0.01, seeds=1).entrants)


def check_numbers():
    """Rows have their numbers in the data, and stand beside draws of their condition."""
    data = given.read("digits").rows(slice(0, 300))
    board = given.compare(data, "image | label", families=[Empirical, Independent], minutes=0.01, seeds=1)
    found = board.entrants["Empirical"].assessment
    assert found.drawn["label"].tolist() == board.test["label"].tolist()
    assert len(found.copies.listed) > 20
    assert all((data["image"][row] == found.drawn["image"][i]).all() for i, row, _ in found.copies.listed)
    row, nats = board.entrants["Independent"].assessment.worst[0]
    scores = board.entrants["Independent"].score.items
    assert nats == scores.min() and (data["image"][row] == board.test["image"][scores.argmin()]).all()


def test_numbers_of_rows():
    check_numbers()


def check_contours():
    """Of a round hill the line at a height is a circle, and heights hold the masses asked for."""
    at = np.linspace(-4, 4, 81)
    hill = np.exp(-0.5 * (at[:, None] ** 2 + at**2))
    ends = np.array(charts.contours(hill, np.exp(-0.5))).reshape(-1, 2) * 0.1 - 4
    assert len(ends) > 40 and np.abs(np.hypot(*ends.T) - 1).max() < 0.02
    hill /= hill.sum()
    for mass, level in zip((0.9, 0.5), charts.contour_levels(hill, (0.9, 0.5)), strict=True):
        assert abs(hill[hill >= level].sum() - mass) < 0.02


def test_contours():
    check_contours()


def test_draws_and_verdicts_do_not_depend_on_how_many_rows_there_is_time_for_at_once(monkeypatch):
    from given.verbs import assessment

    x = correlated(0, 60)
    model = given.model(data=x, families={"a, b, c, d": Gaussian})
    model.fit(x, held_out=0)
    found = []
    for first in (2, 50):
        monkeypatch.setattr(assessment, "_FIRST", first)
        found.append(given.assess(model, x, correlated(1, 60), baseline=model).drawn)
    assert np.allclose(found[0]["a"], found[1]["a"]) and len(np.unique(found[0]["a"])) == 60


def check_time():
    """Scores take no longer than their share of the time, and most of it."""
    import time
    from unittest import mock

    x = correlated(0, 60)
    model = given.model(data=x, families={"a, b, c, d": Gaussian})
    model.fit(x, held_out=0)
    score, asked = given.Model.score, []

    def slow(self, data, **options):
        asked.append(data.n)
        time.sleep(0.01 * data.n)
        return score(self, data, **options)

    with mock.patch.object(given.Model, "score", slow):
        given.assess(model, x, correlated(1, 400), seconds=1.0, baseline=model, only_score=True)
    assert asked[0] == 2 and 8 <= sum(asked) <= 34  # of 1 s a part for scores, 10 ms a row


def test_judging_keeps_to_its_time():
    check_time()


def test_an_expensive_score_is_asked_of_few_rows(monkeypatch):
    """What a few scores show to take longer than there is time for is left out, and why is said."""
    import time

    x = correlated(0, 60)
    model = given.model(data=x, families={"a, b, c, d": Gaussian})
    model.fit(x, held_out=0)
    score, asked = given.Model.score, []

    def slow(self, data, **options):
        asked.append(data.n)
        time.sleep(0.02 * data.n)
        return score(self, data, **options)

    monkeypatch.setattr(given.Model, "score", slow)
    found = given.assess(model, x, correlated(1, 60), seconds=0.03, baseline=model)
    assert sum(asked) <= 4 and len(found.score.items) == 2 and found.train_score is None
    assert found.left_out["train score"].startswith("no time: 2 scores of a row take some")
