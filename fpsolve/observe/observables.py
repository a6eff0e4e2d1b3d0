"""``OBSERVABLES``: all that is known of every observable; results, tables, pictures and summaries are made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fpsolve.defects import attention_floor
from fpsolve.measures.base import Measure
from fpsolve.observe import quantities
from fpsolve.observe.clustering import MOST_POINTS, SHARE, TOLERANCE, number_of_clusters
from fpsolve.observe.observable import Context, Observable, Panel

DENSITIES = ("density", "half_density", "log_density", "causal_density")

POINTS = ("cloud",)

SEQUENCES = ("causal_density", "cloud")
"""Measures that may have positions."""

OF_VECTORS = (*DENSITIES, *POINTS)
"""Measures whose vectors have d components."""

AXIAL = ("zonal", "zonal_cloud")
"""Measures of laws about an axis."""


def _energy(name: str) -> Callable[[Measure, Context], Any]:
    return lambda state, context: context.energies.get(name)


def _of_model(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Context], Any]:
    """``(state, model)``, where there is a model."""
    return lambda state, context: None if context.model is None else compute(state, context.model)


def _coordinate(compute: Callable[[Any], Any]) -> Callable[[Any, Context], Any]:
    """Of runs that may change their method."""
    return lambda state, context: compute(state) if context.saved.methods else None


def _density_dims(state: Measure) -> tuple[str, ...]:
    if state.points is not None:
        return ("point",)
    if state.is_axial:
        return ("u",)
    return ("lat", "lon") if state.dimension == 3 else ("angle",)


def _density(state: Measure, context: Context) -> Any:
    """ρ on the grid as (lat, lon), whatever the layout, or (angle); at the points of a quadrature cloud.

    A cloud that took over from a density has none on that density's grid.
    """
    grid = context.saved.grid
    values = state.density_on(grid)
    if values is None or values.ndim == 1:
        return values
    grid = state.sites if grid is None else grid
    return values if values.shape == (grid.nlat, grid.nphi) else values.T.copy()


def _weights(state: Measure) -> Any:
    return None if state.points is None else state.masses.copy()


def _heights(state: Any, context: Context) -> Any:
    return state.heights if context.saved.save_points and state.is_axial and state.points is not None else None


def _moments(state: Any, context: Context) -> Any:
    """In real harmonics by degree and order; of a law about an axis by degree alone."""
    degree = context.saved.moments_lmax
    return state.axial_moments(degree) if state.is_axial else quantities.real_moments(state, degree)


def _moment_dims(state: Measure) -> tuple[str, ...]:
    return ("degree",) if state.is_axial else ("harmonic",)


def _density_units(state: Measure) -> str:
    """With respect to surface measure; of a law about an axis with respect to the uniform one."""
    return "1" if state.is_axial else {3: "sr-1", 2: "rad-1"}.get(state.dimension, "1")


_ALL = (
    Observable(
        "mean_vector", lambda state, _: state.mean, "mean of the measure, ∫ x dμ", ("component",),
        measures=OF_VECTORS, panel=Panel("mean vector m", "vector", overview=1),
    ),
    Observable(
        "axis_mean", lambda state, _: state.axis_mean if state.is_axial else None,
        "mean along the axis, ∫ ⟨x, axis⟩ dμ",
        measures=AXIAL, panel=Panel("mean along the axis", overview=1), summary=True,
    ),
    Observable(
        "overlap", lambda state, _: quantities.overlap(state), "squared norm of the mean, mean overlap of two tokens",
        panel=Panel("overlap |m|²", overview=6), summary=True,
    ),
    Observable(
        "position_mean", lambda state, _: state.position_means, "mean of the law of each position, ∫ x dμ_s",
        ("position", "component"), measures=SEQUENCES, where="up to 1,024 positions",
    ),
    Observable(
        "position_overlap", lambda state, _: quantities.position_overlap(state),
        "overlap of the mean of each position with that of all, ∬ ⟨x,y⟩ dμ_s dμ; their mean is the overlap",
        ("position",), measures=SEQUENCES, where="up to 1,024 positions",
        panel=Panel("overlap of positions with all", "positions", overview=4),
    ),
    Observable(
        "energy", _energy("energy"), "interaction energy, Σ_h w_h (1/2β) ∬ exp(β⟨A_h x,y⟩) dμ dμ",
        panel=Panel("interaction energy", overview=2), summary=True,
    ),
    Observable(
        "head_energies", _energy("head_energies"),
        "interaction energy of each head, w_h (1/2β) ∬ exp(β⟨A_h x,y⟩) dμ dμ", ("head",), where="several heads",
    ),
    Observable(
        "log_energy", _energy("log_energy"), "logarithm of the interaction energy, for every β",
        panel=Panel("log interaction energy", overview=3, stands_for="energy"),
    ),
    Observable(
        "log_head_energies", _energy("log_head_energies"),
        "logarithm of the size of each head's interaction energy, for every β", ("head",), where="several heads",
    ),
    Observable(
        "potential", _of_model(lambda state, model: quantities.mean_potential(state, model)),
        "potential energy, ∫ U dμ, of an outer drift P_x ∇U", where="models with a potential",
        panel=Panel("potential energy"),
    ),
    Observable(
        "entropy", lambda state, _: state.entropy, "entropy, -∫ ρ log ρ over ρ > 0",
        where="not of tokens", panel=Panel("entropy", overview=4), summary=True,
    ),
    Observable("mass", lambda state, _: state.mass, "total mass", summary=True),
    Observable(
        "moments", _moments,
        "moments in real orthonormal harmonics with the Condon-Shortley phase, (1, 1) and (1, -1) ~ -x, -y",
        _moment_dims, where="d = 2 or 3, or an axis",
    ),
    Observable(
        "min_density", lambda state, _: state.min_density, "least density on the grid",
        measures=(*DENSITIES, "zonal"), panel=Panel("least density", "density", overview=7), summary=True,
    ),
    Observable(
        "tail", lambda state, _: state.tail, "share of the power above 0.9 lmax",
        measures=(*DENSITIES, "zonal"), panel=Panel("tail of the spectrum", "log", overview=5), summary=True,
    ),
    Observable(
        "mass_defect", lambda state, _: state.mass_defect, "mass of a log density less one",
        measures=("log_density",), panel=Panel("|mass - 1|", "log"),
    ),
    Observable(
        "drift_error", _of_model(lambda state, model: model.sampling_error(state.source)),
        "standard error of the drift, root mean square norm, from the weights sampled for its mean",
        where="drifts of sampled weights",
    ),
    Observable(
        "noise_tail", _of_model(lambda state, model: model.noise_tail(state.source)),
        "share of k'(1), the slope of the noise's covariance, in its degrees above 0.9 noise_lmax",
        where="isotropic noise of attention or MLPs",
    ),
    Observable(
        "noise_level", _of_model(lambda state, model: model.noise_level(state.source)),
        "∫ E|m|² dμ, attention's output m before the value matrix: strength of the noise over σ_V²",
        where="noise of value matrices",
    ),
    Observable(
        "attention_floor", _of_model(attention_floor),
        "estimated change of C_l/C_0, or of F, by what lies below the accuracy of the density",
        measures=("density", "half_density", "zonal", "causal_density"), where="models with attention",
        panel=Panel("floor of far attention", "log"), summary=True,
    ),
    Observable(
        "cloud_error", lambda state, _: state.cloud_error,
        "estimated error of the quadrature by points, by every second and every fourth, in the moments up to degree 8",
        measures=(*POINTS, "zonal_cloud"), where="not of tokens",
        panel=Panel("error of the cloud", "log"), summary=True,
    ),
    Observable(
        "clusters", lambda state, _: number_of_clusters(state),
        f"number of clusters, linked within {TOLERANCE:g} rad, of at least {SHARE:g} of the mass",
        measures=POINTS, where=f"up to {MOST_POINTS} points", panel=Panel("number of clusters"), summary=True,
    ),
    Observable(
        "evaluations", lambda state, context: None if context.saved.tally is None else float(context.saved.tally.last),
        "velocities evaluated in the step from the saved time before", where='`dt="auto"`',
    ),
    Observable(
        "density", lambda state, context: _density(state, context) if context.saved.save_density else None,
        "density with respect to surface measure", _density_dims,
        _density_units, where="`save_density`",
    ),
    Observable(
        "points", lambda state, context: state.points if context.saved.save_points else None,
        "positions of the points", ("point", "component"), measures=POINTS, where="`save_points`",
    ),
    Observable(
        "heights", _heights,
        "heights ⟨x, axis⟩ of the circles of latitude", ("point",), measures=("zonal_cloud",), where="`save_points`",
    ),
    Observable(
        "weights", lambda state, context: _weights(state) if context.saved.save_points else None,
        "weights of the points", ("point",), measures=(*POINTS, "zonal_cloud"), where="`save_points`", once=True,
    ),
    Observable(
        "method", _coordinate(lambda state: state.name), "representation of the measure at this time", coordinate=True
    ),
    Observable(
        "lmax", _coordinate(lambda state: float(getattr(state, "lmax", np.nan))),
        "truncation degree of the density at this time, NaN for a cloud", coordinate=True,
    ),
    Observable(
        "filter", _coordinate(lambda state: getattr(state, "filter", None) or 0.0),
        "strength of the density's filter at this time, 0 for none", coordinate=True,
    ),
)  # fmt: skip

OBSERVABLES = {one.name: one for one in _ALL}
"""By name, in the order of a result."""
