"""The compiled moment sums at points of any length against their NumPy twin and at the ends of the range."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ive

from fpsolve._kernels import _solid, solid_numpy
from fpsolve._kernels.points import rows
from fpsolve._kernels.solid import solid_sums
from fpsolve.sphere.harmonics import Coefficients, Real, size


def random_sum(n: int, lmax: int, longest: float) -> tuple[Coefficients, Real, Real, Real]:
    """Coefficients, bounds, directions and radii."""
    rng = np.random.default_rng(n + lmax)
    f = rng.normal(size=size(lmax)) + 1j * rng.normal(size=size(lmax))
    f[: lmax + 1] = f[: lmax + 1].real
    return f, rng.random(lmax + 1), rng.normal(size=(n, 3)), longest * (1e-3 + rng.random(n))


@pytest.mark.parametrize(
    ("n", "lmax", "longest"), [(1, 0, 1.0), (5, 1, 9.0), (30, 9, 1e-3), (203, 24, 6.0), (40, 60, 90.0)]
)
def test_the_sums_are_those_of_their_twin(n: int, lmax: int, longest: float) -> None:
    given = random_sum(n, lmax, longest)
    for found, expected in zip(solid_sums(lmax, *given), solid_numpy.solid_sums(lmax, *given), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-14 * np.abs(expected).max())


@pytest.mark.parametrize("r", [1e-300, 1e-12, 0.3, 7.0, 60.0, 900.0])
@pytest.mark.parametrize("lmax", [1, 12, 80])
def test_every_bessel_function_by_itself(lmax: int, r: float) -> None:
    """Of zonal coefficients at the pole M = Σ f_ℓ √((2ℓ+1)/4π) i_ℓ(r): SciPy's i_ℓ, relative to each, above 1e-280."""
    for ell in range(lmax + 1):
        f = np.zeros(size(lmax), complex)
        f[ell] = np.sqrt(4 * np.pi / (2 * ell + 1))
        m, gradient, bound = solid_sums(lmax, f, np.arange(lmax + 1) == ell, np.array([[0.0, 0, 1]]), np.array([r]))
        exact = np.sqrt(np.pi / (2 * r)) * ive([ell + 0.5, ell + 1.5], r) if r > 1e-100 else np.array([ell == 0, 0.0])
        assert m[0] == pytest.approx(exact[0], rel=2e-13, abs=1e-280)
        assert bound[0] == pytest.approx(exact[0], rel=2e-13, abs=1e-280)
        if r > 1e-100:
            slope = exact[1] + ell / r * exact[0]
            np.testing.assert_allclose(gradient[0], [0, 0, slope], rtol=2e-13, atol=max(1e-280, 1e-15 * slope))


def test_at_the_origin_there_are_mass_and_mean() -> None:
    f, bounds, x, _ = random_sum(3, 6, 1.0)
    m, gradient, _ = solid_sums(6, f, bounds, x, np.zeros(3))
    np.testing.assert_allclose(m, f[0].real / np.sqrt(4 * np.pi), rtol=1e-15)
    mean = np.array([-np.sqrt(2) * f[7].real, np.sqrt(2) * f[7].imag, f[1].real]) * np.sqrt(3 / (4 * np.pi)) / 3
    np.testing.assert_allclose(gradient, np.tile(mean, (3, 1)), rtol=1e-13)


def test_arrays_that_do_not_fit_are_refused() -> None:
    f, bounds, x, radii = random_sum(5, 3, 1.0)
    made = rows(3, (f, False), (f, True), (f, False))
    good = (3, 20, made, bounds, x, radii, radii, np.empty((5, 5)))
    _solid.sums(*good)
    for place, bad in ((0, 4), (1, 4), (3, bounds[1:]), (4, x[1:]), (6, radii[1:]), (7, np.empty((5, 4)))):
        with pytest.raises(ValueError, match="do not fit"):
            _solid.sums(*good[:place], bad, *good[place + 1 :])
