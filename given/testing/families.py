"""Laws of families: each takes a conditional over small spaces, and leaves it as it was."""

from __future__ import annotations

import copy
import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from given.conditional import Conditional, teach
from given.distributions import Intractable, Noise
from given.infer import Query
from given.joint import Joint
from given.lessons import Batch, Deadline, Descend, Solve
from given.testing.cases import ROWS, DoesNotApply, conditions, ended, law_of, related_entries, scored, tensors
from given.testing.densities import DENSITY_LAWS
from given.testing.lessons import LESSON_LAWS
from given.testing.second_device import DEVICE, SecondDevice
from given.testing.statistics import SIGMAS
from given.train import AdamW, load_joint, save_joint
from given.variables import Entries, Finite, Observed, Product, UserError

__all__ = ["FAMILY_LAWS"]


def _leading(x: Entries) -> Tensor:
    return next(iter(x.values.values())) if isinstance(x.values, dict) else x.values


def loss_is_per_example(c: Conditional) -> None:
    """The loss of what descends is (B,) and finite, and has a gradient."""
    for loss in _losses(c):
        assert loss.shape == (ROWS,), f"loss: expected ({ROWS},), got {tuple(loss.shape)}"
        assert loss.requires_grad, "the loss of what learns by gradient has none"
        assert bool(torch.isfinite(loss).all()), "loss is not finite"


def loss_moves_every_parameter(c: Conditional) -> None:
    """A gradient of a loss reaches every parameter."""
    moved = {name: p for name, p in c.named_parameters() if p.requires_grad}
    slopes = torch.autograd.grad(torch.stack(_losses(c)).mean(), list(moved.values()), allow_unused=True)
    still = [name for name, slope in zip(moved, slopes, strict=True) if slope is None or not slope.abs().sum() > 0]
    assert not still, f"no gradient reaches {', '.join(still)}"


def _losses(c: Conditional) -> list[Tensor]:
    """Of every lesson that descends."""
    y = conditions(c, ROWS)
    x = related_entries(c, y)
    c.train()
    losses = [lesson.loss(x, y, seed=3) for lesson in c.lessons() if isinstance(lesson, Descend)]
    c.eval()
    if not losses:
        raise DoesNotApply("nothing is learned by gradient")
    return losses


def draws_have_the_shape(c: Conditional) -> None:
    """sample(s) is s + B + grid, inside the space, all seen; the same for a seed, another for another."""
    law = law_of(c)
    x = law.sample((2, 3), seed=5)
    parts = dict(c.x.space.columns) if isinstance(c.x.space, Product) else {"": c.x.space}
    columns = x.columns if isinstance(c.x.space, Product) else {"": x}
    for name, space in parts.items():
        t = columns[name].tensor
        assert t.shape == (2, 3, ROWS, *space.shape), f"draws: expected {(2, 3, ROWS, *space.shape)}, got {tuple(t.shape)}"
        if isinstance(space, Finite):
            assert t.dtype == torch.int64 and int(t.min()) >= 0 and int(t.max()) < space.size, "a draw is outside the space"
            assert torch.equal(columns[name].valid, ended(space, t).valid), "a draw's padding is not what comes after its end"  # type: ignore[arg-type]
        else:
            assert bool(torch.isfinite(t).all()), "a draw is not finite"
    assert x.complete
    state = torch.random.get_rng_state()
    again, one, other = law.sample((2, 3), seed=5), law.sample((500,), seed=5), law.sample((500,), seed=6)
    assert torch.equal(state, torch.random.get_rng_state()), "the global generator was moved"
    assert torch.equal(_leading(again), _leading(x)), "one seed gave two draws"
    assert not torch.equal(_leading(one), _leading(other)), "two seeds gave one draw"


def scores_are_float64(c: Conditional) -> None:
    """log_prob is (*shape, B) float64 of a stated kind, and the same when asked twice."""
    law = law_of(c)
    if law.kind == "none":
        raise DoesNotApply("it has no density")
    x = law.sample((3,), seed=1)
    once, twice = law.log_prob(x, seed=2), law.log_prob(x, seed=2)
    assert once.shape == (3, ROWS), f"expected (3, {ROWS}), got {tuple(once.shape)}"
    assert once.dtype == torch.float64, f"expected float64, got {once.dtype}"
    assert law.kind in ("exact", "bound", "estimate")
    assert torch.equal(once, twice), "one question got two scores"


def padding_of_y_moves_nothing(c: Conditional) -> None:
    """What stands at padded entries of a parent moves neither a score nor a draw."""
    y = conditions(c, ROWS)
    padded = {v.name for v in c.parents if isinstance(v.space, Finite) and len(v.space.axes) == 1 and v.space.dimensions > 1}
    if not padded:
        raise DoesNotApply("no parent has padding")
    keep = {name: torch.arange(y[name].tensor.shape[1]) < 2 for name in padded}
    one = Observed({k: Entries(e.tensor, valid=keep[k]) if k in padded else e for k, e in y.items()}, ROWS)
    other = Observed({k: Entries(torch.where(keep[k], e.tensor, 0), valid=keep[k]) if k in padded else e
                      for k, e in y.items()}, ROWS)
    with torch.no_grad():
        x = related_entries(c, y)
        a, b = _answer(c, x, one), _answer(c, x, other)
    assert torch.allclose(a, b, atol=1e-6), f"padding of a parent moves the answer by {(a - b).abs().max()}"


def _answer(c: Conditional, x: Entries, y: Observed) -> Tensor:
    """Scores of x; of what has no density, draws."""
    law = c(y)
    return law.log_prob(x, seed=3) if law.kind != "none" else _leading(law.sample((100,), seed=3)).double()


def unseen_parents_are_nulls(c: Conditional) -> None:
    """The value of a parent that is not seen moves neither a score nor a draw, and is like no value that is seen."""
    ends = {axis for _, part in c.x.space.parts for axis in part.axes[:1]}
    parents = [v for v in c.parents if not (v.space.may_end and any(v.space.axes[0].shares(axis) for axis in ends))]
    if not parents:
        raise DoesNotApply("it has no parent but what says where it ends")
    y, other = conditions(c, ROWS), conditions(c, ROWS, seed=2)
    x = related_entries(c, y)
    with torch.no_grad():
        seen = _answer(c, x, y)
        for v in parents:
            one, two = (Observed({**y, v.name: e[v.name].hide()}, ROWS) for e in (y, other))
            try:
                null = _answer(c, x, one)
            except UserError:
                raise DoesNotApply("it reads whole parents only") from None
            assert torch.allclose(null, _answer(c, x, two), atol=1e-6), f"a value of {v.name} that is not seen moves the answer"
            assert not torch.allclose(null, seen, atol=1e-6), f"{v.name} is the same seen and unseen"


def serves_any_device(c: Conditional) -> None:
    """A loss, its gradient, a step and a draw on a second device mix in nothing of the first; the host waits for none of the
    former, and at most once every 16 entries of a draw."""
    y = conditions(c, ROWS)
    x, c = related_entries(c, y), copy.deepcopy(c)
    waiting = " and ".join(sorted({m.waits for m in c.modules() if isinstance(m, Conditional) and m.waits}))
    with SecondDevice(numbers=bool(waiting)) as device:
        c.to(DEVICE)
        x, y = x.to(DEVICE), y.to(DEVICE)
        c.train()
        for player in (lesson for lesson in c.lessons() if isinstance(lesson, Descend)):
            optimiser = AdamW([{"params": player.parameters, "weight_decay": 0.1}], lr=1e-3, betas=player.betas)
            for seed in range(2):
                loss = player.loss(x, y, seed=Noise.of(seed, ROWS, device=DEVICE))
                optimiser.zero_grad()
                loss.mean().backward()
                torch.nn.utils.clip_grad_norm_(player.parameters, 1.0)
                optimiser.step()
        assert waiting or not device.reads, f"two steps of learning wait for the host: {', '.join(device.reads)}"
        c.eval()
        with torch.no_grad():
            drawn = c(y).sample((2,), seed=Noise.of(1, ROWS, device=DEVICE))
        assert all(t.device == DEVICE for t in tensors(drawn)), "a draw is on another device than the model"
        if waiting:
            raise DoesNotApply(f"nothing is mixed, but {waiting}")
        most = -(-c.x.space.dimensions // 16)
        assert len(device.reads) <= most, f"a draw of {most} x 16 entries waits for the host: {', '.join(device.reads)}"


def rows_are_their_own(c: Conditional) -> None:
    """A row's score and draw do not depend on the rows beside it."""
    y, rows = conditions(c, ROWS), torch.tensor([4, 1])
    with torch.no_grad():
        many, few = c(y), c(y.rows(rows))
        noise = Noise.of(5, ROWS)
        alone = noise.rows(rows)
        x = many.sample(seed=noise)
        z = few.sample(seed=alone)
        for a, b in zip(tensors(x), tensors(z), strict=True):
            assert torch.allclose(a[rows].double(), b.double(), rtol=1e-5, atol=1e-5), "a row's draw depends on its batch"
        if many.kind != "none":
            one, other = many.log_prob(x, seed=noise)[rows], few.log_prob(x.rows(rows), seed=alone)
            assert torch.allclose(one, other, rtol=1e-5, atol=1e-5), "a row's score depends on its batch"


def weights_are_repetitions(c: Conditional) -> None:
    """To what is counted or solved, a row of weight 2 is the row twice, one of weight 0 is not there, and two copies of
    half a row's weight are the row."""
    kind = scored(law_of(c)).kind
    c = _solving(c, "nothing is counted or solved")
    n = 1200 if kind == "bound" else 60  # points drawn for levels are others in a row's repetition, and alike in many rows
    y = conditions(c, n)
    x = related_entries(c, y)
    weight = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64).repeat(n // 3)
    index, every = torch.arange(n).repeat_interleave(weight.long()), torch.arange(n).repeat_interleave(2)
    before = _probed(c)
    teach(c, [(x, y, weight)])
    once = _probed(c)
    if torch.equal(before, once):
        raise DoesNotApply("nothing is counted or solved")
    for name, rows, own in (("repetitions", index, torch.ones(len(index)).double()), ("halves", every, weight[every] / 2)):
        teach(c, [(x.rows(rows), y.rows(rows), own)])
        twice = _probed(c)
        near = (once - twice).abs() < (0.2 * (1 + once.abs()) if kind == "bound" else 1e-6)
        assert bool((near | (once == twice)).all()), f"weights 0, 1, 2 score {once.tolist()}, {name} {twice.tolist()}"


def _solving(c: Conditional, otherwise: str) -> Conditional:
    """A copy, to be taught; where it counts or solves nothing, no law applies for that reason."""
    if not any(isinstance(lesson, Solve) for lesson in c.lessons()):
        raise DoesNotApply(otherwise)
    return copy.deepcopy(c)


class _Passes:
    """Batches that count how often they are passed over."""

    def __init__(self, batch: Batch, left: float) -> None:
        self.batch, self.deadline, self.passes = batch, Deadline(lambda: left), 0

    def __iter__(self) -> Iterator[Batch]:
        self.passes += 1
        yield self.batch


def a_deadline_ends_what_is_solved(c: Conditional) -> None:
    """Once its time is over, what is counted or solved passes over the data twice at most, says so, and scores and draws."""
    why = "nothing is counted or solved in more than two passes"
    c, y = _solving(c, why), conditions(c, 60)
    batch = related_entries(c, y), y, torch.ones(60, dtype=torch.float64)
    free, late = _Passes(batch, 1e6), _Passes(batch, -1.0)
    teach(c, free)
    parts = sum(isinstance(part, Conditional) for part in c.modules())
    if free.passes <= 2 * parts:
        raise DoesNotApply(why)
    teach(c, late)
    assert late.passes <= 2 * parts, f"{late.passes} passes after the deadline"
    assert late.deadline.met and not free.deadline.met, "a fit was not said to have ended early, or one that was not was"
    y = conditions(c, ROWS)
    with torch.no_grad():
        law = c(y)
        assert not bool(law.log_prob(law.sample(seed=1)).isnan().any()), "what was cut short does not score what it draws"


def _probed(c: Conditional) -> Tensor:
    """Scores (5,) of rows that were not learned."""
    y = conditions(c, 5, seed=4)
    with torch.no_grad():
        return c(y).log_prob(related_entries(c, y))


def saving_keeps_the_numbers(c: Conditional) -> None:
    """Saved and loaded, it prints, scores and draws the same."""
    y = conditions(c, ROWS)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        save_joint(Path(folder) / "model", Joint(c), {})
        joint, _ = load_joint(Path(folder) / "model", [type(c)])
        other = next(iter(joint))
        assert str(other) == str(c)
        a, b = c(y), other(y)
        x = a.sample(seed=1)
        for one, two in zip(tensors(x), tensors(b.sample(seed=1)), strict=True):
            assert torch.equal(one, two), "the loaded model draws otherwise"
        if a.kind != "none":
            assert torch.equal(a.log_prob(x), b.log_prob(x)), "the loaded model scores otherwise"


def bayes_is_enumeration(c: Conditional) -> None:
    """p(parent | x) of a uniform prior, by a query, is the ratio of enumerated joints."""
    finite = [v for v in c.parents if isinstance(v.space, Finite) and not v.space.axes]
    if len(finite) != 1 or len(c.parents) != 1 or isinstance(c.x.space, Product):
        raise DoesNotApply("it is no variable given one symbol")
    parent, y = finite[0], conditions(c, ROWS)
    with torch.no_grad():
        if c(y).kind != "exact":
            raise DoesNotApply("its density is not exact")
        x = c(y).sample(seed=2)
        V = parent.space.size  # type: ignore[attr-defined]
        each = [c(Observed({parent.name: Entries(torch.full((ROWS,), v))})).log_prob(x) for v in range(V)]
        hoped = torch.stack(each, -1).softmax(-1)
        prior = {parent.name: torch.full((V,), -math.log(V), dtype=torch.float64)}
        query = Query(Joint(c), {c.x.name: x}, ROWS, prior)
        assert torch.allclose(query.bayes.posterior().log_weights.exp(), hoped, atol=1e-5), "the posterior is not Bayes' rule"
        assert torch.allclose(query.probabilities(parent.name), hoped, atol=1e-5), "probabilities are not Bayes' rule"


def questions_have_one_answer(c: Conditional) -> None:
    """p(a | b) of two columns of a block, whichever stands first, sums to 1 over a, and is what `probabilities` answers and
    what draws follow."""
    parts = dict(c.x.space.columns) if isinstance(c.x.space, Product) else {}
    y = conditions(c, 1)
    pairs = [(a, b) for a, b in itertools.permutations(parts, 2)
             if isinstance(parts[a], Finite) and parts[a].dimensions == 1]
    if not pairs:
        raise DoesNotApply("it is no block with a column of finitely many values")
    if c(y).kind == "none":
        raise DoesNotApply("it has no density")
    item, answered = c(y).sample(seed=5).columns, 0
    for asked, given in pairs:
        answered += _one_answer(Joint(c), asked, {given: item[given], **y})
    if not answered:
        raise DoesNotApply("none of its columns can be given to another")


def _one_answer(joint: Joint, asked: str, evidence: Mapping[str, Entries], draws: int = 2000) -> bool:
    """Check p(asked | evidence) of one row; False where it cannot be asked."""
    space = joint.columns[asked].space
    assert isinstance(space, Finite)
    every = torch.arange(space.size)
    try:
        with torch.no_grad():
            each = Query(joint, {k: e.rows(torch.zeros_like(every)) for k, e in evidence.items()}, space.size)
            p = each.log_prob({asked: Entries(every.reshape(-1, *space.shape))})[0].exp()
            query = Query(joint, evidence, 1)
            answer, drawn = query.probabilities(asked)[0], query.sample(draws, asked={asked}, seed=3)[asked].tensor
    except Intractable:
        return False
    what = f"p({asked} | {', '.join(evidence)})"
    assert abs(float(p.sum()) - 1) < 1e-4, f"{what} sums to {float(p.sum())}"
    assert torch.allclose(answer, p, atol=1e-5), f"{what} is scored {p.tolist()}, answered {answer.tolist()}"
    shares = torch.bincount(drawn.flatten(), minlength=space.size) / draws
    error = (p * (1 - p) / draws).sqrt()
    assert bool(((shares - p).abs() < SIGMAS * error + 1e-3).all()), f"{what} is {p}, drawn {shares}"
    return True


FAMILY_LAWS: dict[str, Callable[[Conditional], None]] = {f.__name__: f for f in (
    loss_is_per_example, loss_moves_every_parameter, draws_have_the_shape, scores_are_float64, *DENSITY_LAWS,
    padding_of_y_moves_nothing, unseen_parents_are_nulls, rows_are_their_own, weights_are_repetitions,
    a_deadline_ends_what_is_solved, saving_keeps_the_numbers, serves_any_device, bayes_is_enumeration,
    questions_have_one_answer)} | LESSON_LAWS
