"""An autoencoder: the span of principal components where it is linear, conditions, holes, weights, and what darts become."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import IdentityCodec, Number
from given.conditional import Encodes
from given.families import PCA, Autoencoder, Dequantised, Gaussian
from given.nn import MLP
from given.variables import Axis, Entries, Finite, Observed, Real, Variable

torch.set_num_threads(1)
SMALL = partial(MLP, hidden=(16,))
LINEAR = {"encoder": partial(MLP, hidden=()), "decoder": partial(MLP, hidden=())}


def tilted(n=400, D=5):
    """Rows that vary most on a tilted plane."""
    rng = np.random.default_rng(0)
    return 3 + rng.normal(size=(n, 2)) * [3, 2] @ rng.normal(size=(2, D)) + 0.3 * rng.normal(size=(n, D))


def fitted(family, data, formula="p(x)", **options):
    model = given.model(formula, data, codecs={"x": Number(curve="linear")}, families={"x": family})
    model.fit(data, held_out=0, progress=False, **options)
    return model, next(f for f in model.joint if f.x.name == "x")


def check_span():
    """Linear nets span the plane of the first principal components, to a hundredth of a right angle, and leave their error."""
    data = {"x": tilted()}
    _, pca = fitted(partial(PCA, components=2), data)
    model, linear = fitted(partial(Autoencoder, latent=2, **LINEAR), data, steps=400, lr=0.02)
    x = model.joint.columns["x"].encode(data)
    with torch.no_grad():
        back = linear.decode(linear.encode(x).mean()).tensor.double()
        error = float(linear.reconstruction_error(x).mean())
    span = torch.linalg.svd(back - back.mean(0)).Vh[:2]
    angles = torch.linalg.svdvals(span @ pca.directions[:, :2]).clamp(max=1).acos()
    assert float(angles.max()) < 0.01 * np.pi / 2, f"principal angles {angles.tolist()}"
    assert error == pytest.approx(float(pca.variances[2:].sum()), rel=0.02)


def test_a_linear_autoencoder_spans_the_principal_components():
    check_span()


def check_codes():
    """Where darts are thrown: the mean and covariance of the codes of the rows, by weight."""
    family = Autoencoder(Variable("x", IdentityCodec(Real(axes=(Axis("entry", 5),)))), latent=2)
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    weight = torch.arange(60.0).double() % 3
    for lesson in family.lessons()[1:]:
        lesson.learn([(Entries(x[:40]), Observed(n=40), weight[:40]), (Entries(x[40:]), Observed(n=20), weight[40:])])
    z = family.encode(Entries(x)).mean().tensor.detach().double().numpy()
    assert np.allclose(family.center, np.average(z, 0, weight), atol=1e-6)
    assert np.allclose(family.covariance, np.cov(z.T, aweights=weight, bias=True), atol=1e-6)


def test_darts_are_thrown_where_codes_are():
    check_codes()


def test_a_condition_is_read_by_both_nets():
    """What y says need not stand in the code: with one number a code, the other number of x is read off y."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=500), rng.normal(size=500)
    data = {"x": np.stack([a + b, a - b], 1), "y": b}
    errors = []
    for formula in ("p(x)", "p(x | y)"):
        model, family = fitted(partial(Autoencoder, latent=1, encoder=SMALL, decoder=SMALL), data, formula, steps=250, lr=0.02)
        y = {"y": model.joint.columns["y"].encode(data)} if "y" in formula else {}
        x = model.joint.columns["x"].encode(data)
        with torch.no_grad():
            errors.append(float(family.reconstruction_error(x, Observed(y, 500)).mean()))
    assert errors[1] < 0.1 * errors[0], errors
    assert model.sample(3, y=0.5, seed=0)["x"].shape == (3, 2)


def check_unseen():
    """Neither a code nor an error moves with what stands at unseen entries; that they are unseen moves the code."""
    data = {"x": tilted()}
    _, family = fitted(partial(Autoencoder, latent=2, encoder=SMALL, decoder=SMALL), data, steps=5)
    seen = torch.ones(3, 5, dtype=torch.bool)
    seen[:, 1] = False
    x = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    other = torch.where(seen, x, 9.0)
    with torch.no_grad():
        one, two = Entries(x, seen), Entries(other, seen)
        assert torch.equal(family.encode(one).value, family.encode(two).value)
        assert torch.equal(family.reconstruction_error(one), family.reconstruction_error(two))
        assert not torch.allclose(family.encode(one).value, family.encode(Entries(torch.where(seen, x, 0.0))).value)


def test_what_is_unseen_is_not_read():
    check_unseen()


def check_wrapped_codes():
    """Levels have the codes of their cells' middles, and come back as levels."""
    v = Variable("x", IdentityCodec(Finite(9, ordered=True, axes=(Axis("entry", 5),))))
    family = Dequantised(v, family=partial(Autoencoder, latent=2, encoder=SMALL, decoder=SMALL))
    levels, y = torch.arange(15).reshape(3, 5) % 9, Observed(n=3)
    middles = Entries((levels.double() + 0.5) * 2 / 9 - 1)
    with torch.no_grad():
        assert torch.equal(family.encode(Entries(levels), y).value, family.inner.encode(middles, y).value)
        back = family.decode(family.encode(Entries(levels), y).mean(), y).tensor
    assert back.dtype == torch.int64 and 0 <= int(back.min()) and int(back.max()) < 9
    assert not isinstance(Dequantised(v, family=Gaussian), Encodes)


def test_levels_have_codes_by_way_of_reals():
    check_wrapped_codes()


def test_its_codes_are_columns_and_it_has_no_density():
    data = {"x": tilted(60)}
    model, _ = fitted(partial(Autoencoder, latent=2), data, steps=5)
    codes = model.encode(data)
    assert list(codes) == ["x.z1", "x.z2"] and codes["x.z1"].shape == (60,)
    with pytest.raises(given.UserError, match="no density"):
        model.log_prob(data)
    with pytest.raises(given.UserError, match="latent=0; expected at least 1"):
        given.model("p(x)", data, codecs={"x": Number(curve="linear")}, families={"x": partial(Autoencoder, latent=0)})
