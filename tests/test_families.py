"""Families within families: wrapped and bare learn alike; what is drawn is what is scored."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch

import given
from given import Model, distributions
from given.codecs import BlockCodec, IdentityCodec, Label, Number
from given.conditional import teach
from given.distributions import DiscretizedLogisticMixtureHead
from given.families import (
    GAN,
    VAE,
    Autoregressive,
    Contrastive,
    Dequantised,
    Empirical,
    Ensemble,
    FlowMatching,
    Gaussian,
    NGram,
    Regression,
)
from given.lessons import Descend, Weigh
from given.nn import MLP, MinGRU, Transformer
from given.solve import Euler, Heun
from given.testing import FAMILY_LAWS, perturb, prepared
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

SMALL = partial(MLP, hidden=(8,))
REGRESSION = partial(Regression, net=SMALL, width=8)
PICTURE = Variable("image", IdentityCodec(Finite(256, ordered=True, axes=(Axis("height", 2), Axis("width", 2)))))


INNER = {
    "GAN": (GAN, {"generator": SMALL, "critic": SMALL}),
    "FlowMatching": (FlowMatching, {"net": SMALL}),
    "VAE": (VAE, {"prior": Gaussian, "likelihood": REGRESSION, "posterior": REGRESSION, "latent": 2}),
}


def test_scores_of_levels_by_a_bound_are_their_rows_own():
    c = prepared(Dequantised(PICTURE, family=partial(VAE, **INNER["VAE"][1])))
    x = Entries(torch.randint(0, 256, (3, 2, 2), generator=torch.Generator().manual_seed(0)))
    noise = distributions.Noise.of(5, 3)
    whole = c(Observed(n=3)).log_prob(x, seed=noise)
    last = c(Observed(n=1)).log_prob(x.rows(torch.tensor([2])), seed=noise.rows(torch.tensor([2])))
    assert torch.allclose(whole[2:], last, atol=1e-5)


def test_a_game_cannot_stand_on_a_latent_that_is_summed_out():
    z, x = Variable("z", given.codecs.Label(["a", "b"])), Variable("x", IdentityCodec(Real()))
    with pytest.raises(UserError, match="GAN has no density by which z could be summed out"):
        Model(given.families.Categorical(z), GAN(x, z), latents=["z"])


LEVELS = Variable("v", IdentityCodec(Finite(4, ordered=True, axes=(Axis("place", 3, "given"),))))
NET = partial(Autoregressive, net=partial(MinGRU, width=8))


@pytest.mark.parametrize("fitted", [False, True])
def test_a_mixture_draws_what_it_scores_whatever_its_parts_steps_are(fitted):
    c = prepared(Ensemble(LEVELS, families=(NGram, partial(NET, head=DiscretizedLogisticMixtureHead))))
    if fitted:
        x = Entries(torch.arange(60).reshape(20, 3) % 4)
        teach(c, [(x, Observed(n=20), torch.ones(20))], Weigh)
    FAMILY_LAWS["draws_follow_the_density"](c)


class Coins(distributions.Factorized):
    """A law that says no more than it must."""

    def pick(self, u):
        return (u > 0.25).long()

    def each(self, values):
        return torch.where(values == 0, 0.25, 0.75).double().log()


@pytest.mark.parametrize("law", [
    distributions.DiscretizedLogisticMixture(torch.randn(2, 3, 4), torch.randn(2, 3, 2), torch.rand(2, 3, 2) + 0.1,
               Finite(5, ordered=True, axes=(Axis("place", 3),))),
    Coins(Finite(2, axes=(Axis("place", 3),)), 2)], ids=["Cells", "Coins"])
def test_every_finite_law_says_all_its_symbols(law):
    log_p = law.log_probs
    assert log_p.shape == (law.n, *law.space.shape, law.space.size) and log_p.dtype == torch.float64
    assert torch.allclose(log_p.exp().sum(-1), torch.ones(law.n, *law.space.shape, dtype=torch.float64))
    for v in range(law.space.size):
        assert torch.allclose(log_p[..., v], law.each(torch.full((law.n, *law.space.shape), float(v))))


def test_a_real_series_has_a_baseline():
    rng = np.random.default_rng(0)
    v = Variable("v", IdentityCodec(Real(axes=(Axis("place", 3, "given"),))))
    model = Model(Gaussian(v))
    data = given.read(v=rng.normal(size=(40, 3)))
    model.fit(data, held_out=0)
    name, baseline = model.baseline(data)
    assert name == "independent columns" and baseline.score(data).value > -5
    assert set(model.evaluate(data, train=data).scores) == {"this model", "independent columns"}


# Ways to draw


def real_model(family, formula="p(a) p(x | a)"):
    data = given.read(a=np.array(list("uv") * 20), x=np.arange(40.0))
    model = given.model(formula, data, families={"x": family})
    model.facts["fitted"] = True
    return model


FLOW = partial(FlowMatching, net=SMALL)
MIXTURE_OF_NORMALS = partial(NET, head=distributions.NormalMixtureHead)


@pytest.mark.parametrize(("how", "said"), [
    (distributions.Guidance(7), "p(a) p(x | a): Guidance(weight=7) concerns nothing that is drawn; it is of fields"),
    (Heun(4), "Heun(steps=4) concerns nothing that is drawn; it is of distributions that are drawn by solving an equation"),
    (given.Temperature(0.5) | distributions.Guidance(7), "Guidance(weight=7) concerns nothing"),
    (distributions.Guidance(7) | given.Temperature(0.5), "Guidance(weight=7) concerns nothing"),
    (given.Stop("a"), "Stop('a') concerns nothing that is drawn; it is of texts; leave it out"),
    (given.Beam(2), "symbols that are drawn one after another"),
], ids=str)
def test_a_how_that_concerns_nothing_is_refused(how, said):
    with pytest.raises(UserError) as error:
        real_model(MIXTURE_OF_NORMALS).sample(2, how=how)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_how_concerns_some_factor_that_is_drawn():
    model = real_model(FLOW)
    both = model.sample(3, how=given.Temperature(0) | distributions.Guidance(2) | Euler(2))
    assert len(set(both["a"])) == 1
    with pytest.raises(UserError, match="Temperature"):
        model.sample(3, how=given.Temperature(0), a="u")  # nothing of symbols is drawn
    assert len(model.sample(3, how=Euler(2), a="u")["x"]) == 3
    with pytest.raises(UserError, match="Guidance"):
        real_model(FLOW, "p(x)").sample(2, how=distributions.Guidance(2))  # there is nothing to guide by


def test_a_law_refuses_what_does_not_concern_it():
    x, y = Variable("x", IdentityCodec(Real())), Variable("a", given.codecs.Label(["u", "v"]))
    law = NET(x, y)(Observed({"a": Entries(torch.tensor([0, 1]))}, 2))
    for how in (distributions.Guidance(7), Heun(4), given.TopP(0.5)):
        for ask in (law.by, lambda how: law.sample((3,), how=how)):
            with pytest.raises(UserError, match="concerns nothing"):
                ask(how)
    dequantised = Dequantised(PICTURE, y, family=FLOW)(Observed({"a": Entries(torch.tensor([0, 1]))}, 2))
    assert not torch.equal(dequantised.sample(how=Euler(1)).tensor, dequantised.sample(how=Euler(9)).tensor)
    net = partial(Transformer, width=16, layers=1, heads=2)
    latent = VAE(PICTURE, **INNER["VAE"][1] | {"likelihood": partial(Autoregressive, net=net)})
    with pytest.raises(UserError, match="concerns nothing"):
        latent(Observed(n=1)).by(Heun(3))
    assert latent(Observed(n=1)).by(given.TopK(1)).sample((2,)).tensor.shape == (2, 1, 2, 2)


# Pickling

TABLE = {"g": np.array(list("abc") * 20), "x": np.sin(np.arange(60.0)), "k": np.arange(60) % 5,
         "t": np.array(["to be", "or not", "to", "be it"] * 15)}
PICKLED = {
    "counts and a line": ("p(g) p(x | g)", {}, {}),
    "default block": ("p(x, k)", {}, {}),
    "mixed": ("p(t)", {"t": given.codecs.Text()}, {"t": partial(Ensemble, families=(NGram, NET))}),
    "dequantised": ("p(k | x)", {"k": given.codecs.Integer()}, {"k": partial(Dequantised, family=partial(GAN, critic=SMALL))}),
    "spline flow": ("p(x | g)", {}, {"x": partial(given.families.SplineFlow, transforms=1, hidden=(8,))}),
    "VAE": ("p(x | g)", {}, {"x": partial(VAE, **INNER["VAE"][1])}),
    "memory": ("p(k | g)", {"k": given.codecs.Label()}, {"k": given.families.Empirical}),
    "tree": ("p(g, k)", {"k": given.codecs.Label()}, {"g, k": given.families.ChowLiuTree}),
}


@pytest.mark.parametrize("name", PICKLED)
def test_a_model_comes_back_from_a_pickle(name):
    formula, codecs, families = PICKLED[name]
    data = given.read(**TABLE)
    model = given.model(formula, data, codecs=codecs, families=families)
    for factor in model.joint:
        if formula != "p(t)":
            teach(factor, [(model.joint.x(factor, e), model.joint.y(factor, e, 60), torch.ones(60))
                             for e in [{n: v.encode(data) for n, v in model.joint.columns.items()}]])
        else:
            teach(factor.parts[0], [(model.joint.columns["t"].encode(data), Observed(n=60), torch.ones(60))])
    model.facts["fitted"] = True
    back = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert str(back) == str(model) and back.facts == model.facts
    if name != "dequantised":  # a GAN draws, and scores nothing
        assert np.allclose(back.log_prob(data), model.log_prob(data), rtol=0, atol=1e-12)
    given_ = {name: TABLE[name][:1] for name in model.joint.conditions}
    for column, drawn in model.sample(3, seed=1, **given_).items():
        assert (drawn == back.sample(3, seed=1, **given_)[column]).all()
    twin = copy.deepcopy(model)
    assert twin.sample(2, **given_).keys() == model.sample(2, **given_).keys()
    for one, other in zip(model.joint.parameters(), twin.joint.parameters(), strict=True):
        assert one is not other


def test_a_codec_that_has_learned_nothing_comes_back_from_a_pickle():
    codec = pickle.loads(pickle.dumps(given.codecs.Number(curve="linear")))  # noqa: S301
    assert repr(codec) == repr(given.codecs.Number(curve="linear"))


def test_what_has_no_name_is_not_pickled():
    data = given.read(**TABLE)
    model = given.model("p(x | g)", data, families={"x": partial(Regression, net=lambda *sizes: MLP(*sizes))})
    with pytest.raises(UserError, match=r"p\(x \| g\): cannot pickle .*<lambda>.*functools.partial"):
        pickle.dumps(model)


# Errors in the words of who asked

ASKED = {"k": np.arange(60) % 9, "g": np.array(list("ab") * 30),
         "image": np.random.default_rng(0).integers(0, 255, (60, 4, 4)).astype(np.uint8)}


@pytest.mark.parametrize(("name", "family", "said"), [
    ("k", given.families.GaussianMixture, "got k: one of 9 symbols; if its values are numbers pass "
     "codecs={'k': Number()}; else use Autoregressive"),
    ("image", FlowMatching, "got image: 4 x 4 entries, each one of 256 ordered levels; "
     "use Dequantised(family=FlowMatching)"),
])
def test_what_a_family_expects_is_said_with_the_way_out(name, family, said):
    with pytest.raises(UserError) as error:
        given.model(f"p({name})", given.read(**ASKED), families={name: family})
    assert said in str(error.value) and "\n" not in str(error.value) and "axes=" not in str(error.value)


def test_a_posterior_needs_a_gradient_and_a_likelihood_a_density():
    x = Variable("x", IdentityCodec(Real()))
    with pytest.raises(UserError, match="VAE expects a posterior that learns by a likelihood's gradient, got Gaussian; use"):
        VAE(x, prior=Gaussian, likelihood=REGRESSION, posterior=Gaussian)
    with pytest.raises(UserError, match="VAE expects a likelihood with a density, got GAN; use"):
        VAE(x, prior=Gaussian, likelihood=GAN, posterior=REGRESSION)


@pytest.mark.parametrize(("name", "codecs", "family"), [
    ("k", {"k": given.codecs.Number()}, given.families.GaussianMixture),
    ("image", {}, partial(Dequantised, family=FlowMatching)),
    ("image", {}, partial(VAE, prior=Gaussian, likelihood=Regression, posterior=Regression)),
])
def test_the_ways_out_lead_out(name, codecs, family):
    assert given.model(f"p({name})", given.read(**ASKED), codecs=codecs, families={name: family})


# Starts of EM


def two_apart(case):
    rng = np.random.default_rng(case)
    X = np.r_[rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) * 0.3 + [5, 1]]
    x = Variable("x", IdentityCodec(Real(axes=(Axis("entry", 2),))))
    return x, X, [(Entries(torch.as_tensor(X)), Observed(n=600), torch.ones(600, dtype=torch.float64))]


@pytest.mark.parametrize("case", range(8))
def test_em_finds_two_that_are_apart(case):
    x, X, batches = two_apart(case)
    model = given.families.GaussianMixture(x, components=2, seed=case)
    teach(model, batches)
    a, b = X[:300], X[300:]  # scored by the truth's own halves
    log_det = sum(np.linalg.slogdet(np.cov(h.T, bias=True))[1] for h in (a, b)) / 2
    assert model.likelihoods[-1] > -1 - log_det / 2 - np.log(2 * np.pi) - np.log(2) - 1e-3


def test_em_finds_two_that_are_apart_with_holes():
    x, X, _ = two_apart(0)
    seen = torch.rand(600, 2, generator=torch.Generator().manual_seed(0)) < 0.8
    model = given.families.GaussianMixture(x, components=2, seed=0)
    teach(model, [(Entries(torch.as_tensor(X), seen), Observed(n=600), torch.ones(600, dtype=torch.float64))])
    means = model.means[0][model.means[0, :, 0].argsort()]
    assert torch.allclose(means, torch.tensor([[0.0, 0], [5, 1]], dtype=torch.float64), atol=0.3)


def test_em_starts_from_no_row_of_weight_zero():
    rng = np.random.default_rng(0)
    rows = {"x": np.r_[rng.normal(0, 1, 100), rng.normal(6, 1, 100), [1e3] * 5], "w": np.r_[np.ones(200), np.zeros(5)]}
    model = given.model("p(group) p(x | group)", rows, codecs={"x": Number()}, latents={"group": Label(range(2))})
    model.fit(rows, weight="w", held_out=0)
    density = np.exp(model.log_prob(x=[0.0, 3.0, 6.0]))
    assert density[1] < min(density[0], density[2]) / 2


def test_seeds_change_the_start(monkeypatch):
    starts = []
    start = given.families.GaussianMixture._start

    def watched(self, batches):
        start(self, batches)
        starts.append(self.means.clone())

    monkeypatch.setattr(given.families.GaussianMixture, "_start", watched)
    rng = np.random.default_rng(0)
    data = given.read(x=rng.normal(size=100), y=rng.normal(size=100))
    family = partial(given.families.GaussianMixture, components=4, restarts=1)
    for of_model, of_fit in ((0, 0), (0, 0), (1, 0), (0, 1)):
        model = given.model("p(x, y)", data, families={"x, y": family}, seed=of_model)
        model.fit(data, held_out=0, seed=of_fit)
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2]) and not torch.equal(starts[0], starts[3])


def test_a_mixture_of_normals_that_is_asked_for_is_one_of_the_numbers_themselves():
    rng = np.random.default_rng(0)
    data = given.read(x=np.exp(rng.normal(size=300)) - 1, y=rng.normal(size=300))
    family = {"x, y": partial(given.families.GaussianMixture, components=2)}
    model = given.model("p(x, y)", data, families=family)
    assert all(v.codec.affine for v in model.joint.columns.values()), "a curve bends what was asked for"
    assert any("x" in note and "on a line" in note for note in model.notes)
    assert not given.model("p(x, y)", data).joint.columns["x"].codec.affine
    asked = given.model("p(x, y)", data, codecs={"x": given.codecs.Number(curve="quantile")}, families=family)
    assert not asked.joint.columns["x"].codec.affine


def test_a_vae_of_a_block_scores_learns_and_draws():
    block = Variable("a, b", BlockCodec({"a": IdentityCodec(Finite(3)), "b": IdentityCodec(Finite(2))}))
    torch.manual_seed(0)
    family = VAE(block, prior=Gaussian, likelihood=Autoregressive, posterior=Regression, latent=2)
    x = Entries.block({"a": Entries(torch.tensor([0, 2])), "b": Entries(torch.tensor([1, 0]))})
    family.loss(x, Observed(n=2)).sum().backward()
    with torch.no_grad():
        assert family(Observed(n=2)).log_prob(x).shape == (2,)
        assert family(Observed(n=2)).sample((3,)).columns["a"].tensor.shape == (3, 2)


def test_noise_within_an_autoencoder_is_of_the_row_and_of_the_seed():
    torch.manual_seed(0)
    levels = Variable("x", IdentityCodec(Finite(5, ordered=True, axes=(Axis("entry", 3),))))
    family = VAE(levels, prior=Gaussian, likelihood=partial(Dequantised, family=Regression), posterior=Regression, latent=2)
    x, noise = torch.tensor([[0, 1, 2], [3, 4, 0], [1, 1, 1]]), distributions.Noise.of(0, 3)
    with torch.no_grad():
        whole = family(Observed(n=3)).log_prob(Entries(x), seed=noise)
        alone = family(Observed(n=1)).log_prob(Entries(x[2:]), seed=distributions.Noise(noise.keys[2:]))
    assert torch.allclose(whole[2:], alone, atol=1e-5)


def test_guidance_after_guidance_is_guidance_by_the_product():
    torch.manual_seed(0)
    x, y = Variable("x", IdentityCodec(Real(axes=(Axis("entry", 2),)))), Variable("y", IdentityCodec(Finite(3)))
    family = FlowMatching(x, y, net=partial(MLP, hidden=(8,)), width=4)
    perturb(family)
    given_one = family(Observed({"y": Entries(torch.tensor([1]))}))
    both, once = (given_one.by(how).sample((4,)).tensor for how in (
        distributions.Guidance(3) | distributions.Guidance(2), distributions.Guidance(6)))
    assert torch.allclose(both, once, atol=1e-5)


def test_what_is_impossible_under_every_part_of_a_mixture_is_no_number_but_minus_infinity():
    x = Variable("x", IdentityCodec(Finite(3, axes=(Axis("entry", 3),))))
    mixed = Ensemble(x, families=(Empirical, Empirical))
    rows = Entries(torch.tensor([[0, 0, 0], [1, 1, 1], [2, 2, 2]]))
    teach(mixed, [(rows, Observed(n=3), torch.ones(3, dtype=torch.float64))])
    never = Entries(torch.tensor([[0, 1, 0]]), torch.tensor([[True, True, False]]))
    posterior = mixed(Observed(n=1)).condition(never)
    assert float(posterior.log_prob(Entries(torch.tensor([[0, 1, 0]])))) == -torch.inf
    with pytest.raises(UserError, match="what is given has probability zero under every part; give something else"):
        posterior.sample()


def test_a_finite_latent_above_an_autoencoder_is_summed_out():
    rng = np.random.default_rng(0)
    rows = {"x": np.r_[rng.normal(-3, 0.3, (40, 2)), rng.normal(3, 0.3, (40, 2))]}
    autoencoder = partial(VAE, prior=Gaussian, likelihood=Regression, posterior=Regression, latent=1)
    model = given.model("p(group) p(x | group)", rows, latents={"group": Label(range(2))}, families={"x": autoencoder})
    model.fit(rows, steps=3, progress=False)
    assert model.score(x=rows["x"][:3]).kind == "bound"
    assert np.allclose(sum(model.given(x=rows["x"][:2]).probabilities("group").values()), 1)
    with pytest.raises(UserError, match=r"encode: no family of p\(group\) .* has a representation of a row's columns alone"):
        model.encode(rows)


def test_the_base_of_a_contrastive_family_weighs_its_parts():
    symbols = IdentityCodec(Finite(3, axes=(Axis("place", 4),)))
    base = partial(Ensemble, families=(partial(NGram, order=1), partial(NGram, order=3)))
    family = Contrastive(Variable("x", symbols), Variable("y", IdentityCodec(Finite(2))), base=base, width=4, draws=16)
    x = Entries((torch.arange(200)[:, None] + torch.arange(4)) % 3)  # each symbol follows from the one before
    batch = [(x, Observed({"y": Entries(torch.arange(200) % 2)}), torch.ones(200, dtype=torch.float64))]
    teach(family, batch)
    assert family.marginal.weights.tolist() == [0.5, 0.5]
    for lesson in family.lessons():
        if not isinstance(lesson, Descend):
            lesson.learn(batch)
    assert family.marginal.weights[1] > 0.9 and not family.drawn.diff(dim=1).eq(0).any()
