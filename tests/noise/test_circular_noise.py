"""Isotropic vector noise on the circle: its covariance exactly, by assembling the map from channels to the field."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.noise import isotropic
from fpsolve.sphere.circle import CirclePoints


def test_covariance_of_the_isotropic_field_is_exact():
    """The linear map channels -> (U(x), U(y)) gives E U(x)U(y)ᵀ = k(⟨x,y⟩) I for several pairs of points."""
    noise = isotropic(2, 6)
    spectrum = noise.spectrum(lambda t: 0.2 + 0.5 * t + 0.3 * t**4)
    kernel = noise.kernel(spectrum)
    assert kernel(0.3) == pytest.approx(0.2 + 0.15 + 0.3 * 0.3**4, abs=1e-14)
    angle = np.array([0.0, 0.4, 2.0, np.pi])
    points = CirclePoints(np.stack([np.cos(angle), np.sin(angle)], -1))
    unit = np.eye(noise.channels)
    columns = [fp.HarmonicField(*noise.field(spectrum, e), d=2).ambient(points) for e in unit]
    table = np.array(columns)
    for i in range(4):
        for j in range(4):
            covariance = np.einsum("ca,cb->ab", table[:, i], table[:, j])
            assert np.abs(covariance - kernel(np.cos(angle[i] - angle[j])) * np.eye(2)).max() < 1e-11


def test_raising_the_degree_only_appends():
    increments = np.random.default_rng(0).standard_normal(isotropic(2, 9).channels)
    spectrum = np.append(np.ones(5), np.zeros(5))
    low = isotropic(2, 4).field(spectrum[:5], increments[: isotropic(2, 4).channels])
    high = isotropic(2, 9).field(spectrum, increments)
    for a, b in zip(low, high, strict=True):
        assert np.abs(b[: len(a)] - a).max() < 1e-15
        assert np.abs(b[len(a) :]).max() < 1e-15


def test_what_is_no_spectrum_is_refused():
    noise = isotropic(2, 2)
    with pytest.raises(InputError, match="takes 10 channels"):
        noise.field(np.ones(3), np.ones(9))
    with pytest.raises(InputError, match=r"spectrum = -0\.1: negative at l = 1"):
        noise.field(np.array([1.0, -0.1, 0.5]), np.ones(10))
    with pytest.raises(InputError, match="kernel"):
        noise.spectrum(lambda t: np.full_like(t, np.nan))
    with pytest.raises(InputError, match="nodes = 2"):
        noise.spectrum(np.cos, 2)
    with pytest.raises(InputError, match="spectrum = \\(4,\\): wrong shape"):
        noise.kernel(np.ones(4))
