"""Attention sources against closed forms and direct sums: every measure, every direction, β to several hundred.

For a von Mises–Fisher law M(g) = S(|u|)/S(κ), u = κm + g, S(u) = sinh(u)/u, and F = (coth|u| - 1/|u|) u/|u|.
"""

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
from fpsolve.attention import direct as direct_sums
from fpsolve.attention.source import MomentSource, PointSource, TiledSource
from fpsolve.measures.build import build
from fpsolve.sphere import Grid, SpherePoints, grid
from fpsolve.sphere.harmonics import MASS_MOMENT, Real, resized

AXIS = np.array([0.6, 0.48, 0.64])
CORNER = np.ones(3) / np.sqrt(3)
BETAS = (0.5, 4.0, 16.0, 30.0)
RADII = (*BETAS, 100.0, 300.0)


def normalised(x: Real) -> Real:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def cluster(n: int, width: float, axis: Real = AXIS, seed: int = 1) -> Real:
    return normalised(axis + width * np.random.default_rng(seed).normal(size=(n, 3)))


def directions() -> Real:
    """Everywhere, and denser along the axis and opposite to it."""
    spread = normalised(np.random.default_rng(0).normal(size=(150, 3)))
    return np.concatenate([spread, AXIS[None], -AXIS[None], cluster(40, 0.1), cluster(40, 0.1, -AXIS)])


def log_sinh_ratio(u: Real) -> Real:
    """log(sinh u / u)."""
    large = np.maximum(u, 1e-3)
    return np.where(u < 1e-3, u * u / 6, large + np.log(-np.expm1(-2 * large) / (2 * large)))


def von_mises_fisher(axis: Real, kappa: float, g: Real) -> tuple[Real, Real]:
    """(log M, F) in closed form."""
    u = kappa * axis + g
    length = np.linalg.norm(u, axis=-1)
    f = (1 / np.tanh(length) - 1 / length)[..., None] * u / length[..., None]
    return log_sinh_ratio(length) - log_sinh_ratio(np.array(kappa)), f


@cache
def vmf(kappa: float, kind: str) -> fp.Measure:
    return build(fp.initial.von_mises_fisher(AXIS, kappa), kind, {20.0: 63, 1000.0: 255}[kappa], 1e-6)


# --- von Mises–Fisher laws ------------------------------------------------------------------------


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("kappa", [20.0, 1000.0])
def test_clouds_have_the_closed_form_in_every_direction(kappa: float, radius: float) -> None:
    x = directions()
    expected = von_mises_fisher(AXIS, kappa, radius * x)
    found_pair = vmf(kappa, "cloud").source.F_sphere(radius, SpherePoints(x))
    for found, exact in zip(found_pair, expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("kappa", [20.0, 1000.0])
@pytest.mark.parametrize("kind", ["density", "half_density"])
def test_densities_have_the_closed_form_where_they_can(kind: str, kappa: float, radius: float) -> None:
    """Coefficients, and so M, are known to 1e-16 of the peak: F is undetermined below 1e-5 of M's maximum."""
    x = directions()
    log_m, f = von_mises_fisher(AXIS, kappa, radius * x)
    found_log_m, found = vmf(kappa, kind).source.F_sphere(radius, SpherePoints(x))
    determined = log_m - log_m.max() > np.log(1e-5)
    np.testing.assert_allclose(found[determined], f[determined], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found_log_m[determined], log_m[determined], rtol=0, atol=1e-9)
    assert np.isfinite(found_log_m).all() and np.linalg.norm(found, axis=1).max() < 1 + 1e-12


@pytest.mark.parametrize("radius", [16.0, 30.0])
def test_half_densities_know_more_of_the_tails(radius: float) -> None:
    """ψ = √ρ to 1e-16 of its peak is ρ to 1e-32: F of a vMF(20) to 1e-8 in every direction."""
    x = directions()
    found = vmf(20.0, "half_density").source.F_sphere(radius, SpherePoints(x))[1]
    np.testing.assert_allclose(found, von_mises_fisher(AXIS, 20.0, radius * x)[1], rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", ["density", "half_density", "log_density", "cloud"])
def test_on_a_grid_as_at_points(kind: str) -> None:
    source, sphere = vmf(20.0, kind).source, grid(31)
    points = SpherePoints(np.ascontiguousarray(sphere.x.reshape(-1, 3)))
    for radius in (0.5, 4.0, 8.0):
        log_m, f = source.F_sphere(radius, sphere)
        at = source.F_sphere(radius, points)
        np.testing.assert_allclose(log_m.ravel(), at[0], rtol=0, atol=1e-9)
        np.testing.assert_allclose(f.reshape(-1, 3), at[1], rtol=0, atol=1e-9)
        np.testing.assert_allclose(source.log_M_sphere(radius, sphere), log_m, rtol=0, atol=1e-12)


@pytest.mark.parametrize("radius", [30.0, 300.0])
def test_a_grid_too_coarse_for_the_degree(radius: float) -> None:
    sphere, source = Grid(3), vmf(20.0, "cloud").source
    assert source.degree_of_moments(radius) >= sphere.nlat  # type: ignore[attr-defined]
    log_m, f = von_mises_fisher(AXIS, 20.0, radius * sphere.x)
    found = source.F_sphere(radius, sphere)
    np.testing.assert_allclose(found[0], log_m, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found[1], f, rtol=0, atol=1e-9)
    np.testing.assert_allclose(source.log_M_sphere(radius, sphere), log_m, rtol=0, atol=1e-9)
    hessian = source.hessian_F_sphere(radius, sphere)
    assert hessian[1].shape == sphere.x.shape
    np.testing.assert_allclose(hessian[0], f, rtol=0, atol=1e-9)


def test_one_site_far_from_the_mass_knows_that_it_is_far() -> None:
    """The error of a sum is relative to the largest M on the sphere, not to the largest at the sites."""
    x = -AXIS[None]
    found = vmf(1000.0, "cloud").source.F_sphere(30.0, SpherePoints(x))
    for value, exact in zip(found, von_mises_fisher(AXIS, 1000.0, 30.0 * x), strict=True):
        np.testing.assert_allclose(value, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["density", "half_density", "log_density", "cloud"])
def test_any_targets(kind: str) -> None:
    g = directions() * np.linspace(0, 6, len(directions()))[:, None]
    log_m, f = von_mises_fisher(AXIS, 20.0, g)
    source = vmf(20.0, kind).source
    np.testing.assert_allclose(source.F(g), f, rtol=0, atol=1e-9)
    np.testing.assert_allclose(source.log_M(g), log_m, rtol=0, atol=1e-9)
    same = source.F(4.0 * directions())
    np.testing.assert_allclose(same, von_mises_fisher(AXIS, 20.0, 4.0 * directions())[1], rtol=0, atol=1e-9)


# --- degenerate laws ------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0.0, 1e-9, *RADII])
def test_uniform(radius: float) -> None:
    """F = (coth r - 1/r) x, log M = log(sinh r / r)."""
    x = directions()
    size = 1 / np.tanh(radius) - 1 / radius if radius > 1e-3 else radius / 3
    degree = 127 if radius > 50 else 63  # the quadrature has to resolve e^{g·y}
    for kind in ("density", "half_density", "log_density", "cloud"):
        log_m, f = build(fp.initial.uniform(), kind, degree, 1e-6).source.F_sphere(radius, SpherePoints(x))
        np.testing.assert_allclose(f, size * x, rtol=0, atol=1e-9)
        np.testing.assert_allclose(log_m, log_sinh_ratio(np.array(radius)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("place", [AXIS, np.array([0.0, 0, 1]), np.array([0.0, 0, -1])])
@pytest.mark.parametrize("n", [1, 1000])
def test_dirac(n: int, place: Real) -> None:
    """One point, many equal points, and all weight on one of many: F is that point, log M = g·y, always."""
    x = directions()
    elsewhere = np.concatenate([place[None], cluster(n, 5.0)])
    clouds = [
        fp.Cloud(np.repeat(place[None], n, axis=0), np.full(n, 1 / n)),
        fp.Cloud(elsewhere, np.eye(n + 1)[0]),
    ]
    for cloud in clouds:
        for radius in (0.0, 1e-7, *RADII, 700.0):
            log_m, f = cloud.source.F_sphere(radius, SpherePoints(x))
            np.testing.assert_allclose(f, np.broadcast_to(place, x.shape), rtol=0, atol=1e-9)
            np.testing.assert_allclose(log_m, radius * x @ place, rtol=0, atol=1e-9)
            product = cloud.source.hessian_F_sphere(radius, SpherePoints(x))[1]
            np.testing.assert_allclose(product, 0, rtol=0, atol=1e-9)


@pytest.mark.parametrize("radius", [1e-20, 1e-12, 1e-8, 1e-5, 1e-3, 0.05])
def test_tiny_radii(radius: float) -> None:
    """F = mean + r Cov x + O(r²): every radius between 0 and the usual ones."""
    cloud = fp.Cloud(cluster(500, 0.4), np.full(500, 1 / 500))
    sites = SpherePoints(directions())
    exact = PointSource(cloud.x, cloud.weights)
    both = cloud.source, exact
    for verb in ("F_sphere", "hessian_F_sphere"):
        for found, direct in zip(*(getattr(source, verb)(radius, sites) for source in both), strict=True):
            np.testing.assert_allclose(found, direct, rtol=0, atol=1e-12)


# --- clouds against direct sums -------------------------------------------------------------------


def _spread() -> Real:
    return normalised(np.random.default_rng(4).normal(size=(3000, 3)))


CLOUDS: dict[str, Callable[[], Real]] = {
    "spread": _spread,
    "tight and antipodal": lambda: np.concatenate([cluster(3000, 0.01), cluster(10, 0.1, -AXIS)]),
    "two far clusters": lambda: np.concatenate([cluster(1500, 0.01), cluster(1500, 0.01, -AXIS, 2)]),
    "unequal clusters": lambda: np.concatenate([cluster(3000, 1e-3), cluster(30, 0.05, CORNER)]),
    "cluster and background": lambda: np.concatenate([cluster(3000, 0.03), _spread()[:300]]),
}


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", CLOUDS)
def test_attention_at_the_tokens_is_the_direct_sum(name: str, beta: float) -> None:
    x = CLOUDS[name]()
    cloud = fp.Cloud(x, np.full(len(x), 1 / len(x)))
    log_m, f = cloud.source.F_sphere(beta, cloud.sites)
    exact = softmax_attention(beta * x, x, cloud.weights)
    np.testing.assert_allclose(log_m, exact[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(f, exact[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("beta", [4.0, 30.0])
def test_attention_at_the_points_of_a_quadrature_is_the_direct_sum(beta: float) -> None:
    """Unequal weights do not protect: most points fall back."""
    cloud = build(fp.initial.von_mises_fisher(AXIS, 30.0), "cloud", 31, 1e-6)
    assert isinstance(cloud, fp.Cloud)
    log_m, f = cloud.source.F_sphere(beta, cloud.sites)
    exact = softmax_attention(beta * cloud.x, cloud.x, cloud.weights)
    np.testing.assert_allclose(log_m, exact[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(f, exact[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("beta", [0.0, *RADII])
@pytest.mark.parametrize("name", CLOUDS)
def test_hessian_is_the_direct_one(name: str, beta: float) -> None:
    x, sites = CLOUDS[name](), SpherePoints(directions())
    weights = np.full(len(x), 1 / len(x))
    found = fp.Cloud(x, weights).source.hessian_F_sphere(beta, sites)
    for value, exact in zip(found, PointSource(x, weights).hessian_F_sphere(beta, sites), strict=True):
        np.testing.assert_allclose(value, exact, rtol=0, atol=1e-9)


def test_hessian_is_half_the_gradient_of_the_squared_norm() -> None:
    source, sites, beta, h = vmf(20.0, "density").source, SpherePoints(directions()), 4.0, 1e-3
    found = source.hessian_F_sphere(beta, sites)[1]
    for a in range(3):
        total = 0.0
        for shift, factor in ((1, 2 / 3), (2, -1 / 12)):
            for sign in (1, -1):
                u = von_mises_fisher(AXIS, 20.0, beta * sites.x + sign * shift * h * np.eye(3)[a])[1]
                total = total + sign * factor / h * np.einsum("na,na->n", u, u) / 2
        np.testing.assert_allclose(found[:, a], total, rtol=0, atol=1e-11)


@pytest.mark.parametrize("beta", [4.0, 30.0])
def test_tiles_stand_in_for_direct_sums(beta: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = CLOUDS["cluster and background"]()
    weights = np.full(len(x), 1 / len(x))
    direct, sites = PointSource(x, weights), SpherePoints(directions())
    expected = [*direct.F_sphere(beta, sites), *direct.hessian_F_sphere(beta, sites)]
    monkeypatch.setattr(direct_sums, "DIRECT_PAIRS", 0.0)
    tiled = TiledSource(x, weights)
    found = [*tiled.F_sphere(beta, sites), *tiled.hessian_F_sphere(beta, sites)]
    for value, exact in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, exact, rtol=0, atol=1e-10)


# --- when to fall back ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLOUDS)
def test_sums_that_are_trusted_have_a_margin(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any fallback the trusted values are right to 2e-10, a fifth of what is promised."""
    x, sites = CLOUDS[name](), SpherePoints(np.concatenate([directions(), -CLOUDS[name]()[::10]]))
    source = fp.Cloud(x, np.full(len(x), 1 / len(x))).source
    assert isinstance(source, MomentSource)
    for beta in RADII:
        weighted = source._weighted(beta)
        trusted = ~source._cancelled(sites.scalar(weighted), weighted, sites)
        with monkeypatch.context() as patch:
            patch.setattr(source, "_cancelled", lambda m, *_: np.zeros(m.shape, bool))
            f = source.F_sphere(beta, sites)[1][trusted]
        exact = softmax_attention(beta * sites.x[trusted], x, source.points.weights)[1]
        assert np.abs(f - exact).max(initial=0.0) < 2e-10


@pytest.mark.parametrize("beta", [4.0, 16.0, 30.0])
@pytest.mark.parametrize("kappa", [0.0, 2.0, 5.0])
def test_spread_tokens_hardly_ever_fall_back(kappa: float, beta: float) -> None:
    law = fp.initial.von_mises_fisher(AXIS, kappa)
    tokens = fp.initial.samples(law, 4000, seed=1)
    cloud = fp.Cloud(tokens.x, tokens.weights)
    weighted = cloud.source._weighted(beta)  # type: ignore[attr-defined]
    values = cloud.sites.scalar(weighted)  # type: ignore[attr-defined]
    assert cloud.source._cancelled(values, weighted, cloud.sites).mean() < 0.01  # type: ignore[attr-defined]


def test_a_density_with_negative_lobes_keeps_its_source_sane() -> None:
    """A vMF(200) at ℓmax = 15 rings; F stays finite and of length ≤ 1, exact where M is not small."""
    fine = build(fp.initial.von_mises_fisher(AXIS, 200.0), "density", 127, 1e-6)
    assert isinstance(fine, fp.Density)
    rough = fp.Density(resized(fine.coefficients, 15))
    assert rough.coefficients[0].real == pytest.approx(MASS_MOMENT)
    assert rough.values.min() < -0.01 * rough.values.max()
    for radius in RADII:
        for sites in (SpherePoints(directions()), rough.grid):
            log_m, f = rough.source.F_sphere(radius, sites)
            product = rough.source.hessian_F_sphere(radius, sites)[1]
            assert np.isfinite(log_m).all() and np.isfinite(product).all()
            assert np.linalg.norm(f, axis=-1).max() < 1 + 1e-9 and np.abs(product).max() < 1 + 1e-9
    near = SpherePoints(cluster(20, 0.1))
    np.testing.assert_allclose(
        rough.source.F_sphere(2.0, near)[1], von_mises_fisher(AXIS, 200.0, 2.0 * near.x)[1], rtol=0, atol=1e-9
    )


# --- several dimensions, bits ---------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 5])
def test_point_sources_in_any_dimension(d: int) -> None:
    rng = np.random.default_rng(6)
    x, w = normalised(rng.normal(size=(40, d))), rng.random(40)
    w /= w.sum()
    source, g = PointSource(x, w), 5 * rng.normal(size=(7, d))
    e = w * np.exp(g @ x.T)
    np.testing.assert_allclose(source.F(g), e @ x / e.sum(axis=1)[:, None], rtol=0, atol=1e-13)
    np.testing.assert_allclose(source.log_M(g), np.log(e.sum(axis=1)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(source.mean, w @ x, rtol=0, atol=1e-15)


BITS = """
import hashlib, numpy as np, fpsolve as fp
from fpsolve.attention import direct
direct.DIRECT_PAIRS = 1e5
rng = np.random.default_rng(0)
x = np.concatenate([rng.normal(size=(70000, 3)) * 0.02 + [1.0, 0, 0], rng.normal(size=(100, 3))])
x /= np.linalg.norm(x, axis=1, keepdims=True)
cloud = fp.Cloud(x, np.full(len(x), 1 / len(x)))
found = [*cloud.source.F_sphere(30.0, cloud.sites), *cloud.source.hessian_F_sphere(30.0, cloud.sites)]
print(hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in found)).hexdigest())
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
