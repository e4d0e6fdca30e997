"""Which p(x | y)? One file an idea; families know spaces, never modalities."""

from given.families.autoregressive import Autoregressive
from given.families.categorical import Categorical
from given.families.dequantised import Dequantised
from given.families.gaussian import Gaussian
from given.families.independent import Independent
from given.families.memory import Memory

__all__ = ["Autoregressive", "Categorical", "Dequantised", "Gaussian", "Independent", "Memory"]
