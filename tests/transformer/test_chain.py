"""The layer map against its formula, the routes of attention against each other, and the Dataset of a run."""

import json

import numpy as np
import pytest

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.errors import InputError

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)


def layer_by_hand(x, w, values, key_queries, step, beta):
    """x_i ← N(x_i + (η/H) Σ_h V_h m_{A_h}(x_i)), loop by loop."""
    moved = []
    for xi in x:
        total = np.zeros_like(xi)
        for V, A in zip(values, key_queries, strict=True):
            p = w * np.exp(beta * (x @ (A @ xi)))
            total += V @ (p @ x) / p.sum()
        new = xi + step / len(values) * total
        moved.append(new / np.linalg.norm(new))
    return np.array(moved)


def spread(n, d, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


HEADS = {
    "value noise": {},
    "gaussian": {"key_query": "gaussian", "value": tr.Gaussian(0.3, mean=0.5)},
    "product": {"key_query": "product", "value": "uniform"},
    "fixed value": {"key_query": "gaussian", "value": 1.5},
    "fixed": {"key_query": np.diag([1.0, -2.0, 0.5, 1.0]), "value": -1.0},
    "sampled": {"key_query": lambda rng, d: np.linalg.qr(rng.normal(size=(d, d)))[0]},
}


@pytest.mark.parametrize("options", HEADS.values(), ids=HEADS)
def test_layer_is_its_formula(options):
    n, d, heads = 6, 4, 3
    weights = np.arange(1, n + 1) / 21
    chain = tr.RandomTransformer(n, d, heads, 3, 0.4, 2.0, seed=5, **options)
    states = [cloud.x for _, cloud in chain.layers(fp.initial.points(spread(n, d), weights))]
    for k, (V, A) in enumerate(chain.weights()):
        V, A = (np.broadcast_to(m, (heads, d, d)) for m in (V, A))
        expected = layer_by_hand(states[k], weights, V, A, 0.4, 2.0)
        np.testing.assert_allclose(states[k + 1], expected, atol=1e-14)


@pytest.mark.parametrize("options", HEADS.values(), ids=HEADS)
def test_members_are_the_chains_run_alone(options):
    chain = tr.RandomTransformer(6, 4, 3, 8, 0.4, 2.0, seed=5, member=3, **options)
    ds = chain.run_members(fp.initial.uniform(4), 3, save_every=4, save_points=True)
    for k in range(3):
        alone = tr.RandomTransformer(6, 4, 3, 8, 0.4, 2.0, seed=5, member=3 + k, **options)
        one = alone.run(fp.initial.uniform(4), save_every=4, save_points=True)
        mine = ds.isel(member=k)
        for name in ("points", "mean_vector", "overlap", "energy"):
            np.testing.assert_allclose(mine[name], one[name], atol=1e-12)
    assert ds.member.values.tolist() == [3, 4, 5]


def test_blocks_of_members_do_not_matter(monkeypatch):
    chain = tr.RandomTransformer(2, 3, 1, 4, 0.4, 2.0)
    whole = chain.run_members(spread(2, 3), 7)
    monkeypatch.setattr("fpsolve.transformer.members.BLOCK", 2 * 1024)
    np.testing.assert_array_equal(chain.run_members(spread(2, 3), 7).overlap, whole.overlap)


def test_groups_of_heads_do_not_matter(monkeypatch):
    chain = tr.RandomTransformer(5, 3, 6, 4, 0.4, 2.0, key_query="gaussian")
    whole = chain.run(spread(5, 3), save_points=True)
    monkeypatch.setattr("fpsolve.transformer.blocks.GROUP", 10)
    np.testing.assert_allclose(chain.run(spread(5, 3), save_points=True).points, whole.points, atol=1e-13)


def test_orthogonal_key_queries_go_by_moments_and_agree_with_the_sums(monkeypatch):
    """300 tokens on S²: harmonic moments to 1e-8, against the compiled pairwise sums."""
    chain = tr.RandomTransformer(300, 3, 3, 3, 0.5, 4.0, key_query=HEADS["sampled"]["key_query"])
    fast = chain.run(LAW, save_points=True)
    monkeypatch.setattr("fpsolve.measures.cloud.DIRECT_BELOW", 1000)
    np.testing.assert_allclose(fast.points, chain.run(LAW, save_points=True).points, atol=1e-8)


def test_identity_is_the_layer_scheme_of_the_models():
    """Fixed weights and euler_maruyama on SelfAttention are the same map."""
    start = fp.initial.points(spread(7, 3))
    ds = tr.RandomTransformer(7, 3, 1, 10, 0.1, 2.0, value=1.0).run(start)
    same = fp.solve(
        fp.models.SelfAttention(2.0), start, t_end=1.0, dt=0.1, measure="cloud", scheme="euler_maruyama"
    )
    np.testing.assert_allclose(ds.mean_vector, same.mean_vector, atol=1e-14)


def test_run_is_reproducible_and_deeper_runs_continue():
    short = tr.RandomTransformer(20, 3, 2, 6, 0.2, 1.0, key_query="product", seed=9, member=4)
    deep = tr.RandomTransformer(20, 3, 2, 12, 0.2, 1.0, key_query="product", seed=9, member=4)
    first, again, longer = (chain.run(LAW, save_points=True) for chain in (short, short, deep))
    np.testing.assert_array_equal(first.points, again.points)
    np.testing.assert_array_equal(first.points, longer.points.isel(layer=slice(7)))
    other = tr.RandomTransformer(20, 3, 2, 6, 0.2, 1.0, key_query="product", seed=9, member=5)
    assert not np.allclose(first.points, other.run(LAW, save_points=True).points)


def test_dataset_has_both_times_and_is_saved(tmp_path):
    chain = tr.RandomTransformer(150, 3, 4, 10, 0.2, 2.0)
    ds = chain.run(LAW, save_every=5)
    assert ds.layer.values.tolist() == [0, 5, 10]
    np.testing.assert_allclose(ds.time, [0, 1, 2])
    np.testing.assert_allclose(ds.diffusive_time, [0, 0.05, 0.1])
    assert set(ds.data_vars) == {"clusters", "mean_vector", "overlap", "energy", "log_energy", "mass", "moments"}
    assert json.loads(ds.attrs["fpsolve_config"])["model"]["heads"] == 4
    np.testing.assert_allclose(ds.overlap, (ds.mean_vector**2).sum("component"))
    for name, result in (("one.nc", ds), ("many.nc", chain.run_members(LAW, 2))):
        fp.save(result, tmp_path / name)
        assert fp.load(tmp_path / name).identical(result)


def test_tokens_stay_on_the_sphere_for_huge_steps_and_temperatures():
    chain = tr.RandomTransformer(40, 5, 3, 20, 50.0, 800.0, key_query="product")
    for _, cloud in chain.layers(fp.initial.uniform(5)):
        np.testing.assert_allclose(np.linalg.norm(cloud.x, axis=1), 1, atol=1e-14)


GOOD = {"n": 2, "d": 3, "heads": 1, "depth": 4, "step": 0.1, "beta": 1.0}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("n", 0), ("d", 1), ("d", 3.0), ("heads", True), ("depth", -2), ("step", 0.0), ("step", np.inf), ("beta", -1),
        ("seed", -1), ("member", 0.5), ("value", "normal"), ("key_query", np.ones(3)), ("value_std", -1.0),
    ],
)  # fmt: skip
def test_bad_transformers_are_refused_by_name(argument, value):
    with pytest.raises(InputError) as refused:
        tr.RandomTransformer(**{**GOOD, argument: value})
    assert refused.value.argument == argument


def test_matrices_of_another_dimension_are_refused():
    for options in ({"value": np.eye(4)}, {"key_query": np.eye(2)}, {"value": tr.Gaussian(1.0, mean=np.eye(5))}):
        with pytest.raises(InputError, match="d = 3"):
            tr.RandomTransformer(**GOOD, **options)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda c: c.run(spread(3, 3)), "initial"),
        (lambda c: c.run(fp.initial.uniform(4)), "initial"),
        (lambda c: next(c.layers("uniform")), "initial"),
        (lambda c: c.run(spread(2, 3), save_every=3), "save_every"),
        (lambda c: c.run_members(spread(2, 3), 0), "members"),
        (lambda c: c.run_members(np.stack([spread(2, 3)] * 3), 2), "initial"),
    ],
)
def test_bad_runs_are_refused_by_name(call, argument):
    with pytest.raises(InputError) as refused:
        call(tr.RandomTransformer(**GOOD))
    assert refused.value.argument == argument
