"""BlockChain: the sequential distribution of an order of blocks, a masked net and a head of blocks, with y bound.

    log p(x | y) = sum_k sum_(b in group k) log p(x_b | x of the groups before k, y)

The net is asked once a group, about what is known before it. Whatever blocks are known can come first where every order was
learned; what is not seen is left out. Of a part that is one order's answer, and another order's may differ.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from given.distributions.block_heads import BlockHead
from given.distributions.distribution import Distribution, Intractable, Kind, weakest
from given.distributions.noise import Noise
from given.distributions.row_groups import RowGroups
from given.distributions.sequential import Sequential, State
from given.distributions.side_by_side import block_scores
from given.nn import BlockEmbedding, Condition, Order
from given.variables import Entries, Space

__all__ = ["BlockChain"]


class _Nothing:
    """The cache of a net that remembers nothing."""

    def rows(self, index: Tensor) -> Self:
        return self


class BlockChain(Sequential):
    """An order of blocks, a masked net and a head.

    Args:
        space: of D entries on one grid.
        plan: the order.
        embed: values (B, D), known (B, N) -> tokens (B, N, C).
        net: tokens, condition, order -> features (B, N, C) of all blocks.
        head: of blocks.
        condition: y, B rows.
    """

    one_at_a_time = False

    def __init__(self, space: Space, plan: Order, embed: BlockEmbedding, net: nn.Module, head: BlockHead,
                 condition: Condition) -> None:
        super().__init__(space, len(condition.pooled), list(range(space.dimensions)), condition.pooled.device)
        self.plan, self.embed, self.net, self.head, self.y = plan, embed, net, head, condition
        self.any_order, self.kind = plan.learns_all, head.kind
        self.size = embed.blocks.shape[1]
        self._follow(None)

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
        y = self.y if self.n == len(row) else self.y.rows(row)
        found = torch.zeros(values.shape, dtype=torch.float64, device=self.device)
        given = None if self.evidence is None else self._known_blocks(self.evidence.scored).all(0)
        for k, group in enumerate(self.groups):
            if given is not None and bool(given[group].all()):
                continue
            features = self._features(values, known & (self.step < k), y)[:, group]
            mine = self.embed.blocks[group]
            score = block_scores(self.head(features), values[:, mine.flatten()], len(group), noise.fold(k))
            found[:, mine[:, -1]] = torch.where(known[:, group], score, 0.0)
        return found.reshape(*x.flat(self.space).tensor.shape)

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
        known, weight = self._at_random(seen, noise)
        features = self._features(values, known, self.y)
        each = self.head.loss(features, values[:, self.embed.blocks.flatten()], noise.fold("head"))
        scored = flat.scored[:, self.embed.blocks[:, -1]] & (weight > 0)
        return torch.where(scored, each * weight, 0.0).sum(-1)

    def _at_random(self, seen: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Which blocks (B, N) are known, and the weight (B, N) of every other. Every order: so many of n at random as a step of
        one block would have, whose sum over the others is n / (n - t) times one's. One order: a group at random, of K."""
        pick = noise.fold("group").uniform()
        if not self.any_order:
            at = (pick * len(self.groups)).long()[:, None]
            return seen & (self.step < at), (self.step == at) * float(len(self.groups))
        u = torch.where(seen, noise.fold("order").uniform((), seen.shape[1:]), 2.0)
        n = seen.sum(1)
        t = (pick * n).long()
        known = u.argsort(1).argsort(1) < t[:, None]
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
            mine = self if len(patterns) == 1 else self._but(n=len(rows), y=self.y.rows(rows))
            groups.append((rows, mine._given(flat.rows(rows), seen.cpu())))
        return groups[0][1] if len(groups) == 1 else RowGroups(groups, self.space)

    def _given(self, evidence: Entries, seen: Tensor | None) -> BlockChain:
        distribution = copy.copy(self)
        distribution.evidence, distribution.kind = evidence, self.kind_of_part
        distribution._follow(seen)
        return distribution

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)
        return State(0, nothing, self.y, _Nothing())

    def next(self, state: State) -> Any:
        k = self.group_of[state.t]
        known = (self.step < k).expand(len(state.values), -1)
        assert state.condition is not None
        features = self._features(state.values, known, state.condition)[:, self.groups[k]]
        return self.head(features[:, 0] if self.ends[state.t] == state.t + 1 else features)

    def advance(self, state: State, entries: Tensor) -> State:
        end = self.ends[state.t]
        state.values[:, self.order[state.t:end]] = entries.reshape(len(entries), -1).double()
        return replace(state, t=end)
