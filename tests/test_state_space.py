"""State spaces against the dense normal distribution of all entries, and against statsmodels where it is installed."""

from functools import cache, partial

import numpy as np
import pytest
import torch

import given
from given.codecs import BlockCodec, IdentityCodec, Number, Series
from given.conditional import teach
from given.distributions import Normal
from given.families import StateSpace
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

T, N = 7, 5
X = Variable("a, b", BlockCodec({name: IdentityCodec(Real(axes=(Axis("time", T),))) for name in "ab"}))
PARTS = {"trend": True, "seasonal": (3,), "order": 2}


def rows(n=N):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(n, 2 * T, generator=generator, dtype=torch.float64).cumsum(1)
    return Entries(values, torch.rand(n, 2 * T, generator=generator) > 0.3).shaped(X.space)


def moved(**options):
    """A family away from its start."""
    model, generator = StateSpace(X, **options), torch.Generator().manual_seed(1)
    for name in model.starts:
        model.get_buffer(f"free_{name}").add_(torch.randn(2, generator=generator).double().mean())
    return model


def dense(model):
    """The normal distribution of all entries, from the system's moments."""
    s, mean, P = model.system, [], {}
    covariance = s.covariance
    for t in range(T):
        mean.append(s.offset)
        P[t, t] = covariance
        for u in range(t + 1, T):
            P[u, t] = s.transition @ P[u - 1, t]
        covariance = s.transition @ covariance @ s.transition.T + s.drift
    C = torch.zeros(T, 2, T, 2, dtype=torch.float64)
    for (u, t), block in P.items():
        C[u, :, t] = s.loading @ block @ s.loading.T
        C[t, :, u] = C[u, :, t].T
    C = C.reshape(2 * T, 2 * T) + torch.diag(s.noise.repeat(T))
    place = torch.tensor(model.timeline.order).argsort()
    mean = torch.cat(mean)[place]
    return Normal(mean.expand(N, -1), C[place][:, place].expand(N, -1, -1), Real(axes=(Axis("entry", 2 * T),)))


def check_dense(options):
    """Scores of what is seen; the smoother's means and deviations, and scores of what is left, given it."""
    model, x = moved(**options), rows()
    law, whole, flat = model(Observed(n=N)), dense(model), x.flat(X.space)
    assert torch.allclose(law.log_prob(x), whole.log_prob(flat), atol=1e-6)
    given_, hoped = law.condition(x), whole.condition(flat)
    assert torch.allclose(given_.mean().flat(X.space).tensor, hoped.mean().tensor, atol=1e-5)
    assert torch.allclose(given_.deviation().flat(X.space).tensor, hoped.deviation().tensor, atol=1e-5)
    full = Entries(flat.tensor)
    assert torch.allclose(given_.log_prob(full.shaped(X.space)), hoped.log_prob(full), atol=1e-5)


@pytest.mark.parametrize("options", [PARTS, {"latent": 3}, {"level": False, "order": 1}], ids=["parts", "free", "order"])
def test_a_state_space_is_its_dense_normal(options):
    check_dense(options)


def check_paths():
    """Draws given what is seen have the mean and the covariance of the dense normal: joint paths, through gaps too."""
    model, x, draws = moved(**PARTS), rows(), 1000
    flat = x.flat(X.space)
    drawn = model(Observed(n=N)).condition(x).sample((draws,), seed=1).flat(X.space).tensor[:, 0]
    hoped = dense(model).condition(flat)
    free = ~flat.scored[0]
    mean, covariance = hoped.mean_BD[0, free], hoped.covariance[0][free][:, free]
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), (drawn[:, free] - mean).T, upper=False)
    off = white @ white.T / draws - torch.eye(len(white))
    assert float(white.mean(1).abs().max()) < 5 / draws**0.5 and float(off.abs().max()) < 7 / draws**0.5
    assert torch.equal(drawn[:, ~free], flat.tensor[0, ~free].expand(draws, -1))


def test_draws_are_joint_paths():
    check_paths()


@cache
def learned_from_a_walk():
    rng = np.random.default_rng(0)
    y = rng.normal(0, 0.5, (20, 16)).cumsum(1) + rng.normal(0, 1.0, (20, 16))
    model = StateSpace(Variable("y", IdentityCodec(Real(axes=(Axis("time", 16),)))), order=0, most_steps=12)
    teach(model, [(Entries(torch.tensor(y)), Observed(n=20), torch.ones(20))])
    return model, y


def check_learned():
    """A walk seen through noise: both variances, of .25 and 1."""
    system = learned_from_a_walk()[0].system
    assert 0.1 < float(system.drift[0, 0]) < 0.5 and 0.7 < float(system.noise[0]) < 1.4


def test_variances_are_learned():
    check_learned()


def test_a_gap_of_a_series_is_filled_from_both_sides():
    t = np.arange(16.0)
    y = np.stack([np.sin(t / 4 + phase) * 5 + 20 for phase in range(6)])
    model = given.model("p(y)", {"y": y}, codecs={"y": Series(Number(missing="unknown"))},
                        families={"y": partial(StateSpace, order=2, most_steps=8)})
    model.fit({"y": y}, progress=False)
    gap = y[0].copy()
    gap[10:13] = np.nan
    drawn = model.given(y=given.part(gap, seen=~np.isnan(gap))).sample(20)["y"]
    assert abs(drawn[:, 10:13].mean(0) - y[0, 10:13]).max() < 1.5


def test_what_is_no_part_is_one_line():
    with pytest.raises(UserError, match="expected at least one part; pass level=True, seasonal=, order= or latent="):
        StateSpace(X, level=False, order=0)


def test_scores_are_those_of_statsmodels():
    pytest.importorskip("statsmodels")
    from statsmodels.tsa.statespace.mlemodel import MLEModel

    model, y = learned_from_a_walk()
    s, theirs = model.system, MLEModel(y[0] - float(model.system.offset), k_states=1, k_posdef=1)
    for name, value in {"design": s.loading, "transition": s.transition, "selection": torch.ones(1, 1), "state_cov": s.drift,
                        "obs_cov": s.noise[None]}.items():
        theirs.ssm[name] = value.numpy()
    theirs.ssm.initialize_known(s.mean.numpy(), s.covariance.numpy())
    theirs.ssm.loglikelihood_burn = 0
    ours = float(model(Observed(n=1)).log_prob(Entries(torch.tensor(y[:1])))[0])
    assert abs(ours - theirs.ssm.loglike()) < 1e-6
