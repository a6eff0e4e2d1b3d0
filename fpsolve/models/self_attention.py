"""Deterministic self-attention: the ballistic limit, a continuity equation with drift P_x V F_μ(βAx)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.source import MomentSource, Source
from fpsolve.cached import cached_property
from fpsolve.models.base import Head, Model, apply_matrix, checked_matrix, checked_number
from fpsolve.sphere.geometry import SPHERE, geometry
from fpsolve.sphere.grid import Grid
from fpsolve.sphere.harmonics import Real
from fpsolve.sphere.scattered import Points
from fpsolve.transport.velocity import RESOLVED, AmbientField, HarmonicField, Sites, Velocity

COARSE = 31
"""Degree of the grid on which a field is tried before a finer one of twice the degree: a quarter of the points."""

MOMENTS, LARGEST = 6.0, 191
"""Degrees of |F_μ(βx)|² for each unit of β, at least ``COARSE``, and the most."""

SMOOTH = 8.0
"""β|A| beyond which the coarse grid seldom resolves the field."""

WORTHWHILE = 2
"""A grid of this many times the degree is finer enough for the attempt."""


@dataclass(frozen=True)
class SelfAttention(Model):
    """dx = P_x V F_μ(βAx) dt [+ each token's own noise]: one head with fixed weights ("SA").

    beta: β ≥ 0. value: V, key_query: A, each a number or a (d, d) matrix. diffusion: ν.
    Raises InputError for bad values.
    """

    beta: float
    value: ArrayLike = 1.0
    key_query: ArrayLike = 1.0
    diffusion: float = 0.0

    summary: ClassVar[str] = "deterministic softmax self-attention with fixed weights"
    reference: ClassVar[str] = "arXiv:2504.14697, arXiv:2512.01868"
    matrix_names: ClassVar[tuple[str, ...]] = ("value", "key_query")
    axial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("beta", "diffusion"):
            checked_number(name, getattr(self, name))
        self._freeze_matrices()

    @property
    def fixed_heads(self) -> Sequence[Head]:
        key_query, value = checked_matrix("key_query", self.key_query), checked_matrix("value", self.value)
        return (Head(self.beta, key_query, value),)

    def drift_field(self, source: Source) -> Velocity:
        value = checked_matrix("value", self.value)
        scores = self.beta * checked_matrix("key_query", self.key_query)
        return attention_field(scores, lambda sites: apply_matrix(value, attention(source, scores, sites)[1]))


class CoarseField(AmbientField):
    """A field that costs much at every site: on a finer grid, by harmonics from a coarse one where they resolve it."""

    plain = False

    def __init__(self, function: Callable[[Sites], Real], tolerance: float = RESOLVED) -> None:
        super().__init__(function)
        self.tolerance = tolerance

    def on(self, sites: Sites) -> Real:
        if isinstance(sites, Grid) and sites.lmax >= WORTHWHILE * COARSE and self._from_coarse is not None:
            return self._from_coarse.on(sites)
        return super().on(sites)

    @cached_property
    def _from_coarse(self) -> HarmonicField | None:
        return self.looked_at(SPHERE, COARSE, self.tolerance)


def attention_field(scores: Real, function: Callable[[Sites], Real], tolerance: float = RESOLVED) -> Velocity:
    """The field of an attention with B = ``scores``: off the sphere (B ≠ a number) every site costs much.

    ``tolerance``: what the last degrees of a coarse grid may carry, as part of the norm, for it to stand for the field.
    """
    smooth = scores.ndim == 2 and np.linalg.norm(scores, 2) <= SMOOTH
    return CoarseField(function, tolerance) if smooth else AmbientField(function)


def attention(source: Source, scores: Real, sites: Sites) -> tuple[Real, Real]:
    """(log M, F) at g = Bx for the sites x, B = ``scores`` = βA, shape () or (d, d); shapes (...) and (..., d).

    On a sphere when B is a number ≥ 0, otherwise at points of any length.
    """
    if scores.ndim == 0 and scores >= 0:
        return source.F_sphere(float(scores), sites)
    g = np.ascontiguousarray(apply_matrix(scores, sites.x, "key_query").reshape(-1, sites.x.shape[-1]))
    log_m, f = source.evaluate(g)
    return log_m.reshape(sites.shape), f.reshape(sites.x.shape)


def mean_square_attention(source: Source, scores: Real, tokens: MomentSource | None = None) -> float:
    """∫ |F_μ(Bx)|² μ(dx), B = ``scores``: on a sphere by moments of |F|², elsewhere at points that stand for μ.

    tokens: the law of x where it is another than the μ they attend to, on a sphere.
    """
    if isinstance(source, MomentSource) and scores.ndim == 0 and scores >= 0:
        degree = min(LARGEST, max(COARSE, int(np.ceil(MOMENTS * float(scores)))))
        space = source.geometry
        f = source.F_sphere(float(scores), grid := space.grid(degree))[1]
        square = grid.to_modes(np.ascontiguousarray((f * f).sum(-1)), degree)
        return float(space.to_real(square) @ space.to_real((tokens or source).moments(degree)))
    points: Any = getattr(source, "coarse_points", source)
    sites = Points(points.x) if source.dimension > 3 else geometry(source.dimension).points(points.x)
    f = attention(source, scores, sites)[1]
    return float(np.einsum("n,na,na->", points.weights, f, f))  # not by BLAS, whose bits depend on its threads
