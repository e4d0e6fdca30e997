"""GARCH against the recursion written out, and against the package `arch` where there is one."""

from functools import cache, partial

import numpy as np
import pytest
import torch
from scipy import stats

import given
from given.codecs import BlockCodec, IdentityCodec, Number, Series
from given.conditional import teach
from given.distributions import RealizedVolatility, SkewedStudent, Volatility, linear_scan
from given.families import GARCH, RealizedGARCH
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

T = 300
X = Variable("r", IdentityCodec(Real(axes=(Axis("time", T, "given", "time"),))))
TRUTH = {"mean": 0.1, "phi": -0.2, "omega": 0.05,
         "alpha": 0.02, "gamma": 0.2, "beta": 0.8, "first": 0.6, "df": 6.0, "skew": -0.3}


def volatility(**changed):
    return Volatility(**{k: torch.tensor([v], dtype=torch.float64) for k, v in (TRUTH | changed).items()})


@cache
def with_numbers(**changed):
    """A family of chosen numbers, and what they draw."""
    model = GARCH(X)
    type(model).numbers.fget  # noqa: B018
    law = model(Observed(n=4))
    law.numbers = volatility(**changed)
    return law, law.sample(seed=1).tensor


def check_recursion():
    law, r = with_numbers(skew=0.0)
    p, variance, before, total = TRUTH, TRUTH["first"], TRUTH["mean"], 0.0
    for value in r[0].tolist():
        mean = p["mean"] + p["phi"] * (before - p["mean"])
        total += stats.t.logpdf(value, p["df"], mean, (variance * (p["df"] - 2) / p["df"]) ** 0.5)
        e, before = value - mean, value
        variance = p["omega"] + (p["alpha"] + p["gamma"] * (e < 0)) * e**2 + p["beta"] * variance
    assert abs(float(law.log_prob(Entries(r))[0]) - total) < 1e-8


def test_scores_are_the_recursion_written_out():
    check_recursion()


def check_innovations():
    """A density of mean 0 and variance 1, with its distribution function and quantiles."""
    law = SkewedStudent(*(torch.tensor(v, dtype=torch.float64) for v in (5.0, -0.4, 0.0, 1.0)))
    u = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    z = law.icdf(u)
    assert torch.allclose(law.cdf(z), u, atol=1e-9)
    assert abs(float(z.mean())) < 1e-3 and abs(float((z**2).mean()) - 1) < 2e-3
    inner = slice(1000, -1000)
    slope = (u[inner].diff() / z[inner].diff()).log()
    assert torch.allclose(slope, law.log_prob((z[inner][1:] + z[inner][:-1]) / 2), atol=1e-4)


def test_innovations_are_standardised():
    check_innovations()


def test_a_scan_is_the_recurrence():
    u, factor = torch.randn(2, 13, 3, dtype=torch.float64), torch.tensor([0.5, -0.9, 0.0], dtype=torch.float64)
    s, found = torch.zeros(2, 3, dtype=torch.float64), []
    for term in u.unbind(1):
        found.append(s := factor * s + term)
    assert torch.allclose(linear_scan(u, factor), torch.stack(found, 1))


def check_learned():
    """From ragged series, as likely as the truth and better; what is learned leans and reacts as it does."""
    law, r = with_numbers()
    valid = torch.arange(T) < torch.tensor([[T], [T], [T // 2], [T]])
    x = Entries(torch.where(valid, r, 99.0), valid=valid)
    model = GARCH(X, most_steps=60)  # more than it needs; a fit to padding takes all there are
    teach(model, [(x, Observed(n=4), torch.ones(4, dtype=torch.float64))])
    found = model(Observed(n=4)).log_prob(x).sum() - law.log_prob(x).sum()
    assert 0 < float(found) < 15, f"{float(found)} nats above the truth's"
    assert float(model.numbers.gamma) > 0.1 and float(model.numbers.skew) < -0.1 and float(model.numbers.phi) < -0.1


def test_what_is_learned_is_likelier_than_the_truth():
    check_learned()


def test_a_long_series_is_learned_by_windows():
    """Of windows that overlap what an earlier one scored is read, and no hole."""
    y = np.empty(2, dtype=object)
    y[:] = [with_numbers()[1][i].numpy() for i in range(2)]
    model = given.model("p(y)", {"y": y}, codecs={"y": Series(Number(), window=64, stride=32)},
                        families={"y": partial(GARCH, most_steps=5)}, seed=0)
    model.fit({"y": y}, held_out=0, progress=False)
    assert model.given(y=given.prefix(y[0][:70])).sample(2, length=100)["y"].shape == (2, 100)


def test_a_hole_within_is_one_line():
    x = Entries(torch.zeros(1, T, dtype=torch.float64), seen=torch.arange(T) != 5)
    with pytest.raises(UserError, match=r"GARCH learns from series without holes, .* fill them, or use HiddenMarkov"):
        teach(GARCH(X), [(x, Observed(n=1), torch.ones(1))])


REALIZED = {"mean": 0.1, "phi": -0.2, "level": 0.4, "beta": 0.7, "gamma": 0.25, "leverage": -0.1, "first": 0.6, "df": 6.0,
            "skew": 0.0, "offset": -0.3, "slope": 0.9, "lean": -0.2, "bend": 0.8, "spread": 0.5}
SHORT = IdentityCodec(Real(axes=(Axis("time", 120, "given", "time"),)))
BOTH = Variable("r, y", BlockCodec({name: SHORT for name in ("r", "y")}))


@cache
def realized():
    """A family of chosen numbers, and what they draw: returns and their measure."""
    law = RealizedGARCH(BOTH)(Observed(n=5))
    law.numbers = RealizedVolatility(**{k: torch.tensor([v], dtype=torch.float64) for k, v in REALIZED.items()})
    return law, law.sample(seed=1)


def check_realized_recursion():
    law, x = realized()
    p, log_variance, before, total = REALIZED, REALIZED["first"], REALIZED["mean"], 0.0
    for r, y in zip(*(each[0].tolist() for each in x.values.values()), strict=True):
        mean = p["mean"] + p["phi"] * (before - p["mean"])
        z = (r - mean) * np.exp(-log_variance / 2)
        total += stats.t.logpdf(z, p["df"], scale=((p["df"] - 2) / p["df"]) ** 0.5) - log_variance / 2
        loc = p["offset"] + p["slope"] * log_variance + p["lean"] * z / (1 + z**2) ** 0.5 + p["bend"] * np.log(1 + z**2)
        total += stats.norm.logpdf(y, loc, p["spread"])
        log_variance = ((1 - p["beta"] - p["gamma"] * p["slope"]) * p["level"] + p["beta"] * log_variance
                        + p["gamma"] * (y - p["offset"]) + p["leverage"] * (r - mean) * np.exp(-y / 2))
        before = r
    assert abs(float(law.log_prob(x)[0]) - total) < 1e-8


def test_scores_with_a_measure_are_the_recursion_written_out():
    check_realized_recursion()


def test_a_measure_is_learned_with_the_returns():
    """Likelier than the truth by a few nats; persistence and leverage are found again."""
    law, x = realized()
    model = RealizedGARCH(BOTH)
    teach(model, [(x, Observed(n=5), torch.ones(5, dtype=torch.float64))])
    found = model(Observed(n=5)).log_prob(x).sum() - law.log_prob(x).sum()
    assert 0 < float(found) < 20, f"{float(found)} nats above the truth's"
    numbers = model.numbers
    assert float(numbers.leverage) < -0.05 and 0.75 < float(numbers.beta + numbers.gamma * numbers.slope) < 1


def test_of_what_is_predicted_means_and_scales_are_those_that_draw():
    law, x = realized()
    ahead = law.predictive(x)
    now = law.numbers.begin(5)
    for t in range(3):
        assert torch.allclose(ahead.mean[:, t], now.mean) and torch.allclose(ahead.variance[:, t].log(), now.variance)
        now = law.numbers.after(now, torch.stack([each[:, t] for each in x.values.values()], 1).double())


def check_leap():
    """What is known is read at once, as step by step."""
    for law, x in ((with_numbers()[0], Entries(with_numbers()[1])), realized()):
        values, channels = law._whole(x)[0].tensor.double()[:, law.order], law.timeline.channels
        state = law.start()
        while state.t < 7 * channels:
            state = law.advance(state, values[:, state.t])
        leapt = law.read(law.start(), values, 7 * channels)
        assert leapt.t == state.t and torch.allclose(leapt.values, state.values)
        assert torch.allclose(leapt.cache.mean, state.cache.mean) and torch.allclose(leapt.cache.variance, state.cache.variance)


def test_what_is_known_is_read_at_once():
    check_leap()


def test_scores_are_those_of_arch():
    arch = pytest.importorskip("arch").univariate
    law, r = with_numbers(phi=0.0)
    values = r[0].numpy()
    model = arch.ConstantMean(values, volatility=arch.GARCH(1, 1, 1), distribution=arch.SkewStudent())
    e = values - TRUTH["mean"]
    variance = np.empty(T)
    model.volatility.compute_variance(np.array([TRUTH[k] for k in ("omega", "alpha", "gamma", "beta")]), e, variance, 1.0,
                                      np.tile([0.0, 1e12], (T, 1)))
    law = law._but(numbers=volatility(phi=0.0, first=float(variance[0])))
    theirs = model.distribution.loglikelihood(np.array([TRUTH["df"], TRUTH["skew"]]), e, variance)
    assert abs(float(law.log_prob(Entries(r))[0]) - theirs) < 1e-6
