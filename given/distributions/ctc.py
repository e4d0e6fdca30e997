"""CTC: a text read off frames one after another, whatever the alignment (connectionist temporal classification).

    p(x) = sum over paths a that collapse to x of prod_t p_t(a_t)

Every frame has a symbol or a blank, independent of the others. Such a path collapses to the text that is left when of
neighbours that are alike one is kept, and blanks fall away; so a blank parts two symbols of a text that are alike. A text
longer than there is room for is cut.

With s_t and b_t the probabilities that the first t frames collapse to x_1 ... x_n and end in its last symbol, or in a blank,

    P(x_1 ... x_n v ...) = sum_t (b_t-1 + [v is not x_n] s_t-1) p_t(v),    P(x_1 ... x_n) = s_T + b_T,

so that the law of the next symbol is exact, and texts are drawn, scored and searched symbol by symbol. Both recursions are
linear, and solved for all frames at once in logarithms.

Source: Graves, Fernandez, Gomez, Schmidhuber, Connectionist temporal classification, 2006 /
https://www.cs.toronto.edu/~graves/icml_2006.pdf
Graves, Supervised sequence labelling with recurrent neural networks, 2012, 7.5 (the law of a prefix)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from given.distributions.beam_searched import BeamSearched
from given.distributions.categorical import Categorical
from given.distributions.sequential import Sequential, State
from given.nn.readers.tokens import last_of, rounded
from given.variables import Entries, Finite

__all__ = ["CTC"]

_NEVER = -1e30  # log of nothing, of which differences and slopes are numbers
_BEAMS = 8


@dataclass(frozen=True)
class _Paths:
    """Paths that collapse to the N texts so far, after every number of frames.

    Attributes:
        row: (N,) which of the B rows each text is of.
        last: (N,) its last symbol; the blank of none.
        symbol, blank: (N, 1 + T) log s and log b.
        begun: (N,) log P(x_1 ... x_n ...).
    """

    row: Tensor
    last: Tensor
    symbol: Tensor
    blank: Tensor
    begun: Tensor

    def rows(self, index: Tensor) -> _Paths:
        return _Paths(*(t[index] for t in vars(self).values()))


class CTC(Sequential):
    """Texts of B rows.

    Args:
        logits: (B, T, V), of the symbols of every frame, that of the end standing for the blank.
        length: (B,) how many of the T frames a row has.
        space: finite, on one axis whose length is modelled.
    """

    def __init__(self, logits: Tensor, length: Tensor, space: Finite) -> None:
        super().__init__(space, len(logits), list(range(space.dimensions)), logits.device)
        self.frames, self.length = logits.double().log_softmax(-1), length
        self.last = torch.arange(logits.shape[1], device=logits.device) < length[:, None]
        self.close = int(space.end)  # type: ignore[arg-type]

    def each(self, x: Entries) -> Tensor:
        flat, row = self._whole(x)
        D, reach = len(self.order), flat.reach
        if reach < 0:
            self._check_first(flat.readable)
        upto = rounded(reach, D) if reach >= 0 else last_of(flat.readable)
        values, paths = torch.where(flat.readable, flat.tensor, 0).long(), self._none(row)
        found = list[Tensor]()
        for v in values[:, :min(upto, D - 1)].unbind(1):
            after, whole = self._after(paths, v), self._whole_text(paths)
            found.append(_possible(torch.where(v == self.close, whole, after.begun) - paths.begun))
            paths = after
        each = torch.stack(found, 1) if found else torch.zeros(len(row), 0, dtype=torch.float64, device=self.device)
        return F.pad(each, (0, D - each.shape[1])).reshape(x.flat(self.space).tensor.shape)

    def start(self) -> State:
        nothing = torch.zeros(self.n, len(self.order), dtype=torch.float64, device=self.device)
        return State(0, nothing, None, self._none(torch.arange(self.n, device=self.device)))

    def next(self, state: State) -> Categorical:
        paths: _Paths = state.cache
        frames, there = self.frames[paths.row], self.last[paths.row]
        same = torch.arange(self.space.size, device=self.device) == paths.last[:, None]  # type: ignore[attr-defined]
        before = torch.where(same[:, None], paths.blank[:, :-1, None], _either(paths)[:, :-1, None])
        begun = (before + frames).masked_fill(~there[..., None], _NEVER).logsumexp(1)
        ends = torch.arange(begun.shape[1], device=self.device) == self.close
        each = torch.where(ends, self._whole_text(paths)[:, None], begun) - paths.begun[:, None]
        possible = torch.where(paths.begun[:, None] > _NEVER / 2, _possible(each), 0.0)  # after what cannot be, anything
        distribution = Categorical(possible)
        self._ending(distribution, state.t)
        return distribution

    def advance(self, state: State, entries: Tensor) -> State:
        state.values[:, state.t] = entries
        return replace(state, t=state.t + 1, cache=self._after(state.cache, entries.long()))

    def mode(self) -> Entries:
        """The most probable text that a beam finds: (B, D)."""
        return BeamSearched(self, _BEAMS).sample()

    def _none(self, row: Tensor) -> _Paths:
        """Of empty texts."""
        blank = F.pad(self.frames[row, :, self.close].cumsum(1), (1, 0))
        last, symbol = torch.full_like(row, self.close), torch.full_like(blank, _NEVER)
        return _Paths(row, last, symbol, blank, torch.zeros_like(blank[:, 0]))

    def _after(self, paths: _Paths, v: Tensor) -> _Paths:
        """Of texts with one more symbol (N,)."""
        frames, blank = self.frames[paths.row, :, v], self.frames[paths.row, :, self.close]
        again = (v == paths.last)[:, None]
        enters = torch.where(again, paths.blank, _either(paths))[:, :-1] + frames
        begun = enters.masked_fill(~self.last[paths.row], _NEVER).logsumexp(1)
        symbol = F.pad(_summed(enters, frames), (1, 0), value=_NEVER)
        return _Paths(paths.row, v, symbol, F.pad(_summed(symbol[:, :-1] + blank, blank), (1, 0), value=_NEVER), begun)

    def _whole_text(self, paths: _Paths) -> Tensor:
        """(N,) log P(x_1 ... x_n) of the texts so far, ended."""
        return _either(paths).gather(1, self.length[paths.row, None])[:, 0]


def _either(paths: _Paths) -> Tensor:
    """(N, 1 + T) log (s + b)."""
    return torch.logaddexp(paths.symbol, paths.blank)


def _summed(terms: Tensor, factor: Tensor) -> Tensor:
    """log h (N, T) of h_t = f_t h_t-1 + u_t, from log u and log f."""
    upto = factor.cumsum(1)
    return upto + (terms - upto).logcumsumexp(1)


def _possible(log_p: Tensor) -> Tensor:
    """Minus infinity where there is nothing."""
    return log_p.masked_fill(log_p < _NEVER / 2, -torch.inf)
