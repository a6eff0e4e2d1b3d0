"""Synchronisation by noise: the kernel of the simulated field, drawn blocks in any d, decay of the interaction energy.

Statistical tests stay within 5 standard errors on fixed seeds: a false alarm has probability below 1e-5.
"""

from dataclasses import replace

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.source import PointSource
from fpsolve.config import parse_config
from fpsolve.errors import InputError
from fpsolve.models.synchronisation import SynchronisationByNoise
from fpsolve.noise.activation import dissipation_rate, dual_activation
from fpsolve.schemes import SCHEMES
from fpsolve.sphere.scattered import Points
from fpsolve.theory.overlap import isotropic_overlap

PATH = fp.BrownianPath(8, 0, 0.01)


def each_step_drawn(name):
    """The scheme with the weights of the model drawn before each step, as the loop does it."""
    scheme = SCHEMES[name]

    def step(model, measure, path, t0, t1):
        return scheme.step(model.drawn(path, t0, t1, measure.dimension), measure, path, t0, t1)

    return replace(scheme, step=step)


def drawn(d, **settings):
    return SynchronisationByNoise(beta=1.0, **settings).drawn(PATH, 0.0, 0.01, d)


def channel_fields(model, x):
    """s_k(x) for each channel at rows of x, shape (channels, n, d)."""
    source, sites = PointSource(x, np.full(len(x), 1 / len(x))), Points(x)
    return np.stack([model.noise_field(source, e).ambient(sites) for e in np.eye(model.channels(x.shape[1]))])


@pytest.mark.parametrize(
    ("activation", "error"),
    [("relu", 1e-4), ("tanh", 1e-6), ("erf", 1e-6), ("gelu", 1e-6), ("sigmoid", 1e-8), ((0.3, 1, 0.2), 1e-12)],
)
def test_kernel_in_harmonics(activation, error):
    """noise_lmax = 16 keeps the dual activation to the stated part; a field evaluated at points has that covariance."""
    model, t = SynchronisationByNoise(beta=1.0, activation=activation, noise_lmax=16), np.linspace(-1, 1, 41)
    assert np.abs(model.kernel()(t) - dual_activation(activation)(t)).max() < error
    assert (model.spectrum() >= 0).all()
    coarse = replace(model, noise_lmax=3, noise=0.7)
    x = fp.initial.simplex(2, -0.2, 3).x
    sites = fp.Cloud(x, np.full(2, 0.5)).sites
    source = PointSource(x, np.full(2, 0.5))
    s = np.stack([coarse.noise_field(source, e).ambient(sites) for e in np.eye(coarse.channels(3))])
    assert np.abs(np.einsum("ka,kb->ab", s[:, 0], s[:, 1]) - 0.49 * coarse.kernel()(-0.2) * np.eye(3)).max() < 1e-12


@pytest.mark.parametrize("d", [2, 3, 7])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_mean_covariance_of_drawn_blocks(d, activation):
    """The mean over 100,000 neurons of φ(w·x)φ(w·y) is the dual activation, whatever d is."""
    model = drawn(d, activation=activation, draws=100_000)
    x = fp.initial.simplex(2, -0.3, d).x
    values = model.model.dual.function(x @ model.weights.T)
    for i, j, t in ((0, 0, 1.0), (0, 1, -0.3)):
        products = values[i] * values[j]
        deviation = products.std() / np.sqrt(products.size)
        assert abs(products.mean() - dual_activation(activation)(t)) < 5 * deviation


@pytest.mark.parametrize("d", [2, 3, 6])
def test_channels_and_correction_of_a_drawn_block(d):
    """Covariance (ε²/width) Σ φφ I; correction -(ε²/4)∇_S of its diagonal, by differences in the tangent space."""
    model = drawn(d, activation="tanh", draws=5, noise=0.8)
    phi = np.tanh

    def covariance(x, y):
        return 0.64 / 5 * phi(model.weights @ x) @ phi(model.weights @ y)

    x = fp.initial.simplex(2, -0.3, d).x
    s = channel_fields(model, x)
    assert np.abs(np.einsum("ka,kb->ab", s[:, 0], s[:, 1]) - covariance(*x) * np.eye(d)).max() < 1e-14
    correction = model.correction_field(PointSource(x, np.full(2, 0.5))).on(Points(x[:1]))[0]
    h = 1e-4
    for e in np.linalg.svd(x[:1])[2][1:]:
        ahead, behind = np.cos(h) * x[0] + np.sin(h) * e, np.cos(h) * x[0] - np.sin(h) * e
        slope = (covariance(ahead, ahead) - covariance(behind, behind)) / (2 * h)
        assert abs(correction @ e + 0.25 * slope) < 1e-8


class Exact:
    """Stands for a path: the increments are given."""

    def __init__(self, increments):
        self.increments = increments

    def increment(self, t0, t1, channels, stream="common"):
        return self.increments


def test_one_step_of_a_drawn_block_solves_the_ito_equation():
    """(E q_dt - q)/dt tends to the Itô drift given the weights, over a rule exact to degree three: no statistics."""
    x, d = fp.initial.simplex(2, -0.3, 4).x, 4
    start = fp.Cloud(x, np.full(2, 0.5), rtol=1e-9, tokens=True)
    model = drawn(d, activation="sigmoid", draws=4, value=0.0, noise=2.0)
    phi = dual_activation("sigmoid").function(x @ model.weights.T)
    k11, k22, k12 = (4 / 4 * phi[i] @ phi[j] for i, j in ((0, 0), (1, 1), (0, 1)))
    q = -0.3
    drift = (d - 2 + q**2) * k12 - (d - 1) * q * (k11 + k22) / 2
    n = model.channels(d)

    def rate(dt):
        units = np.concatenate([np.eye(n), -np.eye(n)]) * np.sqrt(n * dt)
        ends = [SCHEMES["lie_euler"].step(model, start, Exact(e), 0.0, dt).x for e in units]
        return (np.mean([y[0] @ y[1] for y in ends]) - q) / dt

    assert abs(2 * rate(1e-3) - rate(2e-3) - drift) < 1e-3 * abs(drift)


def pair_energies(model, d, overlap, t_end, dt, members, pairs=24):
    """½|x-y|² = 1 - q at t_end, mean over pairs in random orientations, one value a member."""
    rng = np.random.default_rng(3)
    frames = np.linalg.qr(rng.normal(size=(pairs, d, d)))[0]
    x = (frames @ fp.initial.simplex(2, overlap, d).x.T).transpose(2, 0, 1).reshape(-1, d)
    start, scheme = fp.initial.points(x), each_step_drawn("lie_euler")
    energies = []
    for member in range(members):
        state = fp.Cloud(start.x, start.weights, rtol=1e-4, tokens=True)
        *_, (_, last) = fp.run(model, state, fp.BrownianPath(6, member, dt), t_end=t_end, dt=dt, scheme=scheme)
        first, second = np.split(last.x, 2)
        energies.append(1 - np.einsum("na,na->n", first, second).mean())
    return np.array(energies)


@pytest.mark.parametrize(
    ("activation", "d", "draws", "noise"), [("sigmoid", 6, 16, 1.0), ("relu", 2, 8, 1.0), ("tanh", 3, None, 1.5)]
)
def test_energy_of_pairs_under_noise_alone(activation, d, draws, noise):
    """E(1 - q_T) against the exact overlap diffusion; 0.01 for the bias of the step. Coercive: below e^{-cT}."""
    t_end, q0 = 0.5, -0.2
    model = SynchronisationByNoise(beta=1.0, activation=activation, value=0.0, noise=noise, draws=draws)
    energies = pair_energies(model, d, q0, t_end, t_end / 8, 60)
    deviation = energies.std(ddof=1) / np.sqrt(len(energies))
    overlap = isotropic_overlap(dual_activation(activation), d, noise)
    exact = 1 - float(overlap.expect(lambda q: q, q0, t_end, 1e-4))
    assert deviation < 0.05
    assert abs(energies.mean() - exact) < 5 * deviation + 0.01, (energies.mean(), exact, deviation)
    if activation == "sigmoid":
        bound = np.exp(-dissipation_rate(dual_activation(activation), d) * t_end) * (1 - q0)
        assert energies.mean() < bound + 5 * deviation < 0.9 * (1 - q0)


def test_attention_and_noise_synchronise_tokens():
    """β = 2, ReLU, d = 5: the spread 1 - |mean|² of 24 tokens falls below a tenth of its start in every member."""
    model = SynchronisationByNoise(beta=2.0, activation="relu", draws=16)
    start = fp.initial.samples(fp.initial.uniform(5), 24, 1)
    settings = {"t_end": 6.0, "dt": 0.25, "path_cell": 0.25, "measure": "cloud", "rtol": 1e-4}
    for seed in range(4):
        ds = fp.solve(model, start, seed=seed, scheme=each_step_drawn("lie_euler"), **settings)
        spread = 1 - np.sum(ds.mean_vector.values**2, axis=1)
        assert spread[-1] < 0.1 * spread[0]


def test_every_measure_sees_the_same_flow():
    model = SynchronisationByNoise(beta=2.0, activation="gelu", noise=0.7, noise_lmax=6)
    start = fp.initial.von_mises_fisher([0, 0.6, 0.8], 1.0)
    settings = {"t_end": 0.04, "dt": 0.02, "path_cell": 0.02, "lmax": 31, "seed": 4}
    means = [fp.solve(model, start, measure=m, **settings).mean_vector.values for m in ("density", "cloud")]
    assert np.abs(means[0][-1] - means[0][0]).max() > 0.01
    assert np.abs(means[0] - means[1]).max() < 1e-5


@pytest.mark.parametrize("scheme", ["lie_euler", "heun", "ninomiya", "euler_maruyama"])
@pytest.mark.parametrize("draws", [None, 6])
def test_every_scheme(scheme, draws):
    model = SynchronisationByNoise(beta=2.0, activation="erf", noise_lmax=4, draws=draws, value=np.eye(3))
    start = fp.initial.samples(fp.initial.uniform(3), 6, 1)
    settings = {"t_end": 0.02, "dt": 0.01, "measure": "cloud", "scheme": each_step_drawn(scheme)}
    assert model.calculus == "any"
    assert np.isfinite(fp.solve(model, start, **settings).mean_vector.values).all()


def test_without_noise_it_is_self_attention():
    start = fp.initial.samples(fp.initial.uniform(4), 6, 1)
    settings = {"t_end": 0.2, "dt": 0.1, "measure": "cloud"}
    runs = [
        fp.solve(model, start, **settings).mean_vector.values
        for model in (SynchronisationByNoise(beta=2.0, noise=0.0), fp.models.SelfAttention(beta=2.0))
    ]
    assert np.array_equal(*runs)


def test_refusals_and_configuration(monkeypatch):
    start, settings = fp.initial.samples(fp.initial.uniform(4), 6, 1), {"t_end": 0.01, "dt": 0.01, "measure": "cloud"}
    with pytest.raises(InputError, match="d = 3"):
        fp.solve(SynchronisationByNoise(beta=1.0), start, **settings)
    blocks = SynchronisationByNoise(beta=1.0, draws=4)
    state = fp.Cloud(start.x, start.weights, tokens=True)
    with pytest.raises(InputError, match="drawn"):
        SCHEMES["lie_euler"].step(blocks, state, PATH, 0.0, 0.01)
    for bad in ({"activation": "snake"}, {"activation": [np.inf]}, {"draws": 0}, {"noise_lmax": -1}, {"value": "a"}):
        with pytest.raises(InputError):
            SynchronisationByNoise(**{"beta": 1.0, **bad})
    monkeypatch.setitem(fp.MODELS, "SynchronisationByNoise", SynchronisationByNoise)
    for activation in ("gelu", [0.5, 1.0]):
        config = {
            "model": {"name": "SynchronisationByNoise", "beta": 2.0, "activation": activation, "noise_lmax": 2},
            "initial": {"name": "uniform"},
            "solve": {"t_end": 0.02, "dt": 0.01, "lmax": 15},
        }
        assert np.isfinite(parse_config(config).solve().mean_vector.values).all()


def test_hash_and_equality():
    pair = [SynchronisationByNoise(beta=1.0, activation=[0, 1], value=np.eye(2)) for _ in range(2)]
    assert pair[0] == pair[1]
    assert hash(pair[0]) == hash(pair[1])
