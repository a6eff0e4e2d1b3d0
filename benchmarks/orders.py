"""Orders of convergence, long versions of the tests: intervals at 99 %, weak errors on the two-token problem.

"bias": errors against the exact expectation, local errors summed along the path and averaged over designed increments.
"coupled": plain Monte Carlo differences between dt and dt/2 on shared paths. "strong": the root mean squares of such
differences.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fpsolve as fp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.convergence.estimates import coupled_difference, order_of, squared_difference, weak_error
from tests.convergence.members import TensorNoise, ValueNoise, layer

LIE_EULER, HEUN, NINOMIYA = (fp.SCHEMES[name].step for name in ("lie_euler", "heun", "ninomiya"))
VALUE, CUBIC, LINEAR, DRIVEN = ValueNoise(), TensorNoise(), TensorNoise(1.0), TensorNoise(1.0, drift=1.0)

CHUNK = 4000
"""Members worked at once."""


def overlap(q: Any) -> Any:
    return q


def fourth_power(q: Any) -> Any:
    return q**4


BIASES = [
    ("lie_euler, value noise", LIE_EULER, VALUE, overlap, -0.3, 1.0, (8, 16, 32), (4000, 4000, 4000), 1, 1),
    ("lie_euler, k = 0.4t + 0.6t³", LIE_EULER, CUBIC, overlap, 0.6, 0.5, (16, 32, 64), (750, 750, 750), 1, 1),
    ("euler_maruyama, value noise", layer, VALUE, overlap, -0.3, 0.5, (32, 64, 128), (4000, 4000, 4000), 1, 1),
    ("euler_maruyama, k = 0.4t + 0.6t³", layer, CUBIC, overlap, -0.5, 0.5, (32, 64, 128), (750, 750, 750), 1, 1),
    ("ninomiya, k = t", NINOMIYA, LINEAR, fourth_power, 0.0, 2.0, (2, 4, 8), (4000, 4000, 20000), 2, 2),
]
"""Name, step, model, observable, overlap, T, numbers of steps, members of each, Gaussians a channel, theory."""

STRONG = [
    ("lie_euler, value noise", LIE_EULER, VALUE),
    ("lie_euler, k = 0.4t + 0.6t³", LIE_EULER, CUBIC),
    ("heun, k = t with attention drift", HEUN, DRIVEN),
    ("euler_maruyama, k = 0.4t + 0.6t³", layer, CUBIC),
]


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: problem, kind, steps, errors, order, half-width, theory, whether contained, least signal, seconds."""
    rng, share = np.random.default_rng(2026), 8 if quick else 1
    rows = []
    for name, step, model, f, q0, t_end, levels, members, gaussians, theory in BIASES:
        settings = {"gaussians": gaussians}
        args = (step, model, f, q0, t_end)
        rows.append(_row(name, "bias", theory, levels, members, weak_error, args, settings, rng, share))
    args = (LIE_EULER, VALUE, overlap, -0.3, 1.0)
    sizes = (400_000, 400_000, 1_000_000)
    rows.append(
        _row("lie_euler, value noise", "coupled", 1, (8, 16, 32), sizes, coupled_difference, args, {}, rng, share)
    )
    for name, step, model in STRONG:
        sizes = (3000, 3000, 3000)
        args = (step, model, -0.3, 0.2)
        rows.append(_row(name, "strong", 0.5, (32, 64, 128), sizes, squared_difference, args, {}, rng, share))
    return rows


def _row(
    name: str,
    kind: str,
    theory: float,
    levels: tuple[int, ...],
    members: tuple[int, ...],
    estimate: Callable[..., Any],
    args: tuple[Any, ...],
    settings: dict[str, Any],
    rng: np.random.Generator,
    share: int,
) -> dict[str, object]:
    start = time.perf_counter()
    samples = []
    for n, total in zip(levels, members, strict=True):
        chunk = CHUNK if estimate is coupled_difference else 250
        count = max(1, total // share // chunk)
        samples.append(np.concatenate([estimate(*args, n, chunk, rng, **settings) for _ in range(count)]))
    order, power = order_of(samples), 2 if kind == "strong" else 1  # strong errors are measured squared
    print(f"{kind} {name}: {order}", file=sys.stderr, flush=True)
    return {
        "problem": name,
        "kind": kind,
        "steps": ", ".join(map(str, levels)),
        "errors": ", ".join(f"{e:.2g}" for e in np.sign(order.errors) * np.abs(order.errors) ** (1 / power)),
        "order": order.value / power,
        "half-width": order.half_width / power,
        "theory": theory,
        "contained": order.contains(power * theory),
        "least signal": order.signal,
        "s": time.perf_counter() - start,
    }


def main() -> None:
    from benchmarks.__main__ import table

    print(table(run("--quick" in sys.argv)))


if __name__ == "__main__":
    main()
