"""Strong orders on shared paths: the root mean square of X_dt - X_{dt/2} over members and tokens, across dt.

For nested steps of order γ the mean square is C dt^{2γ} at every level. Intervals are at 99 % over members and seeds
fixed: another seed fails a test with probability about one in a hundred.
"""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.models import Homogenized
from tests.convergence.estimates import order_of, squared_difference
from tests.convergence.members import TensorNoise, ValueNoise, layer

LIE_EULER, HEUN = fp.SCHEMES["lie_euler"].step, fp.SCHEMES["heun"].step


def check_strong_order(samples, theory):
    order = order_of(samples)
    assert order.signal > 5, order
    assert order.half_width / 2 <= 0.15, order
    assert order.contains(2 * theory), order


@pytest.mark.parametrize(
    ("scheme", "step", "model"),
    [
        ("lie_euler", LIE_EULER, ValueNoise()),
        ("lie_euler", LIE_EULER, TensorNoise()),
        ("lie_euler", LIE_EULER, TensorNoise(linear=1.0, drift=1.0)),
        ("heun", HEUN, TensorNoise(linear=1.0, drift=1.0)),
        ("euler_maruyama", layer, TensorNoise()),
    ],
)
def test_strong_order_one_half(scheme, step, model):
    rng = np.random.default_rng(12)
    samples = [squared_difference(step, model, -0.3, 0.2, n, 1000, rng) for n in (16, 32, 64)]
    check_strong_order(samples, fp.SCHEMES[scheme].strong_order)


def test_strong_order_one_half_of_tokens_in_a_cloud():
    """Twenty-four tokens that attend to each other, stepped by ``run`` on paths of the package."""
    x = np.random.default_rng(6).normal(size=(24, 3))
    start = fp.Cloud(x / np.linalg.norm(x, axis=1, keepdims=True), np.full(24, 1 / 24), tokens=True)
    model, samples = Homogenized(beta=1.0, value_std=1.0), []
    for member in range(80):
        path, runs = fp.BrownianPath(11, member, cell=1 / 64), {}
        for steps in (8, 16, 32, 64):
            *_, (_, last) = fp.run(model, start, path, t_end=0.5, dt=0.5 / steps, scheme="euler_maruyama")
            runs[steps] = last.x
        samples.append([((runs[n] - runs[2 * n]) ** 2).sum(1).mean() for n in (8, 16, 32)])
    check_strong_order(list(np.array(samples).T), 0.5)
