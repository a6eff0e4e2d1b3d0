"""The Chebyshev exponential against a dense matrix exponential and against plain RK4 in s."""

import numpy as np
import pytest
from scipy.linalg import expm

import fpsolve as fp
from fpsolve.sphere import grid
from fpsolve.sphere._shtns import BOUND
from fpsolve.sphere.harmonics import size
from fpsolve.transport.exponential import Series, _weights, exponential, polynomial
from fpsolve.transport.operators import AdvectionOperator, LogOperator, SkewOperator, spectral_bound

LMAX = 7


def velocity(lmax, strength=0.4, seed=1):
    rng = np.random.default_rng(seed)
    modes = rng.standard_normal((2, size(5))) + 1j * rng.standard_normal((2, size(5)))
    modes[:, :6] = modes[:, :6].real
    v = fp.HarmonicField(*modes).on(grid(lmax))
    return v * strength / np.sqrt((v**2).sum(axis=0).max())


def real_vector(u):
    """Coefficients as real unknowns of an orthonormal basis, m = 0 real."""
    rest = np.sqrt(2) * u[LMAX + 1 :]
    return np.concatenate([u[: LMAX + 1].real, rest.real, rest.imag])


def coefficients(y):
    rest = y[LMAX + 1 :].reshape(2, -1) / np.sqrt(2)
    return np.concatenate([y[: LMAX + 1].astype(complex), rest[0] + 1j * rest[1]])


def dense(operator):
    """The operator as a real matrix."""
    columns = []
    for basis in np.eye((LMAX + 1) ** 2):
        out = np.zeros(size(LMAX), complex)
        operator.add_to(coefficients(basis), out, 1.0)
        columns.append(real_vector(out))
    return np.array(columns).T


@pytest.mark.parametrize("kind", [AdvectionOperator, SkewOperator])
@pytest.mark.parametrize("strength", [0.05, 1.0, 12.0])
def test_against_dense_matrix_exponential(kind, strength):
    v = velocity(LMAX, strength)
    operator = kind(grid(LMAX), v)
    start = np.random.default_rng(0).standard_normal((LMAX + 1) ** 2)
    moved = exponential(operator, coefficients(start), spectral_bound(v, LMAX), 1e-12)
    exact = expm(dense(operator)) @ start
    assert np.abs(real_vector(moved) - exact).max() <= 1e-10 * np.linalg.norm(exact)


@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_tolerance_is_met(rtol):
    v = velocity(LMAX)
    operator = SkewOperator(grid(LMAX), v)
    start = coefficients(np.random.default_rng(0).standard_normal((LMAX + 1) ** 2))
    moved = exponential(operator, start, spectral_bound(v, LMAX), rtol)
    exact = expm(dense(operator)) @ real_vector(start)
    assert np.linalg.norm(real_vector(moved) - exact) <= rtol * np.linalg.norm(exact)


def test_a_bound_that_is_too_small_is_noticed_and_raised():
    v = velocity(LMAX, 6.0)
    operator = SkewOperator(grid(LMAX), v)
    start = coefficients(np.random.default_rng(0).standard_normal((LMAX + 1) ** 2))
    exact = expm(dense(operator)) @ real_vector(start)
    moved = exponential(operator, start, 0.4 * spectral_bound(v, LMAX), 1e-10)
    assert np.linalg.norm(real_vector(moved) - exact) <= 1e-8 * np.linalg.norm(exact)


def test_half_density_operator_is_skew_and_keeps_the_norm():
    matrix = dense(SkewOperator(grid(LMAX), velocity(LMAX)))
    assert np.abs(matrix + matrix.T).max() < 1e-13 * np.abs(matrix).max()


def test_against_small_rk4_steps():
    v = velocity(LMAX)
    operator = AdvectionOperator(grid(LMAX), v)
    u = coefficients(np.random.default_rng(2).standard_normal((LMAX + 1) ** 2))
    moved = exponential(operator, u, spectral_bound(v, LMAX), 1e-12)

    def apply(w):
        out = np.zeros_like(w)
        operator.add_to(w, out, 1.0)
        return out

    steps = 200
    for _ in range(steps):
        k1 = apply(u)
        k2 = apply(u + k1 / (2 * steps))
        k3 = apply(u + k2 / (2 * steps))
        k4 = apply(u + k3 / steps)
        u = u + (k1 + 2 * k2 + 2 * k3 + k4) / (6 * steps)
    assert np.abs(moved - u).max() < 1e-9 * np.abs(u).max()


def test_zero_velocity_moves_nothing():
    operator = AdvectionOperator(grid(LMAX), np.zeros((2, *grid(LMAX).shape)))
    u = coefficients(np.random.default_rng(2).standard_normal((LMAX + 1) ** 2))
    assert np.array_equal(exponential(operator, u, 0.0, 1e-6), u)


def test_weights_are_those_of_the_exponential():
    """Σ w_k i^k T_k(x) = e^{iRx}."""
    (w, _), x = _weights(17.0), np.linspace(-1, 1, 11)
    terms = w[:, None] * 1j ** np.arange(len(w))[:, None] * np.cos(np.arange(len(w))[:, None] * np.arccos(x))
    assert np.abs(terms.sum(axis=0) - np.exp(17j * x)).max() < 1e-13


@pytest.mark.parametrize("kind", [AdvectionOperator, SkewOperator, LogOperator])
@pytest.mark.parametrize("lmax", [7, 31, 128])
@pytest.mark.parametrize("strength", [0.01, 0.4])
def test_compiled_series_has_the_bits_of_the_readable_one(kind, lmax, strength):
    assert BOUND  # this SHTns exports its transforms
    operator = kind(grid(lmax), velocity(lmax, strength))
    u = np.random.default_rng(3).standard_normal(size(lmax)) + 0j
    u = np.append(u, 1.0) if kind is LogOperator else u
    radius = 0.02 * strength * lmax * lmax + 0.5
    series = Series(*_weights(radius), 1 / radius, 1e-9)
    compiled, readable = operator.polynomial(u, series), polynomial(operator, u, series)
    assert compiled is not None and np.array_equal(compiled, readable)
    assert np.abs(compiled - u).max() > 1e-4


@pytest.mark.parametrize("kind", [AdvectionOperator, SkewOperator, LogOperator])
def test_compiled_series_says_that_the_bound_was_too_small(kind):
    operator = kind(grid(15), velocity(15, 3.0))
    u = np.ones(size(15) + (kind is LogOperator), complex)
    series = Series(*_weights(40.0), 10.0, 1e-9)
    assert polynomial(operator, u, series) is None and operator.polynomial(u, series) is None


def test_a_field_of_another_grid_is_refused():
    with pytest.raises(ValueError, match="on a grid of"):
        AdvectionOperator(grid(7), velocity(31))
