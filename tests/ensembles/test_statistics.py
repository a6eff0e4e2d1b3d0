"""Statistics over members against NumPy's, with failed members, several dimensions and many saved times."""

import sys

import numpy as np
import pytest
import xarray as xr

from fpsolve.ensembles import statistics
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
    assert found["count"].values.tolist() == [[48] * 4, [49] * 4] and found.failed.values.tolist() == [2, 1]
    assert found["count"].dims == ("beta", "time") and not any(str(name).endswith("_count") for name in found)
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
    module = sys.modules["fpsolve.ensembles.statistics"]  # the package's name is that of the function
    monkeypatch.setattr(module, "MEMBERS_AT_ONCE_BYTES", 100)
    monkeypatch.setattr(module, "QUANTILE_BYTES", 500)
    assert statistics(made).identical(before)


def test_one_member_has_a_mean_and_no_variance(made):
    found = statistics(made.isel(member=[0]))
    assert np.isfinite(found.overlap_mean).all() and np.isnan(found.overlap_variance).all()


def test_what_is_no_ensemble_is_refused(made):
    with pytest.raises(InputError, match="no ensemble"):
        statistics(made.isel(member=0))


def test_a_member_counts_until_it_is_under_resolved(made):
    """Two of them, from t = 0 and from t = 2 on, one that ends at t = 1, and one failed: 46 to 48 of 50 count."""
    status, nan = made.status.values.copy(), np.full((2, 50), np.nan)
    status[0, [10, 11, 12]] = 3
    unresolved, stopped = nan.copy(), nan.copy()
    unresolved[0, 10], unresolved[0, 11], stopped[0, 12] = 0.0, 2.0 + 1e-15, 1.0 - 1e-15
    made = made.assign(
        status=(made.status.dims, status), unresolved_from=(made.status.dims, unresolved),
        stopped_at=(made.status.dims, stopped),
    )  # fmt: skip
    found = statistics(made)
    assert found["count"].values.tolist() == [[47, 47, 45, 45], [49] * 4]
    assert found.underresolved.values.tolist() == [3, 0] and found.failed.values.tolist() == [2, 1]
    for n, without in enumerate([(10,), (10,), (10, 11, 12), (10, 11, 12)]):
        keep = [m for m in range(50) if m not in (3, 7, *without)]
        good, moments = made.overlap.values[0, keep, n], made.moments.values[0, keep, n]
        assert found.overlap_mean[0, n] == pytest.approx(good.mean(), rel=1e-14)
        np.testing.assert_array_equal(found.overlap_quantiles[0, :, n], np.quantile(good, found["quantile"]))
        np.testing.assert_allclose(found.moments_variance[0, n], moments.var(0, ddof=1), rtol=1e-12)
        np.testing.assert_allclose(found.spectrum_mean[0, n, 2], (moments[:, 4:] ** 2).sum(-1).mean(), rtol=1e-13)


def test_values_that_are_not_finite_are_counted(made):
    """A member that is done and lacks one number is left out of it, and X_count says so; other variables have none."""
    made["overlap"][1, 5, 2] = np.nan
    found = statistics(made)
    assert found.overlap_count.values.tolist() == [[48] * 4, [49, 49, 48, 49]]
    assert found["count"].values.tolist() == [[48] * 4, [49] * 4] and "moments_count" not in found


def test_dimensions_are_those_of_their_names(made):
    """In whatever order: averages over times instead of members would be finite numbers, too."""
    found = statistics(made)
    for order in (("member", "time", "beta"), ("time", "member", "beta"), ("member", "beta", "time")):
        turned = statistics(made.transpose(*order, ...))
        assert all(turned[name].transpose(*found[name].dims).identical(found[name]) for name in found)
    first = statistics(made.isel(beta=0, drop=True).transpose("time", "member", ...))
    assert first.overlap_mean.identical(found.overlap_mean.isel(beta=0, drop=True))


def test_a_table_of_an_ensemble_and_back_has_the_same_statistics(made):
    """pandas has an order of its own and repeats a member's status at every time."""
    made["stopped_at"] = (("beta", "member"), np.where(made.status == 2, 2.0, np.nan))
    made["status"] = made.status.where(made.status == 1, 3)
    found = statistics(made)
    back = made[["status", "overlap", "stopped_at"]].to_dataframe(["time", "member", "beta"]).to_xarray()
    assert back.overlap.dims != made.overlap.dims and back.status.ndim == 3
    np.testing.assert_array_equal(statistics(back).overlap_mean, found.overlap_mean)
    np.testing.assert_array_equal(statistics(back)["count"], found["count"])
