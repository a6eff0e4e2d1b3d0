"""``python -m benchmarks [--quick] [--only NAME …] [--skip NAME …] [-o FILE] [--figure FILE]``.

Runs, prints the tables and the aims, writes a JSON with the machine and versions, and draws the figure of it:
``benchmarks.json`` and ``benchmarks.png`` in the current folder unless others are named. A file that exists is
added to: the rows of the benchmarks that were run now take the place of older ones, with their own date and load.
Status 2 for what is found wrong before measuring, 1 where a benchmark failed, 130 after Ctrl-C; what was measured is
kept and drawn.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.common import aims_of, machine
from benchmarks.results import check_figure, figure_of, kept, write_figure, write_results
from fpsolve.errors import FPSolveError

BENCHMARKS = (
    "density_step",
    "ensemble_steps",
    "exponentials",
    "affine_flow",
    "spectrum_update",
    "attention_sums",
    "token_steps",
    "setup_time",
    "dedalus_step",
    "torch_attention",
    "causal_tokens",
    "network_layer",
    "ensemble_scaling",
    "cloud_ranks",
    "long_run",
    "implicit_transport",
    "ensemble_exact",
    "ensemble_bias",
    "accuracy_cost",
    "low_moments",
    "orders",
)
"""Every benchmark: a file of this folder with a function ``run(quick)`` that returns rows. The last ones take long."""

FORESEEN = (FPSolveError, RuntimeError, OSError, subprocess.SubprocessError)
"""What a sentence tells well enough: a peer or a rank that ended, above all. Anything else is shown in full."""

INTERRUPTED = 130
"""Status after Ctrl-C, as of shells."""


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for; the status of the process."""
    asked = _asked(arguments)
    try:
        results = kept(asked.output)
        figure = asked.figure or figure_of(asked.output)
        check_figure(figure)
    except FPSolveError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    try:
        status = _measure_all(asked, results)
        if status == INTERRUPTED and not results:
            return status
        write_figure(figure, results)
    except FPSolveError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    _tell(results, asked.output, figure)
    return status


def _asked(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    named = {"choices": BENCHMARKS, "action": "append", "metavar": "NAME"}
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats")
    parser.add_argument("--only", **named, help=f"this one; repeatable: {', '.join(BENCHMARKS)}")  # type: ignore[arg-type]
    parser.add_argument("--skip", **named, default=[], help="not this one; repeatable")  # type: ignore[arg-type]
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("benchmarks.json"), help="the rows and the machine (%(default)s)"
    )
    parser.add_argument("--figure", type=Path, help="their figure (the output's name with .png)")
    asked = parser.parse_args(arguments)
    asked.names = [name for name in asked.only or BENCHMARKS if name not in asked.skip]
    if not asked.names:
        parser.error("--skip leaves nothing of --only")
    return asked


def _measure_all(asked: argparse.Namespace, results: dict[str, Any]) -> int:
    """Run one after the other, the file written after each, so that nothing is lost; the status."""
    status = 0
    for name in asked.names:
        try:
            results[name] = measured(name, asked.quick)
        except KeyboardInterrupt:
            print(f"benchmarks: interrupted in {name}; what was measured before it is kept", file=sys.stderr)
            return INTERRUPTED
        except Exception as error:  # the others go on
            if not isinstance(error, FORESEEN):
                traceback.print_exc()
            print(f"benchmarks: {name} failed: {error}", file=sys.stderr)
            status = 1
            continue
        order = (*BENCHMARKS, *results)
        write_results(asked.output, dict(sorted(results.items(), key=lambda item: order.index(item[0]))))
    return status


def measured(name: str, quick: bool) -> dict[str, Any]:
    """Run one benchmark and print its table."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    what = (benchmark.__doc__ or "").strip().splitlines()[0]
    print(f"\n{name}: {what}", flush=True)
    before = machine()
    rows = benchmark.run(quick)
    print(table(rows), flush=True)
    about = {"what": what, "date": time.strftime("%Y-%m-%d"), "quick": quick, "machine": before}
    return {**about, "aims": aims_of(rows), "rows": rows}


def _tell(results: dict[str, Any], output: Path, figure: Path) -> None:
    """Every aim in the file, and where the files are."""
    aims = [{"benchmark": name, **one} for name, found in results.items() for one in found.get("aims", [])]
    if aims:
        print("\nAims\n" + table(aims))
    print(f"\nwritten: {output}, {figure}")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table; a column that a row does not have stays empty there."""
    head = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(_cell(row.get(key, "")) for key in head) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
