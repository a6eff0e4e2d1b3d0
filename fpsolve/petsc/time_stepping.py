"""PETSc's TS on the real unknowns of a density: explicit pairs without diffusion, additive (IMEX) pairs with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.errors import DivergedError, InputError
from fpsolve.measures.density import Density
from fpsolve.measures.half_density import HalfDensity
from fpsolve.models.base import Model
from fpsolve.petsc._petsc import NOT_SOLVED, destroyed, explanation, petsc, private_options, reason_name
from fpsolve.sphere.harmonics import Coefficients, Real
from fpsolve.transport.implicit import RealForm
from fpsolve.transport.operators import spectral_bound

REMEDY = "take a smaller dt, raise lmax, or raise -ts_max_steps"

MOST_STEPS = 100_000
"""Sub-steps of one call."""

STEP_SHARE = 0.1
"""The part of ``rtol`` that one sub-step may err by, in the norm of L²."""

FINE = 1e-6
"""Below this tolerance the explicit pair is that of order 8."""


class Equation:
    """ẏ = drift(y) - rate·y on real unknowns y, the two parts as TS's callbacks; ``rate`` is νℓ(ℓ+1)."""

    def __init__(self, model: Model, measure: Density | HalfDensity) -> None:
        self._model, self._measure = model, measure
        first = self.field(measure)
        self._form = RealForm.of(measure.generator(first), measure.coefficients)
        self.radius = spectral_bound(first, measure.lmax)
        self.rate = np.repeat(-model.diffusion * measure.geometry.laplacian(measure.lmax), 2)
        self.start = self._form.unknowns(measure.coefficients)

    def field(self, state: Density | HalfDensity) -> Real:
        """b[μ] on the grid."""
        return self._model.flow_drift(state.source).on(state.grid)

    def state(self, y: Real) -> Density | HalfDensity:
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


def integrated(
    model: Model, measure: Density | HalfDensity, duration: float, options: str | None = None
) -> Density | HalfDensity:
    """The measure after ``duration``; see :func:`fpsolve.schemes.petsc_ts.petsc_ts`."""
    library = petsc()
    equation = Equation(model, measure)
    y = library.Vec().createWithArray(equation.start.copy(), comm=library.COMM_SELF)
    with private_options(options) as prefix:
        ts = library.TS().create(comm=library.COMM_SELF)
        ts.setOptionsPrefix(prefix)
        try:
            _configure(ts, equation, measure.rtol, duration)
            _check_options(ts, options, duration, ts.getTolerances())
            _solve(library, ts, y, duration)
            return equation.state(np.array(y.getArray(readonly=True)))
        finally:
            destroyed(ts, y)


def _configure(ts: Any, equation: Equation, rtol: float, duration: float) -> None:
    """Parts of the equation, method, tolerance and times; PETSc's options have the last word."""
    ts.setRHSFunction(equation.drift)
    if equation.rate.any():
        _configure_diffusion(ts, equation)
    else:
        ts.setType("rk")
        ts.setRKType("8vr" if rtol < FINE else "5dp")
    size = float(np.linalg.norm(equation.start)) / np.sqrt(len(equation.start))  # TS takes the mean over the unknowns
    ts.setTolerances(rtol=0.0, atol=STEP_SHARE * rtol * size)
    ts.setTime(0.0)
    ts.setTimeStep(min(duration, 1 / max(equation.radius, 1e-300)))
    ts.setMaxTime(duration)
    ts.setMaxSteps(MOST_STEPS)
    ts.setExactFinalTime(type(ts).ExactFinalTime.MATCHSTEP)
    ts.setErrorIfStepFails(False)
    ts.setFromOptions()


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


def _solve(library: Any, ts: Any, y: Any) -> None:
    """Run; raise DivergedError unless the end was reached, its residual the part of the time that is left."""
    try:
        ts.solve(y)
        reason = ts.getConvergedReason()
        if reason == library.TS.ConvergedReason.CONVERGED_TIME:
            return
        name = reason_name(library.TS, reason)
    except library.Error as error:
        name = f"PETSc error {error.ierr}"
    left = 1 - ts.getTime() / ts.getMaxTime()
    raise DivergedError("PETSc TS", name, left, REMEDY)
