"""Readers of conditions: what each makes of a parent, its null, its masks, its size; and whether a condition is used."""

import functools
import math
from functools import partial

import numpy as np
import pytest
import torch

import given
import given.verbs.shuffling
from given.codecs import IdentityCodec
from given.families import (
    GAN,
    VAE,
    Autoregressive,
    Categorical,
    Contrastive,
    Diffusion,
    FlowMatching,
    Independent,
    Regression,
    SplineFlow,
)
from given.joint import Joint
from given.nn import (
    Context,
    Convolutions,
    Encoder,
    Flat,
    GatedPixelCNN,
    Numbers,
    Patches,
    PatchTransformer,
    Places,
    Symbols,
    Tokens,
    UNet,
    Windows,
)
from given.nn.context import Condition
from given.nn.readers.reader import spread
from given.nn.unet import Attend
from given.train import load_joint, save_joint
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable


def variable(name, space):
    return Variable(name, IdentityCodec(space))


def picture(name, side, *channels, levels=256):
    axes = Axis("height", side), Axis("width", side), *(Axis("channel", n, role="channel") for n in channels)
    return variable(name, Finite(levels, ordered=True, axes=axes))


LONG = variable("text", Finite(4001, end=4000, axes=(Axis("", 81, "modelled"),)))
COLOUR = picture("image", 32, 3)
LABEL = variable("label", Finite(10))
PLANE = variable("plane", Real(axes=(Axis("row", 8), Axis("column", 8))))
MAP = variable("map", Real(axes=(Axis("height", 8), Axis("width", 8))))
SERIES = variable("series", Real(axes=(Axis("time", 6, "given", role="time"), Axis("channel", 2, role="channel"))))
TEXT = variable("text", Finite(5, end=4, axes=(Axis("", 6, "modelled"),)))
SMALL = picture("picture", 4, levels=4)


class Sums(torch.nn.Module):
    """A network of one's own: sums, and how much is seen."""

    def __init__(self, tokens=0, blind=False):
        super().__init__()
        self.tokens, self.blind, self.scale = tokens, blind, torch.nn.Parameter(torch.ones(2))

    def forward(self, values, mask):
        mask = torch.ones_like(mask) if self.blind else mask
        sums = torch.stack([values.flatten(1).float().sum(1), mask.flatten(1).float().sum(1)], -1) * self.scale
        return sums[:, None].expand(-1, self.tokens, -1) if self.tokens else sums


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("build", [
    lambda p: VAE(LABEL, p), lambda p: Regression(LABEL, p), lambda p: SplineFlow(variable("x", Real()), p),
    lambda p: FlowMatching(variable("x", Real()), p), lambda p: Diffusion(PLANE, p, net=UNet), lambda p: Categorical(LABEL, p),
    lambda p: Autoregressive(LABEL, p), lambda p: GAN(variable("x", Real()), p)],
    ids=["VAE", "Regression", "SplineFlow", "FlowMatching", "Diffusion", "Categorical", "Autoregressive", "GAN"])
@pytest.mark.parametrize("parent", [LONG, COLOUR], ids=["text", "picture"])
def test_a_large_parent_takes_few_weights(build, parent):
    assert parameters(build(parent)) < 1_000_000


def test_gaussians_of_texts_are_refused():
    with pytest.raises(UserError, match="too many to count apart"):
        given.families.Gaussian(variable("x", Real()), LONG)


@pytest.mark.parametrize("x", [LABEL, PLANE])
def test_a_picture_is_few_tokens(x):
    context = Context([COLOUR], 8, grid=x.space)
    tokens = context.condition(Observed({"image": Entries(torch.randint(256, (2, 32, 32, 3)))})).tokens
    assert tokens is not None and tokens.shape == (2, 64, 8)


READERS = {
    "a symbol": (LABEL, Symbols()),
    "a number": (variable("number", Real(atoms=(0.5,))), Numbers()),
    "levels end to end": (SMALL, Flat()),
    "numbers by waves": (SERIES, Numbers(frequencies=(1.0,))),
    "a text": (TEXT, Tokens()),
    "patches": (SMALL, Patches(3)),
    "patches of a volume": (variable("v", Real(axes=tuple(Axis(a, 3) for a in "abc"))), Patches((2, 3, 1), layers=0)),
    "windows": (SERIES, Windows(3, 2)),
    "windows of a text": (TEXT, Windows(2)),
    "convolutions": (SMALL, Convolutions(halve=1)),
    "convolutions of a series": (SERIES, Convolutions(layers=2)),
    "places": (SMALL, Places()),
    "a network of one's own": (TEXT, Encoder(Sums, 2)),
    "a network that reads no mask": (TEXT, Encoder(partial(Sums, blind=True), 2)),
    "numbers end to end": (SERIES, Flat()),
    "tokens of one's own": (SERIES, Encoder(partial(Sums, tokens=3), 2, tokens=3, frozen=False)),
}
BEYOND = [(case, role) for case in READERS for role in ("pooled", "aligned", "tokens")
          if role != "aligned" or READERS[case][0] in (SMALL,) or READERS[case][0].space.axes == ()]


def values_of(v, n, seed):
    generator = torch.Generator().manual_seed(seed)
    if isinstance(v.space, Finite):
        top = v.space.size - (v.space.end is not None)
        return torch.randint(top, (n, *v.space.shape), generator=generator)
    return torch.randn(n, *v.space.shape, generator=generator).double()


def built(case, role):
    v, reader = READERS[case]
    torch.manual_seed(0)
    reader = type(reader)(**{**reader.__dict__, "role": role})
    context = Context([v], 8, grid=MAP.space, readers={v.name: reader}).eval()
    for p in context.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return v, context


def read(context, v, entries):
    c = context.condition(Observed({v.name: entries}))
    tokens = torch.zeros(len(entries), 1) if c.tokens is None else (c.tokens * c.there[..., None]).sum(1)
    return torch.cat([c.pooled, tokens, torch.zeros(len(entries), 1) if c.aligned is None else c.aligned.flatten(1)], 1)


def check_nulls(case="patches", role="tokens"):
    """A hidden value moves nothing and is like no seen one; in part hidden it is read as such; the mask is part of it."""
    v, context = built(case, role)
    n = 6
    one, other = values_of(v, n, 1), values_of(v, n, 2)
    seen = read(context, v, Entries(one))
    assert not torch.allclose(seen, read(context, v, Entries(other)), atol=1e-4), "the value is not read"
    null = read(context, v, Entries(one).hide())
    assert torch.equal(null, read(context, v, Entries(other).hide())), "a hidden value moves the output"
    assert torch.allclose(null, null[:1].expand_as(null)), "a null depends on the row"
    zero = read(context, v, Entries(torch.zeros_like(one)))
    for each in (seen, zero):
        assert (each - null).abs().amax(1).min() > 1e-3, "a seen value is read as the null"
    if v.space.axes:
        part = torch.arange(v.space.dimensions).reshape(v.space.shape) % 2 == 0
        mixed = torch.where(part, one, other)
        a, b = (read(context, v, Entries(t, part.expand(t.shape))) for t in (one, mixed))
        assert torch.allclose(a, b, atol=1e-6), "a hidden part moves the output"
        assert (a - seen).abs().amax(1).min() > 1e-4, "what is hidden in part is read as what is seen"


@pytest.mark.parametrize(("case", "role"), BEYOND)
def test_nulls(case, role):
    check_nulls(case, role)


def check_padding(case="patches", role="tokens"):
    v, context = built(case, role)
    one = values_of(v, 5, 1)
    keep = torch.arange(v.space.shape[0]).reshape(-1, *[1] * (len(v.space.shape) - 1)).expand(v.space.shape) < 3
    other = torch.where(keep, one, values_of(v, 5, 2))
    a, b = (read(context, v, Entries(t, valid=keep.expand(t.shape))) for t in (one, other))
    assert torch.allclose(a, b, atol=1e-6), "padding of a parent moves the output"


@pytest.mark.parametrize(("case", "role"), [pair for pair in BEYOND if READERS[pair[0]][0].space.axes])
def test_padding(case, role):
    check_padding(case, role)


def check_room(case="windows"):
    """Cells of nothing but padding are not attended to, whatever their place would add."""
    v, context = built(case, "tokens")
    values = values_of(v, 5, 1)
    valid = (torch.arange(6) < 3).reshape(-1, *[1] * (len(v.space.shape) - 1)).expand(values.shape)
    before = read(context, v, Entries(values, valid=valid))
    with torch.no_grad():
        context.parts["0"].places[0][2:] += 1.0
    assert torch.allclose(before, read(context, v, Entries(values, valid=valid)), atol=1e-6), "padding is attended to"


@pytest.mark.parametrize("case", ["windows", "windows of a text"])
def test_cells_of_padding_are_not_attended_to(case):
    check_room(case)


def check_length(case="a text"):
    v, context = built(case, "tokens")
    short = (torch.arange(6) < 3).reshape(-1, *[1] * (len(v.space.shape) - 1)).expand(v.space.shape)
    values = values_of(v, 5, 1)
    a, b = read(context, v, Entries(values).hide()), read(context, v, Entries(values, valid=short.expand(values.shape)).hide())
    assert torch.allclose(a, b, atol=1e-6), "the length of what is unseen moves the output"


@pytest.mark.parametrize("case", ["a text", "windows", "a network of one's own"])
def test_the_length_of_what_is_unseen_is_unseen(case):
    check_length(case)


@pytest.mark.parametrize(("case", "role"), BEYOND)
def test_a_gradient_reaches_every_weight(case, role):
    v, context = built(case, role)
    found = context.train().condition(Observed({v.name: Entries(values_of(v, 6, 1)).hide(torch.arange(6) == 0)}))
    weights = [t for t in (found.pooled, found.tokens, found.aligned) if t is not None]
    sum((t * torch.randn_like(t)).sum() for t in weights).backward()
    learned = {name: p.grad for name, p in context.named_parameters() if p.requires_grad}
    assert not [name for name, slope in learned.items() if slope is None or not slope.abs().sum() > 0]
    assert all(p.requires_grad for name, p in context.named_parameters() if ".net." not in name)


def check_spread():
    h = torch.arange(4.0).reshape(1, 2, 2, 1)
    up = spread(h, Real(axes=(Axis("height", 4), Axis("width", 2), Axis("channel", 2, role="channel"))))
    assert up.reshape(4, 2, 2).tolist() == [[[0, 0], [1, 1]]] * 2 + [[[2, 2], [3, 3]]] * 2
    down = spread(torch.arange(6.0).reshape(1, 6, 1), Real(axes=(Axis("time", 4),)))
    assert torch.allclose(down.flatten(), torch.tensor([1 / 3, 5 / 3, 10 / 3, 14 / 3]))


def test_a_map_at_another_resolution_is_laid_onto_the_grid():
    check_spread()
    assert Context([picture("low", 4)], 8, grid=MAP.space).roles == ["aligned"]
    assert Context([picture("low", 4)], 8, grid=PLANE.space).roles == ["tokens"]


@pytest.mark.parametrize(("build", "words"), [
    (lambda: Regression(LABEL, COLOUR, readers={"image": Windows(8)}),
     ("image: Windows reads grids of one axis", "use Patches(4)")),
    (lambda: Regression(LABEL, TEXT, readers={"text": Patches(4)}),
     ("text: Patches reads grids of two axes", "6 entries, each one of 5")),
    (lambda: Regression(LABEL, TEXT, readers={"text": Numbers()}), ("text: Numbers reads numbers", "use Flat()")),
    (lambda: Autoregressive(PLANE, COLOUR, readers={"image": Symbols()}),
     ("image: Symbols reads a single symbol", "use Patches(4)")),
    (lambda: VAE(COLOUR, LABEL, readers={"imgae": Patches(4)}), ("'imgae' is no parent", "did you mean 'image'?")),
    (lambda: Contrastive(LABEL, COLOUR, base=Independent, symmetric=True), ("symmetric=True; expected one parent",)),
    (lambda: Contrastive(LABEL, Variable("other", LABEL.codec), base=Independent, symmetric=True, readers={"other": Symbols()}),
     ("one net reads both",)),
    (lambda: Contrastive(LABEL, COLOUR, base=Independent, readers={"images": Patches(4)}), ("'images' is no parent",)),
    (lambda: Autoregressive(LABEL, readers={"text": Tokens()}), ("'text' is no parent; there are none",)),
    (lambda: Categorical(LABEL, COLOUR, readers={"image": 4}), ("image: expected a reader such as Patches(4), got 4",)),
    (lambda: Categorical(LABEL, COLOUR, readers={"image": Patches}), ("got the class Patches; write Patches()",)),
    (lambda: Categorical(LABEL, COLOUR, readers=Patches(4)), ("expected a mapping such as {'image': Patches(4)}",)),
    (lambda: Categorical(LABEL, COLOUR, readers={"image": Patches(4, role="tokens")}), ("role='tokens'", "such as UNet")),
    (lambda: FlowMatching(PLANE, TEXT, net=UNet, readers={"text": Tokens(role="aligned")}),
     ("1 axes of cells", "role='tokens'")),
    (lambda: Autoregressive(PLANE, COLOUR, net=GatedPixelCNN), ("GatedPixelCNN: does not read the tokens of y",)),
    (lambda: Patches(0), ("side=0",)),
    (lambda: Windows(2, 3), ("stride=3",)),
    (lambda: Tokens(role="vector"), ("role='vector'",)),
    (lambda: Tokens(layers=-1), ("layers=-1",)), (lambda: Numbers((0.0,)), ("numbers above 0",)),
    (lambda: Convolutions(layers=0), ("layers=0",)), (lambda: Encoder(3, 2), ("net=3",)),
    (lambda: Encoder(dict, 2).build(TEXT.space, 4, "pooled"), ("builds dict", "expected a torch.nn.Module")),
])
def test_a_reader_that_does_not_fit_is_one_line(build, words):
    with pytest.raises(UserError) as caught:
        build()
    message = str(caught.value)
    assert all(word in message for word in words) and "\n" not in message, message


def test_an_encoder_of_another_size_is_one_line():
    with pytest.raises(UserError, match=r"Encoder: Sums gave \(2, 2\); expected \(2, 3\)"):
        Context([TEXT], 8, readers={"text": Encoder(Sums, 3)})(Observed({"text": Entries(values_of(TEXT, 2, 1))}))


def test_tokens_are_summed_up_beside_themselves():
    one, two = (Observed({"text": Entries(values_of(TEXT, 4, seed))}) for seed in (1, 2))
    alone, summed = (Context([TEXT], 8, grid=MAP.space, sums_tokens=sums).eval() for sums in (False, True))
    with torch.no_grad():
        assert torch.equal(alone.condition(one).pooled, alone.condition(two).pooled)
        assert not torch.allclose(summed.condition(one).pooled, summed.condition(two).pooled)
        hidden = (summed.condition(Observed({"text": y["text"].hide()})).pooled for y in (one, two))
        assert torch.equal(*hidden)


def test_a_place_of_a_unet_knows_where_it_is():
    """Places that hold the same still ask each for its own token."""
    net = Attend(8, 4, 2, 9)
    tokens = Condition(torch.zeros(1, 4), tokens=torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0)),
                       there=torch.ones(1, 3, dtype=torch.bool))
    with torch.no_grad():
        net.out.weight.zero_()  # of what they take from one another
        found = net(torch.ones(1, 8, 3, 3), tokens)[0].flatten(1)
    assert torch.cdist(found.mT, found.mT).add(torch.eye(9)).min() > 1e-4


def test_nets_that_do_not_attend_read_pooled_pictures():
    Autoregressive(PLANE, COLOUR, net=GatedPixelCNN, readers={"image": Patches(8, role="pooled")})


def test_readers_are_saved_with_the_model(tmp_path):
    torch.manual_seed(0)
    readers = {"text": Encoder(partial(Sums, tokens=2), 2, tokens=2), "series": Windows(3, 2),
               "picture": Patches((2, 4), layers=2)}
    for i, family in enumerate((partial(Autoregressive, readers=readers),
                                partial(FlowMatching, net=PatchTransformer, context=partial(Context, readers=readers)))):
        joint = Joint(family(MAP, (TEXT, SERIES, SMALL)))
        save_joint(tmp_path / str(i), joint, {})
        with pytest.raises(UserError, match="the class Sums is not known"):
            load_joint(tmp_path / str(i))
        other, _ = load_joint(tmp_path / str(i), [Sums])
        y = Observed({v.name: Entries(values_of(v, 3, 1)) for v in (TEXT, SERIES, SMALL)})
        a, b = (next(iter(j.eval())).context.condition(y) for j in (joint, other))
        assert torch.equal(a.tokens, b.tokens) and a.tokens.shape[1] == 2 + 3 + 2


def test_numbers_read_waves_of_a_measured_value():
    """A sine of a period a standard deviation is learned."""
    x = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
    errors = []
    for readers in ({}, {"number": Flat()}):
        torch.manual_seed(0)
        context = Context([variable("number", Real())], 16, readers=readers)
        last = torch.nn.Linear(16, 1)
        optimiser = torch.optim.Adam([*context.parameters(), *last.parameters()], 1e-2)
        for _ in range(150):
            drawn = last(context(Observed({"number": Entries(x)})))[:, 0]
            off = (drawn - (2 * math.pi * x).sin().float()).square().mean()
            optimiser.zero_grad()
            off.backward()
            optimiser.step()
        errors.append(off.item())
    assert errors[0] < errors[1] / 2, errors


def test_a_vae_reads_x_and_its_parents_by_readers():
    vae = VAE(SMALL, TEXT, readers={"picture": Patches(2), "text": Tokens(layers=2)})
    read = {part: [type(p.part).__name__ for p in part.context.parts.values()] for part in (vae.likelihood, vae.posterior)}
    assert list(read.values()) == [["_Flat", "_Tokens"], ["_Cut", "_Tokens"]]
    y = Observed({"text": Entries(values_of(TEXT, 4, 1))})
    vae.loss(Entries(values_of(SMALL, 4, 1)), y).sum().backward()
    assert all(p.grad is not None for p in vae.parameters())


def rows_of(n, seed):
    rng = np.random.default_rng(seed)
    a, noise = rng.integers(0, 3, n), rng.integers(0, 3, n)
    return {"a": a.astype(str), "noise": noise.astype(str), "x": a + rng.normal(size=n) * 0.3}


@functools.cache
def learned_rows():
    data = rows_of(300, 0)
    model = given.model("p(x | a, noise)", data, families={"x": partial(given.families.Gaussian, pooled=1e-3)})
    model.fit(data, held_out=0)
    return model


@pytest.fixture
def learned():
    return learned_rows()


def check_reliance():
    """log p(x | a) minus log p(x | another row's a) is E (a - a')^2 / 2 s^2 of normals of means a and one variance s^2."""
    a, noise = given.verbs.shuffling.reliance(learned_rows(), rows_of(1000, 1))
    assert [(r.factor, r.parent) for r in (a, noise)] == [("p(x | a, noise)", "a"), ("p(x | a, noise)", "noise")]
    assert a.used and abs(a.value - (4 / 3) / (2 * 0.09)) < 5 * a.error + 0.5
    assert not noise.used and abs(noise.value) < 0.05 and "no use of noise is seen" in str(noise)


def test_a_shuffled_condition_costs_what_it_is_worth():
    check_reliance()


def test_no_row_keeps_its_own_condition(learned):
    one, two = given.reliance(learned, {"a": ["0", "2"], "noise": ["1", "1"], "x": [0.0, 2.0]})
    assert (one.items > 1).all() and (two.items == 0).all()
    with pytest.raises(UserError, match="at least 2 rows"):
        given.reliance(learned, {"a": ["0"], "noise": ["1"], "x": [0.0]})


def test_a_report_names_what_is_relied_on(learned):
    from given.app.report import report

    page = report(learned, given.read(rows_of(200, 2)))
    assert "What does it rely on?" in page and "no use is seen" in page
