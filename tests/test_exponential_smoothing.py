"""ExponentialSmoothing against the recursion written out, and against the package statsmodels where there is one."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

import given
from given.codecs import BlockCodec, IdentityCodec, Number, Series
from given.conditional import teach
from given.distributions import ExponentialSmoothing as Smoothed
from given.distributions import Innovations, Timeline
from given.families import ExponentialSmoothing
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

T, M = 30, 4
TIME = IdentityCodec(Real(axes=(Axis("time", T, "given", "time"),)))
X = Variable("a, b", BlockCodec({"a": TIME, "b": TIME}))
ALPHA, BETA, GAMMA, PHI, VARIANCE = [0.4, 0.1], [0.15, 0.05], [0.3, 0.0], [0.9, 1.0], [0.5, 2.0]
MEAN = [[3.0, 0.2, 1.0, -1.0, 0.5, -0.5], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]
SPREAD = [[1.0, 0.1, 0.3, 0.3, 0.3, 0.3], [4.0, 0.5, 0.0, 0.0, 0.0, 0.0]]


def law(n=3, **changed):
    truth = {"alpha": ALPHA, "beta": BETA, "gamma": GAMMA, "phi": PHI, "variance": VARIANCE, "mean": MEAN, "spread": SPREAD}
    numbers = Innovations(**{name: torch.tensor(each, dtype=torch.float64) for name, each in (truth | changed).items()})
    return Smoothed(X.space, n, Timeline(X, "a test"), numbers)


def run(c, first, e):
    """The values that first states (2 + m,) and innovations (T,) lead to."""
    level, slope, season = first[0], first[1], [*first[2:]]
    found = []
    for t in range(T):
        expected = level + PHI[c] * slope
        found.append(expected + season[t % M] + e[t])
        level, slope = expected + ALPHA[c] * e[t], PHI[c] * slope + BETA[c] * e[t]
        season[t % M] = season[t % M] + GAMMA[c] * e[t]
    return np.array(found)


def check_dense():
    """Values are linear in first states and innovations: the recursion of each unit of these gives the covariance."""
    x = law().sample(seed=1)
    for row in range(2):
        hoped = 0.0
        for c, name in enumerate("ab"):
            mean, zero = run(c, MEAN[c], np.zeros(T)), np.zeros(2 + M)
            states = np.stack([run(c, one, np.zeros(T)) for one in np.eye(2 + M)], 1) * np.sqrt(SPREAD[c])
            noise = np.stack([run(c, zero, one) for one in np.eye(T)], 1) * np.sqrt(VARIANCE[c])
            dense = stats.multivariate_normal(mean, states @ states.T + noise @ noise.T)
            hoped += dense.logpdf(x.columns[name].tensor[row].numpy())
        assert abs(float(law().log_prob(x)[row]) - hoped) < 1e-8


def test_scores_are_those_of_the_recursion():
    check_dense()


def check_draws():
    """What is drawn after a beginning is what its density expects."""
    x = law().sample(seed=1)
    seen = torch.arange(T) < 20
    past = Entries.block({name: Entries(each.tensor, seen.expand(3, T)) for name, each in x.columns.items()})
    given_past = law().condition(past)
    drawn = given_past.sample((200,), seed=2)
    score = given_past.log_prob(drawn)
    entropy = -0.5 * 10 * (2 + 2 * np.log(2 * np.pi)) - law().root.diagonal(dim1=1, dim2=2)[:, 20:].log().sum()
    assert abs(float(score.mean() - entropy)) < 5 * (20 / 2 / 600) ** 0.5


def test_draws_go_on_from_a_beginning():
    check_draws()


def check_learned():
    """From ragged series, likelier than the truth, by no more than chance allows."""
    n, valid = 12, torch.arange(T) < torch.where(torch.arange(12) % 3 == 0, T // 2, T)[:, None]
    first = [[3.0, 0.2, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]
    truth = law(n, gamma=[0.3, 0.1], phi=[0.9, 0.85], mean=first, spread=[SPREAD[0], [4.0, 0.5, 0.3, 0.3, 0.3, 0.3]])
    x = truth.sample(seed=5)
    x = Entries.block({name: Entries(torch.where(valid, each.tensor, 99.0), valid=valid) for name, each in x.columns.items()})
    model = ExponentialSmoothing(X, period=M, most_steps=40)
    teach(model, [(x, Observed(n=n), torch.ones(n, dtype=torch.float64))])
    found = float((model(Observed(n=n)).log_prob(x) - truth.log_prob(x)).sum())
    assert 0 < found < 15, f"{found} nats above the truth's"
    assert abs(float(model.numbers.alpha[0]) - ALPHA[0]) < 0.2


def test_what_is_learned_is_likelier_than_the_truth():
    check_learned()


def test_a_season_is_gone_on_with_in_windows():
    t, rng = np.arange(90), np.random.default_rng(0)
    y = np.empty(2, dtype=object)
    y[:] = [100 + 0.1 * t + 10 * np.sin(2 * np.pi * t / 6) + rng.normal(size=90) for _ in range(2)]
    family = partial(ExponentialSmoothing, period=6, most_steps=15)
    model = given.model("p(y)", {"y": y}, codecs={"y": Series(Number(), window=48)}, families={"y": family}, seed=0)
    model.fit({"y": y}, held_out=0, progress=False)
    ahead = model.forecast({"y": y}, 12, n=40).paths["y"].mean(0)
    later = np.arange(90, 102)
    assert np.abs(ahead - (100 + 0.1 * later + 10 * np.sin(2 * np.pi * later / 6))).max() < 3


@pytest.mark.parametrize("options, message", [({"period": 0}, r"period=0; expected a whole number of moments, 1 for none")])
def test_a_period_that_is_none_is_one_line(options, message):
    with pytest.raises(UserError, match=message):
        ExponentialSmoothing(X, **options)


def test_a_hole_within_is_one_line():
    x = Entries(torch.zeros(1, T, dtype=torch.float64), seen=torch.arange(T) != 5)
    with pytest.raises(UserError, match=r"learns from series without holes, .* fill them, or use StateSpace or HiddenMarkov"):
        teach(ExponentialSmoothing(Variable("a", TIME)), [(x, Observed(n=1), torch.ones(1))])


def test_scores_are_those_of_statsmodels():
    ets = pytest.importorskip("statsmodels.tsa.exponential_smoothing.ets")
    x = law(spread=[[0.0] * 6] * 2).sample(seed=1).columns["a"].tensor[0].numpy()
    model = ets.ETSModel(x, error="add", trend="add", damped_trend=True, seasonal="add", seasonal_periods=M,
                         initialization_method="known", initial_level=MEAN[0][0], initial_trend=MEAN[0][1],
                         initial_seasonal=MEAN[0][2:])
    theirs = model.smooth([ALPHA[0], BETA[0], GAMMA[0], PHI[0]])
    one = Variable("a", TIME)
    numbers = (ALPHA[0], BETA[0], GAMMA[0], PHI[0], theirs.sse / T, MEAN[0], [0.0] * 6)
    ours = Smoothed(one.space, 1, Timeline(one, "a test"),
                    Innovations(*(torch.tensor([each], dtype=torch.float64) for each in numbers)))
    assert abs(float(ours.log_prob(Entries(torch.from_numpy(x)[None]))[0]) - theirs.llf) < 1e-6
