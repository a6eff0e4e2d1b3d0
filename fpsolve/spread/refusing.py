"""What cannot be split over ranks, refused by name before computing."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve import models
from fpsolve.errors import InputError
from fpsolve.measures.build import AUTO, measure_class
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model, checked_matrix
from fpsolve.settings import Settings
from fpsolve.sphere.geometry import GEOMETRIES
from fpsolve.stepping import default_scheme

ALONE = "run it on one process, without mpiexec"

SPLIT: tuple[type[Model], ...] = (
    models.BrownianGradientFlow,
    models.DeepStochasticTransformer,
    models.Homogenized,
    models.IsotropicFlow,
    models.LinearGaussianLayers,
    models.MultiHead,
    models.NoisyTransformer,
    models.PerceptronDrift,
    models.RandomQuadraticForm,
    models.SelfAttention,
    models.SpectralSelection,
    models.SynchronisationByNoise,
    models.UnnormalisedSelfAttention,
)
"""Models whose fields are functions of the moments of μ, or not of μ at all."""

SCHEMES = ("rk4", "lie_euler", "heun", "ninomiya")
"""Schemes that move points along fields that are known everywhere."""


def refuse(model: Any, initial: Any, settings: Settings) -> None:
    """Raise InputError for what is no cloud, or one that ranks cannot move by its moments; ``auto`` is a cloud here."""
    measure = Cloud if settings.measure == AUTO else measure_class(settings.measure)
    if measure is not Cloud:
        problem = "one density is the work of one process: only clouds are split over ranks"
        remedy = f'use measure="cloud", fpsolve ensemble for many runs, or {ALONE}'
        raise InputError("measure", measure.name, problem, remedy)
    for term in model.terms:
        if type(term) not in SPLIT:
            problem = "its fields are no functions of the cloud's moments"
            raise InputError("model", type(term).__name__, problem, ALONE)
        if isinstance(term, models.DeepStochasticTransformer):
            _refuse_matrix(term)
    if initial.dimension not in GEOMETRIES:
        raise InputError("initial", f"d = {initial.dimension}", "there are moments for d = 2 and 3 alone", ALONE)
    if getattr(initial, "labels", None) is not None or hasattr(initial, "cells"):
        raise InputError("initial", "labels", "positions of a sequence are not split over ranks", ALONE)
    _refuse_scheme(model, settings)
    if settings.save_flow:
        raise InputError("save_flow", True, "the flow of a cloud over ranks is not kept", ALONE)


def _refuse_matrix(term: Any) -> None:
    """Its correction sums second moments over all points unless A is a number ≥ 0."""
    matrix = checked_matrix("key_query", term.key_query)
    if matrix.ndim or not matrix >= 0:
        problem = "its correction is no function of moments for a matrix A"
        raise InputError("key_query", np.asarray(matrix).tolist(), problem, ALONE)


def _refuse_scheme(model: Any, settings: Settings) -> None:
    name = settings.scheme or default_scheme(model, Cloud.name)
    if name not in SCHEMES:
        problem = "it asks for velocities at all points of the cloud together"
        raise InputError("scheme", name, problem, f"use one of {', '.join(SCHEMES)}, or {ALONE}")
