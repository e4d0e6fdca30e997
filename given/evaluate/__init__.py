"""Is it any good? Scores with their errors, comparisons, pictures, reports."""

from given.evaluate.compare import Comparison, compare
from given.evaluate.page import page
from given.evaluate.picture import picture
from given.evaluate.score import Score, weighted_mean, wilson_interval

__all__ = ["Comparison", "Score", "compare", "page", "picture", "weighted_mean", "wilson_interval"]
