"""Which p(x | y)? One file an idea; families know spaces, never modalities."""

from given.families.autoregressive import Autoregressive
from given.families.categorical import Categorical
from given.families.contrastive import Contrastive
from given.families.dequantised import Dequantised
from given.families.factor_analysis import FactorAnalysis, ProbabilisticPCA
from given.families.flow import Flow
from given.families.flow_matching import FlowMatching
from given.families.gan import GAN
from given.families.gaussian import Gaussian
from given.families.gaussian_mixture import GaussianMixture
from given.families.independent import Independent
from given.families.memory import Memory
from given.families.mixed import Mixed
from given.families.ngram import NGram
from given.families.pretrained import Pretrained
from given.families.regression import Regression
from given.families.tree import ChowLiuTree
from given.families.vae import VAE
from given.families.vector_quantised import VectorQuantised

__all__ = [
    "Autoregressive",
    "Categorical",
    "ChowLiuTree",
    "Contrastive",
    "Dequantised",
    "FactorAnalysis",
    "Flow",
    "FlowMatching",
    "GAN",
    "Gaussian",
    "GaussianMixture",
    "Independent",
    "Memory",
    "Mixed",
    "NGram",
    "Pretrained",
    "ProbabilisticPCA",
    "Regression",
    "VAE",
    "VectorQuantised",
]
