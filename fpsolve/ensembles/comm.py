"""Ranks of an MPI job, or the one rank of a serial one, under the same names; the only import of mpi4py.

Messages of an ensemble are few: one for each block that a rank takes and one for each member that it finishes, none for
a step. A cloud over many ranks adds up its moments once an evaluation (:meth:`Ranks.summed`).
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fpsolve.errors import FPSolveError, InputError, MissingDependencyError
from fpsolve.surroundings import tell

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables in which MPI launchers leave the number of ranks."""
RANKS = ("PMIX_RANK", "PMI_RANK", "PALS_RANKID")
"""Variables in which they leave the rank, where the number is not known beforehand."""

T = TypeVar("T")

Rows = NDArray[np.float64]


class Ranks(Protocol):
    """What the ensemble asks of a communicator."""

    rank: int
    size: int
    threads: bool
    """Whether a second thread of a rank may send and receive."""

    def barrier(self) -> None: ...

    def share(self, value: Any) -> Any:
        """The value of rank 0, on every rank."""

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks in their order, on every rank."""

    def send(self, message: Any, to: int) -> None: ...

    def receive(self, source: int) -> Any:
        """The next message of a rank; waits for it."""

    def poll(self) -> tuple[int, Any] | None:
        """``(rank, message)`` of any rank if there is one by now."""

    def summed(self, rows: Rows, counts: Sequence[int]) -> Rows:
        """The sum of the rows of all ranks, (k, m) to (m,), each added in turn in the order of ranks, on every rank.

        counts: the rows of each rank. Its bits do not depend on which rank has which of them.
        """

    def largest(self, values: Rows) -> Rows:
        """The largest of each value over all ranks."""

    def agree(self, yes: bool) -> bool:
        """Whether every rank says so."""

    def all_here(self, seconds: float) -> bool:
        """Whether every rank calls this within so many seconds."""

    def abort(self, status: int) -> None:
        """End every rank of the job."""


class Serial:
    """One rank without MPI."""

    rank, size, threads = 0, 1, True

    def barrier(self) -> None:
        """Nobody to wait for."""

    def share(self, value: Any) -> Any:
        return value

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def send(self, message: Any, to: int) -> None:
        raise AssertionError("one rank sends no messages")

    def receive(self, source: int) -> Any:
        raise AssertionError("one rank receives no messages")

    def poll(self) -> tuple[int, Any] | None:
        return None

    def summed(self, rows: Rows, counts: Sequence[int]) -> Rows:
        return _added(rows)

    def largest(self, values: Rows) -> Rows:
        return values

    def agree(self, yes: bool) -> bool:
        return yes

    def all_here(self, seconds: float) -> bool:
        return True

    def abort(self, status: int) -> None:
        raise SystemExit(status)


class Mpi:
    """An mpi4py communicator, duplicated, so that the caller's messages and these never meet."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._mpi, self._comm, self._ending = MPI, comm.Dup(), comm.Dup()
        self.rank, self.size = self._comm.rank, self._comm.size
        self.threads = MPI.Query_thread() == MPI.THREAD_MULTIPLE

    def barrier(self) -> None:
        self._comm.Barrier()

    def share(self, value: Any) -> Any:
        return self._comm.bcast(value, root=0)

    def gather(self, value: Any) -> list[Any]:
        found: list[Any] = self._comm.allgather(value)
        return found

    def send(self, message: Any, to: int) -> None:
        self._comm.send(message, dest=to)

    def receive(self, source: int) -> Any:
        return self._comm.recv(source=source)

    def poll(self) -> tuple[int, Any] | None:
        status = self._mpi.Status()
        message = self._comm.improbe(self._mpi.ANY_SOURCE, self._mpi.ANY_TAG, status)
        return None if message is None else (status.Get_source(), message.recv())

    def summed(self, rows: Rows, counts: Sequence[int]) -> Rows:
        """Each rank adds up its share of the columns, whose rows the others send it: 2km + m numbers travel."""
        cuts = [rows.shape[1] * rank // self.size for rank in range(self.size + 1)]
        widths = np.diff(cuts)
        width = int(widths[self.rank])
        sent = np.concatenate([rows[:, a:b].ravel() for a, b in pairwise(cuts)])
        got, total = np.empty(sum(counts) * width), np.empty(rows.shape[1])
        self._comm.Alltoallv([sent, len(rows) * widths], [got, np.array(counts) * width])
        self._comm.Allgatherv(_added(got.reshape(sum(counts), width)), [total, widths])
        return total

    def largest(self, values: Rows) -> Rows:
        found = np.empty_like(values)
        self._comm.Allreduce(np.ascontiguousarray(values), found, self._mpi.MAX)
        return found

    def agree(self, yes: bool) -> bool:
        found: bool = self._comm.allreduce(yes, self._mpi.LAND)
        return found

    def all_here(self, seconds: float) -> bool:
        request, until = self._ending.Ibarrier(), time.monotonic() + seconds
        while not (there := bool(request.Test())) and time.monotonic() < until:
            time.sleep(0.01)
        return there

    def abort(self, status: int) -> None:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        self._comm.Abort(status)


def _added(rows: Rows) -> Rows:
    """Row after row; NumPy's own sum would pair them."""
    total: Rows = np.add.accumulate(rows, axis=0)[-1].copy()
    return total


def communicator(comm: Any = None) -> Ranks:
    """The ranks of ``comm``; for None those of COMM_WORLD under an MPI launcher, otherwise one.

    Raises MissingDependencyError under a launcher without mpi4py (every rank would compute everything), InputError
    for a ``comm`` that is no communicator.
    """
    if isinstance(comm, Serial | Mpi):
        return comm
    if comm is None:
        launcher = launched()
        return Serial() if launcher is None else Mpi(_world(launcher))
    if not hasattr(comm, "Get_rank"):
        raise InputError("comm", comm, "not an mpi4py communicator", "pass MPI.COMM_WORLD, or leave it out")
    return Mpi(comm)


def launched() -> str | None:
    """The variable by which this process knows that a launcher started it as one of several ranks."""
    sizes = [name for name in SIZES if name in os.environ]
    if sizes:
        return None if os.environ[sizes[0]] == "1" else sizes[0]
    if os.environ.get("SLURM_STEP_ID", "").isdigit():  # inside srun; a batch script is a step of another name
        return None if os.environ.get("SLURM_STEP_NUM_TASKS", "1") == "1" else "SLURM_STEP_NUM_TASKS"
    return next((name for name in RANKS if name in os.environ), None)


def refuse_ranks(what: str) -> None:
    """Raise InputError where a launcher started several ranks of what one process does: each would do all of it."""
    launcher = launched()
    if launcher is not None:
        problem = f"{what} is the work of one process; each of these ranks would do all of it"
        raise InputError(launcher, os.environ[launcher], problem, "start it without mpiexec, or use fpsolve ensemble")


def _world(launcher: str) -> Any:
    try:
        from mpi4py import MPI
    except ImportError as error:
        problem = f"started by an MPI launcher ({launcher} is set), but mpi4py cannot be imported ({error})"
        raise MissingDependencyError(f"{problem}: every rank would compute all; pip install mpi4py") from error
    return MPI.COMM_WORLD


def on_first(ranks: Ranks, action: Callable[[], T]) -> T:
    """What ``action`` returns on rank 0, on every rank; an error on purpose is raised on every rank alike.

    Any other error ends the job, see :func:`ending_all`.
    """
    outcome: tuple[str, Any] = ("value", None)
    with ending_all(ranks):
        if ranks.rank == 0:
            try:
                outcome = ("value", action())
            except FPSolveError as error:
                if ranks.size == 1:
                    raise
                outcome = ("error", _packed(error))
        kind, value = ranks.share(outcome)
    if kind == "error":
        raise _unpacked(*value)
    found: T = value
    return found


def together(ranks: Ranks, action: Callable[[], T]) -> T:
    """What ``action`` returns on each rank; an error on purpose on any of them is raised on all, any other ends all."""
    error, value = None, None
    with ending_all(ranks):
        try:
            value = action()
        except FPSolveError as raised:
            if ranks.size == 1:
                raise
            error = _packed(raised)
        errors = ranks.gather(error)
    first = next((one for one in errors if one is not None), None)
    if first is not None:
        raise _unpacked(*(error or first))
    return value  # type: ignore[return-value]


@contextmanager
def ending_all(ranks: Ranks) -> Iterator[None]:
    """Inside, an error that is none of fpsolve's ends the job with its traceback: others would wait for ever."""
    try:
        yield
    except FPSolveError:
        raise
    except BaseException:
        if ranks.size > 1:
            die(ranks, "")
        raise


def _packed(error: FPSolveError) -> tuple[bool, str, str, str, str]:
    """An error as text: exceptions whose arguments are not their message cannot be pickled."""
    is_input = isinstance(error, InputError)
    parts = [str(getattr(error, name, "")) for name in ("argument", "problem", "remedy")]
    return (is_input, str(error), parts[0], parts[1], parts[2])


def _unpacked(is_input: bool, message: str, argument: str, problem: str, remedy: str) -> FPSolveError:
    if not is_input:
        return FPSolveError(message)
    error = InputError(argument, "", problem, remedy)
    error.args = (message,)
    return error


def die(ranks: Ranks, where: str, status: int = 1) -> None:
    """Print the traceback of the error being handled and end the job: the other ranks must not wait for this one."""
    tell(f"fpsolve: rank {ranks.rank} on {socket.gethostname()} failed{where}\n{traceback.format_exc()}")
    ranks.abort(status)
