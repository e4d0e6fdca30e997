"""Hawkes against the intensity written out and integrated by numbers."""

import math
from functools import cache, partial
from importlib import import_module

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import given
from given.codecs import BlockCodec, IdentityCodec, Label, Number, Series
from given.conditional import teach
from given.distributions import Excitation, Wait
from given.distributions import Hawkes as Arrivals
from given.families import Hawkes
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

N, T = 24, 120
TIME = Axis("time", T, "given", "time")
X = Variable("wait, mark", BlockCodec({"wait": IdentityCodec(Real(axes=(TIME,))),
                                       "mark": IdentityCodec(Finite(2, axes=(TIME,)))}))
BASE, RATE, FIRST = np.array([0.3, 0.1]), np.array([1.5, 0.2]), np.array([[0.2, 0.0], [0.05, 0.1]])
CHILDREN = np.array([[[0.6, 0.1], [0.0, 0.3]], [[0.1, 0.1], [0.0, 0.1]]])
TRUTH = Excitation(*(torch.from_numpy(each) for each in (BASE, CHILDREN, RATE, FIRST)))


@cache
def drawn():
    law = Arrivals(X.space, N, [*range(T)], [*range(T, 2 * T)], TRUTH)
    return law, law.sample(seed=3)


def intensity(t, times, marks):
    """lambda_k(t), a sum over all arrivals before."""
    found = BASE + np.exp(-RATE * t) @ FIRST
    for s, mark in zip(times, marks, strict=True):
        if s < t:
            found = found + (RATE * np.exp(-RATE * (t - s))) @ CHILDREN[:, mark]
    return found


def check_intensity():
    law, x = drawn()
    waits, marks = x.columns["wait"].tensor[0, :8].numpy(), x.columns["mark"].tensor[0, :8].numpy()
    times, total = waits.cumsum(), 0.0
    for i, (t, mark) in enumerate(zip(times, marks, strict=True)):
        began, before = t - waits[i], (times[:i], marks[:i])
        total += math.log(intensity(t, *before)[mark])
        total -= integrate.quad(lambda s, *before: intensity(s, *before).sum(), began + 1e-12, t, args=before)[0]
    seen = torch.arange(T) < 8
    first = Entries.block({name: Entries(each.tensor, seen) for name, each in x.columns.items()})
    assert abs(float(law.log_prob(first)[0]) - total) < 1e-6


def test_scores_are_the_intensity_and_its_integral():
    check_intensity()


def check_draws():
    """By the true intensity, what is integrated between arrivals is exponential, and marks are as often as they should be."""
    x = drawn()[0].sample((4,), seed=3)
    waits, marks = (x.columns[name].tensor.flatten(0, 1).numpy() for name in ("wait", "mark"))
    passed, off, spread, excited = [], 0.0, 0.0, FIRST
    for wait, mark in zip(waits.T, marks.T, strict=True):
        fade = np.exp(-RATE * wait[:, None])[..., None]
        passed.append(BASE.sum() * wait + ((1 - fade) * excited / RATE[:, None]).sum((1, 2)))
        now = BASE + (fade * excited).sum(1)
        p = now[:, 1] / now.sum(1)
        off, spread = off + (mark - p).sum(), spread + (p * (1 - p)).sum()
        excited = fade * excited + (RATE[:, None, None] * CHILDREN)[:, mark].swapaxes(0, 1)
    assert stats.kstest(np.concatenate(passed), "expon").pvalue > 1e-6
    assert abs(off) < 5 * spread**0.5


def test_draws_follow_the_intensity():
    check_draws()


def check_quantile():
    """A wait drawn of a number is the quantile of that number, however much is excited."""
    base = torch.tensor(0.5).double()
    excited = torch.tensor([[0.0, 0.0], [1e5, 3.0], [30.0, 1e-9], [1e-3, 1e3]], dtype=torch.float64)
    wait = Wait(base, excited, torch.tensor([50.0, 1e-3]).double(), Real())
    u = torch.tensor([1e-12, 0.1, 0.9, 1 - 1e-9], dtype=torch.float64)[:, None].expand(4, 4)
    assert torch.allclose(wait.cdf(Entries(wait.pick(u))), u, rtol=1e-9, atol=1e-15)


def test_a_draw_is_a_quantile():
    check_quantile()


def check_scan():
    u, factor = torch.randn(2, 13, 3, dtype=torch.float64), torch.rand(2, 13, 1, dtype=torch.float64)
    s, found = torch.zeros(2, 3, dtype=torch.float64), []
    for term, f in zip(u.unbind(1), factor.unbind(1), strict=True):
        found.append(s := f * s + term)
    scan = import_module("given.distributions.linear_scan")  # the package's name of it is the function
    assert torch.allclose(scan.linear_scan(u, factor), torch.stack(found, 1))


def test_a_scan_takes_factors_that_change():
    check_scan()


def check_learned():
    """From ragged items, likelier than the truth, by no more than chance allows, and near it."""
    law, x = drawn()
    valid = torch.arange(T) < torch.where(torch.arange(N) % 3 == 0, T // 2, T)[:, None]
    x = Entries.block({name: Entries(torch.where(valid, each.tensor, 1), valid=valid) for name, each in x.columns.items()})
    model = Hawkes(X, most_steps=25)
    teach(model, [(x, Observed(n=N), torch.ones(N, dtype=torch.float64))])
    found = float(model(Observed(n=N)).log_prob(x).sum() - law.log_prob(x).sum())
    assert -8 < found < 15, f"{found} nats above the truth's"  # of one memory where the truth has two
    children = model.numbers.children.sum(0).numpy()
    assert np.abs(children - CHILDREN.sum(0)).max() < 0.25 and 0.5 < model.branching < 1
    assert np.abs(model.numbers.base.numpy() / BASE - 1).max() < 0.7


def test_what_is_learned_is_near_the_truth():
    check_learned()


def check_few_at_once():
    """What is learned of all items at once is what is learned of them part by part."""
    x, found = drawn()[1].rows(torch.arange(5)), []
    for size in (given.families.hawkes._AT_ONCE, 2 * 2 * T):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(given.families.hawkes, "_AT_ONCE", size)
            model = Hawkes(X, most_steps=4)
            teach(model, [(x, Observed(n=5), torch.ones(5, dtype=torch.float64))])
        found.append(model.numbers.children)
    assert torch.allclose(*found, rtol=1e-9)


def test_items_are_learned_in_parts():
    check_few_at_once()


def test_arrivals_at_one_time_keep_a_finite_density():
    waits = torch.where(torch.rand(6, T) < 0.3, 0.0, torch.ones(6, T).double())
    x = Entries.block({"wait": Entries(waits), "mark": Entries((torch.rand(6, T) < 0.5).long())})
    model = Hawkes(X, most_steps=12)
    teach(model, [(x, Observed(n=6), torch.ones(6, dtype=torch.float64))])
    assert float(model.numbers.rate) < 1.01 and bool(model(Observed(n=6)).log_prob(x).isfinite().all())


def table(n=6, length=60):
    rng = np.random.default_rng(0)
    wait, mark = np.empty(n, dtype=object), np.empty(n, dtype=object)
    wait[:] = [rng.exponential(200.0, length - i) for i in range(n)]
    mark[:] = [rng.choice(["in", "out"], length - i) for i in range(n)]
    return {"mark": mark, "wait": wait}


def test_inferred_waits_keep_their_units_in_windows_too():
    """Of windows that overlap what an earlier one scored is read; draws go on from a beginning past a window."""
    data = table()
    codecs = {name: Series(of, window=16) for name, of in {"wait": IdentityCodec(Real()), "mark": Label()}.items()}
    family = {"mark, wait": partial(Hawkes, most_steps=3)}
    whole, cut = (given.model("p(mark, wait)", data, codecs=each, families=family, seed=0) for each in ({}, codecs))
    for model in (whole, cut):
        model.fit(data, held_out=0, progress=False)
    assert isinstance(whole.joint.columns["wait"].codec.of, IdentityCodec)
    assert abs(whole.score(data).value / cut.score(data).value - 1) < 0.01
    ahead = cut.given(wait=given.prefix(data["wait"][0][:20]), mark=given.prefix(data["mark"][0][:20])).sample(3, length=30)
    assert ahead["wait"].shape == (3, 30) and (ahead["wait"] > 0).all() and set(ahead["mark"].ravel()) <= {"in", "out"}


THREE = [[1.0, 2.5, 1.5]] * 3


@pytest.mark.parametrize("columns, codecs, message", [
    ({"wait": [[1.0, -2.0, 1.5]] * 3}, {}, r"got a wait of -2, where Hawkes is of numbers from 0 up"),
    ({"wait": [[1.0, np.nan, 1.5]] * 3}, {}, r"missing within; make it a mark of its own, .* or use HiddenMarkov"),
    ({"wait": [[0.0, 0.0]] * 3}, {}, r"no wait above 0"),
    ({"wait": THREE}, {"wait": Series(Number())}, r"got a wait of -.* codecs=\{'wait': Series\(IdentityCodec\(Real"),
    ({"a": THREE, "b": THREE}, {}, r"expected one column of waits, real numbers, and at most one of marks"),
    ({"wait": [[0.5] * 40], "mark": [[*map(str, range(40))]]}, {"mark": Series(Label())},
     r"40 marks, .* expected at most 32; take the rare ones as one")])
def test_what_is_no_series_of_arrivals_is_one_line(columns, codecs, message):
    codecs = {name: Series(IdentityCodec(Real())) for name in columns if name != "mark"} | codecs
    with pytest.raises(UserError, match=message):
        model = given.model(f"p({', '.join(columns)})", columns, codecs=codecs, families={", ".join(columns): "Hawkes"})
        model.fit(columns, held_out=0, progress=False)
