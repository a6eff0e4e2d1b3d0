"""Mean-field limits of random deep self-attention on the sphere."""

from importlib.metadata import version

from fpsolve import errors, models, plot, theory, transformer
from fpsolve.io import load, save
from fpsolve.measures import MEASURES, Cloud, Density, HalfDensity, Measure, initial
from fpsolve.models import MODELS, Model
from fpsolve.noise import BrownianPath
from fpsolve.run import run
from fpsolve.schemes import SCHEMES, Scheme
from fpsolve.solve import solve
from fpsolve.transformer import scaling
from fpsolve.transport import AmbientField, HarmonicField, Velocity

__version__ = version("fpsolve")

__all__ = [
    "MEASURES",
    "MODELS",
    "SCHEMES",
    "AmbientField",
    "BrownianPath",
    "Cloud",
    "Density",
    "HalfDensity",
    "HarmonicField",
    "Measure",
    "Model",
    "Scheme",
    "Velocity",
    "errors",
    "initial",
    "load",
    "models",
    "plot",
    "run",
    "save",
    "scaling",
    "solve",
    "theory",
    "transformer",
]
