"""Masked autoregression without codes: patches drawn from flows, guided, completed, and learned in few steps."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import given
from given import part
from given.codecs import IdentityCodec, Label
from given.distributions import FlowHead, Guidance, Intractable
from given.families import MAR, Autoregressive, Dequantised
from given.nn import AdaptiveMLP, Blocks, Condition, MaskedTransformer, RandomGroups
from given.solve import Ancestral, Euler, Heun
from given.testing import prepared
from given.variables import Axis, Entries, Observed, Real, UserError, Variable

MASKED = partial(MaskedTransformer, width=16, layers=1, heads=2, dropout=0.0)
HEAD = partial(FlowHead, net=partial(AdaptiveMLP, layers=1), solver=Heun(2))
SQUARE = Variable("x", IdentityCodec(Real(axes=(Axis("height", 4), Axis("width", 4)))))
LABEL = Variable("label", Label([0, 1, 2]))


def small(**options):
    return prepared(MAR(SQUARE, LABEL, **{"net": MASKED, "head": HEAD, "groups": 3, **options}))


def labels(*values):
    return Observed({"label": Entries(torch.tensor(values))}, len(values))


# What is learned


def check_layers_are_open():
    """Where nothing is scaled, shifted or gated a layer is a plain residual one: a gate that starts closed took three times the
    steps."""
    torch.manual_seed(0)
    field = AdaptiveMLP(Real(axes=(Axis("block", 3),)), 1, 8)
    h, e = torch.randn(2, 5, 8)
    for layer in field.layers:
        torch.nn.init.zeros_(layer.adapt.weight)
        torch.nn.init.zeros_(layer.adapt.bias)
        read = torch.nn.functional.layer_norm(h, (8,))
        assert torch.allclose(layer(h, e), h + layer.down(torch.nn.functional.silu(layer.up(read))), atol=1e-6)


def test_layers_are_open():
    check_layers_are_open()


def check_as_drawn():
    """What is known while learning is what a draw knows before one of its groups, or as many blocks as that."""
    c = small()
    chain = c.inner._blocks(c.inner.context.condition(labels(*[0] * 400)))
    seen = torch.ones(400, 16, dtype=torch.bool)
    known, weight = chain._as_drawn(seen, given.distributions.Noise.of(0, 400))
    of_a_draw = torch.stack([chain.step < k for k in range(len(chain.groups))])
    own = (known[:, None] == of_a_draw).all(-1).any(1)
    assert 0.5 < float(own.double().mean()) < 0.85  # nothing known is one of both
    assert set(known.sum(1).tolist()) == set(of_a_draw.sum(1).tolist())
    assert torch.equal(weight > 0, ~known) and torch.allclose(weight.sum(1), torch.full((400,), 16.0).double())
    some, left = chain._some(weight, given.distributions.Noise.of(1, 400))
    assert not bool(known.gather(1, some)[left > 0].any()) and torch.allclose(left.sum(1), weight.sum(1))
    often = torch.zeros(400, 16).double().scatter_(1, some, left).mean(0)
    assert bool((often - weight.mean(0)).abs().max() < 0.4)  # every block as much as before


def test_what_is_known_is_as_drawn():
    check_as_drawn()


def check_dropped():
    """The field without y is learned from rows whose y is hidden, so many as are named."""
    torch.manual_seed(0)
    x, noise = Entries(torch.randn(200, 4, 4, dtype=torch.float64)), 3
    for drop, low, high in ((0.3, 0.2, 0.4), (0.0, 0, 0)):
        c = small(drop=drop).eval()
        with torch.no_grad():
            moved = c.loss(x, labels(*[0] * 200), seed=noise) != c.loss(x, labels(*[1] * 200), seed=noise)
        assert low <= 1 - float(moved.double().mean()) <= high


def test_y_is_dropped():
    check_dropped()


def test_digits_in_a_few_steps():
    """Draws are taken for digits of their class, more so where they are guided, and no two are alike; a half that is known
    stays."""
    digits = load_digits()
    images, label = digits.images.astype(np.uint8), digits.target
    family = partial(Dequantised, family=partial(
        MAR, net=partial(MaskedTransformer, width=64, layers=2, heads=4, dropout=0.0), patch=4, groups=4,
        head=partial(FlowHead, times=2, solver=Heun(8))))
    data = given.read(image=images, label=label)
    model = given.model("p(image | label)", data, families={"image": family}, seed=0)
    model.fit(data, held_out=0, steps=120, batch=128, lr=1e-2, muon=True, patience=None, progress=False, seed=0)
    judge = KNeighborsClassifier(3).fit(images.reshape(-1, 64), label)
    asked = np.repeat(np.arange(10), 10)
    for options, least in (({}, 0.65), ({"how": Guidance(2) | Heun(4)}, 0.85)):
        drawn = np.asarray(model.given(label=asked).sample(1, seed=0, **options)["image"]).reshape(100, 64)
        assert judge.score(drawn, asked) > least and len(np.unique(drawn, axis=0)) == 100
    top = np.arange(64).reshape(8, 8) < 32
    asked_for = model.given(label=label[:6], image=part(images[:6], seen=top))
    filled = np.asarray(asked_for.sample(1, seed=0)["image"]).reshape(6, 8, 8)
    assert (filled[:, :4] == images[:6, :4]).all() and not (filled[:, 4:] == images[:6, 4:]).all()


# Guidance and solvers


def check_guidance_by_hand():
    """A guided draw follows, patch by patch, the field without y and so many times what y adds to it."""
    c = small(head=partial(HEAD, solver=Euler(2)), groups=1).inner.eval()
    with torch.no_grad():
        guided = c(labels(0, 2)).guided(3.0)
        u = torch.rand(2, 16, dtype=torch.float64)
        found = guided.next(guided.start()).pick(u)
        known, values = torch.zeros(2, 16, dtype=torch.bool), torch.zeros(2, 16, dtype=torch.float64)
        hidden = Observed({"label": labels(0, 2)["label"].hide()}, 2)
        of_y, of_none = (guided._features(values, known, c.context.condition(y))[:, guided.groups[0]].flatten(0, 1)
                         for y in (labels(0, 2), hidden))
        x = torch.special.ndtri(u).float().reshape(32, 1)
        for t in (0.0, 0.5):
            at = torch.full((32,), t)
            given_y, without = (c.head.field(x[..., None], at, Condition(f)) for f in (of_y, of_none))
            pace = 2.0 * (1 - t)
            x = x + 0.5 * pace * (without + 3 * (given_y - without))
    assert torch.allclose(found.flatten(), x.double().flatten(), atol=1e-4)
    assert guided.kind == "estimate"


def test_guidance_by_hand():
    check_guidance_by_hand()


def test_another_solver():
    c = small().eval()
    with torch.no_grad():
        law = c(labels(0, 1, 2))
        assert not torch.equal(law.sample(seed=0).tensor, law.by(Heun(4)).sample(seed=0).tensor)
        x, seen = torch.randn(3, 4, 4, dtype=torch.float64), torch.zeros(3, 4, 4, dtype=torch.bool)
        seen[0, :2], seen[1, :, 0] = True, True
        some = law.condition(Entries(x, seen)).by(Guidance(2) | Heun(2))
        assert torch.equal(some.sample(seed=0).tensor[seen], x[seen])
    with pytest.raises(UserError, match=r"Ancestral.* blocks are drawn by an equation; use Heun\(16\)"):
        law.by(Ancestral(4))


@pytest.mark.parametrize("family", [
    partial(MAR, SQUARE), partial(MAR, SQUARE, LABEL, drop=0.0),
    partial(Autoregressive, SQUARE, LABEL, order=Blocks(1, RandomGroups(3)), drop=0.1)])
def test_guidance_is_of_a_field_without_y(family):
    c = prepared(family(net=MASKED))
    with pytest.raises(UserError, match=r"Guidance\(weight=2\) concerns nothing that is drawn") as raised:
        c(Observed(n=1) if not c.parents else labels(0)).by(Guidance(2))
    assert "\n" not in str(raised.value)


# A family by name


@pytest.mark.parametrize(("shape", "blocks"), [((8, 8), 16), ((28, 28), 16), ((32, 32), 16), ((6,), 6), ((7, 5), 35)])
def test_a_patch_nobody_chose(shape, blocks):
    x = Variable("x", IdentityCodec(Real(axes=tuple(Axis(f"a{i}", n) for i, n in enumerate(shape)))))
    assert len(MAR(x, net=MASKED).inner.embed.blocks) == blocks


def test_a_model_is_saved(tmp_path):
    images = np.random.default_rng(0).integers(0, 5, (30, 4, 4)).astype(np.uint8)
    data = {"image": images, "label": np.arange(30) % 3}
    family = partial(Dequantised, family=partial(MAR, net=MASKED, head=HEAD, groups=3))
    model = given.model("p(image | label)", data, families={"image": family})
    model.fit(data, steps=2, held_out=0, progress=False)
    model.save(tmp_path / "m.given")
    again = given.load(tmp_path / "m.given")
    first, second = (m.given(label=[0, 1]).sample(2, seed=0, how=Guidance(2))["image"] for m in (model, again))
    assert np.array_equal(first, second)
    assert model.score(data).kind == "estimate"


@pytest.mark.parametrize(("make", "says"), [
    (lambda: MAR(LABEL), "MAR: expected real numbers"),
    (lambda: MAR(Variable("x", IdentityCodec(Real()))), "MAR: x: expected a grid of reals"),
    (lambda: MAR(SQUARE, patch=3), "Blocks: size=3 does not divide"),
    (lambda: MAR(SQUARE, LABEL, drop=1.0), "Autoregressive: drop=1.0; expected a share"),
    (lambda: Autoregressive(SQUARE, LABEL, drop=0.1), "drop=0.1 .* net=MaskedTransformer"),
    (lambda: MAR(SQUARE, head=partial(FlowHead, times=0)), "FlowHead: times=0; expected a whole number from 1"),
])
def test_bad_input(make, says):
    with pytest.raises(UserError, match=says) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_a_patch_known_in_part():
    law = small(patch=2)(labels(0))
    seen = torch.zeros(1, 4, 4, dtype=torch.bool)
    seen[0, 0] = True
    with pytest.raises(Intractable, match="a block of 4 entries that are drawn together is known in part"):
        law.condition(Entries(torch.zeros(1, 4, 4, dtype=torch.float64), seen))
