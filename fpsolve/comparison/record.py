"""From the runs of a comparison to its Dataset: errors against the reference, rates, costs, laws."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.cached import cached_property
from fpsolve.comparison import rates
from fpsolve.comparison.errors import as_points, discrepancy, moment_error, transport_distance
from fpsolve.comparison.law import InLaw
from fpsolve.comparison.routes import MEAN_FIELD, LadderRun, Problem, halfway, model_energy
from fpsolve.errors import Interrupted
from fpsolve.observe import Result, as_result, versions
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.harmonics import Real
from fpsolve.times import saved_time

LONG_NAMES = {
    "moments_error": "error of the low moments relative to the reference's size",
    "overlap_error": "error of the overlap",
    "energy_error": "error of the energy relative to the reference's energy",
    "discrepancy_error": "maximum mean discrepancy to the reference, kernel exp(kappa (x.y - 1))",
    "wasserstein_error": "W_2 to the reference",
    "wasserstein_resolution": "bound on the error of W_2: gathered points, grid and negative part of a density",
    "seconds": "seconds of the steps on the clock",
    "cpu_seconds": "processor seconds of the steps",
    "grid_transforms": "scalar fields transformed on grids",
    "point_transforms": "scalar fields transformed at scattered points",
    "transformed_values": "field values transformed",
    "pair_evaluations": "exponentials summed pair by pair",
    "end_moments": "real moments at the last time, to the degree of the discrepancy",
}

KEPT_DEGREE = 63
"""Moments of the last time are kept up to the degree of the discrepancy, but no further than this."""


@dataclass(frozen=True)
class Findings:
    """All runs, the reference among them, and ``witness``, the run against which the reference's error is estimated."""

    problem: Problem
    outcomes: list[LadderRun]
    reference: LadderRun
    witness: LadderRun | None
    degree: int
    kappa: float
    cells: int
    targets: tuple[float, ...]

    def errors(self, outcome: LadderRun) -> dict[str, Real]:
        """Errors against the reference at every saved time, by quantity; W_2 is apart."""
        d, exact = self.problem.d, self.reference
        pairs = list(zip(outcome.moments, exact.moments, strict=True))
        found = {
            "moments": [moment_error(a, b, self.degree, d) for a, b in pairs],
            "overlap": [abs(a - b) for a, b in zip(outcome.overlaps, exact.overlaps, strict=True)],
            "discrepancy": [discrepancy(a, b, self.kappa, d) for a, b in pairs],
        }
        if None not in exact.energies:
            both = zip(outcome.energies, exact.energies, strict=True)
            found["energy"] = [abs(a / b - 1) for a, b in both]  # type: ignore[operator]
        return {name: np.array(values) for name, values in found.items()}

    @cached_property
    def all_errors(self) -> dict[str, Real]:
        """The same of all runs, arrays (run, time)."""
        each = [self.errors(outcome) for outcome in self.outcomes]
        return {name: np.stack([errors[name] for errors in each]) for name in each[0]}

    @cached_property
    def distances(self) -> Real:
        """W_2 to the reference at the end and its resolution, shape (run, 2); the reference's own is zero."""
        pairs = [(0.0, 0.0) if one is self.reference else self._distance(one) for one in self.outcomes]
        return np.array(pairs)

    def _distance(self, outcome: LadderRun) -> tuple[float, float]:
        if self.problem.stop():
            raise Interrupted(self.problem.t_end)
        return transport_distance(outcome.last, self.reference.last, self.cells)

    @cached_property
    def reference_error(self) -> dict[str, float]:
        """The reference's own error at the end, estimated by its distance from the witness; NaN without one."""
        if self.witness is None:
            return {name: np.nan for name in self.all_errors}
        return {name: float(values[-1]) for name, values in self.errors(self.witness).items()}

    @cached_property
    def second_order(self) -> dict[str, Real]:
        """B(δ, δ), δ = μ_N - μ, of the quadratic functionals at the end for every run of tokens, in units of errors.

        |δ's mean|² for the overlap and 2E(μ_N) + 2E(μ) - 4E(½(μ_N + μ)) for the energy.
        """
        reference = as_points(self.reference.last)[0]
        tokens = [one for one in self.outcomes if one.rung.route == "tokens"]
        apart = np.array([one.means[-1] for one in tokens]) - self.reference.means[-1]
        found = {"overlap": np.sum(apart**2, axis=1)}
        if "energy" in self.all_errors:
            model, own = self.problem.model, model_energy(self.problem.model, reference)
            parts = [(one.energies[-1], model_energy(model, halfway(one.last, reference))) for one in tokens]
            energy, middle = np.array(parts, float).T
            found["energy"] = (2 * energy + 2 * float(own or np.nan) - 4 * middle) / self.reference.energies[-1]
        return found

    def column(self, name: str) -> Any:
        """One attribute of every run."""
        return np.array([getattr(outcome, name) for outcome in self.outcomes])

    @cached_property
    def routes(self) -> Any:
        """The route of every run."""
        return np.array([outcome.rung.route for outcome in self.outcomes])

    @cached_property
    def sizes(self) -> Any:
        """The size of every run."""
        return np.array([outcome.rung.size for outcome in self.outcomes])


def dataset(findings: Findings, law: InLaw | None, config: dict[str, Any], left_out: list[str]) -> Result:
    """The comparison as a Dataset, with its configuration, versions and what was left out inside."""
    ds = _runs(findings).merge(_rates(findings)).merge(_costs(findings))
    if law is not None:
        ds = ds.merge(_laws(law))
    reference, witness = findings.reference.rung, findings.witness
    other = "none" if witness is None else f"{witness.rung.route} of degree {witness.rung.size}"
    left_out = [*left_out, *_without_distance(findings)]
    return as_result(ds).assign_attrs(
        Conventions="CF-1.11",
        title=f"fpsolve: comparison, {config['model']['name']}",
        reference=f"{reference.route} of degree {reference.size}",
        reference_error_from=other,
        moments_lmax=findings.degree,
        kappa=findings.kappa,
        wasserstein_cells=findings.cells,
        left_out=json.dumps(left_out, ensure_ascii=False),
        fpsolve_config=json.dumps(config, default=str),
        fpsolve_versions=json.dumps(versions()),
    )


def _runs(findings: Findings) -> xr.Dataset:
    """What each run saw, cost and missed."""
    d, outcomes = findings.problem.d, findings.outcomes
    sphere = geometry(d)
    low = [[sphere.to_real(sphere.resized(m, findings.degree)) for m in o.moments] for o in outcomes]
    degrees, orders = sphere.real_degrees_orders(findings.degree)
    ds = xr.Dataset(
        {
            "mean_vector": (("run", "time", "component"), findings.column("means")),
            "overlap": (("run", "time"), findings.column("overlaps")),
            "moments": (("run", "time", "harmonic"), np.array(low)),
        },
        {
            "route": ("run", findings.routes),
            "size": ("run", findings.sizes, {"long_name": "degree, or number of tokens"}),
            "sample": ("run", np.array([outcome.rung.sample for outcome in outcomes])),
            "points": ("run", findings.column("points"), {"long_name": "points of the grid or the cloud"}),
            "time": ("time", np.array([saved_time(t) for t in findings.reference.times])),
            "component": list("xyz"[:d]),
            "degree": ("harmonic", degrees),
            "order": ("harmonic", orders),
        },
    )
    kept = min(findings.problem.degree, KEPT_DEGREE)
    ells, ems = sphere.real_degrees_orders(kept)
    ds = ds.assign_coords(end_degree=("end_harmonic", ells), end_order=("end_harmonic", ems))
    at_end = [sphere.to_real(sphere.resized(o.moments[-1], kept)) for o in outcomes]
    ds["end_moments"] = (("run", "end_harmonic"), np.array(at_end))
    if "energy" in findings.all_errors:
        ds["energy"] = (("run", "time"), findings.column("energies").astype(float))
    for name, values in findings.all_errors.items():
        ds[f"{name}_error"] = (("run", "time"), values)
    if findings.cells:
        ds["wasserstein_error"], ds["wasserstein_resolution"] = (("run", column) for column in findings.distances.T)
    for name in ("seconds", "cpu_seconds", "grid_transforms", "point_transforms"):
        ds[name] = ("run", findings.column(name))
    ds["transformed_values"] = ("run", findings.column("values"))
    ds["pair_evaluations"] = ("run", findings.column("pair_evaluations"))
    for name, text in LONG_NAMES.items():
        if name in ds:
            ds[name].attrs.update(long_name=text, units="s" if name.endswith("seconds") else "1")
    return ds


def _without_distance(findings: Findings) -> list[str]:
    """Sentences on runs that have no W_2."""
    if not findings.cells:
        return []
    lost = [one.rung for one in findings.outcomes if not np.isfinite(as_points(one.last)[1])]
    return [f"wasserstein: the {r.route} of degree {r.size} is negative or under-resolved, no quadrature" for r in lost]


def _rates(findings: Findings) -> xr.Dataset:
    """The rate in N of each quantity at the end, and the reference's own error."""
    tokens = findings.routes == "tokens"
    sizes = findings.sizes[tokens].astype(float)
    floors: dict[str, Any] = dict(findings.reference_error)
    errors = {name: values[tokens, -1] for name, values in findings.all_errors.items()}
    if findings.cells:
        errors["wasserstein"] = findings.distances[tokens, 0]
        floors["wasserstein"] = findings.distances[tokens, 1]
    rows, verdicts, shares = [], [], []
    for name, found in errors.items():
        kept = rates.resolved_sizes(sizes, found, np.where(np.isfinite(floors[name]), floors[name], 0.0))
        rows.append(rates.fit_rate(sizes[kept], found[kept]))
        second = findings.second_order.get(name)
        share = None if second is None else rates.shares(sizes[kept], found[kept], second[kept])
        verdicts.append("-" if name == "wasserstein" else rates.verdict(rows[-1], share))
        shares.append((np.nan, np.nan) if share is None else share)
    names = {
        "rate": ("value", "exponent p of error = C N^p of iid tokens"),
        "rate_low": ("low", "lower end of the 99 % interval"),
        "rate_high": ("high", "upper end of the 99 % interval"),
        "rate_count": ("count", "runs behind the rate"),
    }
    values: dict[str, Any] = {
        name: ("quantity", np.array([getattr(row, key) for row in rows]), {"long_name": text})
        for name, (key, text) in names.items()
    }
    values["rate_verdict"] = ("quantity", np.array(verdicts), {"long_name": "whether the interval contains -1/2"})
    text = "share of the second variation in the errors at the smallest and the largest N of the fit"
    values["second_order"] = (("quantity", "end"), np.array(shares), {"long_name": text})
    text = "error of the reference, for W_2 the resolution"
    values["reference_error"] = ("quantity", np.array([np.max(floors[name]) for name in errors]), {"long_name": text})
    return xr.Dataset(values, {"quantity": list(errors), "end": ["smallest", "largest"]})


def _costs(findings: Findings) -> xr.Dataset:
    """What each target costs by each route."""
    solvers = [route for route in (*MEAN_FIELD, "tokens") if route in findings.routes]
    table = [[_cost(findings, solver, target) for target in findings.targets] for solver in solvers]
    names = {
        "cost_size": ("size", "degree or number of tokens that reaches the target"),
        "cost_seconds": ("seconds", "processor seconds of its steps"),
        "cost_values": ("values", "field values transformed"),
        "cost_pairs": ("pairs", "exponentials summed pair by pair"),
        "cost_status": ("status", "how the cost is known"),
    }
    values = {
        name: (("solver", "target"), np.array([[getattr(cost, key) for cost in row] for row in table]))
        for name, (key, _) in names.items()
    }
    ds = xr.Dataset(values, {"solver": solvers, "target": np.array(findings.targets)})
    for name, (_, text) in names.items():
        ds[name].attrs["long_name"] = text
    return ds


def _cost(findings: Findings, solver: str, target: float) -> rates.Cost:
    of_route = findings.routes == solver
    sizes, errors = findings.sizes[of_route], findings.all_errors["moments"][of_route, -1]
    costs = np.array([findings.column(name)[of_route] for name in ("cpu_seconds", "values", "pair_evaluations")], float)
    if solver == "tokens":
        each = np.unique(sizes)
        rms = np.array([np.sqrt(np.mean(errors[sizes == n] ** 2)) for n in each])
        means = np.stack([costs[:, sizes == n].mean(axis=1) for n in each], -1)
        return rates.token_cost(each.astype(float), rms, means, target)
    floor = findings.reference_error["moments"]
    errors = np.where(errors == 0, floor, errors)  # the reference itself is as good as its own error
    return rates.mean_field_cost(sizes, errors, costs, target, floor)


def _laws(law: InLaw) -> xr.Dataset:
    """Both laws, for each observable."""
    names, *columns = zip(*law.rows(), strict=True)
    titles = ("limit_mean", "limit_mean_error", "transformer_mean", "transformer_mean_error", "difference", "ks_level")
    values: dict[str, Any] = {
        title: ("observable", np.array(column)) for title, column in zip(titles, columns, strict=True)
    }
    values["difference"] = (*values["difference"], {"long_name": "difference in standard errors"})
    each = {"limit_values": law.limit, "limit_drawn_values": law.limit_drawn, "transformer_values": law.transformer}
    for title, members in each.items():
        values[title] = (("observable", "member"), np.stack([members[name] for name in names]))
    values |= {"limit_seconds": law.limit_seconds, "transformer_seconds": law.transformer_seconds}
    described = {key: getattr(law.chain, key) for key in ("n", "heads", "depth", "step")}
    described["limit"] = law.limit_by
    ds = xr.Dataset(values, {"observable": list(names)})
    ds["transformer_mean"].attrs["transformer"] = json.dumps(described)
    return ds
