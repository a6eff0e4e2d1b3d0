"""Stationary states of deterministic attention with diffusion, by Newton–Krylov on the density's coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.errors import DivergedError, InputError, UnderResolvedWarning, check_integer, check_number, unknown_name
from fpsolve.measures.density import Density
from fpsolve.measures.laws import Law
from fpsolve.measures.zonal import ZonalDensity
from fpsolve.models.base import Model
from fpsolve.observe.member_run import one_member
from fpsolve.petsc.library import parsed
from fpsolve.petsc.newton import newton
from fpsolve.petsc.newton_numpy import Root, newton_numpy
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.geometry import check_degree, geometry
from fpsolve.sphere.harmonics import Coefficients
from fpsolve.stationary.bordered import BorderedSystem, Family, moving_generators
from fpsolve.stationary.real_basis import from_real
from fpsolve.surroundings import warn

StateDensity = Density | ZonalDensity
"""What a stationary state is: on S² or S¹, or about an axis in any d."""

Guess = StateDensity | Law | xr.Dataset
"""What a guess may be: a density, a law, the result of a run."""

REMEDY = "pass a better guess (what fp.solve returns, say), raise max_iterations, or atol if that is round-off"

WAVE_REMEDY = "follow it with fp.solve, or pass a guess with another orientation"

SOLVERS: dict[str, Callable[..., Root]] = {"petsc": newton, "numpy": newton_numpy}
"""SNES, and the dense twin for small degrees."""

KINDS: dict[str, Any] = {"density": Density, "zonal": ZonalDensity}
"""Measures whose stationary states are found, by name."""

LOOSEST = 1e-6
"""Tolerances above this find no stationary states: :func:`fpsolve.stationary.stability` refuses them too."""

TURNS = 10.0
"""An iteration that fails where the equation without ω is off by this factor more was near a wave that rotates."""

LMAX = 23
"""Degree of a guess that has none of its own."""

TAIL = 1e-8
"""A state with a larger part of its square in the last tenth of the degrees has errors beyond about 1e-4."""

NEGATIVE = 1e-3
"""A density that falls below minus this part of its peak is no solution of the equation that was truncated."""

AGREEMENT = 1e-7
"""The drift of a state found here must be that of the model itself to this part of the diffusive flux."""


@dataclass(frozen=True)
class NewtonSettings:
    """How the nonlinear systems are solved: |E| ≤ max(atol, rtol |E(guess)|)."""

    rtol: float = 0.0
    atol: float = 1e-12
    max_iterations: int = 50
    solver: str = "petsc"
    petsc_options: str | None = None

    def __post_init__(self) -> None:
        check_number("rtol", self.rtol, 0, LOOSEST)
        check_number("atol", self.atol, 0, LOOSEST, above=True)
        check_integer("max_iterations", self.max_iterations, 0)
        if self.solver not in SOLVERS:
            raise unknown_name("solver", self.solver, SOLVERS)
        parsed(self.petsc_options)
        if self.petsc_options is not None and self.solver != "petsc":
            problem = f"solver={self.solver!r} does not use PETSc"
            raise InputError("petsc_options", self.petsc_options, problem, 'use solver="petsc", or leave them out')

    def root(self, system: Any) -> Root:
        """The root of a system, converged or not."""
        tolerances = {"rtol": self.rtol, "atol": self.atol, "max_iterations": self.max_iterations}
        return SOLVERS[self.solver](system, **tolerances, options=self.petsc_options)


@dataclass(frozen=True)
class StationaryState:
    """A stationary density of ``model`` and what Newton's method says of it.

    residual: |ρ - S[ρv]/ν| in L², the solved equation's (E of ``equation``). rate: |∂_tρ| in L², computed by the
    model's own drift on the measure. rotations: number of rotations that move the state to others.
    reason, iterations, linear_iterations: SNES's converged reason, Newton and Krylov iterations.
    """

    model: Model
    density: Any
    residual: float
    rate: float
    rotations: int
    reason: str
    iterations: int
    linear_iterations: int


@checked_arguments
def solve(
    model: Model, guess: Guess, *, lmax: int | None = None, measure: str | None = None, **settings: Any
) -> StationaryState:
    r"""A state with -div(ρ v[ρ]) + νΔρ = 0 near a guess, v the drift of the model, ν > 0 its diffusion.

    Newton–Krylov (PETSc's SNES, exact Jacobian action) on the real coefficients of ρ without the mass, which stays one.
    Where the model commutes with rotations, phase conditions keep the state in the guess's orientation.
    model: NoisyTransformer, SelfAttention, UnnormalisedSelfAttention, SpectralSelection, MultiHead, PerceptronDrift,
    and sums of these, on S² or S¹.
    guess: a Density, a law, or what :func:`fpsolve.solve` returned, whose last ``moments`` are taken; lmax: its degree
    (default a Density's own, otherwise 23). measure: ``zonal`` seeks it among laws about an axis, in every d from 2 to
    10,000 (matrices being multiples of I), as it does for guesses that are zonal.
    settings: rtol, atol (1e-12, at most 1e-6) and max_iterations of :class:`NewtonSettings`; petsc_options, a string
    such as "-snes_monitor -ksp_rtol 1e-4"; solver="numpy" takes the dense twin instead of PETSc.

    Raises InputError for other models, ν = 0 and bad settings; DivergedError when Newton's method fails, when what
    it found rotates or is not a positive density. Warns (UnderResolvedWarning) when the tail exceeds 1e-8.
    """
    chosen = make_settings(settings)
    density = as_density(guess, lmax, measure)
    family = Family(model, "diffusion", density.dimension, density.lmax, density.is_axial)
    equation = family.equation(model.diffusion)
    system = BorderedSystem(family, equation.symmetries(), equation.unknowns(density.coefficients), model.diffusion)
    return resolved(accepted(family, system, chosen.root(system)))


def resolved(state: StationaryState) -> StationaryState:
    """The state; warns (UnderResolvedWarning) when its tail is above ``TAIL``."""
    density = state.density
    if density.tail > TAIL:
        size = f"tail = {density.tail:.2g} at lmax = {density.lmax}"
        text = f"the stationary state is under-resolved ({size}): raise lmax"
        warn(text, UnderResolvedWarning)
    return state


def make_settings(settings: Mapping[str, Any]) -> NewtonSettings:
    """NewtonSettings from keyword arguments. Raises InputError for a name that is none."""
    for name in settings:
        if name not in NewtonSettings.__dataclass_fields__:
            raise unknown_name("settings", name, NewtonSettings.__dataclass_fields__)
    return NewtonSettings(**settings)


def as_density(guess: Any, lmax: int | None, measure: str | None = None) -> Any:
    """A guess as a density of degree ``lmax``, ``density`` or ``zonal``."""
    if measure not in (None, *KINDS):
        raise unknown_name("measure", measure, KINDS)
    if lmax is not None:
        check_degree("lmax", lmax)
    if isinstance(guess, Law):
        kind = KINDS[measure or "density"]
        return kind.from_law(guess, lmax=LMAX if lmax is None else lmax, rtol=1e-8)
    if isinstance(guess, xr.Dataset):
        found = _last_state(guess, LMAX if lmax is None else lmax)
    elif isinstance(guess, Density):
        found = Density(guess.moments(guess.lmax if lmax is None else lmax), guess.rtol, d=guess.dimension)
    elif getattr(guess, "name", None) == "zonal":
        found = guess if lmax is None else guess.refined(lmax)
    else:
        remedy = "pass fp.initial.von_mises_fisher(...), the result of fp.solve, …"
        raise InputError("guess", guess, "neither a density, nor a law, nor the result of a run", remedy)
    if measure not in (None, found.name):
        raise InputError("measure", measure, f"the guess is a {found.name}", "pass its law, or leave measure out")
    return found


def _last_state(ds: xr.Dataset, lmax: int) -> Any:
    """The density of a run's last ``moments``, higher degrees zero."""
    if {"moments", "axis", "time"} <= set(ds.variables) and "degree" in ds["moments"].dims:
        moments = ds["moments"].isel(time=-1).values
        return ZonalDensity(moments, ds["axis"].values, 1e-8).refined(lmax)
    if not {"moments", "mean_vector", "time"} <= set(ds.variables):
        names = sorted(map(str, ds.data_vars))
        raise InputError("guess", names, "a Dataset without moments", "pass what fp.solve returns")
    ds = one_member(ds, "guess")
    sphere, last = geometry(ds.sizes["component"]), ds["moments"].isel(time=-1)
    if last.ndim > 1:
        raise InputError("guess", dict(last.sizes), "holds several runs", "choose one, ds.isel(member=0) for example")
    moments = last.values[np.lexsort((last["order"].values, last["degree"].values))]
    saved = int(last["degree"].max())
    return Density(sphere.resized(from_real(moments, sphere.dimension, saved), lmax), 1e-8, d=sphere.dimension)


def accepted(family: Family, system: BorderedSystem, root: Root) -> StationaryState:
    """The state of a root, after everything that could make it none has been refused."""
    u, _, p = system.parts(root.y)
    if not root.converged:
        raise _failed(family, system, root)
    equation, model = family.equation(p), family.at(p)
    residual = float(np.linalg.norm(equation.residual(u)))
    if residual > 1e3 * max(root.norm, 1e-12):
        raise refused(f"{root.reason} at {_wave(system, root)}", residual, WAVE_REMEDY)
    density = family.density(equation.coefficients(u))
    if density.min_density < -NEGATIVE * density.values.max():
        problem = f"its least density is {density.min_density:.3g}"
        raise refused(problem, residual, "raise lmax; a state that stays negative solves the truncated equation only")
    rate = _checked_rate(model, density, residual)
    turning = moving_generators(system.symmetries, u)
    return StationaryState(
        model, density, residual, rate, len(turning), root.reason, root.iterations, root.linear_iterations
    )


def _failed(family: Family, system: BorderedSystem, root: Root) -> DivergedError:
    """The error for an iteration that did not converge."""
    u, _, p = system.parts(root.y)
    if p > 0 and np.linalg.norm(family.equation(p).residual(u)) > TURNS * root.norm:
        return refused(f"{root.reason} near {_wave(system, root)}", root.norm, WAVE_REMEDY)
    return refused(root.reason, root.norm, REMEDY)


def _wave(system: BorderedSystem, root: Root) -> str:
    return f"a wave that rotates at {system.angular_velocity(root.y):.3g} rad per unit time"


def _checked_rate(model: Model, density: Any, residual: float) -> float:
    """|∂_tρ| by the model's own drift; refused where that drift differs from the one that was solved with."""
    grid, laplacian = density.grid, density.geometry.laplacian(density.lmax)
    flux = density.values * model.drift_field(density.source).on(grid)
    rate = norm(density, model.diffusion * laplacian * density.coefficients - grid.surface_div(flux))
    highest = model.diffusion * float(np.abs(laplacian).max())
    if rate > highest * (1e3 * residual + AGREEMENT * norm(density, density.coefficients)):
        problem = "the model's own drift differs from the solved one: the sums over moments cancel"
        raise refused(problem, rate, "lower beta or raise lmax")
    return rate


def norm(density: Any, coefficients: Coefficients) -> float:
    """The L² norm of a field of the density's degree."""
    return float(np.sqrt(density.geometry.power(coefficients).sum()))


def refused(problem: str, residual: float, remedy: str) -> DivergedError:
    """The error for what is no stationary state."""
    return DivergedError("the stationary solve", problem, residual, remedy)
