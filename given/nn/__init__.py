"""Which functions? Orders, embeddings, networks. There is no probability in here."""

from given.nn.context import Condition, Context
from given.nn.dropout import Dropout, seed_dropout
from given.nn.embedding import Embedding
from given.nn.order import AnyOrder, Fixed, Order, Raster, Reverse
from given.nn.perceptron import Perceptron
from given.nn.transformer import Transformer

__all__ = [
    "AnyOrder",
    "Condition",
    "Context",
    "Dropout",
    "Embedding",
    "Fixed",
    "Order",
    "Perceptron",
    "Raster",
    "Reverse",
    "Transformer",
    "seed_dropout",
]
