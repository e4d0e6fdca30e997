"""testing: does it obey the laws? Public, so that a family or a codec of your own can be held to them.

A law is a function that raises `AssertionError` where it is broken. Those of families take a conditional over small
spaces; `prepared` lets it learn from related random data and then moves every parameter away from its start, because at
initialisation many mistakes cannot be seen.

    from given.testing import FAMILY_LAWS, prepared

    for law in FAMILY_LAWS.values():
        law(prepared(Mine(x, parents=y)))
"""

from __future__ import annotations

import itertools
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import Distribution, Intractable, Noise, Sequential
from given.infer import Query
from given.joint import Joint
from given.train import load_joint, save_joint
from given.variables import Codec, Entries, Finite, Observed, Product, Real, Space, UserError, Variable

__all__ = ["CODEC_LAWS", "FAMILY_LAWS", "conditions", "items", "perturb", "prepared"]

_FAILURE = 1e-6  # the rate at which a correct family may fail a test of chance
_SIGMAS = 5.0
_MOST_ITEMS = 3_000
_ROWS = 6


def perturb(module: torch.nn.Module, scale: float = 0.3, seed: int = 0) -> None:
    """Move every parameter away from its start: matrices by what moves their outputs, whatever their width."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            size = 2 * scale / math.sqrt(p.shape[-1]) if p.dim() > 1 else scale
            p.add_(size * torch.randn(p.shape, generator=generator).to(p))


def prepared(conditional: Conditional) -> Conditional:
    """The conditional after it has learned what it counts or solves from random data, perturbed, in evaluation mode."""
    y = conditions(conditional, 200)
    conditional.estimate([(_related(conditional.x.space, y), y, torch.ones(200, dtype=torch.float64))])
    perturb(conditional)
    return conditional.eval()


def conditions(conditional: Conditional, n: int, seed: int = 1) -> Observed:
    """Random values of the parents, n rows."""
    noise = Noise.of(seed, n)
    return Observed({v.name: _random(v.space, noise.fold(v.name)) for v in conditional.parents}, n)


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
        every = _ended(space, every).tensor.unique(dim=0)
    split = every.split([s.dimensions for s in parts.values()], 1)
    columns = {name: _ended(s, v.reshape(-1, *s.shape))  # type: ignore[arg-type]
               for (name, s), v in zip(parts.items(), split, strict=True)}
    return Entries.block(columns) if isinstance(space, Product) else columns[""]


def _random(space: Space, noise: Noise) -> Entries:
    if isinstance(space, Product):
        return Entries.block({name: _random(s, noise.fold(name)) for name, s in space.columns})
    if isinstance(space, Finite):
        return _ended(space, (noise.uniform((), space.shape) * space.size).long())
    x, u = noise.normal((), space.shape), noise.fold("atom").uniform((), space.shape)
    for k, atom in enumerate(space.atoms):  # type: ignore[attr-defined]
        x = torch.where((u * 3 * len(space.atoms)).long() == k, atom, x)  # type: ignore[attr-defined]
    return Entries(x)


def _ended(space: Finite, values: Tensor) -> Entries:
    """Symbols (N, *grid) as entries; where the length is modelled, nothing after the first end, and an end at the last."""
    if space.end is None:
        return Entries(values)
    values = values.clone()
    values[..., -1] = space.end
    valid = ((values == space.end).long().cumsum(-1) - (values == space.end).long()) == 0
    return Entries(torch.where(valid, values, 0), valid=valid)


def _related(space: Space, y: Observed) -> Entries:
    """Random entries that depend on one another and on y."""
    x = _random(space, Noise.of(7, y.n))
    simple = [e.tensor for e in y.values() if isinstance(e.values, Tensor)]
    lean = torch.stack([t.reshape(y.n, -1).double().sum(1) for t in simple] or [torch.zeros(y.n)]).sum(0)

    def related(t: Tensor, part: Space) -> Tensor:
        flat = t.reshape(y.n, -1)
        if isinstance(part, Finite):
            return (((flat > 0).cumsum(1) + flat // 2 + lean[:, None].long()) % part.size).reshape(t.shape)
        moved = (flat + 0.5 * flat.roll(1, 1) + 0.3 * lean[:, None]).reshape(t.shape)
        return torch.where(torch.isin(t, torch.tensor(part.atoms, dtype=t.dtype)), t, moved)  # type: ignore[attr-defined]

    def entries(t: Tensor, part: Space) -> Entries:
        return _ended(part, related(t, part)) if isinstance(part, Finite) else Entries(related(t, part))

    if isinstance(space, Product):
        columns = x.columns
        return Entries.block({name: entries(columns[name].tensor, s) for name, s in space.columns})
    return entries(x.tensor, space)


def _law(conditional: Conditional, n: int = _ROWS) -> Distribution:
    with torch.no_grad():
        return conditional(conditions(conditional, n))


def _leading(x: Entries) -> Tensor:
    return next(iter(x.values.values())) if isinstance(x.values, dict) else x.values


def _repeat(x: Entries, n: int) -> Entries:
    """Items (N, *grid) as draws of n rows: (N, n, *grid)."""
    return x.map(lambda t: t[:, None].expand(len(t), n, *t.shape[1:]))


def _seen(x: Entries, mask: Tensor) -> Entries:
    """x with only the entries of a flat mask (D,) seen."""
    assert isinstance(x.values, Tensor)
    shape = x.tensor.shape[x.tensor.dim() - _grid(mask, x):]
    return Entries(x.tensor, mask.reshape(shape).expand(x.tensor.shape), x.valid)


def _grid(mask: Tensor, x: Entries) -> int:
    """How many trailing axes of x hold as many entries as the mask."""
    axes, size = 0, 1
    while size < len(mask):
        axes += 1
        size *= x.tensor.shape[-axes]
    return axes


def _masks(law: Distribution) -> list[Tensor]:
    """Flat masks of what is seen: what comes first in a sequential law's order, alternate entries, a single one."""
    D = law.space.dimensions
    if isinstance(law.space, Product) or D < 2 or getattr(law.space, "end", None) is not None:
        return []
    order = law.order if isinstance(law, Sequential) else torch.arange(D)
    first, single = torch.zeros(D, dtype=torch.bool), torch.zeros(D, dtype=torch.bool)
    first[order[: D // 2]] = True
    single[order[-1]] = True
    return [first, torch.arange(D) % 2 == 0, single]


# Laws of families


def loss_is_per_example(c: Conditional) -> None:
    """loss is (B,) and finite, and moves every parameter."""
    y = conditions(c, _ROWS)
    x = _related(c.x.space, y)
    c.train()
    loss = c.loss(x, y, seed=3)
    assert loss.shape == (_ROWS,), f"loss: expected ({_ROWS},), got {tuple(loss.shape)}"
    if loss.requires_grad:
        assert bool(torch.isfinite(loss).all()), "loss is not finite"
        c.zero_grad()
        loss.mean().backward()
        still = [name for name, p in c.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)]
        assert not still, f"no gradient reaches {', '.join(still)}"
        c.zero_grad()
    c.eval()


def draws_have_the_shape(c: Conditional) -> None:
    """sample(s) is s + B + grid, inside the space, all seen; the same for a seed, another for another."""
    law = _law(c)
    x = law.sample((2, 3), seed=5)
    parts = dict(c.x.space.columns) if isinstance(c.x.space, Product) else {"": c.x.space}
    columns = x.columns if isinstance(c.x.space, Product) else {"": x}
    for name, space in parts.items():
        t = columns[name].tensor
        assert t.shape == (2, 3, _ROWS, *space.shape), f"draws: expected {(2, 3, _ROWS, *space.shape)}, got {tuple(t.shape)}"
        if isinstance(space, Finite):
            assert t.dtype == torch.int64 and int(t.min()) >= 0 and int(t.max()) < space.size, "a draw is outside the space"
            assert torch.equal(columns[name].valid, _ended(space, t).valid), "a draw's padding is not what comes after its end"  # type: ignore[arg-type]
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
    law = _law(c)
    if law.kind == "none":
        return
    x = law.sample((3,), seed=1)
    once, twice = law.log_prob(x, seed=2), law.log_prob(x, seed=2)
    assert once.shape == (3, _ROWS), f"expected (3, {_ROWS}), got {tuple(once.shape)}"
    assert once.dtype == torch.float64, f"expected float64, got {once.dtype}"
    assert law.kind in ("exact", "bound", "estimate")
    assert torch.equal(once, twice), "one question got two scores"


def density_is_normalised(c: Conditional) -> None:
    """Exact densities sum or integrate to 1; exponentials of bounds to no more."""
    every = items(c.x.space)
    law = _law(c, 2 if every is None else _ROWS)
    if law.kind in ("none", "estimate"):
        return
    with torch.no_grad():
        if every is not None:
            total = _expected(law, _repeat(every, _ROWS)).logsumexp(0).exp()
        elif c.x.space.dimensions <= 2:
            total = _integral(law)
        else:
            return
    if law.kind == "exact":
        close = 2e-4 if every is not None else 5e-3  # a sum, or an integral over a grid
        assert torch.allclose(total, torch.ones_like(total), atol=close), f"the density's total is {total.tolist()}, expected 1"
    else:
        assert bool((total < 1.02).all()), f"the bound's total is {total.tolist()}, expected at most 1"
        assert bool((total < 1 - 1e-6).any()), "the total is 1: this is no bound but exact"
        assert bool((total > 0.2).all()), f"the bound's total is {total.tolist()}: it bounds next to nothing"


def _expected(law: Distribution, x: Entries) -> Tensor:
    """The score; of a bound, which holds in expectation, the mean over eight seeds."""
    seeds = range(8 if law.kind == "bound" else 1)
    return torch.stack([law.log_prob(x, seed=seed) for seed in seeds]).mean(0)


def _flatten_real(space: Space, grid: Tensor) -> Entries:
    """Points (N, B, D) as entries of a real space or block."""
    if not isinstance(space, Product):
        return Entries(grid.reshape(*grid.shape[:2], *space.shape))
    parts = grid.split([s.dimensions for _, s in space.columns], -1)
    return Entries({name: p.reshape(*p.shape[:2], *s.shape) for (name, s), p in zip(space.columns, parts, strict=True)})


def _integral(law: Distribution, points: int = 241) -> Tensor:
    """The integral of exp(log_prob) of one or two reals over what 2,000 draws cover with a wide margin: (B,)."""
    grid, volume = _grid_of(law.space, law.sample((2000,), seed=11).flat(law.space).tensor, points, 0.7)
    return (_expected(law, _flatten_real(law.space, grid)).exp() * volume).sum(0)


def _grid_of(space: Space, drawn: Tensor, points: int, margin: float) -> tuple[Tensor, Tensor]:
    """Points (N, B, D) over what was drawn, (draws, B, D), and a margin, with every atom; and the measure (N, B) of each."""
    low, high = drawn.amin(0), drawn.amax(0)
    low, high = low - margin * (high - low), high + margin * (high - low)
    steps = torch.linspace(0, 1, points, dtype=torch.float64)[:, None]
    sides = []
    for d, atoms in enumerate([s.atoms for _, s in space.parts for _ in range(s.dimensions)]):  # type: ignore[attr-defined]
        extent = high[:, d] - low[:, d]
        value = torch.cat([low[:, d] + steps * extent, torch.tensor(atoms, dtype=torch.float64)[:, None].expand(-1, len(low))])
        sides.append((value, torch.cat([(extent / (points - 1)).expand(points, -1), torch.ones(len(atoms), len(low))])))
    index = torch.cartesian_prod(*(torch.arange(len(value)) for value, _ in sides)).reshape(-1, len(sides))
    at, measure = (torch.stack([side[i][index[:, d]] for d, side in enumerate(sides)], -1) for i in (0, 1))
    return at, measure.prod(-1)


def draws_follow_the_density(c: Conditional) -> None:
    """Frequencies of draws match exp(log_prob): chi-square on finite spaces, first and second moments of reals; of a
    bound, frequencies lie at or above it."""
    law = _law(c, 2)
    if law.kind in ("none", "estimate"):
        return
    every, draws = items(c.x.space), 4000
    drawn = law.sample((draws,), seed=21)
    if every is None:
        if c.x.space.dimensions <= 2 and law.kind == "exact":
            _moments_match(law, drawn)
        return
    with torch.no_grad():
        p = _expected(law, _repeat(every, 2)).exp()  # (N, 2)
    flat = _numbers(every, c.x.space), _numbers(drawn, c.x.space)
    place = {number: i for i, number in enumerate(flat[0].tolist())}
    for row in range(2):
        counts = torch.zeros(len(p), dtype=torch.float64)
        counts.index_add_(0, torch.tensor([place[v] for v in flat[1][:, row].tolist()]), torch.ones(draws, dtype=torch.float64))
        expected = p[:, row] * draws
        if law.kind == "bound":
            short = (expected - counts) / expected.clamp(min=1).sqrt()
            assert float(short.max()) < _SIGMAS + 1, "an item is drawn less often than its bound allows"
            continue
        assert not bool((counts[expected == 0] > 0).any()), "an item of probability zero was drawn"
        big = expected >= 5
        seen = torch.cat([counts[big], counts[~big].sum()[None]])
        hoped = torch.cat([expected[big], expected[~big].sum()[None]])
        keep = hoped > 1e-9
        statistic = float(((seen - hoped)[keep] ** 2 / hoped[keep]).sum())
        freedom = max(int(keep.sum()) - 1, 1)
        # Wilson and Hilferty, The distribution of chi-square, 1931: the cube root is nearly normal.
        limit = freedom * (1 - 2 / (9 * freedom) + 4.75 * math.sqrt(2 / (9 * freedom))) ** 3
        assert statistic < limit, f"chi-square {statistic:.1f} of {freedom} degrees, limit {limit:.1f} at {_FAILURE:g}"


def _numbers(x: Entries, space: Space) -> Tensor:
    """Each item as one number."""
    parts = [(x.columns[n].tensor, s) for n, s in space.columns] if isinstance(space, Product) else [(x.tensor, space)]
    total: Tensor | None = None
    for t, s in parts:
        flat = t.reshape(*t.shape[: t.dim() - len(s.axes)], -1)
        for d in range(flat.shape[-1]):
            total = flat[..., d] if total is None else total * s.size + flat[..., d]  # type: ignore[attr-defined]
    assert total is not None
    return total


def _moments_match(law: Distribution, drawn: Entries) -> None:
    space = law.space
    flat = drawn.flat(space).tensor
    grid, volume = _grid_of(space, flat, 161, 0.5)
    p = (law.log_prob(_flatten_real(space, grid)) + volume.log()).softmax(0)[..., None]
    for power in (1, 2):
        hoped = (p * grid**power).sum(0)
        got, error = (flat**power).mean(0), (flat**power).std(0) / math.sqrt(len(flat))
        assert bool(((got - hoped).abs() < _SIGMAS * error + 1e-3).all()), f"moment {power}: drawn {got}, density {hoped}"


def what_is_unseen_moves_nothing(c: Conditional) -> None:
    """The values of unseen entries and of padding do not move a score; an unseen item scores 0."""
    law = _law(c)
    if law.kind == "none":
        return
    x, z = law.sample(seed=1), law.sample(seed=2)
    if isinstance(x.values, dict):
        hidden = Entries(x.values).hide()
        assert bool((law.log_prob(hidden).abs() < 1e-9).all()), "an item of which nothing is seen scores other than 0"
        return
    for mask in _masks(law):
        where = mask.reshape(law.space.shape)
        mixed = torch.where(where, x.tensor, z.tensor)
        for seen, valid in ((where, None), (None, where)):
            a = Entries(x.tensor, seen, valid)
            b = Entries(mixed, seen, valid)
            try:
                one, other = law.log_prob(a, seed=4), law.log_prob(b, seed=4)
            except Intractable:
                continue
            name = "unseen" if valid is None else "padding"
            assert torch.allclose(one, other, atol=1e-6), f"{name} entries move the score by {(one - other).abs().max()}"
    nothing = law.log_prob(x.hide())
    assert bool((nothing.abs() < 1e-9).all()), "an item of which nothing is seen scores other than 0"


def padding_of_y_moves_nothing(c: Conditional) -> None:
    """What stands at padded entries of a parent does not move a score."""
    y = conditions(c, _ROWS)
    padded = {v.name for v in c.parents if isinstance(v.space, Finite) and len(v.space.axes) == 1 and v.space.dimensions > 1}
    if not padded:
        return
    keep = {name: torch.arange(y[name].tensor.shape[1]) < 2 for name in padded}
    one = Observed({k: Entries(e.tensor, valid=keep[k]) if k in padded else e for k, e in y.items()}, _ROWS)
    other = Observed({k: Entries(torch.where(keep[k], e.tensor, 0), valid=keep[k]) if k in padded else e
                      for k, e in y.items()}, _ROWS)
    with torch.no_grad():
        x = _related(c.x.space, y)
        a, b = c(one).log_prob(x), c(other).log_prob(x)
    assert torch.allclose(a, b, atol=1e-6), f"padding of a parent moves the score by {(a - b).abs().max()}"


def marginals_are_sums(c: Conditional) -> None:
    """The score of what is seen is the sum, over what is unseen, of scores of whole items (of a bound: at most)."""
    law, every = _law(c), items(c.x.space)
    if law.kind_of_part in ("none", "estimate") or every is None or isinstance(c.x.space, Product):
        return
    with torch.no_grad():
        whole = law.log_prob(_repeat(every, _ROWS))
    flat = every.tensor.reshape(len(every), -1)
    for mask in _masks(law):
        probe = flat[len(flat) // 3]
        same = (flat[:, mask] == probe[mask]).all(1)
        summed = whole[same].logsumexp(0)
        x = Entries(probe.reshape(1, *law.space.shape).expand(_ROWS, *law.space.shape))
        try:
            with torch.no_grad():
                marginal = law.log_prob(_seen(x, mask))
        except Intractable:
            continue
        if law.kind == "exact":
            assert torch.allclose(marginal, summed, atol=1e-4), f"marginal {marginal}, sum {summed}"


def marginals_are_normalised(c: Conditional) -> None:
    """The scores of what is seen, over every value it may have, sum to 1."""
    law, every = _law(c), items(c.x.space)
    if law.kind != "exact" or every is None or isinstance(c.x.space, Product):
        return
    flat = every.tensor.reshape(len(every), -1)
    for mask in _masks(law):
        probes = torch.where(mask, flat, 0).unique(dim=0)
        x = Entries(probes.reshape(-1, 1, *law.space.shape).expand(-1, _ROWS, *law.space.shape))
        try:
            with torch.no_grad():
                total = law.log_prob(_seen(x, mask)).logsumexp(0).exp()
        except Intractable:
            continue
        assert torch.allclose(total, torch.ones_like(total), atol=2e-4), f"the marginal's total is {total.tolist()}"


def conditions_are_ratios(c: Conditional) -> None:
    """condition(e) scores log p(x) - log p(e), is normalised, and its draws keep e. Of a net that learned every order it need
    not be that ratio: each of its questions is a conditional of its own (`questions_have_one_answer`)."""
    law = _law(c)
    if law.kind in ("none", "estimate") or isinstance(c.x.space, Product):
        return
    every = items(c.x.space)
    x = law.sample(seed=9)
    for mask in _masks(law):
        evidence = _seen(x, mask)
        try:
            conditioned = law.condition(evidence)
            with torch.no_grad():
                ratio = law.log_prob(x) - law.log_prob(evidence)
        except Intractable:
            continue
        with torch.no_grad():
            if law.kind_of_part == law.kind:
                assert torch.allclose(conditioned.log_prob(x), ratio, atol=1e-4), "condition does not score the ratio"
            drawn = conditioned.sample((5,), seed=3).tensor
            kept = torch.where(mask.reshape(law.space.shape), drawn == x.tensor, True)
            assert bool(kept.all()), "a draw does not keep the evidence"
            if every is not None:
                other = torch.where(mask.reshape(law.space.shape), x.tensor, every.tensor[:, None])
                copies = len(every) / _distinct(every, mask)
                total = conditioned.log_prob(Entries(other)).logsumexp(0).exp() / copies
                assert torch.allclose(total, torch.ones_like(total), atol=1e-4), f"the conditioned total is {total.tolist()}"


def questions_have_one_answer(c: Conditional) -> None:
    """p(a | b) of two columns of a block, whichever stands first, sums to 1 over a, and is what `probabilities` answers and
    what draws follow."""
    parts = dict(c.x.space.columns) if isinstance(c.x.space, Product) else {}
    y = conditions(c, 1)
    if len(parts) < 2 or c(y).kind == "none":
        return
    joint, draws = Joint(c), 2000
    item = c(y).sample(seed=5).columns
    for asked, given in itertools.permutations(parts, 2):
        space = parts[asked]
        if not isinstance(space, Finite) or space.dimensions > 1:
            continue
        every = torch.arange(space.size)
        evidence = {given: item[given], **y}
        try:
            with torch.no_grad():
                p = Query(joint, {k: e.rows(torch.zeros_like(every)) for k, e in evidence.items()}, space.size).log_prob(
                    {asked: Entries(every.reshape(-1, *space.shape))})[0].exp()
                query = Query(joint, evidence, 1)
                said, drawn = query.probabilities(asked)[0], query.sample(draws, asked={asked}, seed=3)[asked].tensor
        except Intractable:
            continue
        assert abs(float(p.sum()) - 1) < 1e-4, f"p({asked} | {given}) sums to {float(p.sum())}"
        assert torch.allclose(said, p, atol=1e-5), f"p({asked} | {given}) is scored {p.tolist()}, answered {said.tolist()}"
        shares = torch.bincount(drawn.flatten(), minlength=space.size) / draws
        error = (p * (1 - p) / draws).sqrt()
        assert bool(((shares - p).abs() < _SIGMAS * error + 1e-3).all()), f"p({asked} | {given}) is {p}, drawn {shares}"


def _distinct(every: Entries, mask: Tensor) -> int:
    """How many values the unseen entries take."""
    return len({tuple(v) for v in every.tensor.reshape(len(every), -1)[:, ~mask].tolist()})


def context_is_only_read(c: Conditional) -> None:
    """Context is not scored: what comes after it is scored given it by a sequential law, as if it were unseen by others."""
    law = _law(c)
    weighed = law.kind_of_part != law.kind and not isinstance(law, Sequential)  # a mixture of several orders
    if law.kind in ("none", "estimate") or not _masks(law) or weighed:
        return
    x, mask = law.sample(seed=9), _masks(law)[0]
    with torch.no_grad():
        where = _seen(x, mask).seen
        try:
            read = law.condition(Entries(x.tensor, where, context=where)).log_prob(x) if isinstance(law, Sequential) else (
                law.log_prob(_seen(x, ~mask), seed=4))
        except Intractable as error:
            assert not isinstance(law, Sequential), f"what its order draws first is refused: {error}"
            return
        assert torch.allclose(law.log_prob(Entries(x.tensor, context=where), seed=4), read, atol=1e-5), "context is scored"


def steps_are_the_whole(c: Conditional) -> None:
    """A sequential law's steps, cached, multiply to its log_prob; the next law does not move with what comes later."""
    law = _law(c)
    if not isinstance(law, Sequential):
        return
    x = law.sample(seed=8)
    flat = x.flat(law.space)
    with torch.no_grad():
        state, total = law.start(), torch.zeros(_ROWS, dtype=torch.float64)
        while state.t < len(law.order):
            group = law.order[state.t:law.ends[state.t]]
            entry = group if len(group) > 1 else int(group)
            law_of_entry, value = law.next(state), flat.tensor[:, entry]
            one = Entries(value.long() if isinstance(law_of_entry.space, Finite) else value, valid=flat.valid[:, entry])  # type: ignore[index]
            total += law_of_entry.log_prob(one)
            state = law.advance(state, value)
        assert torch.allclose(total, law.log_prob(x), atol=1e-4), f"steps {total}, whole {law.log_prob(x)}"
        assert torch.equal(state.values, flat.tensor), "the steps put entries elsewhere"


def rows_are_their_own(c: Conditional) -> None:
    """A row's score and draw do not depend on the rows beside it."""
    y, rows = conditions(c, _ROWS), torch.tensor([4, 1])
    with torch.no_grad():
        many, few = c(y), c(y.rows(rows))
        noise = Noise.of(5, _ROWS)
        alone = Noise(noise.keys[rows.numpy()])
        x = many.sample(seed=noise)
        z = few.sample(seed=alone)
        for a, b in zip(_tensors(x), _tensors(z), strict=True):
            assert torch.allclose(a[rows].double(), b.double(), rtol=1e-5, atol=1e-5), "a row's draw depends on its batch"
        if many.kind != "none":
            one, other = many.log_prob(x, seed=noise)[rows], few.log_prob(x.rows(rows), seed=alone)
            assert torch.allclose(one, other, rtol=1e-5, atol=1e-5), "a row's score depends on its batch"


def _tensors(x: Entries) -> list[Tensor]:
    return list(x.values.values()) if isinstance(x.values, dict) else [x.values]


def weights_are_repetitions(c: Conditional) -> None:
    """To what is counted or solved, a row of weight 2 is the row twice, and one of weight 0 is not there."""
    y = conditions(c, 60)
    x = _related(c.x.space, y)
    weight = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64).repeat(20)
    index = torch.arange(60).repeat_interleave(weight.long())
    c.estimate([(x, y, weight)])
    probe = _related(c.x.space, conditions(c, 5, seed=4))
    with torch.no_grad():
        law = c(conditions(c, 5, seed=4))
        if law.kind in ("none", "estimate"):
            return
        once = law.log_prob(probe)
        c.estimate([(x.rows(index), y.rows(index), torch.ones(len(index), dtype=torch.float64))])
        twice = c(conditions(c, 5, seed=4)).log_prob(probe)
    same = (once == twice) | ((once - twice).abs() < 0.2 * (1 + once.abs()) if law.kind == "bound" else
                              (once - twice).abs() < 1e-6)
    assert bool(same.all()), f"weights 0, 1, 2 score {once.tolist()}, repetitions {twice.tolist()}"


def saving_keeps_the_numbers(c: Conditional) -> None:
    """Saved and loaded, it prints, scores and draws the same."""
    y = conditions(c, _ROWS)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        save_joint(Path(folder) / "model", Joint(c), {})
        joint, _ = load_joint(Path(folder) / "model", [type(c)])
        other = next(iter(joint))
        assert str(other) == str(c)
        a, b = c(y), other(y)
        x = a.sample(seed=1)
        for one, two in zip(_tensors(x), _tensors(b.sample(seed=1)), strict=True):
            assert torch.equal(one, two), "the loaded model draws otherwise"
        if a.kind != "none":
            assert torch.equal(a.log_prob(x), b.log_prob(x)), "the loaded model scores otherwise"


def bayes_is_enumeration(c: Conditional) -> None:
    """p(parent | x) of a uniform prior, by a query, is the ratio of enumerated joints."""
    finite = [v for v in c.parents if isinstance(v.space, Finite) and not v.space.axes]
    if len(finite) != 1 or len(c.parents) != 1 or isinstance(c.x.space, Product):
        return
    parent, y = finite[0], conditions(c, _ROWS)
    with torch.no_grad():
        x = c(y).sample(seed=2)
        if c(y).kind != "exact":
            return
        V = parent.space.size  # type: ignore[attr-defined]
        each = [c(Observed({parent.name: Entries(torch.full((_ROWS,), v))})).log_prob(x) for v in range(V)]
        hoped = torch.stack(each, -1).softmax(-1)
        prior = {parent.name: torch.full((V,), -math.log(V), dtype=torch.float64)}
        query = Query(Joint(c), {c.x.name: x}, _ROWS, prior)
        assert torch.allclose(query.posterior().log_weights.exp(), hoped, atol=1e-5), "the posterior is not Bayes' rule"
        assert torch.allclose(query.probabilities(parent.name), hoped, atol=1e-5), "probabilities are not Bayes' rule"


FAMILY_LAWS: dict[str, Callable[[Conditional], None]] = {f.__name__: f for f in (
    loss_is_per_example, draws_have_the_shape, scores_are_float64, density_is_normalised, draws_follow_the_density,
    what_is_unseen_moves_nothing, padding_of_y_moves_nothing, marginals_are_sums,
    marginals_are_normalised, conditions_are_ratios, questions_have_one_answer, context_is_only_read,
    steps_are_the_whole, rows_are_their_own, weights_are_repetitions, saving_keeps_the_numbers, bayes_is_enumeration)}


# Laws of codecs: each takes a codec that has learned nothing yet, and raw values (B, ...) it is made for


def decoding_undoes_encoding(codec: Codec, raw: Any) -> None:
    """decode(encode(r)) is r, to rounding."""
    codec.learn(raw)
    back = codec.decode(codec.encode(raw))
    for name in raw if isinstance(raw, dict) else [None]:
        a, b = (raw[name], back[name]) if name else (raw, back)
        same = np.allclose(a, b, rtol=1e-9, equal_nan=True) if np.asarray(a).dtype.kind == "f" else np.array_equal(a, b)
        assert same, f"{name or codec}: {a[:3]} came back as {b[:3]}"


def entries_fit_the_space(codec: Codec, raw: Any) -> None:
    """encode gives entries of the codec's space, and draws of several rows decode in their shape."""
    codec.learn(raw)
    x, space = codec.encode(raw), codec.space
    n = len(x)
    for name, s in dict(space.columns).items() if isinstance(space, Product) else [("", space)]:
        t = x.columns[name].tensor if name else x.tensor
        assert t.shape == (n, *s.shape), f"expected {(n, *s.shape)}, got {tuple(t.shape)}"
        if isinstance(s, Finite):
            assert t.dtype == torch.int64 and int(t.max()) < s.size and int(t.min()) >= 0
    draws = codec.decode(x.map(lambda t: t.expand(3, *t.shape)))
    for values in draws.values() if isinstance(draws, dict) else [draws]:
        assert values.shape[:2] == (3, n)


def volume_is_the_derivative(codec: Codec, raw: Any) -> None:
    """log_volume is the log of |d entries / d raw|, entry by entry, and counts only what is seen.

    Where decoding rounds, as to whole numbers or days, the slope is that between raw values of one volume that follow each
    other: there must be some.
    """
    codec.learn(raw)
    x = codec.encode(raw)
    if isinstance(codec.space, Product):
        parts = [c.log_volume(x.columns[k]) for k, c in codec.codecs.items()]  # type: ignore[attr-defined]
        assert torch.allclose(codec.log_volume(x), torch.stack(parts).sum(0))
        return
    volume = codec.log_volume(x)
    assert volume.shape == (len(x),) and volume.dtype == torch.float64
    assert bool((codec.log_volume(x.hide()) == 0).all()), "what is unseen has a volume"
    if isinstance(codec.space, Real):
        step, atoms = 1e-6, torch.isin(x.tensor, torch.tensor(codec.space.atoms, dtype=torch.float64))
        assert bool((volume[atoms] == 0).all()) if x.tensor.dim() == 1 else not atoms.any(), "an atom has a volume"
        seen, back = (x.scored & ~atoms).reshape(len(x), -1).numpy(), codec.decode(x)
        there = codec.decode(Entries(x.tensor + step)) - back if back.dtype.kind == "f" else np.zeros(back.shape)
        if (there.reshape(len(x), -1)[seen] == 0).any():  # rounded
            _slopes_between(x.tensor.numpy()[seen[:, 0]], _lengths(raw[seen[:, 0]], codec.measure), volume.numpy()[seen[:, 0]])
            return
        slope = np.log(np.abs(step / np.where(there == 0, step, there))).reshape(len(x), -1)
        assert np.allclose(np.where(seen, slope, 0).sum(1), volume.numpy(), atol=1e-4), "log_volume is not the derivative"
    else:
        assert codec.measure == "counting" and bool((volume == 0).all())


def _lengths(raw: np.ndarray, measure: str) -> np.ndarray:
    """Raw numbers, dates or times (B,) as float64 in the unit of their measure."""
    if raw.dtype.kind in "biuf":
        return raw.astype(np.float64)
    clock = "" if raw.dtype.kind == "M" or "-" in str(raw[0]) else "1970-01-01T"
    times = raw if raw.dtype.kind == "M" else np.array([clock + text for text in raw], dtype="M8[us]")
    return (times - np.datetime64(0, "us")) / np.timedelta64(1, "D" if "days" in measure else "s")


def _slopes_between(x: np.ndarray, raw: np.ndarray, volume: np.ndarray) -> None:
    order = np.argsort(raw)
    dx, dr, change = (np.diff(each[order]) for each in (x, raw, volume))
    piece = (dr > 0) & (np.abs(change) < 1e-9)
    assert piece.any(), "no two values have one volume: give more of them"
    slope = np.log(dx[piece] / dr[piece])
    assert np.allclose(slope, volume[order][1:][piece], atol=1e-6), "log_volume is not the derivative"


def state_is_json(codec: Codec, raw: Any) -> None:
    """The state goes through JSON and back."""
    codec.learn(raw)
    again = type(codec)(**codec.arguments)
    again.restore(json.loads(json.dumps(codec.state())))
    assert again.space == codec.space
    a, b = codec.encode(raw), again.encode(raw)
    assert all(torch.equal(s, t) for s, t in zip(_tensors(a), _tensors(b), strict=True))


def one_pass_is_enough(codec: Codec, raw: Any) -> None:
    """Learning from batches is learning from all at once."""
    batches = type(codec)(**codec.arguments)
    if isinstance(raw, dict):
        batches = type(codec)({k: type(c)(**c.arguments) for k, c in codec.codecs.items()})  # type: ignore[attr-defined]
    half = len(next(iter(raw.values()))) // 2 if isinstance(raw, dict) else len(raw) // 2
    codec.learn(raw)
    for part in (slice(0, half), slice(half, None)):
        batches.learn({k: v[part] for k, v in raw.items()} if isinstance(raw, dict) else raw[part])
    assert batches.space == codec.space
    for s, t in zip(_tensors(codec.encode(raw)), _tensors(batches.encode(raw)), strict=True):
        assert torch.allclose(s.double(), t.double(), atol=1e-9)


def errors_name_the_variable(codec: Codec, raw: Any) -> None:
    """What cannot be encoded is a one-line error that begins with the variable's name."""
    codec.learn(raw)
    variable = Variable("thing", codec)
    data = {name: np.array([object()]) for name in variable.columns}
    try:
        variable.encode(data)
    except UserError as error:
        assert str(error).startswith("thing") and "\n" not in str(error)
    else:
        raise AssertionError("an object that is no value was encoded")


CODEC_LAWS: dict[str, Callable[[Codec, Any], None]] = {f.__name__: f for f in (
    decoding_undoes_encoding, entries_fit_the_space, volume_is_the_derivative, state_is_json, one_pass_is_enough,
    errors_name_the_variable)}
