"""CTC: the sum over alignments against enumeration and torch's own, what frames cannot hold, the most probable text."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import given
from given import families
from given.codecs import IdentityCodec, Number, Series, Text
from given.distributions import CTC
from given.nn import Convolutions, Windows
from given.testing.cases import ended
from given.variables import Axis, Entries, Finite, Observed, Real, UserError, Variable

torch.set_num_threads(1)
SPACE = Finite(3, end=1, axes=(Axis("", 4, "modelled"),))  # symbols 0 and 2, at most three of them


def frames(rows=2, length=4, seed=0):
    return 2 * torch.randn(rows, length, SPACE.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def collapsed(path):
    """The text of a path, at most three symbols of it."""
    return tuple(v for v, _ in itertools.groupby(path) if v != SPACE.end)[:3]


def every():
    return ended(SPACE, torch.tensor([*itertools.product(range(3), repeat=4)])).tensor.unique(dim=0)


def check_enumerated():
    """Every text has the sum of its paths, of rows with fewer frames too; what no path collapses to has nothing."""
    logits, length = frames(), torch.tensor([4, 2])
    law, texts = CTC(logits, length, SPACE), every()
    x = ended(SPACE, texts).map(lambda t: t[:, None].expand(-1, 2, -1))
    found = law.log_prob(x).exp()
    for row in range(2):
        p, hoped = logits[row].softmax(-1), dict.fromkeys((collapsed(t) for t in itertools.product(range(3), repeat=4)), 0.0)
        for path in itertools.product(range(3), repeat=int(length[row])):
            hoped[collapsed(path)] += float(torch.stack([p[t, v] for t, v in enumerate(path)]).prod())
        for text, share in zip(texts.tolist(), found[:, row].tolist(), strict=True):
            assert abs(share - hoped.get(tuple(text[:text.index(1)]), 0.0)) < 1e-12
    assert (found == 0).sum(0).tolist() == [2, 10]  # four frames hold no 0 0 0, and two neither 0 0 nor any three


def test_a_text_is_the_sum_of_its_paths():
    check_enumerated()


def test_it_is_the_loss_of_torch_and_so_are_its_slopes():
    logits = frames(3, 9).float().double().requires_grad_()
    x = torch.tensor([[0, 2, 1, 0], [1, 0, 0, 0], [2, 2, 1, 0]])
    ours = -CTC(logits, torch.tensor([9, 7, 5]), SPACE).log_prob(ended(SPACE, x))
    theirs = F.ctc_loss(logits.log_softmax(-1).transpose(0, 1), x[:, :2], torch.tensor([9, 7, 5]), torch.tensor([2, 0, 2]),
                        blank=1, reduction="none")
    assert torch.allclose(ours, theirs)
    slopes = [torch.autograd.grad(each.sum(), logits, retain_graph=True)[0] for each in (ours, theirs)]
    assert torch.allclose(*slopes, atol=1e-9)


def test_a_text_that_no_frames_hold_has_nothing_and_moves_nothing():
    logits = frames(1, 3).requires_grad_()
    law = CTC(logits, torch.tensor([3]), Finite(3, end=1, axes=(Axis("", 9, "modelled"),)))
    x = Entries(torch.tensor([[0, 0, 0, 1, 0, 0, 0, 0, 0]]), valid=torch.arange(9)[None] < 4)
    found = law.log_prob(x)
    assert found.tolist() == [-torch.inf]
    assert not bool(torch.autograd.grad(found.sum(), logits)[0].isnan().any())
    known = law.condition(Entries(x.tensor, torch.arange(9)[None] < 3))
    assert known.sample((4,), seed=0).tensor[:, 0, :3].tolist() == [[0, 0, 0]] * 4


def check_mode():
    """The text of the most paths, not that of the most probable path."""
    logits = torch.tensor([[[0.3, 0.4, 0.3 - 1e-3], [0.3, 0.4, 0.3 - 1e-3]]], dtype=torch.float64).log()
    law, texts = CTC(logits, torch.tensor([2]), SPACE), every()
    best = texts[law.log_prob(ended(SPACE, texts).map(lambda t: t[:, None]))[:, 0].argmax()]
    assert law.mode().tensor[0].tolist() == best.tolist() == [0, 1, 0, 0]
    assert collapsed(logits.argmax(-1)[0].tolist()) == ()


def test_the_mode_is_a_text_and_no_path():
    check_mode()


def test_a_symbol_is_found_wherever_it_stands():
    """Frames as they are shifted: the text stays, as no token knows where it is."""
    x, sound = (Variable(name, IdentityCodec(space)) for name, space in (
        ("x", SPACE), ("sound", Real(axes=(Axis("frame", 24, role="time"), Axis("band", 2, role="channel"))))))
    family = families.CTC(x, sound, width=8, readers={"sound": Convolutions(halve=1, places=False)}).eval()
    waves = torch.zeros(2, 24, 2)
    waves[0, 8:12], waves[1, 12:16] = 1.0, 1.0
    early, late = family(Observed({"sound": Entries(waves)})).frames.detach()
    assert torch.allclose(early[2:9], late[4:11], atol=1e-5) and float((early[2:9] - late[2:9]).abs().max()) > 1e-3


@pytest.mark.parametrize(("space", "parents", "word"), [
    (Finite(3), [SPACE], "expected symbols whose number is modelled, as of Text"),
    (SPACE, [], "expected a parent that is read along an axis, as a sound is, got none"),
    (SPACE, [Finite(3)], "expected a parent that is read along an axis, as a sound is, got y0")])
def test_what_it_is_not_of(space, parents, word):
    with pytest.raises(UserError, match=word) as error:
        families.CTC(Variable("x", IdentityCodec(space)),
                  [Variable(f"y{i}", IdentityCodec(each)) for i, each in enumerate(parents)])
    assert "use Autoregressive" in str(error.value) and "\n" not in str(error.value)


def test_learning_from_a_text_that_no_frames_hold_says_so():
    data = given.read({"text": ["a a a a", "b"] * 8, "level": np.zeros((16, 4))})
    model = given.model("p(text | level)", data, codecs={"text": Text("words"), "level": Series(Number(), length="fixed")},
                        families={"text": partial(families.CTC, readers={"level": Windows(1)})})
    with pytest.raises(UserError, match=r"^step 1: the loss of p\(text \| level\) is inf: a row of text has more symbols than"):
        model.fit(data, steps=2, held_out=0, progress=False)
