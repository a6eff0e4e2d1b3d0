"""Stationary states: the exact Jacobian, SNES against its dense twin, a one-dimensional problem and long runs."""

from importlib.util import find_spec

import numpy as np
import pytest
from scipy.special import eval_legendre, iv, roots_legendre, spherical_in

import fpsolve as fp
from fpsolve.errors import DivergedError, InputError, UnderResolvedWarning
from fpsolve.observe.free_energy import dissipation, free_energy
from fpsolve.petsc.newton_numpy import newton_numpy
from fpsolve.sphere.geometry import geometry
from fpsolve.stationary.bordered import Family
from fpsolve.stationary.branching import branch_off
from fpsolve.stationary.heads import is_gradient_flow, parts_of
from fpsolve.stationary.real_basis import from_real, rotation_generators
from fpsolve.stationary.state import solve

SOLVER = "petsc" if find_spec("petsc4py") else "numpy"
QUIET = fp.BrownianPath(0, 0)
M = fp.models
GENERAL = np.array([[1.0, 0.3, 0.0], [0.1, 0.5, -0.2], [0.0, 0.2, -0.4]])
TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
AXIAL = np.diag([0.2, 0.2, 1.0])
SYSTEMS = {  # model, number of rotations that are symmetries
    "usa": (M.NoisyTransformer(2.0, 0.3), 3),
    "sa": (M.NoisyTransformer(2.0, 0.3, "sa"), 3),
    "repulsive": (M.SelfAttention(2.0, -1.0, -0.5, 0.3), 3),
    "general": (M.SelfAttention(2.0, GENERAL, GENERAL.T, 0.3), 0),
    "axial": (M.UnnormalisedSelfAttention(1.0, AXIAL, AXIAL, 0.25), 1),
    "turning": (M.SelfAttention(1.0, np.eye(3) + 0.5 * TURN, 1.0, 0.2), 1),
    "spectral": (M.SpectralSelection(2.0, np.diag([1.0, 0.2, 0.3]), 0.2), 0),
    "heads": (M.MultiHead.gradient_flow(1.0, [GENERAL, np.eye(3)], diffusion=0.3), 0),
}


def two_bumps(lmax, d=3):
    axes = ([0, 0, 1], [0, 1, -0.4]) if d == 3 else ([0, 1], [1, -0.4])
    law = fp.initial.mixture([fp.initial.von_mises_fisher(m, 2.0) for m in axes], [0.6, 0.4])
    return fp.Density.from_law(law, lmax=lmax, rtol=1e-8)


@pytest.mark.parametrize("d", [2, 3])
def test_the_real_basis_and_its_rotations(d):
    """from_real inverts to_real; X_a is the derivative of a rotated field, by central differences."""
    here, h = geometry(d), 1e-4
    grid = here.grid(14)
    weight = np.array([0.3, 0.5, 0.7])[:d]

    def rotated(generator, s):
        turn = np.eye(d) + s * generator + s**2 / 2 * generator @ generator
        y = grid.x @ turn  # rows R⁻¹x
        return here.to_real(grid.to_modes(np.exp(y @ weight + 0.5 * y[..., 0] * y[..., 1])))

    algebra = [np.array([[0.0, -1.0], [1.0, 0.0]])] if d == 2 else [np.cross(np.eye(3), e) for e in np.eye(3)]
    modes = rotated(algebra[0], 0.0)
    np.testing.assert_allclose(here.to_real(from_real(modes, d, 14)), modes, rtol=1e-14)
    for x, generator in zip(rotation_generators(d, 14), algebra, strict=True):
        slope = (rotated(generator, h) - rotated(generator, -h)) / (2 * h)
        np.testing.assert_allclose(x @ modes, slope, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_equation_is_the_models_and_its_jacobian_exact(name):
    """∂_tρ against the model's own drift to round-off, DE by central differences (error h²), the symmetries."""
    model, count = SYSTEMS[name]
    density = two_bumps(15)
    equation = Family(model, "diffusion", 3, 15).equation(model.diffusion)
    u = equation.unknowns(density.coefficients)
    grid, laplacian = density.grid, density.geometry.laplacian(15)
    flux = density.values * model.drift_field(density.source).on(grid)
    rate = equation.unknowns(model.diffusion * laplacian * density.coefficients - grid.surface_div(flux))
    np.testing.assert_allclose(equation.rate(u), rate, rtol=0, atol=1e-13)
    w, h = np.random.default_rng(0).standard_normal(len(u)) * 0.5**equation.degrees, 1e-4
    slope = (equation.residual(u + h * w) - equation.residual(u - h * w)) / (2 * h)
    np.testing.assert_allclose(equation.linearised(u)[1](w), slope, rtol=0, atol=1e-7)
    assert len(equation.symmetries()) == count


def test_gradient_flows_are_known():
    verdicts = {name: is_gradient_flow(parts_of(model)[0]) for name, (model, _) in SYSTEMS.items()}
    assert {name for name, verdict in verdicts.items() if verdict} == {"usa", "axial", "heads"}


@pytest.mark.parametrize("name", ["sa", "axial", "spectral"])
def test_petsc_and_its_dense_twin_agree(name):
    pytest.importorskip("petsc4py")
    model, _ = SYSTEMS[name]
    guess = fp.initial.von_mises_fisher([0.2, 0, 1] if name != "spectral" else [1, 0, 0], 2.0)
    found = [solve(model, guess, lmax=13, solver=solver) for solver in ("petsc", "numpy")]
    np.testing.assert_allclose(found[0].density.coefficients, found[1].density.coefficients, rtol=0, atol=1e-11)
    assert found[0].reason.startswith("CONVERGED") and found[0].linear_iterations > found[0].iterations
    assert max(state.residual for state in found) < 1e-11


def self_consistent(beta, nu, kind, d=3, kappa=3.0):
    """(angles' quadrature nodes t, weights, ρ): ρ ∝ e^{Φ/ν} around an axis, Φ = β⁻¹M (usa) or β⁻¹log M (sa).

    The zero of the flux ρ∇Φ - ν∇ρ; a damped fixed point in one dimension.
    """
    if d == 3:
        t, w = roots_legendre(200)
        ell = np.arange(60)[:, None]
        waves, angular = (2 * ell + 1) * spherical_in(ell, beta), eval_legendre(ell, t)
        w = w / 2
    else:
        angle = 2 * np.pi * np.arange(200) / 200
        t, w, m = angle, np.full(200, 1 / 200), np.arange(60)[:, None]
        waves, angular = np.where(m == 0, 1, 2) * iv(m, beta), np.cos(m * angle)
    rho = np.exp(kappa * (t if d == 3 else np.cos(t)))
    for _ in range(4000):
        rho = rho / (w @ rho)
        potential = (waves * (angular @ (w * rho))[:, None] * angular).sum(0)
        new = np.exp((potential - potential.max()) / (beta * nu)) if kind == "usa" else potential ** (1 / (beta * nu))
        new = new / (w @ new)
        if np.abs(new - rho).max() < 1e-14 * new.max():
            break
        rho = 0.5 * (rho + new)
    return t, w, new


@pytest.mark.parametrize(
    ("beta", "nu", "kind", "d"), [(1.0, 0.3, "usa", 3), (2.0, 0.2, "sa", 3), (1.0, 0.45, "usa", 2)]
)
def test_axisymmetric_states_solve_the_one_dimensional_problem(beta, nu, kind, d):
    t, w, rho = self_consistent(beta, nu, kind, d)
    axis = np.array([1.0, 2.0, 2.0])[:d] / np.linalg.norm([1.0, 2.0, 2.0][:d])
    guess = fp.initial.von_mises_fisher(axis, 1.5)
    state = solve(M.NoisyTransformer(beta, nu, kind), guess, lmax=25, solver=SOLVER)
    mean = w @ (rho * (t if d == 3 else np.cos(t)))
    np.testing.assert_allclose(state.density.mean, mean * axis, rtol=0, atol=1e-11)
    degree = np.arange(9)[:, None]
    angular = eval_legendre(degree, t) if d == 3 else np.cos(degree * t)
    moments = (angular @ (w * rho)) ** 2 * ((2 * degree[:, 0] + 1) / (4 * np.pi) if d == 3 else 1 / np.pi)
    power = state.density.geometry.power(state.density.coefficients)[:9]
    np.testing.assert_allclose(power[1:], moments[1:], rtol=0, atol=1e-11)
    assert state.rotations == d - 1


def test_a_run_stays_at_the_state():
    """Strang splitting moves it by O(dt²): extrapolated from two steps the mean stays to 1e-6."""
    model = M.NoisyTransformer(1.0, 0.28)
    state = solve(model, fp.initial.von_mises_fisher([0, 0, 1], 2.0), lmax=13, solver=SOLVER)
    start, ends = fp.Density(state.density.coefficients, 1e-9), []
    for dt in (0.1, 0.05):
        *_, (_, end) = fp.run(model, start, QUIET, t_end=3.0, dt=dt)
        ends.append(np.linalg.norm(end.mean))
    mean = np.linalg.norm(state.density.mean)
    assert abs(ends[1] - mean) > 1e-5
    assert abs((4 * ends[1] - ends[0]) / 3 - mean) < 1e-6


def test_a_long_run_from_elsewhere_ends_at_the_stable_state():
    model = M.NoisyTransformer(1.0, 0.28)
    state = solve(model, fp.initial.von_mises_fisher([0, 0, 1], 2.0), lmax=15, solver=SOLVER)
    start = fp.Density.from_law(fp.initial.von_mises_fisher([0, 0, 1], 0.5), lmax=15, rtol=1e-7)
    states = [s for _, s in fp.run(model, start, QUIET, t_end=20.0, dt=0.1)]
    assert np.abs(states[-1].mean - state.density.mean).max() < 5e-3  # the splitting's error at dt = 0.1
    assert (np.diff([free_energy(s, 1.0, 0.28) for s in states[:80]]) < 0).all()
    assert dissipation(model, state.density) < 1e-8


def free_energy_rate(model, density):
    """dF/dt, F the free energy of USA, by a central difference of F along ∂_tρ; and that by the dissipation."""
    equation = Family(model, "diffusion", 3, density.lmax).equation(model.diffusion)
    rate, h = equation.coefficients(equation.rate(equation.unknowns(density.coefficients)), mass=0.0), 1e-4
    sides = [fp.Density(density.coefficients + sign * h * rate, 1e-8) for sign in (1, -1)]
    above, below = (free_energy(side, model.beta, model.diffusion) for side in sides)
    return (above - below) / (2 * h), dissipation(model, density)


def test_the_free_energy_falls_along_usa_and_not_along_sa():
    """dF/dt = -∫|v - ν∇log ρ|²dμ for USA. SA's stable state is no minimum of F, which rises on the way back to it."""
    rate, lost = free_energy_rate(M.NoisyTransformer(2.0, 0.4), two_bumps(19))
    assert rate == pytest.approx(-lost, rel=1e-6) and lost > 0.01
    model = M.NoisyTransformer(2.0, 0.2, "sa")
    state = solve(model, fp.initial.von_mises_fisher([0, 0, 1], 2.0), lmax=15, solver=SOLVER)
    shift = 0.005 * np.eye(1, len(state.density.coefficients), 1)[0]
    rates = [free_energy_rate(model, fp.Density(state.density.coefficients + s * shift, 1e-8))[0] for s in (1, -1)]
    assert min(rates) > 5e-4


def test_no_symmetry_three_rotations_and_no_rotation_at_the_uniform_state():
    """The tetrahedral branch (xyz, degree 3) is moved by every rotation, the uniform state by none."""
    model = M.NoisyTransformer(3.0, M.NoisyTransformer(3.0, 1.0).threshold(3))
    mode = np.zeros(12**2 - 1)
    mode[9] = 1.0  # ℓ = 3, m = -2
    uniform = fp.Density.from_law(fp.initial.uniform(), lmax=11, rtol=1e-8)
    state = branch_off(model, mode, amplitude=0.02, at=uniform, solver=SOLVER)
    assert state.rotations == 3 and np.linalg.norm(state.density.mean) < 1e-10
    assert solve(M.NoisyTransformer(1.0, 0.5), uniform, solver=SOLVER).rotations == 0


def test_rotating_waves_are_refused_with_their_speed():
    """V = I + J/2: clusters off the axis turn, here at 0.43 per unit time, as a run does (0.4297, dt = 0.2)."""
    model, _ = SYSTEMS["turning"]
    with pytest.raises(DivergedError, match=r"rotates at 0\.43 rad.*fp\.solve"):
        solve(model, fp.initial.von_mises_fisher([1, 0, 0], 1.5), lmax=11, solver=SOLVER)
    state = solve(model, fp.initial.von_mises_fisher([0, 0, 1], 1.5), lmax=11, solver=SOLVER)
    assert state.residual < 1e-12 and state.density.mean[2] > 0.6


def test_a_failure_near_a_rotating_wave_says_so():
    """V = I + 0.7 J, a guess off the equator: Newton's method creeps, the wave beside it turns at 0.583."""
    model = M.SelfAttention(2.0, value=np.diag([1.0, 1.0, 1.0]) + 0.7 * TURN, diffusion=0.1)
    guess = fp.initial.von_mises_fisher([1, 0, 0.1], 2.0)
    with pytest.raises(DivergedError, match=r"DIVERGED.* near a wave that rotates at 0\.58.*fp\.solve"):
        solve(model, guess, lmax=15, max_iterations=30, solver=SOLVER)


def test_the_result_of_a_run_is_a_guess():
    model = M.NoisyTransformer(1.0, 0.28)
    law = fp.initial.von_mises_fisher([0, 0, 1], 1.0)
    relaxed = fp.solve(model, law, t_end=8.0, dt=0.4, lmax=15)
    state = solve(model, relaxed, lmax=13, solver=SOLVER)
    known = solve(model, fp.initial.von_mises_fisher([0, 0, 1], 2.0), lmax=13, solver=SOLVER)
    assert state.density.mean[2] == pytest.approx(known.density.mean[2], abs=1e-10)
    with pytest.raises(InputError, match=r"^guess = .*without moments"):
        solve(model, relaxed.drop_vars("moments"), solver=SOLVER)
    with pytest.raises(DivergedError, match=r"what fp\.solve returns"):
        solve(M.NoisyTransformer(2.0, 0.2), law, lmax=11, max_iterations=2, solver=SOLVER)


@pytest.mark.parametrize(
    "options", ["-snes_stol 10", "-snes_convergence_test skip -snes_max_it 1", "-snes_atol 1", "-snes_rtol 0.9"]
)
def test_what_is_no_solution_is_not_returned(options):
    pytest.importorskip("petsc4py")
    model, guess = M.NoisyTransformer(2.0, 0.3), fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    with pytest.raises(DivergedError, match="short of the tolerance 1e-12 with residual 0"):
        solve(model, guess, lmax=11, petsc_options=options)


@pytest.mark.parametrize("options", ["-snes_type nosuch", "-snes_type newtontr", "-ksp_rtol abc", "-pc_type lu"])
def test_options_that_petsc_refuses_are_named(options):
    pytest.importorskip("petsc4py")
    model, guess = M.NoisyTransformer(1.0, 0.3), fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    with pytest.raises(InputError, match=f"^petsc_options = '{options}': PETSc says"):
        solve(model, guess, lmax=9, petsc_options=options)


def test_failures_are_errors_that_name_the_reason():
    model = M.NoisyTransformer(2.0, 0.2)
    guess = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    with pytest.raises(DivergedError, match=r"DIVERGED_MAX_IT with residual 0.* fp.solve"):
        solve(model, guess, lmax=11, max_iterations=2, solver=SOLVER)
    with pytest.warns(UnderResolvedWarning, match="raise lmax"):
        solve(M.NoisyTransformer(1.0, 0.22), fp.initial.von_mises_fisher([0, 0, 1], 5.0), lmax=11, solver=SOLVER)


def test_options_reach_petsc(capfd):
    pytest.importorskip("petsc4py")
    guess = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    options = "-snes_monitor -ksp_rtol 1e-3"
    loose = solve(M.NoisyTransformer(1.0, 0.3), guess, lmax=13, petsc_options=options)
    assert "0 SNES Function norm" in capfd.readouterr().out
    tight = solve(M.NoisyTransformer(1.0, 0.3), guess, lmax=13)
    assert loose.linear_iterations / loose.iterations < tight.linear_iterations / tight.iterations
    with pytest.raises(InputError, match=r"not used.*-snes_mnitor"):
        solve(M.NoisyTransformer(1.0, 0.3), guess, lmax=11, petsc_options="-snes_mnitor")


def test_bad_input_is_named():
    guess = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    cases = [
        (lambda: solve(M.NoisyTransformer(1.0, 0.0), guess), "^diffusion = 0"),
        (lambda: solve(M.LowTemperatureLimit(diffusion=0.1), guess), "^model = 'LowTemperatureLimit'.*MultiHead"),
        (lambda: solve(M.NoisyTransformer(1.0, 0.2), 3.0), "^guess = 3"),
        (lambda: solve(M.NoisyTransformer(1.0, 0.2), guess, tolerance=1), "^settings = 'tolerance'"),
        (lambda: solve(M.NoisyTransformer(1.0, 0.2), guess, solver="snes"), "^solver = 'snes'"),
        (lambda: solve(M.NoisyTransformer(1.0, 0.2), guess, atol=10.0), "^atol = 10"),
        (lambda: solve(M.NoisyTransformer(1.0, 0.2), guess, rtol=0.1), "^rtol = 0.1"),
        (
            lambda: solve(M.NoisyTransformer(1.0, 0.2), guess, solver="numpy", petsc_options="-snes_monitor"),
            "^petsc_options = '-snes_monitor': solver='numpy'",
        ),
        (lambda: solve(M.NoisyTransformer(1.0, 0.2), guess, lmax=2), "^lmax = 2"),
        (lambda: solve(M.NoisyTransformer(1.0, 0.2), guess, lmax=7.5), "^lmax = 7.5"),
        (lambda: solve(M.SelfAttention(30.0, 1.0, AXIAL, 0.2), guess), "^lmax = 23.*degree 47"),
        (lambda: solve(M.SelfAttention(30.0, 1.0, AXIAL, 0.2), guess, lmax=47), "^beta = 30.*number for A"),
        (lambda: solve(M.NoisyTransformer(1.0, 0.2), fp.initial.uniform(4)), "^d = 4"),
    ]
    for call, message in cases:
        with pytest.raises(InputError, match=message):
            call()


def test_the_twin_says_when_it_fails():
    class Rootless:
        start = np.array([1.0])

        def residual(self, y):
            return 1 + y**2

        def linearised(self, y):
            return 1 + y**2, lambda w: 2 * y * w

    assert not newton_numpy(Rootless(), rtol=0.0, atol=1e-12, max_iterations=50).converged
