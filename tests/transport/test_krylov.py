"""The exponential in a Krylov space against a dense matrix exponential and against Chebyshev polynomials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

import fpsolve as fp
from fpsolve.errors import UnresolvedError
from fpsolve.measures.build import build
from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import size
from fpsolve.transport import krylov as module
from fpsolve.transport.exponential import exponential, polynomial
from fpsolve.transport.krylov import krylov
from fpsolve.transport.operators import AdvectionOperator, SkewOperator, spectral_bound
from tests.command import said
from tests.transport.test_exponential import LMAX, coefficients, dense, real_vector, velocity

START = np.random.default_rng(0).standard_normal((LMAX + 1) ** 2)


class Counted:
    """An operator that counts its applications."""

    def __init__(self, operator):
        self.operator, self.count = operator, 0

    def recur(self, *arguments):
        self.count += 1
        return self.operator.recur(*arguments)

    def add_to(self, *arguments):
        self.count += 1
        self.operator.add_to(*arguments)

    def polynomial(self, u, series):
        return polynomial(self, u, series)


@pytest.mark.parametrize("kind", [AdvectionOperator, SkewOperator])
@pytest.mark.parametrize("strength", [0.05, 1.0, 12.0])
@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-11])
def test_the_tolerance_is_met_in_the_euclidean_norm(kind, strength, rtol):
    """At strength 12 the 40 dimensions do not do but for 1e-3, and the flow is gone in parts."""
    v = velocity(LMAX, strength)
    operator, start = Counted(kind(grid(LMAX), v)), coefficients(START)
    moved = krylov(operator, start, spectral_bound(v, LMAX), rtol)
    exact = expm(dense(operator.operator)) @ START
    assert np.linalg.norm(real_vector(moved) - exact) <= 2 * rtol * max(np.linalg.norm(exact), np.linalg.norm(START))
    assert (operator.count > module.DIMENSIONS) == (strength == 12.0 and rtol < 1e-3)


def test_a_smooth_density_takes_fewer_applications_than_chebyshevs_polynomials():
    """Chebyshev's polynomials go with R, which is twice as large at lmax = 63 as at 31."""
    spent = {}
    for lmax in (31, 63):
        u = build(fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0), "density", lmax, 1e-6).coefficients
        v = velocity(lmax, 0.3)
        radius, counts = spectral_bound(v, lmax), []
        moved = []
        for flow in (exponential, krylov):
            operator = Counted(AdvectionOperator(grid(lmax), v))
            moved.append(flow(operator, u, radius, 1e-8))
            counts.append(operator.count)
        assert np.linalg.norm(moved[0] - moved[1]) <= 2e-8 * np.linalg.norm(u)
        spent[lmax] = counts
    assert spent[63][1] < 1.4 * spent[31][1] and spent[63][0] > 1.4 * spent[31][0]
    assert spent[63][0] > 1.5 * spent[63][1]


def test_what_the_flow_leaves_alone_stays():
    """A zonal function under a rotation about its axis: the space is invariant at once."""
    turn, zonal = np.zeros(size(LMAX), complex), np.zeros(size(LMAX), complex)
    turn[1], zonal[: LMAX + 1] = 1.0, np.random.default_rng(2).random(LMAX + 1)
    v = fp.HarmonicField(0 * turn, turn).on(grid(LMAX))
    operator = Counted(AdvectionOperator(grid(LMAX), v))
    moved = krylov(operator, zonal, spectral_bound(v, LMAX), 1e-10)
    np.testing.assert_allclose(moved, zonal, rtol=0, atol=1e-13)
    assert operator.count <= 4
    assert np.array_equal(krylov(operator, zonal, 0.0, 1e-10), zonal)
    assert np.array_equal(krylov(operator, 0 * zonal, 1.0, 1e-10), 0 * zonal)


def test_a_half_density_keeps_its_norm_to_round_off():
    v = velocity(LMAX, 3.0)
    start = coefficients(START / np.linalg.norm(START))
    moved = krylov(SkewOperator(grid(LMAX), v), start, spectral_bound(v, LMAX), 1e-10)
    assert np.linalg.norm(real_vector(moved)) == pytest.approx(1.0, abs=1e-10)


def test_what_is_not_finite_is_refused():
    v = velocity(LMAX)
    broken = coefficients(START)
    broken[3] = np.inf
    with pytest.raises(UnresolvedError), np.errstate(all="ignore"):
        krylov(AdvectionOperator(grid(LMAX), v), broken, 1.0, 1e-6)
    with pytest.raises(UnresolvedError):
        krylov(AdvectionOperator(grid(LMAX), v), coefficients(START), 1e6, 1e-6)


@pytest.mark.parametrize("measure", ["density", "half_density"])
@pytest.mark.parametrize("scheme", ["lie_euler", "heun"])
def test_a_run_agrees_with_the_default(measure, scheme):
    """Ten steps of a noisy run, rtol 1e-8: the moments ℓ ≤ 8 agree to it."""
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.3 * t, 3)
    run = {"t_end": 0.2, "dt": 0.02, "path_cell": 0.02, "seed": 3, "lmax": 31, "rtol": 1e-8, "scheme": scheme}
    law = fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0)
    found, expected = (
        fp.solve(flow, law, measure=measure, transport=transport, **run) for transport in ("krylov", "chebyshev")
    )
    np.testing.assert_allclose(found.moments.values, expected.moments.values, rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.mass, 1.0, rtol=0, atol=1e-9)


def test_the_circle_and_living_fields_take_it_too():
    law = fp.initial.von_mises_fisher([0.6, 0.8], 2.0)
    model = fp.models.SelfAttention(beta=2.0)
    run = {"t_end": 0.2, "dt": 0.1, "lmax": 31, "rtol": 1e-8}
    found, expected = (fp.solve(model, law, transport=t, **run) for t in ("krylov", "chebyshev"))
    np.testing.assert_allclose(found.moments.values, expected.moments.values, rtol=0, atol=1e-7)


def test_bits_do_not_depend_on_threads():
    code = (
        "import hashlib, fpsolve as fp\n"
        "model, law = fp.models.Homogenized(beta=2.0), fp.initial.von_mises_fisher([0, 0, 1], 2.0)\n"
        "ds = fp.solve(model, law, t_end=0.04, dt=0.02, path_cell=0.02, lmax=63, transport='krylov', progress=False)\n"
        "print(hashlib.sha256(ds.moments.values.tobytes()).hexdigest())"
    )
    assert said("-c", code, threads=1) == said("-c", code, threads=2) != ""
