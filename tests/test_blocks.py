"""Orders of blocks, masked nets and heads of blocks: what is drawn together is joint, and what is asked for is never read."""

from functools import partial

import numpy as np
import pytest
import torch

import given
from given.codecs import IdentityCodec
from given.distributions import (
    FlowHead,
    IndependentHead,
    Intractable,
    NormalHead,
    SideBySide,
    TableHead,
)
from given.families import Autoregressive
from given.nn import (
    MLP,
    AnyOrder,
    BlockEmbedding,
    Blocks,
    MaskedTransformer,
    RandomGroups,
    Raster,
    Reverse,
    Transformer,
    Wavefront,
)
from given.solve import Ancestral, Heun
from given.testing import prepared
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

MASKED = partial(MaskedTransformer, width=16, layers=1, heads=2, dropout=0.0)
SQUARE = Real(axes=(Axis("height", 4), Axis("width", 4)))
BITS = Finite(2, axes=(Axis("height", 2), Axis("width", 2)))
ENTRIES = Axis("block", 3)


def variable(space):
    return Variable("x", IdentityCodec(space))


# Orders


def test_a_block_is_a_patch():
    blocks = Blocks(2).blocks(SQUARE)
    assert blocks.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    colour = Real(axes=(Axis("height", 2), Axis("width", 2), Axis("channel", 3, role="channel")))
    assert Blocks((1, 2)).blocks(colour).tolist() == [list(range(6)), list(range(6, 12))]
    for space, size in ((Real(axes=(Axis("time", 6),)), 3), (Real(axes=tuple(Axis(a, 4) for a in "abc")), (1, 2, 4))):
        every = Blocks(size).blocks(space)
        assert sorted(every.flatten().tolist()) == list(range(space.dimensions))


@pytest.mark.parametrize("inner", [Raster(), Reverse(), Wavefront(), AnyOrder(), RandomGroups(3)])
def test_any_order_of_patches(inner):
    order = Blocks(2, inner)
    steps = order.steps(SQUARE)
    assert torch.equal(steps.unique(), torch.arange(int(steps.max()) + 1))
    assert bool((steps[order.blocks(SQUARE)] == steps[order.blocks(SQUARE)][:, :1]).all())
    assert order.learns_all == inner.learns_all


def test_what_is_known_comes_first():
    seen = torch.zeros(16, dtype=torch.bool)
    seen[Blocks(2).blocks(SQUARE)[[1, 3]].flatten()] = True
    for inner in (AnyOrder(), RandomGroups(2)):
        steps = Blocks(2, inner).steps(SQUARE, seen)
        assert bool((steps[seen] == 0).all()) and bool((steps[~seen] > 0).all())
    assert torch.equal(Blocks(2).steps(SQUARE, seen), Blocks(2).steps(SQUARE))


def test_groups_grow_along_a_cosine():
    steps = RandomGroups(8).steps(Real(axes=(Axis("entry", 256),)))
    sizes = steps.bincount()
    k = torch.arange(1, 9)
    assert len(sizes) == 8 and bool((sizes.diff() > 0).all())
    assert bool(((sizes.cumsum(0) - 256 * (1 - (torch.pi * k / 16).cos())).abs() <= 1).all())


# Heads


def check_joint_head():
    """A head of blocks is the density that its covariance says."""
    torch.manual_seed(0)
    head = NormalHead(Real(axes=(ENTRIES,)), 8)
    torch.nn.init.normal_(head.parameters_of.weight)
    with torch.no_grad():
        law = head(torch.randn(5, 2, 8))
    x = torch.randn(5, 6, dtype=torch.float64)
    inner = torch.distributions.MultivariateNormal(law.inner.mean_BD, law.inner.covariance)
    assert torch.allclose(law.log_prob(Entries(x)), inner.log_prob(x.reshape(10, 3)).reshape(5, 2).sum(1))
    assert float((inner.covariance_matrix - torch.diag_embed(inner.variance)).abs().amax()) > 0.1
    drawn = law.sample((4000,)).tensor.reshape(4000, 10, 3)
    z = (drawn - inner.mean) / inner.variance.sqrt()
    want = inner.covariance_matrix / (inner.variance.sqrt()[:, :, None] * inner.variance.sqrt()[:, None])
    assert bool(((torch.einsum("nbi,nbj->bij", z, z) / 4000 - want).abs() < 0.12).all())


def test_a_joint_head():
    check_joint_head()


def check_joint_symbols():
    """Two symbols that are always alike, and even otherwise, are learned by a block whose head is joint."""
    c = fit_pairs(TableHead)
    law = c(Observed(n=1))
    every = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    p = law.log_prob(Entries(every[:, None])).detach().exp().flatten()
    assert float(p[0] + p[3]) > 0.9 and float(p.sum()) == pytest.approx(1, abs=1e-5)
    drawn = law.sample((500,)).tensor
    assert float((drawn[..., 0] == drawn[..., 1]).double().mean()) > 0.85


def fit_pairs(head):
    torch.manual_seed(0)
    space = Finite(2, axes=(Axis("entry", 2),))
    c = Autoregressive(variable(space), net=MASKED, order=Blocks(2), head=head)
    x = Entries(torch.tensor([[0, 0], [1, 1]]).repeat(8, 1))
    descend(c, x, 60, 3e-2)
    return c


def descend(c, x, steps, rate):
    optimiser = torch.optim.Adam(c.parameters(), lr=rate)
    for step in range(steps):
        optimiser.zero_grad()
        c.loss(x, Observed(n=len(x)), seed=step).mean().backward()
        optimiser.step()
    c.eval()


def test_a_block_of_symbols_is_joint():
    check_joint_symbols()
    apart = fit_pairs(IndependentHead)(Observed(n=1))
    assert float(apart.log_prob(Entries(torch.tensor([[[0, 1]]]))).detach().exp()) > 0.2  # what independence cannot tell


# Masked nets


def check_target_is_hidden():
    """No block's features move with the values of blocks that are not known."""
    torch.manual_seed(0)
    blocks = Blocks(2).blocks(SQUARE)
    embed = BlockEmbedding(SQUARE, 16, blocks=blocks)
    known = torch.tensor([[True, False, True, False]])
    values = torch.randn(1, 16, dtype=torch.float64)
    moved = values.clone()
    moved[:, blocks[1]] += 5
    assert torch.equal(embed(values, known), embed(moved, known))
    moved[:, blocks[0]] += 5
    assert not torch.equal(embed(values, known), embed(moved, known))


def test_the_target_is_hidden():
    check_target_is_hidden()


def check_loss_is_the_chain():
    """What descends is, on average over what is known, -log p of the chain in an order at random."""
    c = prepared(Autoregressive(variable(BITS), net=MASKED, order=Blocks((2, 1), AnyOrder()), head=TableHead))
    with torch.no_grad():
        x = Entries(torch.tensor([[[0, 1], [1, 1]]]))
        many = Entries(x.tensor.expand(4000, 2, 2))
        found = c.loss(many, Observed(n=4000))
        one = c(Observed(n=1))
        left = Entries(x.tensor, torch.tensor([[[True, False], [True, False]]]))
        right = Entries(x.tensor, torch.tensor([[[False, True], [False, True]]]))
        want = [one.log_prob(left) + one.condition(left).log_prob(x), one.log_prob(right) + one.condition(right).log_prob(x)]
    assert abs(float(found.mean()) + float(torch.stack(want).mean())) < 4 * float(found.std()) / 4000 ** 0.5


def test_the_loss_is_the_chain():
    check_loss_is_the_chain()


def test_missing_patches_are_completed():
    c = prepared(Autoregressive(variable(SQUARE), net=MASKED, order=Blocks(2, RandomGroups(2)), head=NormalHead))
    law, x = c(Observed(n=3)), torch.randn(3, 4, 4, dtype=torch.float64)
    seen = torch.zeros(3, 16, dtype=torch.bool)
    for row, some in enumerate(([0], [1, 2], [0, 1, 2, 3])):
        seen[row, Blocks(2).blocks(SQUARE)[some].flatten()] = True
    seen = seen.reshape(3, 4, 4)
    given_some = law.condition(Entries(x, seen))
    drawn = given_some.sample((2,), seed=1).tensor
    assert torch.equal(drawn[:, seen], x[seen].expand(2, -1)) and not bool((drawn == x)[:, ~seen].any())
    with torch.no_grad():
        assert given_some.kind == "estimate" and float(given_some.log_prob(Entries(x))[2]) == 0
    seen[0, 0, 0] = False
    with pytest.raises(Intractable, match="a block of 4 entries that are drawn together is known in part"):
        law.condition(Entries(x, seen))


def test_blocks_are_coded():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2, (40, 4, 4)).astype(np.uint8)
    images[:, :, 1::2] = images[:, :, ::2]
    family = partial(Autoregressive, net=MASKED, order=Blocks((1, 2), RandomGroups(3)), head=TableHead)
    model = given.model("p(image)", {"image": images}, families={"image": family})
    model.fit({"image": images}, steps=40, held_out=0, progress=False)
    code = model.compress({"image": images[:10]})
    assert np.array_equal(model.decompress(code.content)["image"], images[:10]) and code.bits < 10 * 16


# Bad input


@pytest.mark.parametrize(("space", "options", "says"), [
    (SQUARE, {"order": Blocks(3), "net": MASKED}, "Blocks: size=3 does not divide .* a divisor of 4 x 4"),
    (SQUARE, {"order": Blocks((2, 2, 2)), "net": MASKED}, r"size=\(2, 2, 2\) does not divide"),
    (SQUARE, {"order": Blocks(2)}, "order=Blocks.* is of blocks, and the net reads single .*net=Masked"),
    (SQUARE, {"order": RandomGroups(4), "net": partial(Transformer, width=16)}, "pass net=MaskedTransformer"),
    (SQUARE, {"head": NormalHead}, "head=NormalHead is of blocks"),
    (SQUARE, {"order": AnyOrder(average=2), "net": MASKED}, "average=2 orders with a masked net; leave average out"),
    (SQUARE, {"order": Blocks(2), "net": MASKED, "head": TableHead}, "TableHead: expected a block of symbols"),
    (BITS, {"order": Blocks(2), "net": MASKED, "head": NormalHead}, "NormalHead: expected a real space"),
    (BITS, {"order": Blocks(2), "net": MASKED, "head": FlowHead}, "FlowHead: expected a real space .*Dequantised"),
    (Finite(9, axes=(Axis("entry", 8),)), {"order": Blocks(4), "net": MASKED, "head": TableHead}, "at most 4096 values"),
    (SQUARE, {"order": Blocks(2), "net": MASKED, "head": partial(FlowHead, solver=Ancestral(4))}, "a solver without noise"),
    (SQUARE, {"order": Blocks(2), "net": partial(MaskedTransformer, window=2)}, "MaskedTransformer: window"),
    (Finite(4, end=3, axes=(Axis("time", 4, "modelled"),)), {"net": MASKED}, "a masked net serves one grid of a fixed size"),
])
def test_bad_input(space, options, says):
    with pytest.raises(UserError, match=says) as raised:
        Autoregressive(variable(space), **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("make", [lambda: Blocks(0), lambda: Blocks((2, True)), lambda: RandomGroups(0)])
def test_sizes_are_whole_numbers(make):
    with pytest.raises(UserError, match="expected"):
        make()


def test_a_flow_head_draws_by_its_numbers():
    torch.manual_seed(0)
    law = FlowHead(Real(axes=(ENTRIES,)), 8, net=partial(MLP, hidden=(8,)), solver=Heun(8))(torch.randn(2, 2, 8))
    assert isinstance(law, SideBySide) and law.kind == "estimate"
    u = torch.rand(5, 2, 6, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(law.pick(u)[3], law.pick(u[3]), atol=1e-5)


def test_flows_learn_what_goes_together():
    """Within a block by its head, and from block to block by the net: entries that share a cause go together in draws."""
    torch.manual_seed(0)
    c = Autoregressive(variable(Real(axes=(Axis("entry", 4),))), net=MASKED, order=Blocks(2, RandomGroups(2)),
                       head=partial(FlowHead, net=partial(MLP, hidden=(32,)), solver=Heun(8)))
    x = 0.5 * (torch.randn(128, 1) + 0.3 * torch.randn(128, 4)).double()
    descend(c, Entries(x), 100, 1e-2)
    drawn = c(Observed(n=1)).sample((1000,)).tensor[:, 0]
    assert float(torch.corrcoef(drawn.T).min()) > 0.6
