"""Whole comparisons, small: what the Dataset holds, whose noise it is, what is left out and what is refused."""

import json
from importlib import import_module

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.compare import as_text, compare
from fpsolve.errors import InputError, MissingDependencyError
from fpsolve.plot.compared import comparison

MODULE = import_module("fpsolve.compare.comparison")
LAW = fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0)
MODEL = fp.models.Homogenized(beta=2.0, key_query="gaussian")
SHORT = {"t_end": 0.25, "dt": 0.0625, "path_cell": 0.0625, "seed": 4, "progress": False}
SMALL = {"tokens": (32, 128, 512), "samples": 6, "lmax": 15, "members": 6, "wasserstein_cells": 0}


@pytest.fixture(scope="module")
def ds():
    return compare(MODEL, LAW, **SHORT, **{**SMALL, "wasserstein_cells": 300}, transformer={"n": 8, "depth": 8})


def runs(ds, route, size=None):
    kept = (ds.route == route) & ((ds["size"] == size) if size else True)
    return ds.isel(run=np.flatnonzero(kept.values))


def test_rates_and_errors(ds):
    """The interval of a true rate misses in one run of a hundred; seed fixed."""
    assert ds.attrs["reference"] == "cloud of degree 31"
    row = ds.sel(quantity="moments")
    assert float(row.rate_low) <= -0.5 <= float(row.rate_high)
    assert float(row.rate_high - row.rate_low) < 0.4
    assert float(row.reference_error) < 1e-5
    last = ds.moments_error.isel(time=-1)
    assert (runs(ds, "density").moments_error[:, -1] < 2e-3).all()
    assert float(runs(ds, "cloud", 15).moments_error[0, -1]) < 1e-3 < float(last[ds.route.values == "tokens"].min())
    assert float(last[(ds.route.values == "cloud") & (ds["size"].values == 31)].item()) == 0


def test_errors_of_tokens_at_the_start_have_the_closed_size(ds):
    """N‖ρ̂ - ρ‖² in units of its mean, over 18 samples: mean 1, deviation about 0.3; within 0.4 in all but 10⁻⁴ runs."""
    moments = runs(ds, "cloud", 31).moments[0, 0].values
    expected = 81 / (4 * np.pi) - (moments**2).sum()
    tokens = runs(ds, "tokens")
    scaled = (tokens.moments_error[:, 0] ** 2).values * (moments**2).sum() * tokens["size"].values / expected
    assert abs(scaled.mean() - 1) < 0.4


def test_all_runs_follow_the_one_path(ds):
    """Each run is that of fp.solve with the same seed; only the draws of the tokens differ."""
    options = {key: SHORT[key] for key in ("t_end", "dt", "path_cell", "seed")} | {"progress": False}
    density = fp.solve(MODEL, LAW, lmax=15, **options)
    np.testing.assert_allclose(runs(ds, "density", 15).moments[0, -1], density.moments[-1], atol=1e-12)
    second = runs(ds, "tokens", 128).isel(run=1)
    drawn = fp.initial.samples(LAW, 128, 4, 1 + int(second["sample"]))
    alone = fp.solve(MODEL, drawn, measure="cloud", rtol=1e-4, **options)
    np.testing.assert_allclose(second.moments[-1], alone.moments[-1], atol=1e-12)
    assert len(np.unique(ds["sample"].values[ds.route.values == "tokens"])) == 18


def test_costs_are_counted(ds):
    assert (ds.seconds > 0).all() and (ds.cpu_seconds >= 0).all() and (ds.transformed_values > 0).all()
    assert (runs(ds, "density").grid_transforms > 0).all() and (runs(ds, "density").point_transforms == 0).all()
    assert (runs(ds, "tokens", 512).point_transforms > 0).all()
    assert set(ds.cost_status.sel(target=1e-4).values) <= {"measured", "extrapolated"}
    assert (ds.cost_seconds.sel(solver="tokens", target=1e-3) > 30 * ds.cost_seconds.sel(solver="density", target=1e-3))


def test_file_table_and_figure(ds, tmp_path):
    read = fp.load(fp.save(ds, tmp_path / "all.nc"))
    assert read.identical(ds)
    text = as_text(read)
    for word in ("density", "cloud", "tokens", "contains -1/2", "extrapolated", "KS level", "MMD", "W_2", "<"):
        assert word in text
    figure = comparison(read)
    assert len(figure.axes) == 4
    with pytest.raises(InputError, match="ds"):
        comparison(ds[["overlap"]].drop_vars("route"))


def test_the_circle_and_a_deterministic_model():
    law = fp.initial.von_mises_fisher([0.6, 0.8], 1.0)
    ds = compare(fp.models.SelfAttention(beta=2.0), law, **SHORT, **SMALL)
    assert runs(ds, "density", 31).moments_error[0, -1] < 1e-5
    assert "SelfAttention is not the diffusive limit" in json.loads(ds.attrs["left_out"])[0]
    assert "observable" not in ds.dims
    assert "left out" in as_text(ds)
    assert len(comparison(ds).axes) == 4


def test_own_noise_leaves_the_quadrature_out_and_is_new_in_every_sample():
    """With ν alone equal starts part, with the density as reference; the common noise stays that of the path."""
    model = fp.models.SelfAttention(beta=1.0, diffusion=0.2)
    ds = compare(model, LAW, **SHORT, tokens=(64,), samples=2, lmax=15, transformer=False, wasserstein_cells=0)
    assert ds.attrs["reference"] == "density of degree 31"
    assert set(ds.route.values) == {"density", "tokens"}
    assert "cannot carry noise of its own" in json.loads(ds.attrs["left_out"])[0]


def test_own_noise_is_that_of_another_path():
    from fpsolve.compare.routes import TokenPath

    path = fp.BrownianPath(1, 0, 0.5)
    mine = TokenPath(1, 0, 0.5, own=fp.BrownianPath(1, 7, 0.5))
    np.testing.assert_array_equal(mine.increment(0, 0.5, 9), path.increment(0, 0.5, 9))
    assert not np.array_equal(mine.increment(0, 0.5, 9, "tokens"), path.increment(0, 0.5, 9, "tokens"))


def test_without_the_transport_library_w2_is_left_out(monkeypatch):
    def missing():
        raise MissingDependencyError("W_2 needs POT")

    monkeypatch.setattr(MODULE, "transport_library", missing)
    quick = {**SMALL, "tokens": (32,), "samples": 1, "wasserstein_cells": 100}
    ds = compare(MODEL, LAW, **SHORT, **quick, transformer=False)
    assert "wasserstein_error" not in ds
    assert json.loads(ds.attrs["left_out"]) == ["wasserstein: W_2 needs POT"]


@pytest.mark.parametrize(("argument", "changes"), [
    ("model", {"model": "Homogenized"}),
    ("model", {"model": fp.models.CausalAttention(beta=1.0)}),
    ("initial", {"initial": fp.initial.samples(LAW, 10, 0)}),
    ("initial", {"initial": fp.initial.uniform(4)}),
    ("initial", {"initial": fp.initial.function(lambda x: 1 / (4 * np.pi) + 0 * x[..., 0])}),
    ("tokens", {"tokens": ()}),
    ("tokens", {"tokens": 100}),
    ("tokens", {"tokens": (100, 10)}),
    ("tokens[1]", {"tokens": (100, 1e3)}),
    ("samples", {"samples": 0}),
    ("members", {"members": 1}),
    ("t_end", {"t_end": 0.3}),
    ("dt", {"dt": 0.05, "t_end": 0.25}),
    ("scheme", {"scheme": "leapfrog"}),
    ("save_every", {"save_every": 0.1}),
    ("lmax", {"lmax": 2}),
    ("degrees", {"degrees": (31, 15)}),
    ("reference_lmax", {"reference_lmax": 15}),
    ("transformer", {"transformer": "yes"}),
    ("transformer.width", {"transformer": {"width": 3}}),
    ("transformer.n", {"transformer": {"n": 1}}),
    ("kappa", {"kappa": 0.0}),
    ("targets", {"targets": 0.01}),
    ("targets[0]", {"targets": (2.0,)}),
    ("rtol", {"rtol": 0.0}),
    ("tokens_rtol", {"tokens_rtol": -1.0}),
    ("wasserstein_cells", {"wasserstein_cells": -1}),
    ("seed", {"seed": -1}),
])  # fmt: skip
def test_bad_input_is_named_before_computing(argument, changes, monkeypatch):
    monkeypatch.setattr(MODULE, "_run_all", lambda *_: pytest.fail("computing began"))
    given = {"model": MODEL, "initial": LAW, **SHORT, **SMALL, **changes}
    with pytest.raises(InputError) as caught:
        compare(given.pop("model"), given.pop("initial"), **given)
    assert caught.value.argument == argument
