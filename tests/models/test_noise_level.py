"""The variable noise_level, ∫ E|m|² dμ: closed forms, tokens and densities, kernels computed otherwise."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.models import DeepStochasticTransformer, Homogenized

FEW = {"t_end": 0.02, "dt": 0.01}
LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)


def two(q, d=3):
    return fp.initial.points(np.array([[1.0, 0.0, *[0.0] * (d - 2)], [q, np.sqrt(1 - q * q), *[0.0] * (d - 2)]]))


@pytest.mark.parametrize("d", [2, 3, 6])
def test_value_noise_of_two_tokens(d):
    """|a x + (1-a) y|² with a = e^β/(e^β + e^{βq}): K_11/σ_V²."""
    q, beta = -0.3, 1.5
    a = np.exp(beta) / (np.exp(beta) + np.exp(beta * q))
    exact = a**2 + (1 - a) ** 2 + 2 * a * (1 - a) * q
    for model in (Homogenized(beta, value_std=0.3), DeepStochasticTransformer(beta, value_std=0.3)):
        ds = fp.solve(model, two(q, d), measure="cloud", **FEW)
        assert ds.noise_level.values[0] == pytest.approx(exact, rel=1e-9)
        assert (ds.noise_level.values <= 1 + 1e-12).all()


def test_random_key_queries_have_the_kernel_at_one():
    """κ/σ_V² by the accurate kernel, to the 1e-4 that ``noise_lmax`` may lose; the same from a cloud's quadrature."""
    model = Homogenized(2.0, "gaussian", value_std=0.5)
    level = fp.solve(model, LAW, lmax=15, **FEW).noise_level.values[0]
    assert level == pytest.approx(model.kernel(LAW)(1.0) / 0.25, rel=3e-4)
    assert fp.solve(model, LAW, measure="cloud", **FEW).noise_level.values[0] == pytest.approx(level, rel=1e-3)


@pytest.mark.parametrize("A", [1.0, np.array([[1.0, 0.5, 0.0], [0.0, -0.3, 0.2], [0.0, 0.0, 0.7]])])
def test_densities_and_clouds_agree(A):
    model = DeepStochasticTransformer(3.0, key_query=A)
    levels = [fp.solve(model, LAW, measure=one, lmax=23, **FEW).noise_level.values[0] for one in ("density", "cloud")]
    assert levels[0] == pytest.approx(levels[1], rel=1e-5)
    x = fp.initial.samples(LAW, 4000, 3).x
    g = 3.0 * (x @ np.transpose(A) if np.ndim(A) else x)
    p = np.exp(g @ x.T)
    f = p @ x / p.sum(1, keepdims=True)
    assert levels[0] == pytest.approx((f * f).sum(1).mean(), rel=0.04)


@pytest.mark.parametrize(("beta", "kappa"), [(0.5, 2.0), (8.0, 4.0), (20.0, 0.5), (4.0, 60.0)])
@pytest.mark.parametrize("d", [2, 3])
def test_moments_of_the_square_are_enough(beta, kappa, d):
    """A quadrature of the law, its F by direct sums, at every β and concentration."""
    law = fp.initial.von_mises_fisher(np.eye(d)[0], kappa)
    ds = fp.solve(Homogenized(beta), law, measure="cloud", lmax=15, save_points=True, **FEW)
    x, w = ds.points.values[0], ds.weights.values
    some = w > 1e-9 * w.max()
    g = beta * x[some] @ x.T
    p = np.exp(g - g.max(1, keepdims=True)) * w
    f = p @ x / p.sum(1, keepdims=True)
    assert ds.noise_level.values[0] == pytest.approx(w[some] @ (f * f).sum(1), rel=2e-6)


def test_where_there_is_none_it_is_absent():
    for model in (fp.models.SelfAttention(1.0), fp.models.IsotropicFlow([1.0]), Homogenized(1.0, noise=0.0, drift=1.0)):
        assert "noise_level" not in fp.solve(model, LAW, lmax=15, **FEW)


def test_a_point_mass_has_level_one_and_beta_zero_that_of_the_mean():
    point = fp.initial.points(np.array([[0.0, 0.0, 1.0]]))
    assert fp.solve(Homogenized(2.0), point, measure="cloud", **FEW).noise_level.values == pytest.approx(1.0)
    ds = fp.solve(Homogenized(0.0, value_std=2.0), LAW, lmax=15, **FEW)
    np.testing.assert_allclose(ds.noise_level, ds.overlap, rtol=1e-6)
