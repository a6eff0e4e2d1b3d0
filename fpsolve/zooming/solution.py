"""What a zoom reads of a result: the one run in it, its configuration, and what was saved of its states."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.errors import InputError
from fpsolve.measures.base import Measure
from fpsolve.measures.build import MEASURES
from fpsolve.measures.cloud import Cloud
from fpsolve.observe.member_run import one_member
from fpsolve.observe.quantities import real_moments
from fpsolve.policies import may_follow_points
from fpsolve.settings import Settings
from fpsolve.sphere.harmonics import Real

SAVED = ("mean_vector", "moments", "overlap", "mass", "status", "flow")
"""Variables that every run, or every member, has for itself."""

INNER = ("time", "component", "harmonic", "step", "node", "potential", "mode", "part")
"""The dimensions of these in one run."""

SAME = 1e-6
"""How far moments of a run that is done again may be from those saved, and ten of its ``rtol`` besides."""

JUMP = 1e-2
"""The same before a hand-over, where the saved ones are those of a density that its degree hardly holds."""


def single_run(solution: xr.Dataset) -> xr.Dataset:
    """The Dataset without dimensions of length one that are not a run's own.

    Raises InputError for what is no Dataset, and where it holds several runs, as the result of an ensemble.
    """
    if not isinstance(solution, xr.Dataset):
        raise InputError("solution", type(solution).__name__, "not a Dataset", "pass a result of fp.solve")
    solution = one_member(solution, "solution")
    given = {str(k): n for name in SAVED if name in solution for k, n in solution[name].sizes.items() if k not in INNER}
    several = {name: size for name, size in given.items() if size != 1}
    if several:
        remedy = f"choose one, solution.isel({', '.join(f'{name}=0' for name in several)}) for example"
        raise InputError("solution", several, "holds several runs", remedy)
    return solution.squeeze(list(given))


def configuration(ds: xr.Dataset) -> dict[str, Any]:
    """What the result says of its run.

    ``t_end`` is where it ended, which a policy for densities that outgrow their degree may have made earlier. Raises
    InputError for a Dataset that is no result of ``solve``, and for runs without a cloud.
    """
    try:
        config = json.loads(ds.attrs["fpsolve_config"])
    except (KeyError, TypeError, ValueError):
        config = {}
    tables = ("model", "initial", "solve")
    if not isinstance(config, dict) or not all(isinstance(config.get(name), dict) for name in tables):
        problem = "it does not say how it was solved"
        raise InputError("solution", type(ds).__name__, problem, "pass a result of fp.solve")
    solve = config["solve"]
    missing = [name for name in Settings.__dataclass_fields__ if name not in solve]
    if missing or "name" not in config["model"] or "name" not in config["initial"]:
        problem = f"it does not say all of how it was solved ({', '.join(missing) or 'name'} is missing)"
        raise InputError("solution", type(ds).__name__, problem, "pass a result of fp.solve")
    followed = solve["measure"] == Cloud.name or MEASURES[solve["measure"]].in_place
    if not followed and not may_follow_points(solve["on_underresolved"]):
        problem = f"a run with measure={solve['measure']!r} has no flow of points"
        raise InputError("solution", solve["measure"], problem, 'solve with measure="cloud"')
    return {**config, "solve": {**solve, "t_end": ds.attrs.get("stopped_at", solve["t_end"])}}


def saved(ds: xr.Dataset, name: str) -> tuple[Real, Real]:
    """The saved times, and a variable's values at them, one row each; none where it is not there."""
    if name not in ds or "time" not in ds.coords:
        return np.empty(0), np.empty((0, 0))
    times = np.atleast_1d(ds["time"].values)
    values = ds[name].transpose("time", ...) if "time" in ds[name].dims else ds[name]
    return times, values.values.reshape(len(times), -1)


def at_time(times: Real, time: float) -> int | None:
    """Which of the saved times this one is."""
    near = np.flatnonzero(np.abs(times - time) <= 1e-9 * max(1.0, time))
    return int(near[0]) if len(near) else None


class Kept:
    """The saved mean vectors and moments of a run, to which those of the run done again are held."""

    def __init__(self, ds: xr.Dataset, rtol: float) -> None:
        self._saved = {name: saved(ds, name) for name in ("mean_vector", "moments")}
        self._methods = saved(ds, "method")
        self._tolerance = SAME + 10 * rtol

    def check(self, time: float, state: Measure, argument: str = "solution") -> None:
        """Raise InputError where what was saved at this time is not that of ``state``."""
        off = max(self._differences(time, state), default=0.0)
        if off <= self._allowed(time, state):
            return
        problem = f"at t = {time:g} its moments are not those of the same run done again, by {off:.1g}"
        raise InputError(argument, state.name, problem, "pass model= and initial= as they were given to fp.solve")

    def _differences(self, time: float, state: Measure) -> list[float]:
        found = []
        for name, (times, values) in self._saved.items():
            at = at_time(times, time)
            if at is not None:
                row = values[at][np.isfinite(values[at])]  # a sweep fills shorter rows with NaN
                found.append(_difference(row, _observed(name, state, len(row))))
        return found

    def _allowed(self, time: float, state: Measure) -> float:
        times, methods = self._methods
        at = at_time(times, time)
        return self._tolerance if at is None or methods[at, 0] == state.name else JUMP


def _difference(row: Real, other: Real | None) -> float:
    if other is None or len(row) != len(other) or not len(row):
        return np.inf
    return float(np.abs(row - other).max())


def _observed(name: str, state: Measure, count: int) -> Real | None:
    """The variable of a state, of so many numbers."""
    if name == "mean_vector":
        return state.mean
    return real_moments(state, int(np.sqrt(count)) - 1 if state.dimension == 3 else count // 2)
