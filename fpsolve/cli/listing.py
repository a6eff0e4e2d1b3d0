"""``fpsolve models``: the tables of the package as text."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable
from typing import Any

KINDS = ("overview", "map", "orthographic", "observables", "animation")
"""Pictures that ``fpsolve plot`` draws."""

_INDENT = 4


def tables() -> str:
    """Models, schemes and initial laws of ``fpsolve``, each with its name, calculus, summary and
    reference."""
    import fpsolve

    models = [(name, calculus_of(model), *_about(model)) for name, model in fpsolve.MODELS.items()]
    schemes = [(name, _orders(scheme), *_about(scheme)) for name, scheme in fpsolve.SCHEMES.items()]
    laws = [(name, "", *_about(law)) for name, law in fpsolve.initial.LAWS.items()]
    return "\n\n".join(
        [_section("Models", models), _section("Schemes", schemes), _section("Initial laws", laws)]
    )


def calculus_of(model: Any) -> str:
    """``ito``, ``any``, …, several of them, or (a property of instances) what the parameters decide."""
    calculus = getattr(model, "calculus", None)
    if isinstance(calculus, tuple | list):
        return " or ".join(map(str, calculus))
    return calculus if isinstance(calculus, str) else "calculus by parameters"


def _orders(scheme: Any) -> str:
    strong, weak = getattr(scheme, "strong_order", None), getattr(scheme, "weak_order", None)
    orders = [f"strong {strong}"] * (strong is not None) + [f"weak {weak}"] * (weak is not None)
    return ", ".join([calculus_of(scheme), *orders])


def _about(thing: Any) -> tuple[str, str]:
    """Its one-line summary (the first line of its docstring if it has none) and its reference."""
    documented = (getattr(thing, "__doc__", None) or "").strip().splitlines()
    summary = getattr(thing, "summary", None) or (documented[0] if documented else "")
    return str(summary), str(getattr(thing, "reference", "") or "")


def _section(title: str, rows: Iterable[tuple[str, str, str, str]]) -> str:
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    lines = [title]
    for name, kind, summary, reference in rows:
        lines.append(f"  {name}" + (f"  [{kind}]" if kind else ""))
        for text in (summary, reference):
            pad = " " * _INDENT
            lines += textwrap.wrap(text, width, initial_indent=pad, subsequent_indent=pad)
    return "\n".join(lines)
