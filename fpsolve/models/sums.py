"""Sums of models: independent blocks that act on the same tokens together, ``a + b``.

Drifts b, Itô-to-Stratonovich corrections, covariances and ν add; the noises are independent. Each term has channels in
streams of its own (:meth:`fpsolve.noise.BrownianPath.of_term`), numbered among the terms that have channels or draw
weights, also where their ε is zero: a term keeps its path whatever the other terms are and however many channels they
have. Isotropic noises add their coefficients, √C¹ΔB¹ + √C²ΔB², so that one synthesis serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from fpsolve.attention.source import Source
from fpsolve.errors import InputError
from fpsolve.models.base import Calculus, Head, Model, checked_same_size
from fpsolve.noise import BrownianPath
from fpsolve.plain.schema import named_in
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import HarmonicField, SumField, Velocity, ZeroField


@dataclass(frozen=True)
class Sum(Model):
    """Independent models of one dimension acting together: dx = Σ_k (what the model k makes of dx), ``a + b``.

    models: the terms, each with its own ε and parameters; sums among them are taken apart, a sum of one is that model.
    Noise whose law depends on μ in any term makes the whole Itô (``calculus``); ν is the sum of those of the terms.
    ``beta`` and the energies are those of the terms whose drift is a sum of heads, or of all with a β where there are
    none, if that is one β for all; otherwise they are absent. Raises InputError for no term, for terms that live in
    different dimensions, and for models that do not add (:attr:`Model.alone`).
    """

    models: Sequence[Model]

    summary: ClassVar[str] = "independent models acting together, a + b: drifts, noises and ν add"
    reference: ClassVar[str] = ""

    def __post_init__(self) -> None:
        given = self.models
        if isinstance(given, Model) or not hasattr(given, "__iter__"):
            raise InputError("models", given, "not a list of models", "pass fp.models.Sum((a, b)), or a + b")
        given = tuple(given)
        wrong = next((one for one in given if not isinstance(one, Model)), None)
        if wrong is not None:
            raise InputError("models", wrong, "not a model", "use fp.models.SelfAttention(beta=4.0), for example")
        terms = tuple(term for one in given for term in one.terms)
        if not terms:
            raise InputError("models", given, "no model", "pass one or more")
        object.__setattr__(self, "models", terms)
        self._check_terms()

    def _check_terms(self) -> None:
        """Raise InputError for terms that do not add."""
        lonely = next((term for term in self.terms if term.alone), None)
        if lonely is not None and len(self.terms) > 1:
            remedy = "run it by itself, or take a model without that correction, Ballistic for example"
            raise InputError("models", type(lonely).__name__, lonely.alone, remedy)
        dimensions = {term.dimension for term in self.terms} - {None}
        if len(dimensions) > 1:
            found = ", ".join(f"{type(one).__name__}: {one.dimension}" for one in self.terms if one.dimension)
            raise InputError("models", found, "they live in different dimensions", "use one d for all")
        kinds = [set(term.measures) for term in self.terms if term.measures is not None]
        if kinds and not set.intersection(*kinds):
            raise InputError("models", kinds, "no measure suits all of them", "leave one out")
        checked_same_size(self.fixed_matrices)

    @property
    def terms(self) -> tuple[Model, ...]:
        return tuple(self.models)

    @property
    def calculus(self) -> Calculus:
        return "ito" if any(term.is_stochastic and term.calculus == "ito" for term in self.terms) else "any"

    @property
    def dimension(self) -> int | None:
        return next((term.dimension for term in self.terms if term.dimension is not None), None)

    @property
    def measures(self) -> tuple[str, ...] | None:  # type: ignore[override]
        """The only measures that all terms act on, or None."""
        kinds = [term.measures for term in self.terms if term.measures is not None]
        return tuple(one for one in kinds[0] if all(one in other for other in kinds)) if kinds else None

    @property
    def flowable(self) -> bool:  # type: ignore[override]
        """Whether all velocities are fields."""
        return all(term.flowable for term in self.terms)

    def flows_on(self, measure_name: str) -> bool:
        return all(term.flows_on(measure_name) for term in self.terms)

    @property
    def is_stochastic(self) -> bool:
        return any(term.is_stochastic for term in self.terms)

    @property
    def noise(self) -> float:  # type: ignore[override]
        """1 with common noise: each term's own ε is in what the sum says of its noise (field, spectrum, kernel)."""
        return float(self.is_stochastic)

    @property
    def diffusion(self) -> float:  # type: ignore[override]
        """ν, the sum of those of the terms."""
        return float(sum(term.diffusion for term in self.terms))

    @property
    def fixed_matrices(self) -> Sequence[tuple[str, Real]]:
        return [(f"models[{k}].{name}", m) for k, term in enumerate(self.terms) for name, m in term.fixed_matrices]

    def check(self, measure: Any) -> None:
        for k, term in enumerate(self.terms):
            with _named(k, term):
                term.check(measure)

    def prepared(self, measure: Any) -> Model:
        """The sum of the prepared terms."""
        return self._of([term.prepared(measure) for term in self.terms])

    def drawn(self, path: BrownianPath, t0: float, t1: float, d: int) -> Model:
        """The sum of the terms of one step, each with weights from its own streams."""
        return self._of([term.drawn(own, t0, t1, d) for term, own in self._on_paths(path)])

    def changed(self, **parameters: Any) -> Model:
        """With another ``beta`` in all terms that take one, and ν = ``diffusion`` in the first that takes it."""
        terms, given = list(self.terms), dict(parameters)
        if "beta" in given:
            _ = self.beta  # refuses terms of different β
            terms = [term.changed(beta=given["beta"]) if _takes(term, "beta") else term for term in terms]
        if "diffusion" in given:
            first = next(k for k, term in enumerate(terms) if _takes(term, "diffusion"))
            parts = [given["diffusion"] if k == first else 0.0 for k in range(len(terms))]
            pairs = zip(terms, parts, strict=True)
            terms = [term.changed(diffusion=nu) if _takes(term, "diffusion") else term for term, nu in pairs]
        rest = {name: one for name, one in given.items() if name not in ("beta", "diffusion")}
        return self._of(terms) if not rest else super().changed(**rest)

    def channels(self, d: int) -> int:
        """All channels, side by side."""
        return sum(self._counts(d))

    def on_streams(self, draw: Callable[[BrownianPath, int], Real], path: BrownianPath, d: int) -> Real:
        parts = [draw(own, n) for (_, own), n in zip(self._on_paths(path), self._counts(d), strict=True) if n]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def drift_field(self, source: Source) -> Velocity:
        return total([term.drift_field(source) for term in self.terms])

    def layer_drift(self, source: Source) -> Velocity:
        return total([term.layer_drift(source) for term in self.terms])

    def correction_field(self, source: Source) -> Velocity:
        return total([term.correction_field(source) for term in self.terms])

    def noise_field(self, source: Source, increment: Real) -> Velocity:
        counts = self._counts(source.dimension)
        ends = list(accumulate(counts))
        parts = [increment[end - n : end] for n, end in zip(counts, ends, strict=True)]
        moving = [(term, part) for term, part in zip(self.terms, parts, strict=True) if term.is_stochastic]
        return total([term.noise_field(source, part) for term, part in moving])

    def sampling_error(self, source: Source) -> float | None:
        """A bound on that of the whole drift, the sum of those of the terms."""
        found = [one for term in self.terms if (one := term.sampling_error(source)) is not None]
        return sum(found) if found else None

    def noise_tail(self, source: Source) -> float | None:
        """The largest of those of the terms, as each is cut at its own degree."""
        found = [one for term in self.terms if (one := term.noise_tail(source)) is not None]
        return max(found) if found else None

    def noise_level(self, source: Source) -> float | None:
        """That of the only term that has one; None for several, whose value matrices are not the same."""
        found = [one for term in self.terms if (one := term.noise_level(source)) is not None]
        return found[0] if len(found) == 1 else None

    def spectrum(self, where: Any = None) -> Real:
        """Σ_k ε_k² C^k_ℓ of the isotropic noises of all terms, up to the largest of their degrees.

        ``where``: a source or a measure. Raises InputError where a term's noise is not given by a spectrum.
        """
        spectra = []
        for term in self._noisy("spectrum"):
            C = getattr(term, "spectrum")  # noqa: B009
            spectra.append(term.noise**2 * np.asarray(C(where) if callable(C) else C, float))
        longest = max(map(len, spectra))
        return np.sum([np.pad(C, (0, longest - len(C))) for C in spectra], axis=0)

    def kernel(self, measure: Any = None) -> Callable[[Any], Real]:
        """t ↦ Σ_k ε_k² k_k(t). Raises InputError where the covariance of a term is no function of ⟨x,y⟩ times I."""
        kernels = [(term.noise**2, term.kernel(measure)) for term in self._noisy("kernel")]  # type: ignore[attr-defined]
        return lambda t: np.asarray(sum(square * k(t) for square, k in kernels))

    @property
    def beta(self) -> float:  # type: ignore[override]
        """The β of the energy. Raises AttributeError where the terms do not say one."""
        found = {float(term.beta) for term in self._of_energy}
        if len(found) != 1 or not self._interactions:
            raise AttributeError(f"a sum whose terms have β in {sorted(found)} and the energies {self._interactions}")
        return found.pop()

    @property
    def fixed_heads(self) -> Sequence[Head]:
        """All heads; none where the drift of a term is not a sum of heads."""
        if not all(term.fixed_heads or type(term).drift_field is Model.drift_field for term in self.terms):
            return ()
        return [head for term in self.terms for head in term.fixed_heads]

    @property
    def interaction(self) -> Sequence[tuple[float, Real]]:
        return self._interactions or super().interaction

    def potential(self, x: Real) -> Real | None:
        """Σ_k U_k; None where no term has one, or one with an outer drift has none."""
        parts = [term.potential(x) for term in self.terms if term.is_outer]
        known = [one for one in parts if one is not None]
        return sum(known[1:], known[0]) if known and len(known) == len(parts) else None

    @property
    def _of_energy(self) -> list[Model]:
        """The terms that the energy is about."""
        with_heads = [term for term in self.terms if term.fixed_heads]
        return with_heads or [term for term in self.terms if getattr(term, "beta", None) is not None]

    @property
    def _interactions(self) -> list[tuple[float, Real]]:
        """The interaction energy of those terms; none where those without heads do not agree on one."""
        parts = [list(term.interaction) for term in self._of_energy]
        if any(term.fixed_heads for term in self.terms):
            return [pair for part in parts for pair in part]
        return parts[0] if parts and all(_same(part, parts[0]) for part in parts) else []

    def _of(self, terms: Sequence[Model]) -> Sum:
        """The sum of these terms; itself where they are its own."""
        same = all(one is other for one, other in zip(terms, self.terms, strict=True))
        return self if same else Sum(tuple(terms))

    def _noisy(self, name: str) -> list[Model]:
        """The terms with noise. Raises InputError for one that lacks ``name``, or where there are none."""
        noisy = [term for term in self.terms if term.is_stochastic]
        lacking = next((type(term).__name__ for term in noisy if not hasattr(term, name)), None)
        if lacking is not None or not noisy:
            problem = f"{lacking} has no {name}" if lacking else "no term has common noise"
            raise InputError("models", lacking or [type(t).__name__ for t in self.terms], problem, "ask the terms")
        return noisy

    def _counts(self, d: int) -> list[int]:
        """Channels of each term, none of those without noise."""
        return [term.channels(d) if term.is_stochastic else 0 for term in self.terms]

    def _on_paths(self, path: BrownianPath) -> Iterator[tuple[Model, BrownianPath]]:
        """Each term with the path of its streams."""
        number = 0
        for term in self.terms:
            yield term, path.of_term(number)
            number += _has_streams(term)


Model._sum = Sum


def total(velocities: Sequence[Velocity]) -> Velocity:
    """Σ v_k: harmonic fields as one, zero ones left out; a single one is itself."""
    moving = [v for v in velocities if not isinstance(v, ZeroField)]
    harmonic = [v for v in moving if isinstance(v, HarmonicField)]
    rest = [v for v in moving if not isinstance(v, HarmonicField)]
    parts = ([sum(harmonic[1:], harmonic[0])] if harmonic else []) + rest
    if not parts:
        return ZeroField()
    return parts[0] if len(parts) == 1 else SumField(tuple(parts))


def _has_streams(term: Model) -> bool:
    """Whether a term has channels or draws weights, be its ε zero or not."""
    kind = type(term)
    return kind.channels is not Model.channels or kind.drawn is not Model.drawn


def _takes(term: Model, name: str) -> bool:
    """Whether a term has a parameter of this name."""
    return name in _parameters(term)


def _parameters(term: Any) -> list[str]:
    """The parameters of a model."""
    return [one.name for one in fields(term) if one.init] if is_dataclass(term) else []


def _same(one: Sequence[tuple[float, Real]], other: Sequence[tuple[float, Real]]) -> bool:
    """Whether two lists of (weight, matrix) say the same."""
    return len(one) == len(other) and all(
        w == v and np.array_equal(a, b) for (w, a), (v, b) in zip(one, other, strict=True)
    )


@contextmanager
def _named(k: int, term: Model) -> Iterator[None]:
    """Errors about a parameter of term k name it as ``models[k].name``."""
    with named_in(f"models[{k}]", _parameters(term)):
        yield
