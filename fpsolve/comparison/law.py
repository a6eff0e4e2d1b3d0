"""The finite random transformer against its mean-field limit, in law: independent chains against independent paths.

A chain and a path share no weights, so only distributions over many of both can agree. The chain has η²L/H = ε² t_end,
its n tokens are iid draws of the initial law. Overlap, energy and powers of the chain are those of pairs of distinct
tokens, (n S - s_0)/(n - 1) with s_0 the share of a token with itself, which takes the sampling bias O(1/n) away.

Means are compared with those of the paths' measures μ_t themselves. Distributions are not: those of the chain are
spread by its n tokens, of deviation O(n^{-1/2}), which μ_t is not. So for the Kolmogorov-Smirnov test n iid points are
drawn from each μ_t, and the same statistics of pairs taken of them. Given the path, tokens of a chain are iid draws of
μ_t but for their interaction: n tokens attend to one another and not to μ_t. That too is O(n^{-1/2}) and is not in the
draws; it is a small part of the spread, which many thousand members would show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import ks_2samp

from fpsolve.comparison.routes import Problem, Rung, model_energy, start_of
from fpsolve.defects import is_resolved
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.measures.base import Measure
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.density import positive_quadrature
from fpsolve.models.base import Model, apply_matrix
from fpsolve.models.synchronisation import SynchronisationByNoise
from fpsolve.noise import BrownianPath, _philox
from fpsolve.noise._philox import Address, Purpose
from fpsolve.observe import overlap
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer import Block, HeadBlock, MlpBlock, RandomTransformer
from fpsolve.transformer.limits import diffusive_head_law

POWERS = (2, 3)
"""Degrees whose power Σ_m |ρ_ℓm|² is compared, besides the overlap, which is that of degree one."""

WIDTH = 16
"""Neurons of a random MLP of infinite width; layers of any width have that limit."""

DRAWS = 104
"""The Philox stream of points drawn from the limit, apart from those of the initial tokens and the weights."""


@dataclass(frozen=True)
class InLaw:
    """Observables at ``t_end`` of chains and of paths, dicts name -> (members,), and the seconds of both.

    limit: of the measures μ_t; limit_drawn: of as many points as a chain has tokens, drawn from each.
    """

    transformer: dict[str, Real]
    limit: dict[str, Real]
    limit_drawn: dict[str, Real]
    transformer_seconds: float
    limit_seconds: float
    chain: RandomTransformer
    rung: Rung
    on_clouds: int
    """Paths on which the density was not resolved."""

    @property
    def limit_by(self) -> str:
        """The route of the limit in words."""
        members = len(self.limit["overlap"])
        rest = f", cloud on {self.on_clouds} of {members} paths" if self.on_clouds else ""
        return f"{self.rung.route} {self.rung.size}{rest}"

    def rows(self) -> Iterator[tuple[str, float, float, float, float, float, float]]:
        """For each observable: its name, mean and standard error of the limit and of the chain, their difference in
        standard errors, and the level of the Kolmogorov-Smirnov test of the chain and the points drawn."""
        for name, limit in self.limit.items():
            chain = self.transformer[name]
            means, errors = (float(v.mean()) for v in (limit, chain)), (_error(limit), _error(chain))
            first, second = means
            scale = float(np.hypot(*errors))
            z = (second - first) / scale if scale > 0 else 0.0
            yield name, first, errors[0], second, errors[1], z, float(ks_2samp(self.limit_drawn[name], chain).pvalue)


def chain_of(model: Model, problem: Problem, n: int, heads: int, depth: int) -> RandomTransformer | str:
    """The random transformer whose diffusive limit is the model, or the sentence that says why there is none.

    Of a sum the noise of MLPs alone has a block beside the heads, and so has every further noise of heads.
    """
    mlps: list[Any] = [term for term in model.terms if _is_mlp(term)] if len(model.terms) > 1 else []
    terms = [term for term in model.terms if term not in mlps] or list(model.terms)
    try:
        laws = [diffusive_head_law(term, problem.d) for term in terms]
    except InputError as error:
        return f"transformer: {error.problem}"
    steps = [float(np.sqrt(term.noise**2 * problem.t_end * heads / depth)) for term in terms]
    law, *others = laws
    beside: list[Block] = [HeadBlock(one, heads, step) for one, step in zip(others, steps[1:], strict=True)]
    for term in mlps:
        step = float(np.sqrt(term.noise**2 * problem.t_end / depth))
        beside.append(MlpBlock(term.draws or WIDTH, step, term.activation))
    seed, member = problem.path.seed, problem.path.member
    weights = (law.beta, law.value, law.key_query, law.value_std, law.key_query_std)
    return RandomTransformer(n, problem.d, heads, depth, steps[0], *weights, seed=seed, member=member, beside=beside)


def _is_mlp(term: Any) -> bool:
    """Whether a term is the limit of random MLPs alone."""
    still = isinstance(term, SynchronisationByNoise) and not np.any(term.value)
    return still and term.is_stochastic and term.diffusion == 0


def in_law(problem: Problem, chain: RandomTransformer, rung: Rung, members: int, tick: Callable[[], object]) -> InLaw:
    """Run ``members`` chains and as many paths of the limit, these on ``rung``; ``tick`` is called after each path.

    A density that is not resolved on a path gives way to the cloud of its degree.
    """
    begun = time.perf_counter()
    points = chain.run_members(problem.law, members, save_points=True).points.values[:, -1]
    between = time.perf_counter()
    limit, drawn, on_clouds, model = [], [], 0, problem.model
    for member in range(problem.path.member, problem.path.member + members):
        path = BrownianPath(problem.path.seed, member, problem.path.cell)
        last = resolved_state(replace(problem, path=path), rung)
        on_clouds += rung.route == "density" and last.points is not None
        limit.append(observed(last, model))
        drawn.append(drawn_points(last, chain.n, path))
        tick()
    ended = time.perf_counter()
    tokens, draws = (_columns([observed_tokens(x, model) for x in some]) for some in (points, drawn))
    return InLaw(tokens, _columns(limit), draws, between - begun, ended - between, chain, rung, on_clouds)


def resolved_state(problem: Problem, rung: Rung) -> Measure:
    """The state at ``t_end``, of the cloud of the same degree where the density is not resolved."""
    if rung.route == "density":
        try:
            last = last_state(problem, rung)
            if is_resolved(last, problem.model):
                return last
        except UnresolvedError:
            pass
    return last_state(problem, replace(rung, route="cloud"))


def last_state(problem: Problem, rung: Rung) -> Measure:
    """The state at ``t_end``."""
    start, path = start_of(problem, rung)
    return problem.followed(problem.course(start, path))


def drawn_points(measure: Measure, n: int, path: BrownianPath) -> Real:
    """n iid points of a measure, by its quadrature: a pure function of the path's seed and member, shape (n, d)."""
    if measure.points is not None:
        x, weights = measure.points, measure.masses
    else:
        x, weights = positive_quadrature(measure.grid, measure.values)  # type: ignore[attr-defined]
    u = _philox.uniforms(Address(path.seed, path.member, DRAWS, Purpose.NORMAL), n)
    return np.asarray(x[np.searchsorted(np.cumsum(weights)[:-1], u, side="right")])


def observed(measure: Measure, model: Model) -> dict[str, float]:
    """Components of the mean, overlap, powers of a few degrees and, for β > 0, the model's energy."""
    moments = measure.moments(max(POWERS))
    assert moments is not None
    spectrum = geometry(measure.dimension).power(moments)
    values = {f"mean_{name}": float(m) for name, m in zip("xyz", measure.mean, strict=False)}
    values |= {"overlap": overlap(measure)} | {f"power_{degree}": float(spectrum[degree]) for degree in POWERS}
    interaction = model_energy(model, measure)
    return values if interaction is None else values | {"energy": interaction}


def observed_tokens(x: Real, model: Model) -> dict[str, float]:
    """The same of equal tokens, rows of ``x``, from pairs of distinct ones."""
    n, d = x.shape
    values = observed(Cloud(x, np.full(n, 1 / n)), model)
    own = {"overlap": 1.0}
    own |= {f"power_{degree}": (2 * degree + 1) / (4 * np.pi) if d == 3 else 1 / np.pi for degree in POWERS}
    if "energy" in values:
        own["energy"] = _own_energy(x, model)
    return {name: (n * value - own[name]) / (n - 1) if name in own else value for name, value in values.items()}


def _own_energy(x: Real, model: Model) -> float:
    """The energy of a token with itself, Σ_h w_h (1/2β) e^{β⟨A_h x,x⟩}, its mean over the rows of ``x``."""
    own = [w * np.exp(model.beta * np.sum(apply_matrix(a, x) * x, axis=1)).mean() for w, a in model.interaction]
    return float(sum(own) / (2 * model.beta))


def _columns(rows: list[dict[str, float]]) -> dict[str, Real]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _error(values: Real) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
