"""BoostedTrees: one number or one symbol, its classes one after another by gradient-boosted trees.

    p(x in k | y) = h_k(y) prod_{j<k} (1 - h_j(y)),    h_k(y) = sigmoid(b + rate sum_t T_t(y, k))
    p(x | y) = p(x in k | y) / width of k    for a number in bin k

The classes are the symbols in their order; of a number, its atoms and bins of about equal mass, by their place on the line.
h_k is the hazard of class k: the probability that x is there where it is in none before. One sum of trees has all hazards, the
number of the class as one more feature, so that classes near one another learn together. All share one imagined row evenly.

A tree cuts along single features. So it is handed sums as well: the linear prediction of x by ridge from every parent of
several numbers, and that from all parents, and how far each lies above the class, or of symbols without order the class's own.
What is unseen of y goes the way at each node that fits best while learning.
Held-out rows choose how many trees are summed. scikit-learn grows them; they are kept as tensors. `log_prob` is exact.

Source: Friedman, Greedy function approximation: a gradient boosting machine, 2001 / https://doi.org/10.1214/aos/1013203451
Tutz, Schmid, Modeling discrete time-to-event data, 2016 (hazards)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional, indicators, vectors_of
from given.lessons import Batch, Deadline, Lesson, Solve, Weigh, deadline_of, seed_of
from given.nn import MOST_LEAVES, leaf_values, leaves_left, numbered
from given.variables import Finite, Observed, Product, Real, UserError, Variable

__all__ = ["BoostedTrees"]

_MOST = 1 << 27  # features of all pairs of a row and a class: 1 GB
_ROUND = 25  # trees between two numbers of them that are tried, and those that show what a tree takes
_AMPLE = 1e9  # seconds: no deadline
_LEVELS = 255  # of a feature, that a tree cuts between
_RIDGE = 1e-3  # of a feature's variance
_AS_IT_IS = np.zeros(0)  # the cuts of the class
_LEAST_WIDTH = 1e-6  # of a bin, in entries' units


class BoostedTrees(Conditional):
    """Gradient-boosted trees of one entry, given at least one parent.

    Args:
        x: one number, with atoms or without, or one symbol.
        parents: at least one, of any space without a modelled length.
        trees: the most that are summed.
        leaves: of a tree, at most.
        rate: that a tree is shrunk by.
        least: pairs of a row and a class in a leaf, at least.
        share: of the features, which a node chooses among, the class too; drawn anew for every node.
        bins: of a number, at most. A conditional much narrower than a bin is seen no finer.

    Learned from the first rows, where all of them have more than 2^27 features in pairs with their classes.

    Raises:
        UserError: no parent, one with an end, or more than one entry.
    """

    plans = ("used",)

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, trees: int = 200, leaves: int = 16,
                 rate: float = 0.1, least: int = 40, share: float = 1.0, bins: int = 20) -> None:
        super().__init__(x, parents)
        if isinstance(x.space, Product) or x.space.dimensions != 1 or x.space.may_end:
            raise UserError(f"BoostedTrees: expected one number or one symbol, got {', '.join(x.columns)}: {x.space}; give "
                            "each column a factor of its own, such as p(a) p(b | a), or use Regression")
        if not self.parents:
            raise UserError(f"BoostedTrees: {self} has no condition to cut along; use Independent")
        for v in self.parents:
            if v.space.may_end:
                raise UserError(f"BoostedTrees: expected parents of one size, got {v.name}: {v.space}; use Regression")
        for name, value, low, high in (
                ("trees", trees, 1, math.inf), ("leaves", leaves, 2, MOST_LEAVES), ("rate", rate, 0, math.inf),
                ("least", least, 1, math.inf), ("share", share, 0, 1), ("bins", bins, 1, math.inf)):
            if not 0 < value or not low <= value <= high:
                expected = f"{f'from {low}' if low else 'above 0'}{f' to {high}' if high < math.inf else ''}"
                raise UserError(f"BoostedTrees {x.name}: {name}={value}; expected a number {expected}")
        self.options = {"learning_rate": rate, "max_leaf_nodes": leaves, "min_samples_leaf": least, "max_features": share}
        self.trees, self.bins = trees, bins
        self.part: Any = x.space  # Real or Finite
        widths = [sum(part.dimensions * indicators(part) for _, part in v.space.parts) for v in self.parents]
        ends = list(pairwise([0, *np.cumsum(widths).tolist()]))
        self.summed = [(a, b) for a, b in ends if b - a > 1] + [(0, sum(widths))] * (len(widths) > 1)
        for name, made in {
                "edges": torch.tensor([-1.0, 1.0]), "order": torch.arange(self._atoms + 1),
                "places": torch.zeros(self._atoms + 1), "share": torch.zeros(()),
                "centre": torch.zeros(sum(widths)), "lines": torch.zeros(sum(widths), self._lines * len(self.summed)),
                "thresholds": torch.zeros(0, 1), "values": torch.zeros(0, 2), "start": torch.zeros(())}.items():
            self.register_buffer(name, made if name == "order" else made.double())
        self.register_buffer("nodes", torch.zeros(0, 1, 3, dtype=torch.int64))
        self.register_buffer("used", torch.tensor(-1))

    edges: Tensor
    order: Tensor
    places: Tensor
    share: Tensor
    centre: Tensor
    lines: Tensor
    start: Tensor
    nodes: Tensor
    thresholds: Tensor
    values: Tensor
    used: Tensor

    def forward(self, y: Observed) -> distributions.Distribution:
        used = len(self.nodes) if int(self.used) < 0 else int(self.used)
        return self._distribution(self._leaves(y, used).sum(-1) + self.start)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._grow), Weigh(self._choose)]

    @property
    def _ordered(self) -> bool:
        return isinstance(self.part, Real) or self.part.ordered or self.part.size == 2

    @property
    def _lines(self) -> int:
        """Numbers that say which value x has: one, or the indicators of symbols without order."""
        return 1 if self._ordered else self.part.size

    @property
    def _atoms(self) -> int:
        """K, of a number; of symbols one less than there are, since they have no bins."""
        return len(self.part.atoms) if isinstance(self.part, Real) else self.part.size - 1

    def _distribution(self, scores: Tensor) -> distributions.Distribution:
        """From the log-odds (B, K - 1) of hazards."""
        none_before = F.pad(F.logsigmoid(-scores).cumsum(-1), (1, 0))
        log_p = F.pad(F.logsigmoid(scores), (0, 1)) + none_before
        even = torch.full_like(log_p, -math.log(log_p.shape[-1]))
        log_p = torch.logaddexp(torch.log1p(-self.share) + log_p, self.share.log() + even)
        shape = (len(log_p), *self.part.shape, -1)
        if isinstance(self.part, Finite):
            return distributions.Categorical(log_p.reshape(shape), self.part)
        log_p = log_p[:, self.order]  # the atoms, then the bins
        bins = log_p[:, self._atoms:]
        histogram = distributions.Histogram(bins.reshape(shape), self.edges, replace(self.part, atoms=()))
        if not self.part.atoms:
            return histogram
        logits = torch.cat([log_p[:, :self._atoms], bins.logsumexp(-1, keepdim=True)], -1)
        return distributions.Atomic(logits.reshape(shape), histogram, self.part)

    def _leaves(self, y: Observed, used: int) -> Tensor:
        """What the first trees say of every class but the last: (B, K - 1, used)."""
        rows, classes, both = self._features(vectors_of(self.parents, y))
        B, K, first = len(rows), len(classes), rows.shape[1]
        by_row, by_class = self._left(rows, 0, used), self._left(classes, first, used)
        by_both = self._left(both.reshape(B * K, both.shape[-1]), first + 1, used).view(B, K, used)
        return leaf_values(by_row[:, None] & by_class & by_both, self.values[:used])

    def _left(self, features: Tensor, first: int, used: int) -> Tensor:
        """The leaves that nodes leave that ask for these features, the first of which has this number."""
        nodes, thresholds = self.nodes[:used], self.thresholds[:used]
        if not features.shape[1]:
            return torch.full((len(features), used), -1, device=features.device)
        number = nodes[..., 0] - first
        own = (number >= 0) & (number < features.shape[1])
        asked = torch.stack([torch.where(own, number, 0), torch.where(own, nodes[..., 1], 1), nodes[..., 2]], -1)
        return leaves_left(asked, torch.where(own, thresholds, torch.inf), features)

    def _features(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of rows (B, F), of classes but the last (K - 1, 1), and of both (B, K - 1, sums)."""
        lines = (vectors - self.centre).nan_to_num() @ self.lines
        k = torch.arange(len(self.order) - 1, device=vectors.device)
        each = lines.view(len(lines), -1, self._lines)  # (B, sums, 1 or V)
        both = self.places[:-1, None] - each.mT if self._ordered else each.mT[:, :-1]
        return torch.cat([vectors, lines], 1), k[:, None].double(), both

    def _grow(self, batches: Iterable[Batch]) -> None:
        deadline = deadline_of(batches)
        vectors, values, weight = self._rows(batches)
        classes = self._classes(values, weight)
        self._draw_lines(vectors, values, weight)
        self.share.copy_(1 / (weight.sum() + 1))
        row, k = _pairs(classes.numpy(), len(self.order))
        here, amount = classes.numpy()[row] == k, weight.numpy()[row]
        self.start.copy_(torch.tensor((amount[here].sum() + 0.5) / (amount.sum() + 1)).logit())
        self.nodes, self.thresholds, self.values = self.nodes[:0], self.thresholds[:0], self.values[:0]
        if 0 < here.sum() < len(here):
            rows, _, both = self._features(vectors)
            codes, cuts = _coded(rows, weight)
            apart, more = _coded(both[row, k], torch.from_numpy(amount))
            pairs, cuts = np.column_stack([codes[row], k, apart]), [*cuts, _AS_IT_IS, *more]
            grown = _grown(self.options, self.trees, pairs, here, amount, deadline, seed_of(batches))
            self.nodes, self.thresholds, self.values = _tensors(grown, cuts)
            self.start.fill_(float(grown._baseline_prediction.item()))

    def _rows(self, batches: Iterable[Batch]) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of y (N, F), x (N,) and weights (N,) of the rows that are learned from."""
        found, pairs = list[tuple[Tensor, Tensor, Tensor]](), 0
        classes = self.bins + self._atoms + 1
        for x, y, weight in batches:
            flat = x.flat(self.x.space)
            there = flat.scored[:, 0] & (weight > 0)
            vectors = vectors_of(self.parents, y)[there]
            found.append((vectors, flat.tensor[there, 0], weight[there].double()))
            pairs += vectors.shape[0] * vectors.shape[1] * classes // 2
            if pairs > _MOST:
                break
        vectors, values, weight = (torch.cat(each) for each in zip(*found, strict=True))
        if not len(values):
            raise UserError(f"{self}: no row of weight above 0 with an entry that is known; expected at least one")
        # Rows that are alike are one row of their weight: a leaf counts rows.
        key = torch.cat([vectors.nan_to_num(nan=torch.inf), values[:, None]], 1)
        distinct, index = key.unique(dim=0, return_inverse=True)
        vectors, lacking = distinct[:, :-1], torch.isinf(distinct[:, :-1])
        return (vectors.masked_fill(lacking, torch.nan), distinct[:, -1],
                torch.zeros(len(distinct), dtype=torch.float64).index_add_(0, index, weight))

    def _classes(self, values: Tensor, weight: Tensor) -> Tensor:
        """The class (N,) of every value; of a number, bins are laid first."""
        if isinstance(self.part, Finite):
            self.order = torch.arange(self.part.size)
            self.places = self.order.double()
            return values.long()
        atoms = torch.tensor(self.part.atoms, dtype=torch.float64)
        at = values[:, None] == atoms
        rest = ~at.any(1)
        self.edges = _edges(values[rest], weight[rest], self.bins)
        places = torch.cat([atoms, self.edges[:-1]])
        self.places, order = places.sort()
        self.order = order.argsort()  # which class an atom, or a bin, is
        bin = torch.bucketize(values.contiguous(), self.edges[1:-1].contiguous(), right=True)
        return self.order[torch.where(rest, len(atoms) + bin, at.long().argmax(1) if len(atoms) else 0)]

    def _draw_lines(self, vectors: Tensor, values: Tensor, weight: Tensor) -> None:
        """Ridge from every parent of several numbers, and from all parents."""
        target = values[:, None] if self._ordered else F.one_hot(values.long(), self.part.size).double()
        target = target - weight @ target / weight.sum()
        seen = (~vectors.isnan()).double() * weight[:, None]
        self.centre.copy_((seen * vectors.nan_to_num()).sum(0) / seen.sum(0).clamp(min=1e-300))
        centred = (vectors - self.centre).nan_to_num()
        lines = []
        for first, last in self.summed:
            some = centred[:, first:last]
            scale = ((weight @ some**2) / weight.sum()).sqrt()
            unit = some / torch.where(scale > 0, scale, 1.0)
            gram = (unit * weight[:, None]).T @ unit + _RIDGE * weight.sum() * torch.eye(last - first, dtype=torch.float64)
            line = torch.zeros(len(self.centre), target.shape[1], dtype=torch.float64)
            line[first:last] = torch.linalg.solve(gram, (unit * weight[:, None]).T @ target) / torch.where(
                scale > 0, scale, torch.inf)[:, None]
            lines.append(line)
        self.lines.copy_(torch.cat([*lines, self.lines[:, :0]], 1))

    def _choose(self, batches: Iterable[Batch]) -> None:
        """How many trees make held-out rows likeliest."""
        many = [0, *range(_ROUND, len(self.nodes), _ROUND), len(self.nodes)]
        total = torch.zeros(len(many), dtype=torch.float64)
        for x, y, weight in batches:
            upto = F.pad(self._leaves(y, len(self.nodes)).cumsum(-1), (1, 0))
            for i, trees in enumerate(many):
                log_p = self._distribution(upto[..., trees] + self.start).log_prob(x)
                total[i] += torch.where(weight > 0, weight.double() * log_p, 0.0).sum()
        self.used.fill_(many[int(total.argmax())])

    # Trees and bins have no fixed number: a loaded state brings its own.
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for name in ("edges", "order", "places", "nodes", "thresholds", "values"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _grown(options: dict[str, Any], trees: int, pairs: np.ndarray, here: np.ndarray, weight: np.ndarray, deadline: Deadline,
           seed: int) -> Any:
    """As many trees as there is time for, if each takes as long as the first."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    first = trees if deadline.left > _AMPLE else min(trees, _ROUND)
    forest = HistGradientBoostingClassifier(max_iter=first, early_stopping=False, warm_start=True, l2_regularization=1.0,
                                            random_state=seed % 2**32, **options)
    began = deadline.left
    with threadpool_limits(torch.get_num_threads(), "openmp"):
        forest.fit(pairs, here, weight)
        took = max(began - deadline.left, 1e-6)
        if first < trees and deadline.allows(2 * took):
            forest.max_iter = min(trees, int(first * deadline.left / took))
            forest.fit(pairs, here, weight)
    return forest


def _coded(rows: Tensor, weight: Tensor) -> tuple[np.ndarray, list[np.ndarray]]:
    """Features (N, F) as the numbers of bins of about equal weight, NaN kept, and of each feature where its bins end."""
    codes, cuts = np.full(rows.shape, np.nan), list[np.ndarray]()
    for i, feature in enumerate(rows.T.contiguous()):
        seen = ~feature.isnan()
        found = _cuts(feature[seen], weight[seen], _LEVELS)
        codes[seen.numpy(), i] = torch.bucketize(feature[seen], found).numpy()
        cuts.append(found.numpy())
    return codes, cuts


def _tensors(forest: Any, cuts: Sequence[np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes and thresholds as `leaves_left` takes them, the latter of features and no longer of bins, and values of leaves."""
    each = [numbered(trees[0].nodes) for trees in forest._predictors]
    T, I, L = len(each), max(len(parts[0]) for parts in each), max(len(parts[2]) for parts in each)
    nodes, thresholds, values = np.zeros((T, I, 3), np.int64), np.full((T, I), np.inf), np.zeros((T, L))
    nodes[..., 1] = 1
    for t, (node, threshold, value) in enumerate(each):
        at = [cuts[f][int(level)] if len(cuts[f]) and level < np.inf else level
              for (f, _, _), level in zip(node, threshold, strict=True)]
        nodes[t, :len(node)], thresholds[t, :len(at)], values[t, :len(value)] = node, at, value
    return torch.from_numpy(nodes), torch.from_numpy(thresholds), torch.from_numpy(values)


def _pairs(classes: np.ndarray, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Every row with each class up to its own, the last class left out: the row and the class of each pair."""
    many = np.minimum(classes + 1, K - 1)
    row = np.repeat(np.arange(len(classes)), many)
    return row, np.arange(len(row)) - np.repeat(many.cumsum() - many, many)


def _edges(values: Tensor, weight: Tensor, bins: int) -> Tensor:
    """Where bins of about equal weight meet, and ends beyond all values."""
    if not len(values):
        return torch.tensor([-1.0, 1.0], dtype=torch.float64)
    low, high = values.min(), values.max()
    half = ((high - low) / (2 * max(1, len(values.unique()) - 1))).clamp(min=_LEAST_WIDTH)
    kept = torch.cat([(low - half)[None], _cuts(values, weight, bins), (high + half)[None]])
    return kept[torch.cat([kept.diff() >= _LEAST_WIDTH, torch.ones(1, dtype=torch.bool)])]


def _cuts(values: Tensor, weight: Tensor, bins: int) -> Tensor:
    """Where bins of about equal weight meet, halfway between two values that differ: rising, less than `bins`."""
    each, index = values.unique(return_inverse=True)
    mass = torch.zeros(len(each), dtype=torch.float64).index_add_(0, index, weight).cumsum(0)
    shares = torch.arange(1, bins, dtype=torch.float64) / bins - 1e-9
    after = torch.searchsorted(mass, shares * (mass[-1:] if len(each) else 1.0)).unique()
    after = after[after < len(each) - 1]
    return (each[after] + each[after + 1]) / 2
