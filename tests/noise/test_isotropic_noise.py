"""Isotropic vector noise: its covariance exactly, by assembling the map from channels to the field."""

from functools import partial

import numpy as np
import pytest
from scipy import stats
from scipy.special import sph_harm_y

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.noise import BrownianPath, SphericalNoise, channel_position, isotropic

POINTS = np.array(
    [[0.3, 1.0], [0.3, 1.0 + 1e-3], [2.8, -2.0], [np.pi - 0.3, 1.0 - np.pi], [1.5, 4.0], [1e-3, 0.7]]
)
"""(θ, φ): a close pair, an antipodal pair, and points in general position."""

SPECTRA = {
    "constant": [4 * np.pi],
    "linear": [0.0, 4 * np.pi / 3],
    "gap": [0.7, 0.0, 0.3, 0.0, 0.0, 1.1],
    "geometric": 3.0 * 0.6 ** np.arange(10),
}


def mode_table(degree):
    """(ℓ, m) of every coefficient, written out as the storage order is stated."""
    return [(ell, m) for m in range(degree + 1) for ell in range(m, degree + 1)]


def frame(theta, phi):
    """x, e_θ, e_φ as rows."""
    st, ct, sp, cp = np.sin(theta), np.cos(theta), np.sin(phi), np.cos(phi)
    return np.array([[st * cp, st * sp, ct], [ct * cp, ct * sp, -st], [-sp, cp, 0.0]])


def scalar_and_gradient(modes, degree, theta, phi):
    """f, ∂_θ f and ∂_φ f / sin θ of a real field given by its modes, summed term by term."""
    total = np.zeros((3, *np.shape(modes)[1:]))
    for (ell, m), f in zip(mode_table(degree), modes, strict=True):
        y, dy = sph_harm_y(ell, m, theta, phi, diff_n=1)
        basis = np.array([y, dy[0], dy[1] / np.sin(theta)])
        total += (1 if m == 0 else 2) * np.real(np.multiply.outer(basis, f))
    return total


def ambient(potentials, degree, theta, phi):
    """U = ∇S + x × ∇T + R x as a vector of R³; axis 0 of the result."""
    (_, s_theta, s_phi), (_, t_theta, t_phi), (r, _, _) = (
        scalar_and_gradient(modes, degree, theta, phi) for modes in potentials
    )
    x, e_theta, e_phi = frame(theta, phi)
    return (
        np.multiply.outer(x, r)
        + np.multiply.outer(e_theta, s_theta - t_phi)
        + np.multiply.outer(e_phi, s_phi + t_theta)
    )


def linear_map(spectrum):
    """S, T, R for each channel set to one in turn; three arrays (modes, channels)."""
    noise = isotropic(3, len(spectrum) - 1)
    columns = [noise.field(np.array(spectrum), unit) for unit in np.eye(noise.channels)]
    return [np.stack(part, axis=1) for part in zip(*columns, strict=True)]


@pytest.mark.parametrize("name", SPECTRA)
def test_covariance_is_the_kernel_times_the_identity(name):
    spectrum = SPECTRA[name]
    k = isotropic(3, len(spectrum) - 1).kernel(spectrum)
    potentials = linear_map(spectrum)
    fields = [ambient(potentials, len(spectrum), *point) for point in POINTS]
    for u, p in zip(fields, POINTS, strict=True):
        for v, q in zip(fields, POINTS, strict=True):
            t = frame(*p)[0] @ frame(*q)[0]
            np.testing.assert_allclose(u @ v.T, k(t) * np.eye(3), rtol=0, atol=1e-12 * k(1.0))


def test_constant_kernel_is_one_brownian_vector():
    potentials = linear_map([4 * np.pi])
    for point in POINTS:
        u = ambient(potentials, 1, *point)
        np.testing.assert_allclose(u, ambient(potentials, 1, *POINTS[0]), rtol=0, atol=1e-13)
        np.testing.assert_allclose(u @ u.T, np.eye(3), rtol=0, atol=1e-13)


def test_variances_of_the_potentials_per_mode():
    """Var T = C_ℓ/(ℓ(ℓ+1)), Var S = [(ℓ+1)C_{ℓ-1} + ℓC_{ℓ+1}]/((2ℓ+1)ℓ(ℓ+1)); modes are uncorrelated."""
    spectrum = SPECTRA["gap"]
    S, T, R = linear_map(spectrum)
    C = dict(enumerate(spectrum))
    for i, (j, _) in enumerate(mode_table(len(spectrum))):
        below, same, above = C.get(j - 1, 0.0), C.get(j, 0.0), C.get(j + 1, 0.0)
        radial = (j * below + (j + 1) * above) / (2 * j + 1)
        squared = max(j * (j + 1), 1)
        grad = ((j + 1) * below + j * above) / ((2 * j + 1) * squared) if j else 0.0
        curl = same / squared if j else 0.0
        found = [np.sum(np.abs(part[i]) ** 2) for part in (S, T, R)]
        np.testing.assert_allclose(found, [grad, curl, radial], rtol=1e-14, atol=0)
    for a, b in ((S, T), (R, T)):
        np.testing.assert_array_equal(a @ b.conj().T, 0.0)
    for a, b in ((S, S), (T, T), (R, R), (R, S)):
        gram = a @ b.conj().T
        np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0.0, rtol=0, atol=1e-15)


def test_the_mean_of_the_radial_part_comes_from_degree_one():
    noise = isotropic(3, 1)
    xi = np.arange(1.0, noise.channels + 1)
    S, T, R = noise.field(np.array([2.0, 9.0]), xi)
    assert (S[0], T[0], R[0]) == (0, 0, -3.0 * xi[channel_position(0, 0, 2)])


def test_shtns_reads_the_same_order_and_normalisation():
    shtns = pytest.importorskip("shtns")
    spectrum = SPECTRA["gap"]
    degree = len(spectrum)
    plan = shtns.sht(degree, degree, nthreads=1)
    nphi = plan.set_grid(32, 16, flags=shtns.sht_quick_init | shtns.SHT_PHI_CONTIGUOUS)[1]
    assert list(zip(plan.l.tolist(), plan.m.tolist(), strict=True)) == mode_table(degree)
    potentials = np.array(linear_map(spectrum))
    spots = [(2, 3), (2, 4), (20, 11)]
    fields = np.empty((3, len(spots), potentials.shape[2]))
    for c in range(potentials.shape[2]):
        S, T, R = np.ascontiguousarray(potentials[:, :, c])
        v_theta, v_phi = plan.synth(S, T)
        u_r = plan.synth(R)
        for n, (i, j) in enumerate(spots):
            at = frame(np.arccos(plan.cos_theta[i]), 2 * np.pi * j / nphi)
            fields[:, n, c] = np.array([u_r[i, j], v_theta[i, j], v_phi[i, j]]) @ at
    k = isotropic(3, len(spectrum) - 1).kernel(spectrum)
    x = [frame(np.arccos(plan.cos_theta[i]), 2 * np.pi * j / nphi)[0] for i, j in spots]
    for n in range(3):
        for p in range(3):
            expected = k(x[n] @ x[p]) * np.eye(3)
            np.testing.assert_allclose(fields[:, n] @ fields[:, p].T, expected, rtol=0, atol=1e-12)


def test_driven_by_a_path_the_field_has_variance_kappa_dt_at_a_point():
    """χ² of 3·400 values with κΔt = k(1)Δt known; fixed seed, false-alarm rate 1e-6."""
    spectrum, dt, path = np.asarray(SPECTRA["geometric"]), 0.005, BrownianPath(31)
    noise = isotropic(3, spectrum.size - 1)
    increments = [path.increment(n * dt, (n + 1) * dt, noise.channels) for n in range(400)]
    draws = [noise.field(spectrum, increment) for increment in increments]
    potentials = [np.stack(part, axis=1) for part in zip(*draws, strict=True)]
    u = ambient(potentials, noise.degree, 1.1, 2.2)
    kappa = np.sum((2 * np.arange(spectrum.size) + 1) * spectrum) / (4 * np.pi)
    tail = stats.chi2.sf(np.sum(u**2) / (kappa * dt), u.size)
    assert u.shape == (3, 400)
    assert 5e-7 < tail < 1 - 5e-7


def test_positions_are_a_numbering_of_the_channels():
    for noise_lmax in (0, 1, 6):
        taken = [
            channel_position(J, m, component)
            for J in range(noise_lmax + 2)
            for m in range(-J, J + 1)
            for component in range(3)
        ]
        assert taken == list(range(isotropic(3, noise_lmax).channels))
        assert isotropic(3, noise_lmax).channels == 3 * (noise_lmax + 2) ** 2


def test_a_higher_cut_off_only_appends():
    low, high = isotropic(3, 4), isotropic(3, 7)
    xi = np.random.default_rng(0).standard_normal(high.channels)
    spectrum = 1.0 / (1 + np.arange(5.0))
    coarse = low.field(spectrum, xi[: low.channels])
    fine = high.field(np.concatenate([spectrum, np.zeros(3)]), xi)
    common = [i for i, (ell, _) in enumerate(mode_table(high.degree)) if ell <= low.degree]
    for a, b in zip(coarse, fine, strict=True):
        np.testing.assert_array_equal(a, b[common])
        assert np.count_nonzero(b) <= np.count_nonzero(a)


def test_round_off_below_zero_is_zero_and_more_is_refused():
    noise = isotropic(3, 2)
    xi = np.ones(noise.channels)
    found, expected = (noise.field(np.array([1.0, c, 0.5]), xi) for c in (-1e-14, 0.0))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(InputError, match=r"spectrum = -0\.1: negative at l = 1"):
        noise.field(np.array([1.0, -0.1, 0.5]), xi)
    with pytest.raises(InputError, match="not finite"):
        noise.field(np.array([1.0, np.nan, 0.5]), xi)


def test_wrong_shapes_and_degrees_are_refused():
    noise = isotropic(3, 2)
    with pytest.raises(InputError, match="takes 48 channels"):
        noise.field(np.ones(3), np.ones(47))
    with pytest.raises(InputError, match="spectrum"):
        noise.field(np.ones(4), np.ones(48))
    for bad in (-1, 1.5, "two"):
        for call in (partial(isotropic, 3), partial(isotropic, 2), SphericalNoise):
            with pytest.raises(InputError, match=r"^lmax = "):
                call(bad)
    with pytest.raises(InputError, match=r"^d = 4: .* d = 2 and d = 3"):
        isotropic(4, 2)


@pytest.mark.parametrize("lmax", [0, 1, 8, 33])
def test_compiled_potentials_have_the_bits_of_the_formula(lmax):
    law, rng = isotropic(3, lmax), np.random.default_rng(2)
    root, increments = rng.random(lmax + 1), rng.standard_normal(law.channels)
    found = law._driven(law._factors(root), increments)
    for fast, slow in zip(found, law.readable_potentials(root, increments), strict=True):
        assert np.array_equal(fast, slow)
    assert np.abs(law.readable_potentials(root, increments).R).max() > 0


def test_flows_of_two_spectra_in_turn_keep_their_own_factors():
    increment = np.random.default_rng(3).standard_normal(isotropic(3, 2).channels)
    for spectrum in ([1.0, 2.0, 0.5], [0.0, 1.0, 4.0], [1.0, 2.0, 0.5]):
        field = fp.models.IsotropicFlow(spectrum).noise_field(None, increment)
        for found, expected in zip((field.spheroidal, field.toroidal, field.radial),
                                   isotropic(3, 2).field(spectrum, increment), strict=True):  # fmt: skip
            assert np.array_equal(found, expected)
