"""Observables of users: their numbers, what is refused by name, restarts, files, ensembles and the command line."""

import json
import sys
from functools import partial

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import fpsolve as fp
from fpsolve.cli.app import app
from fpsolve.cli.running import summary
from fpsolve.config import parse_config
from fpsolve.errors import InputError, Interrupted
from fpsolve.observe import OBSERVABLES
from fpsolve.observe.clustering import MOST_POINTS
from fpsolve.observe.own import TAKEN, identities, imported, own_observables
from fpsolve.solving import prepare

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
STILL = fp.models.SelfAttention(2.0)
RUN = {"t_end": 0.04, "dt": 0.01, "lmax": 15}

pytestmark = pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")


def height(measure):
    """the third component of the mean."""
    return measure.mean[2]


def outer(measure):
    return np.outer(measure.mean, measure.mean)


def only_of_clouds(measure):
    return len(measure.x) if isinstance(measure, fp.Cloud) else None


def squared(factor):
    return lambda measure: factor * float((measure.mean**2).sum())


def text_of(name, body):
    return f"def {name}(measure):\n    return {body}\n"


def test_numbers_arrays_and_what_is_absent():
    own = {"height": height, "outer": outer, "twice": squared(2.0), "never": only_of_clouds, "whole": lambda m: 1}
    ds = fp.solve(STILL, LAW, **RUN, observe=own)
    assert np.array_equal(ds.height, ds.mean_vector[:, 2]) and ds.height.long_name == "the third component of the mean"
    assert ds.outer.dims == ("time", "outer_0", "outer_1")
    assert np.array_equal(np.trace(ds.outer.values, axis1=1, axis2=2), ds.overlap.values)
    assert np.array_equal(ds.twice, 2 * ds.overlap) and "never" not in ds and (ds.whole == 1.0).all()
    plain = fp.solve(STILL, LAW, **RUN)
    assert ds.drop_vars(["height", "outer", "twice", "whole"]).drop_attrs().identical(plain.drop_attrs())


def test_an_observable_with_all_that_is_said_of_it():
    """β∫x_3 dμ of a von Mises-Fisher law is β(coth κ - 1/κ) at the start."""
    own = {
        "pull": fp.Observable(
            "pull", lambda state, context: context.model.beta * state.mean[2], "a pull", units="m", panel="of the mean"
        ),
        "spin": fp.Observable("spin", lambda state, _: np.cross(state.mean, [1, 0, 0]), dims=("component",)),
        "count": fp.Observable("count", lambda state, _: len(state.x), measures=("cloud",)),
        "powers": fp.Observable("powers", lambda state, _: state.mean[2] ** np.arange(4), dims=("exponent",)),
        "logs": fp.Observable("logs", lambda state, _: np.arange(4.0), dims=("exponent",)),
    }
    ds = fp.solve(STILL, fp.initial.von_mises_fisher([0, 0, 1.0], 2.0), **RUN, observe=own)
    assert float(ds.pull[0]) == pytest.approx(2 * (1 / np.tanh(2) - 1 / 2), rel=1e-12)
    assert ds.spin.dims == ("time", "component") and list(ds.spin.component.values) == ["x", "y", "z"]
    assert ds.pull.attrs == {"long_name": "a pull", "units": "m", "panel": "of the mean", "panel_kind": "line"}
    assert ds.powers.dims == ds.logs.dims == ("time", "exponent") and "count" not in ds
    assert "of the mean" in [axes.get_title(loc="left") for axes in fp.plot.observables(ds).axes]


def test_names_shapes_and_values_are_refused_by_name():
    def grows(measure, seen=[]):  # noqa: B006
        seen.append(0)
        return np.zeros(len(seen))

    cases = [
        ({"overlap": height}, r"^observe = 'overlap': results have this name already"),
        ({"time": height}, r"results have this name"),
        ({"filter": height}, r"results have this name"),
        ({"a b": height}, r"^observe = 'a b': not a name of a variable"),
        ({"one": 3.0}, r"^observe\[one\] = 3\.0: neither a function nor"),
        ([height], r"^observe = .*should be a mapping"),
        ({"one": grows}, r"^observe\[one\] = .*its shape was \(1,\) before"),
        ({"one": lambda m: "text"}, r"^observe\[one\] = 'text': returned str"),
        ({"one": lambda m: 1j}, r"^observe\[one\] = .*no real numbers"),
        ({"one": len}, r"^observe\[one\] = .*its source cannot be read"),
        ({"one": eval("lambda m: 0.0")}, r"^observe\[one\] = .*its source cannot be read.*define it with def"),
        ({"one": fp.Observable("two", lambda s, _: 0.0)}, r"^observe\[one\] = 'two': has another name"),
        ({"one": fp.Observable("one", lambda s, _: s.mean, dims=("overlap",))}, r"'overlap' is a name"),
        ({"one": fp.Observable("one", lambda s, _: s.mean, dims=("a", "b"))}, r"^observe.*its dimensions are"),
        ({"one": fp.Observable("one", lambda s, _: [1, 2], dims=("component",))}, r"component has 3 entries"),
        ({"one": fp.Observable("one", lambda s, _: 0, measures=("clouds",))}, r"^observe\[one\]\.measures = 'clouds'"),
    ]
    for observe, words in cases:
        with pytest.raises(InputError, match=words):
            fp.solve(STILL, LAW, **RUN, observe=observe)


def test_an_error_in_a_function_says_whose_it_is():
    with pytest.raises(ZeroDivisionError) as raised:
        fp.solve(STILL, LAW, **RUN, observe={"bad": lambda measure: 1 / 0})
    assert raised.value.__notes__ == ["in the observable 'bad' of a log_density"]


def test_no_result_has_a_name_that_is_free_to_users():
    found = set()
    for run in ({"measure": "cloud", "save_points": True, "save_flow": True}, {"save_density": True}):
        ds = fp.solve(STILL, LAW, **RUN, **run)
        found |= {*map(str, ds.variables), *map(str, ds.sizes)}
    circle = fp.initial.von_mises_fisher([0.3, 1.0], 1.0)
    for law, model, kept in ((circle, STILL, True), (LAW, fp.models.MultiHead(1.0, (1.0, 0.5), (1.0, 1.0)), False)):
        ds = fp.solve(model, law, **RUN, save_density=kept, on_underresolved="refine")
        found |= {*map(str, ds.variables), *map(str, ds.sizes)}
    members = fp.ensemble(FLOW, LAW, members=2, **RUN, on_underresolved="refine")
    found |= {*map(str, members.variables), *map(str, members.sizes)}
    assert found <= {*TAKEN}, found - {*TAKEN}


@pytest.mark.parametrize("other", [squared(3.0), outer, partial(squared, 2.0)(), "helper", "spacing"], ids=range(5))
def test_a_checkpoint_of_another_function_is_refused(other, tmp_path, monkeypatch):
    """Of another body, closure or helper; the same function goes on, in the bits of a run that was never stopped."""
    run = {**RUN, "save_every": 0.02}
    if isinstance(other, str):
        monkeypatch.syspath_prepend(tmp_path)
        helper = "def twice(x):\n    return {} * x\n\n\ndef own(measure):\n    return twice(measure.mean[0])\n"
        (tmp_path / f"module_{other}.py").write_text(helper.format(2))
        first = imported([f"module_{other}:own"])["own"]
        (tmp_path / f"again_{other}.py").write_text(helper.format(3 if other == "helper" else 2))
        second = imported([f"again_{other}:own"])["own"]
    else:
        first, second = squared(2.0), other
    same = other == "spacing" or (not isinstance(other, str) and first.__code__ is getattr(second, "__code__", 0)
                                  and second.__closure__[0].cell_contents == 2.0)  # fmt: skip
    whole = fp.solve(FLOW, LAW, **run, observe={"own": first})
    asked = iter([False, True])
    with pytest.raises(Interrupted):
        prepare(FLOW, LAW, **run, observe={"own": first}).run(checkpoint=tmp_path / "run", stop=lambda: next(asked))
    if not same:
        with pytest.raises(InputError, match=r"another run \(solve.observe.own: "):
            fp.solve(FLOW, LAW, **run, observe={"own": second}, checkpoint=tmp_path / "run")
        with pytest.raises(InputError, match=r"another run \(solve.observe"):
            fp.solve(FLOW, LAW, **run, checkpoint=tmp_path / "run")
        second = first
    assert fp.solve(FLOW, LAW, **run, observe={"own": second}, checkpoint=tmp_path / "run").identical(whole)


def test_two_lambdas_of_one_line_are_told_apart():
    one, two = (lambda m: m.mean[0]), (lambda m: m.mean[1])
    marks = [identities(own_observables({"own": function}))["own"] for function in (one, two, one)]
    assert marks[0] == marks[2] != marks[1]


def test_what_appears_later_is_nan_before():
    run = {"t_end": 0.3, "dt": 0.02, "path_cell": 0.02, "seed": 2, "lmax": 15, "on_underresolved": "cloud"}
    ds = fp.solve(FLOW, LAW, **run, observe={"count": only_of_clouds})
    cloud = ds.method.values == "cloud"
    assert cloud.any() and not cloud.all()
    assert np.isnan(ds["count"].values[~cloud]).all() and (ds["count"].values[cloud] > 100).all()


def test_members_of_an_ensemble_have_the_bits_of_their_runs(tmp_path):
    observe = {"height": height, "outer": outer}
    run = {**RUN, "seed": 3}
    ds = fp.ensemble(FLOW, LAW, members=3, **run, observe=observe, output=tmp_path / "a.zarr")
    alone = fp.solve(FLOW, LAW, **run, member=2, observe=observe)
    for name in observe:
        assert ds[name].sel(member=2).values.tobytes() == alone[name].values.tobytes()
    assert np.allclose(xr.open_zarr(tmp_path / "a.zarr", group="statistics")["height_mean"], ds.height.mean("member"))
    with pytest.raises(InputError, match="another configuration"):
        fp.ensemble(FLOW, LAW, members=3, **run, observe={"height": height}, output=tmp_path / "a.zarr")
    with pytest.raises(InputError, match=r"^observe\[count\] = None: absent at t = 0"):
        fp.ensemble(FLOW, LAW, members=3, **run, measure="density", observe={"count": only_of_clouds})
    grown = []
    with pytest.raises(InputError, match=r"^observe\[grown\] = .*its shape was"):
        fp.ensemble(STILL, LAW, members=2, **run, observe={"grown": lambda m: grown.append(0) or np.zeros(len(grown))})


CONFIG = {
    "model": {"name": "SelfAttention", "beta": 2.0},
    "initial": {"name": "von_mises_fisher", "mean": [0.3, -0.5, 1.0], "kappa": 2.0},
    "solve": {**RUN, "measure": "cloud"},
}


def test_from_the_command_line_and_without_the_module_afterwards(tmp_path, monkeypatch):
    """The module is needed by the run alone: what it made is loaded, drawn, told and replayed without it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine_for_once.py").write_text(text_of("bottom", "float(measure.x[:, 2].min())"))
    tables = "".join(
        f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for table, keys in CONFIG.items()
    )
    (tmp_path / "run.toml").write_text(tables)
    done = CliRunner().invoke(app, ["run", "run.toml", "--observe", "mine_for_once:bottom"])
    assert done.exit_code == 0 and "  bottom  " in done.stdout, done.output
    members = ["ensemble", "run.toml", "--members", "2", "--observe", "mine_for_once:bottom"]
    done = CliRunner().invoke(app, members)
    assert done.exit_code == 0, done.output
    assert CliRunner().invoke(app, [*members, "--plan"]).exit_code == 0
    (tmp_path / "mine_for_once.py").write_text("raise SystemExit('imported again')")
    del sys.modules["mine_for_once"]
    ds = fp.load("run.nc")
    assert "bottom" in summary(ds, tmp_path / "run.nc")
    assert "bottom" in [axes.get_title(loc="left") for axes in fp.plot.observables(ds).axes]
    assert fp.zoom(ds, "mean", 0.3, n=8).mass > 0
    member = fp.load("run.zarr").isel(member=1)
    assert np.array_equal(member.bottom, ds.bottom) and fp.zoom(member, "mean", 0.3, n=8).mass > 0
    assert "mine_for_once" not in sys.modules


def test_never_a_key_of_a_configuration():
    wrong = {**CONFIG, "solve": {**RUN, "observe": {"bottom": "mine:bottom"}}}
    with pytest.raises(InputError, match=r"^solve\.observe = .*is no key of a configuration; pass --observe"):
        parse_config(wrong)
    assert "height" in parse_config(CONFIG).solve(observe={"height": height})


@pytest.mark.parametrize("text", ["os", "os:", "os:a b", "no_such_module:f", "os:no_such_name", ":f"])
def test_texts_that_name_no_function(text):
    with pytest.raises(InputError, match=r"^observe = '"):
        imported([text])
    with pytest.raises(InputError, match="second observable getcwd"):
        imported(["os:getcwd", "os:getcwd"])


def test_the_table_says_which_measures_have_what():
    """In short runs: present exactly where the table says so."""
    several = fp.models.MultiHead(1.0, (1.0, 0.5), (1.0, 1.0))
    noisy = fp.models.Homogenized(1.0, "gaussian")
    sampled = fp.models.Ballistic(1.0, 1.0, "gaussian", tolerance=1e-2)
    runs = {name: (STILL, LAW, name) for name in fp.MEASURES}
    runs |= {f"tokens {n}": (one, fp.initial.samples(LAW, 8, 1), "cloud") for n, one in enumerate((STILL, several))}
    runs |= {"heads": (several, LAW, "density"), "noise": (noisy, LAW, "density")}
    runs |= {"sampled": (sampled, fp.initial.points(np.eye(4)[:3]), "cloud")}
    outer = fp.models.PerceptronDrift(np.eye(3)) + STILL
    runs |= {"outer": (outer, LAW, "density")}
    words = {
        "models with a potential": lambda model, tokens: model is outer,
        "d = 2 or 3, or an axis": lambda model, tokens: model is not sampled,
        "several heads": lambda model, tokens: model is several,
        "not of tokens": lambda model, tokens: not tokens,
        "drifts of sampled weights": lambda model, tokens: model is sampled,
        "isotropic noise of attention or MLPs": lambda model, tokens: model is noisy,
        "noise of value matrices": lambda model, tokens: model is noisy,
        "models with attention": lambda model, tokens: True,
        "`save_density`": lambda model, tokens: not tokens,
        "`save_points`": lambda model, tokens: True,
        "up to 1,024 positions": lambda model, tokens: measure == "causal_density",
        f"up to {MOST_POINTS} points": lambda model, tokens: True,
        '`dt="auto"`': lambda model, tokens: False,
        "": lambda model, tokens: True,
    }
    for model, start, measure in runs.values():
        tokens = not isinstance(start, fp.initial.Law)
        keep = {"save_points": measure in ("cloud", "zonal_cloud"), "save_density": not tokens}
        degree = {"lmax": 15} if start is LAW else {}
        ds = fp.solve(model, start, measure=measure, t_end=0.1, dt=0.1, path_cell=0.1, **keep, **degree)
        for name, one in OBSERVABLES.items():
            expected = (one.measures is None or measure in one.measures) and words[one.where](model, tokens)
            assert (name in ds) == (expected and not one.coordinate), (name, model, measure)
