"""Paths, solvers and densities of fields, on Gaussians, whose denoiser is known in closed form."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import IdentityCodec, Label
from given.distributions import (
    ContinuousFlow,
    Cosine,
    Karras,
    Noise,
    ReconstructionGuidance,
    Replacement,
    Straight,
    VariancePreserving,
)
from given.families import Dequantised, Diffusion, FlowMatching
from given.nn import MLP, Condition, FlatField, PatchTransformer, UNet
from given.nn.grid_cut import GridCut
from given.solve import Ancestral, Denoising, DPMSolver, Euler, EulerMaruyama, Heun, RungeKutta
from given.testing import perturb
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

MEAN, SCALE = 0.3, 0.8
PATHS = {"straight": Straight(), "even": Straight(power=1.0), "with noise left": Straight(low=0.01, predicts="data"),
         "cosine": Cosine(), "cosine, noise": Cosine(predicts="noise"), "preserving": VariancePreserving(), "karras": Karras()}


def denoised(x, alpha, sigma, mean=MEAN, scale=SCALE):
    """E[data | alpha data + sigma noise = x] of a normal distribution."""
    return mean + alpha * scale**2 / (alpha**2 * scale**2 + sigma**2) * (x - alpha * mean)


def exact_field(path, mean=MEAN, scale=SCALE):
    """What a net would give that knows the data to be normal."""
    def field(inputs, t, y):
        x = inputs[..., 0].double()
        alpha, sigma = (v.double()[:, None] for v in path.mix(t.double()))
        data = denoised(x, alpha, sigma, mean, scale)
        noise = sigma * (x - alpha * mean) / (alpha**2 * scale**2 + sigma**2)
        a, s, _ = (v.double()[:, None] for v in path.direction(t.double()))
        return {"velocity": a * data + s * noise, "data": data, "noise": noise}[path.predicts].to(inputs)

    return field


def flow(path, D=1, n=1, **options):
    nothing = Condition(torch.zeros(n, 1))
    field = exact_field(path, **{k: options.pop(k) for k in ("mean", "scale") if k in options})
    return ContinuousFlow(field, path, nothing, None, Real(axes=(Axis("entry", D),)), **options)


def normal(x, mean=MEAN, scale=SCALE):
    return (-0.5 * ((x - mean) / scale) ** 2 - math.log(scale) - 0.5 * math.log(2 * math.pi)).sum(-1)


def check_path(path):
    """Slopes are derivatives; what a net gives, read back, is the data, the noise and the slope of the path it was made of."""
    t = torch.linspace(0.02, 0.98, 9, dtype=torch.float64)
    ahead, behind, h = path.mix(t + 1e-6), path.mix(t - 1e-6), 2e-6
    up, down = ((a - b) / h for a, b in zip(ahead, behind, strict=True))
    for moment, *slopes in zip(t.tolist(), up.tolist(), down.tolist(), strict=True):
        assert path.slopes(moment) == pytest.approx(slopes, abs=1e-6)
    noise = Noise.of(0, 9)
    x, z = noise.fold(0).normal((), (3,)), noise.fold(1).normal((), (3,))
    alpha, sigma = path.mix(t)
    found = path.read(path.target(x, z, t), alpha[:, None] * x + sigma[:, None] * z, t)
    assert torch.allclose(found.data, x) and torch.allclose(found.noise, z)
    assert torch.allclose(found.velocity, up[:, None] * x + down[:, None] * z, atol=1e-5)
    (a, s), (b, r) = path.ends
    assert a < 0.02 and s > 0.98 and b > 0.98 and r < 0.02, "noise is not at 0 and data at 1"
    assert bool((path.log_snr(t).diff() > 0).all())
    assert torch.allclose(path.time_at(sigma / (alpha + sigma)), t, atol=1e-9), "time_at is not where the share is"


@pytest.mark.parametrize("name", PATHS)
def test_a_path_goes_from_noise_to_data(name):
    check_path(PATHS[name])


@pytest.mark.parametrize(("path", "said"), [
    (partial(Straight, predicts="data"), "predicts='data' leaves the noise open where there is none left; raise low="),
    (partial(Straight, predicts="noise"), "predicts='noise' leaves the data open where there is only noise"),
    (partial(Straight, predicts="score"), "predicts='score'; expected 'velocity', 'data' or 'noise'"),
    (partial(Cosine, margin=1.0), "expected 0 < margin < pi / 4"),
    (partial(Karras, low=2.0, high=1.0), "expected 0 < low < high"),
])
def test_a_path_that_cannot_be_is_named(path, said):
    with pytest.raises(UserError) as error:
        path()
    assert said in str(error.value) and "\n" not in str(error.value)


@dataclass(frozen=True)
class Wide:
    """A base of twice the scale."""

    def draw(self, noise, shape, event):
        return 2 * noise.normal(shape, event)

    def log_prob(self, z):
        return torch.distributions.Normal(0.0, 2.0).log_prob(z)


def test_a_path_may_begin_elsewhere_and_then_has_no_bound():
    x = Variable("x", IdentityCodec(spaced(2)))
    torch.manual_seed(0)
    c = FlowMatching(x, net=partial(MLP, hidden=(4,)), path=Straight(base=Wide()))
    for p in c.parameters():
        p.data.zero_()  # a velocity of nothing leaves the base
    law = c(Observed(n=1))
    drawn = law.sample((4000,), seed=1)
    assert abs(float(drawn.tensor.std()) - 2) < 0.1
    assert torch.allclose(law.log_prob(drawn), Wide().log_prob(drawn.tensor).sum(-1), atol=1e-4)
    with pytest.raises(UserError, match="terms=64, but the bound is of a path that begins at StandardNormal"):
        Diffusion(x, path=Cosine(base=Wide()))


# Orders of solvers


NARROW = Cosine(margin=1e-3)


def moments(sampler, path):
    """Mean and variance of what a sampler makes of standard normal noise, exactly: all is affine in the numbers it draws."""
    steps = sampler.steps
    rows = torch.eye(steps + 1, dtype=torch.float64)  # the first is the start, the others what the steps draw

    def data(x, t):
        return denoised(x, *path.at(t))

    start = torch.cat([rows[:, :1], torch.zeros(1, 1, dtype=torch.float64)])
    drawn = torch.cat([rows, torch.zeros(1, steps + 1, dtype=torch.float64)])
    x = sampler.run(Denoising(data, path.at, path.slopes, lambda i: drawn[:, i + 1:i + 2]), start)[:, 0]
    return float(x[-1]), float(((x[:-1] - x[-1]) ** 2).sum())


def check_weak_order(sampler):
    """Twice the steps leave half of the error of the variance."""
    errors = [abs(moments(sampler(steps=n), NARROW)[1] - SCALE**2) for n in (100, 200)]
    assert abs(math.log2(errors[0] / errors[1]) - 1) < 0.25, errors
    assert errors[1] < 0.05


@pytest.mark.parametrize("sampler", [Ancestral, EulerMaruyama, partial(EulerMaruyama, churn=2.0)],
                         ids=["ancestral", "Euler-Maruyama", "more churn"])
def test_stochastic_samplers_are_of_weak_order_one(sampler):
    check_weak_order(sampler)


def check_order(sampler, order):
    """Twice the steps leave 2^-order of the error of every draw."""
    def error(n):
        x = sampler(n).run(Denoising(lambda x, t: denoised(x, *path.at(t)), path.at, path.slopes, lambda i: 0 * start), start)
        alpha, sigma = path.at(0.0)
        truth = MEAN + SCALE / math.sqrt(alpha**2 * SCALE**2 + sigma**2) * (start - alpha * MEAN)
        return float((x - truth).abs().max())

    path, start = Karras(), torch.tensor([[-1.0], [0.5], [2.0]], dtype=torch.float64)
    errors = [error(n) for n in (64, 128)]
    assert abs(math.log2(errors[0] / errors[1]) - order) < 0.3, errors


@pytest.mark.parametrize(("sampler", "order"), [
    (partial(Ancestral, eta=0.0), 1), (partial(EulerMaruyama, churn=0.0), 1), (DPMSolver, 2)], ids=["DDIM", "Euler", "2M"])
def test_samplers_without_noise_are_of_their_order(sampler, order):
    check_order(sampler, order)


@pytest.mark.parametrize(("path", "solver", "order"), [
    (Straight(), Euler, 1), (Straight(), Heun, 2), (Cosine(), Heun, 2), (VariancePreserving(), Heun, 2),
    (Cosine(), RungeKutta, 4)])
def test_solvers_keep_their_order_on_paths(path, solver, order):
    def field(x, t):
        at = torch.full((len(x),), t, dtype=torch.float64)
        return path.read(exact_field(path)(x[..., None], at, None), x, at).velocity

    start = torch.tensor([[-1.0], [2.0]], dtype=torch.float64)
    (alpha, sigma), (beta, rho) = path.ends
    truth = beta * MEAN + math.sqrt((beta * SCALE) ** 2 + rho**2) / math.sqrt(
        (alpha * SCALE) ** 2 + sigma**2) * (start - alpha * MEAN)
    few, many = (float((solver(n).solve(field, start, 0.0, 1.0) - truth).abs().max()) for n in (64, 128))
    assert abs(math.log2(few / many) - order) < 0.5, (few, many)


@pytest.mark.parametrize("how", [Ancestral(128), DPMSolver(24), EulerMaruyama(256), Heun(16)], ids=str)
@pytest.mark.parametrize("path", [Straight(), Cosine(), Karras()], ids=["straight", "cosine", "karras"])
def test_what_is_drawn_has_the_moments_of_the_data(path, how):
    law = flow(path, n=2)
    x = law.by(how).sample((2000,), seed=1).tensor
    assert abs(float(x.mean()) - MEAN) < 0.06 and abs(float(x.std()) - SCALE) < 0.06
    again = flow(path).by(how).sample((3,), seed=1).tensor
    assert torch.allclose(again, x[:3, :1], atol=1e-5), "a row's draw depends on the rows beside it"


@pytest.mark.parametrize("make", [partial(Ancestral, 0), partial(DPMSolver, -1), partial(Ancestral, eta=2.0),
                                  partial(EulerMaruyama, churn=-1.0), partial(ReconstructionGuidance, -1.0)])
def test_solvers_that_cannot_be_are_named(make):
    with pytest.raises(UserError, match="expected"):
        make()


# Densities


def check_bound(path, **data):
    """The bound of a closed-form denoiser is at most log p, and close to it."""
    law = flow(path, D=2, n=400, terms=32, **data)
    x = Entries(torch.linspace(-2, 2.5, 800, dtype=torch.float64).reshape(400, 2))
    assert law.kind == "bound"
    truth, found = normal(x.tensor, **data), torch.stack([law.log_prob(x, seed=seed) for seed in range(4)])
    gap = truth - found.mean(0)
    error = float(found.mean(1).std() / 2) + 1e-4
    assert -4 * error < float(gap.mean()) < 0.05, (float(gap.mean()), error)


@pytest.mark.parametrize("path", [Straight(), Cosine(), VariancePreserving(), Karras(), Cosine(predicts="noise")],
                         ids=["straight", "cosine", "preserving", "karras", "noise"])
@pytest.mark.parametrize("data", [{"mean": 0.0, "scale": 1.0}, {"mean": 0.3, "scale": 0.8}], ids=["standard", "moved"])
def test_the_bound_is_close_where_the_denoiser_is_exact(path, data):
    check_bound(path, **data)


def check_prior_term():
    """Where data still show through the noise at t = 0, the bound counts it: of standard normal data it is log p itself."""
    check_bound(Karras(high=2.0), mean=0.0, scale=1.0)


def test_the_bound_counts_what_shows_through_the_noise():
    check_prior_term()


@pytest.mark.parametrize("path", [Straight(), Cosine(), Karras()], ids=["straight", "cosine", "karras"])
def test_the_equation_of_a_closed_form_is_its_density(path):
    law = flow(path, D=2, n=50, solver=Heun(64))
    x = Entries(torch.linspace(-1.5, 2, 100, dtype=torch.float64).reshape(50, 2))
    assert law.kind == "estimate"
    assert torch.allclose(law.log_prob(x), normal(x.tensor), atol=0.02)
    assert not bool(law.estimate(x).error.any()), "an exact divergence has an error"


def check_fine_entries():
    """Entries as narrow as a level of 256."""
    law = flow(Straight(), D=2, n=5, mean=-1.0, scale=0.003)
    x = -1 + 0.003 * torch.linspace(-2, 2, 10, dtype=torch.float64).reshape(5, 2)
    assert torch.allclose(law.log_prob(Entries(x)), normal(x, -1.0, 0.003), atol=0.02)


def test_a_score_is_right_where_entries_hardly_vary():
    check_fine_entries()


def mixing_field(path, D):
    """Data x = A e for normal e, A not diagonal, in closed form; and log p."""
    generator = torch.Generator().manual_seed(0)
    A = 0.5 * torch.eye(D, dtype=torch.float64) + 0.1 / D**0.5 * torch.randn(D, D, generator=generator, dtype=torch.float64)
    covariance = A @ A.T

    def field(inputs, t, y):
        x, (alpha, sigma) = inputs[..., 0].double(), path.mix(t.double()[0])
        data = x @ torch.linalg.solve(alpha**2 * covariance + sigma**2 * torch.eye(D), alpha * covariance)
        return (data + (alpha * data - x) / sigma if float(sigma) else data).to(inputs) if isinstance(path, Straight) else data

    return field, torch.distributions.MultivariateNormal(torch.zeros(D, dtype=torch.float64), covariance)


def check_hutchinson():
    """Beyond 64 entries the score is an estimate with a standard error that covers the truth."""
    D, path = 70, Straight(low=1e-3)
    field, truth = mixing_field(path, D)
    law = ContinuousFlow(field, path, Condition(torch.zeros(8, 1)), None, Real(axes=(Axis("entry", D),)), Heun(32))
    x = truth.sample((8,))
    found = law.estimate(Entries(x), seed=2)
    off = (found.value - truth.log_prob(x)) / found.error
    assert bool((found.error > 0.01).all()) and float(off.abs().max()) < 20 and float(off.square().mean().sqrt()) < 4, off
    assert torch.equal(law.estimate(Entries(x), seed=2, probes=1).value, law.log_prob(Entries(x), seed=2))


def check_seeded_hutchinson():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        check_hutchinson()


def test_many_entries_have_an_estimated_divergence_with_its_error():
    check_seeded_hutchinson()


# Fields


def spaced(*sizes, channels=None):
    axes = [Axis(f"a{i}", n) for i, n in enumerate(sizes)]
    if channels is not None:
        axes.insert(channels, Axis("channel", 3, role="channel"))
    return Real(axes=tuple(axes))


FIELDS = {
    "UNet of a series": (partial(UNet, width=8, factors=(1, 2)), spaced(7)),
    "UNet of a picture": (partial(UNet, width=8, factors=(1, 2), attention=12), spaced(6, 5, channels=2)),
    "UNet, channels first": (partial(UNet, width=8, factors=(1, 2)), spaced(6, 5, channels=0)),
    "UNet, channels between": (partial(UNet, width=8, factors=(1, 2)), spaced(6, 5, channels=1)),
    "UNet of patches": (partial(UNet, width=8, factors=(1, 2), patch=2), spaced(7, 5, channels=1)),
    "UNet of a volume": (partial(UNet, width=8, factors=(1, 2)), spaced(3, 4, 2)),
    "patches of a series": (partial(PatchTransformer, width=8, layers=1, heads=2), spaced(7)),
    "patches of a picture": (partial(PatchTransformer, width=8, layers=1, heads=2, patch=2), spaced(6, 5, channels=2)),
    "patches, channels between": (partial(PatchTransformer, width=8, layers=1, heads=2, patch=2), spaced(6, 5, channels=1)),
    "patches of a film": (partial(PatchTransformer, width=8, layers=1, heads=2, patch=(1, 2, 2)), spaced(2, 4, 4, channels=3)),
    "flat": (partial(FlatField, net=partial(MLP, hidden=(8,))), spaced(3, 2)),
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_maps_a_grid_to_itself(name):
    net, space = FIELDS[name]
    torch.manual_seed(0)
    field = net(space, 2, 4, {"tokens", "aligned"} if net.func is not FlatField else ())
    perturb(field)
    noise, D = Noise.of(0, 3), space.dimensions
    x, t = noise.normal((), (*space.shape, 2)).float(), torch.tensor([0.0, 0.5, 1.0])
    y = Condition(torch.ones(3, 4), noise.fold(1).normal((), (D, 4)).float(), noise.fold(2).normal((), (5, 4)).float(),
                  torch.tensor([[True] * 5, [True] * 3 + [False] * 2, [True] * 5]))
    out = field(x, t, y)
    assert out.shape == (3, *space.shape)
    assert torch.allclose(field(x[1:2], t[1:2], y.rows(torch.tensor([1]))), out[1:2], atol=1e-5), "a row is not its own"
    assert not torch.allclose(out, field(x, 1 - t, y), atol=1e-4), "the time moves nothing"
    if not field.reads_grid:
        return
    padded = Condition(y.pooled, y.aligned, torch.where(y.there[..., None], y.tokens, 7.0), y.there)
    assert torch.allclose(field(x, t, padded), out, atol=1e-5), "padding of y is read"
    for moved in (Condition(y.pooled + 1, y.aligned, y.tokens, y.there), Condition(y.pooled, y.aligned + 1, y.tokens, y.there),
                  Condition(y.pooled, y.aligned, y.tokens * 2 + 1, y.there)):
        assert not torch.allclose(field(x, t, moved), out, atol=1e-5), "a part of y moves nothing"
    other = x.clone()
    other[0].view(-1, 2)[0] += 3.0  # one entry, which moves at least itself
    assert not torch.allclose(field(other, t, y)[0].flatten()[0], out[0].flatten()[0], atol=1e-5)


def test_a_field_nobody_chose_fits_the_grid():
    kinds = {(2,): FlatField, (7,): FlatField, (4, 4): FlatField, (8, 8): FlatField, (28, 28): PatchTransformer}
    for sizes, kind in kinds.items():
        c = FlowMatching(Variable("x", IdentityCodec(spaced(*sizes))))
        assert type(c.net) is kind, sizes
    assert c.net.cut.sizes == [7, 7]
    assert FlowMatching(Variable("x", IdentityCodec(spaced(18, 12, channels=2)))).net.cut.cells == (4, 4)


def test_a_patch_is_cut_and_put_back_in_its_place():
    cut = GridCut(spaced(6, 5, channels=1), (4, 2))
    x = torch.arange(2 * 6 * 3 * 5).reshape(2, 6, 3, 5, 1).float()
    assert cut.cells == (2, 3) and cut.pieces(x).shape == (2, 6, 24)
    assert torch.equal(cut.whole(cut.pieces(x), x.shape[1:-1]), x[..., 0])


@pytest.mark.parametrize(("net", "said"), [
    (partial(UNet, patch=0), "UNet: patch=0; expected"),
    (UNet, "UNet: expected a grid of 1 to 3 axes beside channels"),
    (partial(PatchTransformer, width=6, heads=4), "expected a width that the heads divide"),
    (partial(PatchTransformer, patch=(2, 2, 2)), "expected a side for each of the 4 axes"),
    (torch.nn.Conv2d, "net=Conv2d serves no field; expected MLP, FlatField, UNet or PatchTransformer"),
])
def test_a_net_that_serves_no_field_is_named(net, said):
    x = Variable("x", IdentityCodec(spaced(2, 2, 2, 2)))
    with pytest.raises(UserError) as error:
        FlowMatching(x, net=net)
    assert said in str(error.value) and "\n" not in str(error.value)


# Given part of x


def test_pictures_are_completed_by_the_field_within():
    image = np.random.default_rng(0).integers(0, 9, (40, 4, 3)).astype(np.uint8)
    data = given.read(image=image)
    for family in (partial(FlowMatching, solver=Heun(4)), partial(Diffusion, solver=Ancestral(4))):
        net = partial(UNet, width=8, factors=(1, 2))
        model = given.model("image", data, families={"image": partial(Dequantised, family=partial(family, net=net))})
        model.fit(data, steps=2, held_out=0, progress=False)
        seen = np.arange(12).reshape(4, 3) % 2 == 0
        asked = model.given(image=given.part(image[0], seen=seen))
        drawn = asked.sample(5, seed=1)["image"]
        assert (drawn[:, seen] == image[0][seen]).all() and drawn.dtype == np.uint8
        for how in (Replacement(), ReconstructionGuidance()):
            assert (asked.sample(2, seed=1, how=how)["image"][:, seen] == image[0][seen]).all()


def correlated(D=2, rho=0.8):
    covariance = torch.full((D, D), rho, dtype=torch.float64).fill_diagonal_(1.0)
    return covariance, torch.linalg.cholesky(covariance)


def test_guidance_by_reconstruction_is_closer_than_replacement():
    covariance, _ = correlated()
    path = Cosine(margin=1e-3)

    def field(inputs, t, y):
        x, (alpha, sigma) = inputs[..., 0].double(), path.mix(t.double()[0])
        within = alpha**2 * covariance + sigma**2 * torch.eye(2)
        data = x @ torch.linalg.solve(within, alpha * covariance)
        noise = x @ torch.linalg.solve(within, sigma * torch.eye(2, dtype=torch.float64))
        a, s, _ = path.direction(t.double()[0])
        return (a * data + s * noise).to(inputs)

    law = ContinuousFlow(field, path, Condition(torch.zeros(1, 1)), None, Real(axes=(Axis("entry", 2),)), Heun(64))
    seen = Entries(torch.tensor([[1.5, 0.0]]), torch.tensor([[True, False]]))
    posterior = law.condition(seen)
    assert posterior.kind == "none"
    replaced, guided = (posterior.by(how).sample((1500,), seed=1).tensor[:, 0] for how in (
        Replacement(), ReconstructionGuidance()))
    assert bool((guided[:, 0] == 1.5).all() and (replaced[:, 0] == 1.5).all())
    off = [abs(float(x[:, 1].mean()) - 1.2) for x in (replaced, guided)]
    assert off[1] < 0.15 and off[1] < off[0] / 2
    assert torch.equal(guided, posterior.sample((1500,), seed=1).tensor[:, 0]), "guidance is what stands in for learning"


@pytest.mark.parametrize("how", [Replacement(), ReconstructionGuidance()])
def test_ways_to_complete_concern_what_is_given_a_part(how):
    with pytest.raises(UserError, match=r"concerns nothing that is drawn; it is of fields of .* given part of x"):
        flow(Cosine(), D=2).by(how)


@pytest.mark.parametrize("family", [FlowMatching, partial(Diffusion, terms=4)])
def test_what_is_given_is_read_and_only_the_rest_is_scored(family):
    torch.manual_seed(0)
    x = Variable("x", IdentityCodec(Real(axes=(Axis("entry", 3),))))
    c = family(x, net=partial(MLP, hidden=(8,)))
    perturb(c)
    law = c.eval()(Observed(n=2))
    seen = Entries(torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), torch.tensor([[True, False, False], [False, True, False]]))
    posterior = law.condition(seen)
    drawn = posterior.sample((4,), seed=1).tensor
    assert bool((drawn[:, 0, 0] == 1.0).all() and (drawn[:, 1, 1] == 2.0).all())
    assert posterior.kind == law.kind and posterior.by(Replacement()).kind == "none"
    whole = Entries(torch.tensor([[9.0, 0.5, 0.5], [0.5, 9.0, 0.5]], dtype=torch.float64))
    other = Entries(torch.where(seen.tensor != 0, seen.tensor, 0.5).double())
    assert torch.equal(posterior.log_prob(whole), posterior.log_prob(other))


def check_learned_parts(steps=700):
    """Of a correlated normal pair: the mean and spread of either given the other come back."""
    _, root = correlated()
    torch.manual_seed(0)
    x = Variable("x", IdentityCodec(Real(axes=(Axis("entry", 2),))))
    c = FlowMatching(x, net=partial(FlatField, net=partial(MLP, hidden=(48, 48)), waves=0), known=0.8, solver=Heun(8))
    adam = torch.optim.Adam(c.parameters(), lr=5e-3)
    for step in range(steps):
        adam.param_groups[0]["lr"] = 5e-3 * (1 - step / steps)
        noise = Noise.of(step, 256)
        loss = c.loss(Entries(noise.fold("data").normal((), (2,)) @ root.T), Observed(n=256), seed=noise).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    posterior = c.eval()(Observed(n=1)).condition(Entries(torch.tensor([[1.5, 0.0]]), torch.tensor([[True, False]])))
    drawn = posterior.sample((2000,), seed=1).tensor[:, 0, 1]
    assert abs(float(drawn.mean()) - 1.2) < 0.12 and abs(float(drawn.std()) - 0.6) < 0.09, (drawn.mean(), drawn.std())
    at = Entries(torch.tensor([[[0.0, v]] for v in (0.6, 1.2, 1.8)], dtype=torch.float64))
    truth = torch.distributions.Normal(1.2, 0.6).log_prob(at.tensor[:, 0, 1])
    assert float((posterior.log_prob(at)[:, 0] - truth).detach().abs().max()) < 0.3


def test_a_field_that_learned_parts_answers_given_a_part():
    check_learned_parts()


def check_drops():
    """y is dropped in half of the rows of which a part is known, and in a tenth of the others."""
    x = Variable("x", IdentityCodec(Real(axes=(Axis("entry", 4),))))
    c = FlowMatching(x, [Variable("y", Label(["a", "b"]))], net=partial(FlatField, net=partial(MLP, hidden=(4,))), known=0.5)
    hidden, field, n = list[torch.Tensor](), list[torch.Tensor](), 4000
    reads = c.context.condition
    c.context.condition = lambda y: hidden.append(~y["y"].readable) or reads(y)
    c.net.register_forward_pre_hook(lambda _, inputs: field.append(inputs[0][..., 1].bool().any(1)))
    with torch.no_grad():
        c.loss(Entries(torch.zeros(n, 4)), Observed({"y": Entries(torch.zeros(n, dtype=torch.long))}, n))
    dropped, known = hidden[0].flatten().double(), field[0]
    assert abs(float(dropped[known].mean()) - 0.5) < 0.04 and abs(float(dropped[~known].mean()) - 0.1) < 0.03


def test_a_part_is_learned_with_y_and_without():
    check_drops()
