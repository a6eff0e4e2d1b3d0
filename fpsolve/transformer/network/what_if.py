"""What becomes of the tokens of a network, which change moves that most, and where both failures are avoided."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.errors import InputError, check_number
from fpsolve.observe import Result, as_result, versions
from fpsolve.plain.arguments import checked_arguments
from fpsolve.surroundings import tqdm
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.observe import LONG_NAMES
from fpsolve.transformer.network.parts import PLACES, Init
from fpsolve.transformer.network.predict import has_bar, initial_of, predict
from fpsolve.transformer.network.start import start_of

SHARP, EVEN = 0.2, 0.95
"""Attention is called too sharp where its entropy falls below this share of that of even weights, and flat above
that."""

LOGITS, RESIDUAL = (0.125, 0.25, 0.5, 1, 2, 4, 8, 16), (0.125, 0.25, 0.5, 1, 2, 4)
"""Factors of the map."""

CELLS = len(LOGITS) * len(RESIDUAL)

LONG_NAMES |= {
    "overlap_at_depth": "mean cosine of distinct tokens after the last block",
    "entropy_share": "least mean entropy of attention over the layers, as a share of that of even weights",
    "avoided": "whether tokens keep apart and attention is not too sharp",
}


def entropy_share(ds: xr.Dataset) -> xr.DataArray:
    """Mean entropy of attention as a share of its ceiling, by layer; NaN at layer 0."""
    ceiling = ds["entropy_ceiling"]
    return ds["attention_entropy"].mean("member") / ceiling.where(ceiling > 0)


@checked_arguments
def verdict(ds: xr.Dataset) -> str:
    """One sentence on a result of :func:`predict`: collapse or the overlap that is kept, and what attention does.

    Of one of :func:`measure_network`, which does not know what its tokens may see, the first half. Raises InputError
    for any other Dataset.
    """
    if "collapse_layer" not in ds or "mean_overlap" not in ds:
        raise InputError("ds", sorted(map(str, ds.data_vars)), "has no layers", "give a result of predict")
    threshold = float(ds["collapse_layer"].attrs["threshold"])
    layers = ds["collapse_layer"].values
    overlap = ds["mean_overlap"].mean("member")
    share = float(np.isfinite(layers).mean())
    if share >= 0.5:
        found = layers[np.isfinite(layers)]
        spread = f", {found.min():.0f} to {found.max():.0f} over {len(layers)} members" if len(layers) > 1 else ""
        rest = f"; {1 - share:.0%} of the members keep below" if share < 1 else ""
        text = f"collapses at layer {np.median(layers):.0f} (mean overlap above {threshold:g}{spread}){rest}"
    else:
        some = f", {share:.0%} of the members collapse" if share else ""
        bound, depth = ceil(100 * float(overlap.max())) / 100, ds.sizes["layer"] - 1
        text = f"keeps the mean overlap below {bound:.2f} through {depth} layers{some}"
    if "attention_entropy" not in ds or "entropy_ceiling" not in ds or not np.isfinite(entropy_share(ds)).any():
        return text
    shares = entropy_share(ds)
    low, high = float(shares.min()), float(shares.max())
    if low < SHARP:
        return f"{text}; attention is too sharp, down to {low:.0%} of the entropy of even weights"
    if low > EVEN:
        return f"{text}; attention is nearly even, {low:.0%} to {high:.0%} of the largest entropy"
    return f"{text}; attention's entropy is {low:.0%} to {high:.0%} of that of even weights"


def with_deviations(arch: Architecture, factor: float) -> Architecture:
    """All matrices of the blocks with this factor on their deviations; embeddings and biases as they are."""
    check_number("factor", factor, 0)
    names = {"attention": ("query", "key", "value", "output"), "mlp": ("up", "gate", "down")}
    changes = {}
    for part, matrices in names.items():
        if getattr(arch, part) is not None:
            for name in matrices:
                changes[f"{part}.{name}"] = _times(getattr(getattr(arch, part), name), factor)
    return arch.changed(**changes)


def with_logits(arch: Architecture, factor: float) -> Architecture:
    """The factor on the logits, β."""
    if arch.attention is None:
        raise InputError("arch", arch.name, "has no attention", "vary something else")
    return arch.changed(**{"attention.scale": factor * arch.attention.logit_scale})


def with_residual(arch: Architecture, factor: float) -> Architecture:
    """The factor on what every block adds."""
    return arch.changed(**{"residual.branch": factor * arch.residual.branch})


def with_heads(arch: Architecture, factor: float) -> Architecture:
    """As many times the heads, each as many times narrower, logits scaled as before relative to 1/√head_dim."""
    heads = 0.0 if arch.attention is None else arch.attention.heads * factor
    if heads != int(heads) or heads < 1:
        raise InputError("factor", factor, "does not give whole heads", "give another factor")
    return arch.resized(heads=int(heads))


def _times(init: Init, factor: float) -> Init:
    return Init(factor * init.std, init.law, init.cut)


def variations(arch: Architecture, tokens: Any) -> dict[str, tuple[Architecture, Any]]:
    """Single changes by name: everything of ``what_if``, those left out that the architecture does not allow."""
    found: dict[str, tuple[Architecture, Any]] = {}
    makers: dict[str, Callable[[Architecture, float], Architecture]] = {
        "deviations of the blocks": with_deviations,
        "residual scale": with_residual,
        "logits (β)": with_logits,
        "heads": with_heads,
    }
    for name, make in makers.items():
        for factor in (0.5, 2.0):
            try:
                found[f"{name} × {factor:g}"] = (make(arch, factor), tokens)
            except InputError:  # fewer than whole heads, no attention, an odd width under rotary positions
                continue
    for place in ("pre", "post", "peri"):
        if PLACES[place] != PLACES[arch.norm.place]:
            found[f"norm: {place}"] = (arch.changed(**{"norm.place": place}), tokens)
    if isinstance(tokens, int | np.integer):
        for many in (int(tokens) // 2, 2 * int(tokens)):
            try:
                start_of(arch, many, None)
            except InputError:  # more than the positions or the vocabulary, fewer than two
                continue
            found[f"n = {many}"] = (arch, many)
    return found


@checked_arguments
def what_if(arch: Architecture, tokens: Any, **options: Any) -> Result:
    """One thing changed at a time, and which change moves the collapse most.

    Half and double the deviations of the blocks' matrices, the residual scale, the factor β of the logits, the number
    of heads (at fixed total width) and of tokens, and the other places of normalisation. options: those of
    :func:`predict`.

    Returns a Dataset with dimension ``change``, the first ``as given``: collapse_layer (median over members, infinite
    where most do not collapse), overlap_at_depth, entropy_share (the least over the layers); attribute ``largest``: the
    change that moves the collapse layer by the largest factor, or, where there is no collapse before and after, the
    overlap at depth.
    """
    cases = {"as given": (arch, tokens), **variations(arch, tokens)}
    rows = _summaries(list(cases.values()), options)
    ds = xr.Dataset({name: ("change", [row[name] for row in rows]) for name in rows[0]}, {"change": list(cases)})
    base = rows[0]
    moves = [_move(base, row, arch.depth) for row in rows[1:]]
    ds.attrs["largest"] = list(cases)[1 + int(np.argmax(moves))] if moves else ""
    return _named(ds, f"fpsolve: {arch.name or 'network'}, one change at a time", arch, tokens, options)


@checked_arguments
def phase_map(
    arch: Architecture,
    tokens: Any,
    *,
    logits: Sequence[float] = LOGITS,
    residual: Sequence[float] = RESIDUAL,
    **options: Any,
) -> Result:
    """The plane of query-key scale and residual scale, as factors on those of ``arch``.

    Variables on (logits, residual): collapse_layer, overlap_at_depth, entropy_share, and avoided: no collapse within
    the depth (tokens keep apart) and an entropy of attention never below ``SHARP`` of even weights. The forward half of
    the trainability diagrams of :cite:`twofailures2025`.
    """
    for name, factors in (("logits", logits), ("residual", residual)):
        if not len(factors):
            raise InputError(name, factors, "is empty", "give factors, 1.0 for the architecture's own")
        for factor in factors:
            check_number(name, factor, 0, above=True)
    variants = [(with_residual(with_logits(arch, a), b), tokens) for a in logits for b in residual]
    rows, shape = _summaries(variants, options), (len(logits), len(residual))
    ds = xr.Dataset(
        {name: (("logits", "residual"), np.reshape([row[name] for row in rows], shape)) for name in rows[0]},
        {"logits": list(map(float, logits)), "residual": list(map(float, residual))},
    )
    ds["avoided"] = np.isinf(ds["collapse_layer"]) & (ds["entropy_share"] >= SHARP)
    ds["logits"].attrs["long_name"] = "query-key scale, × that of the architecture"
    ds["residual"].attrs["long_name"] = "residual scale, × that of the architecture"
    return _named(ds, f"fpsolve: {arch.name or 'network'}, where tokens keep apart", arch, tokens, options)


def _summaries(cases: Sequence[tuple[Architecture, Any]], options: dict[str, Any]) -> list[dict[str, float]]:
    """One prediction after the other, under one bar."""
    options = dict(options)
    progress = options.pop("progress", None)
    hidden = not has_bar(progress, inf)
    return [
        _summary(predict(arch, tokens, **options, progress=False))
        for arch, tokens in tqdm(cases, disable=hidden, unit="network", desc="fpsolve")
    ]


def _summary(ds: xr.Dataset) -> dict[str, float]:
    """Collapse layer, overlap at depth and least entropy share of one prediction."""
    shares = entropy_share(ds) if "attention_entropy" in ds else None
    return {
        "collapse_layer": float(np.median(ds["collapse_layer"])),
        "overlap_at_depth": float(ds["mean_overlap"].isel(layer=-1).mean()),
        "entropy_share": float("nan") if shares is None else float(shares.min()),
    }


def _move(base: dict[str, float], row: dict[str, float], depth: int) -> float:
    """How far a change moves the collapse: |log| of the ratio of layers, counted from depth + 1 where there is none.

    Below all of those, by a small share, the change of the overlap at depth.
    """
    before, after = (max(1.0, min(one["collapse_layer"], depth + 1.0)) for one in (base, row))
    return abs(np.log(after / before)) + 1e-3 * abs(row["overlap_at_depth"] - base["overlap_at_depth"])


def _named(ds: xr.Dataset, title: str, arch: Architecture, tokens: Any, options: dict[str, Any]) -> Result:
    for name in ds.data_vars:
        ds[name].attrs.update(long_name=LONG_NAMES[str(name)], units="1")
    plain = {key: one if isinstance(one, str | int | float | None) else str(one) for key, one in options.items()}
    initial = initial_of(tokens, start_of(arch, tokens, options.get("n")))
    config = {"model": {"name": "Architecture", **arch.to_dict()}, "initial": initial, "solve": plain}
    return as_result(ds).assign_attrs(
        Conventions="CF-1.11", title=title, fpsolve_config=json.dumps(config), fpsolve_versions=json.dumps(versions())
    )
