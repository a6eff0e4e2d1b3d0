"""Value noise under a causal mask: covariances between positions, its correction, and all measures on one path."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.past import Past
from fpsolve.models import CausalAttention, DeepStochasticTransformer

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
OTHER = fp.initial.von_mises_fisher([1.0, 0.0, 0.0], 1.0)


def response(model, measure, sites, cell=None):
    """The (n d, d²) matrix of the noise: its displacement for every channel."""
    columns = []
    for channel in np.eye(model.channels(measure.dimension)):
        v = model.noise_field(measure.source, channel)
        columns.append((v if cell is None else v.at(cell)).on(sites).ravel())
    return np.stack(columns, -1)


def projection(x):
    return np.eye(len(x)) - np.outer(x, x)


@pytest.mark.parametrize("d", [2, 3, 6])
def test_two_tokens_have_the_closed_covariance(d):
    """The first sees itself, m = x₁; the second both, m = (1 - a) x₁ + a x₂, a = e^β/(e^β + e^{βq}); one V."""
    beta, q, std = 1.5, 0.3, 0.7
    x = np.zeros((2, d))
    x[0, 0], x[1, :2] = 1.0, (q, np.sqrt(1 - q * q))
    cloud = fp.Cloud(x, np.full(2, 0.5), labels=np.array([0.5, 1.0]), tokens=True)
    model = CausalAttention(beta, 0.0, kind="sa", own_weight=1.0, value=0.0, noise=1.0, value_std=std)
    a = np.exp(beta) / (np.exp(beta) + np.exp(beta * q))
    k = np.array([[1.0, (1 - a) + a * q], [(1 - a) + a * q, (1 - a) ** 2 + a**2 + 2 * a * (1 - a) * q]])
    found = response(model, cloud, cloud.sites)
    exact = np.block([[std**2 * k[i, j] * projection(x[i]) @ projection(x[j]) for j in range(2)] for i in range(2)])
    assert np.abs(found @ found.T - exact).max() < 1e-13


def test_one_position_has_the_noise_of_a_deep_stochastic_transformer():
    one = fp.Density.from_law(LAW, lmax=15, rtol=1e-6)
    cell = fp.CausalDensity.from_law(fp.initial.prompt(LAW, 1), lmax=15, rtol=1e-6)
    model = CausalAttention(2.0, 0.0, kind="sa", value=0.3, noise=0.5)
    known = DeepStochasticTransformer(2.0, noise=0.5, drift=0.3)
    path = np.random.default_rng(0).normal(size=9)
    for field in (
        lambda m, s: m.drift_field(s),
        lambda m, s: m.correction_field(s),
        lambda m, s: m.noise_field(s, path),
    ):
        mine, its = field(model, cell.source).at(0).on(cell.grid), field(known, one.source).on(one.grid)
        assert np.abs(mine - its).max() < 1e-13


def test_the_correction_is_that_of_the_strength_at_each_position():
    """-(ε²/4)∇K_s(x,x), by central differences of σ_V²|F_{μ̄_s}(βx)|² of each cell's past."""
    measure = fp.CausalDensity.from_law(fp.initial.prompt([LAW, OTHER], 4), lmax=23, rtol=1e-8)
    model = CausalAttention(2.0, 1.0, kind="sa", noise=0.8, value_std=0.6)
    pasts, x, h = measure.source.past(Past(1.0, None, 0.5)), np.array([0.6, 0.0, 0.8]), 1e-4
    for cell, past in enumerate(pasts):
        slope = []
        for e in np.eye(3):
            ends = [(past.F(2.0 * (x + s * h * e)[None])[0] ** 2).sum() for s in (1, -1)]
            slope.append((ends[0] - ends[1]) / (2 * h))
        exact = projection(x) @ np.array(slope) * -(0.8**2) / 4 * 0.36
        sites = measure.geometry.points(x[None])
        found = model.correction_field(measure.source).at(cell).on(sites)[0]
        assert np.abs(found - exact).max() < 1e-7


def test_cells_and_clouds_feel_the_same_path():
    """Lie–Euler on densities with the correction, geodesic Euler on points without: they meet as dt → 0."""
    start, apart = fp.initial.prompt([LAW, OTHER], 2), []
    for dt in (0.04, 0.0025):
        few = {"t_end": 0.16, "dt": dt, "path_cell": 0.04, "lmax": 15, "seed": 4, "save_every": 0.16}
        model = CausalAttention(5.0, 1.0, kind="sa", own_weight=0.5, noise=1.0)
        cells = fp.solve(model, start, measure="causal_density", **few)
        points = fp.solve(model, start, measure="cloud", **few)
        apart.append(float(np.abs(cells.position_mean - points.position_mean).max()))
    assert apart[1] < 0.25 * apart[0]  # order 1/2 at least
    assert apart[1] < 2e-3


def test_what_is_not_there_is_refused_by_name():
    for wrong, match in (
        ({"key_query": "gaussian"}, "cross-spectra"),
        ({"noise": 1.0}, "denominator"),
        ({"value_std": 1.0, "kind": "sa"}, "no noise"),
        ({"kind": "both"}, "kind"),
        ({"window": 0.0}, "window"),
        ({"decay": 701.0}, "decay"),
        ({"own_weight": -1.0}, "own_weight"),
    ):
        with pytest.raises(fp.errors.InputError, match=match):
            CausalAttention(1.0, **wrong)


def test_schemes_that_read_another_calculus_are_refused():
    model = CausalAttention(1.0, kind="sa", noise=1.0)
    for scheme in ("heun", "ninomiya"):
        with pytest.raises(fp.errors.CalculusError):
            fp.solve(model, fp.initial.prompt(LAW, 2), t_end=0.01, dt=0.01, measure="causal_density", scheme=scheme)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_level_of_tokens_is_that_of_their_pasts(d):
    """∫ |F_{μ̄_s}(βx)|² dμ by all pairs, kind by kind of mask; the first of strictly earlier tokens has none."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(7, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    labels = np.arange(1, 8) / 7
    for own in (0.0, 1.0):
        model = CausalAttention(1.5, 2.0, kind="sa", own_weight=own, noise=0.3)
        apart = labels[:, None] - labels
        weight = np.where(apart > 0, np.exp(-2.0 * apart), own * (apart == 0)) * np.exp(1.5 * x @ x.T)
        f = weight @ x / np.maximum(weight.sum(1, keepdims=True), 1e-300)
        run = {"t_end": 0.01, "dt": 0.01, "measure": "cloud"}
        ds = fp.solve(model, fp.initial.points(x, labels=labels), **run)
        assert ds.noise_level.values[0] == pytest.approx((f * f).sum(1).mean(), rel=1e-9)
    assert "noise_level" not in fp.solve(CausalAttention(1.5), fp.initial.points(x, labels=labels), **run)


@pytest.mark.parametrize("d", [2, 3])
def test_the_level_of_cells_is_that_of_a_quadrature(d):
    """One cell is the bidirectional model; several by points of each cell's law and sums over those of its past."""
    laws = [fp.initial.von_mises_fisher(np.eye(d)[k], 3.0) for k in (0, 1)]
    run = {"t_end": 0.01, "dt": 0.01, "lmax": 23}
    one = fp.solve(CausalAttention(3.0, kind="sa", noise=0.3), fp.initial.prompt(laws[0], 1), **run,
                   measure="causal_density")  # fmt: skip
    known = fp.solve(DeepStochasticTransformer(3.0), laws[0], **run)
    assert one.noise_level.values[0] == pytest.approx(known.noise_level.values[0], rel=1e-12)
    prompt = fp.initial.prompt(laws, 4)
    ds = fp.solve(CausalAttention(3.0, 1.0, kind="sa", noise=0.3), prompt, **run, measure="causal_density")
    cells = [fp.Cloud.from_law(laws[k // 2], lmax=23, rtol=1e-8) for k in range(4)]
    levels = []
    for j, cell in enumerate(cells):
        seen = [(np.exp(-(j - k) / 4) if k < j else 0.5) * cells[k].weights for k in range(j + 1)]
        m = f = 0.0
        for weight, other in zip(seen, cells, strict=False):
            kernel = np.exp(3.0 * cell.x @ other.x.T) * weight
            m, f = m + kernel.sum(1, keepdims=True), f + kernel @ other.x
        levels.append(cell.weights @ ((f / m) ** 2).sum(1))
    assert ds.noise_level.values[0] == pytest.approx(np.mean(levels), rel=1e-7)
