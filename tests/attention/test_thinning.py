"""Few points that stand for a measure, coarse grids, and the spectrum by them against the direct sums."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

import fpsolve as fp
from fpsolve._kernels.softmax import softmax_attention
from fpsolve.attention import thinning
from fpsolve.attention.coarse_sphere import CoarseGrid
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.source import MomentSource
from fpsolve.attention.spectrum import spectrum_engine
from fpsolve.attention.thinning import SMOOTH, ThinnedSets, in_clumps, resampled
from fpsolve.measures.build import build
from fpsolve.sphere import Grid, SpherePoints
from fpsolve.sphere.harmonics import Real

AXIS = np.array([0.6, 0.48, 0.64])
OTHER = np.array([0.8, 0.0, -0.6])
N = 8000

Points = tuple[Real, Real]


def normalised(x: Real) -> Real:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))


def cluster(width: float, axis: Real = AXIS, seed: int = 1, n: int = N) -> Real:
    return normalised(axis + width * np.random.default_rng(seed).normal(size=(n, 3)))


def everywhere() -> Real:
    return np.concatenate([cluster(100.0, n=300), AXIS[None], -AXIS[None], OTHER[None], cluster(0.1, -AXIS, n=50)])


def equal(x: Real) -> Points:
    return x, np.full(len(x), 1 / len(x))


def with_faint_background() -> Points:
    """A cluster, and a uniform background of mass 1e-6: M far from the cluster is the background's."""
    x = np.concatenate([cluster(0.02), cluster(100.0)])
    return x, np.repeat([(1 - 1e-6) / N, 1e-6 / N], N)


CLOUDS: dict[str, Callable[[], Points]] = {
    "tight": lambda: equal(cluster(0.002)),
    "collapsed": lambda: equal(cluster(0.02)),
    "two": lambda: equal(np.concatenate([cluster(0.05), cluster(0.02, OTHER)])),
    "background": with_faint_background,
    "broad": lambda: equal(cluster(0.3)),
}


@pytest.mark.parametrize("prune_from", [0.0, 1e99])
@pytest.mark.parametrize("name", CLOUDS)
def test_thinned_points_agree_with_the_direct_sum(
    name: str, prune_from: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """log M to 1e-6 in every direction, pruned or not, also by sets made from finer sets."""
    monkeypatch.setattr(thinning, "PRUNE_FROM", prune_from)
    x, w = CLOUDS[name]()
    sets = ThinnedSets(lambda: (x, w), None)
    for radius in (150.0, 49.0, 16.0, 5.0):
        g = radius * everywhere()
        found = sets.serving(radius, 150.0).log_M(g)
        np.testing.assert_allclose(found, softmax_attention(g, x, w)[0], rtol=0, atol=1e-6)


def test_collapsed_clouds_are_thinned() -> None:
    x, w = CLOUDS["collapsed"]()
    sets = ThinnedSets(lambda: (x, w), None)
    assert len(sets.serving(34.0, 34.0).x) < N / 5
    assert len(sets.serving(5.0, 34.0).x) <= 2 * thinning.NODES**2


def test_clumps_hold_every_point_once_and_most_do_not_matter() -> None:
    x, w = CLOUDS["two"]()
    thin = in_clumps(x, w)
    assert sorted(map(tuple, thin.x.tolist())) == sorted(map(tuple, x.tolist()))
    assert thin._matters(300.0 * everywhere()).mean() < 0.6


def log_s(u: Real) -> Real:
    """log(sinh u / u)."""
    return np.asarray(u + np.log(-np.expm1(-2 * u) / (2 * u)))


def von_mises_fisher(kappa: float, g: Real, axis: Real = AXIS) -> Real:
    """log M in closed form."""
    return log_s(np.linalg.norm(kappa * axis + g, axis=-1)) - log_s(np.array(kappa))


@cache
def coefficients(kappa: float, kind: str = "density") -> Real:
    """Of ρ, or of ψ = √ρ."""
    return build(fp.initial.von_mises_fisher(AXIS, kappa), kind, 191, 1e-6).coefficients


@pytest.mark.parametrize(("kappa", "radius"), [(20.0, 10.0), (100.0, 34.0), (300.0, 85.0), (300.0, 160.0)])
def test_resampled_densities_have_the_closed_form(kappa: float, radius: float) -> None:
    """Where M is determined: coefficients are known to 1e-16 of the peak."""
    x, w = resampled((coefficients(kappa), 1), radius, SMOOTH)
    g = radius * everywhere()
    exact = von_mises_fisher(kappa, g)
    known = exact - exact.max() > np.log(1e-8)
    np.testing.assert_allclose(softmax_attention(g, x, w)[0][known], exact[known], rtol=0, atol=1e-6)
    assert len(x) < 2500 and (w > 0).all()


def test_a_root_knows_more_of_the_tails() -> None:
    """ρ = ψ² by ψ to 1e-16 of its peak is ρ to 1e-32: M of a vMF(20) in every direction."""
    x, w = resampled((coefficients(20.0, "half_density"), 2), 34.0, SMOOTH)
    g = 34.0 * everywhere()
    np.testing.assert_allclose(softmax_attention(g, x, w)[0], von_mises_fisher(20.0, g), rtol=0, atol=1e-6)


def test_coarse_grids_analyse_as_large_ones() -> None:
    rng = np.random.default_rng(0)
    large = Grid(12)
    modes = large.to_modes(large.to_grid(np.asarray(rng.normal(size=91) + 1j * rng.normal(size=91))))
    for degree, margin in ((12, 1), (16, 1), (12, 7)):
        coarse = CoarseGrid(degree, margin)
        field = SpherePoints(coarse.points.x).scalar(modes).reshape(coarse.shape)
        np.testing.assert_allclose(coarse.to_modes(field, 12), modes, rtol=0, atol=1e-12)
        assert np.abs(coarse.to_modes(field, 20)).max() == pytest.approx(np.abs(modes).max(), rel=1e-12)


def source_of(points: Points) -> MomentSource:
    x, w = points
    sites = SpherePoints(x)
    return MomentSource(lambda degree: sites.moments(w, degree), lambda: points, SpherePoints.accuracy)


CASES: dict[str, tuple[Callable[[], MomentSource], Callable[[Real], Real]]] = {
    "vmf20": (
        lambda: build(fp.initial.von_mises_fisher(AXIS, 20.0), "half_density", 63, 1e-6).source,  # type: ignore
        lambda g: von_mises_fisher(20.0, g),
    ),
    "vmf100": (
        lambda: build(fp.initial.von_mises_fisher(AXIS, 100.0), "density", 127, 1e-6).source,  # type: ignore
        lambda g: von_mises_fisher(100.0, g),
    ),
    "two": (
        lambda: source_of(CLOUDS["two"]()),
        lambda g: softmax_attention(g.reshape(-1, 3), *CLOUDS["two"]())[0].reshape(g.shape[:-1]),
    ),
    "background": (
        lambda: source_of(with_faint_background()),
        lambda g: softmax_attention(g.reshape(-1, 3), *with_faint_background())[0].reshape(g.shape[:-1]),
    ),
}


@pytest.mark.parametrize("beta", [4.0, 10.0])
@pytest.mark.parametrize("name", CASES)
def test_the_spectrum_agrees_with_its_twin(name: str, beta: float) -> None:
    """The twin: log M by closed form or direct sum at every site of the engine's own grid."""
    engine = spectrum_engine(KeyQueryLaw("gaussian", 1.0), beta, 1.0, 16)
    source, exact = CASES[name]
    log_m = np.stack([exact(r * engine.grid.x) for r in engine.radii])
    np.testing.assert_allclose(engine.of(source()), engine.spectrum(log_m), rtol=0, atol=1e-6 * 4 * np.pi)


BITS = """
import hashlib, numpy as np, fpsolve as fp
rng = np.random.default_rng(0)
x = np.concatenate([[0.0, 0, 1] + 0.05 * rng.normal(size=(9000, 3)), [1.0, 0, 0] + 0.02 * rng.normal(size=(9000, 3))])
x /= np.linalg.norm(x, axis=1, keepdims=True)
cloud = fp.Cloud(x, np.full(len(x), 1 / len(x)))
model = fp.models.Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16)
print(hashlib.sha256(model.spectrum(cloud.source).tobytes()).hexdigest())
"""


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", BITS],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(said) == 1
