"""What every representation of a measure μ on S^{d-1} offers to models, schemes and observers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from fpsolve.attention.floor import Floor
from fpsolve.attention.source import PointSource, Source
from fpsolve.errors import InputError
from fpsolve.measures.laws import Law, Tokens
from fpsolve.noise import BrownianPath
from fpsolve.sphere.geometry import GEOMETRIES
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.velocity import Sites, Velocity, sites_of
from fpsolve.values import Named, Value

Living = Callable[[Source], Velocity]
"""A velocity that is evaluated anew, v[μ_s], at every stage of every sub-step."""


UNRESOLVED = 1e-3
"""A density whose tail exceeds this is no longer resolved."""

REFINE_FROM = 1e-6
"""``refine`` acts on densities at this tail already."""


class Measure(Value, metaclass=Named):
    """A probability measure on the unit sphere of R^d.

    A subclass states ``from_law``, ``dimension``, ``source``, ``transport``, ``diffuse``, ``mass`` and ``is_finite``;
    what integrals, energies and moments need follows from the source's points unless it says better. What a
    representation does not have (a density, entropy, points, a spectral tail) stays None. Nobody asks for its class.
    """

    name: ClassVar[str]

    is_axial: ClassVar[bool] = False
    """Whether it is made for laws that are symmetric about an ``axis`` and knows functions of the height on it alone.

    Its vectors then have two components, across the axis and along it.
    """

    cloud_name: ClassVar[str] = "cloud"
    """The measure of points that may take over from it."""

    in_place: ClassVar[bool] = False
    """Whether points may take over from it where it stands: it is positive, and known on every grid."""

    tail_limit: ClassVar[float] = UNRESOLVED
    """The largest ``tail`` of a state that counts as resolved."""

    refine_from: ClassVar[float] = REFINE_FROM
    """The tail from which ``refine`` acts: what a truncation has taken away no padding brings back."""

    @classmethod
    @abstractmethod
    def from_law(cls, law: Law | Tokens, *, lmax: int, rtol: float, filter: float | None = None) -> Measure:
        """The representation of an initial law. Raises InputError where there is none."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """d."""

    @property
    @abstractmethod
    def source(self) -> Source:
        """The low-degree view of μ that its own dynamics needs."""

    @property
    def mean(self) -> Real:
        """∫ x μ(dx), shape (d,)."""
        return self.source.mean

    @abstractmethod
    def transport(self, velocity: Velocity | Living) -> Measure:
        """exp(v)_# μ, the push-forward by the flow of v over unit time, to the measure's ``rtol``.

        A callable ``source -> v`` lives: it is evaluated with the moving measure.
        """

    @abstractmethod
    def diffuse(self, amount: float, path: BrownianPath, t0: float, t1: float) -> Measure:
        """The heat semigroup e^{amount·Δ} μ; tokens take their own increments of ``path`` over [t0, t1]."""

    @property
    @abstractmethod
    def mass(self) -> float:
        """∫ μ."""

    def to_plain(self) -> dict[str, Any]:
        """What a configuration says of a measure that a run was given."""
        return {"name": self.name, "mean": self.mean.tolist()}

    @abstractmethod
    def is_finite(self) -> bool:
        """Whether every number that represents μ is finite."""

    @property
    def sites(self) -> Sites:
        """Where functions are evaluated to be integrated against μ: its points, or its grid."""
        return sites_of(self._support.x)

    @property
    def masses(self) -> Real:
        """∫ f dμ = Σ masses·f(sites), of the shape of the sites; negative where a truncated density is."""
        return self._support.weights

    def quadrature(self) -> tuple[Real, Real, Real | None]:
        """Points (n, d) and their masses ≥ 0, log ρ there where it is known: what a cloud goes on with from here."""
        return self._support.x, self._support.weights, None

    def nested_quadrature(self) -> Real | None:
        """Masses of two coarser quadratures by some of the points of ``quadrature``, (2, n), where there are some."""
        return None

    @property
    def _support(self) -> PointSource:
        points = self.source.points
        if points is None:
            problem = f"the source of a {self.name} has no points to integrate by"
            raise InputError("measure", self.name, problem, f"define sites and masses in {type(self).__name__}")
        return points

    def moments(self, degree: int) -> Coefficients | None:
        """ρ_ℓm = ∫ Y*_ℓm dμ up to ``degree``; None where there are no harmonics."""
        if self.dimension not in GEOMETRIES:
            return None
        moments: Coefficients = self.sites.moments(self.masses, degree)
        return moments

    @property
    def points(self) -> Real | None:
        """The points that μ is made of and that its flow moves, shape (n, d); None where it is a function."""
        return None

    def placed(self, x: Real) -> Measure:
        """The same masses at other points, for schemes that move points; a density that these carried is left behind.

        Raises InputError for a measure that is not made of points.
        """
        raise InputError("measure", self.name, f"a {self.name} is not made of points", 'use measure="cloud"')

    @property
    def positions(self) -> Real | None:
        """The positions of a sequence that it tells the laws of apart, ascending, (P,); None where it has none."""
        return None

    @property
    def position_means(self) -> Real | None:
        """∫ x dμ_s of the law of every position, (P, d); None where there are none, or too many to be told of."""
        return None

    @property
    def has_density(self) -> bool:
        """Whether it knows ρ, on a grid or along its points."""
        return False

    def density_on(self, grid: Any = None) -> Real | None:
        """ρ on a grid, by default its own, or at its points where these carry it; None where it is not known there."""
        return None

    @property
    def score(self) -> Real | None:
        """∇log ρ at the sites, ambient vectors, zero where ρ ≤ 0; None where it is not known."""
        return None

    def without_density(self) -> Measure:
        """The same measure, which carries no density along its points any more: its steps are cheaper."""
        return self

    def holds(self, degree: int) -> bool:
        """Whether it can carry what a field of this degree makes of it: points can for every degree."""
        return True

    def refined(self, lmax: int) -> Measure | None:
        """The same measure at a higher degree; None where it has none to raise."""
        return None

    def filtered(self, strength: float) -> Measure | None:
        """The same measure with a filter of this strength in every transport; None where there is no filter."""
        return None

    @property
    def entropy(self) -> float | None:
        """-∫ ρ log ρ."""
        return None

    @property
    def min_density(self) -> float | None:
        """The least value of ρ on the grid; negative where the truncation shows."""
        return None

    @property
    def tail(self) -> float | None:
        """Σ_{ℓ > 0.9 ℓmax} |ρ_ℓm|² / Σ |ρ_ℓm|²: until when a run is resolved."""
        return None

    @property
    def mass_defect(self) -> float | None:
        """∫μ - 1 of a measure whose mass nothing keeps at one, and which says by it what it has lost."""
        return None

    @property
    def cloud_error(self) -> float | None:
        """An estimate of the error of a quadrature by points in the moments ℓ ≤ 8, where there is one."""
        return None

    @property
    def mass_limit(self) -> float:
        """The largest |``mass_defect``| of a state that counts as resolved."""
        return 0.0

    @property
    def floor(self) -> Floor | None:
        """What lies below the accuracy of a density, which far attention multiplies."""
        return None
