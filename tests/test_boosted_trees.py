"""Boosted trees: as scikit-learn sums them, classes by their hazards, bins, what is unseen, and how many trees."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import IdentityCodec
from given.conditional import teach
from given.distributions import Histogram
from given.families import BoostedTrees
from given.lessons import Weigh
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

torch.set_num_threads(1)
X, C = Variable("x", IdentityCodec(Real())), Variable("c", IdentityCodec(Finite(2)))
Z = Variable("z", IdentityCodec(Real(axes=(Axis("entry", 2),))))


def rows(n, seed=0):
    """A class and a number that turn on two numbers, some of which are unseen."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 2))
    z[rng.random((n, 2)) < 0.1] = np.nan
    sure = np.nan_to_num(z)
    c = (sure[:, 0] + 0.5 * sure[:, 1] ** 2 + rng.normal(size=n) > 0.5).astype(int)
    y = Observed({"z": Entries(torch.tensor(sure), torch.tensor(~np.isnan(z)))}, n)
    return y, torch.tensor(np.sin(2 * sure[:, 0]) + 0.2 * rng.normal(size=n)), torch.tensor(c), z


def learned(family, x, y, values, weight=None):
    model = family(x, Z)
    teach(model, [(Entries(values), y, torch.ones(y.n).double() if weight is None else weight)])
    return model


def check_as_grown():
    """Of two classes p(c | z) is that of scikit-learn's own trees, but for the imagined row."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    y, _, c, z = rows(200)
    model = learned(partial(BoostedTrees, trees=20, leaves=6, rate=0.3, least=5, share=1.0), C, y, c)
    each, _, both = model._features(torch.tensor(z))
    features = np.column_stack([each, np.zeros(200), both[:, 0]])
    theirs = HistGradientBoostingClassifier(max_iter=20, early_stopping=False, l2_regularization=1.0, learning_rate=0.3,
                                            max_leaf_nodes=6, min_samples_leaf=5).fit(features, c.numpy() == 0)
    share = theirs.predict_proba(features)[:, 1]
    assert np.allclose(model(y).log_probs[:, 0].exp(), (200 * share + 0.5) / 201, atol=1e-9) and share.std() > 0.1


def test_two_classes_are_those_of_scikit_learn():
    check_as_grown()
def check_hazards():
    """Classes of an ordered number sum to one, in their order: of three alike parts of y each has its own third."""
    z = torch.linspace(-3, 3, 300).double()
    values = torch.where(z < -1, -2.0, torch.where(z < 1, 0.5, z))
    x = Variable("x", IdentityCodec(Real(atoms=(-2.0, 0.5))))
    v = Variable("v", IdentityCodec(Real()))
    model = BoostedTrees(x, v, least=5, share=1.0, bins=4)
    y = Observed({"v": Entries(z)}, 300)
    teach(model, [(Entries(values), y, torch.ones(300).double())])
    at = Observed({"v": Entries(torch.tensor([-2.0, 0.0, 1.75]).double())}, 3)
    for i, value in enumerate((-2.0, 0.5)):
        p = model(at).log_prob(Entries(torch.full((3,), value).double())).exp()
        assert p[i] > 0.95 and p.sum() < 1.1
    middle = model(at).cdf(Entries(torch.tensor([-2.0, 0.5, 1.75]).double()))
    assert middle[0] > 0.95 and middle[1] > 0.95 and 0.3 < middle[2] < 0.95


def test_atoms_and_bins_stand_in_one_order():
    check_hazards()


def check_histogram():
    """The distribution function rises by the density, tails too, and draws turn it round."""
    made = Histogram(torch.tensor([[0.0, 1.0, -1.0]]), torch.tensor([-1.0, 0.0, 0.5, 2.0]).double(), Real())
    at = torch.tensor([[-3.0], [-0.5], [0.2], [1.9], [2.5]]).double()
    slope = (made.cdf(Entries(at + 1e-4)) - made.cdf(Entries(at - 1e-4))) / 2e-4
    assert torch.allclose(slope, made.log_prob(Entries(at)).exp(), rtol=1e-5, atol=1e-9)
    u = torch.tensor([[5e-5], [0.2], [0.5], [0.9], [0.99995]]).double()
    assert torch.allclose(made.cdf(Entries(made.pick(u))), u, atol=1e-9)
    drawn = made.sample((20_000,)).tensor
    assert abs(float(drawn.mean() - made.mean().tensor)) < 5 * float(drawn.std()) / 20_000**0.5


def test_a_histogram_is_one_distribution():
    check_histogram()


def test_held_out_rows_choose_how_many_trees():
    y, x, _, _ = rows(80)
    model = learned(partial(BoostedTrees, trees=100, least=2, rate=0.5, bins=4), X, y, x)
    other, new, _, _ = rows(300, seed=1)
    before = model(other).log_prob(Entries(new)).mean()
    teach(model, [(Entries(new), other, torch.ones(300).double())], Weigh)
    assert int(model.used) < 100 and model(other).log_prob(Entries(new)).mean() > before + 0.1


def test_trees_serve_a_table(tmp_path):
    """By the formula, chained, saved and loaded; a parent that is left out of a row is no error."""
    rng = np.random.default_rng(0)
    age = rng.integers(20, 60, 400)
    data = given.read(age=age, city=rng.choice(["Oslo", "Rome"], 400), wage=(50.0 * age * rng.uniform(0.9, 1.1, 400)).round())
    model = given.model("p(age) p(city | age) p(wage | age, city)", data, families={
        "wage": partial(BoostedTrees, trees=30, least=10), "city": partial(BoostedTrees, trees=10)})
    model.fit(data, progress=False)
    drawn = np.asarray(model.sample(200, age=40, city="Oslo")["wage"])
    assert 1700 < np.quantile(drawn, 0.1) and np.quantile(drawn, 0.9) < 2300
    model.save(tmp_path / "m.given")
    again = given.load(tmp_path / "m.given")
    assert np.array_equal(again.log_prob(data), model.log_prob(data))
    assert len(model.given(wage=2000.0).sample(5)["age"]) == 5


@pytest.mark.parametrize("made, error", [
    (lambda: BoostedTrees(X), r"^BoostedTrees: p\(x\) has no condition to cut along; use Independent$"),
    (lambda: BoostedTrees(Z, C), r"^BoostedTrees: expected one number or one symbol, got z: .*of its own, such as "),
    (lambda: BoostedTrees(X, C, leaves=1), r"^BoostedTrees x: leaves=1; expected a number from 2 to 62$"),
    (lambda: BoostedTrees(X, C, share=0), r"^BoostedTrees x: share=0; expected a number above 0 to 1$"),
])
def test_wrong_uses_are_one_line(made, error):
    with pytest.raises(UserError, match=error):
        made()
