"""``fpsolve ensemble --plan``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fpsolve.cli.ensembling import Options, asked
from fpsolve.ensemble.planner import as_text, plan

NOT_PLANNED = ("output", "fail_fast", "checkpoint", "checkpoint_every")


def plan_ensemble(config: Path, changes: Sequence[str], options: Options, ranks: int) -> str:
    """What the ensemble of this configuration would take on so many ranks; nothing is computed or written."""
    model, initial, arguments = asked(config, changes, options)
    kept = {name: value for name, value in arguments.items() if name not in NOT_PLANNED}
    return as_text(plan(model, initial, ranks=ranks, **kept))
