"""The isotropic key-query laws on the circle: against Monte Carlo over A (2, 2), closed forms and quadrature.

Monte Carlo: fixed seeds, 72 comparisons at 4.5 standard errors, false-alarm rate 5e-4 for the whole set if seeds were
redrawn. One draw of A serves every overlap.
"""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import comb, ive

from fpsolve.attention.kernel import kernel
from fpsolve.attention.laws import (
    Cutoffs,
    KeyQueryLaw,
    power_coefficients,
    radius_weights,
    spectrum_tensor,
)
from fpsolve.attention.radial import chaos_projection, half_line
from fpsolve.attention.source import PointSource
from fpsolve.attention.spectrum import spectrum_engine
from fpsolve.attention.spheres import sampling
from fpsolve.errors import InputError
from fpsolve.models import Homogenized
from fpsolve.noise import isotropic

KINDS = ("gaussian", "product")
OVERLAPS = np.array([-1.0, -0.5, 0.0, 0.5, 0.9, 1.0])
BETA = 0.8
LAWS = [KeyQueryLaw(kind, 1.3, 2) for kind in KINDS]
CUTOFFS = {"gaussian": Cutoffs(4, 32, 40), "product": Cutoffs(4, 36, 24, 24)}


def bump(kappa, angle, n=200):
    """von Mises(kappa): n uniform angles over the part that counts."""
    width = min(np.pi, 9 / np.sqrt(kappa))
    theta = width * (2 * np.arange(n) / n - 1)
    x = np.stack([np.cos(theta + angle), np.sin(theta + angle)], -1)
    return x, np.exp(kappa * (np.cos(theta) - 1))


def mixture(*parts):
    weights = np.concatenate([share * w / w.sum() for share, (_, w) in parts])
    return PointSource(np.concatenate([x for _, (x, _) in parts]), weights / weights.sum())


MEASURES = {
    "two_bumps": mixture((0.6, bump(2.5, 0.3)), (0.4, bump(4.0, 2.5))),
    "clusters": mixture((0.6, bump(100.0, 0.0, 40)), (0.4, bump(100.0, 2.0, 40))),
}
UNIFORM = mixture((1.0, bump(1e-12, 0.0, 512)))


def monte_carlo(law, beta, source, draws, seed):
    """Mean and standard error of F(βAx)·F(βAy) at every overlap."""
    rng = np.random.default_rng(seed)
    A = law.std * rng.normal(size=(draws, 2, 2))
    if law.kind == "product":
        A = law.std * A @ rng.normal(size=(draws, 2, 2))
    F, values = source.F(beta * A[:, :, 0]), []
    for t in OVERLAPS:
        other = source.F(beta * (A[:, :, 0] * t + A[:, :, 1] * np.sqrt(1 - t * t)))
        values.append((F * other).sum(axis=1))
    return np.mean(values, axis=1), np.std(values, axis=1) / np.sqrt(draws)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("beta", [1.0, 4.0, 10.0])
@pytest.mark.parametrize("kind", KINDS)
def test_monte_carlo(kind, beta, name):
    law, value_std = KeyQueryLaw(kind, 0.9, 2), 0.7
    k = kernel(law, beta, value_std, MEASURES[name], tolerance=2e-3)
    mean, error = monte_carlo(law, beta, MEASURES[name], draws=20_000, seed=11)
    # Systematic: what the kernel says of itself, below 2e-3.
    assert k.error < 2e-3 * value_std**2
    assert np.all(np.abs(k(OVERLAPS) - value_std**2 * mean) < value_std**2 * 4.5 * error + k.error + 1e-9)
    assert k(1.0) == pytest.approx(k.kappa, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [1.0, 10.0])
def test_dirac_is_constant(kind, beta):
    # log M = g·y: F = y for any A.
    law, source = KeyQueryLaw(kind, 1.0, 2), PointSource(np.array([[0.6, 0.8]]), np.ones(1))
    k = kernel(law, beta, 1.5, source, tolerance=1e-3)
    np.testing.assert_allclose(k(OVERLAPS), 2.25, rtol=1e-11)
    C = spectrum_engine(law, beta, 1.5, 6, 1e-3).of(source)
    np.testing.assert_allclose(C, [2.25 * 2 * np.pi, *[0] * 6], atol=1e-8)


def bessel_ratio(r):
    return ive(1, r) / ive(0, r)


def rayleigh(b):
    return b * np.exp(-b * b / 2)


@pytest.mark.parametrize("beta", [0.5, 4.0, 10.0])
def test_uniform_kappa_gaussian(beta):
    expected = quad(lambda b: rayleigh(b) * bessel_ratio(beta * b) ** 2, 0, 12, epsabs=1e-12)[0]
    k = kernel(KeyQueryLaw("gaussian", 1.0, 2), beta, 1.0, UNIFORM, tolerance=1e-4)
    assert k.kappa == pytest.approx(expected, abs=1e-8)
    # μ is symmetric under y → -y: k is odd.
    np.testing.assert_allclose(k(-OVERLAPS), -k(OVERLAPS), atol=1e-10)


def test_uniform_kappa_product():
    def inner(a):
        return quad(lambda b: rayleigh(b) * bessel_ratio(2.0 * a * b) ** 2, 0, 10, epsabs=1e-9)[0]

    expected = quad(lambda a: rayleigh(a) * inner(a), 0, 10, epsabs=1e-8)[0]
    k = kernel(KeyQueryLaw("product", 1.0, 2), 2.0, 1.0, UNIFORM, tolerance=1e-4)
    assert k.kappa == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("kind", "beta", "tolerance"), [("gaussian", 4.0, 1e-6), ("product", 1.0, 1e-6)])
@pytest.mark.parametrize("name", MEASURES)
def test_engine_agrees_with_the_accurate_kernel(kind, beta, tolerance, name):
    # Two routes: tensor with closed tails, chaos coefficients with finer cut-offs. C_m is at most 2π σ_V².
    law = KeyQueryLaw(kind, 1.0, 2)
    C = spectrum_engine(law, beta, 1.0, 16).of(MEASURES[name])
    k = kernel(law, beta, 1.0, MEASURES[name])
    np.testing.assert_allclose(C, isotropic(2, 16).spectrum(k, 4000), atol=tolerance * 2 * np.pi)
    assert np.all(C >= 0)


def test_engine_takes_values_on_its_circles():
    engine, source = spectrum_engine(KeyQueryLaw("gaussian", 1.0, 2), 2.0, 1.0, 8), MEASURES["two_bumps"]
    log_m = np.stack([source.log_M_sphere(float(r), engine.grid) for r in engine.radii])
    np.testing.assert_allclose(engine.spectrum(log_m), engine.of(source), atol=1e-7)


def check(law, fields, expected):
    """The two routes, C_p and c_k, against the coefficients of a polynomial k."""
    c, cutoffs = np.zeros(20), CUTOFFS[law.kind]
    c[: len(expected)] = expected
    tensor = spectrum_tensor(law, BETA, 4, cutoffs)
    spectrum = np.tensordot(tensor, np.stack([field @ field.T for field in fields]), 3)
    scale = np.abs(c).max()
    np.testing.assert_allclose(power_coefficients(law, BETA, fields, cutoffs)[:20], c, atol=2e-8 * scale)
    np.testing.assert_allclose(spectrum, isotropic(2, 4).spectrum_of_powers(19) @ c, atol=2e-8 * scale * 2 * np.pi)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.kind)
@pytest.mark.parametrize("power", [1, 2, 3])
def test_polynomial_log_m(law, power):
    # φ = (e·g)^p/p!, cos^p θ = Σ_m τ[m, p] N_m cos mθ/2π; F = (e·g)^{p-1}/(p-1)! e. Isserlis, with ρ = 1:
    # gaussian 1, t, (1+2t²)/4; product (d = 2): 1, 2t (E z·z' of two factors), (E|z|²|z'|² + 2E(z·z')²)/4.
    cutoffs = CUTOFFS[law.kind]
    radii = cutoffs.mesh(law, BETA).radii
    tau = isotropic(2, 4).spectrum_of_powers(power)[:, power]
    norms = np.where(np.arange(5) == 0, 1 / np.sqrt(2 * np.pi), 1 / np.sqrt(np.pi))
    profile = radii**power / [1, 2, 6][power - 1]
    fields = [(profile * tau[m] * norms[m])[:, None] for m in range(5)]
    gaussian = [[1.0], [0.0, 1.0], [0.25, 0.0, 0.5]]
    product = [[1.0], [0.0, 2.0], [2.0, 0.0, 4.0]]
    expected = (gaussian if law.kind == "gaussian" else product)[power - 1]
    check(law, fields, law.scale(BETA) ** (2 * power - 2) * np.array(expected))


def test_spectrum_of_powers():
    tau = isotropic(2, 9).spectrum_of_powers(12)
    for k in range(13):
        for m in range(10):
            exact = 2 * np.pi * 2.0**-k * comb(k, (k - m) // 2) if m <= k and (k - m) % 2 == 0 else 0.0
            assert tau[m, k] == pytest.approx(exact, abs=1e-13)
    np.testing.assert_allclose(isotropic(2, 9).kernel(tau[:, 7])(OVERLAPS), OVERLAPS**7, atol=1e-13)


def test_chaos_rows_are_orthonormal():
    _, rows = chaos_projection(3, 3, 90, 2)
    _, weights = half_line(90, 2)
    gram = np.einsum("lnq,lmq->lnm", rows, rows / weights)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-7)
    np.testing.assert_allclose(rows[0, 0] / weights, np.sqrt(2 * np.pi), rtol=1e-12)
    np.testing.assert_allclose(2 * np.pi * weights.sum(), 1.0, atol=1e-13)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.kind)
def test_radius_weights_give_the_second_moment(law):
    # E|βAx|² = 2ρ² (gaussian), 4ρ² (product).
    cutoffs = CUTOFFS[law.kind]
    moment = 2 * np.pi * radius_weights(law, BETA, cutoffs) @ cutoffs.mesh(law, BETA).radii ** 2
    np.testing.assert_allclose(moment, (2 if law.kind == "gaussian" else 4) * law.scale(BETA) ** 2, rtol=1e-8)


def test_sampling_circle_holds_what_is_asked():
    assert sampling(2, 20, 150).holds(150)
    assert sampling(2, 20).n % 2 == 0


@pytest.mark.parametrize("d", [1, 4, 64])
def test_other_dimensions_are_refused_with_the_remedy(d):
    with pytest.raises(InputError, match="DrawnHeads"):
        Homogenized(beta=1.0, key_query="gaussian", noise_lmax=4).channels(d)
    with pytest.raises(InputError) as caught:
        KeyQueryLaw("gaussian", 1.0, d)
    assert caught.value.argument == "d"
