"""A model and a scheme from outside the package, in a few lines, run on every measure."""

from dataclasses import dataclass

import numpy as np
import pytest

import fpsolve as fp

GAUSS = np.polynomial.legendre.leggauss(200)


@dataclass(frozen=True)
class MeanPull(fp.Model):
    """dx = P_x(a·mean) dt + ε P_x ∘ dB with one Brownian motion along z: K(x,x) is constant, Q = ε² e_z e_zᵀ."""

    strength: float = 1.0
    noise: float = 0.3

    def channels(self, d: int) -> int:
        return 1

    def drift_field(self, source):
        return fp.AmbientField(lambda sites: self.strength * source.mean)

    def noise_field(self, source, increment):
        return fp.AmbientField(lambda sites: self.noise * increment[0] * np.array([0.0, 0.0, 1.0]))


def split_step(model, measure, path, t0, t1):
    """The flow of the drift, then that of the noise."""
    drifted = measure.transport(lambda source: (t1 - t0) * model.flow_drift(source))
    return drifted.transport(model.noise_field(drifted.source, path.increment(t0, t1, model.channels(3))))


SPLIT = fp.Scheme(split_step, "drift and noise in turn", "this test", strong_order=1, weak_order=1)


@pytest.mark.parametrize("measure", ["density", "half_density", "log_density", "cloud"])
def test_outside_model_and_scheme_follow_the_moebius_orbit(measure):
    """The whole flow is a family of boosts, so a uniform start stays ρ = (1-a²)²/(4π|x-a|⁴); its mean fixes a."""
    ds = fp.solve(
        MeanPull(), fp.initial.uniform(), t_end=0.4, dt=0.05, path_cell=0.05, lmax=31, measure=measure,
        scheme=SPLIT, rtol=1e-9, seed=3,
    )  # fmt: skip
    path = fp.BrownianPath(3, cell=0.05)
    height = _height_of_boosts([0.3 * path.increment(0.05 * n, 0.05 * (n + 1), 1)[0] for n in range(8)])
    assert ds.mean_vector.values[-1] == pytest.approx([0, 0, height], abs=1e-7)


def _height_of_boosts(increments, strength=1.0, dt=0.05):
    """The mean's height: boosts along z compose by rapidity, d(rapidity) = strength·mean·dt, then the kick."""
    from scipy.integrate import solve_ivp

    rapidity = 0.0
    for kick in increments:
        flow = solve_ivp(lambda _, r: strength * _mean(r[0]), (0, dt), [rapidity], rtol=1e-11, atol=1e-13)
        rapidity = flow.y[0, -1] + kick
    return _mean(rapidity)


def _mean(rapidity):
    """∫ z ρ for the uniform law boosted along z: ẋ = P_x e_z for the time ``rapidity``, z ↦ (z + th)/(1 + z th)."""
    z, w = GAUSS
    th = np.tanh(rapidity)
    return float(np.sum(w * (z + th) / (1 + z * th)) / 2)


def test_tables_take_new_entries(monkeypatch):
    monkeypatch.setitem(fp.SCHEMES, "split", SPLIT)
    monkeypatch.setitem(fp.MODELS, "MeanPull", MeanPull)
    ds = fp.solve(MeanPull(), fp.initial.uniform(), t_end=0.02, dt=0.01, lmax=15, scheme="split")
    assert '"scheme": "split"' in ds.fpsolve_config
