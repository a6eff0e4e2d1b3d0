"""Thresholds of the noisy transformer against growth rates, the literature's form and the free energy's expansion."""

import numpy as np
import pytest
from scipy.special import gamma, iv, ive, roots_gegenbauer, spherical_in

from fpsolve.errors import InputError
from fpsolve.theory import (
    attention_multiplier,
    critical_beta,
    critical_diffusion,
    transition_beta,
    transition_is_continuous,
    uniform_growth_rate,
)


@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_growth_vanishes_at_the_critical_diffusion(kind):
    ell, beta, d = np.arange(1, 5), np.array([0.5, 2.0, 9.0])[:, None], 5
    nu = critical_diffusion(beta, d, kind, ell)
    scale = ell * (ell + d - 2) * nu
    assert (np.abs(uniform_growth_rate(ell, beta, kind, d, nu)) <= 1e-13 * scale).all()
    assert (np.diff(nu, axis=1) < 0).all()  # degree 1 goes first


def test_forms_of_the_literature():
    for d in (2, 3, 6):
        for beta in (0.7, 3.0):
            coupling = beta ** (d / 2) / (2 ** (d / 2) * gamma(d / 2) * iv(d / 2, beta))
            assert critical_diffusion(beta, d) == pytest.approx(1 / (2 * coupling), rel=1e-12)
    first, zeroth = spherical_in(1, 2.0), spherical_in(0, 2.0)
    assert critical_diffusion(2.0) == pytest.approx(first / 2, rel=1e-13)
    assert critical_diffusion(2.0, kind="sa") == pytest.approx(first / (2 * zeroth), rel=1e-13)
    assert np.allclose(critical_diffusion(0.0, [2, 3, 10]), [1 / 2, 1 / 3, 1 / 10], rtol=1e-14)


def test_critical_beta_is_the_inverse():
    d, beta = np.array([2, 3, 16]), np.array([[0.2], [1.5], [12.0]])
    for kind in ("sa", "usa"):
        assert np.allclose(critical_beta(critical_diffusion(beta, d, kind), d, kind), beta + 0 * d, rtol=1e-8)
    assert critical_beta(critical_diffusion(4.0, degree=3), degree=3) == pytest.approx(4.0, rel=1e-10)
    assert critical_beta(0.2, 3) == 0 and critical_beta(0.4, 3, "sa") == 0 and critical_beta(0.0, 3, "sa") == np.inf


def quartic(beta, d):
    """Coefficient of c_1⁴ in the free energy ν∫ρ log ρ - (1/2β)∬e^{β⟨x,y⟩}ρρ at ν = ν_c, degree 2 adapted.

    ρ = 1 + c_1 Y_1 + c_2 Y_2 relative to the uniform law: ν[⟨Y_1⁴⟩/12 - ν⟨Y_1²Y_2⟩²/(8A)], A = ν - λ_2/β.
    """
    t, w = roots_gegenbauer(20, d / 2 - 1)
    w = w / w.sum()
    first, second = np.sqrt(d) * t, t * t - 1 / d
    second = second / np.sqrt(w @ second**2)
    nu = critical_diffusion(beta, d)
    room = nu - attention_multiplier(2, beta, d) / beta
    return nu * (w @ first**4 / 12 - nu * (w @ (first**2 * second)) ** 2 / (8 * room))


@pytest.mark.parametrize("d", [2, 3, 8])
def test_the_transition_changes_its_kind_where_the_quartic_does(d):
    star = float(transition_beta(d))
    assert quartic(star * (1 - 1e-4), d) > 0 > quartic(star * (1 + 1e-4), d)
    assert list(transition_is_continuous([0.99 * star, 1.01 * star], d)) == [True, False]
    assert ive(d / 2 + 1, star) / ive(d / 2, star) == pytest.approx(1 / d, rel=1e-12)


def test_every_dimension_has_its_beta():
    d = np.array([2, 3, 64, 512, 4096])
    assert np.allclose(transition_beta(d)[2:], 1 + 2 / d[2:], rtol=1e-3)  # I_{ν+1}/I_ν ~ β/(2ν+2)
    assert (np.diff(transition_beta(d)) < 0).all()


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"^degree = 0"):
        critical_diffusion(1.0, degree=0)
    with pytest.raises(InputError, match=r"^degree = 2.*one threshold"):
        critical_beta(0.1, kind="sa", degree=2)
    with pytest.raises(InputError, match=r"^diffusion = -1"):
        critical_beta(-1.0)
    with pytest.raises(InputError, match=r"^d = 1"):
        transition_beta(1)
    with pytest.raises(InputError, match=r"^kind = 'softmax'"):
        critical_beta(1.0, kind="softmax")
