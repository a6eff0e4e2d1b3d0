"""Where a network starts: token ids, vectors, a Gram matrix or a law, as fixed vectors and iid Gaussian columns."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpsolve.errors import InputError, check_integer
from fpsolve.measures.initial import samples
from fpsolve.measures.laws import Law
from fpsolve.memory import check_memory
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer.network.architecture import Architecture

TOLERANCE = 1e-10
"""Relative asymmetry and negativity that a Gram matrix may have."""


@dataclass(frozen=True)
class Start:
    """The embeddings x = ``fixed`` + B Z, Z of iid normals with d columns, ``norm``alised or not; or a Gram matrix.

    fixed: (n, d) or None; B: (n, p); gram: (n, n), its tokens in general position. kind: what was given, for
    attributes. laws: an initial law, of which every member draws its own ``n`` tokens.
    """

    n: int
    kind: str
    B: Real
    fixed: Real | None = None
    gram: Real | None = None
    norm: bool = False
    twins: Any = None
    law: Law | None = None

    def vectors(self, seed: int, members: range, d: int) -> Real | None:
        """The fixed vectors of every member, (members or 1, n, d)."""
        if self.law is not None:
            return np.sqrt(d) * np.stack([samples(self.law, self.n, seed, member).x for member in members])
        return None if self.fixed is None else self.fixed[None]


def count_of(tokens: Any, n: int | None) -> int:
    """How many tokens these seem to be, at least 2; nothing is built or checked."""
    many: Any = tokens if n is None else n
    with suppress(TypeError):  # numbers have no length
        many = len(many)
    return max(2, int(many)) if isinstance(many, int | np.integer) else 2


def start_of(arch: Architecture, tokens: Any, n: int | None) -> Start:
    """The start that ``tokens`` are for this architecture, see :func:`predict`; InputError names what is wrong."""
    if isinstance(tokens, Law):
        if n is None:
            raise InputError("n", None, "a law does not say how many tokens to draw", "pass n=64, for example")
        check_integer("n", n, 2)
        if tokens.dimension != arch.d:
            raise InputError(
                "tokens",
                tokens,
                f"a law on S^{tokens.dimension - 1}, the width is {arch.d}",
                "give one in that dimension",
            )
        return Start(n, "law", np.zeros((n, 0)), law=tokens)
    if n is not None:
        start_of(arch, tokens, None)  # what are no tokens is refused as such
        raise InputError("n", n, "only a law needs it", "leave it out")
    if isinstance(tokens, int | np.integer) and not isinstance(tokens, bool):
        check_integer("tokens", tokens, 2)
        check_memory("tokens", int(tokens), 8 * int(tokens))
        return _distinct(arch, int(tokens))
    try:
        array = np.asarray(tokens)
    except Exception:  # whatever an object raises that is asked for its array
        array = np.zeros((0,))
    if array.ndim == 1 and array.size and np.issubdtype(array.dtype, np.integer):
        return _ids(arch, array)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
        problem = "not ids (n,), a number of tokens, vectors (n, width), a Gram matrix (n, n) or a law"
        raise InputError("tokens", array.shape if array.size else tokens, problem, "pass np.arange(64), for example")
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise InputError("tokens", array, "has entries that are not finite", "give finite numbers")
    check_integer("tokens", len(array), 2)
    if array.shape[0] == array.shape[1] and np.allclose(array, array.T, rtol=0, atol=TOLERANCE * np.abs(array).max()):
        return _gram(array)
    return _vectors(arch, array)


def _distinct(arch: Architecture, n: int) -> Start:
    """n tokens with nothing in common: distinct ids, patches of unit entries, or iid vectors of unit mean square."""
    if arch.embedding.vocab is not None:
        if arch.embedding.vocab < n + (arch.embedding.padding is not None):
            raise InputError("tokens", n, f"there are {arch.embedding.vocab} ids", "give ids, which may repeat")
        first = 1 if arch.embedding.padding == 0 else 0
        ids = np.arange(first, n + first)
        if arch.embedding.padding is not None and arch.embedding.padding > 0:
            ids[ids >= arch.embedding.padding] += 1
        return _ids(arch, ids)
    if arch.embedding.features is not None:
        f = arch.embedding.features
        patches = n - (arch.embedding.class_token is not None)
        return _embedded(arch, np.sqrt(f) * arch.embedding.token.deviation * np.eye(patches), np.arange(n), "patches")
    return Start(n, "iid vectors", np.eye(n))


def _ids(arch: Architecture, ids: Any) -> Start:
    vocab = arch.embedding.vocab
    if vocab is None:
        raise InputError("tokens", ids, "this network takes vectors", "give an array (n, width), or a Gram matrix")
    if ids.min() < 0 or ids.max() >= vocab:
        outside = ids[(ids < 0) | (ids >= vocab)][0]
        raise InputError("tokens", int(outside), f"outside the vocabulary of {vocab} ids", f"give ids in [0, {vocab})")
    check_integer("tokens", len(ids), 2)
    unique, at = np.unique(ids, return_inverse=True)
    rows = arch.embedding.multiplier * arch.embedding.token.deviation * np.eye(len(unique))[at]
    if arch.embedding.padding is not None:
        rows[ids == arch.embedding.padding] = 0.0
    return _embedded(arch, rows, ids, "ids")


def _vectors(arch: Architecture, array: Real) -> Start:
    width = arch.d if arch.embedding.features is None else arch.embedding.features
    if array.shape[1] != width:
        raise InputError("tokens", array.shape, f"vectors have {width} components here", f"give an array (n, {width})")
    if arch.embedding.features is None:
        return Start(len(array), "vectors", np.zeros((len(array), 0)), array)
    return _embedded(arch, arch.embedding.token.deviation * array, None, "patches")


def _gram(G: Real) -> Start:
    values = np.linalg.eigvalsh(G)
    if values[0] < -TOLERANCE * max(values[-1], 0) or (np.diag(G) <= 0).any():
        raise InputError("tokens", G, "a symmetric matrix, but no Gram matrix", "give x @ x.T / d, or vectors (n, d)")
    return Start(len(G), "Gram matrix", np.zeros((len(G), 0)), gram=0.5 * (G + G.T))


def _embedded(arch: Architecture, rows: Real, ids: Any, kind: str) -> Start:
    """rows (n, p) of the tokens, class token, positions and types added."""
    e, positions = arch.embedding, arch.positions
    if e.class_token is not None:
        rows = np.pad(rows, ((1, 0), (1, 0)))
        rows[0, 0] = e.class_token.deviation
        ids = None
    n = len(rows)
    if positions.max_length is not None and n > positions.max_length:
        raise InputError("tokens", n, f"the longest sequence has {positions.max_length}", "give fewer tokens")
    if positions.kind == "learned":
        rows = np.hstack([rows, positions.init.deviation * np.eye(n)])
    if e.types is not None:
        rows = np.hstack([rows, np.full((n, 1), e.types.deviation)])
    fixed = sinusoids(n, arch.d) if positions.kind == "sinusoidal" else None
    same = None
    blind = arch.attention is None or (arch.attention.mask == "bidirectional" and arch.attention.window is None)
    if ids is not None and positions.kind == "none" and blind:
        same = np.unique(ids, return_index=True)[1][np.unique(ids, return_inverse=True)[1]]
    return Start(n, kind, rows, fixed, norm=e.norm, twins=same)


def sinusoids(n: int, d: int) -> Real:
    """The positions of :cite:`attention2017`: sin and cos of i·10000^{-2c/d} in turn, shape (n, d)."""
    angle = np.arange(n)[:, None] * 10000.0 ** (-2 * np.arange((d + 1) // 2) / d)
    return np.stack([np.sin(angle), np.cos(angle)], -1).reshape(n, -1)[:, :d]
