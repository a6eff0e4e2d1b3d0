"""Which limit of random transformers describes the attention part of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fpsolve.errors import InputError
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.predict import predict

SMALL = 0.1
"""A term of at most this much is small, as in :func:`fpsolve.scaling`."""


@dataclass(frozen=True)
class NetworkScaling:
    """The noise that attention's random weights are to the directions of tokens, and the limit that follows.

    noise: η²/H of every layer in units of the stream: the variance that a layer of attention adds, per unit of
    E|m|², over that of the stream that it finds. In pre-norm it falls as the stream grows: the direction's time is
    dτ = dt/r². diffusive_time: their sum, the time in which the limit has ε = 1; noise_time: the sum with E|m|².
    regime: ``diffusive`` (every layer is a small step of the Itô equation with common noise: η²/H ≤ ``SMALL``, and the
    sum is not small), ``ballistic`` (the sum is small: at centred values nothing moves) or ``discrete`` (single layers
    are no small steps: use the chain itself). heads, rank: how many heads share a layer's noise, and of what rank their
    matrices V and A are; the limit's noise is that of ``DrawnHeads`` with product laws of this rank.
    """

    heads: int
    rank: int
    noise: tuple[float, ...]
    diffusive_time: float
    noise_time: float
    regime: str


def network_scaling(arch: Architecture, tokens: Any = 64, **options: Any) -> NetworkScaling:
    """The regime of the attention part, from a prediction of the whole network (``options``: of :func:`predict`).

    Values are centred at initialisation, so that there is no drift. Raises InputError for a network without attention.
    """
    if arch.attention is None:
        raise InputError("arch", arch.name, "has no attention", "give a network that has")
    ds = predict(arch, tokens, **options)
    strength = np.diff(ds["noise_time"].mean("member").values)
    level = ds["noise_level"].mean("member").values[1:]
    noise = strength / level
    total = float(noise.sum())
    regime = "ballistic" if total <= SMALL else "diffusive" if noise.max() <= SMALL else "discrete"
    rank = arch.d if arch.attention.values == "dense" else min(arch.attention.head_dim, arch.d)
    return NetworkScaling(arch.attention.heads, rank, tuple(noise.tolist()), total, float(strength.sum()), regime)
