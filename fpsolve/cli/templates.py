"""``fpsolve new``: a commented configuration of a model that runs as it is.

Keys and defaults are those of the signatures, what stands beside them of the docstrings, so that a new model needs a
line here only for parameters that have no default, and for a start of its own.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fpsolve.cli.listing import about
from fpsolve.config import NOT_KEYS, SUM
from fpsolve.errors import unknown_name
from fpsolve.io import check_output, replacing
from fpsolve.models import MODELS
from fpsolve.plain.schema import parameters
from fpsolve.plain.toml import toml_value
from fpsolve.settings import OF_THE_CALL
from fpsolve.solving import solve

SUFFIXES = (".toml",)

WIDTH = 112
"""Of comments above a key."""

BARE, LONG = 12, 400
"""Shorter texts of docstrings are symbols, of longer ones the first sentence is taken."""

GIVEN: Mapping[str, Any] = {
    "beta": 2.0,
    "spectrum": [0.0, 4.18879],
    "matrix": [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, -0.5]],
    "weights": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
}
"""Values of parameters without a default, by name."""

OF_MODELS: Mapping[str, Mapping[str, Any]] = {
    "MultiHead": {"key_query": [1.0, -1.0], "value": [1.0, 0.5]},
    "NoisyTransformer": {"beta": 4.0, "diffusion": 0.1},
    "SynchronisationByNoise": {"activation": "tanh"},
}
"""Values of some models alone."""

TERMS = ("SelfAttention", "RandomQuadraticForm")
"""Of the sum, as an example."""

START: Mapping[str, Any] = {"name": "von_mises_fisher", "mean": [0.0, 0.6, 0.8], "kappa": 2.0}

STARTS: Mapping[str, Mapping[str, Any]] = {
    "CausalAttention": {
        "name": "points",
        "x": [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-0.8, 0.6], [-0.6, -0.8]],
        "labels": [0.2, 0.4, 0.6, 0.8, 1.0],
    },
}
"""Of models that do not start from any law."""

RUN: Mapping[str, Any] = {"t_end": 1.0, "dt": 0.01, "save_every": 0.05}
OF_DENSITIES: Mapping[str, Any] = {"measure": "density", "lmax": 31, "save_density": True}
OF_CLOUDS: Mapping[str, Any] = {"measure": "cloud", "save_points": True}

WORDS: Mapping[str, str] = {
    "beta": "inverse temperature β",
    "noise": "ε, strength of the common noise",
    "diffusion": "ν, strength of each token's own noise",
    "value": "V, a number or a (d, d) matrix",
    "path_cell": "length of the root cells of the Brownian path",
    "draws": "matrices or vectors drawn for a mean",
    "tolerance": "of a mean over drawn weights",
    "key_query_std": "deviation of the entries of A",
    "seed": "of what is drawn",
    "kind": "usa: without the denominator of the softmax, sa: with it",
    "t_end": "end of the run, which begins at 0",
    "lmax_cap": "highest degree of on_underresolved",
}
"""What is said of a parameter where no docstring does."""


def new_configuration(name: str, output: Path | None) -> str:
    """The text, or, with an output, what was written. Raises InputError for models that there are not."""
    if name not in MODELS:
        raise unknown_name("model", name, MODELS)
    text = template(name)
    if output is None:
        return text.rstrip("\n")
    target = check_output(output, False, SUFFIXES)
    with replacing(target, False) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return f"wrote {target}; run it: fpsolve run {target}"


def template(name: str) -> str:
    """The configuration of a model: what is needed stands as it is, what has a default behind a #."""
    summary, reference = about(MODELS[name])
    lines = [f"# {name}: {summary}." + (f" {reference}" if reference else "")]
    lines += ["# Keys behind a # have these values unless they are given: take the # away to change them.", ""]
    for term in TERMS if name == SUM else (name,):
        lines += ["[[model]]" if name == SUM else "[model]", f"name = {toml_value(term)}"]
        lines += [*_keys(MODELS[term], OF_MODELS.get(term, {}), _described(MODELS[term])), ""]
    start = STARTS.get(name, START)
    lines += ["# The law at t = 0: one of fpsolve models, with its keys.", "[initial]"]
    lines += [*(f"{key} = {toml_value(value)}" for key, value in start.items()), ""]
    clouds = name in STARTS
    run = {**RUN, **(OF_CLOUDS if clouds else OF_DENSITIES)}
    skip = (*NOT_KEYS, *OF_THE_CALL, *(("lmax", "rtol", "filter") if clouds else ()))
    lines += ["[solve]", *_keys(solve, run, _described(solve), skip), ""]
    lines += ["# For fpsolve ensemble: Brownian paths 0 to 15, each a run.", "# [ensemble]", "# members = 16", ""]
    return "\n".join(lines)


def _keys(call: Any, values: Mapping[str, Any], remarks: Mapping[str, str], skip: Iterable[str] = ()) -> list[str]:
    """A line for each parameter, with what is said of it above; those at their default behind a #."""
    lines = []
    for key, parameter in parameters(call, tuple(skip)).items():
        needed = parameter.default is parameter.empty
        value = values[key] if key in values else GIVEN[key] if needed else parameter.default
        text = remarks.get(key, "")
        text = WORDS[key] if len(text) < BARE and key in WORDS else text
        if text := text if len(text) < LONG else text.partition(". ")[0].partition("; ")[0]:
            lines += textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")
        written = f"{key} = …  (not set)" if value is None else f"{key} = {toml_value(value)}"
        lines.append(("" if needed or key in values else "# ") + written)
    return lines


def _described(call: Any) -> dict[str, str]:
    """What docstrings say of parameters, ``name: text.`` or ``name, other: text.``, those of a base class too."""
    known = "|".join(sorted(parameters(call), key=len, reverse=True))
    found: dict[str, str] = {}
    for one in reversed(inspect.getmro(call) if isinstance(call, type) else (call,)):
        document = " ".join((one.__doc__ or "").split())
        document = re.split(r" Raises | Returns ", document)[0]
        pattern = rf"(?:^|[.,;:] )\(?((?:{known})(?:, (?:{known}))*)\)?: "
        pieces = re.split(pattern, document)
        for names, text in zip(pieces[1::2], pieces[2::2], strict=True):
            for name in names.split(", "):
                found[name] = _plain(text)
    return found


def _plain(text: str) -> str:
    """Without the marks of docstrings: ``code``, :class:`~fpsolve.models.Homogenized`, :cite:`key`."""
    text = re.sub(r" *\(?:cite:`[^`]*`\)?", "", text)
    text = re.sub(r":\w+:`~?([^`]*)`", lambda found: found[1].removeprefix("fpsolve."), text)
    return text.replace("``", "").strip().rstrip(".;,")
