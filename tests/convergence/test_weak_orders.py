"""Weak orders of the stochastic schemes on the two-token problem, against its exact expectations.

Intervals are at 99 %, seeds fixed; with another seed each order test would fail with probability about one in a hundred.
"""

import numpy as np
import pytest

import fpsolve as fp
from tests.convergence.estimates import Drawn, order_of, weak_error
from tests.convergence.members import Members, TensorNoise, ValueNoise, layer

LIE_EULER, NINOMIYA = fp.SCHEMES["lie_euler"].step, fp.SCHEMES["ninomiya"].step
LINEAR_LAYERS, CUBIC = TensorNoise(linear=1.0), TensorNoise()


def identity(q):
    return q


def measured(step, model, f, q0, t_end, levels, members, **settings):
    rng = np.random.default_rng(20)
    sizes = members if isinstance(members, tuple) else (members,) * len(levels)
    pairs = zip(levels, sizes, strict=True)
    return order_of([weak_error(step, model, f, q0, t_end, n, m, rng, **settings) for n, m in pairs])


@pytest.mark.parametrize(
    ("scheme", "step", "model", "f", "q0", "t_end"),
    [
        ("lie_euler", LIE_EULER, ValueNoise(), identity, -0.3, 1.0),
        ("lie_euler", LIE_EULER, CUBIC, identity, 0.6, 0.5),
        ("lie_euler", LIE_EULER, LINEAR_LAYERS, np.square, 0.0, 1.0),
        ("euler_maruyama", layer, ValueNoise(), identity, -0.3, 1.0),
        ("euler_maruyama", layer, CUBIC, identity, -0.5, 0.5),
    ],
)
def test_weak_order_one(scheme, step, model, f, q0, t_end):
    order = measured(step, model, f, q0, t_end, (4, 8, 16), 600 if model is CUBIC else 2000)
    assert order.signal > 5, order
    assert order.half_width <= 0.15, order
    assert order.contains(fp.SCHEMES[scheme].weak_order), order


def test_ninomiya_is_of_weak_order_two():
    order = measured(
        NINOMIYA, LINEAR_LAYERS, np.square, 0.0, 1.0, (2, 4, 8), (4000, 8000, 24000), gaussians=2, substeps=2
    )
    assert order.signal > 5, order
    assert order.half_width <= 0.3, order
    assert order.contains(fp.SCHEMES["ninomiya"].weak_order), order
