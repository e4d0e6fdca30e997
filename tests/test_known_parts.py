"""What is known of x beside what is drawn: parts, linear views, levels at the last noise; and what a score of it is."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from test_paths import flow

import given
from given.codecs import IdentityCodec, Image
from given.distributions import (
    Blur,
    ContinuousFlow,
    Cosine,
    Dequantised,
    Guidance,
    Intractable,
    Karras,
    Lower,
    ReconstructionGuidance,
    Replacement,
    View,
)
from given.families import Dequantised as DequantisedFamily
from given.families import Diffusion, FlowMatching, Gaussian
from given.nn import MLP, Condition
from given.solve import Ancestral, DPMSolver, Euler, Heun
from given.testing import perturb
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

SMALL = partial(MLP, hidden=(8,))
PAIR = Real(axes=(Axis("height", 4), Axis("width", 2)))


def two_given_one(family, **options):
    torch.manual_seed(0)
    x = Variable("x", IdentityCodec(Real(axes=(Axis("entry", 2),))))
    y = Variable("y", IdentityCodec(Real(axes=(Axis("one", 1),))))
    c = family(x, y, net=SMALL, width=4, **options)
    perturb(c)
    return c.eval()(Observed({"y": Entries(torch.ones(3, 1))}))


# Kinds


def check_guided_kinds():
    """What is guided and drawn with noise has no density; by an equation it is an estimate; weight 0 is the null itself."""
    law = two_given_one(Diffusion, terms=4)
    assert law.kind == "bound" == law.by(Guidance(0.0)).kind == law.by(Guidance(1.0)).kind
    assert law.by(Guidance(3.0)).kind == "none" == law.by(Guidance(3.0) | Ancestral(4)).kind
    for how in (Guidance(3.0) | Heun(4), Guidance(3.0) | DPMSolver(4), Guidance(3.0) | Ancestral(4, eta=0.0)):
        assert law.by(how).kind == "estimate"
    with pytest.raises(Intractable, match=r"Ancestral\(.*\) has no density; .* as how=Guidance\(3\) \| Heun"):
        law.by(Guidance(3.0)).log_prob(law.sample())
    levels = Dequantised(law, Finite(5, ordered=True, axes=(Axis("entry", 2),)))
    assert levels.kind == "bound" and levels.by(Guidance(3.0)).kind == "none" and levels.by(Heun(4)).kind == "estimate"


def test_a_guided_score_says_what_it_is():
    check_guided_kinds()


# Scores given a part


@pytest.mark.parametrize("family", [partial(FlowMatching, solver=Euler(4)), partial(Diffusion, terms=4)])
def test_what_is_given_need_not_be_scored_again_and_rows_may_differ(family):
    law = two_given_one(family)
    seen = torch.tensor([[True, False], [False, True], [False, False]])
    value = torch.tensor([[0.5, 0.1], [0.2, -0.4], [1.0, 0.3]], dtype=torch.float64)
    posterior = law.condition(Entries(value, seen))
    with torch.no_grad():
        whole = posterior.log_prob(Entries(value), seed=1)
        assert torch.equal(posterior.log_prob(Entries(value, ~seen), seed=1), whole)
        assert torch.equal(posterior.log_prob(Entries(torch.where(seen, math.nan, value), ~seen), seed=1), whole)
        nothing = posterior.log_prob(Entries(value, ~seen & torch.tensor([[True], [False], [True]])), seed=1)
        assert float(nothing[1]) == 0.0 and torch.allclose(nothing[[0, 2]], whole[[0, 2]], atol=1e-6)
        assert torch.allclose(law.log_prob(Entries(value), seed=1)[2], whole[2], atol=1e-5), "a row of which nothing is given"
    with pytest.raises(Intractable, match="scores whole items only"):
        posterior.log_prob(Entries(value, torch.tensor([[True, True], [True, True], [True, False]])))


def test_the_error_of_a_bound_is_that_of_its_draws():
    law = flow(Karras(), D=2, n=400, terms=32)  # rows have noise of their own
    found = law.estimate(Entries(torch.tensor([[0.4, 1.1]], dtype=torch.float64).expand(400, 2)), seed=1)
    spread, claimed = float(found.value.std()), float(found.error.square().mean().sqrt())
    assert 0.6 * spread < claimed < 1.7 * spread, (claimed, spread)


# Levels at the last noise


SHARES = torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64)


def levels_by_closed_form(low):
    """Four levels by a path whose denoiser is known: the mean of the levels given x_t."""
    path, at = Karras(low=low, predicts="data"), (torch.arange(4, dtype=torch.float64) + 0.5) / 2 - 1

    def field(inputs, t, y):
        alpha, sigma = (v.double()[:, None, None] for v in path.mix(t.double()))
        off = (inputs[..., :1].double() - alpha * at) / sigma
        return ((SHARES.log() - off**2 / 2).softmax(-1) @ at).to(inputs)

    inner = ContinuousFlow(field, path, Condition(torch.zeros(1200, 1)), None, Real(axes=(Axis("entry", 1),)), terms=64)
    return Dequantised(inner, Finite(4, ordered=True, axes=(Axis("entry", 1),)), samples=2, last_noise=True)


def check_levels(low=0.1):
    """The bound of levels is close to their log-probabilities, below them on average, and sums to no more than one."""
    law = levels_by_closed_form(low)
    assert law.kind == "bound"
    each = law.log_prob(Entries(torch.arange(4).repeat(300)[:, None]), seed=1).reshape(300, 4)
    gaps = (SHARES * (SHARES.log() - each)).sum(1)
    error = float(gaps.std() / 300**0.5)
    assert -4 * error < float(gaps.mean()) < 0.05, (gaps.mean(), error)
    assert error < 0.02 and float(each.mean(0).exp().sum()) < 1 + 4 * error


@pytest.mark.parametrize("low", [0.02, 0.05, 0.1])
def test_levels_have_the_mass_of_their_cells_at_the_last_noise(low):
    check_levels(low)


def test_levels_at_the_last_noise_are_learned_as_their_middles():
    x = Variable("x", IdentityCodec(Finite(4, ordered=True, axes=(Axis("entry", 2),))))
    c = DequantisedFamily(x, family=partial(Diffusion, net=SMALL, terms=4), last_noise=True)
    points, _ = c._points(Entries(torch.tensor([[0, 3]])), Observed(n=1), None)
    assert points.tensor.tolist() == [[-0.75, 0.75]]
    law = c.eval()(Observed(n=1))
    assert law.kind == "bound" and law.by(Heun(4)).kind == "none"
    with pytest.raises(Intractable, match="levels at the last noise have a bound alone"):
        law.by(Heun(4)).log_prob(law.sample())
    given_one = law.condition(Entries(torch.tensor([[2, 0]]), torch.tensor([[True, False]])))
    assert given_one.kind == "bound" and bool((given_one.sample((4,)).tensor[..., 0] == 2).all())
    for family in (FlowMatching, Gaussian):
        with pytest.raises(UserError, match=r"x: last_noise=True, but .* leaves no noise with a bound; use Diffusion"):
            DequantisedFamily(x, family=family, last_noise=True)


# Views


def correlated_field(path, covariance):
    """What a net would give that knows the data to be normal, of mean 0."""
    D = len(covariance)

    def field(inputs, t, y):
        alpha, sigma = path.mix(t.double()[0])
        x = inputs[..., 0].double().flatten(1)
        within = alpha**2 * covariance + sigma**2 * torch.eye(D)
        a, s, _ = path.direction(t.double()[0])
        gain = torch.linalg.solve(within, a * alpha * covariance + s * sigma * torch.eye(D))
        return (x @ gain).reshape(inputs.shape[:-1]).to(inputs)

    return field


def check_view():
    """Given the means of pairs, draws show them, and guidance by the gradient has the posterior's mean."""
    D, path = 4, Cosine(margin=1e-3)
    spread = 0.8 ** (torch.arange(D)[:, None] - torch.arange(D)).abs().double()
    x = Variable("x", IdentityCodec(Real(axes=(Axis("time", D),))))
    law = ContinuousFlow(correlated_field(path, spread), path, Condition(torch.zeros(1, 1)), None, x.space, Heun(64))
    A, b = torch.eye(D).double().unflatten(0, (2, 2)).mean(1), torch.tensor([1.5, -0.5], dtype=torch.float64)
    truth = spread @ A.T @ torch.linalg.solve(A @ spread @ A.T, b)
    far = []
    for how in (Replacement(), ReconstructionGuidance()):
        posterior = law.by(View([1.5, -0.5], Lower(2)).of(x) | how)
        drawn = posterior.sample((1500,), seed=1).tensor[:, 0]
        assert posterior.kind == "none" and torch.allclose(drawn @ A.T, b.expand(1500, 2), atol=1e-6)
        far.append(float((drawn.mean(0) - truth).abs().max()))
    assert far[1] < 0.1 and far[1] <= far[0] + 0.02, far


def test_a_view_is_shown_by_what_is_drawn_given_it():
    check_view()


def test_views_of_pictures_are_in_raw_units():
    codec = Image(4, 2, levels=256)
    x = Variable("image", codec)
    inner = flow(Cosine(), D=8, n=3, mean=0.1, scale=0.1)
    flat = inner.field
    inner = inner._but(space=PAIR, field=lambda i, t, y: flat(i.flatten(1, 2), t, y).reshape(i.shape[:-1]))
    law = Dequantised(inner, codec.space)
    small = np.array([[120], [150]])
    drawn = law.by(View(small, Lower(2)).of(x)).sample((5,)).tensor.double()
    means = drawn.reshape(5, 3, 2, 2, 1, 2).mean((3, 5))
    assert float((means - torch.tensor(small)).abs().max()) <= 0.75, "a view that rounding to levels does not explain"
    blurred = Blur(1.0)(torch.full((1, 4, 2), 3.0), PAIR)
    assert torch.allclose(blurred, torch.full((1, 4, 2), 3.0)), "a blur moves what is even"


def test_a_user_asks_for_what_shows_a_view():
    image = np.random.default_rng(0).normal(size=(40, 4, 2))
    data = given.read(image=image)
    families = {"image": partial(FlowMatching, net=SMALL, solver=Heun(4))}
    model = given.model("image", data, families=families, codecs={"image": IdentityCodec(PAIR)})
    model.fit(data, steps=2, held_out=0, progress=False)
    small = image[0].reshape(2, 2, 1, 2).mean((1, 3))
    for how in (View(small, Lower(2)), View(small, Lower(2)) | Replacement()):
        drawn = model.sample(3, how=how)["image"]
        assert np.abs(drawn.reshape(3, 2, 2, 1, 2).mean((2, 4)) - small).max() < 1e-5
    for how, said in [(View(small[:1], Lower(2)), r"View\(..., Lower\(factor=2\)\) expects \(2, 1\) or"),
                      (View(small, Lower(3)), r"Lower\(3\): expected a whole number that divides the 4 entries of axis"),
                      (View(np.zeros((7, 2, 1)), Lower(2)), "has 7 rows; expected one"),
                      (View(small, lambda x, space: x + 1), "expects a linear map"),
                      (View(small, Blur(-1.0)), r"deviation=-1.0; expected more than 0")]:
        with pytest.raises(UserError, match=said) as error:
            model.sample(3, how=how)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="expected one view of x, and no part of it beside"):
        model.given(image=given.part(image[0], seen=np.eye(4, 2))).sample(2, how=View(small, Lower(2)))


def test_a_view_concerns_fields_alone():
    data = given.read(x=np.random.default_rng(0).normal(size=(40, 2)))
    model = given.model("x", data, families={"x": Gaussian}, codecs={"x": IdentityCodec(Real(axes=(Axis("time", 2),)))})
    model.fit(data, progress=False)
    with pytest.raises(UserError, match="concerns nothing that is drawn; it is of fields of FlowMatching or Diffusion"):
        model.sample(2, how=View([0.0], Lower(2)))


