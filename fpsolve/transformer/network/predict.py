"""The law of a network's overlaps at initialisation, as a Dataset."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.errors import InputError, check_integer, check_number
from fpsolve.noise import BrownianPath
from fpsolve.observe import Result, as_result, versions
from fpsolve.plain.arguments import checked_arguments
from fpsolve.surroundings import tqdm
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.exact import NUMBERS, WIDTH, ExactChain, State, ceiling
from fpsolve.transformer.network.observe import LONG_NAMES, QUANTILES, mean_overlap, observed
from fpsolve.transformer.network.start import Start, count_of, start_of
from fpsolve.transformer.network.wide import REPLICAS, WideChain, sampled_heads

DIMS = {
    "overlap_quantile": ("quantile",),
    "squared_norm": ("token",),
    "gram": ("token", "other_token"),
    "ordered_weights": ("rank",),
}

LONG = 5e9
"""Floating-point operations from which a bar is shown in a terminal."""


@dataclass(frozen=True)
class Plan:
    """What a prediction will cost: floating-point operations, and bytes held at once."""

    flops: float
    memory: int

    def __str__(self) -> str:
        return f"about {self.flops:.1e} floating-point operations, {self.memory / 2**20:.0f} MiB"


@checked_arguments
def plan(arch: Architecture, n: int, *, members: int = 1, wide: bool = False, save_gram: bool = False) -> Plan:
    """The cost of :func:`predict` for n tokens.

    A layer of the exact chain takes about 20n³ (triangular factors) and, with r = min(n, d) coordinates,
    2nr(H + 2H_kv)d_h + 4n²Hd_h for attention, 2nrm + 2n²m for an MLP of width m: no d². In the wide limit
    ``REPLICAS`` × ``sampled_heads`` heads of n³ each, whatever d is. Raises InputError for fewer than two tokens or no
    member.
    """
    check_integer("n", n, 2)
    check_integer("members", members, 1)
    a, mlp = arch.attention, arch.mlp
    r, rows, together = min(n + 1, arch.d), n + 1, min(members, members_together(arch, n))
    if wide:
        heads = sampled_heads(arch, n)
        dh = 0 if a is None else a.head_dim
        one = 10.0 * rows**3 + heads * (4.0 * rows * rows * dh + 6.0 * rows**2 * dh + 4.0 * rows**3) + 200.0 * rows**2
        held = REPLICAS * rows * rows * (8 + 8 * together) + heads * rows * (rows + 2 * dh) * 2
        layers: float = REPLICAS * arch.depth * one
    else:
        one, held = 20.0 * rows**3, 6 * rows * max(rows, r)
        if a is not None:
            inner = a.heads * a.head_dim if a.key_query == "projected" else a.heads * r
            one += 2.0 * rows * r * 3 * inner + 4.0 * rows * n * inner + 40.0 * a.heads * rows * n
            held += 5 * rows * inner + 3 * min(max(NUMBERS, rows * n), a.heads * rows * n)
        if mlp is not None:
            one += (2 + mlp.gated) * rows * float(mlp.width) * (r + 20) + 2.0 * rows * rows * mlp.width
            held += 6 * rows * min(mlp.width, WIDTH)
        if arch.d - r < min(rows, arch.d):
            one += 2.0 * rows * rows * arch.d
        layers, held = arch.depth * one, together * held
    kept = members * (arch.depth + 1) * ((n * n if save_gram else 0) + 2 * n)
    return Plan(members * layers, 8 * int(held + kept))


@checked_arguments
def predict(
    arch: Architecture,
    tokens: Any,
    *,
    members: int | Iterable[int] = 1,
    seed: int = 0,
    wide: bool = False,
    save_gram: bool = False,
    threshold: float = 0.9,
    n: int | None = None,
    progress: bool | None = None,
) -> Result:
    """The tokens of a network at initialisation, layer by layer, before it is built.

    With Gaussian weights the Gram matrix of the residual stream, G_ij = ⟨x_i, x_j⟩/d, is a Markov chain whose law needs
    no d×d matrix: given G, queries, keys, values and hidden units are Gaussian columns of covariance s²d C, and what a
    block adds is d iid columns of covariance Σ. Drawn exactly, for every n and d; matrices of another law enter by
    their second moments. ``wide``: the limit d → ∞ at fixed head width, G' = G + Σ with the MLP's dual activation and Σ
    a mean over heads; the mean over sampled heads has a standard error, ``mean_overlap_error``, and nothing depends on
    d.

    tokens: ids (n,) of integers; a number of tokens with nothing in common (distinct ids, orthogonal patches, iid
    normal vectors); vectors (n, d), hidden states as they enter the first block (nothing of the embedding is added), or
    (n, features) where the network embeds vectors; a symmetric matrix (n, n), the Gram matrix ⟨x_i, x_j⟩/d of hidden
    states; a law of ``fp.initial``, of which every member draws ``n`` tokens, times √d. members: a number, or the
    members' numbers; each is a pure function of (seed, member), so that a range may be shared among processes.

    Returns a Dataset, dimensions (member, layer, …), layer 0 the embeddings, then after every block: mean_overlap (mean
    cosine of distinct tokens), overlap_quantile, mean_square, squared_norm, effective_rank, attention_entropy and its
    entropy_ceiling, ordered_weights (the largest attention weights of a row, in order), noise_level E|m|² and
    noise_time ∫E|m|²dt, relative to the stream (the configuration-dependent noise of :cite:`homogenized2026`),
    close_exponent (growth of the distance of two close tokens, at the last token), with ``save_gram`` gram; and by
    member collapse_layer, the first layer with mean_overlap ≥ ``threshold`` (infinite where there is none), and
    final_mean_overlap where a last normalisation follows. Raises InputError before computing.
    """
    if not isinstance(arch, Architecture):
        raise InputError("arch", arch, "not an Architecture", 'pass fp.transformer.Architecture.preset("gpt2")')
    numbers = _members(members)
    BrownianPath(seed, numbers[0])
    check_number("threshold", threshold, -1, 1)
    many = count_of(tokens, n)
    cost = plan(arch, many, members=len(numbers), wide=wide, save_gram=save_gram)
    check_memory(cost, many)
    start = start_of(arch, tokens, n)
    check_zero_rows(arch, start)
    hidden = not has_bar(progress, cost.flops)
    size = members_together(arch, start.n)
    blocks = [numbers[first : first + size] for first in range(0, len(numbers), size)]
    parts = []
    with tqdm(total=len(blocks) * (arch.depth + 1), disable=hidden, unit="layer", desc="fpsolve") as bar:
        for block in blocks:
            chain: Iterable[State] = (WideChain if wide else ExactChain)(arch, start, seed, block)
            records = []
            for state in chain:
                records.append(_record(state, save_gram))
                bar.update()
            parts.append(part(records, block, state))
    ds = xr.concat(parts, "member") if len(parts) > 1 else parts[0]
    config = {
        "model": {"name": "Architecture", **arch.to_dict()},
        "initial": initial_of(tokens, start),
        "solve": {"seed": seed, "members": [int(one) for one in numbers], "wide": wide, "threshold": threshold},
    }
    if arch.norm.final and "final_mean_overlap" not in ds:
        ds["final_mean_overlap"] = ds["mean_overlap"].isel(layer=-1, drop=True)
    if not arch.norm.final:
        ds = ds.drop_vars("final_mean_overlap", errors="ignore")
    if arch.attention is not None:
        top = [np.nan, *(ceiling(arch, layer, start.n) for layer in range(1, arch.depth + 1))]
        ds["entropy_ceiling"] = ("layer", np.array(top))
    title = f"fpsolve: {arch.name or 'network'} at initialisation, {'wide limit' if wide else 'exact chain'}"
    return finished(ds, threshold, title, config, versions())


def initial_of(tokens: Any, start: Start) -> dict[str, Any]:
    """What attributes say of the tokens: their kind and number, ids themselves."""
    ids = {"ids": np.asarray(tokens).tolist()} if start.kind == "ids" and np.ndim(tokens) == 1 else {}
    return {"name": start.kind, "n": start.n, **ids}


def has_bar(progress: bool | None, flops: float) -> bool:
    """Whether a bar is shown: as asked, else in a terminal for what takes ``LONG``."""
    return sys.stderr.isatty() and flops > LONG if progress is None else progress


def _members(members: int | Iterable[int]) -> range:
    if isinstance(members, int | np.integer):
        check_integer("members", members, 1)
        return range(int(members))
    numbers = list(members) if isinstance(members, Iterable) else []
    whole = all(isinstance(one, int | np.integer) for one in numbers)
    first = numbers[0] if numbers and whole else 0
    if not numbers or not whole or numbers != list(range(first, first + len(numbers))):
        raise InputError("members", members, "not a number, and not consecutive numbers", "pass range(100, 200)")
    check_integer("members", first, 0)
    return range(first, first + len(numbers))


def check_zero_rows(arch: Architecture, start: Start) -> None:
    """InputError where a token's vector is zero, the padding's without positions above all: it has no direction."""
    if start.law is not None or start.gram is not None:
        return
    size = (start.B**2).sum(1) + (0 if start.fixed is None else (start.fixed**2).sum(1))
    if (size == 0).any():
        token = int(np.argmin(size))
        padding = "" if start.kind != "ids" or arch.embedding.padding is None else f" (id {arch.embedding.padding} is)"
        problem = f"the vector of this token is zero and has no direction{padding}"
        raise InputError(f"tokens[{token}]", 0.0, problem, "leave padding out, or give vectors other than zero")


def check_memory(cost: Plan, n: int) -> None:
    """InputError where n tokens need more memory than this machine has."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # not every system tells
        return
    if cost.memory > 0.8 * memory:
        problem = f"needs {cost.memory / 2**30:.1f} GiB, this machine has {memory / 2**30:.1f}"
        raise InputError("tokens", n, problem, "take fewer tokens, or wide=True for wide networks")


def members_together(arch: Architecture, n: int) -> int:
    """How many members go side by side, by the numbers that one holds at once, roughly."""
    heads = 0 if arch.attention is None else arch.attention.heads
    inner = 0 if arch.attention is None else 3 * heads * arch.attention.head_dim
    one = n * (heads * n + inner + (0 if arch.mlp is None else min(arch.mlp.width, WIDTH)) + 4 * n)
    return max(1, NUMBERS // (4 * one))


def _record(state: State, save_gram: bool) -> dict[str, Any]:
    return {**observed(state.gram), **state.about, **({"gram": state.gram} if save_gram else {})}


def part(records: list[dict[str, Any]], members: range, last: State) -> xr.Dataset:
    """The records of a block of members; what a layer says of itself is NaN at layer 0."""
    ds = xr.Dataset(coords={"member": list(members), "layer": np.arange(len(records))})
    for name in dict.fromkeys(key for record in records for key in record):
        known = np.asarray(next(record[name] for record in records if name in record))
        columns = [np.asarray(record.get(name, np.full_like(known, np.nan))) for record in records]
        ds[name] = (("member", "layer", *DIMS.get(name, ())), np.stack(columns, 1))
    if "noise_time" in ds:
        ds["noise_time"] = ds["noise_time"].fillna(0.0).cumsum("layer")
    if last.projected is not None:
        ds["final_mean_overlap"] = ("member", mean_overlap(last.projected))
    return ds


def finished(ds: xr.Dataset, threshold: float, title: str, config: dict[str, Any], about: Mapping[str, str]) -> Result:
    """Derived variables, names and attributes; ``about`` are the versions."""
    above = ds["mean_overlap"] >= threshold
    ds["collapse_layer"] = xr.where(above.any("layer"), above.argmax("layer").astype(float), np.inf)
    ds = ds.assign_coords(quantile=list(QUANTILES))
    for name in ds.data_vars:
        units = "nats" if "entropy" in str(name) else "1"
        ds[name].attrs.update(long_name=LONG_NAMES[str(name)], units=units)
    ds["collapse_layer"].attrs["threshold"] = threshold
    ds["layer"].attrs.update(long_name="number of blocks passed", units="1")
    return as_result(ds).assign_attrs(
        Conventions="CF-1.11", title=title, fpsolve_config=json.dumps(config), fpsolve_versions=json.dumps(dict(about))
    )
