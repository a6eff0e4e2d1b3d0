"""Real transformers at initialisation: their architecture, and the law of their tokens' Gram matrix, layer by layer."""

from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.configuration import FAMILIES
from fpsolve.transformer.network.measure import measure_network
from fpsolve.transformer.network.modules import WeightStatistics, weight_statistics
from fpsolve.transformer.network.observe import observed
from fpsolve.transformer.network.parts import MLP, Attention, Embedding, Init, Norm, Positions, Residual
from fpsolve.transformer.network.predict import Plan, plan, predict
from fpsolve.transformer.network.presets import PRESETS
from fpsolve.transformer.network.regime import NetworkScaling
from fpsolve.transformer.network.what_if import phase_map, verdict, what_if

__all__ = [
    "FAMILIES",
    "MLP",
    "PRESETS",
    "Architecture",
    "Attention",
    "Embedding",
    "Init",
    "NetworkScaling",
    "Norm",
    "Plan",
    "Positions",
    "Residual",
    "WeightStatistics",
    "measure_network",
    "observed",
    "phase_map",
    "plan",
    "predict",
    "verdict",
    "weight_statistics",
    "what_if",
]
