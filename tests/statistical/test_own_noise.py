"""Tokens' own noise: the heat semigroup on densities, its token step, and both with common noise.

Statistical tests fail below a probability of 1e-4, their false alarm rate; seeds are fixed.
"""

import numpy as np
import pytest
from scipy import stats
from scipy.special import eval_legendre, roots_genlaguerre

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.models import IsotropicFlow, SelfAttention
from fpsolve.sphere.harmonics import laplacian, to_real

NU = 0.3
HEAT = IsotropicFlow([1.0], noise=0.0, diffusion=NU)
LAW = fp.initial.von_mises_fisher([2, -1, 2], 3.0)


class Kicks:
    """A path that gives the same prescribed kicks in every interval."""

    def __init__(self, kicks):
        self.kicks = kicks

    def increment(self, t0, t1, channels, stream="common"):
        assert stream == "tokens"
        return np.sqrt(t1 - t0) * self.kicks.ravel()


def kicked(d, amount, nodes=40):
    """Overlaps and weights of tokens at e_1 kicked by a quadrature of the Gaussian law, all in one direction."""
    s, w = roots_genlaguerre(nodes, (d - 1) / 2 - 1)
    x = np.zeros((nodes, d))
    x[:, 0] = 1
    kicks = np.zeros((nodes, d))
    kicks[:, 0] = np.linspace(-1, 1, nodes)  # the normal part must not matter
    kicks[:, 1] = np.sqrt(2 * s)
    cloud = fp.Cloud(x, w / w.sum(), tokens=True)
    moved = cloud.diffuse(amount, Kicks(kicks), 0.0, 0.25)
    return moved.x[:, 0], moved.weights


def test_a_density_decays_by_the_heat_semigroup():
    """ρ_ℓm(t) = ρ_ℓm(0) e^{-νℓ(ℓ+1)t}, exactly, whatever dt is."""
    start = build(LAW, "density", 31, 1e-6)
    for dt in (0.5, 0.125):
        *_, (_, end) = fp.run(HEAT, start, fp.BrownianPath(1, cell=0.125), t_end=0.5, dt=dt, scheme="lie_euler")
        expected = start.coefficients * np.exp(NU * 0.5 * laplacian(31))
        assert np.abs(end.coefficients - expected).max() < 1e-14


@pytest.mark.parametrize("tau", [0.01, 0.3, 10.0])
@pytest.mark.parametrize("d", [2, 3, 5, 64])
def test_the_token_step_is_exact(d, tau):
    """E P_1 = e^{-(d-1)τ} and E P_2 = e^{-2dτ} after one step of any heat time τ, to 1e-9."""
    q, w = kicked(d, tau, 160)
    exact = np.exp(-(d - 1) * tau), np.exp(-2 * d * tau)
    assert np.abs([w @ q - exact[0], w @ ((d * q**2 - 1) / (d - 1)) - exact[1]]).max() < 1e-9


@pytest.mark.parametrize(("d", "nu"), [(3, 2.0), (8, 1.0), (64, 0.1), (64, 1.0), (512, 0.01)])
def test_tokens_in_high_dimensions_forget_at_the_exact_rate(d, nu):
    """E⟨x_t, x_0⟩ and E P_2 of 4000 tokens after two steps dt = 0.1: chi-square of two numbers."""
    n, dt = 4000, 0.1
    x = np.zeros((n, d))
    x[:, -1] = 1
    heat = SelfAttention(0.0, value=0.0, diffusion=nu)
    start = fp.Cloud(x, np.full(n, 1 / n), tokens=True)
    *_, (_, end) = fp.run(heat, start, fp.BrownianPath(8, cell=dt / 2), t_end=2 * dt, dt=dt, scheme="rk4")
    q = end.x[:, -1]
    samples = np.array([q, (d * q**2 - 1) / (d - 1)])
    off = samples.mean(1) - np.exp(-nu * 2 * dt * np.array([d - 1, 2 * d]))
    assert stats.chi2.sf(n * off @ np.linalg.solve(np.cov(samples), off), 2) > 1e-4


def test_tokens_move_along_their_own_increments():
    """The direction is that of the increment's tangential part, and more tokens change none of those before."""
    path, d, n = fp.BrownianPath(9, cell=0.1), 6, 30
    x = np.random.default_rng(1).normal(size=(n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    moved = fp.Cloud(x, np.full(n, 1 / n), tokens=True).diffuse(0.05, path, 0.0, 0.1).x
    kick = path.increment(0.0, 0.1, n * d, "tokens").reshape(n, d)
    kick, along = (v - np.sum(v * x, 1)[:, None] * x for v in (kick, moved))
    lengths = np.linalg.norm(kick, axis=1)
    cosines = np.sum(kick * along, 1) / lengths / np.linalg.norm(along, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-12)
    assert (np.diff(np.sum(moved * x, 1)[np.argsort(lengths)]) < 0).all()
    fewer = fp.Cloud(x[:7], np.full(7, 1 / 7), tokens=True).diffuse(0.05, path, 0.0, 0.1).x
    assert np.array_equal(fewer, moved[:7])


def test_tokens_diffuse_as_the_density_does():
    """Degrees 1 to 3 of 40000 tokens, from one point, after eight steps: joint chi-square of the zonal means."""
    n, t_end = 40000, 0.5
    x = np.tile([0.0, 0.0, 1.0], (n, 1))
    start = fp.Cloud(x, np.full(n, 1 / n), tokens=True)
    path = fp.BrownianPath(2, cell=t_end / 8)
    *_, (_, end) = fp.run(HEAT, start, path, t_end=t_end, dt=t_end / 4, scheme="lie_euler")
    ells = np.arange(1, 4)
    samples = eval_legendre(ells[:, None], end.x[:, 2])
    off = samples.mean(1) - np.exp(-NU * ells * (ells + 1) * t_end)
    chi_square = n * off @ np.linalg.solve(np.cov(samples), off)
    assert stats.chi2.sf(chi_square, 3) > 1e-4
    tangent = end.x[:, :2].mean(0) / (end.x[:, :2].std(0) / np.sqrt(n))
    assert stats.chi2.sf(tangent @ tangent, 2) > 1e-4


@pytest.mark.parametrize(
    "model", [IsotropicFlow.from_kernel(lambda t: t, 1, noise=0.5, diffusion=NU), SelfAttention(1.0, diffusion=NU)]
)
def test_tokens_with_their_own_noise_agree_with_the_density_on_the_same_path(model):
    """Given the common path, 20000 iid tokens have the density's moments of degrees 1 and 2 (chi-square, 8 numbers)."""
    n, settings = 20000, {"t_end": 0.5, "dt": 0.125}
    path = fp.BrownianPath(3, cell=0.0625)
    scheme = "lie_euler" if model.is_stochastic else "rk4"
    tokens = build(fp.initial.samples(LAW, n, 4), "cloud", 31, 1e-4)
    *_, (_, cloud) = fp.run(model, tokens, path, scheme=scheme, **settings)
    *_, (_, density) = fp.run(model, build(LAW, "density", 31, 1e-6), path, scheme=scheme, **settings)
    x, y, z = cloud.x.T
    samples = np.array([x, y, z, x * y, y * z, z * x, x**2 - y**2, z**2 - 1 / 3])
    grid = density.grid
    gx, gy, gz = np.moveaxis(grid.x, -1, 0)
    fields = (gx, gy, gz, gx * gy, gy * gz, gz * gx, gx**2 - gy**2, gz**2 - 1 / 3)
    expected = np.array([grid.integral(density.values * f) for f in fields])
    off = samples.mean(1) - expected
    chi_square = n * off @ np.linalg.solve(np.cov(samples), off)
    assert stats.chi2.sf(chi_square, 8) > 1e-4
    assert np.abs(to_real(density.coefficients, 1)[1:]).max() > 0.05
