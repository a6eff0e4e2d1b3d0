"""Spatially constant noise from a uniform start: the density stays in the Möbius family, by exact maps of the path.

The flow of P_x w over unit time is the boost x ↦ b ⊕ x, b = tanh(|w|/2) w/|w|, of rapidity |w|; it carries
ρ_a(x) = (1/4π) ((1-|a|²)/|x-a|²)² to ρ_{b⊕a}, ⊕ the addition of the ball model of hyperbolic space.
"""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.models import IsotropicFlow
from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import power, resized
from fpsolve.sphere.scattered import SpherePoints

MODEL = IsotropicFlow([4 * np.pi])
DT, STEPS = 0.05, 20
AXES = SpherePoints(np.eye(3))


def boost(b, x):
    """b ⊕ x = ((1 + 2⟨b,x⟩ + |x|²) b + (1 - |b|²) x) / (1 + 2⟨b,x⟩ + |b|²|x|²)."""
    along, bb, xx = b @ x, b @ b, x @ x
    return ((1 + 2 * along + xx) * b + (1 - bb) * x) / (1 + 2 * along + bb * xx)


def drawn(path, n):
    """The vector w of step n: the noise field is P_x w + ⟨w,x⟩ x = w at every point."""
    increment = path.increment(n * DT, (n + 1) * DT, MODEL.channels(3))
    field = MODEL.noise_field(None, increment).ambient(AXES)
    assert np.abs(field - field[0]).max() < 1e-11
    return field[0]


def boosts(path):
    """b of every step."""
    w = [drawn(path, n) for n in range(STEPS)]
    return [np.tanh(np.linalg.norm(v) / 2) * v / np.linalg.norm(v) for v in w]


def orbit(path):
    """a after every step, from a = 0."""
    a = [np.zeros(3)]
    for b in boosts(path):
        a.append(boost(b, a[-1]))
    return np.array(a[1:])


def error(path, lmax, a, rtol=1e-8):
    """Relative L² error at the last time."""
    states = fp.run(MODEL, uniform(lmax, rtol), path, t_end=1.0, dt=DT, scheme="lie_euler")
    *_, (_, last) = states
    x = grid(lmax).x
    exact = ((1 - a @ a) / ((x - a) ** 2).sum(-1)) ** 2 / (4 * np.pi)
    return relative(grid(lmax), last.values - exact, exact)


def relative(sphere, difference, values):
    return np.sqrt(sphere.integral(difference**2) / sphere.integral(values**2))


def uniform(lmax, rtol=1e-8):
    coefficients = np.zeros(grid(lmax).to_modes(np.ones(grid(lmax).shape)).shape, complex)
    coefficients[0] = 1 / np.sqrt(4 * np.pi)
    return fp.Density(coefficients, rtol)


def paths(inside):
    """Members, in order, of which |a| stays below 0.75 (or ends between 0.85 and 0.93)."""
    for member in range(1000):
        path = fp.BrownianPath(7, member, cell=DT)
        size = np.linalg.norm(orbit(path), axis=1)
        if (size.max() <= 0.75) if inside else (0.85 < size[-1] < 0.93):
            yield path


def first(inside, count):
    chosen = paths(inside)
    return [next(chosen) for _ in range(count)]


@pytest.mark.parametrize("which", [0, 1])
def test_the_density_follows_the_moebius_orbit(which):
    path = first(True, which + 1)[which]
    a = orbit(path)[-1]
    assert np.linalg.norm(a) > 0.1
    assert error(path, 127, a) <= 1e-6


def test_the_error_falls_spectrally_with_the_degree():
    """Coefficients fall like ℓ |a|^ℓ: each further 32 degrees gain a factor of |a|^32 or so, until 1e-6."""
    (path,) = first(False, 1)
    a = orbit(path)[-1]
    errors = np.array([error(path, lmax, a) for lmax in (31, 63, 95, 127)])
    assert errors[0] > 1e-3
    assert (errors[1:] / errors[:-1] < 0.5).all()
    assert errors[-1] < 1e-2 * errors[0]


def test_a_quadrature_cloud_follows_the_composed_boosts():
    """Every point of a cloud is moved by the composed boosts themselves."""
    (path,) = first(True, 1)
    start = fp.Cloud(*_points(), rtol=1e-10, tokens=True)
    *_, (_, last) = fp.run(MODEL, start, path, t_end=1.0, dt=DT, scheme="lie_euler")
    moved = start.x
    for b in boosts(path):
        moved = np.array([boost(b, x) for x in moved])
    assert np.abs(last.x - moved).max() < 1e-8


def test_the_spectrum_of_the_family():
    """Σ_m|ρ_ℓm|² of ρ_a by quadrature against the composed state at low degree: the amplitudes are absolute."""
    (path,) = first(True, 1)
    a = orbit(path)[-1]
    *_, (_, last) = fp.run(MODEL, uniform(63), path, t_end=1.0, dt=DT, scheme="lie_euler")
    r, (z, w) = 2 * np.arctanh(np.linalg.norm(a)), np.polynomial.legendre.leggauss(200)
    profile = (np.cosh(r) - z * np.sinh(r)) ** -2 / 2
    means = np.array([w @ (profile * np.polynomial.Legendre.basis(ell)(z)) for ell in range(6)])
    expected = (2 * np.arange(6) + 1) / (4 * np.pi) * means**2
    assert np.abs(power(resized(last.coefficients, 5)) - expected).max() < 1e-8


def _points():
    x = np.random.default_rng(1).normal(size=(50, 3))
    return x / np.linalg.norm(x, axis=1, keepdims=True), np.full(50, 0.02)
