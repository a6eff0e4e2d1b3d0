"""The common noise of one step, for every scheme: drawn once, and not at all for models without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from fpsolve.attention.source import Source
from fpsolve.measures.base import Measure
from fpsolve.models.base import Model
from fpsolve.noise import BrownianPath
from fpsolve.sphere.harmonics import Real
from fpsolve.transport.velocity import Velocity, ZeroField


@dataclass(frozen=True)
class CommonNoise:
    """μ ↦ ε ΔW_μ of a model for one ``increment`` of its channels, which is None where there is no common noise.

    path, d: whose streams and of which dimension, for what else is drawn of them in the step.
    """

    model: Model
    increment: Real | None
    path: BrownianPath
    d: int

    @classmethod
    def over(cls, model: Model, measure: Measure, path: BrownianPath, t0: float, t1: float) -> CommonNoise:
        """That of the step [t0, t1]."""
        d = measure.dimension
        if not model.is_stochastic:
            return cls(model, None, path, d)
        draw = lambda own, channels: own.increment(t0, t1, channels)  # noqa: E731
        return cls(model, model.on_streams(draw, path, d), path, d)

    def __call__(self, source: Source) -> Velocity:
        """ε ΔW_μ."""
        return ZeroField() if self.increment is None else self.model.noise_field(source, self.increment)

    def beside(self, v: Velocity, source: Source) -> Velocity:
        """v + ε ΔW_μ; v itself where there is no noise."""
        return v if self.increment is None else v + self(source)

    def moved(self, measure: Measure) -> Measure:
        """The measure transported by its ε ΔW_μ, frozen; itself where there is no noise."""
        return measure if self.increment is None else measure.transport(self(measure.source))

    def parted(self, first: Callable[[BrownianPath, int], Real]) -> tuple[CommonNoise, CommonNoise]:
        """S¹ = ``first(path, channels)``, as :meth:`Model.on_streams` asks for it, and S² = ΔW - S¹."""
        if self.increment is None:
            return self, self
        part = self.model.on_streams(first, self.path, self.d)
        return replace(self, increment=part), replace(self, increment=self.increment - part)
