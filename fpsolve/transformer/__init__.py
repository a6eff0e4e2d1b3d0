"""Finite random transformers: the chain of layers, the laws of its weights, and which limit describes it."""

from fpsolve.models.weights import Fixed, Gaussian, MatrixLaw, Product, Sampled, Uniform
from fpsolve.transformer.blocks import Block, HeadBlock, MlpBlock
from fpsolve.transformer.chain import RandomTransformer
from fpsolve.transformer.collapse import Collapse
from fpsolve.transformer.limits import limit
from fpsolve.transformer.network import (
    FAMILIES,
    MLP,
    PRESETS,
    Architecture,
    Attention,
    Embedding,
    Init,
    NetworkScaling,
    Norm,
    Plan,
    Positions,
    Residual,
    WeightStatistics,
    measure_network,
    observed,
    phase_map,
    plan,
    predict,
    verdict,
    weight_statistics,
    what_if,
)
from fpsolve.transformer.scaling import Scaling, scaling
from fpsolve.transformer.weights import HeadLaw

__all__ = [
    "FAMILIES",
    "MLP",
    "PRESETS",
    "Architecture",
    "Attention",
    "Block",
    "Collapse",
    "Embedding",
    "Fixed",
    "Gaussian",
    "HeadBlock",
    "HeadLaw",
    "Init",
    "MatrixLaw",
    "MlpBlock",
    "NetworkScaling",
    "Norm",
    "Plan",
    "Positions",
    "Product",
    "RandomTransformer",
    "Residual",
    "Sampled",
    "Scaling",
    "Uniform",
    "WeightStatistics",
    "limit",
    "measure_network",
    "observed",
    "phase_map",
    "plan",
    "predict",
    "scaling",
    "verdict",
    "weight_statistics",
    "what_if",
]


def __dir__() -> list[str]:
    return sorted(__all__)
