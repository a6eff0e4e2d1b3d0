"""Two builds of SHTns: ``python -m benchmarks.simd_build PYTHON`` against the one of another interpreter.

The other needs NumPy and SHTns alone. Prints both builds, the largest difference of a synthesis and of an analysis
relative to the largest value, and the median times of interleaved repeats.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

LMAX, ROUNDS, REPEATS = 127, 7, 200

WORKER = """
import base64, contextlib, io, json, sys, time
import numpy as np
with contextlib.redirect_stdout(io.StringIO()):
    import shtns
lmax, repeats = int(sys.argv[1]), int(sys.argv[2])
plan = shtns.sht(lmax, lmax, 1, shtns.sht_orthonormal, 1)
plan.set_grid(200, 384, shtns.sht_quick_init | shtns.SHT_THETA_CONTIGUOUS, 0.0)
rng = np.random.default_rng(1)
modes = rng.standard_normal(plan.nlm) + 1j * rng.standard_normal(plan.nlm)
modes[: lmax + 1].imag = 0
field, back = plan.spat_array(), plan.spec_array()
def timed(work):
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats
plan.SH_to_spat(modes, field)
kept = field.copy()
synthesis = timed(lambda: plan.SH_to_spat(modes, field))
def analysis():
    scratch[:] = kept
    plan.spat_to_SH(scratch, back)
scratch = kept.copy()
analysis_time = timed(analysis)
encode = lambda a: base64.b64encode(a.tobytes()).decode()
print(json.dumps({"build": shtns.build_info(), "synthesis": synthesis, "analysis": analysis_time,
                  "field": encode(kept), "modes": encode(back)}))
"""


def measured(python: str) -> dict[str, Any]:
    """One process of this interpreter."""
    command = [python, "-c", WORKER, str(LMAX), str(REPEATS)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def difference(one: str, other: str) -> float:
    """Largest difference of two arrays over the largest value."""
    import numpy as np

    a, b = (np.frombuffer(base64.b64decode(text)) for text in (one, other))
    return float(np.abs(a - b).max() / np.abs(a).max())


def run(pythons: tuple[str, str]) -> list[dict[str, object]]:
    """A row for each build, and their ratio."""
    rounds = [[measured(python) for python in pythons] for _ in range(ROUNDS)]
    rows: list[dict[str, object]] = []
    for n in range(2):
        times = {what: 1e6 * median(found[n][what] for found in rounds) for what in ("synthesis", "analysis")}
        rows.append({"build": rounds[0][n]["build"].rpartition("id: ")[2], **{f"{k}, µs": v for k, v in times.items()}})
    ratios = {key: rows[1][key] / rows[0][key] for key in rows[0] if key != "build"}  # type: ignore[operator]
    rows.append({"build": "second over first", **ratios})
    apart = {key: difference(rounds[0][0][name], rounds[0][1][name])
             for key, name in zip(ratios, ("field", "modes"), strict=True)}  # fmt: skip
    rows.append({"build": "largest difference", **apart})
    return rows


if __name__ == "__main__":
    from benchmarks.__main__ import table

    if len(sys.argv) != 2 or not Path(sys.argv[1]).exists():
        sys.exit(__doc__)
    print(table(run((sys.executable, sys.argv[1]))))
