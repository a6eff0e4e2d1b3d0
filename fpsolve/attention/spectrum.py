"""The angular spectrum of isotropic noise from log M on a few spheres: of every step of a run, and therefore fast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from fpsolve._kernels import _fields
from fpsolve.attention.coarse_sphere import coarse_grid
from fpsolve.attention.laws import Cutoffs, KeyQueryLaw, gaussian_rows, spectrum_by_rows, spectrum_tensor
from fpsolve.attention.radial import RadialMesh
from fpsolve.attention.source import MomentSource, PointSource, by_moments
from fpsolve.attention.spheres import MomentSpheres, SphereSource, sampling
from fpsolve.attention.upright import upright
from fpsolve.cached import lru_cache
from fpsolve.errors import InputError
from fpsolve.noise import isotropic
from fpsolve.sphere._shtns import BOUND
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import index, real_degrees_orders
from fpsolve.threads import one_blas_thread

Real = NDArray[np.float64]

ROUND_OFF = 1e-12
"""Negative C_ℓ above -ROUND_OFF σ_V² |S^{d-1}| are set to zero; the largest possible C_ℓ is σ_V² |S^{d-1}|."""

RUNGS = (8, 12, 16, 20, 24)
"""Degrees of the coarse grids tried, in turn, where log M is summed over points."""

MARGIN = 5
"""Latitudes that these grids have beyond what their degree needs, where log M is about symmetric: what aliases from
higher degrees then has one sign."""

LEFT_OUT = 1e-8
"""What the degrees above a rung may give to C_ℓ from one sphere, in σ_V² |S²|; all spheres give up to 50 times it."""

FAR = 1000.0
"""Where so many times that is left out, one rung is passed over."""

MANY, MOST_DEGREE = 32, 128
"""Above so many degrees of the noise log M is taken to as many, up to 128, and the chaos by rows, not by a tensor."""

FEW = 16
"""Fewer tokens, whose log M may have kinks, are summed at every site of the fine grids."""


NEARER = {"gaussian": (0.7, 3), "product": (0.5, 4)}
"""What part of |βAx| ≤ ``radius_max`` the spheres of a step span, and how many fewer do: C_ℓ to 3e-8 σ_V² |S²|."""

FINEST = 1e-6
"""The least tolerance for which that will do."""

FEWER = {"gaussian": (0.5, 0.7), "product": (0.5, 0.8)}
"""Parts of the degrees and of the spheres that are tried first."""

UPPER = 4
"""One in so many components along the radius tells of the error: one alone may be small by chance."""

SHARE = 0.1
"""What they may leave out by their estimate, of a measure's ``rtol`` σ_V² |S²|. The errors are up to 30 times that for
laws like vMF(12), where log M has a ridge between two spheres; where it is met, they stay below ``rtol`` itself."""


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

    def fewer(self, kind: str) -> StepCutoffs:
        """Half the degrees, on fewer spheres."""
        degrees, spheres = FEWER[kind]
        return replace(self, degree=ceil(degrees * self.degree), radii=ceil(spheres * self.radii))

    def mesh(self, law: KeyQueryLaw, beta: float) -> RadialMesh:
        return RadialMesh(self.part * law.radius_max(beta), self.radii)


class SpectrumEngine:
    """C_ℓ[μ], ℓ ≤ ``noise_lmax``, of an isotropic law from log M on the spheres ``radii`` × ``grid``.

    C_p = Σ D[p, ℓ, i, j] Σ_m φ_ℓm(r_i) φ*_ℓm(r_j), φ = log M; D is computed once. Fewer spheres and
    degrees are tried first, ``coarse``, and taken where their own estimate of what they leave out is at most ``SHARE``
    of the source's ``rtol``. Take engines from ``spectrum_engine``, which keeps them.
    """

    def __init__(
        self,
        law: KeyQueryLaw,
        beta: float,
        value_std: float,
        noise_lmax: int,
        tolerance: float = 1e-6,
        cutoffs: StepCutoffs | None = None,
    ) -> None:
        check_value_std(value_std)
        check_tolerance(tolerance)
        self.law, self.beta, self.value_std, self.noise_lmax = law, beta, value_std, noise_lmax
        self.cutoffs = cutoffs or StepCutoffs.of(law, beta, noise_lmax, tolerance)
        mesh, degree = self.cutoffs.mesh(law, beta), self.cutoffs.degree
        self.radii: Real = mesh.radii
        self.grid: Any = sampling(law.d, degree)
        self._spheres = MomentSpheres(law.d, self.radii, degree)
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
            self._tensor = self._packed(tensor)
        self._importance: Real = np.abs(np.einsum("plii->pli", tensor)).max(axis=0) / geometry(law.d).area
        self._estimates = self._packed(_left_out_tensor(tensor, mesh)) if cutoffs else np.empty((0, 0))
        coarser = [coarse_grid(rung) for rung in RUNGS if rung < degree]
        aligned = [coarse_grid(one.degree, MARGIN, one.shape[1]) for one in coarser]
        self._upright_rungs: list[Any] = [*aligned, coarse_grid(degree, 7)]
        self._rungs: list[Any] = [*coarser, coarse_grid(degree, 7)] if law.d == 3 else [_Sites(self.grid, 2)]
        self.coarse: SpectrumEngine | None = None
        if cutoffs is None and law.d == 3 and self._rows is None and tolerance >= FINEST:
            self.coarse = SpectrumEngine(law, beta, value_std, noise_lmax, tolerance, self.cutoffs.fewer(law.kind))

    def _packed(self, tensor: Real) -> Real:
        """σ_V² times a tensor (P, degree+1, J, J), its pairs i ≤ j once, as rows."""
        pairs = tensor[:, :, *self._upper]
        pairs *= self.value_std**2 * np.where(self._upper[0] == self._upper[1], 1.0, 2.0)
        return np.ascontiguousarray(pairs.reshape(len(tensor), -1))

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
            return self._of_moments(source)
        return self.spectrum(np.stack([source.log_M_sphere(float(r), self.grid) for r in self.radii]))

    def _of_moments(self, source: MomentSource) -> Real:
        """By ``coarse``, where that is right to its share of the tolerance.

        Laws whose moments cancel, which cost most, are seldom right on few spheres: they go to all of them at once.
        """
        if self.coarse is not None and source.rtol >= FINEST:
            coarse = self.coarse
            modes, done = coarse._spheres.modes(source, whole=True)
            if done == len(coarse.radii):
                left_out = np.abs(coarse._summed(modes, coarse._estimates)).max()
                if left_out <= SHARE * source.rtol * geometry(3).area * self.value_std**2:
                    return coarse._checked(coarse._summed(modes, coarse._tensor))
        return self._contracted(self._sampled(source))

    def _sampled(self, source: MomentSource) -> NDArray[np.complex128]:
        """Modes of log M on every sphere: by moments, and from where these cancel on the coarsest sites that do.

        In that case they may be those of the measure turned, :func:`upright`, which have the same Gram matrices; not
        where a tight ``rtol`` asks for more than the grids about an axis are right to.
        """
        turns = self.law.d == 3 and source.rtol >= FINEST
        by_moments, done = self._spheres.modes(source, whole=turns)
        rungs = self._rungs
        if turns and not done:
            if (turned := upright(source)) is not None:
                source, rungs = turned, self._upright_rungs
            by_moments, done = self._spheres.modes(source)
        modes, rung = list(by_moments), 0
        for j in range(done, len(self.radii)):
            coefficients, rung = self._by_points(source, j, rungs, rung)
            modes.append(coefficients)
        return np.stack(modes)

    def _by_points(
        self, source: MomentSource, j: int, rungs: list[Any], rung: int
    ) -> tuple[NDArray[np.complex128], int]:
        """Modes of log M on sphere j on the first rung, from ``rung`` on, that resolves them; the rung for the next."""
        r = float(self.radii[j])
        while True:
            sites = rungs[rung]
            log_m, sampled = source.log_M_smooth(r, sites, float(self.radii[-1]))
            modes, power = sampled.analysed(log_m, self.cutoffs.degree)
            if rung == len(rungs) - 1:
                break
            left_out = self._left_out(power, sites.degree, j)
            if left_out <= LEFT_OUT:
                break
            rung = min(rung + (1 if left_out < FAR * LEFT_OUT else 2), len(rungs) - 1)
        below = max(rung - 1, 0)
        lower = rung > 0 and self._left_out(power, rungs[below].degree, j) <= LEFT_OUT
        return modes, below if lower else rung

    def _left_out(self, power: Real, degree: int, j: int) -> float:
        """About what the degrees above ``degree`` of sphere j give to C_ℓ, in σ_V² |S²|: as the two last ones."""
        return float(self._importance[degree, j] * (power[degree] + power[degree - 1]))

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
        if self._rows is None:
            return self._checked(self._summed(modes, self._tensor))
        fields = real_fields(modes, self.cutoffs.degree, self.law.d)
        return self._checked(spectrum_by_rows(self.law, self.beta, self._rows, self._tensor, fields))

    def _summed(self, modes: NDArray[np.complex128], tensor: Real) -> Real:
        """Σ of a packed tensor's rows over the Gram matrices of all degrees."""
        if self.law.d == 3 and BOUND:
            out = np.empty(len(tensor))
            _fields.contracted(np.ascontiguousarray(modes), self.cutoffs.degree, tensor, out)
            return out
        fields = real_fields(modes, self.cutoffs.degree, self.law.d)
        grams = np.stack([np.einsum("im,jm->ij", field, field) for field in fields])
        return np.einsum("pk,k->p", tensor, grams[:, *self._upper].ravel())  # BLAS's bits vary with its threads

    def _checked(self, C: Real) -> Real:
        """A spectrum, its round-off below zero cut off. Raises InputError where it is none."""
        if not C.min() >= -ROUND_OFF * geometry(self.law.d).area * self.value_std**2:  # a NaN comes here too
            raise InputError("log_m", C, "not log M of a measure", "give finite log M on every sphere")
        return np.maximum(C, 0.0)


def _left_out_tensor(tensor: Real, mesh: RadialMesh) -> Real:
    """What estimates the error of a tensor's C_p, two rows for each p: by its degrees, and by its radii.

    The share of the two last degrees, which fall off; and the change of C_p where the last Chebyshev components in
    u = asinh(r/c)/asinh(R/c) of φ_ℓm/r, of parity (-1)^(ℓ+1), are taken from every φ_ℓm, one in ``UPPER`` of them.
    """
    last = tensor.copy()
    last[:, :-2] = 0.0
    J = mesh.count
    without = []
    for parity in (0, 1):
        waves = np.cos(np.outer(2 * (J - 1 - np.arange(max(1, J // UPPER))) + 1 - parity, mesh.angles))
        without.append(np.eye(J) - (waves * mesh.radii).T @ (2 / J * waves / mesh.radii))
    filters = np.stack([without[ell % 2] for ell in range(tensor.shape[1])])
    return np.concatenate([last, tensor - np.einsum("lki,plkm,lmj->plij", filters, tensor, filters, optimize=True)])


class _Sites:
    """A grid as the last rung: its ``points`` and its analysis."""

    def __init__(self, grid: Any, d: int) -> None:
        self.shape, self._grid = grid.shape, grid
        self.points = geometry(d).points(grid.x.reshape(-1, d))

    def analysed(self, field: Real, degree: int) -> tuple[NDArray[np.complex128], Real]:
        """Its modes; nobody asks for their power where there is one rung."""
        return self._grid.to_modes(field, degree), np.empty(0)


@lru_cache(maxsize=16)
def spectrum_engine(
    law: KeyQueryLaw, beta: float, value_std: float, noise_lmax: int, tolerance: float = 1e-6
) -> SpectrumEngine:
    """The shared engine of these arguments; its tables have the same bits for any number of BLAS threads."""
    with one_blas_thread():
        return SpectrumEngine(law, beta, value_std, noise_lmax, tolerance)


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


def check_value_std(value_std: float) -> None:
    """Raise InputError unless it is a standard deviation."""
    if not (np.isfinite(value_std) and value_std >= 0):
        raise InputError("value_std", value_std, "not a standard deviation", "give a finite number >= 0")


def check_tolerance(tolerance: float) -> None:
    """Raise InputError unless it is in [1e-12, 1)."""
    if not 1e-12 <= tolerance < 1:
        raise InputError("tolerance", tolerance, "not a usable tolerance", "give a number in [1e-12, 1)")
