"""Pictures by convolutions, codes and patches: nets from grids to cells and back, and digits that a judge names rightly."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch.nn import functional as F

import given
from given.codecs import IdentityCodec
from given.distributions import Noise
from given.families import GAN, VAE, VQVAE, Dequantised, Regression, TransformerFlow
from given.nn import (
    FSQ,
    MLP,
    Book,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    EntriesOfBlocks,
    LearnedPositions,
    Pyramid,
    Transformer,
    convolves,
)
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

DEPTH = Axis("channel", 3, role="channel")
ENCODER, DECODER = partial(ConvolutionalEncoder, width=16), partial(ConvolutionalDecoder, width=16)
LINEAR = partial(MLP, hidden=())
SQUARE = Real(axes=(Axis("height", 4), Axis("width", 4), DEPTH))


def picture(*sizes, channels=None):
    axes = [Axis(name, size) for name, size in zip(("height", "width", "depth"), sizes, strict=False)]
    if channels is not None:
        axes.insert(channels, DEPTH)
    return Real(axes=tuple(axes))


@pytest.mark.parametrize("space", [picture(28, 28), picture(9, 17, channels=2), picture(9, 17, channels=0), picture(5),
                                   picture(3, 4, 7, channels=1), picture(1, 20)], ids=str)
def test_convolutions_come_to_few_cells_and_back(space):
    check_there_and_back(space)


def check_there_and_back(space):
    x = torch.randn(2, *space.shape, 4)
    encoder = ConvolutionalEncoder(space, 4, 5, 6, width=4)
    decoder = ConvolutionalDecoder(space, 6, 4, width=4)
    assert encoder(x, torch.randn(2, 5)).shape == (2, 6)
    assert decoder(torch.randn(2, 6)).shape == x.shape
    assert torch.equal(decoder._entries(encoder._planes(x)), x)


def test_cells_are_a_grid_that_the_halves_come_to():
    encoder, decoder = ConvolutionalEncoder(picture(28, 28), 1, 0, 3, cells=(7, 7), width=4), ConvolutionalDecoder(
        picture(28, 28), 3, 2, cells=(7, 7), width=4)
    cells = encoder(torch.randn(2, 28, 28, 1))
    assert cells.shape == (2, 7, 7, 3) and decoder(cells).shape == (2, 28, 28, 2)
    moved = cells.detach().requires_grad_()
    decoder(moved)[0, :4, :4].sum().backward()
    assert moved.grad[0, :3, :3].abs().sum() > 0 and moved.grad[0, 5:, 5:].abs().sum() == 0  # a cell is where it stands
    with pytest.raises(UserError, match=r"gives no 5 x 5 cells; expected one of 28 x 28, 14 x 14, 7 x 7, 4 x 4"):
        ConvolutionalEncoder(picture(28, 28), 1, 0, 3, cells=(5, 5))


@pytest.mark.parametrize(("call", "says"), [
    (lambda: ConvolutionalDecoder(picture(4, 4), 1, 1, width=0), "width=0, blocks=1; expected a width from 1"),
    (lambda: ConvolutionalEncoder(Real(axes=(DEPTH,)), 1, 0, 1), "expected a grid of 1 to 3 axes beside channels"),
    (lambda: FSQ(14, levels=(2, 5)), r"14 codes, levels=\(2, 5\); expected levels from 2, whose product is 14"),
    (lambda: FSQ(22), r"22 codes, levels=\(\); expected factors of 2 to 8"),
    (lambda: VAE(variable(picture(4, 4)), warm_up=1.0), "warm_up=1.0; expected a share from 0 to below 1"),
    (lambda: VAE(variable(picture(4, 4)), beta=0), "beta=0; expected a weight above 0"),
    (lambda: TransformerFlow(variable(picture(4, 4)), transforms=0), "transforms=0, components=4; expected at least 1 of each"),
    (lambda: TransformerFlow(variable(picture(4, 4)), patch=3), "size=3 does not divide")])
def test_what_cannot_be_built_says_so_in_a_line(call, says):
    with pytest.raises(UserError, match=says) as error:
        call()
    assert "\n" not in str(error.value)


def variable(space):
    return Variable("x", IdentityCodec(space))


@pytest.mark.parametrize("levels", [None, (5, 3, 4)], ids=["by default", "by levels"])
def test_every_code_of_levels_is_its_vectors_code(levels):
    check_quantised(levels)


def check_quantised(levels=None):
    fsq = FSQ(60, levels=levels)
    codes = torch.arange(60)[None]
    vectors = fsq.vectors(codes)
    assert len(vectors[0].unique(dim=0)) == 60 and vectors.abs().max() == 1
    e = (vectors * 0.999).atanh().requires_grad_()
    assert torch.equal(fsq.codes(e), codes)
    through, drawn = fsq(e * 0.9)
    through.sum().backward()
    assert torch.allclose(through, fsq.vectors(fsq.codes(e * 0.9))) and bool((e.grad > 0).all()) and not drawn.any()


def check_warm_up():
    """z's own terms gain their weight while it learns, from none to all; what is scored has them whole."""
    model = given.model("p(x)", given.read({"x": np.random.default_rng(0).normal(size=(40, 3))}), families={"x": VAE}, seed=0)
    (vae,) = model.joint.declared
    seen = list[float]()
    loss = vae.loss

    def watched(x, y, *, seed=0):
        if vae.training:
            seen.append(vae.warmth)
        return loss(x, y, seed=seed)

    vae.loss = watched
    model.fit(given.read({"x": np.random.default_rng(0).normal(size=(40, 3))}), steps=20, batch=8, held_out=0, progress=False)
    assert seen[0] == 0 and seen == sorted(seen) and seen[-1] == 1 and 0 < seen[2] < 1
    x, y = Entries(torch.randn(5, 3)), Observed({}, 5)
    vae.warmth = 0.0
    whole = -vae.eval()(y).importance(x, 1, seed=3)[0]
    assert torch.equal(loss(x, y, seed=3), whole)
    assert not torch.allclose(vae.train().loss(x, y, seed=3), whole)


def test_a_vae_warms_up():
    check_warm_up()


def check_beta():
    """z's own terms weigh beta in what is learned, and one in what is scored."""
    x, y = Entries(torch.randn(5, 3, generator=torch.Generator().manual_seed(0))), Observed({}, 5)
    vae = VAE(variable(Real(axes=(Axis("column", 3),))), samples=1).eval()
    found = {}
    for beta in (1.0, 2.0, 4.0):
        vae.beta = beta
        found[beta] = vae.loss(x, y, seed=3)
        assert torch.equal(-vae(y).log_prob(x, seed=3), found[1.0])
    assert torch.allclose(found[4.0] - found[1.0], 3 * (found[2.0] - found[1.0])) and not torch.equal(found[2.0], found[1.0])


def test_z_weighs_beta_in_what_is_learned_alone():
    check_beta()


def test_large_pictures_are_read_and_made_by_convolutions():
    large, small = variable(picture(16, 20, channels=2)), variable(picture(8, 8))
    assert convolves(large.space) and not convolves(small.space) and not convolves(picture(400))
    vae, gan = VAE(large), GAN(large)
    code = Variable("code", IdentityCodec(Finite(16, axes=(Axis("height", 4), Axis("width", 5)))))
    codes = VQVAE(large, code)
    assert isinstance(vae.likelihood.net, ConvolutionalDecoder) and vae.z.space.shape == (32,)
    assert isinstance(gan.generator, ConvolutionalDecoder) and isinstance(gan.critic, ConvolutionalEncoder)
    assert isinstance(codes.encoder, ConvolutionalEncoder) and isinstance(codes.quantiser, Book)
    assert VAE(small).z.space.shape == (8,) and not isinstance(GAN(small).generator, ConvolutionalDecoder)
    x, y = Entries(torch.randn(2, 16, 20, 3)), Observed({}, 2)
    vae.loss(x, y).sum().backward()
    assert all(p.grad is not None for p in vae.parameters())
    assert codes.encode(x, y).sample().tensor.shape == (2, 4, 5)


def check_penalties():
    """A linear critic of slope w: both slopes are |w|^2, and the rest compares a row with its draw."""
    gan = GAN(variable(Real(axes=(Axis("entry", 2),))), latent=1, generator=LINEAR, critic=LINEAR, penalty=3.0)
    x, y = Entries(torch.tensor([[1.0, 2.0], [0.5, -1.0]])), Observed({}, 2)
    weight = gan.critic.net.layers[0].weight[0, :2]
    real, drawn = (part.flatten(1) @ weight for part in gan._pair(x, y, 5))
    found = gan._teach(x, y, seed=5)
    assert torch.allclose(found, F.softplus(drawn - real) + 3.0 * weight.square().sum(), atol=1e-5)
    assert torch.allclose(gan._fool(x, y, seed=5), F.softplus(real - drawn), atol=1e-5)


def test_a_critic_is_penalised_at_data_and_at_draws():
    check_penalties()


def test_a_flow_of_patches_is_inverted_patch_by_patch():
    check_inverse()


def check_inverse():
    space = picture(4, 6, channels=1)
    flow = TransformerFlow(variable(space), patch=2, transforms=3, net=partial(Transformer, width=8, heads=2, dropout=0.0))
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
        through = flow.eval()(Observed({}, 5)).distribution.transform(torch.arange(5))
        x = torch.randn(5, space.dimensions, generator=torch.Generator().manual_seed(2))
        z, _ = through.call_and_ladj(x)
        assert (z - x).abs().max() > 0.1 and torch.allclose(through.inv(z), x, atol=1e-4)


def test_an_entry_of_a_patch_depends_on_those_before_it():
    check_entries_of_blocks()


def check_entries_of_blocks():
    torch.manual_seed(0)
    net = EntriesOfBlocks(3, 4, 2, hidden=8)
    for p in net.parameters():
        torch.nn.init.normal_(p)
    h, x = torch.randn(1, 3), torch.randn(1, 4)
    slopes = torch.autograd.functional.jacobian(lambda x: net(h, x).sum((0, 2)), x)[:, 0]
    assert torch.equal(slopes != 0, torch.ones(4, 4).tril(-1).bool())
    started = net.start(h)
    alone = [net.entry(k, x[:, :k], started) for k in range(4)]
    assert torch.allclose(torch.stack(alone, 1), net(h, x), atol=1e-6)


DIGITS = given.read("digits")
TRAIN, _ = DIGITS.split(0.8, seed=0)
CODE = IdentityCodec(Finite(64, axes=(Axis("height", 2), Axis("width", 2))))
SMALL = partial(Transformer, width=48, layers=1, positions=LearnedPositions, dropout=0.0)
LEARNERS = {
    "VAE": ("p(image | label)", partial(VAE, likelihood=partial(Regression, net=DECODER),
                                        posterior=partial(Regression, readers={"image": Pyramid(width=16)})), 150, 0.6),
    "GAN": ("p(image | label)", partial(Dequantised, family=partial(GAN, latent=16, generator=DECODER, critic=ENCODER)), 300,
            0.35),
    "codes": ("p(code | label) p(image | code)", partial(VQVAE, quantiser=FSQ, encoder=ENCODER, decoder=DECODER), 500, 0.3),
    "flow": ("p(image | label)", partial(Dequantised, family=partial(TransformerFlow, patch=2, transforms=2, net=SMALL)), 200,
             0.2)}


@pytest.mark.parametrize("name", LEARNERS)
def test_digits_are_drawn_by_their_label(name):
    formula, family, steps, least = LEARNERS[name]
    latents = {"latents": {"code": CODE}} if name == "codes" else {}
    model = given.model(formula, TRAIN, families={"image": family}, seed=0, **latents)
    model.fit(TRAIN, steps=steps, batch=32, lr=3e-3, seed=0, held_out=0, progress=False)
    label = np.repeat(np.arange(10), 10)
    drawn = model.given(label=label).sample(1, seed=0)["image"].reshape(100, -1)
    judge = KNeighborsClassifier(3).fit(np.asarray(TRAIN["image"]).reshape(TRAIN.n, -1), np.asarray(TRAIN["label"]))
    print(name, judge.score(drawn, label))
    assert judge.score(drawn, label) >= least and len(np.unique(drawn, axis=0)) > 90


def test_a_gan_scores_nothing_and_draws_by_seed():
    gan = GAN(variable(picture(16, 16)))
    p = gan(Observed({}, 2))
    assert p.kind == "none"
    one, other = (p.sample(seed=Noise.of(s, 2)).tensor for s in (0, 1))
    assert one.shape == (2, 16, 16) and not torch.equal(one, other) and torch.equal(one, p.sample(seed=0).tensor)
