"""Attention for a fixed matrix A ≠ I, at points g = βAx of varying length, against closed forms and direct sums."""

from __future__ import annotations

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention import off_sphere
from fpsolve.attention.source import MomentSource, PointSource
from fpsolve.measures.build import build
from fpsolve.measures.cloud import Cloud
from fpsolve.models.self_attention import CoarseField
from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField
from tests.command import said

AXIS = np.array([0.6, 0.48, 0.64])
ANISOTROPIC = ((0.6, 1.0, 2.5), (0.3, 2.0, 8.0), (0.0, 1.0, 1.5))


def matrix(singular: tuple[float, ...]) -> Real:
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.normal(size=(3, 3)))[0] for _ in range(2))
    return np.asarray(left @ np.diag(singular) @ right)


def directions(n: int) -> Real:
    x = np.random.default_rng(2).normal(size=(n, 3))
    return np.asarray(x / np.linalg.norm(x, axis=1)[:, None])


def by_moments(source: MomentSource, g: Real) -> tuple[Real, Real]:
    """The moments' sum, whatever it costs."""
    return source._evaluate_off_sphere(g, np.linalg.norm(g, axis=1))


def von_mises_fisher(kappa: float, g: Real) -> tuple[Real, Real]:
    """(log M, F) = (log S(|u|)/S(κ), (coth|u| - 1/|u|) u/|u|), u = κm + g, S(u) = sinh(u)/u."""
    u = kappa * AXIS + g
    length = np.linalg.norm(u, axis=1)

    def log_s(r: Real) -> Real:
        return r + np.log(-np.expm1(-2 * r) / (2 * r))

    return log_s(length) - log_s(np.array(kappa)), (1 / np.tanh(length) - 1 / length)[:, None] * u / length[:, None]


@pytest.mark.parametrize("singular", ANISOTROPIC)
@pytest.mark.parametrize("beta", [1.0, 10.0])
def test_a_density_has_the_closed_form(singular: tuple[float, ...], beta: float) -> None:
    source = build(fp.initial.von_mises_fisher(AXIS, 2.0), "density", 63, 1e-6).source
    g = np.ascontiguousarray(beta * directions(800) @ matrix(singular).T)
    g[0] = 0.0
    for found, exact in zip(by_moments(source, g), von_mises_fisher(2.0, g), strict=True):
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-11)


@pytest.mark.parametrize("singular", ANISOTROPIC)
@pytest.mark.parametrize("beta", [1.0, 10.0])
def test_a_concentrated_cloud_falls_back_where_the_sum_cancels(singular: tuple[float, ...], beta: float) -> None:
    """vMF(20), g in every direction up to |g| = 80: M e^{-r} falls to e^{-160}."""
    cloud = build(fp.initial.von_mises_fisher(AXIS, 20.0), "cloud", 31, 1e-6)
    direct = PointSource(cloud.x, cloud.weights)
    g = np.ascontiguousarray(beta * directions(600) @ matrix(singular).T)
    asked: list[int] = []

    class Counting(PointSource):
        def evaluate(self, g: Real) -> tuple[Real, Real]:
            asked.append(len(g))
            return super().evaluate(g)

    source = MomentSource(cloud.moments, lambda: (cloud.x, cloud.weights))
    source.__dict__["points"] = Counting(cloud.x, cloud.weights)
    log_m, f = by_moments(source, g)
    expected = direct.evaluate(g)
    np.testing.assert_allclose(log_m, expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(f, expected[1], rtol=0, atol=1e-9)
    assert sum(asked) < len(g) and (bool(asked) or beta * max(singular) < 20)


def test_the_choice_is_by_cost_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few targets go to the direct sum, many to the moments; both agree."""
    cloud = build(fp.initial.von_mises_fisher(AXIS, 2.0), "cloud", 31, 1e-6)
    g = np.ascontiguousarray(4 * cloud.x @ matrix(ANISOTROPIC[0]).T)
    source = cloud.source
    asked: list[int] = []
    sums = source._evaluate_off_sphere
    source._evaluate_off_sphere = lambda *args: (asked.append(len(args[0])), sums(*args))[1]
    monkeypatch.setattr(off_sphere, "SECONDS_A_CALL", 0.1)
    few, many = source.F(g[:10]), source.F(np.tile(g, (40, 1)))
    assert asked == [40 * len(g)]
    np.testing.assert_allclose(few, many[:10], rtol=0, atol=1e-9)


@pytest.mark.parametrize("longest", [0.0, 1e-9, 0.5, 16.0, 400.0])
def test_sums_of_points_and_their_bound(longest: float) -> None:
    """e^{-r} M, e^{-r} ∇M against the sum over points, and the bound against the largest value on each sphere."""
    cloud = build(fp.initial.von_mises_fisher(AXIS, 3.0), "cloud", 11, 1e-6)
    radii = longest * np.random.default_rng(4).random(3000)
    radii[:2] = 0.0, longest
    g, source = radii[:, None] * directions(3000), cloud.source
    degree_of = source.degree_of_moments
    m, gradient, bound = off_sphere.sums(g, radii, source.moments(degree_of(longest) + 1), degree_of)
    exact = np.exp(g @ cloud.x.T - radii[:, None]) * cloud.weights
    np.testing.assert_allclose(m, exact.sum(axis=1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(gradient, exact @ cloud.x, rtol=0, atol=1e-14)
    along = (np.exp(radii[:, None] * (AXIS @ cloud.x.T - 1)) * cloud.weights).sum(axis=1)
    assert (bound >= along * (1 - 1e-12)).all() and (bound <= 3 * along).all()


def test_a_fine_grid_takes_the_field_from_a_coarse_one_where_that_resolves_it() -> None:
    """To 1e-10 of the field; at β|A| = 25 the coarse grid is not asked, at 7.5 it does not resolve the field."""
    source, sphere = build(fp.initial.von_mises_fisher(AXIS, 2.0), "density", 63, 1e-6).source, grid(63)
    for beta, expected in ((1.0, True), (3.0, False), (10.0, None)):
        field = fp.models.SelfAttention(beta, key_query=matrix(ANISOTROPIC[0])).drift_field(source)
        assert isinstance(field, CoarseField) == (expected is not None)
        if isinstance(field, CoarseField):
            assert (field._from_coarse is not None) == expected
            np.testing.assert_allclose(field.on(sphere), AmbientField.on(field, sphere), rtol=0, atol=1e-10)


def test_bits_do_not_depend_on_threads() -> None:
    code = (
        "import numpy as np, hashlib, fpsolve as fp\n"
        "x = np.random.default_rng(0).normal(size=(70000, 3)); x /= np.linalg.norm(x, axis=1)[:, None]\n"
        "s = fp.Density.from_law(fp.initial.von_mises_fisher([0, 0, 1], 8.0), lmax=31, rtol=1e-6).source\n"
        "log_m, f = s.evaluate(np.ascontiguousarray(x * [2.0, 2.5, 3.0]))\n"
        "print(hashlib.sha256(log_m.tobytes() + f.tobytes()).hexdigest())"
    )
    assert said("-c", code, threads=1) == said("-c", code, threads=2) != ""


def test_a_mean_field_run_with_a_matrix_agrees_with_its_cloud() -> None:
    """The moments ℓ ≤ 4 of a density and of a cloud under the same V, A ≠ I."""
    a, v = matrix((0.5, 1.0, 1.6)), matrix((0.7, 1.0, 1.2)).T
    law = fp.initial.von_mises_fisher(AXIS, 2.0)
    model = fp.models.SelfAttention(beta=3.0, value=v, key_query=a)
    quadrature = build(law, "cloud", 15, 1e-6)
    starts = build(law, "density", 23, 1e-6), Cloud(quadrature.x, quadrature.weights)
    ends = [list(fp.run(model, mu, fp.BrownianPath(0, 0), t_end=0.1, dt=0.1))[-1][1] for mu in starts]
    np.testing.assert_allclose(ends[0].moments(4), ends[1].moments(4), rtol=0, atol=2e-6)
    assert np.abs(ends[0].moments(4) - starts[0].moments(4)).max() > 1e-2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_name(bad: float) -> None:
    source = build(fp.initial.von_mises_fisher(AXIS, 2.0), "density", 31, 1e-6).source
    with pytest.raises(fp.errors.InputError, match="not finite"):
        source.evaluate(np.array([[1.0, 2.0, 3.0], [bad, 0.0, 0.0]]))
