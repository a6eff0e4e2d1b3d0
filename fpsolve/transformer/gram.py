"""The Gram chain: layers with Gaussian weights move inner products of tokens by a Markov chain that needs no d×d matrix.

Conventions
-----------
G_ij = ⟨x_i, x_j⟩ / per of n tokens in R^D: ``per`` = 1 for tokens of the sphere (:class:`RandomTransformer`), ``per`` = d
for networks, whose G_ii is a mean square. The state is a factor X of G, shape (members, n, r), G = X Xᵀ, r ≤ min(n, D):
the tokens over √per in r coordinates of their own span. A factor keeps what its Gram matrix cannot: squares of distances
below round-off. Given X every function here is exact in law for all n, D; a leading axis of members (or none) broadcasts.

* a matrix W of iid N(0, s²) entries with k outputs: the rows W x_i are n×k Gaussian, columns iid with covariance
  s² per G between tokens (:func:`columns`);
* a residual N whose D columns are iid with covariance B Bᵀ between tokens: :func:`noise` writes it in coordinates whose first
  r are those of X, :func:`add` gives the factor of X + N. N may be scaled row by row in between.

With N = B Z, Z of shape (p, D): the first r columns of Z meet X; of the others only Z₂Z₂ᵀ, a Wishart matrix of D-r degrees of
freedom, enters inner products. Where D-r ≥ p it is L Lᵀ, L Bartlett's lower triangle with L_ii² ~ χ²_{D-r-i}, i = 0, …, and
standard normals below: O(n³) whatever D is; otherwise Z₂ is drawn. Random numbers are pure functions of (seed, member, layer,
what, index).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtri

from fpsolve.noise import _philox
from fpsolve.noise._philox import Address, Purpose
from fpsolve.sphere.harmonics import Real

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

    def uniforms(self, count: int) -> Real:
        """Uniforms on (0, 1), shape (members, count); more of them only append."""
        at = (Address(self.seed, m, self.what, Purpose.NORMAL, self.index, self.layer) for m in self.members)
        return np.stack([_philox.uniforms(one, count) for one in at])

    def normals(self, *shape: int) -> Real:
        """Standard normals, shape (members, *shape)."""
        return np.asarray(ndtri(self.uniforms(int(np.prod(shape))))).reshape(-1, *shape)


def gram(X: Real) -> Real:
    """G = X Xᵀ, (..., n, n)."""
    return X @ X.swapaxes(-1, -2)


def factor(G: Real, D: int) -> Real:
    """A factor X (..., n, min(n, D)) of the Gram matrix G (..., n, n) of tokens in D dimensions, by eigenvectors.

    Tokens that are the same to G (squared distance below ``SAME`` n ε of their squared norms) get the same row: roots of
    clipped eigenvalues would set them apart by √ε.
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
    return Y if k <= n else np.linalg.qr(Y.swapaxes(-1, -2), mode="r").swapaxes(-1, -2)


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


def _triangle(u: Real, degrees: int, p: int) -> Real:
    """Bartlett's triangle from uniforms (members, p(p+1)/2): first those of the diagonal."""
    L = np.zeros((len(u), p, p))
    L[:, *np.diag_indices(p)] = np.sqrt(2 * gammaincinv((degrees - np.arange(p)) / 2, u[:, :p]))
    L[:, *np.tril_indices(p, -1)] = ndtri(u[:, p:])
    return L
