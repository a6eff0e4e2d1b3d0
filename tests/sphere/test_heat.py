"""The heat kernel of S^{d-1} as a map of a Gaussian length: moments and distribution functions, all deterministic."""

import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from scipy.special import chdtr, eval_legendre, gammaln

from fpsolve.errors import InputError
from fpsolve.sphere.heat import TINY, heat_map, lineages, moved


def lengths(d, nodes=400):
    """Nodes and weights for the length R of d-1 unit Gaussians."""
    s, w = leggauss(nodes)
    low, high = max(0.0, np.sqrt(d - 1) - 11), np.sqrt(d - 1) + 11
    R, a = low + (high - low) * (s + 1) / 2, (d - 1) / 2
    return R, w * (high - low) / 2 * np.exp((d - 2) * np.log(R) - R**2 / 2 - gammaln(a) - (a - 1) * np.log(2))


def overlaps(d, tau, R):
    """cos Θ of points moved along tangents of lengths R."""
    x, tangent = np.zeros((2, len(R), d))
    x[:, 0], tangent[:, 1] = 1, R
    return moved(x, tangent, tau)[:, 0]


def gegenbauer(d, degree, u):
    """P_ℓ with P_ℓ(1) = 1 for the weight (1-u²)^{(d-3)/2}, by recurrence."""
    before, now = np.ones_like(u), u
    for n in range(1, degree):
        before, now = now, ((2 * n + d - 2) * u * now - n * before) / (n + d - 2)
    return now


@pytest.mark.parametrize("tau", [1e-6, 0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("d", [2, 3, 8, 64, 512])
def test_moments_of_the_heat_kernel(d, tau):
    """E P_ℓ(cos Θ) = e^{-ℓ(ℓ+d-2)τ} for ℓ = 1, 2, 3, 6 to 1e-11 in every dimension."""
    R, weights = lengths(d)
    u = overlaps(d, tau, R)
    for degree in (1, 2, 3, 6):
        expected = np.exp(-degree * (degree + d - 2) * tau)
        tolerance = 1e-11 if d > 2 or tau < 5 else 1e-8  # the quadrature of a wound circle
        assert weights @ gegenbauer(d, degree, u) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("tau", [0.01, 0.2, 0.6, 3.0])
def test_distribution_functions_in_closed_form(tau):
    """P(Θ ≤ θ(R)) = P(χ_{d-1} ≤ R): Legendre's series on S², the theta function on S³."""
    R = np.linspace(0.05, 5, 40)
    u = overlaps(3, tau, R)
    ells = np.arange(1, 80)[:, None]
    differences = eval_legendre(ells - 1, u) - eval_legendre(ells + 1, u)
    on_sphere = 0.5 * (1 - u) + 0.5 * np.sum(np.exp(-ells * (ells + 1) * tau) * differences, 0)
    np.testing.assert_allclose(on_sphere, chdtr(2, R**2), atol=1e-12)
    theta, k = np.arccos(overlaps(4, tau, R)), np.arange(2, 80)[:, None]
    terms = np.sin((k - 1) * theta) / (k - 1) - np.sin((k + 1) * theta) / (k + 1)
    first = theta - np.sin(2 * theta) / 2
    on_three = (first + np.sum(k * np.exp(-(k**2 - 1) * tau) * terms, 0)) / np.pi
    np.testing.assert_allclose(on_three, chdtr(3, R**2), atol=1e-12)


@pytest.mark.parametrize(("d", "tau"), [(3, 1e-3), (3, 10.0), (8, 0.05), (64, 0.2), (512, 0.004)])
def test_the_angle_increases_with_the_length(d, tau):
    R = np.linspace(0, np.sqrt(d) + 12, 3000)
    u = overlaps(d, tau, R)
    assert u[0] == 1
    inside = u > -1 + 1e-12
    assert (np.diff(u)[inside[1:]] < 0).all()
    assert np.isfinite(u).all() and (np.abs(u) <= 1 + 1e-15).all()


@pytest.mark.parametrize("d", [3, 8, 512])
def test_the_table_meets_the_expansion_for_small_steps(d):
    """Just above and just below the least τ of the table tan² of half the angle agrees to 1e-9 of itself."""
    R = np.linspace(max(0.1, np.sqrt(d - 1) - 5), np.sqrt(d - 1) + 5, 30)
    tau = TINY / (d - 1)
    below, above = (np.exp(heat_map(d, 1.0000001 * tau)(R)), 2 * _half_tangent(R, d, tau) ** 2 / R**2)
    np.testing.assert_allclose(below / 1.0000001, above, rtol=1e-9)


def _half_tangent(R, d, tau):
    return np.tan(R * np.sqrt(tau / 2) * (1 - (d - 2) * tau / 6))


@pytest.mark.parametrize(("n", "tau"), [(1.0, 1e-5), (6.0, 0.02), (6.0, 0.5), (510.0, 1e-3), (510.0, 0.05)])
def test_lineages_are_a_law_of_the_right_mean(n, tau):
    """Σ q_m = 1 and E M/(M+d-1) = e^{-(d-1)τ}, by both of their formulas; no negative weight beyond round-off."""
    m, q = lineages(n, tau)
    assert q.min() > -1e-12
    assert q.sum() == pytest.approx(1, abs=5e-12)
    assert q @ (m / (m + n + 1)) == pytest.approx(np.exp(-(n + 1) * tau), abs=5e-12)


def test_two_halves_have_the_law_of_the_whole():
    """S²: cos Θ of two steps τ/2 by their product rule, P_ℓ(cos Θ₁) P_ℓ(cos Θ₂), against one step τ."""
    R, weights = lengths(3)
    half, whole = (weights @ eval_legendre(2, overlaps(3, tau, R)) for tau in (0.15, 0.3))
    assert half**2 == pytest.approx(whole, abs=1e-12)


def test_points_stay_unit_and_follow_their_tangents():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 7))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    tangent = rng.normal(size=x.shape)
    tangent -= np.sum(tangent * x, 1)[:, None] * x
    y = moved(x, tangent, 0.1)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, atol=1e-15)
    along = y - np.sum(y * x, 1)[:, None] * x
    cosines = np.sum(along * tangent, 1) / np.linalg.norm(along, axis=1) / np.linalg.norm(tangent, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-12)
    assert np.array_equal(moved(x, tangent, 0.0), x)


@pytest.mark.parametrize("tau", [-0.1, np.nan, np.inf])
def test_bad_heat_times_are_refused(tau):
    with pytest.raises(InputError) as refused:
        moved(np.eye(3), np.zeros((3, 3)), tau)
    assert refused.value.argument == "amount"
    for bad in ((2, 0.1), (3, 1e-9), (3.5, 0.1)):
        with pytest.raises(InputError):
            heat_map(*bad)
