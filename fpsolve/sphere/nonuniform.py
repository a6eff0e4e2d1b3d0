"""Harmonic sums at scattered points of S² by non-uniform FFT (ducc0), for high degrees and many points.

Fields are waves e^{i(kθ + mφ)} (:mod:`fpsolve.sphere.waves`). ducc0's own transform from coefficients to points gives
the same but for the last bits, which do not always repeat. Its threading too would change them: blocks are fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ducc0
import numpy as np

from fpsolve.cached import cached_property
from fpsolve.sphere.blocks import BLOCK, in_blocks
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, size
from fpsolve.sphere.waves import Waves, moments_of_waves, scalar_waves, vector_waves

EPSILON = 2e-14
"""Accuracy asked of the non-uniform transform, relative to the largest value; much less it cannot give."""


class NonuniformSums:
    """Sums at the points ``x``, shape ``(n, 3)``, with the plans of the last degree that was asked for."""

    def __init__(self, x: Real) -> None:
        self.x = x

    @cached_property
    def _angles(self) -> Real:
        """φ and θ, shape ``(n, 2)``."""
        x, y, z = self.x.T
        return np.stack([np.mod(np.arctan2(y, x), 2 * np.pi), np.arctan2(np.hypot(x, y), z)], -1)

    @cached_property
    def _frame(self) -> tuple[Real, Real]:
        phi, theta = self._angles.T
        cos_theta, sin_theta, cos_phi, sin_phi = np.cos(theta), np.sin(theta), np.cos(phi), np.sin(phi)
        e_theta = np.stack([cos_theta * cos_phi, cos_theta * sin_phi, -sin_theta], -1)
        return e_theta, np.stack([-sin_phi, cos_phi, np.zeros_like(phi)], -1)

    def scalar(self, coefficients: Coefficients) -> Real:
        """Σ f_ℓm Y_ℓm at the points, shape ``(n,)``."""
        halved = _halved(len(self.x), degree_of(coefficients))
        waves = scalar_waves(coefficients, halved)
        return self._from_half(waves) if halved else self._from_all(waves).real

    def moments(self, weights: Real, degree: int) -> Coefficients:
        """Σ_i w_i Y*_ℓm(x_i), the moments of a weighted cloud, up to ``degree``."""
        halved = _halved(len(weights), degree)
        shape = (degree + 1 if halved else 2 * degree + 1, 2 * degree + 1)
        self._keep(shape)

        def block(part: slice) -> Coefficients:
            waves = np.empty(shape, complex)
            shifted = weights[part].astype(complex)
            if halved:
                cosine, sine = self._shift(waves, part)
                shifted.real, shifted.imag = weights[part] * cosine, -weights[part] * sine
            return moments_of_waves(self._sums(shifted, part, waves)[-degree - 1 :])

        total = np.zeros(size(degree), complex)
        for coefficients in in_blocks(block, len(weights)):
            total += coefficients
        return total

    def tangent(self, spheroidal: Coefficients, toroidal: Coefficients | None) -> Real:
        """∇S + ∇T × x at the points, ambient vectors, shape ``(n, 3)``; no toroidal part is none."""
        lmax = degree_of(spheroidal)
        if lmax == 0:
            return np.zeros((len(self.x), 3))
        halved = _halved(len(self.x), lmax)
        waves = vector_waves(spheroidal, toroidal, halved)
        if halved:
            theta, phi = (self._from_half(component) for component in waves)
        else:
            both = self._from_all(waves)
            theta, phi = both.real, both.imag
        e_theta, e_phi = self._frame
        return theta[:, None] * e_theta + phi[:, None] * e_phi

    def _from_all(self, waves: Waves) -> Waves:
        """The complex field whose waves are given for the orders m = -L..L."""
        out = np.empty(len(self.x), complex)
        self._keep(waves.shape)

        def block(part: slice) -> None:
            out[part] = self._at(waves, part)

        in_blocks(block, len(self.x))
        return out

    def _from_half(self, waves: Waves) -> Real:
        """The real field whose waves are given for the orders m = 0..L."""
        out = np.empty(len(self.x))
        self._keep(waves.shape)

        def block(part: slice) -> None:
            values, (cosine, sine) = self._at(waves, part), self._shift(waves, part)
            out[part] = values.real * cosine - values.imag * sine

        in_blocks(block, len(self.x))
        return out

    def _at(self, waves: Waves, part: slice) -> Waves:
        """Σ_mk g_mk e^{i(mφ + kθ)}; the orders m of the rows, like the k of the columns, run from -(rows // 2)."""
        with self._plan(waves.shape, part) as plan:
            return plan.u2nu(grid=waves, forward=False)

    def _sums(self, weights: Waves, part: slice, waves: Waves) -> Waves:
        """Σ_i w_i e^{-i(mφ_i + kθ_i)}, into ``waves``."""
        with self._plan(waves.shape, part) as plan:
            return plan.nu2u(points=weights, forward=True, out=waves)

    @contextmanager
    def _plan(self, shape: tuple[int, ...], part: slice) -> Iterator[Any]:
        """The plan of a block of points, kept for the next call; out of reach while in use, as it serves one thread."""
        key = (*shape, part.start)
        plan = self._plans.pop(key, None) or ducc0.nufft.plan(
            nu2u=False, coord=self._angles[part], grid_shape=shape, epsilon=EPSILON, nthreads=1
        )
        yield plan
        self._plans[key] = plan

    def _keep(self, shape: tuple[int, ...]) -> None:
        """Forget the plans of other shapes: they hold a copy of the points."""
        for key in list(self._plans):
            if key[:2] != shape:
                self._plans.pop(key, None)

    @cached_property
    def _plans(self) -> dict[tuple[int, ...], Any]:
        return {}

    def _shift(self, waves: Waves, part: slice) -> tuple[Real, Real]:
        """(cos sφ, sin sφ): e^{isφ} moves the orders -s, …, L - s to 0, …, L, with s = ⌊(L+1)/2⌋."""
        turned = (len(waves) // 2) * self._angles[part, 0]
        return np.cos(turned), np.sin(turned)


def _halved(count: int, degree: int) -> bool:
    """Whether a grid of the orders m ≥ 0 alone, and a factor for every point, costs less than one of all orders."""
    return min(count, BLOCK) < degree * degree // 2
