"""A source on S² turned so that its mean lies on the axis: spectra of isotropic noise see no difference.

The sums between rings by waves (:mod:`fpsolve._kernels.rings`) then hardly ever cancel for a measure of one cluster.
"""

from __future__ import annotations

from collections.abc import Callable

import ducc0
import numpy as np

from fpsolve.attention.log_series import LogSeries
from fpsolve.attention.source import MomentSource
from fpsolve.attention.thinning import ROUND_OFF, Series, amplitudes_beyond
from fpsolve.cached import cached_property
from fpsolve.sphere.harmonics import Coefficients, Real, degree_of, resized

NO_AXIS = 0.1
"""A mean shorter than this gives no direction that would help."""

ON_AXIS = 1e-6
"""A mean as near to the axis, as an angle, stays where it is."""


def upright(source: MomentSource) -> MomentSource | None:
    """The same measure turned, itself where it is upright; None without a density or without a clear direction."""
    density = source.density
    if density is None or source.dimension != 3:
        return None
    x, y, z = source.mean.tolist()
    across, length = float(np.hypot(x, y)), float(np.sqrt(x * x + y * y + z * z))
    if not length >= NO_AXIS:
        return None
    if across <= ON_AXIS * length and z > 0:
        return source
    turned = _Turned(source, density, (-float(np.arctan2(y, x)), -float(np.arctan2(across, z))))
    return MomentSource(
        turned.moments,
        lambda: turned.points,
        source.accuracy,
        source.highest,
        density=lambda: turned.density,
        rtol=source.rtol,
    )


class _Turned:
    """What a source tells, turned about the z axis by the first angle and then about the y axis by the second."""

    def __init__(
        self, source: MomentSource, density: Callable[[], Series | LogSeries], angles: tuple[float, float]
    ) -> None:
        self._source, self._density, self._angles = source, density, angles

    def _turned(self, coefficients: Coefficients) -> Coefficients:
        alm = np.ascontiguousarray(coefficients)
        return np.asarray(ducc0.sht.rotate_alm(alm, degree_of(alm), *self._angles, 0.0, nthreads=1))

    @cached_property
    def density(self) -> Series | LogSeries:
        """As far as it is known: the degrees beyond would only cost time."""
        given = self._density()
        if isinstance(given, LogSeries):
            return LogSeries(self._turned(given.coefficients), given.geometry)
        coefficients, exponent = given
        bound = amplitudes_beyond(coefficients)
        known = max(1, int(np.sum(bound > 0.1 * ROUND_OFF * bound[0])) - 1)
        return self._turned(resized(coefficients, known)), exponent

    def moments(self, degree: int) -> Coefficients:
        """ρ_ℓm up to ``degree``: those of the density, where it is its own series."""
        density = self.density
        if isinstance(density, LogSeries) or density[1] != 1:
            return self._turned(self._source.moments(degree))
        return resized(density[0], degree)

    @property
    def points(self) -> tuple[Real, Real]:
        """Those of the source and their weights."""
        (c, s), (cos, sin) = ((np.cos(angle), np.sin(angle)) for angle in self._angles)
        about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        about_y = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        return np.einsum("ab,nb->na", about_y @ about_z, self._source.points.x), self._source.points.weights
