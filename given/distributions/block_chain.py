"""BlockChain: the sequential distribution of an order of blocks, a masked net and a head of blocks, with y bound.

    log p(x | y) = sum_k sum_(b in group k) log p(x_b | x of the groups before k, y)

The net is asked once a group, about what is known before it. Whatever blocks are known can come first where every order was
learned; what is not seen is left out. Of a part that is one order's answer, and another order's may differ.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from given.distributions.block_heads import BlockHead, FlowHead
from given.distributions.distribution import Distribution, Intractable, Kind, weakest
from given.distributions.noise import Noise
from given.distributions.row_groups import RowGroups
from given.distributions.sequential import Sequential, State
from given.distributions.side_by_side import block_scores
from given.nn import BlockEmbedding, Condition, Order
from given.solve import Sampler, Solver
from given.variables import Entries, Space, UserError

__all__ = ["BlockChain"]


@dataclass(frozen=True)
class _Null:
    """The cache of a net that remembers nothing: what y is where it is not given."""

    null: Condition | None

    def rows(self, index: Tensor) -> _Null:
        return _Null(_rows(self.null, index))


class BlockChain(Sequential):
    """An order of blocks, a masked net and a head.

    Args:
        space: of D entries on one grid.
        plan: the order.
        embed: values (B, D), known (B, N) -> tokens (B, N, C).
        net: tokens, condition, order -> features (B, N, C) of all blocks.
        head: of blocks.
        condition: y, B rows.
        null: that of a y that is not given, for `Guidance`; None where there is no y or it was never dropped.

    Attributes:
        weight: of y, as `Guidance` has it.
        solver: of a head of flows, where it is not its own.
    """

    one_at_a_time = False

    def __init__(self, space: Space, plan: Order, embed: BlockEmbedding, net: nn.Module, head: BlockHead,
                 condition: Condition, null: Condition | None = None) -> None:
        super().__init__(space, len(condition.pooled), list(range(space.dimensions)), condition.pooled.device)
        self.plan, self.embed, self.net, self.head, self.y = plan, embed, net, head, condition
        self.any_order, self.kind = plan.learns_all, head.kind
        self.size = embed.blocks.shape[1]
        self.null = null if isinstance(head, FlowHead) else None
        self.weight, self.solver = 1.0, None
        self._follow(None)

    def guided(self, weight: float) -> BlockChain:
        """Every block's prediction (1 - weight) of nothing + weight of y."""
        return self._but(weight=self.weight * weight)

    def solved_by(self, solver: Solver | Sampler) -> BlockChain:
        """The same distribution, whose flows are followed by another solver; itself where its head is none of flows."""
        if not isinstance(self.head, FlowHead):
            return self
        if not isinstance(solver, Solver):
            raise UserError(f"{solver!r} draws a whole item by its noise, and blocks are drawn by an equation; use Heun(16)")
        return self._but(solver=solver)

    def _follow(self, seen: Tensor | None) -> None:
        """Draw as the order has it where `seen` (D,) is known."""
        blocks = self.plan.blocks(self.space)
        step = self.plan.steps(self.space, seen)[blocks[:, 0]]
        drawn = step.argsort(stable=True)
        ends = torch.searchsorted(step[drawn], step[drawn], right=True)
        entries = blocks[drawn].flatten()
        self.entries, self.order, self.upto = entries.tolist(), entries.to(self.device), len(entries)
        self.ends = (ends * self.size).repeat_interleave(self.size).tolist()
        self.step = step.to(self.device)
        self.groups = [group.to(self.device) for group in drawn.split(step.bincount().tolist())]
        self.group_of = step[drawn].repeat_interleave(self.size).tolist()

    @property
    def kind_of_part(self) -> Kind:
        """An estimate where every order was learned: orders agree only as far as learning made them."""
        return weakest([self.kind, "estimate"]) if self.any_order else self.kind

    def each(self, x: Entries) -> Tensor:
        """log p of every block given those before it, at its last entry: (*shape, B, D) float64."""
        return self._scores(x, 0)

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        flat = x.flat(self.space)
        scored = flat.scored
        if self.evidence is not None:
            scored = scored & ~self.evidence.scored
        return torch.where(scored, self._scores(x, seed), 0.0).sum(-1)

    def _scores(self, x: Entries, seed: int | Noise) -> Tensor:
        flat, row = self._whole(x)
        if not self.any_order:
            self._check_first(flat.readable)
        known = self._known_blocks(flat.readable, whole=bool(flat.told.plain))
        values = torch.where(flat.readable, flat.tensor, 0.0).double()
        noise = Noise.of(seed, self.n, device=self.device)
        noise = noise.repeat(len(row) // self.n) if len(row) > self.n else noise
        y, null = (self.y, self.null) if self.n == len(row) else (self.y.rows(row), _rows(self.null, row))
        found = torch.zeros(values.shape, dtype=torch.float64, device=self.device)
        given = None if self.evidence is None else self._known_blocks(self.evidence.scored).all(0)
        for k, group in enumerate(self.groups):
            if given is not None and bool(given[group].all()):
                continue
            law = self._law(values, known & (self.step < k), y, null, group)
            mine = self.embed.blocks[group]
            score = block_scores(law, values[:, mine.flatten()], len(group), noise.fold(k))
            found[:, mine[:, -1]] = torch.where(known[:, group], score, 0.0)
        return found.reshape(*x.flat(self.space).tensor.shape)

    def _law(self, values: Tensor, known: Tensor, y: Condition, null: Condition | None, group: Tensor, *,
             alone: bool = False) -> Any:
        """The distribution of a group of blocks, or `alone` of its one entry."""
        def read(condition: Condition) -> Tensor:
            features = self._features(values, known, condition)[:, group]
            return features[:, 0] if alone else features

        if not isinstance(self.head, FlowHead):
            return self.head(read(y))
        return self.head(read(y), None if null is None or self.weight == 1 else read(null), self.weight, self.solver)

    def _features(self, values: Tensor, known: Tensor, y: Condition) -> Tensor:
        """What the net makes of what is known (B, N): (B, N, C), block by block."""
        tokens = self.embed(values, known)
        if y.aligned is not None:
            tokens = tokens + y.aligned[:, self.embed.blocks].mean(2)
        order = torch.arange(tokens.shape[1], device=self.device)[None]
        return self.net(tokens, y, order).to(self.embed.mask.dtype)

    def _known_blocks(self, known: Tensor, *, whole: bool = False) -> Tensor:
        """(B, N) which blocks are known, of entries (B, D), or of `whole` items.

        Raises:
            Intractable: some are known in part.
        """
        of = known[..., self.embed.blocks]
        if self.size > 1 and not whole and bool((of.any(-1) != of.all(-1)).any()):
            raise Intractable(f"a block of {self.size} entries that are drawn together is known in part; give it whole or not "
                              "at all, or learn with smaller blocks")
        return of.all(-1)

    def loss(self, x: Entries, noise: Noise) -> Tensor:
        """(B,) what descends: from one pass of the net over every row, with what is known of it at random."""
        flat = x.flat(self.space)
        seen = self._known_blocks(flat.readable, whole=bool(flat.told.plain))
        values = torch.where(flat.readable, flat.tensor, 0.0).double()
        exact = self.head.kind == "exact"
        known, weight = self._at_random(seen, noise) if exact or not self.any_order else self._as_drawn(seen, noise)
        weight = torch.where(flat.scored[:, self.embed.blocks[:, -1]], weight, 0.0)
        features, asked = self._features(values, known, self.y), values[:, self.embed.blocks]
        if not exact:
            some, weight = self._some(weight, noise.fold("some"))
            features, asked = (part.gather(1, some[..., None].expand(-1, -1, part.shape[2])) for part in (features, asked))
        each = self.head.loss(features, asked.flatten(1), noise.fold("head"))
        return torch.where(weight > 0, each * weight, 0.0).sum(-1)

    def _some(self, weight: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Of N blocks with weights (B, N) half, those with a weight first, and weights whose sum is as before: heads that cost
        as much as the net lose no work on blocks that are known."""
        lot = torch.where(weight > 0, noise.uniform((), weight.shape[1:]), -1.0)
        some = lot.topk(-(-weight.shape[1] // 2), 1).indices
        picked = weight.gather(1, some)
        return some, picked * (weight.sum(1, keepdim=True) / picked.sum(1, keepdim=True).clamp(min=1e-9))

    def _at_random(self, seen: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Which blocks (B, N) are known, and the weight (B, N) of every other. Every order: so many of n at random as a step of
        one block would have, whose sum over the others is n / (n - t) times one's. One order: a group at random, of K."""
        pick = noise.fold("group").uniform()
        if not self.any_order:
            at = (pick * len(self.groups)).long()[:, None]
            return seen & (self.step < at), (self.step == at) * float(len(self.groups))
        return self._some_known(seen, (pick * seen.sum(1)).long(), noise)

    def _as_drawn(self, seen: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """The same for a head that is learned otherwise than by -log p: as much known as before a group of a draw, half of the
        time what a draw of whole items knows there, else as many blocks at random."""
        before = seen & (self.step < (noise.fold("group").uniform() * len(self.groups)).long()[:, None])
        other, weight = self._some_known(seen, before.sum(1), noise)
        own = noise.fold("own").uniform()[:, None] < 0.5
        return torch.where(own, before, other), torch.where(own, (seen & ~before) * weight.amax(1, keepdim=True), weight)

    def _some_known(self, seen: Tensor, t: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Of n blocks seen t (B,) at random, and the weight n / (n - t) of every other."""
        u = torch.where(seen, noise.fold("order").uniform((), seen.shape[1:]), 2.0)
        n, known = seen.sum(1), u.argsort(1).argsort(1) < t[:, None]
        return known, (seen & ~known) * (n / (n - t).clamp(min=1)).double()[:, None]

    def all_log_probs(self, x: Entries) -> Iterator[Tensor]:
        raise Intractable("blocks of entries that are drawn together have no probabilities one by one; use log_prob")

    def condition(self, evidence: Entries) -> Distribution:
        flat = self._known(evidence)
        self._known_blocks(flat.scored)
        if not self.any_order:
            self._check_first(flat.scored)
            return self._given(flat, None)
        patterns, which = flat.scored.unique(dim=0, return_inverse=True)
        groups = list[tuple[Tensor, Distribution]]()
        for i, seen in enumerate(patterns):
            rows = (which == i).nonzero()[:, 0]
            mine = self if len(patterns) == 1 else self._but(n=len(rows), y=self.y.rows(rows), null=_rows(self.null, rows))
            groups.append((rows, mine._given(flat.rows(rows), seen.cpu())))
        return groups[0][1] if len(groups) == 1 else RowGroups(groups, self.space)

    def _given(self, evidence: Entries, seen: Tensor | None) -> BlockChain:
        distribution = copy.copy(self)
        distribution.evidence, distribution.kind = evidence, self.kind_of_part
        distribution._follow(seen)
        return distribution

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)
        return State(0, nothing, self.y, _Null(self.null))

    def next(self, state: State) -> Any:
        k = self.group_of[state.t]
        known = (self.step < k).expand(len(state.values), -1)
        assert state.condition is not None
        return self._law(state.values, known, state.condition, state.cache.null, self.groups[k],
                         alone=self.ends[state.t] == state.t + 1)

    def advance(self, state: State, entries: Tensor) -> State:
        end = self.ends[state.t]
        state.values[:, self.order[state.t:end]] = entries.reshape(len(entries), -1).double()
        return replace(state, t=end)


def _rows(y: Condition | None, index: Tensor) -> Condition | None:
    return None if y is None else y.rows(index)
