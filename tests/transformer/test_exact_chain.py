"""The Gram chain against plain networks with all their matrices: laws of six numbers by Kolmogorov–Smirnov.

300 networks of width 64, 16 tokens and 2 layers against 300 chains, each test at 1e-4 / (number of tests): a false
alarm anywhere below has probability below 2e-4 (seeds are fixed). Such a test sees shifts of half a deviation.
"""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import fpsolve as fp
from fpsolve.transformer import (
    MLP,
    Architecture,
    Attention,
    Embedding,
    Init,
    Norm,
    Positions,
    Residual,
    observed,
    predict,
)
from tests.transformer.plain_network import run

MEMBERS, N, D = 300, 16, 64
W = Init(0.12)
IDS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 2, 3])


def architecture(place="pre", kind="layer", mask="causal", gated=False, activation="gelu", depth=2, d=D, **options):
    heads = options.pop("heads", 4)
    attention = Attention(
        heads, options.pop("head_dim", 8), mask=mask, query=Init(0.25), key=Init(0.25), value=W, output=W,
        **options.pop("attention", {}),
    )  # fmt: skip
    mlp = MLP(96, activation, gated, up=W, gate=W, down=W, **options.pop("mlp", {}))
    parts = {
        "embedding": Embedding(40, Init(0.5)),
        "positions": Positions("learned", Init(0.3), max_length=64),
        **options,
    }
    return Architecture(depth, d, attention, mlp, Norm(kind, 1e-2, place), **parts)


def numbers(G):
    """Mean overlap, least overlap, mean norm, one norm, one overlap, effective rank; (6, members)."""
    o = observed(G)
    cosine = G[:, 0, 5] / np.sqrt(G[:, 0, 0] * G[:, 5, 5])
    return np.array(
        [o["mean_overlap"], o["overlap_quantile"][:, 0], o["mean_square"], G[:, 3, 3], cosine, o["effective_rank"]]
    )


CASES = {
    "pre causal": architecture(),
    "pre bidirectional gated": architecture(mask="bidirectional", gated=True, activation="silu"),
    "post causal gated": architecture("post", gated=True, activation="silu"),
    "post bidirectional": architecture("post", mask="bidirectional", embedding=Embedding(40, W, types=W, norm=True)),
    "peri causal": architecture("peri"),
    "peri bidirectional gated": architecture("sandwich", mask="bidirectional", gated=True, activation="silu"),
    "pre rms": architecture(kind="rms"),
    "post rms": architecture("post", "rms", "bidirectional"),
    "peri rms gated": architecture("peri", "rms", gated=True),
    "output norm": architecture("output"),
    "no norm": architecture("none", residual=Residual(0.9, 0.5)),
    "parallel": architecture(parallel=True),
    "parallel post": architecture("post", parallel=True),
    "parallel peri": architecture("peri", parallel=True),
    "rope": architecture(positions=Positions("rope", theta=100.0)),
    "partial rope": architecture(positions=Positions("rope", fraction=0.5)),
    "alibi": architecture(positions=Positions("alibi"), mask="bidirectional"),
    "sinusoidal": architecture(positions=Positions("sinusoidal"), embedding=Embedding(40, W, multiplier=3.0)),
    "grouped": architecture(attention={"kv_heads": 2}),
    "one key-value head": architecture(attention={"kv_heads": 1}),
    "window": architecture(attention={"window": 4}),
    "softcap": architecture(attention={"softcap": 0.7}),
    "qk norm": architecture(attention={"qk_norm": "head"}),
    "qk norm across": architecture(kind="rms", attention={"qk_norm": "full"}),
    "gaussian biases": architecture(
        attention={"query_bias": W, "key_bias": W, "value_bias": W, "output_bias": W},
        mlp={"up_bias": W, "down_bias": W},
    ),
    "uniform biases": architecture(
        gated=True, mlp={"up_bias": Init(0.7, "uniform"), "gate_bias": Init(0.7, "uniform")}, activation="relu"
    ),
    "deepnorm": architecture("post", residual=Residual(depth_scaling="deepnorm")),
    "gpt2 scaling": architecture(residual=Residual(depth_scaling="gpt2")),
    "more tokens than dimensions": architecture(d=10, heads=2, head_dim=5),
    "as many tokens as half the dimensions": architecture(d=24, heads=3, kind="rms"),
    "attention alone": architecture().changed(mlp=None),
    "mlp alone": architecture().changed(attention=None),
    "equal ids without positions": architecture(mask="bidirectional", positions=Positions()),
}
LEVEL = 1e-4 / (13 * len(CASES))


@pytest.mark.parametrize("name", CASES)
def test_the_chain_has_the_law_of_the_network(name):
    arch = CASES[name]
    ds = predict(arch, IDS, members=MEMBERS, seed=3, save_gram=True)
    drawn = [run(arch, IDS, seed) for seed in range(MEMBERS)]
    states = np.stack([x for x, _ in drawn])
    for layer in (1, 2):
        x = states[:, layer]
        ours, theirs = numbers(ds.gram.values[:, layer]), numbers(x @ x.swapaxes(1, 2) / arch.d)
        for first, second in zip(ours, theirs, strict=True):
            assert ks_2samp(first, second).pvalue > LEVEL
    if arch.attention is not None:
        entropies = np.array([one[1] for _, one in drawn])
        assert ks_2samp(ds.attention_entropy.values[:, 2], entropies).pvalue > LEVEL


def test_vectors_and_gram_matrices_start_where_they_are():
    """Given vectors: layer 0 exactly, then in law; a given Gram matrix is that of vectors in general position."""
    arch = architecture()
    x = np.random.default_rng(0).normal(size=(N, D)) + 0.5
    ds = predict(arch, x, members=MEMBERS, save_gram=True)
    np.testing.assert_allclose(ds.gram[:, 0], np.broadcast_to(x @ x.T / D, (MEMBERS, N, N)), atol=1e-12)
    states = np.stack([run(arch, x, seed)[0] for seed in range(MEMBERS)])[:, 1]
    for first, second in zip(numbers(ds.gram.values[:, 1]), numbers(states @ states.swapaxes(1, 2) / D), strict=True):
        assert ks_2samp(first, second).pvalue > 1e-5
    rng, G = np.random.default_rng(1), x @ x.T / D
    turned = [x @ np.linalg.qr(rng.normal(size=(D, D)))[0] for _ in range(MEMBERS)]
    states = np.stack([run(arch, one, seed)[0][1] for seed, one in enumerate(turned)])
    ds = predict(arch, G, members=MEMBERS, save_gram=True)
    np.testing.assert_allclose(ds.gram[0, 0], G, atol=1e-12)
    for first, second in zip(numbers(ds.gram.values[:, 1]), numbers(states @ states.swapaxes(1, 2) / D), strict=True):
        assert ks_2samp(first, second).pvalue > 1e-5


def test_projection_of_layer_norm_lives_in_one_dimension_less():
    """n = 6, d = 8: E C_ij² of the normalised tokens is 1/(d-1) = 1/7, not 1/8; 4.5 standard errors."""
    arch = architecture("post", d=8, heads=2, head_dim=4, embedding=Embedding(40, W, norm=True)).changed(
        **{"norm.eps": 1e-12}
    )
    G = predict(arch, np.arange(6), members=4000, save_gram=True).gram.values[:, 0]
    np.testing.assert_allclose(np.diagonal(G, axis1=1, axis2=2), 1, atol=1e-8)
    C = G[:, 0, 1] ** 2 / (G[:, 0, 0] * G[:, 1, 1])
    assert abs(C.mean() - 1 / 7) < 4.5 * C.std() / np.sqrt(len(C))


def test_members_are_their_numbers():
    """A member is a function of (seed, member): alone, in a block, in another call."""
    arch = architecture()
    every = predict(arch, IDS, members=5, seed=2)
    some = predict(arch, IDS, members=range(3, 5), seed=2)
    np.testing.assert_allclose(every.mean_overlap[3:], some.mean_overlap, atol=1e-12)
    assert some.member.values.tolist() == [3, 4]
    assert not np.allclose(predict(arch, IDS, members=5, seed=3).mean_overlap[:, 1], every.mean_overlap[:, 1])


def test_equal_ids_stay_equal_without_positions():
    ds = predict(CASES["equal ids without positions"], IDS, members=3, save_gram=True)
    G = ds.gram.values
    np.testing.assert_array_equal(G[..., 1, :], G[..., 14, :])
    assert (ds.overlap_quantile.values[..., -1] > 1 - 1e-12).all()
    assert np.isfinite(ds.close_exponent[:, 1:]).all()


def test_close_exponent_is_that_of_two_close_tokens():
    """Two vectors 1e-6 apart at the end of the sequence: their distance grows by the sum of the exponents, in law."""
    arch = architecture(mask="bidirectional")
    x = np.random.default_rng(0).normal(size=(N, D))
    x[-1] = x[-2] + 1e-6 * np.random.default_rng(1).normal(size=D)
    ds = predict(arch, x, members=MEMBERS, seed=5)
    grown = []
    for seed in range(MEMBERS):
        pair = run(arch, x, seed)[0][:, -2:]
        pair = pair / np.linalg.norm(pair, axis=-1, keepdims=True)
        distance = np.linalg.norm(pair[:, 1] - pair[:, 0], axis=-1)
        grown.append(np.log(distance[-1] / distance[0]))
    assert ks_2samp(ds.close_exponent.values[:, 1:].sum(1), grown).pvalue > 1e-5


def test_law_of_the_package_as_start():
    arch = Architecture.preset("random-transformer", d=8, depth=2, heads=2)
    ds = predict(arch, fp.initial.von_mises_fisher([0] * 7 + [1], 4.0), n=12, members=2)
    np.testing.assert_allclose(ds.mean_square[:, 0], 1, atol=1e-12)
