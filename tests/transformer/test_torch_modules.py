"""PyTorch modules read and measured: deviations, laws, warnings; hidden states and attention of real networks.

Runs where torch and transformers are installed (``make networks``), but for the refusal without torch.
"""

import sys
import warnings
from math import lgamma

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError, MissingDependencyError, NotGaussianWarning
from fpsolve.transformer import Architecture, measure_network, weight_statistics

SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 300}
WIDE = SMALL | {"intermediate_size": 160}
CONFIGS = {
    "gpt2": {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 300, "initializer_range": 0.05},
    "bert": WIDE | {"initializer_range": 0.03},
    "roberta": WIDE | {"pad_token_id": 1},
    "vit": {key: value for key, value in WIDE.items() if key != "vocab_size"} | {"image_size": 64},
    "llama": WIDE | {"num_key_value_heads": 2},
    "mistral": WIDE | {"num_key_value_heads": 2, "sliding_window": 8},
    "qwen2": WIDE | {"num_key_value_heads": 2},
    "qwen3": WIDE | {"num_key_value_heads": 2, "head_dim": 32},
    "olmo2": WIDE | {"num_key_value_heads": 4, "pad_token_id": 0},
    "granite": WIDE | {"num_key_value_heads": 2, "residual_multiplier": 0.3},
    "gpt_neox": WIDE,
    "gemma": WIDE | {"num_key_value_heads": 2, "head_dim": 16},
    "gemma2": WIDE | {"num_key_value_heads": 2, "head_dim": 16},
}


@pytest.fixture
def torch():
    found = pytest.importorskip("torch")
    found.set_num_threads(1)
    found.manual_seed(3)
    return found


def network(family, **changes):
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.for_model(family, **CONFIGS[family] | changes)
    config.bos_token_id = config.eos_token_id = None
    return transformers.AutoModel.from_config(config)


def encoder(torch, depth=3, **options):
    """Layers drawn by themselves."""
    nn = torch.nn
    layers = [nn.TransformerEncoderLayer(64, 4, 256, **{"batch_first": True} | options) for _ in range(depth)]
    made = nn.TransformerEncoder(layers[0], depth, enable_nested_tensor=False)
    made.layers = nn.ModuleList(layers)
    return made


def deviations(arch):
    keys = [f"attention.{one}" for one in ("query", "key", "value", "output")] + ["mlp.up", "mlp.down"]
    keys += ["mlp.gate"] * arch.mlp.gated + ["embedding.token"] * (arch.embedding.token.std > 0)
    return {key: arch.deviation(key) for key in keys}


def test_every_family_is_tried():
    assert set(CONFIGS) == set(fp.transformer.FAMILIES)


@pytest.mark.parametrize("family", CONFIGS)
def test_weights_have_the_deviations_that_the_configuration_says(torch, family):
    """The reading of the initial law against the library: 64·64·3 entries and more, so within 5 deviations."""
    module = network(family)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotGaussianWarning)
        found = Architecture.from_torch(module)
    said = Architecture.from_transformers(module.config)
    size = {"attention.key": 32 * 64 * 3, "attention.value": 32 * 64 * 3}
    for key, deviation in deviations(said).items():
        assert deviations(found)[key] == pytest.approx(deviation, rel=5 / np.sqrt(2 * size.get(key, 64 * 64 * 3)))
    assert found.attention.query.law == "normal" and found.mlp.up_bias.std == 0
    changed = dict(residual=said.residual, embedding=said.embedding, positions=said.positions)
    assert (found.depth, found.norm, found.parallel) == (said.depth, said.norm, said.parallel)
    assert found.changed(**{"attention": said.attention, "mlp": said.mlp, **changed}) == said


@pytest.mark.parametrize("family", CONFIGS)
def test_every_matrix_of_a_block_is_found(torch, family):
    module = network(family)
    found = sum(one.size for one in weight_statistics(module) if one.key.startswith(("attention.", "mlp.")))
    blocks = next(one for one in module.modules() if isinstance(one, torch.nn.ModuleList))
    norms = {id(w) for one in blocks.modules() if "norm" in type(one).__name__.lower() for w in one.parameters()}
    assert found == sum(w.numel() for w in blocks.parameters() if id(w) not in norms)


def test_torch_encoder_is_its_preset(torch):
    found = Architecture.from_torch(encoder(torch, activation="gelu", norm_first=True))
    said = Architecture.preset("torch-encoder", depth=3, d=64, heads=4, width=256, activation="gelu", norm_first=True)
    assert deviations(found) == pytest.approx(deviations(said), rel=0.03)
    assert {one.law for one in (found.attention.query, found.attention.output, found.mlp.up, found.mlp.down)} == {
        "uniform"
    }
    assert found.mlp.up_bias.law == "uniform" and found.mlp.up_bias.std == pytest.approx(said.mlp.up_bias.std, rel=0.1)
    assert (found.norm, found.mlp.activation) == (said.norm, "gelu")
    one = Architecture.from_torch(torch.nn.TransformerEncoderLayer(64, 4, 256, activation=torch.nn.SiLU()))
    assert (one.depth, one.norm.place, one.mlp.activation) == (1, "post", "silu")


def test_truncated_normals_are_recognised(torch):
    module = encoder(torch)
    for layer in module.layers:
        torch.nn.init.trunc_normal_(layer.linear1.weight, std=0.02, a=-0.04, b=0.04)
    up = Architecture.from_torch(module).mlp.up
    assert up.law == "truncated_normal" and up.std == pytest.approx(0.02, rel=0.02)


def test_copies_are_told(torch):
    layer = torch.nn.TransformerEncoderLayer(64, 4, 256)
    with pytest.warns(NotGaussianWarning, match="copies of one another"):
        Architecture.from_torch(torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))


def spike(w, torch):
    w += 0.02 * torch.ones(len(w), 1) @ torch.randn(1, w.shape[1]).sign()


def heavy(w, torch):
    w *= torch.randn_like(w).exp()


def shifted(w, torch):
    w += 0.004


@pytest.mark.parametrize(
    ("harm", "told"), [(spike, "largest singular value"), (heavy, "excess kurtosis"), (shifted, "mean 0")]
)
def test_trained_weights_are_told(torch, harm, told):
    module = network("gpt2")
    with torch.no_grad():
        harm(module.h[1].mlp.c_fc.weight, torch)
    with pytest.warns(NotGaussianWarning, match=rf"h\.1\.mlp\.c_fc\.weight: [^;]*{told}"):
        Architecture.from_torch(module)
    assert [one.name for one in weight_statistics(module) if one.remarks] == ["h.1.mlp.c_fc.weight"]


def test_gains_are_told(torch):
    module = network("llama")
    with torch.no_grad():
        module.layers[2].input_layernorm.weight *= 1.5
    with pytest.warns(NotGaussianWarning, match=r"layers\.2\.input_layernorm: gains"):
        Architecture.from_torch(module)


def test_what_cannot_be_read(torch):
    nn = torch.nn
    with pytest.raises(InputError, match="write the architecture by hand"):
        Architecture.from_torch(nn.Sequential(nn.ModuleList([nn.Linear(3, 3)])))
    with pytest.raises(InputError, match="not a known activation"):
        Architecture.from_torch(nn.TransformerEncoderLayer(64, 4, activation=torch.sin))
    mixed = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 256), 2, enable_nested_tensor=False)
    mixed.layers[1] = nn.TransformerEncoderLayer(64, 4, 128)
    with pytest.raises(InputError, match="layers differ"):
        Architecture.from_torch(mixed)


@pytest.mark.parametrize("family", CONFIGS)
def test_states_are_those_that_the_library_shows(torch, family):
    """Layers from embeddings to the last block are the library's hidden states, the last before its normalisation."""
    module = network(family)
    ids = torch.arange(1, 25) if family != "vit" else torch.randn(3, 64, 64)
    ds = measure_network(module, ids, save_gram=True)
    module.set_attn_implementation("eager")
    with torch.no_grad():
        name = module.main_input_name
        shown = module.eval()(**{name: ids[None]}, output_hidden_states=True, output_attentions=True)
    grams = [(x[0].double() @ x[0].double().T / 64).numpy() for x in shown.hidden_states]
    np.testing.assert_allclose(ds.gram.values[0, :-1], grams[:-1], rtol=1e-5, atol=1e-6)
    after = (shown.last_hidden_state[0].double() @ shown.last_hidden_state[0].double().T / 64).numpy()
    final = fp.transformer.observed(after[None])["mean_overlap"]
    if "final_mean_overlap" in ds:
        assert ds.final_mean_overlap.values == pytest.approx(final, rel=1e-5)
    else:
        assert ds.mean_overlap.values[0, -1] == pytest.approx(final, rel=1e-5) and family in ("bert", "roberta")
    pi = torch.stack([one[0] for one in shown.attentions]).double()
    entropy = -torch.special.xlogy(pi, pi).sum(-1).mean((1, 2))
    np.testing.assert_allclose(ds.attention_entropy.values[0, 1:], entropy, rtol=1e-6)
    assert np.isnan(ds.attention_entropy.values[0, 0])


def test_entropy_of_even_attention(torch):
    """Zero queries: every token attends evenly, entropy mean_i log(i+1) under a causal mask."""
    module = network("gpt2")
    with torch.no_grad():
        for block in module.h:
            block.attn.c_attn.weight.zero_()
    ds = measure_network(module, range(20))
    np.testing.assert_allclose(ds.attention_entropy.values[0, 1:], lgamma(21) / 20, rtol=1e-6)


def test_members_are_sequences_and_modules(torch):
    module = network("gpt2")
    ids = np.array([[1, 2, 3, 4], [5, 6, 7, 5]])
    together = measure_network(module, ids)
    assert together.sizes["member"] == 2
    alone = measure_network([module, module], ids[1])
    np.testing.assert_allclose(alone.mean_overlap.values, together.mean_overlap.values[[1, 1]], rtol=1e-4)
    assert list(alone.member.values) == [0, 1]


@pytest.mark.parametrize("batch_first", [True, False])
def test_torch_encoder_measured(torch, batch_first):
    module = encoder(torch, batch_first=batch_first, dropout=0.5)
    x = torch.randn(12, 64)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(12)
    ds = measure_network(module, x, mask=mask, save_gram=True)
    module.eval()
    with torch.no_grad():
        out = module((x[None] if batch_first else x[:, None]), mask=mask).squeeze(0 if batch_first else 1).double()
    np.testing.assert_allclose(ds.gram.values[0, -1], (out @ out.T / 64).numpy(), atol=1e-5)
    np.testing.assert_allclose(ds.gram.values[0, 0], (x.double() @ x.double().T / 64).numpy(), atol=1e-6)
    assert np.nanmax(ds.attention_entropy.values) < lgamma(13) / 12
    assert "final_mean_overlap" not in ds


def test_the_module_is_as_before(torch):
    module = network("gpt2").train()
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    way = module.config._attn_implementation
    measure_network(module, range(8))  # the library hangs in hooks of its own, once
    hooks = sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in module.modules())
    measure_network(module, range(8))
    assert hooks == sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in module.modules())
    assert module.training and module.config._attn_implementation == way
    assert all(torch.equal(before[name], weight) for name, weight in module.state_dict().items())


def test_same_variables_as_the_prediction(torch):
    module = network("gpt2")
    ds = measure_network(module, range(8), save_gram=True)
    predicted = fp.transformer.predict(Architecture.from_torch(module), np.arange(8), save_gram=True)
    assert set(ds.data_vars) <= set(predicted.data_vars)
    assert all(ds[name].dims == predicted[name].dims and ds[name].attrs == predicted[name].attrs for name in ds)
    assert {"mean_overlap", "overlap_quantile", "mean_square", "squared_norm", "attention_entropy"} <= set(ds.data_vars)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ([1, 300], "outside the vocabulary"),
        ([-1, 2], "outside the vocabulary"),
        ([0.5, 1.0], "token ids"),
        ([[[1]]], "axes"),
    ],
)
def test_bad_inputs(torch, inputs, told):
    with pytest.raises(InputError, match=told):
        measure_network(network("gpt2"), inputs)


def test_bad_inputs_of_vectors(torch):
    module = encoder(torch)
    for given, told in (
        (np.ones((5, 63)), "takes 64"),
        ([1, 2], "vectors"),
        (np.full((5, 64), np.nan), "not finite"),
    ):
        with pytest.raises(InputError, match=told):
            measure_network(module, given)
    for given, told in (([], "no module"), ([3], "no PyTorch module"), (torch.nn.Linear(3, 3), "list of blocks")):
        with pytest.raises(InputError, match=told):
            measure_network(given, np.ones((5, 64)))


def test_without_torch_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (lambda: measure_network(None, [1, 2]), lambda: Architecture.from_torch(None)):
        with pytest.raises(MissingDependencyError, match=r"fpsolve\[networks\]"):
            call()
