"""What every representation of a measure μ on S^{d-1} offers to models, schemes and observers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from fpsolve.attention.floor import Floor
from fpsolve.attention.source import Source
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.velocity import Velocity
from fpsolve.values import Named, Value

if TYPE_CHECKING:
    from fpsolve.measures.initial import Law, Tokens

Living = Callable[[Source], Velocity]
"""A velocity that is evaluated anew, v[μ_s], at every stage of every sub-step."""


UNRESOLVED = 1e-3
"""A density whose tail exceeds this is no longer resolved."""

REFINE_FROM = 1e-6
"""``refine`` acts on densities at this tail already."""


class Measure(Value, metaclass=Named):
    """A probability measure on the unit sphere of R^d.

    What a representation does not have (moments, entropy, a least density, a spectral tail) stays None.
    """

    name: ClassVar[str]

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

    def moments(self, degree: int) -> Coefficients | None:
        """ρ_ℓm = ∫ Y*_ℓm dμ up to ``degree``."""
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
    def mass_limit(self) -> float:
        """The largest |``mass_defect``| of a state that counts as resolved."""
        return 0.0

    @property
    def floor(self) -> Floor | None:
        """What lies below the accuracy of a density, which far attention multiplies."""
        return None
