"""Finite random transformers: the chain of layers, the laws of its weights, and which limit describes it."""

from fpsolve.transformer.chain import RandomTransformer
from fpsolve.transformer.scaling import Scaling, limit, scaling
from fpsolve.transformer.weights import Fixed, Gaussian, HeadLaw, MatrixLaw, Product, Sampled, Uniform

__all__ = [
    "Fixed",
    "Gaussian",
    "HeadLaw",
    "MatrixLaw",
    "Product",
    "RandomTransformer",
    "Sampled",
    "Scaling",
    "Uniform",
    "limit",
    "scaling",
]


def __dir__() -> list[str]:
    return sorted(__all__)
