"""Statistics over members against NumPy's, with failed members, several dimensions and many saved times."""

import sys

import numpy as np
import pytest
import xarray as xr

from fpsolve.ensemble import statistics
from fpsolve.errors import InputError


@pytest.fixture
def made():
    """Two points, fifty members of which three failed, with moments of degree 2."""
    rng = np.random.default_rng(1)
    status = np.ones((2, 50), int)
    status[0, [3, 7]] = status[1, 49] = 2
    overlap, moments = rng.normal(1e6, 1.0, (2, 50, 4)), rng.normal(size=(2, 50, 4, 9))
    overlap[status == 2] = moments[status == 2] = np.nan
    return xr.Dataset(
        {
            "status": (("beta", "member"), status),
            "overlap": (("beta", "member", "time"), overlap),
            "moments": (("beta", "member", "time", "harmonic"), moments),
        },
        {"beta": [1.0, 2.0], "time": np.arange(4.0), "degree": ("harmonic", np.repeat([0, 1, 2], [1, 3, 5]))},
    )


def test_moments_and_quantiles_are_those_of_numpy(made):
    found = statistics(made)
    assert found["count"].values.tolist() == [48, 49] and found.failed.values.tolist() == [2, 1]
    for n in (0, 1):
        good = made.overlap.values[n][made.status.values[n] == 1]
        np.testing.assert_allclose(found.overlap_mean[n], good.mean(0), rtol=1e-15)
        np.testing.assert_allclose(found.overlap_variance[n], good.var(0, ddof=1), rtol=1e-9)
        np.testing.assert_allclose(found.overlap_error[n], good.std(0, ddof=1) / np.sqrt(len(good)), rtol=1e-9)
        np.testing.assert_array_equal(found.overlap_quantiles[n], np.quantile(good, found["quantile"], axis=0))


def test_the_spectrum_is_the_power_of_every_degree(made):
    found = statistics(made)
    good = made.moments.values[1][made.status.values[1] == 1]
    power = np.stack([(good[..., these] ** 2).sum(-1) for these in (slice(0, 1), slice(1, 4), slice(4, 9))], -1)
    np.testing.assert_allclose(found.spectrum_mean[1], power.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.spectrum_error[1], power.std(0, ddof=1) / 7, rtol=1e-12)


def test_how_much_is_read_at_once_changes_no_bits(made, monkeypatch):
    before = statistics(made)
    module = sys.modules["fpsolve.ensemble.statistics"]  # the package's name is that of the function
    monkeypatch.setattr(module, "MEMBERS_AT_ONCE_BYTES", 100)
    monkeypatch.setattr(module, "QUANTILE_BYTES", 500)
    assert statistics(made).identical(before)


def test_one_member_has_a_mean_and_no_variance(made):
    found = statistics(made.isel(member=[0]))
    assert np.isfinite(found.overlap_mean).all() and np.isnan(found.overlap_variance).all()


def test_what_is_no_ensemble_is_refused(made):
    with pytest.raises(InputError, match="no ensemble"):
        statistics(made.isel(member=0))
