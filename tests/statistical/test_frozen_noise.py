"""Frozen isotropic noise: mean and power of ρ_ℓm over members, and the two-token statistics, against closed forms.

Every test compares several numbers at once by Hotelling's T² and fails below a probability of 1e-4: that is its false alarm
rate. Seeds are fixed.
"""

import numpy as np
import pytest
from scipy import stats

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.models import IsotropicFlow
from fpsolve.sphere.harmonics import power, real_degrees_orders, to_real
from fpsolve.theory import isotropic_overlap

T_END, DT, LMAX, MEMBERS, LOW, NOISE = 0.4, 0.1, 31, 300, 3, 0.5


def kernel(t):
    return 0.4 * t + 0.6 * t**3


MODEL = IsotropicFlow.from_kernel(kernel, 3, noise=NOISE)
OVERLAP = isotropic_overlap(kernel, 3, NOISE)
LAW = fp.initial.von_mises_fisher([1, 2, 2], 1.5)


def surprise(samples, expected):
    """The probability under the expected mean of a T² at least as large; samples (members, numbers)."""
    n, p = samples.shape
    off = samples.mean(0) - expected
    t_square = n * off @ np.linalg.solve(np.cov(samples.T).reshape(p, p), off)
    return stats.f.sf(t_square * (n - p) / (p * (n - 1)), p, n - p)


@pytest.fixture(scope="module")
def initial():
    return build(LAW, "density", LMAX, 1e-4)


@pytest.fixture(scope="module")
def ends(initial):
    """The density of every member at T_END, by the scheme of weak order two: its bias is far below the noise."""
    last = []
    for member in range(MEMBERS):
        path = fp.BrownianPath(31, member, cell=DT)
        *_, (_, end) = fp.run(MODEL, initial, path, t_end=T_END, dt=DT, scheme="ninomiya")
        last.append(end)
    assert max(end.tail for end in last) < 1e-3
    return last


def test_the_mean_of_every_moment_decays(initial, ends):
    """E ρ_ℓm(t) = ρ_ℓm(0) e^{-ε²κ ℓ(ℓ+1) t/2}, κ = k(1) = 1, the fifteen moments of degrees 1 to 3."""
    ells, _ = real_degrees_orders(LOW)
    decay = np.exp(-(NOISE**2) * ells * (ells + 1) * T_END / 2)
    samples = np.array([to_real(end.coefficients, LOW) for end in ends])
    expected = to_real(initial.coefficients, LOW) * decay
    assert np.abs(samples[:, 0] - expected[0]).max() < 1e-12
    assert surprise(samples[:, 1:], expected[1:]) > 1e-4


def test_the_power_of_every_degree_is_that_of_two_tokens(initial, ends):
    """E Σ_m|ρ_ℓm|² from the backward equation of the overlap, degrees 1 to 5."""
    samples = np.array([power(end.coefficients)[1:6] for end in ends])
    before = power(initial.coefficients)
    expected = np.array([OVERLAP.expected_power(ell, before, T_END) for ell in range(1, 6)])
    assert surprise(samples, expected) > 1e-4
    assert (samples.std(0) / np.sqrt(MEMBERS) < 0.1 * expected).all()


def test_pairs_of_tokens_meet_the_overlap_diffusion():
    """E q, E q² and E q³ of two tokens: sixty rotated pairs a member ride on one noise; members are the samples."""
    q0, pairs, members = -0.3, 60, 150
    frames, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(pairs, 3, 3)))
    second = q0 * frames[:, :, 0] + np.sqrt(1 - q0**2) * frames[:, :, 1]
    x = np.concatenate([frames[:, :, 0], second])
    start = fp.Cloud(x, np.full(2 * pairs, 0.5 / pairs), rtol=1e-4, tokens=True)
    samples = []
    for member in range(members):
        path = fp.BrownianPath(32, member, cell=0.2)
        *_, (_, end) = fp.run(MODEL, start, path, t_end=T_END, dt=0.2, scheme="ninomiya")
        q = (end.x[:pairs] * end.x[pairs:]).sum(1)
        samples.append([q.mean(), (q**2).mean(), (q**3).mean()])
    expected = [float(OVERLAP.expect(lambda q, n=n: q**n, q0, T_END)) for n in (1, 2, 3)]
    assert surprise(np.array(samples), expected) > 1e-4


def test_the_uniform_law_stays_uniform_on_average():
    """E ρ = 1/4π while single members are far from it."""
    uniform, samples = build(fp.initial.uniform(), "density", 23, 1e-4), []
    for member in range(150):
        path = fp.BrownianPath(33, member, cell=0.2)
        *_, (_, end) = fp.run(MODEL, uniform, path, t_end=0.2, dt=0.2, scheme="lie_euler")
        samples.append(to_real(end.coefficients, 2)[1:])
    samples = np.array(samples)
    assert samples.std(0).min() > 0.01
    assert surprise(samples, np.zeros(8)) > 1e-4
