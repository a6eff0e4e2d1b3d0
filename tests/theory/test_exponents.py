"""Exponents of two tokens against the overlap's own coefficients and derivatives in closed form."""

import numpy as np
import pytest

from fpsolve.errors import InputError
from fpsolve.theory import (
    aligned_attracts,
    antipodal_exponent,
    critical_slope,
    distance_exponent,
    isotropic_overlap,
    value_noise_overlap,
)

DIMENSIONS = np.array([2, 3, 4, 8, 64])


def relu(t):
    """The dual activation of ReLU, with a term (1-t)^{3/2}: k(1) = k'(1) = 1/2."""
    return (np.sqrt(1 - t * t) + t * (np.pi - np.arccos(t))) / (2 * np.pi)


KERNELS = {  # name: kernel, k'(1), k(1)
    "constant": (lambda t: 1.0, 0.0, 1.0),
    "linear": (lambda t: t, 1.0, 1.0),
    "powers": (lambda t: 0.3 + 0.2 * t + 0.5 * t**7, 3.7, 1.0),
    "steep": (lambda t: np.exp(40 * (t - 1)), 40.0, 1.0),
    "relu": (relu, 0.5, 0.5),
    "erf": (lambda t: 2 / np.pi * np.arcsin(0.8 * t), 1.6 / np.pi / 0.6, 2 / np.pi * np.arcsin(0.8)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_function_gives_the_exponent_of_its_numbers(name):
    kernel, slope, kappa = KERNELS[name]
    exact = 0.5 * ((DIMENSIONS - 3) * slope - (DIMENSIONS - 1) * kappa)
    scale = slope + kappa
    assert np.abs(distance_exponent((slope, kappa), DIMENSIONS) - exact).max() < 1e-12 * scale
    assert np.abs(distance_exponent(kernel, DIMENSIONS) - exact).max() < 1e-8 * scale * 64


def test_a_derivative_of_the_kernel_is_used():
    def kernel(t):
        return np.asarray(t) ** 2

    kernel.derivative = lambda t: 2.5 + 0 * t
    assert distance_exponent(kernel, 5) == 0.5 * (2 * 2.5 - 4)


@pytest.mark.parametrize("d", [2, 3, 5, 9])
def test_it_is_the_drift_of_log_distance(d):
    """½ d log(1-q) has drift ½(-b/(1-q) - ½ s/(1-q)²), at q → 1 the exponent, in time ε²t."""

    def kernel(t):
        return 0.2 + 0.3 * t + 0.5 * t**3

    diffusion, gap = isotropic_overlap(kernel, d, noise=0.7), 1e-5
    b, s = diffusion.drift(1 - gap), diffusion.variance(1 - gap)
    assert distance_exponent(kernel, d, noise=0.7) == pytest.approx(0.5 * (-b / gap - 0.5 * s / gap**2), abs=1e-3)


@pytest.mark.parametrize("d", [2, 3, 5, 9])
@pytest.mark.parametrize("beta", [0.0, 0.6, 2.0])
def test_antipodal_exponent_is_the_drift_of_log_one_plus_q(beta, d):
    diffusion, gap = value_noise_overlap(beta, d, value_std=1.0), 1e-5
    drift = diffusion.drift(-1 + gap) / gap - 0.5 * diffusion.variance(-1 + gap) / gap**2
    assert antipodal_exponent(beta, d) == pytest.approx(drift, abs=2e-4)


def test_the_sphere_contracts_at_kappa():
    for _, slope, kappa in KERNELS.values():
        assert distance_exponent((slope, kappa), 3) == -kappa


def test_mitigation_needs_dimension_and_steepness():
    assert list(critical_slope([2, 3, 5, 11])) == [np.inf, np.inf, 2, 1.25]
    assert list(aligned_attracts((3.0, 1.0), [2, 3, 4, 5])) == [True, True, False, False]
    assert list(aligned_attracts(([1.9, 2.1], 1.0), 5)) == [True, False]


def test_shapes_broadcast():
    assert distance_exponent((np.ones((4, 1)), 1.0), DIMENSIONS).shape == (4, 5)
    assert antipodal_exponent(np.ones((4, 1)), DIMENSIONS).shape == (4, 5)
    assert antipodal_exponent(1e4, 3) == -2


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"^d = 1"):
        distance_exponent((1.0, 1.0), 1)
    with pytest.raises(InputError, match=r"^kernel = "):
        distance_exponent(3.0, 3)
    with pytest.raises(InputError, match=r"^kernel = "):
        distance_exponent((1.0, -1.0), 3)
    with pytest.raises(InputError, match=r"^kernel = "):
        aligned_attracts((1.0, 0.0), 5)
    with pytest.raises(InputError, match=r"^beta = -1"):
        antipodal_exponent(-1, 3)
