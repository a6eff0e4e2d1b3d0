"""What is computed once is read-only, and what users get or give is theirs alone."""

import ast
from pathlib import Path

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.spectrum import spectrum_engine
from fpsolve.cached import cached_property, lru_cache
from fpsolve.sphere import grid
from fpsolve.sphere.circle import circle_grid
from fpsolve.sphere.geometry import geometry

PACKAGE = Path(fp.__file__).parent
LAW = fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0)
SHORT = {"t_end": 0.02, "dt": 0.01, "lmax": 15, "progress": False}


def test_only_the_decorators_that_make_arrays_read_only_are_used():
    for path in set(PACKAGE.rglob("*.py")) - {PACKAGE / "cached.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "functools":
                assert not {"lru_cache", "cached_property"} & {name.name for name in node.names}, path
            assert not (isinstance(node, ast.Attribute) and node.attr in ("lru_cache", "cached_property")), path


def test_arrays_in_every_place_are_read_only():
    class Holder:
        __module__ = "fpsolve.anything"

        def __init__(self):
            self.inside = np.zeros(2)

        @cached_property
        def late(self):
            return {"x": (np.zeros(2), [np.zeros(2)])}

    holder = lru_cache(2)(Holder)()
    for array in (holder.inside, holder.late["x"][0], holder.late["x"][1][0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_tables_and_grids_are_read_only():
    engine = spectrum_engine(KeyQueryLaw("gaussian", 1.0), 2.0, 0.5, 4)
    density = fp.Density.from_law(LAW, lmax=15, rtol=1e-6)
    cloud = fp.Cloud.from_law(LAW, lmax=15, rtol=1e-6)
    found = [*geometry(3).real_degrees_orders(3), *geometry(2).real_degrees_orders(3), geometry(3).laplacian(5)]
    found += [getattr(grid(15), name) for name in ("x", "cos_theta", "sin_theta", "phi", "frame", "weights")]
    found += [getattr(circle_grid(15), name) for name in ("x", "angle", "frame", "weights")]
    found += [engine.radii, density.values, density.coefficients, density.source.mean, density.moments(15)]
    found += [cloud.x, cloud.weights, cloud.sites.x, *cloud.sites.frame]
    found += [fp.models.SynchronisationByNoise(1.0, noise_lmax=9).spectrum()]
    assert not any(array.flags.writeable for array in found)


@pytest.mark.parametrize("measure", ["density", "cloud"])
def test_a_result_is_its_readers_own(measure):
    model = fp.models.Homogenized(beta=2.0)
    first = fp.solve(model, LAW, measure=measure, moments_lmax=4, **SHORT)
    kept = first.copy(deep=True)
    for name in set(first.variables) - set(first.indexes):  # pandas keeps its own read-only
        if first[name].dtype.kind in "if":
            first[name].values[...] = 7
    assert fp.solve(model, LAW, measure=measure, moments_lmax=4, **SHORT).identical(kept)


def test_tokens_weights_in_a_result_are_not_the_laws():
    tokens = fp.initial.points(np.eye(3), [0.5, 0.25, 0.25])
    ds = fp.solve(fp.models.SelfAttention(1.0), tokens, measure="cloud", save_points=True, t_end=0.02, dt=0.01)
    ds.weights.values[:] = 0
    ds.points.values[:] = 0
    assert tokens.weights.tolist() == [0.5, 0.25, 0.25] and np.array_equal(tokens.x, np.eye(3))


def test_what_a_user_gave_may_change_later():
    x, weights = np.eye(3), np.full(3, 1 / 3)
    cloud, law = fp.Cloud(x, weights), fp.initial.points(x, weights)
    coefficients = fp.Density.from_law(LAW, lmax=15, rtol=1e-6).coefficients.copy()
    density = fp.Density(coefficients)
    kept = density.coefficients.copy()
    x[:], weights[:], coefficients[:] = 0, 0, 0
    assert np.array_equal(cloud.x, np.eye(3)) and np.array_equal(law.x, np.eye(3)) and cloud.weights.sum() == 1
    assert np.array_equal(density.coefficients, kept)


def test_a_function_that_writes_into_its_argument_changes_nothing_else():
    def density(x):
        z = x[..., 2]
        z *= -1  # ρ ∝ 1 - z/2 of the z it was given
        return (1 + z / 2) / (4 * np.pi)

    first, second = (fp.Density.from_law(fp.initial.function(density), lmax=31, rtol=1e-6) for _ in range(2))
    assert np.allclose(first.mean, [0, 0, -1 / 6], atol=1e-12) and np.array_equal(first.mean, second.mean)
    later = fp.Density.from_law(LAW, lmax=31, rtol=1e-6).mean
    assert np.allclose(later / np.linalg.norm(later), np.array([0.2, -0.5, 1]) / np.sqrt(1.29), atol=1e-12)


def test_an_activation_and_a_kernel_that_write_into_their_arguments():
    def wave(z):
        z *= 0.5
        return np.tanh(2 * z)

    named = fp.models.SynchronisationByNoise(1.0, activation="tanh", noise_lmax=9).spectrum()
    for _ in range(2):
        assert np.allclose(fp.models.SynchronisationByNoise(1.0, activation=wave, noise_lmax=9).spectrum(), named)

    def kernel(t):
        t *= 2
        return 1 + t / 2

    for d in (2, 3):
        once, again = (fp.models.IsotropicFlow.from_kernel(kernel, 2, d) for _ in range(2))
        assert np.allclose(once.kernel()(np.array([0.3])) if d == 3 else 1.3, 1.3) and once == again
