"""Tests of an installed package: transforms, at every ``fpsolve info``, and all that runs need, ``fpsolve test``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np

from fpsolve import plot
from fpsolve._kernels import softmax, softmax_numpy
from fpsolve.io import load, save
from fpsolve.measures import initial
from fpsolve.models import Homogenized, SelfAttention
from fpsolve.solving import solve
from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import degrees_orders, index, size
from fpsolve.theory import equiangular_overlap

_LMAX = 63
_TOLERANCE = 1e-12


def transform_tests() -> list[dict[str, Any]]:
    """One record ``{name, error, tolerance, passed}`` for each test, on the Gauss grid of degree 63.

    Round trips of a scalar and of a tangent field with random coefficients, and amplitudes against closed
    forms.
    """
    tests = {
        "round trip of a scalar field": _scalar_round_trip,
        "round trip of a tangent field": _tangent_round_trip,
        "absolute normalisation of Y_11 and Y_20": _normalisation,
        "quadrature of 1 and z²": _quadrature,
    }
    return [_record(name, test(), _TOLERANCE) for name, test in tests.items()]


def package_tests() -> Iterator[dict[str, Any]]:
    """Those of :func:`transform_tests`, and of the compiled kernels, runs, files, checkpoints and pictures, one by one.

    Runs are compared with closed forms and with one another. A test that raises has an infinite error and a key
    ``problem``; each has its ``seconds``.
    """
    begun = perf_counter()
    for record in transform_tests():
        yield {**record, "seconds": perf_counter() - begun}
        begun = perf_counter()
    with TemporaryDirectory() as folder:
        for name, (test, tolerance) in _PACKAGE.items():
            yield {**_tried(name, partial(test, Path(folder)), tolerance), "seconds": perf_counter() - begun}
            begun = perf_counter()


def _tried(name: str, test: Callable[[], float], tolerance: float) -> dict[str, Any]:
    """The record of a test that may fail in any way."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _record(name, test(), tolerance)
    except Exception as error:
        return {**_record(name, float("inf"), tolerance), "problem": f"{type(error).__name__}: {error}"}


def extras() -> dict[str, str | None]:
    """What optional packages are for, with the version of those that are installed."""
    found: dict[str, str | None] = {}
    for name in EXTRAS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


EXTRAS = {
    "mpi4py": "ensembles over ranks", "petsc4py": "implicit transport", "plotly": "fpsolve report",
    "torch": "reading networks", "POT": "W_2 in comparisons",
}  # fmt: skip
"""Optional packages and what they are for."""


def _record(name: str, error: float, tolerance: float) -> dict[str, Any]:
    # written so that NaN fails
    return {"name": name, "error": error, "tolerance": tolerance, "passed": bool(error <= tolerance)}


def _random_coefficients(seed: int) -> Any:
    """Standard normal, real for m = 0, none for ℓ = 0."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(size(_LMAX)) + 1j * rng.standard_normal(size(_LMAX))
    degree, order = degrees_orders(_LMAX)
    values[order == 0] = values[order == 0].real
    values[degree == 0] = 0
    return values


def _scalar_round_trip() -> float:
    modes = _random_coefficients(1)
    back = grid(_LMAX).to_modes(grid(_LMAX).to_grid(modes))
    return float(np.abs(back - modes).max() / np.abs(modes).max())


def _tangent_round_trip() -> float:
    modes = _random_coefficients(2), _random_coefficients(3)
    back = grid(_LMAX).tangent_modes(grid(_LMAX).tangent(*modes))
    return float(max(np.abs(one - other).max() / np.abs(other).max() for one, other in zip(back, modes, strict=True)))


def _normalisation() -> float:
    """2 Re Y_11 = -√(3/2π) sin θ cos φ and Y_20 = √(5/16π) (3 cos² θ - 1) on the grid."""
    sphere = grid(_LMAX)
    exact = {
        (1, 1): -np.sqrt(3 / (2 * np.pi)) * sphere.sin_theta * np.cos(sphere.phi),
        (2, 0): np.sqrt(5 / (16 * np.pi)) * (3 * sphere.cos_theta**2 - 1),
    }
    errors = []
    for (degree, order), field in exact.items():
        modes = np.zeros(size(_LMAX), complex)
        modes[index(degree, order, _LMAX)] = 1
        errors.append(np.abs(sphere.to_grid(modes) - field).max())
    return float(max(errors))


def _quadrature() -> float:
    sphere = grid(_LMAX)
    one, z2 = sphere.integral(np.ones(sphere.shape)), sphere.integral(sphere.cos_theta**2)
    return max(abs(one / (4 * np.pi) - 1), abs(z2 / (4 * np.pi / 3) - 1))


_LAW = initial.von_mises_fisher([0.2, -0.5, 1.0], 2.0)

_RUN: dict[str, Any] = {"t_end": 0.1, "dt": 0.01, "lmax": 31, "seed": 1, "progress": False}


def _attention_kernel(folder: Path) -> float:
    """The compiled pairwise attention against its NumPy twin, absolute."""
    rng = np.random.default_rng(4)
    targets, points, weights = 3 * rng.normal(size=(40, 3)), rng.normal(size=(300, 3)), rng.random(300)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    pairs = zip(
        softmax.softmax_second(targets, points, weights), softmax_numpy.softmax_second(targets, points, weights),
        strict=True,
    )  # fmt: skip
    return float(max(np.abs(one - other).max() for one, other in pairs))


def _closed_form(folder: Path) -> float:
    """Three tokens of equal overlaps under self-attention against their ordinary differential equation."""
    start = initial.simplex(3, 0.1, 3)
    ds = solve(SelfAttention(2.0), start, t_end=0.5, dt=0.01, measure="cloud", save_points=True, progress=False)
    points = ds["points"].transpose("time", "point", "component").values
    exact = equiangular_overlap(ds["time"].values, 0.1, 2.0, 3)
    return float(np.abs(np.einsum("tc,tc->t", points[:, 0], points[:, 1]) - exact).max())


def _measures_agree(folder: Path) -> float:
    """Density, log density and quadrature cloud on one path of the noise, moments of degree 8."""
    runs = [solve(Homogenized(2.0), _LAW, measure=measure, **_RUN) for measure in ("density", "log_density", "cloud")]
    return max(float(np.abs(one["moments"] - runs[0]["moments"]).max()) for one in runs[1:])


def _files(folder: Path) -> float:
    """A result written and read, as NetCDF and as Zarr: 0 if identical."""
    ds = solve(Homogenized(2.0), _LAW, **_RUN)
    same = [load(save(ds, folder / f"result{suffix}")).identical(ds) for suffix in (".nc", ".zarr")]
    return 0.0 if all(same) else float("nan")


def _restart(folder: Path) -> float:
    """A run that goes on from its checkpoint against one that was never stopped: 0 if all bits are the same."""
    whole = solve(Homogenized(2.0), _LAW, **_RUN)
    place = folder / "run.ckpt"
    solve(Homogenized(2.0), _LAW, **{**_RUN, "t_end": 0.05}, checkpoint=place)
    again = solve(Homogenized(2.0), _LAW, **_RUN, checkpoint=place)
    return 0.0 if again.identical(whole) else float("nan")


def _picture(folder: Path) -> float:
    """An overview as PNG: 0 if there is one."""
    plot.overview(solve(Homogenized(2.0), _LAW, **_RUN)).savefig(folder / "overview.png")
    return 0.0 if (folder / "overview.png").read_bytes().startswith(b"\x89PNG") else float("nan")


_PACKAGE: dict[str, tuple[Callable[[Path], float], float]] = {
    "compiled attention against NumPy": (_attention_kernel, 1e-12),
    "three tokens against their closed form": (_closed_form, 1e-8),
    "density, log density and cloud on one path": (_measures_agree, 1e-6),
    "results as NetCDF and Zarr, read again": (_files, 0.0),
    "a run from its checkpoint, to the bit": (_restart, 0.0),
    "a picture": (_picture, 0.0),
}
"""Tests and what error they allow."""
