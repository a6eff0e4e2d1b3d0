"""Architectures from configurations of the `transformers` library: published ones, files, refusals by name."""

import json
from math import sqrt

import pytest

from fpsolve.errors import InputError
from fpsolve.transformer import FAMILIES, Architecture

STANDARD = {"initializer_range": 0.02, "num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12}
LLAMA = {
    "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 11008,
    "num_attention_heads": 32, "num_hidden_layers": 32, "vocab_size": 32000, "rms_norm_eps": 1e-6,
}  # fmt: skip
CONFIGS = {
    "gpt2": {
        "activation_function": "gelu_new", "attn_pdrop": 0.1, "embd_pdrop": 0.1, "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024,
        "vocab_size": 50257,
    },
    "bert": STANDARD | {
        "hidden_act": "gelu", "intermediate_size": 3072, "max_position_embeddings": 512, "vocab_size": 30522,
        "layer_norm_eps": 1e-12, "pad_token_id": 0, "type_vocab_size": 2,
    },
    "roberta": STANDARD | {
        "hidden_act": "gelu", "intermediate_size": 3072, "max_position_embeddings": 514, "vocab_size": 50265,
        "layer_norm_eps": 1e-5, "pad_token_id": 1, "type_vocab_size": 1,
    },
    "vit": STANDARD | {"hidden_act": "gelu", "intermediate_size": 3072, "image_size": 224, "patch_size": 16},
    "llama": LLAMA,
    "mistral": LLAMA | {"num_key_value_heads": 8, "sliding_window": 4096, "rms_norm_eps": 1e-5},
    "qwen2": LLAMA | {"use_sliding_window": False, "sliding_window": 4096, "max_window_layers": 28, "rope_theta": 1e6},
    "qwen3": LLAMA | {"head_dim": 128, "use_sliding_window": False},
    "olmo2": LLAMA,
    "granite": LLAMA | {
        "attention_multiplier": 0.0078125, "embedding_multiplier": 12.0, "residual_multiplier": 0.22,
        "logits_scaling": 8.0,
    },
    "gpt_neox": {
        "hidden_act": "gelu", "hidden_size": 6144, "initializer_range": 0.02, "intermediate_size": 24576,
        "layer_norm_eps": 1e-05, "num_attention_heads": 64, "num_hidden_layers": 44, "rotary_emb_base": 10000,
        "rotary_pct": 0.25, "use_parallel_residual": True, "vocab_size": 50432,
    },
    "gemma": LLAMA | {
        "hidden_size": 2048, "head_dim": 256, "num_attention_heads": 8, "num_key_value_heads": 1,
        "num_hidden_layers": 18, "intermediate_size": 16384, "hidden_act": "gelu", "vocab_size": 256000,
    },
    "gemma2": LLAMA | {
        "hidden_size": 2304, "head_dim": 256, "num_attention_heads": 8, "num_key_value_heads": 4,
        "num_hidden_layers": 26, "intermediate_size": 9216, "hidden_activation": "gelu_pytorch_tanh",
        "vocab_size": 256000, "query_pre_attn_scalar": 256, "sliding_window": 4096, "attn_logit_softcapping": 50.0,
    },
}  # fmt: skip
"""As published, keys that mean nothing here mostly left out."""

NEEDED = {
    "gpt2": ("n_layer", "n_embd", "n_head", "n_positions", "vocab_size", "initializer_range", "activation_function"),
    "gemma2": ("head_dim", "query_pre_attn_scalar", "hidden_activation"),
    "vit": ("image_size", "patch_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"),
    "bert": ("max_position_embeddings", "vocab_size", "hidden_act", "initializer_range", "intermediate_size"),
    "llama": tuple(key for key in LLAMA if key != "rms_norm_eps"),
    "gpt_neox": ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "initializer_range"),
}


def config(family, **changes):
    return {"model_type": family, **CONFIGS[family], **changes}


def read(family, **changes):
    return Architecture.from_transformers(config(family, **changes))


def test_every_family_is_here():
    assert set(CONFIGS) == set(FAMILIES)


@pytest.mark.parametrize(
    ("family", "preset"),
    [
        ("gpt2", "gpt2"),
        ("bert", "bert"),
        ("vit", "vit"),
        ("llama", "llama"),
        ("gpt_neox", "gpt-neox"),
        ("gemma2", "gemma"),
    ],
)
def test_published_configurations_are_the_presets(family, preset):
    assert read(family).renamed("") == Architecture.preset(preset).renamed("")


def test_what_families_add_to_their_relatives():
    mistral = read("mistral")
    assert (mistral.attention.window, mistral.attention.global_every, mistral.attention.groups) == (4096, 0, 8)
    qwen = read("qwen2")
    assert (qwen.attention.window, qwen.positions.theta) == (None, 1e6)
    assert read("qwen3").attention.qk_norm == "head"
    olmo = read("olmo2")
    assert (olmo.attention.qk_norm, olmo.norm.place, olmo.embedding.padding) == ("full", "output", 1)
    granite = read("granite")
    assert (granite.attention.scale, granite.embedding.multiplier, granite.branch) == (0.0078125, 12.0, 0.22)
    gemma = read("gemma")
    assert gemma.norm.place == "pre" and gemma.mlp.activation == "gelu_pytorch_tanh" and gemma.attention.groups == 1
    assert gemma.embedding.multiplier == pytest.approx(sqrt(2048)) and gemma.attention.softcap is None
    roberta = read("roberta")
    assert (roberta.positions.max_length, roberta.embedding.padding) == (512, 1)


def test_what_keys_do():
    assert read("gpt2", n_inner=1000).mlp.width == 1000
    assert read("gpt2", scale_attn_weights=False).attention.logit_scale == 1.0
    assert read("gpt2", initializer_range=0.08, n_layer=48).deviation("mlp.down") == pytest.approx(0.08 / sqrt(96))
    assert read("gpt2", initializer_range=0.0).deviation("mlp.up") == 0.02  # so does the library
    assert read("bert", is_decoder=True).attention.mask == "causal"
    assert read("llama", pad_token_id=-1).embedding.padding == 31999
    assert read("llama", rope_parameters={"rope_theta": 5e5, "rope_type": "default"}).positions.theta == 5e5
    assert read("llama", rope_scaling=None, rope_theta=3e4).positions.theta == 3e4
    assert read("gpt_neox", rope_parameters={"partial_rotary_factor": 0.5}).positions.fraction == 0.5
    assert not read("gpt_neox", use_parallel_residual=False).parallel
    assert read("gemma2", attn_logit_softcapping=None).attention.softcap is None
    assert read("gemma2", num_hidden_layers=3).attention.global_every == 2
    assert read("qwen2", use_sliding_window=True, max_window_layers=32).attention.window is None
    assert read("vit", image_size=112, num_channels=1).embedding.features == 256


@pytest.mark.parametrize("family", NEEDED)
def test_missing_keys_are_named(family):
    for key in NEEDED[family]:
        keys = {name: value for name, value in config(family).items() if name != key}
        if key == "hidden_activation":
            keys.pop("hidden_act")
        with pytest.raises(InputError, match="needs this key") as refused:
            Architecture.from_transformers(keys)
        assert refused.value.argument == key


@pytest.mark.parametrize(
    ("family", "changes", "argument", "told"),
    [
        ("llama", {"num_local_experts": 8}, "num_local_experts", "mixture of experts"),
        ("qwen2", {"num_experts": 60}, "num_experts", "mixture of experts"),
        ("bert", {"add_cross_attention": True}, "add_cross_attention", "cross attention"),
        ("bert", {"is_encoder_decoder": True}, "is_encoder_decoder", "cross attention"),
        ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type", "relative"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx", "follow the layer"),
        ("llama", {"rope_scaling": {"rope_type": "llama3", "factor": 8}}, "rope_scaling.rope_type", "not modelled"),
        ("llama", {"rope_scaling": {"type": "linear", "factor": 8}}, "rope_scaling.rope_type", "not modelled"),
        ("llama", {"rope_parameters": {"full": {"rope_theta": 1e6}}}, "rope_parameters", "not modelled"),
        ("llama", {"text_config": {"a": 1}}, "text_config", "several networks"),
        ("qwen2", {"use_sliding_window": True, "max_window_layers": 28}, "max_window_layers", "equal distances"),
        ("qwen3", {"use_sliding_window": True, "layer_types": ["chunked"] * 32}, "layer_types", "not modelled"),
        ("gpt2", {"activation_function": "gelu_old"}, "activation_function", "not one of"),
        ("gpt2", {"n_head": 7}, "n_head", "does not divide"),
        ("gpt2", {"n_layer": 0}, "n_layer", "positive integer"),
        ("gpt2", {"initializer_range": float("nan")}, "initializer_range", "finite"),
        ("gpt2", {"initializer_range": -0.1}, "initializer_range", ">= 0"),
        ("llama", {"num_key_value_heads": 5}, "num_key_value_heads", "does not divide"),
        ("llama", {"head_dim": 63}, "positions.fraction", "pairs"),
        ("gpt_neo", {}, "model_type", "not one of .*; did you mean 'gpt_neox'"),
        ("t5", {}, "model_type", "cross attention"),
        ("gemma3_text", {}, "model_type", "another rotary base"),
        ("qwen3", {"layer_types": ["full_attention", "sliding_attention"] * 16}, "layer_types", "equal distances"),
        ("qwen3", {"layer_types": ["full_attention"]}, "layer_types", "32 layers"),
        ("bert", {"pad_token_id": 30522}, "pad_token_id", "no id of 30522"),
        ("llama", {"rope_scaling": "yarn"}, "rope_scaling", "no table"),
        ("llama", {"rope_scaling": {"rope_type": "yarn"}}, "rope_scaling.rope_type", "delete rope_scaling"),
        ("gemma2", {"query_pre_attn_scalar": 0}, "query_pre_attn_scalar", "positive"),
        ("gpt2", {"model_type": None}, "model_type", "needs this key"),
    ],
)
def test_what_is_not_modelled_is_refused_by_name(family, changes, argument, told):
    keys = {"model_type": family, **CONFIGS.get(family, {}), **changes}
    with pytest.raises(InputError, match=told) as refused:
        Architecture.from_transformers(keys)
    assert refused.value.argument == argument


def test_objects_files_and_folders(tmp_path):
    class Config:
        def to_dict(self):
            return config("gpt2")

    path = tmp_path / "config.json"
    path.write_text(json.dumps(config("gpt2")))
    for given in (Config(), path, str(path), tmp_path):
        assert Architecture.from_transformers(given) == read("gpt2")


def test_files_that_are_none(tmp_path):
    (tmp_path / "config.json").write_text("{")
    for given, told in (
        (tmp_path, "is not JSON"),
        (tmp_path / "gpt2", "nothing is downloaded"),
        (3, "no configuration"),
    ):
        with pytest.raises(InputError, match=told):
            Architecture.from_transformers(given)


def test_the_configuration_given_is_left_alone():
    keys = config("gemma2")
    before = json.dumps(keys)
    Architecture.from_transformers(keys)
    assert json.dumps(keys) == before
