"""QᵀK = V = S symmetric: linear stability of aligned and polarised states against runs, alignment, polarisation."""

from __future__ import annotations

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.models.spectral_selection import SpectralSelection
from fpsolve.observe.free_energy import interaction_energy

QUIET = fp.BrownianPath(0, 0)


def symmetric(eigenvalues: tuple[float, ...]) -> np.ndarray:
    q = np.linalg.qr(np.random.default_rng(4).normal(size=(len(eigenvalues),) * 2))[0]
    return q @ np.diag(eigenvalues) @ q.T


def perturbed(model: SpectralSelection, mode: int, signs: np.ndarray, size: float) -> Cloud:
    v = model.eigenvectors[mode]
    u = np.random.default_rng(6).normal(size=(len(signs), len(v))) * size
    x = signs[:, None] * v + u - (u @ v)[:, None] * v
    return Cloud(x / np.linalg.norm(x, axis=1)[:, None], np.full(len(signs), 1 / len(signs)), rtol=1e-12, tokens=True)


def jacobian_rates(model: SpectralSelection, mode: int, signs: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Real parts of the eigenvalues of the drift's Jacobian in all tangential coordinates, by central differences."""
    n, v, frame = len(signs), model.eigenvectors[mode], np.delete(model.eigenvectors, mode, axis=0)
    columns = []
    for i, w in ((i, w) for i in range(n) for w in frame):
        sides = []
        for sign in (1, -1):
            x = signs[:, None] * v
            x[i] = np.cos(h) * x[i] + sign * np.sin(h) * w
            cloud = Cloud(x, np.full(n, 1 / n), tokens=True)
            sides.append(model.drift_field(cloud.source).on(cloud.sites) @ frame.T)
        columns.append((sides[0] - sides[1]).ravel() / (2 * h))
    return np.sort(np.linalg.eigvals(np.array(columns).T).real)


def transverse(model: SpectralSelection, mode: int, cloud: Cloud) -> float:
    """The distance from the axis ±v, root mean square."""
    along = cloud.x @ model.eigenvectors[mode]
    return float(np.linalg.norm(cloud.x - along[:, None] * model.eigenvectors[mode]))


def end_state(model: SpectralSelection, cloud: Cloud, t_end: float, dt: float) -> Cloud:
    *_, (_, end) = fp.run(model, cloud, QUIET, t_end=t_end, dt=dt)
    return end


STATES = [
    # eigenvalues, mode, tokens at +v of 8, stable
    ((-0.5, 0.4, 0.7, 1.0), 3, 8, True),  # aligned with the top eigenvector
    ((-0.5, 0.4, 0.7, 1.0), 2, 8, False),  # with another one
    ((-1.0, -0.6, -0.3, -0.2), 0, 4, True),  # split along the most negative one
    ((-1.0, -0.6, -0.3, -0.2), 0, 2, True),  # unequally: |log(1/3)| = 1.10 < 2β|λ| = 2.4
    ((-1.0, -0.6, -0.3, -0.2), 1, 4, False),  # along another one
    ((-0.4, -0.2, -0.1, -0.1), 0, 2, False),  # unequally: 1.10 > 2β|λ| = 0.96
    ((-1.0, -0.6, 0.3, 0.9), 0, 4, False),  # 0.9 > |λ| tanh β|λ| = 0.83
    ((-1.0, -0.6, 0.3, 0.8), 0, 4, True),  # 0.8 < 0.83
    ((0.2, 0.3, 0.5, 1.0), 3, 4, True),  # both signs of a dominant positive one: 0.5 < λ tanh βλ
    ((0.2, 0.3, 0.9, 1.0), 3, 4, False),
]


@pytest.mark.parametrize(("eigenvalues", "mode", "plus", "stable"), STATES)
def test_stability_against_runs(eigenvalues: tuple[float, ...], mode: int, plus: int, stable: bool) -> None:
    """All rates are those of the Jacobian; a perturbation of 1e-6 falls below 1e-3 of itself, or grows tenfold."""
    model, signs = SpectralSelection(1.2, symmetric(eigenvalues)), np.where(np.arange(8) < plus, 1.0, -1.0)
    rates = model.rates(mode, plus / 8)
    assert model.is_stable(mode, plus / 8) == stable
    jacobian = jacobian_rates(model, mode, signs)
    distance = np.abs(rates[:, None] - jacobian[None, :])
    assert max(distance.min(axis=0).max(), distance.min(axis=1).max()) < 1e-7
    start = perturbed(model, mode, signs, 1e-6)
    end = end_state(model, start, 8 / abs(rates[-1]), 2 / abs(rates[-1]))
    ratio = transverse(model, mode, end) / transverse(model, mode, start)
    assert ratio < 1e-3 if stable else ratio > 10


def test_closed_form_rates() -> None:
    """p = 1: -λ, λ_k - λ. p = 1/2: -λ tanh βλ, λ_k - λ tanh βλ, (λ_k - λ) tanh βλ."""
    eigenvalues, beta = np.array([-1.5, -0.4, 0.6]), 0.9
    model = SpectralSelection(beta, np.diag(eigenvalues))
    np.testing.assert_allclose(model.rates(2), np.sort([-0.6, -1.0, -2.1]), atol=1e-14)
    for mode in range(3):
        own, others = eigenvalues[mode], np.delete(eigenvalues, mode)
        c = np.tanh(beta * own)
        expected = np.sort([-own * c, -own * c, *(others - own * c), *((others - own) * c)])  # one -λc a side
        np.testing.assert_allclose(model.rates(mode, 0.5), expected, atol=1e-13)


def test_tokens_align_with_the_dominant_direction() -> None:
    model = SpectralSelection(2.0, symmetric((-0.3, 0.2, 0.4, 1.5)))
    x = np.random.default_rng(8).normal(size=(24, 4))
    x = x / np.linalg.norm(x, axis=1)[:, None] + 0.8 * model.eigenvectors[3]
    cloud = Cloud(x / np.linalg.norm(x, axis=1)[:, None], np.full(24, 1 / 24), tokens=True)
    states = [state for _, state in fp.run(model, cloud, QUIET, t_end=12.0, dt=1.0)]
    assert model.alignment(states[-1])[3] > 1 - 1e-6
    energies = [interaction_energy(state, 2.0, model.matrix) for state in states]
    assert (np.diff(energies) > -1e-9 * energies[-1]).all()  # S = V: the flow climbs the energy


def test_tokens_split_when_s_is_negative_definite() -> None:
    model = SpectralSelection(2.0, symmetric((-1.5, -0.5, -0.4, -0.3)))
    x = np.random.default_rng(9).normal(size=(24, 4))
    cloud = Cloud(x / np.linalg.norm(x, axis=1)[:, None], np.full(24, 1 / 24), tokens=True)
    end = end_state(model, cloud, 40.0, 2.0)
    assert model.alignment(end)[0] > 1 - 1e-6
    share = np.mean(end.x @ model.eigenvectors[0] > 0)
    assert abs(np.log(share / (1 - share))) < 2 * 2.0 * 1.5


def test_an_asymmetric_matrix_is_refused() -> None:
    with pytest.raises(InputError, match="symmetric"):
        SpectralSelection(1.0, [[1.0, 0.2], [0.0, 1.0]])
    with pytest.raises(InputError, match="matrix"):
        SpectralSelection(1.0, 2.0)
    with pytest.raises(InputError, match="fraction"):
        SpectralSelection(1.0, np.eye(2)).rates(0, 1.5)
