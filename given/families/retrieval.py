"""Retrieval: p(x | y) by the stored items whose texts are likest to y, as likeness was learned.

    p(x | y) = sum_i w_i(y) prod_d k(x_d | x_id),    w_i(y) ~ exp(sharpness a(y, y_i))

over the stored items i that are candidates, those whose texts share most words and letters with y. a(y, y_i) is how alike the
items of two such texts are expected to be, by gradient-boosted trees on what the texts have in common (`TextPairs`), learned
from pairs of stored items: of shapes the intersection of their filled places over the union, else the share of equal entries.
k keeps a symbol with probability 1 - smoothing and draws from all evenly else. `log_prob` is exact, and so are marginals and
conditionals; with little smoothing it is low on everything that was not stored.

A text none of whose words was learned is refused where it is drawn; one that shares some is read by these, and by its letters.

Source: Fix, Hodges, Discriminatory analysis: nonparametric discrimination, 1951 / https://doi.org/10.2307/1403797
Burges, From RankNet to LambdaRank to LambdaMART: an overview, 2010 (learning to rank by boosted trees)
Blattmann et al., Semi-parametric neural image synthesis, 2022 / https://arxiv.org/abs/2204.11824
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from given import distributions
from given.conditional import Conditional
from given.lessons import Batch, Lesson, Solve, seed_of
from given.nn import TextPairs, leaf_values, leaves_left, node_tensors
from given.variables import Entries, Finite, Observed, UserError, Variable, nearest, shown

__all__ = ["Retrieval"]

_LEAVES, _LEAST, _RATE = 31, 50, 0.1
_LONG = 200  # characters of a list of words
_AT_ONCE = 256  # rows whose pairs are looked at


class Retrieval(Conditional):
    """Stored items by learned likeness of their texts.

    Args:
        x: finite, whole items of one size.
        parents: one text.
        candidates: K, stored items that are looked at for a text.
        sharpness: of the weights, in nats per unit of expected likeness.
        smoothing: of the kernel, from 0 to below 1.
        trees: that are summed.
    """

    def __init__(self, x: Variable, parents: Variable | Sequence[Variable] = (), *, candidates: int = 60,
                 sharpness: float = 30.0, smoothing: float = 1e-3, trees: int = 120) -> None:
        super().__init__(x, parents)
        if not isinstance(x.space, Finite) or x.space.may_end:
            raise UserError(f"Retrieval: expected symbols of one size, got {x.name}: {x.space}; use NearestNeighbour")
        texts = [v for v in self.parents if v.codec.spelled() is not None]
        if len(texts) != 1 or len(self.parents) != 1:
            raise UserError(f"Retrieval: expected one text as the condition of {x.name}, got "
                            f"{', '.join(v.name for v in self.parents) or 'none'}; use NearestNeighbour")
        if not candidates >= 1 or not sharpness >= 0 or not 0 <= smoothing < 1 or not trees >= 1:
            raise UserError(f"Retrieval {x.name}: candidates={candidates}, sharpness={sharpness}, smoothing={smoothing}, "
                            f"trees={trees}; expected numbers from 1, from 0, in [0, 1) and from 1")
        self.candidates, self.sharpness, self.smoothing, self.trees = candidates, sharpness, smoothing, trees
        self._pairs: TextPairs | None = None
        for name, made in {"items": torch.zeros(0, *x.space.shape, dtype=x.space.dtype),
                           "texts": torch.zeros(0, 0, dtype=torch.uint8), "weights": torch.zeros(0).double(),
                           "nodes": torch.zeros(0, 1, 3, dtype=torch.int64), "thresholds": torch.zeros(0, 1).double(),
                           "values": torch.zeros(0, 2).double(), "start": torch.zeros(()).double()}.items():
            self.register_buffer(name, made)

    items: Tensor
    texts: Tensor
    weights: Tensor
    nodes: Tensor
    thresholds: Tensor
    values: Tensor
    start: Tensor
    waits = "which texts are alike is looked up"
    plans = ("texts", "weights", "nodes", "thresholds", "values", "start")

    def forward(self, y: Observed) -> distributions.Empirical:
        if not len(self.items):
            raise UserError(f"{self}: nothing is stored yet; fit it first")
        texts = self._read(y[self.parents[0].name])
        log_w = torch.cat([self._weighed(texts[k:k + _AT_ONCE]) for k in range(0, len(texts), _AT_ONCE)])
        why = {row: self._strange(texts[row]) for row in (log_w == -torch.inf).all(1).nonzero()[:1].flatten().tolist()}
        space = self.x.space
        assert isinstance(space, Finite)
        V = space.size
        kernel = ((1 - self.smoothing) * torch.eye(V, dtype=torch.float64) + self.smoothing / V).log()
        return distributions.Empirical(log_w.to(self.items.device), self.items, kernel.to(self.items.device), space, why)

    def lessons(self) -> list[Lesson]:
        return [Solve(self._learn)]

    def likeness(self, texts: Sequence[str]) -> tuple[np.ndarray, Tensor]:
        """The candidates (B, K) of texts, and how alike their items are expected to be: (B, K) float64; -inf of a text that
        shares no word with any that was learned."""
        pairs = self._pairs = self._pairs or TextPairs(self._stored_texts())
        cosines = pairs.cosines(texts)
        chosen = pairs.nearest(cosines, self.candidates)
        features = torch.from_numpy(pairs.features(texts, cosines, chosen))
        found = leaf_values(leaves_left(self.nodes, self.thresholds, features.flatten(0, 1)), self.values).sum(-1) + self.start
        alone = torch.tensor([bool(text.split()) for text in texts]) & torch.from_numpy(~(cosines[1] > 0).any(1))
        return chosen, found.view(chosen.shape).masked_fill(alone[:, None], -torch.inf)

    def _strange(self, text: str) -> str:
        """Why a text has no items."""
        known = sorted({word for each in self._stored_texts() for word in each.lower().split()})
        word = next(iter(text.lower().split()), "")
        way = nearest(word, known)
        way = way if len(way) < _LONG else f"expected words such as {', '.join(known[:8])}"
        return f"got {shown(text)} as {self.parents[0].name}, of which no word was learned; {way}"

    def _weighed(self, texts: Sequence[str]) -> Tensor:
        """(B, N) log weights of the stored items; -inf of what is no candidate."""
        chosen, alike = self.likeness(texts)
        at = torch.from_numpy(chosen)
        log_w = torch.full((len(texts), len(self.items)), -torch.inf, dtype=torch.float64)
        return log_w.scatter(1, at, self.sharpness * alike + self.weights[at].log())

    def _learn(self, batches: Iterable[Batch]) -> None:
        each = list[tuple[Tensor, Tensor, Tensor]]()
        for x, y, weight in batches:
            some = weight > 0
            if not x.complete:
                raise UserError(f"{self.x.name}: Retrieval stores whole items, got unseen entries; use Independent")
            each.append((x.tensor[some].to(self.items.dtype), _bytes(self._read(y[self.parents[0].name].rows(some))),
                         weight[some].double()))
        items, weights = (torch.cat([one[i] for one in each]) for i in (0, 2))
        width = max(one[1].shape[1] for one in each)
        texts = torch.cat([F.pad(one[1], (0, width - one[1].shape[1])) for one in each])
        rows, which = torch.cat([texts, items.flatten(1) if items.dim() > 1 else items[:, None]], 1).unique(
            dim=0, return_inverse=True)  # rows that are alike are one row of their weight
        self.texts = rows[:, :width].to(torch.uint8)
        self.items = rows[:, width:].reshape(-1, *items.shape[1:]).to(items.dtype)
        self.weights = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, which, weights)
        self._pairs = None
        self._grow(seed_of(batches))

    def _grow(self, seed: int) -> None:
        """The trees, from pairs of stored items that are candidates of one another."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        texts = self._stored_texts()
        pairs = self._pairs = TextPairs(texts)
        features, alike, amount = list[np.ndarray](), list[np.ndarray](), list[np.ndarray]()
        flat = self.items.flatten(1).float() if self.items.dim() > 1 else self.items[:, None].float()
        for k in range(0, len(texts), _AT_ONCE):
            cosines = pairs.cosines(texts[k:k + _AT_ONCE])
            own = np.arange(k, k + len(cosines[0]))  # never its own candidate
            hidden = [np.where(own[:, None] == np.arange(len(texts)), -1.0, c) for c in cosines]
            chosen = pairs.nearest(hidden, min(self.candidates, max(1, len(texts) - 1)))
            features.append(pairs.features(texts[k:k + _AT_ONCE], cosines, chosen))
            amount.append((self.weights[own, None] * self.weights[chosen]).numpy())
            alike.append(np.stack([_alike(flat[i], flat[c], self.x.space) for i, c in zip(own, chosen, strict=True)]))
        forest = HistGradientBoostingRegressor(max_iter=self.trees, max_leaf_nodes=_LEAVES, min_samples_leaf=_LEAST,
                                               learning_rate=_RATE, early_stopping=False, random_state=seed % 2**32)
        with threadpool_limits(torch.get_num_threads(), "openmp"):
            rows = np.concatenate(features).reshape(-1, features[0].shape[-1])
            rows = np.where(np.isnan(rows).all(0), 0.0, rows)  # what no pair has cuts none
            forest.fit(rows, np.concatenate(alike).ravel(), np.concatenate(amount).ravel())
        self.nodes, self.thresholds, self.values = node_tensors(forest)
        self.start.fill_(float(np.asarray(forest._baseline_prediction).item()))

    def _read(self, y: Entries) -> list[str]:
        """The texts that symbols spell."""
        spelled = self.parents[0].codec.spelled()
        assert spelled is not None
        symbols = y.tensor.cpu()
        there = y.readable.cpu() & (symbols < len(spelled))
        found = [b"".join(spelled[s] for s in row[keep].tolist()) for row, keep in zip(symbols, there, strict=True)]
        return [text.decode(errors="replace").strip() for text in found]

    def _stored_texts(self) -> list[str]:
        return [bytes(row[row > 0].tolist()).decode(errors="replace") for row in self.texts.cpu()]

    # Stored items have no fixed number: a loaded state brings its own.
    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        self._pairs = None
        for name in ("items", "texts", "weights", "nodes", "thresholds", "values"):
            setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _bytes(texts: Sequence[str]) -> Tensor:
    """(N, most) uint8: UTF-8, and zeros behind it."""
    each = [text.replace("\0", " ").encode(errors="replace") for text in texts]
    most = max(map(len, each), default=0)
    filled = np.frombuffer(b"".join(e.ljust(most, b"\0") for e in each), np.uint8)
    return torch.from_numpy(filled.reshape(len(each), most).copy())


def _alike(one: Tensor, others: Tensor, space: Any) -> np.ndarray:
    """(K,) how alike an item (D,) and others (K, D) are, from 0 to 1."""
    if space.size != 2:
        return torch.eq(one, others).float().mean(1).numpy()
    both, either = torch.minimum(one, others).sum(1), torch.maximum(one, others).sum(1)
    return torch.where(either > 0, both / either.clamp(min=1), 1.0).numpy()
