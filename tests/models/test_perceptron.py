"""The perceptron drift: gradient of its potential, stationary states in closed form, energies that grow, atoms."""

import numpy as np
import pytest
from scipy.special import erf

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.models import NoisyTransformer, PerceptronDrift, RandomQuadraticForm, UnnormalisedSelfAttention
from fpsolve.observe.free_energy import dissipation, interaction_energy

W = [[0.3, -0.4, 1.0], [1.0, 0.5, 0.2], [-0.7, 0.6, 0.4]]
LAW = fp.initial.von_mises_fisher([0.0, 0.6, 0.8], 1.0)
FAST = {"dt": 0.02, "lmax": 31, "rtol": 1e-8}


def block(**settings):
    return PerceptronDrift(W, **{"output": [1.0, -0.5, 0.8], "bias": [0.1, 0.0, -0.3], "activation": "tanh"} | settings)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "sigmoid", (0.2, 0.5, -0.3), np.cos])
def test_the_drift_is_the_gradient_of_the_potential(activation):
    """Central differences of U at random points; Φ of ReLU, tanh and erf in closed form."""
    model = block(activation=activation)
    x = np.random.default_rng(1).normal(size=(40, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    h = 1e-5
    gradient = [(model.potential(x + h * e) - model.potential(x - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(model.outer_field(x), np.stack(gradient, -1), atol=1e-8)
    z = x @ np.array(W).T + [0.1, 0.0, -0.3]
    closed = {
        "relu": 0.5 * np.maximum(z, 0) ** 2, "tanh": np.log(np.cosh(z)),
        "erf": z * erf(z) + (np.exp(-(z**2)) - 1) / np.sqrt(np.pi),
    }  # fmt: skip
    for name, phi in closed.items():
        exact = phi @ [1.0, -0.5, 0.8]
        np.testing.assert_allclose(block(activation=name).potential(x), exact, atol=1e-13)


def test_vectors_of_the_second_layer():
    rows = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 0.5], [0.3, 0.3, 0.3]])
    x = np.eye(3)
    expected = np.tanh(x @ np.array(W).T + [0.1, 0.0, -0.3]) @ rows
    np.testing.assert_allclose(block(output=rows).outer_field(x), expected, atol=1e-15)
    assert block(output=rows).potential(x) is None
    same = [a * np.array(w) for a, w in zip([1.0, -0.5, 0.8], W, strict=True)]
    np.testing.assert_allclose(block(output=same).outer_field(x), block().outer_field(x), atol=1e-15)
    assert (block(output=rows) + block()).potential(x) is None


def stationary(model, **settings):
    return fp.stationary.solve(model, fp.initial.uniform(), lmax=19, solver="numpy", **settings)


def test_stationary_state_of_the_block_alone():
    """ρ ∝ e^{U/ν}."""
    model = block(diffusion=0.5)
    density = stationary(model).density
    exact = np.exp(model.potential(density.grid.x) / 0.5)
    exact /= np.sum(density.masses / density.values * exact)
    np.testing.assert_allclose(density.values, exact, atol=1e-8)


@pytest.mark.parametrize("kind", ["usa", "sa"])
def test_stationary_state_beside_attention(kind):
    """ν log ρ - U - M/β (usa) or - log M/β (sa) is constant; its leading eigenvalues are negative."""
    beta, nu = 1.5, 0.6
    attention = NoisyTransformer(beta, nu, kind)
    state = stationary(attention + block())
    density = state.density
    log_m, _ = density.source.F_sphere(beta, density.grid)
    heat = np.exp(log_m) if kind == "usa" else log_m
    first = nu * np.log(density.values) - block().potential(density.grid.x) - heat / beta
    assert np.ptp(first) < 1e-7
    assert state.rotations == 0
    assert fp.stationary.stability(state).is_stable
    assert np.abs(density.mean).max() > 0.05


def test_a_branch_beside_attention_in_nu():
    """Every state of a continuation solves the same equation, with the free energy of the whole flow."""
    model = UnnormalisedSelfAttention(1.0) + block(diffusion=0.8)
    state = stationary(model)
    ds = fp.stationary.continuation(model, state, to=0.6, solver="numpy", modes=0)
    last = stationary(model.changed(diffusion=float(ds.diffusion[-1])))
    assert float(ds.diffusion[-1]) == pytest.approx(0.6, abs=1e-3)
    assert float(ds.order_parameter[-1]) == pytest.approx(np.linalg.norm(last.density.mean), abs=1e-7)
    end = last.density
    potential = np.sum(end.masses * block().potential(end.grid.x))
    free = -0.6 * end.entropy - interaction_energy(end, 1.0) - potential
    assert float(ds.free_energy[-1]) == pytest.approx(free, abs=1e-6)


def test_the_energy_grows_at_the_rate_of_the_flow():
    """d/dt (energy + potential) = ∫|v|²dμ for ν = 0, energy and potential as the variables of a result."""
    model = UnnormalisedSelfAttention(1.0) + block()
    ds = fp.solve(model, LAW, t_end=0.04, **FAST)
    total = ds.energy + ds.potential
    start = fp.Density.from_law(LAW, lmax=31, rtol=1e-9)
    middle = [state for t, state in fp.run(model, start, fp.BrownianPath(1), t_end=0.02, dt=0.02)][-1]
    rate = float(total[2] - total[0]) / 0.04
    assert rate == pytest.approx(dissipation(model, middle), rel=1e-3)
    assert float(ds.potential[2] - ds.potential[0]) > 0.2 * rate * 0.04  # it has a part in it
    assert "potential" not in fp.solve(UnnormalisedSelfAttention(1.0), LAW, t_end=0.02, **FAST)


def test_tokens_end_in_atoms_at_critical_points():
    """The block alone carries 40 tokens to the maxima of U: few points, at which P_x∇U vanishes."""
    model = block(activation=(0.0, 1.0), bias=0.0, output=[3.0, -1.0, 2.0])  # U = ½ x'Bx: ± the top eigenvector
    tokens = fp.initial.samples(fp.initial.uniform(), 40, 5)
    ds = fp.solve(model, tokens, measure="cloud", t_end=10.0, dt=0.5, rtol=1e-9, save_points=True)
    B = np.array(W).T @ np.diag([3.0, -1.0, 2.0]) @ np.array(W)
    top = np.linalg.eigh(B)[1][:, -1]
    np.testing.assert_allclose(np.abs(ds.points.values[-1] @ top), 1, atol=1e-6)
    mixed = fp.solve(
        UnnormalisedSelfAttention(1.0) + block(), tokens, measure="cloud", t_end=20.0, dt=0.5, rtol=1e-9,
        save_points=True,
    )  # fmt: skip
    x = mixed.points.values[-1]
    assert len(np.unique(x.round(3), axis=0)) <= 3


@pytest.mark.parametrize(("made", "words"), [
    (lambda: PerceptronDrift([1.0, 2.0]), "weights"),
    (lambda: PerceptronDrift(W, output=[1.0, 2.0]), "output"),
    (lambda: PerceptronDrift(W, bias=[[1.0]]), "bias"),
    (lambda: PerceptronDrift(W, activation="rleu"), "activation"),
    (lambda: PerceptronDrift([[np.nan, 1.0]]), "weights"),
    (lambda: stationary(block(diffusion=0.1) + RandomQuadraticForm()), "common noise"),
    (lambda: fp.solve(block(), fp.initial.uniform(2), t_end=0.1, dt=0.1), "d = 3"),
])  # fmt: skip
def test_bad_arguments(made, words):
    with pytest.raises(InputError, match=words):
        made()
