"""Transport of measures by velocity fields."""

from fpsolve.transport.velocity import AmbientField, HarmonicField, Velocity, ZeroField

__all__ = ["AmbientField", "HarmonicField", "Velocity", "ZeroField"]
