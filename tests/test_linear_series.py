"""Series that are linear in their past: autoregression by ridge, the seasonal naive."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given import prefix
from given.codecs import IdentityCodec, Number, Series
from given.conditional import teach
from given.families import Autoregressive, LinearAutoregressive, SeasonalNaive
from given.nn import MinGRU, Reverse
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

RNG = np.random.default_rng(3)
PATH = Variable("x", IdentityCodec(Real(axes=(Axis("time", 40, "given", "time"),))))


def learned(family, x, y=None):
    factor = family(PATH)
    entries = Entries(torch.as_tensor(x))
    teach(factor, [(entries, Observed({}, len(x)), torch.ones(len(x), dtype=torch.float64))])
    return factor


def second_order(n, length=40, noise=RNG.normal):
    """x_t = 1.2 x_{t-1} - .5 x_{t-2} + n_t."""
    x = np.zeros((n, length + 50))
    e = noise(size=x.shape)
    for t in range(2, x.shape[1]):
        x[:, t] = 1.2 * x[:, t - 1] - 0.5 * x[:, t - 2] + e[:, t]
    return x[:, 50:]


def check_ridge():
    """The weights are those of least squares on the same lags, and the score that of the innovations."""
    x = second_order(30)
    factor = learned(partial(LinearAutoregressive, order=2, ridge=1.0, components=1), x)
    z = np.stack([np.ones((30, 38)), x[:, 1:-1], x[:, :-2]], -1).reshape(-1, 3)
    penalty = np.diag([1e-9, 1.0, 1.0])
    W = np.linalg.solve(z.T @ z + penalty, z.T @ x[:, 2:].reshape(-1))
    np.testing.assert_allclose(factor.weights[-1][:, 0], W, atol=1e-8)
    assert abs(W[1] - 1.2) < 0.1 and abs(W[2] + 0.5) < 0.1
    e = x[:, 2:].reshape(-1) - z @ W
    each = factor(Observed({}, 30)).each(Entries(torch.as_tensor(x)))[:, 2:].mean()
    assert abs(float(each) + 0.5 * np.log(2 * np.pi * e.var()) + 0.5) < 2e-3


def test_ridge_is_least_squares_with_a_penalty():
    check_ridge()


def test_the_order_is_chosen_and_tails_are_as_heavy_as_the_data():
    x = second_order(60, noise=partial(RNG.standard_t, 3))
    heavy, normal = learned(LinearAutoregressive, x), learned(partial(LinearAutoregressive, components=1), x)
    new = Entries(torch.as_tensor(second_order(60, noise=partial(RNG.standard_t, 3))))
    y = Observed({}, 60)
    assert float(learned(LinearAutoregressive, second_order(60)).chosen[0]) in (2, 4)
    assert float((heavy(y).log_prob(new) - normal(y).log_prob(new)).mean()) > 1


def check_season():
    """The period is found, and a draw repeats what was a period before."""
    wave = np.sin(2 * np.pi * np.arange(40) / 8 + RNG.uniform(0, 6, (20, 1)))
    x = 3 * wave + 0.05 * RNG.normal(size=wave.shape)
    factor = learned(SeasonalNaive, x)
    assert int(factor.season) == 8
    known = Entries(torch.as_tensor(x), torch.arange(40) < 30)
    drawn = factor(Observed({}, 20)).condition(known).sample((50,), seed=0).tensor
    assert float((drawn[..., 30:38].mean(0) - torch.as_tensor(x[:, 22:30])).abs().max()) < 0.1
    assert learned(SeasonalNaive, RNG.normal(size=(20, 40))).orders == (0, 1, 1)


def test_the_season_is_found():
    check_season()


def check_correlation():
    """Of two series whose innovations are nearly the same, the sum of the scores is of their joint density."""
    e = RNG.normal(size=(2, 400))
    data = given.read(a=[e[0]], b=[e[0] + 0.1 * e[1]])
    model = given.model("p(a, b)", data, codecs={k: Series(Number(), window=20) for k in "ab"},
                        families={"a, b": partial(LinearAutoregressive, order=1)})
    model.fit(data, held_out=0, progress=False)
    nats = float(model.score(data).items.mean()) / 400
    true = -np.log(2 * np.pi * np.e) - np.log(0.1)
    assert abs(nats - true) < 0.15
    drawn = model.given(a=prefix(e[0][:30]), b=prefix(e[0][:30])).sample(40, length=60, seed=0)
    assert drawn["a"].shape == (40, 60) and np.std(drawn["b"] - drawn["a"]) < 0.2


def test_innovations_of_several_series_are_correlated():
    check_correlation()


def test_a_covariate_of_the_moment_and_a_constant_of_the_item_are_read():
    promo = RNG.integers(0, 2, (30, 20))
    shop = np.arange(30) % 2
    sales = 5.0 * promo + 10.0 * shop[:, None] + RNG.normal(size=promo.shape)
    data = given.read(sales=list(sales), promo=list(promo), shop=np.array(["a", "b"])[shop])
    model = given.model("p(sales | promo, shop)", data, families={"sales": LinearAutoregressive},
                        codecs={"sales": Series(Number()), "promo": Series(Number())})
    model.fit(data, progress=False)
    drawn = model.given(promo=[0, 1, 0, 1], shop="b").sample(400, seed=0)["sales"].mean(0)
    np.testing.assert_allclose(drawn, [10, 15, 10, 15], atol=0.8)


def uneven(n, length=96):
    """Innovations that are large at every eighth place."""
    return np.random.default_rng(n).normal(size=(n, length)) * np.where(np.arange(length) % 8 == 3, 5.0, 0.5)


def sized():
    """An autoregression of series whose innovations are as large as a season before."""
    path = Variable("x", IdentityCodec(Real(axes=(Axis("time", 96, "given", "time"),))))
    factor, x = LinearAutoregressive(path, order=1), uneven(40)
    teach(factor, [(Entries(torch.as_tensor(x)), Observed({}, 40), torch.ones(40, dtype=torch.float64))])
    return factor


def check_sizes():
    """Innovations are foretold to be as large as a season before, step by step as all at once, and drawn so."""
    factor = sized()
    x, y = torch.as_tensor(uneven(12)), Observed({}, 12)
    distribution = factor(y)
    each = distribution.each(Entries(x))
    by = factor.get_buffer("spreads"), float(each[:, 40:].mean() + (x[:, 40:]**2 / 2 + 0.919).mean())
    known = distribution.condition(Entries(x, torch.arange(96) < 60))
    state = known.read(known.start(), x, 60)
    for t in range(60, 96):
        assert torch.allclose(known.next(state).each(x[:, t]), each[:, t])
        state = known.advance(state, x[:, t])
    drawn = known.sample((50,), seed=0).tensor[..., 60:]
    large = (torch.arange(60, 96) % 8 == 3)
    assert int(by[0]) == 8 and by[1] > 0.5 and float(drawn[..., large].std() / drawn[..., ~large].std()) > 3


def test_innovations_are_as_large_as_those_before_say():
    check_sizes()


def test_sizes_that_do_not_change_are_left_alone():
    path = Variable("x", IdentityCodec(Real(axes=(Axis("time", 96, "given", "time"),))))
    factor = LinearAutoregressive(path, order=1)
    x = Entries(torch.as_tensor(RNG.normal(size=(40, 96))))
    teach(factor, [(x, Observed({}, 40), torch.ones(40, dtype=torch.float64))])
    assert not factor.get_buffer("sizes").any() and not int(factor.get_buffer("spreads"))


def check_across():
    """a is b two steps before: worth reading. Of two walks of their own it is not."""
    walk = RNG.normal(size=(2, 600)).cumsum(1) * 0.2 + RNG.normal(size=(2, 600))
    for a, across in ((np.roll(walk[1], 2) + 0.1 * walk[0], 1.0), (walk[0], 0.0)):
        data = given.read(a=[a[5:]], b=[walk[1][5:]])
        model = given.model("p(a, b)", data, codecs={k: Series(Number(), window=64) for k in "ab"},
                            families={"a, b": LinearAutoregressive})
        model.fit(data, held_out=0, progress=False)
        assert float(next(iter(model.joint)).chosen[1]) == across


def test_the_past_of_others_is_read_where_it_helps_over_several_steps():
    check_across()


BESIDE = partial(Autoregressive, net=partial(MinGRU, width=8, layers=1), skip=partial(LinearAutoregressive, order=2))


def check_skip():
    """Before its first step a net beside ridge scores as ridge does, whatever the size of the innovations."""
    x = 0.03 * second_order(60)
    linear, beside = learned(partial(LinearAutoregressive, order=2), x), learned(BESIDE, x)
    y, entries = Observed({}, 60), Entries(torch.as_tensor(x))
    with torch.no_grad():
        apart = (linear(y).log_prob(entries) - beside(y).log_prob(entries)).mean() / 40
    assert abs(float(apart)) < 0.1


def test_a_net_begins_as_its_skip_path():
    check_skip()


@pytest.mark.parametrize(("made", "words"), [
    (lambda: Autoregressive(PATH, order=Reverse(), skip=SeasonalNaive), r"skip= is of a causal net, order=Raster\(\)"),
    (lambda: LinearAutoregressive(PATH, order=-1), "order=-1; expected a whole number from 0"),
    (lambda: LinearAutoregressive(PATH, ridge=0.0), "ridge=0.0; expected a number above 0"),
    (lambda: LinearAutoregressive(PATH, components=0), "components=0; expected a whole number from 1"),
    (lambda: SeasonalNaive(PATH, period=40), "period=40; expected a whole number from 1, and less than the 40"),
], ids=["skip", "order", "ridge", "components", "period"])
def test_options_that_say_nothing(made, words):
    with pytest.raises(UserError, match=words):
        made()


def test_numbers_that_change_by_shares_are_read_as_logarithms():
    steps = np.random.default_rng(2).normal(size=(2, 150)) * 0.2
    growing, walking = np.exp(steps[0].cumsum() + 3), 100 + 0.1 * steps[1].cumsum()
    data = given.read(growing=[growing], walking=[walking], ends=[np.r_[growing[:149], 0.0]])
    model = given.model("p(growing) p(walking) p(ends)", data)
    curves = {name: v.codec.of.arguments["curve"] for name, v in model.joint.columns.items()}
    assert curves == {"growing": "log", "walking": "linear", "ends": "linear"}
    model.fit(data, held_out=0, progress=False)
    assert (model.forecast(data, 8, n=20).paths["growing"] > 0).all()
