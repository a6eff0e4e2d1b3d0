"""Heads drawn in every step: their covariance, the correction of the drawn covariance, one step against Itô, the seam.

Statistical tests stay within 5 standard errors on fixed seeds: a false alarm has probability below 1e-5.
"""

from dataclasses import replace

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.source import PointSource
from fpsolve.errors import CalculusError, InputError
from fpsolve.models.drawn_heads import DrawnHeads, hessian_F
from fpsolve.noise import isotropic
from fpsolve.schemes import SCHEMES
from fpsolve.sphere.scattered import Points

PATH = fp.BrownianPath(8, 0, 0.01)


def tokens(d, n=5, seed=2):
    """n uniform points with unequal weights."""
    weights = np.arange(1.0, n + 1)
    return fp.initial.points(fp.initial.samples(fp.initial.uniform(d), n, seed).x, weights / weights.sum())


def cloud(start, rtol=1e-6):
    return fp.Cloud(start.x, start.weights, rtol=rtol, tokens=True)


def each_step_drawn(name):
    """The scheme with the weights of the model drawn before each step, as the loop does it."""
    scheme = SCHEMES[name]

    def step(model, measure, path, t0, t1):
        return scheme.step(model.drawn(path, t0, t1, measure.dimension), measure, path, t0, t1)

    return replace(scheme, step=step)


class Exact:
    """Stands for a path: the increments are given."""

    def __init__(self, increments):
        self.increments = increments

    def increment(self, t0, t1, channels, stream="common"):
        return self.increments


def conditional_mean_overlap(model, measure, dt):
    """E⟨x₁,x₂⟩ after one lie_euler step, over the rule 0, ±√n e_k exact to degree three in the n increments."""
    n = model.channels(measure.dimension)
    values = [
        SCHEMES["lie_euler"].step(model, measure, Exact(sign * np.sqrt(n * dt) * e), 0.0, dt).x
        for e in np.eye(n)
        for sign in (1, -1)
    ]
    return np.mean([x[0] @ x[1] for x in values])


def ito_drift(model, source, x):
    """(d-2+q²)K(x,y) - (d-1) q (K(x,x)+K(y,y))/2 with the drawn covariance."""
    d, q = x.shape[1], x[0] @ x[1]
    k11, k22, k12 = model.noise**2 * model.covariance(source, x[[0, 1, 0]], x[[0, 1, 1]])
    return (d - 2 + q**2) * k12 - (d - 1) * q * (k11 + k22) / 2


@pytest.mark.parametrize("key_query", ["gaussian", "product"])
def test_mean_covariance_is_that_of_the_homogenized_model(key_query):
    """d = 3: the mean over 4000 heads of ⟨m(x), m(y)⟩ is k_μ(⟨x,y⟩)."""
    start = tokens(3)
    source = PointSource(start.x, start.weights)
    settings = {"beta": 1.5, "key_query": key_query, "key_query_std": 0.9, "value_std": 0.7}
    spectrum = fp.models.Homogenized(**settings).spectrum(source)
    kernel = isotropic(3, len(spectrum) - 1).kernel(spectrum)
    x = fp.initial.samples(fp.initial.uniform(3), 4, 3).x
    y = np.roll(x, 1, axis=0)
    y[0] = x[0]
    chunks = [
        DrawnHeads(heads=100, **settings).drawn(PATH, k * 0.01, (k + 1) * 0.01, 3).covariance(source, x, y)
        for k in range(40)
    ]
    deviation = np.std(chunks, axis=0, ddof=1) / np.sqrt(len(chunks))
    assert deviation.max() < 0.01
    assert (np.abs(np.mean(chunks, axis=0) - kernel(np.einsum("na,na->n", x, y))) < 5 * deviation).all()


@pytest.mark.parametrize("d", [2, 3, 5])
def test_covariance_of_the_channels(d):
    """Σ_k s_k(x)s_k(y)ᵀ over the channels is ε² times the drawn covariance times I."""
    start = tokens(d)
    source, sites = PointSource(start.x, start.weights), Points(start.x)
    model = DrawnHeads(beta=2.0, heads=3, noise=0.8).drawn(PATH, 0.0, 0.01, d)
    s = np.stack([model.noise_field(source, e).ambient(sites) for e in np.eye(model.channels(d))])
    k = 0.64 * model.covariance(source, start.x[[1]], start.x[[3]])
    assert np.abs(np.einsum("ka,kb->ab", s[:, 1], s[:, 3]) - k * np.eye(d)).max() < 1e-13


@pytest.mark.parametrize("key_query", ["gaussian", "product", "identity"])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_correction_is_the_gradient_of_the_drawn_covariance(d, key_query):
    """-(ε²/4)∇_S K(x,x) by differences along an orthonormal frame of the tangent space."""
    start = tokens(d)
    source = PointSource(start.x, start.weights)
    model = DrawnHeads(beta=2.0, heads=3, key_query=key_query, noise=0.8, value_std=0.6).drawn(PATH, 0.0, 0.01, d)
    x, h = tokens(d, 1, 9).x, 1e-4
    found = model.correction_field(source).on(Points(x))[0]
    assert np.abs(found).max() > 1e-3
    for e in np.linalg.svd(x)[2][1:]:
        sides = [np.cos(h) * x + sign * np.sin(h) * e for sign in (1, -1)]
        slope = np.subtract(*[model.covariance(source, side, side)[0] for side in sides]) / (2 * h)
        assert abs(found @ e + 0.25 * 0.8**2 * slope) < 1e-8


def test_hessian_of_other_sources():
    """By second moments, from a density's quadrature, and by differences."""
    start = tokens(3)
    direct = PointSource(start.x, start.weights)
    g = np.random.default_rng(1).normal(size=(4, 3))
    exact = hessian_F(direct, g)

    class Bare:
        F, points = staticmethod(direct.F), None

    assert np.abs(hessian_F(Bare(), g) - exact).max() < 1e-9
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    density = fp.Density.from_law(law, lmax=31, rtol=1e-6)
    quadrature = fp.Cloud.from_law(law, lmax=31, rtol=1e-6)
    direct = hessian_F(PointSource(quadrature.x, quadrature.weights), g)
    assert np.abs(hessian_F(density.source, g) - direct).max() < 1e-9


@pytest.mark.parametrize("d", [3, 4])
def test_one_step_solves_the_ito_equation(d):
    """(E q_dt - q)/dt tends to the Itô drift given the heads, and does not without the correction: no statistics."""
    x = fp.initial.simplex(2, -0.3, d).x
    start = fp.Cloud(x, np.array([0.3, 0.7]), rtol=1e-9, tokens=True)
    model = DrawnHeads(beta=2.0, heads=2, value_std=1.0).drawn(PATH, 0.0, 0.01, d)
    drift = ito_drift(model, start.source, x)
    without = type("Without", (type(model),), {"correction_field": fp.Model.correction_field})
    bare = without(model.beta, model.matrices, model.value_std, model.noise)

    def limit(of):
        rates = [(conditional_mean_overlap(of, start, dt) - x[0] @ x[1]) / dt for dt in (2e-3, 1e-3)]
        return 2 * rates[1] - rates[0]

    assert abs(limit(model) - drift) < 3e-4 * max(1, abs(drift))
    assert abs(limit(bare) - drift) > 0.05


def test_identity_is_value_noise():
    """One head with A = I is Homogenized(key_query="identity") in every bit of the path's increments."""
    start = cloud(tokens(4))
    settings = {"t_end": 0.05, "dt": 0.01}
    pair = [
        list(fp.run(model, start, PATH, scheme=scheme, **settings))[-1][1].x
        for model, scheme in (
            (DrawnHeads(beta=1.5, heads=1, key_query="identity"), each_step_drawn("lie_euler")),
            (fp.models.Homogenized(beta=1.5), SCHEMES["lie_euler"]),
        )
    ]
    assert np.abs(pair[0] - start.x).max() > 0.02
    assert np.abs(pair[0] - pair[1]).max() < 1e-12


@pytest.mark.parametrize("key_query", ["gaussian", "product"])
def test_draws_are_a_function_of_seed_member_step_and_head(key_query):
    def heads(count=4, seed=8, member=0, k=3):
        model = DrawnHeads(beta=1.0, heads=count, key_query=key_query)
        return model.drawn(fp.BrownianPath(seed, member, 0.01), k * 0.01, (k + 1) * 0.01, 3).matrices

    assert np.array_equal(heads(), heads(9)[:4])
    for other in (heads(seed=9), heads(member=1), heads(k=4)):
        assert np.abs(other - heads()).min() > 0
    increments = PATH.increment(0.03, 0.04, 36) / 0.1
    assert np.abs(increments[:9].reshape(3, 3) - heads()[0]).min() > 0  # V and A share nothing


def test_entries_have_the_stated_deviation():
    """Gaussian: s; product: s²√d. n independent Gaussians give a deviation to 1/√(2n), products within twice that."""
    for key_query, stated in (("gaussian", 0.7), ("product", 0.49 * np.sqrt(6))):
        model = DrawnHeads(beta=1.0, heads=400, key_query=key_query, key_query_std=0.7)
        entries = model.drawn(PATH, 0.0, 0.01, 6).matrices
        assert abs(entries.std() / stated - 1) < 10 / np.sqrt(2 * entries.size)


@pytest.mark.parametrize("scheme", ["lie_euler", "euler_maruyama"])
@pytest.mark.parametrize("d", [2, 5, 17])
def test_tokens_in_any_dimension(d, scheme):
    model = DrawnHeads(beta=2.0, heads=3, key_query="product")
    settings = {"t_end": 0.03, "dt": 0.01, "measure": "cloud", "scheme": each_step_drawn(scheme)}
    runs = [fp.solve(model, tokens(d), seed=s, save_points=True, **settings) for s in (1, 1, 2)]
    assert np.abs(np.linalg.norm(runs[0].points.values, axis=-1) - 1).max() < 1e-12
    assert np.array_equal(runs[0].mean_vector.values, runs[1].mean_vector.values)
    assert np.abs(runs[0].mean_vector.values[-1] - runs[2].mean_vector.values[-1]).max() > 1e-3


def test_every_measure_sees_the_same_heads():
    start, model = fp.initial.von_mises_fisher([0, 0.6, 0.8], 1.0), DrawnHeads(beta=1.0, heads=2)
    settings = {"t_end": 0.01, "dt": 0.01, "lmax": 15, "rtol": 1e-5, "scheme": each_step_drawn("lie_euler")}
    means = [fp.solve(model, start, measure=m, **settings).mean_vector.values for m in ("density", "cloud")]
    assert np.abs(means[0][-1] - means[0][0]).max() > 5e-3
    assert np.abs(means[0] - means[1]).max() < 1e-5


def test_refusals():
    start, settings = tokens(3), {"t_end": 0.01, "dt": 0.01, "measure": "cloud"}
    with pytest.raises(InputError, match="drawn"):
        SCHEMES["lie_euler"].step(DrawnHeads(beta=1.0), cloud(start), PATH, 0.0, 0.01)
    with pytest.raises(CalculusError):
        fp.solve(DrawnHeads(beta=1.0), start, scheme="heun", **settings)
    for bad in ({"beta": -1.0}, {"heads": 0}, {"heads": 1.5}, {"key_query": "cauchy"}, {"value_std": -1.0}):
        with pytest.raises(InputError):
            DrawnHeads(**{"beta": 1.0, **bad})
    still = fp.solve(DrawnHeads(beta=1.0, noise=0.0), start, **settings)
    assert np.ptp(still.mean_vector.values, axis=0).max() == 0
