"""What the two measures of laws about an axis share: the axis, and how a law shows that it has one."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from fpsolve.errors import InputError
from fpsolve.measures.base import Measure
from fpsolve.measures.laws import Law, Tokens, last_axis
from fpsolve.sphere.gegenbauer import ZonalPoints, checked_dimension, log_area, polynomials
from fpsolve.sphere.harmonics import Coefficients, Real

PARALLEL = 1e-12
"""1 - |⟨e, e'⟩| of axes that are one."""

USE_OTHERS = 'use measure="cloud" (tokens, any d), or a density for d = 2 and 3'


class Axial(Measure):
    """A law that is symmetric about the unit vector ``axis`` of R^d, a function of the height u = ⟨x, axis⟩.

    A dataclass below has the fields ``axis`` and ``rtol``. Vectors (its mean, fields at its sites) have two components,
    across the axis and along it, whatever d is.
    """

    axis: Real
    rtol: float

    is_axial: ClassVar[bool] = True
    cloud_name: ClassVar[str] = "zonal_cloud"

    def _check_axis(self) -> None:
        """Raise InputError where the axis is no unit vector of R^d, d = 2 to 10,000."""
        axis = self.axis
        if axis.ndim != 1 or not abs(float(np.einsum("a,a->", axis, axis)) - 1) < 1e-8:
            raise InputError("axis", np.shape(axis), "must be a unit vector (d,)", "divide it by its norm")
        checked_dimension(len(axis))

    @property
    def dimension(self) -> int:
        """d."""
        return len(self.axis)

    @property
    def axis_mean(self) -> float:
        """∫ ⟨x, axis⟩ dμ."""
        return float(self.mean[1])

    @property
    def mean(self) -> Real:
        """(0, ∫⟨x, axis⟩ dμ): across the axis, and along it."""
        return self.source.mean

    @property
    def sites(self) -> ZonalPoints:
        raise NotImplementedError

    def moments(self, degree: int) -> Coefficients | None:
        """None: those of other orders than zero vanish, see ``axial_moments``."""
        return None

    def axial_moments(self, degree: int) -> Real:
        """∫ P_ℓ(⟨x, axis⟩) dμ, ℓ ≤ ``degree``, P_ℓ the Gegenbauer polynomials orthonormal for the uniform law."""
        return np.einsum("n,nl->l", self.masses, polynomials(self.dimension, degree, self.sites.u))

    def _entropy(self, relative: float) -> float:
        """-∫ ρ log ρ with respect to surface measure from that with respect to the uniform law."""
        return relative + log_area(self.dimension)

    def to_plain(self) -> dict[str, Any]:
        return {"name": self.name, "d": self.dimension, "axis_mean": self.axis_mean}


def axis_and_log_density(law: Any) -> tuple[Real, Any]:
    """The axis of a law and u ↦ log of its density with respect to the uniform law.

    Raises InputError for laws that are not known to be symmetric about one axis.
    """
    if isinstance(law, Tokens):
        problem = "tokens are not symmetric about an axis"
        raise InputError("initial", f"{len(law.x)} tokens", problem, 'use measure="cloud", or start from their law')
    parts = law.profiles if isinstance(law, Law) else None
    if parts is None:
        problem = "this law is not known to be symmetric about an axis"
        name = getattr(law, "recipe", {"name": type(law).__name__})["name"]
        remedy = "pass von_mises_fisher, axial, band, uniform or their mixtures about one axis; " + USE_OTHERS
        raise InputError("initial", name, problem, remedy)
    axes = [axis for _, axis, _ in parts if axis is not None]
    axis = axes[0] if axes else last_axis(law.dimension)
    signs = [1.0 if one is None else float(np.einsum("a,a->", one, axis)) for _, one, _ in parts]
    if any(abs(abs(sign) - 1) > PARALLEL for sign in signs):
        raise InputError("initial", "mixture", "its components have different axes: the law is not zonal", USE_OTHERS)
    weights, logs = np.array([p for p, _, _ in parts]), [log for _, _, log in parts]

    def log_density(u: Real) -> Real:
        stacked = np.stack([log(np.sign(sign) * u) for sign, log in zip(signs, logs, strict=True)])
        return np.asarray(logsumexp(stacked, axis=0, b=weights[:, None]))

    return axis, log_density
