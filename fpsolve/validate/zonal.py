r"""Laws about an axis in every dimension: against densities of S², closed forms, tokens, and what papers say of them.

Bend of the branch that leaves the uniform law in degree 1, ρ = 1 + a P_1 + …, ν = ν_c (1 - κ a² + …). From log ρ =
M/(βν) (USA) or log M/(βν) (SA) up to a constant, P_1² = 1 + g P_2 and ∫P_1⁴ = 1 + g² = 3d/(d+2), with α = λ_1/λ_0, r =
λ_2/λ_1,

    USA  κ = [d - (d-1)/(1-r)] / (d+2),    SA  κ = (1-α) [d(1+α) - (d-1)(1-rα)/(1-r)] / (d+2).

USA's changes its sign where r = 1/d, which is β_*; SA's would where r = (1+dα)/(d+α) > α, but r < α: it is continuous
for every β and d.

Late clustering. Where nearly all of μ is at e, a neighbour at the angle θ follows θ̇ = -θ (USA -e^β θ), and one at the
angle θ' from -e leaves it by θ̇' = θ' (USA e^{-β} θ'). Of a density that is positive at -e the part left there falls as
θ'^{d-1}; so 1 - ∫⟨x,e⟩dμ falls at the lesser of the rates 2 and d-1 (USA 2e^β and (d-1)e^{-β}), where these are equal,
SA in d = 3, as (a + bt)e^{-2t}.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fpsolve import theory
from fpsolve.attention.multipliers import ratios
from fpsolve.measures import initial
from fpsolve.measures.build import build
from fpsolve.measures.density import Density
from fpsolve.measures.zonal import ZonalDensity
from fpsolve.measures.zonal_cloud import ZonalCloud
from fpsolve.models.base import Model
from fpsolve.models.noisy_transformer import NoisyTransformer
from fpsolve.models.self_attention import SelfAttention
from fpsolve.models.unnormalised import UnnormalisedSelfAttention
from fpsolve.sphere.harmonics import Real
from fpsolve.stationary.branching import branch_off
from fpsolve.validate.growth import secant
from fpsolve.validate.measure import end, estimate, order, statistical
from fpsolve.validate.rows import Row

DIMENSIONS = (2, 3, 5, 8, 64, 512)

MODELS = {"sa": SelfAttention, "usa": UnnormalisedSelfAttention}

SMALL, SHORT = 1e-6, 0.2
"""Amplitude and time over which growth is measured."""

AMPLITUDE = 0.02
"""At which the bend of a branch is measured, to O(amplitude²)."""

MEMBERS = 24
"""Sets of tokens of one size."""

CASES = ((2, 5.0), (3, 10.0), (2, 1.0), (2, 12.0), (3, 2.0), (3, 25.0), (8, 4.0), (8, 25.0))
"""(d, β) of plateaus, two of them quick."""


def rows(quick: bool, seed: int) -> Iterator[Row]:
    """Growth rates, the density of S², the bend of branches and β_*(d), fastest degrees and late clustering."""
    yield from growth_rows((8, 512) if quick else DIMENSIONS)
    yield from sphere_rows()
    yield from bend_rows(quick)
    yield from plateau_rows(quick)
    yield from clustering_rows(quick)


def growth_rows(dimensions: tuple[int, ...]) -> Iterator[Row]:
    """Degrees 1 and 2 of the uniform law, at β = 2 and √d."""
    for d in dimensions:
        for kind, model in MODELS.items():
            for degree in (1, 2):
                beta = max(2.0, np.sqrt(d))
                exact = float(theory.uniform_growth_rate(degree, beta, kind, d))
                c = np.eye(8)[0] + SMALL * np.eye(8)[degree]
                time = min(SHORT, 1 / exact)
                last = end(model(beta), ZonalDensity.of(c, d, 1e-9), time, time / 8)
                computed = float(np.log(last.coefficients[degree] / SMALL) / time)
                name = f"{kind.upper()}, d = {d}, zonal"
                yield Row(name, f"growth rate of degree {degree}", exact, computed, 1e-5 * exact)


def sphere_rows() -> Iterator[Row]:
    """The mean on S² after t = 1 and 0.5, zonal against the density of S²."""
    law = initial.von_mises_fisher([0.0, 0.0, 1.0], 2.0)
    for kind, time in (("sa", 1.0), ("usa", 0.25)):
        model = MODELS[kind](2.0, diffusion=0.05)
        by_density = end(model, Density.from_law(law, lmax=47, rtol=1e-11), time, time / 10)
        zonal = end(model, ZonalDensity.from_law(law, lmax=47, rtol=1e-9), time, time / 10)
        exact, computed = float(by_density.mean[2]), zonal.axis_mean
        yield Row(f"noisy {kind.upper()}, d = 3", f"mean at t = {time:g}, zonal and on S²", exact, computed, 1e-10)


def bend(beta: float, d: int, kind: str) -> float:
    """κ of this module, closed form."""
    alpha, r = ratios(d, 1, beta)
    if kind == "usa":
        return float((d - (d - 1) / (1 - r)) / (d + 2))
    return float((1 - alpha) * (d * (1 + alpha) - (d - 1) * (1 - r * alpha) / (1 - r)) / (d + 2))


def measured_bend(beta: float, d: int, kind: str) -> float:
    """κ from the state at a small amplitude."""
    threshold = float(theory.critical_diffusion(beta, d, kind))
    model = NoisyTransformer(beta, threshold, kind)  # type: ignore[arg-type]
    state = branch_off(model, 1, amplitude=AMPLITUDE, lmax=15, d=d, measure="zonal", solver="numpy")
    return (1 - state.model.diffusion / threshold) / AMPLITUDE**2


def bend_rows(quick: bool) -> Iterator[Row]:
    """SA bends to lower ν at every β, USA changes its side at β_*(d)."""
    for d in (8,) if quick else (2, 3, 8, 64, 512):
        for beta in (0.5, 5.0) if quick else (0.5, 2.0, 5.0, 20.0, 100.0):
            exact, computed = bend(beta, d, "sa"), measured_bend(beta, d, "sa")
            yield Row(f"noisy SA, d = {d}, β = {beta:g}", "bend of the branch", exact, computed, 5e-3 * exact)
        exact = float(theory.transition_beta(d))

        def by_beta(beta: float, d: int = d) -> float:
            return measured_bend(beta, d, "usa")

        found = secant(by_beta, 0.95 * exact, 1.05 * exact, steps=3)
        yield Row(f"noisy USA, d = {d}", "β_* from branches", exact, found, 5e-3 * exact)


def plateau_rows(quick: bool) -> Iterator[Row]:
    """The degree that leads the plateau after small perturbations of degrees 1 to 10 of the uniform law."""
    for d, beta in CASES[:2] if quick else CASES:
        rates = theory.uniform_growth_rate(np.arange(1, 11), beta, "sa", d)
        c = np.concatenate([[1.0], np.full(10, 1e-6), np.zeros(13)])
        time = float(np.log(1e4) / rates.max())
        last = end(SelfAttention(beta), ZonalDensity.of(c, d, 1e-6), time, time / 20)
        computed = int(np.argmax(np.abs(last.coefficients[1:]))) + 1
        name = f"SA from the uniform law, d = {d}, β = {beta:g}"
        yield Row(name, "degree of the plateau", int(np.argmax(rates)) + 1, computed, 0.5, "arXiv:2410.23228")


def shortfall(cloud: ZonalCloud) -> float:
    """1 - ∫⟨x,e⟩dμ = ∫ 2 sin²(θ/2) dμ, without cancellation."""
    return float(np.sum(cloud.weights * 2 * np.sin(cloud.theta / 2) ** 2))


def falls(model: Model, d: int, times: Real) -> Real:
    """:func:`shortfall` at equidistant times, from κ = d/2."""
    law = initial.axial(d, d / 2)
    cloud, step, found = ZonalCloud.from_law(law, lmax=127, rtol=1e-7).without_density(), float(times[1] - times[0]), []
    for n, t in enumerate(times.tolist()):
        cloud = end(model, cloud, t if n == 0 else step, t / 8 if n == 0 else step)
        found.append(shortfall(cloud))
    return np.array(found)


def clustering_rows(quick: bool) -> Iterator[Row]:
    """Rates of late clustering in d = 3, 16, 256: arXiv:2504.14697 has that they are exponential."""
    note = "arXiv:2504.14697; the rate is derived in fpsolve.validate.zonal"
    for d in (16,) if quick else (3, 16, 256):
        times = np.array([6.0, 7.0, 8.0])
        late = falls(SelfAttention(2.0), d, times)
        if d == 3:
            steps = np.diff(late * np.exp(2 * times))
            yield Row("SA, d = 3, β = 2", "(1 - mean) e^{2t} grows as t", 1.0, float(steps[1] / steps[0]), 2e-2, note)
        else:
            yield Row(f"SA, d = {d}, β = 2", "rate of 1 - mean", 2.0, float(np.log(late[1] / late[2])), 1e-4, note)
        beta = 0.5
        exact = min(2 * np.exp(beta), (d - 1) * np.exp(-beta))
        late = falls(UnnormalisedSelfAttention(beta), d, np.array([10.0, 10.5]) if d == 3 else np.array([5.0, 5.5]))
        computed = float(2 * np.log(late[0] / late[1]))
        yield Row(f"USA, d = {d}, β = {beta}", "rate of 1 - mean", exact, computed, 2e-3, note)


def token_rows(quick: bool, seed: int) -> Iterator[Row]:
    """N iid tokens in R^d against the zonal law, their mean along the axis: its spread as N^{-1/2}, its bias O(1/N).

    The bias is about -1.2/N in d = 64: at N = 64 more than the spread.
    """
    model, time = SelfAttention(1.0), 1.0
    for d in (8,) if quick else (8, 64):
        law = initial.axial(d, d / 2)
        exact = end(model, ZonalCloud.from_law(law, lmax=63, rtol=1e-8), time, 0.25).axis_mean
        sizes, deviations = (32, 512) if quick else (32, 128, 512), []
        for n in sizes:
            samples = (initial.samples(law, n, seed, member) for member in range(MEMBERS))
            means = [end(model, build(one, "cloud", 7, 1e-5), time, 0.5).mean[-1] for one in samples]
            deviations.append(float(np.std(means, ddof=1)))
        yield statistical(f"SA, d = {d}, N = {sizes[-1]}", "mean along the axis", exact, means, bias=3.0 / sizes[-1])
        slope = order(np.array(sizes), np.array(deviations))
        error = float(np.sqrt(1 / MEMBERS) / np.log(sizes[-1] / sizes[0]))
        yield estimate(f"tokens of SA, d = {d}", "order of the spread in N", -0.5, slope, error)
