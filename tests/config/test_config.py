"""Configurations: built from signatures, every error named as table.key with its remedy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import ArrayLike

from fpsolve.config import Catalogue, ConfigError, load_config, parse_config
from fpsolve.errors import CalculusError, InputError


@dataclass(frozen=True)
class Attention:
    beta: float
    key_query: Literal["identity", "gaussian"] = "gaussian"
    value_std: float | None = None
    drift: float | ArrayLike = 0.0
    noise_lmax: int = 8

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise InputError("beta", self.beta, "must be a number >= 0", "choose beta >= 0")


@dataclass(frozen=True)
class Law:
    kind: str
    parts: tuple


def uniform(d: int = 3) -> Law:
    return Law("uniform", (d,))


def fisher(mean: ArrayLike, kappa: float) -> Law:
    if kappa < 0:
        raise InputError("kappa", kappa, "is negative", "turn the mean round instead")
    return Law("fisher", (tuple(np.asarray(mean, float)), kappa))


def mixture(components: Sequence[Law], weights: Sequence[float] | None = None) -> Law:
    return Law("mixture", (tuple(components), None if weights is None else tuple(weights)))


def samples(law: Law, n: int, seed: int = 0) -> Law:
    return Law("samples", (law, n, seed))


def solve(
    model: Attention,
    initial: Law,
    *,
    t_end: float,
    dt: float,
    scheme: str | None = None,
    measure: Literal["density", "cloud"] = "density",
    filter: float | None = None,
    copy: bool = False,
    seed: int = 0,
):
    if dt > t_end:
        raise InputError("dt", dt, f"is longer than t_end = {t_end}", "choose a smaller dt")
    if scheme == "heun":
        raise CalculusError("scheme", scheme, "reads the noise in Stratonovich's sense", "use lie_euler")
    return model, initial, dict(t_end=t_end, dt=dt, scheme=scheme, measure=measure, filter=filter, seed=seed)


CATALOGUE = Catalogue(
    {"Attention": Attention},
    {"uniform": uniform, "von_mises_fisher": fisher, "mixture": mixture, "samples": samples},
    solve,
)


def raw(**changes):
    tables = {
        "model": {"name": "Attention", "beta": 4.0},
        "initial": {"name": "von_mises_fisher", "mean": [0, 0, 1], "kappa": 2},
        "solve": {"t_end": 1, "dt": 0.01},
    }
    for table, keys in changes.items():
        tables[table] = {**tables.get(table, {}), **keys} if isinstance(keys, dict) else keys
    return tables


def refused(tables) -> InputError:
    with pytest.raises(InputError) as error:
        parse_config(tables, CATALOGUE)
    return error.value


def test_a_good_configuration_builds_everything():
    config = parse_config(raw(solve={"filter": 0.15, "copy": True}, output={"path": "a.nc"}), CATALOGUE)
    assert config.model == Attention(4.0)
    assert config.initial == Law("fisher", ((0.0, 0.0, 1.0), 2.0))
    assert config.arguments == {"t_end": 1.0, "dt": 0.01, "filter": 0.15, "copy": True}
    assert config.output == Path("a.nc")
    assert config.raw["model"] == {"name": "Attention", "beta": 4.0}
    model, initial, arguments = config.solve(seed=7)
    assert (model, initial) == (config.model, config.initial)
    assert arguments["seed"] == 7 and arguments["dt"] == 0.01


def test_an_integer_serves_as_a_float():
    beta = parse_config(raw(model={"beta": 4}), CATALOGUE).model.beta
    assert type(beta) is float


@pytest.mark.parametrize("drift", [1, 0.5, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]])
def test_a_number_or_a_matrix(drift):
    assert parse_config(raw(model={"drift": drift}), CATALOGUE).model.drift == drift


def test_laws_nest():
    part = {"name": "von_mises_fisher", "mean": [0, 0, 1], "kappa": 5}
    law = {"name": "mixture", "components": [part, {"name": "uniform"}], "weights": [0.3, 0.7]}
    tables = raw()
    tables["initial"] = {"name": "samples", "law": law, "n": 50}
    mixed = Law("mixture", ((Law("fisher", ((0.0, 0.0, 1.0), 5)), Law("uniform", (3,))), (0.3, 0.7)))
    assert parse_config(tables, CATALOGUE).initial == Law("samples", (mixed, 50, 0))


@pytest.mark.parametrize(
    ("changes", "argument", "message"),
    [
        ({"model": {"name": "Atention"}}, "model.name", "did you mean 'Attention'?"),
        ({"model": {"bta": 1.0}}, "model.bta", "did you mean 'beta'?"),
        ({"model": {"beta": "4"}}, "model.beta", "model.beta = '4': should be a valid number"),
        ({"model": {"beta": True}}, "model.beta", "should be a valid number"),
        ({"model": {"beta": -1.0}}, "model.beta", "model.beta = -1.0: must be a number >= 0"),
        ({"model": {"beta": math.nan}}, "model.beta", "model.beta = nan"),
        ({"model": {"noise_lmax": 8.5}}, "model.noise_lmax", "should be a valid integer"),
        ({"model": {"key_query": "gauss"}}, "model.key_query", "'identity' or 'gaussian'"),
        ({"model": {"drift": "none"}}, "model.drift", "a number or a list of numbers"),
        ({"model": 3}, "model", "is not a table"),
        ({"initial": {"name": "von_mises"}}, "initial.name", "did you mean 'von_mises_fisher'?"),
        ({"initial": {"kapa": 2}}, "initial.kapa", "did you mean 'kappa'?"),
        ({"initial": {"kappa": -2}}, "initial.kappa", "initial.kappa = -2.0: is negative"),
        ({"initial": {"mean": ["north"]}}, "initial.mean", "a number or a list of numbers"),
        ({"solve": {"t_ned": 1}}, "solve.t_ned", "did you mean 't_end'?"),
        ({"solve": {"model": 1}}, "solve.model", "unknown key"),
        ({"solve": {"scheme": 3}}, "solve.scheme", "should be a valid string; give str | None"),
        ({"output": {"file": "a.nc"}}, "output.file", "unknown key, [output] knows path"),
        ({"sovle": {}}, "sovle", "did you mean 'solve'?"),
    ],
)
def test_errors_name_the_key_the_value_and_the_remedy(changes, argument, message):
    error = refused(raw(**changes))
    assert error.argument == argument
    assert str(error).startswith(f"{argument} = ")
    assert message in str(error)


@pytest.mark.parametrize(
    "argument", ["model.name", "model.beta", "initial.name", "initial.kappa", "solve.dt"]
)
def test_what_is_missing_is_named(argument):
    table, key = argument.split(".")
    tables = raw()
    del tables[table][key]
    error = refused(tables)
    assert (error.argument, str(error).count("\n")) == (argument, 0)
    assert "(nothing)" in str(error)


def test_errors_inside_nested_laws_carry_their_place():
    bad = {"name": "von_mises_fisher", "mean": [0, 0, 1], "kappa": -5}
    tables = raw()
    tables["initial"] = {"name": "mixture", "components": [{"name": "unifrm"}, bad]}
    error = refused(tables)
    assert [one.argument for one in error.errors] == [
        "initial.components[0].name",
        "initial.components[1].kappa",
    ]
    assert "did you mean 'uniform'?" in str(error)


def test_all_errors_are_listed():
    error = refused(raw(model={"beta": -1.0}, initial={"kapa": 1}, solve={"dt": "fast"}, otput={}))
    assert isinstance(error, ConfigError)
    named = {one.argument for one in error.errors}
    assert named == {"otput", "model.beta", "initial.kapa", "solve.dt"}
    assert str(error).splitlines() == [str(one) for one in error.errors]


@pytest.mark.parametrize(("keys", "kind"), [({"dt": 2.0}, InputError), ({"scheme": "heun"}, CalculusError)])
def test_errors_of_the_solver_are_named_by_table(keys, kind):
    config = parse_config(raw(solve=keys), CATALOGUE)
    key, value = next(iter(keys.items()))
    with pytest.raises(kind) as error:
        config.solve()
    assert error.value.argument == f"solve.{key}"
    assert str(error.value).startswith(f"solve.{key} = {value!r}: ")


def test_file_and_overrides(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        '[model]\nname = "Attention"\nbeta = 4\n'
        '[initial]\nname = "uniform"\n[solve]\nt_end = 1.0\ndt = 0.1\n',
        encoding="utf-8",
    )
    assert load_config(path, catalogue=CATALOGUE).model.beta == 4
    changes = ["model.beta=2", "model.key_query=identity", "solve.seed = 5", "output.path=x.zarr"]
    changes += ["initial.name=von_mises_fisher", "initial.mean=[1,0,0]", "initial.kappa=3"]
    config = load_config(path, changes, CATALOGUE)
    assert config.model == Attention(2.0, "identity")
    assert config.initial == Law("fisher", ((1.0, 0.0, 0.0), 3.0))
    assert config.arguments["seed"] == 5
    assert config.output == Path("x.zarr")
    assert config.raw["solve"] == {"t_end": 1.0, "dt": 0.1, "seed": 5}


@pytest.mark.parametrize("change", ["model.beta", "=3", "model..beta=3", "model.be ta=1"])
def test_malformed_overrides(tmp_path, change):
    (tmp_path / "run.toml").write_text("")
    with pytest.raises(InputError, match=r"not of the form table\.key=value"):
        load_config(tmp_path / "run.toml", [change], CATALOGUE)


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"config = .*No such file"):
        load_config(tmp_path / "none.toml", catalogue=CATALOGUE)
    (tmp_path / "bad.toml").write_text("[model\n")
    with pytest.raises(InputError, match="is not TOML"):
        load_config(tmp_path / "bad.toml", catalogue=CATALOGUE)


def test_annotations_that_cannot_be_resolved_still_check_plain_types():
    def unresolved(*, rate: "float", law: "NotImportedHere", name: "str" = "a"):  # noqa: F821
        return rate

    catalogue = Catalogue({"M": unresolved}, {"uniform": uniform}, solve)
    good = {
        "model": {"name": "M", "rate": 1, "law": 3},
        "initial": {"name": "uniform"},
        "solve": raw()["solve"],
    }
    assert parse_config(good, catalogue).model == 1
    good["model"]["rate"] = "x"
    with pytest.raises(InputError, match=r"model\.rate = 'x'"):
        parse_config(good, catalogue)


def test_the_example_is_a_good_configuration():
    config = load_config(Path(__file__).parents[2] / "examples" / "demo.toml")
    assert type(config.model).__name__ == "Homogenized" and config.model.beta == 3.0
    assert config.arguments["t_end"] == 1.0 and config.arguments["save_density"] is True


@pytest.mark.parametrize(
    "initial",
    [
        {"name": "uniform", "d": 3},
        {"name": "band", "axis": [0, 0, 1], "height": 0.5},
        {"name": "simplex", "n": 4, "overlap": 0.2, "d": 5},
        {"name": "points", "x": [[1, 0, 0], [0, 1, 0]]},
        {"name": "samples", "n": 10, "seed": 1, "law": {"name": "uniform"}},
        {
            "name": "mixture",
            "weights": [0.5, 0.5],
            "components": [
                {"name": "von_mises_fisher", "mean": [0, 0, 1], "kappa": 20},
                {"name": "von_mises_fisher", "mean": [0, 1, 0], "kappa": 2.5},
            ],
        },
    ],
)
@pytest.mark.parametrize(
    "model",
    [
        {"name": "Homogenized", "beta": 1, "key_query": "gaussian", "value_std": 0.5},
        {"name": "Homogenized", "beta": 1, "drift": [[0, 1, 0], [-1, 0, 0], [0, 0, 0]]},
        {"name": "IsotropicFlow", "spectrum": [0, 4.0]},
        {"name": "SelfAttention", "beta": 2.0, "value": -1},
    ],
)
def test_models_and_laws_of_the_package_build(model, initial):
    solve_table = {"t_end": 1.0, "dt": 0.1, "measure": "cloud", "rtol": 1e-8}
    config = parse_config({"model": model, "initial": initial, "solve": solve_table})
    assert type(config.model).__name__ == model["name"]


SWEPT = """
model = {name = "SelfAttention", beta = 4}
initial = {name = "von_mises_fisher", mean = [0, 0, 1], kappa = 2}
solve = {t_end = 1.0, dt = 0.1}
"""


@pytest.mark.parametrize(
    ("sweep", "change", "key"),
    [
        ("beta = [1, 2]", "model.beta=3", "beta"),
        ("model.beta = [1, 2]", "model.beta=3", "model.beta"),
        ("kappa = [1, 2]", "initial.kappa=3", "kappa"),
        ("lmax = [15, 31]", "solve.lmax=8", "lmax"),
        ("initial = [{name = 'uniform'}, {name = 'uniform', d = 2}]", "initial.kappa=3", "initial"),
    ],
)
def test_a_key_that_is_swept_is_not_set_as_well(tmp_path, sweep, change, key):
    """It would have no effect: stores would be named by a value that no member has."""
    path = tmp_path / "c.toml"
    path.write_text(f"{SWEPT}\n[sweep]\n{sweep}\n")
    told = rf"set = .*{change}.*\[sweep\] gives values of {key}; set sweep\.{key}="
    with pytest.raises(InputError, match=told):
        load_config(path, [change])


def test_what_is_not_swept_is_set_and_a_sweep_is_replaced(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(f"{SWEPT}\n[sweep]\nbeta = [1, 2]\n")
    described = load_config(path, ["solve.lmax=15", "initial.kappa=3", "sweep.beta=[0.5]"])
    assert described.sweep == {"beta": [0.5]} and described.arguments["lmax"] == 15


def test_the_mark_with_which_windows_begins_a_file_is_passed_over(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SWEPT.encode())
    assert load_config(path).model.beta == 4
