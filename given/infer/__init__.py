"""What follows from what is seen? Bayes' rule, completion, ways to draw, codes."""

from given.infer.archive import Compressed, compress, decompress
from given.infer.constraint import Matching, Schema
from given.infer.evidence import Part, observe, others, part, prefix
from given.infer.query import Query
from given.infer.search import Beam, Speculative
from given.infer.stopping import Longest, Stop
from given.infer.truncation import MinP, RepetitionPenalty, Temperature, TopK, TopP

__all__ = ["Beam", "Compressed", "Longest", "Matching", "MinP", "Part", "Query", "RepetitionPenalty", "Schema", "Speculative",
           "Stop", "Temperature", "TopK", "TopP", "compress", "decompress", "observe", "others", "part", "prefix"]
