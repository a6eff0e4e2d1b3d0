"""The common noise of a step: what a scheme adds, and that nothing is drawn for a model without it."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.models import IsotropicFlow, SelfAttention
from fpsolve.schemes.common_noise import CommonNoise

TOKENS = build(fp.initial.samples(fp.initial.uniform(), 9, 2), "cloud", 4, 1e-6)
FLOW = IsotropicFlow([0.3, 0.7, 0.2], noise=0.5)


class Silent(fp.BrownianPath):
    """A path that must not be asked."""

    def increment(self, *_args, **_more):
        raise AssertionError("drawn")

    normals = increment


@pytest.mark.parametrize("scheme", ["lie_euler", "heun", "ninomiya", "euler_maruyama", "geodesic_euler", "rk4"])
def test_a_model_without_noise_draws_nothing(scheme):
    """Any dt is allowed then, too: a path has only those of its cell times a power of two."""
    *_, (_, last) = fp.run(SelfAttention(1.0), TOKENS, Silent(1), t_end=0.21, dt=0.07, scheme=scheme)
    assert last.mean @ last.mean > TOKENS.mean @ TOKENS.mean


def test_the_two_parts_add_up_to_the_whole():
    path = fp.BrownianPath(4)
    whole = CommonNoise.over(FLOW, TOKENS, path, 0.0, 0.01)
    first, second = whole.parted(lambda own, channels: own.normals(0.0, 0.01, channels))
    fields = [one(TOKENS.source).on(TOKENS.sites) for one in (whole, first, second)]
    assert np.abs(fields[1]).max() > 0.1
    np.testing.assert_allclose(fields[1] + fields[2], fields[0], atol=1e-13)
    drift = SelfAttention(1.0).flow_drift(TOKENS.source)
    beside = whole.beside(drift, TOKENS.source).on(TOKENS.sites)
    np.testing.assert_array_equal(beside, drift.on(TOKENS.sites) + fields[0])
