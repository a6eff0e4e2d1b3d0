"""Sources of laws about an axis: von Mises–Fisher laws have M(rx) = λ_0(|rx + κe|)/λ_0(κ) in every dimension."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.multipliers import log_multiplier
from fpsolve.attention.zonal import kernel_degree
from fpsolve.sphere.gegenbauer import ZonalPoints


def exact(d, kappa, r, points):
    """(log M, F) at r·x."""
    g = r * points.x + kappa * np.array([0.0, 1.0])
    size = np.sqrt((g * g).sum(-1))
    log, ratio = log_multiplier(d, size)
    return log - log_multiplier(d, np.array(kappa))[0], (ratio / size)[:, None] * g


@pytest.mark.parametrize(("d", "kappa"), [(2, 3.0), (3, 4.0), (8, 2.0), (64, 6.0), (512, 20.0), (10_000, 100.0)])
@pytest.mark.parametrize("r", [0.0, 0.5, 4.0, 30.0])
def test_both_sources(d, kappa, r):
    law = fp.initial.axial(d, kappa)
    points = ZonalPoints(d, np.linspace(0.0, np.pi, 7) if d < 64 else np.linspace(1.2, 1.9, 7))
    log, f = exact(d, kappa, r, points)
    for cls in (fp.ZonalDensity, fp.ZonalCloud):
        mine = cls.from_law(law, lmax=63, rtol=1e-6).source.F_sphere(r, points)
        far = 1e-13 * np.exp(2 * r) if cls is fp.ZonalDensity else 0.0  # what a density does not know
        assert np.abs(mine[0] - log).max() < 1e-10 + far and np.abs(mine[1] - f).max() < 1e-9 + far


@pytest.mark.parametrize("d", [2, 3])
def test_against_the_sources_of_s2_and_s1(d):
    mean = np.eye(d)[-1]
    law = fp.initial.mixture([fp.initial.von_mises_fisher(mean, 4.0), fp.initial.band(mean, -0.2, 0.3)], [0.3, 0.7])
    theirs = fp.Density.from_law(law, lmax=47, rtol=1e-6).source
    mine = fp.ZonalDensity.from_law(law, lmax=47, rtol=1e-6).source
    theta = np.linspace(0.0, np.pi, 9)
    x = np.zeros((9, d))
    x[:, 0], x[:, -1] = np.sin(theta), np.cos(theta)
    for r in (0.7, 6.0):
        log, f = theirs.evaluate(r * x)
        other = mine.evaluate(r * x[:, [0, -1]])
        assert np.abs(log - other[0]).max() < 1e-10 and np.abs(f[:, [0, -1]] - other[1]).max() < 1e-10


def test_no_overflow_at_a_beta_of_500():
    """Concentrated clouds; what lies beyond their bulk is there, too, so that far attention is right."""
    for d, kappa, close in ((3, 40.0, 5e-3), (512, 4000.0, 1e-9), (10_000, 1e5, 1e-11)):
        source = fp.ZonalCloud.from_law(fp.initial.axial(d, kappa), lmax=63, rtol=1e-6).source
        points = ZonalPoints(d, np.linspace(0.0, np.pi, 9))
        for r, tolerance in ((100.0, 2e-9), (500.0, close)):
            log, f = source.F_sphere(r, points)
            here = exact(d, kappa, r, points)
            assert np.abs(log - here[0]).max() < 20 * tolerance and np.abs(f - here[1]).max() < tolerance


def test_the_floor_tells_what_a_density_does_not_know():
    """Coefficients that are off by a part of their norm: F at the tokens by about what the floor says, or less."""
    law = fp.initial.mixture([fp.initial.axial(8, 12.0), fp.initial.axial(8, -12.0)], [0.99, 0.01])
    known = fp.ZonalDensity.from_law(law, lmax=63, rtol=1e-6)
    signs, off = np.random.default_rng(0).choice([-1, 1], 8), 1e-7
    other = known.coefficients.copy()
    other[1:9] += off / 3 * known.norm * signs
    spoilt = fp.ZonalDensity(other, known.axis, 1e-6, off)
    for beta in (2.0, 8.0, 20.0):
        difference = known.source.F_sphere(beta, known.grid)[1] - spoilt.source.F_sphere(beta, known.grid)[1]
        moved = float(np.sqrt((difference**2).sum(-1)) @ np.maximum(known.masses, 0))
        heads = fp.models.SelfAttention(beta).queries(8)
        assert moved < spoilt.floor.seen_by(heads) < 50 * moved and known.floor.seen_by(heads) < 1e-14


def test_degrees_of_the_kernel():
    """Σ λ_ℓ P_ℓ(1)² = e^r up to that degree."""
    assert kernel_degree(3, 4.0) == 21 and kernel_degree(2, 4.0) == 21
    assert kernel_degree(512, 500.0) > 3 * kernel_degree(512, 30.0) / 2
