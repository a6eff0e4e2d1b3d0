"""The batched members take the same steps as the package's clouds and models on the same increments."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.models import Homogenized, IsotropicFlow
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.transport import ZeroField
from tests.convergence.estimates import Drawn, design
from tests.convergence.members import Members, TensorNoise, ValueNoise, layer

CUBIC = TensorNoise()
FLOW = IsotropicFlow.from_kernel(CUBIC.kernel, 3)


class Uncorrected(Homogenized):
    """The model without -(ε²/4)∇K."""

    def correction_field(self, source):
        return ZeroField()


def pair(overlap):
    return Members.of(np.array([overlap]), substeps=200)


def cloud(members, rtol=1e-13):
    return fp.Cloud(members.x[:, :, 0].T.copy(), np.full(2, 0.5), rtol=rtol, tokens=True)


def tensor(increment):
    """The tensor noise that equals the flow's field of an increment, from its values at points of the sphere."""
    x = np.random.default_rng(0).normal(size=(60, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    values = FLOW.noise_field(None, increment).ambient(SpherePoints(x))
    fitted, *_ = np.linalg.lstsq(CUBIC.features(x.T).T, values, rcond=None)
    assert np.abs(CUBIC.features(x.T).T @ fitted - values).max() < 1e-11
    return fitted.T.ravel()


@pytest.mark.parametrize("scheme", ["lie_euler", "euler_maruyama"])
@pytest.mark.parametrize("corrected", [True, False])
def test_value_noise_takes_the_package_steps(scheme, corrected):
    model = (Homogenized if corrected else Uncorrected)(beta=1.7, value_std=1.0)
    step = fp.SCHEMES[scheme].step
    twin_step = layer if scheme == "euler_maruyama" else step
    for member in range(3):
        path, members = fp.BrownianPath(4, member, cell=0.25), pair(-0.3)
        measure = cloud(members)
        for k in range(4):
            normals = path.increment(k / 4, (k + 1) / 4, 9)[:, None] / 0.5
            measure = step(model, measure, path, k / 4, (k + 1) / 4)
            members = twin_step(ValueNoise(1.7, corrected=corrected), members, Drawn(normals, 9), 0.0, 0.25)
        assert np.abs(measure.x - members.x[:, :, 0].T).max() < 1e-10


@pytest.mark.parametrize("scheme", ["lie_euler", "ninomiya", "heun", "euler_maruyama"])
def test_tensor_noise_takes_the_package_steps(scheme):
    path, members = fp.BrownianPath(5, 0, cell=0.25), pair(0.4)
    step, measure, channels = fp.SCHEMES[scheme].step, cloud(members), FLOW.channels(3)
    twin_step = layer if scheme == "euler_maruyama" else step
    for k in range(3):
        t0, t1 = k / 4, (k + 1) / 4
        normals = np.concatenate(
            [tensor(path.increment(t0, t1, channels)) / 0.5, tensor(path.normals(t0, t1, channels))]
        )
        measure = step(FLOW, measure, path, t0, t1)
        members = twin_step(CUBIC, members, Drawn(normals[:, None], 39), 0.0, 0.25)
    assert np.abs(measure.x - members.x[:, :, 0].T).max() < 1e-9


@pytest.mark.parametrize("linear", [0.4, 1.0])
def test_tensor_noise_has_its_covariance(linear):
    model = TensorNoise(linear)
    x, y = np.random.default_rng(1).normal(size=(2, 3, 50))
    x, y = x / np.linalg.norm(x, axis=0), y / np.linalg.norm(y, axis=0)
    t = (x * y).sum(0)
    assert np.abs((model.features(x) * model.features(y)).sum(0) - model.kernel(t)).max() < 1e-14


def test_the_design_is_exact_to_degree_three():
    points, weights = design(5, 7, np.random.default_rng(2))
    assert np.abs(weights.sum(1) - 1).max() < 1e-13
    assert np.abs(np.einsum("imb,mb->im", points, weights)).max() < 1e-13
    assert np.abs(np.einsum("imb,jmb,mb->ijm", points, points, weights) - np.eye(5)[..., None]).max() < 1e-12
    assert np.abs(np.einsum("imb,jmb,kmb,mb->ijkm", points, points, points, weights)).max() < 1e-12


def test_the_design_is_unbiased_beyond_degree_three():
    """E Z₁⁴ = 3 and E Z₁²Z₂² = 1 within 4 standard errors: false alarm 1.3e-4."""
    points, weights = design(5, 20000, np.random.default_rng(3))
    for values, expected in ((points[0] ** 4, 3.0), (points[0] ** 2 * points[1] ** 2, 1.0)):
        samples = (weights * values).sum(1)
        assert abs(samples.mean() - expected) < 4 * samples.std() / np.sqrt(len(samples))
