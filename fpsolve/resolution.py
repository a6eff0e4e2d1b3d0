"""Whether a density is still resolved, and what a run does once it is not."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from fpsolve.errors import UnderResolvedWarning
from fpsolve.measures import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.run import run
from fpsolve.schemes import Scheme

UNRESOLVED = 1e-3
"""A density whose tail exceeds this is no longer resolved."""

POLICIES = ("warn",)
"""What a run may do when its density is no longer resolved."""


def states(
    model: Model,
    measure: Measure,
    path: BrownianPath,
    *,
    t_end: float,
    dt: float,
    scheme: Scheme,
    start: int = 0,
    policy: str = "warn",
) -> Iterator[tuple[float, Measure]]:
    """The states of ``fp.run`` under a policy for densities that outgrow their degree."""
    return run(model, measure, path, t_end=t_end, dt=dt, scheme=scheme, start=start)


class Resolution:
    """Watches the spectral tail of the saved states and says once when it is lost."""

    def __init__(self) -> None:
        self.attributes: dict[str, float] = {}

    def see(self, t: float, state: Measure) -> None:
        """Warn at the first state whose tail exceeds ``UNRESOLVED``; keep its time as an attribute."""
        tail = state.tail
        if tail is None or tail <= UNRESOLVED or self.attributes:
            return
        self.attributes["unresolved_from"] = t
        warnings.warn(
            f"the density is under-resolved from t = {t:.6g} on (tail = {tail:.2g} at lmax = "
            f"{getattr(state, 'lmax', '?')}): raise lmax, set filter=0.15, or follow it with measure='cloud'",
            UnderResolvedWarning,
            stacklevel=4,
        )
