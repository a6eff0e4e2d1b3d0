"""M(g) = Σ i_ℓ(|g|) f_ℓm Y_ℓm(g/|g|) and ∇M at points g of any length, in one sweep of the compiled kernel.

i_ℓ is the modified spherical Bessel function of the first kind. Each point has its own, from the continued fraction
of i_ℓ/(r i_{ℓ-1}) downwards and e^{-r} i_0 = (1 - e^{-2r})/2r upwards: nothing overflows, and g = 0 is no exception.
"""

from __future__ import annotations

import numpy as np

from fpsolve._kernels import _solid
from fpsolve._kernels.points import Modes, Real, rows

FRACTION = 8
"""Terms of the continued fraction beyond max(lmax, r): its error shrinks by (r/2ℓ)² with each."""


def solid_sums(lmax: int, f: Modes, bounds: Real, x: Real, radii: Real) -> tuple[Real, Real, Real]:
    """e^{-r} M, e^{-r} ∇M and Σ_ℓ ``bounds``[ℓ] e^{-r} i_ℓ(r) at g = r x: shapes (n,), (n, 3) and (n,).

    ``x``: (n, 3), taken as directions; ``radii``: (n,) ≥ 0; ``f``: stored coefficients of a real field up to ``lmax``.
    """
    radii = np.ascontiguousarray(radii, float)
    twice = np.where(radii > 0, 2 * radii, 1.0)
    zeroths = np.where(radii > 0, -np.expm1(-2 * radii) / twice, 1.0)
    start = lmax + 2 + FRACTION + int(radii.max(initial=0.0))
    out = np.empty((len(radii), 5))
    values = rows(lmax, (f, False), (f, True), (f, False))
    _solid.sums(lmax, start, values, np.ascontiguousarray(bounds, float), x, radii, zeroths, out)
    return out[:, 3], out[:, :3], out[:, 4]
