"""Dual activations against quadrature, Monte Carlo and each other, and which of them are coercive.

Monte Carlo tests stay within 5 standard errors on fixed seeds: a false alarm has probability below 1e-5 in all.
"""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from fpsolve.errors import InputError
from fpsolve.noise.activation import ACTIVATIONS, dissipation_rate, dual_activation, is_coercive
from fpsolve.theory.overlap import isotropic_overlap

T = np.array([-1.0, -0.7, -0.2, 0.0, 0.4, 0.9, 1.0])


def tensor_quadrature(phi, t, nodes=120):
    """E φ(u)φ(v) by Gauss–Hermite in two independent Gaussians."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / np.sqrt(2 * np.pi)
    return np.array([(w * phi(z)) @ phi(s * z[:, None] + np.sqrt(1 - s * s) * z) @ w for s in t])


@pytest.mark.parametrize("name", ["tanh", "erf", "gelu", "sigmoid"])
def test_smooth_activations_agree_with_tensor_quadrature(name):
    k = dual_activation(name)
    assert np.abs(k(T) - tensor_quadrature(ACTIVATIONS[name], T)).max() < 1e-9
    assert k.remainder < 1e-12


@pytest.mark.parametrize("t", [-0.7, 0.0, 0.4, 0.9])
def test_relu_agrees_with_the_conditional_mean(t):
    """E[relu(v) | u] = tuΦ(tu/s) + s φ(tu/s), s = √(1-t²), integrated over u > 0."""
    s = np.sqrt(1 - t * t)

    def integrand(u):
        mean = t * u * ndtr(t * u / s) + s * np.exp(-((t * u / s) ** 2) / 2) / np.sqrt(2 * np.pi)
        return u * mean * np.exp(-u * u / 2) / np.sqrt(2 * np.pi)

    assert abs(dual_activation("relu")(t) - quad(integrand, 0, 14, epsabs=1e-13)[0]) < 1e-11


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_monte_carlo(name):
    rng, t = np.random.default_rng(1), 0.6
    u, z = rng.normal(size=(2, 5_000_000 if name == "relu2" else 400_000))  # whose products have a heavy tail
    products = ACTIVATIONS[name](u) * ACTIVATIONS[name](t * u + np.sqrt(1 - t * t) * z)
    deviation = products.std() / np.sqrt(len(products))
    assert deviation < 2e-3
    assert abs(products.mean() - dual_activation(name)(t)) < 5 * deviation


@pytest.mark.parametrize("activation", [*ACTIVATIONS, (0.3, 1.0, 0.2)])
def test_derivative_and_hermite_weights(activation):
    k, h, inner = dual_activation(activation), 1e-5, T[1:-1]
    assert np.abs((k(inner + h) - k(inner - h)) / (2 * h) - k.derivative(inner)).max() < 1e-8
    assert k.hermite.min() >= 0
    assert abs(k.hermite.sum() + k.remainder - k(1.0)) < 1e-12
    powers = inner[:, None] ** np.arange(len(k.hermite))
    assert np.abs(powers @ k.hermite - k(inner)).max() < 1e-6 + k.remainder


def test_polynomials_are_exact():
    assert np.abs(dual_activation([0, 1])(T) - T).max() == 0
    assert np.abs(dual_activation([-1, 0, 1])(T) - 2 * T**2).max() < 1e-15  # the second Hermite polynomial
    cubic = dual_activation([0, -3, 0, 1])
    assert np.abs(cubic(T) - 6 * T**3).max() < 1e-14
    assert np.abs(dual_activation(lambda z: z**3 - 3 * z)(T) - cubic(T)).max() < 1e-11


def test_half_square_slope():
    z = np.linspace(-2, 2, 9) + 0.1
    slope = np.tanh(z) / np.cosh(z) ** 2
    assert np.abs(dual_activation("tanh").half_square_slope(z) - slope).max() < 1e-9


@pytest.mark.parametrize("activation", ["snake", [np.nan], [[1.0]], "", lambda z: 1.0, lambda z: z / 0 * np.inf])
def test_bad_activations_are_refused(activation):
    with pytest.raises(InputError), np.errstate(all="ignore"):
        dual_activation(activation)


@pytest.mark.parametrize(("d", "beta", "power"), [(1, 0.0, 1.0), (3, -1.0, 1.0), (3, 0.0, 0.0), (3, 0.0, 2.0)])
def test_bad_numbers_are_refused(d, beta, power):
    with pytest.raises(InputError):
        dissipation_rate(dual_activation("relu"), d, beta, power)


@pytest.mark.parametrize(("d", "beta", "power"), [(4, 0.0, 1.0), (6, 2.0, 1.0), (3, 1.0, 0.3)])
def test_dissipation_rate_bounds_the_generator(d, beta, power):
    """L V + cV ≤ 0, and c is the largest such; L of the overlap, V differentiated numerically."""
    kernel = dual_activation("sigmoid")
    c, overlap = dissipation_rate(kernel, d, beta, power), isotropic_overlap(kernel, d)

    def energy(x):
        return ((1 - x) if beta == 0 else (np.exp(beta) - np.exp(beta * x)) / beta) ** power

    q, h = np.linspace(-0.999, 0.995, 400), 1e-4
    first = (energy(q + h) - energy(q - h)) / (2 * h)
    second = (energy(q + h) - 2 * energy(q) + energy(q - h)) / h**2
    rates = -(overlap.drift(q) * first + 0.5 * overlap.variance(q) * second) / energy(q)
    assert rates.min() > c - 1e-5
    assert rates.min() < c + 0.02 * abs(c)


def test_the_mean_distance_decays_at_the_rate():
    """E(1 - q_t) ≤ e^{-ct}(1 - q_0) with the exact law of the overlap, and not much faster near q = 1."""
    kernel, d, t = dual_activation("sigmoid"), 6, 0.7
    c = dissipation_rate(kernel, d)
    q0 = np.linspace(-1, 0.999, 12)
    ratio = isotropic_overlap(kernel, d).expect(lambda q: 1 - q, q0, t) / (1 - q0)
    assert (ratio <= np.exp(-c * t) + 1e-6).all()
    assert abs(np.log(ratio[-1]) / t + c) < 0.05 * c


def test_which_activations_are_coercive():
    """In the interaction energy only those with a large mean, in d ≥ 4; in the logarithm all but odd ones on S²."""
    for name in ACTIVATIONS:
        kernel = dual_activation(name)
        assert [is_coercive(kernel, d) for d in (2, 3, 4, 8)] == [False, False, name == "sigmoid", name == "sigmoid"]
        assert is_coercive(kernel, 3, power=0.01) == (name not in ("tanh", "erf", "linear"))
    assert is_coercive(np.ones_like, 4)
    assert not is_coercive(lambda t: t, 8)


def test_the_logarithm_on_the_sphere():
    """L log(1-q) = -(κ + k(q)) in d = 3, so that the rate for power → 0 is power·(κ + min k)."""
    for name in ("relu", "gelu", "sigmoid"):
        kernel = dual_activation(name)
        least = kernel(np.linspace(-1, 1, 2001)).min()
        assert abs(dissipation_rate(kernel, 3, power=1e-4) / 1e-4 - kernel.kappa - least) < 1e-3


def test_rate_at_alignment_is_the_distance_exponent():
    """power → 0 at q = 1: c/power = (d-1)κ - (d-3)k'(1) = -2λ; for k = 1 at every q beyond, λ = -(d-1)/2."""
    for d in (2, 3, 5):
        assert abs(dissipation_rate(np.ones_like, d, power=1e-6) / 1e-6 - min(d - 1, 2.0 * (d - 1) / 2)) < 1e-3
