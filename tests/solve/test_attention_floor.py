"""Runs whose far attention outgrows the density: policies, results, restarts, ensembles and pictures."""

import warnings

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.cli.running import summary
from fpsolve.defects import ATTENTION_UNRESOLVED, Defect, attention_floor, defects
from fpsolve.ensembles import statistics
from fpsolve.measures.build import build
from fpsolve.policies import FINEST, Filter, Refine

MODEL = fp.models.Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16)
RUN = {"t_end": 0.1, "dt": 0.02, "path_cell": 0.02, "seed": 1, "lmax": 63, "measure": "density"}

pytestmark = pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")


def law(kappa):
    """On the circle, where runs are short."""
    return fp.initial.von_mises_fisher([0.3, 1.0], kappa)


def solved(kappa=16.0, model=MODEL, **changes):
    return fp.solve(model, law(kappa), **{**RUN, **changes})


def test_warn_goes_on_and_says_from_when():
    ds = solved()
    assert ds.sizes["time"] == 6 and ds.attention_unresolved_from == pytest.approx(0.02)
    assert ds.attention_floor.dims == ("time",) and ds.attention_floor.attrs["units"] == "1"
    assert (ds.attention_floor.values > ATTENTION_UNRESOLVED).tolist() == [False] + 5 * [True]


def test_stop_ends_before_it():
    ds = solved(on_underresolved="stop")
    assert ds.stopped_at == 0 and ds.sizes["time"] == 1 and "attention_unresolved_from" not in ds.attrs
    assert solved(2.0, on_underresolved="stop").sizes["time"] == 6


def test_no_filter_is_set_against_it():
    ds = solved(on_underresolved="filter")
    assert "filtered_from" not in ds.attrs and (ds["filter"] == 0).all()
    assert ds.attention_unresolved_from == pytest.approx(0.02) and ds.sizes["time"] == 6


def test_a_cloud_takes_over():
    ds = solved(on_underresolved="cloud")
    assert ds.handed_over_at == pytest.approx(0.02) and "attention_unresolved_from" not in ds.attrs
    assert list(ds.method.values) == ["density"] + 5 * ["cloud"]
    assert np.isfinite(ds.attention_floor.values).tolist() == [True] + 5 * [False]
    cloud = solved(measure="cloud", lmax=127)
    assert "attention_floor" not in cloud and np.abs(ds.moments - cloud.moments)[1:].max() < 1e-12


def test_refine_tightens_the_accuracy_from_the_first_step_on():
    """Moments then are those of a run that was tight from the start; of looser ones they are far."""
    ds = solved(8.0, on_underresolved="refine")
    tight, loose = solved(8.0, rtol=1e-9), solved(8.0)
    assert ds.refined_from == pytest.approx(0.02) and (ds.lmax == 63).all() and "filtered_from" not in ds.attrs
    assert "attention_unresolved_from" not in ds.attrs and "attention_unresolved_from" in loose.attrs
    assert np.abs(ds.moments - tight.moments).max() == 0
    cloud = solved(8.0, measure="cloud", lmax=63, rtol=1e-8)
    errors = [float(np.abs(one.moments - cloud.moments).max()) for one in (ds, loose)]
    assert errors[0] < 1e-5 and errors[1] > 10 * errors[0]


def test_refine_raises_the_degree_where_truncation_is_the_floor():
    wide = fp.models.Homogenized(beta=8.0, key_query="gaussian", noise_lmax=16)
    ds = solved(12.0, wide, lmax=31, rtol=1e-9, on_underresolved="refine", t_end=0.02)
    assert ds.lmax.values[-1] > 31


def test_what_is_there_already_stays():
    """A tighter rtol in the middle of a run lowers no floor: the state remembers, and the policy does not try."""
    moved = fp.Density(build(law(8.0), "density", 63, 1e-6).coefficients, d=2, coarsest=1e-6)
    shown = [Defect("attention_floor", "attention_unresolved_from", 1e-3, 2e-5, 2e-6, is_truncation=False)]
    assert Refine().successor(moved, shown) is None
    start = build(law(8.0), "density", 63, 1e-6)
    assert Refine().successor(start, shown).rtol == pytest.approx(1e-9)
    assert Refine().successor(build(law(8.0), "density", 63, FINEST), shown) is None
    assert Filter().successor(start, shown) is None
    tighter = fp.Density(moved.coefficients, rtol=1e-9, d=2, coarsest=1e-6)
    assert attention_floor(tighter, MODEL) == pytest.approx(attention_floor(moved, MODEL))
    assert attention_floor(fp.Density(moved.coefficients, rtol=1e-9, d=2), MODEL) < attention_floor(moved, MODEL) / 100


@pytest.mark.parametrize("measure", ["density", "half_density"])
def test_a_run_that_is_taken_up_again_knows_its_floor(measure, tmp_path):
    whole = solved(8.0, on_underresolved="refine", measure=measure)
    solved(8.0, on_underresolved="refine", measure=measure, t_end=0.04, checkpoint=tmp_path / "run.ckpt")
    assert solved(8.0, on_underresolved="refine", measure=measure, checkpoint=tmp_path / "run.ckpt").identical(whole)


def test_members_count_until_then():
    """Also under a filter, which takes care of a tail and not of this."""
    for policy in ("warn", "filter"):
        ds = fp.ensemble(MODEL, law(16.0), members=2, **{**RUN, "t_end": 0.04, "on_underresolved": policy})
        assert (ds.status == 3).all() and np.allclose(ds.attention_unresolved_from, 0.02)
        assert np.isnan(ds.unresolved_from).all() and "under-resolved from t = 0.02" in str(ds.cause.values[0])
        assert statistics(ds)["count"].values.tolist() == [2, 0, 0]
    ds = fp.ensemble(MODEL, law(2.0), members=2, **{**RUN, "t_end": 0.04})
    assert (ds.status == 1).all() and np.isnan(ds.attention_unresolved_from).all()


def test_pictures_and_summaries_say_so(tmp_path):
    ds = solved()
    figure = fp.plot.observables(ds)
    told = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "attention under-resolved" in told
    assert any(axes.get_title(loc="left").startswith("floor of far attention") for axes in figure.axes)
    assert "far attention under-resolved from t = 0.02 on" in summary(ds, tmp_path / "run.nc")


def test_a_warning_names_the_remedies_in_order():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        solved()
        model = fp.models.Homogenized(beta=8.0, key_query="gaussian", noise_lmax=16)
        solved(12.0, model, lmax=31, rtol=1e-9, t_end=0.02)
    texts = [str(one.message) for one in told if "far attention" in str(one.message)]
    assert len(texts) == 2
    assert "take a tighter rtol, 1e-09, or measure='log_density' or measure='cloud'" in texts[0]
    assert "raise lmax, or use measure='log_density'" in texts[1]


def test_a_floor_that_is_no_number_is_a_defect():
    """NaN coefficients are not resolved, whatever is asked of them."""
    start = build(law(8.0), "density", 31, 1e-6)
    broken = start.at(np.where(np.arange(len(start.coefficients)) == 3, np.nan, start.coefficients))
    with np.errstate(all="ignore"):
        assert {one.name for one in defects(broken, MODEL)} == {"tail", "attention_floor"}
