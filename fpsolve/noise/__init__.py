"""Noise: Brownian paths queried by interval, and isotropic Gaussian fields on the sphere."""

from fpsolve.noise.circular import circular_channel_count, circular_field, circular_kernel, circular_spectrum
from fpsolve.noise.isotropic import (
    IsotropicChannels,
    VectorModes,
    channel_count,
    channel_position,
    isotropic_channels,
    kernel_from_spectrum,
    spectrum_from_kernel,
    spectrum_of_powers,
)
from fpsolve.noise.path import STREAMS, BrownianPath

__all__ = [
    "STREAMS",
    "BrownianPath",
    "IsotropicChannels",
    "VectorModes",
    "channel_count",
    "channel_position",
    "circular_channel_count",
    "circular_field",
    "circular_kernel",
    "circular_spectrum",
    "isotropic_channels",
    "kernel_from_spectrum",
    "spectrum_from_kernel",
    "spectrum_of_powers",
]
