"""``fpsolve test``."""

from __future__ import annotations

import json

import typer

from fpsolve.cli.info import test_line
from fpsolve.cli.selftest import EXTRAS, extras, package_tests


def run_tests(as_json: bool) -> bool:
    """Tell of each test when it is done, then of optional packages; whether all have passed."""
    records = []
    for record in package_tests():
        records.append(record)
        if not as_json:
            typer.echo(f"{test_line(record)}, {record['seconds']:.1f} s")
    failed = sum(not record["passed"] for record in records)
    if as_json:
        finite = [{**one, "error": one["error"] if one["error"] < float("inf") else None} for one in records]
        typer.echo(json.dumps({"tests": finite, "extras": extras()}, indent=2, allow_nan=False))
        return not failed
    lines = [f"  {name:<10}{number or 'not installed'}  ({EXTRAS[name]})" for name, number in extras().items()]
    typer.echo("\n".join(["", "Optional packages:", *lines, ""]))
    took = sum(record["seconds"] for record in records)
    typer.echo(f"{len(records) - failed} of {len(records)} tests passed, {took:.0f} s")
    return not failed
