"""The tables of the README and of the pages, made from the package: ``python docs/tables.py`` writes them anew.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``; a test checks that they are these.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import fpsolve as fp
from fpsolve.measures import MEASURES
from fpsolve.measures.build import build
from fpsolve.observe import OBSERVABLES

HERE = Path(__file__).resolve().parent
PAGES = (HERE.parent / "README.md", *(HERE / f"{page}.md" for page in "long-times theory benchmarks networks".split()))
MEASURED = HERE / "benchmarks.json"
NETWORKS = HERE.parent / "tests" / "transformer" / "data" / "networks.json"
"""Pages with tables."""
BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

MINIMAL = {
    "beta": 1.0,
    "spectrum": (1.0,),
    "key_query": (1.0,),
    "value": (1.0,),
    "matrix": ((1.0, 0.0), (0.0, -1.0)),
    "diffusion": 0.1,
    "step": 0.1,
    "weights": ((1.0, 0.0),),
    "models": (fp.models.SelfAttention(1.0),),
}
"""Values for parameters without a default."""

CARRIES = {
    "density": ("harmonic coefficients ρ_ℓm, ℓ ≤ `lmax`", "yes", "smooth times, fields, spectra, ν > 0"),
    "half_density": ("coefficients of ψ = √ρ, ρ = ψ² ≥ 0", "no", "positivity, while resolved"),
    "log_density": ("coefficients of φ = log ρ, ρ = e^φ > 0", "yes", "concentrated laws, far attention, the tail of ρ"),
    "zonal": ("Gegenbauer coefficients of laws about an axis", "yes", "any d, no common noise, A and V multiples of I"),
    "zonal_cloud": ("circles of latitude with weights", "no", "the same for long times and concentrated laws"),
    "causal_density": (
        "coefficients ρ_ℓm of each of P cells of positions", "yes", "causal attention, a law for each position"
    ),
    "cloud": ("weighted points: a quadrature of the law, or tokens", "tokens only", "long times, any d (tokens)"),
}
"""What each measure stores, whether it carries the tokens' own noise ν, and what it is for."""


def models() -> str:
    """System, parameters and reading of the noise of every model."""
    rows = []
    for name, cls in fp.MODELS.items():
        parameters = inspect.signature(cls).parameters.values()
        minimal = {p.name: MINIMAL[p.name] for p in parameters if p.default is p.empty}
        keys = ", ".join(f"`{p.name}`" for p in parameters)
        rows.append((f"`{name}`", cls.summary, keys, f"`{cls(**minimal).calculus}`", cls.reference))
    return _table(("model", "system", "parameters", "calculus", "source"), rows)


def schemes() -> str:
    """Calculus, orders and measures of every scheme."""
    rows = []
    for name, one in fp.SCHEMES.items():
        calculus = "no noise" if one.deterministic else ", ".join(f"`{c}`" for c in one.calculus)
        where = "all" if one.measures is None else ", ".join(f"`{m}`" for m in one.measures)
        orders = [_order(one.strong_order), _order(one.weak_order)]
        rows.append((f"`{name}`", one.summary.replace("<-", "←"), calculus, *orders, where, one.reference))
    return _table(("scheme", "a step", "calculus", "strong", "weak", "measures", "source"), rows)


def measures() -> str:
    """What every measure stores and carries."""
    rows = [(f"`{name}`", f"`fp.{cls.__name__}`", *CARRIES[name]) for name, cls in MEASURES.items()]
    return _table(("measure", "class", "state", "own noise ν", "for"), rows)


def policies() -> str:
    """What every policy does, and what a result says of it."""
    rows = []
    for name, one in fp.policies.POLICIES.items():
        notes = ", ".join(f"`{note.name}`" for note in one.notes)
        rows.append((f'`"{name}"`', f"`{one.__name__}`", one.sentence, notes))
    return _table(("value", "`fp.policies.`", "once a state is no longer resolved", "attributes"), rows)


def laws() -> str:
    """Every initial law with its parameters."""
    rows = []
    for name, make in fp.initial.LAWS.items():
        keys = ", ".join(inspect.signature(make).parameters)
        text = (inspect.getdoc(make) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
        text = re.sub(r" Raises .*| *:cite:`\w*`|\.$", "", text).rstrip(".").replace("|", "\\|")
        rows.append((f"`{name}({keys})`", text))
    return _table(("`fp.initial.`", "law"), rows)


def dataset() -> str:
    """The variables of a result."""
    state = build(fp.initial.uniform(), "density", 4, 1e-6)
    rows = []
    for name, one in OBSERVABLES.items():
        if not one.coordinate:
            dims = ", ".join([*["time"] * (not one.once), *one.dims_of(state)])
            where = ", ".join(one.measures or ("all",)) + (f"; {one.where}" if one.where else "")
            rows.append((f"`{name}`", f"({dims})", one.long_name, where))
    return _table(("variable", "dimensions", "meaning", "measures"), rows)


def theory() -> str:
    """First lines of what ``fp.theory`` offers."""
    rows = []
    for name in fp.theory.__all__:
        thing = getattr(fp.theory, name)
        text = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")
        text = re.sub(r" *:cite:`\w*`|:\w+:|; arguments broadcast|\.$", "", text)
        rows.append((f"`{name}`", text.replace("|", "\\|")))
    return _table(("`fp.theory.`", "what it is"), rows)


def benchmarks() -> str:
    """The rows of the last measurement, a section for each benchmark, with its date and load."""
    parts = []
    for name, found in json.loads(MEASURED.read_text(encoding="utf-8")).items():
        how = f"{found['date']}, load {found['machine']['load']} when it began" + ", `--quick`" * found["quick"]
        head = list(dict.fromkeys(key for row in found["rows"] for key in row))
        rows = [[_number(row.get(key, "")) for key in head] for row in found["rows"]]
        told = f"{found['what']} `python -m benchmarks --only {name}`, {how}."
        parts.append(f"## {name}\n\n{told}\n\n{_table(head, rows)}")
    return "\n".join(parts)


def speed() -> str:
    """The figures of the last measurement that the README shows."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    rows = []
    for row in found["density_step"]["rows"]:
        measured = f"{row['step_ms']:.3g} ms, {100 * row['outside_shtns']:.0f} %"
        what = f"a density step, {row['model']}, at ℓmax = {row['lmax']}: time, share outside its transforms"
        rows.append((what, measured, row.get("aim", ""), "density_step"))
    rows += _once_and_long(found)
    for name in ("dedalus_step", "torch_attention"):
        for row in found[name]["rows"]:
            if isinstance(row.get("ratio"), float):
                what = row.get("scheme") or f"direct sum of {row['tokens']} tokens"
                ours = f"ours (`{row['transport']}`)" if "transport" in row else "ours"
                told = f"{row['peer']}: {what}, its time over {ours}"
                rows.append((told, f"{row['ratio']:.3g}", row.get("aim", ""), name))
    for row in found.get("accuracy_cost", {}).get("rows", []):
        if row["aim"]:
            told = f"1e-3 in the low moments, {row['model']}: processor time of iid tokens over a {row['route']}'s"
            rows.append((told, f"{row['tokens_over_it']:.2g}", row["aim"], "accuracy_cost"))
    about = found["density_step"]
    told = f"{about['machine']['processor']}, {about['date']}, load {about['machine']['load']}; one core.\n\n"
    head = ("what", "measured", "aim", "`python -m benchmarks --only`")
    if not any(row[2] for row in rows):  # a measurement without aims
        head, rows = (*head[:2], head[3]), [(*row[:2], row[3]) for row in rows]
    return told + _table(head, rows)


def _once_and_long(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """The README's rows of set-up, of attention sums and of long runs."""
    rows = []
    for row in found["setup_time"]["rows"]:
        if row["what"] == "all but the import":
            told = f"set-up at ℓmax = 255, {row['model']}: all but the import"
            rows.append((told, f"{row['seconds']:.3g} s", row["aim"], "setup_time"))
    for row in found["attention_sums"]["rows"]:
        if row["tokens"] == 2000:
            told = "attention of 2000 tokens: time of the direct sum over that by moments"
            rows.append((told, f"{row['ratio']:.3g}", row["aim"], "attention_sums"))
    for row in found["long_run"]["rows"]:
        if row["growth_kB"] != "":
            told = f"{row['run']}, {row['steps']} steps: growth of the process"
            rows.append((told, f"{row['growth_kB']:.0f} kB", row["aim of growth"], "long_run"))
    return rows


def aims() -> str:
    """Every aim of the last measurement and whether it is reached, a line for each row that has one."""
    found = json.loads(MEASURED.read_text(encoding="utf-8"))
    rows = [
        (name, one["row"], f"`{one['column']}`", _number(one["measured"]), one["aim"])
        for name, benchmark in found.items()
        for one in benchmark.get("aims", [])
    ]
    return _table(("benchmark", "row", "column", "measured", "aim"), rows)


def networks() -> str:
    """Networks measured at random initialisation against their predictions."""
    rows = []
    for name, found in json.loads(NETWORKS.read_text(encoding="utf-8"))["cases"].items():
        measured, predicted = found["mean_overlap"]["mean"], found["predicted"]
        overlaps = [f"{values[1]:.3f}, {values[-1]:.3f}" for values in (measured, predicted["mean_overlap_by_layer"])]
        off = [f"{predicted['mean_overlap'][2]:.3f}"]
        off += [f"{100 * predicted[key][2]:.1f} %" for key in ("mean_square", "attention_entropy")]
        rows.append((name, str(found["seeds"]), *overlaps, *off))
    head = ("network", "seeds", "overlap after layer 1, last", "predicted", "most off", "squared norm", "entropy")
    return _table(head, rows)


def network_layer() -> str:
    """A layer of a predicted network against the same layer of torch."""
    rows = []
    for row in json.loads(MEASURED.read_text(encoding="utf-8"))["network_layer"]["rows"]:
        numbers = [f"{row[key]:.2g}" for key in ("ratio", "over_apply")]
        rows.append((str(row["d"]), str(row["tokens"]), row["way"], *numbers))
    return _table(("d", "n", "way", "torch's layer, drawn and applied, over ours", "applied alone, over ours"), rows)


def bench_machine() -> str:
    """The machine and versions of the last measurement."""
    last = list(json.loads(MEASURED.read_text(encoding="utf-8")).values())[-1]["machine"]
    return _table(("what", "value"), [(key, value) for key, value in last.items() if key != "load"])


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _order(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


MADE = (models, schemes, measures, laws, dataset, policies, theory, speed, aims, benchmarks, bench_machine)
MADE += (networks, network_layer)
TABLES = {make.__name__: make for make in MADE}


def filled(text: str) -> str:
    """A text with every table in it made anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n{found[3]}", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
