"""Which distributions? Values that sample, score and condition; heads that make them; transforms of them."""

from given.laws.block import Block
from given.laws.categorical import Categorical
from given.laws.dequantised import Dequantised, dequantise
from given.laws.empirical import Empirical
from given.laws.heads import CategoricalHead, LogisticMixtureHead
from given.laws.law import Averaged, How, Intractable, Kind, Law, Modal, weakest
from given.laws.noise import Noise
from given.laws.normal import Normal
from given.laws.sequential import Chain, Sequential, State
from given.laws.stacked import Stacked

__all__ = [
    "Averaged",
    "Block",
    "Categorical",
    "CategoricalHead",
    "Chain",
    "Dequantised",
    "Empirical",
    "How",
    "Intractable",
    "Kind",
    "Law",
    "LogisticMixtureHead",
    "Modal",
    "Noise",
    "Normal",
    "Sequential",
    "Stacked",
    "State",
    "dequantise",
    "weakest",
]
