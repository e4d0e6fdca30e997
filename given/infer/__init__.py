"""What follows from what is seen? Bayes' rule, completion."""

from given.infer.evidence import Part, observe, others, part, prefix
from given.infer.query import Query

__all__ = ["Part", "Query", "observe", "others", "part", "prefix"]
