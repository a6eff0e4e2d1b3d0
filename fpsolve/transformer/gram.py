"""The Gram chain: layers of Gaussian weights move the inner products of tokens as a Markov chain without d×d matrices.

Conventions
-----------
G_ij = ⟨x_i, x_j⟩ / per of n tokens in R^D: ``per`` = 1 for tokens of the sphere (:class:`RandomTransformer`), ``per``
= d for networks, whose G_ii is a mean square. The state is a factor X of G, shape (members, n, r), G = X Xᵀ,
r ≤ min(n, D): the tokens over √per in r coordinates of their own span. A factor keeps what its Gram matrix cannot:
squares of distances below round-off. Given X every function here is exact in law for all n and D; the leading axis may
be absent or 1.

* W of k×D iid N(0, s²) entries: the rows W x_i are n×k Gaussian, columns iid of covariance s² per G between tokens
  (:func:`columns`);
* a residual N whose D columns are iid of covariance B Bᵀ between tokens: :func:`noise` writes it in coordinates whose
  first r are those of X, :func:`add` gives the factor of X + N. N may be scaled row by row in between.

N = B Z, Z of shape (p, D): the first r columns of Z meet X; of the others Z₂ only Z₂Z₂ᵀ enters inner products, a
Wishart matrix of D-r degrees of freedom. Where D-r ≥ p it is L Lᵀ with Bartlett's lower triangle L, L_ii² ~ χ²_{D-r-i}
for i = 0, 1, … and standard normals below: O(n³) for every D. Otherwise Z₂ is drawn itself.

Random numbers are pure functions of (seed, member, layer, what, index), see :class:`Place`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from scipy.special import gammaincinv, ndtri

from fpsolve.models.weights import Fixed, Gaussian, MatrixLaw, Product
from fpsolve.noise import _philox
from fpsolve.noise._philox import Address, Purpose
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer.weights import HeadLaw

SCORES, VALUES = 120, 121
"""Philox streams of A and V in :class:`AttentionChain`."""

WIDE = 4
"""Factors of more columns than so many n are compressed on the way."""

SAME = 8.0
"""Tokens whose squared distance is below this many n·ε of their squared norms are one token to a Gram matrix."""


@dataclass(frozen=True)
class Place:
    """Where the random numbers of one draw come from: ``what`` is the Philox stream, ``index`` a head, for example."""

    seed: int
    members: Sequence[int]
    what: int
    layer: int = 0
    index: int = 0

    def uniforms(self, number: int) -> Real:
        """Uniforms on (0, 1), shape (members, number); more of them only append."""
        at = (Address(self.seed, m, self.what, Purpose.NORMAL, self.index, self.layer) for m in self.members)
        return np.stack([_philox.uniforms(one, number) for one in at])

    def normals(self, *shape: int) -> Real:
        """Standard normals, shape (members, *shape)."""
        return np.asarray(ndtri(self.uniforms(int(np.prod(shape))))).reshape(-1, *shape)


def gram(X: Real) -> Real:
    """G = X Xᵀ, (..., n, n)."""
    return X @ X.swapaxes(-1, -2)


def factor(G: Real, D: int) -> Real:
    """A factor X (..., n, min(n, D)) of the Gram matrix G (..., n, n) of tokens in D dimensions, by eigenvectors.

    Tokens that are the same to G (squared distance below ``SAME`` n ε of their squared norms) get the same row: roots
    of clipped eigenvalues would set them apart by √ε.
    """
    values, vectors = np.linalg.eigh(G)
    r = min(G.shape[-1], D)
    X = (vectors * np.sqrt(np.maximum(values, 0))[..., None, :])[..., -r:]
    square = np.diagonal(G, axis1=-2, axis2=-1)
    total = square[..., :, None] + square[..., None, :]
    near = total - 2 * G <= SAME * G.shape[-1] * np.finfo(float).eps * total
    near |= np.eye(G.shape[-1], dtype=bool)
    first = np.argmax(near, -1)
    return np.take_along_axis(X, np.take_along_axis(first, first, -1)[..., None], -2)


def compress(Y: Real) -> Real:
    """A factor with at most n columns of the Gram matrix Y Yᵀ, Y (..., n, k): by QR, never through Y Yᵀ."""
    n, k = Y.shape[-2:]
    return Y if k <= n else np.asarray(np.linalg.qr(Y.swapaxes(-1, -2), mode="r")).swapaxes(-1, -2)


def normalised(X: Real, eps: float = 0.0) -> Real:
    """A factor of C = D^{-1/2} G D^{-1/2}, D_i = G_ii + eps."""
    return X / np.sqrt(np.einsum("...ia,...ia->...i", X, X) + eps)[..., None]


def columns(X: Real, k: int, std: float, at: Place, per: float = 1.0) -> Real:
    """W x_i for a k×D matrix W of iid N(0, std²) entries: (members, n, k), covariance std² per G between tokens."""
    return std * np.sqrt(per) * (X @ at.normals(X.shape[-1], k))


def bartlett(degrees: int, p: int, at: Place) -> Real:
    """Lower triangles L (members, p, p), L Lᵀ Wishart of ``degrees`` ≥ p degrees of freedom and scale I."""
    return _triangle(at.uniforms(p * (p + 1) // 2), degrees, p)


def noise(B: Real, r: int, D: int, at: Place, per: float = 1.0) -> Real:
    """N/√per in coordinates whose first r are X's: (members, n, r + q), q ≤ min(n, D - r).

    N has D iid Gaussian columns of covariance B Bᵀ between tokens, B (..., n, p). The Gram matrix of the rows of
    [X | 0] + N has the law that it has in R^D.
    """
    rest = D - r
    if rest < min(B.shape[-2:]):
        return B @ at.normals(B.shape[-1], D) / np.sqrt(per)
    B = compress(B) / np.sqrt(per)
    p = B.shape[-1]
    u = at.uniforms(p * r + p * (p + 1) // 2)
    first = np.asarray(ndtri(u[:, : p * r])).reshape(-1, p, r)
    return B @ np.concatenate([first, _triangle(u[:, p * r :], rest, p)], -1)


def add(X: Real, N: Real) -> Real:
    """The factor of the tokens X + N, N in X's coordinates and maybe more."""
    padded = np.zeros(np.broadcast_shapes((*X.shape[:-1], N.shape[-1]), N.shape))
    padded[..., : X.shape[-1]] = X
    return compress(padded + N)


def residual(X: Real, B: Real, D: int, at: Place, per: float = 1.0) -> Real:
    """The factor (members, n, ≤ min(n, D)) of x_i + N_i, N of D iid columns with covariance B Bᵀ between tokens."""
    return add(X, noise(B, X.shape[-1], D, at, per))


def bilinear(law: MatrixLaw, r: int, d: int, at: Place) -> Real:
    """A of a law in :func:`is_chain`, restricted to an r-dimensional space of tokens: M (members or 1, r, r).

    ⟨A x_i, x_j⟩ is in law X M Xᵀ: for Gaussian A, M is Gaussian; for A = W W'ᵀ it is W_r W'_rᵀ with r×d factors, in law
    L Z', L Bartlett's triangle of d degrees of freedom and Z' a Gaussian r×r matrix.
    """
    mean = float(law.mean) * np.eye(r)[None]  # type: ignore[arg-type]
    if isinstance(law, Gaussian):
        return mean + law.std * at.normals(r, r)
    if isinstance(law, Product):
        u = at.uniforms(r * (r + 1) // 2 + r * r)
        L, Z = _triangle(u[:, : -r * r], d, r), np.asarray(ndtri(u[:, -r * r :])).reshape(-1, r, r)
        return mean + law.std**2 * (L @ Z)
    return mean


def is_chain(law: HeadLaw, d: int) -> bool:
    """Whether :class:`AttentionChain` knows the law: multiples of I plus nothing, iid normals or (A only) W W'ᵀ."""
    key_query, value = law.key_query_law(), law.value_law(d)
    known = type(key_query) in (Fixed, Gaussian, Product) and type(value) in (Fixed, Gaussian)
    return law.normalised and known and np.ndim(key_query.mean) == np.ndim(value.mean) == 0


class AttentionChain:
    """Members of a :class:`RandomTransformer` in law, by their overlaps: iterate for (layer, X), without end.

    In x_i ← N(x_i + (η/H) Σ_h V_h m_h(x_i)), m_h = π_h x, a layer sees the tokens through scores βXMXᵀ, M of
    :func:`bilinear`, and, given the π_h, V of deviation σ_V and mean v̄I adds v̄ (η/H) Σ_h m_h and a residual of d iid
    columns of covariance (η/H)² σ_V² Σ_h π_h C π_hᵀ between tokens, C = X Xᵀ.

    X: factors (members, n, r) of the overlaps at the start, rows of unit length; weights (n,) of the tokens; ``law``
    one that :func:`is_chain` knows. Costs O(H n² min(n, d)) a layer and member, without d×d matrices.
    """

    def __init__(
        self, X: Real, weights: Real, law: HeadLaw, d: int, heads: int, step: float, seed: int, members: range
    ) -> None:
        with np.errstate(divide="ignore"):  # a token of no weight is attended to by none
            self.log_weights = np.log(weights)
        self.X, self.d, self.heads, self.step, self.beta = X, d, heads, step, law.beta
        self.seed, self.members = seed, members
        self.key_query, value = law.key_query_law(), law.value_law(d)
        self.value_mean, self.value_std = float(value.mean), value.entry_std(d) or 0.0  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[tuple[int, Real]]:
        X = self.X
        yield 0, X
        for layer in count(1):
            mean, B = self._attended(X, layer)
            X = X + self.step * self.value_mean * mean
            if self.value_std > 0:
                X = residual(X, self.step * self.value_std * B, self.d, self._at(VALUES, layer))
            X = normalised(X)
            yield layer, X

    def _attended(self, X: Real, layer: int) -> tuple[Real, Real]:
        """(1/H) Σ_h π_h X and B (members, n, p), B Bᵀ = H⁻² Σ_h π_h C π_hᵀ; heads of a fixed A attend alike."""
        n, r = X.shape[-2:]
        different = self.heads if self.key_query.is_random else 1
        mean, B = np.zeros_like(X), np.empty((*X.shape[:-1], 0))
        for head in range(different):
            M = bilinear(self.key_query, r, self.d, self._at(SCORES, layer, head))
            scores = self.beta * (X @ M) @ X.swapaxes(-1, -2) + self.log_weights
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            attended = (weights @ X) / weights.sum(-1, keepdims=True)
            mean += attended / different
            B = np.concatenate([B, attended / np.sqrt(self.heads * different)], -1)
            B = compress(B) if B.shape[-1] >= WIDE * n else B
        return mean, B

    def _at(self, what: int, layer: int, head: int = 0) -> Place:
        return Place(self.seed, self.members, what, layer, head)


def _triangle(u: Real, degrees: int, p: int) -> Real:
    """Bartlett's triangle from uniforms (members, p(p+1)/2): first those of the diagonal."""
    L = np.zeros((len(u), p, p))
    i, j = np.tril_indices(p, -1)
    L[:, np.arange(p), np.arange(p)] = np.sqrt(2 * gammaincinv((degrees - np.arange(p)) / 2, u[:, :p]))
    L[:, i, j] = ndtri(u[:, p:])
    return L
