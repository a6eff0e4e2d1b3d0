"""Growth of the uniform law against spherical Bessel functions, quadrature in any d, and the flow on the circle."""

import numpy as np
import pytest
from scipy.special import eval_chebyt, eval_gegenbauer, iv, roots_gegenbauer, spherical_in

from fpsolve.errors import InputError
from fpsolve.theory import attention_multiplier, uniform_energy, uniform_growth_rate

DEGREES = np.arange(7)
BETAS = np.array([0.3, 1.0, 4.0, 20.0])[:, None]


def funk_hecke(ell, beta, d):
    """Mean of e^{βt} P_ℓ(t) over the sphere, P_ℓ(1) = 1, by Gauss–Gegenbauer quadrature."""
    t, w = roots_gegenbauer(80, d / 2 - 1)
    zonal = eval_chebyt(ell, t) if d == 2 else eval_gegenbauer(ell, d / 2 - 1, t) / eval_gegenbauer(ell, d / 2 - 1, 1.0)
    return w @ (np.exp(beta * t) * zonal) / w.sum()


def circle_rate(ell, beta, kind, nu):
    """d/dt log c of ρ = (1 + c cos ℓθ)/2π, right side of the continuity equation by Fourier transforms."""
    theta, c = 2 * np.pi * np.arange(128) / 128, 1e-5
    rho = (1 + c * np.cos(ell * theta)) / (2 * np.pi)
    modes = np.fft.fft(rho) * np.fft.fft(np.exp(beta * np.cos(theta))) * 2 * np.pi / 128
    potential = np.fft.ifft(modes).real

    def derivative(f):
        return np.fft.ifft(1j * np.fft.fftfreq(128, 1 / 128) * np.fft.fft(f)).real

    velocity = derivative(np.log(potential) if kind == "sa" else potential) / beta
    change = -derivative(rho * velocity) + nu * derivative(derivative(rho))
    return 2 * np.pi * change @ np.cos(ell * theta) * 2 / 128 / c


def test_the_sphere_has_spherical_bessel_functions():
    ratio = np.stack([spherical_in(ell, BETAS[:, 0]) for ell in DEGREES], 1) / BETAS
    usa, sa = (uniform_growth_rate(DEGREES, BETAS, kind) for kind in ("usa", "sa"))
    assert np.allclose(usa, DEGREES * (DEGREES + 1) * ratio, rtol=1e-12, atol=0)
    assert np.allclose(sa, DEGREES * (DEGREES + 1) * ratio / spherical_in(0, BETAS), rtol=1e-12, atol=0)
    noisy = uniform_growth_rate(DEGREES, BETAS, "sa", diffusion=0.2)
    assert np.allclose(sa - noisy, 0.2 * DEGREES * (DEGREES + 1), atol=1e-13)


@pytest.mark.parametrize("kind", ["sa", "usa"])
@pytest.mark.parametrize("ell", [1, 2, 5])
def test_the_circle_agrees_with_the_flow(kind, ell):
    rate = uniform_growth_rate(ell, 1.7, kind, d=2, diffusion=0.05)
    assert rate == pytest.approx(circle_rate(ell, 1.7, kind, 0.05), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("d", [2, 3, 4, 7, 64])
def test_multipliers_are_quadratures(d):
    for beta in (0.0, 0.5, 6.0):
        exact = [funk_hecke(ell, beta, d) for ell in range(5)]
        assert np.allclose(attention_multiplier(range(5), beta, d), exact, rtol=1e-9, atol=1e-13)
        if beta > 0:
            rates = uniform_growth_rate(range(1, 5), beta, "sa", d)
            expected = [k * (k + d - 2) * exact[k] / (beta * exact[0]) for k in range(1, 5)]
            assert np.allclose(rates, expected, rtol=1e-9, atol=1e-12)
            assert uniform_energy(beta, d) == pytest.approx(exact[0] / (2 * beta), rel=1e-12)


def test_limits():
    assert np.allclose(uniform_growth_rate(1, 0.0, "sa", d=[2, 3, 8]), [1 / 2, 2 / 3, 7 / 8], rtol=1e-14)
    assert (uniform_growth_rate([0, 2, 3], 0.0, "usa", 5) == 0).all()
    assert uniform_growth_rate(1, 1e-8, "usa") == pytest.approx(2 / 3, rel=1e-12)
    assert uniform_growth_rate(3, 1e6, "sa") == pytest.approx(12e-6, rel=1e-4)  # I ratios tend to 1
    high = uniform_growth_rate(1, 500.0, "sa", d=[512, 4096])
    assert (high > 0).all() and (high < 1).all()
    ratio = iv(256, 30.0) / iv(255, 30.0)
    assert uniform_growth_rate(1, 30.0, "sa", d=512) == pytest.approx(511 / 30 * ratio, rel=1e-10)


def test_bad_arguments_are_named():
    for name, value in {"degree": -1, "beta": -1.0, "d": 1, "diffusion": -0.1, "kind": "sq"}.items():
        with pytest.raises(InputError, match=rf"^{name} = "):
            uniform_growth_rate(**({"degree": 1, "beta": 1.0} | {name: value}))
    with pytest.raises(InputError, match=r"^degree"):
        uniform_growth_rate(1.5, 1.0)
    with pytest.raises(InputError, match=r"^beta"):
        uniform_energy(0.0)
    with pytest.raises(InputError, match=r"double precision"):
        uniform_growth_rate(1, 6000.0, "sa", d=12000)
