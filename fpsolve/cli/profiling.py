"""``fpsolve info --profile``: where the time of a step goes, measured on a configuration's own first steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from fpsolve.config import RunConfig, load_config
from fpsolve.errors import InputError

Place = tuple[Any, str, str]
"""An object, the name of one of its functions, and the row of the table that the function's time belongs to."""

ABSENT = object()


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


def profile(config: Path, steps: int = 20) -> str:
    """A table of where the time of a step goes: milliseconds, share and calls, for the configuration's first steps.

    Rows: scalar and vector synthesis and analysis, grid products, recurrence, pairwise sums, noise, drift, spectrum,
    observers; ``rest`` is everything else. The run is cut after ``steps`` steps, rounded up to whole saves, and done
    twice, the second time measured; nothing is written. Raises InputError for ``steps < 1`` and what a run raises.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError("steps", steps, "must be an integer >= 1", "pass steps=20, for example")
    described = load_config(config)
    options, count = _shortened(described, steps)
    described.solve(**options)
    clock = Clock()
    with watched(clock, _places(described.model)):
        start = time.perf_counter()
        described.solve(**options)
        total = time.perf_counter() - start
    return _table(clock, total, count)


def _shortened(described: RunConfig, steps: int) -> tuple[dict[str, Any], int]:
    """Arguments that cut the run after so many steps, a multiple of those between two saves; their number."""
    arguments = described.arguments
    dt = arguments["dt"]
    stride = max(1, round((arguments.get("save_every") or dt) / dt))
    count = min(stride * -(-steps // stride), max(1, round(arguments["t_end"] / dt)))
    return {"t_end": count * dt, "progress": False}, count


def _places(model: Any) -> list[Place]:
    """What is timed: the transforms, the compiled kernels, the model's fields, the path and the observers."""
    from fpsolve._kernels import _softmax, _transport
    from fpsolve.noise import BrownianPath
    from fpsolve.observe import Recorder
    from fpsolve.sphere._shtns import shtns
    from fpsolve.sphere.circle import CircleGrid, CirclePoints
    from fpsolve.sphere.scattered import SpherePoints
    from fpsolve.transport.velocity import AmbientField

    by_row: dict[str, list[tuple[Any, tuple[str, ...]]]] = {
        "scalar synthesis": [(shtns.sht, ("SH_to_spat",)), (CircleGrid, ("to_grid",))],
        "vector synthesis": [(shtns.sht, ("SHsphtor_to_spat", "SHsph_to_spat"))],
        "scalar analysis": [(shtns.sht, ("spat_to_SH",)), (CircleGrid, ("to_modes",))],
        "vector analysis": [(shtns.sht, ("spat_to_SHsphtor",))],
        "sums at points": [(points, ("scalar", "tangent", "gradient", "jet")) for points in (SpherePoints, CirclePoints)],
        "moments of points": [(points, ("moments",)) for points in (SpherePoints, CirclePoints)],
        "pairwise sums": [(_softmax, ("first", "first_and_second"))],
        "grid products": [(_transport, ("flux", "dot", "largest_square"))],
        "recurrence": [(_transport, ("recur_flux", "recur_skew"))],
        "noise": [(BrownianPath, ("increment", "normals")), (type(model), ("noise_field", "drawn"))],
        "drift": [(type(model), ("drift_field", "correction_field"))],
        "fields at sites": [(AmbientField, ("ambient",))],
        "spectrum": [(type(model), ("spectrum",))],
        "observers": [(Recorder, ("__call__",))],
        "set-up": [(sys.modules["fpsolve.solve"], ("build",))],
    }
    places = [(owner, name, row) for row, pairs in by_row.items() for owner, names in pairs for name in names]
    return [place for place in places if hasattr(place[0], place[1])]


@contextmanager
def watched(clock: Clock, places: list[Place]) -> Iterator[None]:
    """Time the functions; all are put back afterwards, inherited ones as inherited."""
    with ExitStack() as stack:
        for owner, name, row in places:
            own = vars(owner).get(name, ABSENT)
            setattr(owner, name, clock.timed(row, getattr(owner, name)))
            stack.callback(delattr, owner, name) if own is ABSENT else stack.callback(setattr, owner, name, own)
        yield


def _table(clock: Clock, total: float, steps: int) -> str:
    """Rows by time, the rest last; set-up stands outside the steps."""
    setup = clock.seconds.pop("set-up", 0.0)
    stepping = total - setup
    rows = sorted(clock.seconds.items(), key=lambda row: -row[1])
    rows.append(("rest", stepping - sum(clock.seconds.values())))
    lines = [f"{'where':<20}{'ms a step':>10}{'share':>8}{'calls a step':>14}"]
    for name, seconds in rows:
        calls = f"{clock.calls[name] / steps:14.4g}" if name in clock.calls else ""
        lines.append(f"{name:<20}{1e3 * seconds / steps:10.3f}{seconds / stepping:8.1%}{calls}".rstrip())
    lines.append(f"{'a step':<20}{1e3 * stepping / steps:10.3f}{1:8.1%}   over {steps} steps; set-up {setup:.2f} s")
    return "\n".join(lines)
