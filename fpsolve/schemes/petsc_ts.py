"""PETSc's TS on the real unknowns of a density: explicit pairs without diffusion, additive (IMEX) pairs with it.

For models without noise; PETSc is imported at the first step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.errors import DivergedError, InputError
from fpsolve.measures.base import Measure
from fpsolve.measures.expansion import Expansion
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.petsc.library import NOT_SOLVED, destroyed, explanation, petsc, private_options, reason_name
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.implicit import RealForm
from fpsolve.transport.operators import spectral_bound

REMEDY = "take a smaller dt, raise lmax, raise -ts_max_steps, or leave -ts_exact_final_time out"

MOST_STEPS = 100_000
"""Sub-steps of one call."""

STEP_SHARE = 0.1
"""The part of ``rtol`` that one sub-step may err by, in the norm of L²."""

END = 1e-12
"""Part of the duration by which the end may be missed: round-off."""

FINE = 1e-6
"""Below this tolerance the explicit pair is that of order 8."""


class Equation:
    """ẏ = drift(y) - rate·y on real unknowns y, the two parts as TS's callbacks; ``rate`` is νℓ(ℓ+1)."""

    def __init__(self, model: Model, measure: Any) -> None:
        self._model, self._measure, self.rtol = model, measure, float(measure.rtol)
        first = self.field(measure)
        self._form = RealForm.of(measure.generator(first), measure.coefficients)
        self.radius = spectral_bound(first, measure.lmax)
        self.rate = np.repeat(-model.diffusion * measure.geometry.laplacian(measure.lmax), 2)
        self.start = self._form.unknowns(measure.coefficients)

    def field(self, state: Expansion) -> Real:
        """b[μ] on the grid."""
        return self._model.flow_drift(state.source).on(state.grid)

    def state(self, y: Real) -> Expansion:
        """The measure of the unknowns."""
        return self._measure.at(self._form.coefficients(y))

    def drift(self, ts: Any, t: float, y: Any, out: Any) -> None:
        """The explicit part."""
        state = self.state(np.array(y.getArray(readonly=True)))
        rates = self._applied(state.generator(self.field(state)), state.coefficients)
        out.setArray(self._form.unknowns(rates))

    def implicit(self, ts: Any, t: float, y: Any, derivative: Any, out: Any) -> None:
        """ẏ + rate·y."""
        out.setArray(derivative.getArray(readonly=True) + self.rate * y.getArray(readonly=True))

    def jacobian(self, ts: Any, t: float, y: Any, derivative: Any, shift: float, matrix: Any, other: Any) -> None:
        """shift + rate, a diagonal."""
        diagonal = y.duplicate()
        diagonal.setArray(shift + self.rate)
        other.setDiagonal(diagonal)
        other.assemble()

    @staticmethod
    def _applied(generator: Any, u: Coefficients) -> Coefficients:
        out = np.zeros_like(u)
        generator.add_to(u, out, 1.0)
        return out


def petsc_ts(
    model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float, *, options: str | None = None
) -> Measure:
    """ρ̇ = -div(ρ b[ρ]) + νΔρ over [t0, t1] to the measure's ``rtol``, sub-steps chosen by PETSc's TS.

    With ν an additive Runge–Kutta pair, νΔ implicit and the drift explicit :cite:`kennedy2003`; without, an explicit
    pair. ``options``: PETSc's. Raises DivergedError with TS's reason, MissingDependencyError without PETSc.
    """
    library, duration = petsc(), t1 - t0
    equation = Equation(model, measure)
    y = library.Vec().createWithArray(equation.start.copy(), comm=library.COMM_SELF)
    with private_options(options) as prefix:
        ts = library.TS().create(comm=library.COMM_SELF)
        ts.setOptionsPrefix(prefix)
        try:
            _configure(ts, equation, equation.rtol, duration, options)
            _solve(library, ts, y, duration)
            return equation.state(np.array(y.getArray(readonly=True)))
        finally:
            destroyed(ts, y)


def _configure(ts: Any, equation: Equation, rtol: float, duration: float, options: str | None) -> None:
    """Parts of the equation, method, tolerance and times; PETSc's options have the last word on the method."""
    ts.setRHSFunction(equation.drift)
    if equation.rate.any():
        _configure_diffusion(ts, equation)
    else:
        ts.setType("rk")
        ts.setRKType("8vr" if rtol < FINE else "5dp")
    size = float(np.linalg.norm(equation.start)) / np.sqrt(len(equation.start))  # TS takes the mean over the unknowns
    atol = STEP_SHARE * rtol * size
    ts.setTolerances(rtol=0.0, atol=atol)
    ts.setTime(0.0)
    ts.setTimeStep(min(duration, 1 / max(equation.radius, 1e-300)))
    ts.setMaxTime(duration)
    ts.setMaxSteps(MOST_STEPS)
    ts.setExactFinalTime(type(ts).ExactFinalTime.MATCHSTEP)
    ts.setErrorIfStepFails(False)
    ts.setFromOptions()
    _check_options(ts, options, duration, (STEP_SHARE * rtol, atol))


def _check_options(ts: Any, options: str | None, duration: float, tolerances: tuple[float, float]) -> None:
    """Raise InputError for options that change the times, or ask for less accuracy than the run's ``rtol``."""
    if (ts.getTime(), ts.getMaxTime()) != (0.0, duration):
        raise InputError("petsc_options", options, "they change the times of the run", "pass t_end and dt instead")
    if any(tolerance > most for tolerance, most in zip(ts.getTolerances(), tolerances, strict=True)):
        raise InputError("petsc_options", options, "looser than the run's own tolerance", "raise rtol instead")


def _configure_diffusion(ts: Any, equation: Equation) -> None:
    """νΔ as TS's implicit part: diagonal, so that a stage is one division."""
    n = len(equation.start)
    matrix = petsc().Mat().createAIJ((n, n), nnz=1, comm=petsc().COMM_SELF)
    ts.setIFunction(equation.implicit)
    ts.setIJacobian(equation.jacobian, matrix, matrix)
    ts.setType("arkimex")
    ts.setARKIMEXType("4")  # that of order 5 underestimates its error at 1e-9
    snes = ts.getSNES()
    snes.setType("ksponly")
    snes.getKSP().setType("preonly")
    snes.getKSP().getPC().setType("jacobi")


def _solve(library: Any, ts: Any, y: Any, duration: float) -> None:
    """Run; raise DivergedError unless the state is that of the end, the residual the part of the time between."""
    try:
        ts.solve(y)
        name = reason_name(library.TS, ts.getConvergedReason())
        off = abs(1 - ts.getSolveTime() / duration)
        if ts.getConvergedReason() > 0 and off <= END and np.isfinite(y.norm()):
            return
    except library.Error as error:
        if error.ierr not in NOT_SOLVED:
            raise
        name, off = explanation(error), abs(1 - ts.getTime() / duration)
    raise DivergedError("PETSc TS", name, off, REMEDY)
