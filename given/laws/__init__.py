"""Which distributions? Values that sample, score and condition; heads that make them; transforms of them."""

from given.laws.adaptive import Adaptive
from given.laws.atomic import Atomic
from given.laws.backoff import Backoff, Grams, paths
from given.laws.blend import Blend
from given.laws.block import Block
from given.laws.categorical import Categorical
from given.laws.cells import Cells
from given.laws.chain import Chain
from given.laws.dequantised import Dequantised, dequantise
from given.laws.empirical import Empirical
from given.laws.entrywise import Entrywise
from given.laws.flowing import Flowing, Guidance
from given.laws.gate import Gate
from given.laws.grouped import Grouped
from given.laws.heads import (
    AtomicHead,
    BernoulliHead,
    CategoricalHead,
    CellsHead,
    LogisticMixtureHead,
    NormalMixtureHead,
    default_head,
)
from given.laws.implicit import Implicit
from given.laws.latent import Latent
from given.laws.law import How, Intractable, Kind, Law, weakest
from given.laws.mixture import Mixture, best_weights
from given.laws.moments import Moments, positive, shrunk
from given.laws.noise import Noise, choose, far_apart
from given.laws.normal import Normal
from given.laws.normal_mixture import NormalMixture
from given.laws.searched import Searched
from given.laws.sequential import Drawn, Sequential, State
from given.laws.smoothing import Counted, KneserNey, Smoothing, WittenBell
from given.laws.speculated import Speculated, Tally
from given.laws.stacked import Stacked
from given.laws.steered import Place, Steered, Steps, check_open
from given.laws.tilted import Tilted
from given.laws.torch_law import Torch
from given.laws.transformed import Transformed
from given.laws.tree import Tree

__all__ = [
    "Adaptive",
    "Atomic",
    "AtomicHead",
    "Backoff",
    "BernoulliHead",
    "Blend",
    "Block",
    "Categorical",
    "CategoricalHead",
    "Cells",
    "CellsHead",
    "Chain",
    "Counted",
    "Dequantised",
    "Drawn",
    "Empirical",
    "Entrywise",
    "Flowing",
    "Gate",
    "Grams",
    "Grouped",
    "Guidance",
    "How",
    "Implicit",
    "Intractable",
    "Kind",
    "KneserNey",
    "Latent",
    "Law",
    "LogisticMixtureHead",
    "Mixture",
    "Moments",
    "Noise",
    "Normal",
    "NormalMixture",
    "NormalMixtureHead",
    "Place",
    "Searched",
    "Sequential",
    "Smoothing",
    "Speculated",
    "Stacked",
    "State",
    "Steered",
    "Steps",
    "Tally",
    "Tilted",
    "Torch",
    "Transformed",
    "Tree",
    "WittenBell",
    "best_weights",
    "check_open",
    "choose",
    "default_head",
    "dequantise",
    "far_apart",
    "paths",
    "positive",
    "shrunk",
    "weakest",
]
