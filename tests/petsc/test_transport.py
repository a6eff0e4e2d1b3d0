"""Implicit transport: against dense matrices and its SciPy twin; accuracy, norm, stability."""

from functools import partial

import numpy as np
import pytest
from scipy.linalg import expm

import fpsolve as fp
from fpsolve.sphere.geometry import geometry
from fpsolve.transport import commutator_free
from fpsolve.transport.implicit import RealForm, needed_substeps, pade, transported
from fpsolve.transport.midpoint import midpoint, scipy_solve
from fpsolve.transport.operators import advection, skew_advection, spectral_bound
from fpsolve.transport.petsc import petsc_transport
from fpsolve.transport.runge_kutta import RK4

pytest.importorskip("petsc4py")

KINDS = {"density": advection, "half_density": skew_advection}
LMAX = {2: 12, 3: 7}
LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)


def setting(d=3, kind="half_density", strength=0.8, lmax=None, degree=5, seed=1):
    """An operator of a random field with largest speed ``strength``, random coefficients, and a bound."""
    rng, here, lmax = np.random.default_rng(seed), geometry(d), lmax or LMAX[d]
    grid = here.grid(lmax)

    def random(degree):
        zonal = 1 if d == 2 else degree + 1
        modes = rng.standard_normal(here.size(degree)) + 1j * rng.standard_normal(here.size(degree))
        modes[:zonal] = modes[:zonal].real
        return modes

    v = fp.HarmonicField(random(degree), random(degree)).on(grid)
    v *= strength / np.sqrt((v**2).sum(axis=0).max())
    return KINDS[kind](grid, v), random(lmax), spectral_bound(v, lmax)


def dense(operator, u):
    """L on the real unknowns, by columns."""
    form = RealForm.of(operator, u)
    return np.array([form.times(basis, 1.0) for basis in np.eye(2 * len(u))]).T, form


def error(moved, exact, form):
    return np.linalg.norm(form.unknowns(moved) - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_midpoint_against_the_dense_cayley_transform(d, kind):
    operator, u, radius = setting(d, kind)
    matrix, form = dense(operator, u)
    one = np.eye(len(matrix))
    cayley = np.linalg.solve(one - matrix / 6, one + matrix / 6)
    exact = np.linalg.matrix_power(cayley, 3) @ form.unknowns(u)
    for moved in (
        petsc_transport(operator, u, radius, 1e-11, substeps=3),
        transported(operator, u, radius, 1e-11, scipy_solve, stages=1, substeps=3),
    ):
        assert error(moved, exact, form) < 1e-11


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stages", "rtol"), [(1, 1e-2), (1, 1e-4), (4, 1e-2), (4, 1e-6), (4, 1e-10)])
def test_tolerance_is_met_and_not_by_far(d, kind, stages, rtol):
    """The bound on the sub-steps is sharp for the midpoint rule: the error is above a third of the tolerance."""
    operator, u, radius = setting(d, kind)
    matrix, form = dense(operator, u)
    moved = petsc_transport(operator, u, radius, rtol, stages=stages)
    off = error(moved, expm(matrix) @ form.unknowns(u), form)
    assert off <= rtol
    if stages == 1 and needed_substeps(form, form.unknowns(u), rtol, 1) > 10:
        assert off > rtol / 3


@pytest.mark.parametrize("kind", KINDS)
def test_petsc_and_scipy_take_the_same_substeps(kind):
    operator, u, radius = setting(kind=kind)
    twin = midpoint(operator, u, radius, 1e-3)
    assert np.linalg.norm(petsc_transport(operator, u, radius, 1e-3) - twin) < 1e-4 * np.linalg.norm(u)


@pytest.mark.parametrize(("stages", "few"), [(1, 8), (2, 4), (3, 2), (4, 2)])
def test_orders(stages, few):
    """Twice as many sub-steps: errors smaller by 4^s."""
    operator, u, radius = setting(strength=0.5)
    matrix, form = dense(operator, u)
    exact = expm(matrix) @ form.unknowns(u)
    coarse, fine = (
        error(petsc_transport(operator, u, radius, 1e-13, stages=stages, substeps=n), exact, form)
        for n in (few, 2 * few)
    )
    assert np.log2(coarse / fine) == pytest.approx(2 * stages, abs=0.3)


@pytest.mark.parametrize("stages", [1, 2, 3, 4])
def test_pade_factors_are_unitary_and_near_the_exponential(stages):
    """|e^{ix} - r(ix)| <= c_s x^{2s+1}, with equality at small x."""
    from math import factorial

    x = np.array([0.5, 1.0, 3.0])
    r = np.ones(3, complex)
    for one in pade(stages):
        q = 1 - one.alpha * 1j * x - one.beta * x**2
        r *= q.conj() / q
    bound = factorial(stages) ** 2 / factorial(2 * stages) / factorial(2 * stages + 1) * x ** (2 * stages + 1)
    off = np.abs(np.exp(1j * x) - r)
    assert np.abs(np.abs(r) - 1).max() < 1e-14
    assert (off <= bound + 1e-15).all() and off[0] == pytest.approx(bound[0], rel=0.05, abs=1e-15)


@pytest.mark.parametrize(("rtol", "drift"), [(1e-13, 1e-12), (1e-3, 1e-12)])
def test_norm_is_kept_without_renormalisation(rtol, drift):
    """300 midpoint steps: conjugate gradients keep ‖ψ‖ to round-off, even where they are stopped early.

    The norm's own measurement errs by 1e-15, and a walk of 300 such steps by 2e-14.
    """
    operator, u, radius = setting(strength=3.0)
    form, norms = RealForm.of(operator, u), []
    for _ in range(300):
        norms.append(np.linalg.norm(form.unknowns(u)))
        u = petsc_transport(operator, u, radius, rtol, substeps=1)
    norms = np.array(norms) / norms[0] - 1
    assert np.abs(np.diff(norms)).max() <= 10 * max(rtol, 1e-15) and np.abs(norms).max() <= drift


@pytest.mark.parametrize("kind", KINDS)
def test_stable_at_ten_times_the_explicit_step(kind):
    """hR = 28.2, ten times RK4's limit on the imaginary axis, where RK4 amplifies by 10⁴ a step: norms do not grow."""
    field = {"kind": kind, "lmax": 11, "degree": 1}
    operator, u, radius = setting(**field)
    largest = np.abs(np.linalg.eigvals(dense(operator, u)[0])).max()
    operator, u, radius = setting(strength=0.8 * 10 * RK4.imaginary_limit / largest, **field)
    matrix, form = dense(operator, u)
    explicit = sum(np.linalg.matrix_power(matrix, k) / f for k, f in enumerate((1, 1, 2, 6, 24)))
    assert np.linalg.norm(explicit @ form.unknowns(u)) > 1e3 * np.linalg.norm(form.unknowns(u))
    sizes = [np.linalg.norm(form.unknowns(u))]
    for _ in range(5):
        u = petsc_transport(operator, u, radius, 1e-10, substeps=1)
        sizes.append(np.linalg.norm(form.unknowns(u)))
    if kind == "half_density":
        assert np.ptp(sizes) < 1e-10 * sizes[0]
    else:
        assert max(sizes) < 3 * sizes[0]


@pytest.mark.parametrize("lmax", [9, 15])
@pytest.mark.parametrize("start", ["rough", "smooth"])
def test_long_steps_of_a_density_under_a_field_of_degree_six(lmax, start):
    """hR = 28, L far from normal: GMRES with a memory of 30 stagnates for some; the default reaches the Cayley step."""
    operator, u, _ = setting(kind="density", lmax=lmax, degree=6, seed=1)
    largest = np.abs(np.linalg.eigvals(dense(operator, u)[0])).max()
    operator, u, radius = setting(kind="density", lmax=lmax, degree=6, seed=1, strength=0.8 * 28.2 / largest)
    if start == "smooth":
        u = fp.measures.build.build(fp.initial.von_mises_fisher([0.6, 0, 0.8], 4.0), "density", lmax, 1e-6).coefficients
    matrix, form = dense(operator, u)
    one = np.eye(len(matrix))
    cayley = np.linalg.solve(one - matrix / 2, (one + matrix / 2) @ form.unknowns(u))
    assert error(petsc_transport(operator, u, radius, 1e-6, substeps=1), cayley, form) < 1e-5


def test_stagnation_names_the_restart():
    operator, u, radius = setting(kind="density", lmax=9, degree=6, strength=20.0)
    with pytest.raises(fp.errors.DivergedError, match="-ksp_gmres_restart"):
        petsc_transport(operator, u, radius, 1e-6, substeps=1, options="-ksp_gmres_restart 3 -ksp_max_it 300")


def test_living_flow_is_of_order_four():
    """v[u] depends on u; errors against the finest fall by 16."""
    start = fp.measures.build.build(LAW, "half_density", 15, 1e-12)
    model = fp.models.SelfAttention(beta=3.0)

    def field(u):
        return 2.0 * model.flow_drift(start.at(u).source).on(start.grid)

    def after(n):
        return commutator_free._steps(start.coefficients, field, partial(start.carried, rtol=1e-12), n)

    exact = after(16)
    errors = [np.linalg.norm(after(n) - exact) for n in (2, 4)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.4)


@pytest.mark.parametrize("transport", ["midpoint", "petsc", "petsc_gauss"])
@pytest.mark.parametrize("measure", ["density", "half_density"])
@pytest.mark.parametrize("scheme", ["lie_euler", "heun", "ninomiya"])
def test_the_same_path_as_the_explicit_transport(transport, measure, scheme):
    """Frozen and living fields under common noise; three steps, each to 1e-4."""
    model = fp.models.IsotropicFlow([0.0, 0.3, 0.2])
    run = partial(
        fp.solve, model, LAW, t_end=0.03, dt=0.01, lmax=15, rtol=1e-4, scheme=scheme, measure=measure, seed=2
    )
    implicit, explicit = run(transport=transport), run()
    assert np.abs(implicit.mean_vector - explicit.mean_vector).max() < 3e-4
    assert abs(implicit.mass.values[-1] - 1) < (1e-13 if measure == "density" else 1e-10)


def test_deterministic_runs_keep_the_mass_under_a_living_field():
    run = partial(
        fp.solve, fp.models.SelfAttention(beta=2.0), LAW, t_end=0.2, dt=0.1, lmax=31, measure="half_density", rtol=1e-5
    )
    implicit, explicit = run(transport="petsc_gauss"), run()
    assert np.abs(implicit.mean_vector - explicit.mean_vector).max() < 1e-5
    assert abs(implicit.mass.values[-1] - 1) < 1e-12


def test_zero_velocity_moves_nothing():
    operator, u, _ = setting(strength=0.0)
    assert np.array_equal(petsc_transport(operator, u, 0.0, 1e-6), u)


def test_too_many_substeps_are_refused():
    operator, u, radius = setting(strength=30.0)
    with pytest.raises(fp.errors.UnresolvedError, match="implicit sub-steps"):
        petsc_transport(operator, u, radius, 1e-12)
