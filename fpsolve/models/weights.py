"""Laws of random weight matrices: of heads in layers, of heads drawn for a step, of heads to average over.

A matrix is its mean plus a centred fluctuation, which is made of uniforms on (0, 1) at an address of a Philox stream
(:mod:`fpsolve.noise._philox`), or of the standard normals of a path.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from fpsolve.attention.floor import Heads, RandomHeads
from fpsolve.attention.laws import DIMENSIONS, KeyQueryLaw
from fpsolve.attention.source import TOLERANCE
from fpsolve.cached import lru_cache
from fpsolve.errors import InputError
from fpsolve.models.base import Head, checked_matrix, checked_number, frozen_matrix
from fpsolve.noise import _philox
from fpsolve.noise._philox import Address, Purpose
from fpsolve.sphere.harmonics import Real
from fpsolve.values import Named

BLOCK_WORDS = 1024
"""Layers share a sequence as long as their uniforms are at most so many; then the next begins."""

TRIALS, ALARM = 64, 12.0
"""Draws that a sampler's mean is looked for in, and by how many deviations it must show."""

AVERAGE = 103
"""The Philox stream of matrices that stand for the mean over a law."""

FEW = 8
"""Matrices of a law at which it is asked how well a density knows what they see."""

WORD = (1 << 64) - 1

Sampler = Callable[[np.random.Generator, int], ArrayLike]
"""A user's sampler: (generator, d) -> (d, d)."""


@dataclass(frozen=True)
class MatrixLaw(metaclass=Named):
    """The law of a random d×d matrix, ``mean`` (a number times I, or a matrix) plus a centred fluctuation."""

    mean: ArrayLike = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", frozen_matrix("mean", self.mean))

    @abstractmethod
    def draw(self, at: Address, d: int, layers: int) -> Real:
        """Fluctuations of the first ``layers`` layers of a block, shape (layers, d, d)."""

    def layers_in_block(self, d: int) -> int:
        """How many layers share a sequence of words."""
        return 1

    def normals(self, d: int) -> int:
        """How many standard normals make one matrix; two, unless a law says otherwise."""
        return 2

    def from_normals(self, z: Real, d: int) -> Real:
        """Fluctuations (n, d, d) from standard normals (n, normals(d)): here drawn where the bits of two point to."""
        words = np.ascontiguousarray(z).view(np.uint64)
        addresses = (Address(int(a), int(b), AVERAGE, Purpose.NORMAL) for a, b in words)
        return np.stack([self.draw(at, d, 1)[0] for at in addresses])

    def made_of(self, z: Real, d: int) -> Real:
        """Matrices (n, d, d), mean included, from standard normals (n, normals(d))."""
        return self.mean_matrix(d) + self.from_normals(z, d)

    def check(self, d: int) -> None:
        """Raise InputError where there are no such d×d matrices: a mean of another size, a sampler that fails."""
        self.mean_matrix(d)

    def entry_std(self, d: int) -> float | None:
        """The deviation of one entry; None where it is not known."""
        return None

    def mean_matrix(self, d: int) -> Real:
        """The mean as a (d, d) array. Raises InputError when it is a matrix of another size."""
        mean = checked_matrix("mean", self.mean)
        if mean.ndim == 0:
            return mean * np.eye(d)
        if len(mean) != d:
            raise InputError("mean", mean.shape, f"the tokens live in d = {d}", f"pass a ({d}, {d}) matrix")
        return mean

    @property
    def is_random(self) -> bool:
        """Whether draws differ."""
        return True


@dataclass(frozen=True)
class Fixed(MatrixLaw):
    """The same matrix, ``mean``, in every head and layer."""

    @property
    def is_random(self) -> bool:
        return False

    def entry_std(self, d: int) -> float:
        return 0.0

    def draw(self, at: Address, d: int, layers: int) -> Real:
        return np.zeros((layers, d, d))

    def normals(self, d: int) -> int:
        return 0

    def from_normals(self, z: Real, d: int) -> Real:
        return np.zeros((len(z), d, d))


@dataclass(frozen=True)
class _FromUniforms(MatrixLaw):
    """A law made of ``uniforms(d)`` uniforms a matrix."""

    def uniforms(self, d: int) -> int:
        """How many uniforms make one matrix."""
        return d * d

    @abstractmethod
    def made(self, u: Real, d: int) -> Real:
        """Fluctuations (..., d, d) from uniforms (..., uniforms(d))."""

    def layers_in_block(self, d: int) -> int:
        return max(1, BLOCK_WORDS // self.uniforms(d))

    def draw(self, at: Address, d: int, layers: int) -> Real:
        words = self.uniforms(d)
        return self.made(_philox.uniforms(at, layers * words).reshape(layers, words), d)

    def normals(self, d: int) -> int:
        return self.uniforms(d)

    def from_normals(self, z: Real, d: int) -> Real:
        return self.made(ndtr(z), d)


@dataclass(frozen=True)
class Gaussian(_FromUniforms):
    """iid entries N(mean, std²)."""

    std: float

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_number("std", self.std)

    def entry_std(self, d: int) -> float:
        return self.std

    def made(self, u: Real, d: int) -> Real:
        return self.from_normals(ndtri(u), d)

    def from_normals(self, z: Real, d: int) -> Real:
        return np.asarray(self.std * z).reshape(*z.shape[:-1], d, d)


@dataclass(frozen=True)
class Product(_FromUniforms):
    """W W'ᵀ, both factors d×d of iid entries N(0, std²): uncorrelated entries of deviation √d std²."""

    std: float

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_number("std", self.std)

    def entry_std(self, d: int) -> float:
        return float(np.sqrt(d)) * self.std**2

    def uniforms(self, d: int) -> int:
        return 2 * d * d

    def made(self, u: Real, d: int) -> Real:
        return self.from_normals(ndtri(u), d)

    def from_normals(self, z: Real, d: int) -> Real:
        factors = np.asarray(self.std * z).reshape(*z.shape[:-1], 2, d, d)
        return np.einsum("...ak,...bk->...ab", factors[..., 0, :, :], factors[..., 1, :, :])


@dataclass(frozen=True)
class Uniform(_FromUniforms):
    """iid entries, uniform on mean + [-bound, bound]."""

    bound: float

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_number("bound", self.bound)

    def entry_std(self, d: int) -> float:
        return self.bound / float(np.sqrt(3))

    def made(self, u: Real, d: int) -> Real:
        return (self.bound * (2 * u - 1)).reshape(*u.shape[:-1], d, d)


@dataclass(frozen=True)
class Sampled(MatrixLaw):
    """A user's sampler of the fluctuation, (generator, d) -> (d, d), the generator at the matrix's own address.

    ``std``: deviation of the entries, iid or at least uncorrelated, which :func:`scaling` asks for. The sampler's own
    mean is zero: a mean goes into ``mean``. Bits are those of
    NumPy's Generator on Philox: the same for one version of NumPy.
    """

    sampler: Sampler
    std: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.sampler):
            raise InputError("sampler", self.sampler, "not callable", "pass a function (generator, d) -> (d, d)")
        if self.std is not None:
            checked_number("std", self.std)

    def __repr__(self) -> str:
        return f"Sampled({_named(self.sampler)}, std={self.std!r}, mean={self.mean!r})"

    def entry_std(self, d: int) -> float | None:
        return self.std

    def draw(self, at: Address, d: int, layers: int) -> Real:
        key = np.array([at.seed, at.member], dtype=np.uint64)
        counter = np.array([0, at.cell, at.level & WORD, (int(at.purpose) << 32) | at.stream], dtype=np.uint64)
        return self._matrix(np.random.Generator(np.random.Philox(key=key, counter=counter)), d)[None]

    def check(self, d: int) -> None:
        super().check(d)
        self._matrix(np.random.default_rng(0), d)

    def check_centred(self, d: int) -> None:
        """Raise InputError where draws have a mean: their products ⟨X_i, X_j⟩, i ≠ j, of mean |E X|², add up.

        Σ_{i≠j}⟨X_i, X_j⟩ of ``TRIALS`` draws is compared with its deviation for centred ones. A centred law exceeds
        ``ALARM`` deviations with probability below 1e-4 (one number times a fixed matrix; far below for more entries).
        """
        trials, generator = TRIALS if d <= 64 else TRIALS // 2, np.random.default_rng(0)
        drawn = np.stack([self._matrix(generator, d) for _ in range(trials)])
        products = np.einsum("iab,jab->ij", drawn, drawn)
        np.fill_diagonal(products, 0.0)
        if products.sum() > ALARM * np.sqrt(2 * np.sum(products**2)) > 0:
            largest = np.abs(drawn.mean(0)).max()
            problem = f"its draws are not centred: the largest entry of their mean is about {largest:.2g}"
            raise InputError("sampler", _named(self.sampler), problem, "return X - E X in Sampled(sampler, mean=E X)")

    def _matrix(self, generator: np.random.Generator, d: int) -> Real:
        remedy = "pass a function (generator, d) -> (d, d)"
        try:
            matrix = np.asarray(self.sampler(generator, d), float)
        except Exception as error:
            problem = f"fails for (generator, {d}): {type(error).__name__}: {error}"
            raise InputError("sampler", _named(self.sampler), problem, remedy) from error
        if matrix.shape != (d, d) or not np.isfinite(matrix).all():
            raise InputError("sampler", matrix.shape, f"did not return a finite ({d}, {d}) matrix", remedy)
        return matrix


def is_rotation_invariant(law: MatrixLaw) -> TypeGuard[Gaussian | Product]:
    """Whether the law of A is known to be that of AR for rotations R, so that K_μ(x,y) = k_μ(⟨x,y⟩)."""
    return isinstance(law, Gaussian | Product) and not np.any(law.mean)


def isotropic_law(law: Gaussian | Product, d: int) -> KeyQueryLaw:
    """The same law for the kernels and quadratures of d = 2, 3."""
    return KeyQueryLaw("gaussian" if isinstance(law, Gaussian) else "product", law.std, d)


def queries_of(law: MatrixLaw, beta: float, d: int) -> Heads:
    """Where heads of this law ask a measure for F: without a quadrature |Ax| or ``FEW`` matrices stand for it."""
    if is_rotation_invariant(law) and d in DIMENSIONS:
        return RandomHeads(isotropic_law(law, d), beta, TOLERANCE)
    if is_rotation_invariant(law):  # |Ax| is nearly the same for all A in high d
        return [Head(beta, np.array(float(np.sqrt(d)) * float(law.entry_std(d))), np.array(1.0))]
    return [Head(beta, matrix, np.array(1.0)) for matrix in averaging_matrices(law, FEW, 0, d)]


@lru_cache(maxsize=8)
def averaging_matrices(law: MatrixLaw, count: int, seed: int, d: int) -> Real:
    """``count`` matrices of a law, a pure function of the seed, shape (count, d, d); one where all are the same.

    More of them only append.
    """
    if not law.is_random:
        return law.mean_matrix(d)[None]
    words = law.normals(d)
    z = _philox.normals(Address(seed, 0, AVERAGE, Purpose.NORMAL), count * words)
    matrices = law.made_of(z.reshape(count, words), d)
    return matrices


def _named(sampler: Any) -> str:
    return str(getattr(sampler, "__name__", type(sampler).__name__))
