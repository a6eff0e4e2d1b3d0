"""Zooms of a run that was handed over: its quadrature under a low cap, and the law that it is held to."""

import warnings

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError, UnderResolvedWarning
from fpsolve.zooming import zoom


def handed_over(model, law, **run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        ds = fp.solve(model, law, measure="density", on_underresolved="cloud", **run)
    assert 0 < ds.handed_over_at < run["t_end"]
    return ds


def test_a_run_done_again_has_the_quadrature_that_the_cap_allowed():
    """Attention asks the points, so that another quadrature is another flow."""
    model, law = fp.models.SelfAttention(beta=4.0), fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 5.0)
    run = {"t_end": 1.0, "dt": 0.1, "rtol": 1e-4}
    ds = handed_over(model, law, lmax=9, lmax_cap=10, save_flow=True, **run)
    finer = fp.solve(model, law, measure="cloud", lmax=19, **run)
    stored, again, other = (zoom(one, [0, 0, 1], 0.2, n=8).density for one in (ds, ds.drop_vars("flow"), finer))
    assert np.array_equal(stored, again)
    assert np.abs(stored / other - 1).max() > 1e-13  # measured: 2.6e-12


def exponential(k: float):
    return fp.initial.function(lambda x: k / (4 * np.pi * np.sinh(k)) * np.exp(k * x[..., 2]))


@pytest.mark.parametrize("since", [0, 1])
def test_a_wrong_law_is_refused_by_what_was_saved_before_the_hand_over(since):
    """There the moments are a density's, which those of the cloud only resemble; functions are alike by name."""
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
    ds = handed_over(flow, exponential(2.0), t_end=0.2, dt=0.02, path_cell=0.02, seed=2, lmax=15)
    early = ds.isel(time=slice(since, int((ds.method == "density").sum())))
    assert "flow" not in ds and set(early.method.values) == {"density"}
    right, whole = (zoom(one, [0, 0, 1], 0.2, n=8, initial=exponential(2.0)) for one in (early, ds))
    assert np.array_equal(right.density, whole.density)
    with pytest.raises(InputError, match="its moments are not those of the same run") as caught:
        zoom(early, [0, 0, 1], 0.2, n=8, initial=exponential(2.5))
    assert caught.value.argument == ("solution" if since else "initial")


@pytest.mark.parametrize("wrong", [3, None, "run.nc"])
def test_what_is_no_result_is_refused(wrong):
    with pytest.raises(InputError, match=r"should be of the kind Dataset; pass an xarray Dataset") as caught:
        zoom(wrong, "mean", 0.3)
    assert caught.value.argument == "solution"
