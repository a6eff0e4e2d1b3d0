"""Architectures from configurations of the `transformers` library: no weights, no network, not even the library.

The library draws every matrix N(0, initializer_range²), with exceptions that the presets know (``_init_weights`` of
each model); what a configuration says beyond that is read here, and what the package does not model is refused by
name. Keys may be missing where the library itself has one default for every size; sizes and ``initializer_range`` may
not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from fpsolve.errors import InputError
from fpsolve.noise.activation import ACTIVATIONS
from fpsolve.plain.schema import NOTHING
from fpsolve.surroundings import user_path
from fpsolve.transformer.network import presets
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.parts import choice

UNMODELLED = {
    "gemma3": "its sliding layers have another rotary base than its full ones",
    "gemma3_text": "its sliding layers have another rotary base than its full ones",
    "t5": "cross attention and relative positions are not modelled",
    "bart": "cross attention is not modelled",
    "mamba": "it has no attention",
    "mamba2": "it has no attention",
}
"""Known families that are refused, and why."""

EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_tok")
"""Keys that count a mixture's experts."""


def from_transformers(config: Any) -> Architecture:
    """The architecture of a configuration of the `transformers` library, see :meth:`Architecture.from_transformers`."""
    keys = Keys(_plain(config))
    kind = keys.need("model_type")
    keys.refuse_parts()
    if isinstance(kind, str) and kind in UNMODELLED:
        raise InputError("model_type", kind, UNMODELLED[kind], "write a near relative by hand: Architecture.preset(…)")
    choice("model_type", kind, FAMILIES)
    return FAMILIES[kind](keys).renamed(str(kind))


def _plain(config: Any) -> dict[str, Any]:
    """A configuration object, a mapping, or the path of a config.json or of its folder, as a dictionary."""
    if isinstance(config, str | os.PathLike):
        path = user_path(config, "config")
        path = path / "config.json" if path.is_dir() else path
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
            raise InputError(
                "config", str(path), problem, "name a config.json on disk; nothing is downloaded"
            ) from error
        except ValueError as error:
            raise InputError("config", str(path), f"is not JSON ({error})", "name a config.json") from error
    elif callable(getattr(config, "to_dict", None)):
        config = config.to_dict()
    if not isinstance(config, Mapping):
        raise InputError(
            "config", config, "is no configuration", "pass an object, a dictionary or a config.json's path"
        )
    return dict(config)


class Keys:
    """The keys of a configuration; errors name them."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a key, ``default`` where it is missing or null."""
        value = self.data.get(name)
        return default if value is None else value

    def need(self, *names: str) -> Any:
        """The value of a key that must be there, under one of its names. Raises InputError."""
        for name in names:
            if self.data.get(name) is not None:
                return self.data[name]
        also = f" (or {', '.join(names[1:])})" if names[1:] else ""
        raise InputError(names[0], NOTHING, "a configuration needs this key", f"give {names[0]}{also}")

    def count(self, *names: str) -> int:
        """A positive integer that must be there."""
        return self._whole(next((n for n in names if self.data.get(n) is not None), names[0]), self.need(*names))

    def count_or(self, name: str, default: int | None) -> Any:
        """A positive integer, ``default`` where the key is missing or null."""
        return default if self.data.get(name) is None else self._whole(name, self.data[name])

    def _whole(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(name, value, "must be a positive integer", f"give {name}=1 or more")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A number ≥ 0; without a default it must be there."""
        value = self.need(name) if default is None else self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise InputError(name, value, "must be a finite number >= 0", f"give {name}=0.02, for example")
        return float(value)

    def positive(self, name: str) -> float:
        """A number > 0 that must be there."""
        value = self.number(name)
        if not value:
            raise InputError(name, value, "must be positive", f"give {name} > 0")
        return value

    def std(self) -> float:
        """``initializer_range``; the library takes 0.02 for zero."""
        return self.number("initializer_range") or 0.02

    def activation(self, *names: str) -> str:
        """The name of an activation that must be there and known."""
        value = self.need(*names)
        choice(names[0], value, ACTIVATIONS)
        return str(value)

    def only(self, name: str, allowed: Any, problem: str, remedy: str) -> None:
        """Raises InputError where a key that is there has any other value."""
        if self.get(name, allowed) != allowed:
            raise InputError(name, self.data[name], problem, remedy)

    def heads(self, d: int, *names: str) -> int:
        """The number of heads, which divides d unless ``head_dim`` is given."""
        heads = self.count(*names)
        if d % heads and self.get("head_dim") is None:
            raise InputError(names[0], heads, f"does not divide the width {d}", "give a number of heads that does")
        return heads

    def refuse_parts(self) -> None:
        """Raises InputError for parts that are in no architecture of this package."""
        for name in ("text_config", "vision_config", "encoder", "decoder"):
            if isinstance(self.data.get(name), Mapping):
                raise InputError(name, "{…}", "a network of several networks", f"pass config.{name} alone")
        for name in EXPERTS:
            if self.get(name, 0) not in (0, 1, False):
                raise InputError(name, self.data[name], "a mixture of experts is not modelled", "use a dense network")
        self.only("is_encoder_decoder", False, "cross attention is not modelled", "use an encoder or a decoder alone")
        self.only("add_cross_attention", False, "cross attention is not modelled", "set it to false")
        for name in ("position_embedding_type", "position_embeddings_type"):
            self.only(name, "absolute", "relative positions of this kind are not modelled", 'use "absolute"')
        if self.get("pruned_heads"):
            raise InputError("pruned_heads", self.data["pruned_heads"], "layers must have equal heads", "leave it out")

    def theta(self) -> float:
        """The base of rotary positions, from ``rope_parameters`` or ``rope_theta``; scaled frequencies are refused."""
        for name in ("rope_parameters", "rope_scaling"):
            table = self.table(name)
            if any(isinstance(value, Mapping) for value in table.values()):
                raise InputError(name, table, "layers with different rotary positions are not modelled", "use one base")
            kind = table.get("rope_type", table.get("type", "default"))
            if kind != "default":
                remedy = f"delete {name} in a copy: the prediction is then that of the frequencies before scaling"
                raise InputError(f"{name}.rope_type", kind, "scaled rotary frequencies are not modelled", remedy)
            if table.get("rope_theta") is not None:
                return Keys(table).number("rope_theta")
        return self.number("rope_theta", self.number("rotary_emb_base", 10000.0))

    def table(self, name: str) -> dict[str, Any]:
        """A table of keys, empty where it is missing or null."""
        found = self.get(name, {})
        if not isinstance(found, Mapping):
            raise InputError(name, found, "is no table", "give a dictionary, or leave it out")
        return dict(found)

    def rotary_fraction(self, default: float) -> float:
        """The part of a head that rotary positions turn."""
        for keys, name in ((Keys(self.table("rope_parameters")), "partial_rotary_factor"),
                           (self, "partial_rotary_factor"), (self, "rotary_pct")):  # fmt: skip
            if keys.get(name) is not None:
                return keys.number(name)
        return default

    def padding(self, vocab: int, default: int | None) -> int | None:
        """The id whose embedding is zero; torch counts negative ones from the end."""
        value = self.data.get("pad_token_id", default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not -vocab <= value < vocab:
            raise InputError("pad_token_id", value, f"is no id of {vocab}", "give one, or null without padding")
        return value % vocab

    def window(self, depth: int, every: int = 0) -> dict[str, Any]:
        """``attention.window`` and ``global_every`` of ``sliding_window``, ``layer_types`` and Qwen's switches.

        every: ``global_every`` where ``layer_types`` does not say which layers see all.
        """
        types = self.get("layer_types")
        if types is not None:
            every = self._every(types, depth)
        elif self.get("use_sliding_window") and self.get("max_window_layers"):  # Qwen: those from this layer on slide
            if self.count("max_window_layers") < depth:
                problem = "full layers must come at equal distances"
                raise InputError("max_window_layers", self.data["max_window_layers"], problem, "use one pattern")
            every = 1
        if self.get("sliding_window") is None or self.get("use_sliding_window", True) is False or every == 1:
            return {"attention.window": None, "attention.global_every": 0}
        return {"attention.window": self.count("sliding_window"), "attention.global_every": every}

    def _every(self, types: Any, depth: int) -> int:
        """The distance of layers that see all, 0 where none does."""
        if not isinstance(types, list | tuple) or len(types) != depth:
            raise InputError("layer_types", types, f"is no list of {depth} layers", "give one kind for each layer")
        for kind in types:
            if kind not in ("full_attention", "sliding_attention"):
                problem = "attention of this kind is not modelled"
                raise InputError("layer_types", kind, problem, "use full_attention and sliding_attention")
        whole = [layer for layer, kind in enumerate(types, 1) if kind == "full_attention"]
        every = whole[0] if whole else 0
        if whole and whole != list(range(every, depth + 1, every)):
            raise InputError("layer_types", types, "full layers must come at equal distances", "use one pattern")
        return every


def _gpt2(c: Keys) -> Architecture:
    d = c.count("n_embd", "hidden_size")
    c.only("scale_attn_by_inverse_layer_idx", False, "logits that follow the layer are not modelled", "set it to false")
    architecture = presets.gpt2(
        c.count("n_layer", "num_hidden_layers"),
        d,
        c.heads(d, "n_head", "num_attention_heads"),
        c.count_or("n_inner", 4 * d),
        c.std(),
        c.count("vocab_size"),
        c.count("n_positions", "max_position_embeddings"),
    )
    scale = None if c.get("scale_attn_weights", True) else 1.0
    return architecture.changed(
        **{
            "mlp.activation": c.activation("activation_function"),
            "norm.eps": c.number("layer_norm_epsilon", 1e-5),
            "attention.scale": scale,
        }
    )


def _bert(c: Keys, offset: bool = False) -> Architecture:
    d, vocab = c.count("hidden_size"), c.count("vocab_size")
    padding = c.padding(vocab, 1 if offset else 0)
    length = c.count("max_position_embeddings") - (padding + 1 if offset and padding is not None else 0)
    architecture = presets.bert(
        c.count("num_hidden_layers"),
        d,
        c.heads(d, "num_attention_heads"),
        c.count("intermediate_size"),
        c.std(),
        vocab,
        length,
    )
    return architecture.changed(
        **{
            "mlp.activation": c.activation("hidden_act"),
            "norm.eps": c.number("layer_norm_eps", 1e-12),
            "attention.mask": "causal" if c.get("is_decoder", False) else "bidirectional",
            "embedding.padding": padding,
        }
    )


def _roberta(c: Keys) -> Architecture:
    """Positions are counted from the padding's id on."""
    return _bert(c, offset=True)


def _vit(c: Keys) -> Architecture:
    d, patch = c.count("hidden_size"), c.count("patch_size")
    architecture = presets.vit(
        c.count("num_hidden_layers"),
        d,
        c.heads(d, "num_attention_heads"),
        c.count("intermediate_size"),
        c.std(),
        c.count_or("num_channels", 3) * patch**2,
        (c.count("image_size") // patch) ** 2 + 1,
    )
    changes = {"mlp.activation": c.activation("hidden_act"), "norm.eps": c.number("layer_norm_eps", 1e-12)}
    return architecture.changed(**changes)


def _llama(c: Keys, **changes: Any) -> Architecture:
    """LLaMA, and those that differ in few keys: Mistral, Qwen, OLMo 2, Granite with its multipliers."""
    depth, d, vocab = c.count("num_hidden_layers"), c.count("hidden_size"), c.count("vocab_size")
    heads = c.heads(d, "num_attention_heads")
    groups = c.count_or("num_key_value_heads", heads)
    if heads % groups:
        problem = f"does not divide the {heads} heads"
        raise InputError("num_key_value_heads", groups, problem, "give a number of key-value heads that does")
    architecture = presets.llama(
        depth,
        d,
        heads,
        None if groups == heads else groups,
        c.count_or("head_dim", d // heads),
        c.count("intermediate_size"),
        c.std(),
        vocab,
        c.theta(),
        c.number("rms_norm_eps", 1e-6),
    )
    return architecture.changed(
        **{
            "mlp.activation": changes.get("mlp.activation") or c.activation("hidden_act"),
            "positions.fraction": c.rotary_fraction(1.0),
            "embedding.padding": c.padding(vocab, None),
            **changes,
        }
    )


def _windowed(c: Keys, **changes: Any) -> Architecture:
    return _llama(c, **c.window(c.count("num_hidden_layers")), **changes)


def _qwen3(c: Keys) -> Architecture:
    return _windowed(c, **{"attention.qk_norm": "head"})


def _olmo2(c: Keys) -> Architecture:
    eps, vocab = c.number("rms_norm_eps", 1e-5), c.count("vocab_size")
    changes = {"norm.eps": eps, "embedding.padding": c.padding(vocab, 1)}
    return _llama(c, **{"attention.qk_norm": "full", "norm.place": "output", **changes})


def _granite(c: Keys) -> Architecture:
    multipliers = {
        "attention.scale": c.number("attention_multiplier", 1.0),
        "embedding.multiplier": c.number("embedding_multiplier", 1.0),
        "residual.branch": c.number("residual_multiplier", 1.0),
    }
    return _llama(c, **multipliers)


def _gpt_neox(c: Keys) -> Architecture:
    d = c.count("hidden_size")
    architecture = presets.gpt_neox(
        c.count("num_hidden_layers"),
        d,
        c.heads(d, "num_attention_heads"),
        c.count("intermediate_size"),
        c.std(),
        c.count("vocab_size"),
    )
    return architecture.changed(
        **{
            "mlp.activation": c.activation("hidden_act"),
            "norm.eps": c.number("layer_norm_eps", 1e-5),
            "positions.theta": c.theta(),
            "positions.fraction": c.rotary_fraction(0.25),
            "parallel": bool(c.get("use_parallel_residual", True)),
        }
    )


def _gemma(c: Keys, **changes: Any) -> Architecture:
    """The first Gemma: LLaMA's block, embeddings times √d, GELU by tanh also where old configurations say ``gelu``."""
    act = c.activation("hidden_activation", "hidden_act")
    if act == "gelu" and not changes:
        act = "gelu_pytorch_tanh"
    c.data.setdefault("pad_token_id", 0)
    c.count("head_dim")
    masked = "bidirectional" if c.get("use_bidirectional_attention", False) else "causal"
    multiplier = float(c.count("hidden_size")) ** 0.5
    given = {"mlp.activation": act, "embedding.multiplier": multiplier, "attention.mask": masked}
    return _llama(c, **given | changes)


def _gemma2(c: Keys) -> Architecture:
    cap = "attn_logit_softcapping"
    changes = {
        "norm.place": "peri",
        "attention.scale": c.positive("query_pre_attn_scalar") ** -0.5,
        "attention.softcap": c.positive(cap) if c.get(cap) is not None else None if cap in c.data else 50.0,
        **c.window(c.count("num_hidden_layers"), 2),
    }
    return _gemma(c, **changes)


FAMILIES: dict[str, Callable[[Keys], Architecture]] = {
    "gpt2": _gpt2,
    "bert": _bert,
    "roberta": _roberta,
    "vit": _vit,
    "llama": _llama,
    "mistral": _windowed,
    "qwen2": _windowed,
    "qwen3": _qwen3,
    "olmo2": _olmo2,
    "granite": _granite,
    "gpt_neox": _gpt_neox,
    "gemma": _gemma,
    "gemma2": _gemma2,
}
"""The ``model_type`` of a configuration and how it is read."""
