"""``python -m benchmarks [--quick] [--only NAME] [-o FILE]``: run, print the tables, write a JSON with the machine."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from benchmarks import (
    attention_sums,
    dedalus_step,
    density_step,
    implicit_transport,
    long_run,
    orders,
    setup_time,
    spectrum_update,
    token_steps,
    torch_attention,
)
from benchmarks.common import machine

BENCHMARKS = {
    "density_step": density_step,
    "spectrum_update": spectrum_update,
    "attention_sums": attention_sums,
    "token_steps": token_steps,
    "setup_time": setup_time,
    "dedalus_step": dedalus_step,
    "torch_attention": torch_attention,
    "implicit_transport": implicit_transport,
    "long_run": long_run,
    "orders": orders,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer sizes and repeats")
    parser.add_argument("--only", choices=BENCHMARKS, help="one benchmark")
    parser.add_argument("-o", "--output", type=Path, help="write the rows and the machine as JSON")
    arguments = parser.parse_args()
    results: dict[str, object] = {"date": time.strftime("%Y-%m-%d"), "machine": machine()}
    for name, benchmark in BENCHMARKS.items():
        if arguments.only in (None, name):
            print(f"\n{name}: {(benchmark.__doc__ or '').strip().splitlines()[0]}")
            rows = benchmark.run(arguments.quick)
            results[name] = rows
            print(table(rows))
    if arguments.output:
        arguments.output.write_text(json.dumps(results, indent=1) + "\n")


def table(rows: list[dict[str, object]]) -> str:
    """Rows as a Markdown table."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    lines += ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
