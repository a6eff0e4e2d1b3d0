"""E_A F(βAx) as one vector: against product rules in the few dimensions that four tokens span."""

import warnings

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import roots_genlaguerre

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.models import Ballistic, ModifiedBallistic
from fpsolve.models.conditioning import REPLICATES, drawn_vectors, gaussian_mean
from fpsolve.models.weights import Gaussian, Product


def tokens(d, n=4, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d)) + 1.2 * np.eye(d)[0]
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def cloud(x, rtol=1e-8):
    return fp.Cloud(x, np.full(len(x), 1 / len(x)), rtol=rtol, tokens=True)


def exact_mean(x, law, beta, nodes=24):
    """E F(βAx) of four tokens: scores are β s ⟨z, x_j⟩, a Gaussian in the three dimensions of their differences."""
    z, w = hermegauss(nodes)
    points = np.stack(np.meshgrid(z, z, z, indexing="ij"), -1).reshape(-1, 3)
    weights = np.einsum("i,j,k->ijk", w, w, w).ravel() / w.sum() ** 3
    differences = x[1:] - x[0]
    scores = points @ np.linalg.cholesky(differences @ differences.T).T
    radii, share = np.ones(1), np.ones(1)
    if isinstance(law, Product):
        half, share = roots_genlaguerre(24, x.shape[1] / 2 - 1)
        radii, share = law.std * np.sqrt(2 * half), share / share.sum()
    total = np.zeros(x.shape[1])
    for radius, part in zip(radii, share, strict=True):
        e = np.exp(beta * law.std * radius * np.column_stack([np.zeros(len(scores)), scores]))
        total += part * weights @ (e / e.sum(1, keepdims=True)) @ x
    return total


LAWS = [Gaussian(0.8), Product(0.7)]


@pytest.mark.parametrize("law", LAWS, ids=["gaussian", "product"])
@pytest.mark.parametrize("d", [3, 4, 8, 16])
def test_the_vector_and_its_stated_error(d, law):
    """To the tolerance in every d, and within four of the stated errors of eight replicates."""
    x = tokens(d)
    model = Ballistic(1.5, 1.0, law, tolerance=1e-3)
    source, exact = cloud(x).source, exact_mean(x, law, 1.5)
    off = np.linalg.norm(model.mean_attention(source) - exact)
    assert np.abs(exact).max() > 0.1
    if d == 3:
        assert model.sampling_error(source) is None
        assert off < 1e-6
        return
    stated = model.sampling_error(source)
    assert stated <= 1e-3
    assert off <= 4 * stated
    finer = Ballistic(1.5, 1.0, law, tolerance=1e-4)
    assert np.linalg.norm(finer.mean_attention(source) - exact) <= 4e-4
    turned = Ballistic(1.5, 2.0 * np.eye(d), law, tolerance=1e-3)
    assert turned.sampling_error(source) == pytest.approx(2 * stated)


@pytest.mark.parametrize("d", [4, 8, 16])
def test_the_modified_limit_is_better_than_the_plain_one(d):
    """Four layers η = 0.2 of exact mean heads in d = 4, 8, 16: five times nearer."""
    law, beta, step, depth = Gaussian(0.8), 1.5, 0.2, 4
    V = np.eye(d) + 0.3 * np.random.default_rng(1).normal(size=(d, d)) / np.sqrt(d)
    layers = start = tokens(d)
    for _ in range(depth):
        moved = layers + step * V @ exact_mean(layers, law, beta, 16)
        layers = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    ends = []
    few = {"key_query": law, "tolerance": 1e-3}
    for model in (Ballistic(beta, V, **few), ModifiedBallistic(beta, V, step, **few)):
        ends.append(cloud(start, 1e-4).transport(lambda s, m=model: depth * step * m.drift_field(s)).x)
    plain, modified = (np.abs(end - layers).max() for end in ends)
    assert plain > 5e-3
    assert modified < plain / 5


@pytest.mark.parametrize("law", LAWS, ids=["gaussian", "product"])
def test_the_rate_of_the_vector_is_a_derivative(law):
    """ṁ of the modified drift against the exact vector of the measure moved along b."""
    d, beta, step = 6, 1.5, 0.4
    x, value = tokens(d), 0.7
    b = value * exact_mean(x, law, beta)
    speed = b - (x @ b)[:, None] * x
    h = 1e-3
    ends = [x + sign * h * speed for sign in (1, -1)]
    ends = [end / np.linalg.norm(end, axis=1, keepdims=True) for end in ends]
    rate = value * (exact_mean(ends[0], law, beta) - exact_mean(ends[1], law, beta)) / (2 * h)
    expected = speed - 0.5 * step * ((x @ b)[:, None] * speed + rate)
    model = ModifiedBallistic(beta, value, step, key_query=law, tolerance=1e-4)
    drift = cloud(x).sites.from_ambient(model.drift_field(cloud(x).source).ambient(cloud(x).sites))
    expected -= np.sum(expected * x, 1)[:, None] * x
    assert np.abs(rate).max() > 0.02
    np.testing.assert_allclose(drift, expected, atol=5e-4)


def test_vectors_have_the_law_of_the_matrices():
    """Second moments of Gx: s² I, and s⁴ d I for products, to 3 %; more draws only append within a replicate."""
    for law, size in ((Gaussian(0.5), 0.25), (Product(0.5), 0.5**4 * 5)):
        g = drawn_vectors(law, 5, 3, 8192)
        assert g.shape == (REPLICATES, 1024, 5)
        np.testing.assert_allclose(np.einsum("rna,rnb->ab", g, g) / 8192, size * np.eye(5), atol=0.03 * size)
        fewer = drawn_vectors(law, 5, 3, 1024)
        assert np.array_equal(fewer[:, :64], g[:, :64])
    mean = gaussian_mean(Gaussian(1.0), 4, 0, lambda z: z[:, :1] ** 2, 1e-3)
    assert mean.error[0] <= 1e-3
    assert mean.value[0] == pytest.approx(1, abs=5e-3)


def test_results_state_the_error_of_their_drift():
    few = {"t_end": 0.1, "dt": 0.1, "measure": "cloud"}
    start = fp.initial.points(tokens(5))
    sampled = fp.solve(Ballistic(1.5, 1.0, "gaussian", tolerance=1e-3), start, **few)
    assert (sampled.drift_error.values > 0).all() and (sampled.drift_error.values <= 1e-3).all()
    assert "drift_error" not in fp.solve(Ballistic(1.5, 1.0), start, **few)
    assert "drift_error" not in fp.solve(Ballistic(1.5, 1.0, "gaussian"), fp.initial.points(tokens(3)), **few)
    with pytest.warns(fp.errors.SamplingWarning, match=r"draws = 32\..* raise draws or tolerance"):
        drawn = fp.solve(Ballistic(1.5, 1.0, "uniform", draws=32, tolerance=1e-3), start, **few)
    assert (drawn.drift_error.values > 1e-3).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error", fp.errors.SamplingWarning)
        fp.solve(Ballistic(1.5, 1.0, "uniform", draws=32, tolerance=0.5), start, **few)


def test_a_tolerance_out_of_reach_is_said(monkeypatch):
    monkeypatch.setattr("fpsolve.models.conditioning.MOST", 7)
    with pytest.warns(fp.errors.SamplingWarning, match="tolerance"):
        fp.solve(
            Ballistic(4.0, 1.0, "gaussian", tolerance=1e-7), fp.initial.points(tokens(5)),
            t_end=0.1, dt=0.1, measure="cloud", rtol=1e-3,
        )  # fmt: skip
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="tolerance"):
            Ballistic(1.0, tolerance=bad)
