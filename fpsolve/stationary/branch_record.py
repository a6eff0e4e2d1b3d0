"""What a branch keeps of every state: the Dataset of a continuation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fpsolve.measures.density import Density
from fpsolve.models.base import Model
from fpsolve.observe.free_energy import interaction_energy
from fpsolve.observe.quantities import mean_potential
from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.heads import is_gradient_flow, parts_of

if TYPE_CHECKING:
    from fpsolve.stationary.events import Event
    from fpsolve.stationary.points import Point

AMPLITUDES = 8
"""Degrees whose amplitudes are kept."""

LONG_NAMES = {
    "beta": "inverse temperature β",
    "diffusion": "diffusion ν",
    "order_parameter": "length of the mean |∫x dμ|",
    "amplitude": "√Σ_m|ρ_ℓm|² of each degree",
    "interaction_energy": "Σ w_h (1/2β)∬e^{β⟨A_h x,y⟩}dμdμ",
    "free_energy": "ν∫ρ log ρ - interaction energy - ∫U dμ, where the model is its gradient flow",
    "entropy": "-∫ρ log ρ",
    "eigenvalue": "real parts of the leading eigenvalues, rotations apart",
    "unstable": "eigenvalues with positive real part",
    "rotations": "neutral rotations",
    "coefficients": "ρ in the real orthonormal harmonics",
    "residual": "|ρ - S[ρv]/ν| in L²",
    "event": "where an eigenvalue crosses zero",
    "event_change": "change of the number of unstable eigenvalues along the branch",
    "event_mode": "the neutral mode in the real orthonormal harmonics",
}


def energies(model: Model, density: Density) -> dict[str, float]:
    """Entropy, interaction energy of all heads, free energy (NaN unless the model is its gradient flow).

    The free energy is ν∫ρ log ρ - interaction - ∫U dμ, U the potential of outer drifts.
    """
    (heads, outer), entropy = parts_of(model), density.entropy
    interaction = np.nan
    if all(head.beta > 0 for head in heads):
        parts = (head.weight * interaction_energy(density, head.beta, head.key_query) for head in heads)
        interaction = float(sum(parts))
    potential = mean_potential(density, model) if outer else 0.0
    is_flow = is_gradient_flow(heads) and potential is not None
    free = -model.diffusion * entropy - interaction - (potential or 0.0) if is_flow else np.nan
    return {"entropy": entropy, "interaction_energy": interaction, "free_energy": free}


def dataset(parameter: str, points: Sequence[Point], events: Sequence[Event], modes: int) -> xr.Dataset:
    """Variables by arclength: the parameter, order parameters, energies, eigenvalues, coefficients; events apart."""
    rows = [_row(parameter, point, modes) for point in points]
    columns = {name: (dims, np.array([row[name][1] for row in rows])) for name, (dims, _) in rows[0].items()}
    density = points[0].state.density
    degrees, orders = density.geometry.real_degrees_orders(density.lmax)
    chords = np.array([float(np.linalg.norm(b.y - a.y)) for a, b in pairwise(points)])
    arclength = np.concatenate([[0.0], np.cumsum(chords)])
    coordinates = {
        "arclength": ("point", arclength),
        "event_arclength": ("crossing", np.array([_place(e, points[0], arclength) for e in events], float)),
        "degree": np.arange(1, min(AMPLITUDES, density.lmax) + 1),
        "harmonic_degree": ("harmonic", degrees),
        "harmonic_order": ("harmonic", orders),
    }
    scalars = [name for name, (dims, _) in columns.items() if dims == "point"]
    variables = columns | _event_columns(parameter, events, scalars, len(degrees))
    ds = xr.Dataset(variables, coordinates, {"parameter": parameter, "model": repr(points[0].state.model)})
    for name in ds.data_vars:
        ds[name].attrs |= {"units": "1"} | ({"long_name": LONG_NAMES[str(name)]} if name in LONG_NAMES else {})
    return ds


def _place(event: Event, first: Point, arclength: Real) -> float:
    """The arclength of an event; negative for the start of the branch before its first point."""
    if event.after < 0:
        return -float(np.linalg.norm(first.y - event.point.y))
    before, behind = arclength[event.after : event.after + 2]
    return float(before + event.share * (behind - before))


def _row(parameter: str, point: Point, modes: int) -> dict[str, tuple[Any, Any]]:
    state = point.state
    density = state.density
    powers = np.sqrt(density.geometry.power(density.coefficients))[1 : AMPLITUDES + 1]
    row: dict[str, tuple[Any, Any]] = {
        parameter: ("point", getattr(state.model, parameter)),
        "order_parameter": ("point", float(np.linalg.norm(density.mean))),
        "amplitude": (("point", "degree"), powers),
        "residual": ("point", state.residual),
        "rotations": ("point", state.rotations),
        "newton_iterations": ("point", state.iterations),
        "tail": ("point", density.tail),
        "coefficients": (("point", "harmonic"), density.geometry.to_real(density.coefficients)),
    }
    row |= {name: ("point", value) for name, value in energies(state.model, density).items()}
    if point.spectrum is not None:
        leading = np.full(modes, np.nan)
        found = point.spectrum.eigenvalues.real[:modes]
        leading[: len(found)] = found
        row |= {"eigenvalue": (("point", "mode"), leading), "unstable": ("point", point.spectrum.unstable)}
    return row


def _event_columns(
    parameter: str, events: Sequence[Event], scalars: Sequence[str], size: int
) -> dict[str, tuple[Any, Any]]:
    def stacked(rows: list[Any]) -> Any:
        return np.array(rows).reshape(len(events), size)

    states = [event.point.state for event in events]
    rows = [_row(parameter, event.point, 0) for event in events]
    return {f"event_{name}": ("crossing", np.array([row[name][1] for row in rows], float)) for name in scalars} | {
        "event": ("crossing", np.array([event.kind for event in events], dtype=np.str_)),
        "event_after": ("crossing", np.array([event.after for event in events], int)),
        "event_multiplicity": ("crossing", np.array([event.multiplicity for event in events], int)),
        "event_change": ("crossing", np.array([event.change for event in events], int)),
        "event_degree": ("crossing", np.array([event.degree for event in events], int)),
        "event_coefficients": (
            ("crossing", "harmonic"),
            stacked([s.density.geometry.to_real(s.density.coefficients) for s in states]),
        ),
        "event_mode": (("crossing", "harmonic"), stacked([np.append(0.0, event.mode) for event in events])),
    }
