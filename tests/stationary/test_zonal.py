"""Stationary states about an axis in every dimension: against S², ρ ∝ exp(M/(βν)), bends of branches, β_*(d)."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve import models as M
from fpsolve.errors import InputError
from fpsolve.stationary import branch_off, continuation, solve, stability, uniform_stability
from fpsolve.validate.zonal import bend, measured_bend

NUMPY = {"solver": "numpy"}


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize(("kind", "nu"), [("usa", 0.3), ("sa", 0.15)])
def test_as_on_s2_and_s1(d, kind, nu):
    """The same state; its eigenvalues are among those of all perturbations."""
    model, law = M.NoisyTransformer(2.0, nu, kind), fp.initial.axial(d, 2.0)
    theirs = solve(model, law, lmax=19, **NUMPY)
    mine = solve(model, law, lmax=19, measure="zonal", **NUMPY)
    assert mine.density.axis_mean == pytest.approx(theirs.density.mean[-1], abs=1e-11) and mine.rate < 1e-10
    every = stability(theirs, count=60).eigenvalues.real
    for value in stability(mine, count=3).eigenvalues.real:
        assert np.abs(every - value).min() < 1e-8


NEAR = [(5, 1.0, 0.8), (64, 0.8, 0.995), (512, 0.8, 0.9995), (512, 100.0, 0.998)]


@pytest.mark.parametrize(("d", "beta", "part"), NEAR)
@pytest.mark.parametrize("kind", ["usa", "sa"])
def test_states_are_exponentials_of_their_potential(d, beta, part, kind):
    """log ρ - M/(βν), or log M/(βν), is the same everywhere; the model's own steps leave the state as it is."""
    if kind == "usa" and beta > 2:
        return  # beyond β_* there is none nearby
    nu = part * float(fp.theory.critical_diffusion(beta, d, kind))
    model, amplitude = M.NoisyTransformer(beta, nu, kind), np.sqrt((1 - part) / bend(beta, d, kind))
    state = solve(model, fp.initial.axial(d, amplitude * np.sqrt(d)), lmax=39, measure="zonal", **NUMPY)
    density, grid = state.density, state.density.grid
    assert density.axis_mean == pytest.approx(amplitude / np.sqrt(d), rel=0.5)
    log_m = density.source.F_sphere(beta, grid)[0]
    potential = (np.exp(log_m) if kind == "usa" else log_m) / (beta * nu)
    seen = density.masses > 1e-4 * density.masses.max()
    constant = np.log(density.values[seen]) - potential[seen]
    assert seen.sum() > 6 and np.ptp(constant) < 1e-7, (amplitude, density.tail, np.ptp(constant))
    *_, (_, after) = fp.run(model, density, fp.BrownianPath(0), t_end=1e-3 / (nu * d), dt=1e-4 / (nu * d))
    assert abs(after.axis_mean - density.axis_mean) < 1e-7


@pytest.mark.parametrize("d", [2, 3, 8, 64, 512])
def test_sa_bends_to_lower_noise_at_every_beta_and_usa_changes_at_its_beta(d):
    """SA is continuous for every β and d; USA on one side of β_*(d) only."""
    for beta in (0.3, 1.0, 4.0, 30.0, 300.0):
        exact = bend(beta, d, "sa")
        assert exact > 0 and measured_bend(beta, d, "sa") == pytest.approx(exact, rel=5e-3)
    switch = float(fp.theory.transition_beta(d))
    for factor in (0.9, 1.1):
        found = measured_bend(factor * switch, d, "usa")
        assert found == pytest.approx(bend(factor * switch, d, "usa"), abs=1e-3 / d) and (found > 0) == (factor < 1)
    assert bend(switch, d, "usa") == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("d", [3, 8])
def test_a_discontinuous_branch(d):
    """USA above β_*: it leaves at the threshold towards larger ν, unstable, folds, and is stable from there."""
    beta = 1.3 * float(fp.theory.transition_beta(d))
    start = branch_off(M.NoisyTransformer(beta, 1.0), 1, amplitude=0.08, lmax=27, d=d, measure="zonal", **NUMPY)
    threshold = float(fp.theory.critical_diffusion(beta, d))
    goal = 0.97 * threshold
    ds = continuation(start.model, start, to=goal, away_from=fp.initial.uniform(d), max_points=150, **NUMPY)
    assert ds.event.values.tolist() == ["branch point", "fold"] and ds.ended == "to"
    assert ds.event_diffusion.values[0] == pytest.approx(threshold, rel=1e-8)
    assert ds.event_diffusion.values[1] > threshold and ds.unstable.values[[0, -1]].tolist() == [1, 0]


@pytest.mark.parametrize("d", [2, 3, 8, 512, 10_000])
def test_the_uniform_state_against_all_perturbations(d):
    ell = np.arange(1, 9)
    for kind, cls in (("sa", M.SelfAttention), ("usa", M.UnnormalisedSelfAttention)):
        for beta in (0.0, 2.0, 30.0):
            found = uniform_stability(cls(beta, diffusion=0.001), d, degrees=8)
            exact = fp.theory.uniform_growth_rate(ell, beta, kind, d, 0.001)
            assert found.rate.values == pytest.approx(exact, rel=1e-10, abs=1e-9)
    assert uniform_stability(M.SelfAttention(5.0), 2).fastest_degree == 3  # arXiv:2410.23228, figure 4


@pytest.mark.parametrize("d", [3, 8, 512])
def test_repulsion_and_several_heads_at_the_uniform_state(d):
    """A = aI, V = bI of either sign, against the linearisation within laws about an axis."""
    for model in (
        M.SelfAttention(3.0, value=-0.7, key_query=-1.2, diffusion=0.01),
        M.MultiHead(2.0, (1.0, -0.5), (1.0, -2.0), diffusion=0.02),
        M.UnnormalisedSelfAttention(1.0, value=-1.0, diffusion=0.01),
    ):
        exact = np.sort(uniform_stability(model, d, degrees=15).rate.values)[::-1]
        uniform = fp.ZonalDensity.from_law(fp.initial.uniform(d), lmax=15, rtol=1e-8)
        assert stability(model, uniform, count=15).eigenvalues.real == pytest.approx(exact, rel=1e-9, abs=1e-9)


def test_guesses_and_refusals():
    model = M.NoisyTransformer(1.0, 0.1)
    ds = fp.solve(model, fp.initial.axial(8, 4.0), measure="zonal", t_end=2.0, dt=0.1, moments_lmax=15)
    state = solve(model, ds, **NUMPY)
    again = solve(model, state.density, **NUMPY)
    assert state.density.name == "zonal" and again.density.axis_mean == pytest.approx(state.density.axis_mean)
    with pytest.raises(InputError, match=r"^d = 8.*zonal"):
        solve(model, fp.initial.axial(8, 4.0))
    with pytest.raises(InputError, match=r"^measure = 'cloud'"):
        solve(model, fp.initial.axial(8, 4.0), measure="cloud")
    with pytest.raises(InputError, match=r"^measure = 'density': the guess is a zonal"):
        solve(model, state.density, measure="density")
    with pytest.raises(InputError, match=r"^value = .*no multiple of I"):
        solve(M.SelfAttention(2.0, np.diag([1.0, 2.0, 1.0]), diffusion=0.1), fp.initial.uniform(), measure="zonal")
    with pytest.raises(InputError, match=r"^value = .*no multiple"):
        uniform_stability(M.SelfAttention(2.0, np.diag([1.0, 2.0, 1.0])))
