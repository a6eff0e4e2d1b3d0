"""``fpsolve models``: the tables of the package as text."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from collections.abc import Iterable
from typing import Any

from fpsolve.measures.initial import LAWS
from fpsolve.models import MODELS, Model
from fpsolve.schemes import SCHEMES

KINDS = ("overview", "map", "orthographic", "observables", "animation")
"""Pictures that ``fpsolve plot`` draws."""

_INDENT = 4


def tables() -> str:
    """Models, schemes and initial laws of ``fpsolve``: calculus, keys, summary and reference of each."""
    models = [(name, calculus_of(one), _keys(one), *about(one)) for name, one in MODELS.items()]
    schemes = [(name, _orders(one), *about(one)) for name, one in SCHEMES.items()]
    laws = [(name, "", _keys(one), *about(one)) for name, one in LAWS.items()]
    sections = [_section("Models", models), _section("Schemes", schemes), _section("Initial laws", laws)]
    return "\n\n".join(sections)


def calculus_of(model: Any) -> str:
    """``ito``, ``any``, …, several of them, or (a property of instances) what the parameters decide."""
    calculus = getattr(model, "calculus", None)
    if isinstance(calculus, tuple | list):
        return " or ".join(map(str, calculus))
    if isinstance(calculus, str):
        return calculus
    return "any" if calculus is Model.calculus else "ito with noise, any without"


def _keys(call: Any) -> str:
    """Its keys in a configuration, those with a default followed by it."""
    every = inspect.signature(call).parameters.values()
    defaults = ("" if one.default is one.empty else f" = {one.default!r}" for one in every)
    return ", ".join(f"{one.name}{default}" for one, default in zip(every, defaults, strict=True))


def _orders(scheme: Any) -> str:
    strong, weak = getattr(scheme, "strong_order", None), getattr(scheme, "weak_order", None)
    orders = [f"strong {strong}"] * (strong is not None) + [f"weak {weak}"] * (weak is not None)
    return ", ".join([calculus_of(scheme), *orders])


def about(thing: Any) -> tuple[str, str]:
    """Its one-line summary (the first line of its docstring if it has none) and its reference."""
    documented = [*(getattr(thing, "__doc__", None) or "").strip().splitlines(), ""][0]
    summary = getattr(thing, "summary", None) or re.sub(r" Raises .*| *:cite:`\w*`", "", documented)
    return str(summary), str(getattr(thing, "reference", "") or "")


def _section(title: str, rows: Iterable[tuple[str, ...]]) -> str:
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    lines = [title]
    for name, kind, *texts in rows:
        lines.append(f"  {name}" + (f"  [{kind}]" if kind else ""))
        for text in texts:
            pad = " " * _INDENT
            lines += textwrap.wrap(text, width, initial_indent=pad, subsequent_indent=pad)
    return "\n".join(lines)
