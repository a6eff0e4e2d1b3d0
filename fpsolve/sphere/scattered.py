"""Harmonic sums at scattered points of S² (ducc0), bitwise independent of the number of threads.

Points are worked in fixed blocks, each on one thread, and sums run in block order: ducc0's own threading would
change the last bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

import ducc0
import numpy as np

from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, laplacian, size

T = TypeVar("T")

BLOCK = 65536
"""Points in one block."""

EPSILON = 5e-14
"""Accuracy asked of the non-uniform transform, relative to the largest value; much less it cannot give."""


class Points:
    """Points of S^{d-1}, rows of ``x``; tangent fields at them are arrays ``(n, d)`` of ambient vectors."""

    accuracy = 0.0
    """Error of a harmonic sum at the points relative to its largest value, where there are such sums."""

    def __init__(self, x: Real) -> None:
        self.x = x
        self.shape = x.shape[:1]

    def from_ambient(self, field: Real) -> Real:
        """P_x u, shape ``(n, d)``."""
        return field - np.einsum("na,na->n", self.x, field)[:, None] * self.x

    def to_ambient(self, tangent: Real) -> Real:
        """The tangent field as ambient vectors: itself."""
        return tangent


class SpherePoints(Points):
    """Points of S² with harmonic synthesis at them and its adjoint."""

    accuracy = 1e-14
    """Error of moments and synthesis relative to the largest value; measured 1e-15 to 4e-14, most at the maximum."""

    @cached_property
    def _angles(self) -> Real:
        x, y, z = self.x.T
        return np.stack([np.arctan2(np.hypot(x, y), z), np.mod(np.arctan2(y, x), 2 * np.pi)], -1)

    @cached_property
    def frame(self) -> tuple[Real, Real]:
        theta, phi = self._angles.T
        cos_theta, sin_theta, cos_phi, sin_phi = np.cos(theta), np.sin(theta), np.cos(phi), np.sin(phi)
        e_theta = np.stack([cos_theta * cos_phi, cos_theta * sin_phi, -sin_theta], -1)
        return e_theta, np.stack([-sin_phi, cos_phi, np.zeros_like(phi)], -1)

    def scalar(self, coefficients: Coefficients) -> Real:
        """Σ f_ℓm Y_ℓm at the points, shape ``(n,)``."""
        return self._synthesis(coefficients[None], spin=0)[0]

    def gradient(self, coefficients: Coefficients) -> Real:
        """∇f at the points, ambient vectors, shape ``(n, 3)``."""
        return self._vectors(self._synthesis(coefficients[None], spin=1, mode="DERIV1"))

    def tangent(self, spheroidal: Coefficients, toroidal: Coefficients) -> Real:
        """∇S + ∇T × x at the points, ambient vectors, shape ``(n, 3)``."""
        root = np.sqrt(-laplacian(degree_of(spheroidal)))
        return self._vectors(self._synthesis(np.stack([root * spheroidal, -root * toroidal]), spin=1))

    def moments(self, weights: Real, degree: int) -> Coefficients:
        """Σ_i w_i Y*_ℓm(x_i), the moments of a weighted cloud, up to ``degree``."""

        def block(part: slice) -> Coefficients:
            return ducc0.sht.adjoint_synthesis_general(
                map=weights[None, part], spin=0, lmax=degree, loc=self._angles[part], epsilon=EPSILON, nthreads=1
            )[0]

        total = np.zeros(size(degree), complex)
        for coefficients in in_blocks(block, len(weights)):
            total += coefficients
        return total

    def _vectors(self, components: Real) -> Real:
        e_theta, e_phi = self.frame
        return components[0][:, None] * e_theta + components[1][:, None] * e_phi

    def _synthesis(self, coefficients: Coefficients, spin: int, mode: str = "STANDARD") -> Real:
        out = np.empty((1 if spin == 0 else 2, len(self.x)))
        lmax = degree_of(coefficients)
        if spin and lmax == 0:
            return np.zeros_like(out)
        coefficients = np.ascontiguousarray(coefficients)

        def block(part: slice) -> None:
            out[:, part] = ducc0.sht.synthesis_general(
                alm=coefficients, spin=spin, lmax=lmax, loc=self._angles[part], epsilon=EPSILON, nthreads=1, mode=mode
            )

        in_blocks(block, len(self.x))
        return out


def in_blocks(work: Callable[[slice], T], count: int) -> list[T]:
    """Apply ``work`` to fixed blocks of points, on as many threads as OMP_NUM_THREADS says, in block order."""
    parts = [slice(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
    threads = min(len(parts), _threads())
    if threads <= 1:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, parts))


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else os.cpu_count() or 1
