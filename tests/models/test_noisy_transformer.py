"""Attention with each token's own noise: thresholds of the uniform state, free energy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gamma, iv, spherical_in

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.measures.build import build
from fpsolve.models.noisy_transformer import NoisyTransformer
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.unnormalised import UnnormalisedSelfAttention
from fpsolve.observe.free_energy import dissipation, free_energy, interaction_energy
from fpsolve.sphere.harmonics import MASS_MOMENT, index, size

QUIET = fp.BrownianPath(0, 0)


@pytest.mark.parametrize("beta", [0.3, 2.0, 30.0])
def test_thresholds_in_closed_form(beta: float) -> None:
    """S²: i_ℓ/β and i_ℓ/(β i_0). Any d, ℓ = 1: K = 1/(2ν) = β^{d/2}/(2^{d/2} Γ(d/2) I_{d/2}(β)) of 2606.05140."""
    usa, sa = (NoisyTransformer(beta, 0.0, kind) for kind in ("usa", "sa"))
    for degree in range(1, 7):
        bessel = spherical_in(degree, beta)
        assert usa.threshold(degree) == pytest.approx(bessel / beta, rel=1e-12)
        assert sa.threshold(degree) == pytest.approx(bessel / (beta * spherical_in(0, beta)), rel=1e-12)
    for d in (2, 3, 5, 16):
        coupling = beta ** (d / 2) / (2 ** (d / 2) * gamma(d / 2) * iv(d / 2, beta))
        assert 1 / (2 * usa.threshold(1, d)) == pytest.approx(coupling, rel=1e-11)


@pytest.mark.parametrize("degree", [1, 3])
@pytest.mark.parametrize("kind", ["usa", "sa"])
def test_growth_changes_sign_at_the_threshold(kind: str, degree: int) -> None:
    """ν 2 % below and above: the perturbation grows and decays at ±0.02 ℓ(ℓ+1) threshold, to 1e-3."""
    beta, amplitude, lmax = 2.0, 1e-5, 15
    threshold = NoisyTransformer(beta, 0.0, kind).threshold(degree)  # type: ignore[arg-type]
    for factor in (0.98, 1.02):
        model = NoisyTransformer(beta, factor * threshold, kind)  # type: ignore[arg-type]
        coefficients = np.zeros(size(lmax), complex)
        coefficients[0], coefficients[index(degree, 0, lmax)] = MASS_MOMENT, amplitude
        t_end = 1 / (degree * (degree + 1) * threshold)
        *_, (_, end) = fp.run(model, fp.Density(coefficients, rtol=1e-11), QUIET, t_end=t_end, dt=t_end / 8)
        found = np.log(end.coefficients[index(degree, 0, lmax)].real / amplitude) / t_end
        assert found == pytest.approx(model.growth_rate(degree), rel=2e-3)
        assert np.sign(found) == np.sign(0.99 - factor + 0.01)


@pytest.mark.parametrize("diffusion", [0.05, 0.5])
def test_the_free_energy_falls_at_the_dissipation(diffusion: float) -> None:
    """ν∫ρ log ρ - E along USA: dF/dt = -∫|v - ν∇log ρ|²dμ, by fourth-order differences (Strang: O(dt²))."""
    beta, h = 2.0, 0.002
    model = NoisyTransformer(beta, diffusion)
    law = fp.initial.mixture([fp.initial.von_mises_fisher(m, 4.0) for m in ([0, 0, 1], [0, 1, -0.4])], [0.6, 0.4])
    start = build(law, "density", 31, 1e-9)
    states = [state for _, state in fp.run(model, start, QUIET, t_end=4 * h, dt=h)]
    values = [free_energy(state, beta, diffusion) for state in states]
    rate = (values[0] - 8 * values[1] + 8 * values[3] - values[4]) / (12 * h)
    assert rate == pytest.approx(-dissipation(model, states[2]), rel=2e-4)
    later = [free_energy(state, beta, diffusion) for _, state in fp.run(model, states[-1], QUIET, t_end=0.3, dt=0.02)]
    assert (np.diff(later) < 0).all()


def test_it_is_the_models_without_noise_and_more() -> None:
    cloud = build(fp.initial.samples(fp.initial.uniform(), 30, 1), "cloud", 7, 1e-6)
    for kind, other in (("usa", UnnormalisedSelfAttention(3.0)), ("sa", SelfAttention(3.0))):
        fields = [m.drift_field(cloud.source).on(cloud.sites) for m in (NoisyTransformer(3.0, 0.1, kind), other)]  # type: ignore[arg-type]
        np.testing.assert_allclose(*fields, rtol=0, atol=1e-13)


def test_free_energies_that_do_not_exist_are_refused() -> None:
    tokens = build(fp.initial.samples(fp.initial.uniform(), 30, 1), "cloud", 7, 1e-6)
    assert free_energy(tokens, 2.0, 0.0) == -interaction_energy(tokens, 2.0)
    with pytest.raises(InputError, match="entropy"):
        free_energy(tokens, 2.0, 0.1)
    with pytest.raises(InputError, match="log ρ"):
        dissipation(NoisyTransformer(2.0, 0.1), tokens)
    with pytest.raises(InputError, match="kind"):
        NoisyTransformer(2.0, 0.1, "softmax")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="degree"):
        NoisyTransformer(2.0, 0.1).threshold(0)
