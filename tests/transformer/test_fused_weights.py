"""Queries, keys and values that a library keeps in one matrix are told apart.

The layouts by NumPy arrays, entry by entry; where torch and transformers are installed (``make networks``) in networks
that run: keys times three and queries over three leave the attention of a network alone, so that what is scaled there
is what the library calls keys; of the three deviations only that of the keys may then have changed so.
"""

import warnings

import numpy as np
import pytest

from fpsolve.errors import InputError, NotGaussianWarning
from fpsolve.transformer import Architecture, measure_network, weight_statistics
from fpsolve.transformer.network.modules import split_parts

D, HEADS = 6, 2
WIDTH = D // HEADS

LAYOUTS = {  # parameter: the part (0 queries, 1 keys, 2 values) of output o, and whether outputs are columns
    "h.0.attn.c_attn.weight": (lambda o: o // D, True),
    "layers.0.self_attn.in_proj_weight": (lambda o: o // D, False),
    "layers.0.attention.query_key_value.weight": (lambda o: o // WIDTH % 3, False),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_output_goes_to_its_part(name):
    part_of, columns = LAYOUTS[name]
    outputs = np.arange(3 * D)
    weight = outputs[:, None] + np.arange(D) / 100
    parts = list(split_parts(name, weight.T if columns else weight, HEADS, 3))
    biases = list(split_parts(name.replace("weight", "bias"), outputs, HEADS, 3))
    for one, (rows, bias) in enumerate(zip(parts, biases, strict=True)):
        mine = outputs[[part_of(o) == one for o in outputs]]
        np.testing.assert_array_equal(bias, mine)
        np.testing.assert_array_equal(rows, weight[mine])


def test_what_is_no_three_parts_is_refused():
    """One key-value head for five of queries: (heads + 2)·width outputs."""
    with pytest.raises(InputError, match="equal parts of 5 heads"):
        list(split_parts("h.0.self_attention.query_key_value.weight", np.ones((7 * 8, 40)), 5, 3))
    with pytest.raises(InputError, match="16 outputs are no 3 equal parts"):
        list(split_parts("self_attn.in_proj_weight", np.ones((16, 16)), None, 3))


# --- with torch -----------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    found = pytest.importorskip("torch")
    found.set_num_threads(1)
    found.manual_seed(5)
    return found


def library(family, **keys):
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.for_model(family, vocab_size=50, initializer_range=0.1, **keys)
    config.bos_token_id = config.eos_token_id = None
    return transformers.AutoModel.from_config(config)


def gpt2(torch):
    return library("gpt2", n_embd=64, n_layer=2, n_head=4), range(20)


def gpt_neox(torch):
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    return library("gpt_neox", **sizes), range(20)


def encoder(torch):
    layers = [torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True) for _ in range(2)]
    made = torch.nn.TransformerEncoder(layers[0], 2, enable_nested_tensor=False)
    made.layers = torch.nn.ModuleList(layers)
    return made, torch.randn(20, 64)


FUSED = {  # the network, its fused parameters, rows of the keys as a slice of outputs (…, columns of Conv1D)
    "c_attn": (gpt2, lambda w, one: w[..., 64 * one : 64 * (one + 1)]),
    "query_key_value": (gpt_neox, lambda w, one: w.view(4, 3, 16, *w.shape[1:])[:, one]),
    "in_proj": (encoder, lambda w, one: w[64 * one : 64 * (one + 1)]),
}
QUERY, KEY, VALUE = range(3)


def scaled(torch, module, fused, part, factor):
    """One of queries, keys, values of every layer times a factor, biases too."""
    touched = 0
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if fused in name:
                FUSED[fused][1](weight, part).mul_(factor)
                touched += 1
    assert touched == 4  # two layers, weights and biases


def deviations(module):
    """Those of queries, keys and values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGaussianWarning)
        arch = Architecture.from_torch(module)
    return np.array([arch.deviation(f"attention.{part}") for part in ("query", "key", "value")])


@pytest.mark.parametrize("fused", FUSED)
def test_keys_of_a_network_are_its_keys(torch, fused):
    module, inputs = FUSED[fused][0](torch)
    before, entropy = deviations(module), measure_network(module, inputs).attention_entropy.values[:, 1:]
    statistics = [one.rms for one in weight_statistics(module) if one.key == "attention.key"]
    scaled(torch, module, fused, KEY, 3.0)
    np.testing.assert_allclose(deviations(module) / before, [1, 3, 1], rtol=1e-5)
    after = [one.rms for one in weight_statistics(module) if one.key == "attention.key"]
    np.testing.assert_allclose(after, 3 * np.array(statistics), rtol=1e-5)
    assert np.abs(measure_network(module, inputs).attention_entropy.values[:, 1:] / entropy - 1).max() > 1e-3
    scaled(torch, module, fused, QUERY, 1 / 3)
    np.testing.assert_allclose(measure_network(module, inputs).attention_entropy.values[:, 1:], entropy, rtol=1e-5)
    np.testing.assert_allclose(deviations(module) / before, [1 / 3, 3, 1], rtol=1e-5)


@pytest.mark.parametrize("fused", FUSED)
def test_values_of_a_network_are_its_values(torch, fused):
    """Values zero: attention adds nothing, so that its own output does not vary with the weights of the output."""
    module, inputs = FUSED[fused][0](torch)
    before = deviations(module)
    scaled(torch, module, fused, VALUE, 0.0)
    np.testing.assert_allclose(deviations(module) / before, [1, 1, 0], rtol=1e-5)
    alone = measure_network(module, inputs, save_gram=True).gram.values
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if any(end in name for end in ("attn.c_proj.weight", "attention.dense.weight", "out_proj.weight")):
                weight.mul_(5.0)
    np.testing.assert_allclose(measure_network(module, inputs, save_gram=True).gram.values, alone, rtol=1e-6)
