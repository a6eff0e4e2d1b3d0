"""On the circle: densities of all kinds and quadrature cloud on one path, and closed forms."""

import numpy as np
import pytest
from scipy.special import iv

import fpsolve as fp
from fpsolve.measures.build import build

START = fp.initial.von_mises_fisher([1.0, 0.5], 2.0)
MODELS = {
    "isotropic": fp.models.IsotropicFlow.from_kernel(lambda t: 0.2 + 0.3 * t + 0.2 * t**3, 4, d=2),
    "attention": fp.models.SelfAttention(beta=4.0, value=[[1, 0.3], [0, 0.7]]),
    "value noise": fp.models.Homogenized(beta=4.0, drift=0.3),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dt", [0.02, 0.005])
def test_moments_entropy_and_energy_agree(model, dt):
    few = {"t_end": 0.1, "dt": dt, "lmax": 63, "rtol": 1e-8, "seed": 3}
    measures = ("cloud", "density", "half_density", "log_density")
    runs = [fp.solve(MODELS[model], START, measure=one, **few) for one in measures]
    for ds in runs[1:]:
        assert ds.tail.max() < 1e-8
        assert np.abs(ds.moments - runs[0].moments).max() < 1e-6
        assert np.abs(ds.entropy - runs[0].entropy).max() < 1e-6
    if "energy" in ds:
        assert np.abs(runs[1].energy - runs[0].energy).max() < 1e-6


def test_von_mises_moments():
    """ρ_m = I_m(κ)/I_0(κ)/√(2π) for the mean along the first axis."""
    density = build(fp.initial.von_mises_fisher([1.0, 0.0], 2.0), "density", 31, 1e-6)
    assert np.abs(density.coefficients - iv(np.arange(32), 2.0) / iv(0, 2.0) / np.sqrt(2 * np.pi)).max() < 1e-14


def test_attention_by_moments_is_the_direct_sum():
    """F and its Hessian product on the circle by moments, against the pairwise kernel, for β up to 30."""
    cloud = build(START, "cloud", 127, 1e-6)
    from fpsolve.attention.source import PointSource

    direct = PointSource(cloud.x, cloud.weights)
    for beta in (0.5, 4.0, 30.0):
        for mine, other in zip(
            cloud.source.hessian_F_sphere(beta, cloud.sites), direct.hessian_F_sphere(beta, cloud.sites), strict=True
        ):
            assert np.abs(mine - other).max() < 1e-9
        assert np.abs(cloud.source.F_sphere(beta, cloud.sites)[1] - direct.F_sphere(beta, cloud.sites)[1]).max() < 1e-9


def test_uniform_state_grows_at_the_bessel_rate():
    """Linearised SA on the circle: degree m of the uniform state grows at m² I_m(β)/(β I_0(β))."""
    beta, m, eps = 3.0, 2, 1e-6

    def perturbed(x):
        return (1 + eps * np.cos(m * np.arctan2(x[..., 1], x[..., 0]))) / (2 * np.pi)

    ds = fp.solve(
        fp.models.SelfAttention(beta), fp.initial.function(perturbed, d=2), t_end=0.2, dt=0.05, lmax=15, rtol=1e-12
    )
    mode = ds.moments.values[:, (ds.degree.values == m) & (ds.order.values == m)].ravel()
    rate = np.log(mode[-1] / mode[0]) / 0.2
    assert rate == pytest.approx(m**2 * iv(m, beta) / (beta * iv(0, beta)), rel=1e-5)


def test_heat_on_the_circle_and_results_on_disk(tmp_path):
    model = fp.models.IsotropicFlow([0.0], noise=0.0, diffusion=0.5, d=2)
    ds = fp.solve(model, START, t_end=0.1, dt=0.05, lmax=31, save_density=True)
    exact = ds.moments.values[0] * np.exp(-0.5 * ds.degree.values**2 * 0.1)
    assert np.abs(ds.moments.values[-1] - exact).max() < 1e-13
    assert ds.density.dims == ("time", "angle")
    fp.save(ds, tmp_path / "circle.nc")
    assert fp.load(tmp_path / "circle.nc").identical(ds)
