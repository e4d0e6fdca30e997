"""Commands: what each command of the line does, by the verbs of the library."""

from given.app.ask import complete, compress, decompress, encode, query, rank, sample
from given.app.describe import map, prototypes, segments
from given.app.judge import compare, report, score
from given.app.learn import demo, export, fit
from given.app.tasks import chat, fill, keyboard, translate

__all__ = ["chat", "compare", "complete", "compress", "decompress", "demo", "encode", "export", "fill", "fit", "keyboard",
           "map", "prototypes", "query", "rank", "report", "sample", "score", "segments", "translate"]
