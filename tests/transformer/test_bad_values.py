"""Whatever stands in a configuration, a record or a call: read, or refused by name; never another error.

Every key of every family and every field of an architecture with every value below.
"""

import numpy as np
import pytest

from fpsolve.errors import InputError
from fpsolve.transformer import (
    FAMILIES,
    PRESETS,
    Architecture,
    Attention,
    Embedding,
    phase_map,
    plan,
    predict,
    verdict,
    what_if,
)
from tests.transformer.test_configurations import config

VALUES = (None, True, False, 0, -1, 3, 10**30, 0.0, 1.5, -0.5, float("nan"), float("inf"), "", "x", [], [1], {})
ROTARY = ({"rope_theta": value} for value in VALUES)
ODD = {
    "rope_parameters": [*ROTARY, {"rope_type": 3}, {"partial_rotary_factor": "x"}, {"full": {"rope_theta": 1}}],
    "layer_types": [["full_attention"], "full_attention", ["x"] * 32, [1] * 12, [["full_attention"]] * 32],
    "rope_scaling": [{"type": "yarn"}, {"rope_type": "longrope"}, {"type": None}],
}
MAY_BE_THERE = (
    *("head_dim", "num_key_value_heads", "n_inner", "rope_theta", "rope_scaling", "rope_parameters", "layer_types"),
    *("sliding_window", "use_sliding_window", "max_window_layers", "pad_token_id", "partial_rotary_factor"),
    *("position_embedding_type", "text_config", "is_decoder", "num_local_experts", "pruned_heads"),
)


def tried(make):
    """The architecture, or None where it was refused."""
    try:
        return make()
    except InputError as refused:
        assert refused.argument and refused.problem and refused.remedy
        return None


@pytest.mark.parametrize("family", FAMILIES)
def test_every_key_of_a_configuration(family):
    keys = config(family)
    refused = 0
    for key in {*keys, *MAY_BE_THERE}:
        for value in (*VALUES, *ODD.get(key, ())):
            made = tried(lambda: Architecture.from_transformers({**keys, key: value}))  # noqa: B023
            assert made is None or Architecture.from_dict(made.to_dict()) == made
            refused += made is None
    assert refused > 100


def leaves(table, prefix=""):
    """Keys with dots of a nested table, its tables too."""
    for key, value in table.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")


@pytest.mark.parametrize("preset", ["gemma", "random-transformer"])
def test_every_field_of_an_architecture(preset):
    arch = Architecture.preset(preset)
    for key in leaves(arch.to_dict()):
        for value in VALUES:
            made = tried(lambda: arch.changed(**{key: value}))  # noqa: B023
            assert made is None or Architecture.from_dict(made.to_dict()) == made


@pytest.mark.parametrize("preset", PRESETS)
def test_every_option_of_a_preset(preset):
    from fpsolve.plain.schema import parameters

    for key in parameters(PRESETS[preset]):
        for value in VALUES:
            tried(lambda: Architecture.preset(preset, **{key: value}))  # noqa: B023


def test_laws_of_entries_are_laws_and_numbers_of_numpy_plain():
    for make in (lambda: Attention(2, 4, query=0.02), lambda: Embedding(10, types=0.1), lambda: Embedding(10, None)):
        with pytest.raises(InputError, match="should be of the kind Init"):
            make()
    arch = Architecture.preset("gpt2", depth=np.int64(2), d=np.int32(64), std=np.float32(0.25))
    assert type(arch.depth) is int and type(arch.attention.query.std) is float
    assert predict(arch, 4).sizes["layer"] == 3  # its attributes are JSON


SMALL = Architecture.preset("torch-encoder", depth=2, d=16, heads=2, width=8)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: predict("gpt2", 4), "arch"),
        (lambda: predict(SMALL, 1), "tokens"),
        (lambda: predict(SMALL, 0), "tokens"),
        (lambda: predict(SMALL, -3), "tokens"),
        (lambda: predict(SMALL, True), "tokens"),
        (lambda: predict(SMALL, "abc"), "tokens"),
        (lambda: predict(SMALL, None), "tokens"),
        (lambda: predict(SMALL, []), "tokens"),
        (lambda: predict(SMALL, [[1.0], [1.0, 2.0]]), "tokens"),
        (lambda: predict(SMALL, np.ones((3, 4, 5))), "tokens"),
        (lambda: predict(SMALL, np.full((4, 16), np.nan)), "tokens"),
        (lambda: predict(SMALL, -np.eye(4)), "tokens"),
        (lambda: predict(SMALL, np.diag([1.0, 1, 0])[:, [0, 1, 2] * 5 + [0]]), "tokens[2]"),
        (lambda: predict(Architecture.from_transformers(config("gemma2")), [3, 0, 2]), "tokens[1]"),
        (lambda: predict(SMALL, [1, 2, 3]), "tokens"),
        (lambda: predict(Architecture.preset("gpt2", depth=1), [1, 2, 50257]), "tokens"),
        (lambda: predict(Architecture.preset("gpt2", depth=1), [1, -2]), "tokens"),
        (lambda: predict(SMALL, 4, n=4), "n"),
        (lambda: predict(SMALL, 4, members=0), "members"),
        (lambda: predict(SMALL, 4, members=2.5), "members"),
        (lambda: predict(SMALL, 4, members="3"), "members"),
        (lambda: predict(SMALL, 4, members=[0, 2]), "members"),
        (lambda: predict(SMALL, 4, members=["a"]), "members"),
        (lambda: predict(SMALL, 4, members=range(-1, 2)), "members"),
        (lambda: predict(SMALL, 4, seed=-1), "seed"),
        (lambda: predict(SMALL, 4, threshold=float("nan")), "threshold"),
        (lambda: predict(SMALL, 10**9), "tokens"),
        (lambda: plan(SMALL, 0, wide=True), "n"),
        (lambda: plan(SMALL, 8, members=0), "members"),
        (lambda: phase_map(SMALL, 4, logits=()), "logits"),
        (lambda: phase_map(SMALL, 4, residual=(0.0,)), "residual"),
        (lambda: what_if(SMALL, 1), "tokens"),
        (lambda: verdict(what_if(SMALL, 4)), "ds"),
        (lambda: SMALL.resized(d=17), "d"),
        (lambda: SMALL.resized(heads=3), "heads"),
        (lambda: SMALL.resized(depth=0), "depth"),
        (lambda: Architecture.preset("random-transformer").resized(d=5), "d"),
    ],
)
def test_bad_calls_are_refused_by_name(call, argument):
    with pytest.raises(InputError) as refused:
        call()
    assert refused.value.argument == argument


def test_other_sizes_follow():
    """Heads keep their width, MLPs their ratio, groups their size; scales and multipliers follow."""
    gemma = Architecture.from_transformers(config("gemma2"))
    wide = gemma.resized(d=4608, depth=52)
    assert (wide.depth, wide.attention.heads, wide.attention.head_dim, wide.attention.groups) == (52, 16, 256, 8)
    assert (wide.mlp.width, wide.attention.scale) == (2 * gemma.mlp.width, gemma.attention.scale)
    assert wide.embedding.multiplier == 4608**0.5
    more = gemma.resized(heads=16)
    assert (more.attention.heads, more.attention.head_dim, more.attention.groups) == (16, 128, 8)
    assert more.attention.scale == pytest.approx(gemma.attention.scale * 2**0.5)
    gpt2 = Architecture.from_transformers(config("gpt2"))
    assert gpt2.resized(d=1536).renamed("") == Architecture.preset("gpt2", d=1536).renamed("")
    assert gpt2.resized(d=1024, heads=8).attention.head_dim == 128
    assert gpt2.resized() == gpt2


def test_an_architecture_without_attention_comes_back_from_toml(tmp_path):
    arch = Architecture.preset("gpt2", depth=2).changed(attention=None).renamed('a "name"\nof two lines')
    arch.to_toml(tmp_path / "a.toml")
    assert Architecture.from_toml(tmp_path / "a.toml") == arch
