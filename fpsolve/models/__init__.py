"""Self-attention systems, one file each; the table is all that a new one has to enter."""

from fpsolve.models.ballistic import Ballistic, ModifiedBallistic
from fpsolve.models.base import Model
from fpsolve.models.causal import CausalAttention
from fpsolve.models.deep_stochastic import DeepStochasticTransformer
from fpsolve.models.drawn_heads import DrawnHeads
from fpsolve.models.homogenized import Homogenized
from fpsolve.models.isotropic_flow import IsotropicFlow
from fpsolve.models.low_temperature import LowTemperatureLimit
from fpsolve.models.multi_head import MultiHead
from fpsolve.models.noisy_transformer import NoisyTransformer
from fpsolve.models.perceptron import PerceptronDrift
from fpsolve.models.random_linear import BrownianGradientFlow, LinearGaussianLayers, RandomQuadraticForm
from fpsolve.models.scalar_noise import ScalarNoise
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.spectral_selection import SpectralSelection
from fpsolve.models.sums import Sum
from fpsolve.models.synchronisation import SynchronisationByNoise
from fpsolve.models.unnormalised import UnnormalisedSelfAttention

SYSTEMS: tuple[type[Model], ...] = (
    Homogenized,
    DeepStochasticTransformer,
    IsotropicFlow,
    SelfAttention,
    Ballistic,
    ModifiedBallistic,
    DrawnHeads,
    SynchronisationByNoise,
    ScalarNoise,
    RandomQuadraticForm,
    LinearGaussianLayers,
    BrownianGradientFlow,
    UnnormalisedSelfAttention,
    NoisyTransformer,
    MultiHead,
    SpectralSelection,
    LowTemperatureLimit,
    CausalAttention,
    PerceptronDrift,
    Sum,
)

MODELS: dict[str, type[Model]] = {cls.__name__: cls for cls in SYSTEMS}
"""Every system by the name that configurations use."""

__all__ = [
    "MODELS",
    "Ballistic",
    "BrownianGradientFlow",
    "CausalAttention",
    "DeepStochasticTransformer",
    "DrawnHeads",
    "Homogenized",
    "IsotropicFlow",
    "LinearGaussianLayers",
    "LowTemperatureLimit",
    "Model",
    "ModifiedBallistic",
    "MultiHead",
    "NoisyTransformer",
    "PerceptronDrift",
    "RandomQuadraticForm",
    "ScalarNoise",
    "SelfAttention",
    "SpectralSelection",
    "Sum",
    "SynchronisationByNoise",
    "UnnormalisedSelfAttention",
]


def __dir__() -> list[str]:
    return sorted(__all__)
