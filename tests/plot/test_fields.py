"""What the maps show, against the closed form that the result was made from."""

import numpy as np
import pytest

from fpsolve.errors import InputError
from fpsolve.plot import fields
from fpsolve.plot.projection import Mollweide, pixels, unit_vectors


def worst(field, exact):
    lat, lon = pixels(Mollweide(), 300)
    seen = np.isfinite(lat)
    truth = exact(unit_vectors(lat[seen], lon[seen]), field.time)
    return np.abs(field.at(lat, lon)[seen] - truth).max() / truth.max()


@pytest.mark.parametrize("index", [0, 8])
def test_saved_density_between_its_grid_points(wandering, exact, index):
    """Bilinear: error up to 2 (h²/8) κ = 0.3 % at h = 0.049, κ = 5; seam and poles included."""
    field = fields.field(wandering, index)
    assert field.source == ""
    assert worst(field, exact) < 4e-3


@pytest.mark.parametrize(("index", "bound"), [(0, 2e-3), (10, 0.03)])
def test_density_from_moments(wandering, exact, index, bound):
    """What is left out is Σ_{ℓ>8} (2ℓ+1)/(4π) i_ℓ(κ)/i_0(κ): 1e-5 of the peak at κ = 2, 2 % at κ = 6."""
    field = fields.field(wandering.drop_vars("density"), index)
    assert field.source == "from moments ℓ ≤ 8"
    assert worst(field, exact) < bound


@pytest.mark.parametrize("shift", [-180.0, 90.0, 360.0])
def test_any_convention_of_longitudes_and_latitudes(wandering, shift):
    """Longitudes from -180, latitudes upwards, longitudes first: the same picture."""
    relabelled = wandering.assign_coords(lon=(wandering.lon.values + shift) % 360 - 180)
    relabelled = relabelled.isel(lat=slice(None, None, -1)).transpose("lon", "lat", ...)
    lat, lon = pixels(Mollweide(), 200)
    plain = fields.field(wandering, 5).at(lat, lon)
    turned = fields.field(relabelled, 5).at(lat, lon + shift - 180)
    np.testing.assert_allclose(turned, plain, atol=1e-12)


def test_saved_index(wandering):
    assert fields.saved_index(wandering, None) == 10
    assert fields.saved_index(wandering, 0.32) == 3
    assert fields.saved_index(wandering, 1.0 + 1e-12) == 10
    for time in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="runs from 0 to 1") as refused:
            fields.saved_index(wandering, time)
        assert refused.value.argument == "time"


def test_mean_direction(wandering):
    assert fields.mean_direction(wandering, 5) == pytest.approx((25.0, 150.0))
    assert fields.mean_direction(wandering.drop_vars("mean_vector"), 5) == (20.0, 0.0)


def test_nothing_to_show(wandering):
    with pytest.raises(InputError, match="no density and no moments"):
        fields.field(wandering.drop_vars(["density", "moments"]), 0)


@pytest.mark.parametrize(("ell", "m"), [(0, 0), (3, 2), (5, -4), (8, 8)])
def test_real_harmonics_are_those_of_the_package(ell, m):
    harmonics = pytest.importorskip("fpsolve.sphere.harmonics")
    from fpsolve.sphere import grid

    here = grid(15)
    lat, lon = 90 - np.degrees(np.arccos(here.cos_theta)), np.degrees(here.phi)
    real = harmonics.to_real(here.to_modes(fields.real_harmonic(ell, m, lat, lon)))
    expected = np.zeros(16**2)
    expected[ell * ell + ell + m] = 1
    np.testing.assert_allclose(real, expected, atol=1e-12)
