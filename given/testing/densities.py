"""Laws of densities: sums and integrals, draws, parts, what is given, and steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from given.conditional import Conditional
from given.distributions import Distribution, Intractable, Sequential
from given.testing.cases import ROWS, DoesNotApply, items, law_of, listed, masks, repeated, scored, seen_at
from given.testing.statistics import (
    SIGMAS,
    bounded_total,
    check_counts,
    check_moments,
    expected_score,
    integral,
    numbers,
)
from given.variables import Entries, Finite

__all__ = ["DENSITY_LAWS"]


def density_is_normalised(c: Conditional) -> None:
    """Exact densities sum or integrate to 1; exponentials of bounds to no more."""
    every = items(c.x.space)
    law = scored(law_of(c, 2 if every is None else ROWS))
    if every is None:
        _integrable(c)
    with torch.no_grad():
        if every is not None:
            total = expected_score(law, repeated(every, ROWS)).logsumexp(0).exp()
        else:
            total = integral(law)
    if law.kind == "exact":
        close = 2e-4 if every is not None else 5e-3  # a sum, or an integral of cells
        assert torch.allclose(total, torch.ones_like(total), atol=close), f"the density's total is {total.tolist()}, expected 1"
    else:
        assert bool((total < 1.02).all()), f"the bound's total is {total.tolist()}, expected at most 1"
        assert bool((total < 1 - 1e-6).any()), "the total is 1: this is no bound but exact"
        assert bool((total > 0.1).all()), f"the bound's total is {total.tolist()}: it bounds next to nothing"


def _integrable(c: Conditional) -> None:
    """Whether the items, which cannot be listed, are so few reals that their density can be integrated."""
    if c.x.space.dimensions > 2:
        raise DoesNotApply("more than two reals are too many to integrate over")
    if any(isinstance(part, Finite) for _, part in c.x.space.parts):
        raise DoesNotApply("symbols beside reals are neither listed nor integrated over")


def draws_follow_the_density(c: Conditional) -> None:
    """Frequencies of draws match exp(log_prob): chi-square on finite spaces, first and second moments of reals; of a
    bound, frequencies lie at or above it."""
    law = scored(law_of(c, 2))
    every, draws = items(c.x.space), 4000
    if every is None:
        _integrable(c)
        if law.kind != "exact":
            raise DoesNotApply("the moments of a bound are not those of its draws")
        check_moments(law, law.sample((draws,), seed=21))
        return
    drawn = law.sample((draws,), seed=21)
    with torch.no_grad():
        p = expected_score(law, repeated(every, 2)).exp()  # (N, 2)
    flat = numbers(every, c.x.space), numbers(drawn, c.x.space)
    place = {number: i for i, number in enumerate(flat[0].tolist())}
    for row in range(2):
        counts = torch.zeros(len(p), dtype=torch.float64)
        counts.index_add_(0, torch.tensor([place[v] for v in flat[1][:, row].tolist()]), torch.ones(draws, dtype=torch.float64))
        expected = p[:, row] * draws
        if law.kind == "bound":
            short = (expected - counts) / expected.clamp(min=1).sqrt()
            assert float(short.max()) < SIGMAS + 1, "an item is drawn less often than its bound allows"
            continue
        assert not bool((counts[expected == 0] > 0).any()), "an item of probability zero was drawn"
        check_counts(counts, expected)


def nothing_seen_scores_nothing(c: Conditional) -> None:
    """An item of which nothing is seen scores 0."""
    law = law_of(c)
    if law.kind == "none":
        raise DoesNotApply("it has no density")
    scores = law.log_prob(law.sample(seed=1).hide())
    assert bool((scores.abs() < 1e-9).all()), "an item of which nothing is seen scores other than 0"


def what_is_unseen_moves_nothing(c: Conditional) -> None:
    """The values of unseen entries and of padding do not move a score."""
    law = law_of(c)
    if law.kind == "none":
        raise DoesNotApply("it has no density")
    x, z = (law.sample(seed=seed).flat(law.space) for seed in (1, 2))

    def moved(mask: Tensor) -> None:
        mixed = torch.where(mask, x.tensor, z.tensor)
        for name, *where in (("unseen", mask, None), ("padding", None, mask)):
            with torch.no_grad():
                one, other = (law.log_prob(Entries(v, *where).shaped(law.space), seed=4) for v in (x.tensor, mixed))
            assert torch.allclose(one, other, atol=1e-6), f"{name} entries move the score by {(one - other).abs().max()}"

    _each_part(law, moved)


def _each_part(law: Distribution, check: Callable[[Tensor], None]) -> None:
    """Check every mask of what is seen that the law can answer for."""
    answered, why = False, ""
    for mask in masks(law):
        try:
            check(mask)
            answered = True
        except Intractable as error:
            why = str(error)
    if not answered:
        raise DoesNotApply(f"no part can be scored or given: {why}")


def marginals_are_sums(c: Conditional) -> None:
    """The score of what is seen is the sum, over what is unseen, of scores of whole items."""
    law, every = _exact(c), listed(c.x.space)
    if law.kind_of_part != "exact":
        raise DoesNotApply("its orders agree only as far as learning made them")
    with torch.no_grad():
        whole = law.log_prob(repeated(every, ROWS))
    flat = every.flat(law.space).tensor

    def summed(mask: Tensor) -> None:
        probe = flat[len(flat) // 3]
        total = whole[(flat[:, mask] == probe[mask]).all(1)].logsumexp(0)
        x = Entries(probe.expand(ROWS, -1)).shaped(law.space)
        with torch.no_grad():
            marginal = law.log_prob(seen_at(x, mask, law.space))
        assert torch.allclose(marginal, total, atol=1e-4), f"marginal {marginal}, sum {total}"

    _each_part(law, summed)


def _exact(c: Conditional) -> Distribution:
    law = scored(law_of(c))
    if law.kind != "exact":
        raise DoesNotApply("bounds of parts are of no common law")
    return law


def marginals_are_normalised(c: Conditional) -> None:
    """The scores of what is seen, over every value it may have, sum to 1."""
    law, every = _exact(c), listed(c.x.space)
    flat = every.flat(law.space).tensor

    def normalised(mask: Tensor) -> None:
        probes = torch.where(mask, flat, 0).unique(dim=0)
        x = Entries(probes[:, None].expand(-1, ROWS, -1)).shaped(law.space)
        with torch.no_grad():
            total = law.log_prob(seen_at(x, mask, law.space)).logsumexp(0).exp()
        assert torch.allclose(total, torch.ones_like(total), atol=2e-4), f"the marginal's total is {total.tolist()}"

    _each_part(law, normalised)


def conditions_are_ratios(c: Conditional) -> None:
    """condition(e) scores log p(x) - log p(e)."""
    law = scored(law_of(c))
    x = law.sample(seed=9)

    def is_ratio(mask: Tensor) -> None:
        evidence = seen_at(x, mask, law.space)
        if law.kind_of(evidence) != law.kind:
            raise Intractable("a question of any order has an order of its own, and is no ratio of joints")
        conditioned = law.condition(evidence)
        with torch.no_grad():
            ratio = law.log_prob(x) - law.log_prob(evidence)
            assert torch.allclose(conditioned.log_prob(x), ratio, atol=1e-4), "condition does not score the ratio"

    _each_part(law, is_ratio)


def conditions_are_normalised(c: Conditional) -> None:
    """condition(e) sums to 1 over what is unseen, a bound to no more, and its draws keep e."""
    law, every = scored(law_of(c)), items(c.x.space)
    x = law.sample(seed=9)
    flat = x.flat(law.space).tensor

    def normalised(mask: Tensor) -> None:
        conditioned = law.condition(seen_at(x, mask, law.space))
        drawn = conditioned.sample((5,), seed=3).flat(law.space).tensor
        assert bool(torch.where(mask, drawn == flat, True).all()), "a draw does not keep the evidence"
        if every is None:
            return
        rest = torch.where(mask, 0, every.flat(law.space).tensor).unique(dim=0)
        whole = Entries(torch.where(mask, flat, rest[:, None])).shaped(law.space)
        if conditioned.kind == "bound":
            with torch.no_grad():
                total, error = bounded_total(conditioned, whole)
            assert bool((total < 1 + 4 * error + 1e-9).all()), (
                f"the conditioned bound's total is {total.tolist()} ± {error.tolist()}, expected at most 1")
            assert bool((total > 0.1).all()), f"the conditioned bound's total is {total.tolist()}: it bounds next to nothing"
        else:
            with torch.no_grad():
                total = expected_score(conditioned, whole).logsumexp(0).exp()
            assert torch.allclose(total, torch.ones_like(total), atol=1e-4), f"the conditioned total is {total.tolist()}"

    _each_part(law, normalised)


def context_is_only_read(c: Conditional) -> None:
    """Context is not scored: what comes after it is scored given it by a sequential law, as if it were unseen by others."""
    law = scored(law_of(c))
    if law.kind_of_part != law.kind and not isinstance(law, Sequential):
        raise DoesNotApply("a mixture of several orders reads no context")
    x, mask = law.sample(seed=9), masks(law)[0]
    flat, space = x.flat(law.space), law.space
    with torch.no_grad():
        try:
            if isinstance(law, Sequential):
                before = Entries(flat.tensor, mask.expand(flat.tensor.shape), context=mask)
                read = law.condition(before.shaped(space)).log_prob(x)
            else:
                read = law.log_prob(seen_at(x, ~mask, space), seed=4)
        except Intractable as error:
            assert not isinstance(law, Sequential), f"what its order draws first is refused: {error}"
            raise DoesNotApply(f"no part can be scored: {error}") from None
        scores = law.log_prob(Entries(flat.tensor, context=mask).shaped(space), seed=4)
        assert torch.allclose(scores, read, atol=1e-5), "context is scored"


def steps_are_the_whole(c: Conditional) -> None:
    """A sequential law's steps, cached, multiply to its log_prob; the next law does not move with what comes later."""
    law = law_of(c)
    if not isinstance(law, Sequential):
        raise DoesNotApply("it is not drawn step by step")
    x = law.sample(seed=8)
    flat = x.flat(law.space)
    with torch.no_grad():
        state, total = law.start(), torch.zeros(ROWS, dtype=torch.float64)
        while state.t < len(law.order):
            group = law.order[state.t:law.ends[state.t]]
            entry = group if len(group) > 1 else int(group)
            law_of_entry, value = law.next(state), flat.tensor[:, entry]
            one = Entries(value.long() if isinstance(law_of_entry.space, Finite) else value, valid=flat.valid[:, entry])  # type: ignore[index]
            total += law_of_entry.log_prob(one)
            state = law.advance(state, value)
        assert torch.allclose(total, law.log_prob(x), atol=1e-4), f"steps {total}, whole {law.log_prob(x)}"
        assert torch.equal(state.values, flat.tensor), "the steps put entries elsewhere"


DENSITY_LAWS: tuple[Callable[[Conditional], None], ...] = (
    density_is_normalised, draws_follow_the_density, nothing_seen_scores_nothing, what_is_unseen_moves_nothing,
    marginals_are_sums, marginals_are_normalised, conditions_are_ratios, conditions_are_normalised, context_is_only_read,
    steps_are_the_whole)
