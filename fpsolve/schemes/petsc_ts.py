"""PETSc's adaptive time integrators for models without noise; PETSc is imported at the first step."""

from __future__ import annotations

from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath


def petsc_ts(
    model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float, *, options: str | None = None
) -> Measure:
    """ρ̇ = -div(ρ b[ρ]) + νΔρ over [t0, t1] to the measure's ``rtol``, sub-steps chosen by PETSc's TS.

    With ν an additive Runge–Kutta pair, νΔ implicit and the drift explicit :cite:`kennedy2003`; without, an explicit
    pair. ``options``: PETSc's. Raises DivergedError with TS's reason, MissingDependencyError without PETSc.
    """
    from fpsolve.petsc.time_stepping import integrated

    return integrated(model, measure, t1 - t0, options)  # type: ignore[arg-type]
