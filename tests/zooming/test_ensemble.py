"""A member at one point of a sweep is zoomed as the run that it is, and as no other."""

import warnings

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.errors import InputError, UnderResolvedWarning
from fpsolve.zooming import zoom

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
OTHER = fp.initial.von_mises_fisher([0.0, 0.0, 1.0], 1.0)
RUN = {"t_end": 0.08, "dt": 0.04, "path_cell": 0.04, "measure": "cloud", "lmax": 9}
GAUSSIAN = fp.models.Homogenized(beta=1.0, key_query="gaussian", noise_lmax=4)
NEMATIC = fp.initial.band([0.0, 0.0, 1.0])


def homogenized(**changes):
    return fp.models.Homogenized(**{"beta": 1.0, "key_query": "gaussian", "noise_lmax": 4, **changes})


def ensemble(sweep=None, model=GAUSSIAN, law=LAW, members=2, **changes):
    return fp.ensemble(model, law, members=members, sweep=sweep, progress=False, **{**RUN, **changes})


def seen(ds: xr.Dataset, **given):
    return zoom(ds, [0.2, -0.4, 1.0], 0.3, n=8, **given)


def drifting(**changes):
    return homogenized(**{"key_query": "identity", "drift": 1.0, **changes})


SYNCHRONISING = fp.models.SynchronisationByNoise(beta=2.0, value=3.0, noise=0.5, noise_lmax=5)
TURNED = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
SWEEPS = [
    ("beta", [1.0, 6.0], lambda v: (homogenized(beta=v), LAW, {})),
    ("model.drift", [TURNED, 2.0], lambda v: (drifting(drift=v), LAW, {})),
    ("key_query", ["identity", "gaussian"], lambda v: (homogenized(key_query=v), LAW, {})),
    ("noise", [0.0, 1.0], lambda v: (drifting(noise=v), LAW, {})),  # the default scheme follows it
    ("kappa", [1.0, 3.0], lambda v: (GAUSSIAN, fp.initial.von_mises_fisher([0.3, -0.5, 1.0], v), {})),
    ("initial", [LAW, OTHER], lambda v: (GAUSSIAN, v, {})),
    ("solve.lmax", [9, 15], lambda v: (GAUSSIAN, LAW, {"lmax": v})),
    ("seed", [0, 3], lambda v: (GAUSSIAN, LAW, {"seed": v})),
    ("scheme", ["lie_euler", "heun"], lambda v: (SYNCHRONISING, LAW, {"scheme": v})),
]


@pytest.mark.parametrize(("key", "values", "run"), SWEEPS, ids=[key for key, *_ in SWEEPS])
def test_every_member_of_a_sweep_is_zoomed_as_its_own_run(key, values, run):
    base = {"model.drift": drifting(), "noise": drifting(), "scheme": SYNCHRONISING}.get(key, GAUSSIAN)
    ds, found = ensemble({key: values}, base), []
    for at, value in enumerate(values):
        for member in (0, 1):
            model, law, changes = run(value)
            alone = fp.solve(model, law, member=member, **{**RUN, **changes})
            here = seen(ds.isel({key.rpartition(".")[2]: at, "member": member}))
            assert np.array_equal(here.density, seen(alone).density)
            found.append(here.mass)
    assert len(set(found)) == (3 if key == "noise" else 4)  # without noise members are equal


def test_two_parameters_and_further_members():
    """Keys stand in the store in another order than their axes."""
    ds = ensemble({"kappa": [1.0, 3.0], "beta": [1.0, 6.0]}, members=range(3, 5))
    alone = fp.solve(homogenized(beta=1.0), fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 3.0), member=4, **RUN)
    assert np.array_equal(seen(ds.sel(kappa=3.0, beta=1.0, member=4)).density, seen(alone).density)


def test_a_default_scheme_is_that_of_its_point_where_two_are_swept():
    """Noise off at one point of three: rk4 there, lie_euler elsewhere, whichever comes first."""
    for values in ([0.0, 1.0, 2.0], [2.0, 0.0, 1.0]):
        ds = ensemble({"noise": values, "beta": [1.0, 2.0]}, drifting(), members=1)
        for value in (0.0, 2.0):
            alone = fp.solve(drifting(noise=value, beta=2.0), LAW, **RUN)
            slice_ = ds.sel(noise=value, beta=2.0, member=0)
            assert np.array_equal(seen(slice_).density, seen(alone).density)


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
@pytest.mark.parametrize("key", ["beta", "initial"])
def test_a_slice_from_a_file(key, suffix, tmp_path):
    values = {"beta": [1.0, 6.0], "initial": [LAW, OTHER]}[key]
    fp.ensemble(GAUSSIAN, LAW, members=2, sweep={key: values}, output=tmp_path / "all.zarr", progress=False, **RUN)
    ds = fp.load(tmp_path / "all.zarr")
    fp.save(ds.isel({key: slice(1, 2), "member": slice(1, 2)}), tmp_path / f"one.{suffix}")
    one = fp.load(tmp_path / f"one.{suffix}")
    assert one.sizes[key] == one.sizes["member"] == 1
    model, law = (homogenized(beta=6.0), LAW) if key == "beta" else (GAUSSIAN, OTHER)
    alone = fp.solve(model, law, member=1, **RUN)
    for centre in ("mean", (20.0, 30.0)):
        assert np.array_equal(zoom(one, centre, 0.1, n=8).density, zoom(alone, centre, 0.1, n=8).density)


def test_a_law_without_a_recipe_is_passed_for_its_member():
    law = fp.initial.function(lambda x: (1 + 0.5 * x[..., 2]) / (4 * np.pi))
    ds = ensemble({"beta": [1.0, 6.0]}, law=law)
    one = ds.isel(beta=1, member=1)
    with pytest.raises(InputError, match="pass initial="):
        seen(one)
    alone = fp.solve(homogenized(beta=6.0), law, member=1, **RUN)
    assert np.array_equal(seen(one, initial=law).density, seen(alone, initial=law).density)
    with pytest.raises(InputError, match="not the model of this run"):
        seen(one, initial=law, model=GAUSSIAN)
    assert seen(one, initial=law, model=homogenized(beta=6.0)).mass > 0


def test_a_member_that_was_handed_over_is_zoomed():
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
    run = {**RUN, "t_end": 0.4, "lmax": 7}
    policy = {"measure": "density", "on_underresolved": "cloud"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        ds = ensemble(None, flow, **{**run, **policy})
    assert (ds.handed_over_at > 0).all()
    for member in (0, 1):
        alone = fp.solve(flow, LAW, member=member, **{**run, "lmax": 15})
        assert np.array_equal(seen(ds.isel(member=member)).density, seen(alone).density)


def test_what_is_not_one_run_is_refused():
    ds = ensemble({"beta": [1.0, 6.0]})
    alone = fp.solve(homogenized(beta=6.0), LAW, member=1, **RUN)
    for one in (ds.isel(beta=1, member=1, drop=True), ds.isel(beta=1, member=1).assign_coords(beta=2.0)):
        assert np.array_equal(seen(one).density, seen(alone).density), "it is known by its configuration"
    told, cause = ds.status.copy(), ds.cause.astype("<U40")
    cause[...] = "UnresolvedError: too sharp"
    failed, pending = ((n * told).assign_attrs(told.attrs) for n in (2, 0))
    for bad, why in [
        (ds, "several runs"),
        (ds.isel(beta=0), "several runs"),
        (ds.isel(member=0), "several runs"),
        (ds.assign(status=failed, cause=cause).isel(beta=1, member=1), "no values: UnresolvedError: too sharp"),
        (ds.assign(status=pending).isel(beta=1, member=1), "no values"),
    ]:
        with pytest.raises(InputError, match=why) as caught:
            seen(bad)
        assert caught.value.argument == "solution"
    two = [fp.solve(GAUSSIAN, LAW, member=m, **RUN) for m in (0, 1)]
    with pytest.raises(InputError, match="several runs"):
        seen(xr.concat(two, "member"))


@pytest.mark.filterwarnings("ignore:the patch is too coarse")
@pytest.mark.parametrize("law", [LAW, NEMATIC])
def test_a_run_done_again_must_have_the_moments_that_were_saved(law):
    """Another member, whether the means differ or only the moments of even degree."""
    even = fp.models.IsotropicFlow([0.0, 0.0, 0.3, 0.0, 0.2])
    ds = ensemble(None, even, law)
    one = ds.isel(member=1)
    assert seen(one).mass > 0
    for name in (), ("mean_vector",), ("moments",):
        with pytest.raises(InputError, match="not those of the same run done again"):
            other = one.fpsolve_config.replace('"member": 1', '"member": 0')
            seen(one.drop_vars(name).assign_attrs(fpsolve_config=other))
    other = fp.solve(even, law, seed=1, **RUN)
    with pytest.raises(InputError, match="not those of the same run done again"):
        seen(other.assign_attrs(fpsolve_config=fp.solve(even, law, **RUN).attrs["fpsolve_config"]))


def test_moments_off_by_more_than_the_transports_tolerance_are_told():
    ds = fp.solve(GAUSSIAN, LAW, **RUN)
    for name in ("mean_vector", "moments"):
        seen(ds.assign({name: ds[name] + 0.5e-5}))
        with pytest.raises(InputError, match="by 2e-05"):
            seen(ds.assign({name: ds[name] + 2e-5}))
