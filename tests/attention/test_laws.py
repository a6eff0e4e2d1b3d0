"""The law tensors against closed forms: polynomials φ = log M, whose expectations over A are elementary."""

import numpy as np
import pytest

from fpsolve.attention.laws import Cutoffs, KeyQueryLaw, power_coefficients, radius_weights, spectrum_tensor
from fpsolve.attention.radial import RadialMesh, chaos_projection, half_line
from fpsolve.errors import InputError
from fpsolve.noise import isotropic

BETA, STD = 0.8, 1.3
LAWS = [KeyQueryLaw("gaussian", STD), KeyQueryLaw("product", STD)]
CUTOFFS = {"gaussian": Cutoffs(4, 32, 40), "product": Cutoffs(4, 36, 24, 24)}


def of_kind(law):
    return law.kind


def spectrum_and_powers(law, fields):
    """C_p, p ≤ 4, and c_k, k < 20, of φ given by its real coefficients fields[ℓ] (J, columns)."""
    cutoffs = CUTOFFS[law.kind]
    tensor = spectrum_tensor(law, BETA, 4, cutoffs)
    grams = np.stack([field @ field.T for field in fields])
    return np.tensordot(tensor, grams, 3), power_coefficients(law, BETA, fields, cutoffs)[:20]


def empty_fields(law):
    radii = CUTOFFS[law.kind].mesh(law, BETA).radii
    return radii, [np.zeros((len(radii), 1)) for _ in range(CUTOFFS[law.kind].degree + 1)]


def check(law, fields, expected):
    """The two independent routes, C_p and c_k, against the coefficients of a polynomial k."""
    c = np.zeros(20)
    c[: len(expected)] = expected
    spectrum, powers = spectrum_and_powers(law, fields)
    scale = np.abs(c).max()
    np.testing.assert_allclose(powers, c, atol=2e-8 * scale)
    np.testing.assert_allclose(spectrum, isotropic(3, 4).spectrum_of_powers(19) @ c, atol=2e-8 * scale * 4 * np.pi)


@pytest.mark.parametrize("law", LAWS, ids=of_kind)
def test_linear_log_m(law):
    # φ = e·g: F = e, k = 1.
    radii, fields = empty_fields(law)
    fields[1][:, 0] = np.sqrt(4 * np.pi / 3) * radii
    check(law, fields, [1.0])


@pytest.mark.parametrize("law", LAWS, ids=of_kind)
def test_quadratic_log_m(law):
    # φ = (e·g)²/2: F = (e·g) e, k = β² E (e·Ax)(e·Ay) = ρ² t (gaussian), 3 ρ² t (product, ρ = βs²).
    radii, fields = empty_fields(law)
    fields[0][:, 0] = radii**2 / 2 * np.sqrt(4 * np.pi) / 3
    fields[2][:, 0] = radii**2 / 2 * np.sqrt(4 * np.pi / 5) * 2 / 3
    rho2 = law.scale(BETA) ** 2
    check(law, fields, [0.0, rho2 if law.kind == "gaussian" else 3 * rho2])


@pytest.mark.parametrize("law", LAWS, ids=of_kind)
def test_cubic_log_m(law):
    # φ = (e·g)³/6: Isserlis: k = ρ⁴/4 (1 + 2t²); product: ρ⁴/4 (E|z|²|z'|² + 2 E(z·z')²), that
    # is ρ⁴/4 (9 + 6t² + 2(3 + 12t²)).
    radii, fields = empty_fields(law)
    fields[1][:, 0] = radii**3 / 6 * 3 / 5 * np.sqrt(4 * np.pi / 3)
    fields[3][:, 0] = radii**3 / 6 * 2 / 5 * np.sqrt(4 * np.pi / 7)
    expected = np.array([1.0, 0, 2]) if law.kind == "gaussian" else np.array([15.0, 0, 30])
    check(law, fields, law.scale(BETA) ** 4 / 4 * expected)


@pytest.mark.parametrize("law", LAWS, ids=of_kind)
def test_spectrum_sees_the_series_whatever_the_field(law):
    # Two codes (closed tensor, chaos coefficients) on smooth fields φ_ℓm = ψ(r) r^{ℓ mod 2} × numbers.
    radii, fields = empty_fields(law)
    rng = np.random.default_rng(5)
    for ell in range(4):
        profile = np.log(np.cosh(radii / 8)) * radii ** (ell % 2)
        fields[ell] = profile[:, None] * rng.normal(size=2 * ell + 1)
    spectrum, powers = spectrum_and_powers(law, fields)
    series = isotropic(3, 4).spectrum_of_powers(19) @ powers
    np.testing.assert_allclose(spectrum, series, rtol=1e-6, atol=1e-6 * spectrum.max())


def test_chaos_rows_are_orthonormal():
    _, rows = chaos_projection(3, 3, 90)
    _, weights = half_line(90)
    gram = np.einsum("lnq,lmq->lnm", rows, rows / weights)
    # 1e-7: what lies beyond |z| = 8.5.
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(3), gram.shape), atol=1e-7)
    np.testing.assert_allclose(rows[0, 0] / weights, np.sqrt(4 * np.pi), rtol=1e-12)
    np.testing.assert_allclose(4 * np.pi * weights.sum(), 1.0, atol=1e-13)


def test_interpolation_keeps_parity_and_linear_functions():
    mesh = RadialMesh(40.0, 40)
    r = np.linspace(0, 40, 101)
    np.testing.assert_allclose(mesh.degree_interpolation(r, 1) @ mesh.radii, r, atol=1e-12)
    even = lambda r: np.log(np.cosh(r))  # noqa: E731
    np.testing.assert_allclose(mesh.degree_interpolation(r, 2) @ even(mesh.radii), even(r), atol=1e-6)
    np.testing.assert_allclose(mesh.interpolation(mesh.radii, even=True), np.eye(40), atol=1e-13)


@pytest.mark.parametrize("law", LAWS, ids=of_kind)
def test_radius_weights_give_the_second_moment(law):
    # E|βAx|² = 3ρ² (gaussian), 9ρ² (product).
    cutoffs = CUTOFFS[law.kind]
    moment = 4 * np.pi * radius_weights(law, BETA, cutoffs) @ cutoffs.mesh(law, BETA).radii ** 2
    expected = (3 if law.kind == "gaussian" else 9) * law.scale(BETA) ** 2
    np.testing.assert_allclose(moment, expected, rtol=1e-8)


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: KeyQueryLaw("gausian", 1.0), "kind"),
        (lambda: KeyQueryLaw("gaussian", -1.0), "std"),
        (lambda: KeyQueryLaw("product", np.nan), "std"),
        (lambda: LAWS[0].scale(-1.0), "beta"),
        (lambda: LAWS[0].scale(np.nan), "beta"),
    ],
)
def test_bad_input(make, argument):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.argument == argument
