"""Exact references: closed forms and one-dimensional reductions that the numerics must reproduce."""

from fpsolve.noise.activation import dissipation_rate, is_coercive
from fpsolve.theory.ends import End
from fpsolve.theory.equiangular import (
    equiangular_drift,
    equiangular_overlap,
    equiangular_time,
    simplex_drift,
    simplex_overlap,
    synchronisation_rate,
)
from fpsolve.theory.exponents import (
    aligned_attracts,
    antipodal_attracts,
    antipodal_exponent,
    critical_slope,
    distance_exponent,
)
from fpsolve.theory.growth import attention_multiplier, uniform_energy, uniform_growth_rate
from fpsolve.theory.hitting import (
    alignment_probability,
    antipodal_probability,
    classify_ends,
    hitting_probability,
    scale_function,
)
from fpsolve.theory.hybrid import (
    attention_overlap,
    forced_moment_bound,
    hybrid_aligned_exponent,
    hybrid_antipodal_exponent,
    hybrid_antipodal_threshold,
    quadratic_form_overlap,
    scalar_noise_overlap,
)
from fpsolve.theory.moebius import (
    boost,
    boost_parameter,
    compose,
    moebius_density,
    moebius_moment,
    moebius_orbit,
)
from fpsolve.theory.overlap import OverlapDiffusion, isotropic_overlap, value_noise_overlap
from fpsolve.theory.retrieval import (
    causal_kernel,
    critical_time,
    log_distance,
    mode_strength,
    mode_weight,
    retrieval,
    retrieval_profile,
)
from fpsolve.theory.shares import simplex_shares
from fpsolve.theory.thresholds import (
    critical_beta,
    critical_diffusion,
    low_temperature_bound,
    transition_beta,
    transition_is_continuous,
)

__all__ = [
    "End",
    "OverlapDiffusion",
    "aligned_attracts",
    "alignment_probability",
    "antipodal_attracts",
    "antipodal_exponent",
    "antipodal_probability",
    "attention_multiplier",
    "attention_overlap",
    "boost",
    "boost_parameter",
    "causal_kernel",
    "classify_ends",
    "compose",
    "critical_beta",
    "critical_diffusion",
    "critical_slope",
    "critical_time",
    "dissipation_rate",
    "distance_exponent",
    "equiangular_drift",
    "equiangular_overlap",
    "equiangular_time",
    "forced_moment_bound",
    "hitting_probability",
    "hybrid_aligned_exponent",
    "hybrid_antipodal_exponent",
    "hybrid_antipodal_threshold",
    "is_coercive",
    "isotropic_overlap",
    "log_distance",
    "low_temperature_bound",
    "mode_strength",
    "mode_weight",
    "moebius_density",
    "moebius_moment",
    "moebius_orbit",
    "quadratic_form_overlap",
    "retrieval",
    "retrieval_profile",
    "scalar_noise_overlap",
    "scale_function",
    "simplex_drift",
    "simplex_overlap",
    "simplex_shares",
    "synchronisation_rate",
    "transition_beta",
    "transition_is_continuous",
    "uniform_energy",
    "uniform_growth_rate",
    "value_noise_overlap",
]


def __dir__() -> list[str]:
    return sorted(__all__)
