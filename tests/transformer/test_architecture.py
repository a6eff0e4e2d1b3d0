"""Architectures: presets against their published numbers, derived sizes, plain data and TOML, refusals by name."""

import json
from math import sqrt

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.transformer import PRESETS, Architecture, Attention, Init

PUBLISHED = {  # depth, d, heads, head width, key-value heads, MLP width, activation, norm, place
    "gpt2": (12, 768, 12, 64, 12, 3072, "gelu_new", "layer", "pre"),
    "bert": (12, 768, 12, 64, 12, 3072, "gelu", "layer", "post"),
    "vit": (12, 768, 12, 64, 12, 3072, "gelu", "layer", "pre"),
    "llama": (32, 4096, 32, 128, 32, 11008, "silu", "rms", "pre"),
    "gpt-neox": (44, 6144, 64, 96, 64, 24576, "gelu", "layer", "pre"),
    "gemma": (26, 2304, 8, 256, 4, 9216, "gelu_pytorch_tanh", "rms", "peri"),
    "torch-encoder": (6, 512, 8, 64, 8, 2048, "relu", "layer", "post"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_have_the_published_sizes(name):
    a = Architecture.preset(name)
    sizes = (a.depth, a.d, a.attention.heads, a.attention.head_dim, a.attention.groups, a.mlp.width, a.mlp.activation)
    assert (*sizes, a.norm.kind, a.norm.place) == PUBLISHED[name]


@pytest.mark.parametrize(("name", "millions"), [("gpt2", 124), ("bert", 109), ("llama", 6607), ("gpt-neox", 20250)])
def test_presets_have_the_published_number_of_parameters(name, millions):
    """Matrices and embeddings without output layers, gains and biases: within half a percent of what the papers count.

    Published: GPT-2 124 M (output tied), BERT 110 M, LLaMA 6,738 M of which 131 M are its output layer, GPT-NeoX 20.6 B
    of which 0.31 B is.
    """
    assert Architecture.preset(name).parameters / 1e6 == pytest.approx(millions, rel=0.006)


def test_initial_laws():
    gpt2 = Architecture.preset("gpt2", depth=48)
    assert gpt2.deviation("attention.query") == 0.02
    assert gpt2.deviation("mlp.down") == gpt2.deviation("attention.output") == pytest.approx(0.02 / sqrt(96))
    assert Architecture.preset("gpt2", init="original").positions.init.std == 0.01
    neox = Architecture.preset("gpt-neox", init="original", d=480, depth=10)
    assert neox.deviation("mlp.up") == pytest.approx(sqrt(2 / (480 + 4 * 480)))
    assert neox.deviation("mlp.down") == pytest.approx(2 / (10 * sqrt(480)))
    torch = Architecture.preset("torch-encoder", d=64, width=256)
    assert sqrt(3) * torch.deviation("attention.query") == pytest.approx(sqrt(6 / (64 + 3 * 64)))
    assert sqrt(3) * torch.deviation("mlp.down") == pytest.approx(1 / sqrt(256))


def test_truncated_normal_has_its_actual_deviation():
    from scipy.stats import truncnorm

    for cut in (0.5, 2.0, 3.0):
        assert Init(0.02, "truncated_normal", cut).deviation == pytest.approx(0.02 * truncnorm(-cut, cut).std())
    assert Init(0.02, "uniform").deviation == 0.02


def test_depth_scalings():
    base = Architecture.preset("bert", depth=16)
    deepnorm = base.changed(**{"residual.depth_scaling": "deepnorm"})
    assert deepnorm.skip == pytest.approx(32**0.25)
    assert deepnorm.deviation("mlp.up") == pytest.approx(0.02 * 128**-0.25)
    assert deepnorm.deviation("attention.query") == 0.02
    mup = base.changed(**{"residual.depth_scaling": "depth_mup", "residual.branch": 2.0})
    assert (mup.skip, mup.branch) == (1, pytest.approx(0.5))
    assert mup.changed(depth=4).branch == pytest.approx(1.0)


def test_derived_sizes_follow():
    a = Architecture.preset("gpt2", depth=48, d=12288)
    assert (a.attention.heads, a.attention.head_dim, a.mlp.width) == (192, 64, 49152)
    assert Architecture.preset("gpt2", d=12288, heads=96).attention.head_dim == 128
    assert Architecture.preset("llama", d=8192, kv_heads=8).attention.groups == 8


@pytest.mark.parametrize("name", PRESETS)
def test_plain_data_and_toml_bring_back_the_same(name, tmp_path):
    a = Architecture.preset(name)
    assert Architecture.from_dict(json.loads(json.dumps(a.to_dict()))) == a
    a.to_toml(tmp_path / "a.toml")
    assert Architecture.from_toml(tmp_path / "a.toml") == a
    with pytest.raises(InputError, match="cannot be written"):
        a.to_toml(tmp_path / "a.toml")


def test_toml_may_start_from_a_preset(tmp_path):
    (tmp_path / "a.toml").write_text('preset = "gpt2"\ndepth = 3\n[norm]\nplace = "peri"\n[attention]\nquery = 0.05\n')
    a = Architecture.from_toml(tmp_path / "a.toml")
    expected = Architecture.preset("gpt2", depth=3, **{"norm.place": "peri", "attention.query": 0.05})
    assert a == expected
    assert (a.norm.place, a.attention.query, a.d) == ("peri", Init(0.05), 768)


def test_windows_by_layer():
    a = Attention(4, 8, window=10, global_every=3)
    assert [a.window_of(layer) for layer in range(1, 7)] == [10, 10, None, 10, 10, None]


NAN = float("nan")


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Architecture.preset("gpt3"), "preset"),
        (lambda: Architecture.preset("gpt2", layers=3), "layers"),
        (lambda: Architecture.preset("gpt2", depth=0), "depth"),
        (lambda: Architecture.preset("gpt2", d=100), "d"),
        (lambda: Architecture.preset("gpt2", d=100, heads=3), "heads"),
        (lambda: Architecture.preset("gpt2", std=NAN), "std"),
        (lambda: Architecture.preset("gpt2", std=-1), "std"),
        (lambda: Architecture.preset("llama", kv_heads=5), "kv_heads"),
        (lambda: Architecture.preset("llama", d=9, heads=3), "positions.fraction"),
        (lambda: Architecture.preset("gpt2", **{"norm.place": "ngpt"}), "norm.place"),
        (lambda: Architecture.preset("gpt2", **{"mlp.activation": "glu"}), "mlp.activation"),
        (lambda: Architecture.preset("gpt2", **{"attention.query": {"std": NAN}}), "attention.query.std"),
        (lambda: Architecture.preset("gpt2", **{"attention.quary": 0.1}), "attention.quary"),
        (lambda: Architecture.preset("random-transformer", **{"mlp.width": 3}), "mlp.width"),
        (lambda: Architecture.preset("gpt2", mlp=None, attention=None), "mlp"),
        (lambda: Architecture(2, 8, None, None), "attention"),
        (lambda: Architecture(2, 8, {"heads": 2}), "attention"),
        (lambda: Architecture.from_dict({"depth": 2, "d": 8}), "attention"),
        (lambda: Architecture.from_dict({"depth": 2, "d": 8, "attention": {"heads": 2}}), "attention.head_dim"),
        (lambda: Architecture.from_dict({"depth": 2, "d": 8, "attention": 3}), "attention"),
        (lambda: Architecture.from_toml("nothing.toml"), "path"),
        (lambda: Init(0.1, "cauchy"), "law"),
        (lambda: fp.transformer.Positions("learned"), "max_length"),
        (lambda: fp.transformer.Embedding(10, padding=10), "padding"),
    ],
)
def test_bad_input_is_refused_by_name(make, argument):
    with pytest.raises(InputError) as refused:
        make()
    assert refused.value.argument == argument


def test_activations_under_several_names_are_the_published_functions():
    from fpsolve.noise.activation import ACTIVATIONS, dual_activation

    z = np.linspace(-4, 4, 9)
    assert ACTIVATIONS["gelu_new"](1.0) == pytest.approx(0.8411919906)
    assert ACTIVATIONS["silu"](1.0) == pytest.approx(0.7310585786)
    assert np.abs(ACTIVATIONS["gelu_new"](z) - ACTIVATIONS["gelu"](z)).max() < 1e-3
    assert dual_activation("linear")(0.3) == pytest.approx(0.3)
