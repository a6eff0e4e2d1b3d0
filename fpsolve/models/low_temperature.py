r"""Zero temperature: the limit β → ∞ of self-attention on measures of full support, and what it projects onto.

By Laplace's principle F_μ(βAx) → argmax_{|y|=1}⟨Ax, y⟩ = Ax/|Ax| where μ has full support, and dx = P_x V Ax/|Ax| dt.
It does not depend on μ: a time change, ds = dt/|Ax|, makes it the projected linear flow dx = P_x VA x ds, so

    x(s) = N(e^{sVA} x_0)  →  N(Π x_0),

Π the spectral projector of VA on its top eigenvalue (real and semisimple). At finite β the law stays near the image of
μ_0 under x ↦ N(Πx), W_2 ≲ √(log(β+1)/β) e^{Ct} + e^{-ct} :cite:`lowtemperature2026`, until t ~ log β.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from fpsolve.attention.source import Source
from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.models.base import Model, apply_matrix, checked_matrix, checked_number
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField, Velocity

TOP = 1e-9
"""Eigenvalues this close to the largest, relative to |VA|, count as equal to it."""


@dataclass(frozen=True)
class LowTemperatureLimit(Model):
    """dx = P_x V Ax/|Ax| dt [+ each token's own noise]: `SelfAttention` at β = ∞, the support of μ the whole sphere.

    value: V, key_query: A, each a number or a (d, d) matrix, A invertible. diffusion: ν. Points of a cloud are moved as
    those of a law of full support. Raises InputError for bad values and for a singular A, where Ax/|Ax| is undefined.
    """

    value: ArrayLike = 1.0
    key_query: ArrayLike = 1.0
    diffusion: float = 0.0

    summary: ClassVar[str] = "zero-temperature limit of self-attention, and its projected law"
    reference: ClassVar[str] = "arXiv:2605.10931"
    matrix_names: ClassVar[tuple[str, ...]] = ("value", "key_query")
    axial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checked_number("diffusion", self.diffusion)
        self._freeze_matrices()
        a = np.atleast_2d(checked_matrix("key_query", self.key_query))
        singular = np.linalg.svd(a, compute_uv=False)
        if singular[-1] <= 1e-12 * singular[0]:
            raise InputError("key_query", self.key_query, "A is singular: Ax/|Ax| is undefined", "use SelfAttention")

    def drift_field(self, source: Source) -> Velocity:
        value, a = checked_matrix("value", self.value), checked_matrix("key_query", self.key_query)

        def pull(sites):  # type: ignore[no-untyped-def]
            scores = apply_matrix(a, sites.x, "key_query")
            return apply_matrix(value, scores / np.sqrt(np.einsum("...a,...a", scores, scores))[..., None])

        return AmbientField(pull)

    def projector(self, d: int) -> Real:
        """Π, the spectral projector of VA on its top eigenvalue, shape (d, d).

        Raises InputError when that eigenvalue is not real (the flow turns for ever) or has a Jordan block.
        """
        product = _square(self.value, d) @ _square(self.key_query, d)
        values, right = np.linalg.eig(product)
        top = values.real >= values.real.max() - TOP * np.abs(product).max()
        remedy = "choose V and A with a real, semisimple top eigenvalue, V = A = Aᵀ for example"
        if np.abs(values[top].imag).max() > TOP * np.abs(product).max():
            raise InputError("value", values[top], "the top eigenvalues of VA are complex: no projected law", remedy)
        if np.linalg.cond(right) > 1 / TOP:
            raise InputError("value", values[top], "VA has a Jordan block: no spectral projector", remedy)
        return np.asarray((right[:, top] @ np.linalg.inv(right)[top]).real)

    def projected(self, cloud: Cloud) -> Cloud:
        """The projected law, the image of a cloud under x ↦ N(Πx); the points keep their order and weights.

        Raises InputError for points that Π takes to zero.
        """
        x = apply_matrix(self.projector(cloud.dimension), cloud.x)
        length = np.sqrt(np.einsum("na,na->n", x, x))
        if (length < 1e-12).any():
            raise InputError("cloud", float(length.min()), "a point lies in the kernel of Π", "leave it out")
        return Cloud(x / length[:, None], cloud.weights, rtol=cloud.rtol, tokens=cloud.tokens)


def _square(matrix: ArrayLike, d: int) -> Real:
    """A number as that multiple of the identity."""
    array = checked_matrix("matrix", matrix)
    return array * np.eye(d) if array.ndim == 0 else array
