"""Angular spectra of kernels against closed forms and exact rational arithmetic."""

from fractions import Fraction
from math import comb, factorial, prod

import numpy as np
import pytest
from scipy.special import eval_legendre, spherical_in

from fpsolve.errors import InputError
from fpsolve.noise import isotropic

T = np.linspace(-1, 1, 41)


def kernel_from_spectrum(C):
    return isotropic(3, len(C) - 1).kernel(C)


def spectrum_from_kernel(kernel, lmax, nodes=None):
    return isotropic(3, lmax).spectrum(kernel, nodes)


def spectrum_of_powers(K, lmax):
    return isotropic(3, lmax).spectrum_of_powers(K)


@pytest.mark.parametrize("beta", [0.5, 4.0, 30.0])
def test_spectrum_of_the_exponential(beta):
    """2π ∫ e^{βt} P_ℓ dt = 4π i_ℓ(β)."""
    expected = 4 * np.pi * spherical_in(np.arange(41), beta)
    found = spectrum_from_kernel(lambda t: np.exp(beta * t), 40)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14 * expected[0])


def test_spectrum_and_kernel_of_the_poisson_type_series():
    """(1-g²)/(1+g²-2gt)^{3/2} = Σ (2ℓ+1) g^ℓ P_ℓ(t), so C_ℓ = 4π g^ℓ."""
    g, degrees = 0.5, np.arange(61)

    def k(t):
        return (1 - g**2) / (1 + g**2 - 2 * g * t) ** 1.5

    np.testing.assert_allclose(spectrum_from_kernel(k, 60), 4 * np.pi * g**degrees, rtol=0, atol=5e-14)
    np.testing.assert_allclose(kernel_from_spectrum(4 * np.pi * g**degrees)(T), k(T), rtol=0, atol=1e-12)


def test_kernel_values_and_shapes():
    k = kernel_from_spectrum([4 * np.pi, 4 * np.pi / 3])
    np.testing.assert_allclose(k(T.reshape(1, 41)), 1 + T.reshape(1, 41), rtol=0, atol=1e-15)
    assert k(1.0).shape == () and float(k(1.0)) == pytest.approx(2.0, abs=1e-15)
    C = np.random.default_rng(1).random(30)
    series = sum((2 * ell + 1) / (4 * np.pi) * c * eval_legendre(ell, T) for ell, c in enumerate(C))
    np.testing.assert_allclose(kernel_from_spectrum(C)(T), series, rtol=0, atol=1e-12)
    np.testing.assert_allclose(spectrum_from_kernel(kernel_from_spectrum(C), 35)[:30], C, rtol=0, atol=1e-13)


def test_the_kernel_keeps_its_own_spectrum():
    C = np.ones(3)
    k = kernel_from_spectrum(C)
    before = k(T)
    C[:] = 7.0
    np.testing.assert_array_equal(k(T), before)


def test_few_nodes_are_exact_for_polynomials():
    linear = spectrum_from_kernel(lambda t: t, 2, nodes=3)
    np.testing.assert_allclose(linear, [0, 4 * np.pi / 3, 0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(spectrum_from_kernel(lambda t: 1.0, 3), [4 * np.pi, 0, 0, 0], atol=1e-13)


def double_factorial(n):
    """n!! for n ≥ -1, exactly."""
    return prod(range(n, 1, -2))


def moment(k, degree):
    """∫ t^k P_ℓ dt exactly, from the coefficients of P_ℓ = 2^-ℓ Σ_j (-1)^j C(ℓ,j) C(2ℓ-2j,ℓ) t^{ℓ-2j}."""
    total = Fraction(0)
    for j in range(degree // 2 + 1):
        power = k + degree - 2 * j
        if power % 2 == 0:
            total += Fraction((-1) ** j * comb(degree, j) * comb(2 * degree - 2 * j, degree) * 2, power + 1)
    return total / 2**degree


def test_spectra_of_powers_against_exact_integrals():
    tau = spectrum_of_powers(40, 45)
    exact = [[float(moment(k, degree)) for k in range(41)] for degree in range(46)]
    np.testing.assert_allclose(tau, 2 * np.pi * np.array(exact), rtol=1e-14, atol=0)


def test_spectra_of_high_powers():
    tau = spectrum_of_powers(2000, 200)
    for k in (1, 199, 200, 201, 777, 1999, 2000):
        for degree in range(k % 2, min(k, 200) + 1, 14):
            odd_and_even = double_factorial(k - degree) * double_factorial(k + degree + 1)
            exact = Fraction(2 * factorial(k), odd_and_even)
            assert tau[degree, k] == pytest.approx(2 * np.pi * float(exact), rel=5e-14)
    degree, k = np.indices(tau.shape)
    np.testing.assert_array_equal(tau != 0, (degree <= k) & ((degree + k) % 2 == 0))


def test_powers_are_recovered_from_their_spectra():
    tau = spectrum_of_powers(60, 60)
    for k in (0, 1, 2, 7, 33, 60):
        np.testing.assert_allclose(kernel_from_spectrum(tau[:, k])(T), T**k, rtol=0, atol=1e-14)
    assert spectrum_of_powers(0, 0) == pytest.approx(4 * np.pi)
    assert spectrum_of_powers(3, 0).shape == (1, 4)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="nodes = 4"):
        spectrum_from_kernel(np.cos, 4, nodes=4)
    with pytest.raises(InputError, match="lmax = -1"):
        spectrum_from_kernel(np.cos, -1)
    with pytest.raises(InputError, match="kernel"):
        spectrum_from_kernel(lambda t: np.full_like(t, np.nan), 4)
    with pytest.raises(InputError, match="K = 2"):
        spectrum_of_powers(2.0, 3)
    with pytest.raises(InputError, match="spectrum"):
        kernel_from_spectrum([[1.0, 2.0]])
