"""Mean-field limits of random deep self-attention on the sphere."""

from importlib import import_module
from importlib.metadata import version
from types import ModuleType

from fpsolve import _start as _start  # first: it hears signals while the rest is imported
from fpsolve import errors, models, plot, policies, theory, transformer
from fpsolve.comparison import compare
from fpsolve.course import run
from fpsolve.ensembles import ensemble
from fpsolve.io import load, save
from fpsolve.measures import (
    MEASURES,
    CausalDensity,
    Cloud,
    Density,
    HalfDensity,
    LogDensity,
    Measure,
    ZonalCloud,
    ZonalDensity,
    initial,
)
from fpsolve.models import MODELS, Model
from fpsolve.noise import BrownianPath
from fpsolve.observe import Observable, clusters
from fpsolve.schemes import SCHEMES, Scheme
from fpsolve.solving import solve
from fpsolve.transformer import scaling
from fpsolve.transport import AmbientField, HarmonicField, Velocity
from fpsolve.zooming import zoom

__version__ = version("fpsolve")

__all__ = [
    "MEASURES",
    "MODELS",
    "SCHEMES",
    "AmbientField",
    "BrownianPath",
    "CausalDensity",
    "Cloud",
    "Density",
    "HalfDensity",
    "HarmonicField",
    "LogDensity",
    "Measure",
    "Model",
    "Observable",
    "Scheme",
    "Velocity",
    "ZonalCloud",
    "ZonalDensity",
    "clusters",
    "compare",
    "ensemble",
    "errors",
    "initial",
    "load",
    "models",
    "plot",
    "policies",
    "run",
    "save",
    "scaling",
    "solve",
    "stationary",
    "theory",
    "transformer",
    "zoom",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> ModuleType:
    """``fp.stationary`` at its first use."""
    if name == "stationary":
        return import_module("fpsolve.stationary")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
