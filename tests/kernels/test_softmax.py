"""The compiled pairwise attention against its NumPy twin, direct formulas and closed forms."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from fpsolve._kernels import softmax, softmax_numpy
from fpsolve._kernels.softmax_arguments import Array
from fpsolve.errors import InputError

EPS = np.finfo(float).eps


def problem(d: int, n: int, N: int, scale: float, seed: int = 7) -> tuple[Array, Array, Array]:
    """Targets with |g| <= scale, sources on the sphere, weights of which every fifth is zero."""
    rng = np.random.default_rng(seed)
    g, y = rng.normal(size=(n, d)), rng.normal(size=(N, d))
    g *= scale / np.linalg.norm(g, axis=1).max()
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    weights = rng.random(N)
    weights[::5] = 0.0
    return g, y, weights


@pytest.mark.parametrize("N", [2, 128, 129, 1000])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 64])
def test_agrees_with_its_numpy_twin(d: int, N: int) -> None:
    args = problem(d, 37, N, scale=8.0)
    fast, slow = softmax.softmax_second(*args), softmax_numpy.softmax_second(*args)
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    for a, b in zip(fast, softmax.softmax_attention(*args), strict=False):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)


def test_numpy_twin_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    args = problem(3, 11, 40, scale=5.0)
    whole = softmax_numpy.softmax_second(*args)
    monkeypatch.setattr(softmax_numpy, "CHUNK", 50)
    for a, b in zip(whole, softmax_numpy.softmax_second(*args), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-14)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_meets_the_definition(d: int) -> None:
    g, y, w = problem(d, 23, 300, scale=6.0)
    e = w * np.exp(g @ y.T)
    M = e.sum(axis=1)
    log_M, F, second = softmax.softmax_second(g, y, w)
    np.testing.assert_allclose(log_M, np.log(M), rtol=0, atol=1e-13)
    np.testing.assert_allclose(F, e @ y / M[:, None], rtol=0, atol=1e-13)
    np.testing.assert_allclose(second, np.einsum("ij,ja,jb->iab", e / M[:, None], y, y), rtol=0, atol=1e-13)


def test_uniform_measure_on_the_sphere() -> None:
    """M = sinh(r)/r and F = (coth r - 1/r) g/r, from a Gauss-Legendre by equispaced quadrature."""
    t, wt = np.polynomial.legendre.leggauss(48)
    phi = 2 * np.pi * np.arange(96) / 96
    z, p = np.meshgrid(t, phi, indexing="ij")
    rho = np.sqrt(1 - z**2)
    y = np.stack([rho * np.cos(p), rho * np.sin(p), z], axis=-1).reshape(-1, 3)
    g = np.array([[0.3, -0.2, 0.1], [1.0, 2.0, -2.0], [12.0, 0.0, 16.0]])
    log_M, F = softmax.softmax_attention(g, y, np.repeat(wt / 192, 96))
    r = np.linalg.norm(g, axis=1)
    np.testing.assert_allclose(log_M, np.log(np.sinh(r) / r), rtol=0, atol=1e-13)
    np.testing.assert_allclose(F, ((1 / np.tanh(r) - 1 / r) / r)[:, None] * g, rtol=0, atol=1e-13)


def test_gradient_and_hessian_of_log_M() -> None:
    g, y, w = problem(3, 1, 50, scale=2.0)
    _, F, second = softmax.softmax_second(g, y, w)
    h = 1e-4
    around = g + h * np.concatenate([np.eye(3), -np.eye(3)])
    log_M, F_around = softmax.softmax_attention(around, y, w)
    np.testing.assert_allclose(F[0], (log_M[:3] - log_M[3:]) / (2 * h), rtol=0, atol=1e-8)
    hessian = second[0] - np.outer(F, F)
    np.testing.assert_allclose(hessian, (F_around[:3] - F_around[3:]) / (2 * h), rtol=0, atol=1e-8)


@pytest.mark.parametrize("scale", [1e4, 1e5])
@pytest.mark.parametrize("d", [3, 6])
def test_far_targets_see_the_foremost_point(d: int, scale: float) -> None:
    """Dirac limit: with a gap of 0.1 |g| in the exponent the others weigh e^-1000 and less."""
    y = np.concatenate([-np.eye(d), 0.9 * np.eye(d)[:1], np.eye(d)])
    log_M, F, second = softmax.softmax_second(scale * np.eye(d), y, np.full(len(y), 0.25))
    np.testing.assert_allclose(F, np.eye(d), rtol=0, atol=1e-300)
    np.testing.assert_allclose(second, np.eye(d)[:, :, None] * np.eye(d)[:, None, :], rtol=0, atol=1e-300)
    np.testing.assert_allclose(log_M, scale + np.log(0.25), rtol=4 * EPS)


def test_the_maximum_may_come_late_or_early() -> None:
    """Rescaling between blocks: the same sources in rising and in falling order of their exponents."""
    t = np.linspace(-1, 1, 1501)
    y = np.stack([t, np.sqrt(1 - t**2)], axis=1)
    g, w = np.array([[900.0, 0.0], [-900.0, 0.0], [0.0, 40.0]]), np.ones(len(t))
    rising, falling = softmax.softmax_attention(g, y, w), softmax.softmax_attention(g, y[::-1], w)
    expected = softmax_numpy.softmax_attention(g, y, w)
    for a, b, c in zip(rising, falling, expected, strict=True):
        np.testing.assert_allclose(a, c, rtol=0, atol=2e-12)
        np.testing.assert_allclose(b, c, rtol=0, atol=2e-12)


def test_weights_of_any_size() -> None:
    """A weight of 1e-300 at the front counts where the exponent makes up for it, and only there."""
    y = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    log_M, F = softmax.softmax_attention([[1000.0, 0.0, 0.0], [10.0, 0.0, 0.0]], y, [1e-300, 1.0])
    np.testing.assert_allclose(F, y, rtol=0, atol=1e-100)
    np.testing.assert_allclose(log_M, [1000 - 300 * np.log(10), 0.0], rtol=4 * EPS, atol=EPS)


def test_single_source() -> None:
    y = np.array([[0.6, 0.0, -0.8]])
    g = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    log_M, F, second = softmax.softmax_second(g, y, [3.0])
    np.testing.assert_allclose(log_M, g @ y[0] + np.log(3.0), rtol=0, atol=4 * EPS)
    np.testing.assert_array_equal(F, np.repeat(y, 2, axis=0))
    np.testing.assert_array_equal(second, np.stack([y.T @ y, y.T @ y]))


def test_no_targets() -> None:
    log_M, F = softmax.softmax_attention(np.empty((0, 3)), np.eye(3), np.ones(3))
    assert log_M.shape == (0,) and F.shape == (0, 3)


@pytest.mark.parametrize("d", [3, 7])
def test_a_target_does_not_see_the_others(d: int) -> None:
    g, y, w = problem(d, 50, 700, scale=10.0)
    together = softmax.softmax_second(g, y, w)
    for a, b in zip(together, softmax.softmax_second(g[33:34], y, w), strict=True):
        np.testing.assert_array_equal(a[33:34], b)


THREADED = """
import hashlib, sys
import numpy as np
from fpsolve._kernels.softmax import softmax_second
digest = hashlib.sha256()
for d in (2, 3, 4, 5):
    rng = np.random.default_rng(d)
    for out in softmax_second(9 * rng.normal(size=(801, d)), rng.normal(size=(1203, d)), rng.random(1203)):
        digest.update(out.tobytes())
print(digest.hexdigest())
"""


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", THREADED],
            env=os.environ | {"OMP_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 2 * hashlib.sha256().digest_size


@pytest.mark.parametrize("module", [softmax, softmax_numpy])
@pytest.mark.parametrize(
    ("argument", "args"),
    [
        ("g", (np.ones((4, 2)), np.eye(3), np.ones(3))),
        ("g", (np.ones(3), np.eye(3), np.ones(3))),
        ("g", ([[0.0, np.nan, 0.0]], np.eye(3), np.ones(3))),
        ("g", ([["a", "b", "c"]], np.eye(3), np.ones(3))),
        ("g", (np.full((1, 3), 1e300), np.eye(3), np.ones(3))),
        ("y", (np.eye(3), np.full((3, 3), np.inf), np.ones(3))),
        ("weights", (np.eye(3), np.eye(3), np.ones(2))),
        ("weights", (np.eye(3), np.eye(3), [1.0, -1e-300, 1.0])),
        ("weights", (np.eye(3), np.eye(3), [1.0, np.nan, 1.0])),
        ("weights", (np.eye(3), np.eye(3), np.zeros(3))),
        ("weights", (np.eye(3), np.empty((0, 3)), np.empty(0))),
    ],
)
def test_bad_arguments_are_refused(module: object, argument: str, args: tuple) -> None:
    for function in (module.softmax_attention, module.softmax_second):  # type: ignore[attr-defined]
        with pytest.raises(InputError) as error:
            function(*args)
        assert error.value.argument == argument
