"""MarkovChain: slices of a grid along its first axis, each given the last few and y.

    p(x | y) = prod_t p(x_t | x_{t-K}, ..., x_{t-1}, y_t)

Slices are drawn one after another, and what is known has to come first: whole slices, and of the one after them a part where
the distribution of a slice can be conditioned on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from given.distributions.distribution import Distribution, How, Intractable, Kind, weakest
from given.distributions.noise import Noise
from given.variables import Entries, Space

__all__ = ["MarkovChain"]


class MarkovChain(Distribution):
    """B chains of slices.

    Args:
        space: of the grid; its first axis is that of the slices.
        n: B.
        next: the values before a slice (N, K, *slice) as entries, unseen where there was none; the number t of the slice; and
            which of the B rows each of the N is of -> its distribution.
        before: (B, K, *slice) what came before the first slice.
    """

    def __init__(self, space: Space, n: int, next: Callable[[Entries, int, Tensor], Distribution], before: Entries,
                 device: torch.device | str = "cpu") -> None:
        super().__init__(space, n, device)
        self.next, self.before, self.hows = next, before, tuple[How, ...]()
        self.K, self.steps = before.tensor.shape[1], space.shape[0]
        first = self._at(before, 0, torch.arange(n, device=self.device))
        self.kind, self._part = first.kind, first.kind_of_part

    @property
    def kind_of_part(self) -> Kind:
        return weakest([self.kind, self._part])

    def _at(self, window: Entries, t: int, row: Tensor) -> Distribution:
        """Of slice t, in the way that is asked for."""
        distribution = self.next(window, t, row)
        for how in self.hows:
            distribution = distribution._by(how)
        return distribution

    def _by(self, how: How) -> Distribution:
        first = self._at(self.before, 0, torch.arange(self.n, device=self.device))
        changed = first._by(how)
        return self if changed is first else self._but(hows=(*self.hows, how), kind=changed.kind, _part=changed.kind_of_part)

    def draw(self, shape: Sequence[int], noise: Noise) -> Entries:
        draws, e = torch.Size(shape).numel(), self.evidence
        row = torch.arange(self.n, device=self.device)
        window, found = self.before, list[Tensor]()
        for t in range(self.steps):
            known = None if e is None else e.map(lambda x, t=t: x[:, t]).rows(row)  # type: ignore[misc]
            if known is None or not known.complete:
                distribution = self._at(window, t, row)
                if known is not None and _in_part(known):
                    distribution = distribution.condition(known)
                drawn = distribution.sample((draws,) if t == 0 else (), seed=noise.fold(t))
                values = drawn.tensor.flatten(0, 1) if t == 0 else drawn.tensor  # of one row all draws begin alike
                if known is not None:
                    known = known.rows(torch.arange(self.n, device=self.device).repeat(draws)) if t == 0 else known
                    values = torch.where(known.scored, known.tensor.to(values), values)
            else:
                values = known.tensor.repeat(draws, *[1] * len(self.space.shape[1:])) if t == 0 else known.tensor
            if t == 0:
                row, noise = row.repeat(draws), noise.repeat(draws) if shape else noise
                window = self.before.rows(row)
            found.append(values)
            window = _moved(window, values)
        return Entries(torch.stack(found, 1).reshape(*shape, self.n, *self.space.shape))

    def log_prob(self, x: Entries, *, seed: int | Noise = 0) -> Tensor:
        lead = x.tensor.shape[:x.tensor.dim() - len(self.space.axes) - 1]
        flat = x.map(lambda t: t.reshape(-1, *self.space.shape))
        draws, e = lead.numel(), self.evidence
        row = torch.arange(self.n, device=self.device).repeat(draws)
        flat = flat if e is None else e.rows(row).or_else(flat)
        open_ = flat.scored if e is None else flat.scored & ~e.rows(row).scored
        self._check_first(flat.readable, open_)
        noise, window = Noise.of(seed, self.n, device=self.device), self.before.rows(row)
        total = torch.zeros(len(row), dtype=torch.float64, device=self.device)
        for t in range(self.steps):
            slice_ = flat.map(lambda v, t=t: v[:, t])  # type: ignore[misc]
            asked = _rows(open_[:, t]).any(1)
            if bool(asked.any()):
                distribution = self._at(window, t, row)
                if e is not None and _in_part(known := e.map(lambda v, t=t: v[:, t]).rows(row)):  # type: ignore[misc]
                    distribution = distribution.condition(known)
                each = distribution.log_prob(slice_, seed=noise.rows(row).fold(t))
                total = total + torch.where(asked, each, 0.0)
            window = _moved(window, slice_.tensor)
        return total.reshape(*lead, self.n)

    def mean(self) -> Entries:
        """Of one slice that of its distribution; of several `Intractable`, but by draws."""
        if self.steps > 1 or self.evidence is not None:
            return super().mean()
        first = self._at(self.before, 0, torch.arange(self.n, device=self.device)).mean()
        return first.map(lambda v: v[:, None])

    def condition(self, evidence: Entries) -> Distribution:
        known = self._and(Entries(evidence.tensor, evidence.readable))
        self._check_first(known.scored, known.scored)
        return self._but(evidence=known)

    def _check_first(self, known: Tensor, asked: Tensor) -> None:
        """Raises `Intractable` where something is asked after a slice that is not known whole."""
        whole, some = known[..., None].flatten(2).all(2), asked[..., None].flatten(2).any(2)
        if bool((some[:, 1:] & ~whole[:, :-1].cumprod(1).bool()).any()):
            name = self.space.axes[0].called
            raise Intractable(f"what is known has to come first along {name}, and each {name} whole but the last; leave "
                              f"out what comes after the first {name} that is not known whole")


def _moved(window: Entries, values: Tensor) -> Entries:
    """The window (N, K, *slice) once the next slice (N, *slice) is known."""
    if not window.tensor.shape[1]:
        return window
    seen = torch.ones_like(values[:, None], dtype=torch.bool)
    return Entries(torch.cat([window.tensor[:, 1:], values[:, None].to(window.tensor)], 1),
                   torch.cat([window.readable[:, 1:], seen], 1))


def _rows(mask: Tensor) -> Tensor:
    """(N, *slice) -> (N, entries)."""
    return mask.reshape(len(mask), -1)


def _in_part(known: Entries) -> bool:
    """Whether of some row a part of a slice is known, and not the whole."""
    seen = _rows(known.scored)
    return bool((seen.any(1) & ~seen.all(1)).any())
