"""Laws of a head's weight matrices, drawn at addresses (seed, member, layer, head).

A matrix is its mean plus a centred fluctuation made of uniforms on (0, 1), which are words of a Philox stream
(:mod:`fpsolve.noise._philox`): the value and the key-query matrices have a stream each, a head its own sequence, and
layers follow one another in it. So a matrix depends on its address alone, and more heads or layers only append.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from fpsolve.errors import InputError, unknown_name
from fpsolve.models.base import checked_matrix, checked_number, frozen_matrix
from fpsolve.noise import _philox
from fpsolve.noise._philox import Address, Purpose
from fpsolve.sphere.harmonics import Real

VALUE, KEY_QUERY = 100, 101
"""Philox streams of V and A, apart from those of Brownian paths."""

BLOCK_WORDS = 1024
"""Layers share a sequence as long as their uniforms are at most so many; then the next begins."""

Sampler = Callable[[np.random.Generator, int], ArrayLike]
"""A user's sampler: (generator, d) -> (d, d)."""


@dataclass(frozen=True)
class MatrixLaw(ABC):
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
        return np.asarray(self.std * ndtri(u)).reshape(*u.shape[:-1], d, d)


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
        factors = np.asarray(self.std * ndtri(u)).reshape(*u.shape[:-1], 2, d, d)
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

    ``std``: deviation of the entries, iid or at least uncorrelated, which :func:`scaling` asks for. Bits are those of
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

    def entry_std(self, d: int) -> float | None:
        return self.std

    def draw(self, at: Address, d: int, layers: int) -> Real:
        key = np.array([at.seed, at.member], dtype=np.uint64)
        counter = np.array([0, at.cell, at.level, (int(at.purpose) << 32) | at.stream], dtype=np.uint64)
        matrix = np.asarray(self.sampler(np.random.Generator(np.random.Philox(key=key, counter=counter)), d), float)
        if matrix.shape != (d, d) or not np.isfinite(matrix).all():
            raise InputError("sampler", matrix.shape, f"did not return a finite ({d}, {d}) matrix", "return one")
        return matrix[None]


WeightLaw = str | float | ArrayLike | Sampler | MatrixLaw
"""What arguments accept: a law, its name, a fixed number or matrix, or a sampler."""

NAMED: dict[str, Callable[[float], MatrixLaw]] = {
    "identity": lambda std: Fixed(mean=1.0),
    "gaussian": lambda std: Gaussian(std),
    "product": lambda std: Product(std),
    "uniform": lambda std: Uniform(float(np.sqrt(3)) * std),
}
"""Laws by name, of iid entries (of the factors, for ``product``) of a given deviation."""


def as_law(argument: str, value: Any, std: float) -> MatrixLaw:
    """A law from a law, a name (of deviation ``std``), a fixed number or matrix, or a sampler.

    Raises InputError for anything else.
    """
    if isinstance(value, MatrixLaw):
        return value
    if isinstance(value, str):
        if value not in NAMED:
            raise unknown_name(argument, value, NAMED)
        return NAMED[value](std)
    if callable(value):
        return Sampled(value)
    return Fixed(mean=frozen_matrix(argument, value))


def matrices(law: MatrixLaw, stream: int, seed: int, members: range, heads: int, depth: int, d: int) -> Iterator[Real]:
    """For each layer its matrices, (members, heads, d, d), or (1, 1, d, d) where they are all the same."""
    mean = law.mean_matrix(d)
    if not law.is_random:
        for _ in range(depth):
            yield mean[None, None]
        return
    block = law.layers_in_block(d)
    for start in range(0, depth, block):
        count = min(block, depth - start)
        drawn = np.empty((count, len(members), heads, d, d))
        for m, member in enumerate(members):
            for head in range(heads):
                at = Address(seed, member, stream, Purpose.NORMAL, head, start // block)
                drawn[:, m, head] = law.draw(at, d, count)
        drawn += mean
        yield from drawn


@dataclass(frozen=True)
class HeadLaw:
    """The law of one head, V m_A(x), m_A(x) = F_μ(βAx): inverse temperature, value matrix V, key-query matrix A.

    beta: β ≥ 0. value, key_query: laws of V and A, each a MatrixLaw, a name (``identity``, ``gaussian``, ``product``,
    ``uniform``), a fixed number or matrix, or a sampler (generator, d) -> (d, d). value_std (1/√d by default) and
    key_query_std (1 by default): deviations of a named law's entries (of the factors' entries for ``product``).
    Raises InputError for bad values.
    """

    beta: float
    value: WeightLaw = "gaussian"
    key_query: WeightLaw = "identity"
    value_std: float | None = None
    key_query_std: float | None = None

    def __post_init__(self) -> None:
        checked_number("beta", self.beta)
        for name in ("value", "key_query"):
            given, std = getattr(self, name), getattr(self, f"{name}_std")
            law = as_law(name, given, 1.0)
            if std is not None:
                checked_number(f"{name}_std", std)
                if not isinstance(given, str) or not law.is_random:
                    problem = f"{name} is {type(law).__name__}, which has its own deviation or none"
                    raise InputError(f"{name}_std", std, problem, f'leave it out, or use {name}="gaussian"')
            if not isinstance(given, str):
                object.__setattr__(self, name, law)

    def value_law(self, d: int) -> MatrixLaw:
        """The law of V in dimension d."""
        return as_law("value", self.value, 1 / float(np.sqrt(d)) if self.value_std is None else self.value_std)

    def key_query_law(self) -> MatrixLaw:
        """The law of A."""
        return as_law("key_query", self.key_query, 1.0 if self.key_query_std is None else self.key_query_std)

    @property
    def is_isotropic(self) -> bool:
        """Whether the law of A is known to be invariant under rotations: K_μ(x,y) = k_μ(⟨x,y⟩)."""
        law = self.key_query_law()
        return isinstance(law, Gaussian | Product) and not np.any(law.mean)
