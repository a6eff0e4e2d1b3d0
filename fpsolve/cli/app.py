"""The commands and their options; each imports what it needs when it is called, so that ``--help`` is
quick."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fpsolve.cli.listing import KINDS
from fpsolve.cli.options import COMPARE, ENSEMBLE, REPORT, RUN, with_options
from fpsolve.comparison import compare as compared
from fpsolve.ensembles import ensemble as ensembled
from fpsolve.ensembles.comm import launched, refuse_ranks
from fpsolve.errors import FPSolveError, InputError, exit_code
from fpsolve.models import MODELS
from fpsolve.plot.interactive.page import report as reported
from fpsolve.solving import solve
from fpsolve.surroundings import tell


class _Group(TyperGroup):
    """Commands whose errors on purpose become one red line each on stderr; with ``--debug`` they keep a
    traceback."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except FPSolveError as error:
            if ctx.params.get("debug"):
                raise
            for line in str(error).splitlines():
                typer.secho(f"fpsolve: error: {line}", fg=typer.colors.RED, err=True)
            raise typer.Exit(exit_code(error)) from None


# plain help texts and usage errors: markup would eat the brackets of [model] and [solve]
app = typer.Typer(
    name="fpsolve",
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Given = dict[str, Any]
"""Options of the function behind a command, those that are given."""
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
Bar = Annotated[
    bool | None, typer.Option("--progress/--no-progress", help="Show a bar; default: in a terminal.")
]
Seed = Annotated[int, typer.Option(help="Seed of what is drawn.")]
Observed = Annotated[
    list[str] | None,
    typer.Option("--observe", metavar="module:function", help="Keep an observable of your own; repeatable."),
]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="table.key=value", help="Change a key; repeatable.")
]
OutputFile = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fpsolve {version('fpsolve')}")
        raise typer.Exit


def _models(incomplete: str) -> list[str]:
    """For the completion of a shell."""
    return [name for name in MODELS if name.lower().startswith(incomplete.lower())]


def _kinds(incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", envvar="FPSOLVE_DEBUG", help="Show the traceback of errors.")
    ] = False,
) -> None:
    """Mean-field limits of random deep self-attention on the sphere."""


@app.command()
@with_options(solve, RUN)
def run(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to solve.")],
    output: OutputFile = None,
    *,
    given: Given,
    overwrite: Overwrite = False,
    changes: Changes = None,
    observe: Observed = None,
    spread: Annotated[
        bool, typer.Option("--spread", help="Split a cloud in blocks as over several ranks, with their bits.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what a cloud over ranks would take, and compute nothing.")
    ] = False,
    ranks: Annotated[int, typer.Option(help="With --plan: the number of ranks.")] = 1,
) -> None:
    """Solve what CONFIG.toml describes and save the result.

    The suffix of the output says how: .nc for NetCDF, .zarr for Zarr.
    It goes to -o, else to the path in the [output] table, else to CONFIG.nc in the current folder.
    With --checkpoint SIGTERM and SIGUSR1 stop the run in order with status 75, Ctrl-C with 130, and the same command
    goes on; status 74 says that its progress could not be written.
    A run that ends early, no longer resolved, is saved and ends with status 3.
    Under mpiexec or srun one cloud is split over the ranks; the bits do not depend on how many.
    """
    from fpsolve.cli.running import run_config
    from fpsolve.cli.spreading import plan_spread, run_spread

    if plan:
        typer.echo(plan_spread(config, changes or [], given, ranks))
    elif spread or launched() is not None:
        run_spread(config, output, overwrite, changes or [], given, observe or [])
    else:
        run_config(config, output, overwrite, changes or [], given, observe or [])


@app.command()
@with_options(ensembled, ENSEMBLE)
def ensemble(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to solve, for every member.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT.zarr", help="The store.")] = None,
    *,
    given: Given,
    changes: Changes = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would take, and compute nothing.")] = False,
    ranks: Annotated[int, typer.Option(help="With --plan: the number of ranks.")] = 1,
    observe: Observed = None,
) -> None:
    """Solve CONFIG.toml for many members, over its [sweep], into one Zarr store.

    Under mpiexec or srun the members are shared among the ranks; the bits do not depend on how many.
    The same command again computes only what is missing. SIGTERM and SIGUSR1 stop it in order with status 75, 74 if
    the member in work could not be kept.
    """
    from fpsolve.cli.ensembling import plan_ensemble, run_ensemble

    if plan:
        typer.echo(plan_ensemble(config, changes or [], given, observe or [], ranks))
    else:
        run_ensemble(config, output, changes or [], given, observe or [])


@app.command()
def export(
    store: Annotated[Path, typer.Argument(metavar="STORE.zarr", help="What `fpsolve ensemble` wrote.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT.nc", help="Where to write.")] = None,
    group: Annotated[str | None, typer.Option(help="A group of the store: statistics.")] = None,
    parts: Annotated[
        list[str] | None, typer.Option("--isel", metavar="dimension=start:stop", help="A part; repeatable.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a Zarr store, or a part of it, as NetCDF."""
    from fpsolve.cli.exporting import export_store

    typer.echo(f"wrote {export_store(store, output, group, parts or [], overwrite)}")


@app.command()
@with_options(compared, COMPARE)
def compare(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to compare; its [compare] table.")],
    output: OutputFile = None,
    *,
    given: Given,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to draw; default: beside it.")] = None,
    overwrite: Overwrite = False,
    changes: Changes = None,
) -> None:
    """The mean-field solution against finite-N tokens on the same path and the random transformer in law.

    Prints a table, saves the numbers (CONFIG-compare.nc unless -o) and draws a figure. SIGTERM, SIGUSR1 and Ctrl-C stop
    it in order: what is complete is written, with status 75 or 130.
    """
    from fpsolve.cli.comparing import compare_config

    refuse_ranks("fpsolve compare")
    compare_config(config, output, figure, overwrite, changes or [], given)


@app.command()
def network(
    source: Annotated[
        str, typer.Argument(metavar="NAME | FILE", help="A preset (gpt2, llama, …), a config.json, or a TOML file.")
    ],
    depth: Annotated[int | None, typer.Option(help="Layers; default: the source's.")] = None,
    d: Annotated[int | None, typer.Option("--d", help="Width of the residual stream.")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads.")] = None,
    n: Annotated[int, typer.Option("--n", help="Distinct tokens.")] = 256,
    members: Annotated[int | None, typer.Option(help="Networks drawn; default: 4, one in the wide limit.")] = None,
    seed: Seed = 0,
    wide: Annotated[
        bool | None, typer.Option("--wide/--exact", help="The limit of wide networks; default: where exact is slow.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Mean overlap that counts as collapse.")] = 0.9,
    what_if: Annotated[bool, typer.Option("--what-if", help="Change one thing at a time.")] = False,
    phase_map: Annotated[bool, typer.Option("--map", help="The plane of query-key and residual scale.")] = False,
    output: OutputFile = None,
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to draw.")] = None,
    overwrite: Overwrite = False,
    progress: Bar = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="key=value", help="Change a key: norm.place=post; repeatable.")
    ] = None,
) -> None:
    """Predict a transformer at initialisation: do its tokens collapse, at which layer, and what changes that?

    Prints a table by layer and the verdict, and draws NAME-network.png. No network is built.
    """
    from fpsolve.cli.networking import network as predicted

    if what_if and phase_map:
        raise InputError("map", True, "and --what-if are two commands", "give one of them")
    mode = "what-if" if what_if else "map" if phase_map else ""
    sizes = {"depth": depth, "d": d, "heads": heads}
    predicted(
        source, sizes, n, members, seed, wide, threshold, mode, output, figure, overwrite, progress, changes or []
    )


@app.command()
def models() -> None:
    """List models, schemes and initial laws."""
    from fpsolve.cli.listing import tables

    typer.echo(tables())


@app.command()
def new(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="One of fpsolve models.", autocompletion=_models)],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE.toml", help="Where to write.")] = None,
) -> None:
    """Write a commented configuration of MODEL that runs as it is, to -o or standard output."""
    from fpsolve.cli.templates import new_configuration

    typer.echo(new_configuration(model, output))


@app.command()
def plot(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A file that fpsolve wrote.")],
    output: OutputFile = None,
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(KINDS)}.", autocompletion=_kinds)] = "overview",
    time: Annotated[float | None, typer.Option(help="Show the saved time nearest to it; default: the last.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw a saved result.

    The picture is a .png, .pdf or .svg, an animation a .gif or .mp4; without -o it is RESULT-KIND.png (or .gif) in
    the current folder. An overview of an ensemble has its means and fans, that of a comparison its errors.
    """
    from fpsolve.cli.plotting import plot_result

    typer.echo(f"wrote {plot_result(result, output, kind, time, overwrite)}")


@app.command()
@with_options(reported, REPORT)
def report(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="A file that fpsolve wrote.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="OUT.html", help="Where to write.")] = None,
    *,
    given: Given,
) -> None:
    """Write an interactive page of a run, an ensemble or a network: one file of HTML that needs nothing else.

    Sphere with a slider of times, observables, resolution, configuration to copy, versions. Without -o it is
    RESULT.html in the current folder. It needs plotly: pip install 'fpsolve[report]'.
    """
    from fpsolve.cli.reporting import report_result

    typer.echo(f"wrote {report_result(result, output, given)}")


@app.command()
def info(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    profile: Annotated[
        Path | None, typer.Option(metavar="CONFIG.toml", help="Show where the time of its steps goes instead.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="With --profile: steps to take; default: 20.")] = None,
) -> None:
    """Show versions and test the transforms.

    Versions, the build and SIMD level of SHTns, threads; the exit status is 1 if a test fails.
    """
    if profile is not None:
        from fpsolve.cli.profiling import profile as profiled

        if as_json:
            raise InputError("json", True, "a profile is a table for people", "leave out --json, or --profile")
        typer.echo(profiled(profile) if steps is None else profiled(profile, steps))
        return
    if steps is not None:
        raise InputError("steps", steps, "there is nothing to profile", "pass --profile CONFIG.toml too")
    from fpsolve.cli.info import as_text, collect

    report = collect()
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        typer.echo(as_text(report))
    if not all(test["passed"] for test in report["tests"]):
        raise typer.Exit(1)


@app.command()
def test(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Test the installed package, in less than a minute.

    Transforms and compiled kernels, runs against a closed form and against one another, files, checkpoints, a picture;
    then which optional packages are there. The exit status is 1 if a test fails. The closed forms of the literature
    are fpsolve validate.
    """
    from fpsolve.cli.testing import run_tests

    if not run_tests(as_json):
        raise typer.Exit(1)


@app.command()
def validate(
    quick: Annotated[bool, typer.Option("--quick", help="A small subset, with less work in each entry.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="Run this entry; repeatable.")
    ] = None,
    output: OutputFile = None,
    overwrite: Overwrite = False,
    seed: Seed = 0,
    progress: Bar = None,
) -> None:
    """Compute every closed form of the literature and compare.

    Prints a table and writes it as JSON to -o, else to validation.json in the current folder; the exit status
    is 1 if a row fails. Without --quick it takes some minutes.
    """
    from fpsolve.cli.validating import run_catalogue

    if not run_catalogue(quick, only or [], output, overwrite, seed, progress):
        raise typer.Exit(1)


def _show_warning(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
    """A warning in one line, without the place in the program that no reader of a terminal looks for."""
    tell(f"fpsolve: warning: {message}")


def main() -> None:
    """The program ``fpsolve``."""
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # β where the terminal has no such letter
    try:
        app(prog_name="fpsolve")
    except BrokenPipeError:  # the reader of the output has left: `fpsolve models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
