"""One-dimensional distributions by maximum likelihood, against scipy's fits and closed forms of their standard errors."""

import numpy as np
import pytest
import torch
from scipy import special, stats
from test_classics import learned, scores, vector

import given
from given.codecs import Label
from given.families import Beta, Exponential, Gamma, Laplace, LogNormal, Normal, StudentT, Uniform
from given.variables import Entries, Observed, UserError, Variable

_RNG = np.random.default_rng(0)
N = 800
DRAWN = {
    Uniform: (stats.uniform(-2, 5), {}, lambda p: (p["low"], p["high"] - p["low"])),
    Normal: (stats.norm(3, 2), {}, lambda p: (p["loc"], p["scale"])),
    LogNormal: (stats.lognorm(0.7, 0, np.e), {"floc": 0}, lambda p: (p["scale"], 0, np.exp(p["loc"]))),
    Exponential: (stats.expon(0, 2.5), {"floc": 0}, lambda p: (0, 1 / p["rate"])),
    Laplace: (stats.laplace(1, 2), {}, lambda p: (p["loc"], p["scale"])),
    Gamma: (stats.gamma(2.5, 0, 3), {"floc": 0}, lambda p: (p["concentration"], 0, 1 / p["rate"])),
    Beta: (stats.beta(0.7, 2), {"floc": 0, "fscale": 1}, lambda p: (p["concentration1"], p["concentration0"], 0, 1)),
    StudentT: (stats.t(4, 1, 2), {}, lambda p: (p["df"], p["loc"], p["scale"])),
}
FAMILIES = pytest.mark.parametrize("family", DRAWN, ids=lambda family: family.__name__)


def fitted(family, x, weight=None):
    model = learned(family, x[:, None], weight)
    return model, {name: float(t[0]) for name, t in model.estimates.items()}


@FAMILIES
def test_estimates_are_scipys(family):
    """As likely as scipy's own fit to 1e-6 nats a row, and of the same numbers; the density, its integral and quantiles too."""
    truth, fixed, arguments = DRAWN[family]
    x = truth.rvs(N, random_state=1)
    model, numbers = fitted(family, x)
    theirs = truth.dist.fit(x, **fixed)
    ours = arguments(numbers)
    assert truth.dist.logpdf(x, *ours).mean() > truth.dist.logpdf(x, *theirs).mean() - 1e-6
    assert np.allclose(ours, theirs, rtol=2e-2, atol=2e-2)
    at = np.concatenate([x[:50], [-1.5, 0.3, 0.9]])
    frozen = truth.dist(*ours)
    assert np.allclose(scores(model, at[:, None]).numpy(), frozen.logpdf(at), atol=1e-9)
    law = model(Observed(n=len(at)))
    assert np.allclose(law.cdf(Entries(torch.from_numpy(at[:, None]))).numpy(), frozen.cdf(at), atol=1e-7)
    drawn = model(Observed(n=1)).sample((4000,), seed=0).tensor.numpy().ravel()
    assert stats.kstest(drawn, frozen.cdf).pvalue > 1e-4


def closed(family, p, n):
    """Standard errors from the Fisher information, which at the maximum is what is observed in these families."""
    if family is Gamma:
        a, b = p["concentration"], p["rate"]
        information = n * np.array([[special.polygamma(1, a), -1 / b], [-1 / b, a / b**2]])
    elif family is Beta:
        a, b = p["concentration1"], p["concentration0"]
        both = special.polygamma(1, a + b)
        information = n * np.array([[special.polygamma(1, a) - both, -both], [-both, special.polygamma(1, b) - both]])
    elif family is Exponential:
        information = np.array([[n / p["rate"] ** 2]])
    else:  # the normal one, and of logarithms
        information = n / p["scale"] ** 2 * np.diag([1, 2])
    return np.sqrt(np.diag(np.linalg.inv(information)))


def check_standard_errors():
    for family in (Normal, LogNormal, Exponential, Gamma, Beta):
        model, numbers = fitted(family, DRAWN[family][0].rvs(N, random_state=2))
        found = [float(t[0]) for t in model.standard_errors().values()]
        assert np.allclose(found, closed(family, numbers, N), rtol=1e-6), family


def test_standard_errors_are_closed_forms():
    check_standard_errors()


@FAMILIES
def test_standard_errors_are_the_spread_of_estimates(family):
    """Over 40 samples the estimates spread by the middle standard error, within what 40 tell."""
    truth = DRAWN[family][0]
    each, errors = [], []
    for seed in range(40):
        model, numbers = fitted(family, truth.rvs(150, random_state=seed))
        each.append(list(numbers.values()))
        errors.append([float(t[0]) for t in model.standard_errors().values()])
    ratio = np.std(each, 0) / np.median(errors, 0)
    ratio = ratio[1:] if family is StudentT else ratio  # the estimates of degrees of freedom have a long tail
    assert ((ratio > 0.6) & (ratio < 1.6)).all(), ratio


@FAMILIES
def test_weights_are_copies_and_missing_cells_are_left_out(family):
    x = DRAWN[family][0].rvs(60, random_state=3)
    weight = np.random.default_rng(0).integers(0, 3, 60)
    model, _ = fitted(family, np.where(np.arange(60) % 5 == 0, np.nan, x), weight)
    there = np.arange(60) % 5 != 0
    copies, _ = fitted(family, np.repeat(x[there], weight[there]))
    for ours, theirs in ((model.estimates, copies.estimates), (model.standard_errors(), copies.standard_errors())):
        for name in ours:
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-4), name
    assert float(scores(model, np.full((1, 1), np.nan))) == 0


def test_a_uniform_density_holds_its_ends_and_nothing_outside():
    model, numbers = fitted(Uniform, np.array([2.0, 5.0, 3.0]))
    assert numbers == {"low": 2.0, "high": 5.0}
    assert scores(model, np.array([[2.0], [5.0], [1.9], [5.1]])).tolist() == [-np.log(3), -np.log(3), -np.inf, -np.inf]


def test_a_table_by_laws_of_its_columns():
    """p(kind) p(wait | kind): numbers in their own units, holes and weights, turned round by Bayes' rule, saved and loaded."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b"], 400)
    wait = np.where(kind == "a", rng.exponential(1, 400), rng.exponential(10, 400))
    wait[:40] = np.nan
    data = given.read(kind=kind, wait=wait)
    model = given.model("p(kind) p(wait | kind)", data, families={"wait": Exponential})
    model.fit(data, held_out=0, progress=False)
    factor = list(model.joint)[1]
    assert 1 / factor.estimates["rate"].numpy() == pytest.approx([1, 10], rel=0.3)
    assert factor.standard_errors()["rate"].shape == (2,)
    at = model.given(wait=[0.1, 30.0]).probabilities("kind")
    assert at["a"][0] > 0.8 and at["b"][1] > 0.99
    assert np.isfinite(model.log_prob(data)).all()


@pytest.mark.parametrize("make, message", [
    (lambda: learned(Gamma, np.array([[1.0], [-0.5]])), "got -0.5, where Gamma is of numbers above 0"),
    (lambda: learned(Beta, np.array([[0.5], [1.0]])), "got 1, where Beta is of numbers between 0 and 1, without the ends"),
    (lambda: learned(Normal, np.full((4, 1), 3.0)), "every value is 3, so there is no density"),
    (lambda: learned(Exponential, np.zeros((4, 1))), "every value is 0, so there is no density"),
    (lambda: learned(StudentT, np.full((4, 1), np.nan)), "no row of weight above 0 with an entry that is known"),
])
def test_what_has_no_likeliest_says_so(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_a_state_without_rows_says_which():
    label = Variable("k", Label())
    label.codec.learn(np.arange(3))
    model = Normal(vector(1), label)
    y = Observed({"k": Entries(torch.tensor([0, 0, 1, 1]))}, 4)
    with pytest.raises(UserError, match="where the parents have their value 2"):
        given.conditional.teach(model, [(Entries(torch.randn(4, 1)), y, torch.ones(4))])


def test_naive_bayes_of_many_columns():
    """p(label) p(columns | label) names as many classes as scikit-learn's, with cells missing and row weights."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.naive_bayes import GaussianNB

    sample = load_breast_cancer()
    weight = np.random.default_rng(0).integers(1, 4, len(sample.target)).astype(float)
    holes = np.where(np.random.default_rng(1).random(sample.data.shape) < 0.1, np.nan, sample.data)
    names = [f"c{i}" for i in range(30)]
    columns = {"label": sample.target.astype(str), **dict(zip(names, holes.T, strict=True)), "w": weight}
    unknown = {name: given.codecs.Number(missing="unknown") for name in names}
    data = given.read(columns)
    model = given.model(f"p(label) p({', '.join(names)} | label)", data, codecs=unknown,
                        families={", ".join(names): given.families.Independent})
    model.fit(data, held_out=0, weight="w", progress=False)
    some = slice(0, 16)  # every pattern of holes is a question of its own
    named = model.given(**{name: columns[name][some] for name in names}).mode()["label"]
    theirs = GaussianNB().fit(sample.data, sample.target, weight).score(sample.data[some], sample.target[some])
    assert np.mean(np.asarray(named) == columns["label"][some]) > theirs - 0.05
