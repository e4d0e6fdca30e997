"""A bound by importance-weighted draws, as many as are asked for, in Python and in a shell."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.distributions import Normal

import given
from given.app.cli import main
from given.codecs import IdentityCodec
from given.distributions import ImportanceWeighted, Latent, Torch
from given.families import VAE, Gaussian, Regression
from given.variables import Axis, Entries, Real, UserError

X = np.random.default_rng(0).normal(size=(30, 3)) * np.array([3.0, 1.0, 0.2])
Z = {"z": (IdentityCodec(Real(axes=(Axis("latent", 2),))), Regression)}


@pytest.fixture(scope="module")
def models():
    packed = given.model("p(x)", given.read(x=X), families={"x": partial(VAE, latent=2)}, seed=0)
    found = given.model("p(z) p(x | z)", given.read(x=X), families={"x": Regression, "z": Gaussian}, latents=Z, seed=0)
    for model in (packed, found):
        model.fit(given.read(x=X), steps=20, batch=10, held_out=0, progress=False)
    return packed, found


def check_draws(model):
    """The bound of one draw is the lowest, and rises with their number, for every K on average."""
    one, some, many = (np.mean([model.score(x=X, seed=s, how=ImportanceWeighted(K)).value for s in range(3)])
                       for K in (1, 16, 40))
    assert one < some < many and model.score(x=X).kind == "bound"
    assert model.score(x=X).value == model.score(x=X, how=ImportanceWeighted(16)).value


def test_more_draws_make_a_tighter_bound(models):
    for model in models:
        check_draws(model)


def check_parts():
    """Draws of every part are other draws: the most draws that can count are more than one part has."""
    n = 40
    prior = Torch(Normal(torch.zeros(2, 1), torch.ones(2, 1)), Real(axes=(Axis("latent", 1),)))
    law = Latent(prior, lambda z, rows: Torch(Normal(z.tensor.double(), torch.ones(1).double()), prior.space),
                 lambda x, rows: Torch(Normal(x.tensor.double() / 2, torch.full((1,), 0.5).double().sqrt()), prior.space), n)
    wide = law._but(posterior=lambda x, rows: Torch(Normal(x.tensor.double(), torch.ones(1).double()), prior.space))
    x = Entries(torch.tensor([[0.3], [-1.0]], dtype=torch.float64))
    exact = Normal(0.0, 2**0.5).log_prob(x.tensor)[:, 0]
    assert torch.allclose(law.importance(x, n)[0], exact)  # q is exact
    parts = wide.importance(x, 32)[0]
    assert not torch.allclose(parts, wide.importance(x, 16)[0]) and (parts - exact).abs().max() < 0.5


def test_parts_are_of_other_draws():
    check_parts()


def test_draws_in_parts_are_the_mean_of_their_weights(models):
    law = models[0].joint.declared[0]
    x = models[0].joint.columns["x"].encode({"x": X[:4]})
    y = models[0].joint.y(law, {}, 4)
    with torch.no_grad():
        bound, effective = law(y).importance(x, 40, seed=3)
    assert bound.shape == effective.shape == (4,) and bool((effective > 1).all()) and bool((effective <= 40).all())


def test_what_weighs_no_draws_says_so():
    model = given.model("p(x)", given.read(x=X), families={"x": Gaussian}, seed=0)
    model.fit(given.read(x=X), held_out=0, progress=False)
    with pytest.raises(UserError, match=r"p\(x\): ImportanceWeighted\(8\) concerns nothing .* a VAE, or latents that a "):
        model.score(x=X, how=ImportanceWeighted(8))
    with pytest.raises(UserError, match="draws=0; expected a whole number from 1"):
        ImportanceWeighted(0)


def test_in_a_shell(models, tmp_path, capsys):
    models[0].save(tmp_path / "m.given")
    given.read(x=X).save(tmp_path / "x.npz")
    assert main(["score", str(tmp_path / "m.given"), str(tmp_path / "x.npz"), "--draws", "40"]) == 0
    assert f"0,{models[0].log_prob(x=X, how=ImportanceWeighted(40))[0]:.6f}" in capsys.readouterr().out
    plain = given.model("p(x)", given.read(x=X), families={"x": Gaussian}, seed=0)
    plain.fit(given.read(x=X), held_out=0, progress=False)
    plain.save(tmp_path / "g.given")
    assert main(["score", str(tmp_path / "g.given"), str(tmp_path / "x.npz"), "--draws", "8"]) == 1
    assert "p(x): --draws 8 concerns nothing" in capsys.readouterr().err
