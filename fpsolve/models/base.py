"""The seam between a measure and its transport: a model turns a source and a Brownian increment into velocities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from fpsolve._kernels import _fields
from fpsolve.attention.bessel import check_sharpness
from fpsolve.attention.floor import Heads
from fpsolve.attention.source import Source
from fpsolve.errors import InputError, check_number
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import Velocity, ZeroField
from fpsolve.values import Named, html_table

Calculus = Literal["any", "ito"]


class Head(NamedTuple):
    """One head of deterministic attention, P_x w V F(βAx), or w V (MF)(βAx) e^{-s} without its denominator.

    key_query, value: A and V of shape () or (d, d). weight: w. normalised: whether it keeps its denominator M.
    log_unit: s, time without the denominator being in units of e^{-s}.
    """

    beta: float
    key_query: Real
    value: Real
    weight: float = 1.0
    normalised: bool = True
    log_unit: float = 0.0

    @property
    def scores(self) -> Real:
        """B = βA."""
        return np.asarray(self.beta * self.key_query)


class Model(metaclass=Named):
    """One self-attention system in Itô form, dx = P_x b dt + ε P_x dW_μ - (ε²/2) tr(P_x Q) x dt + own noise.

    A subclass states what it has of ``drift_field``, ``correction_field`` and ``noise_field``; the rest is
    zero.
    """

    summary: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    measures: ClassVar[tuple[str, ...] | None] = None
    """The only measures that the system acts on, where it needs points."""
    matrix_names: ClassVar[tuple[str, ...]] = ()
    """The parameters that are a number or a (d, d) matrix each."""
    axial: ClassVar[bool] = False
    """Whether it keeps laws symmetric about an axis, matrices being multiples of I."""
    flowable: ClassVar[bool] = True
    """Whether its velocities are fields; if known only at the points of a cloud together, flow schemes refuse them."""
    flowable_on: ClassVar[tuple[str, ...]] = ()
    """The measures on which they are fields all the same."""
    alone: ClassVar[str] = ""
    """Why it is no term of a sum with others; nothing where it adds."""

    beta: float
    """Inverse temperature, where there is one (no default here: a subclass's field would inherit it)."""
    noise: float = 0.0
    """ε, the strength of the common noise."""
    diffusion: float = 0.0
    """ν, the strength of each token's own noise."""

    def __add__(self, other: Model) -> Model:
        """Both acting together: :class:`fpsolve.models.Sum`."""
        return self._sum((self, other)) if isinstance(other, Model) else NotImplemented

    def _repr_html_(self) -> str:
        """For notebooks: its parameters."""
        own = {name: one for name, one in vars(self).items() if name in getattr(self, "__dataclass_fields__", ())}
        return html_table(type(self).__name__, own)

    _sum: ClassVar[Any]
    """The class of sums, itself a model; set where it is defined (``sums.py``)."""

    @property
    def terms(self) -> tuple[Model, ...]:
        """The models that act together: itself alone, but for a sum."""
        return (self,)

    @property
    def calculus(self) -> Calculus:
        """``any`` when the law of the noise does not depend on μ (Itô in μ is Stratonovich in μ), otherwise ``ito``."""
        return "any"

    @property
    def dimension(self) -> int | None:
        """The only d the model works in, or None."""
        return None

    @property
    def fixed_matrices(self) -> Sequence[tuple[str, Real]]:
        """(argument, matrix) for the matrices it was given, each of shape () or (d, d)."""
        return [(name, checked_matrix(name, getattr(self, name))) for name in self.matrix_names]

    def _freeze_matrices(self) -> None:
        """Replace the matrices by their hashable forms. Raises InputError for bad ones, and where the sizes differ."""
        for name in self.matrix_names:
            object.__setattr__(self, name, frozen_matrix(name, getattr(self, name)))
        checked_same_size(self.fixed_matrices)

    def check(self, measure: Any) -> None:
        """Raise InputError where the model cannot act on the measure: its d, the size of matrices. Computes nothing."""
        d, name = measure.dimension, type(self).__name__
        check_sharpness(getattr(self, "beta", 0.0))
        if self.dimension is not None and d != self.dimension:
            problem = f"{name} with these parameters needs d = {self.dimension}"
            remedy = f"start from a law on the unit sphere of R^{self.dimension}"
            raise InputError("initial", f"d = {d}", problem, remedy)
        for argument, matrix in self.fixed_matrices:
            if matrix.ndim == 2 and len(matrix) != d:
                remedy = f"pass a ({d}, {d}) matrix, or start in d = {len(matrix)}"
                raise InputError(argument, matrix.shape, f"the tokens live in d = {d}", remedy)
        if getattr(measure, "is_axial", False):
            self.check_axial(measure)

    def check_axial(self, measure: Any) -> None:
        """Raise InputError where a law that is symmetric about an axis would not stay so, or not visibly."""
        name, remedy = type(self).__name__, 'use measure="cloud" (tokens, any d), or a density for d = 2 and 3'
        if self.is_stochastic:
            problem = f"its common noise breaks the symmetry about an axis that measure={measure.name!r} needs"
            raise InputError("model", name, problem, remedy)
        if not self.axial:
            problem = f"not known to keep laws symmetric about an axis, as measure={measure.name!r} needs them"
            raise InputError("model", name, problem, remedy)
        for argument, matrix in self.fixed_matrices:
            if matrix.ndim == 2 and multiple_of_identity(matrix) is None:
                problem = f"no multiple of I: it breaks the symmetry about an axis that measure={measure.name!r} needs"
                raise InputError(argument, matrix, problem, f"pass a number, or {remedy}")

    def prepared(self, measure: Any) -> Model:
        """The model of a run that starts from the measure, what is left to the run resolved to numbers; itself here.

        Warns (SamplingWarning) where a tolerance cannot be met.
        """
        return self

    def flows_on(self, measure_name: str) -> bool:
        """Whether its velocities are fields on a measure of this name."""
        return self.flowable or measure_name in self.flowable_on

    def channels(self, d: int) -> int:
        """Number of independent Brownian motions in dimension d."""
        return 0

    def on_streams(self, draw: Callable[[BrownianPath, int], Real], path: BrownianPath, d: int) -> Real:
        """``draw(path, channels)`` for all its channels, shape (channels,); of a sum each term on its own streams."""
        return draw(path, self.channels(d))

    def changed(self, **parameters: Any) -> Model:
        """The model with other values of some parameters."""
        return replace(self, **parameters)  # type: ignore[type-var]

    def drift_field(self, source: Source) -> Velocity:
        """b[μ], the Itô drift of the layer, per unit time."""
        return ZeroField()

    def layer_drift(self, source: Source) -> Velocity:
        """What a layer x ← N(x + u) moves by in the mean to follow the equation: b[μ] + ε² Q(x,x) x, per unit time.

        Of itself such a layer adds -ε² P_x Q(x,x) x; b alone where P_x Q x = 0, as for all Q that are multiples of I.
        """
        return self.drift_field(source)

    def correction_field(self, source: Source) -> Velocity:
        """The Itô-to-Stratonovich term in x with μ frozen, -(ε²/4)∇K(x,x) for Q = K I, per unit time."""
        return ZeroField()

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        """ε ΔW_μ for an increment of the channels, shape (channels,)."""
        return ZeroField()

    def flow_drift(self, source: Source) -> Velocity:
        """The drift of the flow, b[μ] - (ε²/4)∇K(x,x)."""
        return self.drift_field(source) + self.correction_field(source)

    def drawn(self, path: BrownianPath, t0: float, t1: float, d: int) -> Model:
        """The model of one step, weights that belong to the step drawn from the path; itself where there are none."""
        return self

    def sampling_error(self, source: Source) -> float | None:
        """The standard error of the drift where it is a mean over sampled weights; None where nothing is sampled."""
        return None

    def noise_tail(self, source: Source) -> float | None:
        """The share of k'(1) in the upper tenth of the degrees of isotropic noise; None where there is no cut."""
        return None

    def noise_level(self, source: Source) -> float | None:
        """∫ E|m|² dμ, m attention's output before the value matrix, which sets the strength of the common noise.

        κ/σ_V² where that is isotropic; None without value noise.
        """
        return None

    @property
    def fixed_heads(self) -> Sequence[Head]:
        """The heads whose sum is the drift, for energies and stationary states; none where it is not such a sum."""
        return ()

    def queries(self, d: int) -> Heads:
        """The heads at whose g = βAx it asks a measure for F or M, for :func:`fpsolve.defects.attention_floor`.

        By default the fixed heads, or one of A = I where there is a β alone; none where μ is not asked.
        """
        beta: float | None = getattr(self, "beta", None)
        return self.fixed_heads or (() if beta is None else (Head(beta, np.array(1.0), np.array(1.0)),))

    @property
    def interaction(self) -> Sequence[tuple[float, Real]]:
        """(w_h, A_h) of the interaction energy Σ_h w_h (1/2β)∬e^{β⟨A_h x,y⟩}dμdμ; A_h of shape () or (d, d)."""
        return [(head.weight, head.key_query) for head in self.fixed_heads] or [(1.0, np.array(1.0))]

    is_outer: ClassVar[bool] = False
    """Whether μ has no part in its drift, which then is P_x :meth:`outer_field`."""

    def outer_field(self, x: Real) -> Real:
        """The drift before projection at points (..., d), of models whose drift is all outer; zero otherwise."""
        return np.zeros_like(x)

    def potential(self, x: Real) -> Real | None:
        """U of the outer drift P_x∇U at points (..., d), shape (...); None where there is none."""
        return None

    @property
    def is_stochastic(self) -> bool:
        """Whether there is common noise."""
        return self.noise > 0


class WithValueStd:
    """A model whose random value matrices have entries of deviation ``value_std``, 1/√d by default."""

    def value_deviation(self, d: int) -> float:
        """The deviation of V's entries in dimension d."""
        given: float | None = self.value_std  # type: ignore[attr-defined]
        return 1 / float(np.sqrt(d)) if given is None else given


def checked_number(argument: str, value: float, *, positive: bool = False) -> None:
    """Raise InputError unless the value is finite and non-negative (or positive)."""
    check_number(argument, value, 0, above=positive)


def checked_degree(argument: str, value: object) -> None:
    """Raise InputError unless the value is a non-negative integer."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InputError(argument, value, "must be a non-negative integer", f"pass {argument}=16, for example")


def checked_matrix(argument: str, value: object) -> Real:
    """A number or a square matrix of finite entries, as an array of shape () or (d, d)."""
    try:
        matrix = np.asarray(value, float)
    except (TypeError, ValueError):
        raise InputError(argument, value, "not a number or a matrix", "pass a float or a (d, d) array") from None
    if matrix.ndim not in (0, 2) or (matrix.ndim == 2 and matrix.shape[0] != matrix.shape[1]):
        raise InputError(argument, matrix.shape, "not a number or a square matrix", "pass a float or a (d, d) array")
    if not np.isfinite(matrix).all():
        raise InputError(argument, value, "has entries that are not finite", "remove NaN and infinity")
    return matrix


def frozen_matrix(argument: str, value: object) -> float | tuple[tuple[float, ...], ...]:
    """A checked number or matrix in hashable form."""
    matrix = checked_matrix(argument, value)
    return float(matrix) if matrix.ndim == 0 else tuple(map(tuple, matrix.tolist()))


def checked_same_size(matrices: Iterable[tuple[str, Real]]) -> None:
    """Raise InputError, naming the argument, where two of the (argument, matrix) are of different sizes."""
    sizes = [(argument, matrix) for argument, matrix in matrices if matrix.ndim == 2]
    for argument, matrix in sizes[1:]:
        if matrix.shape != sizes[0][1].shape:
            problem = f"{sizes[0][0]} has a matrix of shape {sizes[0][1].shape}"
            raise InputError(argument, matrix.shape, problem, "use one d for all matrices")


def spectral_norm(matrix: Real) -> float:
    """|B|, of a number or a matrix."""
    return float(np.abs(matrix) if matrix.ndim == 0 else np.linalg.norm(matrix, 2))


def multiple_of_identity(matrix: Real) -> float | None:
    """c where the matrix is c I; None where it is not."""
    return float(matrix[0, 0]) if np.array_equal(matrix, matrix[0, 0] * np.eye(len(matrix))) else None


def apply_matrix(matrix: Real, vectors: Real, argument: str = "value") -> Real:
    """V u for a number or a matrix V and vectors (..., d); ``argument`` is its name in errors.

    A multiple of the identity also acts on vectors that are told by their components in a plane.
    """
    if matrix.ndim == 0:
        return matrix * vectors
    if matrix.shape[0] != vectors.shape[-1]:
        factor = multiple_of_identity(matrix) if vectors.shape[-1] == 2 else None
        if factor is not None:
            return factor * vectors
        raise InputError(argument, matrix.shape, f"the tokens live in d = {vectors.shape[-1]}", "match the dimensions")
    if len(matrix) == 3 and vectors.ndim > 1:
        flat = np.ascontiguousarray(vectors, float).reshape(-1, 3)
        out = np.empty(vectors.shape)
        _fields.times(np.ascontiguousarray(matrix, float), flat, out.reshape(-1, 3))
        return out
    return np.einsum("ab,...b->...a", matrix, vectors)
