"""Which p(x | y)? One file an idea; families know spaces, never modalities."""

from given.families.autoencoder import Autoencoder
from given.families.autoregressive import MAR, Autoregressive
from given.families.boosted_trees import BoostedTrees
from given.families.categorical import Categorical
from given.families.change import Change
from given.families.contrastive import Contrastive
from given.families.ctc import CTC
from given.families.dequantised import Dequantised
from given.families.dynamic_filter import DynamicFilter
from given.families.empirical import Empirical
from given.families.ensemble import Ensemble
from given.families.exemplars import EfrosLeung, PatchMatch, Quilting
from given.families.exponential_smoothing import ExponentialSmoothing
from given.families.factor_analysis import FactorAnalysis, ProbabilisticPCA
from given.families.flow_matching import Diffusion, FlowMatching
from given.families.gan import GAN
from given.families.garch import GARCH, RealizedGARCH
from given.families.gaussian import Gaussian
from given.families.gaussian_mixture import GaussianMixture
from given.families.hawkes import Hawkes
from given.families.hidden_markov import HiddenMarkov
from given.families.independent import Independent
from given.families.kernel_density import KernelDensity
from given.families.kmeans import KMeans
from given.families.linear_autoregressive import LinearAutoregressive, SeasonalNaive
from given.families.markov import Markov
from given.families.nearest_neighbour import NearestNeighbour
from given.families.ngram import NGram
from given.families.one_dimensional import Beta, Exponential, Gamma, Laplace, LogNormal, Normal, StudentT, Uniform
from given.families.pca import PCA
from given.families.pointer import Pointer
from given.families.pretrained_captioner import PretrainedCaptioner
from given.families.pretrained_contrastive import PretrainedContrastive
from given.families.pretrained_diffusion import PretrainedDiffusion
from given.families.pretrained_lm import PretrainedLM
from given.families.regression import Regression
from given.families.residual import Residual
from given.families.retrieval import Retrieval
from given.families.spline_flow import SplineFlow
from given.families.state_space import StateSpace
from given.families.transformer_flow import TransformerFlow
from given.families.tree import ChowLiuTree
from given.families.unordered import Unordered
from given.families.vae import VAE
from given.families.vqvae import VQVAE

__all__ = [
    "Autoencoder",
    "Autoregressive",
    "Beta",
    "BoostedTrees",
    "CTC",
    "Categorical",
    "Change",
    "ChowLiuTree",
    "Contrastive",
    "Dequantised",
    "Diffusion",
    "DynamicFilter",
    "EfrosLeung",
    "Empirical",
    "Ensemble",
    "Exponential",
    "ExponentialSmoothing",
    "FactorAnalysis",
    "FlowMatching",
    "GAN",
    "GARCH",
    "Gamma",
    "Gaussian",
    "GaussianMixture",
    "Hawkes",
    "HiddenMarkov",
    "Independent",
    "KMeans",
    "KernelDensity",
    "Laplace",
    "LinearAutoregressive",
    "LogNormal",
    "MAR",
    "Markov",
    "NGram",
    "NearestNeighbour",
    "Normal",
    "PCA",
    "PatchMatch",
    "Pointer", "PretrainedCaptioner", "PretrainedContrastive",
    "PretrainedDiffusion",
    "PretrainedLM",
    "ProbabilisticPCA",
    "Quilting",
    "RealizedGARCH",
    "Regression",
    "Residual", "Retrieval",
    "SeasonalNaive",
    "SplineFlow",
    "StateSpace",
    "StudentT",
    "TransformerFlow",
    "Uniform",
    "Unordered",
    "VAE",
    "VQVAE",
]
