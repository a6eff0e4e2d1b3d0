"""``fpsolve info --profile``: where the time of a step goes, measured on a configuration's own first steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

from fpsolve._kernels import _softmax, _sweep, _transport
from fpsolve.config import RunConfig, load_config
from fpsolve.errors import InputError
from fpsolve.instrument import Wrapped, wrapped
from fpsolve.measures import MEASURES
from fpsolve.noise import BrownianPath
from fpsolve.observe import Recorder
from fpsolve.resolution import Resolution
from fpsolve.solving import prepare
from fpsolve.sphere._shtns import shtns
from fpsolve.sphere.circle import CircleGrid, CirclePoints
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.stepping import Stepper
from fpsolve.transport.velocity import AmbientField

ROUNDS = (3, 20)
"""Runs that are measured, at least and at most, after one that is not: whatever disturbs one makes it slower."""

ENOUGH = 1.0
"""Seconds of measured runs after which no more than the least number is made."""


class Clock:
    """Seconds and calls by row; the time of a call inside another one counts for the inner row alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._inner = [0.0]

    def timed(self, label: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its calls timed for the row ``label``."""

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                elapsed = time.perf_counter() - start
                own = elapsed - self._inner.pop()
                self._inner[-1] += elapsed
                self.seconds[label] = self.seconds.get(label, 0.0) + own
                self.calls[label] = self.calls.get(label, 0) + 1

        return run

    def clear(self) -> None:
        """Forget what is counted so far."""
        self.seconds.clear()
        self.calls.clear()


@dataclass(frozen=True)
class Profile:
    """Seconds of one run: all, of the set-up, of assembling the result; rows of the steps' seconds and calls."""

    steps: int
    total: float
    set_up: float
    result: float
    seconds: dict[str, float]
    calls: dict[str, int]

    @property
    def stepping(self) -> float:
        """Seconds of all steps."""
        return self.total - self.set_up - self.result

    def as_text(self, rounds: int) -> str:
        """Rows of a step by time, the rest last, then what is done once; ``rounds``: the runs that it was taken of."""
        rows = sorted(self.seconds.items(), key=lambda row: -row[1])
        rows.append(("rest", self.stepping - sum(self.seconds.values())))
        lines = [f"{'where':<20}{'ms a step':>10}{'share':>8}{'calls a step':>14}"]
        for name, seconds in rows:
            calls = f"{self.calls[name] / self.steps:14.4g}" if name in self.calls else ""
            lines.append(f"{_milliseconds(name, seconds / self.steps)}{seconds / self.stepping:8.1%}{calls}")
        lines.append(f"{_milliseconds('a step', self.stepping / self.steps)}{1:8.1%}")
        lines += [f"{_milliseconds(*once)}  once" for once in (("set-up", self.set_up), ("result", self.result))]
        lines.append(f"{_milliseconds('all', self.total)}  {self.steps} steps, the quickest of {rounds} such runs")
        return "\n".join(lines)


def profile(config: Path, steps: int = 20) -> str:
    """A table of where the time of a step goes: milliseconds, share and calls, for the configuration's first steps.

    Rows of a step: scalar and vector synthesis and analysis, grid products, recurrence, pairwise sums, noise, drift,
    spectrum, observers; of scheme, transport and checks what none of these takes; ``rest`` is everything else. They add
    up to ``a step``. Outside the steps are ``set-up``, with the observation of the first state, and ``result``, the
    assembly of the Dataset: all = steps · a step + set-up + result. The run is cut after ``steps`` steps, rounded up to
    whole saves, done once to make plans and tables, then measured several times; the one with the quickest steps is
    shown, and the last line says of how many. Nothing is written. Raises InputError for ``steps < 1`` and what a run
    raises.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError("steps", steps, "must be an integer >= 1", "pass steps=20, for example")
    described = load_config(config)
    options = _shortened(described, steps)
    _measured(described, options)
    runs: list[Profile] = []
    least, most = ROUNDS
    while len(runs) < least or (len(runs) < most and sum(run.total for run in runs) < ENOUGH):
        runs.append(_measured(described, options))
    return min(runs, key=lambda run: run.stepping).as_text(len(runs))


def _measured(described: RunConfig, options: dict[str, Any]) -> Profile:
    """One run under clocks. Steps begin once the first state is observed, and end where the Dataset begins."""
    clock, marks = Clock(), [time.perf_counter()]
    kept: dict[str, Any] = {}

    def asked_to_stop() -> bool:  # after every step, for the first time at the start
        if len(marks) == 1:
            clock.clear()
            marks.append(time.perf_counter())
        return False

    def ended() -> None:
        marks.append(time.perf_counter())
        kept.update(seconds=dict(clock.seconds), calls=dict(clock.calls))

    def solver(model: Any, initial: Any, progress: bool, **arguments: Any) -> Any:
        return prepare(model, initial, **arguments).run(progress=progress, stop=asked_to_stop)

    assembly = Wrapped(sys.modules["fpsolve.solving"], "dataset", partial(_after, ended))
    with wrapped([*_places(clock, described.model), assembly]):
        ds = replace(described, solver=solver).solve(**options)
    called, begun, ready, done = *marks, time.perf_counter()
    reached = ds.attrs.get("stopped_at", options["t_end"])  # a policy may end a run early
    steps = max(1, round(reached / _step(described.arguments)))
    return Profile(steps, total=done - called, set_up=begun - called, result=done - ready, **kept)


def _after(first: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, before which ``first`` is called."""

    @wraps(function)
    def run(*args: Any) -> Any:
        first()
        return function(*args)

    return run


def _step(arguments: Mapping[str, Any]) -> float:
    """dt; with ``dt="auto"`` the steps end at the saved times."""
    dt = arguments["dt"]
    return float(arguments["save_every"] if dt == "auto" else dt)


def _shortened(described: RunConfig, steps: int) -> dict[str, Any]:
    """Arguments that cut the run after so many steps, a multiple of those between two saves."""
    arguments = described.arguments
    dt = _step(arguments)
    stride = max(1, round((arguments.get("save_every") or dt) / dt))
    count = min(stride * -(-steps // stride), max(1, round(arguments["t_end"] / dt)))
    return {"t_end": count * dt, "progress": False}


def _places(clock: Clock, model: Any) -> list[Wrapped]:
    """What is timed: transforms, compiled kernels, the model's fields, the path, observers, and what drives them."""
    by_row: dict[str, list[tuple[Any, tuple[str, ...]]]] = {
        "scalar synthesis": [(shtns.sht, ("SH_to_spat",)), (CircleGrid, ("to_grid",))],
        "vector synthesis": [(shtns.sht, ("SHsphtor_to_spat", "SHsph_to_spat"))],
        "scalar analysis": [(shtns.sht, ("spat_to_SH",)), (CircleGrid, ("to_modes",))],
        "vector analysis": [(shtns.sht, ("spat_to_SHsphtor",))],
        "sums at points": [
            *((at, ("scalar", "tangent", "gradient", "jet")) for at in (SpherePoints, CirclePoints)),
            (_sweep, ("at", "sweep")),
        ],
        "moments of points": [(at, ("moments",)) for at in (SpherePoints, CirclePoints)],
        "pairwise sums": [(_softmax, ("first", "first_and_second"))],
        "grid products": [(_transport, ("flux", "dot", "largest_square"))],
        "recurrence": [(_transport, ("recur_flux", "recur_skew"))],
        "Chebyshev series": [(_transport, ("polynomial_flux", "polynomial_skew", "polynomial_log"))],
        "noise": [(BrownianPath, ("increment", "normals")), (type(model), ("noise_field", "drawn"))],
        "drift": [(type(model), ("drift_field", "correction_field"))],
        "fields at sites": [(AmbientField, ("ambient",))],
        "observers": [(Recorder, ("__call__",))],
        "transport": [(one, ("transport", "diffuse")) for one in MEASURES.values()],
        "scheme": [(Stepper, ("__call__",))],
        "checks": [(sys.modules["fpsolve.stepping"], ("_check_state",)), (Resolution, ("see",))],
    }
    if callable(getattr(type(model), "spectrum", None)):  # isotropic noise alone has one
        by_row["spectrum"] = [(type(model), ("spectrum",))]
    named = ((owner, name, row) for row, pairs in by_row.items() for owner, names in pairs for name in names)
    return [Wrapped(owner, name, partial(clock.timed, row)) for owner, name, row in named]


def _milliseconds(name: str, seconds: float) -> str:
    return f"{name:<20}{1e3 * seconds:10.3f}"
