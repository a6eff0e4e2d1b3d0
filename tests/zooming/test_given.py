"""Runs that began with a measure of the caller's own are zoomed through its density, or the law that it was made of."""

import sys
import warnings

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError, UnderResolvedWarning
from fpsolve.observe.flow import Flow
from fpsolve.zooming import zoom
from fpsolve.zooming.patch import patch
from fpsolve.zooming.start import law_of

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
RUN = {"t_end": 0.3, "dt": 0.02, "path_cell": 0.02, "seed": 2}
MEASURES = {name: cls.from_law(LAW, lmax=15, rtol=1e-6) for name, cls in fp.MEASURES.items()}


def solved(initial, model=FLOW, **changes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        return fp.solve(model, initial, **{**RUN, **changes})


def seen(ds, **given):
    return zoom(ds, [0.2, -0.4, 1.0], 0.3, n=8, **given)


@pytest.mark.parametrize(
    ("name", "model"),
    [(name, model) for name in ("density", "half_density") for model in (FLOW, fp.models.SelfAttention(beta=4.0))]
    + [("log_density", FLOW)],
)
def test_a_given_density_that_was_handed_over(name, model):
    """As the cloud of the law that it was made of, up to the density's degree."""
    lmax = 15 if model is FLOW else 7
    given = type(MEASURES[name]).from_law(LAW, lmax=lmax, rtol=1e-8)
    run = {"t_end": 0.4, "dt": 0.02} if model is FLOW else {"t_end": 2.4, "dt": 0.1}
    ds = solved(given, model, **run, measure=name, on_underresolved="cloud")
    assert 0 < ds.handed_over_at < run["t_end"]
    alone = solved(LAW, model, **run, measure="cloud", lmax=15, rtol=1e-8)
    here, exact = seen(ds, initial=given), seen(alone)
    assert np.abs(here.density / exact.density - 1).max() < 1e-3
    again = type(given)(given.coefficients.copy(), given.rtol)
    kept = solved(given, model, **run, measure=name, on_underresolved="cloud", save_flow=True)
    assert "flow" in kept and np.array_equal(seen(kept, initial=again).density, here.density)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("name", ["density", "half_density", "log_density"])
def test_a_given_density_anywhere(name, d):
    law = LAW if d == 3 else fp.initial.von_mises_fisher([0.3, -0.5], 2.0)
    made = law_of(type(MEASURES[name]).from_law(law, lmax=31, rtol=1e-6))
    x = patch(np.array([0.6, 0.0, 0.8]) if d == 3 else np.array([0.6, 0.8]), 2.0, 8).x
    assert made.dimension == d and np.abs(made.density(x) - law.density(x)).max() < 1e-12


def test_negative_lobes_hold_nothing():
    tilted = fp.Density.from_law(LAW, lmax=15, rtol=1e-6)
    lobed = fp.Density(tilted.coefficients * np.where(tilted.geometry.degrees(15) == 1, 3.0, 1.0))
    x = patch(np.array([0.0, 0.0, 1.0]), np.pi, 16).x
    values = law_of(lobed).density(x)
    assert lobed.min_density < -0.01 and values.min() == 0.0 and values.max() > 0.1


def test_a_given_density_must_be_given_again():
    density, half = MEASURES["density"], MEASURES["half_density"]
    ds = solved(density, measure="density", on_underresolved="cloud")
    turned = density.coefficients * np.where(density.geometry.degrees(15) == 2, -1.0, 1.0)  # of the same mean
    for given, why in [
        (None, "began with a density that it was given"),
        (LAW, "began with a density that it was given"),
        (half, "began with a density that it was given"),
        (fp.Density.from_law(fp.initial.uniform(), lmax=15, rtol=1e-6), "not the law of this run"),
        (fp.Density(turned), "not those of the same run"),
    ]:
        with pytest.raises(InputError, match=why) as caught:
            seen(ds, initial=given)
        assert caught.value.argument == "initial"


@pytest.mark.parametrize("suffix", [None, "nc", "zarr"])
def test_a_given_cloud_is_zoomed_through_its_law(suffix, tmp_path):
    cloud = MEASURES["cloud"]
    ds = solved(cloud, measure="cloud", save_flow=True)
    alone = solved(LAW, measure="cloud", lmax=15, save_flow=True)
    assert "flow_start" not in alone
    if suffix:
        fp.save(ds, tmp_path / f"run.{suffix}")
        ds = fp.load(tmp_path / f"run.{suffix}")
    assert np.array_equal(ds.flow_start, np.column_stack([cloud.x, cloud.weights, cloud.log_density]))
    assert np.array_equal(seen(ds, initial=LAW).density, seen(alone).density)
    for other in (MEASURES["density"], MEASURES["half_density"]):
        assert np.abs(seen(ds, initial=other).density / seen(alone).density - 1).max() < 1e-6


def test_the_points_of_a_given_cloud_are_those_of_its_replay():
    """Weights that no quadrature has, in long steps whose interpolation asks for the run to be done again."""
    made = fp.Cloud.from_law(LAW, lmax=15, rtol=1e-8)
    weights = made.weights * (1 + 0.3 * made.x[:, 0])
    given = fp.Cloud(made.x, weights / weights.sum(), made.log_density, 1e-8)
    model = fp.models.SelfAttention(beta=4.0)
    ds = solved(given, model, t_end=0.8, dt=0.2, measure="cloud", save_flow=True, save_points=True)
    assert Flow.of_dataset(ds).interpolation_error > 1e-5
    here, law = zoom(ds, "mean", 0.5, n=8, initial=LAW), solved(LAW, model, t_end=0.8, dt=0.2, measure="cloud", lmax=15)
    assert here.interpolation_error < 1e-5
    assert 1e-3 < np.abs(here.density - zoom(law, here.centre, 0.5, n=8).density).max()
    short = solved(given, model, t_end=0.8, dt=0.025, measure="cloud", save_flow=True)
    assert np.abs(here.density - zoom(short, here.centre, 0.5, n=8, initial=LAW).density).max() < 1e-5


def test_a_given_cloud_needs_the_law_it_was_made_of():
    ds = solved(MEASURES["cloud"], measure="cloud", save_flow=True, t_end=0.02)
    circle = fp.initial.von_mises_fisher([0.3, -0.5], 2.0)
    near = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0001)
    for given, why in [
        (None, "at its points alone"),
        (MEASURES["cloud"], "at its points alone"),
        (fp.initial.samples(LAW, 9, 1), "at its points alone"),
        (circle, "at its points alone"),
        (near, "not the density that the points of this run carry"),
    ]:
        with pytest.raises(InputError, match=why) as caught:
            seen(ds, initial=given)
        assert caught.value.argument == "initial"
    bare = solved(MEASURES["cloud"], measure="cloud", t_end=0.02)
    with pytest.raises(InputError, match=r"is not in the result; solve with save_flow=True"):
        seen(bare, initial=LAW)
    tokens = fp.Cloud(MEASURES["cloud"].x, MEASURES["cloud"].weights)
    with pytest.raises(InputError, match="carry no density"):
        solved(tokens, measure="cloud", save_flow=True)


def test_a_model_and_a_law_whose_parameters_are_tuples_are_told_again():
    model = fp.models.Homogenized(beta=2.0, drift=[[1, 0.3, 0], [0, 0.5, 0], [0.1, 0, 1]], noise_lmax=4)
    law = fp.initial.von_mises_fisher((0.3, -0.5, 1.0), 2.0)
    ds = solved(law, model, t_end=0.04, measure="cloud", lmax=9)
    assert np.array_equal(seen(ds, model=model, initial=law).density, seen(ds).density)


@pytest.mark.parametrize("model", [fp.models.Homogenized(4.0, drift=3.0, noise=0.3), fp.models.SelfAttention(4.0)])
def test_from_the_uniform_law_there_is_a_flow(model):
    """F of the uniform law vanishes: what is left of it is round-off, which has no harmonics and need not have."""
    run = {"t_end": 0.12, "dt": 0.04, "path_cell": 0.04, "lmax": 15, "measure": "cloud", "seed": 2}
    kept = fp.solve(model, fp.initial.uniform(3), save_flow=True, **run)
    again = fp.solve(model, fp.initial.uniform(3), **run)
    assert "flow" in kept and "flow_left_out" not in kept.attrs
    assert fp.zoom(kept, [0, 0, 1], 0.3, n=8).mass == fp.zoom(again, [0, 0, 1], 0.3, n=8).mass


def test_a_field_that_cannot_be_kept_does_not_end_the_run(monkeypatch):
    """The run goes on without its flow and says so; its zoom says why there is none."""
    run = {"t_end": 0.12, "dt": 0.04, "path_cell": 0.04, "lmax": 15, "measure": "cloud", "seed": 2}
    model, law = fp.models.Homogenized(2.0), fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    plain = fp.solve(model, law, **run)

    def refuse(*arguments):
        raise fp.errors.UnresolvedError(0.0, "no harmonics", "none")

    monkeypatch.setattr(sys.modules["fpsolve.observe.flow_recorder"], "potentials", refuse)  # fp.zoom is the function
    ds = fp.solve(model, law, save_flow=True, **run)
    assert "flow" not in ds and "no harmonics" in ds.attrs["flow_left_out"]
    assert np.array_equal(ds.moments, plain.moments)
    with pytest.raises(fp.errors.InputError, match="no harmonics"):
        fp.zoom(ds, "mean", 0.3, n=8)


@pytest.mark.parametrize("save_flow", [True, False])
def test_another_law_of_the_same_name_is_refused(save_flow):
    """Functions are told by their names: the saved moments of the start tell them apart, flow or no flow."""

    def law(kappa):
        mass = 2 * np.pi * -np.expm1(-2 * kappa) / kappa
        return fp.initial.function(lambda x: np.exp(kappa * (x[..., 2] - 1)) / mass)

    run = {"t_end": 0.08, "dt": 0.04, "path_cell": 0.04, "lmax": 15, "measure": "cloud"}
    ds = fp.solve(fp.models.Homogenized(2.0), law(2.0), save_flow=save_flow, **run)
    fp.zoom(ds, "mean", 0.3, n=8, initial=law(2.0))
    with pytest.raises(fp.errors.InputError, match="moments are not those"):
        fp.zoom(ds, "mean", 0.3, n=8, initial=law(6.0))
