"""Bad input is refused before any computing, with the argument, its value and the remedy."""

import numpy as np
import pytest

import fpsolve as fp

GOOD = {"t_end": 0.1, "dt": 0.01, "lmax": 15}
FLOW = fp.models.IsotropicFlow([0.0, 1.0])
LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: fp.models.Homogenized(beta=-1.0), "beta"),
        (lambda: fp.models.Homogenized(beta=float("nan")), "beta"),
        (lambda: fp.models.Homogenized(beta=1.0, key_query="gausian"), "key_query"),
        (lambda: fp.models.Homogenized(beta=1.0, noise_lmax=-1), "noise_lmax"),
        (lambda: fp.models.Homogenized(beta=1.0, value_std=-0.1), "value_std"),
        (lambda: fp.models.Homogenized(beta=1.0, drift=[[1.0, 2.0]]), "drift"),
        (lambda: fp.models.Homogenized(beta=1.0, key_query="product", drift=1.0), "drift"),
        (lambda: fp.models.SelfAttention(beta=1.0, value="x"), "value"),
        (lambda: fp.models.IsotropicFlow([-1.0]), "spectrum"),
        (lambda: fp.initial.uniform(d=1), "d"),
        (lambda: fp.initial.von_mises_fisher([0, 0, 0], 1.0), "mean"),
        (lambda: fp.initial.von_mises_fisher([0, 0, 1], -1.0), "kappa"),
        (lambda: fp.initial.band([0, 0, 1], height=2.0), "height"),
        (lambda: fp.initial.mixture([LAW, LAW], [0.5, 0.6]), "weights"),
        (lambda: fp.initial.mixture([LAW, fp.initial.uniform(4)]), "components"),
        (lambda: fp.initial.points([[1.0, 0.0, 0.1]]), "x"),
        (lambda: fp.initial.points([[1.0, 0.0, np.nan]]), "x"),
        (lambda: fp.initial.simplex(4, -0.9, 4), "overlap"),
        (lambda: fp.initial.simplex(4, 0.5, 3), "d"),
        (lambda: fp.initial.samples(LAW, 0, 1), "n"),
        (lambda: fp.BrownianPath(-1), "seed"),
        (lambda: fp.Cloud(np.eye(3), np.array([0.5, 0.5, 0.5])), "weights"),
        (lambda: fp.Cloud(2 * np.eye(3), np.full(3, 1 / 3)), "x"),
        (lambda: fp.Density(np.ones(10, complex)), "coefficients"),
    ],
)
def test_constructors_name_the_argument(make, argument):
    with pytest.raises(fp.errors.InputError) as caught:
        make()
    assert caught.value.argument == argument
    assert str(caught.value).startswith(f"{argument} = ")


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"dt": 0.2}, "dt"),
        ({"dt": -0.01}, "dt"),
        ({"dt": 0.03}, "dt"),
        ({"t_end": 0.015}, "t_end"),
        ({"dt": 0.0125}, "dt"),
        ({"t_end": float("inf")}, "t_end"),
        ({"scheme": "lie_eular"}, "scheme"),
        ({"measure": "densty"}, "measure"),
        ({"measure": "density", "scheme": "euler_maruyama"}, "scheme"),
        ({"scheme": "rk4"}, "scheme"),
        ({"lmax": 2}, "lmax"),
        ({"lmax": 15.5}, "lmax"),
        ({"rtol": 0.0}, "rtol"),
        ({"filter": -1.0}, "filter"),
        ({"save_every": 0.015}, "save_every"),
        ({"save_every": 0.03}, "save_every"),
        ({"seed": -3}, "seed"),
        ({"path_cell": 0.0}, "path_cell"),
        ({"measure": "cloud", "filter": 0.15}, "filter"),
    ],
)
def test_solve_names_the_argument(change, argument):
    with pytest.raises(fp.errors.InputError) as caught:
        fp.solve(FLOW, LAW, **{**GOOD, **change})
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (fp.initial.function(lambda x: np.full(x.shape[:-1], 1.0)), "mass"),
        (fp.initial.function(lambda x: (1 + 3 * x[..., 2]) / (4 * np.pi)), "negative"),
        (fp.initial.function(lambda x: np.full(x.shape[:-1], np.nan)), "not finite"),
        (fp.initial.samples(LAW, 10, 1), "tokens have no density"),
        (fp.initial.uniform(4), "d = 3"),
        (fp.initial.von_mises_fisher([0, 0, 1], 1e5), "lmax"),
        ("uniform", "should be of the kind Law"),
    ],
)
def test_initial_laws_that_no_density_can_represent(law, words):
    with pytest.raises(fp.errors.InputError, match=words):
        fp.solve(FLOW, law, **GOOD, measure="density")


def test_ito_models_refuse_stratonovich_schemes():
    model = fp.models.Homogenized(beta=1.0)
    for scheme in ("heun", "ninomiya"):
        with pytest.raises(fp.errors.CalculusError, match="lie_euler"):
            fp.solve(model, LAW, **GOOD, scheme=scheme)
    quiet = fp.models.Homogenized(beta=1.0, noise=0.0, drift=1.0)
    assert fp.solve(quiet, LAW, **GOOD, scheme="heun").sizes["time"] == 11


def test_own_noise_is_refused_where_it_cannot_be_carried():
    model = fp.models.SelfAttention(beta=1.0, diffusion=0.1)
    for measure in ("cloud", "half_density"):
        with pytest.raises(fp.errors.InputError, match="diffusion"):
            fp.solve(model, LAW, **GOOD, measure=measure)


def test_unresolved_runs_stop_with_time_tail_and_remedy():
    """A flow that concentrates fast at a low degree, without a filter, blows up: no NaN comes back."""
    with pytest.raises(fp.errors.UnresolvedError, match=r"stopped at t = .*tail = .*raise lmax") as caught:
        flow = fp.models.IsotropicFlow.from_kernel(lambda t: 4 * t**4, 8)
        fp.solve(flow, LAW, t_end=20.0, dt=0.01, lmax=15, seed=1, measure="density")
    assert 0 < caught.value.time < 20


@pytest.mark.parametrize(
    "make",
    [
        lambda: fp.models.Homogenized(beta="4"),
        lambda: fp.models.Homogenized(beta=True),
        lambda: fp.models.IsotropicFlow("abc"),
        lambda: fp.initial.von_mises_fisher([0, 0, 1], "2"),
        lambda: fp.initial.von_mises_fisher("abc", 2.0),
        lambda: fp.initial.points([[1.0, 0.0], [1.0]]),
        lambda: fp.initial.mixture(LAW),
        lambda: fp.initial.band([0, 0, 1], "a", 0.1),
        lambda: fp.initial.simplex("3", 0.0, 3),
        lambda: fp.initial.simplex(1, 0.0, 3),
        lambda: fp.solve(None, LAW, **GOOD),
        lambda: fp.solve(LAW, FLOW, **GOOD),
        lambda: fp.solve(FLOW, LAW, t_end="1", dt=0.01),
        lambda: fp.solve(FLOW, LAW, **{**GOOD, "dt": None}),
        lambda: fp.solve(FLOW, LAW, **GOOD, rtol="a"),
        lambda: fp.solve(FLOW, LAW, **GOOD, save_every="a"),
        lambda: fp.solve(FLOW, LAW, **{**GOOD, "lmax": 100_000}),
        lambda: fp.solve(FLOW, LAW, **GOOD, save_points=True, measure="density"),
        lambda: fp.run(FLOW, LAW, fp.BrownianPath(1), t_end=0.1, dt=0.01),
    ],
)
def test_wrong_types_are_input_errors(make):
    with pytest.raises(fp.errors.InputError):
        make()


def test_a_refusal_of_own_noise_names_the_value_passed():
    with pytest.raises(fp.errors.InputError, match=r"diffusion = 0.1"):
        fp.solve(fp.models.SelfAttention(beta=1.0, diffusion=0.1), LAW, **GOOD, measure="cloud")


def test_an_under_resolved_density_is_said_to_be_so():
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
    with pytest.warns(fp.errors.UnderResolvedWarning, match="from t = .*raise lmax"):
        ds = fp.solve(flow, LAW, t_end=2.0, dt=0.02, path_cell=0.02, lmax=15, seed=2, filter=0.15)
    first = ds.unresolved_from
    assert (ds.tail.sel(time=ds.time < first) <= 1e-3).all() and ds.tail.sel(time=first) > 1e-3


def test_an_energy_beyond_double_precision_is_absent():
    ds = fp.solve(fp.models.Homogenized(beta=1000.0), LAW, t_end=0.01, dt=0.01, lmax=15)
    assert "energy" not in ds and 900 < ds.log_energy[0] < 1000


def test_the_configuration_records_what_ran():
    import json

    state = fp.Density(_vmf_coefficients(), rtol=1e-3)
    ds = fp.solve(FLOW, state, t_end=0.01, dt=0.01)
    solve = json.loads(ds.fpsolve_config)["solve"]
    assert solve["lmax"] == 31 and solve["rtol"] == 1e-3


def _vmf_coefficients():
    from fpsolve.measures.build import build

    return build(LAW, "density", 31, 1e-6).coefficients


def test_a_quadrature_cloud_keeps_its_density_at_its_points():
    ds = fp.solve(FLOW, LAW, t_end=0.05, dt=0.01, lmax=15, measure="cloud", save_density=True, save_points=True)
    assert ds.density.dims == ("time", "point")
    assert np.abs(-(ds.weights * np.log(ds.density)).sum("point") - ds.entropy).max() < 1e-12
