"""Laws, measures, models, results and errors come back equal from other processes, and show themselves in a line."""

import copy
import inspect
import pickle

import numpy as np
import pytest

import fpsolve as fp
from fpsolve import errors
from fpsolve.config import ConfigError
from fpsolve.ensembles.worker import MemberFailed
from fpsolve.plain.identity import mark

VMF = fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 2.0)


def density(x):
    return np.full(x.shape[:-1], 1 / (4 * np.pi))


def saved():
    return fp.Density.from_law(VMF, lmax=31, rtol=1e-6)


LAWS = {
    "uniform": fp.initial.uniform,
    "von_mises_fisher": lambda: fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 2.0),
    "band": lambda: fp.initial.band([0, 0, 1], 0.1),
    "mixture": lambda: fp.initial.mixture([VMF, fp.initial.uniform()], [0.25, 0.75]),
    "function": lambda: fp.initial.function(density),
    "array": lambda: fp.initial.array(saved().values),
    "array on the circle": lambda: fp.initial.array(np.full(64, 1 / (2 * np.pi))),
    "points": lambda: fp.initial.points(np.eye(3), labels=[1, 2, 3]),
    "simplex": lambda: fp.initial.simplex(3, 0.1, 3),
    "samples": lambda: fp.initial.samples(VMF, 2000, 1),
}
MEASURES = {
    "density": lambda: saved(),
    "half_density": lambda: fp.HalfDensity.from_law(VMF, lmax=15, rtol=1e-6),
    "cloud": lambda: fp.Cloud.from_law(VMF, lmax=15, rtol=1e-6),
    "tokens": lambda: fp.Cloud.from_law(LAWS["samples"](), lmax=15, rtol=1e-6),
}


def used(thing):
    """With every cache filled."""
    if isinstance(thing, fp.Measure):
        thing.source, thing.mean, thing.entropy, thing.moments(4)
        thing.source.F(np.array([[0.0, 0.0, 3.0]]))
        return thing.transport(fp.models.SelfAttention(1.0).drift_field(thing.source) * 0.1)
    if hasattr(thing, "density"):
        thing.density(np.eye(thing.dimension))
    return thing


@pytest.mark.parametrize("make", [*LAWS.values(), *MEASURES.values()], ids=[*LAWS, *MEASURES])
def test_a_law_and_a_measure_are_what_their_data_is(make):
    one, other = used(make()), used(make())
    for same in (other, pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert same == one and hash(same) == hash(one) and same is not one and type(same) is type(one)
    assert len(repr(one)) < 400 and "\n" not in repr(one) and "object at" not in repr(one)
    arrays = [value for value in vars(pickle.loads(pickle.dumps(one))).values() if isinstance(value, np.ndarray)]
    assert not any(array.flags.writeable for array in arrays)
    everything = [each() for each in (*LAWS.values(), *MEASURES.values()) if each is not make]
    assert make() not in everything


def test_laws_of_other_numbers_are_others():
    assert fp.initial.von_mises_fisher([0, 0, 1], 2) != fp.initial.von_mises_fisher([0, 0, 1], 2.5)
    assert fp.initial.von_mises_fisher([0, 0, 2], 2) == fp.initial.von_mises_fisher([0, 0, 1.0], 2.0)
    assert fp.initial.points(np.eye(3)) != fp.initial.points(np.eye(3)[[1, 0, 2]])
    one = saved()
    changed = one.coefficients.copy()
    changed[5] += 1e-14
    assert fp.Density(changed) != one and mark(fp.Density(changed)) != mark(one)


def test_a_law_that_was_pickled_draws_and_has_the_same_density():
    x = VMF.draw(5, fp.BrownianPath(3, 0))
    again = pickle.loads(pickle.dumps(VMF))
    assert np.array_equal(again.draw(5, fp.BrownianPath(3, 0)), x) and np.array_equal(again.density(x), VMF.density(x))
    assert repr(VMF) == "von_mises_fisher(mean=[0.2, -0.5, 1.0], kappa=2.0)"


def test_models_and_results_come_back_equal():
    made = [fp.models.Homogenized(2.0, "gaussian", drift=0.0), fp.models.SelfAttention(1.0, value=np.eye(3))]
    made += [fp.models.SynchronisationByNoise(1.0, "tanh"), fp.models.IsotropicFlow([0.1, 0.2])]
    for model in made:
        model.check(saved())
        assert pickle.loads(pickle.dumps(model)) == model and len(repr(model)) < 400
    ds = fp.solve(made[0], VMF, t_end=0.01, dt=0.01, lmax=15, progress=False)
    again = pickle.loads(pickle.dumps(ds))
    assert again.identical(ds) and type(again) is type(ds) and again.tail.identical(ds.tail)
    assert pickle.loads(pickle.dumps(made[0])) == made[0]  # its tables are in use now


ERRORS = [
    errors.InputError("dt", lambda: 1, "no number", "pass one"),
    errors.InputError("dt", np.zeros(3), "no number", "pass one"),
    errors.CalculusError("scheme", "heun", "Stratonovich", "take lie_euler"),
    errors.UnresolvedError(0.5, "the tail is 0.2", "raise lmax"),
    errors.DivergedError("KSP", "DIVERGED_ITS", 1e-3, "take more"),
    errors.Interrupted(0.25, "c.ckpt"),
    errors.MissingDependencyError("install it"),
    errors.FPSolveError("anything"),
    ConfigError([errors.InputError("a", 1, "b", "c"), errors.InputError("d", 2, "e", "f")]),
    MemberFailed("member 3 failed"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_pickles(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and again.args == error.args
    assert vars(again).keys() == vars(error).keys()
    if type(error) is errors.UnresolvedError:
        assert vars(again) == vars(error)


def test_no_error_of_the_package_is_left_out():
    kinds = {one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, errors.FPSolveError)}
    assert kinds <= {type(error) for error in ERRORS}


def _fails(_):
    raise errors.UnresolvedError(0.5, "the tail is 0.2", "raise lmax")


def test_an_error_in_a_pool_comes_back():
    """Where it did not pickle the parent waited for ever."""
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(1) as pool, pytest.raises(errors.UnresolvedError, match=r"0\.2"):
        pool.map_async(_fails, [1]).get(timeout=60)
