"""Sources turned so that their mean lies on the axis: the same measure elsewhere, and the same spectra of the noise."""

from __future__ import annotations

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention import spectrum as spectra
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.source import MomentSource
from fpsolve.attention.spectrum import spectrum_engine
from fpsolve.attention.upright import NO_AXIS, upright
from fpsolve.measures.build import build
from fpsolve.sphere.harmonics import Real

AXIS, OTHER = np.array([0.3, -0.5, -0.8]), np.array([0.6, 0.2, 0.5])
MEASURES = ("density", "half_density", "log_density")


def lopsided(measure: str, kappa: float = 12.0) -> MomentSource:
    """Of no symmetry."""
    law = fp.initial.mixture(
        [fp.initial.von_mises_fisher(AXIS, kappa), fp.initial.von_mises_fisher([0.5, -0.4, -0.6], 0.7 * kappa)],
        [0.7, 0.3],
    )
    return build(law, measure, 63, 1e-6).source  # type: ignore[return-value]


def rotation(source: MomentSource) -> Real:
    """That which takes the mean to the axis as `upright` says: about z, then about y."""
    x, y, z = source.mean
    phi, theta = -np.arctan2(y, x), -np.arctan2(np.hypot(x, y), z)
    about_z = np.array([[np.cos(phi), -np.sin(phi), 0], [np.sin(phi), np.cos(phi), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(theta), 0, np.sin(theta)], [0, 1, 0], [-np.sin(theta), 0, np.cos(theta)]])
    return np.asarray(about_y @ about_z)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_measure_is_the_same_elsewhere(measure: str) -> None:
    source = lopsided(measure)
    turned, matrix = upright(source), rotation(source)
    np.testing.assert_allclose(turned.mean, matrix @ source.mean, atol=1e-13)
    assert np.hypot(*turned.mean[:2]) < 1e-13 and turned.mean[2] > 0.5
    x = np.random.default_rng(0).normal(size=(40, 3))
    x /= np.linalg.norm(x, axis=1)[:, None]
    for radius in (0.7, 6.0):
        expected = source.evaluate(radius * x)
        found = turned.evaluate(radius * np.einsum("ab,nb->na", matrix, x))
        np.testing.assert_allclose(found[0], expected[0], atol=1e-9)
        np.testing.assert_allclose(found[1], np.einsum("ab,nb->na", matrix, expected[1]), atol=1e-9)
    np.testing.assert_allclose(turned.points.x @ matrix, source.points.x, atol=1e-14)


def test_sources_that_stay() -> None:
    """Points, the circle, no direction, and what is upright; one that hangs is turned."""
    x = np.random.default_rng(0).normal([0, 3, 0], size=(40, 3))
    cloud = fp.Cloud(x / np.linalg.norm(x, axis=1)[:, None], np.full(40, 1 / 40)).source
    circle = build(fp.initial.von_mises_fisher([0.3, 0.5], 5.0), "density", 31, 1e-6).source
    spread = build(fp.initial.von_mises_fisher(AXIS, 2.9 * NO_AXIS), "density", 31, 1e-6).source
    north = build(fp.initial.von_mises_fisher([0, 0, 1], 5.0), "density", 31, 1e-6).source
    for source in (spectra.by_moments(cloud), circle, spread):
        assert isinstance(source, MomentSource) and upright(source) is None
    assert upright(north) is north  # type: ignore[arg-type]
    south = build(fp.initial.von_mises_fisher([0, 0, -1], 5.0), "density", 31, 1e-6).source
    np.testing.assert_allclose(upright(south).mean, -south.mean, atol=1e-14)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["gaussian", "product"])
@pytest.mark.parametrize("measure", MEASURES)
def test_spectra_of_a_turned_measure_are_the_same(kind: str, measure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measure that knows its tails, and a density where its floor does not show yet."""
    kappa = 16.0 if measure == "density" else 20.0
    engine = spectrum_engine(KeyQueryLaw(kind, 1.0), 4.0, 1.0, 16)
    seen = []
    monkeypatch.setattr(spectra, "upright", lambda source: seen.append(upright(source)) or seen[-1])
    found = engine._of(lopsided(measure, kappa))
    assert len(seen) == 1 and np.hypot(*seen[0].mean[:2]) < 1e-12
    monkeypatch.setattr(spectra, "upright", lambda source: None)
    as_it_is = engine._of(lopsided(measure, kappa))
    np.testing.assert_allclose(found, as_it_is, rtol=0, atol=1e-7 * 4 * np.pi)
    assert not np.array_equal(found, as_it_is)


@pytest.mark.parametrize("axis", [[0.0, 0.0, 1.0], AXIS])
@pytest.mark.parametrize(("kind", "beta"), [("gaussian", 4.0), ("gaussian", 8.0), ("product", 4.0), ("product", 8.0)])
def test_spectra_of_upright_measures_have_the_closed_form(kind: str, beta: float, axis: list[float]) -> None:
    """A von Mises–Fisher law, by a log density, which knows its tails; a measure of a tight rtol is not turned."""
    engine, n = spectrum_engine(KeyQueryLaw(kind, 1.0), beta, 1.0, 16), np.array(axis) / np.linalg.norm(axis)

    def log_s(u: Real) -> Real:
        return np.asarray(u + np.log(-np.expm1(-2 * u) / (2 * u)))

    lengths = np.stack([np.linalg.norm(20.0 * n + r * engine.grid.x, axis=-1) for r in engine.radii])
    expected = engine.spectrum(log_s(lengths) - log_s(np.array(20.0)))
    law = fp.initial.von_mises_fisher(axis, 20.0)
    loose, tight = (engine._of(build(law, "log_density", 63, rtol).source) for rtol in (1e-6, 1e-8))  # type: ignore
    for found in (loose, tight):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * 4 * np.pi)
    np.testing.assert_allclose(loose, expected, rtol=0, atol=2e-7 * 4 * np.pi)
    assert not np.array_equal(loose, tight)


def test_all_spheres_or_none() -> None:
    """The largest sphere is tried first; where it is served all of them are as from the smallest on."""
    engine = spectrum_engine(KeyQueryLaw("gaussian", 1.0), 4.0, 1.0, 16)
    laws = (fp.initial.von_mises_fisher(AXIS, kappa) for kappa in (2.0, 20.0))
    broad, narrow = (build(law, "density", 63, 1e-6).source for law in laws)
    modes, done = engine._spheres.modes(broad, whole=True)  # type: ignore[arg-type]
    expected, count = engine._spheres.modes(broad)  # type: ignore[arg-type]
    assert done == count == len(engine.radii) and np.array_equal(modes, expected)
    assert engine._spheres.modes(narrow, whole=True)[1] == 0  # type: ignore[arg-type]
    assert 0 < engine._spheres.modes(narrow)[1] < count  # type: ignore[arg-type]
