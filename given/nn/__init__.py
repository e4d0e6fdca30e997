"""Which functions? Orders, embeddings, networks. There is no probability in here."""

from given.nn.adaptive_mlp import AdaptiveMLP
from given.nn.adaptive_prediction import AdaptivePrediction
from given.nn.attention import CrossAttention
from given.nn.bag_of_bigrams import BagOfBigrams
from given.nn.causal import Causal
from given.nn.chain_field import ChainField, ring, ringed
from given.nn.context import Condition, Context, roles_of
from given.nn.convolution import CausalConvolution
from given.nn.convolutional import (
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    built_decoder,
    built_encoder,
    convolves,
    makes_grids,
)
from given.nn.convolutional_map import ConvolutionalMap, Map, reads_map
from given.nn.diagonal_lstm import DiagonalLSTM
from given.nn.dropout import Dropout, seed_dropout
from given.nn.embedding import Embedding
from given.nn.entries_of_blocks import EntriesOfBlocks
from given.nn.feedforward import GELU, SwiGLU
from given.nn.field import Field, FlatField, built_field, reads_grid
from given.nn.gated_pixel_cnn import GatedPixelCNN
from given.nn.item_scores import ItemScores
from given.nn.language_model import LanguageModel, PreviousToken
from given.nn.late_attention import LateAttention
from given.nn.linear import Linear, RMSNorm
from given.nn.made import MADE
from given.nn.masked import BlockEmbedding, MaskedTransformer
from given.nn.mlp import MLP, keep_size
from given.nn.order import (
    AnyOrder,
    Blocks,
    ColumnMajor,
    FixedOrder,
    OnionPeel,
    Order,
    RandomGroups,
    Raster,
    Reverse,
    Wavefront,
)
from given.nn.patch_transformer import PatchTransformer, default_field
from given.nn.pipeline import TextToImage, built_pipeline, read_pipeline, size_of_pipeline
from given.nn.pixel_cnn import PixelCNN
from given.nn.pixel_resnet import PixelResNet
from given.nn.pixels import Pixels
from given.nn.positions import LearnedPositions, Positions, RelativeBias, Rotary
from given.nn.prediction import LinearPrediction
from given.nn.quantiser import FSQ, Book, Quantiser
from given.nn.readers import (
    Convolutions,
    Encoder,
    Flat,
    Interpolated,
    Items,
    Moved,
    Numbers,
    Painted,
    Patches,
    Places,
    Pyramid,
    Reader,
    Symbols,
    Tokens,
    Windows,
)
from given.nn.recurrent import GRU, LSTM, MinGRU
from given.nn.row_lstm import RowLSTM
from given.nn.running_sum import RunningSum
from given.nn.stack import Stack
from given.nn.symbol_vectors import SymbolVectors
from given.nn.text_pairs import TextPairs
from given.nn.transformer import Transformer
from given.nn.trees import MOST_LEAVES, leaf_values, leaves_left, node_tensors, numbered
from given.nn.unet import UNet
from given.nn.unet_map import UNetMap

__all__ = [
    "AdaptiveMLP",
    "AdaptivePrediction",
    "AnyOrder",
    "BagOfBigrams",
    "BlockEmbedding",
    "Blocks",
    "Book",
    "Causal",
    "CausalConvolution",
    "ChainField",
    "ColumnMajor",
    "Condition",
    "Context",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "ConvolutionalMap",
    "Convolutions",
    "CrossAttention",
    "DiagonalLSTM",
    "Dropout",
    "Embedding",
    "Encoder",
    "EntriesOfBlocks",
    "FSQ",
    "Field",
    "FixedOrder",
    "Flat",
    "FlatField",
    "GELU",
    "GRU",
    "GatedPixelCNN",
    "Interpolated",
    "ItemScores",
    "Items",
    "LSTM",
    "LanguageModel",
    "LateAttention",
    "LearnedPositions",
    "Linear",
    "LinearPrediction",
    "MADE",
    "MLP",
    "MOST_LEAVES",
    "Map",
    "MaskedTransformer",
    "MinGRU",
    "Moved",
    "Numbers",
    "OnionPeel",
    "Order",
    "Painted",
    "PatchTransformer",
    "Patches",
    "PixelCNN",
    "PixelResNet",
    "Pixels",
    "Places",
    "Positions",
    "PreviousToken",
    "Pyramid",
    "Quantiser",
    "RMSNorm",
    "RandomGroups",
    "Raster",
    "Reader",
    "RelativeBias",
    "Reverse",
    "Rotary",
    "RowLSTM",
    "RunningSum",
    "Stack",
    "SwiGLU",
    "SymbolVectors",
    "Symbols",
    "TextPairs",
    "TextToImage",
    "Tokens",
    "Transformer",
    "UNet",
    "UNetMap",
    "Wavefront",
    "Windows",
    "built_decoder",
    "built_encoder",
    "built_field",
    "built_pipeline",
    "convolves",
    "default_field",
    "keep_size",
    "leaf_values",
    "leaves_left",
    "makes_grids",
    "node_tensors",
    "numbered",
    "read_pipeline",
    "reads_grid",
    "reads_map",
    "ring",
    "ringed",
    "roles_of",
    "seed_dropout",
    "size_of_pipeline",
]
