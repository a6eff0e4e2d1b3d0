r"""How many degrees of isotropic noise a run keeps: ``noise_lmax="auto"``, by what is lost of κ = k(1) and of k'(1).

κ is the strength of the noise at a point, k'(1) that with which it parts or joins close points: they make the distance
exponent ½[(d-3)k'(1) - (d-1)κ]. What each degree gives to them is known to the noise of each dimension,
:meth:`fpsolve.noise.IsotropicNoise.end_terms`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from fpsolve.errors import InputError, SamplingWarning
from fpsolve.models.base import checked_degree
from fpsolve.noise import ISOTROPIC, isotropic
from fpsolve.sphere.harmonics import Real
from fpsolve.surroundings import warn

NoiseDegree = int | Literal["auto"]

KAPPA_TOLERANCE, SLOPE_TOLERANCE = 1e-4, 1e-2
"""What ``auto`` may lose of κ and of k'(1), relatively."""

STEPS = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""The degrees among which ``auto`` chooses."""

TRIALS = (16, 32, 64, 128, 256)
"""Those whose spectra it computes on the way."""

TAIL_LIMIT = 2e-2
"""A share of k'(1) in the upper tenth of the degrees from which a run is said to need more of them."""


class Lost(NamedTuple):
    """What of κ and of k'(1) a degree loses, relatively."""

    kappa: float
    slope: float

    @property
    def is_small(self) -> bool:
        """Whether both are within what ``auto`` may lose."""
        return self.kappa <= KAPPA_TOLERANCE and self.slope <= SLOPE_TOLERANCE


def checked_noise_degree(value: object) -> None:
    """Raise InputError unless the value is a degree or ``auto``."""
    if isinstance(value, str):
        if value != "auto":
            raise InputError("noise_lmax", value, 'neither a degree nor "auto"', 'pass noise_lmax=16, or "auto"')
        return
    checked_degree("noise_lmax", value)


def known_degree(value: NoiseDegree) -> int:
    """The degree. Raises InputError for ``auto``, which a run resolves when it is prepared."""
    if isinstance(value, str):
        remedy = "pass a number, or take model.prepared(measure), as fp.solve and fp.run do"
        raise InputError("noise_lmax", value, "not yet resolved: it depends on the law that a run starts from", remedy)
    return value


def noise_tail(spectrum: Real, d: int) -> float:
    """The share of k'(1) in the degrees above 0.9 of the last; of κ where k'(1) vanishes."""
    kappas, slopes = isotropic(d, len(spectrum) - 1).end_terms(spectrum)
    terms = slopes if slopes.sum() > 0 else kappas
    return float(terms[int(0.9 * (len(spectrum) - 1)) + 1 :].sum() / terms.sum()) if terms.sum() > 0 else 0.0


def lost(spectrum: Real, d: int, ends: tuple[float, float]) -> Lost:
    """What a spectrum lacks of κ and k'(1), ``ends``."""
    kept = (float(terms.sum()) for terms in isotropic(d, len(spectrum) - 1).end_terms(spectrum))
    return Lost(*(1 - k / whole if whole > 0 else 0.0 for k, whole in zip(kept, ends, strict=True)))


def short_from(times: Real, tails: Real) -> float | None:
    """The first saved time at which a run needs more degrees, by ``noise_tail``; None for never."""
    short = np.flatnonzero(tails > TAIL_LIMIT)
    return float(times[short[0]]) if len(short) else None


def resolved_degree(
    given: NoiseDegree,
    d: int,
    holds: Callable[[int], bool],
    ends: tuple[float, float],
    spectrum: Callable[[int], Real],
    steps: tuple[int, ...] = STEPS,
) -> int:
    """The degree of a run: as asked, or the least of ``steps`` that loses no more than it may.

    ``holds``: whether what is moved can carry a field of a degree, :meth:`fpsolve.Measure.holds`. ``ends``: κ and k'(1)
    of all degrees; ``spectrum``: C_ℓ up to a degree. ``auto`` ends where the measure or :attr:`IsotropicNoise.most`
    does. Warns (SamplingWarning) where more is lost.
    """
    if given != "auto":
        degree = known_degree(given)
        _warn(degree, lost(spectrum(degree), d, ends), 'pass more, or noise_lmax="auto"')
        return degree
    most = ISOTROPIC[d].most
    held = [step for step in steps if step <= most and holds(step + 1)] or [1]
    for trial in (*(one for one in TRIALS if one < held[-1]), held[-1]):
        C = spectrum(trial)
        enough = [step for step in held if step <= trial and lost(C[: step + 1], d, ends).is_small]
        if enough:  # a spectrum of fewer degrees is computed with less: it is looked at itself
            return enough[0] if enough[0] == trial or lost(spectrum(enough[0]), d, ends).is_small else trial
    _warn(held[-1], lost(C, d, ends), "raise lmax, or follow points" if held[-1] < most else "that is the most")
    return held[-1]


def _warn(degree: int, lost: Lost, remedy: str) -> None:
    if not lost.is_small:
        text = f"noise up to degree {degree} (noise_lmax) loses {lost.kappa:.2g} of κ = k(1) and "
        text += f"{lost.slope:.2g} of k'(1) at the start, above {KAPPA_TOLERANCE:g} or {SLOPE_TOLERANCE:g}; {remedy}"
        warn(text, SamplingWarning)
