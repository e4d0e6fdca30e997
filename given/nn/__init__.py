"""Which functions? Orders, embeddings, networks. There is no probability in here."""

from given.nn.attention import CrossAttention
from given.nn.bag import Bag
from given.nn.causal import Causal
from given.nn.context import Condition, Context
from given.nn.convolution import CausalConvolution
from given.nn.diagonal_lstm import DiagonalLSTM
from given.nn.dropout import Dropout, seed_dropout
from given.nn.embedding import Embedding
from given.nn.feedforward import GELU, SwiGLU
from given.nn.gated_pixel_cnn import GatedPixelCNN
from given.nn.language_model import LanguageModel, SymbolBefore
from given.nn.linear import Linear, RMSNorm
from given.nn.made import MADE
from given.nn.order import AnyOrder, ColumnMajor, Fixed, Order, Raster, Reverse, Wavefront
from given.nn.perceptron import Perceptron
from given.nn.pixel_cnn import PixelCNN
from given.nn.positions import Offsets, Positions, Rotary, Summed
from given.nn.recurrent import GRU, LSTM, MinGRU
from given.nn.row_lstm import RowLSTM
from given.nn.sequence import Sequence
from given.nn.transformer import Transformer

__all__ = [
    "AnyOrder",
    "Bag",
    "Causal",
    "CausalConvolution",
    "ColumnMajor",
    "Condition",
    "Context",
    "CrossAttention",
    "DiagonalLSTM",
    "Dropout",
    "Embedding",
    "Fixed",
    "GELU",
    "GRU",
    "GatedPixelCNN",
    "LSTM",
    "LanguageModel",
    "Linear",
    "MADE",
    "MinGRU",
    "Offsets",
    "Order",
    "Perceptron",
    "PixelCNN",
    "Positions",
    "RMSNorm",
    "Raster",
    "Reverse",
    "Rotary",
    "RowLSTM",
    "Sequence",
    "Summed",
    "SwiGLU",
    "SymbolBefore",
    "Transformer",
    "Wavefront",
    "seed_dropout",
]
