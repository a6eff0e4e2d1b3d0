"""Tests of the installed transforms, quick enough to run at every ``fpsolve info``."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import degrees_orders, index, size

_LMAX = 63
_TOLERANCE = 1e-12


def transform_tests() -> list[dict[str, Any]]:
    """One record ``{name, error, tolerance, passed}`` for each test, on the Gauss grid of degree 63.

    Round trips of a scalar and of a tangent field with random coefficients, and amplitudes against closed
    forms.
    """
    tests = {
        "round trip of a scalar field": _scalar_round_trip,
        "round trip of a tangent field": _tangent_round_trip,
        "absolute normalisation of Y_11 and Y_20": _normalisation,
        "quadrature of 1 and z²": _quadrature,
    }
    return [_record(name, test()) for name, test in tests.items()]


def _record(name: str, error: float) -> dict[str, Any]:
    # written so that NaN fails
    return {"name": name, "error": error, "tolerance": _TOLERANCE, "passed": bool(error <= _TOLERANCE)}


def _random_coefficients(seed: int) -> Any:
    """Standard normal, real for m = 0, none for ℓ = 0."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(size(_LMAX)) + 1j * rng.standard_normal(size(_LMAX))
    degree, order = degrees_orders(_LMAX)
    values[order == 0] = values[order == 0].real
    values[degree == 0] = 0
    return values


def _scalar_round_trip() -> float:
    modes = _random_coefficients(1)
    back = grid(_LMAX).to_modes(grid(_LMAX).to_grid(modes))
    return float(np.abs(back - modes).max() / np.abs(modes).max())


def _tangent_round_trip() -> float:
    modes = _random_coefficients(2), _random_coefficients(3)
    back = grid(_LMAX).tangent_modes(grid(_LMAX).tangent(*modes))
    return float(max(np.abs(one - other).max() / np.abs(other).max() for one, other in zip(back, modes, strict=True)))


def _normalisation() -> float:
    """2 Re Y_11 = -√(3/2π) sin θ cos φ and Y_20 = √(5/16π) (3 cos² θ - 1) on the grid."""
    sphere = grid(_LMAX)
    exact = {
        (1, 1): -np.sqrt(3 / (2 * np.pi)) * sphere.sin_theta * np.cos(sphere.phi),
        (2, 0): np.sqrt(5 / (16 * np.pi)) * (3 * sphere.cos_theta**2 - 1),
    }
    errors = []
    for (degree, order), field in exact.items():
        modes = np.zeros(size(_LMAX), complex)
        modes[index(degree, order, _LMAX)] = 1
        errors.append(np.abs(sphere.to_grid(modes) - field).max())
    return float(max(errors))


def _quadrature() -> float:
    sphere = grid(_LMAX)
    one, z2 = sphere.integral(np.ones(sphere.shape)), sphere.integral(sphere.cos_theta**2)
    return max(abs(one / (4 * np.pi) - 1), abs(z2 / (4 * np.pi / 3) - 1))
