"""The limiting model of a random transformer, and the law of its heads."""

from __future__ import annotations

from typing import get_args

import numpy as np

from fpsolve.attention.laws import DIMENSIONS
from fpsolve.errors import InputError, check_integer, unknown_name
from fpsolve.memory import check_memory
from fpsolve.models.ballistic import Ballistic, ModifiedBallistic
from fpsolve.models.base import Model
from fpsolve.models.deep_stochastic import DeepStochasticTransformer
from fpsolve.models.drawn_heads import DrawnHeads
from fpsolve.models.homogenized import Homogenized
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.unnormalised import UnnormalisedSelfAttention
from fpsolve.models.weights import Gaussian, MatrixLaw, Sampled, is_rotation_invariant
from fpsolve.plain.arguments import checked_arguments
from fpsolve.transformer.weights import HeadLaw

Diffusive = Homogenized | DeepStochasticTransformer | DrawnHeads
"""What a diffusive limit may be: :func:`limit` makes them of a head's law, :func:`head_law` finds that law again."""

DIFFUSIVE: tuple[type[Model], ...] = get_args(Diffusive)

BALLISTIC: tuple[type[Model], ...] = (SelfAttention, Ballistic, ModifiedBallistic)
"""What the other limits may be."""


@checked_arguments
def limit(law: HeadLaw | Diffusive, regime: str, d: int, step: float) -> Model:
    """The limiting model: ``ballistic`` or ``modified``, in time ηL, or ``diffusive``, in time η²L/H.

    ballistic: :class:`SelfAttention` for a fixed matrix A (:class:`UnnormalisedSelfAttention` without denominators,
    which has no other limit here), otherwise :class:`Ballistic`; modified:
    :class:`ModifiedBallistic`; for every law. diffusive: :class:`Homogenized` for A a number ≥ 0, and for the centred
    Gaussian laws in d = 2, 3; :class:`DeepStochasticTransformer` for any other fixed A; :class:`DrawnHeads` for all
    else. Raises InputError, naming the weight law, where there is no such model: in diffusive time b = P_x V̄ E m_A must
    vanish, and it is asked of V that its entries are uncorrelated, of known deviation.
    """
    if regime not in ("ballistic", "modified", "diffusive"):
        raise unknown_name("regime", regime, ("ballistic", "modified", "diffusive"))
    check_integer("d", d, 2)
    check_memory("d", d, 16 * d)
    law = head_law(law, d)
    value, key_query = law.value_law(d), law.key_query_law()
    key_query.check(d)
    if not law.normalised:
        return _unnormalised(law, regime, d)
    beta, named = law.beta, named_key_query(key_query)
    if named[0] == "identity":
        beta *= float(key_query.mean)  # type: ignore[arg-type]
    if regime == "modified":
        return ModifiedBallistic(beta, value.mean, step, key_query=named[0], key_query_std=named[1])
    if regime == "ballistic":
        fixed = not key_query.is_random and named[0] != "identity"
        return SelfAttention(beta, value.mean, key_query.mean) if fixed else Ballistic(beta, value.mean, *named)
    if np.any(value.mean_matrix(d)):
        problem = "the mean V̄ of V makes the drift b = P_x V̄ E m_A, of order 1/ε² in diffusive time; b must vanish"
        raise InputError("value", law.value, problem, 'use "ballistic", or a centred V')
    return _diffusive(beta, named, key_query, entry_std(value, d), d)


def _unnormalised(law: HeadLaw, regime: str, d: int) -> Model:
    """The ballistic limit of a fixed A without denominators. Raises InputError for other limits and a random A."""
    key_query, remedy = law.key_query_law(), "keep the denominators, normalised=True"
    if regime != "ballistic":
        problem = f'attention without denominators has no model of its limit "{regime}"'
        raise InputError("normalised", False, problem, remedy)
    if key_query.is_random:
        raise InputError("normalised", False, "the mean of attention over a random A is that with denominators", remedy)
    return UnnormalisedSelfAttention(law.beta, law.value_law(d).mean, key_query.mean)


def _diffusive(
    beta: float, named: tuple[str | MatrixLaw, float], key_query: MatrixLaw, std: float, d: int
) -> Diffusive:
    """The limit with noise alone, deviation ``std`` of V's entries."""
    if named[0] == "identity" or (is_rotation_invariant(key_query) and d in DIMENSIONS):
        return Homogenized(beta, *named, value_std=std)  # type: ignore[arg-type]
    if not key_query.is_random:
        return DeepStochasticTransformer(beta, std, key_query.mean)
    return DrawnHeads(beta, key_query=named[0], key_query_std=named[1], value_std=std)


def diffusive_head_law(model: Model, d: int) -> HeadLaw:
    """The law of heads whose layers have the model for diffusive limit: :func:`limit` read backwards.

    In time ε² t = η²L/H, ε the model's ``noise``; H heads have independent V and, where A is fixed, the same A. Of
    several laws with one limit, which knows of V the deviation alone, that of Gaussian V. Raises InputError, which says
    why, where there is none.
    """
    name = type(model).__name__
    if type(model) not in DIFFUSIVE:
        problem = f"{name} is not the diffusive limit of random layers ({_listed(DIFFUSIVE)} are)"
        if type(model) in BALLISTIC:
            problem += "; a ballistic limit is one measure, without a law"
        raise InputError("model", name, problem, "take one of these")
    if not model.is_stochastic:
        raise InputError("noise", model.noise, f"{name} with noise = 0 is one measure, without a law", "pass noise=1")
    if model.diffusion > 0:
        problem = "tokens of random layers have no noise of their own (diffusion)"
        raise InputError("diffusion", model.diffusion, problem, "pass diffusion=0")
    law = head_law(model, d)  # type: ignore[arg-type]
    limit(law, "diffusive", d, 1.0)  # refuses a mean value matrix
    return law


def _listed(classes: tuple[type[Model], ...]) -> str:
    names = [one.__name__ for one in classes]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def head_law(law: HeadLaw | Diffusive, d: int) -> HeadLaw:
    """The law of one head of a model Homogenized, DeepStochasticTransformer or DrawnHeads, or the law itself.

    Raises InputError for anything else, and for a sampler of V that has a mean of its own, as V̄ must be known.
    """
    if isinstance(law, HeadLaw):
        value = law.value_law(d)
        value.check(d)
        if isinstance(value, Sampled):
            value.check_centred(d)
        return law
    if isinstance(law, DrawnHeads):
        return HeadLaw(law.beta, Gaussian(law.value_deviation(d)), law.law)
    if not isinstance(law, Homogenized | DeepStochasticTransformer):
        raise InputError("law", law, "not the law of a head", "pass fp.transformer.HeadLaw(beta=4.0), for example")
    value = Gaussian(law.value_deviation(d), mean=law.drift)
    if isinstance(law, DeepStochasticTransformer):
        return HeadLaw(law.beta, value, law.key_query)
    return HeadLaw(law.beta, value, law.key_query, key_query_std=law.key_query_std if law.is_isotropic else None)


def named_key_query(law: MatrixLaw) -> tuple[str | MatrixLaw, float]:
    """(name, deviation) of the laws of A that have one, (law, 1) of the others; ``identity`` for a number ≥ 0."""
    if not law.is_random and np.ndim(law.mean) == 0 and float(law.mean) >= 0:  # type: ignore[arg-type]
        return "identity", 1.0
    if is_rotation_invariant(law):
        return ("gaussian" if isinstance(law, Gaussian) else "product"), law.std
    return law, 1.0


def entry_std(value: MatrixLaw, d: int) -> float:
    """The deviation of V's entries. Raises InputError where it is not known."""
    std = value.entry_std(d)
    if std is None:
        raise InputError("value", value, "the deviation of its entries is not known", "pass Sampled(sampler, std=...)")
    return std
