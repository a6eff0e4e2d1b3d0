"""A result in closed form: a von Mises–Fisher density whose mean wanders and whose κ grows, with its
moments."""

import numpy as np
import pytest
import xarray as xr
from scipy.special import spherical_in

from fpsolve.plot.fields import real_harmonic

LMAX_MOMENTS = 8


def direction(t: float) -> np.ndarray:
    """Northern at first, then over the seam at 180 degrees."""
    lat, lon = np.radians(60 - 70 * t), np.radians(90 + 120 * t)
    return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def fisher(x: np.ndarray, t: float, kappa: float) -> np.ndarray:
    """κ e^{κ(⟨x, m⟩ - 1)} / (2π (1 - e^{-2κ})), per steradian; ``x`` has shape (3, ...)."""
    cosine = np.tensordot(direction(t), x, 1)
    return kappa * np.exp(kappa * (cosine - 1)) / (2 * np.pi * (1 - np.exp(-2 * kappa)))


def kappa_at(t: float) -> float:
    return 2.0 + 4.0 * t


def made_result(saved: int = 11) -> xr.Dataset:
    time = np.linspace(0, 1, saved)
    lat, lon = (
        np.degrees(np.arcsin(np.polynomial.legendre.leggauss(64)[0]))[::-1],
        np.arange(0, 360, 360 / 128),
    )
    north, east = np.radians(lat)[:, None], np.radians(lon)[None, :]
    x = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north) + 0 * east])
    density = np.array([fisher(x, t, kappa_at(t)) for t in time])
    order = np.concatenate([np.arange(-ell, ell + 1) for ell in range(LMAX_MOMENTS + 1)])
    degree = np.repeat(np.arange(LMAX_MOMENTS + 1), 2 * np.arange(LMAX_MOMENTS + 1) + 1)
    means = np.array([direction(t) * (1 / np.tanh(kappa_at(t)) - 1 / kappa_at(t)) for t in time])
    moments = np.array([[_moment(ell, m, t) for ell, m in zip(degree, order, strict=True)] for t in time])
    overlap = (means**2).sum(1)
    return xr.Dataset(
        {
            "mean_vector": (("time", "component"), means, {"units": "1"}),
            "overlap": ("time", overlap, {"units": "1"}),
            "energy": ("time", 0.125 * (1 + overlap) ** 3, {"units": "1"}),
            "entropy": ("time", 2.4 - overlap, {"units": "1"}),
            "mass": ("time", np.ones(saved), {"units": "1"}),
            "min_density": ("time", density.min((1, 2)) - 0.002 * time, {"units": "sr-1"}),
            "tail": ("time", np.where(time > 0, 10.0 ** (-16 + 12 * time), 0.0), {"units": "1"}),
            "moments": (("time", "harmonic"), moments, {"units": "1"}),
            "density": (("time", "lat", "lon"), density, {"units": "sr-1"}),
        },
        {
            "time": ("time", time, {"units": "1"}),
            "component": ["x", "y", "z"],
            "degree": ("harmonic", degree),
            "order": ("harmonic", order),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
        {"title": "A wandering von Mises–Fisher density"},
    )


def _moment(ell: int, m: int, t: float) -> float:
    """ρ_ℓm = i_ℓ(κ)/i_0(κ) Y_ℓm(mean), the Funk–Hecke formula."""
    mean = direction(t)
    lat, lon = np.degrees(np.arcsin(mean[2])), np.degrees(np.arctan2(mean[1], mean[0]))
    ratio = spherical_in(ell, kappa_at(t)) / spherical_in(0, kappa_at(t))
    return float(ratio * real_harmonic(ell, m, np.array(lat), np.array(lon)))


@pytest.fixture(scope="session")
def wandering() -> xr.Dataset:
    return made_result()


@pytest.fixture(scope="session")
def cloud(wandering: xr.Dataset) -> xr.Dataset:
    """The same as 400 weighted points, without a density."""
    rng = np.random.default_rng(5)
    turn = rng.standard_normal((400, 3))
    points = np.array([direction(t) + turn / np.sqrt(kappa_at(t)) for t in wandering.time.values])
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    bare = wandering.drop_vars(["density", "min_density", "tail", "lat", "lon"])
    weights = rng.random(400)
    return bare.assign(
        points=(("time", "point", "component"), points), weights=("point", weights / weights.sum())
    )


@pytest.fixture(scope="session")
def exact():
    """The density that :func:`wandering` samples, as a function of points (3, ...) and time."""
    return lambda x, t: fisher(x, t, kappa_at(t))
