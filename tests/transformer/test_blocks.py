"""Blocks beside the heads of a chain, attention without denominators: the layer by hand, streams, limits, in law."""

import json

import numpy as np
import pytest

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.models import Sum, SynchronisationByNoise
from fpsolve.noise.activation import dual_activation
from fpsolve.theory import isotropic_overlap, value_noise_overlap

MORE = tr.HeadBlock(tr.HeadLaw(0.7, key_query="gaussian", normalised=False), heads=2, step=0.2)
MLP = tr.MlpBlock(width=5, step=0.3, activation="tanh")


def spread(n, d, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def attended(x, w, values, key_queries, beta, normalised):
    """(1/H) Σ_h V_h m_{A_h}(x_i), loop by loop."""
    rows = []
    for xi in x:
        total = np.zeros_like(xi)
        for V, A in zip(values, key_queries, strict=True):
            p = w * np.exp(beta * (x @ (A @ xi)))
            total += V @ (p @ x) / (p.sum() if normalised else 1.0)
        rows.append(total / len(values))
    return np.array(rows)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("key_query", ["identity", "gaussian"])
def test_layer_is_its_formula(normalised, key_query):
    n, d, w = 6, 4, np.arange(1, 7) / 21
    settings = {"seed": 5, "key_query": key_query, "normalised": normalised, "beside": [MORE, MLP]}
    chain = tr.RandomTransformer(n, d, 3, 3, 0.4, 2.0, **settings)
    states = [cloud.x for _, cloud in chain.layers(fp.initial.points(spread(n, d), w))]
    drawn = zip(chain.weights(), MORE.drawn(1, 5, range(1), 3, d), MLP.drawn(2, 5, range(1), 3, d), strict=True)
    for k, (own, more, mlp) in enumerate(drawn):
        x = states[k]
        V, A = (np.broadcast_to(m, (3, d, d)) for m in own)
        u = 0.4 * attended(x, w, V, A, 2.0, normalised)
        u += 0.2 * attended(x, w, more[0][0], more[1][0], 0.7, False)
        first, second = mlp[0][0], mlp[1][0]
        u += 0.3 / np.sqrt(5) * np.tanh(x @ first.T) @ second
        expected = (x + u) / np.linalg.norm(x + u, axis=1, keepdims=True)
        np.testing.assert_allclose(states[k + 1], expected, atol=1e-14)


def test_members_are_the_chains_run_alone_and_blocks_keep_their_weights():
    settings = {"seed": 5, "normalised": False, "beside": [MORE, MLP]}
    chain = tr.RandomTransformer(6, 4, 3, 8, 0.4, 1.0, member=3, **settings)
    ds = chain.run_members(fp.initial.uniform(4), 3, save_every=4, save_points=True)
    for k in range(3):
        alone = tr.RandomTransformer(6, 4, 3, 8, 0.4, 1.0, member=3 + k, **settings)
        one = alone.run(fp.initial.uniform(4), save_every=4, save_points=True)
        np.testing.assert_allclose(ds.isel(member=k).points, one.points, atol=1e-12)
    config = json.loads(one.attrs["fpsolve_config"])["model"]
    assert config["normalised"] is False and config["beside"][1]["width"] == 5
    (wide, _), (narrow, _) = (next(tr.MlpBlock(k, 0.1).drawn(2, 5, range(3, 4), 1, 4)) for k in (5, 5))
    np.testing.assert_array_equal(wide, narrow)
    other = next(MLP.drawn(1, 5, range(3, 4), 1, 4))[0]
    assert np.abs(other - wide).min() > 1e-6
    plain = tr.RandomTransformer(6, 4, 3, 8, 0.4, 1.0, seed=5)
    assert "beside" not in json.loads(plain.run(fp.initial.uniform(4)).attrs["fpsolve_config"])["model"]


def test_identity_is_the_layer_scheme_of_the_sum():
    """Fixed weights and euler_maruyama on SelfAttention + UnnormalisedSelfAttention are the same map."""
    start = fp.initial.points(spread(7, 3))
    second = tr.HeadBlock(tr.HeadLaw(1.5, value=0.5, normalised=False), heads=1, step=0.2)
    chain = tr.RandomTransformer(7, 3, 1, 10, 0.1, 2.0, value=1.0, beside=[second])
    model = fp.models.SelfAttention(2.0) + fp.models.UnnormalisedSelfAttention(1.5, value=1.0)
    same = fp.solve(model, start, t_end=1.0, dt=0.1, measure="cloud", scheme="euler_maruyama")
    np.testing.assert_allclose(chain.run(start).mean_vector, same.mean_vector, atol=1e-14)
    limit = chain.limit("ballistic")
    source = fp.Cloud(start.x, np.full(7, 1 / 7)).source
    sites = fp.Cloud(start.x, np.full(7, 1 / 7)).sites
    np.testing.assert_allclose(limit.drift_field(source).on(sites), model.drift_field(source).on(sites), atol=1e-14)


def test_limits():
    """Strengths of the terms in the time of the heads; MLPs have no drift; what has no limit is refused by name."""
    chain = tr.RandomTransformer(6, 3, 4, 3, 0.2, 2.0, beside=[MLP, tr.HeadBlock(tr.HeadLaw(1.0), 2, 0.3)])
    heads, mlp, more = chain.limit("diffusive").terms
    assert heads == fp.models.Homogenized(2.0, value_std=1 / np.sqrt(3))
    assert isinstance(mlp, SynchronisationByNoise) and mlp.noise == pytest.approx(0.3 / 0.2 * 2) and mlp.value == 0
    assert more.noise == pytest.approx(0.3 / 0.2 * np.sqrt(4 / 2)) and more.beta == 1.0
    assert len(chain.limit("ballistic").terms) == 2
    assert isinstance(chain.limit("diffusive"), Sum)
    with pytest.raises(InputError, match="regime = 'modified'"):
        chain.limit("modified")
    with pytest.raises(InputError, match="beside"):
        chain.scaling()
    usa = tr.RandomTransformer(6, 3, 4, 3, 0.2, 2.0, value=0.5, normalised=False)
    assert usa.limit("ballistic") == fp.models.UnnormalisedSelfAttention(2.0, value=0.5, key_query=1.0)
    for regime in ("diffusive", "modified"):
        with pytest.raises(InputError, match="normalised"):
            usa.limit(regime)
    with pytest.raises(InputError, match="normalised"):
        usa.scaling()
    with pytest.raises(InputError, match="normalised"):
        tr.RandomTransformer(6, 3, 4, 3, 0.2, 2.0, key_query="gaussian", normalised=False).limit("ballistic")


@pytest.mark.parametrize("width", [1, 4])
def test_a_whole_block_in_law(width):
    """Two tokens, 3,000 chains of 50 layers: E q and E q² of heads and MLP at diffusive time ½, within 4 SE + O(η²)."""
    d, depth, members, q0, strength = 3, 50, 3000, -0.2, 1.2
    step = np.sqrt(0.5 / depth)
    mlp = tr.MlpBlock(width, strength * step, "tanh")
    chain = tr.RandomTransformer(2, d, 1, depth, step, 2.0, value_std=1.0, seed=7, beside=[mlp])
    x = chain.run_members(fp.initial.simplex(2, q0, d), members, save_points=True).points.values[:, -1]
    q = np.einsum("ma,ma->m", x[:, 0], x[:, 1])
    noises = value_noise_overlap(2.0, d, 1.0), isotropic_overlap(dual_activation("tanh"), d, strength)
    for f in (lambda z: z, lambda z: z**2):
        exact = float((noises[0] + noises[1]).expect(f, q0, 0.5))
        assert abs(f(q).mean() - exact) < 4 * f(q).std() / np.sqrt(members) + 0.02
    without = float(noises[0].expect(lambda z: z**2, q0, 0.5))
    assert abs((q**2).mean() - without) > 8 * (q**2).std() / np.sqrt(members)


@pytest.mark.parametrize(("made", "words"), [
    (lambda: tr.RandomTransformer(2, 3, 1, 1, 0.1, 1.0, beside=[1.0]), "beside = .*of the kind Block"),
    (lambda: tr.MlpBlock(0, 0.1), "width"),
    (lambda: tr.MlpBlock(3, -0.1), "step"),
    (lambda: tr.MlpBlock(3, 0.1, "rleu"), "activation"),
    (lambda: tr.HeadBlock(2.0, 1, 0.1), "law"),
    (lambda: tr.HeadLaw(800.0, normalised=False), "beta"),
    (lambda: tr.RandomTransformer(2, 3, 1, 1, 0.1, 1.0, beside=[tr.HeadBlock(tr.HeadLaw(1.0, np.eye(4)), 1, 0.1)]),
     "d = 3"),
])  # fmt: skip
def test_bad_arguments(made, words):
    with pytest.raises(InputError, match=words):
        made()


def test_a_layer_beyond_double_precision_is_told():
    chain = tr.RandomTransformer(3, 3, 1, 4, 0.5, 900.0, key_query="gaussian", normalised=False)
    with pytest.raises(UnresolvedError, match="double precision"):
        chain.run(spread(3, 3))
    with pytest.raises(UnresolvedError, match="double precision"):
        chain.run_members(spread(3, 3), 2)
