"""TextPairs: how alike two short texts are, such as titles, in numbers that trees can cut along.

Texts are vectors of n-grams weighed by how rare they are (TF-IDF): of words one by one and two by two, of words alone, of
letters, of words with letters, of numbers. Of a pair there are the cosines of these; by how much the first numbers "2 x 4 x 1"
differ, as logarithms and as proportions; whether the first word, and the first two, are the same; and how many words each has.

Source: Salton, Buckley, Term-weighting approaches in automatic text retrieval, 1988 /
https://doi.org/10.1016/0306-4573(88)90021-0
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["TextPairs"]

_TOKENS: tuple[dict[str, Any], ...] = (
    {"token_pattern": r"\S+", "ngram_range": (1, 2)}, {"token_pattern": r"\S+"},
    {"analyzer": "char_wb", "ngram_range": (2, 4)}, {"token_pattern": r"[A-Za-z]\S+", "ngram_range": (1, 2)},
    {"token_pattern": r"\d\S*"})
_SIZES = re.compile(r"(\d+\.?\d*) *x +(\d+\.?\d*)(?: *x +(\d+\.?\d*))?", re.IGNORECASE)
_LEAST = 0.05  # of a size, whose logarithm is taken
_COMMON = 24  # words, of which a pair says which it shares
_LETTERS = 0.3  # weight of letters beside words, where candidates are looked for


class TextPairs:
    """What stored texts have in common with others.

    Args:
        texts: N stored texts.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        counts = Counter(word for text in texts for word in set(text.lower().split()))
        self.common = [word for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_COMMON]]
        self.stored, self.kinds = _Facts(texts, self.common), list[tuple[Any, Any]]()
        for options in _TOKENS:
            vectors = TfidfVectorizer(sublinear_tf=True, **options)
            try:
                self.kinds.append((vectors, vectors.fit_transform(texts)))
            except ValueError:  # no token of this kind in any text
                continue

    def cosines(self, texts: Sequence[str]) -> list[np.ndarray]:
        """(B, N) of every kind of tokens, one after another."""
        return [np.asarray((vectors.transform(texts) @ own.T).todense()) for vectors, own in self.kinds]

    @staticmethod
    def nearest(cosines: Sequence[np.ndarray], k: int) -> np.ndarray:
        """(B, k) the stored texts that are nearest, by words and letters."""
        near = cosines[0] + _LETTERS * (cosines[2] if len(cosines) > 2 else 0)
        return np.argsort(-near, 1, kind="stable")[:, :k]

    def features(self, texts: Sequence[str], cosines: Sequence[np.ndarray], chosen: np.ndarray) -> np.ndarray:
        """(B, k, F) float64 of pairs of texts (B,) with chosen stored ones (B, k); NaN where a number is lacking."""
        mine, its = _Facts(texts, self.common), self.stored
        a, b = np.broadcast_to(np.arange(len(texts))[:, None], chosen.shape), chosen
        shape = ((m.sizes[i][..., :1] - m.sizes[i][..., 1:]) for m, i in ((mine, a), (its, b)))
        first, second = shape
        return np.concatenate([
            np.stack([c[a, b] for c in cosines], -1), np.abs(mine.sizes[a] - its.sizes[b]), np.abs(first - second),
            np.isnan(mine.sizes[a]), np.isnan(its.sizes[b]), mine.common[a], mine.common[a] - its.common[b],
            np.stack([mine.first[a] == its.first[b], mine.two[a] == its.two[b], mine.words[a], its.words[b],
                      mine.words[a] - its.words[b]], -1)], -1).astype(np.float64)


class _Facts:
    """What is read of texts one by one.

    Attributes:
        sizes: (N, 3) logarithms of the first numbers with "x" between them, NaN where there are none.
        first, two: (N,) the first word, and the first two.
        words: (N,) how many there are.
        common: (N, W) which of the words that most stored texts have there are.
    """

    def __init__(self, texts: Sequence[str], common: Sequence[str]) -> None:
        found = [_SIZES.search(text) for text in texts]
        self.sizes = np.array([[np.log(max(float(size), _LEAST)) if size else np.nan for size in one.groups()] if one
                               else [np.nan] * 3 for one in found]).reshape(-1, 3)
        words = [text.lower().split() for text in texts]
        self.first = np.array([" ".join(each[:1]) for each in words])
        self.two = np.array([" ".join(each[:2]) for each in words])
        self.common = np.array([[float(word in each) for word in common] for each in words]).reshape(len(words), -1)
        self.words = np.array([len(each) for each in words])
