"""Scaled modified spherical Bessel functions against closed forms, SciPy and the series they truncate."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial.legendre import legval
from scipy.special import spherical_in

from fpsolve.attention.bessel import moment_degree, scaled_bessel, scaled_bessel_derivative

RADII = (1e-9, 1e-6, 1e-3, 0.3, 1.0, 4.0, 30.0, 300.0)


@pytest.mark.parametrize("r", [1e-3, 0.3, 2.0, 30.0, 700.0])
def test_lowest_degrees_have_their_closed_forms(r: float) -> None:
    """e^{-r} i_0 = (1 - e^{-2r})/(2r), e^{-r} i_1 = e^{-r}(cosh r)/r - e^{-r}(sinh r)/r²."""
    values = scaled_bessel(1, r)
    assert values[0] == pytest.approx(-np.expm1(-2 * r) / (2 * r), rel=1e-14)
    if r > 0.1:  # the closed form of i_1 cancels
        exact = (1 + np.exp(-2 * r)) / (2 * r) + np.expm1(-2 * r) / (2 * r * r)
        assert values[1] == pytest.approx(exact, rel=1e-13)
    else:
        assert values[1] == pytest.approx(np.exp(-r) * (r / 3 + r**3 / 30), rel=1e-12)


@pytest.mark.parametrize("r", [0.3, 1.0, 4.0, 30.0, 300.0])
def test_values_and_derivatives_are_scipys(r: float) -> None:
    ells = np.arange(21)
    scale = np.exp(-r)
    np.testing.assert_allclose(scaled_bessel(20, r), scale * spherical_in(ells, r), rtol=1e-11)
    expected = scale * spherical_in(ells, r, derivative=True)
    np.testing.assert_allclose(scaled_bessel_derivative(20, r), expected, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("r", [0.0, 1e-300, 1e-30, 1e-15, 1e-6])
def test_small_radii(r: float) -> None:
    values, slopes = scaled_bessel(3, r), scaled_bessel_derivative(3, r)
    np.testing.assert_allclose(values[:2], [1 - r, r / 3], rtol=1e-5, atol=1e-300)
    np.testing.assert_allclose(values[2:], [r**2 / 15, r**3 / 105], rtol=1e-5, atol=1e-40)
    np.testing.assert_allclose(slopes[1:3], [1 / 3, 2 * r / 15], rtol=1e-5, atol=1e-19)


@pytest.mark.parametrize("r", RADII)
def test_the_series_is_the_exponential(r: float) -> None:
    """e^{r(t-1)} = Σ (2ℓ+1) e^{-r} i_ℓ(r) P_ℓ(t), and its truncation is below the tolerance asked."""
    t = np.linspace(-1, 1, 41)
    for tolerance in (1e-14, 1e-8):
        degree = moment_degree(r, tolerance)
        terms = (2 * np.arange(degree + 1) + 1) * scaled_bessel(degree, r)
        error = np.abs(legval(t, terms) - np.exp(r * (t - 1))).max()
        assert error < tolerance + 1e-15 * (10 + r)


@pytest.mark.parametrize("r", [1e-9, 1e-3, 0.05, 0.5, 4.0, 30.0])
def test_the_degree_suffices_for_the_gradient(r: float) -> None:
    """∂_t e^{r(t-1)} / r, of size one, is truncated below 1e-13 too: small radii need more than M does."""
    t = np.linspace(-1, 1, 41)
    degree = moment_degree(r)
    terms = (2 * np.arange(degree + 1) + 1) * scaled_bessel(degree, r) / r
    slope = legval(t, np.polynomial.legendre.legder(terms))
    # P_ℓ'(±1) = ℓ(ℓ+1)/2, the factor of tangential vectors √(1-t²) takes one power of ℓ away
    assert np.abs((slope - np.exp(r * (t - 1))) * np.sqrt(1 - t * t)).max() < 1e-13


def test_the_degree_grows_as_the_kernel_narrows() -> None:
    degrees = [moment_degree(r) for r in (0.0, 1e-30, 1e-3, 1.0, 10.0, 100.0, 1000.0)]
    assert degrees[0] == 0 and degrees[1] == 1
    assert degrees == sorted(degrees) and degrees[-1] < 12 * np.sqrt(1000.0)
