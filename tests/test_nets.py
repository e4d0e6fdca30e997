"""Causal nets: a cached step is the forward, whatever was read at once; a feature depends on the tokens it says it does."""

import math
import re
from functools import partial

import pytest
import torch

from given.codecs import IdentityCodec
from given.distributions import CategoricalHead, DiscretizedLogisticMixtureHead
from given.families import Autoregressive
from given.nn import (
    AnyOrder,
    CausalConvolution,
    ColumnMajor,
    Condition,
    DiagonalLSTM,
    FixedOrder,
    GatedPixelCNN,
    LinearPrediction,
    MaskedTransformer,
    PixelCNN,
    PixelResNet,
    Raster,
    Reverse,
    RowLSTM,
    Wavefront,
)
from given.nn.dot_product import attention
from given.nn.dropout import Dropout
from given.nn.order import Grid
from given.testing import perturb
from given.variables import Axis, Entries, Finite, Observed, UserError, Variable

torch.set_num_threads(1)


def space(*shape):
    return Finite(2, axes=tuple(Axis(a, n, role="channel" if a == "channel" else "place")
                                for a, n in zip(("height", "width", "channel"), shape, strict=False)))


def built(net, shape, order=None, scale=0.1):
    """The net, perturbed, and the order (1, T) it was built for."""
    s = space(*shape)
    drawn = (order or Raster()).steps(s).argsort(stable=True)
    torch.manual_seed(0)
    made = net(Grid.of(s), order=drawn)
    perturb(made, scale)
    return made.eval(), drawn[None]


NETS = {
    "CausalConvolution": (partial(CausalConvolution, width=6, layers=4, cycle=3), (13,), Raster()),
    "CausalConvolution of 3 steps": (partial(CausalConvolution, width=4, layers=3, kernel=3), (11,), Raster()),
    "PixelCNN": (partial(PixelCNN, width=6, layers=2), (4, 5), Raster()),
    "PixelCNN of a wide kernel": (partial(PixelCNN, width=4, layers=2, kernel=5), (4, 3), ColumnMajor()),
    "PixelCNN of one pixel": (partial(PixelCNN, width=4, layers=2, kernel=1), (3, 3), Reverse()),
    "PixelCNN in colour": (partial(PixelCNN, width=4, layers=2), (3, 4, 3), Raster()),
    "GatedPixelCNN": (partial(GatedPixelCNN, width=6, layers=3), (4, 5), Raster()),
    "GatedPixelCNN of a wide kernel": (partial(GatedPixelCNN, width=4, layers=2, kernel=5), (4, 3), ColumnMajor()),
    "GatedPixelCNN of one pixel": (partial(GatedPixelCNN, width=4, layers=2, kernel=1), (3, 3), Reverse()),
    "GatedPixelCNN in colour": (partial(GatedPixelCNN, width=4, layers=2), (3, 4, 3), Raster()),
    "PixelResNet": (partial(PixelResNet, width=6, layers=2), (4, 5), Raster()),
    "PixelResNet in colour": (partial(PixelResNet, width=4, layers=1), (3, 4, 3), ColumnMajor()),
    "RowLSTM": (partial(RowLSTM, width=6, layers=2), (4, 5), Raster()),
    "RowLSTM of a wide kernel": (partial(RowLSTM, width=4, layers=2, kernel=5), (4, 3), ColumnMajor()),
    "RowLSTM of one pixel": (partial(RowLSTM, width=4, layers=2, kernel=1), (3, 3), Reverse()),
    "RowLSTM in colour": (partial(RowLSTM, width=4, layers=2), (3, 4, 3), Raster()),
    "DiagonalLSTM": (partial(DiagonalLSTM, width=6, layers=2), (4, 5), Raster()),
    "DiagonalLSTM from the left": (partial(DiagonalLSTM, width=6, layers=2, both=False), (4, 3), Reverse()),
    "DiagonalLSTM in colour": (partial(DiagonalLSTM, width=4, layers=2), (3, 4, 3), ColumnMajor()),
    "DiagonalLSTM diagonal by diagonal": (partial(DiagonalLSTM, width=6, layers=2, both=False), (4, 5), Wavefront()),
    "DiagonalLSTM by steep diagonals": (partial(DiagonalLSTM, width=6, layers=2, both=False), (5, 4), Wavefront(slope=2)),
}


def check_steps(name, splits=4):
    """A step is the forward, for several ways of reading the steps and several numbers of rows, and rows are copied whole."""
    net, order = built(*NETS[name])
    T, C = order.shape[1], net.width
    generator = torch.Generator().manual_seed(1)
    for split in range(splits):
        B = (1, 3, 2, 5)[split % 4]
        h, y = torch.randn(B, T, C, generator=generator), Condition(torch.randn(B, C, generator=generator))
        whole = net(h, y, order).detach()
        cache, t = net.start(y), 0
        while t < T:
            s = 1 if split == 0 else int(torch.randint(1, T if split == 1 else 4, (), generator=generator))
            s = min(s, T - t)
            if split == 3:  # turned round at every step, so that what a step finds is what was copied
                h, whole, cache = h.flip(0), whole.flip(0), cache.rows(torch.arange(B).flip(0))
            got = net.step(h[:, t:t + s], order, t, cache)
            assert torch.allclose(got, whole[:, t:t + s], atol=2e-5, rtol=1e-4), \
                f"{name}: steps {t} to {t + s} of {T} are off by {float((got - whole[:, t:t + s]).abs().max()):.2g}"
            t += s


def check_prediction():
    """By hand, of two rows of three pixels of red, green and blue, before anything is learned."""
    where = Finite(256, ordered=True, axes=(Axis("height", 2), Axis("width", 3), Axis("channel", 3, role="channel")))
    predict = LinearPrediction(where, 4, steps=Raster().steps(where), near=2)
    values = torch.randint(0, 256, (5, 18), generator=torch.Generator().manual_seed(0)).double()
    found = predict(torch.ones(5, 18, 4), values).view(5, 2, 3, 3)
    x = (values * 2 / 255 - 1).float().view(5, 2, 3, 3)
    beside = (x[:, 1, 0] + x[:, 0, 1]) / 2  # left of the second pixel of the second row, and above it
    for row, pixel, channel, expected in ((1, 1, 0, beside[:, 0]), (1, 1, 2, x[:, 1, 1, 1] + beside[:, 2] - beside[:, 1]),
                                          (0, 2, 1, x[:, 0, 2, 0] + x[:, 0, 1, 1] - x[:, 0, 1, 0]),
                                          (0, 0, 0, torch.zeros(5)), (0, 0, 1, x[:, 0, 0, 0])):
        assert torch.allclose(found[:, row, pixel, channel], expected, atol=1e-5)


def test_a_prediction_is_the_mean_of_the_nearest_and_what_the_channel_before_was_off():
    check_prediction()


@pytest.mark.parametrize(("make", "words"), [
    (lambda s: Autoregressive(s, prediction=LinearPrediction, order=AnyOrder()), "needs one order"),
    (lambda s: Autoregressive(s, prediction=LinearPrediction, head=CategoricalHead), "got CategoricalHead"),
    (lambda s: Autoregressive(s, prediction=LinearPrediction, net=MaskedTransformer), "got a masked net"),
    (lambda s: Autoregressive(s, prediction=partial(LinearPrediction, near=0)), "near=0"),
    (lambda s: Autoregressive(s, net=partial(PixelResNet, layers=0)), "layers=0"),
    (lambda s: DiscretizedLogisticMixtureHead(s.space, 4, spread=0.0), "spread=0.0"),
])
def test_what_cannot_be_predicted_says_so(make, words):
    with pytest.raises(UserError, match=re.escape(words)):
        make(Variable("x", IdentityCodec(Finite(3, ordered=True, axes=(Axis("height", 2), Axis("width", 2))))))


def field(net, order):
    """(T, T) which tokens the features of each step depend on, by derivatives summed over random tokens."""
    T, C = order.shape[1], net.width
    h = torch.randn(8, T, C, generator=torch.Generator().manual_seed(3))
    y = Condition(torch.zeros(8, C))
    moved = torch.autograd.functional.jacobian(lambda x: net(x, y, order).abs().sum((0, 2)), h)  # (T, 8, T, C)
    return moved.abs().sum((1, 3)) > 0


@pytest.mark.parametrize("name", NETS)
def test_a_step_is_the_forward(name):
    check_steps(name)


@pytest.mark.parametrize("name", NETS)
def test_no_feature_depends_on_later_tokens(name):
    net, order = built(*NETS[name])
    seen = field(net, order)
    assert not bool(seen.triu(1).any())
    assert bool(seen.diagonal().all())


def suffix_nodes(T, links):
    """(T, T) what a step depends on through layers, each of which reads of every step what `links` (T, T) says."""
    found = torch.eye(T)
    for link in links:
        found = ((link.float() @ found) > 0).float()
    return found > 0


def reads(L, W, d, rule):
    """(T, T): whether a layer reads, at entry (line, pixel, channel), another, by a rule of offsets and channels."""
    line, pixel, channel = torch.cartesian_prod(*(torch.arange(n) for n in (L, W, d))).unbind(1)
    return rule(line - line[:, None], pixel - pixel[:, None], channel, channel[:, None])


def masked(r):
    """A PixelCNN's mask: lines above, the line up to the pixel, in it channels up to its own."""
    return lambda dy, dx, c, own: (dx.abs() <= r) & (dy >= -r) & ((dy < 0) | (dy == 0) & ((dx < 0) | (dx == 0) & (c <= own)))


@pytest.mark.parametrize(("shape", "kernel", "layers"), [((5, 6), 3, 3), ((4, 5), 5, 2), ((3, 4, 3), 3, 2)])
def test_a_pixel_cnn_depends_on_what_its_masks_say(shape, kernel, layers):
    net, order = built(partial(PixelCNN, width=12, layers=layers, kernel=kernel), shape)
    L, W, d = (*shape, 1)[:3]
    assert torch.equal(field(net, order), suffix_nodes(L * W * d, [reads(L, W, d, masked(kernel // 2))] * layers))


def test_a_pixel_cnn_has_a_blind_spot():
    net, order = built(partial(PixelCNN, width=8, layers=7), (4, 6))
    seen = field(net, order)[2 * 6 + 2]  # line 2, pixel 2
    assert bool(seen[:6 + 4].all() == 0) and not bool(seen[6 + 4]) and not bool(seen[6 + 5]) and bool(seen[6 + 3])


@pytest.mark.parametrize(("shape", "kernel", "layers"), [((5, 6), 3, 2), ((4, 5), 5, 1), ((3, 4, 3), 3, 2)])
def test_a_gated_pixel_cnn_depends_on_what_its_stacks_read(shape, kernel, layers):
    net, order = built(partial(GatedPixelCNN, width=6, layers=layers, kernel=kernel), shape)
    (L, W, d), r = (*shape, 1)[:3], kernel // 2
    late = reads(L, W, d, lambda dy, dx, c, own: (dy == -1) & (dx == 0) & (c == own))
    above = reads(L, W, d, lambda dy, dx, c, own: (dx.abs() <= r) & (-r <= dy) & (dy <= 0))
    beside = reads(L, W, d, lambda dy, dx, c, own: (dy == 0) & (-r <= dx) & ((dx < 0) | (dx == 0) & (c <= own)))
    T = L * W * d
    seen = suffix_nodes(T, [beside] * layers)
    for of_v in range(1, layers + 1):
        seen = seen | suffix_nodes(T, [late, *[above] * of_v, *[beside] * (layers - of_v)])
    assert torch.equal(field(net, order), seen)


def test_a_gated_pixel_cnn_has_no_blind_spot():
    net, order = built(partial(GatedPixelCNN, width=8, layers=6), (4, 6))
    assert torch.equal(field(net, order), torch.ones(24, 24).tril() > 0)


@pytest.mark.parametrize(("shape", "kernel", "layers"), [((5, 6), 3, 2), ((4, 5), 5, 1), ((3, 4, 2), 3, 1)])
def test_a_row_lstm_depends_on_a_triangle(shape, kernel, layers):
    net, order = built(partial(RowLSTM, width=4, layers=layers, kernel=kernel), shape)
    (L, W, d), r = (*shape, 1)[:3], kernel // 2
    own = reads(L, W, d, lambda dy, dx, c, own: (dy == 0) & (-r <= dx) & ((dx < 0) | (dx == 0) & (c <= own)))
    down = reads(L, W, d, lambda dy, dx, c, own: (dy == -1) & (dx.abs() <= r) | (dy == 0) & (dx == 0) & (c == own))
    assert torch.equal(field(net, order), suffix_nodes(L * W * d, [own, *[down] * L] * layers))


@pytest.mark.parametrize("shape", [(4, 5), (5, 3), (3, 3, 2)])
def test_a_diagonal_lstm_from_both_sides_knows_all_that_was_drawn(shape):
    net, order = built(partial(DiagonalLSTM, width=6, layers=1), shape, scale=0.3)
    T = order.shape[1]
    assert torch.equal(field(net, order), torch.ones(T, T).tril() > 0)


@pytest.mark.parametrize("order", [Raster(), Wavefront(), Wavefront(slope=2)])
def test_a_diagonal_lstm_from_the_left_knows_a_rectangle(order):
    net, drawn = built(partial(DiagonalLSTM, width=6, layers=1, both=False), (4, 4), order, scale=0.3)
    rectangle = reads(4, 4, 1, lambda dy, dx, c, own: (dy <= 0) & (dx <= 0))[drawn[0]][:, drawn[0]]
    assert torch.equal(field(net, drawn), rectangle)


def test_what_a_diagonal_lstm_cannot_be():
    with pytest.raises(UserError, match=r"^DiagonalLSTM: from both sides .* use both=False for Wavefront"):
        built(DiagonalLSTM, (4, 4), Wavefront())
    with pytest.raises(UserError, match=r"^DiagonalLSTM: expected an order that draws the neighbours to the left and above"):
        built(partial(DiagonalLSTM, both=False), (2, 2), FixedOrder((0, 3, 1, 2)))


@pytest.mark.parametrize("net", [PixelCNN, GatedPixelCNN, RowLSTM])
def test_nets_of_lines_expect_lines(net):
    with pytest.raises(UserError, match=rf"^{net.__name__}: expected an order that draws line by line"):
        built(net, (3, 3), Wavefront())
    with pytest.raises(UserError, match=rf"^{net.__name__}: expected a grid of two axes, and channels"):
        built(net, (9,))
    film = Finite(2, axes=(Axis("frame", 2, role="time"), Axis("height", 2), Axis("width", 2)))  # whose width is no channel
    with pytest.raises(UserError, match=rf"^{net.__name__}: expected a grid of two axes, and channels"):
        net(Grid.of(film), order=torch.arange(8))


@pytest.mark.parametrize("net", [partial(PixelCNN, layers=1), partial(GatedPixelCNN, layers=1, dropout=0.0)])
def test_the_channels_of_a_pixel_are_conditioned_on_each_other(net):
    """Of grey images of 4 levels all is known of a pixel once its red is; what is left is log 4 a pixel."""
    axes = (Axis("height", 2), Axis("width", 2), Axis("channel", 3, role="channel"))
    x = Variable("x", IdentityCodec(Finite(4, ordered=True, axes=axes)))
    torch.manual_seed(0)
    model, generator = Autoregressive(x, net=partial(net, width=16)), torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    for _ in range(150):
        red = torch.randint(0, 4, (64, 2, 2, 1), generator=generator)
        loss = model.loss(Entries(red.expand(-1, -1, -1, 3)), Observed({}, 64)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    drawn = model.eval()(Observed({}, 200)).sample(seed=0).tensor
    assert loss.item() < 4 * math.log(4) + 1.5
    assert float((drawn == drawn[..., :1]).double().mean()) > 0.95


def test_a_convolution_reaches_as_far_as_it_says():
    net, order = built(partial(CausalConvolution, width=5, layers=3), (12,))
    assert net.field == 8
    back = torch.arange(12)[:, None] - torch.arange(12)
    assert torch.equal(field(net, order), (back >= 0) & (back < 8))


def test_what_a_convolution_cannot_be():
    with pytest.raises(UserError, match=r"^CausalConvolution: layers=0, kernel=2, cycle=10; expected 1 layer or more"):
        built(partial(CausalConvolution, layers=0), (4,))
    with pytest.raises(UserError, match=r"^CausalConvolution: does not read the tokens of y; use Transformer"):
        CausalConvolution(Grid.of(space(4)), attends=True)


@pytest.mark.parametrize("seen", ["causal", "all", "bool", "added"])
def test_the_plain_form_of_attention_is_the_fused(seen):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, heads, 5, 4, generator=generator) for heads in (4, 2, 2))
    u = torch.rand(2, 1, 5, 5, generator=generator)
    mask = {"bool": u < 0.8, "added": u}.get(seen)
    if seen == "bool":
        mask[..., 0] = True
    plain = attention(q.requires_grad_(), k, v, mask, causal=seen == "causal")
    with torch.no_grad():
        assert torch.allclose(plain, attention(q, k, v, mask, causal=seen == "causal"), atol=1e-6)


def test_dropout_drops_its_share_by_its_seed():
    drop = Dropout(0.3).train()
    h = torch.ones(101, 99)
    first = drop(h)
    assert abs(float((first == 0).float().mean()) - 0.3) < 0.02 and torch.allclose(first[first > 0], torch.tensor(1 / 0.7))
    assert not torch.equal(first, drop(h))
    drop.calls = 0
    assert torch.equal(first, drop(h)) and torch.equal(Dropout(0.3).eval()(h), h)
