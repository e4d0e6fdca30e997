"""Every kind of family recovers a truth that is known."""

import math
from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import IdentityCodec, Label, Number
from given.conditional import teach
from given.distributions import ContinuousFlow, Guidance, Intractable, Straight
from given.families import (
    GAN,
    VAE,
    VQVAE,
    Autoregressive,
    ChowLiuTree,
    FactorAnalysis,
    FlowMatching,
    Gaussian,
    GaussianMixture,
    Independent,
    ProbabilisticPCA,
    Regression,
    SplineFlow,
)
from given.nn import MLP, Condition, Transformer
from given.solve import DormandPrince, Euler, Heun, RungeKutta
from given.testing import perturb
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

torch.set_num_threads(1)


def vector(D):
    return {"x": IdentityCodec(Real(axes=(Axis("entry", D),)))}


def fitted(x, family, **options):
    data = given.read(x=x)
    model = given.model("x", data, codecs=vector(x.shape[1]), families={"x": family})
    model.fit(data, held_out=0, **options)
    return model, data


def three_clusters(n=600):
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [6, 3], [0, 7]])
    return centres[rng.integers(0, 3, n)] + rng.normal(size=(n, 2)) @ np.array([[1, 0.4], [0, 0.6]])


def check_mixture():
    """A mixture of three finds scikit-learn's likelihood, and its likelihood never falls."""
    from sklearn.mixture import GaussianMixture as Peer

    x = three_clusters()
    model, data = fitted(x, partial(GaussianMixture, components=3, tolerance=1e-7))
    peer = Peer(3, tol=1e-7, max_iter=500, n_init=5, random_state=0).fit(x)
    assert abs(model.log_prob(data).mean() - peer.score(x)) < 1e-3
    rises = np.diff(next(iter(model.joint)).likelihoods)
    assert (rises > -1e-9).all(), "the likelihood fell"


def factors(n=400, D=5):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, D)) + rng.normal(size=(n, D)) * rng.uniform(0.3, 1, D)


def check_factors():
    """Factor analysis finds scikit-learn's likelihood."""
    from sklearn.decomposition import FactorAnalysis as Peer

    x = factors()
    model, data = fitted(x, partial(FactorAnalysis, factors=2))
    peer = Peer(2, tol=1e-4, max_iter=20000, svd_method="lapack").fit(x)
    assert abs(model.log_prob(data).mean() - peer.score(x)) < 1e-3


def check_flowing():
    """The density of a perturbed field, by its equation, integrates to 1; two numbers of steps agree."""
    torch.manual_seed(0)
    net = MLP(1 + 1, 1, hidden=(16,))
    for p in net.parameters():
        p.data.mul_(2)

    def field(x, t, y):
        return net(torch.cat([x[..., 0], t[:, None]], 1))

    law = ContinuousFlow(field, Straight(), Condition(torch.zeros(1, 1)), None, Real(axes=(Axis("entry", 1),)))
    grid = torch.linspace(-15, 15, 3001, dtype=torch.float64)[:, None, None]
    coarse, fine = (law.solved_by(Heun(n)).log_prob(Entries(grid)) for n in (32, 64))
    assert abs(float(coarse.exp().sum() * 0.01) - 1) < 5e-3
    assert float((coarse - fine).abs()[coarse > -10].max()) < 1e-2


def check_flow_matching():
    """A normal law off the centre: its mean and scale come back, and so does its density."""
    x = np.random.default_rng(0).normal([3.0, -1.0], [0.5, 1.0], (2000, 2))
    model, data = fitted(x, partial(FlowMatching, net=partial(MLP, hidden=(64, 64))), steps=600, batch=256)
    drawn = model.sample(2000, seed=1)["x"]
    assert np.abs(drawn.mean(0) - [3.0, -1.0]).max() < 0.12 and np.abs(drawn.std(0) - [0.5, 1.0]).max() < 0.12
    truth = -0.5 * (((x - [3.0, -1.0]) / [0.5, 1.0]) ** 2).sum(1) - np.log(0.5) - np.log(2 * np.pi)
    assert abs((model.log_prob(data) - truth).mean()) < 0.1


def check_padding(**options):
    """Tokens of padding are attended to by nobody: moving them moves nothing."""
    space = Finite(4, axes=(Axis("word", 4),))
    source, target = Variable("source", IdentityCodec(space)), Variable("target",
                                                                        IdentityCodec(Finite(3, axes=(Axis("time", 3),))))
    conditional = Autoregressive(target, source, net=partial(Transformer, width=16, layers=1, heads=2, **options)).eval()
    perturb(conditional)
    words, there = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0]]), torch.tensor([True, True, False, False])
    y = Observed({"source": Entries(words, valid=there)})
    x = Entries(torch.tensor([[0, 1, 2], [2, 1, 0]]))
    with torch.no_grad():
        before = conditional(y).log_prob(x)
        conditional.context.parts["0"].first[2:] += 1.0
        after = conditional(y).log_prob(x)
        conditional.context.parts["0"].first[:2] += 1.0
        other = conditional(y).log_prob(x)
    assert torch.allclose(before, after, atol=1e-6), "padding is attended to"
    assert not torch.allclose(before, other, atol=1e-3), "the condition is not used"


@pytest.mark.parametrize("context", ["cross", "prefix"])
def test_padding(context):
    check_padding(context=context)


def four_clusters(sort, n=12_000):
    """Rows and cluster, cluster after cluster or in another order."""
    rng = np.random.default_rng(3)
    cluster = np.arange(n) * 4 // n
    x = np.array([[0, 0], [20, 0], [0, 20], [20, 20]])[cluster] + rng.normal(size=(n, 2))
    order = np.arange(n) if sort else rng.permutation(n)
    return torch.from_numpy(x[order]), torch.from_numpy(cluster[order])


def batches_of(x, y=None, weight=1.0):
    y = {} if y is None else {"y": y}
    return [(Entries(x[i]), Observed({k: Entries(v[i]) for k, v in y.items()}, len(i)), torch.full((len(i),), weight))
            for i in torch.arange(len(x)).split(500)]


def test_means_start_all_over_the_rows():
    """Rows that come cluster by cluster, two opposite ones of four for each value of a parent."""
    (x, cluster), v = four_clusters(sort=True), Variable("x", vector(2)["x"])
    near = {tuple(m) for m in ([0, 0], [20, 0], [0, 20], [20, 20])}
    for K, parents, y in ((4, (), None), (2, Variable("y", Label([0, 1])), ((cluster == 1) | (cluster == 2)).long())):
        mixture = GaussianMixture(v, parents, components=K)
        mixture._start(batches_of(x, y))
        assert {tuple(m) for m in ((mixture.means / 20).round() * 20).flatten(0, 1).tolist()} == near


def stacked(x, monkeypatch, **options):
    monkeypatch.setattr(given.families.gaussian_mixture, "_HELD", 1200)
    monkeypatch.setattr(given.families.gaussian_mixture, "_SIZES", (1, 2, 4))
    mixture = GaussianMixture(Variable("x", vector(x.shape[1])["x"]), components=None, ridge=1e-4, most_passes=20)
    teach(mixture, batches_of(x, **options))
    return mixture


def test_a_stack_does_not_hang_on_the_order_of_rows(monkeypatch):
    scores = []
    for sort in (True, False):
        x, _ = four_clusters(sort)
        scores.append(float(stacked(x, monkeypatch)(Observed(n=len(x))).log_prob(Entries(x)).mean()))
    assert scores[0] == pytest.approx(scores[1], abs=0.01) and scores[0] == pytest.approx(-4.23, abs=0.05)


def test_a_stack_does_not_hang_on_the_scale_of_weights(monkeypatch):
    x, _ = four_clusters(sort=False, n=400)
    one, other = (stacked(x, monkeypatch, weight=weight) for weight in (1.0, 1e-3))
    assert one.weights.shape == other.weights.shape and torch.allclose(one.weights, other.weights, atol=1e-9)


@pytest.mark.parametrize("rows", [[[1.0, 2.0]], [[1.0, 2.0]] * 40, [[1.0, 2.0], [1.5, 0.0]], [[1.0, torch.nan]] * 3])
def test_a_stack_of_few_or_like_rows_has_a_density(rows):
    x = torch.tensor(rows, dtype=torch.float64)
    batch = Entries(x.nan_to_num(), ~x.isnan()), Observed(n=len(x)), torch.ones(len(x))
    mixture = GaussianMixture(Variable("x", vector(2)["x"]), components=None, ridge=1e-4)
    teach(mixture, [batch])
    assert torch.isfinite(mixture(batch[1]).log_prob(batch[0])).all()
    with pytest.raises(given.UserError, match=r"^p\(x\): no row of weight above 0 to learn from$"):
        teach(mixture, [(*batch[:2], torch.zeros(len(x)))])


def test_mixture():
    check_mixture()


def test_factor_analysis():
    check_factors()


def test_flowing_is_normalised():
    check_flowing()


def test_flow_matching():
    check_flow_matching()


def test_ppca_is_its_closed_form():
    x = factors()
    model, data = fitted(x, partial(ProbabilisticPCA, factors=2))
    S = np.cov(x.T, bias=True)
    values, vectors = np.linalg.eigh(S)
    left = values[:3].mean()
    C = vectors[:, 3:] @ np.diag(values[3:] - left) @ vectors[:, 3:].T + left * np.eye(5)
    hoped = -0.5 * (5 * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S)))
    assert abs(model.log_prob(data).mean() - hoped) < 1e-6
    # PCA's theorem: what a rank-2 projection loses is the sum of the discarded eigenvalues.
    factor = next(iter(model.joint))
    span = torch.linalg.qr(factor.loading).Q.numpy()
    centred = x - x.mean(0)
    assert math.isclose(((centred - centred @ span @ span.T) ** 2).sum(1).mean(), values[:3].sum(), rel_tol=1e-9)


def test_encode_and_decode():
    x = factors()
    model, _ = fitted(x, partial(FactorAnalysis, factors=2))
    factor, entries = next(iter(model.joint)), Entries(torch.from_numpy(x))
    z = factor.encode(entries).mean().tensor
    assert z.shape == (400, 2) and float(z.mean(0).abs().max()) < 1e-6
    assert float((factor.decode(Entries(z)).tensor - entries.tensor).var() / entries.tensor.var()) < 0.5


def test_holes_are_marginalised_while_learning():
    rng = np.random.default_rng(0)
    x = three_clusters(1500)
    holes = np.where(rng.random(x.shape) < 0.2, np.nan, x)
    model, _ = fitted(holes, partial(GaussianMixture, components=3, tolerance=1e-6))
    whole, _ = fitted(x, partial(GaussianMixture, components=3, tolerance=1e-6))
    fresh = three_clusters(1000)
    assert abs((whole.log_prob(x=fresh) - model.log_prob(x=fresh)).mean()) < 0.05
    rises = np.diff(next(iter(model.joint)).likelihoods)
    assert (rises > -1e-9).all()
    some = np.where(rng.random((400, 5)) < 0.1, np.nan, factors())
    factor, _ = fitted(some, partial(FactorAnalysis, factors=2, tolerance=1e-4))
    complete, data = fitted(factors(), partial(FactorAnalysis, factors=2))
    assert abs((factor.log_prob(data) - complete.log_prob(data)).mean()) < 0.1


def test_a_vae_bounds_a_linear_gaussian_truth():
    """On fresh draws of a law whose marginal is known the bound is never above it and comes within 0.05; more draws of the
    latent tighten it."""
    rng = np.random.default_rng(0)
    W, noise = np.array([[1.5], [-1.0]]), 0.5
    x, fresh = (rng.normal(size=(3000, 1)) @ W.T + noise * rng.normal(size=(3000, 2)) for _ in range(2))
    C = W @ W.T + noise**2 * np.eye(2)
    exact = -0.5 * (np.einsum("ni,ij,nj->n", fresh, np.linalg.inv(C), fresh) + np.linalg.slogdet(C)[1] + 2 * np.log(2 * np.pi))
    linear = partial(Regression, net=partial(MLP, hidden=()), width=16)
    model, _ = fitted(x, partial(VAE, prior=Gaussian, likelihood=linear, posterior=linear, latent=1), steps=600, batch=128,
                      average=0.98, lr=1e-2)
    with torch.no_grad():
        law = next(iter(model.joint))(Observed(n=len(x)))
        bounds, effective = zip(*(law.importance(Entries(torch.from_numpy(fresh)), K, seed=1) for K in (1, 8, 64)), strict=True)
    gaps = [torch.from_numpy(exact) - bound for bound in bounds]
    means, errors = [float(g.mean()) for g in gaps], [float(g.std()) / math.sqrt(3000) for g in gaps]
    assert means[0] > means[1] - 2 * errors[0] and means[1] > means[2] - 2 * errors[1], "more draws do not tighten the bound"
    assert -3 * errors[2] < means[2] < 0.05, means
    assert bool((effective[1] <= 8 + 1e-9).all()) and float(effective[1].mean()) > 4 and float(effective[2].mean()) > 30


def test_a_gan_draws_and_says_who_has_a_density():
    x = np.random.default_rng(0).normal(2.0, 0.5, (1000, 2))
    net = partial(MLP, hidden=(32, 32))
    model, _ = fitted(x, partial(GAN, latent=2, generator=net, critic=net), steps=800, batch=128, lr=2e-3)
    drawn = model.sample(2000, seed=1)["x"]
    assert np.abs(drawn.mean(0) - 2).max() < 0.3 and 0.25 < drawn.std() < 0.9
    with pytest.raises(Intractable, match=r"SplineFlow and GaussianMixture.*VAE"):
        model.log_prob(x=x)


def test_a_flow_learns_two_clusters():
    rng = np.random.default_rng(0)
    x = rng.choice([-2.0, 2.0], (2000, 1)) + rng.normal(0, 0.4, (2000, 2))
    model, data = fitted(x, partial(SplineFlow, transforms=2, hidden=(32,)), steps=300, batch=256)
    d = ((x - [[[-2.0, -2.0]], [[2.0, 2.0]]]) ** 2).sum(-1) / (2 * 0.16)
    truth = np.logaddexp(-d[0], -d[1]) - np.log(2) - np.log(2 * np.pi * 0.16)
    gap = truth - model.log_prob(data)
    near = np.abs(x[:, 0] - x[:, 1]) < 10
    assert near.all() and abs(gap.mean()) < 0.5


@pytest.mark.parametrize(("solver", "order"), [(Euler, 1), (Heun, 2), (RungeKutta, 4)])
def test_solvers_have_their_order(solver, order):
    def field(x, t):
        return torch.sin(x) + t

    start = torch.ones(1, 1, dtype=torch.float64)
    truth = float(DormandPrince(1e-13).solve(field, start, 0.0, 2.0))
    errors = [abs(float(solver(n).solve(field, start, 0.0, 2.0)) - truth) for n in (20, 40)]
    assert abs(math.log2(errors[0] / errors[1]) - order) < 0.4


def test_the_adaptive_solver_keeps_its_tolerance():
    def field(x, t):
        return -20 * (x - math.cos(t))

    a, b = (DormandPrince(t).solve(field, torch.zeros(3, 2, dtype=torch.float64), 0.0, 1.0) for t in (1e-4, 1e-8))
    assert float((a - b).abs().max()) < 1e-3
    back = DormandPrince(1e-8).solve(lambda x, t: -x, torch.ones(1, 1, dtype=torch.float64), 1.0, 0.0)
    assert math.isclose(float(back), math.e, rel_tol=1e-6)


def test_an_equation_too_steep_for_its_steps_says_so():
    with pytest.raises(UserError, match="DormandPrince: 2 steps were not enough; raise tolerance=1e-05"):
        DormandPrince(most_steps=2).solve(lambda x, t: 50 * x, torch.ones(1, 1), 0.0, 1.0)


def test_guidance_and_completion():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 2000)
    x = np.stack([np.where(label == 1, 2.0, -2.0), np.zeros(2000)], 1) + rng.normal(0, 1.0, (2000, 2))
    x[:, 1] += x[:, 0]
    data = given.read(x=x, label=label)
    family = partial(FlowMatching, net=partial(MLP, hidden=(64, 64)))
    model = given.model("x | label", data, codecs=vector(2), families={"x": family})
    model.fit(data, held_out=0, steps=500, batch=256)
    plain, strong, none = (model.given(label=1).sample(500, seed=1, how=how)["x"][:, 0].mean()
                           for how in (Guidance(1) | Heun(16), Guidance(3) | Heun(16), Guidance(0) | Heun(16)))
    assert strong > plain + 0.5 and abs(none) < 0.8 and abs(plain - 2) < 0.5
    seen = model.given(label=1, x=given.part([3.0, 0.0], seen=[True, False])).sample(400, seed=2)["x"]
    assert (seen[:, 0] == 3.0).all() and seen[:, 1].mean() > 1.5
    adaptive = model.given(label=1).sample(300, seed=3, how=DormandPrince())["x"]
    assert abs(adaptive[:, 0].mean() - 2) < 0.5


SMALL = partial(Transformer, width=32, layers=2, heads=2, dropout=0.0)


def test_a_mixed_block_fills_any_column_given_any():
    """Learned in every order: each conditional, over a hole or a whole column, comes back."""
    rng = np.random.default_rng(0)
    n = 2500
    smoker = rng.random(n) < 0.3
    age = rng.normal(40, 10, n) + 10 * smoker
    city = np.where(rng.random(n) < 1 / (1 + np.exp(-(age - 45) / 4)), "Oslo", "Rome")
    data = given.read(age=age, city=city, smoker=smoker)
    model = given.model(None, data, families={"age, city, smoker": partial(Autoregressive, net=SMALL)})
    model.fit(data, steps=400, batch=128, lr=5e-3, held_out=0.1, average=0.99)
    old, young = (model.given(age=a).probabilities("city")["Oslo"][0] for a in (60.0, 30.0))
    assert old > 0.9 and young < 0.15
    drawn = model.given(city="Oslo").sample(1500, seed=1)
    assert (drawn["city"] == "Oslo").all() and abs(drawn["age"].mean() - age[city == "Oslo"].mean()) < 2
    assert abs(drawn["smoker"].mean() - smoker[city == "Oslo"].mean()) < 0.08
    both = model.given(city=["Oslo", "Rome"], smoker=[True, False]).sample(800, seed=2)["age"].mean(0)
    truth = [age[(city == "Oslo") & smoker].mean(), age[(city == "Rome") & ~smoker].mean()]
    assert np.abs(both - truth).max() < 3
    assert model.given(age=30.0).score(city="Oslo").kind == "estimate" and model.score(data).kind == "exact"


def test_a_mixed_block_is_learned_from_rows_with_holes():
    """A third of one column is missing at random: the conditionals come back all the same."""
    rng = np.random.default_rng(0)
    n = 2500
    kind = rng.choice(["a", "b"], n)
    size = np.where(kind == "a", 1.0, 3.0) + rng.normal(0, 0.3, n)
    size[rng.random(n) < 1 / 3] = np.nan
    data = given.read(kind=kind, size=size)
    model = given.model("kind, size", data, codecs={"size": Number(missing="unknown")},
                        families={"kind, size": partial(Autoregressive, net=SMALL)})
    model.fit(data, steps=200, batch=128, held_out=0, average=0.99)
    drawn = model.given(kind=["a", "b"]).sample(500, seed=1)["size"].mean(0)
    assert np.abs(drawn - [1.0, 3.0]).max() < 0.2
    assert model.given(size=1.0).probabilities("kind")["a"][0] > 0.95
    assert np.isfinite(model.log_prob(data)).all()


def sequences(n, rng, end=6, longest=5):
    """Sources of letters 0 ... 5 with their end, and targets: the source copied if it begins with 0, 1 or 2, else reversed."""
    lengths = rng.integers(1, longest + 1, n)
    source, target = np.zeros((n, longest + 1), dtype=int), np.zeros((n, longest + 1), dtype=int)
    valid = np.arange(longest + 1) <= lengths[:, None]
    for i, length in enumerate(lengths):
        letters = rng.integers(0, end, length)
        source[i, :length], source[i, length] = letters, end
        target[i, :length], target[i, length] = letters if letters[0] < 3 else letters[::-1], end
    return source, target, valid


def test_sequences_are_copied_and_reversed():
    """A toy translation of varying length, by attention: the most probable target is the right one."""
    rng = np.random.default_rng(0)
    source, target = (Variable(name, IdentityCodec(Finite(7, end=6, axes=(Axis(f"{name} word", 6, "modelled"),))))
                      for name in ("source", "target"))
    conditional = Autoregressive(target, source, net=SMALL)
    a, b, valid = (torch.from_numpy(t) for t in sequences(4000, rng))
    optimiser = torch.optim.AdamW(conditional.parameters(), lr=5e-3)
    for step in range(350):
        rows = torch.randint(0, 4000, (128,), generator=torch.Generator().manual_seed(step))
        y = Observed({"source": Entries(a[rows], valid=valid[rows])})
        loss = conditional.loss(Entries(b[rows], valid=valid[rows]), y).mean()
        if float(loss.detach()) < 0.1:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    conditional.eval()
    a, b, valid = (torch.from_numpy(t) for t in sequences(200, np.random.default_rng(1)))
    with torch.no_grad():
        law = conditional(Observed({"source": Entries(a, valid=valid)}))
        drawn = law.sample(seed=1)
        exact = ((drawn.tensor == b) | ~valid).all(1) & (drawn.valid == valid).all(1)
        assert float(exact.double().mean()) > 0.9
        assert float(law.log_prob(Entries(b, valid=valid)).mean()) > -0.5


def test_a_series_follows_its_covariates():
    """p(series | covariates): the covariate of a step tells the series at that step."""
    rng = np.random.default_rng(0)
    drive = rng.normal(size=(800, 8, 2))
    series = np.zeros((800, 8))
    for t in range(8):
        series[:, t] = 0.5 * (series[:, t - 1] if t else 0) + drive[:, t, 0] + 0.2 * rng.normal(size=800)
    codecs = {"series": IdentityCodec(Real(axes=(Axis("time", 8),))),
              "drive": IdentityCodec(Real(axes=(Axis("time", 8), Axis("kind", 2))))}
    data = given.read(series=series, drive=drive)
    model = given.model("series | drive", data, codecs=codecs, families={"series": partial(Autoregressive, net=SMALL)})
    model.fit(data, steps=200, batch=64, held_out=0.1)
    test = np.random.default_rng(1).normal(size=(1, 8, 2))
    truth = np.zeros(8)
    for t in range(8):
        truth[t] = 0.5 * (truth[t - 1] if t else 0) + test[0, t, 0]
    drawn = model.given(drive=test[0]).sample(200, seed=1)["series"]
    assert np.abs(drawn.mean(0) - truth).mean() < 0.25
    shuffled = model.log_prob(series=series[:200], drive=drive[200:400]).mean()
    assert model.log_prob(series=series[:200], drive=drive[:200]).mean() > shuffled + 5, "the condition is not used"


def test_an_image_follows_its_map():
    """p(image | label map): a place marked in the map is dark in the image."""
    rng = np.random.default_rng(0)
    marks = rng.integers(0, 2, (600, 4, 4))
    image = np.where(rng.random((600, 4, 4)) < 0.05, 1 - marks, marks) * 3
    axes = (Axis("height", 4), Axis("width", 4))
    codecs = {"map": IdentityCodec(Finite(2, axes=axes)), "image": IdentityCodec(Finite(4, ordered=True, axes=axes))}
    data = given.read(map=marks, image=image)
    model = given.model("image | map", data, codecs=codecs, families={"image": partial(Autoregressive, net=SMALL)})
    model.fit(data, steps=150, batch=64, held_out=0.1)
    fresh = np.random.default_rng(1).integers(0, 2, (20, 4, 4))
    drawn = model.given(map=fresh).sample(5, seed=1)["image"]
    assert ((drawn > 1) == fresh).mean() > 0.85


def check_latent_group():
    """p(group) p(x | group), the group never seen: EM finds the clusters, and the posterior of a group is Bayes' rule."""
    x = three_clusters()
    data = given.read(x=x)
    model = given.model("p(group) p(x | group)", data, codecs=vector(2), latents={"group": Label(["a", "b", "c"])},
                        families={"x": partial(Gaussian, shrinkage=0.0, pooled=0.0)})
    model.fit(data, held_out=0)
    mixture, _ = fitted(x, partial(GaussianMixture, components=3, tolerance=1e-7))
    assert abs(model.score(data).value - mixture.log_prob(data).mean()) < 2e-3, "EM did not find the mixture"
    return model, x


def test_a_latent_group_is_enumerated(tmp_path):
    model, x = check_latent_group()
    joint = np.stack([model.log_prob(x=x[:9], group=[g] * 9) for g in "abc"], 1)
    hoped = np.exp(joint - np.logaddexp.reduce(joint, 1)[:, None])
    got = model.given(x=x[:9]).probabilities("group")
    assert np.allclose(np.stack([got[g] for g in "abc"], 1), hoped, atol=1e-9)
    model.save(tmp_path / "m")
    assert np.array_equal(given.load(tmp_path / "m").log_prob(x=x), model.log_prob(x=x))


def test_a_latent_group_beside_a_family_that_learns_by_gradient():
    """p(group) p(x | group) p(mark | group): what EM found tells the mark, and the mark's net learns from responsibilities."""
    x = three_clusters(500)
    cluster = np.argmin(((x[:, None] - [[0, 0], [6, 3], [0, 7]]) ** 2).sum(-1), 1)
    mark = np.stack([(cluster == k) ^ (np.random.default_rng(k).random(500) < 0.05) for k in range(3)], 1).astype(int)
    codecs = {**vector(2), "mark": IdentityCodec(Finite(2, axes=(Axis("place", 3),)))}
    model = given.model("p(group) p(x | group) p(mark | group)", given.read(x=x, mark=mark), codecs=codecs,
                        latents={"group": Label(["a", "b", "c"])}, families={"mark": partial(Autoregressive, net=SMALL)})
    model.fit(given.read(x=x, mark=mark), steps=150, batch=64, held_out=0.1)
    by_x, by_mark = (np.argmax(list(model.given(**{k: v[:100]}).probabilities("group").values()), 0)
                     for k, v in (("x", x), ("mark", mark)))
    assert (by_x == by_mark).mean() > 0.8 and len(set(by_x)) == 3
    drawn = model.given(x=np.array([6.0, 3.0])).sample(200, seed=1)["mark"].mean(0)
    assert drawn.argmax() == 1 and drawn[1] > 0.8


def test_codes_and_a_model_of_codes_in_two_stages(tmp_path):
    """p(code) p(image | code): two halves, each one of four patterns, the second half told by the first up to a coin."""
    rng = np.random.default_rng(0)
    patterns = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1]])
    left = rng.integers(0, 4, 2000)
    right = np.where(rng.random(2000) < 0.5, left, (left + 1) % 4)
    image = np.stack([patterns[left], patterns[right]], 1)
    codecs = {"image": IdentityCodec(Finite(2, axes=(Axis("height", 2), Axis("width", 4))))}
    code = IdentityCodec(Finite(8, axes=(Axis("place", 2),)))
    net = partial(MLP, hidden=(32,))
    families = {"image": partial(VQVAE, encoder=net, decoder=net),
                "code": partial(Autoregressive, net=SMALL)}
    data = given.read(image=image)
    model = given.model("p(code) p(image | code)", data, codecs=codecs, families=families, latents={"code": code})
    assert model.fit(data, steps=600, batch=128, held_out=0.1).steps == 600  # of both descents
    score = model.score(data)
    truth = -np.log(8)
    assert score.kind == "bound" and truth - 0.35 < score.value < truth + 0.02, score
    drawn = model.sample(500, seed=1)["image"]
    known = {row.tobytes() for row in image}
    assert np.mean([row.tobytes() in known for row in drawn]) > 0.85
    factor = next(f for f in model.joint if f.x.name == "image")
    x = model.joint.columns["image"].encode({"image": image[:200]})
    again = factor.decode(factor.encode(x, Observed(n=200)).mode(), Observed(n=200))
    assert float((again.tensor == x.tensor).double().mean()) > 0.98
    model.save(tmp_path / "m")
    assert given.load(tmp_path / "m").score(data).value == score.value


def known_tree(n, seed=0):
    """Draws (n, 7) of three symbols along a tree, its edges, and the draws' log p."""
    parent, rng = [-1, 0, 0, 1, 1, 2, 5], np.random.default_rng(seed)
    tables = np.random.default_rng(1).dirichlet([0.4] * 3, (7, 3))
    x = np.zeros((n, 7), dtype=int)
    for d, up in enumerate(parent):
        p = tables[d, x[:, up]] if d else np.tile(tables[0, 0], (n, 1))
        x[:, d] = (rng.random(n)[:, None] > p.cumsum(1)).sum(1).clip(max=2)
    log_p = sum(np.log(tables[d, x[:, up] if d else 0, x[:, d]]) for d, up in enumerate(parent))
    return x, {frozenset((d, up)) for d, up in enumerate(parent) if d}, log_p


def check_tree():
    """A known tree is recovered: its edges, its log p, its most probable items."""
    x = Variable("x", IdentityCodec(Finite(3, axes=(Axis("entry", 7),))))
    tree, (train, edges, _), (test, _, log_p) = ChowLiuTree(x), known_tree(20000), known_tree(500, seed=5)
    cut = [Entries(torch.from_numpy(part)) for part in np.split(train, 4)]
    teach(tree, [(part, Observed(n=5000), torch.ones(5000)) for part in cut])
    assert {frozenset((d, up)) for d, up in enumerate(tree.parent.tolist()) if up >= 0} == edges
    law = tree(Observed(n=500))
    found = law.log_prob(Entries(torch.from_numpy(test)))
    assert float(found.mean()) == pytest.approx(log_p.mean(), abs=0.01)
    alone = Independent(x)
    teach(alone, [(Entries(torch.from_numpy(train)), Observed(n=20000), torch.ones(20000))])
    assert float(found.mean()) > float(alone(Observed(n=500)).log_prob(Entries(torch.from_numpy(test))).mean()) + 0.5
    every = torch.cartesian_prod(*[torch.arange(3)] * 7)
    best = every[tree(Observed(n=len(every))).log_prob(Entries(every)).argmax()]
    assert torch.equal(tree(Observed(n=1)).mode().tensor[0], best), "the mode is not the most probable item"
    seen = torch.arange(7) > 3
    inside = every[(every[:, 4:] == every[200, 4:]).all(1)]
    most = inside[tree(Observed(n=len(inside))).log_prob(Entries(inside)).argmax()]
    assert torch.equal(tree(Observed(n=1)).condition(Entries(every[200:201], seen)).mode().tensor[0], most)


def test_a_known_tree_is_recovered():
    check_tree()


def test_a_tree_says_what_it_cannot_count():
    big = Variable("x", IdentityCodec(Finite(256, axes=(Axis("height", 28), Axis("width", 28)))))
    with pytest.raises(UserError, match="too many pairs"):
        ChowLiuTree(big)
    with pytest.raises(UserError, match="expected finite entries"):
        ChowLiuTree(Variable("x", IdentityCodec(Real())))
