"""A transformer at initialisation as a frozen record, and where records come from and go to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import sqrt
from typing import Any

from fpsolve.errors import InputError, check_integer
from fpsolve.plain.schema import parameters, unknown_key
from fpsolve.plain.toml import read_toml, toml_value
from fpsolve.surroundings import user_path
from fpsolve.transformer.network.parts import (
    MLP,
    Attention,
    Embedding,
    Init,
    Norm,
    Part,
    Positions,
    Residual,
    choice,
    flag,
)

ENDS = ("attention.output", "mlp.down")
"""The matrices whose product ends on the residual stream."""

DEEPNORM = ("attention.value", *ENDS, "mlp.up", "mlp.gate")
"""The matrices that DeepNorm scales."""


@dataclass(frozen=True)
class Architecture(Part):
    """A network of ``depth`` blocks on a residual stream of width ``d``, at initialisation.

    attention, mlp: the two parts of a block, None where there is none; parallel: both read the same input and their sum
    is added once (where outputs are normalised, each is by itself). norm, residual, embedding, positions: see
    :class:`Norm`, :class:`Residual`, :class:`Embedding`, :class:`Positions`. All weights are drawn anew in every layer,
    gains are one. name: for tables and figures.

    Presets: :meth:`preset`; plain data: :meth:`to_dict`, :meth:`from_dict`; files: :meth:`to_toml`, :meth:`from_toml`.
    Changes: :meth:`changed`. Raises InputError naming the field for bad values.
    """

    depth: int
    d: int
    attention: Attention | None = None
    mlp: MLP | None = None
    norm: Norm = field(default_factory=Norm)
    residual: Residual = field(default_factory=Residual)
    embedding: Embedding = field(default_factory=Embedding)
    positions: Positions = field(default_factory=Positions)
    parallel: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("depth", self.depth, 1)
        check_integer("d", self.d, 2)
        for one in fields(self):
            value, kinds = getattr(self, one.name), _KINDS.get(one.name)
            if kinds and not isinstance(value, kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise InputError(
                    one.name, value, f"is not of type {wanted}", f"pass fp.transformer.{wanted.split()[0]}(…)"
                )
        flag("parallel", self.parallel)
        if self.attention is None and self.mlp is None:
            raise InputError("attention", None, "a block without attention and MLP does nothing", "give one of them")
        if self.positions.kind in ("rope", "alibi"):
            self._check_positions()

    def _check_positions(self) -> None:
        kind, attention = self.positions.kind, self.attention
        if attention is None or attention.key_query != "projected":
            raise InputError("positions.kind", kind, "acts on queries and keys, and there are none", 'use "none"')
        if kind == "rope" and self.rotated % 2:
            problem = (
                f"rotary positions turn pairs, and {self.rotated} of head_dim = {attention.head_dim} are to be turned"
            )
            raise InputError("positions.fraction", self.positions.fraction, problem, "make that an even number")

    @property
    def rotated(self) -> int:
        """Components of a head that rotary positions turn."""
        return 0 if self.attention is None else int(self.positions.fraction * self.attention.head_dim)

    @property
    def skip(self) -> float:
        """The multiplier of the stream in every sum."""
        deep = self.residual.depth_scaling == "deepnorm"
        return float(self.residual.skip) * ((2 * self.depth) ** 0.25 if deep else 1.0)

    @property
    def branch(self) -> float:
        """The multiplier of a block's output in every sum."""
        return float(self.residual.branch) / (sqrt(self.depth) if self.residual.depth_scaling == "depth_mup" else 1.0)

    def deviation(self, key: str) -> float:
        """The actual deviation of a matrix's entries, ``attention.output`` for example, depth scaling included."""
        part, _, name = key.partition(".")
        init = getattr(getattr(self, part), name)
        scaling = self.residual.depth_scaling
        if scaling == "gpt2" and key in ENDS:
            return float(init.deviation) / sqrt(2 * self.depth)
        if scaling == "deepnorm" and key in DEEPNORM:
            return float(init.deviation) * (8 * self.depth) ** -0.25
        return float(init.deviation)

    @property
    def parameters(self) -> int:
        """Entries of all matrices and vectors, gains and the output layer left out."""
        d, count, inner = self.d, 0, 0
        if (a := self.attention) is not None:
            inner += d * a.head_dim * (a.heads + a.groups) if a.key_query == "projected" else 0
            inner += a.heads * d * d if a.key_query == "dense" else 0
            inner += d * a.head_dim * (a.heads + a.groups) if a.values == "projected" else a.heads * d * d
        if self.mlp is not None:
            inner += d * self.mlp.width * (3 if self.mlp.gated else 2)
        count += d * (self.embedding.vocab or self.embedding.features or 0)
        count += d * (self.positions.max_length or 0) if self.positions.kind == "learned" else 0
        return count + self.depth * inner

    def changed(self, **changes: Any) -> Architecture:
        """This record with other values; keys with a dot reach into parts: ``changed(**{"norm.place": "post"})``.

        The value of a part may be a part or its table. Raises InputError naming the key.
        """
        data = self.to_dict()
        for key, value in changes.items():
            table, names = data, key.split(".")
            for name in names[:-1]:
                table = table.get(name)  # type: ignore[assignment]
                if not isinstance(table, dict):
                    raise InputError(key, value, f"this architecture has no {name}", "give the whole part")
            if names[-1] not in table:
                raise unknown_key(".".join(names[:-1]), names[-1], value, table, "the architecture")
            table[names[-1]] = value.to_dict() if isinstance(value, Part) else value
        return Architecture.from_dict(data)

    def resized(self, *, depth: int | None = None, d: int | None = None, heads: int | None = None) -> Architecture:
        """The same in other sizes; what is not given follows as in presets.

        With another d the number of heads, which keep their width, the MLP's width and an embedding's multiplier √d;
        with another number of heads their width and the logit scale, relative to 1/√head_dim; groups of heads stay of
        equal size. Raises InputError where that does not divide, or for dense heads, whose scales follow d.
        """
        changes: dict[str, Any] = {} if depth is None else {"depth": depth}
        a, ratio = self.attention, 1.0
        if d is not None:
            check_integer("d", d, 2)
            ratio = d / self.d
            changes["d"] = d
            if self.mlp is not None:
                changes["mlp.width"] = max(1, round(self.mlp.width * ratio))
            if self.embedding.multiplier == sqrt(self.d):
                changes["embedding.multiplier"] = sqrt(d)
        if a is not None and (d is not None or heads is not None):
            if a.values == "dense":
                raise InputError("d" if heads is None else "heads", heads or d, "dense heads follow it", "use a preset")
            total = a.heads * a.head_dim * ratio
            many = total / a.head_dim if heads is None else heads
            if many != int(many) or many < 1 or total % many:
                name, value = ("d", d) if heads is None else ("heads", heads)
                problem = f"{a.heads} heads of width {a.head_dim} at d = {self.d} do not give whole heads then"
                raise InputError(name, value, problem, "give another d, or heads as well")
            width = int(total / many)
            changes |= {"attention.heads": int(many), "attention.head_dim": width}
            if a.kv_heads is not None:
                changes["attention.kv_heads"] = max(1, int(a.kv_heads * many / a.heads))
            if a.scale is not None and width != a.head_dim:
                changes["attention.scale"] = a.scale * sqrt(a.head_dim / width)
        return self.changed(**changes)

    def renamed(self, name: str) -> Architecture:
        """The same under another name."""
        return replace(self, name=name)

    @classmethod
    def preset(cls, preset: str, **options: Any) -> Architecture:
        """A published architecture with its initial law, see :data:`fpsolve.transformer.PRESETS`.

        options: the arguments of that preset (``depth``, ``d``, ``heads``, …; what is not given follows: heads keep
        their width, MLPs their ratio), or keys with a dot as in :meth:`changed`. Raises InputError for unknown names.
        """
        from fpsolve.transformer.network.presets import PRESETS

        choice("preset", preset, PRESETS)
        known = parameters(PRESETS[preset])
        deep = {key: value for key, value in options.items() if "." in key}
        plain = {key: value for key, value in options.items() if key not in deep}
        for key, value in plain.items():
            if key not in known:
                raise unknown_key("", key, value, known, f"the preset {preset!r}")
        architecture = PRESETS[preset](**plain)
        return architecture.changed(**deep) if deep else architecture

    @classmethod
    def from_transformers(cls, config: Any) -> Architecture:
        """The architecture of a configuration of the `transformers` library, its initial law included.

        config: a configuration object, its dictionary, or the path of a ``config.json`` or of the folder that holds
        one; neither weights nor a network nor the library are needed. Families: :data:`FAMILIES` (GPT-2, BERT, RoBERTa,
        ViT, LLaMA, Mistral, Qwen 2 and 3, OLMo 2, Granite, GPT-NeoX, Gemma 1 and 2). Every matrix is N(0,
        initializer_range²) with the exceptions of the library's ``_init_weights``. Dropout is off. Raises InputError
        naming the key for what is missing, bad or not modelled (mixtures of experts, cross attention, scaled rotary
        frequencies, …).
        """
        from fpsolve.transformer.network.configuration import from_transformers

        return from_transformers(config)

    @classmethod
    def from_torch(cls, module: Any) -> Architecture:
        """The architecture of a PyTorch module, with the deviations that its weights have.

        module: an ``nn.TransformerEncoder``, one of its layers, or a model of the `transformers` library. The deviation
        of a matrix is the root mean square of its entries over all layers, its law told by their kurtosis (normal,
        uniform, normal cut at two deviations). What is not like iid centred entries of such a law, trained weights
        above all, or layers that are copies of one another, is named in a NotGaussianWarning;
        :func:`weight_statistics` has it matrix by matrix. Raises InputError for what is not modelled,
        MissingDependencyError without torch (extra ``networks``).
        """
        from fpsolve.transformer.network.modules import from_torch

        return from_torch(module)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], **sizes: Any) -> Architecture:
        """The architecture of a TOML file: its keys and tables, or ``preset = "…"`` with the preset's options.

        Next to a preset, tables change parts: ``[norm]`` with ``place = "post"``. sizes: ``depth``, ``d``, ``heads`` in
        place of the file's, see :meth:`resized`. Raises InputError.
        """
        data = read_toml(user_path(path, "path"), "path")
        name = data.pop("preset", None)
        if name is not None:
            return cls.preset(name, **_flat(data) | sizes)
        return cls.from_dict(data).resized(**sizes)

    def to_toml(self, path: str | os.PathLike[str] | None = None) -> str:
        """The record as TOML, also written to ``path``, which must not exist. Fields that are None are left out."""
        text = "\n".join(_lines(self.to_dict())) + "\n"
        if path is not None:
            try:
                with user_path(path, "path").open("x", encoding="utf-8") as file:
                    file.write(text)
            except OSError as error:
                raise InputError(
                    "path", str(path), f"cannot be written ({error.strerror})", "choose another"
                ) from error
        return text


_KINDS: dict[str, tuple[type, ...]] = {
    "attention": (Attention, type(None)),
    "mlp": (MLP, type(None)),
    "norm": (Norm,),
    "residual": (Residual,),
    "embedding": (Embedding,),
    "positions": (Positions,),
    "name": (str,),
}


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Tables inside tables as keys with dots."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _lines(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A nested table as lines of TOML: values first, then the tables inside, laws of entries in one line."""
    lines, inner = [], []
    for key, value in table.items():
        if isinstance(value, Mapping) and set(value) != {one.name for one in fields(Init)}:
            inner += ["", f"[{prefix}{key}]", *_lines(value, f"{prefix}{key}.")]
        elif value is not None:
            lines.append(f"{key} = {toml_value(value)}")
    return lines + inner
