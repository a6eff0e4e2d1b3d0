"""The parts of an architecture, frozen and checked, from the laws of matrices to the residual sum."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from math import exp, log, pi, sqrt
from typing import Any, Self, get_args, get_type_hints

import numpy as np
from scipy.special import ndtr

from fpsolve.cached import lru_cache
from fpsolve.errors import InputError, check_integer, check_number, unknown_name
from fpsolve.noise.activation import ACTIVATIONS
from fpsolve.plain.schema import NOTHING, named_in, unknown_key
from fpsolve.values import Named

LAWS = ("normal", "uniform", "truncated_normal")
MASKS = ("bidirectional", "causal")
POSITIONS = ("none", "learned", "sinusoidal", "rope", "alibi")
QK_NORMS = ("none", "head", "full")
NORMS = ("layer", "rms")
PLACES: dict[str, tuple[bool, bool, bool]] = {
    "none": (False, False, False),
    "pre": (True, False, False),
    "post": (False, False, True),
    "peri": (True, True, False),
    "sandwich": (True, True, False),
    "output": (False, True, False),
}
"""Whether a place normalises the block's input, the block's output, the sum. ``sandwich`` :cite:`cogview2021` and
``peri`` :cite:`perinorm2025` are two names of one place; ``output`` is OLMo 2's."""

DEPTH_SCALINGS = ("none", "gpt2", "deepnorm", "depth_mup")


def choice(name: str, value: object, known: Collection[str]) -> None:
    """Raises InputError, which names the nearest, unless the value is one of these names."""
    if not isinstance(value, str) or value not in known:
        raise unknown_name(name, value, known)


def flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InputError(name, value, "is not true or false", f"pass {name}=True or False")


class Part(metaclass=Named):
    """What parts have in common: plain data and back, and checks that name the field."""

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]
            value = getattr(self, one.name)
            if isinstance(value, np.generic):  # numbers of NumPy are no plain data
                object.__setattr__(self, one.name, value := value.item())
            kinds = {"Init": (Init,), "Init | None": (Init, type(None))}.get(str(one.type), object)
            if not isinstance(value, kinds):
                remedy = f"pass {one.name}=fp.transformer.Init(0.02), for example"
                raise InputError(one.name, value, "is no law of entries", remedy)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, safe for JSON: nested dictionaries of numbers, strings, booleans and None."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))  # type: ignore[arg-type]
        return {name: value.to_dict() if isinstance(value, Part) else value for name, value in values}

    @classmethod
    def from_dict(cls, data: Any, where: str = "") -> Self:
        """The part that :meth:`to_dict` wrote; keys with a default may be missing, an :class:`Init` may be a number.

        Raises InputError naming the key (``attention.heads``) for unknown and missing keys and for bad values.
        """
        if cls is Init and isinstance(data, int | float) and not isinstance(data, bool):
            data = {"std": data}
        if not isinstance(data, Mapping):
            raise InputError(where or "data", data, "is not a table", "give the keys of " + cls.__name__)
        hints, known = _hints(cls), {one.name: one for one in fields(cls)}  # type: ignore[arg-type]
        values = {}
        for key, value in data.items():
            if key not in known:
                raise unknown_key(where, key, value, known, cls.__name__)
            part = next((kind for kind in (hints[key], *get_args(hints[key])) if _is_part(kind)), None)
            inside = f"{where}.{key}" if where else key
            values[key] = value if part is None or value is None else part.from_dict(value, inside)
        for name, one in known.items():
            if name not in values and one.default is one.default_factory:  # both MISSING
                key = f"{where}.{name}" if where else name
                raise InputError(key, NOTHING, f"is required by {cls.__name__}", f"give {key}")
        if not where:
            return cls(**values)
        with named_in(where, known):
            return cls(**values)


@lru_cache(16)
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _is_part(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Part)


@dataclass(frozen=True)
class Init(Part):
    """The initial law of the entries of a matrix, iid and centred; of a bias, its entries.

    std: the deviation that libraries call ``std``; for ``truncated_normal`` that of the normal law before it is cut at
    ±cut·std. :attr:`deviation` is the actual one in every case. A ``uniform`` law is that on ±√3 std. What is drawn is
    Gaussian of the actual deviation: exact for ``normal`` matrices, of the same second moments for the others. A
    uniform bias is sampled as it is.
    """

    std: float
    law: str = "normal"
    cut: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("std", self.std, 0)
        choice("law", self.law, LAWS)
        check_number("cut", self.cut, 0, above=True)

    @property
    def deviation(self) -> float:
        """The actual standard deviation: std·√(1 - 2cφ(c)/(2Φ(c) - 1)) for a normal law cut at ±c deviations."""
        if self.law != "truncated_normal":
            return float(self.std)
        density, mass = exp(-(self.cut**2) / 2) / sqrt(2 * pi), 2 * float(ndtr(self.cut)) - 1
        return float(self.std * sqrt(1 - 2 * self.cut * density / mass))


ZERO = Init(0.0)
"""A matrix or bias that is zero at initialisation."""


@dataclass(frozen=True)
class Positions(Part):
    """How tokens know their place.

    kind: ``none``, ``learned`` (a vector for each place, ``init`` its entries), ``sinusoidal`` :cite:`attention2017`,
    ``rope`` :cite:`rope2021` (base ``theta``, on the first ``fraction`` of every head) or ``alibi`` :cite:`alibi2022`
    (bias -m_h|i-j| on the scores). max_length: the longest sequence, None without limit.
    """

    kind: str = "none"
    init: Init = ZERO
    theta: float = 10000.0
    fraction: float = 1.0
    max_length: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("kind", self.kind, POSITIONS)
        check_number("theta", self.theta, 0, above=True)
        check_number("fraction", self.fraction, 0, 1, above=True)
        if self.max_length is not None:
            check_integer("max_length", self.max_length, 1)
        if self.kind == "learned" and self.max_length is None:
            raise InputError(
                "max_length", None, "a learned table has a length", "give max_length (max_position_embeddings)"
            )


@dataclass(frozen=True)
class Embedding(Part):
    """x_i = multiplier·E[id_i] + position + type, or W p_i of given vectors p_i; normalised if ``norm``.

    vocab: number of ids; None for a network that takes vectors. token: entries of E, or of W where ``features``, the
    number of features of a given vector (a patch's pixels), is set; with neither vocab nor features vectors are hidden
    states already. padding: the id whose vector is zero. types: entries of the token type vectors, one vector for all
    tokens of a type. class_token: entries of a vector put before the given ones; None without one.
    """

    vocab: int | None = None
    token: Init = ZERO
    features: int | None = None
    multiplier: float = 1.0
    padding: int | None = None
    types: Init | None = None
    class_token: Init | None = None
    norm: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("vocab", "features"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1)
        if self.vocab is not None and self.features is not None:
            raise InputError("features", self.features, "a network takes ids or vectors", "leave vocab or features out")
        check_number("multiplier", self.multiplier)
        if self.padding is not None:
            check_integer("padding", self.padding, 0)
            if self.vocab is None or self.padding >= self.vocab:
                raise InputError(
                    "padding", self.padding, f"not an id below vocab = {self.vocab}", "give an id, or None"
                )
        flag("norm", self.norm)


@dataclass(frozen=True)
class Attention(Part):
    """Softmax attention, head by head: S = scale·q kᵀ, π = softmax S, o = π v; all o side by side enter W_O.

    heads, head_dim, kv_heads: ``num_attention_heads``, ``head_dim``, ``num_key_value_heads`` (None: as many as heads);
    kv heads are shared by groups of equal size :cite:`gqa2023`. mask: ``bidirectional`` or ``causal``. window: a token
    sees those less than ``window`` places away (``sliding_window``); every ``global_every``-th layer sees all (0: none
    does). scale: the factor of the logits, None for 1/√head_dim. log_n: γ of long contexts, the factor is multiplied by
    γ log n for n tokens :cite:`longcontext2025`. softcap: c in c·tanh(S/c)
    (``attn_logit_softcapping``). qk_norm: ``none``, ``head`` (each head's queries and keys normalised), ``full``
    (across heads) :cite:`qknorm2020`; of the architecture's kind and eps. query, key, value, output: entries of the
    matrices; ``*_bias``: of the biases.

    key_query: ``projected`` (q = W_Q c, k = W_K c), ``dense`` (S = scale·cᵀAc, A of entries ``query``) or ``identity``
    (A = I); values: ``projected`` or ``dense`` (Σ_h V_h m_h, V_h a d×d matrix of entries ``output``): the heads of
    :class:`RandomTransformer`. There ``head_dim``, ``key`` and ``value`` mean nothing.
    """

    heads: int
    head_dim: int
    kv_heads: int | None = None
    mask: str = "bidirectional"
    window: int | None = None
    global_every: int = 0
    scale: float | None = None
    log_n: float | None = None
    softcap: float | None = None
    qk_norm: str = "none"
    key_query: str = "projected"
    values: str = "projected"
    query: Init = ZERO
    key: Init = ZERO
    value: Init = ZERO
    output: Init = ZERO
    query_bias: Init = ZERO
    key_bias: Init = ZERO
    value_bias: Init = ZERO
    output_bias: Init = ZERO

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("heads", self.heads, 1)
        check_integer("head_dim", self.head_dim, 1)
        check_integer("global_every", self.global_every, 0)
        for name in ("kv_heads", "window"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1)
        if self.heads % self.groups:
            problem = f"does not divide the {self.heads} heads"
            raise InputError("kv_heads", self.kv_heads, problem, "give a number of key-value heads that does")
        choices = {"mask": MASKS, "qk_norm": QK_NORMS}
        choices |= {"key_query": ("projected", "dense", "identity"), "values": ("projected", "dense")}
        for name, known in choices.items():
            choice(name, getattr(self, name), known)
        if self.scale is not None:
            check_number("scale", self.scale)
        if self.log_n is not None:
            check_number("log_n", self.log_n, 0)
        if self.softcap is not None:
            check_number("softcap", self.softcap, 0, above=True)
        if self.key_query != "projected" and self.qk_norm != "none":
            raise InputError("qk_norm", self.qk_norm, "there are no queries and keys", 'use key_query="projected"')

    @property
    def groups(self) -> int:
        """Number of key-value heads."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def logit_scale(self) -> float:
        """The factor of the logits, 1/√head_dim by default."""
        return 1 / sqrt(self.head_dim) if self.scale is None else float(self.scale)

    def logit_factor(self, n: int) -> float:
        """The factor of the logits of n tokens, log_n·log n included."""
        return self.logit_scale * (1.0 if self.log_n is None else float(self.log_n) * log(n))

    def window_of(self, layer: int) -> int | None:
        """The window of layer 1, 2, …; None where it sees all."""
        return None if self.global_every and layer % self.global_every == 0 else self.window


@dataclass(frozen=True)
class MLP(Part):
    """a = φ(W_1 c), or gated φ(W_g c) ⊙ W_u c, then W_2 a; width is ``intermediate_size``, d_ff.

    activation: a name in :data:`fpsolve.noise.activation.ACTIVATIONS`. up: entries of W_1 (W_u), gate: of W_g, down: of
    W_2.
    """

    width: int
    activation: str = "gelu"
    gated: bool = False
    up: Init = ZERO
    gate: Init = ZERO
    down: Init = ZERO
    up_bias: Init = ZERO
    gate_bias: Init = ZERO
    down_bias: Init = ZERO

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("width", self.width, 1)
        choice("activation", self.activation, ACTIVATIONS)
        flag("gated", self.gated)


@dataclass(frozen=True)
class Norm(Part):
    """Normalisation with unit gains: c = x/√(|x|²/d + eps), ``layer`` after the mean over components is taken off.

    place: ``none``, ``pre`` (x + f(c(x))), ``post`` (c(x + f(x))), ``peri`` or ``sandwich`` (x + c(f(c(x)))),
    ``output`` (x + c(f(x))). final: one more after the last block; it is no layer of its own.
    """

    kind: str = "layer"
    eps: float = 1e-5
    place: str = "pre"
    final: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("kind", self.kind, NORMS)
        if self.place == "ngpt":
            problem = "nGPT keeps the rows of its weights at unit length, so their entries are not Gaussian"
            raise InputError("place", self.place, problem, "use one of " + ", ".join(PLACES))
        choice("place", self.place, PLACES)
        check_number("eps", self.eps, 0)
        flag("final", self.final)

    input = property(lambda self: PLACES[self.place][0], doc="Whether a block's input is normalised.")
    output = property(lambda self: PLACES[self.place][1], doc="Whether a block's output is normalised.")
    sum = property(lambda self: PLACES[self.place][2], doc="Whether the sum is normalised.")


@dataclass(frozen=True)
class Residual(Part):
    """x ← skip·x + branch·f, with multipliers that follow the depth L.

    depth_scaling: ``none``; ``gpt2``: the matrices that end on the residual stream (attention's output, MLP's down)
    times 1/√(2L) :cite:`gpt2`; ``deepnorm``: skip (2L)^{1/4}, and value, output and the MLP's matrices times
    (8L)^{-1/4} :cite:`deepnorm2022`; ``depth_mup``: branch times 1/√L :cite:`depthmup2023`. They multiply ``skip``,
    ``branch`` and the deviations given.
    """

    skip: float = 1.0
    branch: float = 1.0
    depth_scaling: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("skip", self.skip)
        check_number("branch", self.branch)
        choice("depth_scaling", self.depth_scaling, DEPTH_SCALINGS)
