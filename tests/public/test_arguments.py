"""Every public function refuses by name: by a value of a wrong kind for each argument, and by random values."""

from __future__ import annotations

import datetime
import inspect
import time
import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fpsolve as fp
from fpsolve.errors import FPSolveError, InputError
from tests.public.calls import calls


class Odd:
    """An object whose repr, and whose array, raise."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __array__(self, *args, **kwargs):
        raise RuntimeError("no array")


NEVER = (object(), Odd(), b"2.5", {1}, 1j, datetime.date(2020, 1, 1), Decimal(1), [1, [2, [3]]], np.array(["a"]))
"""No argument takes any of them."""

ANYTHING = {
    ("scaling", "data"), ("predict", "tokens"), ("phase_map", "tokens"), ("what_if", "tokens"),
}  # fmt: skip
"""Arguments whose annotation is Any: ids, vectors, Gram matrices, laws."""

SLOW = ("ensemble", "compare", "zoom", "stationary.", "plot.", "transformer.", "theory.equiangular_time")
"""Not called with values that may be right."""

SHOWN = {
    "errors", "models", "plot", "policies", "theory", "transformer", "initial", "stationary", "MEASURES", "MODELS",
    "SCHEMES", "LAWS", "POLICIES", "FAMILIES", "PRESETS",
}  # fmt: skip
BASES = {"Measure", "Model", "Velocity", "Policy", "Warn", "Stop", "MatrixLaw", "Block"}
"""Classes to be derived from, or without arguments."""
MADE = {
    "Stability", "StationaryState", "End", "Collapse", "NetworkScaling", "Plan", "Scaling", "WeightStatistics",
    "Defect", "Note",
}  # fmt: skip
"""What functions return, not what users make."""
PARTS = {"Embedding", "Positions", "Residual"}
"""Of an architecture, checked as the other parts are (tests/transformer)."""
NEEDED = {"measure_network", "weight_statistics", "verdict", "comparison", "layers", "phases", "zoomed", "branches"}
"""They take a network of torch, or a Dataset alone (below)."""
DIFFUSIONS = {"hitting_probability", "scale_function", "classify_ends"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    plt.switch_backend("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return calls(tmp_path_factory.mktemp("public"))


def test_everything_public_is_in_the_table(table):
    """What is added to the package is added to calls.py."""
    known = {name.rpartition(".")[2] for name in table} | SHOWN | BASES | MADE | PARTS | NEEDED | DIFFUSIONS
    modules = (fp, fp.initial, fp.models, fp.theory, fp.plot, fp.transformer, fp.stationary, fp.policies)
    public = {(module.__name__, name) for module in modules for name in module.__all__}
    assert {one for one in public if one[1] not in known} == set()


def test_the_table_names_arguments_that_there_are(table):
    for name, (call, arguments) in table.items():
        known = inspect.signature(call).parameters
        rest = any(one.kind is one.VAR_KEYWORD for one in known.values())
        assert rest or set(arguments) <= set(known), name


@pytest.mark.parametrize("bad", NEVER, ids=lambda value: type(value).__name__)
def test_a_value_of_a_wrong_kind_is_refused_by_the_name_of_its_argument(table, bad):
    wrong = []
    for name, (call, good) in table.items():
        for argument in good:
            if (name.rpartition(".")[2], argument) in ANYTHING:
                continue
            try:
                call(**{**good, argument: bad})
                wrong.append(f"{name}({argument}=…) took it")
            except InputError as error:
                if not error.argument.startswith(argument):
                    wrong.append(f"{name}({argument}=…): {error}")
            except Exception as error:
                wrong.append(f"{name}({argument}=…): {type(error).__name__}: {error}")
    assert wrong == []


def test_arguments_that_there_are_not_are_told_with_the_nearest_name(table):
    for name, (call, good) in table.items():
        if name in ("run", "HarmonicField", "AmbientField"):
            continue  # behind a function of the table's own; classes made in every step
        nearest = max(good, key=len)
        with pytest.raises(InputError, match=nearest):
            call(**good, **{nearest + "s": 1})


@pytest.mark.parametrize(("name", "argument", "value"), [
    ("save", "overwrite", "no"), ("plot.animation", "overwrite", "no"), ("solve", "save_density", "False"),
    ("ensemble", "fail_fast", "no"), ("solve", "checkpoint_every", "never"), ("models.SelfAttention", "value", "2.5"),
    ("models.SelfAttention", "value", 1 + 2j), ("initial.von_mises_fisher", "mean", np.array([1j, 0, 1])),
    ("theory.uniform_growth_rate", "beta", np.array([1 + 1j])), ("ensemble", "sweep", {"noise": [b"1"]}),
    ("ensemble", "sweep", {"noise": [1j]}), ("ensemble", "sweep", {b"noise": [1.0]}), ("ensemble", "sweep", "noise"),
    ("Cloud", "x", [["a", "b", "c"]]), ("Cloud", "x", np.zeros((0, 3))), ("Density", "coefficients", np.zeros(4)),
    ("Density", "coefficients", [1.0]), ("Density", "filter", -1.0),
    ("LogDensity", "coefficients", np.full(45, np.nan)),
    ("HalfDensity", "coefficients", np.array([1j])), ("HarmonicField", "toroidal", np.zeros(3)),
    ("stationary.stability", "count", -3), ("solve", "measure", "densitty"), ("solve", "measure", int),
    ("solve", "observe", {"a": 3}), ("solve", "checkpoint", 3), ("solve", "initial", [[1.0, 0.0, 0.0]]),
    ("Density.from_law", "lmax", 10**6), ("Density.from_law", "lmax", 0), ("initial.uniform", "d", 10**12),
    ("initial.simplex", "n", 10**9), ("run", "policy", "never"),
])  # fmt: skip
def test_values_that_were_once_taken_or_broke(table, name, argument, value):
    call, good = table[name]
    with pytest.raises(InputError) as refused:
        call(**{**good, argument: value})
    assert refused.value.argument.split(".")[0].split("[")[0] == argument


def test_arguments_that_change_nothing_are_refused(table):
    state = fp.stationary.solve(fp.models.NoisyTransformer(1.0, diffusion=0.4), fp.initial.uniform(), lmax=8)
    _, good = table["zoom"]
    other = fp.models.NoisyTransformer(2.0, diffusion=0.4)
    for call, argument in (
        (lambda: fp.stationary.stability(state, state.density), "density"),
        (lambda: fp.stationary.stability(state, "x"), "density"),
        (lambda: fp.stationary.continuation(other, state, to=0.39), "model"),
        (lambda: fp.stationary.continuation(state.model, state, to=0.39, lmax=31), "lmax"),
        (lambda: fp.stationary.continuation(state.model, state, to=0.39, measure="no"), "measure"),
        (lambda: fp.plot.branches(np.array([1.0])), "datasets"),
        (lambda: fp.plot.branches(one for one in [1]), "datasets"),
        (lambda: fp.zoom(**good, model=other), "model"),
        (lambda: fp.zoom(**good, initial=fp.initial.uniform()), "initial"),
    ):
        with pytest.raises(InputError) as refused:
            call()
        assert refused.value.argument == argument


VALUES = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.binary(max_size=2),
    st.integers(-3, 3), st.sampled_from([10**400, -(10**400), 1 << 64, 10**12]),
    st.floats(allow_nan=True, allow_infinity=True), st.floats(-2, 2), st.complex_numbers(max_magnitude=2),
    st.lists(st.floats(-2, 2), max_size=3), st.lists(st.lists(st.floats(-1, 1), max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=2), st.dictionaries(st.text(max_size=2), st.integers()), max_size=2),
    st.sampled_from([
        object(), Odd(), np.array([1j]), np.array(["a"]), np.array([np.nan]), np.zeros((0, 3)), np.ones((2, 2, 2)),
        np.ma.masked_array([1.0, 2.0], [True, False]), {1}, range(0), range(10**12), Path("/nowhere/a.nc"), "a\0b",
        "\udc80", "a" * 5000, Fraction(1, 2), fp.models.SelfAttention(1.0), fp.initial.uniform(4), lambda: 1, len,
        np.int64(3), np.float32(0.5), (1, 2), np.array([], object), float("inf"),
    ]),
)  # fmt: skip


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_given_is_taken_or_refused_by_name(table, data):
    """Where it is refused, an argument of the call is named, and nothing was computed for long."""
    name = data.draw(st.sampled_from([name for name in table if not name.startswith(SLOW)]))
    call, good = table[name]
    argument = data.draw(st.sampled_from(sorted(good)))
    value = data.draw(VALUES)
    begun = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(**{**good, argument: value})
    except InputError as error:
        named = error.argument.split(".")[-1].split("[")[0]
        assert named in good or argument in error.argument, error
    except FPSolveError:
        pass
    assert time.process_time() - begun < 20


def module_of_wrong_settings():
    wrong = ['x', "[1]", '{"model": 3}', "{}", '{"model": {"name": "Nope"}, "initial": 3, "solve": []}', 3, None]
    return pytest.mark.parametrize("told", wrong, ids=str)


DATASETS = {
    name: getattr(fp.plot, name)
    for name in ("overview", "density_map", "density_orthographic", "observables", "ensemble", "comparison", "layers",
                 "phases", "zoomed", "branches")
} | {
    "zoom": lambda ds: fp.zoom(ds, "mean", 0.1, n=8),
    "stationary": lambda ds: fp.stationary.solve(fp.models.NoisyTransformer(1.0, diffusion=0.4), ds, lmax=8),
    "verdict": fp.transformer.verdict,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@module_of_wrong_settings()
def test_a_result_that_says_something_else_of_its_run(told):
    """Its pictures, which need no more than its variables, are drawn; what needs its run is refused."""
    from tests.public.calls import result, result_with_flow

    for ds in (result(), result_with_flow()):
        for name, call in DATASETS.items():
            try:
                call(ds.assign_attrs(fpsolve_config=told))
                assert name in ("overview", "density_map", "density_orthographic", "observables", "stationary")
            except FPSolveError:
                pass


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("variables", [{}, {"a": ("x", ["b"])}, {"density": (("time", "x"), np.ones((2, 3)))}])
def test_a_dataset_from_elsewhere(variables):
    import xarray as xr

    for call in DATASETS.values():
        with pytest.raises(InputError):
            call(xr.Dataset(variables))


def test_what_stability_is_compares_and_is_short():
    state = fp.stationary.solve(fp.models.NoisyTransformer(1.0, diffusion=0.4), fp.initial.uniform(), lmax=8)
    one, other = (fp.stationary.stability(state, count=2) for _ in range(2))
    assert one == other and one != fp.stationary.stability(state, count=3) and len(repr(one)) < 300


def test_a_refusal_is_one_line():
    with pytest.raises(InputError) as refused:
        fp.initial.points(np.ma.masked_array(np.eye(3), np.eye(3)))
    assert "\n" not in str(refused.value)


def test_modules_show_their_public_names_alone():
    for module in (fp, fp.initial, fp.theory, fp.plot, fp.transformer, fp.stationary, fp.policies, fp.errors):
        shown = {name for name in dir(module) if not isinstance(getattr(module, name), ModuleType)} - {"__version__"}
        assert shown <= set(module.__all__), module.__name__
