"""The logarithm of the interaction energy against direct sums, the uniform law and the energy itself, for every β."""

import numpy as np
import pytest
from scipy.special import gammaln, ive, logsumexp

import fpsolve as fp
from fpsolve.measures.build import build
from fpsolve.observe.free_energy import interaction_energy, log_interaction_energy
from fpsolve.observe.quantities import energy, log_energy
from fpsolve.transformer import RandomTransformer

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
BETAS = (1.0, 6.0, 50.0, 300.0, 699.0, 701.0, 2000.0)


def cloud(n, d):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, d))
    weights = rng.random(n)
    return fp.Cloud(x / np.linalg.norm(x, axis=1)[:, None], weights / weights.sum(), tokens=True)


def direct(measure, beta, matrix):
    exponents = beta * measure.x @ matrix.T @ measure.x.T
    return logsumexp(exponents, b=np.outer(measure.weights, measure.weights)) - np.log(2 * beta)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("n", "d"), [(12, 2), (12, 3), (300, 3), (12, 8)])
def test_it_is_the_direct_sum(beta, n, d):
    measure, matrix = cloud(n, d), np.random.default_rng(1).normal(size=(d, d))
    assert log_energy(measure, beta) == pytest.approx(direct(measure, beta, np.eye(d)), rel=1e-11, abs=1e-11)
    assert log_interaction_energy(measure, beta, matrix) == pytest.approx(direct(measure, beta, matrix), abs=1e-9)
    if beta <= 700:
        assert np.log(energy(measure, beta)) == pytest.approx(log_energy(measure, beta), abs=1e-12)
    else:
        assert energy(measure, beta) is None
    assert interaction_energy(measure, 1.0, matrix) == pytest.approx(np.exp(direct(measure, 1.0, matrix)), rel=1e-12)


@pytest.mark.parametrize("beta", BETAS)
def test_the_uniform_law_has_its_closed_form(beta):
    """log λ_0/(2β), λ_0 = Γ(d/2)(2/β)^{d/2-1} I_{d/2-1}(β)."""
    for d in (2, 3):
        order = d / 2 - 1
        exact = gammaln(d / 2) + order * np.log(2 / beta) + np.log(ive(order, beta)) + beta - np.log(2 * beta)
        for measure in ("density", "half_density"):
            ds = fp.solve(
                fp.models.LinearGaussianLayers(), fp.initial.uniform(d), t_end=0.01, dt=0.01, lmax=15, measure=measure
            )
            assert "log_energy" not in ds  # no β
            state = build(fp.initial.uniform(d), measure, 15, 1e-6)
            assert log_energy(state, beta) == pytest.approx(exact, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("beta", [5.0, 900.0])
def test_results_hold_it_for_one_head_and_for_several(beta, tmp_path):
    tokens, few = fp.initial.points(cloud(9, 3).x), {"t_end": 1e-3, "dt": 1e-3, "measure": "cloud", "save_points": True}
    matrices, weights = (1.0, np.diag([1.0, 0.5, -0.3])), (0.5, 2.0)
    ds = fp.solve(fp.models.MultiHead(beta, matrices, (1.0, 1.0), weights), tokens, **few)
    parts = []
    for matrix, weight in zip(matrices, weights, strict=True):
        a = matrix * np.eye(3) if np.ndim(matrix) == 0 else matrix
        states = [fp.Cloud(x, np.full(9, 1 / 9)) for x in ds.points.values]
        parts.append([np.log(weight) + direct(state, beta, a) for state in states])
    np.testing.assert_allclose(ds.log_head_energies, np.array(parts).T, rtol=1e-11)
    np.testing.assert_allclose(ds.log_energy, logsumexp(parts, axis=0), rtol=1e-11)
    assert ("energy" in ds) == ("head_energies" in ds) == (beta < 700)
    if beta < 700:
        np.testing.assert_allclose(np.log(ds.energy), ds.log_energy, rtol=1e-12)
    fp.save(ds, tmp_path / "run.nc")
    assert fp.load(tmp_path / "run.nc").identical(ds)
    repelling = fp.solve(fp.models.MultiHead(beta, matrices, (1.0, 1.0), (-1.0, 1e-9)), tokens, **few)
    assert "log_energy" not in repelling and np.isfinite(repelling.log_head_energies).all()


def test_chains_and_their_members_hold_it():
    start = fp.initial.points(cloud(6, 3).x)
    for beta in (2.0, 800.0):
        chain = RandomTransformer(6, 3, 2, 3, 0.1, beta)
        one, many = chain.run(start, save_points=True), chain.run_members(start, 2, save_every=1, save_points=True)
        exact = [direct(fp.Cloud(x, np.full(6, 1 / 6)), beta, np.eye(3)) for x in one.points.values]
        np.testing.assert_allclose(one.log_energy, exact, rtol=1e-12)
        np.testing.assert_allclose(many.log_energy[0], exact, rtol=1e-12)
        assert ("energy" in one) == ("energy" in many) == (beta < 700)
