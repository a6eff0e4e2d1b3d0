"""Whole comparisons, small: what the Dataset holds, whose noise it is, what is left out and what is refused."""

import json
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy.special import spherical_in

import fpsolve as fp
from fpsolve import memory
from fpsolve.comparison import as_text, compare
from fpsolve.comparison.counting import counting
from fpsolve.comparison.page import _error
from fpsolve.comparison.problem_checks import checked_problem
from fpsolve.comparison.routes import Rung, TokenPath, _time_again, follow, start_of
from fpsolve.errors import InputError, MissingDependencyError
from fpsolve.measures.build import build
from fpsolve.plot.compared import comparison
from fpsolve.stepping import Stepper
from fpsolve.transport import operators

MODULE = import_module("fpsolve.comparison.comparison")
ARGUMENTS = import_module("fpsolve.comparison.problem_checks")
ROUTES = import_module("fpsolve.comparison.routes")
RECORD = import_module("fpsolve.comparison.record")
LAW = fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0)
MODEL = fp.models.Homogenized(beta=2.0, key_query="gaussian")
SHORT = {"t_end": 0.25, "dt": 0.0625, "path_cell": 0.0625, "seed": 4, "progress": False}
SMALL = {"tokens": (32, 1000, 3000), "samples": 6, "lmax": 15, "members": 6, "wasserstein_cells": 0}


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
    density = fp.solve(MODEL, LAW, measure="density", lmax=15, **options)
    np.testing.assert_allclose(runs(ds, "density", 15).moments[0, -1], density.moments[-1], atol=1e-12)
    second = runs(ds, "tokens", 1000).isel(run=1)
    drawn = fp.initial.samples(LAW, 1000, 4, 1 + int(second["sample"]))
    alone = fp.solve(MODEL, drawn, measure="cloud", rtol=1e-4, **options)
    np.testing.assert_allclose(second.moments[-1], alone.moments[-1], atol=1e-12)
    assert len(np.unique(ds["sample"].values[ds.route.values == "tokens"])) == 18


def test_costs_are_counted(ds):
    assert (ds.seconds > 0).all() and (ds.cpu_seconds > 0).all() and (ds.transformed_values > 0).all()
    assert (runs(ds, "density").grid_transforms > 0).all() and (runs(ds, "density").point_transforms == 0).all()
    assert (runs(ds, "tokens", 3000).point_transforms > 0).all()
    assert follow(problem_of(fp.models.SelfAttention(beta=2.0)), Rung("tokens", 32), warm=True).pair_evaluations > 0
    assert (runs(ds, "tokens", 3000).pair_evaluations == 0).all()
    assert set(ds.cost_status.sel(target=1e-4).values) <= {"measured", "extrapolated"}
    assert ds.cost_seconds.sel(solver="tokens", target=1e-3) > 30 * ds.cost_seconds.sel(solver="density", target=1e-3)


def problem_of(model, **changes):
    options = {**SHORT, "rtol": 1e-6, "tokens_rtol": 1e-4, "filter": None, "save_every": None, "member": 0, **changes}
    return checked_problem(model, LAW, options, None, 8)[1]


@pytest.mark.parametrize("rung", [Rung("density", 15), Rung("cloud", 11), Rung("tokens", 32), Rung("tokens", 300)])
def test_all_steps_are_counted(rung):
    """As of the whole run in one block, every step its part of it; repetitions for the clock count nothing.

    Steps of points take as many stages as their field asks for; those of a density are alike.
    """
    problem = problem_of(MODEL)
    outcome = follow(problem, rung, warm=True)
    states = problem.course(*start_of(problem, rung)).states()
    next(states)
    with counting() as whole:
        reached = [whole.values + whole.pairs for _ in states]
    found = (outcome.grid_transforms, outcome.point_transforms, outcome.values, outcome.pair_evaluations)
    assert found == (whole.grid, whole.points, whole.values, whole.pairs)
    steps = np.diff([0, *reached])
    assert len(steps) == 4 and reached[-1] == outcome.values + outcome.pair_evaluations
    assert (steps[1:] > (0 if rung.route == "cloud" else 0.8 * steps[1])).all() and steps[0] > 0


@pytest.mark.parametrize("measure", ["density", "half_density", "log_density"])
def test_compiled_series_count_as_their_readable_twins(measure, monkeypatch):
    flow = fp.models.IsotropicFlow([0.0, 1.0, 0.5], noise=0.4)
    stepper = Stepper(flow, fp.BrownianPath(1), 0.01, fp.SCHEMES["lie_euler"])
    found = []
    stepper(build(LAW, measure, 15, 1e-6), 0)  # what is kept of the first state counts once
    for bound in (True, False):
        monkeypatch.setattr(operators, "BOUND", bound and operators.BOUND)
        with counting() as counter:
            stepper(build(LAW, measure, 15, 1e-6), 0)
        found.append((counter.grid, counter.values))
    assert found[0] == found[1] and found[0][0] > 10


def test_quick_runs_are_timed_again_and_their_least_time_kept(monkeypatch):
    """Clocks that say 50 ms a run, then 10 ms: five runs, the least; of a run of 300 ms one."""
    problem, rung = problem_of(MODEL), Rung("density", 11)
    asked = []
    with monkeypatch.context() as patch:
        patch.setattr(ROUTES, "_time_again", lambda outcome, _: asked.append(outcome))
        assert follow(problem, rung, warm=False) is asked[0]
    for first, again, calls, expected in ((0.05, 0.01, 4, 0.01), (0.3, 0.01, 0, 0.3), (0.15, 0.2, 1, 0.15)):
        outcome = follow(problem, rung, warm=False)
        outcome.seconds = outcome.cpu_seconds = first
        ticks = iter(np.arange(20) * again)
        clock = SimpleNamespace(perf_counter=lambda: 0.0, process_time=lambda ticks=ticks: float(next(ticks)))
        monkeypatch.setattr(ROUTES, "time", clock)
        _time_again(outcome, problem)
        monkeypatch.undo()
        assert outcome.cpu_seconds == pytest.approx(expected)
        assert round(next(ticks) / again) == 2 * calls


def test_the_error_of_the_reference_is_that_of_its_witness_at_the_end(ds):
    witness = runs(ds, "density", 31).isel(run=0)
    assert ds.attrs["reference_error_from"] == "density of degree 31"
    for name in ("moments", "overlap", "energy", "discrepancy"):
        error = witness[f"{name}_error"].values
        assert float(ds.reference_error.sel(quantity=name)) == error[-1] != error[0]


def test_the_error_of_the_energy_is_relative(ds):
    tokens, exact = runs(ds, "tokens"), runs(ds, "cloud", 31).energy.values[0]
    np.testing.assert_allclose(tokens.energy_error, np.abs(tokens.energy - exact) / exact, rtol=1e-9)
    assert exact.max() < 0.9  # or absolute errors were the same


def test_an_unresolved_density_is_no_witness():
    """Of κ = 90 at degree 15 the tail is 0.06: the next coarser cloud is asked."""
    law = fp.initial.von_mises_fisher([0, 0.6, 0.8], 90.0)
    options = {**SHORT, "t_end": 0.0625, "path_cell": 0.0625}
    some = {"tokens": (32,), "samples": 1, "degrees": (11,), "reference_lmax": 15, "transformer": False}
    ds = compare(MODEL, law, **options, **some, wasserstein_cells=100)
    assert set(runs(ds, "density")["size"].values) == {11, 15}
    assert ds.attrs["reference_error_from"] == "cloud of degree 11"
    expected = runs(ds, "cloud", 11).moments_error[0, -1]
    assert float(ds.reference_error.sel(quantity="moments")) == float(expected)
    assert np.isnan(runs(ds, "density").wasserstein_error).all()
    assert "density of degree 15 is negative or under-resolved" in ds.attrs["left_out"]
    row = next(line for line in as_text(ds).splitlines() if line.startswith("density"))
    assert row.split()[7] == "-"


def test_the_file_holds_what_the_discrepancy_needs(ds):
    """MMD² = 4π Σ_ℓ e^{-κ} i_ℓ(κ) Σ_m |ρ_ℓm - ρ'_ℓm|², by SciPy's Bessel functions."""
    kappa = ds.attrs["kappa"]
    waves = np.exp(-kappa) * spherical_in(ds.end_degree.values, kappa)
    difference = ds.end_moments - runs(ds, "cloud", 31).end_moments[0]
    mmd = np.sqrt(4 * np.pi * (waves * difference**2).sum("end_harmonic"))
    np.testing.assert_allclose(mmd, ds.discrepancy_error[:, -1], rtol=1e-8, atol=1e-14)
    low = ds.end_moments.isel(end_harmonic=slice(ds.sizes["harmonic"]))
    np.testing.assert_allclose(low, ds.moments[:, -1], atol=1e-14)


def test_at_a_critical_point_no_verdict_is_given():
    """The uniform law: all of the errors of overlap and energy is their second variation; moments keep their rate."""
    small = {**SMALL, "tokens": (32, 128, 512), "wasserstein_cells": 0, "degrees": (15,), "reference_lmax": 23}
    ds = compare(fp.models.SelfAttention(beta=2.0), fp.initial.uniform(3), **SHORT, **small, transformer=False)
    verdicts = dict(zip(ds["quantity"].values, ds.rate_verdict.values, strict=True))
    assert verdicts == {"moments": "yes", "overlap": "critical point", "energy": "critical point", "discrepancy": "yes"}
    np.testing.assert_allclose(ds.second_order.sel(quantity=["overlap", "energy"]), 1, rtol=1e-4)
    assert "critical point" in as_text(ds)


def test_second_variations_are_those_of_the_measures(ds):
    """Of the overlap |m_N - m|²; away from critical points a small share, which falls as N^{-1/2}."""
    apart = runs(ds, "tokens").mean_vector[:, -1] - runs(ds, "cloud", 31).mean_vector[0, -1]
    second = (apart**2).sum("component").values
    sizes, error = runs(ds, "tokens")["size"].values, runs(ds, "tokens").overlap_error[:, -1].values
    for end, n in (("smallest", 32), ("largest", 3000)):
        share = np.sqrt((second[sizes == n] ** 2).mean() / (error[sizes == n] ** 2).mean())
        assert float(ds.second_order.sel(quantity="overlap", end=end)) == pytest.approx(share)
    shares = ds.second_order.sel(quantity=["overlap", "energy"])
    assert (shares.sel(end="largest") < 0.3 * shares.sel(end="smallest")).all()
    assert np.isnan(ds.second_order.sel(quantity="moments")).all()


def test_the_page_shows_means_over_samples_and_dashes_for_what_is_not(ds):
    ds = ds.assign(pair_evaluations=("run", 7 * ((ds["size"] == 32) & (ds.route == "tokens")).values))
    rows = {tuple(line.split()[:2]): line.split() for line in as_text(ds).splitlines() if line.split()}
    some, shown = runs(ds, "tokens", 3000), rows["tokens", "3000"]
    assert shown[8:10] == [f"{float(some[key].mean()):.3g}" for key in ("seconds", "cpu_seconds")]
    assert shown[-2:] == [f"{float(some.transformed_values.mean()):.3g}", "-"]
    assert rows["density", "31"][-1] == "-" and rows["tokens", "32"][-1] == "7"


def test_sizes_whose_w2_is_not_resolved_stay_out_of_its_rate():
    """Resolutions of 0.2, 0.4 and 2 of the value: the first size alone is fitted, so that there is no rate."""
    sizes = np.repeat([100, 1000, 10_000], 4)
    w2 = np.repeat([0.5, 0.25, 0.1], 4)
    bounds = w2 * np.repeat([0.2, 0.4, 2.0], 4)
    found = SimpleNamespace(routes=np.full(12, "tokens"), sizes=sizes, reference_error={}, all_errors={}, cells=9,
                            distances=np.stack([w2, bounds], 1), second_order={})  # fmt: skip
    rate = RECORD._rates(found).sel(quantity="wasserstein")
    assert int(rate.rate_count) == 0 or np.isnan(rate.rate)
    assert float(rate.reference_error) == 0.2
    found.distances = np.stack([w2, w2 * np.repeat([0.2, 0.3, 2.0], 4)], 1)
    rate = RECORD._rates(found).sel(quantity="wasserstein")
    assert int(rate.rate_count) == 8 and float(rate.rate) == pytest.approx(-np.log10(2))
    values = {"wasserstein_error": ("run", w2), "wasserstein_resolution": ("run", bounds)}
    shown = [_error(xr.Dataset(values).isel(run=[k]), "wasserstein") for k in (0, 4, 8)]
    assert shown == ["0.5", "0.25+-0.1", "<0.2"]


def test_a_reference_without_a_witness_reaches_no_target():
    """Its error against itself is 0 and its own is not known: the run of known error is taken, or none."""
    costs = {"cpu_seconds": np.array([3.0, 1.0]), "values": np.ones(2), "pair_evaluations": np.zeros(2)}
    errors = {"moments": np.array([[1e-3], [0.0]])}
    found = SimpleNamespace(routes=np.full(2, "cloud"), sizes=np.array([15, 31]), column=costs.get,
                            reference_error={"moments": np.nan}, all_errors=errors)  # fmt: skip
    known, beyond = (RECORD._cost(found, "cloud", target) for target in (1e-2, 1e-4))
    assert (known.status, known.size, beyond.status) == ("measured", 15, "not reached")
    found.reference_error = {"moments": 1e-5}
    assert RECORD._cost(found, "cloud", 1e-4).size == 31


def test_file_table_and_figure(ds, tmp_path):
    read = fp.load(fp.save(ds, tmp_path / "all.nc"))
    assert read.identical(ds)
    text = as_text(read)
    for word in ("density", "cloud", "tokens", "contains -1/2", "extrapolated", "KS level", "MMD", "W_2", "<"):
        assert word in text
    figure = comparison(read)
    assert len(figure.axes) == 4
    rates, costs = figure.axes[:2]
    lines = {line.get_label(): line for line in rates.get_lines()}
    assert {"moments", "MMD", "overlap", "energy", "W₂"} <= set(lines)
    tokens = runs(ds, "tokens")
    bounds = tokens.wasserstein_resolution.values[tokens["size"].values == 3000]
    assert (lines["W₂, a bound"].get_xdata()[-1], lines["W₂, a bound"].get_ydata()[-1]) == (3000, bounds.max())
    assert 3000 not in lines["W₂"].get_xdata()
    assert {"N = 32", "N = 1000", "N = 3000", "15"} <= {text.get_text() for text in costs.texts}
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


def test_every_sample_has_own_noise():
    problem = problem_of(fp.models.SelfAttention(beta=1.0, diffusion=0.2))
    paths = [start_of(problem, Rung("tokens", 8, sample))[1] for sample in (0, 1)]
    drawn = [path.increment(0, 0.0625, 9, "tokens") for path in paths]
    assert not np.array_equal(*drawn)
    np.testing.assert_array_equal(drawn[1], fp.BrownianPath(4, 2, 0.0625).increment(0, 0.0625, 9, "tokens"))
    np.testing.assert_array_equal(*(path.increment(0, 0.0625, 9) for path in paths))


def test_own_noise_is_that_of_another_path():
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


def test_sizes_beyond_the_memory_are_refused(monkeypatch):
    """800 bytes a token: of 1 GB it holds 1.25 million; where the system says nothing, nothing is refused."""
    monkeypatch.setattr(ARGUMENTS, "installed_memory", lambda: 10**9)
    monkeypatch.setattr(MODULE, "_run_all", lambda *_: pytest.fail("computing began"))
    with pytest.raises(InputError, match="takes about 8 GB, the machine has 1 GB; take at most 1250000") as caught:
        compare(MODEL, LAW, **SHORT, **{**SMALL, "tokens": (100, 10**7)})
    assert (caught.value.argument, caught.value.value) == ("tokens[1]", 10**7)
    ARGUMENTS.checked_memory((1_250_000,))
    monkeypatch.setattr(ARGUMENTS, "installed_memory", lambda: None)
    ARGUMENTS.checked_memory((10**8,))


def test_the_memory_is_that_of_the_machine(monkeypatch):
    assert 2**28 < memory.installed_memory() < 2**50
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory.installed_memory() is None


def test_targets_lie_inside():
    for wrong in (0, 1, 2.0):
        with pytest.raises(InputError, match=r"targets\[1\] = .* must be in \(0, 1\)"):
            compare(MODEL, LAW, **SHORT, **SMALL, targets=(0.1, wrong))


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
