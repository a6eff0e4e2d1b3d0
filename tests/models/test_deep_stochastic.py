"""Value noise with a fixed key-query matrix: the layer by Monte Carlo, the exact overlap, density and cloud."""

import numpy as np
import pytest

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.errors import InputError
from fpsolve.measures.build import build
from fpsolve.models import DeepStochasticTransformer, Homogenized
from fpsolve.models.deep_stochastic import hessian_along_F
from fpsolve.models.drawn_heads import hessian_F
from fpsolve.schemes import SCHEMES
from fpsolve.theory import value_noise_overlap
from fpsolve.transport.velocity import sites_of


def matrix(d):
    """A key-query matrix without symmetry."""
    return np.random.default_rng(3).normal(size=(d, d))


def unit(n, d, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def tokens(x):
    return fp.Cloud(x, np.full(len(x), 1 / len(x)), tokens=True, rtol=1e-12)


class Exact:
    """Stands for a path: the increment is given."""

    def __init__(self, increment):
        self.value = increment

    def increment(self, t0, t1, channels, stream="common"):
        return self.value


def rate_of_overlap(model, start, scheme, dt=1e-4):
    """(E⟨x₁,x₂⟩ - ⟨x₁,x₂⟩)/dt after one step, over the rule 0, ±√n e_k, exact to degree three in the n increments."""
    n = model.channels(start.dimension)
    units = [sign * np.sqrt(n * dt) * e for e in np.eye(n) for sign in (1, -1)]
    ends = [SCHEMES[scheme].step(model, start, Exact(z), 0.0, dt).x for z in units]
    return (np.mean([x[0] @ x[1] for x in ends]) - start.x[0] @ start.x[1]) / dt


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("scheme", ["lie_euler", "euler_maruyama", "geodesic_euler"])
def test_a_step_is_the_layer_of_random_values(d, scheme):
    """The rate of E⟨x₁,x₂⟩ against 100,000 pairs ±V of the layer x ← N(x + √dt V F(βAx)): 4.5 SE + O(dt)."""
    A, start, dt = matrix(d), tokens(unit(4, d)), 1e-4
    model = DeepStochasticTransformer(1.5, value_std=0.8, key_query=A)
    V = 0.8 * np.random.default_rng(1).normal(size=(100_000, d, d))
    m = start.source.F(1.5 * start.x[:2] @ A.T)
    update = np.sqrt(dt) * np.einsum("sab,nb->sna", V, m)
    overlaps = 0.0
    for sign in (1, -1):
        x = start.x[:2] + sign * update
        x /= np.linalg.norm(x, axis=-1, keepdims=True)
        overlaps = overlaps + 0.5 * np.einsum("sa,sa->s", x[:, 0], x[:, 1])
    rates = (overlaps - start.x[0] @ start.x[1]) / dt
    error = rates.std() / np.sqrt(len(rates))
    assert error < 0.01
    assert abs(rate_of_overlap(model, start, scheme) - rates.mean()) < 4.5 * error + 1e-3


def sources():
    law = fp.initial.mixture([fp.initial.von_mises_fisher(axis, 3.0) for axis in ([0, 0, 1.0], [1.0, 0.4, -0.2])])
    yield "density", build(law, "density", 31, 1e-8)
    yield "quadrature", build(law, "cloud", 23, 1e-8)
    yield "circle", build(fp.initial.von_mises_fisher([1.0, 0.4], 2.0), "density", 31, 1e-8)
    yield from ((f"tokens {d}", tokens(unit(9, d))) for d in (2, 3, 7))


@pytest.mark.parametrize(("name", "measure"), list(sources()))
@pytest.mark.parametrize("which", ["matrix", "number", "negative"])
def test_correction_is_a_quarter_of_the_gradient_of_the_diagonal(name, measure, which):
    """-(ε²/4)∇K(x,x), K(x,x) = σ_V²|F(βAx)|², by differences along the tangent frame."""
    d = measure.dimension
    A = {"matrix": matrix(d), "number": 0.7, "negative": -1.2}[which]
    model = DeepStochasticTransformer(1.3, value_std=0.6, key_query=A, noise=0.9)
    x, h = unit(20, d, seed=5), 1e-4
    found = model.correction_field(measure.source).on(sites_of(x))
    along = unit(20, d, seed=6)
    along -= np.einsum("na,na->n", along, x)[:, None] * x
    ahead, behind = ((x + s * h * along) for s in (1, -1))
    ends = [y / np.linalg.norm(y, axis=1, keepdims=True) for y in (ahead, behind)]
    slope = np.subtract(*(model.covariance(measure.source, y, y) for y in ends)) / (2 * h)
    assert np.abs(np.einsum("na,na->n", found, along) + 0.25 * 0.9**2 * slope).max() < 1e-6


def test_two_routes_to_the_hessian_agree():
    source = dict(sources())["density"].source
    g = 2.5 * unit(50, 3) @ matrix(3).T
    assert np.abs(hessian_along_F(source, g) - hessian_F(source, g)).max() < 1e-9


@pytest.mark.parametrize("d", [2, 3, 4])
def test_two_tokens_follow_the_exact_overlap_equation(d):
    """A = I: drift (d-2+q²)K₁₂ - (d-1)qK₁₁ and variance of the overlap."""
    for q in (-0.6, 0.3):
        start = tokens(fp.initial.simplex(2, q, d).x)
        model, exact = DeepStochasticTransformer(1.0, value_std=1.0), value_noise_overlap(1.0, d, 1.0)
        assert rate_of_overlap(model, start, "lie_euler") == pytest.approx(float(exact.drift(q)), abs=2e-3)
        n, dt = d * d, 1e-6
        ends = [SCHEMES["lie_euler"].step(model, start, Exact(np.sqrt(n * dt) * e), 0.0, dt).x for e in np.eye(n)]
        variance = np.mean([(x[0] @ x[1] - q) ** 2 for x in ends]) / dt
        assert variance == pytest.approx(float(exact.variance(q)), rel=2e-2)


def test_identity_is_the_homogenized_model():
    law, few = fp.initial.von_mises_fisher([0, 0, 1], 2.0), {"t_end": 0.05, "dt": 0.01, "lmax": 23, "seed": 2}
    models = DeepStochasticTransformer(2.0), Homogenized(2.0)
    pair = [fp.solve(model, law, **few).mean_vector.values for model in models]
    np.testing.assert_allclose(*pair, atol=1e-12)


@pytest.mark.parametrize(
    ("axis", "A"),
    [([0, 0, 1.0], np.diag([1.0, 0.5, -1.0])), ([0, 0, 1.0], -1.0), ([1.0, 0.3], np.array([[1.0, 0.4], [-0.6, -0.5]]))],
)
def test_density_and_cloud_agree(axis, A):
    law = fp.initial.mixture([fp.initial.von_mises_fisher(axis, 2.0), fp.initial.von_mises_fisher(axis[::-1], 3.0)])
    model = DeepStochasticTransformer(1.5, key_query=A, drift=0.3)
    few = {"t_end": 0.04, "dt": 0.02, "lmax": 31, "rtol": 1e-8, "seed": 4}
    runs = [fp.solve(model, law, measure=m, **few) for m in ("density", "half_density", "log_density", "cloud")]
    for other in runs[1:]:
        assert np.abs(other.moments - runs[0].moments).max() < 2e-6
    assert np.abs(runs[0].mean_vector[-1] - runs[0].mean_vector[0]).max() > 1e-3


def test_chains_with_a_fixed_key_query_have_their_limits():
    chain = tr.RandomTransformer(4, 3, 2, 10, 0.1, 2.0, key_query=np.diag([1.0, 0.5, -1.0]), value_std=0.5)
    assert chain.limit("diffusive") == DeepStochasticTransformer(2.0, 0.5, np.diag([1.0, 0.5, -1.0]))
    negative = tr.RandomTransformer(4, 3, 2, 10, 0.1, 2.0, key_query=-1.0, value_std=0.5)
    assert negative.limit("diffusive") == DeepStochasticTransformer(2.0, 0.5, -1.0)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: DeepStochasticTransformer(-1.0), "beta"),
        (lambda: DeepStochasticTransformer(1.0, value_std=-1.0), "value_std"),
        (lambda: DeepStochasticTransformer(1.0, key_query=[1.0, 2.0]), "key_query"),
        (lambda: DeepStochasticTransformer(1.0, key_query=np.eye(3), drift=np.eye(2)), "drift"),
        (lambda: Homogenized(2.0, key_query=np.diag([1.0, 0.5, -1.0])), "key_query"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, argument):
    with pytest.raises(InputError) as refused:
        make()
    assert refused.value.argument == argument
