"""Readers of sets: their items in no order, laid over a grid by their edges, and a map of a grid from tokens alone."""

from functools import partial

import pytest
import torch
from test_laws import rows_of

from given.codecs import IdentityCodec, Set
from given.families import Regression
from given.nn import Context, Items, Painted, UNetMap
from given.nn.context import Condition
from given.variables import Axis, Entries, Finite, Observed, UserError, Variable, reordered

CODEC = Set(["what", "left", "top", "right", "bottom"], ranges=(0, 8), bins=8, most=3)
LEFT, RIGHT = ["cat", 0.5, 0.5, 3.5, 3.5], ["dog", 4.5, 0.5, 7.5, 3.5]  # of the upper half of a grid of 8 x 8
CODEC.learn(rows_of([LEFT, RIGHT]))
BOXES = Variable("boxes", CODEC)
X = CODEC.encode(rows_of([LEFT, RIGHT], [], [LEFT], [RIGHT]))
GRID = Finite(3, axes=(Axis("height", 8), Axis("width", 8)))


def stirred(module):
    """Weights away from where they begin."""
    generator = torch.Generator().manual_seed(0)
    for p in module.parameters():
        p.data += 0.2 * torch.randn(p.shape, generator=generator)
    return module.eval()


def padded(x):
    """The same sets, with other symbols where there is nothing."""
    return x.of(torch.where(x.valid, x.tensor, 5))


def turned(x):
    return reordered(x, torch.tensor([1, 0, 2]).expand(len(x), -1), CODEC.space)


def check_cells(read):
    """Neither the order of items nor padding moves what is read; unseen sets are alike, and none that is seen."""
    with torch.no_grad():
        found, hidden = read(X), read(X.hide())
        assert torch.allclose(found[:1], read(turned(X.rows(slice(0, 1)))), atol=1e-5), "the order of items moves what is read"
        assert torch.equal(found, read(padded(X))), "padding moves what is read"
    assert torch.equal(hidden, hidden[:1].expand_as(hidden)), "what is hidden moves what is read"
    every = torch.cat([found, hidden[:1]]).flatten(1)
    assert torch.cdist(every, every).add(torch.eye(len(every))).min() > 1e-2, "sets that differ are read alike"


def check_gradients(module, loss):
    loss.backward()
    assert not [name for name, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def check_items(**options):
    torch.manual_seed(0)
    context = stirred(Context([BOXES], 8, grid=GRID, readers={"boxes": Items(**options)}))

    def tokens(x):
        return context.condition(Observed({"boxes": x}))

    check_cells(lambda x: (tokens(x).tokens * tokens(x).there[..., None]).sum(1))
    assert tokens(X).there.sum(1).tolist() == [3, 1, 2, 2] and tokens(X.hide()).there.sum(1).tolist() == [1] * 4
    three = CODEC.encode(rows_of([LEFT, RIGHT, ["cat", 1.5, 2.5, 5.5, 6.5]], [LEFT]))
    c = context.condition(Observed({"boxes": three.hide(torch.arange(2) == 1)}))
    part = context.parts["0"]
    check_gradients(part, (c.tokens * c.there[..., None] * torch.randn(c.tokens.shape)).sum())


def check_compared():
    check_items(compared=True)


def test_items_are_tokens_in_no_order():
    check_items()


def test_items_are_compared_in_no_order():
    check_compared()


def check_painted():
    torch.manual_seed(0)
    part = stirred(Painted((4, 4), ((2, 4), (1, 3))).build(CODEC.space, 8, "aligned"))
    check_cells(lambda x: part(x).vectors)
    with torch.no_grad():
        both, none, left, right = part(X).vectors
        covered = (right - none).abs().amax(-1) > 1e-3
        assert covered.int().tolist() == [[0, 0, 1, 1]] * 2 + [[0] * 4] * 2, "an item lies elsewhere than its edges"
        assert torch.allclose(both - none, left + right - 2 * none, atol=1e-5), "what covers a cell is not summed"
    found = part(X.hide(torch.arange(4) == 3)).vectors
    check_gradients(part, (found * torch.randn(found.shape)).sum())


def test_items_are_laid_over_what_is_between_their_edges():
    check_painted()


def test_a_map_of_tokens_alone():
    """Where nothing of y lies at x's entries, places attend to what there is, each by itself."""
    torch.manual_seed(0)
    net = stirred(UNetMap(GRID, 8, 2, {"tokens"}, width=4, factors=(1, 2)))
    tokens, there = torch.randn(2, 3, 8), torch.tensor([[True, True, False]] * 2)
    y = Condition(torch.zeros(2, 8), tokens=tokens, there=there)
    found = net(y)
    assert found.shape == (2, 8, 8, 2) and (found[0] - found[1]).abs().min() > 0 and found[0].flatten(0, 1).std(0).min() > 1e-3
    absent = Condition(y.pooled, tokens=torch.where(there[..., None], tokens, 9.0), there=there)
    assert torch.allclose(found, net(absent), atol=1e-6), "a token that is not there is read"
    pooled = Condition(torch.ones(2, 8), tokens=tokens, there=there)
    assert not torch.allclose(found, net(pooled), atol=1e-3)
    check_gradients(net, (net(pooled) * torch.randn(found.shape)).sum())
    with pytest.raises(UserError, match=r"^UNetMap: no parent has a vector at the entries of .*, or tokens; use Convolut"):
        UNetMap(GRID, 8, 2)


@pytest.mark.parametrize("reader", [Items(), Painted((4, 4), role="aligned")], ids=["tokens", "aligned"])
def test_a_map_is_learned_of_sets(reader):
    net = partial(UNetMap, width=4, factors=(1, 2))
    conditional = stirred(Regression(Variable("map", IdentityCodec(GRID)), BOXES, net=net, readers={"boxes": reader}))
    x, y = Entries(torch.randint(3, (4, 8, 8))), Observed({"boxes": X.hide(torch.arange(4) == 3)})
    with torch.no_grad():
        assert torch.allclose(conditional(y).log_prob(x)[:1], conditional(y.rows(torch.tensor([0]))).log_prob(
            x.rows(torch.tensor([0]))), atol=1e-4)
    check_gradients(conditional, conditional.loss(x, y).mean())


def test_what_does_not_fit_is_refused():
    with pytest.raises(UserError, match=r"^Painted: cells=\(4,\), edges=.*; expected cells from 1, and two"):
        Painted((4,))
    assert not Painted().fits(GRID) and not Items().fits(GRID) and not Painted(edges=((2, 5), (1, 3))).fits(CODEC.space)
