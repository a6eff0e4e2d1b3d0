"""The covariance k_μ(⟨x, y⟩) = σ_V² E_A F_μ(βAx)·F_μ(βAy) of isotropic key-query laws.

Its spectrum, fast, for every step of a run, and the function itself, accurately.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import ref

import numpy as np
from numpy.polynomial.polynomial import polyder, polyval
from numpy.typing import ArrayLike, NDArray

from fpsolve.attention.bessel import moment_degree
from fpsolve.attention.coarse_sphere import coarse_grid
from fpsolve.attention.laws import (
    Cutoffs,
    KeyQueryLaw,
    gaussian_rows,
    power_coefficients,
    radius_weights,
    spectrum_by_rows,
    spectrum_tensor,
)
from fpsolve.attention.radial import RadialMesh
from fpsolve.attention.source import MomentSource, PointSource, by_moments
from fpsolve.cached import lru_cache
from fpsolve.errors import InputError
from fpsolve.noise import isotropic
from fpsolve.sphere.circle import CircleGrid
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.grid import Grid
from fpsolve.sphere.harmonics import degrees_orders, index, real_degrees_orders
from fpsolve.threads import one_blas_thread

Real = NDArray[np.float64]

ROUND_OFF = 1e-12
"""Negative C_ℓ above -ROUND_OFF σ_V² |S^{d-1}| are set to zero; the largest possible C_ℓ is σ_V² |S^{d-1}|."""

RUNGS = (8, 12, 16, 20, 24)
"""Degrees of the coarse grids tried, in turn, where log M is summed over points."""

LEFT_OUT = 1e-8
"""What the degrees above a rung may give to C_ℓ from one sphere, in σ_V² |S²|; all spheres give up to 50 times it."""

FAR = 1000.0
"""Where so many times that is left out, one rung is passed over."""

MANY, MOST_DEGREE = 32, 128
"""Above so many degrees of the noise log M is taken to as many, up to 128, and the chaos by rows, not by a tensor."""

FEW = 16
"""Fewer tokens, whose log M may have kinks, are summed at every site of the fine grids."""

MOST = {"gaussian": Cutoffs(64, 56, 1000), "product": Cutoffs(48, 56, 150, 180)}
"""Where the refinement of an accurate kernel stops."""


NEARER = {"gaussian": (0.7, 3), "product": (0.5, 4)}
"""What part of |βAx| ≤ ``radius_max`` the spheres of a step span, and how many fewer do: C_ℓ to 3e-8 σ_V² |S²|."""

FINEST = 1e-6
"""The least tolerance for which that will do."""


class SphereSource(Protocol):
    """What a measure must answer on the spheres |g| = radius; ``sites.x`` are unit vectors, (*shape, d)."""

    def log_M_sphere(self, radius: float, sites: Any) -> Real:
        """log M(radius x), shape ``sites.shape``."""
        ...

    def F_sphere(self, radius: float, sites: Any) -> tuple[Real, Real]:
        """log M and F = ∇ log M at radius x, shapes ``sites.shape`` and ``(*sites.shape, d)``."""
        ...


@dataclass(frozen=True)
class StepCutoffs(Cutoffs):
    """Those of an engine: radii up to ``part`` of the largest; beyond, log M ∝ r, which it tends to."""

    part: float = 1.0

    @classmethod
    def of(cls, law: KeyQueryLaw, beta: float, noise_lmax: int, tolerance: float) -> StepCutoffs:
        """Those for a tolerance; a spectrum of many degrees asks more degrees and chaos of log M, which has kinks."""
        whole = Cutoffs.for_tolerance(law, beta, tolerance)
        part, fewer = NEARER[law.kind] if tolerance >= FINEST else (1.0, 0)
        degree, order = whole.degree, whole.order
        if noise_lmax > MANY and law.kind == "gaussian":
            degree, order = max(degree, min(noise_lmax, MOST_DEGREE)), max(order, 8 * noise_lmax)
        return cls(degree, whole.radii - fewer, order, whole.outer, part)

    def mesh(self, law: KeyQueryLaw, beta: float) -> RadialMesh:
        return RadialMesh(self.part * law.radius_max(beta), self.radii)


class SpectrumEngine:
    """C_ℓ[μ], ℓ ≤ ``noise_lmax``, of an isotropic law from log M on the spheres ``radii`` × ``grid``.

    C_p = Σ D[p, ℓ, i, j] Σ_m φ_ℓm(r_i) φ*_ℓm(r_j), φ = log M; D is computed once. Take engines from
    ``spectrum_engine``, which keeps them.
    """

    def __init__(
        self, law: KeyQueryLaw, beta: float, value_std: float, noise_lmax: int, tolerance: float = 1e-6
    ) -> None:
        _check_value_std(value_std)
        _check_tolerance(tolerance)
        self.law, self.beta, self.value_std, self.noise_lmax = law, beta, value_std, noise_lmax
        self.cutoffs = StepCutoffs.of(law, beta, noise_lmax, tolerance)
        self.radii: Real = self.cutoffs.mesh(law, beta).radii
        degree = self.cutoffs.degree
        self.grid: Any = sampling(law.d, degree)
        self._grids: list[Any] = [sampling(law.d, degree, moment_degree(float(r))) for r in self.radii]
        self._upper = np.triu_indices(len(self.radii))
        self._last: tuple[Callable[[], SphereSource | None], Real] = (lambda: None), np.empty(0)
        self._rows: tuple[Real, Real] | None = None
        if noise_lmax > MANY and law.kind == "gaussian":
            self._rows = gaussian_rows(law, beta, self.cutoffs)
            K = 2 * self._rows[0].shape[1] + degree
            self._tensor: Real = value_std**2 * isotropic(law.d, noise_lmax).spectrum_of_powers(K)
            tensor = spectrum_tensor(law, beta, FEW, self.cutoffs)
        else:
            tensor = spectrum_tensor(law, beta, noise_lmax, self.cutoffs)
        self._importance: Real = np.abs(np.einsum("plii->pli", tensor)).max(axis=0) / geometry(law.d).area
        if self._rows is None:
            tensor = tensor[:, :, *self._upper]
            tensor *= value_std**2 * np.where(self._upper[0] == self._upper[1], 1.0, 2.0)
            self._tensor = np.ascontiguousarray(tensor.reshape(noise_lmax + 1, -1))
        coarser = [coarse_grid(rung) for rung in RUNGS if rung < degree]
        self._rungs: list[Any] = [*coarser, coarse_grid(degree, 7)] if law.d == 3 else [_Sites(self.grid, 2)]

    def of(self, source: SphereSource) -> Real:
        """C_ℓ of a source, shape (noise_lmax+1,); that of the last one is kept while it lives."""
        last_source, kept = self._last
        if last_source() is not source:
            kept = self._of(source)
            kept.setflags(write=False)
            self._last = ref(source), kept
        return kept

    def _of(self, source: SphereSource) -> Real:
        if isinstance(source, PointSource) and self.law.d == 3 and len(source.x) >= FEW:
            source = by_moments(source)
        if isinstance(source, MomentSource):
            return self._contracted(self._sampled(source))
        return self.spectrum(np.stack([source.log_M_sphere(float(r), self.grid) for r in self.radii]))

    def _sampled(self, source: MomentSource) -> NDArray[np.complex128]:
        """Modes of log M on every sphere: by moments, and from where these cancel on the coarsest sites that do."""
        modes, rung, cancelled = [], 0, False
        for j, (r, fine) in enumerate(zip(self.radii.tolist(), self._grids, strict=True)):
            log_m = None if cancelled else source.log_M_by_moments(r, fine)
            cancelled = log_m is None
            if log_m is None:
                coefficients, rung = self._by_points(source, j, rung)
            else:
                coefficients = fine.to_modes(log_m, self.cutoffs.degree)
            modes.append(coefficients)
        return np.stack(modes)

    def _by_points(self, source: MomentSource, j: int, rung: int) -> tuple[NDArray[np.complex128], int]:
        """Modes of log M on sphere j on the first rung, from ``rung`` on, that resolves them; the rung for the next."""
        r = float(self.radii[j])
        while True:
            sites = self._rungs[rung]
            log_m, sampled = source.log_M_smooth(r, sites, float(self.radii[-1]))
            modes = sampled.to_modes(log_m, self.cutoffs.degree)
            if rung == len(self._rungs) - 1:
                break
            left_out = self._left_out(modes, sites.degree, j)
            if left_out <= LEFT_OUT:
                break
            rung = min(rung + (1 if left_out < FAR * LEFT_OUT else 2), len(self._rungs) - 1)
        below = max(rung - 1, 0)
        lower = rung > 0 and self._left_out(modes, self._rungs[below].degree, j) <= LEFT_OUT
        return modes, below if lower else rung

    def _left_out(self, modes: NDArray[np.complex128], degree: int, j: int) -> float:
        """About what the degrees above ``degree`` of sphere j give to C_ℓ, in σ_V² |S²|: as the two last ones."""
        positions, orders = _two_degrees(degree, self.cutoffs.degree)
        parts = modes[positions].view(np.float64).reshape(-1, 2)
        return float(self._importance[degree, j] * np.einsum("m,mc,mc->", orders, parts, parts))

    def spectrum(self, log_m: Real) -> Real:
        """C_ℓ ≥ 0 from log M(r_j x), shape (J, *grid.shape): the true one, e^r not taken out.

        Raises InputError if log M is not finite.
        """
        log_m = np.asarray(log_m, dtype=float)
        if log_m.shape != (len(self.radii), *self.grid.shape):
            remedy = f"give {(len(self.radii), *self.grid.shape)}"
            raise InputError("log_m", log_m.shape, "wrong shape", remedy)
        return self._contracted(np.stack([self.grid.to_modes(field, self.cutoffs.degree) for field in log_m]))

    def _contracted(self, modes: NDArray[np.complex128]) -> Real:
        fields = real_fields(modes, self.cutoffs.degree, self.law.d)
        if self._rows is not None:
            C = spectrum_by_rows(self.law, self.beta, self._rows, self._tensor, fields)
        else:
            grams = np.stack([np.einsum("im,jm->ij", field, field) for field in fields])
            C = np.einsum("pk,k->p", self._tensor, grams[:, *self._upper].ravel())  # BLAS's bits vary with its threads
        if not C.min() >= -ROUND_OFF * geometry(self.law.d).area * self.value_std**2:  # a NaN comes here too
            remedy = "give finite log M on every sphere"
            raise InputError("log_m", modes.shape, "not log M of a measure", remedy)
        return np.maximum(C, 0.0)


class _Sites:
    """A grid as the last rung: its ``points`` and its analysis."""

    def __init__(self, grid: Any, d: int) -> None:
        self.shape, self.to_modes = grid.shape, grid.to_modes
        self.points = geometry(d).points(grid.x.reshape(-1, d))


@lru_cache(maxsize=16)
def spectrum_engine(
    law: KeyQueryLaw, beta: float, value_std: float, noise_lmax: int, tolerance: float = 1e-6
) -> SpectrumEngine:
    """The shared engine of these arguments; its tables have the same bits for any number of BLAS threads."""
    with one_blas_thread():
        return SpectrumEngine(law, beta, value_std, noise_lmax, tolerance)


@lru_cache(maxsize=64)
def _two_degrees(degree: int, lmax: int) -> tuple[NDArray[np.int64], Real]:
    """Positions of the degrees ``degree`` - 1 and ``degree``, and how many orders ±m each stands for."""
    ells, orders = degrees_orders(lmax)
    positions = np.flatnonzero((ells == degree) | (ells == degree - 1))
    return positions, np.where(orders[positions] == 0, 1.0, 2.0)


@lru_cache(maxsize=128)
def sampling(d: int, degree: int, holds: int = 0) -> Any:
    """A small grid, finer than ``degree`` needs: the functions are not band-limited.

    It also holds fields of degree ``holds``, so that the moments of M are summed on it directly.
    """
    return SAMPLINGS[d](degree, holds)


def _sampling_sphere(degree: int, holds: int) -> Grid:
    """A quarter finer."""
    nlat = max(32, 8 * -(-5 * (degree + 1) // 32), 8 * -(-(holds + 1) // 8))
    return Grid(degree, nlat, 2 * nlat)


def _sampling_circle(degree: int, holds: int) -> CircleGrid:
    """Twice finer: an even number of angles."""
    least = max(64, 4 * (degree + 1), 2 * (holds + 1))
    return CircleGrid(degree, 8 * -(-least // 8))


SAMPLINGS: dict[int, Callable[[int, int], Any]] = {2: _sampling_circle, 3: _sampling_sphere}
"""The grids by d."""


def degree_fields(grid: Any, degree: int, values: Real, d: int = 3) -> list[Real]:
    """The real coefficients of fields (J, *grid.shape), for each degree ℓ an array (J, number of orders)."""
    return real_fields(np.stack([grid.to_modes(field, degree) for field in values]), degree, d)


def real_fields(modes: NDArray[np.complex128], degree: int, d: int = 3) -> list[Real]:
    """Complex coefficients (J, size) as real ones, for each degree ℓ an array (J, 2ℓ+1), or (J, 1 or 2) for d = 2."""
    if d == 2:
        pairs = np.sqrt(2.0) * modes.view(np.float64)
        return [modes.real[:, :1].copy()] + [pairs[:, 2 * m : 2 * m + 2] for m in range(1, degree + 1)]
    picked, weight = _by_degree(degree)
    real = modes.view(np.float64)[:, picked] * weight
    return [real[:, ell * ell : (ell + 1) ** 2] for ell in range(degree + 1)]


@lru_cache(maxsize=8)
def _by_degree(degree: int) -> tuple[NDArray[np.int64], Real]:
    """Positions in the real view and weights of f_ℓ0, √2 Re f_ℓm, √2 Im f_ℓm, ℓ-major; ((degree+1)²,)."""
    ells, orders = real_degrees_orders(degree)
    picked = 2 * index(ells, np.abs(orders), degree) + (orders < 0)
    return picked, np.where(orders == 0, 1.0, np.sqrt(2.0))


@dataclass(frozen=True, eq=False)
class IsotropicKernel:
    """k(t) = Σ c_k t^k, t = ⟨x, y⟩ in [-1, 1].

    ``coefficients`` are c_k ≥ 0; the last two close the series so that k(±1) are right. ``kappa`` = k(1);
    ``error`` estimates the error: the change under the last refinement and a quarter of the closing terms.
    """

    kappa: float
    coefficients: Real
    error: float

    def __call__(self, t: ArrayLike) -> Real:
        """k(t), elementwise."""
        return np.asarray(polyval(_checked_cosine(t), self.coefficients), dtype=np.float64)

    def derivative(self, t: ArrayLike) -> Real:
        """k'(t), elementwise; near t = 1 only as good as the closed tail of the series."""
        return np.asarray(polyval(_checked_cosine(t), polyder(self.coefficients)), dtype=np.float64)


def kernel(
    law: KeyQueryLaw, beta: float, value_std: float, source: SphereSource, tolerance: float = 1e-6
) -> IsotropicKernel:
    """k_μ of an isotropic law, refined until ``error`` is below ``tolerance`` σ_V² or ``MOST`` is reached.

    The chaos gives c_k up to a cut-off K; k(±1) = σ_V² E F(βAx)·F(±βAx) are separate radial quadratures, and
    what the series misses there is put on the next two powers. For 1 - t ≫ 1/K the error is that of the c_k;
    nearer to t = 1, which is exact, it is a fraction of that missing part.
    Raises InputError for a negative or NaN argument.
    """
    _check_value_std(value_std)
    _check_tolerance(tolerance)
    most = MOST[law.kind]
    cutoffs = Cutoffs.for_tolerance(law, beta, tolerance)
    now = _kernel(law, beta, value_std, source, cutoffs)
    while True:
        finer = cutoffs.refined(most)
        before, now = now, _kernel(law, beta, value_std, source, finer)
        t = np.concatenate([np.linspace(-1, 1, 41), 1 - np.geomspace(1e-3, 0.04, 6)])
        # t^K - t^{2K} ≤ 1/4: what the closing terms misplace.
        error = float(np.abs(now(t) - before(t)).max() + np.abs(now.coefficients[-2:]).sum() / 4)
        if error <= tolerance * value_std**2 or finer == cutoffs or finer == most:
            return IsotropicKernel(now.kappa, now.coefficients, error)
        cutoffs = finer


def _kernel(law: KeyQueryLaw, beta: float, value_std: float, source: SphereSource, cutoffs: Cutoffs) -> IsotropicKernel:
    grid: Any = sampling(law.d, cutoffs.degree)
    radii = cutoffs.mesh(law, beta).radii
    log_m, same, opposite = _on_spheres(source, grid, radii)
    fields = _compressed(degree_fields(grid, cutoffs.degree, log_m, law.d))
    c = value_std**2 * power_coefficients(law, beta, fields, cutoffs)
    weights = value_std**2 * radius_weights(law, beta, cutoffs)
    kappa, antipodal = float(weights @ same), float(weights @ opposite)
    even = (kappa + antipodal) / 2 - c[0::2].sum()
    odd = (kappa - antipodal) / 2 - c[1::2].sum()
    tail = [even, odd] if len(c) % 2 == 0 else [odd, even]
    return IsotropicKernel(kappa, np.concatenate([c, tail]), np.nan)


def _on_spheres(source: SphereSource, grid: Any, radii: Real) -> tuple[Real, Real, Real]:
    """log M (J, *shape), and ∫ F(rω)·F(±rω) dω, each (J,)."""
    log_m, same, opposite = [], [], []
    for r in radii:
        values, F = source.F_sphere(float(r), grid)
        log_m.append(values)
        same.append(grid.integral((F * F).sum(axis=-1)))
        opposite.append(grid.integral((F * _antipode(grid, F)).sum(axis=-1)))
    return np.stack(log_m), np.array(same), np.array(opposite)


def _antipode(grid: Any, field: Real) -> Real:
    """field(-x) on the grid (an even number of longitudes or angles)."""
    if isinstance(grid, CircleGrid):
        return np.roll(field, grid.n // 2, axis=0)
    theta_axis = 1 if grid.cos_theta[0, 0] == grid.cos_theta[1, 0] else 0
    return np.roll(np.flip(field, axis=theta_axis), grid.nphi // 2, axis=1 - theta_axis)


def _compressed(fields: list[Real]) -> list[Real]:
    """By degree, factors (J, rank) of the same Gram matrix to round-off: fewer columns than orders."""
    factors = []
    largest = max(np.abs(field).max() for field in fields)
    for field in fields:
        left, values, _ = np.linalg.svd(field, full_matrices=False)
        keep = values > 1e-8 * largest
        factors.append(left[:, keep] * values[keep])
    return factors


def _checked_cosine(t: ArrayLike) -> Real:
    values = np.asarray(t, dtype=float)
    if not np.all(np.abs(values) <= 1 + 1e-12):
        raise InputError("t", t, "not in [-1, 1]", "t is the overlap of two unit vectors")
    return values


def _check_value_std(value_std: float) -> None:
    if not (np.isfinite(value_std) and value_std >= 0):
        raise InputError("value_std", value_std, "not a standard deviation", "give a finite number >= 0")


def _check_tolerance(tolerance: float) -> None:
    if not 1e-12 <= tolerance < 1:
        raise InputError("tolerance", tolerance, "not a usable tolerance", "give a number in [1e-12, 1)")
