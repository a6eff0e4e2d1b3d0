"""Two tokens under attention and common noise: generators of the sums, closed exponents, thresholds, the bound."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.models import (
    DeepStochasticTransformer,
    RandomQuadraticForm,
    ScalarNoise,
    SelfAttention,
    UnnormalisedSelfAttention,
)
from fpsolve.schemes import SCHEMES
from fpsolve.theory import (
    antipodal_exponent,
    attention_overlap,
    classify_ends,
    forced_moment_bound,
    hitting_probability,
    hybrid_aligned_exponent,
    hybrid_antipodal_exponent,
    hybrid_antipodal_threshold,
    quadratic_form_overlap,
    scalar_noise_overlap,
    value_noise_overlap,
)

BETA = 0.9
ATTENTION = {"sa": SelfAttention(BETA), "usa": UnnormalisedSelfAttention(BETA)}


def model(drift, by, strength, d):
    """The sum of attention and noise."""
    noises = {
        "value": lambda: DeepStochasticTransformer(BETA, value_std=1.0, noise=strength),
        "scalar": lambda: ScalarNoise(BETA, noise=strength, normalised=drift == "sa"),
        "scalar_layers": lambda: ScalarNoise(BETA, noise=strength, normalised=drift == "sa", reading="layers"),
        "quadratic_form": lambda: RandomQuadraticForm(strength),
    }
    return ATTENTION[drift] + noises[by]()


def overlap(drift, by, strength, d):
    """The same as a diffusion."""
    noises = {
        "value": lambda: value_noise_overlap(BETA, d, 1.0, strength),
        "scalar": lambda: scalar_noise_overlap(BETA, strength, drift),
        "scalar_layers": lambda: scalar_noise_overlap(BETA, strength, drift, "layers"),
        "quadratic_form": lambda: quadratic_form_overlap(strength),
    }
    return attention_overlap(BETA, drift) + noises[by]()


def pair(q, d):
    return fp.Cloud(fp.initial.simplex(2, q, d).x, np.full(2, 0.5), tokens=True, rtol=1e-12)


class Given:
    """Stands for a path: the increment is given."""

    def __init__(self, increment):
        self.value = increment

    def of_term(self, term):
        return self

    def increment(self, t0, t1, channels, stream="common"):
        return self.value


class Walk(fp.BrownianPath):
    """Steps of ±√dt: as good in law to first order, without the spread of ΔB²."""

    def increment(self, t0, t1, channels, stream="common"):
        return np.sign(super().increment(t0, t1, channels, stream)) * np.sqrt(t1 - t0)


def after_a_step(system, start, scheme, dt):
    """q after one step for the rule 0, ±√n e_k, exact to degree three in the n increments."""
    n = system.channels(start.dimension)
    units = [sign * np.sqrt(n * dt) * e for e in np.eye(n) for sign in (1, -1)]
    ends = [SCHEMES[scheme].step(system, start, Given(z), 0.0, dt).x for z in units]
    return np.array([x[0] @ x[1] for x in ends])


CASES = [(drift, by) for drift in ("sa", "usa") for by in ("value", "scalar", "scalar_layers", "quadratic_form")]


@pytest.mark.parametrize(("drift", "by"), CASES)
@pytest.mark.parametrize("scheme", ["lie_euler", "euler_maruyama", "geodesic_euler"])
def test_a_step_has_drift_and_variance_of_the_overlap(drift, by, scheme):
    """All schemes solve one equation, scalar noise in both readings: rates of E q and Var q after a step, to O(dt)."""
    for q, d, dt in ((-0.5, 3, 1e-5), (0.6, 4, 1e-5)):
        system, exact = model(drift, by, 0.8, d), overlap(drift, by, 0.8, d)
        ends = after_a_step(system, pair(q, d), scheme, dt)
        assert (ends.mean() - q) / dt == pytest.approx(float(exact.drift(np.array(q))), abs=1e-3)
        assert ends.var() / dt == pytest.approx(float(exact.variance(np.array(q))), abs=1e-3)


@pytest.mark.parametrize("drift", ["sa", "usa"])
def test_layers_of_a_random_scalar(drift):
    """x ← N(x + (ε z √Δt) m) in NumPy has the drift of the reading ``layers``, not that of ``ito``."""
    q, e, dt = -0.3, 0.8, 1e-5
    x = fp.initial.simplex(2, q, 3).x
    weights = np.exp(BETA * x @ x.T) / 2
    m = (weights / weights.sum(1, keepdims=True) if drift == "sa" else weights) @ x
    moved = [x + sign * e * np.sqrt(dt) * m for sign in (1, -1)]
    ends = [y / np.linalg.norm(y, axis=1, keepdims=True) for y in moved]
    rate = (np.mean([y[0] @ y[1] for y in ends]) - q) / dt
    layers, ito = (float(scalar_noise_overlap(BETA, e, drift, one).drift(np.array(q))) for one in ("layers", "ito"))
    assert rate == pytest.approx(layers, abs=1e-4)
    assert abs(rate - ito) > 0.1


@pytest.mark.parametrize(("drift", "by"), CASES)
@pytest.mark.parametrize("d", [2, 3, 7])
def test_exponents_are_those_of_the_diffusion(drift, by, d):
    """b/y - ½s/y², y the distance to the end; at q = 1 half of it."""
    y, e = 1e-6, 0.8
    found = {}
    for end in (-1, 1):
        diffusion, q = overlap(drift, by, e, d), np.array(end * (1 - y))
        found[end] = float(-end * diffusion.drift(q) / y - 0.5 * diffusion.variance(q) / y**2)
    assert hybrid_antipodal_exponent(BETA, e, d, drift, by) == pytest.approx(found[-1], abs=2e-4)
    assert hybrid_aligned_exponent(BETA, e, d, drift, by) == pytest.approx(found[1] / 2, abs=2e-4)
    assert hybrid_antipodal_exponent(BETA, 1.0, d, "none", "value") == pytest.approx(antipodal_exponent(BETA, d))


@pytest.mark.parametrize(("drift", "by"), CASES)
def test_thresholds_separate_attracting_from_repelling(drift, by):
    for d in (2, 3):
        threshold = float(hybrid_antipodal_threshold(BETA, d, drift, by))
        assert hybrid_antipodal_exponent(BETA, threshold, d, drift, by) == pytest.approx(0, abs=1e-12)
        kinds = [classify_ends(overlap(drift, by, s * threshold, d))[0].kind for s in (0.98, 1.02)]
        assert kinds == ["repelling", "attracting"] or d == 2  # on the circle value noise crosses
    w = 1 / (1 + np.exp(2 * BETA))
    if drift == "sa":
        gain = 2 - 2 / np.cosh(BETA) ** 2
        stated = {"value": 4 * w / gain, "scalar": 1 / w, "scalar_layers": 1 / (1 - w), "quadratic_form": w}
        assert hybrid_antipodal_threshold(BETA, 3, drift, by) ** 2 == pytest.approx(stated[by])
    assert hybrid_antipodal_threshold(0.1, 64, drift, "value") == np.inf


@pytest.mark.parametrize(("drift", "by"), [case for case in CASES if "scalar" in case[1]])
@pytest.mark.parametrize("share", [0.8, 1.25])
def test_an_antipodal_pair_along_a_run(drift, by, share):
    """log(1+q) over 100 steps of ±√dt, its martingale part 2εaB taken away, grows at the exponent."""
    strength, y, T = share * float(hybrid_antipodal_threshold(BETA, 3, drift, by)), 1e-9, 0.2
    start = pair(-1.0, 3)
    turned = np.array([[1.0, 0, 0], [-np.cos(np.sqrt(2 * y)), np.sin(np.sqrt(2 * y)), 0]])
    start = fp.Cloud(turned, start.weights, tokens=True, rtol=1e-10)
    path, dt = Walk(11, cell=T / 100), T / 100
    *_, (_, last) = fp.run(model(drift, by, strength, 3), start, path, t_end=T, dt=dt, scheme="lie_euler")
    brownian = sum(path.increment(n * dt, (n + 1) * dt, 1)[0] for n in range(100))
    pull = 2 / (1 + np.exp(2 * BETA)) if drift == "sa" else np.exp(-BETA)
    apart = np.linalg.norm(last.x.sum(0)) ** 2 / np.linalg.norm(start.x.sum(0)) ** 2
    growth = (np.log(apart) - 2 * strength * pull * brownian) / T
    exact = float(hybrid_antipodal_exponent(BETA, strength, 3, drift, by))
    assert growth == pytest.approx(exact, abs=0.05 * (1 + strength**2 * pull))
    assert (exact < 0) == (share > 1)


def test_where_a_hybrid_pair_ends():
    """P(antipodal) of attention and a quadratic form: S' = e^{-∫a/2ε²}/cosh w in the rapidity, by quadrature."""
    strength, q0 = 0.9, -0.4
    w = np.linspace(-40, 40, 400_001)
    a = 2 / (1 + np.exp(BETA * (1 - np.tanh(w))))
    slope = np.exp(-np.cumsum(a) * (w[1] - w[0]) / (2 * strength**2))
    slope *= 1 / np.cosh(w)
    exact = slope[w > np.arctanh(q0)].sum() / slope.sum()
    assert hitting_probability(overlap("sa", "quadratic_form", strength, 3), q0, -1) == pytest.approx(exact, rel=1e-3)
    below = 0.98 * float(hybrid_antipodal_threshold(BETA, 3, "sa", "quadratic_form"))
    assert hitting_probability(overlap("sa", "quadratic_form", below, 3), q0, 1) == 1


@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_forced_quadratic_form_synchronises_under_its_bound(kind):
    """E((1-q)/2)^p of the exact diffusion is below the bound, and above one with a larger pull: it is not idle."""
    beta, strength = 0.4, 0.2
    pull = 2 / (1 + np.exp(2 * beta)) if kind == "sa" else np.exp(-beta)
    diffusion = attention_overlap(beta, kind) + quadratic_form_overlap(strength)
    q0 = np.array([-0.9, -0.2, 0.5, 0.9])
    for p in (0.3, 2.0):
        for t in (0.5, 6.0):
            exact = diffusion.expect(lambda q, p=p: ((1 - q) / 2) ** p, q0, t, 1e-5)
            assert (exact <= forced_moment_bound(q0, t, p, pull, strength) + 2e-5).all()
            assert forced_moment_bound(q0, t, p, pull, strength)[-1] < 1
    exact = diffusion.expect(lambda q: ((1 - q) / 2) ** 0.5, q0, 2.0, 1e-5)
    assert (exact > forced_moment_bound(q0, 2.0, 0.5, 3 * pull, strength)).any()
    with pytest.raises(InputError, match="pull"):
        forced_moment_bound(0.0, 1.0, 1.0, -1.0, 1.0)


def test_bad_arguments():
    with pytest.raises(InputError, match="by"):
        hybrid_antipodal_exponent(1.0, 1.0, by="nothing")
    with pytest.raises(InputError, match="drift"):
        hybrid_aligned_exponent(1.0, 1.0, drift="nothing")
    with pytest.raises(InputError, match="reading"):
        ScalarNoise(1.0, reading="stratonovich")
    with pytest.raises(TypeError):
        attention_overlap(1.0) + 2
