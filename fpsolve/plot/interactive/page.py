"""``fp.plot.report``: the page of a run, an ensemble or a network, one file of HTML that loads nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fpsolve.errors import InputError, MissingDependencyError, check_integer
from fpsolve.io import check_output, replacing
from fpsolve.plain.arguments import checked_arguments
from fpsolve.plain.schema import renamed
from fpsolve.plot.fields import one_run
from fpsolve.plot.heading import described as config_of
from fpsolve.plot.heading import heading
from fpsolve.plot.interactive import curves, described, sphere
from fpsolve.plot.palette import COLOURS
from fpsolve.plot.panels import LAYERS
from fpsolve.plot.profiles import on_circle
from fpsolve.transformer import verdict

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

SUFFIXES = (".html",)

TEMPLATE = Path(__file__).with_name("page.html")

TIMES = 60
"""Times of the slider, at most, unless asked for others."""


@dataclass
class PageTable:
    """Rows under names, with a sentence above."""

    title: str
    names: tuple[str, ...]
    rows: list[tuple[str, ...]]
    about: str = ""


@dataclass
class Content:
    """What stands on a page, as plain text and figures."""

    title: str
    verdict: str
    right: bool | None
    """Whether the numbers can be trusted as far as the result tells; None where it does not."""
    curves: list[curves.Curve]
    curves_title: str = "Observables"
    legend: list[tuple[str, str]] = field(default_factory=list)
    sphere: go.Figure | None = None
    place: str = "Sphere"
    remarks: list[str] = field(default_factory=list)
    tables: list[PageTable] = field(default_factory=list)
    configuration: str = ""
    why_not: str = ""
    usage: str = ""


@checked_arguments
def report(
    ds: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    times: int = TIMES,
    overwrite: bool = False,
) -> Path:
    """Write an interactive page of a result of ``fp.solve``, ``fp.ensemble`` or ``fp.transformer.predict``; its path.

    One file of HTML (about 5 MB, most of it plotly.js) that needs no network: the sphere with a slider of up to
    ``times`` saved times (the density, or the sum of the moments; points of clouds), every observable that has a panel,
    what is known of the resolution, first and last values, the configuration to copy and the versions. The same result
    gives the same bytes. title: the heading; by default the model and how it was solved.

    Raises :class:`~fpsolve.errors.InputError` naming ``ds`` for other Datasets, ``path`` for a file that exists or
    does not end in .html, ``times`` for fewer than two, and MissingDependencyError without plotly and Jinja
    (``pip install fpsolve[report]``).
    """
    check_integer("times", times, 2)
    with renamed("output", "path"):
        target = check_output(path, overwrite, SUFFIXES)
    page = html(content(ds, title, times))
    with replacing(target, overwrite) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target


def content(ds: xr.Dataset, title: str | None = None, times: int = TIMES) -> Content:
    """What the page of a result holds."""
    _check_libraries()
    if "layer" in ds.dims and "mean_overlap" in ds:
        found = _of_network(ds)
    elif "route" in ds.coords or "time" not in ds.dims:
        remedy = "give a result of fp.solve, fp.ensemble or fp.transformer.predict, or draw it by fpsolve plot"
        raise InputError("ds", sorted(map(str, ds.sizes)), "has no page of its own", remedy)
    elif "count" in ds or ("status" in ds and ds["status"].size > 1):
        found = _of_ensemble(ds, times)
    else:
        found = _of_run(one_run(ds), times)
    found.title = title or found.title or "fpsolve"
    found.tables.append(PageTable("Versions", ("package", "version"), described.versions(ds)))
    return found


def _of_run(ds: xr.Dataset, times: int) -> Content:
    remarks, rows, right = described.resolution(ds)
    text, why_not = described.configuration(ds)
    found = Content(heading(ds), remarks, right, curves.of_run(ds), configuration=text, why_not=why_not)
    found.usage = "Save it as run.toml; fpsolve run run.toml makes this result again."
    _draw(found, ds, times)
    found.tables.append(PageTable("Resolution", ("what", "largest", "limit"), rows, remarks))
    columns = ("observable", "first", "last", "unit")
    found.tables.append(PageTable("First and last values", columns, described.numbers(ds)))
    return found


def _draw(found: Content, ds: xr.Dataset, times: int) -> None:
    drawn = sphere.scene(ds, times)
    if isinstance(drawn, str):
        found.remarks.append(drawn)
        return
    flat = on_circle(ds) or "axis_component" in ds.dims
    found.sphere, found.place = drawn.figure, "Density" if flat else "Sphere"
    if not flat:
        found.remarks.append("Drag to turn the sphere. m: where the mean vector points.")
    found.remarks += [f"Shown: {one}." for one in drawn.remarks]


def _of_ensemble(ds: xr.Dataset, times: int) -> Content:
    remarks, rows, right = described.resolution_of_members(ds)
    drawn, labels = curves.of_ensemble(ds)
    text, why_not = described.configuration(ds)
    found = Content(heading(ds), remarks, right, drawn, "Means over members ± 2 standard errors", configuration=text)
    found.why_not = why_not
    found.usage = "Save it as runs.toml; fpsolve ensemble runs.toml -o OUT.zarr makes them again."
    found.legend = [(COLOURS[k % len(COLOURS)], label) for k, label in enumerate(labels)]
    if len(labels) == 1:
        found.remarks.append("Grey: quantiles over members, 5 to 95 % and 25 to 75 %.")
    if "density" in ds and "status" in ds:
        _draw_first(found, ds, times)
    found.tables.append(PageTable("Resolution", ("what", "how many", "first time"), rows, remarks))
    return found


def _draw_first(found: Content, ds: xr.Dataset, times: int) -> None:
    """The sphere of the first member of the first point, where it has values."""
    first = {str(dim): 0 for dim in ds["status"].dims}
    try:
        one = one_run(ds.isel(first))
    except InputError:
        return
    _draw(found, one, times)
    found.remarks.append(f"The sphere is that of {heading(one)}.")


def _of_network(ds: xr.Dataset) -> Content:
    text, why_not = described.architecture(ds)
    name = str(config_of(ds).get("model", {}).get("name") or "network")
    remarks = f"{name} {verdict(ds)}."
    found = Content(str(ds.attrs.get("title", name)), remarks, True, curves.of_network(ds), "By layer")
    found.configuration, found.why_not = text, why_not
    found.usage = "Save it as network.toml, for fpsolve network network.toml."
    mean = ds.mean("member", skipna=True)
    names = [one for one in LAYERS if one in ds]
    values = [[f"{value:.4g}".replace("nan", "–") for value in mean[one].values] for one in names]
    rows = list(zip(map(str, ds["layer"].values), *values, strict=True))
    about = f"Means over {ds.sizes['member']} members." if ds.sizes["member"] > 1 else ""
    found.tables.append(PageTable("Layers", ("layer", *(LAYERS[one] for one in names)), rows, about))
    return found


def html(found: Content) -> str:
    """The page; Jinja escapes what is text, plotly what is in its figures."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text("utf-8"))
    every = enumerate(found.curves)
    drawn = [{"title": one.title, "html": Markup(_figure(one.figure, f"curve{k}"))} for k, one in every]
    place = Markup(_figure(found.sphere, "scene")) if found.sphere is not None else ""
    page: str = template.render(vars(found) | {"plotly": Markup(get_plotlyjs()), "curves": drawn, "sphere": place})
    return page


def _figure(figure: go.Figure, name: str) -> str:
    """The element and the script of a figure."""
    about: dict[str, Any] = {"displayModeBar": False, "responsive": True}
    return str(figure.to_html(about, auto_play=False, include_plotlyjs=False, full_html=False, div_id=name))


def _check_libraries() -> None:
    """Raise FPSolveError where the extra is not installed."""
    try:
        import jinja2
        import plotly
    except ImportError as missing:
        raise MissingDependencyError(f"a report needs {missing.name}: pip install 'fpsolve[report]'") from None
    assert jinja2 and plotly
