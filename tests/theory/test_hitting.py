"""Hitting probabilities against closed forms, quadrature, a boundary value problem, long times and Monte Carlo."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_bvp

from fpsolve.errors import InputError
from fpsolve.theory import (
    OverlapDiffusion,
    alignment_probability,
    antipodal_attracts,
    antipodal_exponent,
    antipodal_probability,
    classify_ends,
    hitting_probability,
    isotropic_overlap,
    scale_function,
    value_noise_overlap,
)

OVERLAPS = np.array([-1, -1 + 1e-12, -0.99, -0.3, 0, 0.5, 0.999, 1 - 1e-15, 1])
CASES = [(1.0, -0.3, 3), (0.9, 0.1, 5), (2.0, 0.4, 4), (1.2, -0.9, 7), (3.0, 0.1, 64), (12.0, 0.7, 5)]


def rapidity_coefficients(diffusion, w):
    """Drift and variance of w = artanh q by Itô's formula."""
    q = np.tanh(w)
    slope = 1 / (1 - q * q)
    variance = diffusion.variance(q) * slope**2
    return diffusion.drift(q) * slope + q * variance, variance


def by_quadrature(beta, q0, d):
    """P(antipodal) from the integral in the angle θ = arccos q, log S' by an inner quadrature."""

    def inner(q):
        return quad(lambda y: 1 / np.cosh(beta * (1 - y)) / (1 - y * y), 0, q, epsabs=1e-13, limit=200)[0]

    def density(theta):  # S' dq = e^{-(d-2)…} dθ
        return np.exp(-(d - 2) * inner(np.cos(theta)))

    middle = np.arccos(q0)
    upper = quad(density, 0, middle, epsabs=1e-12, limit=200)[0]
    return upper / (upper + quad(density, middle, np.pi - 1e-9, epsabs=1e-12, limit=200)[0])


@pytest.mark.parametrize(("beta", "q0", "d"), [(2.0, 0.4, 3), (3.0, -0.5, 4), (5.0, 0.9, 8)])
def test_antipodal_probability_is_the_integral(beta, q0, d):
    """Far from the border, where a plain quadrature sees all of the mass near q = -1."""
    assert antipodal_probability(beta, q0, d) == pytest.approx(by_quadrature(beta, q0, d), rel=1e-6)


@pytest.mark.parametrize(("beta", "q0", "d"), CASES)
def test_antipodal_probability_solves_the_boundary_value_problem(beta, q0, d):
    """½ s_w P'' + b_w P' = 0 in w = artanh q, decay of 1-P and P at ±W, coefficients of the diffusion itself."""
    diffusion, W = value_noise_overlap(beta, d, 1.0), 8.0
    (lower, _), (upper, _) = classify_ends(diffusion)
    first, last = 2 * (1 - lower), 2 * (1 - upper)

    def rhs(w, y):
        b, s = rapidity_coefficients(diffusion, w)
        return np.stack([y[1], -2 * b / s * y[1]])

    def ends(left, right):
        return np.array([left[1] + first * (1 - left[0]), right[1] + last * right[0]])

    mesh = np.linspace(-W, W, 400)
    guess = np.stack([0.5 - mesh / (2 * W), np.full(400, -0.5 / W)])
    solved = solve_bvp(rhs, ends, mesh, guess, tol=1e-8, max_nodes=20000)
    assert solved.success
    assert antipodal_probability(beta, q0, d) == pytest.approx(solved.sol(np.arctanh(q0))[0], abs=2e-7)


@pytest.mark.parametrize(("beta", "q0", "d"), CASES)
def test_the_general_route_agrees_with_the_closed_slope(beta, q0, d):
    diffusion = value_noise_overlap(beta, d)
    exact = antipodal_probability(beta, q0, d)
    assert hitting_probability(diffusion, q0, end=-1) == pytest.approx(exact, rel=1e-7)
    assert hitting_probability(diffusion, q0, end=1) == pytest.approx(1 - exact, rel=1e-7)


def test_the_probability_is_a_martingale():
    """E P(q_t) = P(q_0) by the backward solver."""
    q = np.array([-0.6, -0.3, 0.4])
    later = value_noise_overlap(1.0, 3, 1.0).expect(lambda y: antipodal_probability(1.0, y, 3), q, 0.3, tolerance=1e-4)
    assert np.abs(later - antipodal_probability(1.0, q, 3)).max() < 1e-3


def test_antipodal_probability_by_simulation():
    """20000 paths of w, β = 1.5, d = 4, from q = -0.2; five standard errors (6e-7) and 0.002 for the step's bias."""
    rng, diffusion, dt = np.random.default_rng(5), value_noise_overlap(1.5, 4, 1.0), 0.02
    w = np.full(20000, np.arctanh(-0.2))
    for _ in range(500):
        b, s = rapidity_coefficients(diffusion, np.clip(w, -7, 7))
        w += b * dt + np.sqrt(s * dt) * rng.standard_normal(w.size)
    assert np.mean(np.abs(w) < 1.5) < 0.01
    exact = float(antipodal_probability(1.5, -0.2, 4))
    assert np.mean(w < 0) == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / w.size) + 0.002)


def test_the_circle_and_low_temperature_have_the_arcsine_law():
    exact = 0.5 - np.arcsin(OVERLAPS) / np.pi
    for beta in (0.0, 1.7, 40.0):
        assert np.abs(antipodal_probability(beta, OVERLAPS, 2) - exact).max() < 1e-14
    q = np.array([-0.9, 0.0, 0.5])
    errors = [np.abs(antipodal_probability(b, q, 3) - 0.5 + np.arcsin(q) / np.pi).max() for b in (1e2, 1e4, 1e6)]
    assert errors[0] < 0.02
    assert np.allclose(np.divide(errors[1:], errors[:-1]), 0.1, rtol=0.05)  # the layer at q = 1 has mass ~ β^{-1/2}


def test_linear_layers_have_the_arcsine_law_in_every_dimension():
    for d in (2, 3, 9):
        linear = isotropic_overlap(lambda t: t, d)
        assert np.abs(hitting_probability(linear, OVERLAPS) - alignment_probability(OVERLAPS)).max() < 1e-10
        assert np.abs(scale_function(linear, OVERLAPS) - np.arcsin(OVERLAPS)).max() < 1e-10
    twice = OverlapDiffusion(lambda z: -2 * z * (1 - z * z), lambda z: 4 * (1 - z * z) ** 2)  # random quadratic form
    assert np.abs(hitting_probability(twice, OVERLAPS) - alignment_probability(OVERLAPS)).max() < 1e-10


def test_the_border_is_cosh_two_beta():
    for d in (5, 16, 64):
        border = np.arccosh(d - 2) / 2
        below, above = antipodal_probability([border * (1 - 1e-6), border * (1 + 1e-3)], 0.0, d)
        assert below == 0 and 0 < above < 0.05
        assert list(antipodal_attracts([border * 0.999, border * 1.001], d)) == [False, True]
        assert list(np.sign(antipodal_exponent([border * 0.999, border * 1.001], d))) == [1, -1]
    assert (antipodal_probability([0.01, 1.0, 9.0], 0.9, 3) > 0).all()


def test_the_ends_of_value_noise():
    """Exponents 1 - p = (1 - (d-2) sech 2β)/2 at -1 and (d-1)/2 at +1."""
    for beta, d in ((1.0, 3), (0.7, 5), (2.0, 20)):
        lower, upper = classify_ends(value_noise_overlap(beta, d))
        assert 1 - lower.exponent == pytest.approx((1 - (d - 2) / np.cosh(2 * beta)) / 2, abs=1e-7)
        assert 1 - upper.exponent == pytest.approx((d - 1) / 2, abs=1e-7)
        assert lower.kind == ("attracting" if np.cosh(2 * beta) > d - 2 else "repelling")
        assert upper.kind == "attracting"


def test_ends_that_do_not_attract_have_probability_zero():
    sphere, circle = isotropic_overlap(np.ones_like, 3), isotropic_overlap(np.ones_like, 2)
    steep = isotropic_overlap(lambda t: 0.01 + 0.99 * t**9, 8)
    assert [e.kind for e in classify_ends(sphere)] == ["repelling", "attracting"]
    assert [e.kind for e in classify_ends(circle)] == ["crossed", "attracting"]
    assert [e.kind for e in classify_ends(steep)] == ["repelling", "repelling"]
    assert (hitting_probability(sphere, [-0.9, 0.5]) == 1).all()
    assert (hitting_probability(circle, [-1.0, 0.5]) == 1).all()
    assert (hitting_probability(sphere, [-0.9, 0.5], end=-1) == 0).all()
    assert (hitting_probability(steep, [0.1, 1.0]) == [0, 1]).all() and hitting_probability(steep, 0.1, end=-1) == 0
    assert scale_function(sphere, -1.0) == -np.inf
    assert np.abs(scale_function(sphere, [-0.9, 0.0, 1.0]) - np.log([0.1, 1.0, 2.0])).max() < 1e-8


def test_ends_are_kept_and_arguments_broadcast():
    assert (antipodal_probability(0.1, [-1.0, 1.0], 64) == [1, 0]).all()
    table = antipodal_probability([1.0, 2.0, 3.0], [[-0.3], [0.4]], [3, 4, 64])
    assert table.shape == (2, 3) and table[1, 1] == antipodal_probability(2.0, 0.4, 4)
    assert np.shape(antipodal_probability(1.0, 0.0, 3)) == ()


def test_small_probabilities_keep_their_relative_accuracy():
    """P ~ c (1-q)^{(d-1)/2} near q = 1, no cancellation at 1e-15 from it."""
    gaps = 2.0 ** -np.arange(30, 50, 5)
    values = antipodal_probability(2.0, 1 - gaps, 4)
    assert np.allclose(values / gaps**1.5, values[-1] / gaps[-1] ** 1.5, rtol=1e-8, atol=0)


def test_large_dimensions_are_resolved():
    values = antipodal_probability(6.0, [-0.9, 0.0, 0.3], 10000)
    assert (np.diff(values) < 0).all() and (values > 0).all() and values[0] < 1
    assert hitting_probability(value_noise_overlap(6.0, 10000), 0.0, end=-1) == pytest.approx(values[1], rel=1e-4)


def test_bad_arguments_are_named():
    for name, value in [("beta", -1.0), ("overlap", 1.5), ("d", 1), ("d", 2.5)]:
        with pytest.raises(InputError, match=rf"^{name} = {value}"):
            antipodal_probability(**({"beta": 1.0, "overlap": 0.0, "d": 3} | {name: value}))
    with pytest.raises(InputError, match=r"^end = 0"):
        hitting_probability(value_noise_overlap(1.0, 3), 0.0, end=0)
    with pytest.raises(InputError, match=r"^diffusion = "):
        scale_function(isotropic_overlap(np.zeros_like, 3), 0.0)
    with pytest.raises(InputError, match=r"^overlap = nan"):
        alignment_probability(np.nan)
