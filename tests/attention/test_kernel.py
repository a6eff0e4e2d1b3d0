"""The isotropic kernels against direct Monte Carlo over A and against closed forms.

Monte Carlo: fixed seeds, 192 comparisons at 4.5 standard errors, false-alarm rate 1.3e-3 for the whole set if
seeds were redrawn. One draw of A serves every overlap.
"""

import numpy as np
import pytest
from scipy.integrate import quad

from fpsolve.attention.kernel import kernel
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.spectrum import spectrum_engine
from fpsolve.errors import InputError
from fpsolve.noise import isotropic

OVERLAPS = np.array([-1.0, -0.5, 0.0, 0.5, 0.9, 1.0])


class Atoms:
    """A reference source: weighted points, direct sums with the largest exponent taken out."""

    def __init__(self, y, weights):
        self.y, self.weights = y, weights / weights.sum()

    def F_sphere(self, radius, sites):
        log_m, F = self.at(radius * sites.x.reshape(-1, 3))
        return log_m.reshape(sites.shape), F.reshape(*sites.shape, 3)

    def log_M_sphere(self, radius, sites):
        return self.F_sphere(radius, sites)[0]

    def at(self, g):
        exponent = g @ self.y.T
        top = exponent.max(axis=1, keepdims=True)
        p = np.exp(exponent - top) * self.weights
        mass = p.sum(axis=1, keepdims=True)
        return (top + np.log(mass))[:, 0], p @ self.y / mass


class Uniform:
    """M = sinh r / r."""

    def F_sphere(self, radius, sites):
        F = (1 / np.tanh(radius) - 1 / radius) * sites.x
        return self.log_M_sphere(radius, sites), F

    def log_M_sphere(self, radius, sites):
        small = radius**2 / 6 - radius**4 / 180
        value = small if radius < 1e-2 else radius + np.log(-np.expm1(-2 * radius) / (2 * radius))
        return np.full(sites.shape, value)


def cap(kappa, axis, n):
    """vMF(kappa): n Gauss nodes in 1 - cos θ, 2n in longitude."""
    t, w = np.polynomial.legendre.leggauss(n)
    widest = min(2.0, 30 / kappa)
    s = widest * (1 - t) / 2
    phi = np.pi * np.arange(2 * n) / n
    sine = np.sqrt(s * (2 - s))[:, None]
    z = np.repeat(1 - s, 2 * n).reshape(n, -1)
    y = np.stack([sine * np.cos(phi), sine * np.sin(phi), z], -1).reshape(-1, 3)
    axis = np.asarray(axis) / np.linalg.norm(axis)
    flip = np.array([0, 0, 1.0]) - axis
    if flip @ flip > 0:
        flip /= np.linalg.norm(flip)
        y = y - 2 * np.outer(y @ flip, flip)
    return y, np.repeat(w * np.exp(-kappa * s), 2 * n) / (2 * n)


def mixture(*parts):
    weights = np.concatenate([share * w / w.sum() for share, (_, w) in parts])
    return Atoms(np.concatenate([y for _, (y, _) in parts]), weights)


MEASURES = {
    "two_bumps": mixture((0.6, cap(2.5, [0, 0, 1], 8)), (0.4, cap(4, [0.8, 0.1, -0.6], 8))),
    "vmf20": mixture((1.0, cap(20, [1, 2, 2], 8))),
    "vmf100": mixture((1.0, cap(100, [0, 1, 0], 6))),
    "two_clusters": mixture((0.6, cap(100, [0, 0, 1], 5)), (0.4, cap(100, [1, 0, -0.5], 5))),
}
KINDS = ("gaussian", "product")


def monte_carlo(law, beta, source, draws, seed):
    """Mean and standard error of F(βAx)·F(βAy) at every overlap."""
    rng = np.random.default_rng(seed)
    A = law.std * rng.normal(size=(draws, 3, 3))
    if law.kind == "product":
        A = law.std * A @ rng.normal(size=(draws, 3, 3))
    _, F = source.at(beta * A[:, :, 2])
    values = []
    for t in OVERLAPS:
        _, other = source.at(beta * (A[:, :, 2] * t + A[:, :, 0] * np.sqrt(1 - t * t)))
        values.append((F * other).sum(axis=1))
    return np.mean(values, axis=1), np.std(values, axis=1) / np.sqrt(draws)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("beta", [0.5, 4.0, 10.0, 30.0])
@pytest.mark.parametrize("kind", KINDS)
def test_monte_carlo(kind, beta, name):
    law, value_std = KeyQueryLaw(kind, 0.9), 0.7
    k = kernel(law, beta, value_std, MEASURES[name], tolerance=1e-3)
    mean, error = monte_carlo(law, beta, MEASURES[name], draws=10_000, seed=11)
    # Systematic: what the kernel says of itself; 4e-3 for two clusters, product law, β = 30, else below 1e-3.
    assert k.error < (5e-3 if name == "two_clusters" else 1.5e-3) * value_std**2
    allowed = value_std**2 * 4.5 * error + k.error + 1e-9
    assert np.all(np.abs(k(OVERLAPS) - value_std**2 * mean) < allowed)
    assert k(1.0) == pytest.approx(k.kappa, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [4.0, 30.0])
def test_dirac_is_constant(kind, beta):
    # log M = g·y: F = y for any A.
    k = kernel(KeyQueryLaw(kind, 1.0), beta, 1.5, Atoms(np.array([[0.6, 0.0, 0.8]]), np.ones(1)))
    np.testing.assert_allclose(k.coefficients[0], 2.25, rtol=1e-11)
    np.testing.assert_allclose(k(OVERLAPS), 2.25, rtol=1e-11)
    assert k.kappa == pytest.approx(2.25, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.0, 1e-9])
def test_small_beta_sees_the_mean(kind, beta):
    source = MEASURES["two_bumps"]
    expected = np.sum((source.weights @ source.y) ** 2)
    law = KeyQueryLaw(kind, 1.0)
    np.testing.assert_allclose(kernel(law, beta, 1.0, source)(OVERLAPS), expected, rtol=5e-9)
    C = spectrum_engine(law, beta, 1.0, 6).of(source)
    np.testing.assert_allclose(C[0], 4 * np.pi * expected, rtol=1e-9)
    assert np.all(C[1:] < 1e-9)


def langevin(r):
    return 1 / np.tanh(r) - 1 / r if r > 1e-4 else r / 3


def chi3(b):
    return np.sqrt(2 / np.pi) * b * b * np.exp(-b * b / 2)


@pytest.mark.parametrize("beta", [0.5, 4.0, 10.0])
def test_uniform_kappa_gaussian(beta):
    expected = quad(lambda b: chi3(b) * langevin(beta * b) ** 2, 0, 12, epsabs=1e-12)[0]
    k = kernel(KeyQueryLaw("gaussian", 1.0), beta, 1.0, Uniform())
    assert k.kappa == pytest.approx(expected, abs=1e-8)
    # μ is symmetric under y → -y: k is odd.
    np.testing.assert_allclose(k(-OVERLAPS), -k(OVERLAPS), atol=1e-10)


@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_uniform_kappa_product(beta):
    def inner(a):
        return quad(lambda b: chi3(b) * langevin(beta * a * b) ** 2, 0, 10, epsabs=1e-9)[0]

    expected = quad(lambda a: chi3(a) * inner(a), 0, 10, epsabs=1e-8)[0]
    k = kernel(KeyQueryLaw("product", 1.0), beta, 1.0, Uniform())
    assert k.kappa == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("kind", "name"), [("gaussian", "two_bumps"), ("product", "two_bumps"), ("product", "vmf20")])
def test_engine_agrees_with_the_accurate_kernel(kind, name):
    # Two routes: tensor with closed tails, chaos coefficients with finer cut-offs. C_ℓ is at most 4π σ_V².
    law = KeyQueryLaw(kind, 1.0)
    k = kernel(law, 4.0, 1.0, MEASURES[name])
    C = spectrum_engine(law, 4.0, 1.0, 16).of(MEASURES[name])
    np.testing.assert_allclose(C, isotropic(3, 16).spectrum(k), atol=1.5e-6 * 4 * np.pi)
    assert np.all(C >= 0)


def test_derivative_is_that_of_the_series():
    k = kernel(KeyQueryLaw("gaussian", 1.0), 2.0, 1.0, MEASURES["two_bumps"])
    t, h = np.array([-0.7, 0.0, 0.8]), 1e-5
    np.testing.assert_allclose(k.derivative(t), (k(t + h) - k(t - h)) / (2 * h), atol=1e-8)


def test_engines_are_kept():
    law = KeyQueryLaw("gaussian", 1.0)
    assert spectrum_engine(law, 1.0, 1.0, 8) is spectrum_engine(KeyQueryLaw("gaussian", 1.0), 1.0, 1.0, 8)


def test_bad_input():
    law = KeyQueryLaw("gaussian", 1.0)
    engine = spectrum_engine(law, 1.0, 1.0, 8)
    shape = (len(engine.radii), *engine.grid.shape)
    for call, argument in [
        (lambda: engine.spectrum(np.full(shape, np.nan)), "log_m"),
        (lambda: engine.spectrum(np.zeros(shape[1:])), "log_m"),
        (lambda: spectrum_engine(law, 1.0, -1.0, 8), "value_std"),
        (lambda: spectrum_engine(law, -1.0, 1.0, 8), "beta"),
        (lambda: kernel(law, 1.0, 1.0, Uniform(), tolerance=0.0), "tolerance"),
        (lambda: kernel(law, 1.0, 1.0, Uniform())(1.5), "t"),
    ]:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.argument == argument
