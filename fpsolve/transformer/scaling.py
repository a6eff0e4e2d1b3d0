"""Which limit describes a random transformer: its times, the kernel of its data, what becomes of its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal

import numpy as np

from fpsolve.attention.kernel import kernel
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.source import PointSource
from fpsolve.errors import InputError, check_integer, check_number
from fpsolve.measures.initial import points, tokens_of
from fpsolve.measures.laws import Tokens
from fpsolve.memory import check_memory
from fpsolve.models.base import checked_number
from fpsolve.models.homogenized import Homogenized
from fpsolve.models.weights import Gaussian, MatrixLaw, Product
from fpsolve.noise import BrownianPath, _philox
from fpsolve.noise._philox import Address, Purpose
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer.collapse import Collapse, check_budget, follow, seconds
from fpsolve.transformer.limits import entry_std, head_law, limit, named_key_query
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.regime import network_scaling
from fpsolve.transformer.weights import KEY_QUERY, HeadLaw

__all__ = ["SMALL", "Regime", "Scaling", "head_law", "limit", "scaling"]

SMALL = 0.1
"""A term of at most this much is small."""

SAMPLES = 102
"""The Philox stream of the samples of A."""

CHUNK = 2**20
"""Numbers held at once in the covariances of attention."""

Regime = Literal["ballistic", "modified", "diffusive", "discrete"]


@dataclass(frozen=True)
class Scaling:
    """Times and terms of an architecture, what the kernel of its data is, and what becomes of its tokens.

    ballistic_time ηL; ode_term η²L, the error of the ballistic limit; modified_term η³L, that of the modified one;
    diffusive_time η²L/H, the strength of the noise. regime: see :func:`scaling`. centred: whether E V = 0.

    collapse: the dynamics of the tokens, a :class:`Collapse`; overlap_at_depth, collapse_layers, collapse_time (in
    diffusive time), collapse_probability, uncollapsed and mitigated are read from it. None, and so are they, with
    members = 0 and for a single token.

    kappa κ and slope k'(1) of the kernel k_μ of the data, value variance included, with their standard errors (0 where
    they are computed). local_exponent λ = ½[(d-3)k'(1) - (d-1)κ], per unit of diffusive time, of the distance of two
    close tokens among the data: a statement about close pairs under the initial law alone. Tokens meet from afar, and
    as they concentrate λ turns negative; so λ > 0, that is slope_ratio k'(1)/κ > critical_slope_ratio = (d-1)/(d-3),
    does not keep them apart. isotropic: whether K_μ(x,y) = k_μ(⟨x,y⟩); where not, κ and k'(1) are averages over the
    tokens and directions, and λ the average local rate. All these but critical_slope_ratio are None when V has a mean:
    then there is a drift and other noise.
    """

    n: int
    d: int
    heads: int
    depth: int
    step: float
    ballistic_time: float
    ode_term: float
    modified_term: float
    diffusive_time: float
    regime: Regime
    centred: bool
    isotropic: bool
    collapse: Collapse | None = None
    kappa: float | None = None
    kappa_error: float | None = None
    slope: float | None = None
    slope_error: float | None = None
    local_exponent: float | None = None
    local_exponent_error: float | None = None

    @property
    def overlap_at_depth(self) -> float | None:
        """The mean overlap of distinct tokens after the last layer, median over members."""
        return None if self.collapse is None else self.collapse.overlap_at_depth

    @property
    def collapse_layers(self) -> float | None:
        """The layer at which tokens collapse, median over members; infinite where most do not within the depth."""
        return None if self.collapse is None else self.collapse.layers

    @property
    def collapse_time(self) -> float | None:
        """The same in diffusive time."""
        return None if self.collapse is None else self.collapse.time

    @property
    def collapse_probability(self) -> float | None:
        """The share of members that collapse within the depth."""
        return None if self.collapse is None else self.collapse.probability

    @property
    def uncollapsed(self) -> int | None:
        """The number of members that do not."""
        return None if self.collapse is None else self.collapse.uncollapsed

    @property
    def mitigated(self) -> bool | None:
        """Whether tokens keep apart through the depth: collapse_probability < 5 %."""
        return None if self.collapse is None else self.collapse.mitigated

    @property
    def slope_ratio(self) -> float | None:
        """k'(1)/κ; infinite where nothing is left of κ."""
        if self.slope is None or self.kappa is None:
            return None
        return self.slope / self.kappa if self.kappa > 0 else float("inf")

    @property
    def critical_slope_ratio(self) -> float:
        """(d-1)/(d-3), what k'(1)/κ must exceed for close tokens to part; infinite in d ≤ 3."""
        return (self.d - 1) / (self.d - 3) if self.d > 3 else float("inf")


def _or_network(of_numbers: Callable[..., Scaling]) -> Callable[..., Any]:
    """The same function, of an Architecture too."""

    @wraps(of_numbers)
    def of_either(n: Any, *arguments: Any, **options: Any) -> Any:
        return (network_scaling if isinstance(n, Architecture) else of_numbers)(n, *arguments, **options)

    return of_either


@_or_network
@checked_arguments
def scaling(
    n: int,
    d: int,
    heads: int,
    depth: int,
    step: float,
    law: HeadLaw | Homogenized,
    data: Any = None,
    *,
    members: int = 16,
    threshold: float = 0.9,
    mc_samples: int = 1000,
    seed: int = 0,
    budget: float = 120.0,
) -> Scaling:
    """The regime of n tokens of R^d in ``depth`` layers of ``heads`` heads, residual step η :cite:`homogenized2026`.

    ``scaling(arch, tokens=64)``, arch an :class:`Architecture`, is the regime of that network's attention, a
    :class:`NetworkScaling`; options are those of :func:`fpsolve.transformer.predict`.

    law: a HeadLaw, or a model Homogenized. data: the tokens, an array (n, d) or a law of which n tokens are drawn; n
    uniform tokens by default.

    Collapse is followed layer by layer through ``depth`` in ``members`` members with weights and, where they are drawn,
    tokens of their own: the mean overlap of distinct tokens passes ``threshold``. Identity, Gaussian and product A
    with V of Gaussian entries (means that are multiples of I included) run as a Gram chain, exact in law; any other
    weights as the :class:`RandomTransformer` of this seed itself. ``members=0`` leaves it out. What is estimated to
    take longer than ``budget`` seconds on one core is refused. ``mitigated`` is about the share among the members: none
    of 16 leaves a probability of up to 21 %, none of 72 one of up to 5 % (``collapse.probability_interval``).

    With "small" meaning at most ``SMALL`` = 0.1 the regime is

    * ``diffusive`` if η²L/H is not small but one layer's noise η²/H is;
    * else ``ballistic`` if η²L/H and η²L are small (with centred V nothing moves then);
    * else ``modified`` if η²L/H and η³L are small;
    * else ``discrete``: no limit describes these layers.

    In d = 3 and for the Gaussian laws κ is that of :meth:`Homogenized.kernel`; otherwise κ and k'(1) = σ_V²β²E|C A e|²
    (C the covariance of the attention, e ⊥ x) are means over ``mc_samples`` draws of A, with V and the direction e
    averaged exactly; with one fixed A they are sums over the tokens. ``seed``: of tokens (member 0), weights and draws.
    Raises InputError for bad values, before any computing.
    """
    for name, number, least in (("n", n, 1), ("d", d, 2), ("heads", heads, 1), ("depth", depth, 1)):
        check_integer(name, number, least)
    check_memory("d", d, 16 * d)
    check_memory("n", n, 16 * (n if members else d))
    check_integer("mc_samples", mc_samples, 2, 10_000_000)
    check_integer("members", members, 0)
    checked_number("step", step, positive=True)
    checked_number("budget", budget, positive=True)
    check_number("threshold", threshold, -1, 1)
    law = head_law(law, d)
    if not law.normalised:
        problem = "the kernel and the regimes are those of attention with its denominators"
        raise InputError("normalised", False, problem, "run the RandomTransformer itself")
    value = law.value_law(d)
    centred = not np.any(value.mean_matrix(d))
    noise = step**2 / heads
    terms = (step * depth, step**2 * depth, step**3 * depth, noise * depth)
    tokens = _tokens(data, n, d, seed)
    collapse = None
    if members and np.count_nonzero(tokens.weights) > 1:
        check_budget(seconds(n, d, heads, depth, law), members, budget)
        starts = np.stack([_tokens(data, n, d, seed, member).x for member in range(members)])
        collapse = follow(starts, tokens.weights, law, heads, step, depth, seed, threshold)
    known = _kernel_of(law, d, tokens, mc_samples, seed) if centred else {}
    regime = _regime(noise, *terms[1:])
    return Scaling(n, d, heads, depth, step, *terms, regime, centred, law.is_isotropic, collapse, **known)


def _regime(noise: float, ode_term: float, modified_term: float, diffusive_time: float) -> Regime:
    if diffusive_time > SMALL:
        return "diffusive" if noise <= SMALL else "discrete"
    if ode_term <= SMALL:
        return "ballistic"
    return "modified" if modified_term <= SMALL else "discrete"


def _tokens(data: Any, n: int, d: int, seed: int, member: int = 0) -> Tokens:
    if data is None:
        x = BrownianPath(seed, member).initial_normals(n * d).reshape(n, d)
        data = points(x / np.sqrt(np.einsum("na,na->n", x, x))[:, None])
    return tokens_of("data", data, n, d, seed, member)


def _kernel_of(law: HeadLaw, d: int, tokens: Tokens, count: int, seed: int) -> dict[str, float]:
    """κ, k'(1), λ and their standard errors."""
    key_query, std = law.key_query_law(), entry_std(law.value_law(d), d)
    attend = _Attention(tokens.x, tokens.weights)
    if isinstance(key_query, Gaussian | Product) and law.is_isotropic:
        pairs = _isotropic_samples(key_query, law.beta, attend, count, seed)
    else:
        pairs = np.array(list(_general_samples(key_query, law.beta, attend, count, seed)))
    kappas, slopes = std**2 * pairs.T
    exact = not key_query.is_random  # then every token is counted once
    if exact:
        kappas, slopes = (len(attend.x) * attend.w * values for values in (kappas, slopes))
    kappa, kappa_error = _mean(kappas, exact)
    if d == 3 and law.is_isotropic:
        kind, deviation = named_key_query(key_query)
        k = kernel(KeyQueryLaw(str(kind), deviation), law.beta, std, PointSource(tokens.x, tokens.weights))
        kappa, kappa_error, kappas = k.kappa, k.error, np.full(count, k.kappa)
    slope, slope_error = _mean(slopes, exact)
    exponent, error = _mean(0.5 * ((d - 3) * slopes - (d - 1) * kappas), exact)
    values = (kappa, kappa_error, slope, slope_error, exponent, max(error, kappa_error) if d == 3 else error)
    names = ("kappa", "kappa_error", "slope", "slope_error", "local_exponent", "local_exponent_error")
    return dict(zip(names, values, strict=True))


def _mean(values: Real, exact: bool) -> tuple[float, float]:
    return float(values.mean()), 0.0 if exact else float(values.std(ddof=1) / np.sqrt(len(values)))


class _Attention:
    """Attention of tokens ``x`` (n, d) with ``weights``: barycentre and covariance C = BᵀB, B_i = √p_i (x_i - m)."""

    def __init__(self, x: Real, weights: Real) -> None:
        kept = weights > 0
        self.x, self.w, self.log_w = x[kept], weights[kept], np.log(weights[kept])

    def __call__(self, g: Real) -> tuple[Real, Real]:
        """m (..., d) and B (..., n, d) at g (..., d)."""
        exponent = np.einsum("...a,na->...n", g, self.x) + self.log_w
        p = np.exp(exponent - exponent.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        m = np.einsum("...n,na->...a", p, self.x)
        return m, np.sqrt(p)[..., None] * (self.x - m[..., None, :])


def _isotropic_samples(law: Gaussian | Product, beta: float, attend: _Attention, count: int, seed: int) -> Real:
    """Samples of (|m|², β²E_e|C A e|²), shape (count, 2), the tangent directions averaged exactly.

    Gaussian: Ax = s z and Ae = s z', so that E_e|C A e|² = s²|C|². Product: Ax = s²|a| z and
    Ae = s²((c·â) z + |c_⊥| z'), so that it is s⁴(|C z|² + (d-1)|C|²); all letters but s standard Gaussian vectors.
    """
    d = attend.x.shape[1]
    normals = _philox.normals(Address(seed, 0, SAMPLES, Purpose.NORMAL), 2 * count * d).reshape(count, 2, d)
    product = isinstance(law, Product)
    scale = beta * (law.std**2 if product else law.std)
    found = []
    chunk = max(1, CHUNK // (attend.x.size + min(attend.x.shape) ** 2))
    for part in (slice(start, start + chunk) for start in range(0, count, chunk)):
        z, a = normals[part, 0], normals[part, 1]
        stretch = np.sqrt(np.einsum("sa,sa->s", a, a)) if product else np.ones(len(a))
        m, B = attend(scale * stretch[:, None] * z)
        square = _gram_norm(B)
        if product:
            Cz = np.einsum("sna,sn->sa", B, np.einsum("sna,sa->sn", B, z))
            square = np.einsum("sa,sa->s", Cz, Cz) + (d - 1) * square
        found.append(np.stack([np.einsum("sa,sa->s", m, m), scale**2 * square], 1))
    return np.concatenate(found)


def _gram_norm(B: Real) -> Real:
    """|BᵀB|² = |BBᵀ|² (Frobenius) by the smaller of the two, shape (s,)."""
    gram = B @ B.swapaxes(-1, -2) if B.shape[-2] < B.shape[-1] else B.swapaxes(-1, -2) @ B
    return np.asarray(np.einsum("sij,sij->s", gram, gram))


def _general_samples(
    law: MatrixLaw, beta: float, attend: _Attention, count: int, seed: int
) -> Iterator[tuple[float, float]]:
    """Samples of (|m|², β²|C A P_x|²/(d-1)): for a fixed A all tokens, otherwise tokens by weight and fresh A."""
    n, d = attend.x.shape
    mean = law.mean_matrix(d)
    order = np.searchsorted(np.cumsum(attend.w)[:-1], (np.arange(count) + 0.5) / count, side="right")
    for s, token in enumerate(order if law.is_random else range(n)):
        A = mean + law.draw(Address(seed, 0, KEY_QUERY, Purpose.NORMAL, s, 0), d, 1)[0]
        x = attend.x[token]
        m, B = attend(beta * (A @ x))
        tangential = A - np.outer(A @ x, x)
        moved = B.T @ (B @ tangential)
        yield float(m @ m), float(beta**2 * np.sum(moved * moved) / (d - 1))
