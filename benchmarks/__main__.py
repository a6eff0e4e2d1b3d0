"""``python -m benchmarks [--quick] [--only NAME …] [--skip NAME …] [-o FILE] [--figure FILE]``.

Runs, prints the tables, writes a JSON with the machine and versions, and draws the figure of it. A file that exists is
added to: the rows of the benchmarks that were run now take the place of older ones, with their own date and load.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.common import machine

BENCHMARKS = (
    "density_step",
    "spectrum_update",
    "attention_sums",
    "token_steps",
    "setup_time",
    "dedalus_step",
    "torch_attention",
    "ensemble_scaling",
    "long_run",
    "implicit_transport",
    "ensemble_exact",
    "accuracy_cost",
    "orders",
)
"""Every benchmark: a file of this folder with a function ``run(quick)`` that returns rows. The last ones take long."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="this one; repeatable")
    parser.add_argument("--skip", choices=BENCHMARKS, action="append", default=[], help="not this one; repeatable")
    parser.add_argument("-o", "--output", type=Path, help="write the rows and the machine as JSON")
    parser.add_argument("--figure", type=Path, help="draw the rows of the JSON, needs -o")
    asked = parser.parse_args()
    results: dict[str, Any] = json.loads(asked.output.read_text()) if asked.output and asked.output.exists() else {}
    for name in asked.only or BENCHMARKS:
        if name not in asked.skip:
            results[name] = measured(name, asked.quick)
            if asked.output:  # after each, so that nothing is lost
                asked.output.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if asked.figure:
        from benchmarks.figure import draw

        draw(results).savefig(asked.figure, dpi=110)


def measured(name: str, quick: bool) -> dict[str, Any]:
    """Run one benchmark and print its table."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    what = (benchmark.__doc__ or "").strip().splitlines()[0]
    print(f"\n{name}: {what}")
    before = machine()
    rows = benchmark.run(quick)
    print(table(rows))
    return {"what": what, "date": time.strftime("%Y-%m-%d"), "quick": quick, "machine": before, "rows": rows}


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    lines += ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
