"""Attention on grids in compiled calls against the readable way, the same transforms from Python."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve._kernels import _fields
from fpsolve.attention import source as sources
from fpsolve.attention import spectrum as spectra
from fpsolve.attention import spheres
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.spectrum import SHARE, SpectrumEngine, spectrum_engine
from fpsolve.errors import InputError
from fpsolve.measures.build import build
from fpsolve.sphere import grid
from fpsolve.sphere._shtns import BOUND

CASES = [(2.0, 4.0, 31), (20.0, 1.0, 63), (5.0, 0.02, 31), (3.0, 8.0, 79)]


def density(kappa, lmax, rtol=1e-9):
    return build(fp.initial.von_mises_fisher([0.3, -0.5, 1], kappa), "density", lmax, rtol)


def test_this_shtns_exports_its_transforms():
    assert BOUND


@pytest.mark.parametrize(("kappa", "radius", "lmax"), CASES)
def test_attention_and_its_derivative_along_itself(monkeypatch, kappa, radius, lmax):
    """By derivatives along θ and φ against the moments of the coordinates and of their products."""
    measure, sphere = density(kappa, lmax), grid(lmax)
    fast = measure.source.hessian_F_sphere(radius, sphere)
    log_m, f = measure.at(measure.coefficients).source.F_sphere(radius, sphere)
    assert np.array_equal(f, fast[0])
    monkeypatch.setattr(sources, "BOUND", False)
    slow = measure.at(measure.coefficients).source
    np.testing.assert_allclose(fast[0], slow.hessian_F_sphere(radius, sphere)[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(fast[1], slow.hessian_F_sphere(radius, sphere)[1], rtol=0, atol=2e-12)
    np.testing.assert_allclose(log_m, slow.F_sphere(radius, sphere)[0], rtol=0, atol=1e-13)


def test_what_is_kept_of_the_last_call_is_not_given_away():
    source, sphere = density(2.0, 31).source, grid(31)
    with pytest.raises(ValueError, match="read-only"):
        source.F_sphere(4.0, sphere)[1][:] = 0.0


@pytest.mark.parametrize("kind", ["gaussian", "product"])
@pytest.mark.parametrize(("kappa", "beta"), [(2.0, 4.0), (20.0, 2.0)])
def test_spectra(monkeypatch, kind, kappa, beta):
    """Where moments cancel on large spheres (vMF(20)) both go over to points at the same one."""
    measure = density(kappa, 63)
    engine = SpectrumEngine(KeyQueryLaw(kind, 1.0), beta, 1.0, 16)
    fast = engine._sampled(measure.source), engine._of(measure.source)
    for module in (sources, spectra, spheres):
        monkeypatch.setattr(module, "BOUND", False)
    other = measure.at(measure.coefficients).source
    np.testing.assert_allclose(fast[0], engine._sampled(other), rtol=0, atol=1e-11)
    np.testing.assert_allclose(fast[1], engine._of(other), rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", ["gaussian", "product"])
@pytest.mark.parametrize("kappa", [2.0, 8.0, 12.0, 20.0])
@pytest.mark.parametrize("beta", [1.0, 4.0, 8.0])
def test_fewer_spheres_are_taken_only_where_they_are_right_to_rtol(kind, kappa, beta):
    """C_ℓ in σ_V² |S²| against that of all spheres; a log density has no floor that would hide the error."""
    measure = build(fp.initial.von_mises_fisher([0, 0, 1], kappa), "log_density", 31, 1e-6)
    engine = spectrum_engine(KeyQueryLaw(kind, 1.0), beta, 1.0, 16)
    exact = engine._contracted(engine._sampled(measure.source))
    assert np.abs(engine._of(measure.source) - exact).max() < 1e-6 * 4 * np.pi


def test_the_estimate_of_what_is_left_out_decides():
    """A loose measure takes fewer spheres, a tight one all; both answers differ."""
    engine = spectrum_engine(KeyQueryLaw("gaussian", 1.0), 4.0, 1.0, 16)
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    loose, tight = (build(law, "density", 63, rtol).source for rtol in (1e-6, 1e-8))
    coarse = engine.coarse
    left_out = np.abs(coarse._summed(coarse._sampled(loose), coarse._estimates)).max() / (4 * np.pi)
    assert 0 < left_out < SHARE * 1e-6
    assert np.array_equal(engine._of(loose), coarse._contracted(coarse._sampled(loose)))
    assert np.array_equal(engine._of(tight), engine._contracted(engine._sampled(tight)))
    assert 0 < np.abs(engine._of(loose) - engine._of(tight)).max() < 1e-6


def test_a_log_that_is_none_is_refused():
    modes = np.full((2, 6), np.nan, complex)
    engine = spectrum_engine(KeyQueryLaw("gaussian", 1.0), 1.0, 1.0, 4)
    with pytest.raises(InputError, match="log_m"):
        engine._checked(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="do not fit"):
        _fields.contracted(modes, 3, np.zeros((1, 6)), np.zeros(1))
