"""The random transformer itself: x_i ← N(x_i + (η/H) Σ_h V_h m_{A_h}[μ](x_i)), fresh weights in every layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fpsolve.errors import InputError, check_integer
from fpsolve.measures.cloud import Cloud
from fpsolve.measures.initial import Initial, tokens_of
from fpsolve.measures.laws import Law
from fpsolve.memory import check_memory
from fpsolve.models.base import checked_number
from fpsolve.models.sums import Sum
from fpsolve.models.weight_arguments import WeightLaw
from fpsolve.noise import BrownianPath
from fpsolve.observe import Recorder, Result, as_result, dataset
from fpsolve.plain import to_plain
from fpsolve.plain.arguments import checked_arguments
from fpsolve.settings import Settings
from fpsolve.solving import LONG_RUN
from fpsolve.sphere.harmonics import Real
from fpsolve.surroundings import shows_progress, tqdm
from fpsolve.times import saved_time
from fpsolve.transformer.blocks import Block, HeadBlock, Weights, heads_on
from fpsolve.transformer.limits import limit
from fpsolve.transformer.members import Batch, member_dataset, on_the_sphere
from fpsolve.transformer.weights import HeadLaw, matrices_of
from fpsolve.values import Named

if TYPE_CHECKING:
    from fpsolve.models import Model
    from fpsolve.transformer.scaling import Scaling


@dataclass(frozen=True)
class RandomTransformer(metaclass=Named):
    """n tokens on S^{d-1} through ``depth`` layers of ``heads`` random heads, residual step η.

    x_i ← N(x_i + (η/H) Σ_h V_h m_{A_h}(x_i)), m_A(x) = Σ_j w_j x_j e^{β⟨Ax,x_j⟩} / Σ_j w_j e^{β⟨Ax,x_j⟩}, the weights
    θ = (V, A) redrawn iid for every head and layer: a pure function of (seed, member, layer, head)
    :cite:`homogenized2026`.

    n, d, heads, depth: positive integers (d ≥ 2). step: η > 0. beta, value, key_query, value_std, key_query_std: the
    law of a head as in :class:`HeadLaw`; V is centred of deviation 1/√d and A = I by default. (seed, member): the
    weights, and the tokens where they are drawn from a law. normalised: whether attention keeps its denominator.
    beside: other blocks of each layer, :class:`HeadBlock` and :class:`MlpBlock`, whose moves are added before N; the
    limit is then a sum of models. Raises InputError for bad values.
    """

    n: int
    d: int
    heads: int
    depth: int
    step: float
    beta: float
    value: WeightLaw = "gaussian"
    key_query: WeightLaw = "identity"
    value_std: float | None = None
    key_query_std: float | None = None
    seed: int = 0
    member: int = 0
    normalised: bool = True
    beside: Sequence[Block] = ()

    def __post_init__(self) -> None:
        for name, least in (("n", 1), ("d", 2), ("heads", 1), ("depth", 1)):
            check_integer(name, getattr(self, name), least)
        checked_number("step", self.step, positive=True)
        BrownianPath(self.seed, self.member)
        check_memory("d", self.d, 16 * self.d)
        beside = tuple(self.beside) if hasattr(self.beside, "__iter__") else (self.beside,)
        wrong = next((one for one in beside if not isinstance(one, Block)), None)
        if wrong is not None:
            raise InputError("beside", wrong, "not a block", "pass [fp.transformer.MlpBlock(width=64, step=0.1)]")
        object.__setattr__(self, "beside", beside)
        law = self.law
        for name, matrix in (("value", law.value_law(self.d)), ("key_query", law.key_query_law())):
            matrix.check(self.d)
            object.__setattr__(self, name, getattr(law, name))
        for one in (block.law for block in beside if isinstance(block, HeadBlock)):
            one.value_law(self.d).check(self.d)
            one.key_query_law().check(self.d)

    @property
    def law(self) -> HeadLaw:
        """The law of one head."""
        weights = (self.value, self.key_query, self.value_std, self.key_query_std)
        return HeadLaw(self.beta, *weights, normalised=self.normalised)

    def weights(self, member: int | None = None) -> Iterator[tuple[Real, Real]]:
        """For each layer (V, A), each (heads, d, d), or (1, d, d) where all heads have the same."""
        mine = self.member if member is None else member
        for values, key_queries in self.member_weights(range(mine, mine + 1)):
            yield values[0], key_queries[0]

    def layers(self, initial: Initial | Real) -> Iterator[tuple[int, Cloud]]:
        """Yield (layer, tokens after it), layer 0 the initial tokens.

        ``initial``: tokens or an array (n, d), or a law, of which n tokens are drawn with (seed, member).
        """
        return self._layers(self._start(initial, self.member))

    @checked_arguments
    def run(
        self,
        initial: Initial | Real,
        *,
        save_every: int = 1,
        moments_lmax: int = Settings.moments_lmax,
        save_points: bool = False,
        progress: bool | None = None,
    ) -> Result:
        """The tokens' observables, those of :func:`fpsolve.solve` on a cloud, after every ``save_every`` layers.

        Returns a Dataset with dimension ``layer`` and coordinates ``time`` = η·layer and ``diffusive_time`` =
        η²·layer/H. Raises InputError before any computing. For the pictures of ``fp.plot`` use
        ``ds.swap_dims(layer="time")``.
        """
        self._check_stride(save_every)
        check_integer("moments_lmax", moments_lmax, 1)
        start = self._start(initial, self.member)
        recorder = Recorder(self.beta, moments_lmax, False, save_points)
        bar = shows_progress() and self.depth >= LONG_RUN if progress is None else progress
        states = tqdm(self._layers(start), total=self.depth + 1, disable=not bar, unit="layer", desc="fpsolve")
        saved = [(layer, recorder(cloud)) for layer, cloud in states if layer % save_every == 0]
        config = self._config(initial, save_every=save_every, moments_lmax=moments_lmax, save_points=save_points)
        ds = dataset([self.step * layer for layer, _ in saved], [record for _, record in saved], start, config)
        layers = np.array([layer for layer, _ in saved])
        return as_result(self.with_layers(ds.assign_coords(layer=("time", layers)).swap_dims(time="layer")))

    @checked_arguments
    def run_members(
        self,
        initial: Initial | Real,
        members: int,
        *,
        save_every: int | None = None,
        save_points: bool = False,
    ) -> Result:
        """Independent chains ``member``, ``member``+1, …, all at once in NumPy: for statistics with few tokens.

        ``initial`` as for :meth:`layers`, or an array (members, n, d). Saved every ``save_every`` layers (by default at
        the start and the end): mean_vector, overlap, energy [, points] with dimensions (member, layer, …) and the
        coordinates of :meth:`run`. Member k is that of the same chain run alone, to round-off.
        """
        check_integer("members", members, 1)
        stride = self.depth if save_every is None else save_every
        self._check_stride(stride)
        numbers = range(self.member, self.member + members)
        starts = self._starts(initial, numbers)
        config = self._config(initial, members=members, save_every=stride, save_points=save_points)
        ds = member_dataset(self, starts, numbers, stride, save_points, config)
        return as_result(self.with_layers(ds))

    def scaling(self, data: Any = None, **options: Any) -> Scaling:
        """Which regime this architecture is in, and whether its tokens collapse: :func:`fpsolve.transformer.scaling`.

        The seed is that of the chain unless another is given.
        """
        from fpsolve.transformer.scaling import scaling

        if self.beside:
            problem = "the scaling of heads alone says nothing of a layer with other blocks"
            raise InputError("beside", self.beside, problem, "run the chain, or ask for scaling without beside")
        options.setdefault("seed", self.seed)
        return scaling(self.n, self.d, self.heads, self.depth, self.step, self.law, data, **options)

    def limit(self, regime: str) -> Model:
        """The limiting model, ``ballistic``, ``modified`` or ``diffusive``, see :func:`fpsolve.transformer.limit`.

        With blocks beside the heads a sum, in the times of the heads; ``modified``, which does not add, is refused.
        """
        heads = limit(self.law, regime, self.d, self.step)
        if not self.beside:
            return heads
        if regime == "modified":
            problem = "the correction in the step is quadratic in the whole layer, no sum over its blocks"
            raise InputError("regime", regime, problem, 'use "ballistic"')
        found = [block.limit(regime, self.d, self.heads, self.step) for block in self.beside]
        return Sum((heads, *(one for one in found if one is not None)))

    def batch(self, x: Real, weights: Real, members: range) -> Batch:
        """The chain of these members from tokens ``x`` (members, n, d)."""
        drawn = self.member_weights(members)
        return Batch(x, weights, drawn, self.step, self.beta, self.normalised, self._beside(members))

    def with_layers(self, ds: xr.Dataset) -> xr.Dataset:
        """The dataset with the two times of its coordinate ``layer``."""
        layers = ds["layer"].values
        ds["layer"].attrs.update(long_name="number of layers passed", units="1")
        times = {"time": (self.step, "ballistic time, step × layer")}
        times["diffusive_time"] = (self.step**2 / self.heads, "diffusive time, step² × layer / heads")
        coords = {
            name: ("layer", [saved_time(t) for t in factor * layers], {"long_name": long_name, "units": "1"})
            for name, (factor, long_name) in times.items()
        }
        return ds.assign_coords(coords)

    def member_weights(self, members: range) -> Iterator[tuple[Real, Real]]:
        """For each layer V and A, shapes (members, heads, d, d) or (1, 1, d, d)."""
        return matrices_of(self.law, self.seed, members, self.heads, self.depth, self.d)

    def _beside(self, members: range) -> list[tuple[Block, Iterator[Weights]]]:
        """The blocks beside the heads with their weights in every layer."""
        about = (self.seed, members, self.depth, self.d)
        return [(block, block.drawn(place, *about)) for place, block in enumerate(self.beside, start=1)]

    def _layers(self, cloud: Cloud) -> Iterator[tuple[int, Cloud]]:
        yield 0, cloud
        law, beside = self.law, self._beside(range(self.member, self.member + 1))
        others = [weights for _, weights in beside]
        for layer, ((values, key_queries), *rest) in enumerate(zip(self.weights(), *others, strict=True), start=1):
            with np.errstate(over="ignore", invalid="ignore"):  # told by the length of what comes out
                moved = cloud.x + self.step * heads_on(cloud, law, values, key_queries)
                for (block, _), weights in zip(beside, rest, strict=True):
                    moved = moved + block.on(cloud, weights)
            cloud = replace(cloud, x=on_the_sphere(moved, layer))
            yield layer, cloud

    def _start(self, initial: Initial | Real, member: int) -> Cloud:
        """The initial tokens, n of them in dimension d."""
        tokens = tokens_of("initial", initial, self.n, self.d, self.seed, member)
        return Cloud(tokens.x, tokens.weights, tokens=True)

    def _starts(self, initial: Initial | Real, members: range) -> list[Cloud]:
        """The initial tokens of every member; one cloud where all start alike."""
        if isinstance(initial, Law):
            return [self._start(initial, member) for member in members]
        if isinstance(initial, np.ndarray) and initial.ndim == 3:
            if len(initial) != len(members):
                raise InputError("initial", initial.shape, f"there are {len(members)} members", "pass one for each")
            return [self._start(one, 0) for one in initial]
        return [self._start(initial, self.member)]

    def _check_stride(self, save_every: int) -> None:
        check_integer("save_every", save_every, 1)
        if self.depth % save_every:
            problem = f"does not divide the depth {self.depth}"
            raise InputError("save_every", save_every, problem, "pass a number of layers that does")

    def _config(self, initial: Initial | Real, **solve: Any) -> dict[str, Any]:
        names = ["n", "d", "heads", "depth", "step", "beta", "value", "key_query", "value_std", "key_query_std"]
        names += [] if self.normalised else ["normalised"]
        names += ["beside"] if self.beside else []
        model = {name: to_plain(getattr(self, name)) for name in names}
        start = {"name": "array"} if isinstance(initial, np.ndarray | list) else to_plain(initial)
        run = {"measure": "cloud", "scheme": "layers", "seed": self.seed, "member": self.member, **solve}
        return {"model": {"name": "RandomTransformer", **model}, "initial": start, "solve": run}
