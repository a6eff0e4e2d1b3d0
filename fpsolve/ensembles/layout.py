"""The shape of an ensemble's store, known before anything is computed: dimensions, variables, coordinates, blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.ensembles.merging import largest_sizes, merged_constants, merged_coordinates, merged_variables, of_members
from fpsolve.ensembles.sizing import default_block
from fpsolve.ensembles.sweep import LONGEST_ARRAY, Sweep, label
from fpsolve.ensembles.variables import ALWAYS, Variable
from fpsolve.errors import InputError
from fpsolve.io.files import STORE_FORMAT
from fpsolve.io.keeper import fingerprint
from fpsolve.measures import Measure
from fpsolve.notes import HANDED_OVER
from fpsolve.observe import dataset
from fpsolve.observe.member_run import CONFIG, FIRST, LATER, points_apart
from fpsolve.observe.own import check_record
from fpsolve.plain import canonical, digest, to_plain
from fpsolve.plain.identity import Unidentified, mark
from fpsolve.solving import Job, prepare
from fpsolve.times import saved_time

MEMBERS = "fpsolve_members"
"""The attribute of a store with its members, ``0:256``: they are not in the configuration, so that more can come."""
CHUNK_BYTES = 1 << 28
"""Longer runs of one member are cut in time: codecs take no more than 2 GB at once."""
MOST_MEMBERS, LAST_MEMBER = 10_000_000, 1 << 62
"""Members of a store, and where their numbers end: each takes some hundred bytes of every rank."""
MOST_BLOCKS = 1_000_000
"""Every rank has a list of all."""


@dataclass(frozen=True)
class Layout:
    """Everything about a store but its values; equal on every rank and for any number of ranks.

    ``variables`` have a value for every member, ``constants`` and ``coordinates`` ``(dims, values, attrs)`` not.
    ``block``: members of one point that one rank computes and writes together.
    ``config``: the command as plain data, its members apart.
    """

    shape: tuple[int, ...]
    axes: tuple[str, ...]
    members: range
    times: tuple[float, ...]
    variables: Mapping[str, Variable]
    coordinates: Mapping[str, tuple[tuple[str, ...], Any, Mapping[str, Any]]]
    constants: Mapping[str, tuple[tuple[str, ...], Any, Mapping[str, Any]]]
    config: Mapping[str, Any]
    attrs: Mapping[str, Any]
    steps: tuple[int, ...]
    block: int = 1

    @property
    def digest(self) -> str:
        """SHA-256 of the configuration."""
        return digest(self.config)

    def having(self, members: range) -> Layout:
        """The same store with other members."""
        about = ("member",), np.array(members), {"long_name": "member of the ensemble, one Brownian path"}
        attrs = {**self.attrs, MEMBERS: f"{members.start}:{members.stop}"}
        return replace(self, members=members, coordinates={**self.coordinates, "member": about}, attrs=attrs)

    @property
    def points(self) -> int:
        """Points of the sweep."""
        return math.prod(self.shape)

    @property
    def blocks_a_point(self) -> int:
        """Blocks into which the members of one point are cut."""
        return -(-len(self.members) // self.block)

    @property
    def member_bytes(self) -> int:
        """Bytes of one member, not compressed."""
        return sum(variable.nbytes for variable in self.variables.values())

    @property
    def nbytes(self) -> int:
        """Bytes of the whole store, not compressed."""
        return self.points * len(self.members) * self.member_bytes

    @property
    def files(self) -> int:
        """Files of the finished store and its records, about: one for each variable and block."""
        pieces = sum(self.pieces(variable) for variable in self.variables.values())
        return self.points * self.blocks_a_point * (pieces + 1) + 3 * (len(self.variables) + len(self.coordinates))

    def pieces(self, variable: Variable) -> int:
        """Chunks in time of a block of this variable."""
        return math.ceil(variable.shape[0] / self.time_chunk(variable)) if variable.shape else 1

    def time_chunk(self, variable: Variable) -> int:
        """Saved times in one chunk."""
        a_time = max(1, self.block * variable.nbytes // variable.shape[0])
        return min(variable.shape[0], max(1, CHUNK_BYTES // a_time))


def make_layout(sweep: Sweep, members: int | range | str, block: int | None = None, ranks: int = 1) -> Layout:
    """Prepare every point of the sweep and merge their shapes; raises the InputErrors of ``solve`` and of the sweep.

    Variables that only some points have, and inner sizes that differ (d, lmax), are filled with NaN; saved times and
    grids that differ are refused.
    """
    numbers = checked_members(members)
    first, runs, steps, starts = None, [], [], []
    notes = dict.fromkeys(ALWAYS)
    for point in sweep.points():
        job = prepare(point.model, point.initial, **point.arguments)
        _refuse_what_is_kept_of_single_runs(job)
        first = first or job
        runs.append(_first_record(job))
        steps.append(job.steps)
        starts.append(_fingerprint(job.state))
        notes |= dict.fromkeys(job.policy.notes)
    assert first is not None
    for name in first.recorder.own:
        if all(name not in run for run in runs):
            remedy = "return NaN, in an array of its shape, where there is none"
            raise InputError(f"observe[{name}]", None, "absent at t = 0, so that its shape is not known", remedy)
    dims = largest_sizes(runs, sweep)
    sweep = sweep.renamed({*dims, *(str(name) for run in runs for name in run.variables)})
    variables = {name: v for name, v in merged_variables(runs, dims).items() if "time" in v.dims}
    notes_of = {note.name: Variable((), (), {"long_name": note.long_name}) for note in notes}
    variables |= notes_of
    coordinates = merged_coordinates(runs, sweep)
    for axis in sweep.axes:
        coordinates[axis.name] = ((axis.name,), axis.labels, {"long_name": f"swept parameter {axis.key}"})
    config = _config(sweep, first, starts)
    names = tuple(axis.name for axis in sweep.axes)
    constants = merged_constants(runs, dims, names, sweep.shape)
    first_run, apart = points_apart(runs, dims, list(notes_of))
    about = {"long_name": f"how the runs of a point differ from the attribute {FIRST}, JSON"}
    constants[CONFIG] = (names, np.array(apart).reshape(sweep.shape), about)
    layout = Layout(
        sweep.shape, names, numbers, tuple(runs[0].attrs["times"]), variables, coordinates, constants, config,
        {**_attributes(runs[0], config), FIRST: first_run}, tuple(steps),
    ).having(numbers)  # fmt: skip
    return checked_blocks(replace(layout, block=_block(layout, block, ranks)))


def _refuse_what_is_kept_of_single_runs(job: Job) -> None:
    """Raise InputError for what the members of a point do not have in common shapes."""
    if job.settings.save_flow:
        raise InputError("save_flow", True, "flows are kept for single runs", "run fp.solve for the member")
    if job.settings.save_points and job.state.points is None:
        problem = "members hand over at times of their own, if at all"
        raise InputError("save_points", True, problem, "run fp.solve for the member")


def checked_blocks(layout: Layout) -> Layout:
    """The layout. Raises InputError for more blocks than anyone counts."""
    blocks = layout.points * layout.blocks_a_point
    if blocks > MOST_BLOCKS:
        remedy = "take larger blocks, save less of a member, or use several stores"
        raise InputError("block", layout.block, f"{blocks} blocks, more than {MOST_BLOCKS}", remedy)
    return layout


def checked_members(members: int | range | str) -> range:
    """The members as a range, of a text ``256`` or ``256:512`` too.

    Raises InputError unless they are some consecutive numbers from 0 on.
    """
    remedy = "pass members=256, or range(256, 512), on the command line 256:512, for 256 further ones"
    if isinstance(members, str):
        first, colon, last = members.partition(":")
        if not (first.isdecimal() and (last.isdecimal() if colon else True)):
            raise InputError("members", members, "not a number or a range of members", remedy)
        numbers = range(int(first), int(last)) if colon else range(int(first))
    elif isinstance(members, range):
        numbers = members
    elif isinstance(members, bool) or not isinstance(members, int | np.integer):
        raise InputError("members", members, "not a number of members", remedy)
    else:
        numbers = range(int(members))
    if not numbers or numbers.step != 1 or numbers.start < 0:
        raise InputError("members", members, "must be one member or more, numbered without gaps", remedy)
    if numbers.stop - numbers.start > MOST_MEMBERS or numbers.stop > LAST_MEMBER:
        problem = f"a store takes {MOST_MEMBERS} members, numbered below {LAST_MEMBER}"
        raise InputError("members", members, problem, "use several stores")
    return numbers


def _first_record(job: Job) -> xr.Dataset:
    """The Dataset of the first state, which tells the shapes of a run, with the run's times as an attribute.

    A cloud that may take over has observables of its own, which are NaN there, and whose names are one, too.
    """
    times = [saved_time(n * job.stepper.dt) for n in range(0, job.steps + 1, job.stride)]
    record, own, later = job.recorder(job.state), job.recorder.own, job.policy.later(job.state)
    check_record(record, [], own, job.state)
    records = [record]
    if later is not None:
        records.append(job.recorder(later))
        check_record(records[1], records[:1], own, later)
    ds = dataset([0.0, 0.0][: len(records)], records, job.state, job.config, own=own).isel(time=[0])
    ds = ds.assign_attrs({"times": times, LATER: [name for name in records[-1] if name not in record]})
    return of_members(xr.Dataset(ds.data_vars, ds.coords, ds.attrs))


def _config(sweep: Sweep, first: Job, starts: Sequence[str]) -> dict[str, Any]:
    """The command as plain data: what decides a member's numbers, and nothing of which ones, where and how."""
    swept = {axis.parameter for axis in sweep.axes if "solve" in axis.places}
    solve = {key: value for key, value in first.settings.to_plain().items() if key not in {*swept, "member"}}
    try:
        model = to_plain(sweep.model, strict=True)
        values = {axis.key: [_plain(value) for value in axis.values] for axis in sweep.axes}
    except Unidentified as error:
        remedy = "use functions, arrays or dataclasses for what decides the numbers"
        raise InputError("model", sweep.model, f"cannot be told from others: {error}", remedy) from error
    config = {
        "model": model,
        "initial": None if any("initial" in axis.places for axis in sweep.axes) else to_plain(sweep.initial),
        "solve": solve,
        "sweep": values,
        "initial_state": starts[0] if len(set(starts)) == 1 else list(starts),  # a law's name may not tell which
    }
    plain: dict[str, Any] = to_plain(config)
    return plain


def _plain(value: Any) -> Any:
    """A swept value. Raises Unidentified for one that has no content of its own."""
    if isinstance(value, np.ndarray) and value.size > LONGEST_ARRAY:
        return f"{label(value)} {mark(value)}"
    return to_plain(value, strict=True)


def _fingerprint(state: Measure) -> str:
    """A digest of the sums over a first state that its checkpoint has, to nine digits: round-off is no other law."""
    try:
        found = fingerprint(state)
    except (InputError, TypeError):  # a measure that no checkpoint holds
        return mark(state)
    sums = {name: [shape, *_digits(size, waves)] for name, (shape, size, *waves) in found["arrays"].items()}
    return digest([type(state).__name__, sums, found["plain"]])[:16]


def _digits(size: float, waves: Sequence[float]) -> list[str]:
    return [f"{size:.9e}", *(f"{round(wave / size, 9) + 0.0:.9f}" if size else "0" for wave in waves)]


def _attributes(run: xr.Dataset, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Conventions": run.attrs["Conventions"],
        "title": f"fpsolve ensemble: {config['model']['name']}",
        "fpsolve_ensemble": STORE_FORMAT,
        "fpsolve_config": canonical(config).decode(),
        "fpsolve_config_sha256": digest(config),
        "fpsolve_versions": run.attrs["fpsolve_versions"],
        "comment": "members are Brownian paths: equal members of two points of the sweep have the same path. "
        "Values that a point of the sweep does not have, and members that failed or are pending, are NaN.",
    }


def _block(layout: Layout, wanted: int | None, ranks: int) -> int:
    """Members of a block: as asked, or as ``default_block`` says."""
    count = len(layout.members)
    if wanted is not None:
        if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
            raise InputError("block", wanted, "not a number of members", "pass block=16, for example, or leave it out")
        return min(wanted, count)
    written = [one for name, one in layout.variables.items() if one.shape or name == HANDED_OVER.name]
    files = sum(layout.pieces(variable) for variable in written) + 2
    return default_block(count, layout.points, ranks, layout.member_bytes, files)
