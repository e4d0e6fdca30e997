"""Cases: random values of spaces, every item of a small one, and what a law looks at."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from given.conditional import Conditional, teach
from given.distributions import Distribution, Noise, Sequential
from given.testing.statistics import perturb
from given.variables import Entries, Finite, Observed, Product, Space, in_order

__all__ = ["DoesNotApply", "ROWS", "conditions", "ended", "items", "law_of", "listed", "masks", "prepared", "random_entries",
           "related_entries", "repeated", "scored", "seen_at", "tensors"]

ROWS = 6
_MOST_ITEMS = 3_000


class DoesNotApply(Exception):
    """A law does not apply to a family or codec; the text is the reason."""


def prepared(conditional: Conditional, seed: int = 0) -> Conditional:
    """The conditional after it has learned what it counts or solves from random data, perturbed, in evaluation mode."""
    y = conditions(conditional, 200)
    teach(conditional, [(related_entries(conditional, y), y, torch.ones(200, dtype=torch.float64))])
    perturb(conditional, seed=seed)
    return conditional.eval()


def conditions(conditional: Conditional, n: int, seed: int = 1) -> Observed:
    """Random values of the parents, n rows."""
    noise = Noise.of(seed, n)
    return Observed({v.name: random_entries(v.space, noise.fold(v.name)) for v in conditional.parents}, n)


def items(space: Space) -> Entries | None:
    """Every item of a small finite space, in order: (N, *grid); None where there are too many or not finitely many."""
    parts = dict(space.columns) if isinstance(space, Product) else {"": space}
    if not all(isinstance(s, Finite) for s in parts.values()):
        return None
    sizes = [s.size for s in parts.values() for _ in range(s.dimensions)]  # type: ignore[attr-defined]
    if math.prod(sizes) > _MOST_ITEMS:
        return None
    every = torch.tensor(list(itertools.product(*(range(size) for size in sizes))))
    if isinstance(space, Finite) and space.end is not None:
        every = ended(space, every).tensor.unique(dim=0)  # of a pattern every symbol that it allows stands there as well
    split = every.split([s.dimensions for s in parts.values()], 1)
    columns = {name: ended(s, v.reshape(-1, *s.shape))
               for (name, s), v in zip(parts.items(), split, strict=True)}
    return Entries.block(columns) if isinstance(space, Product) else columns[""]


def random_entries(space: Space, noise: Noise) -> Entries:
    if isinstance(space, Product):
        return Entries.block({name: random_entries(s, noise.fold(name)) for name, s in space.columns})
    if isinstance(space, Finite):
        return ended(space, (noise.uniform((), space.shape) * space.size).long())
    x, u = noise.normal((), space.shape), noise.fold("atom").uniform((), space.shape)
    for k, atom in enumerate(space.atoms):  # type: ignore[attr-defined]
        x = torch.where((u * 3 * len(space.atoms)).long() == k, atom, x)  # type: ignore[attr-defined]
    return ended(space, x)


def ended(space: Space, values: Tensor) -> Entries:
    """Values (N, *grid) as entries; where the length is modelled, nothing after the first end, and an end at the last. Symbols
    that a pattern forbids become others, and sets are sorted."""
    if space.end is None:
        return Entries(values)
    values = values.clone()
    values[..., -1] = space.end
    if isinstance(space, Finite) and space.pattern:
        values = _fitting(values, space)
    valid = ((values == space.end).long().cumsum(-1) - (values == space.end).long()) == 0
    found = Entries(torch.where(valid, values, 0), valid=valid)
    return in_order(found, space) if isinstance(space, Finite) and space.pattern and space.axes[0].role == "item" else found


def _fitting(values: Tensor, space: Finite) -> Tensor:
    """Symbols (*shape, D), those that the pattern forbids replaced by some that it does not."""
    place, possible = torch.arange(values.shape[-1]), space.possible()
    first, beyond = torch.tensor(space.pattern)[place % len(space.pattern)].unbind(-1)
    return torch.where(possible[place, values], values, first + values % (beyond - first))


def related_entries(conditional: Conditional, y: Observed) -> Entries:
    """Random entries that depend on one another and on y, of a family's support where it has one."""
    space = conditional.x.space
    x = random_entries(space, Noise.of(7, y.n))
    simple = [e.tensor for e in y.values() if isinstance(e.values, Tensor)]
    lean = torch.stack([t.reshape(y.n, -1).double().sum(1) for t in simple] or [torch.zeros(y.n)]).sum(0)

    def related(t: Tensor, part: Space) -> Tensor:
        flat = t.reshape(y.n, -1)
        if isinstance(part, Finite):
            return (((flat > 0).cumsum(1) + flat // 2 + lean[:, None].long()) % part.size).reshape(t.shape)
        moved = (flat + 0.5 * flat.roll(1, 1) + 0.3 * lean[:, None]).reshape(t.shape)
        return torch.where(torch.isin(t, torch.tensor(part.atoms, dtype=t.dtype)), t, moved)  # type: ignore[attr-defined]

    inside = getattr(conditional, "inside", None)

    def entries(t: Tensor, part: Space) -> Entries:
        found = ended(part, related(t, part))
        return found if inside is None or isinstance(part, Finite) else Entries(inside(found.tensor))

    if isinstance(space, Product):
        columns = x.columns
        return Entries.block({name: entries(columns[name].tensor, s) for name, s in space.columns})
    shared = [v for v in conditional.parents if space.may_end and v.space.may_end and v.space.axes[0].shares(space.axes[0])]
    alone = entries(x.tensor, space)
    supported = getattr(conditional, "supported", None)
    alone = alone if supported is None else supported(alone, y)
    return _ended_with(y[shared[0].name], shared[0].space, alone, space) if shared else alone


def _ended_with(parent: Entries, own: Space, x: Entries, space: Space) -> Entries:
    """Entries (N, D) that end where the parent on their axis does."""
    ends = (torch.eq(parent.tensor, own.end) & parent.valid).long().argmax(1, keepdim=True)  # type: ignore[arg-type,operator]
    place = torch.arange(x.tensor.shape[1])
    values = torch.where((place < ends) & torch.ne(x.tensor, space.end), x.tensor, 0)  # type: ignore[arg-type]
    return Entries(torch.where(place == ends, torch.as_tensor(space.end).to(values), values), valid=place <= ends)


def law_of(conditional: Conditional, n: int = ROWS) -> Distribution:
    with torch.no_grad():
        return conditional(conditions(conditional, n))


def repeated(x: Entries, n: int) -> Entries:
    """Items (N, *grid) as draws of n rows: (N, n, *grid)."""
    return x.map(lambda t: t[:, None].expand(len(t), n, *t.shape[1:]))


def seen_at(x: Entries, mask: Tensor, space: Space) -> Entries:
    """x with only the entries of a flat mask (D,) seen."""
    flat = x.flat(space)
    return Entries(flat.tensor, mask.expand(flat.tensor.shape), flat.valid).shaped(space)


def masks(law: Distribution) -> list[Tensor]:
    """Flat masks of what is seen: what comes first in a sequential law's order, alternate entries, a single one."""
    D = law.space.dimensions
    if D < 2:
        raise DoesNotApply("a single entry has no part")
    if any(getattr(part, "end", None) is not None for _, part in law.space.parts):
        raise DoesNotApply("where an item ends is drawn, so no mask fits all items")
    order = law.order if isinstance(law, Sequential) else torch.arange(D)
    first, single = torch.zeros(D, dtype=torch.bool), torch.zeros(D, dtype=torch.bool)
    first[order[: D // 2]] = True
    single[order[-1]] = True
    return [first, torch.arange(D) % 2 == 0, single]


def scored(law: Distribution) -> Distribution:
    """The law, where what it scores is a value or a bound."""
    if law.kind in ("none", "estimate"):
        raise DoesNotApply("it has no density" if law.kind == "none" else "its density is estimated")
    return law


def listed(space: Space) -> Entries:
    """Every item, where they can be listed."""
    every = items(space)
    if every is None:
        raise DoesNotApply("its items cannot be listed")
    return every


def tensors(x: Entries) -> list[Tensor]:
    return list(x.values.values()) if isinstance(x.values, dict) else [x.values]
