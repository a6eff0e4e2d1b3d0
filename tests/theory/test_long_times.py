"""E[f(q_t)] at long times against hitting probabilities, stationary laws, exact eigenvalues and metastable rates."""

import numpy as np
import pytest
from scipy.integrate import cumulative_simpson, quad
from scipy.linalg import eigh_tridiagonal, solve_banded

from fpsolve.errors import InputError, UnresolvedError
from fpsolve.theory import (
    OverlapDiffusion,
    alignment_probability,
    antipodal_probability,
    classify_ends,
    hitting_probability,
    isotropic_overlap,
    long_times,
    value_noise_overlap,
)

OVERLAPS = np.array([-1.0, -0.9, -0.3, 0.0, 0.6, 0.999, 1.0])
LINEAR = isotropic_overlap(lambda t: t, 3)
QUADRATIC_FORM = OverlapDiffusion(lambda z: -2 * z * (1 - z * z), lambda z: 4 * (1 - z * z) ** 2)


def identity(q):
    return q


@pytest.mark.parametrize("t", [40.0, 1e3, 1e6, 1e12])
def test_random_quadratic_forms_and_linear_layers_end_with_the_arcsine_law(t):
    """P(aligned) = ½ + arcsin(z₀)/π; every f is absorbed with it, and pairs that are aligned or antipodal stay so."""
    limit = 2 * alignment_probability(OVERLAPS) - 1
    for d in (2, 3, 9):
        linear = isotropic_overlap(lambda t: t, d)
        assert np.abs(linear.expect(identity, OVERLAPS, t, 1e-10) - limit).max() < 2e-5 * np.exp(40 / 4 - t / 4) + 1e-10
    values = QUADRATIC_FORM.expect(lambda q: 3 + q**3 + q**2, OVERLAPS, t, 1e-10)
    assert np.abs(values - 4 - limit).max() < 1e-8


@pytest.mark.parametrize(("beta", "d"), [(1.0, 2), (1.0, 3), (0.9, 5), (1.2, 7), (12.0, 5), (2.0, 64), (0.5, 10)])
def test_value_noise_ends_by_its_hitting_probabilities(beta, d):
    """Where -1 attracts (cosh 2β > d-2), in the third case hardly so, and where it does not."""
    diffusion = value_noise_overlap(beta, d, 1.0)
    limit = 1 - 2 * antipodal_probability(beta, OVERLAPS, d)
    for t in (1e6, 1e9):
        assert np.abs(diffusion.expect(identity, OVERLAPS, t) - limit).max() < 1e-6


def test_ends_that_are_reached_absorb():
    """k(t) = (2/π) arcsin t, d = 2: pairs meet in finite time and stay together (an exit boundary)."""
    diffusion = isotropic_overlap(lambda t: 2 / np.pi * np.arcsin(t), 2)
    limit = hitting_probability(diffusion, OVERLAPS) - hitting_probability(diffusion, OVERLAPS, -1)
    assert np.abs(diffusion.expect(identity, OVERLAPS, 1e4, 1e-9) - limit).max() < 1e-8


def test_an_end_that_repels_at_a_finite_distance_absorbs_nothing():
    """k(t) = (2/π) arcsin t, d = 3: p = 1 and τ → 0 at both ends; the law forgets its start exponentially."""
    diffusion = isotropic_overlap(lambda t: 2 / np.pi * np.arcsin(t), 3)
    inside = np.array([-0.9, -0.3, 0.6, 0.999])
    first, second, third = (diffusion.expect(identity, inside, t, 1e-9) for t in (6.0, 12.0, 18.0))
    assert np.allclose(second / first, third / second, rtol=1e-4) and (second / first < 0.2).all()
    assert np.abs(diffusion.expect(identity, inside, 1e3, 1e-9)).max() < 1e-9


def stationary_mean(diffusion, f):
    """∫ f m dw / ∫ m dw, m = (2/s_w) e^Φ the speed density in w, by quadratures of scipy."""

    def steepness(w):
        q = np.tanh(w)
        return (1 - q * q) * 2 * diffusion.drift(q) / diffusion.variance(q) + 2 * q

    w = np.linspace(-6, 6, 12001)
    inner = cumulative_simpson(steepness(w), x=w, initial=0)
    q = np.tanh(w)
    density = np.exp(inner - inner.max()) * 2 * (1 - q * q) ** 2 / diffusion.variance(q)
    rates = np.abs(np.log(density[[1, -2]] / density[[0, -1]])) / (w[1] - w[0])  # beyond, e^{-rate |w|}
    tails = density[[0, -1]] / rates
    total = np.trapezoid(density, w) + tails.sum()
    return (np.trapezoid(f(q) * density, w) + f(np.array([-1.0, 1.0])) @ tails) / total


@pytest.mark.parametrize(
    ("kernel", "d"),
    [
        (lambda t: 0.01 + 0.99 * t**9, 8),  # both ends repel, tokens never become aligned
        (lambda t: 0.5 * t + 0.5 * t**9, 16),  # odd
        (lambda t: 0.3 + 0.7 * t**9, 5),  # p = 1.6: a density that is singular at q = 1
    ],
)
def test_where_both_ends_repel_the_law_becomes_stationary(kernel, d):
    diffusion = isotropic_overlap(kernel, d)
    assert {end.kind for end in classify_ends(diffusion)} == {"repelling"}
    inside = OVERLAPS[1:-1]
    for f in (identity, np.square, lambda q: q**9):
        exact = stationary_mean(diffusion, f)
        for t in (1e3, 1e6):
            assert np.abs(diffusion.expect(f, inside, t, 1e-9) - exact).max() < 1e-5
    assert diffusion.expect(identity, 1.0, 1e6) == 1  # an aligned pair stays


@pytest.mark.parametrize("d", [2, 3, 8])
@pytest.mark.parametrize("t", [0.01, 0.7, 5.0, 1e6])
def test_own_noise_has_the_eigenvalues_of_the_heat_semigroup(d, t):
    """b = -2ν(d-1)q, s = 4ν(1-q²): E G_ℓ(q_t) = e^{-2νℓ(ℓ+d-2)t} G_ℓ(q); the circle is crossed at both ends."""
    nu = 0.3
    diffusion = OverlapDiffusion(lambda q: -2 * nu * (d - 1) * q, lambda q: 4 * nu * (1 - q * q))
    second = np.exp(-4 * nu * d * t) * (OVERLAPS**2 - 1 / d)
    assert np.abs(diffusion.expect(lambda q: q**2 - 1 / d, OVERLAPS, t, 1e-9) - second).max() < 1e-8
    first = np.exp(-2 * nu * (d - 1) * t) * OVERLAPS
    assert np.abs(diffusion.expect(identity, OVERLAPS, t, 1e-9) - first).max() < 1e-8


@pytest.mark.parametrize("t", [0.4, 4.0, 25.0])
def test_brownian_gradient_flow_from_the_uniform_law(t):
    """k = 1 on S²: E|m|² = E c_1(r)², r the distance of Brownian motion in H³, c_1 = coth r - r/sinh² r."""

    def integrand(r):
        log_density = np.log(4 * np.pi * r) - 1.5 * np.log(2 * np.pi * t) - t / 2 - r**2 / (2 * t)
        log_sinh = r + np.log1p(-np.exp(-2 * r)) - np.log(2)
        c = 1 / np.tanh(r) - r * np.exp(-2 * log_sinh) if r > 1e-3 else r / 3
        return np.exp(log_density + log_sinh) * c**2

    exact = quad(integrand, 1e-9, t + 12 * np.sqrt(t) + 5, limit=400, epsabs=1e-12)[0]
    constant = isotropic_overlap(np.ones_like, 3)
    assert 4 * np.pi / 3 * constant.expected_power(1, [1 / (4 * np.pi)], t) == pytest.approx(exact, rel=2e-6)


def escape_rate(noise, n):
    """The first nonzero eigenvalue of the double well by finite volumes in w, a symmetric tridiagonal matrix."""
    w = np.linspace(-6, 6, 8 * n + 1)
    q = np.tanh(w)
    phi = cumulative_simpson(2 * q * (0.36 - q * q) / noise + 2 * q, x=w, initial=0)
    edges, centres, h = phi[8:-8:8], phi[4::8], 8 * (w[1] - w[0])
    up, down = (noise / h**2 * np.exp(edges - side) for side in (centres[:-1], centres[1:]))
    diagonal = np.zeros(n)
    diagonal[:-1] -= up
    diagonal[1:] -= down
    return -eigh_tridiagonal(diagonal, np.sqrt(up * down), True, select="i", select_range=(n - 2, n - 2))[0]


@pytest.mark.parametrize("noise", [0.02, 0.01])
def test_metastable_escape_has_its_rate(noise):
    """Wells at q = ±0.6: E q_t from one of them decays at the small eigenvalue, 3.7e-3 and 1.4e-4."""
    well = OverlapDiffusion(lambda q: (1 - q * q) * 2 * q * (0.36 - q * q), lambda q: 2 * noise * (1 - q * q) ** 2)
    rate = (4 * escape_rate(noise, 1000) - escape_rate(noise, 500)) / 3
    times = 1 / rate * np.array([1.0, 3.0])
    first, second = (float(well.expect(identity, 0.6, t, 1e-9)) for t in times)
    assert np.log(first / second) / (times[1] - times[0]) == pytest.approx(rate, rel=1e-5)
    assert abs(well.expect(identity, 0.6, 1e4 / rate)) < 1e-6


def by_walk(diffusion, start, t, n=800):
    """E q_t by implicit midpoint steps on a finite-volume grid in w = artanh q, extrapolated in both."""
    values = []
    for cells, steps in ((n, n), (2 * n, 2 * n)):
        w = np.linspace(-12, 12, cells + 1)
        q, h = np.tanh(w), w[1] - w[0]
        s = diffusion.variance(q) / np.cosh(w) ** -4
        b = diffusion.drift(q) * np.cosh(w) ** 2 + q * s
        up, down = s / (2 * h * h) + b / (2 * h), s / (2 * h * h) - b / (2 * h)
        up[[0, -1]] = down[[0, -1]] = 0
        half = t / (2 * steps)
        left = np.stack([-half * np.roll(up, 1), 1 + half * (up + down), -half * np.roll(down, -1)])
        u = np.tanh(w)
        for _ in range(steps):
            right = u + half * (up * (np.roll(u, -1) - u) + down * (np.roll(u, 1) - u))
            u = solve_banded((1, 1), left, right)
        values.append(np.interp(np.arctanh(start), w, u))
    return (4 * values[1] - values[0]) / 3


@pytest.mark.parametrize(("beta", "d", "t"), [(8.0, 16, 0.46), (8.0, 16, 1.0)])
def test_a_drift_that_carries_far_is_followed_by_steps(beta, d, t):
    """Where the contour loses digits, and layers at the ends are thinner than any polynomial's."""
    diffusion, inside = value_noise_overlap(beta, d, 1.0), np.array([-0.6, 0.0, 0.3])
    assert np.abs(diffusion.expect(identity, inside, t) - by_walk(diffusion, inside, t)).max() < 2e-5


@pytest.mark.parametrize(("beta", "d", "s", "t"), [(6.0, 64, 0.001, 0.02), (1.0, 3, 0.5, 20.0)])
def test_two_stretches_of_time_are_one(beta, d, s, t):
    """e^{sL} e^{tL} = e^{(s+t)L}: by polynomials, where a drift carries, and by the contour."""
    diffusion, inside = value_noise_overlap(beta, d, 1.0), OVERLAPS[1:-1]
    nested = diffusion.expect(lambda q: diffusion.expect(identity, q, t, 1e-9), inside, s, 1e-6)
    assert np.abs(nested - diffusion.expect(identity, inside, s + t, 1e-9)).max() < 1e-6


def test_the_probability_of_an_end_is_a_martingale_at_every_time():
    diffusion, inside = value_noise_overlap(6.0, 64, 1.0), np.array([-0.9, -0.3, 0.4])
    exact = antipodal_probability(6.0, inside, 64)
    for t in (0.05, 1.0, 100.0):
        later = diffusion.expect(lambda q: antipodal_probability(6.0, q, 64), inside, t, 1e-6)
        assert np.abs(later - exact).max() < 1e-5


def test_what_is_not_resolved_is_told(monkeypatch):
    monkeypatch.setattr(long_times, "MOST_PANELS", 700)
    with pytest.raises(UnresolvedError, match="without jumps"):
        LINEAR.expect(lambda q: np.where(q > 0.05, 1.0, 0.0), 0.3, 1.0)
    with pytest.raises(InputError, match=r"^f = .*not finite"), np.errstate(divide="ignore"):
        LINEAR.expect(lambda q: np.log(1 - q), 0.3, 1.0)
    still = isotropic_overlap(lambda t: t, 3, noise=0.0)
    assert np.abs(still.expect(np.square, OVERLAPS, 7.0) - OVERLAPS**2).max() < 1e-10
