"""``dt="auto"``: from saved time to saved time within ``rtol``, against closed forms over many scales of time."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.observe.clustering import TOLERANCE

LAW = fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0)


def pairs(beta, exponents):
    """Far pairs on the circle, the k-th at the angle θ with β(1 - cos θ) = its exponent, and their cosines."""
    cosines = 1 - np.array(exponents) / beta
    half, centres = np.arccos(cosines) / 2, 2 * np.pi * np.arange(len(exponents)) / len(exponents)
    angles = np.stack([centres - half, centres + half], -1).ravel()
    return fp.initial.points(np.stack([np.cos(angles), np.sin(angles)], -1)), cosines


@pytest.mark.parametrize(
    ("kind", "beta", "exponents", "steps"),
    [
        ("sa", 500.0, (4.0, 5.5, 7.0), 8),
        ("usa", 500.0, (4.0, 5.5, 7.0), 8),
        ("rescaled", 500.0, (4.0, 5.5, 7.0), 8),
        ("sa", 4000.0, (7.0, 8.2, 9.4), 8),
        ("rescaled", 4000.0, (7.0, 8.2, 9.4), 8),
        ("sa", 4000.0, (16.0, 17.0, 18.0), 3),  # implicit formulas, once clusters relax faster than they meet
    ],
)
def test_the_staircase_of_energies(kind, beta, exponents, steps):
    """Merging times grow like e^{β(1 - cos θ)}, between them 2βE e^{-β} stays at Σ m_c²: 6/36, 8/36, 10/36, 12/36.

    Pairs meet without the others, so that the closed time of two tokens is that of each pair; without the denominator
    three times as long, as a token has a sixth of the mass, and in units of e^{-β}, 10^{-217} at β = 500 and no double
    at 4000 unless rescaled.
    """
    law, cosines = pairs(beta, exponents)
    how = {"kind": "sa"} if kind == "sa" else {"kind": "usa", "rescaled": kind == "rescaled"}
    slower = 1 if kind == "sa" else 3
    exact = fp.theory.equiangular_time(cosines, np.cos(TOLERANCE), beta, 2, **how) * slower
    end = 1.25 * exact[-1]
    if kind == "sa":
        model = fp.models.SelfAttention(beta)
    else:
        model = fp.models.UnnormalisedSelfAttention(beta, rescaled=how["rescaled"])
    ds = fp.solve(
        model, law, measure="cloud", t_end=end, dt="auto", save_every=end / steps, save_points=True,
    )  # fmt: skip
    found = fp.clusters(ds)
    assert list(found.merged_cluster) == [1, 3, 5]
    assert (found.merged_after <= exact * (1 + 1e-4)).all()
    assert (found.merged_before >= exact * (1 - 1e-4)).all()
    stairs = np.exp(np.log(2 * beta) + ds.log_energy - beta)
    gaps = fp.theory.equiangular_overlap(ds.time.values[:, None] / slower, cosines, beta, 2, deficit=True, **how)
    assert stairs.values == pytest.approx((1 + np.exp(-beta * gaps)).sum(-1) / 18, rel=1e-4)
    assert 0 < ds.evaluations.max() < 12_000, "the cost of a step, stiff ones included"
    if steps == 3:
        return
    flat = abs(stairs.values / found.squared_masses.values - 1) < 0.03
    assert flat.mean() > 0.6, "most of the time is spent on the stairs"
    assert set(np.round(36 * found.squared_masses.values)) == {6, 8, 10, 12}


def test_steps_of_any_length_are_accurate():
    """Against small steps, and the record says what they cost and that they were chosen."""
    model, run = fp.models.SelfAttention(2.0), {"t_end": 1.0, "lmax": 15, "rtol": 1e-8}
    for measure in ("density", "cloud"):
        fine = fp.solve(model, LAW, dt=0.05, save_every=0.5, measure=measure, **run)
        auto = fp.solve(model, LAW, dt="auto", save_every=0.5, measure=measure, **run)
        assert np.abs(auto.moments - fine.moments).max() < 1e-6
        assert auto.evaluations[0] == 0
        assert (auto.evaluations[1:] > 8).all()
        assert "evaluations" not in fine
        again = fp.solve(model, LAW, dt=0.5, measure=measure, **run)
        assert np.array_equal(again.moments, auto.moments), "rk4 with that dt"


@pytest.mark.parametrize(
    ("model", "measure"),
    [
        (fp.models.SelfAttention(2.0), "zonal"),
        (fp.models.UnnormalisedSelfAttention(2.0), "zonal_cloud"),
        (fp.models.CausalAttention(2.0, 0.0, kind="sa"), "causal_density"),
        (fp.models.CausalAttention(2.0, window=0.3, kind="sa"), "cloud"),
        (fp.models.SelfAttention(1.0) + fp.models.UnnormalisedSelfAttention(1.0), "half_density"),
    ],
)
def test_every_measure_takes_it(model, measure):
    law = LAW if measure not in ("causal_density", "cloud") else fp.initial.prompt(LAW, 4)
    start = fp.initial.samples(law, 24, 1) if measure == "cloud" else law
    run = {"t_end": 0.5, "measure": measure, "rtol": 1e-8} | ({} if measure == "cloud" else {"lmax": 15})
    fine, auto = (fp.solve(model, start, dt=dt, save_every=0.5, **run) for dt in (0.0625, "auto"))
    assert abs(fine.overlap[-1] - fine.overlap[0]) > 0.01
    assert np.abs(auto.overlap - fine.overlap).max() < 1e-6
    assert auto.evaluations[1] > 5


def test_own_noise_by_petsc():
    """ν is implicit in PETSc's steps, and no error of order dt² is left: against small steps that split it off."""
    pytest.importorskip("petsc4py")
    model, run = fp.models.SelfAttention(2.0, diffusion=0.2), {"t_end": 1.0, "save_every": 0.5, "lmax": 15}
    auto = fp.solve(model, LAW, dt="auto", scheme="petsc_ts", rtol=1e-8, **run)
    split = [fp.solve(model, LAW, dt=dt, rtol=1e-8, **run) for dt in (0.1, 0.05)]
    exact = (4 * split[1].moments - split[0].moments) / 3
    assert np.abs(auto.moments - exact).max() < 2e-6
    assert np.abs(split[0].moments - exact).max() > 1e-5
    assert (auto.evaluations[1:] > 5).all()


def test_the_same_after_a_restart(tmp_path):
    run = {"dt": "auto", "save_every": 0.5, "measure": "cloud", "lmax": 8}
    whole = fp.solve(fp.models.SelfAttention(2.0), LAW, t_end=2.0, **run)
    fp.solve(fp.models.SelfAttention(2.0), LAW, t_end=1.0, **run, checkpoint=tmp_path / "a")
    resumed = fp.solve(fp.models.SelfAttention(2.0), LAW, t_end=2.0, **run, checkpoint=tmp_path / "a")
    assert resumed.identical(whole)


def test_sweeps_take_it():
    ds = fp.ensemble(fp.models.SelfAttention(2.0), LAW, members=1, sweep={"beta": [1.0, 2.0]}, t_end=1.0, dt="auto",
                     save_every=0.5, lmax=8, progress=False)  # fmt: skip
    alone = fp.solve(fp.models.SelfAttention(2.0), LAW, t_end=1.0, dt="auto", save_every=0.5, lmax=8)
    assert np.array_equal(ds.moments.sel(beta=2.0).values.squeeze(), alone.moments)


@pytest.mark.parametrize(
    ("argument", "model", "more", "says"),
    [
        ("dt", fp.models.Homogenized(1.0), {"save_every": 0.1}, "Homogenized"),
        ("dt", fp.models.NoisyTransformer(1.0, diffusion=0.1), {"save_every": 0.1}, "diffusion"),
        ("dt", fp.models.SelfAttention(1.0), {"save_every": 0.1, "scheme": "lie_euler"}, "lie_euler"),
        ("save_every", fp.models.SelfAttention(1.0), {}, "saved"),
        ("save_every", fp.models.SelfAttention(1.0), {"save_every": 0.0}, "positive"),
        ("save_every", fp.models.SelfAttention(1.0), {"save_every": 2.0}, "longer"),
        ("dt", fp.models.SelfAttention(1.0), {"dt": "automatic"}, "auto"),
        ("t_end", fp.models.SelfAttention(1.0), {"save_every": 0.3}, "whole number"),
    ],
)
def test_refused(argument, model, more, says):
    with pytest.raises(InputError, match=says) as error:
        fp.solve(model, LAW, **{"t_end": 1.0, "dt": "auto", "lmax": 8, **more})
    assert error.value.argument == argument
