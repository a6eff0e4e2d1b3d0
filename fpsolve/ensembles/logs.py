"""Logs of a job beside its store: times, hosts and warnings, which have no place in the store itself."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fpsolve.ensembles.comm import Ranks
from fpsolve.errors import InputError
from fpsolve.surroundings import user_path

ROOT = "fpsolve.ensembles"
LINE = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def logs(ranks: Ranks, work: Path | None, folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Inside, rank 0 appends to ``work/log.txt`` and each rank, where a folder is named, to ``rank-00003.log`` in it.

    Warnings go to stderr as well. Raises InputError where the folder cannot be written.
    """
    logger, level = logging.getLogger(ROOT), logging.getLogger(ROOT).level
    handlers: list[logging.Handler] = [_warnings(ranks)]
    if work is not None and ranks.rank == 0:
        handlers.append(_to(work / "log.txt"))
    if folder is not None:
        handlers.append(_to(_made(user_path(folder, "log_dir")) / f"rank-{ranks.rank:05d}.log"))
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        logger.info("rank %d of %d on %s, process %d", ranks.rank, ranks.size, socket.gethostname(), os.getpid())
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(level)


def _to(path: Path) -> logging.Handler:
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        remedy = "choose another folder"
        raise InputError("log_dir", str(path), f"cannot be written ({error.strerror})", remedy) from error
    handler.setFormatter(logging.Formatter(LINE))
    return handler


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remedy = "choose another folder"
        raise InputError("log_dir", str(folder), f"cannot be made ({error.strerror})", remedy) from error
    return folder


def _warnings(ranks: Ranks) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    prefix = f"rank {ranks.rank}: " if ranks.size > 1 else ""
    handler.setFormatter(logging.Formatter(f"fpsolve: {prefix}%(message)s"))
    return handler
