"""NumPy's numbers at the door: the results of Python's, in every public call, and one configuration."""

import importlib
import inspect
import json
import types
from typing import Union, get_args, get_origin

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.ensembles.planner import plan
from fpsolve.plain import canonical, digest
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plain.numbers import as_annotated, python_number
from fpsolve.plain.schema import hints
from fpsolve.times import saved_time
from fpsolve.validate import validate
from fpsolve.values import Checked

INT, FLOAT, BOOL = np.int64, np.float32, np.bool_
LAW = fp.initial.von_mises_fisher([0.25, -0.5, 1.0], 2.0)
MODEL = fp.models.Homogenized(beta=2.0, key_query="gaussian", value_std=0.5)
RUN = {"t_end": 0.25, "dt": 0.125, "path_cell": 0.125, "lmax": 9}


SCALARS = [INT(3), FLOAT(0.125), np.float64(0.1), BOOL(True), np.array(2), np.str_("a"), np.uint64(2**64 - 1)]


@pytest.mark.parametrize("value", SCALARS)
def test_a_scalar_is_the_number_of_python(value):
    found = python_number(value)
    assert type(found) in (int, float, bool, str) and found == value


def test_all_else_stays_what_it_is():
    for value in (np.zeros(3), "a", None, 2, [1], np.complex128(1j), np.longdouble(1) / 3, LAW):
        assert python_number(value) is value


def test_whole_numbers_are_floats_where_the_signature_says_so():
    def call(a: float, b: int, c: float | None, *, d: float | str = 1.0, e: int | float = 1, f: list | None = None):
        return None

    made = as_annotated(call, {"a": 1, "b": INT(2), "c": INT(3), "d": 2**60, "e": 2, "f": [INT(1)]})
    assert {name: type(one) for name, one in made.items()} == dict(a=float, b=int, c=float, d=int, e=int, f=list)
    assert made == {"a": 1, "b": 2, "c": 3, "d": 2**60, "e": 2, "f": [1]} and type(made["f"][0]) is int


def test_equal_numbers_are_one_configuration():
    one, other = {"beta": 2, "list": [1, 2.5], "seed": 2**70}, {"seed": 2**70, "beta": 2.0, "list": [1.0, 2.5]}
    assert canonical(one) == canonical(other) and digest(one) == digest(other)
    assert digest({"a": True}) != digest({"a": 1}) and digest({"a": 2}) != digest({"a": 2.5})
    assert digest({"a": 2**53}) != digest({"a": 2**53 + 1}) and canonical({"a": -0.0}) == canonical({"a": 0})


@pytest.mark.parametrize("number", [int, INT, FLOAT, np.float64])
def test_models_and_laws_of_equal_numbers_are_equal(number):
    model = fp.models.Homogenized(beta=number(2), key_query="gaussian", value_std=number(1), noise_lmax=INT(8))
    assert model == fp.models.Homogenized(beta=2.0, key_query="gaussian", value_std=1.0, noise_lmax=8)
    assert type(model.beta) is float and type(model.noise_lmax) is int and "np." not in repr(model)
    assert fp.models.SelfAttention(number(3)) == fp.models.SelfAttention(beta=3.0)  # by position too
    law = fp.initial.von_mises_fisher([0.0, 0.0, 1.0], number(2))
    assert law == fp.initial.von_mises_fisher([0, 0, 1], 2) and law.recipe["kappa"] == 2.0


def test_a_run_of_numpys_numbers_is_that_of_pythons(tmp_path):
    """Every number of ``solve``: the same result, file, and checkpoint."""
    one = {"t_end": FLOAT(0.25), "dt": FLOAT(0.125), "path_cell": FLOAT(0.125), "lmax": INT(9), "seed": np.uint8(1)}
    one |= {"rtol": FLOAT(2**-20), "moments_lmax": INT(4), "save_every": FLOAT(0.125), "save_density": BOOL(True)}
    one |= {"member": INT(2), "lmax_cap": INT(255), "save_points": BOOL(False), "save_flow": BOOL(False)}
    one |= {"progress": BOOL(False), "checkpoint": tmp_path / "c"}
    other = {name: python_number(value) for name, value in one.items()}
    ds = fp.solve(MODEL, LAW, **one, checkpoint_every=FLOAT(1))
    assert ds.identical(fp.solve(MODEL, LAW, **other)), "from the checkpoint"
    del other["checkpoint"]
    assert ds.identical(fp.solve(MODEL, LAW, **other)) and json.loads(ds.fpsolve_config)["solve"]["seed"] == 1
    assert fp.load(fp.save(ds, tmp_path / "r.nc", overwrite=BOOL(False)), max_bytes=INT(10**9)).identical(ds)


def calls():
    """Public calls with NumPy's numbers, and the same with Python's."""
    density = fp.Density.from_law(LAW, lmax=9, rtol=1e-5)
    still = fp.models.SelfAttention(beta=2.0)
    flow = fp.solve(still, LAW, measure="cloud", save_flow=True, t_end=0.25, dt=0.125, lmax=9)
    arch = fp.transformer.Architecture.preset("gpt2", depth=2, d=128)
    chain = {"n": 4, "d": 3, "heads": 2, "depth": 2, "step": 0.125, "beta": 1.0}
    yield "ensemble", lambda n: fp.ensemble(
        MODEL, LAW, members=n(2), block=n(1), fail_fast=n(False), sweep={"beta": [n(1), n(2.0)]}, progress=n(False),
        **{name: n(one) for name, one in RUN.items()},
    )  # fmt: skip
    yield "run", lambda n: [m.mean.tolist() for _, m in fp.run(
        still, density, fp.BrownianPath(n(1), n(0), n(0.125)), t_end=n(0.25), dt=n(0.125), start=n(1))]  # fmt: skip
    yield "zoom", lambda n: fp.zoom(flow, np.array([0, 0, 1.0]), n(0.125), time=n(0.25), n=n(8))
    yield "from_law", lambda n: [kind.from_law(LAW, lmax=n(9), rtol=n(2**-17)).mass for kind in fp.MEASURES.values()]
    yield "samples", lambda n: fp.initial.samples(LAW, n(5), seed=n(1), member=n(0)).recipe
    yield "simplex", lambda n: fp.initial.simplex(n(3), n(0.25), n(3)).recipe
    yield "chain", lambda n: fp.transformer.RandomTransformer(**{key: n(one) for key, one in chain.items()}).run(
        fp.initial.uniform(), save_every=n(1), moments_lmax=n(2), save_points=n(True))  # fmt: skip
    yield "predict", lambda n: fp.transformer.predict(arch, n(8), members=n(2), seed=n(0), threshold=n(0.75))
    yield "preset", lambda n: fp.transformer.Architecture.preset("gpt2", depth=n(2), d=n(128)).to_dict()
    yield "validate", lambda n: [row.computed for row in validate(only=["moebius"], seed=n(0), quick=n(True))]
    yield "plan", lambda n: plan(MODEL, LAW, members=n(2), ranks=n(2), block=n(1), budget=n(0.125), **RUN).layout.config
    drift = fp.models.SelfAttention(beta=8.0, diffusion=0.5)
    yield "stationary", lambda n: fp.stationary.solve(drift, LAW, lmax=n(9)).density.coefficients.tolist()


NUMPYS = {int: INT, float: FLOAT, bool: BOOL}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "call"), list(calls()))
def test_public_calls_take_numpys_numbers(name, call):
    found, wanted = call(lambda value: NUMPYS[type(value)](value)), call(lambda value: value)
    assert found.identical(wanted) if hasattr(found, "identical") else found == wanted


def public():
    """(name, function) of every public function and class of the package."""
    for room in ("", ".transformer", ".stationary", ".plot", ".ensembles", ".validate", ".models"):
        module = importlib.import_module(f"fpsolve{room}")
        for name in getattr(module, "__all__", dir(module)):
            one = getattr(module, name)
            if callable(one) and not isinstance(one, types.ModuleType):
                yield f"{module.__name__}.{name}", one


def has_number(annotation):
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return bool({int, bool} & set(kinds))


def is_door(one):
    if inspect.isclass(one):
        return isinstance(one, Checked) or "int" not in str(hints(one))
    while one is not None:
        if one.__code__ in DOORS:
            return True
        one = getattr(one, "__wrapped__", None)
    return False


DOORS = {checked_arguments(lambda: None).__code__}
OTHERWISE = {
    "fpsolve.solve", "fpsolve.BrownianPath", "fpsolve.Scheme", "fpsolve.HarmonicField",  # prepare, own checks, records
    "fpsolve.ensembles.Layout", "fpsolve.ensembles.make_layout", "fpsolve.validate.Validation",
    "fpsolve.validate.write",
    "fpsolve.stationary.Stability", "fpsolve.stationary.StationaryState", "fpsolve.transformer.NetworkScaling",
    "fpsolve.transformer.Plan", "fpsolve.transformer.Scaling", "fpsolve.models.IsotropicFlow.from_kernel",
}  # fmt: skip


def test_every_public_function_with_whole_numbers_has_the_door():
    found = {name for name, one in public() if any(map(has_number, hints(one).values())) and not is_door(one)}
    assert found <= OTHERWISE


@pytest.mark.parametrize("dt", [0.1, 0.02, 0.05, 0.01, 0.001, 0.3, 1e-4, 0.00125])
def test_saved_times_are_the_decimals_that_they_are(dt):
    steps = round(3 / dt)
    for n in range(0, steps + 1, max(1, steps // 500)):
        assert saved_time(n * dt) == float(f"{round(n * dt, 9):.9f}")
    assert saved_time(1 / 3) == pytest.approx(1 / 3, rel=1e-14)


def test_runs_of_two_steps_have_their_times_in_common():
    model = fp.models.SelfAttention(beta=2.0)
    one, other = (fp.solve(model, LAW, t_end=0.7, dt=dt, lmax=9) for dt in (0.1, 0.02))
    assert (one.energy - other.energy).time.values.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert float(np.abs(one.energy - other.energy).max()) < 1e-6
    every = fp.ensemble(model, LAW, members=1, t_end=0.7, dt=0.02, lmax=9, save_every=0.1, progress=False)
    assert every.time.values.tolist() == one.time.values.tolist()
