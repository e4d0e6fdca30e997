"""Selection: how many components or latents, or how wide: a number that rows held out choose.

    k* = argmax_k  mean of log p(x_i | y_i; learned with k from the folds that i is not in)

Rows are in one of four folds by a hash of their values, so that copies of a row are held out together and a row cut in two
halves is worth the row. Each fold is scored once, where there are many rows the first alone; 20,000 rows at most take part.
Up to ten numbers over the range are tried from the least, until two in a row are worse than the best, then those between
the best and its neighbours, each from a start of its own. What was tried stays in the state, `Conditional.curve`, and with
it the number chosen; all rows are learned from with that. No selection knows a family.

Source: Smyth, Model selection for probabilistic clustering using cross-validated likelihood, 2000 /
https://doi.org/10.1023/A:1008940618127
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from given.conditional import Conditional, teach
from given.distributions import Noise
from given.lessons import Batch, Deadline, Lesson, MappedBatches, Solve, deadline_of, select
from given.variables import UserError

__all__ = ["begin", "search", "selecting"]

_T = TypeVar("_T")
_FOLDS, _ENOUGH, _MOST = 4, 1_000, 20_000  # rows of a fold that need no other beside it; rows that take part
_ROUNDS = 4  # of numbers between the best and its neighbours
_SHARE = 1 / 4  # of the time left, that a number may take


def begin(conditional: Conditional, name: str, value: _T | select) -> _T:
    """The value of an option as a family is built with: of one to select its first number; called in `__init__`.

    The sizes of a family that has chosen are those of its state, when it is loaded too.
    """
    if not isinstance(value, select):
        return value
    _keep(conditional, name, torch.empty(0, 2, dtype=torch.float64))
    first: Any = value.first
    return first


def selecting(conditional: Conditional, lessons: Sequence[Lesson]) -> list[Lesson]:
    """Lessons, after the one that chooses what is to be selected, if anything is."""
    names = [name for name, value in conditional.arguments.items() if isinstance(value, select)]
    if len(names) > 1:
        raise UserError(f"{conditional}: {' and '.join(names)} are to be selected; expected one, pass a number for the others")
    return [*(Solve(partial(_choose, conditional, name), again=False) for name in names), *lessons]


def search(option: select, score: Callable[[float], float], deadline: Deadline) -> list[tuple[float, float]]:
    """Numbers and their scores, in the order of the numbers. At least the first is tried; a later one that cannot be learned
    is left out.

    Raises:
        UserError: the first number cannot be learned.
    """
    found = dict[float, float]()

    def tried(numbers: Iterable[float]) -> Iterator[float]:
        for number in deadline.within(numbers):
            if number in found:
                continue
            try:
                found[number] = score(number)
            except UserError:
                if not found:
                    raise
                found[number] = -math.inf
            yield number

    worse = 0
    for number in tried(option.spread()):
        worse = 0 if found[number] >= max(found.values()) else worse + 1
        if worse == 2:
            break
    for _ in range(_ROUNDS):
        order = sorted(found)
        at = order.index(max(order, key=found.__getitem__))
        beside = [option.middle(*pair) for pair in zip(order[max(0, at - 1):at + 1], order[max(1, at):at + 2], strict=False)]
        if not [*tried(beside)]:
            break
    return sorted((number, value) for number, value in found.items() if value > -math.inf)


def _choose(conditional: Conditional, name: str, batches: Iterable[Batch]) -> None:
    deadline = deadline_of(batches)
    rows = _rows(conditional, batches) if deadline.allows(0.0) else []
    folds = sorted({f for *_, fold in rows for f in fold.tolist()})
    if len(folds) < 2:  # no time, or rows that are alike, of which none can be held out
        return _become(conditional, name, torch.empty(0, 2, dtype=torch.float64))
    many = sum(int((fold == folds[0]).sum()) for *_, fold in rows) >= _ENOUGH

    def score(number: float) -> float:
        total = amount = 0.0
        for f in folds[:1] if many else folds:
            twin = _twin(conditional, name, number)
            with deadline.part(_SHARE), torch.no_grad():
                teach(twin, MappedBatches(batches, partial(_instead, list(_some(rows, f, held=False)))))
                for x, y, weight in _some(rows, f, held=True):
                    total += float(weight.double() @ twin(y).log_prob(x))
                    amount += float(weight.sum())
        return total / amount

    found = search(conditional.arguments[name], score, deadline)
    _become(conditional, name, torch.tensor(found, dtype=torch.float64))


def _rows(conditional: Conditional, batches: Iterable[Batch]) -> list[tuple[*Batch, Tensor]]:
    """Rows of weight above 0, each with its fold: all, or those whose hash is below a share that halves as they grow many."""
    kept, share, entries = list[tuple[Any, Any, Tensor, Tensor]](), 1.0, conditional.x.space.dimensions
    turns = Noise.of(0, 2).fold("selection").uniform((), (entries,)) * 2.0**62
    turns = turns.long() | 1  # odd, so that no bit of an entry is lost
    for x, y, weight in batches:
        flat = x.flat(conditional.x.space)
        value = torch.where(flat.scored, flat.tensor.double(), torch.nan) + 0.0
        bits = value.view(torch.int64)
        key, fold = (_unit(((bits ^ (bits >> 29)) * turn).sum(1)) for turn in turns)
        kept.append((x, y, weight, torch.stack([key, (fold * _FOLDS).floor()])))
        kept[-1] = _part(kept[-1], (weight > 0) & (key < share))
        while sum(len(each[2]) for each in kept) > _MOST:
            share /= 2
            kept = [_part(each, each[3][0] < share) for each in kept]
    return [(x, y, weight, key[1].long()) for x, y, weight, key in kept if len(weight)]


def _unit(z: Tensor) -> Tensor:
    """Whole numbers as reals in [0, 1), by their upper bits."""
    return ((z >> 10) & (2**53 - 1)).double() / 2**53


def _part(each: tuple[Any, Any, Tensor, Tensor], chosen: Tensor) -> tuple[Any, Any, Tensor, Tensor]:
    x, y, weight, key = each
    index = chosen.nonzero()[:, 0]
    return x.rows(index), y.rows(index), weight[index], key[:, index]


def _some(rows: Sequence[tuple[Any, Any, Tensor, Tensor]], fold: int, *, held: bool) -> Iterator[Batch]:
    """Those of a fold, or all others."""
    for x, y, weight, own in rows:
        index = ((own == fold) == held).nonzero()[:, 0]
        if len(index):
            yield x.rows(index), y.rows(index), weight[index]


def _instead(others: Iterable[Batch], _: Iterable[Batch]) -> Iterable[Batch]:
    return others


def _twin(conditional: Conditional, name: str, number: float) -> Conditional:
    with torch.random.fork_rng(devices=[]):
        return type(conditional)(**{**conditional.arguments, name: number})


def _become(conditional: Conditional, name: str, tried: Tensor) -> None:
    """Stand as one that is built with the best number tried, or the first of the range where none was."""
    option, device, training = conditional.arguments[name], conditional.device, conditional.training
    number = option.first
    if len(tried):
        best = float(tried[tried[:, 1].argmax(), 0])
        number = int(best) if option.whole else best
    arguments = conditional.arguments
    with torch.random.fork_rng(devices=[]):
        conditional.__init__(**{**arguments, name: number})  # type: ignore[misc]
    conditional.arguments = arguments
    _keep(conditional, name, tried)
    conditional.to(device).train(training)


def _keep(conditional: Conditional, name: str, tried: Tensor) -> None:
    conditional.register_buffer("tried", tried)
    conditional.register_load_state_dict_pre_hook(partial(_restore, name))


def _restore(name: str, conditional: Conditional, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Take the sizes of a state that is about to be loaded."""
    if (tried := state.get(prefix + "tried")) is not None:
        _become(conditional, name, tried.clone())
