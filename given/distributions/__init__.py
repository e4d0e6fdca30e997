"""Which distributions? Values that sample, score and condition; heads that make them; transforms of them."""

from given.distributions.affine import Affine
from given.distributions.atomic import Atomic
from given.distributions.beam_searched import BeamSearched
from given.distributions.block_chain import BlockChain
from given.distributions.block_heads import BlockHead, FlowHead, IndependentHead, NormalHead, TableHead
from given.distributions.bridge import Bridge
from given.distributions.cache_ngram import CacheNGram
from given.distributions.categorical import Categorical
from given.distributions.chain import Chain
from given.distributions.continuous_flow import ContinuousFlow
from given.distributions.covariance import Covariance, Diagonal, Full, LowRank, Spherical, Tied
from given.distributions.ctc import CTC
from given.distributions.dequantised import Dequantised, dequantise, levels, middles
from given.distributions.discretized_logistic_mixture import DiscretizedLogisticMixture
from given.distributions.distinct import Distinct
from given.distributions.distribution import Distribution, How, Intractable, Kind, weakest
from given.distributions.efros_leung import EfrosLeung
from given.distributions.empirical import Empirical
from given.distributions.energy_tilted import EnergyTilted
from given.distributions.entropy_gate import EntropyGate
from given.distributions.exponential_smoothing import ExponentialSmoothing, Innovations
from given.distributions.factorized import Factorized
from given.distributions.factors import Varimax, factor_step, factors_beside, low_rank_plus_diagonal, principal_factors
from given.distributions.flattened import Flattened
from given.distributions.flow_density import Estimate
from given.distributions.garch import GARCH, Recursion, Scale, Volatility
from given.distributions.gaussian_step import see
from given.distributions.guidance import AtLastNoise, Blur, Guidance, Lower, ReconstructionGuidance, Replacement, View
from given.distributions.hawkes import Excitation, Hawkes, Wait
from given.distributions.heads import (
    AtomicHead,
    BernoulliHead,
    CategoricalHead,
    DiscretizedLogisticMixtureHead,
    FactorizedHead,
    LogitsHead,
    NormalMixtureHead,
    SmoothCategoricalHead,
    default_head,
)
from given.distributions.hidden_markov import Emissions, HiddenMarkov
from given.distributions.histogram import Histogram
from given.distributions.implicit import Implicit
from given.distributions.innovations import (
    changes,
    correlated,
    deviations,
    fifths,
    foretold,
    measured,
    missed,
    period_of,
    second_moments,
    turned,
)
from given.distributions.interpolated_ngram import InterpolatedNGram, NGramTable, suffix_nodes
from given.distributions.kernel_density import KernelDensity, Kernels, stored
from given.distributions.kmeans import lloyd, squared_distances
from given.distributions.ladder import Ladder, Lagged
from given.distributions.lagged_ridge import Choice, by_columns, lagged_ridge, left_of
from given.distributions.latent import ImportanceWeighted, Latent, Weighed
from given.distributions.latest import latest, showing
from given.distributions.linear_chain import LinearChain
from given.distributions.linear_scan import linear_scan
from given.distributions.markov_chain import MarkovChain
from given.distributions.mixture import Mixture, best_weights
from given.distributions.moments import Moments, check_positive_definite, shrink_covariance
from given.distributions.noise import Noise, inverse_cdf_sample, kmeans_plus_plus
from given.distributions.normal import Normal
from given.distributions.normal_mixture import NormalMixture
from given.distributions.on_host import OnHost
from given.distributions.one_dimensional import Supported
from given.distributions.patch_match import PatchMatch
from given.distributions.path import Cosine, Karras, Path, StandardNormal, Straight, VariancePreserving
from given.distributions.point import Point
from given.distributions.pointer import Pointer
from given.distributions.product import ProductDistribution
from given.distributions.quilting import Quilting
from given.distributions.realized_volatility import RealizedVolatility
from given.distributions.rendered import Rendered
from given.distributions.row_groups import RowGroups
from given.distributions.sequential import SamplerState, Sequential, State
from given.distributions.side_by_side import SideBySide, Table
from given.distributions.skewed_student import SkewedStudent
from given.distributions.smoothing import KneserNey, NGramCounts, Smoothing, WittenBell
from given.distributions.spread import Spread
from given.distributions.state_space import LinearGaussian, StateSpace
from given.distributions.stepwise_mixture import StepwiseMixture
from given.distributions.stepwise_transform import LogitsProcessor, StepContext, StepwiseTransform, check_open, draws_symbols
from given.distributions.symmetry import Symmetry
from given.distributions.timeline import Timeline
from given.distributions.torch_distribution import Torch
from given.distributions.transformed import Transformed
from given.distributions.tree import Tree
from given.distributions.unordered import Unordered
from given.distributions.weighted_levels import WeightedLevels
from given.distributions.windows import Windows

__all__ = [
    "Affine",
    "AtLastNoise",
    "Atomic",
    "AtomicHead",
    "BeamSearched",
    "BernoulliHead",
    "BlockChain",
    "BlockHead",
    "Blur",
    "Bridge",
    "CTC",
    "CacheNGram",
    "Categorical",
    "CategoricalHead",
    "Chain",
    "Choice",
    "ContinuousFlow",
    "Cosine",
    "Covariance",
    "Dequantised",
    "Diagonal",
    "DiscretizedLogisticMixture",
    "DiscretizedLogisticMixtureHead",
    "Distinct",
    "Distribution",
    "EfrosLeung",
    "Emissions",
    "Empirical",
    "EnergyTilted",
    "EntropyGate",
    "Estimate",
    "Excitation",
    "ExponentialSmoothing",
    "Factorized",
    "FactorizedHead",
    "Flattened",
    "FlowHead",
    "Full",
    "GARCH",
    "Guidance",
    "Hawkes",
    "HiddenMarkov",
    "Histogram",
    "How",
    "Implicit",
    "ImportanceWeighted",
    "IndependentHead",
    "Innovations",
    "InterpolatedNGram",
    "Intractable",
    "Karras",
    "KernelDensity",
    "Kernels",
    "Kind",
    "KneserNey",
    "Ladder",
    "Lagged",
    "Latent",
    "LinearChain",
    "LinearGaussian",
    "LogitsHead",
    "LogitsProcessor",
    "LowRank",
    "Lower",
    "MarkovChain",
    "Mixture",
    "Moments",
    "NGramCounts",
    "NGramTable",
    "Noise",
    "Normal",
    "NormalHead",
    "NormalMixture",
    "NormalMixtureHead",
    "OnHost",
    "PatchMatch",
    "Path",
    "Point",
    "Pointer",
    "ProductDistribution",
    "Quilting",
    "RealizedVolatility",
    "ReconstructionGuidance",
    "Recursion",
    "Rendered",
    "Replacement",
    "RowGroups",
    "SamplerState",
    "Scale",
    "Sequential",
    "SideBySide",
    "SkewedStudent",
    "SmoothCategoricalHead",
    "Smoothing",
    "Spherical",
    "Spread",
    "StandardNormal",
    "State",
    "StateSpace",
    "StepContext",
    "StepwiseMixture",
    "StepwiseTransform",
    "Straight",
    "Supported",
    "Symmetry",
    "Table",
    "TableHead",
    "Tied",
    "Timeline",
    "Torch",
    "Transformed",
    "Tree",
    "Unordered",
    "VariancePreserving",
    "Varimax",
    "View",
    "Volatility",
    "Wait",
    "Weighed",
    "WeightedLevels",
    "Windows",
    "WittenBell",
    "best_weights",
    "by_columns",
    "changes",
    "check_open",
    "check_positive_definite",
    "correlated",
    "default_head",
    "dequantise",
    "deviations",
    "draws_symbols",
    "factor_step",
    "factors_beside",
    "fifths",
    "foretold",
    "inverse_cdf_sample",
    "kmeans_plus_plus",
    "lagged_ridge",
    "latest",
    "left_of",
    "levels",
    "linear_scan",
    "lloyd",
    "low_rank_plus_diagonal",
    "measured",
    "middles",
    "missed",
    "period_of",
    "principal_factors",
    "second_moments",
    "see",
    "showing",
    "shrink_covariance",
    "squared_distances",
    "stored",
    "suffix_nodes",
    "turned",
    "weakest",
]
