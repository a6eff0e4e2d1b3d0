"""The door between objects and plain data: there and back, told apart, and refused by name."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.measures.initial import LAWS
from fpsolve.models import MODELS
from fpsolve.models.weights import Gaussian, Product
from fpsolve.plain import differences, digest, from_plain, to_plain

V = fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0)


@pytest.mark.parametrize(
    "model",
    [
        fp.models.Homogenized(beta=4.0, key_query="gaussian"),
        fp.models.SelfAttention(2.0, value=np.diag([1.0, 2.0, 3.0])),
        fp.models.IsotropicFlow([0.0, 1.0]),
        fp.models.MultiHead.gradient_flow(1.0, [[[1.0, 0.3], [-0.2, 0.8]], 0.7]),
        fp.models.NoisyTransformer(1.0, 0.2, "sa"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_come_back_equal(model):
    plain = to_plain(model)
    assert json.loads(json.dumps(plain)) == plain
    assert from_plain(plain, MODELS, "model") == model


@pytest.mark.parametrize(
    "law",
    [V, fp.initial.uniform(4), fp.initial.mixture([V, V], [0.25, 0.75]), fp.initial.samples(V, 5, 3)],
)
def test_laws_come_back(law):
    plain = to_plain(law)
    again = from_plain(plain, LAWS, "initial")
    assert to_plain(again) == plain and type(again) is type(law)
    if hasattr(law, "density"):
        x = np.eye(law.dimension)
        np.testing.assert_array_equal(again.density(x), law.density(x))


def test_numpys_numbers_are_numbers_and_laws_of_weights_are_tables():
    model = fp.models.DrawnHeads(2.0, 4, key_query=Product(0.5))
    assert to_plain(model)["key_query"] == {"name": "Product", "mean": 0.0, "std": 0.5}
    assert to_plain(model) != to_plain(fp.models.DrawnHeads(2.0, 4, key_query=Gaussian(0.5)))
    assert to_plain({"a": np.float64(2.0), "b": (np.int64(1), np.arange(2))}) == {"a": 2.0, "b": [1, [0, 1]]}


def test_functions_and_foreign_objects_are_told_apart_by_content():
    def one(scale):
        return lambda x: scale * x

    assert to_plain([one(1.0)]) == to_plain([one(1.0)]) != to_plain([one(2.0)])

    class Foreign:
        def __init__(self, scale):
            self.scale = scale

    assert set(to_plain(Foreign(1.0))) == {"name", "content"}


def test_what_is_wrong_is_named_with_its_place():
    with pytest.raises(InputError, match=r"^model\.beta = -1"):
        from_plain({"name": "SelfAttention", "beta": -1.0}, MODELS, "model")
    with pytest.raises(InputError, match=r"^model\.name = 'SelfAtention'.*did you mean 'SelfAttention'"):
        from_plain({"name": "SelfAtention"}, MODELS, "model")
    with pytest.raises(InputError, match=r"^initial\.law\.kappa = -2"):
        law = {"name": "von_mises_fisher", "mean": [0, 0, 1], "kappa": -2.0}
        from_plain({"name": "samples", "n": 3, "law": law}, LAWS, "initial")
    with pytest.raises(InputError, match=r"^model\.name = \(nothing\)"):
        from_plain([1, 2], MODELS, "model")


@dataclass(frozen=True)
class Pair:
    a: float
    b: tuple


def test_differences_and_digests():
    was, now = to_plain(Pair(1.0, (1, 2))), to_plain(Pair(1.0, (1, 3)))
    assert differences({"x": was}, {"x": now, "y": 1}) == {"x.b": ([1, 2], [1, 3]), "y": ("-", 1)}
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
