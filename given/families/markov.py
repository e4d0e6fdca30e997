"""Markov: a grid slice by slice along its first axis, each slice given the last few.

    p(x | y) = prod_t p(x_t | x_{t-K}, ..., x_{t-1}, y_t)

One family of a slice serves all t: a film is learned by a family of pictures that reads the last K frames as channels of the
place where they stand. y_t is the slice at t of a parent that shares the axis, and the whole of any other. What came before the
first slice is unseen, or is the end of a parent: so a film goes on after the one that is given. `log_prob` is of the kind of
the family's; what is known has to come first.

Learning takes all slices of a row, or some at random, whose losses are scaled to the sum of all: as many rows more for the same
time. What is read of the past may be blurred by noise, of a scale drawn for every slice of it, so that frames that were
drawn, which are never quite true, are read as true ones are, and none is relied on alone.

Source: Ho et al., Video diffusion models, 2022 / https://arxiv.org/abs/2204.03458
Ho et al., Cascaded diffusion models, 2021 / https://arxiv.org/abs/2106.15282 (conditioning augmentation)
Chen et al., Diffusion forcing, 2024 / https://arxiv.org/abs/2407.01392 (a scale a frame)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from given import distributions
from given.codecs import IdentityCodec
from given.conditional import Conditional, free_name
from given.distributions import Noise
from given.lessons import Descend, Lesson, Loss
from given.variables import Axis, Entries, Finite, Observed, Product, Space, UserError, Variable

__all__ = ["Markov"]


class Markov(Conditional):
    """Slices along the first axis, each given the last few.

    Args:
        x: a grid whose first axis has a fixed length, such as the frames of a film.
        parents: of any space.
        family: builds the conditional of a slice from its variable and its parents, `last` among them: the last slices as
            channels, (*slice, order).
        order: K, how many slices before one are read.
        after: the parent that x goes on after, on the same axes, of K slices at least along the first; None where nothing came
            before.
        steps: slices of a row, drawn at random, that a step of learning takes; None for all.
        blur: the largest standard deviation of the noise on slices that are read while learning, as a share of the levels, or
            in units of the reals.

    Raises:
        UserError: x is no such grid, `after` names no parent or one on other axes, or the family is not learned by gradient.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *,
                 family: Callable[..., Conditional] | None = None, order: int = 2, after: str | None = None,
                 steps: int | None = None, blur: float = 0.0) -> None:
        super().__init__(x, parents)
        space = x.space
        if isinstance(space, Product) or not space.axes or space.axes[0].length != "fixed":
            raise UserError(f"Markov: {x.name}: expected a grid with an axis of a fixed length, got {space}; use "
                            "Autoregressive")
        if family is None:
            raise UserError(f"Markov: {x.name}: expected family=, a family of one slice; pass partial(Markov, "
                            "family=Regression)")
        if order < 1 or (steps is not None and not 1 <= steps <= space.shape[0]) or blur < 0:
            raise UserError(f"Markov: {x.name}: order={order}, steps={steps}, blur={blur}; expected an order from 1, steps "
                            f"from 1 to {space.shape[0]}, and a blur from 0")
        if blur and isinstance(space, Finite) and not space.ordered:
            raise UserError(f"Markov: {x.name}: blur={blur} is of levels and reals, got {space}; leave it out")
        self.order, self.after, self.steps, self.blur = order, after, steps, blur
        self.axis, self.slice = space.axes[0], _slice(space)
        past = replace(space, axes=(*self.slice.axes, Axis("last", order, role="channel")))
        self.last = Variable(free_name("last", [x.name, *(v.name for v in self.parents)]), IdentityCodec(past))
        self._check_after()
        inner = [Variable(v.name, IdentityCodec(_slice(v.space))) if self._cut(v) else v
                 for v in self.parents if v.name != after]
        self.inner = family(Variable(x.name, IdentityCodec(self.slice)), [self.last, *inner])
        lessons = self.inner.lessons()
        if not lessons or not all(isinstance(lesson, Descend) for lesson in lessons):
            raise UserError(f"Markov: {x.name}: {type(self.inner).__name__} is not learned by descent; use a family with a "
                            "net, such as FlowMatching or Regression")

    def forward(self, y: Observed) -> distributions.MarkovChain:
        def following(window: Entries, t: int, row: Tensor) -> distributions.Distribution:
            at = torch.full_like(row, t)
            return self.inner(self._given(window, y.rows(row), at))

        return distributions.MarkovChain(self.x.space, y.n, following, self._before(y), self._device(y))

    def lessons(self) -> list[Lesson]:
        return [replace(lesson, loss=partial(self._loss, lesson.loss)) for lesson in self.inner.lessons()
                if isinstance(lesson, Descend)]

    def _loss(self, of: Loss, x: Entries, y: Observed, *, seed: int | Noise = 0) -> Tensor:
        """(B,) the sum of a slice's losses, or what some slices say of it."""
        T, noise = self.axis.size, Noise.of(seed, y.n, device=self._device(y))
        every = Entries.cat([self._before(y), Entries(x.tensor, x.readable)], 1)
        total = torch.zeros(y.n, dtype=torch.float64, device=self._device(y))
        first = (noise.fold("slice").uniform() * T).long() if self.steps is not None else torch.zeros_like(total).long()
        row = torch.arange(y.n, device=total.device)
        for k in range(self.steps or T):
            t = (first + k * T // (self.steps or T)) % T
            window = every.map(lambda v, t=t: v[row[:, None], t[:, None] + torch.arange(self.order, device=v.device)])  # type: ignore[misc]
            window = self._blurred(window, noise.fold("blur").fold(k)) if self.blur and self.training else window
            one = x.map(lambda v, t=t: v[row, t])  # type: ignore[misc]
            total = total + of(one, self._given(window, y, t), seed=noise.fold("inner").fold(k))
        return total * (T / (self.steps or T))

    def _before(self, y: Observed) -> Entries:
        """(B, K, *slice) what came before the first slice."""
        if self.after is not None:
            return y[self.after].map(lambda v: v[:, -self.order:])
        shape = (y.n, self.order, *self.slice.shape)
        whole = isinstance(self.slice, Finite)
        values = torch.zeros(shape, dtype=torch.int64 if whole else torch.float64, device=self._device(y))
        return Entries(values, torch.zeros(shape, dtype=torch.bool, device=values.device))

    def _given(self, window: Entries, y: Observed, t: Tensor) -> Observed:
        """What the family of a slice is given: the slices before (B, K, *slice), and y at t (B,)."""
        row = torch.arange(y.n, device=t.device)
        cut = {v.name: y[v.name].map(lambda e: e[row, t]) if self._cut(v) else y[v.name]
               for v in self.parents if v.name != self.after}
        return Observed({self.last.name: window.map(lambda v: v.movedim(1, -1)), **cut}, y.n)

    def _blurred(self, window: Entries, noise: Noise) -> Entries:
        """Slices (B, K, *slice) with noise, each of a scale of its own."""
        scale = noise.fold("scale").uniform((), (self.order,)) * self.blur
        scale = scale.reshape(*scale.shape, *[1] * (window.tensor.dim() - 2))
        off = noise.normal((), window.tensor.shape[1:]) * scale
        if not isinstance(self.slice, Finite):
            return window.of(window.tensor + off)
        V = self.slice.size
        return window.of((window.tensor + off * V).round().long().clamp(0, V - 1))

    def _cut(self, v: Variable) -> bool:
        """Whether a parent has a slice for every one of x."""
        return not isinstance(v.space, Product) and bool(v.space.axes) and v.space.axes[0].shares(self.axis)

    def _check_after(self) -> None:
        if self.after is None:
            return
        found = next((v for v in self.parents if v.name == self.after), None)
        if found is None:
            raise UserError(f"Markov: {self.x.name}: after={self.after!r} is no parent; expected one of "
                            f"{', '.join(v.name for v in self.parents) or 'none'}")
        own, its = self.x.space, found.space
        if not its.axes or its.shape[0] < self.order or _slice(its) != self.slice:
            raise UserError(f"{self.after}: expected the slices that {self.x.name} goes on after, at least {self.order}, of "
                            f"{self.slice} each; got {its}, beside {own}")

    def _device(self, y: Observed) -> torch.device:
        return self.device if any(True for _ in self.parameters()) else y.device


def _slice(space: Space) -> Space:
    """Of what one slice along the first axis is."""
    return replace(space, axes=space.axes[1:])
