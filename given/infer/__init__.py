"""What follows from what is seen? Bayes' rule, completion, ways to draw, codes."""

from given.infer.compression import Compressed, compress, decompress
from given.infer.constraint import JSONSchema, Regex
from given.infer.events import Event, Region, between, isin, missing, present, region_of, split_events
from given.infer.evidence import Part, Rows, observe, part, prefix, rows_taken_as_other
from given.infer.options import Option, black_scholes, european
from given.infer.query import Query
from given.infer.search import Beam
from given.infer.stopping import MaxLength, Stop
from given.infer.truncation import MinP, RepetitionPenalty, Temperature, TopK, TopP
from given.infer.within import Within, below_reals, taken_as_events
from given.infer.without import Without

__all__ = ["Beam", "Compressed", "Event", "JSONSchema", "MaxLength", "MinP", "Option", "Part", "Query", "Regex",
           "Region", "RepetitionPenalty", "Rows", "Stop", "Temperature", "TopK", "TopP", "Within", "Without",
           "below_reals", "between", "black_scholes", "compress", "decompress", "european", "isin", "missing",
           "observe", "part", "prefix", "present", "region_of", "rows_taken_as_other", "split_events",
           "taken_as_events"]
