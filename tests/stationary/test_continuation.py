"""Branches: thresholds, the switch from continuous to discontinuous transitions, folds, energies that rank states."""

from importlib.util import find_spec

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq
from scipy.special import ive, roots_gegenbauer, spherical_in

import fpsolve as fp
from fpsolve.errors import DivergedError, InputError, UnderResolvedWarning
from fpsolve.observe.free_energy import free_energy
from fpsolve.plot import branches
from fpsolve.stationary.arclength import continuation
from fpsolve.stationary.branching import branch_off
from fpsolve.stationary.eigenvalues import Stability, stability
from fpsolve.stationary.events import events_between
from fpsolve.stationary.points import Point
from fpsolve.stationary.real_basis import from_real
from fpsolve.stationary.state import solve
from fpsolve.theory import attention_multiplier, critical_beta, critical_diffusion, transition_beta

SOLVER = "petsc" if find_spec("petsc4py") else "numpy"
Noisy = fp.models.NoisyTransformer
UNIFORM = fp.initial.uniform()


@pytest.mark.parametrize("kind", ["usa", "sa"])
def test_the_uniform_branch_bifurcates_at_the_thresholds_in_nu(kind):
    """i_ℓ(β)/β = ν (USA), i_ℓ/(β i_0) = ν (SA), ℓ = 1..4, 2ℓ+1 modes at once."""
    beta, ell = 2.0, np.arange(1, 5)
    thresholds = spherical_in(ell, beta) / (beta * (spherical_in(0, beta) if kind == "sa" else 1))
    model = Noisy(beta, 1.5 * thresholds[0], kind)
    ds = continuation(model, UNIFORM, to=0.5 * thresholds[3], lmax=7, step=0.3, solver=SOLVER)
    np.testing.assert_allclose(ds.event_diffusion, thresholds, rtol=1e-9)
    assert ds.event_multiplicity.values.tolist() == [3, 5, 7, 9] and ds.event_degree.values.tolist() == [1, 2, 3, 4]
    assert set(ds.event.values) == {"branch point"} and ds.unstable.values[-1] == 24
    assert np.isnan(ds.free_energy).all() == (kind == "sa")


def test_the_uniform_branch_bifurcates_at_the_thresholds_in_beta():
    """i_ℓ(β)/β = ν at ν = 0.5: the last digits of Brent's method."""
    ds = continuation(Noisy(1.0, 0.5), UNIFORM, parameter="beta", to=4.8, lmax=7, step=0.3, solver=SOLVER)
    np.testing.assert_allclose(ds.event_beta, critical_beta(0.5, degree=np.arange(1, 4)), rtol=1e-7)
    assert ds.event_degree.values.tolist() == [1, 2, 3]


def curvature(beta, d=3, lmax=9):
    """(ν(ε) - ν_c)/ε² of the branch of degree 1 as ε → 0, from two amplitudes."""
    ratios = []
    for amplitude in (0.04, 0.02):
        state = branch_off(Noisy(beta, 1.0), 1, amplitude=amplitude, lmax=lmax, d=d, solver=SOLVER)
        ratios.append((state.model.diffusion - float(critical_diffusion(beta, d))) / amplitude**2)
    return (4 * ratios[1] - ratios[0]) / 3


def expected_curvature(beta, d=3):
    """-4 q |S^{d-1}|, the free energy being … + q c⁴, ρ = (1 + c Y_1 + …)/|S^{d-1}|, Y_1 of norm one in the mean."""
    t, w = roots_gegenbauer(20, d / 2 - 1)
    w, first = w / w.sum(), np.sqrt(d) * t
    second = t * t - 1 / d
    second /= np.sqrt(w @ second**2)
    nu = float(critical_diffusion(beta, d))
    room = nu - float(attention_multiplier(2, beta, d)) / beta
    quartic = nu * (w @ first**4 / 12 - nu * (w @ (first**2 * second)) ** 2 / (8 * room))
    return -4 * quartic * {2: 2 * np.pi, 3: 4 * np.pi}[d]


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_the_branch_bends_as_the_free_energys_quartic_says(beta):
    assert curvature(beta) == pytest.approx(expected_curvature(beta), rel=1e-4)


def test_the_transition_changes_its_kind_at_beta_star():
    """ν(ε) bends down below β_* (continuous) and up above; I_{5/2}(β_*)/I_{3/2}(β_*) = 1/3."""
    star = brentq(curvature, 1.5, 2.1, xtol=1e-7)
    assert star == pytest.approx(float(transition_beta(3)), abs=1e-4)
    assert ive(2.5, star) / ive(1.5, star) == pytest.approx(1 / 3, abs=1e-5)
    assert curvature(star - 0.1) < 0 < curvature(star + 0.1)


def test_the_circle_has_its_own_beta_star():
    star = float(transition_beta(2))
    assert curvature(star - 0.05, 2) < 0 < curvature(star + 0.05, 2)
    assert curvature(1.0, 2) == pytest.approx(expected_curvature(1.0, 2), rel=1e-3)


@pytest.fixture(scope="module")
def continuous():
    start = branch_off(Noisy(1.2, 1.0), 1, amplitude=0.03, lmax=13, solver=SOLVER)
    return continuation(start.model, start, to=0.8 * start.model.diffusion, away_from=UNIFORM, solver=SOLVER)


@pytest.fixture(scope="module")
def discontinuous():
    start = branch_off(Noisy(2.2, 1.0), 1, amplitude=0.03, lmax=15, solver=SOLVER)
    return continuation(start.model, start, to=0.97 * start.model.diffusion, away_from=UNIFORM, solver=SOLVER)


def test_below_beta_star_the_ordered_state_is_stable_from_the_threshold_on(continuous):
    ds = continuous
    assert ds.ended == "to" and ds.event.values.tolist() == ["branch point"]
    assert (np.diff(ds.diffusion) < 0).all() and (np.diff(ds.order_parameter) > 0).all()
    assert (ds.unstable == 0).all() and (ds.rotations == 2).all() and (ds.residual < 1e-10).all()
    assert ds.diffusion.values[-1] == pytest.approx(0.8 * ds.diffusion.values[0], rel=1e-12)


def test_above_beta_star_the_branch_folds_and_two_states_coexist(discontinuous):
    """From the threshold the branch goes to larger ν, unstable, turns at a fold and is stable from there."""
    ds, threshold = discontinuous, Noisy(2.2, 1.0).threshold()
    assert ds.event.values.tolist() == ["branch point", "fold"] and ds.event_multiplicity.values.tolist() == [3, 1]
    assert ds.event_change.values.tolist() == [0, -1]
    fold = float(ds.event_diffusion.values[1])
    assert threshold < ds.diffusion.values.max() <= fold * (1 + 1e-12)
    after = int(ds.event_after.values[1])
    assert (ds.unstable.values[: after + 1] == 1).all() and (ds.unstable.values[after + 1 :] == 0).all()
    mode, at = ds.event_mode.values[1, 1:], density(ds.event_coefficients.values[1])
    sides = [branch_off(Noisy(2.2, fold), mode, amplitude=e, at=at, solver=SOLVER) for e in (0.02, -0.02)]
    falls = [state.model.diffusion - fold for state in sides]  # ν is largest at the fold
    assert max(falls) < 0 and falls[0] == pytest.approx(falls[1], rel=0.3)


def density(real):
    """A row of ``coefficients`` as a density."""
    lmax = round(np.sqrt(len(real))) - 1
    return fp.Density(from_real(real, 3, lmax), 1e-8)


def test_free_energies_rank_the_states(discontinuous):
    """Where states coexist the unstable one lies highest; the stable ones change places between ν_c and the fold."""
    ds = discontinuous
    after, fold = int(ds.event_after.values[1]), float(ds.event_diffusion.values[1])
    threshold = Noisy(2.2, 1.0).threshold()
    uniform = fp.Density.from_law(UNIFORM, lmax=15, rtol=1e-8)
    gaps = []
    for share in (0.1, 0.9):
        model = Noisy(2.2, threshold + share * (fold - threshold))
        found = [state_at(model.diffusion, ds, part) for part in (slice(0, after + 1), slice(after + 1, None))]
        assert [stability(state).unstable for state in found] == [1, 0]
        middle, ordered = (free_energy(state.density, 2.2, model.diffusion) for state in found)
        disordered = free_energy(uniform, 2.2, model.diffusion)
        assert middle > max(ordered, disordered)
        gaps.append(ordered - disordered)
    assert gaps[0] < 0 < gaps[1]


def state_at(nu, ds, part):
    """The state of one part of a branch at ν, from the nearest point of it."""
    points = ds.isel(point=part)
    nearest = int(np.abs(points.diffusion.values - nu).argmin())
    guess = density(points.coefficients.values[nearest])
    return solve(Noisy(2.2, nu), guess, solver=SOLVER)


def test_the_recorded_energies_and_order_are_those_of_the_states(continuous):
    ds, last = continuous, density(continuous.coefficients.values[-1])
    assert float(ds.order_parameter[-1]) == pytest.approx(np.linalg.norm(last.mean), rel=1e-12)
    assert float(ds.free_energy[-1]) == pytest.approx(free_energy(last, 1.2, float(ds.diffusion[-1])), rel=1e-12)
    assert float(ds.amplitude.sel(degree=1)[-1]) == pytest.approx(np.sqrt(3 / (4 * np.pi)) * ds.order_parameter[-1])
    slopes = np.diff(ds.free_energy) / np.diff(ds.diffusion)  # dF/dν = ∫ρ log ρ along a branch
    between = -(ds.entropy.values[1:] + ds.entropy.values[:-1]) / 2
    np.testing.assert_allclose(slopes, between, rtol=5e-3)


@pytest.fixture(scope="module")
def downwards():
    """From the ordered state at ν = 0.52 towards larger ν: fold, uniform state, mirror image."""
    state = solve(Noisy(2.2, 0.52), fp.initial.von_mises_fisher([0, 0, 1], 3.0), lmax=15, solver=SOLVER)
    return continuation(state.model, state, to=0.6, solver=SOLVER)


def test_chords_are_the_branch(discontinuous, downwards):
    """Two runs with other points draw one curve: ν between the points agrees to 2e-4 of a width of 0.02."""
    first = slice(0, int(downwards.event_after.values[1]) + 1)  # before the mirror image
    order, nu = (downwards[name].values[first] for name in ("order_parameter", "diffusion"))
    order, nu = order[order > 0.1], nu[order > 0.1]
    assert len(order) > 6
    expected = np.interp(order, discontinuous.order_parameter.values, discontinuous.diffusion.values)
    np.testing.assert_allclose(nu, expected, rtol=0, atol=2e-4)


def test_a_branch_through_the_uniform_state_ends_at_its_mirror_image(downwards):
    ds = downwards
    assert ds.ended == "retraced" and ds.event.values.tolist() == ["fold", "branch point"]
    assert ds.event_multiplicity.values.tolist() == [1, 3] and ds.event_degree.values[1] == 1
    assert float(ds.event_diffusion[1]) == pytest.approx(Noisy(2.2, 1.0).threshold(), rel=1e-10)
    assert float(ds.event_order_parameter[1]) == 0
    behind = ds.diffusion.values[int(ds.event_after.values[1]) + 1 :]
    assert len(behind) < 8 and (np.diff(behind) > 0).all()
    further = continuation(Noisy(2.2, 0.52), density(ds.coefficients.values[0]), to=0.6, retrace=True, modes=0,
                           max_points=ds.sizes["point"] + 3, solver=SOLVER)  # fmt: skip
    assert further.ended == "max_points"


def test_no_step_ends_at_the_uniform_state_itself():
    """A step as long as the way there is shortened; the branch point is found all the same."""
    start = branch_off(Noisy(2.2, 1.0), 1, amplitude=0.01, lmax=9, solver=SOLVER)
    ds = continuation(start.model, start, to=0.4, step=0.01005, max_points=4, solver=SOLVER)
    assert np.linalg.norm(ds.coefficients.values[:, 1:], axis=1).min() > 0.0009
    assert ds.event.values.tolist() == ["branch point"] and ds.event_multiplicity.values.tolist() == [3]


def test_all_modes_of_the_degree_are_neutral_where_degree_two_crosses():
    start = branch_off(Noisy(3.0, 1.0), 2, amplitude=0.05, lmax=9, solver=SOLVER)
    threshold = Noisy(3.0, 1.0).threshold(2)
    ds = continuation(start.model, start, to=1.5 * threshold - 0.5 * start.model.diffusion, solver=SOLVER)
    assert ds.event.values.tolist() == ["branch point"] and ds.event_multiplicity.values.tolist() == [5]
    assert float(ds.event_diffusion[0]) == pytest.approx(threshold, rel=1e-10)
    assert ds.ended == "to" and ds.event_degree.values[0] == 2


class Crossing:
    """A made-up branch: eigenvalues s - 0.3 along e_1 and 0.6 - s along e_2, the states far from uniform."""

    def corrected(self, y, row):
        values, modes = np.array([y[-1] - 0.3, 0.6 - y[-1], -5.0]), np.eye(3, dtype=complex)
        order = np.argsort(-values)
        spectrum = Stability(values[order] + 0j, modes[order], order + 1, 0, 0.0, int(np.sum(values > 0)))
        return Point(y, np.array([0.0, 0.0, 0.0, 1.0]), None, spectrum)


def test_opposite_crossings_in_one_step_are_both_found():
    branch = Crossing()
    a, b = (branch.corrected(np.array([1.0, 1.0, 1.0, s]), None) for s in (0.0, 1.0))
    assert a.spectrum.unstable == b.spectrum.unstable == 1
    found = events_between(branch, a, b, 4)
    assert [event.change for event in found] == [1, -1] and [event.degree for event in found] == [1, 2]
    np.testing.assert_allclose([event.share for event in found], [0.3, 0.6], atol=1e-9)


def test_a_tangent_that_is_not_found_is_an_error(monkeypatch):
    from fpsolve.stationary import points

    start = branch_off(Noisy(1.2, 1.0), 1, amplitude=0.03, lmax=7, solver=SOLVER)
    monkeypatch.setattr(points, "gmres", lambda matrix, b, **settings: (np.ones_like(b), 1))
    with pytest.raises(DivergedError, match="tangent"):
        continuation(start.model, start, to=0.3, solver=SOLVER)


def test_degree_two_branches_on_both_sides():
    """A transcritical crossing: prolate and oblate states lie on either side of the threshold."""
    shifts = []
    for amplitude in (0.01, -0.01):
        state = branch_off(Noisy(3.0, 1.0), 2, amplitude=amplitude, lmax=9, solver=SOLVER)
        shifts.append(state.model.diffusion - Noisy(3.0, 1.0).threshold(2))
    assert shifts[0] * shifts[1] < 0 and shifts[0] + shifts[1] == pytest.approx(0, abs=0.1 * abs(shifts[0]))


def test_anisotropic_weights_have_branches_without_rotations():
    model = fp.models.SpectralSelection(2.0, np.diag([1.0, 0.2, 0.3]), 0.25)
    ds = continuation(model, fp.initial.von_mises_fisher([1, 0, 0], 2.0), to=0.2, lmax=11, step=0.2, solver=SOLVER)
    assert ds.ended == "to" and (ds.rotations == 0).all() and np.isnan(ds.free_energy).all()
    model = fp.models.SpectralSelection(2.0, np.diag([1.0, 0.2, 0.3]), 0.2)
    again = solve(model, density(ds.coefficients.values[-2]), solver=SOLVER)
    assert float(ds.order_parameter[-1]) == pytest.approx(np.linalg.norm(again.density.mean), abs=1e-9)


def test_a_branch_that_cannot_go_on_keeps_what_it_has():
    start = branch_off(Noisy(2.2, 1.0), 1, amplitude=0.03, lmax=7, solver=SOLVER)
    with pytest.raises(DivergedError, match="least density") as failed:
        continuation(start.model, start, to=0.05, away_from=UNIFORM, modes=0, solver=SOLVER)
    kept = failed.value.branch
    assert isinstance(kept, xr.Dataset) and kept.sizes["point"] > 3 and "unstable" not in kept
    with pytest.warns(UnderResolvedWarning, match="diffusion = "):
        ds = continuation(start.model, start, to=0.4, away_from=UNIFORM, modes=0, max_points=5, solver=SOLVER)
    assert ds.ended == "max_points" and ds.sizes["point"] == 5


def test_the_plot_shows_stability_and_folds(continuous, discontinuous):
    figure = branches([continuous, discontinuous], labels=["1.2", "2.2"])
    lines = figure.axes[0].lines
    assert {"-", "--"} <= {line.get_linestyle() for line in lines}
    assert max(line.get_xdata().max() for line in lines) == pytest.approx(float(discontinuous.event_diffusion[1]))
    squares = [line for line in lines if line.get_marker() == "s"]
    assert len(squares) == 1 and squares[0].get_xdata()[0] == pytest.approx(float(discontinuous.event_diffusion[1]))
    starts = [(line.get_xdata()[0], line.get_ydata()[0]) for line in lines if line.get_marker() == "None"]
    for beta in (1.2, 2.2):  # both branches are drawn from the uniform state at its threshold
        assert any(x == pytest.approx(Noisy(beta, 1.0).threshold(), rel=1e-9) and y < 1e-12 for x, y in starts)
    assert figure.axes[0].get_xlabel() == "diffusion ν"
    assert branches(continuous, "free_energy").axes[0].get_ylabel().startswith("ν∫ρ log ρ")
    for arguments, name in (((continuous, "height"), "quantity"), (([continuous, xr.Dataset()],), "datasets")):
        with pytest.raises(InputError, match=f"^{name} = "):
            branches(*arguments)
    with pytest.raises(InputError, match=r"^labels = "):
        branches([continuous], labels=["a", "b"])


def test_bad_input_is_named():
    cases = [
        (lambda: continuation(Noisy(1.0, 0.5), UNIFORM, parameter="kind", to=1.0), "^parameter = 'kind'"),
        (lambda: continuation(Noisy(1.0, 0.5), UNIFORM, to=0.5, lmax=7, solver=SOLVER), "^to = 0.5"),
        (lambda: continuation(Noisy(1.0, 0.5), UNIFORM, to=-1.0), "^to = -1"),
        (lambda: continuation(Noisy(1.0, 0.5), UNIFORM, to=1.0, step=0.0), "^step = 0"),
        (lambda: branch_off(Noisy(1.0, 0.5), 0, lmax=7), "^direction = 0"),
        (lambda: branch_off(Noisy(1.0, 0.5), 9, lmax=7), "^direction = 9"),
        (lambda: branch_off(Noisy(1.0, 0.5), np.ones(3), lmax=7), "^direction = "),
        (lambda: continuation(Noisy(1.0, 0.5), UNIFORM, to=1.0, away_from=UNIFORM, solver=SOLVER), "^away_from"),
    ]
    for call, message in cases:
        with pytest.raises(InputError, match=message):
            call()
