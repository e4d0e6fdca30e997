"""Latents that a posterior finds: encoders are distributions, and p(z) learns what they draw."""

import math
from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import IdentityCodec
from given.conditional import Conditional
from given.distributions import Intractable, Latent, Normal, Point
from given.families import VAE, FactorAnalysis, FlowMatching, Gaussian, Regression, SplineFlow
from given.joint import Joint
from given.nn import MLP
from given.train import Batches, CodedBatches, coded
from given.train.batches import FactorBatches
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable
from given.verbs import Model

W, M, P = np.array([[1.5], [-1.0], [0.5]]), np.array([0.3, -0.2, 1.0]), np.array([0.25, 0.5, 0.1])
Z, X = (Variable(name, IdentityCodec(Real(axes=(Axis("entry", n),)))) for name, n in (("z", 1), ("x", 3)))
SMALL = partial(Regression, net=partial(MLP, hidden=(16,)), width=8)


class Linear(Conditional):
    """N(offset + y A', covariance), whatever it learns from."""

    def __init__(self, x, parents=(), *, matrix, offset, covariance):
        super().__init__(x, parents)
        self.matrix = torch.nn.Parameter(torch.as_tensor(matrix, dtype=torch.float64))
        self.offset = torch.nn.Parameter(torch.as_tensor(offset, dtype=torch.float64))
        self.covariance = torch.as_tensor(covariance, dtype=torch.float64)

    def forward(self, y):
        mean = self.offset.expand(y.n, -1)
        if self.parents:
            mean = mean + y[self.parents[0].name].tensor.double() @ self.matrix.T
        return Normal(mean, self.covariance.expand(y.n, -1, -1), self.x.space)


class PointEncoder(Conditional):
    """z at a point: an autoencoder's encoder."""

    def __init__(self, x, parents):
        super().__init__(x, parents)
        self.net = MLP(parents[0].space.dimensions, x.space.dimensions, hidden=(16,))

    def forward(self, y):
        return Point(self.net(y[self.parents[0].name].tensor.float()), self.x.space)


def truth(scale=1.0, shift=0.0):
    """p(z) p(x | z), linear-Gaussian at its own parameters, with a posterior scaled and shifted from the true one; rows, and
    their exact log p."""
    covariance = W @ W.T + np.diag(P)
    precision = 1 + float((W[:, 0] ** 2 / P).sum())
    gain = (W[:, 0] / P / precision)[None]
    q = Linear(Z, X, matrix=gain * (1 + shift), offset=-gain @ M, covariance=np.array([[scale / precision]]))
    joint = Joint(Linear(Z, matrix=np.zeros((1, 1)), offset=np.zeros(1), covariance=np.eye(1)),
                  Linear(X, Z, matrix=W, offset=M, covariance=np.diag(P)), latents={"z": q})
    rng = np.random.default_rng(0)
    x = rng.multivariate_normal(M, covariance, 400)
    off = x - M
    exact = -0.5 * (np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance), off) + np.linalg.slogdet(covariance)[1]
                    + 3 * math.log(2 * math.pi))
    return joint, Entries(torch.from_numpy(x)), torch.from_numpy(exact)


def check_bound():
    """The bound is log p(x) at the true posterior, at most log p(x) at any other, and rises with the number of draws."""
    for samples in (1, 16):
        joint, x, exact = truth()
        joint.samples = samples
        with torch.no_grad():
            found, kind = joint.bound({"x": x}, 400, 3)
        assert kind == "bound" and torch.allclose(found, exact, atol=1e-6), (found - exact).abs().max()
    for scale, shift in ((2.0, 0.0), (0.5, 0.0), (1.0, 0.3), (3.0, -0.3)):
        means = []
        for samples in (1, 16):
            joint, x, exact = truth(scale, shift)
            joint.samples = samples
            with torch.no_grad():
                gap = exact - joint.bound({"x": x}, 400, 3)[0]
            means.append(float(gap.mean()))
            assert gap.mean() > -3 * float(gap.std()) / 20, (scale, shift, samples)
        assert means[0] > max(0.02, means[1]), (scale, shift, means)


def test_a_bound_of_a_linear_gaussian_truth():
    check_bound()


@torch.no_grad()
def check_packed_bound():
    """The same of the distribution of one family, whose prior, likelihood and posterior it is handed."""
    joint, x, exact = truth()
    prior, likelihood = joint.declared
    packed = Latent(prior(Observed(n=400)), lambda z, rows: likelihood(Observed({"z": z})),
                    lambda x, rows: joint.posteriors["z"](Observed({"x": x})))
    for samples in (1, 16):
        found, effective = packed.importance(x, samples)
        assert torch.allclose(found, exact, atol=1e-6) and torch.allclose(effective, torch.tensor(float(samples)).double())


def test_the_bound_of_a_packed_latent():
    check_packed_bound()


@torch.no_grad()
def check_draws():
    """What p(z) learns is spread as q's draws are, not as their means."""
    joint, x, _ = truth(scale=1.0)
    data = given.read(x=x.tensor.numpy())
    for seed in (0, 1):
        (z, _, _), = FactorBatches(joint, data, 512, None, joint.declared[0], seed=seed)
        assert abs(float(z.tensor.var()) - 1) < 0.25, float(z.tensor.var())
        means = joint.posterior("z", {"x": x}, 400).mean().tensor
        assert float((z.tensor - means).std()) > 0.2
    again, = (batch[0] for batch in FactorBatches(joint, data, 512, None, joint.declared[0], seed=1))
    assert torch.equal(again.tensor, z.tensor), "another pass draws others"


def test_a_prior_learns_draws_of_the_posterior():
    check_draws()


def test_a_latent_is_drawn_anew_at_every_step():
    joint, x, _ = truth()
    one, two = (joint.encoded({"x": x}, 400, seed)[0]["z"].tensor for seed in (1, 2))
    assert not torch.equal(one, two)


def rows(n=800, seed=0):
    rng = np.random.default_rng(seed)
    return given.read(x=rng.normal(size=(n, 1)) @ W.T + M + rng.normal(size=(n, 3)) * np.sqrt(P))


def learned(prior, posterior=SMALL, steps=600, **options):
    data = rows()
    model = given.model("p(z) p(x | z)", data, latents={"z": (Z.codec, posterior)}, codecs={"x": X.codec},
                        families={"z": prior, "x": SMALL})
    model.fit(data, steps=steps, batch=64, lr=1e-2, patience=None, progress=False, device="cpu", **options)
    return model, data


@pytest.mark.parametrize(("prior", "kind"), [(Gaussian, "bound"), (partial(SplineFlow, transforms=1, hidden=(8,)), "bound"), (
    partial(FlowMatching, net=partial(MLP, hidden=(16,)), width=4), "estimate")])
def test_a_prior_that_learns_afterwards_says_its_kind(tmp_path, prior, kind):
    model, _ = learned(prior, steps=400)
    fresh = rows(24, seed=5)
    score = model.score(fresh)
    exact = truth()[2].mean()
    assert score.kind == kind and float(exact) - 0.6 < score.value < float(exact) + 0.3, (score, exact)
    z = model.encode(fresh)
    assert z.names == ("z.z1",) and z["z.z1"].shape == (24,)
    assert model.encode(fresh, draws=3)["z.z1"].shape == (3, 24)
    assert model.sample(5)["x"].shape == (5, 3)
    model.save(tmp_path / "m")
    again = given.load(tmp_path / "m")
    assert np.array_equal(again.log_prob(fresh), model.log_prob(fresh))


def test_a_point_encoder_of_reals_has_no_score():
    model, data = learned(Gaussian, PointEncoder, steps=50)
    with pytest.raises(Intractable, match=r"p\(z\) p\(x \| z\): a point of reals has no density.*Regression") as error:
        model.score(data)
    assert "\n" not in str(error.value)
    assert model.encode(data)["z.z1"].shape == (800,) and model.sample(3)["x"].shape == (3, 3)


def test_learning_in_stages_is_taken_up_where_it_stood(tmp_path):
    prior = partial(FlowMatching, net=partial(MLP, hidden=(8,)), width=4)
    whole, parts, again = (learned(prior, steps=60, held_out=0, **options)[0] for options in (
        {}, {"checkpoint": tmp_path / "c"}, {"checkpoint": tmp_path / "c", "resume": True}))
    for other in (parts, again):
        assert all(torch.equal(a, b) for a, b in zip(whole.joint.state_dict().values(), other.joint.state_dict().values(),
                                                     strict=True))


def test_a_packed_prior_learns_afterwards():
    data = rows()
    prior = partial(SplineFlow, transforms=1, hidden=(8,))
    family = partial(VAE, likelihood=SMALL, posterior=SMALL, afterwards=prior, latent=1)
    model = given.model("p(x)", data, codecs={"x": X.codec}, families={"x": family})
    factor = model.joint.declared[0]
    start = {k: v.clone() for k, v in factor.afterwards.state_dict().items()}
    assert [lesson.stage for run in model.joint.lessons() for _, lesson in run] == [0, 1]
    model.fit(data, steps=20, progress=False, device="cpu")
    assert any(not torch.equal(v, start[k]) for k, v in factor.afterwards.state_dict().items())
    assert model.score(data).kind == "bound"
    estimate = VAE(X, posterior=SMALL, likelihood=SMALL, afterwards=partial(FlowMatching, net=MLP), latent=1)
    assert estimate(Observed(n=2)).kind == "estimate"


def test_a_latent_above_two_columns_and_below_a_label():
    data = given.read(label=np.array(["a", "b"] * 40), x=rows(80)["x"], w=np.arange(80) % 3)
    model = given.model("p(label) p(z | label) p(x | z) p(w | z, label)", data, codecs={"x": X.codec},
                        latents={"z": (Z.codec, SMALL)}, families={"x": SMALL, "w": SMALL})
    assert str(next(iter(model.joint.recognition))) == "p(z | label, x, w)"
    model.fit(data, steps=10, progress=False, device="cpu")
    assert model.score(data).kind == "bound" and model.score(label=["a"]).kind == "exact"
    assert model.sample(2, label="a")["x"].shape == (2, 3)


def check_factor_posterior():
    """p(z | x) by Bayes: log p(x | z) + log p(z) - log p(z | x) is log p(x) at every z; with holes too."""
    torch.manual_seed(0)
    family = FactorAnalysis(X, factors=2)
    family.loading.copy_(torch.randn(3, 2))
    family.noise.copy_(torch.rand(3) + 0.5)
    for seen in (torch.ones(5, 3, dtype=torch.bool), torch.rand(5, 3) < 0.6):
        x = Entries(torch.randn(5, 3, dtype=torch.float64), seen)
        q = family.encode(x)
        z = q.sample((4,), seed=1)
        normal = torch.distributions.Normal(family.decode(Entries(z.tensor.flatten(0, 1))).tensor.reshape(4, 5, 3),
                                            family.noise.sqrt())
        log_p = torch.where(seen, normal.log_prob(x.tensor), 0.0).sum(-1)
        prior = torch.distributions.Normal(0.0, 1.0).log_prob(z.tensor).sum(-1)
        exact = family(Observed(n=5)).log_prob(x)
        assert torch.allclose(log_p + prior - q.log_prob(z), exact.expand(4, -1), atol=1e-6)


def test_the_posterior_of_factors_is_exact():
    check_factor_posterior()


def test_a_point_of_symbols_has_a_log_probability():
    point = Point(torch.tensor([[0, 1], [1, 1]]), Finite(2, axes=(Axis("place", 2),)))
    assert point.kind == "exact" and Point(torch.zeros(2), Real()).kind == "none"
    assert point.log_prob(Entries(torch.tensor([[0, 1], [0, 1]]))).tolist() == [0.0, -math.inf]
    assert torch.equal(point.sample((2,)).tensor[1], point.mode().tensor)


@pytest.mark.parametrize(("latent", "said"), [
    (Z.codec, r"latents: z: nothing finds .* pass a posterior, latents=\{'z': \(codec, Regression\)\}"),
    ((IdentityCodec(Finite(3)), Regression), "latents: z: a posterior is of a latent of reals"),
    ((Z.codec, Gaussian), "latents: z: expected a posterior that learns by gradient, got Gaussian; use Regression"),
    ((Z.codec, "Regresion"), "latents: z: unknown name 'Regresion'; did you mean 'Regression'"),
    ((Z.codec, partial(Regression, net=partial(MLP, hidden=(8,)))), None)])
def test_a_latent_without_an_encoder_is_one_line(latent, said):
    def make():
        return given.model("p(z) p(x | z)", rows(10), latents={"z": latent}, codecs={"x": X.codec}, families={"x": SMALL})

    if said is None:
        assert isinstance(make(), Model)
        return
    with pytest.raises(UserError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


def bayesian():
    """The linear-Gaussian truth as a model, and the moments of p(z | x)."""
    joint, x, exact = truth(scale=1.5, shift=0.1)
    precision = 1 + float((W[:, 0] ** 2 / P).sum())
    model = Model(*joint.declared, latents=joint.posteriors)
    return model, x.tensor.numpy(), exact, precision


def test_bayes_rule_by_draws_of_the_posterior():
    """p(z | x) by importance: its moments, its density and its draws, though q is another."""
    model, x, exact, precision = bayesian()
    some = x[:4]
    hoped = (some - M) / P @ W[:, 0] / precision
    drawn = model.given(x=some).sample(2000, columns=["z"], seed=1)["z"][..., 0]
    assert np.abs(drawn.mean(0) - hoped).max() < 0.1 and np.abs(drawn.std(0) * math.sqrt(precision) - 1).max() < 0.2
    score = model.given(x=some).score(z=hoped[:, None])
    assert score.kind == "estimate"
    assert np.abs(score.items - 0.5 * math.log(precision / 2 / math.pi)).max() < 0.3  # of 16 draws
    assert np.abs(model.given().log_prob(x=some) - exact[:4].numpy()).max() < 0.3


def test_what_is_missing_is_filled_through_the_posterior():
    """x given in part: the rest has the mean of the linear-Gaussian truth."""
    model, x, _, _ = bayesian()
    covariance = W @ W.T + np.diag(P)
    seen = np.array([True, True, False])
    hoped = M[2] + covariance[2, :2] @ np.linalg.solve(covariance[:2, :2], (x[0] - M)[:2])
    drawn = model.given(x=given.part(x[0], seen=seen)).sample(2000, seed=1)["x"]
    assert (drawn[:, :2] == x[0][:2]).all() and abs(drawn[:, 2].mean() - hoped) < 0.1
    left = covariance[2, 2] - covariance[2, :2] @ np.linalg.solve(covariance[:2, :2], covariance[:2, 2])
    assert abs(drawn[:, 2].var() / left - 1) < 0.25


@pytest.mark.parametrize("posterior", [SMALL, PointEncoder])
def test_codes_of_a_finished_stage_are_found_once(posterior, monkeypatch):
    """The batches of p(z) hold draws of it and nothing it is found from, others in every epoch; what finds it runs once."""
    data = rows(50)
    model = given.model("p(z) p(x | z)", data, latents={"z": (Z.codec, posterior)}, codecs={"x": X.codec},
                        families={"z": FlowMatching, "x": SMALL})
    joint = model.joint
    plain = Batches(joint, data, 16, 3)
    assert coded(plain, [joint.declared[1], joint.posteriors["z"]]) is plain
    batches = coded(plain, [joint.declared[0]])
    assert isinstance(batches, CodedBatches)
    monkeypatch.setattr(type(joint.posteriors["z"]), "forward", None)
    once, again, other = ([batch.entries["z"].tensor for batch in batches.epoch(number)] for number in (0, 0, 1))
    assert {name for batch in batches.epoch(0) for name in batch.entries} == {"z"}
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True)) and sum(map(len, once)) == 50
    # An epoch has an order of its own: what is the same in another but for it is a point.
    one, two = (torch.cat(each).flatten().sort().values for each in (once, other))
    assert torch.allclose(one, two) is (posterior is PointEncoder)


def test_kept_codes_are_those_of_their_rows():
    data = rows(40)
    model = given.model("p(z) p(x | z)", data, latents={"z": (Z.codec, SMALL)}, codecs={"x": X.codec}, families={"x": SMALL})
    q = model.joint.posterior("z", {"x": model.joint.columns["x"].encode(data)}, 40)
    batches = coded(Batches(model.joint, data, 8, 0), [model.joint.declared[0]])
    index = torch.tensor([3, 1, 39])
    assert torch.allclose(batches.posteriors["z"].rows(index).mean().tensor, q.mean().tensor[index], atol=1e-5)
