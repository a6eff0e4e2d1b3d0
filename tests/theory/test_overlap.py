"""The overlap diffusion against closed forms, matrix algebra and short times."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm

from fpsolve.errors import InputError
from fpsolve.theory import OverlapDiffusion, isotropic_overlap, value_noise_overlap

LINEAR = isotropic_overlap(lambda t: t, 3)
CONSTANT = isotropic_overlap(np.ones_like, 3)
OVERLAPS = np.array([-0.9, -0.3, 0.0, 0.6])


def algebra(k_xx, k_yy, k_xy, q, d):
    """Drift and variance of ⟨x,y⟩ from the tokens' Itô equation, with explicit projections.

    dx = P_x dW(x) - ½ K(x,x) tr(P_x) x dt; so d⟨x,y⟩ has drift -½(d-1)(K_xx + K_yy) q + K_xy tr(P_x P_y) and variance
    K_xx|P_x y|² + K_yy|P_y x|² + 2 K_xy ⟨P_x y, P_y x⟩.
    """
    x, y = np.eye(d)[0], q * np.eye(d)[0] + np.sqrt(1 - q**2) * np.eye(d)[1]
    Px, Py = np.eye(d) - np.outer(x, x), np.eye(d) - np.outer(y, y)
    drift = -0.5 * (d - 1) * (k_xx + k_yy) * q + k_xy * np.trace(Px @ Py)
    variance = k_xx * (Px @ y) @ (Px @ y) + k_yy * (Py @ x) @ (Py @ x) + 2 * k_xy * (Px @ y) @ (Py @ x)
    return drift, variance


@pytest.mark.parametrize("d", [2, 3, 7])
@pytest.mark.parametrize("q", [-0.8, 0.1, 0.7])
def test_isotropic_coefficients_are_those_of_the_ito_equation(d, q):
    def kernel(t):
        return 0.2 + 0.3 * t + 0.5 * t**3

    diffusion = isotropic_overlap(kernel, d, noise=0.7)
    drift, variance = algebra(1.0, 1.0, kernel(q), q, d)
    assert diffusion.drift(q) == pytest.approx(0.49 * drift, abs=1e-14)
    assert diffusion.variance(q) == pytest.approx(0.49 * variance, abs=1e-14)


@pytest.mark.parametrize("d", [2, 3, 7])
@pytest.mark.parametrize("q", [-0.8, 0.1, 0.7])
def test_value_noise_coefficients_are_those_of_its_attention(d, q):
    """K_ij = value_std² ⟨m(x_i), m(x_j)⟩ from the softmax of the two tokens themselves."""
    beta, x = 1.3, np.array([[1.0, 0.0], [q, np.sqrt(1 - q * q)]])
    weights = np.exp(beta * x @ x.T)
    barycentres = weights / weights.sum(1, keepdims=True) @ x
    K = 0.36 * barycentres @ barycentres.T
    drift, variance = algebra(K[0, 0], K[1, 1], K[0, 1], q, d)
    diffusion = value_noise_overlap(beta, d, value_std=0.6)
    assert diffusion.drift(q) == pytest.approx(drift, abs=1e-14)
    assert diffusion.variance(q) == pytest.approx(variance, abs=1e-14)


def test_the_expected_overlap_of_two_tokens_under_value_noise():
    """β = 1, d = 3, value_std = 1, overlap -0.3: E⟨x₁,x₂⟩ = -0.0089 at T = 1; noise ε enters as ε² t."""
    value = value_noise_overlap(1.0, 3, value_std=1.0).expect(lambda q: q, -0.3, 1.0)
    assert value == pytest.approx(-0.00888317, abs=1e-6)
    scaled = value_noise_overlap(1.0, 3, value_std=1.0, noise=2.0).expect(lambda q: q, -0.3, 0.25)
    assert scaled == pytest.approx(value, abs=1e-6)


def test_linear_layers_leave_the_scale_function_a_martingale():
    """k(t) = t: generator -q(1-q²)∂ + (1-q²)²∂², of which arcsin q is a harmonic function, in every dimension."""
    q = np.linspace(-0.9, 0.9, 7)
    assert np.abs(LINEAR.drift(q) + q * (1 - q**2)).max() < 1e-15
    assert np.abs(LINEAR.variance(q) - 2 * (1 - q**2) ** 2).max() < 1e-15
    assert np.abs(isotropic_overlap(lambda t: t, 9).drift(q) - LINEAR.drift(q)).max() < 1e-14
    assert np.abs(LINEAR.expect(np.arcsin, q, 0.3, tolerance=1e-5) - np.arcsin(q)).max() < 1e-4


def test_the_circle_agrees_with_differences_in_the_angle():
    """k = 1, d = 2: the angle between the tokens is a martingale, ∂_t u = 2 sin²(φ/2) ∂²_φ u; q = -1 is φ = π."""
    n, t = 800, 0.5
    phi, h = np.linspace(0, np.pi, n + 1, retstep=True)
    second = (np.eye(n + 1, k=1) - 2 * np.eye(n + 1) + np.eye(n + 1, k=-1)) / h**2
    second[0], second[n, n - 1] = 0, 2 / h**2  # aligned tokens stay; even about φ = π
    u = expm(t * 2 * np.sin(phi / 2)[:, None] ** 2 * second) @ np.cos(phi)
    picked = np.array([200, 400, 600, 800])
    circle = isotropic_overlap(np.ones_like, 2)
    assert np.abs(circle.expect(lambda q: q, np.cos(phi[picked]), t) - u[picked]).max() < 1e-5


@pytest.mark.parametrize("ell", [1, 2, 5])
def test_constant_noise_from_the_uniform_law_is_hyperbolic_brownian_motion(ell):
    """k = 1 on S²: ρ = ((1-|a|²)/|x-a|²)²/4π, Σ_m|ρ_ℓm|² = (2ℓ+1)/4π |c_ℓ(a)|², a a Brownian motion of H³.

    The distance r = 2 artanh|a| has density (2πt)^{-3/2} 4π r sinh r e^{-t/2 - r²/2t}, and
    c_ℓ(a) = ½∫ P_ℓ(z) (cosh r - z sinh r)^{-2} dz is the mean of P_ℓ along the axis.
    """
    t, (z, w) = 0.4, np.polynomial.legendre.leggauss(80)
    legendre = np.polynomial.Legendre.basis(ell)(z)

    def integrand(r):
        density = 4 * np.pi * (2 * np.pi * t) ** -1.5 * r * np.sinh(r) * np.exp(-t / 2 - r**2 / (2 * t))
        mean = 0.5 * w @ (legendre / (np.cosh(r) - z * np.sinh(r)) ** 2)
        return density * mean**2

    exact = (2 * ell + 1) / (4 * np.pi) * quad(integrand, 0, 8)[0]
    assert CONSTANT.expected_power(ell, [1 / (4 * np.pi)], t) == pytest.approx(exact, rel=1e-5)


def test_expected_powers_start_from_the_initial_ones_and_keep_the_mass():
    powers = np.array([1 / (4 * np.pi), 0.05, 0.02, 0.004])
    for ell in range(1, 4):
        assert LINEAR.expected_power(ell, powers, 0.0) == pytest.approx(powers[ell], rel=1e-10)
    assert LINEAR.expected_power(0, powers, 0.7) == pytest.approx(powers[0], rel=1e-8)


@pytest.mark.parametrize("diffusion", [LINEAR, CONSTANT, value_noise_overlap(2.0, 3, 1.0), value_noise_overlap(1.0, 2)])
def test_short_times_follow_the_generator(diffusion):
    """u = f + t L f + ½ t² L² f + O(t³), the generator taken by central differences."""

    def generator(f):
        def applied(q, h=1e-3):
            first, second = (f(q + h) - f(q - h)) / (2 * h), (f(q + h) - 2 * f(q) + f(q - h)) / h**2
            return diffusion.drift(q) * first + 0.5 * diffusion.variance(q) * second

        return applied

    def f(q):
        return q**2 - 0.5 * q

    first, t, q = generator(f), 1e-3, np.array([-0.5, 0.1, 0.6])
    expansion = f(q) + t * first(q) + t**2 / 2 * generator(first)(q)
    assert np.abs(diffusion.expect(f, q, t) - expansion).max() < 2e-7


def test_constants_are_kept_and_two_dimensions_converge():
    for diffusion in (LINEAR, value_noise_overlap(3.0, 2, 1.0), value_noise_overlap(1.0, 20)):
        assert np.abs(diffusion.expect(np.ones_like, OVERLAPS, 1.0) - 1).max() < 1e-9


def test_values_take_the_shape_of_the_overlaps():
    assert np.shape(LINEAR.expect(lambda q: q, 0.3, 0.2)) == ()
    assert LINEAR.expect(lambda q: q, np.full((2, 3), 0.3), 0.2).shape == (2, 3)


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"q0 = 1\.5"):
        LINEAR.expect(lambda q: q, 1.5, 1.0)
    with pytest.raises(InputError, match="t = -1"):
        LINEAR.expect(lambda q: q, 0.5, -1)
    with pytest.raises(InputError, match="d = 1"):
        isotropic_overlap(np.ones_like, 1)
    with pytest.raises(InputError, match="variance"):
        OverlapDiffusion(np.zeros_like, np.ones_like)
    with pytest.raises(InputError, match="drift"):
        OverlapDiffusion(np.ones_like, lambda q: 1 - q**2)
