"""What follows from what is seen? Bayes' rule, completion."""

from given.infer.evidence import Part, observe, part, prefix
from given.infer.query import Posterior, Query

__all__ = ["Part", "Posterior", "Query", "observe", "part", "prefix"]
