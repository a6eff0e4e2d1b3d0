"""What a Dataset lets its reader do: integrate by the saved weights, and select moments by degree and order."""

import pickle
import re

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.ensembles import statistics
from fpsolve.observe import as_result
from fpsolve.solving import prepare

RUN = {"t_end": 0.2, "dt": 0.1, "lmax": 15, "save_density": True}
SELF = fp.models.SelfAttention(beta=2.0)


@pytest.fixture(scope="module")
def sphere():
    return fp.solve(SELF, fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 2.0), **RUN)


@pytest.mark.parametrize("measure", ["density", "half_density", "log_density"])
def test_the_weights_of_the_sphere_integrate_the_density(measure):
    """∫ρ, ∫xρ and ∫ρ² against the saved mass, mean, and the moments' own sum of squares."""
    ds = fp.solve(SELF, fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 2.0), measure=measure, moments_lmax=15, **RUN)
    assert ds.density.quadrature.dims == ("lat",) and ds.quadrature.attrs["units"] == "sr"
    assert float(ds.quadrature.sum() * ds.sizes["lon"]) == pytest.approx(4 * np.pi, rel=1e-14)

    def integral(field):
        return (field * ds.quadrature).sum(("lat", "lon"))

    np.testing.assert_allclose(integral(ds.density), ds.mass, rtol=1e-12 if measure != "log_density" else 1e-7)
    lat, lon = np.deg2rad(ds.lat), np.deg2rad(ds.lon)
    for name, x in (("x", np.cos(lat) * np.cos(lon)), ("y", np.cos(lat) * np.sin(lon)), ("z", np.sin(lat))):
        np.testing.assert_allclose(integral(ds.density * x), ds.mean_vector.sel(component=name), atol=1e-7)
    if measure == "density":
        np.testing.assert_allclose(integral(ds.density**2), (ds.moments**2).sum("harmonic"), rtol=1e-12)
        weighted = ds.density.weighted(ds.quadrature).mean(("lat", "lon"))
        np.testing.assert_allclose(4 * np.pi * weighted, ds.mass, rtol=1e-12)


def test_the_weights_of_the_circle_integrate_the_density():
    ds = fp.solve(SELF, fp.initial.von_mises_fisher([0.6, 0.8], 2.0), **RUN)
    assert ds.quadrature.dims == ("angle",) and ds.quadrature.attrs["units"] == "rad"
    np.testing.assert_allclose((ds.density * ds.quadrature).sum("angle"), ds.mass, rtol=1e-12)
    cosine = (ds.density * ds.quadrature * np.cos(np.deg2rad(ds.angle))).sum("angle")
    np.testing.assert_allclose(cosine, ds.mean_vector.sel(component="x"), atol=1e-12)


@pytest.mark.parametrize("lmax", [9, 135])
def test_the_weights_follow_the_latitudes_in_both_layouts_of_the_grid(lmax):
    """∫(1 + z + 3z² + z³) = 8π: weights in another order of latitudes would give another value."""
    ds = fp.solve(SELF, fp.initial.uniform(), **{**RUN, "t_end": 0.1, "lmax": lmax})
    z = np.sin(np.deg2rad(ds.lat))
    assert float(((1 + z + 3 * z**2 + z**3) * ds.quadrature).sum() * ds.sizes["lon"]) == pytest.approx(8 * np.pi)
    shifted = np.exp(3 * z) * ds.quadrature * ds.sizes["lon"]
    assert float(shifted.sum()) == pytest.approx(4 * np.pi * np.sinh(3) / 3, rel=1e-11)


def test_runs_that_save_no_density_have_no_weights(sphere):
    assert "quadrature" not in fp.solve(SELF, fp.initial.uniform(), **{**RUN, "save_density": False})


def test_members_have_the_weights_of_a_run(sphere):
    law = fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 2.0)
    ds = fp.ensemble(SELF, law, members=1, sweep={"beta": [1.0, 2.0]}, progress=False, **RUN)
    assert ds.quadrature.identical(sphere.quadrature)
    mean = statistics(ds)
    np.testing.assert_allclose((mean.density_mean * mean.quadrature).sum(("lat", "lon")), mean.mass_mean, rtol=1e-12)


def selected(ds):
    """Every way to select, against the coordinates themselves."""
    degree, order, values = ds.degree.values, ds.order.values, ds.moments.values
    one = ds.moments.sel(degree=2, order=1)
    assert one.dims == ("time",) and (int(one.degree), int(one.order)) == (2, 1)
    np.testing.assert_array_equal(one, values[:, (degree == 2) & (order == 1)][:, 0])
    for labels, mask in (
        ({"degree": 2}, degree == 2), ({"order": 0}, order == 0), ({"degree": [1, 3]}, np.isin(degree, [1, 3])),
        ({"degree": slice(1, 2)}, (degree >= 1) & (degree <= 2)), ({"order": slice(None, -1)}, order <= -1),
        ({"degree": slice(2, None), "order": [0]}, (degree >= 2) & (order == 0)),
    ):  # fmt: skip
        np.testing.assert_array_equal(ds.moments.sel(**labels), values[:, mask])
        np.testing.assert_array_equal(ds.sel(**labels).order, order[mask])
    with pytest.raises(KeyError):
        ds.moments.sel(degree=2, order=3)
    return True


def test_moments_are_selected_by_degree_and_order(sphere, tmp_path):
    assert selected(sphere)
    for name in ("r.nc", "r.zarr"):
        assert selected(fp.load(fp.save(sphere, tmp_path / name)))
    sphere.to_netcdf(tmp_path / "plain.nc")  # as by xarray alone: the coordinates are plain ones
    with xr.open_dataset(tmp_path / "plain.nc") as plain:
        assert selected(as_result(plain.load()))
    assert selected(pickle.loads(pickle.dumps(sphere))) and selected(sphere.copy(deep=True))


def test_what_xarray_does_with_the_index(sphere):
    """Parts keep it, equal ones join, unequal ones join on what they share, runs are stacked, names change."""
    few = fp.solve(SELF, fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 2.0), **{**RUN, "moments_lmax": 3})
    shared = sphere.moments - few.moments
    assert shared.sizes["harmonic"] == 16 and float(np.abs(shared).max()) == 0
    assert shared.sel(degree=3, order=-3).shape == (3,)
    assert sphere.isel(harmonic=slice(0, 9)).moments.sel(degree=2, order=-2).shape == (3,)
    assert xr.concat([sphere, sphere], "run").moments.sel(degree=1, order=0).shape == (2, 3)
    assert sphere.rename(degree="ell", harmonic="mode").moments.sel(ell=1, order=0).shape == (3,)
    assert sphere.isel(harmonic=4).moments.dims == ("time",)
    outer = xr.align(sphere.moments, few.moments, join="outer")[1]
    assert outer.sizes["harmonic"] == 81 and bool(outer.sel(degree=8, order=0).isnull().all())
    assert list(sphere.drop_vars(["degree", "order"]).moments.dims) == ["time", "harmonic"]


def test_an_ensemble_is_selected_so_too(tmp_path):
    law = fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 2.0)
    about = {"members": 2, "progress": False, **RUN, "save_density": False}
    fp.ensemble(SELF, law, output=tmp_path / "e.zarr", **about)
    ds = fp.load(tmp_path / "e.zarr")
    assert ds.moments.sel(degree=1, order=0, member=1).dims == ("time",)
    assert fp.ensemble(SELF, law, **about).moments.sel(degree=1, order=0).identical(ds.moments.sel(degree=1, order=0))


@pytest.mark.parametrize(("t_end", "dt", "cell"), [
    (0.02, 0.013, 0.01), (0.1, 0.013, 0.01), (0.015, 0.013, 0.01), (1.0, 0.3, 0.01), (0.3, 0.3, 0.01),
    (1.0, 0.7, 0.1), (0.013, 0.0131, 0.01), (0.02, 0.011, 0.01),
])  # fmt: skip
def test_a_remedy_for_the_step_is_none_that_is_refused(t_end, dt, cell):


    model = fp.models.IsotropicFlow([0.0, 0.1])
    asked = {"t_end": t_end, "dt": dt, "path_cell": cell, "lmax": 9}
    with pytest.raises(fp.errors.InputError, match=r"^dt = .* times a power of two; take ") as told:
        prepare(model, fp.initial.uniform(), **asked)
    first = told.value.remedy.partition(", or pass")[0]
    changes = {name: float(value) for name, value in re.findall(r"(dt|t_end) = ([\d.e-]+)", first)}
    assert "dt" in changes and prepare(model, fp.initial.uniform(), **{**asked, **changes}).steps >= 1


def test_a_result_takes_what_users_of_xarray_do_with_it():
    """The index of harmonics stands in no way of pandas, interpolation, alignment, concatenation, reductions."""
    law = fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 1.0)
    ds = fp.solve(SELF, law, t_end=0.2, dt=0.1, lmax=15, moments_lmax=2)
    assert list(ds.indexes) == ["time", "component", "degree", "order"]
    assert ds.indexes["degree"].tolist()[:3] == [(0, 0), (1, -1), (1, 0)]
    frame = ds[["moments"]].to_dataframe()
    assert len(frame) == ds.moments.size and frame["degree"].max() == 2
    middle = ds.interp(time=0.05)
    assert np.allclose(middle.moments, (ds.moments[0] + ds.moments[1]) / 2)
    both = xr.concat([ds, ds], dim="run")
    assert both.moments.sel(degree=1, order=0).dims == ("run", "time")
    assert np.array_equal((ds - ds.isel(time=0)).moments.sel(degree=2, order=-1)[0], 0.0)
    assert float(ds.moments.mean("harmonic")[0]) == float(ds.moments.values[0].mean())
    assert ds.reset_index(["degree", "order"]).moments.identical(ds.moments) is False and ds.compute().identical(ds)
    assert ds.sel(time=0.11, method="nearest").time == 0.1 and "harmonic" in repr(ds)
