"""Lie–Euler steps of two noises in NumPy and SHTns alone, as a good user of both writes them.

The grid dealiases the products, the transport of the frozen field is the Chebyshev series of its exponential, cut where
its terms fall below ``RTOL``; F is that of β ≤ 8 by its moments, and its Itô correction by ∇|F|² on the grid.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.special import ive, jv

from fpsolve.sphere._shtns import shtns

DT, RTOL = 0.01, 1e-6


class Loop:
    """A density on its grid and what moves it."""

    def __init__(self, lmax: int, kappa: float = 2.0) -> None:
        self.lmax = lmax
        product = 2 * lmax + max(lmax, 26)
        self.sh = shtns.sht(lmax, lmax, 1, shtns.sht_orthonormal, 1)
        nlat, nphi = max(32, 8 * -(-(product // 2 + 1) // 8)), 32 * -(-(product + 1) // 32)
        self.sh.set_grid(nlat, nphi, shtns.sht_quick_init | shtns.SHT_PHI_CONTIGUOUS, 0.0)
        self.rates, self.degrees = self.sh.l * (self.sh.l + 1.0), self.sh.l
        shape = self.sh.spat_array().shape
        self.u, self.first, self.second = np.empty(shape), np.empty(shape), np.empty(shape)
        density = np.exp(kappa * (self.sh.cos_theta[:, None] - 1)) * np.ones(shape)
        self.start = self.sh.analys(density)
        self.start *= 1 / (np.sqrt(4 * np.pi) * self.start[0].real)
        self.random = np.random.default_rng(1)

    def isotropic(self, spectrum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """√Δt times an isotropic field of this spectrum: its gradient and toroidal parts drawn mode by mode."""
        top = len(spectrum)
        C = np.concatenate([[0.0], spectrum, [0.0, 0.0]])
        J = self.degrees
        inside = (J >= 1) & (J <= top)
        j = np.where(inside, J, 1)
        low, high = np.sqrt(j / (2 * j + 1)), np.sqrt((j + 1) / (2 * j + 1))
        xi = self.random.standard_normal((3, 2, len(J)))
        xi = np.where(self.sh.m == 0, xi[:, 0], (xi[:, 0] + 1j * xi[:, 1]) / np.sqrt(2)) * np.sqrt(DT)
        scale = inside / np.sqrt(j * (j + 1))
        gradient = scale * (high * np.sqrt(C[j]) * xi[0] + low * np.sqrt(C[np.minimum(j + 2, top + 2)]) * xi[1])
        return self.sh.synth(gradient.astype(complex), (scale * np.sqrt(C[j + 1]) * xi[2]).astype(complex))

    def value_noise(self, rho: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
        """√Δt P V F(βx) with its correction -(1/4)∇|F|² σ_V² Δt, σ_V² = 1/3, by one analysis of |F|²."""
        ell = np.arange(self.lmax + 2)
        bessel = 4 * np.pi * np.sqrt(np.pi / (2 * beta)) * ive(ell + 0.5, beta)
        below = np.concatenate([[0.0], bessel[:-2]])
        slope = (ell[:-1] * below + (ell[:-1] + 1) * bessel[1:]) / (2 * ell[:-1] + 1)
        weighted = bessel[self.degrees] * rho
        m, radial = self.sh.synth(weighted), self.sh.synth(slope[self.degrees] * rho)
        along = [one / beta / m for one in self.sh.synth_grad(weighted)]
        f = radial / m
        square = self.sh.analys(f * f + along[0] ** 2 + along[1] ** 2)
        correction = self.sh.synth_grad(square)
        theta, phi = np.arccos(self.sh.cos_theta)[:, None], 2 * np.pi * np.arange(self.sh.nphi) / self.sh.nphi
        x = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta) + 0 * phi])
        east = np.stack([-np.sin(phi) + 0 * theta, np.cos(phi) + 0 * theta, 0 * theta * phi])
        south = np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), -np.sin(theta) + 0 * phi])
        V = self.random.standard_normal((3, 3)) * np.sqrt(DT / 3)
        moved = np.einsum("ab,btp->atp", V, f * x + along[0] * south + along[1] * east)
        v = [np.einsum("atp,atp->tp", moved, frame) for frame in (south, east)]
        return v[0] - DT / 12 * correction[0], v[1] - DT / 12 * correction[1]

    def transported(self, rho: np.ndarray, v: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """exp(-div(· v)) ρ."""
        radius = float(np.sqrt((v[0] ** 2 + v[1] ** 2).max() * self.lmax * (self.lmax + 1)))
        weights = 2 * jv(np.arange(int(radius + 12 * (1 + radius) ** (1 / 3) + 30)), radius)
        count = int(np.sum(np.cumsum(np.abs(weights[::-1]))[::-1] > 0.1 * RTOL))

        def applied(w: np.ndarray) -> np.ndarray:
            self.sh.SH_to_spat(w, self.u)
            np.multiply(self.u, v[0], out=self.first)
            np.multiply(self.u, v[1], out=self.second)
            potential, _ = self.sh.analys(self.first, self.second)
            return self.rates * potential / radius

        before, now = rho, applied(rho)
        result = weights[0] / 2 * before + weights[1] * now
        for k in range(2, count):
            before, now = now, 2 * applied(now) + before
            result += weights[k] * now
        return result


NAMED = ("isotropic flow", "value noise, beta 4")


def stepping(name: str, lmax: int) -> Callable[[int], float] | None:
    """``steps(count)``: seconds of each of so many steps; None for noises that nobody writes in an hour."""
    if name not in NAMED:
        return None
    loop = Loop(lmax)
    # k(t) = 0.05 + 0.45 t + 0.1 t³ = Σ (2ℓ+1)/(4π) C_ℓ P_ℓ: t³ = (3 P_1 + 2 P_3)/5
    spectrum = 4 * np.pi * np.array([0.05, 0.51 / 3, 0.0, 0.04 / 7, *[0.0] * 5])
    field = (lambda rho: loop.isotropic(spectrum)) if name == NAMED[0] else (lambda rho: loop.value_noise(rho, 4.0))

    def steps(count: int) -> float:
        rho, start = loop.start, time.perf_counter()
        for _ in range(count):
            rho = loop.transported(rho, field(rho))
        return (time.perf_counter() - start) / count

    return steps
