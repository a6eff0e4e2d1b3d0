"""A member of a store, selected, is the run that ``fp.solve`` makes alone: in every number, attribute and function."""

import json
import warnings

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.ensembles import statistics
from fpsolve.errors import InputError, UnderResolvedWarning
from fpsolve.measures.laws import Tokens
from fpsolve.models import IsotropicFlow
from tests.ensembles.conftest import LAW, MODEL, RUN

SHARP = fp.initial.von_mises_fisher([1, 2, 2], 20.0)
DRIFTING = fp.models.SelfAttention(beta=1.0)
GAUSSIAN = fp.models.Homogenized(beta=1.0, key_query="gaussian", noise_lmax=4)
SWEEPS = {
    "model": (MODEL, LAW, {"noise": [0.1, 0.3]}, {"save_density": True}),
    "law": (MODEL, LAW, {"kappa": [1.0, 3.0], "initial": [LAW, fp.initial.von_mises_fisher([0, 0, 1], 1.0)]}, {}),
    "numbers": (MODEL, LAW, {"seed": [3, 2**64 - 1], "dt": [0.1, 0.05]}, {}),
    "degree": (MODEL, LAW, {"lmax": [15, 23]}, {"on_underresolved": "filter"}),
    "degrees of noise": (GAUSSIAN, LAW, {"model.noise_lmax": ["auto", 3]}, {}),
    "scheme": (GAUSSIAN, LAW, {"noise": [0.0, 1.0]}, {"measure": "cloud", "save_points": True}),
    "measure": (MODEL, LAW, {"measure": ["density", "cloud", "log_density"]}, {}),
    "harmonics": (MODEL, LAW, {"moments_lmax": [2, 4]}, {}),
    "dimension": (DRIFTING, fp.initial.simplex(3, 0.2, 3), {"d": [3, 4]}, {"measure": "cloud", "save_points": True}),
    "circle": (DRIFTING, fp.initial.uniform(3), {"d": [2, 3]}, {}),
    "stopped": (IsotropicFlow(MODEL.spectrum, 3.0), SHARP, {"noise": [0.3, 6.0]}, {"on_underresolved": "stop"}),
    "own": (MODEL, LAW, {"noise": [0.1, 0.3]}, {"observe": {"mine": lambda state: state.mean[0]}}),
}


def point(name, index):
    """Model, law and arguments of one point, put together without the package's sweeps."""
    model, law, sweep, run = SWEEPS[name]
    arguments = {**RUN, **run}
    for (key, values), at in zip(sweep.items(), index, strict=True):
        value, parameter = values[at], key.removeprefix("model.")
        if key == "initial":
            law = value
        elif parameter in model.__dataclass_fields__:
            model = type(model)(**{**vars(model), parameter: value})
        elif parameter in law.recipe:
            table = {**law.recipe, parameter: value}
            law = getattr(fp.initial, table.pop("name"))(**table)
        else:
            arguments[parameter] = value
    return model, law, arguments


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in SWEEPS if name != "law"])
def test_a_selected_member_is_identical_to_its_run_alone(name, tmp_path):
    """``sel(…, drop=True)`` of the loaded store, at every point; without ``drop`` it says besides which one it is."""
    model, law, sweep, run = SWEEPS[name]
    fp.ensemble(model, law, members=2, sweep=sweep, output=tmp_path / "a.zarr", progress=False, **{**RUN, **run})
    ds = fp.load(tmp_path / "a.zarr")
    axes = [axis for axis in ds.status.dims if axis != "member"]
    for index in np.ndindex(*(ds.sizes[axis] for axis in axes)):
        model, law, arguments = point(name, index)
        idle = {"lmax"} if isinstance(law, Tokens) else set()  # refused in a single run of tokens
        idle |= {"moments_lmax"} if law.dimension > 3 else set()
        alone = fp.solve(model, law, member=1, **{key: value for key, value in arguments.items() if key not in idle})
        where = dict(zip(axes, index, strict=True))
        one = ds.isel(where, drop=True).isel(member=1, drop=True)
        xr.testing.assert_identical(one, alone)
        assert one.attrs["fpsolve_config"] == alone.attrs["fpsolve_config"] and one.attrs == alone.attrs
        told = ds.sel(member=1, **{axis: ds[axis].values[at] for axis, at in where.items()})
        assert told.member == 1 and told.drop_vars(["member", *axes]).identical(alone)


def test_a_law_that_is_swept_comes_before_its_parameters():
    model, law, sweep, _ = SWEEPS["law"]
    ds = fp.ensemble(model, law, members=1, sweep=sweep, progress=False, **RUN)
    for n, mean in enumerate(([1, 2, 2], [0, 0, 1])):
        alone = fp.solve(model, fp.initial.von_mises_fisher(mean, 3.0), **RUN)
        assert ds.isel(kappa=1, initial=n, member=0, drop=True).identical(alone)


@pytest.mark.parametrize("read", [fp.load, xr.open_zarr], ids=["load", "open_zarr"])
def test_every_function_takes_a_member_as_its_run(read, tmp_path):
    """Also what xarray itself opened, and a selection of length one that went through a file."""
    about = {**RUN, "lmax": 23, "moments_lmax": 23, "save_density": True}
    fp.ensemble(MODEL, LAW, members=2, sweep={"noise": [0.1, 0.3]}, output=tmp_path / "a.zarr", progress=False, **about)
    ds, alone = read(tmp_path / "a.zarr"), fp.solve(IsotropicFlow(MODEL.spectrum, 0.3), LAW, member=1, **about)
    fp.save(ds.isel(noise=[1], member=[1]), tmp_path / "one.nc")
    for one in (ds.isel(noise=1, member=1), fp.load(tmp_path / "one.nc"), fp.load(tmp_path / "one.nc").squeeze()):
        for figure in (fp.plot.overview, fp.plot.observables, fp.plot.density_map):
            mine, other = figure(one), figure(alone)
            assert [axes.get_title() for axes in mine.axes] == [axes.get_title() for axes in other.axes]
            drawn = ([line.get_ydata() for axes in one.axes for line in axes.lines] for one in (mine, other))
            assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))
        start, other = (fp.initial.array(run.density.isel(time=-1).squeeze()) for run in (one, alone))
        assert np.array_equal(*(fp.Density.from_law(law, lmax=9, rtol=1e-6).coefficients for law in (start, other)))
    with pytest.raises(InputError, match="no ensemble: it has no members"):
        statistics(fp.load(tmp_path / "a.zarr").isel(noise=1, member=1))
    assert statistics(ds.isel(noise=1)).overlap_mean.dims == ("time",)


def test_a_member_starts_a_stationary_state():
    """Of two lengths of the moments, so that the shorter ones are filled up in the store."""
    law, run = fp.initial.von_mises_fisher([0, 0, 1], 1.0), {"t_end": 8.0, "dt": 0.4, "lmax": 15}
    sweep = {"moments_lmax": [4, 8], "diffusion": [0.28, 0.3]}
    ds = fp.ensemble(fp.models.NoisyTransformer(1.0, 0.28), law, members=1, sweep=sweep, progress=False, **run)
    model = fp.models.NoisyTransformer(1.0, 0.3)
    for n, degree in enumerate((4, 8)):
        alone = fp.solve(model, law, **run, moments_lmax=degree)
        for one in (ds.isel(moments_lmax=n, diffusion=1, member=0), ds.isel(moments_lmax=[n], diffusion=[1])):
            found, known = (fp.stationary.solve(model, guess, lmax=11, solver="numpy") for guess in (one, alone))
            assert np.array_equal(found.density.coefficients, known.density.coefficients)
    with pytest.raises(InputError, match=r"^guess = .*holds several runs"):
        fp.stationary.solve(model, ds, lmax=11, solver="numpy")


def test_a_member_that_failed_stays_what_it_is_and_is_refused(small, fragile):
    ds = small(fragile(), members=2, measure="density")
    one = ds.isel(member=1)
    assert int(one.status) == 2 and "the tail is 0.2" in str(one.cause.item())
    for function, argument in ((fp.plot.overview, "ds"), (lambda one: fp.zoom(one, "mean", 0.1), "solution")):
        with pytest.raises(InputError, match="this member has no values: UnresolvedError") as caught:
            function(one)
        assert caught.value.argument == argument
    assert "status" not in ds.isel(member=0)


def test_notes_of_a_member_are_attributes_of_its_run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        run = {**RUN, "on_underresolved": "cloud"}
        ds = fp.ensemble(IsotropicFlow(MODEL.spectrum, 2.0), SHARP, members=2, progress=False, **run)
        alone = fp.solve(IsotropicFlow(MODEL.spectrum, 2.0), SHARP, member=1, **run)
    assert alone.handed_over_at >= 0 and ds.isel(member=1).attrs == alone.attrs
    assert json.loads(alone.fpsolve_config)["solve"]["member"] == 1
