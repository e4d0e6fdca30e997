"""Hidden Markov chains against sums over every path of states."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

import given
from given.codecs import BlockCodec, IdentityCodec, Label, Number, Series
from given.conditional import teach
from given.families import HiddenMarkov
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

T, K, N = 3, 2, 60
TIME = Axis("time", T)
X = Variable("a, b", BlockCodec({"a": IdentityCodec(Real(axes=(TIME, Axis("sensor", 2)))),
                                 "b": IdentityCodec(Finite(3, axes=(TIME,)))}))
PATHS = list(itertools.product(range(K), repeat=T))


def rows():
    """Numbers and symbols that depend on the past, a fifth unseen, every third item a moment shorter."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(N, T, 2, generator=generator, dtype=torch.float64).cumsum(1)
    seen = torch.rand(N, T, 3, generator=generator) > 0.2
    valid = (torch.arange(T) < T - 1) | (torch.arange(N)[:, None] % 3 > 0)
    b = (a.sum(-1) > 0).long() + (a[..., 0] > 1).long()
    return Entries({"a": a, "b": b}, {"a": seen[..., :2], "b": seen[..., 2]}, {"a": valid[..., None], "b": valid})


def learned(**options):
    model = HiddenMarkov(X, states=K, seed=1, **options)
    teach(model, [(rows(), Observed(n=N), torch.ones(N, dtype=torch.float64))])
    return model


@pytest.fixture(scope="module")
def chain():
    return learned(most_passes=15)


def enumerated(model, x):
    """log p(x, path) of every path of states: (B, K^T)."""
    a, b, found = x.columns["a"], x.columns["b"], []
    for path in PATHS:
        log_p = model.first[path[0]].log() + sum(model.transition[i, j].log() for i, j in itertools.pairwise(path))
        each = log_p.repeat(len(x))
        for (t, k), i in itertools.product(enumerate(path), range(len(x))):
            s = a.scored[i, t]
            if s.any():
                each[i] += MultivariateNormal(model.means[k][s], model.covariances[k][s][:, s]).log_prob(a.tensor[i, t][s])
            if b.scored[i, t]:
                each[i] += model.table_0[k, b.tensor[i, t]].log()
        found.append(each)
    return torch.stack(found, 1)


def check_enumeration(model=None):
    """Scores with holes and padding, states given all, and the likeliest path."""
    model, x = model or learned(most_passes=3, restarts=1), rows().rows(torch.arange(4))
    each = enumerated(model, x)
    assert torch.allclose(model(Observed(n=4)).log_prob(x), each.logsumexp(1), atol=1e-6)
    state = torch.tensor(PATHS)
    p = torch.stack([(each.softmax(1)[:, :, None] * (state == k)).sum(1) for k in range(K)], -1)
    assert torch.allclose(model.encode(x).log_probs.exp(), p, atol=1e-6)
    assert torch.equal(model.likeliest(x), state[each.argmax(1)])


def test_scores_and_states_are_sums_over_paths(chain):
    check_enumeration(chain)


def check_rises(model=None):
    model = model or learned(most_passes=15)
    assert len(model.likelihoods) > 5 and np.diff(model.likelihoods).min() > -1e-9


def test_no_pass_lowers_the_likelihood(chain):
    check_rises(chain)


def check_given():
    """Every entry given a hole's neighbours on both sides: what is drawn next is what the ratio of scores says."""
    model = learned(most_passes=3, restarts=1)
    law, seen = model(Observed(n=1)), torch.tensor([[True, False, True]])
    x = rows().rows(torch.tensor([1]))
    known = Entries(x.values, {"a": seen[..., None].expand(1, T, 2), "b": seen})
    conditioned = law.condition(known)
    state = conditioned.start()
    flat = known.flat(X.space).tensor[0]
    while state.t < 5:  # to the first symbol of the hole
        state = conditioned.advance(state, flat[conditioned.entries[state.t]][None])
    drawn = conditioned.next(state).log_probs[0]
    scores = []
    for v in range(3):
        b = x.values["b"].clone()
        b[0, 1] = v
        whole = Entries({"a": x.values["a"], "b": b})
        scores.append(law.log_prob(whole))
    assert torch.allclose(drawn, torch.cat(scores).log_softmax(0), atol=1e-9)


def test_a_hole_is_drawn_from_both_sides():
    check_given()


def test_series_of_any_length_by_two_regimes():
    """Ragged series with two regimes are told apart, and are drawn as long as asked for."""
    rng = np.random.default_rng(0)
    state = [(rng.random(n) < 0.1).cumsum() % 2 for n in rng.integers(15, 25, 20)]
    y = np.empty(20, dtype=object)
    y[:] = [rng.normal(4.0 * s, 0.5) for s in state]
    model = given.model("p(y)", {"y": y}, codecs={"y": Series(Number())},
                        families={"y": partial(HiddenMarkov, states=2, restarts=2, most_passes=10)}, seed=0)
    model.fit({"y": y}, progress=False)
    factor = next(iter(model.joint))
    x = model.joint.x(factor, {"y": model.joint.columns["y"].encode(given.read({"y": y}))})
    found = [path[:len(s)] for path, s in zip(factor.likeliest(x).tolist(), state, strict=True)]
    high = {k: np.mean([v for f, z in zip(found, y, strict=True) for s, v in zip(f, z, strict=True) if s == k] or [0])
            for k in range(factor.states)}
    right = np.mean([(high[k] > 2) == s for f, z in zip(found, state, strict=True) for k, s in zip(f, z, strict=True)])
    assert right > 0.98
    assert model.given(y=given.prefix(y[0][:5])).sample(3, length=20)["y"].shape == (3, 20)


def test_what_is_no_series_is_one_line():
    with pytest.raises(UserError, match=r"^HiddenMarkov: x: expected a series, .* pass codecs=\{'x': Series\(Number\(\)\)\}"):
        HiddenMarkov(Variable("x", Label(["u", "v"])))
