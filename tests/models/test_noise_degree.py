"""noise_lmax="auto": κ and k'(1) by independent sums, the degree that loses little of them, one number for a run."""

import json
from dataclasses import replace

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.ends import kernel_ends
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.errors import InputError, SamplingWarning
from fpsolve.measures.build import build, source_of
from fpsolve.models import Homogenized, IsotropicFlow, SynchronisationByNoise
from fpsolve.models.noise_degree import KAPPA_TOLERANCE, SLOPE_TOLERANCE, noise_tail, short_from
from fpsolve.noise import isotropic

PAIR = fp.initial.points(np.array([[1, 0], [-0.3, np.sqrt(1 - 0.09)]]))
FEW = {"t_end": 0.02, "dt": 0.01}


def exact_pair(beta):
    """κ and k'(1) of two tokens on the circle, Gaussian A, σ = 1: F = m + h tanh, one Gaussian variable g·h."""
    x = PAIR.x
    middle, half = x.mean(0), (x[0] - x[1]) / 2
    z, dz = np.linspace(-9, 9, 200_001, retstep=True)
    t = np.tanh(beta * np.linalg.norm(half) * z)
    mean = lambda f: np.sum(f * np.exp(-(z**2) / 2)) * dz / np.sqrt(2 * np.pi)  # noqa: E731
    size = half @ half
    return middle @ middle + size * mean(t**2), beta**2 * size**2 * mean((1 - t**2) ** 2)


@pytest.mark.parametrize("beta", [1.0, 4.0, 20.0])
def test_the_ends_of_the_kernel_in_closed_form(beta):
    law = KeyQueryLaw("gaussian", 1.0, 2)
    ends = kernel_ends(law, beta, 1.0, source_of(PAIR))
    np.testing.assert_allclose(ends, exact_pair(beta), rtol=1e-4)


@pytest.mark.parametrize(("kind", "d"), [("product", 2), ("gaussian", 3), ("product", 3)])
def test_the_ends_of_the_kernel_by_drawn_matrices(kind, d):
    """κ and k'(1) = β² E‖Cov_p(y) A‖² on tangents, A → 40,000 draws, within 4.5 standard errors of both."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    W, z = rng.normal(size=(40_000, d, d)), rng.normal(size=(40_000, d))
    beta, A = 1.5, W if kind == "product" else np.eye(d)[None]
    scores = beta * np.einsum("nab,nb->na", A + np.zeros_like(W), z) @ x.T
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    F = p @ x
    C = np.einsum("nk,ka,kb->nab", p, x, x) - F[:, :, None] * F[:, None, :]
    samples = np.stack([(F**2).sum(1), beta**2 * (np.einsum("nab,nbc->nac", C, A + np.zeros_like(W)) ** 2).sum((1, 2))])
    ends = kernel_ends(KeyQueryLaw(kind, 1.0, d), beta, 1.0, source_of(fp.initial.points(x)))
    off = np.abs(samples.mean(1) - ends) / (samples.std(1) / np.sqrt(len(W)))
    assert (off < 4.5).all(), off


def test_the_pair_exponent_at_low_temperature():
    """β = 20 on the circle: -½(κ + k'(1)) to 1 % by ``auto``, where 16 degrees lose a third and 64 a twentieth."""
    start, exact = build(PAIR, "cloud", 31, 1e-6), exact_pair(20.0)
    model = Homogenized(20.0, "gaussian", value_std=1.0)

    def exponent(one):
        return -0.5 * sum(terms.sum() for terms in isotropic(2, one.noise_lmax).end_terms(one.spectrum(start.source)))

    auto = model.prepared(start)
    assert exponent(auto) == pytest.approx(-0.5 * sum(exact), rel=0.01)
    assert auto.noise_lmax in (96, 128)
    assert auto.noise_loss(start).is_small
    with pytest.warns(SamplingWarning, match=r"0\.4.* of k'\(1\)"):
        assert exponent(replace(model, noise_lmax=16).prepared(start)) > 0.7 * exponent(auto)


@pytest.mark.parametrize("beta", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("d", [2, 3])
def test_auto_takes_few_degrees_where_few_suffice(d, beta):
    start = build(fp.initial.von_mises_fisher(np.eye(d)[-1], 2.0), "density", 31, 1e-6)
    model = Homogenized(beta, "gaussian").prepared(start)
    lost = model.noise_loss(start)
    assert lost.kappa <= KAPPA_TOLERANCE and lost.slope <= SLOPE_TOLERANCE
    assert model.noise_lmax <= 24
    assert model.prepared(start) == model  # resolved once
    if model.noise_lmax > 4:
        fewer = {24: 16, 16: 12, 12: 8, 8: 4}[model.noise_lmax]
        assert not replace(model, noise_lmax=fewer).noise_loss(start).is_small


def test_activations_by_their_exact_slopes():
    start = build(fp.initial.von_mises_fisher([0, 0, 1], 2.0), "density", 127, 1e-6)
    names = ("relu", "tanh", "sigmoid")
    degrees = {name: SynchronisationByNoise(1.0, name).prepared(start).noise_lmax for name in names}
    assert degrees == {"relu": 48, "tanh": 8, "sigmoid": 4}
    drawn = SynchronisationByNoise(1.0, draws=4)
    assert drawn.prepared(start) is drawn


def test_the_grid_caps_it_and_says_so():
    model = SynchronisationByNoise(1.0, "relu")
    low = build(fp.initial.von_mises_fisher([0, 0, 1], 2.0), "density", 11, 1e-6)
    with pytest.warns(SamplingWarning, match="raise lmax"):
        degree = model.prepared(low).noise_lmax
    assert low.grid.holds(degree + 1)


def test_a_result_carries_the_number_and_repeats_to_the_bit():
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    first = fp.solve(Homogenized(2.0, "gaussian"), law, lmax=15, measure="density", **FEW)
    config = json.loads(first.attrs["fpsolve_config"])
    degree = config["model"]["noise_lmax"]
    assert isinstance(degree, int)
    again = fp.solve(Homogenized(2.0, "gaussian", noise_lmax=degree), law, lmax=15, measure="density", **FEW)
    assert np.array_equal(first.moments.values, again.moments.values)
    assert json.loads(again.attrs["fpsolve_config"]) == config
    *_, (_, last) = fp.run(
        Homogenized(2.0, "gaussian"), build(law, "density", 15, 1e-6), fp.BrownianPath(0, cell=0.01), **FEW
    )
    assert np.array_equal(last.mean, first.mean_vector.values[-1])


def test_checkpoints_and_ensembles_have_one_number(tmp_path):
    law, model = fp.initial.von_mises_fisher([0, 0, 1], 2.0), Homogenized(2.0, "gaussian")
    file = tmp_path / "run.checkpoint"
    fp.solve(model, law, lmax=15, checkpoint=file, **FEW)
    longer = fp.solve(model, law, lmax=15, checkpoint=file, t_end=0.04, dt=0.01)
    whole = fp.solve(model, law, lmax=15, t_end=0.04, dt=0.01)
    assert np.array_equal(longer.moments.values, whole.moments.values)
    store = fp.ensemble(model, law, members=2, output=tmp_path / "e.zarr", lmax=15, **FEW)
    both = [fp.solve(model, law, lmax=15, member=member, **FEW) for member in (0, 1)]
    for member, one in enumerate(both):
        assert np.array_equal(store.moments.isel(member=member).values, one.moments.values)


def test_runs_say_when_they_need_more_degrees():
    """noise_tail: small under ``auto``, a warning sign where degrees are missing; absent without a cut."""
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    fine = fp.solve(Homogenized(4.0, "gaussian"), law, lmax=15, **FEW)
    assert (fine.noise_tail.values < SLOPE_TOLERANCE).all()
    with pytest.warns(SamplingWarning):
        coarse = fp.solve(Homogenized(4.0, "gaussian", noise_lmax=3), law, lmax=15, **FEW)
    assert (coarse.noise_tail.values > 0.05).all()
    assert coarse.attrs["noise_short_from"] == 0.0 and "noise_short_from" not in fine.attrs
    assert short_from(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.03, 0.01])) == 1.0
    assert "noise_tail" not in fp.solve(Homogenized(4.0), law, lmax=15, **FEW)
    assert noise_tail(np.zeros(5), 3) == 0.0
    assert "noise_tail" not in fp.solve(IsotropicFlow([1.0]), law, lmax=15, **FEW)


def test_an_unresolved_model_is_refused_where_a_number_is_needed():
    model = Homogenized(2.0, "gaussian")
    with pytest.raises(InputError, match="noise_lmax"):
        model.channels(3)
    later = fp.run(
        replace(model, noise_lmax=4), build(PAIR, "cloud", 7, 1e-6), fp.BrownianPath(0, cell=0.01), start=1, **FEW
    )
    assert next(later)[0] == 0.01
    with pytest.raises(InputError, match="first state"):
        fp.run(model, build(PAIR, "cloud", 7, 1e-6), fp.BrownianPath(0, cell=0.01), start=1, **FEW)
    for bad in ("all", -1, 2.5, True):
        with pytest.raises(InputError, match="noise_lmax"):
            Homogenized(2.0, "gaussian", noise_lmax=bad)
