"""Which functions? Orders, embeddings, networks. There is no probability in here."""

from given.nn.context import Context
from given.nn.dropout import Dropout, seed_dropout
from given.nn.embedding import Neighbours
from given.nn.order import Fixed, Order, Raster, Reverse
from given.nn.perceptron import Perceptron
from given.nn.transformer import Transformer

__all__ = [
    "Context",
    "Dropout",
    "Fixed",
    "Neighbours",
    "Order",
    "Perceptron",
    "Raster",
    "Reverse",
    "Transformer",
    "seed_dropout",
]
