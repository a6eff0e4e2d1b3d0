"""One cloud over the ranks of a job, from a configuration's model and law to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from fpsolve.course import Instant
from fpsolve.ensembles.comm import Ranks, ending_all, on_first, together
from fpsolve.ensembles.store import consolidate, group_at
from fpsolve.errors import InputError
from fpsolve.io import check_output, check_space, replacing, save
from fpsolve.io.checkpoint import Snapshot
from fpsolve.io.files import POINTS, POINTS_FORMAT
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.laws import Tokens
from fpsolve.observe import Result
from fpsolve.observe.saved import SavedStates
from fpsolve.plain import to_plain
from fpsolve.plain.arguments import checked_values
from fpsolve.resolution import Resolution
from fpsolve.schemes import SCHEMES, named
from fpsolve.settings import Settings, check_arguments, check_degrees_of, with_step
from fpsolve.solving import CHECKPOINT_EVERY, Checkpointing, Job, Progress, prepare
from fpsolve.spread.cloud import SpreadCloud
from fpsolve.spread.drawing import DrawnTokens, built, points_of
from fpsolve.spread.keeping import SpreadKeeper
from fpsolve.spread.recording import SpreadRecorder, refuse_own
from fpsolve.spread.refusing import refuse
from fpsolve.spread.share import Share
from fpsolve.spread.store import PointStore, SavedPoints
from fpsolve.stepping import default_scheme
from fpsolve.surroundings import usual_arithmetic
from fpsolve.threads import one_thread_everywhere


@dataclass(frozen=True)
class Call:
    """What does not change the numbers: where to write, the checkpoint, the bar, when to stop."""

    output: Path
    overwrite: bool = False
    checkpoint: Path | None = None
    checkpoint_every: float = CHECKPOINT_EVERY
    progress: bool | None = None
    stop: Callable[[], bool] = lambda: False


def looked_at(model: Any, initial: Any, arguments: Mapping[str, Any]) -> Settings:
    """The settings, checked before any point is made. Raises InputError for what is not split over ranks."""
    settings = Settings(**checked_values(Settings, dict(arguments)))
    refuse_own(settings.observe)
    refuse(model, initial, settings)
    settings = replace(settings, measure=Cloud.name)
    name, scheme = named(SCHEMES, settings.scheme or default_scheme(model))
    check_arguments(model, scheme, name, with_step(settings, model, scheme, name))
    drawn = isinstance(initial, DrawnTokens | Tokens)
    if drawn and settings.lmax != Settings.lmax:
        raise InputError("lmax", settings.lmax, "tokens have no degree", "leave it out")
    check_degrees_of(initial, Settings.lmax if drawn else settings.lmax, settings.moments_lmax, False)
    return settings


def prepared(model: Any, initial: Any, arguments: Mapping[str, Any], ranks: Ranks) -> Job:
    """The job of every rank, its state this rank's share of the cloud. Raises InputError on all ranks alike."""

    def shared() -> tuple[Settings, Any, Share]:
        settings = looked_at(model, initial, arguments)
        whole = initial if isinstance(initial, Cloud) else points_of(initial, settings.lmax, settings.rtol)
        share = Share(ranks, whole if isinstance(whole, int) else len(whole.x))
        share.check()
        return settings, whole, share

    settings, whole, share = together(ranks, shared)
    cloud = together(ranks, lambda: built(initial, whole, settings.rtol, share))
    asked = {**arguments, "measure": "cloud"}
    job = together(ranks, lambda: prepare(model, cloud, **{k: v for k, v in asked.items() if k != "rtol"}))
    lmax = Settings.lmax if isinstance(initial, DrawnTokens | Tokens) else settings.lmax
    described = {**job.described, "initial": to_plain(initial)}
    recorder = SpreadRecorder(**{one.name: getattr(job.recorder, one.name) for one in fields(job.recorder)})
    return replace(
        job, described=described, recorder=recorder, settings=replace(job.settings, lmax=lmax, rtol=settings.rtol)
    )


@usual_arithmetic()
def solved(job: Job, call: Call) -> Result:
    """Run and write, all ranks together; what is returned has no variables of single points."""
    state: Any = job.state
    ranks: Ranks = state.share.ranks
    with ExitStack() as stack:
        stack.enter_context(ending_all(ranks))
        stack.enter_context(one_thread_everywhere())
        place = stack.enter_context(_place(job, call, ranks))
        keeper = None
        if call.checkpoint is not None:
            keeper = SpreadKeeper(call.checkpoint, call.checkpoint_every, job.config, state)
            stack.callback(keeper.close)
        begun = Snapshot(0, state) if keeper is None else keeper.resume(job.steps)
        store = _store(job, state, place if keeper is None else keeper.path / "saved.zarr")
        if store is not None:
            on_first(ranks, lambda: store.create(state, fresh=not begun.times))
        ds = _followed(job, call, keeper, begun, store)
        if store is None:
            on_first(ranks, lambda: str(save(ds, call.output, call.overwrite)))
        else:
            _write_points(job, ds, store, place, keeper is not None)
    return ds


def _followed(
    job: Job, call: Call, keeper: SpreadKeeper | None, begun: Snapshot, store: PointStore | None
) -> Result:
    """The result without the points."""
    state: Any = job.state
    ranks: Ranks = state.share.ranks
    resolution = Resolution(job.settings.lmax, job.stepper.model, job.policy, begun.notes)
    recorder = replace(job.recorder, save_points=False, save_density=False)
    records = SavedStates(recorder, job.stride, begun.times, begun.records)
    points = [] if store is None else [SavedPoints(store, job.stride, len(begun.times))]
    stop = lambda: not ranks.agree(not call.stop())  # noqa: E731
    kept: Any = keeper
    saving = Checkpointing(kept, job.stepper.dt, job.steps, stop, True, records, resolution, None, None)
    with Progress(job.steps, begun.step, call.progress if ranks.rank == 0 else False) as bar:
        last = job.course(Instant(begun.step, begun.state)).follow(resolution, records, *points, saving, bar)
    saving.end(last)
    resolution.end(job.settings.t_end)
    return job._result(state, records, None, resolution.attributes)


def _store(job: Job, state: SpreadCloud, path: Path) -> PointStore | None:
    """Where the points are kept, if they are to be."""
    kept = {"points": job.settings.save_points, "density": job.settings.save_density}
    names = tuple(name for name, wanted in kept.items() if wanted)
    return PointStore(path, state.share, job.steps // job.stride + 1, state.dimension, names) if names else None


@contextmanager
def _place(job: Job, call: Call, ranks: Ranks) -> Iterator[Path]:
    """A free name for the output, which takes its place in the end; refusals of all that can be seen by now."""
    state: Any = job.state

    def looked_at() -> None:
        check_output(call.output, call.overwrite)
        store = _store(job, state, call.output)
        if store is not None and call.output.suffix != ".zarr":
            remedy = f"name {call.output.with_suffix('.zarr')}, or leave save_points and save_density out"
            raise InputError("output", str(call.output), "ranks write their points into one Zarr store", remedy)
        nbytes = 0 if store is None else store.nbytes
        check_space("output", call.output, nbytes, "save less (save_every, save_density), or choose another disk")
        if call.checkpoint is not None:
            each = 8 * state.share.count * (state.dimension + (state.log_density is not None))
            check_space("checkpoint", call.checkpoint, nbytes + 2 * each, "save less, or choose another disk")

    on_first(ranks, looked_at)
    if not (job.settings.save_points or job.settings.save_density):
        yield call.output
        return
    with ExitStack() as stack:
        entered: Callable[[], Path] = lambda: stack.enter_context(replacing(call.output, call.overwrite))  # noqa: E731
        yield on_first(ranks, entered)


def _write_points(job: Job, ds: Result, store: PointStore, place: Path, copied: bool) -> None:
    """The rest of the result beside the points in one store."""
    state: Any = job.state
    ranks: Ranks = state.share.ranks
    found = store
    if copied:
        found = replace(store, path=place)
        on_first(ranks, lambda: found.create(state, fresh=True))
        together(ranks, lambda: found.copy(store))

    def completed() -> None:
        kinds = {name: {"_FillValue": None} for name, one in ds.variables.items() if one.dtype.kind in "fiu"}
        plain = ds.drop_encoding().assign_attrs({POINTS: POINTS_FORMAT})
        plain.to_zarr(place, mode="a", zarr_format=2, consolidated=False, encoding=kinds)
        consolidate(group_at(place, "r+"))

    ranks.barrier()
    on_first(ranks, completed)
