"""Frozen isotropic noise: mean and power of ρ_ℓm over members, and the two-token statistics, against closed forms.

Every test compares several numbers at once by Hotelling's T² and fails below a probability of 1e-4: that is its false
alarm rate. Seeds are fixed.
"""

import numpy as np
import pytest
from scipy import stats

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.models import IsotropicFlow
from fpsolve.sphere.harmonics import power, real_degrees_orders, to_real
from fpsolve.theory import isotropic_overlap

T_END, DT, LMAX, MEMBERS, LOW, NOISE = 0.2, 0.1, 39, 250, 3, 0.5


def kernel(t):
    return 0.2 + 0.3 * t + 0.2 * t**2 + 0.3 * t**3


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


class Mirrored:
    """A path with every increment reversed, as likely as the path itself; their average is free of odd noise."""

    def __init__(self, path):
        self.path, self.check_step = path, path.check_step

    def increment(self, *interval):
        return -self.path.increment(*interval)

    def normals(self, *interval):
        return -self.path.normals(*interval)


def final(initial, path):
    """The density at T_END, by the scheme of weak order two: its bias is far below the noise."""
    *_, (_, end) = fp.run(MODEL, initial, path, t_end=T_END, dt=DT, scheme="ninomiya")
    return end


@pytest.fixture(scope="module")
def ends(initial):
    """The densities of every member at T_END, on its path and on the mirrored one."""
    last = []
    for member in range(MEMBERS):
        path = fp.BrownianPath(31, member, cell=DT)
        last.append([final(initial, path), final(initial, Mirrored(path))])
    assert max(end.tail for both in last for end in both) < 1e-3
    return last


def averaged(observable, ends):
    """Samples of an observable over members, averaged over each pair of paths."""
    return np.array([(observable(one) + observable(two)) / 2 for one, two in ends])


def test_the_mean_of_every_moment_decays(initial, ends):
    """E ρ_ℓm(t) = ρ_ℓm(0) e^{-ε²κ ℓ(ℓ+1) t/2}, κ = k(1) = 1, the fifteen moments of degrees 1 to 3."""
    ells, _ = real_degrees_orders(LOW)
    before = to_real(initial.coefficients, LOW)
    samples = averaged(lambda end: to_real(end.coefficients, LOW), ends)

    def decayed(factor):
        return before * np.exp(-factor * NOISE**2 * ells * (ells + 1) * T_END / 2)

    assert np.abs(samples[:, 0] - before[0]).max() < 1e-12
    assert surprise(samples[:, 1:], decayed(1.0)[1:]) > 1e-4
    assert surprise(samples[:, 1:], decayed(1.2)[1:]) < 1e-4, "a fifth more noise would not be noticed"


def test_the_power_of_every_degree_is_that_of_two_tokens(initial, ends):
    """E Σ_m|ρ_ℓm|² from the backward equation of the overlap, degrees 1 to 5."""
    samples = averaged(lambda end: power(end.coefficients)[1:6], ends)
    before = power(initial.coefficients)
    expected = np.array([OVERLAP.expected_power(ell, before, T_END) for ell in range(1, 6)])
    assert surprise(samples, expected) > 1e-4
    assert (samples.std(0) / np.sqrt(MEMBERS) < 0.05 * expected).all()


def test_pairs_of_tokens_meet_the_overlap_diffusion():
    """E q, E q² and E q³ of two tokens: sixty rotated pairs a member ride on one noise; members are the samples."""
    q0, pairs, members = -0.3, 60, 150
    frames, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(pairs, 3, 3)))
    second = q0 * frames[:, :, 0] + np.sqrt(1 - q0**2) * frames[:, :, 1]
    x = np.concatenate([frames[:, :, 0], second])
    start = fp.Cloud(x, np.full(2 * pairs, 0.5 / pairs), rtol=1e-4, tokens=True)
    samples = []
    for member in range(members):
        path = fp.BrownianPath(32, member, cell=0.1)
        *_, (_, end) = fp.run(MODEL, start, path, t_end=T_END, dt=0.1, scheme="ninomiya")
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
