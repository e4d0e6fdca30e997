"""Series with gaps: what is given stands anywhere."""

import itertools
from functools import partial

import numpy as np
import torch

import given
from given.codecs import IdentityCodec, Number, Series
from given.conditional import teach
from given.distributions import Bridge
from given.families import LinearAutoregressive
from given.variables import Axis, Entries, Observed, Real, Variable

RNG = np.random.default_rng(5)
AXIS = Axis("time", 12, "given", "time")
SEEN = torch.tensor([[0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0], [0] * 8 + [1] * 4], dtype=torch.bool)


def chain(channels=1, n=2, noise=RNG.normal, length=12, **options):
    """A linear chain over so many channels, learned of walks."""
    axis = Axis("time", length, "given", "time")
    axes = (axis,) if channels == 1 else (axis, Axis("channel", channels, "fixed", "channel"))
    factor = LinearAutoregressive(Variable("x", IdentityCodec(Real(axes=axes))), **{"order": 3, **options})
    x = torch.as_tensor(noise(size=(60, length, channels)).cumsum(1) * 0.5 + RNG.normal(size=(60, length, channels)))
    x = x.reshape(60, *factor.x.space.shape)
    teach(factor, [(Entries(x), Observed({}, 60), torch.ones(60, dtype=torch.float64))])
    return factor(Observed({}, n)), x


def dense(law):
    """The mean and covariance (D, D) of a normal chain, of the log-densities of points alone."""
    D = law.space.dimensions
    points = torch.cat([torch.zeros(1, D), torch.eye(D), -torch.eye(D), torch.eye(D)[:, None].add(torch.eye(D)).flatten(0, 1)])
    at = points.double().reshape(-1, 1, *law.space.shape).expand(-1, law.n, *law.space.shape)
    f = law.log_prob(Entries(at))[:, 0]
    up, down, both = f[1:1 + D], f[1 + D:1 + 2 * D], f[1 + 2 * D:].reshape(D, D)
    Q = -(both - up[:, None] - up[None] + f[0])
    return torch.linalg.solve(Q, (up - down) / 2), torch.linalg.inv(Q)


def check_dense():
    """Marginals, conditionals and moments of a normal chain are those of the dense Gaussian, whatever is seen."""
    for channels in (1, 2):
        law, x = chain(channels, components=1)
        mean, covariance = dense(law)
        seen = SEEN[..., None].expand(2, 12, channels).clone()
        seen[0, 5] = torch.arange(channels) > 0
        values, known = x[:2].reshape(2, -1), seen.reshape(2, -1)
        evidence = Entries(x[:2], seen.reshape(x[:2].shape))
        bridge = law.condition(evidence)
        assert isinstance(bridge, Bridge) and bridge.kind == law.kind_of(evidence) == "exact"
        for row, m in enumerate(known):
            of_seen = torch.distributions.MultivariateNormal(mean[m], covariance[m][:, m])
            assert torch.allclose(law.log_prob(evidence)[row], of_seen.log_prob(values[row, m]), atol=1e-6)
            gain = covariance[~m][:, m] @ torch.linalg.inv(covariance[m][:, m])
            hoped = mean[~m] + gain @ (values[row, m] - mean[m])
            left = covariance[~m][:, ~m] - gain @ covariance[m][:, ~m]
            assert torch.allclose(bridge.mean().tensor.reshape(2, -1)[row, ~m], hoped, atol=1e-6)
            assert torch.allclose(bridge.deviation().tensor.reshape(2, -1)[row, ~m], left.diagonal().sqrt(), atol=1e-6)
            rest = torch.distributions.MultivariateNormal(hoped, left)
            assert torch.allclose(bridge.log_prob(Entries(x[:2]))[row], rest.log_prob(values[row, ~m]), atol=1e-6)
            one = torch.zeros_like(known)
            one[row, (~m).nonzero()[1]] = True
            by_itself = torch.distributions.Normal(hoped[1], left[1, 1].sqrt())
            asked = Entries(x[:2], one.reshape(x[:2].shape))
            assert torch.allclose(bridge.log_prob(asked)[row], by_itself.log_prob(values[row, ~m][1]), atol=1e-6)
            assert torch.allclose(bridge.cdf(asked)[row], by_itself.cdf(values[row, ~m][1]), atol=1e-6)


def test_a_normal_chain_given_values_anywhere_is_a_dense_gaussian():
    check_dense()


def check_enumerated():
    """Of two components a moment: scores, means and draws are those of all 32 normals that a chain of five may be."""
    law, x = chain(length=5, components=2, order=1, sizes=False, noise=partial(np.random.default_rng(1).standard_t, 2))
    L, seen = law.ladder, torch.tensor([1, 0, 1, 0, 1], dtype=torch.bool)
    A, which = torch.linalg.inv(L.matrix(5)), [L.at(t) for t in range(5)]
    offset = -A @ L.innovations(torch.zeros(1, 5, 1).double(), torch.zeros(1, 5, 0).double()).flatten()
    log_p, means, squares = [], [], []
    for z in itertools.product(range(2), repeat=5):
        scale = L.scales[which, 0, list(z)]
        covariance = A @ (scale**2).diag() @ A.T
        S, cross = covariance[seen][:, seen], covariance[~seen][:, seen]
        off = x[:2, seen] - offset[seen]
        log_p.append(L.logits[which, 0].log_softmax(-1)[range(5), list(z)].sum()
                     + torch.distributions.MultivariateNormal(torch.zeros(3).double(), S).log_prob(off))
        means.append(offset[~seen] + off @ torch.linalg.inv(S) @ cross.T)
        squares.append(means[-1] ** 2 + (covariance[~seen][:, ~seen] - cross @ torch.linalg.inv(S) @ cross.T).diagonal())
    weight = torch.stack(log_p).softmax(0)[..., None]
    mean, square = (weight * torch.stack(means)).sum(0), (weight * torch.stack(squares)).sum(0)
    evidence = Entries(x[:2], seen.expand(2, 5))
    scores = torch.stack([law.log_prob(evidence, seed=seed) for seed in range(30)]).mean(0)
    assert torch.allclose(scores, torch.stack(log_p).logsumexp(0), atol=0.05)
    assert law.kind_of(evidence) == law.condition(evidence).kind == "estimate" and law.kind == "exact"
    drawn = law.condition(evidence).sample((3000,), seed=0).tensor[..., ~seen]
    assert torch.allclose(drawn.mean(0), mean, atol=0.12)
    assert torch.allclose((drawn**2).mean(0).sqrt(), square.sqrt(), rtol=0.06)


def test_components_are_summed_out():
    check_enumerated()


def test_what_comes_first_is_scored_exactly_beside_gaps():
    """Rows with and without gaps, of any length, in one batch."""
    law, x = chain(n=4, components=2)
    first, held = torch.arange(12) < 7, torch.tensor([1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0], dtype=torch.bool)
    known = torch.stack([first, held, torch.ones(12, dtype=torch.bool), torch.zeros(12, dtype=torch.bool)])
    scores = law.log_prob(Entries(x[:4], known))
    alone = law.log_prob(Entries(x[:4], first.expand(4, 12)))
    assert torch.equal(scores[0], alone[0]) and torch.allclose(scores[2], law.log_prob(Entries(x[:4]))[2]) and scores[3] == 0
    begun = law.condition(Entries(x[:4], torch.arange(12) < 2))
    ratio = law.log_prob(Entries(x[:4], known[1].expand(4, 12))) - law.log_prob(Entries(x[:4], torch.arange(12) < 2))
    assert torch.allclose(begun.log_prob(Entries(x[:4], held.expand(4, 12))), ratio)


def check_learned_of_holes():
    """Of a series of which 30 % are missing nearly as much is learned as of all of it."""
    rng = np.random.default_rng(0)
    x = np.zeros(3000)
    for t in range(8, len(x)):
        x[t] = 0.7 * x[t - 1] + 0.5 * x[t - 7] - 0.4 * x[t - 8] + rng.standard_t(4)
    holed, rest = np.where(rng.random(1500) < 0.3, np.nan, x[:1500]), {"x": [x[1500:]]}
    nats = []
    for series in (x[:1500], holed):
        model = given.model("p(x)", {"x": [series]}, families={"x": partial(LinearAutoregressive, order=8)})
        model.fit({"x": [series]}, held_out=0, progress=False)
        nats.append(float(model.score(rest).items.sum()) / 1500)
    assert nats[1] > nats[0] - 0.05, nats


def test_holes_are_drawn_and_learned_from():
    check_learned_of_holes()


def test_series_longer_than_a_window_are_filled_within():
    rng = np.random.default_rng(0)
    wave = 3 * np.sin(np.arange(150) / 5) + 0.1 * rng.normal(size=150)
    holed = np.where((rng.random(150) < 0.1) | (abs(np.arange(150) - 64) < 5), np.nan, wave)
    model = given.model("p(x)", {"x": [holed]}, families={"x": LinearAutoregressive},
                        codecs={"x": Series(Number(missing="unknown"), window=64)})
    model.fit({"x": [holed]}, held_out=0, progress=False)
    filled = np.asarray(model.complete({"x": [holed]}, n=2)["x"].tolist(), dtype=float).reshape(2, 150)
    there = ~np.isnan(holed)
    assert np.array_equal(filled[:, there], np.stack([wave[there]] * 2)) and not np.array_equal(filled[0], filled[1])
    assert np.abs(filled - wave).max() < 1.5


def test_gaps_beside_symbols_are_learned_by_default():
    rng = np.random.default_rng(0)
    load, state = rng.normal(size=(6, 20)), rng.choice(["a", "b"], (6, 20))
    load[rng.random(load.shape) < 0.1] = np.nan
    data = given.read(load=[row[:14 + i] for i, row in enumerate(load)], state=[row[:14 + i] for i, row in enumerate(state)])
    model = given.model("p(load, state)", data)
    assert any("load: what is missing is a symbol" in note for note in model.notes)
    model.fit(data, steps=2, progress=False, held_out=0)
    assert model.sample(1, length=9)["load"].shape == (1, 9)
