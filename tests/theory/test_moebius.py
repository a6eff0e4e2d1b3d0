"""Boosts against the flow, densities against their Jacobians, the reduction of β = 0 against a moved quadrature."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import eval_chebyt, eval_gegenbauer, roots_gegenbauer

from fpsolve.errors import InputError
from fpsolve.theory import boost, boost_parameter, compose, moebius_density, moebius_moment, moebius_orbit


def unit(rng, shape):
    x = rng.standard_normal(shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("d", [2, 3, 6])
def test_the_boost_is_the_flow(d):
    rng = np.random.default_rng(d)
    x, w = unit(rng, (5, d)), 1.3 * rng.standard_normal((5, d))
    for start, field in zip(x, w, strict=True):
        path = solve_ivp(lambda _, y, f=field: f - (f @ y) * y, (0, 1), start, rtol=1e-11, atol=1e-12)
        assert np.abs(boost(start, field) - path.y[:, -1]).max() < 1e-9
    assert np.abs(boost(x, w) - compose(boost_parameter(w), x)).max() < 1e-13
    assert np.abs(boost(boost(x, w), -w) - x).max() < 1e-12
    assert np.abs(boost(boost(x, w), 0.5 * w) - boost(x, 1.5 * w)).max() < 1e-12


def test_strong_and_zero_boosts():
    e = np.array([0.0, 0.6, 0.8])
    rest = np.stack([-e, e, [1.0, 0.0, 0.0]])
    assert np.abs(boost(rest, 0 * e) - rest).max() < 1e-15
    for r in (30.0, 900.0):
        assert np.abs(boost(rest, r * e) - np.stack([-e, e, e])).max() < 1e-12
    assert np.abs(boost_parameter([[0.0, 0.0], [1e-9, 0.0]]) - [[0, 0], [5e-10, 0]]).max() < 1e-20


@pytest.mark.parametrize("d", [2, 3, 6])
def test_a_boost_carries_the_density_to_the_composed_parameter(d):
    """ρ_{b⊕a}(Tx) = ρ_a(x) (cosh r + c sinh r)^{d-1}, the inverse of the map's conformal factor."""
    rng = np.random.default_rng(d)
    x, w, a = unit(rng, (20, d)), 0.9 * unit(rng, d), 0.6 * unit(rng, d)
    r = np.linalg.norm(w)
    stretch = np.cosh(r) + x @ w / r * np.sinh(r)
    moved = moebius_density(boost(x, w), compose(boost_parameter(w), a))
    assert np.allclose(moved, moebius_density(x, a) * stretch ** (d - 1), rtol=1e-11)


@pytest.mark.parametrize("d", [2, 3, 6, 9])
def test_mass_and_moments_are_quadratures(d):
    t, w = roots_gegenbauer(200, d / 2 - 1)
    x = np.zeros((200, d))
    x[:, 0], x[:, 1] = t, np.sqrt(1 - t * t)
    rho = moebius_density(x, 0.6 * np.eye(d)[0])
    uniform = moebius_density(x, np.zeros(d))
    assert w @ (rho / uniform) / w.sum() == pytest.approx(1, rel=1e-11)
    for ell in range(5):
        zonal = eval_chebyt(ell, t) if d == 2 else eval_gegenbauer(ell, d / 2 - 1, t)
        zonal = zonal / (1 if d == 2 else eval_gegenbauer(ell, d / 2 - 1, 1.0))
        assert moebius_moment(ell, 0.6, d) == pytest.approx(w @ (rho / uniform * zonal) / w.sum(), rel=1e-10)
    assert moebius_moment([0, 1, 4], [[0.0], [1 - 1e-9]], d).round(3).tolist() == [[1, 0, 0], [1, 1, 1]]


def test_on_the_sphere_it_is_the_squared_poisson_kernel():
    x, a = unit(np.random.default_rng(1), (4, 3)), np.array([0.1, -0.3, 0.5])
    exact = ((1 - a @ a) / ((x - a) ** 2).sum(1)) ** 2 / (4 * np.pi)
    assert np.allclose(moebius_density(x, a), exact, rtol=1e-13)


@pytest.mark.parametrize("d", [2, 3])
def test_the_orbit_is_that_of_points_that_move_by_their_mean(d):
    """A quadrature of ρ_a, moved by the exact flow of σ_V|m| ΔB in every step, m its own mean."""
    x, weights = quadrature(d)
    start = 0.4 * unit(np.random.default_rng(3), d)
    increments = 0.3 * np.random.default_rng(4).standard_normal((6, d))
    x = boost(x, 2 * np.arctanh(0.4) * start / 0.4)
    for increment, a in zip(increments, moebius_orbit(start, increments, 0.8), strict=False):
        mean = weights @ x
        size = np.linalg.norm(a)
        assert np.abs(mean - moebius_moment(1, size, d) * a / size).max() < 1e-10
        x = boost(x, 0.8 * np.linalg.norm(mean) * increment)
    assert (moebius_orbit(np.zeros(d), increments) == 0).all()


def quadrature(d):
    """Points and weights of the uniform law."""
    phi = 2 * np.pi * np.arange(128) / 128
    circle = np.stack([np.cos(phi), np.sin(phi)], -1)
    if d == 2:
        return circle, np.full(128, 1 / 128)
    z, w = np.polynomial.legendre.leggauss(64)
    height = np.broadcast_to(z[:, None, None], (64, 128, 1))
    x = np.concatenate([np.sqrt(1 - height**2) * circle, height], -1)
    return x.reshape(-1, 3), np.repeat(w / 256, 128)


def test_bad_arguments_are_named():
    e, a = np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.0, 0.0])
    with pytest.raises(InputError, match=r"^x = .*unit sphere"):
        boost(a, a)
    with pytest.raises(InputError, match=r"^w = .*same dimension"):
        boost(e, [1.0, 0.0])
    with pytest.raises(InputError, match=r"^a = .*ball"):
        moebius_density(e, e)
    with pytest.raises(InputError, match=r"^b = "):
        compose(a, 2 * e)
    with pytest.raises(InputError, match=r"^radius = 1"):
        moebius_moment(1, 1.0)
    with pytest.raises(InputError, match=r"^increments = "):
        moebius_orbit(a, e)
