"""Zonal densities and clouds: S² and S¹ as densities there, growth in every d, long times, limits, refusals."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve import models as M
from fpsolve.errors import InputError, UnderResolvedWarning, UnresolvedError

FEW = {"t_end": 0.2, "dt": 0.1}


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize(
    "model",
    [
        M.SelfAttention(4.0),
        M.SelfAttention(3.0, value=-0.7, key_query=-0.5, diffusion=0.05),
        M.UnnormalisedSelfAttention(1.5, diffusion=0.02),
        M.NoisyTransformer(2.0, 0.3, "sa"),
        M.MultiHead(1.0, (1.0, -0.5), (1.0, 0.4), diffusion=0.1),
        M.Ballistic(2.0, 0.8),
        M.Ballistic(2.0, 1.0, "gaussian", 0.8),
        M.ModifiedBallistic(2.0, step=0.2),
        M.LowTemperatureLimit(diffusion=0.1),
    ],
    ids=lambda model: type(model).__name__,
)
def test_as_the_density_of_s2_and_s1(model, d):
    """Mean, moments, entropy, energy to 1e-10, about an axis that is none of the coordinates'.

    The quadrature of random A on S¹ itself has 5e-9.
    """
    close = 1e-8 if isinstance(model, M.Ballistic) and model.law.is_random else 1e-10
    axis = np.array([0.6, 0.0, -0.8][-d:]) / np.linalg.norm([0.6, 0.0, -0.8][-d:])
    law = fp.initial.von_mises_fisher(axis, 2.0)
    how = {"lmax": 39, "rtol": 1e-11, **FEW}
    theirs, mine = (fp.solve(model, law, measure=one, **how) for one in ("density", "zonal"))
    assert np.abs(theirs.mean_vector.values @ axis - mine.axis_mean.values).max() < close
    assert np.abs(theirs.mean_vector.values - mine.axis_mean.values[:, None] * mine.axis.values).max() < close
    for name in ("overlap", "entropy", "mass", *(["log_energy"] if "log_energy" in theirs else [])):
        assert np.abs(theirs[name] - mine[name]).max() < close, name
    area, last = {2: 2 * np.pi, 3: 4 * np.pi}[d], theirs.moments.isel(time=-1)
    power = [float((last.sel(degree=ell) ** 2).sum()) * area for ell in range(9)]
    assert np.abs(np.sqrt(power) - np.abs(mine.moments.isel(time=-1))).max() < close
    assert "mean_vector" not in mine and "component" not in mine.coords


@pytest.mark.parametrize("d", [2, 3, 5, 8, 64, 512])
@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_growth_rates(d, kind):
    beta, nu, small, time = max(2.0, np.sqrt(d)), 0.01, 1e-7, 0.05
    for degree in (1, 2, 3):
        start = fp.ZonalDensity.of(np.eye(8)[0] + small * np.eye(8)[degree], d, 1e-9)
        *_, (_, last) = fp.run(M.NoisyTransformer(beta, nu, kind), start, fp.BrownianPath(0), t_end=time, dt=time / 4)
        rate = np.log(last.coefficients[degree] / small) / time
        exact = float(fp.theory.uniform_growth_rate(degree, beta, kind, d, nu))
        assert rate == pytest.approx(exact, rel=3e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("d", "kappa", "beta"), [(3, 2.0, 4.0), (64, 10.0, 4.0), (512, 30.0, 500.0), (10_000, 100.0, 500.0)]
)
def test_density_and_cloud_agree(d, kappa, beta):
    """Without a sign of overflow in d = 10,000 and at β = 500; entropy along characteristics by -div v."""
    law, how = fp.initial.axial(d, kappa), {"t_end": 0.1, "dt": 0.05}
    one = fp.solve(M.SelfAttention(beta), law, measure="zonal", lmax=47, rtol=1e-8, **how)
    other = fp.solve(M.SelfAttention(beta), law, measure="zonal_cloud", rtol=1e-9, **how)
    assert np.abs(one.axis_mean - other.axis_mean).max() < 1e-8
    assert np.abs(one.entropy - other.entropy).max() < 1e-6 * np.abs(one.entropy).max()
    assert abs(one.axis_mean[-1] - one.axis_mean[0]) > 1e-3


def test_matrices_that_are_multiples_of_the_identity():
    law = fp.initial.axial(8, 3.0)
    runs = [
        fp.solve(M.SelfAttention(2.0, value=2 * c, key_query=-0.5 * c), law, measure="zonal", **FEW)
        for c in (1.0, np.eye(8))
    ]
    assert np.array_equal(runs[0].axis_mean, runs[1].axis_mean)


def test_mixtures_about_one_axis():
    """Against tokens' law in the mean: p κ-means, also of components around -e and the uniform law."""
    parts = [fp.initial.axial(64, 20.0), fp.initial.axial(64, -10.0), fp.initial.uniform(64)]
    alone = [fp.ZonalCloud.from_law(one, lmax=31, rtol=1e-6).axis_mean for one in parts]
    mixed = fp.initial.mixture(parts, [0.5, 0.2, 0.3])
    for cls in (fp.ZonalDensity, fp.ZonalCloud):
        made = cls.from_law(mixed, lmax=31, rtol=1e-6)
        assert made.axis_mean == pytest.approx(0.5 * alone[0] + 0.2 * alone[1] + 0.3 * alone[2], abs=1e-9)
        assert np.array_equal(made.axis, np.eye(64)[-1])


def test_heat_in_any_dimension():
    """E u = e^{-ν(d-1)t} E u_0."""
    model, law = M.LowTemperatureLimit(diffusion=0.01), fp.initial.axial(512, 50.0)
    ds = fp.solve(model, law, measure="zonal", **FEW)
    assert ds.axis_mean.values[-1] == pytest.approx(np.exp(-0.01 * 511 * 0.2) * ds.axis_mean.values[0], rel=1e-12)


def test_clouds_carry_long_times_and_their_angles():
    """1 - mean falls at rate 2 in d = 16 where the cluster is tighter than 1e-8."""
    cloud = fp.ZonalCloud.from_law(fp.initial.axial(16, 8.0), lmax=31, rtol=1e-7).without_density()
    states = dict(fp.run(M.SelfAttention(2.0), cloud, fp.BrownianPath(0), t_end=10.0, dt=1.0))
    short = [float(np.sum(states[t].weights * 2 * np.sin(states[t].theta / 2) ** 2)) for t in (9.0, 10.0)]
    assert short[1] < 1e-7 and np.log(short[0] / short[1]) == pytest.approx(2.0, abs=1e-4)


def test_an_unresolved_density_says_so_and_hands_over():
    law, how = fp.initial.axial(8, 4.0), {"t_end": 3.0, "dt": 0.25, "lmax": 23, "measure": "zonal"}
    cloud = fp.solve(M.SelfAttention(4.0), law, measure="zonal_cloud", t_end=3.0, dt=0.25)
    with pytest.warns(UnderResolvedWarning, match="zonal_cloud"), pytest.raises(UnresolvedError, match="raise lmax"):
        fp.solve(M.SelfAttention(4.0), law, **{**how, "t_end": 6.0})
    ds = fp.solve(M.SelfAttention(4.0), law, on_underresolved="cloud", save_density=True, save_points=True, **how)
    assert 0.5 < ds.handed_over_at < 2.5 and ds.method.values[-1] == "zonal_cloud"
    assert np.abs(ds.axis_mean - cloud.axis_mean).max() < 2e-4
    assert np.isnan(ds.density.values[-1]).all() and np.isfinite(ds.heights.values[-1]).all()
    assert ds.weights.sum() == pytest.approx(1.0)
    finer = fp.solve(M.SelfAttention(4.0), law, on_underresolved="refine", **{**how, "t_end": 2.5})
    assert finer.lmax.values[-1] > 23 and np.abs(finer.axis_mean - cloud.axis_mean[:11]).max() < 2e-5


def test_a_part_far_from_the_equator_does_not_hide_the_rest():
    """Nearly all of ∫ρ² is in a bump at u = 0.7: the tail is that of masses, not of power."""
    law = fp.initial.mixture([fp.initial.axial(64, 40.0), fp.initial.axial(64, -10.0)])
    c = fp.ZonalDensity.from_law(law, lmax=31, rtol=1e-6).coefficients.copy()
    c[29:] += 1e-3 * np.sqrt(np.sum(c**2))  # a thousandth of the norm
    assert fp.ZonalDensity.of(c, 64).tail > 1e-3
    wide = fp.ZonalDensity.of([1.0, 3e10], 64)
    assert wide.tail > 1e-4


@pytest.mark.parametrize("measure", ["zonal", "zonal_cloud"])
def test_exact_restart(tmp_path, measure):
    law, model = fp.initial.axial(8, 3.0), M.SelfAttention(3.0)
    how = {"measure": measure, "dt": 0.1, "lmax": 23, "save_density": True}
    whole = fp.solve(model, law, t_end=0.6, **how)
    fp.solve(model, law, t_end=0.3, checkpoint=tmp_path / "run.ckpt", **how)
    assert fp.solve(model, law, t_end=0.6, checkpoint=tmp_path / "run.ckpt", **how).identical(whole)
    fp.save(whole, tmp_path / "run.nc")
    assert fp.load(tmp_path / "run.nc").identical(whole)


@pytest.mark.parametrize("measure", ["zonal", "zonal_cloud"])
@pytest.mark.parametrize(
    ("model", "law", "match"),
    [
        (M.Homogenized(2.0), fp.initial.axial(3, 2.0), "^model = 'Homogenized': its common noise breaks the symmetry"),
        (M.DrawnHeads(2.0), fp.initial.axial(8, 2.0), "^model = 'DrawnHeads': its common noise breaks the symmetry"),
        (M.SpectralSelection(2.0, np.diag([1.0, 2.0])), fp.initial.axial(2, 2.0), "^model = .*not known to keep"),
        (M.SelfAttention(2.0, np.diag([1.0, 1.0, 2.0])), fp.initial.axial(3, 2.0), "(?s)^value = .*no multiple of I"),
        (M.Ballistic(2.0, 1.0, "uniform"), fp.initial.axial(8, 2.0), "^key_query = 'uniform'.*symmetry about an axis"),
        (M.SelfAttention(2.0), fp.initial.samples(fp.initial.axial(8, 2.0), 9, 0), "^initial = '9 tokens'"),
        (M.SelfAttention(2.0), fp.initial.function(lambda x: 0 * x[..., 0] + 0.1), "^initial = 'function'.*not known"),
        (
            M.SelfAttention(2.0),
            fp.initial.mixture([fp.initial.axial(3, 2.0), fp.initial.von_mises_fisher([1, 0, 0], 1.0)]),
            "^initial = 'mixture'.*different axes",
        ),
        (M.SelfAttention(2.0), fp.initial.uniform(10_001), "^d = 10001"),
    ],
)
def test_what_is_not_zonal_is_refused_by_name(measure, model, law, match):
    with pytest.raises(InputError, match=match):
        fp.solve(model, law, measure=measure, t_end=0.1, dt=0.1, path_cell=0.1)


def test_other_refusals():
    law, model = fp.initial.axial(512, 2000.0), M.SelfAttention(2.0)
    with pytest.raises(InputError, match=r"^initial = .*sharper than these.*zonal_cloud"):
        fp.solve(model, law, measure="zonal", **FEW)
    with pytest.raises(InputError, match=r"^diffusion = 0.1.*zonal"):
        fp.solve(M.SelfAttention(2.0, diffusion=0.1), law, measure="zonal_cloud", **FEW)
    with pytest.raises(InputError, match=r"^save_flow = True"):
        fp.solve(model, law, measure="zonal_cloud", save_flow=True, **FEW)
    with pytest.raises(InputError, match=r"^d = 512.*zonal"):
        fp.solve(model, law, measure="density", **FEW)
    one = {"theta": np.array([0.1]), "weights": np.array([1.0]), "axis": np.array([0.0, 1.0])}
    for wrong in ({"theta": np.array([-0.1])}, {"weights": np.array([0.5])}, {"axis": np.array([1.0, 1.0])}):
        with pytest.raises(InputError):
            fp.ZonalCloud(**{**one, **wrong})
    with pytest.raises(InputError, match="mass"):
        fp.ZonalDensity.of([0.9, 0.1], 8)


def test_pictures():
    ds = fp.solve(M.SelfAttention(2.0), fp.initial.axial(8, 3.0), measure="zonal", save_density=True, **FEW)
    assert len(fp.plot.overview(ds).axes) >= 6 or fp.plot.overview(ds).subfigs
    axes = fp.plot.zonal_profile(ds, 0.1).axes
    area = np.trapezoid(axes[1].lines[0].get_ydata(), np.radians(axes[1].lines[0].get_xdata()))
    assert area == pytest.approx(1.0, abs=2e-3)
    bare = fp.solve(M.SelfAttention(2.0), fp.initial.axial(8, 3.0), measure="zonal_cloud", **FEW)
    assert fp.plot.overview(bare).axes
    with pytest.raises(InputError, match=r"^density = "):
        fp.plot.zonal_profile(bare)
    with pytest.raises(InputError, match=r"^density = "):
        fp.plot.density_map(ds)
