"""φ = log ρ: closed forms far in the tail, agreement with other routes, what it says of itself, what it refuses."""

import warnings
from functools import cache

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.log_series import LogSeries
from fpsolve.attention.spectrum import spectrum_engine
from fpsolve.config import parse_config
from fpsolve.defects import defects, is_resolved
from fpsolve.errors import InputError, UnderResolvedWarning, UnresolvedError
from fpsolve.measures.build import build
from fpsolve.policies import cloud_of
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.scattered import SpherePoints

AXES = {2: np.array([0.6, -0.8]), 3: np.array([2.0, -1.0, 2.0]) / 3}
LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)


def vmf(kappa: float, lmax: int = 31, d: int = 3, rtol: float = 1e-6):
    return build(fp.initial.von_mises_fisher(AXES[d], kappa), "log_density", lmax, rtol)


def log_sinhc(r):
    """log(sinh r / r), for large r."""
    r = np.maximum(r, 1e-300)
    return np.where(r < 1e-4, r**2 / 6, r + np.log1p(-np.exp(-2 * r)) - np.log(2 * r))


def exact_log_m(kappa, g):
    """log ∫ e^{g·y} vMF(dy) on S², in closed form: the law tilted by g is another of its kind."""
    return log_sinhc(np.linalg.norm(kappa * AXES[3] + g, axis=-1)) - log_sinhc(kappa)


@pytest.mark.parametrize("kappa", [2.0, 20.0, 300.0])
def test_far_attention_of_a_concentrated_law_is_exact(kappa):
    """Against the closed form wherever g points, also where M(g) is e^{-2|g|} of its peak; mean, entropy, mass too."""
    measure = vmf(kappa, 15 if kappa < 100 else 31)
    x = np.random.default_rng(1).normal(size=(60, 3))
    x = np.vstack([x / np.linalg.norm(x, axis=1)[:, None], -AXES[3], AXES[3]])
    for radius in (0.5, 8.0, 40.0, 160.0):
        exact = exact_log_m(kappa, radius * x)
        log_m, f = measure.source.F_sphere(radius, SpherePoints(x))
        assert np.abs(log_m - exact).max() < 2e-9
        h = 1e-4
        slopes = [(exact_log_m(kappa, radius * x + h * e) - exact_log_m(kappa, radius * x - h * e)) for e in np.eye(3)]
        assert np.abs(f - np.stack(slopes, -1) / (2 * h)).max() < 1e-6
        assert np.abs(measure.source.log_M(radius * x * 0.9) - exact_log_m(kappa, 0.9 * radius * x)).max() < 2e-9
    mean = 1 / np.tanh(kappa) - 1 / kappa
    assert measure.mean == pytest.approx(mean * AXES[3], abs=1e-12)
    assert measure.entropy == pytest.approx(np.log(4 * np.pi) + log_sinhc(kappa) - kappa * mean, abs=1e-11)
    assert abs(measure.mass_defect) < 1e-12 and measure.tail < 1e-25 and is_resolved(measure)


@pytest.mark.parametrize("kind", ["gaussian", "product"])
@pytest.mark.parametrize(("kappa", "beta"), [(12.0, 8.0), (40.0, 4.0), (300.0, 8.0)])
def test_the_spectrum_of_the_noise_of_a_concentrated_law(kind, kappa, beta):
    """C_ℓ from points that are never cut, against the engine's form of the exact log M: its own 1e-6 remain."""
    engine = spectrum_engine(KeyQueryLaw(kind, 1.0), beta, 1.0, 8)
    exact = engine.spectrum(np.stack([exact_log_m(kappa, r * engine.grid.x) for r in engine.radii]))
    assert np.abs(engine.of(vmf(kappa).source) - exact).max() < 1e-6 * exact.max()


def test_a_density_of_the_same_law_does_not_know_that_spectrum():
    """What this measure is for: with ``rtol`` 1e-6 and a tail of 1e-12 a density's C_0 is a sixth off."""
    model = fp.models.Homogenized(beta=8.0, key_query="gaussian")
    law = fp.initial.von_mises_fisher(AXES[3], 20.0)
    few = {"t_end": 0.01, "dt": 0.01, "lmax": 63, "seed": 1}
    path, first = fp.BrownianPath(1), {}
    for name in ("density", "log_density"):
        *_, (_, last) = fp.run(model, build(law, name, 63, 1e-6), path, t_end=0.01, dt=0.01)
        first[name] = model.spectrum(last.source)[0]
    cloud = build(law, "cloud", 23, 1e-7)
    *_, (_, last) = fp.run(model, cloud, path, t_end=0.01, dt=0.01)
    exact = model.spectrum(last.source)[0]
    assert first["log_density"] == pytest.approx(exact, rel=1e-6)
    assert abs(first["density"] / exact - 1) > 0.05
    assert fp.solve(model, law, **few, measure="density").tail.values[-1] < 1e-11


def test_a_converged_cloud_sees_the_same_mean():
    """vMF(16), β = 4, Gaussian A to t = 0.1, at degree 31, where a density of degree 63 is 3e-3 off."""
    model = fp.models.Homogenized(beta=4.0, key_query="gaussian")
    law, run = fp.initial.von_mises_fisher([0, 0, 1.0], 16.0), {"t_end": 0.1, "dt": 0.02, "path_cell": 0.02, "seed": 1}
    cloud = fp.solve(model, law, **run, measure="cloud", lmax=23, rtol=1e-8)
    ds = fp.solve(model, law, **run, measure="log_density", lmax=31, rtol=1e-8)
    assert np.abs(ds.moments - cloud.moments).max() < 1e-8 and np.abs(ds.entropy - cloud.entropy).max() < 1e-7
    assert ds.tail.max() < 1e-11 and np.abs(ds.mass_defect).max() < 1e-10


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("transport", ["chebyshev", "krylov"])
def test_a_living_drift_and_an_affine_flow_meet_the_tolerance(d, transport):
    """rk4 under attention: ``rtol`` is kept in φ itself, everywhere on the sphere, by both transports."""
    model = fp.models.UnnormalisedSelfAttention(beta=2.0)
    start, path = vmf(3.0, 23, d), fp.BrownianPath(0, cell=0.1)

    def end(rtol, transport=transport):
        measure = fp.LogDensity(start.coefficients, rtol, d, transport)
        *_, (_, last) = fp.run(model, measure, path, t_end=0.2, dt=0.1)
        return last

    exact = end(1e-11, "chebyshev")
    for rtol in (1e-4, 1e-7):
        moved = end(rtol)
        assert moved.error_norm(moved.coefficients - exact.coefficients) < 4 * rtol
        assert abs(moved.mass_defect - exact.mass_defect) < 4 * rtol


@pytest.mark.parametrize("d", [2, 3])
def test_own_noise_is_the_logarithm_of_the_heat_semigroup(d):
    """Moments decay by e^{-νℓ(ℓ+d-2)t}, of laws whose tail the semigroup of ρ would lose, to rtol."""
    model = fp.models.IsotropicFlow([0.0], noise=0.0, diffusion=0.1, d=d)
    law = fp.initial.von_mises_fisher(AXES[d], 12.0)
    for lmax, dt, rtol in ((31, 0.05, 1e-8), (47, 0.1, 1e-5)):
        ds = fp.solve(model, law, t_end=0.1, dt=dt, lmax=lmax, measure="log_density", rtol=rtol, scheme="rk4")
        exact = ds.moments.values[0] * np.exp(-0.1 * ds.degree.values * (ds.degree.values + d - 2) * 0.1)
        assert np.abs(ds.moments.values[-1] - exact).max() < 2 * rtol
    density = fp.solve(model, law, t_end=0.1, dt=0.05, lmax=47, scheme="rk4")
    assert ds.min_density.values[-1] > 0 and density.min_density.values[0] < 1e-9


def test_the_affine_operator_is_the_product_rule():
    """L(φ, 1) e^φ = -div(e^φ v) where e^φ is resolved: against the density's operator, on both geometries."""
    from fpsolve.transport.operators import advection, log_advection

    for d in (2, 3):
        here, measure = geometry(d), vmf(2.0, 31, d)
        rng = np.random.default_rng(d)
        potentials = [rng.normal(size=here.size(3)) + 0j for _ in range(2)]
        v = fp.HarmonicField(*potentials, None, d).on(measure.grid)
        density = build(fp.initial.von_mises_fisher(AXES[d], 2.0), "density", 31, 1e-6)
        rate, out = measure.rate(measure.coefficients, v), np.zeros_like(density.coefficients)
        advection(measure.grid, v).add_to(density.coefficients, out, 1.0)
        product = measure.values * measure.grid.to_grid(rate)
        assert np.abs(here.grid(31).to_modes(product) - out).max() < 1e-12 * np.abs(out).max() * 10
        u, other = rng.normal(size=(2, len(rate) + 1)) + 0j, np.zeros(len(rate) + 1, complex)
        result = u[1].copy()
        size = log_advection(measure.grid, v).recur(u[0], other, 0.5, 2.0, result)
        assert size == pytest.approx(np.vdot(other, other).real) and np.abs(result - u[1] - 2 * other).max() < 1e-10


@pytest.mark.parametrize("d", [2, 3])
def test_grids_are_as_fine_as_their_bound_asks_and_no_finer(d):
    """∫ e^{g·y+φ} on the grid of the bound is right to its tolerance, on half of it wrong by far more."""
    other = AXES[d][::-1] if d == 2 else np.array([2.0, 2.0, -1.0]) / 3
    for kappa, radius in ((2.0, 30.0), (200.0, 0.0), (40.0, 60.0)):
        needed = LogSeries(vmf(kappa, 15, d).coefficients * 1.0, geometry(d)).degree(radius, 1e-12)
        sums = []
        for x, weights in (_exact_to(d, needed), _exact_to(d, int(0.6 * needed)), _exact_to(d, 500)):
            exponent = x @ (kappa * AXES[d] - radius * other)
            sums.append(np.sum(weights * np.exp(exponent - kappa - radius)))
        assert abs(sums[0] / sums[2] - 1) < 1e-11 < 1e-9 < abs(sums[1] / sums[2] - 1)


def _exact_to(d, degree):
    """A grid exact to ``degree`` and hardly more."""
    if d == 2:
        angles = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
        return np.stack([np.cos(angles), np.sin(angles)], -1), np.full(degree + 1, 2 * np.pi / (degree + 1))
    from fpsolve.attention.coarse_sphere import product_sites

    return product_sites(degree // 2 + 1, degree + 1)


def test_a_law_sharper_than_its_grids_says_what_it_lost():
    """The law of κ = 1000 is of degree one: at 31 right on the finer grid of e^φ; where that ends the mass tells."""
    assert abs(vmf(1000.0, 31).mass_defect) < 1e-6
    assert np.linalg.norm(vmf(1000.0, 31).mean) == pytest.approx(0.999, abs=1e-9)
    for kappa, lmax in ((1000.0, 15), (3000.0, 31)):
        measure = vmf(kappa, lmax)
        assert measure.tail < 1e-25 and abs(measure.mass_defect) > 1e-4 and not is_resolved(measure)
        with pytest.warns(UnderResolvedWarning, match=rf"from t = 0 on \(mass_defect = [-\d.e]+ at lmax = {lmax}\)"):
            ds = fp.solve(FLOW, measure, t_end=1e-3, dt=5e-4, path_cell=1e-3, measure="log_density")
        assert ds.unresolved_from == 0 and ds.mass_defect.values[0] == ds.mass.values[0] - 1 == measure.mass_defect


@cache
def along(policy, lmax=15, **changes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        run = {"t_end": 0.3, "dt": 0.02, "path_cell": 0.02, "seed": 2, "measure": "log_density", **changes}
        return fp.solve(FLOW, LAW, lmax=lmax, on_underresolved=policy, **run)


def test_resolved_means_low_moments_right_to_1e5():
    """Whatever the degree: as long as neither tail nor mass is over its limit; and not for long after."""
    fine, limit = along("warn", 79), fp.LogDensity.tail_limit
    for lmax in (11, 15, 23, 31):
        ds = along("warn", lmax)
        resolved = (ds.tail.values <= limit) & (np.abs(ds.mass_defect.values) <= 1e-7)
        off = np.abs(ds.moments - fine.moments).max("harmonic").values
        assert off[resolved].max() < 1e-5
        assert ds.attrs.get("unresolved_from", 1.0) == (1.0 if resolved.all() else pytest.approx(ds.time[~resolved][0]))


def test_what_follows_a_log_density_that_is_no_longer_resolved():
    told = r"from t = 0\.\d+ on \(mass_defect = [-\d.e]+ at lmax = 15\): raise lmax or tighten rtol"
    with pytest.warns(UnderResolvedWarning, match=told):
        fp.solve(FLOW, LAW, t_end=0.06, dt=0.02, path_cell=0.02, seed=2, lmax=15, measure="log_density")
    rough = vmf(2.0, 15)
    ringing = rough.at(rough.coefficients + 0.02 * (rough.geometry.degrees(15) == 15))
    assert [one.name for one in defects(ringing)] == ["tail", "mass_defect"]
    warned, stopped, refined, handed = (along(policy) for policy in ("warn", "stop", "refine", "cloud"))
    assert stopped.stopped_at == pytest.approx(warned.unresolved_from - 0.02)
    assert np.array_equal(stopped.moments, warned.moments[: stopped.sizes["time"]])
    fine = along("warn", 79)
    assert refined.lmax.values[-1] > 31 and np.abs(refined.moments - fine.moments).max() < 1e-6
    assert (refined.tail.values <= fp.LogDensity.refine_from).all()
    assert handed.method.values[0] == "log_density" and handed.method.values[-1] == "cloud"
    assert np.abs(handed.moments - fine.moments).max() < 1e-4
    with pytest.raises(InputError, match="a log_density has no filter"):
        along("filter")


def test_a_step_that_rings_stops_and_says_so():
    """e^ringing overflows or leaves the unit ball: no NaN comes back."""
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 4 * t**4, 8)
    with warnings.catch_warnings(), pytest.raises(UnresolvedError, match=r"stopped at t = .*tail = .*raise lmax"):
        warnings.simplefilter("ignore", UnderResolvedWarning)
        fp.solve(flow, LAW, t_end=20.0, dt=0.1, path_cell=0.1, lmax=15, seed=1, measure="log_density", rtol=1e-4)


def test_its_own_quadrature_as_a_cloud_keeps_the_tail():
    cloud = cloud_of(vmf(100.0, 15))
    grid = vmf(100.0, 15)._exponential.on_grid()[0]
    assert cloud.x.shape == (grid.weights.size, 3) and cloud.log_density.min() < -195
    assert cloud.mean == pytest.approx((1 / np.tanh(100.0) - 0.01) * AXES[3], abs=1e-12)


def test_a_flat_law_has_no_tail():
    """Round-off around a constant is no power: the uniform law stays resolved under attention."""
    ds = fp.solve(
        fp.models.SelfAttention(4.0), fp.initial.uniform(), t_end=0.2, dt=0.1, lmax=15, measure="log_density"
    )
    assert ds.tail.max() < 1e-12 and np.abs(ds.mean_vector).max() < 1e-14
    assert "min_density" in ds and ds.mass_defect.attrs["long_name"] == "mass of a log density less one"


@pytest.mark.parametrize("d", [2, 3])
def test_what_has_no_logarithm_is_refused_by_name(d):
    few = {"t_end": 0.1, "dt": 0.1, "measure": "log_density", "lmax": 15}
    model = fp.models.SelfAttention(1.0)
    area = geometry(d).area
    half = fp.initial.function(lambda x: np.maximum(x[..., 0], 0) ** 4 * (2.5 / np.pi if d == 3 else 8 / np.pi / 3), d)
    with pytest.raises(InputError, match=r"vanishes at places.*half_density") as caught:
        fp.solve(model, half, **few)
    assert caught.value.argument == "initial"
    for wrong in (lambda x: np.full(x.shape[:-1], 2 / area), lambda x: (1 + 3 * x[..., 0]) / area):
        with pytest.raises(InputError, match="initial"):
            fp.solve(model, fp.initial.function(wrong, d), **few)
    with pytest.raises(InputError, match="tokens have no density"):
        fp.solve(model, fp.initial.samples(fp.initial.uniform(d), 5, 1), **few)
    for transport in ("midpoint",):
        with pytest.raises(InputError, match="moves by chebyshev or krylov") as caught:
            fp.solve(model, fp.initial.uniform(d), **few, transport=transport)
        assert caught.value.argument == "transport"
    with pytest.raises(InputError, match="has no filter"):
        fp.solve(model, fp.initial.uniform(d), **few, filter=0.15)
    zero = np.zeros(geometry(d).size(15), complex)
    with pytest.raises(InputError, match=r"the mass is not 1; subtract log"):
        fp.LogDensity(zero, d=d)


def test_configurations_and_ensembles_take_it(tmp_path):
    """Each member of a store is the run of the configuration, its mass defect with it."""
    text = {
        "model": {"name": "Homogenized", "beta": 4.0},
        "initial": {"name": "von_mises_fisher", "mean": [0, 0, 1], "kappa": 20.0},
        "solve": {"t_end": 0.02, "dt": 0.01, "measure": "log_density", "lmax": 11, "seed": 3},
    }
    config = parse_config(text)
    store = fp.ensemble(config.model, config.initial, members=2, output=tmp_path / "e.zarr", **config.arguments)
    alone = config.solve(member=1)
    assert np.array_equal(store.moments.sel(member=1), alone.moments)
    assert np.array_equal(store.mass_defect.sel(member=1), alone.mass_defect) and (store.status == 1).all()
    fp.save(alone, tmp_path / "one.nc")
    assert fp.load(tmp_path / "one.nc").identical(alone)
    assert fp.plot.observables(alone) is not None


def test_laws_know_their_logarithm_where_the_density_underflows():
    axis = fp.initial.von_mises_fisher([0, 0, 1.0], 500.0)
    x = np.array([[0, 0, 1.0], [0, 0, -1.0]])
    assert axis.density(x)[1] == 0 and axis.log_density(x) == pytest.approx(np.log(500 / (2 * np.pi)) - [0, 1000])
    two = fp.initial.mixture([axis, fp.initial.von_mises_fisher([0, 0, -1.0], 500.0)], [0.25, 0.75])
    assert two.log_density(x) == pytest.approx(np.log(500 / (2 * np.pi)) + np.log([0.25, 0.75]))
    assert two.is_normalised and not fp.initial.function(axis.density).is_normalised
    given = fp.initial.function(axis.density)
    with np.errstate(divide="ignore"):
        assert np.isneginf(given.log_density(x)[1])


def test_the_bound_of_a_series_covers_high_degrees():
    """e^{a cos nθ}: a slope a·n alone would ask for half the degrees."""
    here = geometry(2)
    coefficients = np.zeros(16, complex)
    coefficients[15] = 3 * np.sqrt(np.pi / 2)  # 3 cos 15θ
    total = LogSeries(coefficients, here).degree(0.0, 1e-12)
    exact = np.exp(3 * np.cos(2 * np.pi * np.arange(4096) / 4096)).mean()
    few = 15 * (total // 15)  # aliases every multiple of itself
    means = [np.exp(3 * np.cos(15 * 2 * np.pi * np.arange(n) / n)).mean() for n in (few + 15, 15 * (few // 30))]
    assert abs(means[0] / exact - 1) < 1e-11 < 1e-9 < abs(means[1] / exact - 1)
    slope = np.zeros(2, complex)
    slope[1] = 45 * np.sqrt(np.pi / 2)
    assert LogSeries(slope, here).degree(0.0, 1e-12) < 0.5 * total
