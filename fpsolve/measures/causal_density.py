"""Laws of positions: a density on S² or S¹ for each of P cells of a sequence, whose past is one running sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.floor import Floor
from fpsolve.attention.past import Past, past_of_cells
from fpsolve.attention.source import Source
from fpsolve.cached import cached_property
from fpsolve.errors import InputError, check_number
from fpsolve.measures.base import Living, Measure
from fpsolve.measures.density import LOW_DEGREE, Density, DensitySource
from fpsolve.measures.expansion import LIVING_SHARE
from fpsolve.measures.laws import Law, Prompt, Tokens, density_values, refuse_filter
from fpsolve.noise import BrownianPath
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.geometry import Geometry, check_degree, geometry
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.commutator_free import flow_of_living
from fpsolve.transport.flows import EXPLICIT
from fpsolve.transport.operators import spectral_bound
from fpsolve.transport.runge_kutta import for_living, integrate
from fpsolve.transport.velocity import Sites, Velocity
from fpsolve.values import as_array, changed, own_arrays

CELLS = 32
"""Cells of a law that is the same at every position, where nothing else is said."""


@dataclass(frozen=True, eq=False, repr=False)
class CausalDensity(Measure):
    """Densities ρ_s of P equal cells of positions, (j - 1/2)/P their middles, each of mass one; μ is their mean.

    ``coefficients``: complex (P, n), a row as in :class:`~fpsolve.measures.density.Density`. ``rtol``, ``flow``,
    ``coarsest``: as there. Causal models act on each cell by the law of its past; others by μ. What is said of one law
    (mean, moments, density) is of μ; the entropy is the mean of the cells', given the position; least density and
    tail are those of the worst cell. Raises InputError where a mass is not one to 1e-6.
    """

    coefficients: Coefficients
    rtol: float = 1e-6
    d: int = 3
    flow: str = EXPLICIT
    coarsest: float = 0.0

    name: ClassVar[str] = "causal_density"

    def __post_init__(self) -> None:
        as_array(self, "coefficients", complex)
        u, sphere = self.coefficients, geometry(self.d)
        if u.ndim != 2 or u.size == 0 or sphere.degrees(sphere.degree_of(u[0])).size != u.shape[1]:
            problem = "not the coefficients (P, n) of P densities of one degree"
            raise InputError("coefficients", u.shape, problem, 'use measure="causal_density" with fp.initial.prompt')
        check_number("rtol", self.rtol, 1e-14, 1)
        for row in u:
            Density(row, self.rtol, None, self.d, self.flow)
        self._settle()

    def _settle(self) -> None:
        own_arrays(self)

    @classmethod
    @checked_arguments
    def from_law(
        cls, law: Law | Tokens | Prompt, *, lmax: int, rtol: float, filter: float | None = None
    ) -> CausalDensity:
        """The laws of a prompt in its cells; one law in ``CELLS`` cells."""
        refuse_filter(filter, cls.name)
        check_degree("lmax", lmax)
        if isinstance(law, Tokens):
            raise InputError("measure", cls.name, "tokens have no density", 'use measure="cloud"')
        laws, stretch = ([law], [0] * CELLS) if isinstance(law, Law) else (list(law.laws), law.stretches)
        grid = geometry(law.dimension).grid(lmax)
        rows = [grid.to_modes(density_values(one, grid)) for one in laws]
        return cls(np.stack([rows[k] for k in stretch]), rtol, law.dimension)

    @property
    def dimension(self) -> int:
        """d."""
        return self.d

    @property
    def geometry(self) -> Geometry:
        """The sphere or the circle."""
        return geometry(self.d)

    @property
    def lmax(self) -> int:
        """Truncation degree of every cell."""
        return self.geometry.degree_of(self.coefficients[0])

    @property
    def positions(self) -> Real:
        return middles(len(self.coefficients))

    @cached_property
    def cells(self) -> tuple[Density, ...]:
        """The densities of the cells, in order."""
        return tuple(Density(row, self.rtol, None, self.d, self.flow, self.coarsest) for row in self.coefficients)

    @cached_property
    def whole(self) -> Density:
        """μ, the mean of the cells."""
        return Density(self.coefficients.mean(axis=0), self.rtol, None, self.d, self.flow, self.coarsest)

    @cached_property
    def source(self) -> Source:
        return CellSource(self.coefficients, self.whole.coefficients, self.rtol, self.d)

    @property
    def grid(self) -> Any:
        """The grid of this degree."""
        return self.geometry.grid(self.lmax)

    @property
    def sites(self) -> Sites:
        """The grid of this degree."""
        return self.grid

    @property
    def masses(self) -> Real:
        return self.whole.masses

    @property
    def mean(self) -> Real:
        return self.geometry.mean_vector(self.whole.coefficients)

    @property
    def position_means(self) -> Real:
        return np.stack([self.geometry.mean_vector(row) for row in self.coefficients])

    @property
    def mass(self) -> float:
        return self.whole.mass

    def moments(self, degree: int) -> Coefficients:
        return self.geometry.resized(self.whole.coefficients, degree)

    def quadrature(self) -> tuple[Real, Real, Real]:
        return self.whole.quadrature()

    @property
    def has_density(self) -> bool:
        return True

    def density_on(self, grid: Any = None) -> Real | None:
        return self.whole.density_on(grid)

    @property
    def score(self) -> Real:
        return self.whole.score

    def holds(self, degree: int) -> bool:
        return bool(self.grid.holds(degree))

    def refined(self, lmax: int) -> CausalDensity:
        return self.at(np.stack([self.geometry.resized(row, lmax) for row in self.coefficients]))

    @property
    def entropy(self) -> float:
        return float(np.mean([cell.entropy for cell in self.cells]))

    @property
    def min_density(self) -> float:
        return min(cell.min_density for cell in self.cells)

    @property
    def tail(self) -> float:
        return max(cell.tail for cell in self.cells)

    @cached_property
    def floor(self) -> Floor:
        """That of the cell which spans the most orders of magnitude."""
        return max(self.cells, key=lambda cell: float(cell.values.max() / max(cell.values.min(), 1e-300))).floor

    def is_finite(self) -> bool:
        return bool(np.isfinite(self.coefficients).all())

    def at(self, coefficients: Coefficients) -> CausalDensity:
        """The densities of other coefficients."""
        return changed(self, coefficients=coefficients)

    def transport(self, velocity: Velocity | Living) -> CausalDensity:
        """Each cell by the field of its position: ``velocity.at(cell)``."""
        if isinstance(velocity, Velocity):
            moved = [cell.transport(velocity.at(j)).coefficients for j, cell in enumerate(self.cells)]
            return self._moved(np.stack(moved))
        return self._moved(self._by_stages(velocity) if self.flow == EXPLICIT else self._by_frozen_fields(velocity))

    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> CausalDensity:
        return self.at(self.coefficients * np.exp(amount * self.geometry.laplacian(self.lmax)))

    def _moved(self, coefficients: Coefficients) -> CausalDensity:
        coefficients[:, 0] = self.coefficients[:, 0]
        return changed(self, coefficients=coefficients, coarsest=max(self.rtol, self.coarsest))

    def _fields(self, u: Coefficients, velocity: Living) -> Real:
        """The fields of all cells on the grid."""
        v, grid = velocity(self.at(u).source), self.grid
        return np.stack([v.at(j).on(grid) for j in range(len(u))])

    def _by_stages(self, velocity: Living) -> Coefficients:
        """Runge–Kutta in s, as one density's."""
        tableau, cell = for_living(self.rtol), self.cells[0]

        def radius(fields: Real) -> float:
            return max(spectral_bound(v, self.lmax) for v in fields)

        def rhs(u: Coefficients) -> Coefficients:
            return np.stack([cell.rate(row, v) for row, v in zip(u, self._fields(u, velocity), strict=True)])

        longest = min(1.0, tableau.imaginary_limit / max(radius(self._fields(self.coefficients, velocity)), 1e-300))
        how = {"tableau": tableau, "rtol": self.rtol, "norm": self.error_norm, "longest": longest}
        return integrate(rhs, self.coefficients, **how)  # type: ignore[arg-type]

    def _by_frozen_fields(self, velocity: Living) -> Coefficients:
        """The flows of frozen fields, composed without commutators."""
        cell = self.cells[0]

        def move(u: Coefficients, fields: Real) -> Coefficients:
            share = LIVING_SHARE * self.rtol
            return np.stack([cell.carried(row, v, share) for row, v in zip(u, fields, strict=True)])

        return flow_of_living(self.coefficients, lambda u: self._fields(u, velocity), move, self.rtol)

    def error_norm(self, error: Coefficients) -> float:
        """The largest error of the moments up to ``LOW_DEGREE`` of any cell."""
        low = self.geometry.degrees(self.lmax) <= LOW_DEGREE
        return float(np.abs(error[:, low]).max())


class CellSource(DensitySource):
    """The source of μ, which tells the laws of the cells' pasts, too."""

    def __init__(self, cells: Coefficients, whole: Coefficients, rtol: float, d: int) -> None:
        super().__init__(geometry(d), whole, rtol)
        self._cells = cells
        self._pasts: dict[Past, list[Source | None]] = {}

    @cached_property
    def tokens(self) -> list[DensitySource]:
        """The source of μ_s, the law of each cell's own tokens."""
        return [DensitySource(self.geometry, row, self.rtol) for row in self._cells]

    def past(self, mask: Past) -> list[Source | None]:
        """The source of μ̄_s, the law of what each cell sees, of mass one; None for a cell that sees nothing."""
        if mask not in self._pasts:
            count, to_mass = len(self._cells), 1 / self.geometry.mass_moment
            seen = past_of_cells(self._cells, middles(count), 1 / count, mask)
            mass = seen[:, 0].real * to_mass
            self._pasts[mask] = [
                Density(row / z, self.rtol, None, self.dimension).source if z > 0 else None
                for row, z in zip(seen, mass.tolist(), strict=True)
            ]
        return self._pasts[mask]


def middles(cells: int) -> Real:
    """(j - 1/2)/P for j = 1, …, P."""
    return (np.arange(cells) + 0.5) / cells
