"""Harmonic sums at scattered points against the grid and against SciPy; their bits and the poles."""

from __future__ import annotations

import ctypes
import hashlib
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable

import ducc0
import numpy as np
import pytest
from scipy.special import sph_harm_y

from fpsolve.sphere import SpherePoints, grid, scattered
from fpsolve.sphere import harmonics as sh
from fpsolve.sphere.blocks import BLOCK
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.sphere.nonuniform import EPSILON, NonuniformSums

POLES = np.array([[0.0, 0, 1], [0, 0, -1], [0, 0, 1]])


def random_modes(lmax: int, seed: int = 0) -> Coefficients:
    rng = np.random.default_rng(seed)
    c = rng.normal(size=sh.size(lmax)) + 1j * rng.normal(size=sh.size(lmax))
    c[: lmax + 1] = c[: lmax + 1].real
    return c / (1.0 + sh.degrees_orders(lmax)[0])


def close(found: Real, expected: Real, tolerance: float = 1e-11) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.fixture(params=["term by term", "non-uniform", "grid"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ways to the sums, whatever the degree and the number of points."""
    most = 1000 if request.param == "term by term" else -1
    monkeypatch.setattr(scattered, "GRIDDED", range(1, 1000) if request.param == "grid" else range(0))
    monkeypatch.setattr(scattered, "GRIDDED_POINTS", 0)
    monkeypatch.setattr(scattered, "DIRECT_DEGREE", dict.fromkeys(scattered.DIRECT_DEGREE, most))
    monkeypatch.setattr(scattered, "DIRECT_POINTS", -1)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("lmax", [1, 2, 15, 63, 130])
def test_synthesis_gradient_and_tangent_agree_with_the_grid(lmax: int) -> None:
    g, s, t = grid(lmax), random_modes(lmax, 1), random_modes(lmax, 2)
    at = SpherePoints(np.ascontiguousarray(g.x.reshape(-1, 3)))
    close(at.scalar(s), g.to_grid(s).ravel())
    close(at.gradient(s), g.to_ambient(g.gradient(s)).reshape(-1, 3))
    close(at.tangent(s, t), g.to_ambient(g.tangent(s, t)).reshape(-1, 3))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("lmax", [1, 15, 63, 130])
def test_moments_agree_with_quadrature(lmax: int) -> None:
    """A quadrature of a field, taken as weighted points, has the coefficients of the field."""
    g, c = grid(lmax), random_modes(lmax)
    at = SpherePoints(np.ascontiguousarray(g.x.reshape(-1, 3)))
    weights = (g.weights * g.to_grid(c)).ravel()
    close(at.moments(weights, lmax), c)


@pytest.mark.usefixtures("way")
def test_moments_and_synthesis_are_scipys() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(50, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    w = rng.random(50)
    lmax, at = 12, SpherePoints(x)
    theta, phi = np.arccos(x[:, 2]), np.arctan2(x[:, 1], x[:, 0])
    ells, orders = sh.degrees_orders(lmax)
    y = np.array([sph_harm_y(ell, m, theta, phi) for ell, m in zip(ells, orders, strict=True)])
    close(at.moments(w, lmax), y.conj() @ w)
    c = random_modes(lmax)
    close(at.scalar(c), np.where(orders == 0, 1, 2) @ (c[:, None] * y).real)


def cloud(n: int, seed: int = 5) -> Real:
    """Directions, every third near a pole, and the poles."""
    x = np.random.default_rng(seed).normal(size=(n, 3))
    x[::3, :2] *= 0.01
    x[: min(n, 3)] = POLES[:n]
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("lmax", "n"), [(1, 5), (8, 3000), (17, 1), (31, 500), (31, 5000), (63, 900), (130, 300)])
def test_ducc0s_own_transforms_are_the_twin(lmax: int, n: int) -> None:
    """The same sums with its Legendre functions: they agree to 1e-13 or, where the poles cost digits, 5e-17 ℓ²."""
    x, s, t = cloud(n), random_modes(lmax, 1), random_modes(lmax, 2)
    at, root = SpherePoints(x), np.sqrt(-sh.laplacian(lmax))
    theta, phi = np.arctan2(np.hypot(x[:, 0], x[:, 1]), x[:, 2]), np.mod(np.arctan2(x[:, 1], x[:, 0]), 2 * np.pi)
    where = {"loc": np.stack([theta, phi], -1), "lmax": lmax, "epsilon": EPSILON, "nthreads": 1}
    tolerance = max(1e-13, 5e-17 * lmax**2)
    close(at.scalar(s), ducc0.sht.synthesis_general(alm=s[None], spin=0, **where)[0], tolerance)
    pairs = ((at.gradient(s), 0 * t), (at.tangent(s, t), t))
    for found, toroidal in pairs:
        modes = np.stack([root * s, -root * toroidal])
        components = ducc0.sht.synthesis_general(alm=modes, spin=1, **where)
        close(found, sum(c[:, None] * e for c, e in zip(components, at.frame, strict=True)), tolerance)
    weights = np.random.default_rng(6).random(n)
    twin = ducc0.sht.adjoint_synthesis_general(map=weights[None], spin=0, **where)[0]
    close(at.moments(weights, lmax), twin, tolerance)


@pytest.mark.usefixtures("way")
def test_moments_of_a_dirac() -> None:
    """At the north pole ρ_ℓ0 = √((2ℓ+1)/4π), all else zero, also when the mass sits in many equal points."""
    lmax, expected = 40, np.zeros(sh.size(40), complex)
    expected[: lmax + 1] = np.sqrt((2 * np.arange(lmax + 1) + 1) / (4 * np.pi))
    for n in (1, 1000):
        at = SpherePoints(np.tile(POLES[0], (n, 1)))
        close(at.moments(np.full(n, 1 / n), lmax), expected, 1e-12)


@pytest.mark.usefixtures("way")
def test_points_exactly_at_the_poles() -> None:
    a = np.array([0.3, -0.7, 0.4])
    linear = np.zeros(sh.size(3), complex)
    linear[sh.index(1, 0, 3)] = a[2] * np.sqrt(4 * np.pi / 3)
    linear[sh.index(1, 1, 3)] = -(a[0] - 1j * a[1]) * np.sqrt(2 * np.pi / 3)
    at, zero = SpherePoints(POLES), np.zeros_like(linear)
    np.testing.assert_allclose(at.scalar(linear), POLES @ a, rtol=0, atol=1e-12)
    gradient = a - (POLES @ a)[:, None] * POLES
    np.testing.assert_allclose(at.gradient(linear), gradient, rtol=0, atol=1e-12)
    np.testing.assert_allclose(at.tangent(zero, linear), np.cross(a, POLES), rtol=0, atol=1e-12)
    np.testing.assert_allclose(at.tangent(linear, zero), gradient, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("way")
def test_near_the_poles_nothing_jumps() -> None:
    c, tiny = random_modes(20), 1e-9
    near = np.array([[tiny, 0, 1], [0, tiny, 1], [-tiny, 0, 1], [0, 0, 1]])
    at = SpherePoints(near / np.linalg.norm(near, axis=1, keepdims=True))
    for values in (at.gradient(c), at.tangent(c, c), at.scalar(c)):
        assert np.ptp(values, axis=0).max() < 1e-6


@pytest.mark.usefixtures("way")
def test_a_constant_has_no_gradient() -> None:
    at = SpherePoints(POLES)
    constant = np.ones(1, complex)
    assert np.array_equal(at.gradient(constant), np.zeros((3, 3)))
    np.testing.assert_allclose(at.scalar(constant), 1 / np.sqrt(4 * np.pi), rtol=1e-13)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("n", [0, 1, 9000])
def test_a_jet_is_its_parts_and_blocks_are_put_together(n: int) -> None:
    x, f, g = cloud(n), random_modes(9, 1), random_modes(9, 2)
    at = SpherePoints(x)
    first, second, slope = at.jet(f, g)
    parts = [SpherePoints(x[i : i + 1000]) for i in range(0, n, 1000)]
    for found, name, of in ((first, "scalar", f), (second, "scalar", g), (slope, "gradient", f)):
        assert found.shape == getattr(at, name)(of).shape
        if n:
            close(found, np.concatenate([getattr(part, name)(of) for part in parts]), 1e-13)


def test_projection_to_the_tangent_space() -> None:
    at = SpherePoints(POLES)
    field = np.arange(9.0).reshape(3, 3)
    assert np.array_equal(at.from_ambient(field), field * [1, 1, 0])
    assert at.to_ambient(field) is field


BITS = f"""
import hashlib, numpy as np
from fpsolve.sphere import SpherePoints
from fpsolve.sphere.harmonics import size
rng = np.random.default_rng(0)
x = rng.normal(size=(2 * {BLOCK} + 777, 3))
x /= np.linalg.norm(x, axis=1, keepdims=True)
at, lmax = SpherePoints(x), 12
c = rng.normal(size=size(lmax)) + 0j
digest = hashlib.sha256()
for array in (at.scalar(c), at.gradient(c), at.tangent(c, c), at.moments(np.full(len(x), 1 / len(x)), lmax)):
    digest.update(array.tobytes())
print(digest.hexdigest())
"""


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", BITS],
            env={**os.environ, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(said) == 1


def churned(seed: int) -> Callable[[], None]:
    """Leaves the heap otherwise than it was, so that arrays come to lie elsewhere."""
    libc, rng, held = ctypes.CDLL(None), random.Random(seed), []
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]

    def churn() -> None:
        held.extend(libc.malloc(rng.choice([16, 48, 112, 520, 3000, 40000])) for _ in range(3))
        while len(held) > 200:
            libc.free(held.pop(rng.randrange(len(held))))

    return churn


def moved(array: Real, shift: int) -> Real:
    """A copy that starts `shift` bytes into its memory."""
    copy = np.empty(array.nbytes + shift, np.uint8)[shift:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("lmax", "n"), [(17, 128), (31, 40), (12, 700)])
def test_bits_repeat_wherever_arrays_lie_and_whatever_was_asked_before(lmax: int, n: int) -> None:
    """ducc0's own transform from coefficients to points does not: up to three calls in a thousand differ."""
    x, c, w = cloud(n), random_modes(lmax), np.random.default_rng(8).random(n)
    rng, churn, said = random.Random(9), churned(9), {}
    calls: dict[str, Callable[[SpherePoints, int], Real | Coefficients]] = {
        "scalar": lambda at, shift: at.scalar(moved(c, shift)),
        "gradient": lambda at, shift: at.gradient(moved(c, shift)),
        "tangent": lambda at, shift: at.tangent(moved(c, shift), moved(c, shift)),
        "moments": lambda at, shift: at.moments(moved(w, shift), lmax),
    }
    for _ in range(250):
        at = SpherePoints(moved(x, 8 * rng.randrange(8)))
        for name in rng.sample(list(calls), rng.randrange(1, 5)):
            churn()
            digest = hashlib.sha256(calls[name](at, 8 * rng.randrange(8)).tobytes()).digest()
            assert said.setdefault(name, digest) == digest


@pytest.mark.usefixtures("way")
def test_points_are_pickled_without_their_plans() -> None:
    at, c = SpherePoints(cloud(20)), random_modes(8)
    values = at.scalar(c)
    assert np.array_equal(pickle.loads(pickle.dumps(at)).scalar(c), values)


def test_only_the_plans_of_the_last_degree_are_kept() -> None:
    at = NonuniformSums(cloud(200))
    for lmax in (4, 8, 9):
        at.scalar(random_modes(lmax))
        at.tangent(random_modes(lmax), None)
    assert len(at._plans) == 1


def test_few_points_of_a_very_high_degree_are_finite() -> None:
    """Factors of the sum term by term grow as 2^ℓ: above degree 1000 even few points take the other way."""
    lmax = 1151
    linear = np.zeros(sh.size(lmax), complex)
    linear[1] = np.sqrt(4 * np.pi / 3)
    at = SpherePoints(cloud(5))
    np.testing.assert_allclose(at.scalar(linear), at.x[:, 2], rtol=0, atol=1e-11)
    assert np.isfinite(at.moments(np.ones(5), lmax)).all()
