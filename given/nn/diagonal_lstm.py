"""DiagonalLSTM: LSTMs that run along the diagonals of a grid, from the left and from the right.

    i, f, o, g = K x + M h_beside + N h_above + u y        c = f c_beside + i g        h = o tanh(c)        x <- x + R (h + h')

A state reads its neighbours beside and above, so a whole diagonal is computed at once and a state knows everything above to
one side. Those from the right, h', come from the line above and depend on no pixel yet to be drawn; together the two
know every pixel drawn before. From the left alone (`both=False`) a state knows the rectangle above and to the left, which comes
first in any order that draws the neighbours beside and above first: `Wavefront`, a diagonal a step, is one.

Source: van den Oord, Kalchbrenner, Kavukcuoglu, Pixel recurrent neural networks, 2016 / https://arxiv.org/abs/1601.06759
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from given.nn.causal import Cache, Causal
from given.nn.context import Condition
from given.nn.dropout import Dropout
from given.nn.linear import Linear
from given.nn.order import Grid
from given.nn.row_layout import RowLayout, Run
from given.nn.row_lstm import cell
from given.variables import UserError

__all__ = ["DiagonalLSTM"]

# Shapes: B rows, L lines of W pixels of d entries, C width, S sides (left, right), n layers, G steps at once.


class DiagonalLSTM(Causal):
    """Residual layers of LSTMs along the diagonals.

    Args:
        grid, attends: as of every net.
        order: line by line, as `Raster`, `Reverse` or `ColumnMajor` draw; from the left alone, on a grid of two axes, any that
            draws the neighbours to the left and above first.
        width: C, of the features and of the state of an entry.
        layers: n, how many.
        both: whether from both sides.
        dropout: probability, while training.
    """

    def __init__(self, grid: Grid, *, order: Tensor | None = None, attends: bool = False, width: int = 32, layers: int = 4,
                 both: bool = True, dropout: float = 0.1) -> None:
        super().__init__(attends=attends)
        if layers < 1:
            raise UserError(f"DiagonalLSTM: layers={layers}; expected 1 or more")
        self.width, self.needs = width, list[int]()
        self.at: Tensor | None
        self.register_buffer("at", None, persistent=False)
        try:
            self.lines = RowLayout.of(grid, order, "DiagonalLSTM")
        except UserError:
            if both or order is None or grid.places.shape[1] != 2:
                raise UserError("DiagonalLSTM: from both sides it expects a grid of two axes or more drawn line by line, as by "
                                "Raster, Reverse or ColumnMajor; use both=False for Wavefront, or another net") from None
            self._place(grid.places, order)
        self.layers = nn.ModuleList(_Layer(self.lines, width, 1 + both, dropout) for _ in range(layers))
        self.out = Linear(width, width)

    def _place(self, places: Tensor, order: Tensor) -> None:
        """Where every step is on the grid, and before how many steps its neighbours have been drawn."""
        L, W = (int(places[:, axis].max()) + 1 for axis in (0, 1))
        self.lines, drawn = RowLayout(L, W, 1), places[order]
        rank = torch.full((L + 1, W + 1), -1)
        rank[drawn[:, 0] + 1, drawn[:, 1] + 1] = torch.arange(len(order))
        needs = torch.maximum(rank[drawn[:, 0] + 1, drawn[:, 1]], rank[drawn[:, 0], drawn[:, 1] + 1]) + 1
        if bool((needs > torch.arange(len(order))).any()):
            raise UserError("DiagonalLSTM: expected an order that draws the neighbours to the left and above before an entry, "
                            "as Raster or Wavefront; use another net")
        self.at, self.needs = drawn[:, 0] * W + drawn[:, 1], needs.tolist()

    def forward(self, h: Tensor, y: Condition, order: Tensor) -> Tensor:
        x = self.lines.laid(h if self.at is None else h[:, self.at.argsort()])
        for layer in self.layers:
            x = layer(x, y.pooled)
        x = self.lines.taken(x)
        return self._out(x if self.at is None else x[:, self.at])

    def start(self, y: Condition) -> Cache:
        with torch.no_grad():
            return Sides(self, y) if self.at is None else Cells(self, y)

    def step(self, h: Tensor, order: Tensor, t: int, cache: Any) -> Tensor:
        with torch.no_grad():
            if self.at is None:
                found = [cache.take(h[:, run.steps], run) for run in self.lines.runs(t, h.shape[1])]
                return self._out(found[0] if len(found) == 1 else torch.cat(found, 1))
            found, first, end = [], t, t + h.shape[1]
            while first < end:
                last = first + 1
                while last < end and self.needs[last] <= first:
                    last += 1
                found.append(cache.take(h[:, first - t:last - t].transpose(0, 1), self.at[first:last]))
                first = last
            return self._out(torch.cat(found)).transpose(0, 1)

    def _out(self, x: Tensor) -> Tensor:
        return F.relu(self.out(F.relu(x)))


class _Layer(nn.Module):
    def __init__(self, lines: RowLayout, width: int, sides: int, dropout: float) -> None:
        super().__init__()
        C, d = width, lines.depth
        self.lines, self.sides = lines, sides
        bound = (3 * d * C) ** -0.5
        self.own = nn.Parameter(torch.empty(sides, d * C, 4 * d * C).uniform_(-bound, bound))
        self.near = nn.Parameter(torch.empty(sides, 2 * d * C, 4 * d * C).uniform_(-bound, bound))  # beside, above
        self.condition, self.grow = Linear(C, 4 * C * sides), Linear(C, C, bias=False)
        nn.init.ones_(self.condition.bias.view(sides, 4, C)[:, 1])  # type: ignore[union-attr]
        self.drop = Dropout(dropout)
        cells = torch.arange(lines.count * lines.length).view(lines.count, lines.length)
        self.ranges = [(max(0, k - lines.length + 1), min(lines.count, k + 1)) for k in range(lines.count + lines.length - 1)]
        along = torch.tensor([[i, k - i] for k, (a, b) in enumerate(self.ranges) for i in range(a, b)])
        self.mask: Tensor
        self.along: Tensor
        self.register_buffer("mask", lines.mask(C, 4 * C).mT.contiguous(), persistent=False)
        self.register_buffer("along", torch.stack([grid[along[:, 0], along[:, 1]] for grid in (cells, cells.flip(1))[:sides]]),
                             persistent=False)  # (S, L W) the pixels, diagonal by diagonal

    def forward(self, x: Tensor, pooled: Tensor) -> Tensor:
        """(B, L, W, d C) -> (B, L, W, d C)."""
        (B, L, W, _), S, d = x.shape, self.sides, self.lines.depth
        read = x.flatten(1, 2).transpose(0, 1)[self.along]  # (S, L W, B, d C)
        added = self.condition(pooled).view(B, S, 1, -1).permute(1, 2, 0, 3)
        pre = torch.bmm(read.flatten(1, 2), self.own * self.mask).view(S, L * W, B, d, -1) + added[..., None, :]
        states = self._run(pre)
        h = states[0][self.along[0].argsort()].view(L, W, B, -1)
        if S == 2:
            h = h + F.pad(states[1][self.along[1].argsort()].view(L, W, B, -1)[:-1], (0, 0, 0, 0, 0, 0, 1, 0))
        grown = self.grow(h.permute(2, 0, 1, 3).unflatten(3, (d, -1)))
        return x + self.drop(grown).flatten(3)

    def _run(self, pre: Tensor) -> Tensor:
        """Gates (S, L W, B, d, 4 C) before the states are added -> states (S, L W, B, d C), diagonal by diagonal."""
        S, _, B, d, C = *pre.shape[:4], pre.shape[4] // 4
        h, c, first, found = pre.new_zeros(S, 0, B, d * C), pre.new_zeros(S, 0, B, d, C), 0, []
        for (a, b), gates in zip(self.ranges, pre.split([b - a for a, b in self.ranges], 1), strict=True):
            at, n = a - first, b - a
            h, c = F.pad(h, (0, 0, 0, 0, 1, 1)), F.pad(c, (0, 0, 0, 0, 0, 0, 0, 1))
            near = torch.cat([h[:, at + 1:at + 1 + n], h[:, at:at + n]], 3)
            gates = torch.baddbmm(gates.reshape(S, n * B, -1), near.flatten(1, 2), self.near).view(gates.shape)
            state, c = cell(gates, c[:, at:at + n])
            h, first = state.flatten(3), a
            found.append(h)
        return torch.cat(found, 1)


class Sides:
    """The cache of a `DiagonalLSTM` that draws line by line: of each layer the present line and its states from the left, what
    the line above adds to their gates, and the states from the right of the line above.

    Args:
        net: whose weights are laid out for steps.
        y: the condition, B rows.
    """

    def __init__(self, net: DiagonalLSTM, y: Condition) -> None:
        layers: Any = net.layers
        B, (W, d), C, n = len(y.pooled), (net.lines.length, net.lines.depth), net.width, len(net.layers)
        self.W, self.d, self.C = W, d, C
        own = torch.stack([layer.own * layer.mask for layer in layers], 1)
        near = torch.stack([layer.near for layer in layers], 1)
        self.own, self.beside, self.above = own, near[:, :, :d * C], near[:, :, d * C:]  # (S, n, d C, 4 d C)
        self.of = [[(own[0, k, :, i].contiguous(), self.beside[0, k, :, i].contiguous()) for k in range(n)]
                   for i in (slice(4 * i * C, 4 * (i + 1) * C) for i in range(d))]
        self.grow = [layer.grow.weight for layer in layers]
        added = torch.stack([layer.condition(y.pooled).view(B, -1, 4 * C) for layer in layers])  # (n, B, S, 4 C)
        self.left, *right = added.repeat(1, 1, 1, d).unbind(2)
        new = y.pooled.new_zeros
        self.right = right[0] if right else None
        self.line, self.h, self.c = new(n, B, W * d * C), new(n, B, (W + 1) * d * C), new(n, B, d * C)
        self.base, self.other = new(n, B, W, 4 * d * C), new(n, B, W, d * C)
        self._room()

    def _room(self) -> None:
        """Room for the results of a step, and views of what it reads and writes, made as they are asked for."""
        B, C, new = self.h.shape[1], self.C, self.h.new_empty
        self.x, self.sum, self.pre = new(B, C), new(B, C), new(B, 4 * C)
        self.gates, self.candidate = self.pre[:, :3 * C], self.pre[:, 3 * C:]
        self.i, self.f, self.o = self.gates.chunk(3, -1)
        self.views: dict[int, list[tuple[Tensor, ...]]] = {}

    def rows(self, index: Tensor) -> Sides:
        """The rows `index`, copied."""
        some = copy.copy(self)
        some.left, some.line, some.h, some.c, some.base, some.other = (
            kept[:, index] for kept in (self.left, self.line, self.h, self.c, self.base, self.other))
        some.right = None if self.right is None else self.right[:, index]
        some._room()
        return some

    def take(self, x: Tensor, run: Run) -> Tensor:
        """Tokens (B, G, C) of the steps of a run -> (B, G, C)."""
        if run.pixel == 0 and not run.entry:
            self._begin(run.line)
        first = run.pixel * self.d + (run.entry or 0)
        return torch.stack([self._one(h, first + k).clone() for k, h in enumerate(x.unbind(1))], 1)

    def _begin(self, line: int) -> None:
        n, B, W, size = self.other.shape
        if line and self.right is not None:  # from the right along the line that is now above
            pre = torch.bmm(self.line.view(n, B * W, size), self.own[1])
            pre.baddbmm_(self.other.view(n, B * W, size), self.above[1])
            pre = pre.view(n, B, W, -1) + self.right[:, :, None]
            h, c = pre.new_zeros(n, B, size), pre.new_zeros(n, B, self.d, self.C)
            for j in reversed(range(W)):
                gates = torch.baddbmm(pre[:, :, j], h, self.beside[1])
                state, c = cell(gates.unflatten(2, (self.d, -1)), c)
                h = state.flatten(2)
                self.other[:, :, j] = h
        above = torch.bmm(self.h[:, :, size:].reshape(n, B * W, size), self.above[0]).view(n, B, W, -1)
        torch.add(above, self.left[:, :, None], out=self.base)
        self.c.zero_()

    def _one(self, x: Tensor, entry: int) -> Tensor:
        """An entry of the line: (B, C) -> (B, C), in as few calls as it takes."""
        views = self.views.get(entry) or self._look(entry)
        views[0][0].copy_(x)
        for slot, line, base, own, before, beside, state, c, other, grow, after in views:
            torch.addmm(base, line, own, out=self.pre)
            self.pre.addmm_(before, beside)
            self.gates.sigmoid_()
            self.candidate.tanh_()
            c.mul_(self.f).addcmul_(self.i, self.candidate)
            torch.tanh(c, out=self.sum)
            torch.mul(self.o, self.sum, out=state)
            if self.right is not None:
                torch.add(state, other, out=self.sum)
            torch.addmm(slot, state if self.right is None else self.sum, grow, out=after)
        return self.x

    def _look(self, entry: int) -> list[tuple[Tensor, ...]]:
        """Of each layer what one step writes, reads and multiplies by."""
        (pixel, i), C, size = divmod(entry, self.d), self.C, self.d * self.C
        at, mine, gates = pixel * size, slice(i * C, (i + 1) * C), slice(4 * i * C, 4 * (i + 1) * C)
        slots = [*(line[:, at:at + size][:, mine] for line in self.line), self.x]
        views: list[tuple[Tensor, ...]] = [
            (slots[n], line[:, at:at + size], self.base[n, :, pixel, gates], self.of[i][n][0], self.h[n, :, at:at + size],
             self.of[i][n][1], self.h[n, :, at + size:at + 2 * size][:, mine], self.c[n, :, mine],
             self.other[n, :, pixel, mine], self.grow[n], slots[n + 1]) for n, line in enumerate(self.line)]
        self.views[entry] = views
        return views


class Cells:
    """The cache of a `DiagonalLSTM` in any order: states and memories (n, (L + 1) (W + 1), B, C) of all pixels, of which a
    first line and a first column are outside the grid.

    Args:
        net: whose weights are laid out for steps.
        y: the condition, B rows.
    """

    def __init__(self, net: DiagonalLSTM, y: Condition) -> None:
        layers: Any = net.layers
        self.W, cells = net.lines.length, (net.lines.count + 1) * (net.lines.length + 1)
        self.h, self.c = y.pooled.new_zeros(2, len(layers), cells, len(y.pooled), net.width)
        self.weights = [(torch.cat([layer.own[0], layer.near[0]]), layer.grow.weight) for layer in layers]
        self.added = [layer.condition(y.pooled) for layer in layers]

    def rows(self, index: Tensor) -> Cells:
        """The rows `index`, copied."""
        some = copy.copy(self)
        some.h, some.c, some.added = self.h[:, :, index], self.c[:, :, index], [a[index] for a in self.added]
        return some

    def take(self, x: Tensor, pixels: Tensor) -> Tensor:
        """Tokens (G, B, C) of pixels (G,) that do not read one another -> (G, B, C)."""
        above = pixels + torch.div(pixels, self.W, rounding_mode="floor") + 1
        beside = above + self.W
        for h, c, (weight, grow), added in zip(self.h, self.c, self.weights, self.added, strict=True):
            state, memory = cell(torch.cat([x, h[beside], h[above]], 2) @ weight + added, c[beside])
            h[beside + 1], c[beside + 1] = state, memory
            x = x + state @ grow
        return x
