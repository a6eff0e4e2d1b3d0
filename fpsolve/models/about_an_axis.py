"""The modified ballistic limit for laws about an axis: how attention changes while circles of latitude move."""

from __future__ import annotations

from typing import Any

import numpy as np

from fpsolve.attention.zonal import AxialPoints
from fpsolve.models.base import apply_matrix, checked_matrix
from fpsolve.models.conditioning import axial_mean
from fpsolve.models.self_attention import attention
from fpsolve.models.weights import is_rotation_invariant
from fpsolve.sphere.gegenbauer import ZonalPoints
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import AmbientField, Sites, Velocity

SHIFT = 5e-3
"""Distance by which a measure is moved for the central difference of fourth order; over 1 + β."""

DIFFERENCES = ((1, 2 / 3), (-1, -2 / 3), (2, -1 / 12), (-2, 1 / 12))
"""Shifts and weights of that difference."""


def modified_about_an_axis(model: Any, source: Any, value: Real) -> Velocity:
    """b - (η/2)⟨x,b̄⟩b - (η/2) P_x V̄ ṁ of a :class:`fpsolve.models.ModifiedBallistic`, ṁ by a central difference."""
    d, law = source.dimension, model.law
    circles = source.circles(model.beta)
    places = ZonalPoints(d, circles.theta)
    speeds = places.from_ambient(apply_matrix(value, model.attention_mean(source, places)))
    mean, one = checked_matrix("key_query", law.mean), is_rotation_invariant(law)
    steep = np.sqrt(d) * float(law.entry_std(d)) if one else float(np.linalg.norm(np.atleast_2d(mean), 2))

    def rate(sites: Sites, along: Real) -> Real:
        """ṁ at sites that move by ``along``."""
        fastest = max(float(np.abs(speeds).max()), float(np.abs(along).max()), 1e-300)
        unit, total = SHIFT / ((1 + model.beta * steep) * fastest), np.zeros(sites.x.shape)
        for shift, factor in DIFFERENCES:
            there = AxialPoints(d, circles.theta + shift * unit * speeds, circles.weights)
            if one:
                total += factor / unit * axial_mean(law, model.beta, there)
            else:
                moved = ZonalPoints(d, sites.theta + shift * unit * along)
                total += factor / unit * attention(there, model.beta * mean, moved)[1]
        return total

    def drift(sites: Sites) -> Real:
        ambient = apply_matrix(value, model.attention_mean(source, sites))
        radial, b = np.einsum("na,na->n", sites.x, ambient), sites.from_ambient(ambient)
        tangent, turned = sites.to_ambient(b), apply_matrix(value, rate(sites, b))
        return np.asarray(tangent - 0.5 * model.step * (radial[:, None] * tangent + turned))

    return AmbientField(drift)
