"""The floor of a density in far attention: the estimate against own quadrature of C_ℓ under the law after a step.

The law after the step is known: points of a Gauss rule of the initial law, with its weights, moved along the step's own
field by Runge–Kutta sub-steps made here. From them, M and F by plain sums; C_ℓ of the Gaussian law by its Hermite
chaos.
"""

import warnings
from functools import cache

import numpy as np
import pytest
from scipy.special import eval_genlaguerre, gammaln

import fpsolve as fp
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.spectrum import spectrum_engine
from fpsolve.defects import ATTENTION_UNRESOLVED, attention_floor, defects, is_resolved
from fpsolve.measures.build import build
from fpsolve.noise import BrownianPath
from fpsolve.schemes import SCHEMES
from fpsolve.sphere.geometry import geometry
from fpsolve.stepping import Stepper

DT, NOISE_LEVEL, FACTOR = 0.02, 5e-4, 30
"""Below the noise level (part of C_0) the quadrature here may be wrong itself."""

AXIS = {2: [0.3, 1.0], 3: [0.3, -0.5, 1.0]}
CASES = [(2, "gaussian", kappa, beta) for kappa in (12, 16, 20, 40) for beta in (4.0, 8.0, 16.0)]
CASES += [(2, "product", 12, 4.0), (2, "product", 20, 8.0), (3, "product", 16, 4.0)]
CASES += [(3, "gaussian", kappa, beta) for kappa, beta in ((12, 4.0), (16, 4.0), (20, 8.0))]


def law(d, kappa):
    return fp.initial.von_mises_fisher(AXIS[d], kappa)


@cache
def after(d, kind, kappa, beta, rtol, lmax=63, measure="density"):
    model = fp.models.Homogenized(beta=beta, key_query=kind, noise_lmax=16)
    start = build(law(d, kappa), measure, lmax, rtol)
    return model, Stepper(model, BrownianPath(0, cell=DT), DT, SCHEMES["lie_euler"])(start, 0)


def rule(d, n):
    """Points of S^{d-1} and weights of sum |S^{d-1}|."""
    phi = 2 * np.pi * (np.arange(2 * n) + 0.5) / (2 * n)
    if d == 2:
        return np.stack([np.cos(phi), np.sin(phi)], -1), np.full(2 * n, np.pi / n)
    z, w = np.polynomial.legendre.leggauss(n)
    s = np.sqrt(1 - z * z)[:, None]
    x = np.stack([s * np.cos(phi), s * np.sin(phi), np.repeat(z[:, None], 2 * n, 1)], -1)
    return x.reshape(-1, 3), np.repeat(w * np.pi / n, 2 * n)


@cache
def truth(d, kind, kappa, beta):
    """Points and weights of the law after the step, the field taken from the law itself."""
    model = fp.models.Homogenized(beta=beta, key_query=kind, noise_lmax=16)
    x, weights = rule(d, {2: 192, 3: 28 if kappa <= 20 else 40}[d])
    weights = weights * law(d, kappa).density(x)
    exact = build(law(d, kappa), "cloud", 63, 1e-9)
    field = model.noise_field(exact.source, BrownianPath(0, cell=DT).increment(0.0, DT, model.channels(d)))

    def v(x):
        x = x / np.linalg.norm(x, axis=1)[:, None]
        u = field.ambient(geometry(d).points(np.ascontiguousarray(x)))
        return u - np.sum(u * x, axis=1)[:, None] * x

    h = 1 / 32
    for _ in range(32):
        k1 = v(x)
        k2 = v(x + h / 2 * k1)
        k3 = v(x + h / 2 * k2)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + v(x + h * k3))
    return x / np.linalg.norm(x, axis=1)[:, None], weights / weights.sum()


def sums(g, x, weights):
    """log M and F by plain sums, the largest exponent taken out."""
    exponent = g @ x.T
    top = exponent.max(axis=1, keepdims=True)
    p = np.exp(exponent - top) * weights
    mass = p.sum(axis=1, keepdims=True)
    return (top + np.log(mass))[:, 0], p @ x / mass


def harmonics(d, degree, x):
    """Real orthonormal harmonics at x, a list by degree of (n, orders)."""
    if d == 2:
        angle = np.arctan2(x[:, 1], x[:, 0])
        waves = [np.stack([np.cos(m * angle), np.sin(m * angle)], -1) / np.sqrt(np.pi) for m in range(degree + 1)]
        return [np.full((len(x), 1), 1 / np.sqrt(2 * np.pi)), *waves[1:]]
    from scipy.special import sph_harm_y

    theta, phi = np.arccos(x[:, 2]), np.arctan2(x[:, 1], x[:, 0])
    out = []
    for ell in range(degree + 1):
        y = [sph_harm_y(ell, m, theta, phi) for m in range(ell + 1)]
        out.append(np.stack([y[0].real] + [np.sqrt(2) * part for one in y[1:] for part in (one.real, one.imag)], -1))
    return out


@cache
def own_spectrum(d, kappa, beta, pmax=4):
    """C_p of the Gaussian law, p ≤ pmax: k(t) = σ_V² Σ c_k t^k, c_k = ‖P_k F(β·)‖², closed by κ = σ_V² E|F|².

    h_nℓ ∝ b^ℓ L_n^{(α)}(b²/2), ∫ h² b^{d-1} (2π)^{-d/2} e^{-b²/2} db = 1, α = ℓ + d/2 - 1.
    """
    points, weights = truth(d, "gaussian", kappa, beta)
    K, degree, n, nodes = (80, 14, 16, 60) if d == 3 else (360, 40, 64, 150)
    x, area = rule(d, n)
    u, du = np.polynomial.legendre.leggauss(nodes)
    b, w = 4.25 * (1 + u), 4.25 * du * (4.25 * (1 + u)) ** (d - 1) * (2 * np.pi) ** (-d / 2)
    fields = np.stack([sums(beta * r * x, points, weights)[1] for r in b])
    total = np.sum(w * np.exp(-b * b / 2) * np.einsum("bna,bna,n->b", fields, fields, area))
    c = np.zeros(K + 1)
    for ell, y in enumerate(harmonics(d, degree, x)):
        modes = np.einsum("bna,nm,n->bma", fields, y, area)
        for n in range((K - ell) // 2 + 1):
            alpha = ell + d / 2 - 1
            log_norm = gammaln(n + alpha + 1) - gammaln(n + 1) + alpha * np.log(2) - d / 2 * np.log(2 * np.pi)
            h = eval_genlaguerre(n, alpha, b * b / 2) * np.exp(ell * np.log(b) - b * b / 2 - log_norm / 2)
            a = np.einsum("b,bma->ma", w * h, modes)
            c[2 * n + ell] += np.sum(a * a)
    t, dt = np.polynomial.legendre.leggauss(600)
    if d == 3:
        basis = [2 * np.pi * np.polynomial.legendre.Legendre.basis(p)(t) * dt for p in range(pmax + 1)]
    else:
        angle, dt = np.pi * (1 + t) / 2, np.pi * dt
        t, basis = np.cos(angle), [np.cos(p * angle) * dt for p in range(pmax + 1)]
    powers = t[:, None] ** np.arange(2 * K)
    tau = np.array(basis) @ powers
    rest = total - c.sum()
    closing = 0.5 * (tau[:, int(1.5 * K)] + tau[:, int(1.5 * K) + 1]) * rest
    return (tau[:, : K + 1] @ c + closing) / d


@cache
def engine_spectrum(d, kind, kappa, beta):
    """C_p from log M by plain sums over the points."""
    points, weights = truth(d, kind, kappa, beta)

    def log_M_sphere(radius, sites):
        return sums(radius * sites.x.reshape(-1, d), points, weights)[0].reshape(sites.shape)

    engine = spectrum_engine(KeyQueryLaw(kind, 1.0, d), beta, 1 / np.sqrt(d), 16)
    return engine.of(type("Sums", (), {"log_M_sphere": staticmethod(log_M_sphere)})())


def measured(d, kind, kappa, beta, *state):
    """max |δC_ℓ|/C_0 of the package's spectrum after the step, and the estimate."""
    model, density = after(d, kind, kappa, beta, *state)
    found, exact = model.spectrum(density.source), engine_spectrum(d, kind, kappa, beta)
    error = np.abs(found - exact).max() / exact[0]
    if kind == "gaussian":
        own = own_spectrum(d, kappa, beta)
        assert np.abs(own - exact[: len(own)]).max() < NOISE_LEVEL / 2 * own[0]
        assert np.abs(found[: len(own)] - own).max() / own[0] <= error + NOISE_LEVEL / 2
    return error, attention_floor(density, model)


@pytest.mark.parametrize(("d", "kind", "kappa", "beta"), CASES)
def test_the_estimate_is_sharp(d, kind, kappa, beta):
    """Within a factor of 30 above the noise level, and never beyond 30 times that where the error is smaller."""
    for rtol in (1e-6, 1e-9):
        error, estimate = measured(d, kind, kappa, beta, rtol)
        assert estimate < FACTOR * max(error, NOISE_LEVEL)
        assert error < FACTOR * max(estimate, NOISE_LEVEL / FACTOR)
        if error > 1e-3:
            assert estimate > ATTENTION_UNRESOLVED


@pytest.mark.parametrize(("d", "kappa", "beta"), [(2, 12, 4.0), (2, 40, 4.0), (3, 12, 4.0), (3, 16, 4.0)])
def test_a_tighter_rtol_lowers_both(d, kappa, beta):
    (coarse, estimate), (fine, tighter) = (measured(d, "gaussian", kappa, beta, rtol) for rtol in (1e-6, 1e-9))
    assert fine < coarse / 5 and tighter < estimate / 5


@pytest.mark.parametrize("kind", ["gaussian", "product"])
def test_no_alarm_for_a_spread_law(kind):
    """vMF(2), β = 4: the error is that of the transport, below 1e-6."""
    for d in (2, 3):
        model, density = after(d, kind, 2, 4.0, 1e-6)
        exact = engine_spectrum(d, kind, 2, 4.0)
        assert np.abs(model.spectrum(density.source) - exact).max() < 1e-5 * exact[0]
        assert is_resolved(density, model) and attention_floor(density, model) < ATTENTION_UNRESOLVED / 10


def test_a_truncation_is_told_from_a_tolerance():
    """At ℓmax = 31 lobes are the floor, and no rtol lowers it; at 63 rtol is."""
    for rtol in (1e-6, 1e-9):
        error, estimate = measured(2, "gaussian", 12, 8.0, rtol, 31)
        assert error > 0.05 and error / FACTOR < estimate < FACTOR * error
        assert after(2, "gaussian", 12, 8.0, rtol, 31)[1].floor.is_truncation
    model, density = after(3, "gaussian", 16, 4.0, 1e-6)
    (defect,) = defects(density, model)
    assert defect.name == "attention_floor" and not defect.is_truncation and not density.floor.is_truncation


def test_a_half_density_carries_farther():
    """ψ² knows 1e-18 of its peak where the density knows 1e-8."""
    for d, kappa, beta in ((2, 16, 4.0), (3, 20, 8.0)):
        error, estimate = measured(d, "gaussian", kappa, beta, 1e-6, 63, "half_density")
        density = measured(d, "gaussian", kappa, beta, 1e-6)
        assert error < density[0] / 20 and estimate < density[1] / 20


def test_the_initial_state_has_the_floor_of_no_step():
    """What a step of ``rtol`` leaves is not in a law's own density, unless that is all that there is of it."""
    model = fp.models.Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16)
    start = build(law(3, 16), "density", 63, 1e-6)
    assert start.coarsest == 0 and is_resolved(start, model)
    moved = after(3, "gaussian", 16, 4.0, 1e-6)[1]
    assert moved.coarsest == 1e-6 and not is_resolved(moved, model)
    assert fp.Density(moved.coefficients, rtol=1e-12, coarsest=1e-6).floor.rtol == 1e-6


def test_fixed_heads_are_asked_where_the_measure_is():
    """A = I attends to the bulk from the bulk, A = -I to its antipode; without denominators M weights what is asked."""
    density = after(3, "gaussian", 20, 8.0, 1e-6)[1]
    floors = {a: attention_floor(density, fp.models.SelfAttention(8.0, key_query=a)) for a in (1.0, -1.0)}
    assert floors[1.0] < 1e-7 and floors[-1.0] > 1e-3
    turned = fp.models.SelfAttention(8.0, key_query=-np.eye(3))
    assert attention_floor(density, turned) == pytest.approx(floors[-1.0], rel=1e-9)
    both = fp.models.MultiHead(8.0, [1.0, -1.0], [1.0, 1.0])
    assert attention_floor(density, both) == pytest.approx((floors[1.0] + floors[-1.0]) / 2)
    without = fp.models.NoisyTransformer(8.0, 0.0)
    assert attention_floor(density, without) < 1e-7


def test_fields_of_a_fixed_head_are_as_wrong_as_estimated():
    """F at x ~ μ under A = -I, from the moved density and from the points; vMF(2) is right."""
    for kappa, bad in ((20, True), (2, False)):
        points, weights = truth(3, "gaussian", kappa, 4.0)
        density = after(3, "gaussian", kappa, 4.0, 1e-6)[1]
        g = -8.0 * points
        off = np.linalg.norm(density.source.F(g) - sums(g, points, weights)[1], axis=1)
        error, estimate = np.sum(weights * off), attention_floor(density, fp.models.SelfAttention(8.0, key_query=-1.0))
        assert (estimate > ATTENTION_UNRESOLVED) == (error > 1e-4) == bad
        assert estimate < FACTOR * max(error, 1e-5) and error < FACTOR * max(estimate, 1e-5)


def test_models_that_do_not_ask_the_measure_have_no_floor():
    density = build(law(3, 20), "density", 31, 1e-6)
    for model in (
        fp.models.IsotropicFlow([1.0, 1.0]),
        fp.models.Homogenized(4.0, noise=0.0),
        fp.models.LowTemperatureLimit(),
        fp.models.DrawnHeads(4.0, noise=0.0),
    ):
        assert attention_floor(density, model) is None
    cloud = build(law(3, 20), "cloud", 31, 1e-6)
    assert attention_floor(cloud, fp.models.SelfAttention(4.0)) is None


def test_drawn_heads_ask_as_the_law_they_are_drawn_from():
    density = after(3, "gaussian", 16, 4.0, 1e-6)[1]
    exact = attention_floor(density, fp.models.Homogenized(4.0, key_query="gaussian", noise_lmax=16))
    assert attention_floor(density, fp.models.DrawnHeads(4.0)) == pytest.approx(exact, rel=1.0)
    entries = fp.models.DrawnHeads(4.0, key_query="uniform")
    assert exact / 10 < attention_floor(density, entries) < 10 * exact


@pytest.mark.parametrize(("lmax", "rtol"), [(63, 1e-6), (95, 1e-9)])
def test_two_bumps_whose_lobes_points_are_cut_from(lmax, rtol):
    """Against the spectrum of a cloud on the same path: the tail says nothing, and log ρ is not linear between them."""
    bumps = fp.initial.mixture([fp.initial.von_mises_fisher(c, 30.0) for c in ([0.3, -0.5, 1.0], [-1.0, 0.2, -0.3])])
    model = fp.models.Homogenized(beta=10.0, key_query="gaussian", noise_lmax=16)
    stepper = Stepper(model, BrownianPath(1, cell=DT), DT, SCHEMES["lie_euler"])
    density, cloud = build(bumps, "density", lmax, rtol), build(bumps, "cloud", 95, 1e-6)
    for n in range(2):
        density, cloud = stepper(density, n), stepper(cloud, n)
        exact = model.spectrum(cloud.source)
        off = np.abs(model.spectrum(density.source) - exact).max() / exact[0]
        assert off > 1e-3 and density.tail < 1e-4
        assert off / FACTOR < attention_floor(density, model) < FACTOR * off


@pytest.mark.parametrize(("kappa", "beta", "shown"), [(16, 4.0, True), (20, 8.0, True), (2, 4.0, False)])
def test_runs_announce_it(kappa, beta, shown):
    """The three rows of the density's table: Gaussian law, ℓmax 63, rtol 1e-6; the tail says nothing in all of them."""
    model = fp.models.Homogenized(beta=beta, key_query="gaussian", noise_lmax=16)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ds = fp.solve(model, law(3, kappa), t_end=0.1, dt=0.02, path_cell=0.02, lmax=63, measure="density")
    texts = [str(one.message) for one in told if one.category is fp.errors.UnderResolvedWarning]
    assert len(texts) == shown and ("attention_unresolved_from" in ds.attrs) == shown
    assert "unresolved_from" not in ds.attrs and (ds.tail < 1e-6).all()
    assert (ds.attention_floor.values.max() > ATTENTION_UNRESOLVED) == shown
    if shown:
        assert "far attention outgrows" in texts[0]
        assert "take a tighter rtol, 1e-09, or measure='log_density'" in texts[0]
