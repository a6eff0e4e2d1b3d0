"""Finite random transformers: the chain of layers, the laws of its weights, and which limit describes it."""

from fpsolve.transformer.chain import RandomTransformer
from fpsolve.transformer.network import (
    MLP,
    PRESETS,
    Architecture,
    Attention,
    Embedding,
    Init,
    Norm,
    Plan,
    Positions,
    Residual,
    observed,
    plan,
    predict,
)
from fpsolve.transformer.scaling import Scaling, limit, scaling
from fpsolve.transformer.weights import Fixed, Gaussian, HeadLaw, MatrixLaw, Product, Sampled, Uniform

__all__ = [
    "MLP",
    "PRESETS",
    "Architecture",
    "Attention",
    "Embedding",
    "Fixed",
    "Gaussian",
    "HeadLaw",
    "Init",
    "MatrixLaw",
    "Norm",
    "Plan",
    "Positions",
    "Product",
    "RandomTransformer",
    "Residual",
    "Sampled",
    "Scaling",
    "Uniform",
    "limit",
    "observed",
    "plan",
    "predict",
    "scaling",
]
