"""Exact references: what the numerics must reproduce."""

from fpsolve.theory.overlap import OverlapDiffusion, isotropic_overlap, value_noise_overlap

__all__ = ["OverlapDiffusion", "isotropic_overlap", "value_noise_overlap"]
