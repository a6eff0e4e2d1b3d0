"""The catalogue of validations and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fpsolve.errors import FPSolveError, InputError, unknown_name
from fpsolve.plain.arguments import checked_arguments
from fpsolve.surroundings import shows_progress, tqdm
from fpsolve.validate import (
    attention_floor,
    collapse,
    conditioned,
    conserved,
    exponents,
    far_attention,
    growth,
    hybrid,
    logistic_regime,
    long_times,
    lost_in_the_middle,
    low_temperature,
    moebius,
    random_linear,
    rates,
    spectral_selection,
    transformer_limits,
    two_point,
    two_tokens,
    zonal,
)
from fpsolve.validate.rows import Row, Validation

CATALOGUE: tuple[Validation, ...] = (
    Validation("growth", growth.growth_rows),
    Validation("noisy", growth.noisy_rows),
    Validation("energy", conserved.energy_rows),
    Validation("heat", conserved.heat_rows),
    Validation("equiangular", conserved.equiangular_rows),
    Validation("moebius", moebius.rows),
    Validation("low_temperature", low_temperature.rows),
    Validation("spectral_selection", spectral_selection.rows),
    Validation("lost_in_the_middle", lost_in_the_middle.rows),
    Validation("retrieval", lost_in_the_middle.profile_rows),
    Validation("retrieval_density", lost_in_the_middle.density_rows),
    Validation("causal_correlations", lost_in_the_middle.correlation_rows, quick=False),
    Validation("two_tokens", two_tokens.rows),
    Validation("two_point", two_point.rows),
    Validation("long_times", long_times.rows),
    Validation("dissipation", two_point.dissipation_rows),
    Validation("rates", rates.rows),
    Validation("random_linear", random_linear.rows),
    Validation("exponents", exponents.rows),
    Validation("hybrid", hybrid.rows),
    Validation("far_attention", far_attention.rows),
    Validation("diffusive_limit", transformer_limits.diffusive_rows),
    Validation("ballistic_limit", transformer_limits.ballistic_rows),
    Validation("collapse", collapse.rows),
    Validation("conditioned", conditioned.rows),
    Validation("logistic_regime", logistic_regime.rows),
    Validation("attention_floor", attention_floor.rows),
    Validation("zonal", zonal.rows),
    Validation("zonal_tokens", zonal.token_rows),
)
"""Every entry by the name that ``--only`` uses, in the order in which they are run."""


def chosen(only: Sequence[str] = (), quick: bool = False) -> list[Validation]:
    """The entries of these names, or all; of them the quick subset. Raises InputError for unknown names."""
    names = [entry.name for entry in CATALOGUE]
    for name in only:
        if name not in names:
            raise unknown_name("only", name, names)
    entries = [entry for entry in CATALOGUE if (not only or entry.name in only) and (entry.quick or not quick)]
    if not entries:
        raise InputError("only", list(only), "not in the quick subset", "leave --quick out")
    return entries


@checked_arguments
def validate(
    only: Sequence[str] = (),
    quick: bool = False,
    seed: int = 0,
    progress: bool | None = None,
    report: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """The rows of the catalogue, all computed now; ``report`` sees each as soon as it is known.

    only: names of entries, all by default. quick: the small subset, with less work in each entry. seed: of what is
    drawn. progress: a bar (by default on a terminal and in a notebook). An entry that stops with an error of the
    package becomes a row that did not pass. Raises InputError for unknown names and bad seeds, before any computing.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError("seed", seed, "must be an integer in [0, 2^32)", "pass seed=0, for example")
    entries = chosen(only, quick)
    rows: list[Row] = []
    shown = shows_progress() if progress is None else progress
    with tqdm(entries, disable=not shown, unit="entry", desc="fpsolve") as bar:
        for entry in bar:
            bar.set_postfix_str(entry.name)
            for row in rows_of(entry, quick, seed):
                rows.append(row)
                report(row)
    return rows


def rows_of(entry: Validation, quick: bool, seed: int) -> list[Row]:
    """The rows of one entry; with one that fails at the end where it stopped."""
    rows: list[Row] = []
    try:
        rows.extend(entry.rows(quick, seed))
    except FPSolveError as error:
        rows.append(Row(entry.name, "completes", 0.0, float("nan"), 0.0, str(error)))
    return rows
