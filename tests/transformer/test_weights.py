"""Weights are a pure function of (seed, member, layer, head), with the moments of their laws."""

import numpy as np
import pytest

import fpsolve.transformer as tr
from fpsolve.errors import InputError
from fpsolve.transformer.weights import BLOCK_WORDS, VALUE, matrices

LAWS = {
    "gaussian": tr.Gaussian(0.5, mean=0.2),
    "product": tr.Product(0.5, mean=[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]),
    "uniform": tr.Uniform(0.5),
    "sampled": tr.Sampled(lambda rng, d: rng.uniform(-(0.75**0.5), 0.75**0.5, (d, d)), std=0.5, mean=-1.0),
}


def drawn(law, heads=2, depth=3, seed=1, members=range(2), d=3):
    """(depth, members, heads, d, d)."""
    return np.stack(list(matrices(law, VALUE, seed, members, heads, depth, d)))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_more_heads_layers_or_members_only_append(law):
    deep = BLOCK_WORDS // 9 + 7  # into the second block of layers
    long = drawn(law, heads=3, depth=deep, members=range(3))
    np.testing.assert_array_equal(long[:5, :2, :2], drawn(law, depth=5))
    np.testing.assert_array_equal(long[:, 2:, :1], drawn(law, heads=1, depth=deep, members=range(2, 3)))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_all_addresses_differ(law):
    values = drawn(law, heads=3, depth=200).reshape(-1, 9)
    assert len(np.unique(values, axis=0)) == len(values)
    assert not np.array_equal(values, drawn(law, heads=3, depth=200, seed=2).reshape(-1, 9))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_mean_and_deviation(law):
    """4.5 standard errors for each of 9 means, 9 variances and 36 covariances: false alarm below 4e-4 a law."""
    count, d = 20_000, 3
    sample = drawn(law, heads=1, depth=count, members=range(1)).reshape(count, -1)
    centred = sample - law.mean_matrix(d).ravel()
    products = np.einsum("sa,sb->sab", centred, centred)
    bound = 4.5 / np.sqrt(count)
    assert (np.abs(centred.mean(0)) <= bound * law.entry_std(d)).all()
    wrong = np.abs(products.mean(0) - law.entry_std(d) ** 2 * np.eye(9))
    assert (wrong <= bound * products.std(0) + 1e-12).all()


def test_laws_of_value_and_key_query_are_independent_streams():
    chain = tr.RandomTransformer(2, 3, 1, 1, 0.1, 1.0, value=tr.Gaussian(1.0), key_query=tr.Gaussian(1.0))
    ((value, key_query),) = chain.weights()
    assert not np.isclose(value, key_query).any()


def test_another_law_of_one_matrix_leaves_the_other():
    first = tr.RandomTransformer(2, 3, 2, 3, 0.1, 1.0, key_query="gaussian")
    second = tr.RandomTransformer(2, 3, 2, 3, 0.1, 1.0, key_query="product")
    for (value, _), (same, _) in zip(first.weights(), second.weights(), strict=True):
        np.testing.assert_array_equal(value, same)


def test_named_laws_have_their_deviations():
    for name in ("gaussian", "product", "uniform"):
        assert tr.HeadLaw(1.0, name).value_law(16).entry_std(16) == pytest.approx(1 / 4)
    assert tr.HeadLaw(1.0, key_query="gaussian").key_query_law().std == 1.0
    assert tr.HeadLaw(1.0, value_std=0.3).value_law(5).std == 0.3


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: tr.Gaussian(-1.0), "std"),
        (lambda: tr.Uniform(np.nan), "bound"),
        (lambda: tr.Gaussian(1.0, mean=[[1.0, 2.0]]), "mean"),
        (lambda: tr.Sampled(3), "sampler"),
        (lambda: tr.HeadLaw(-1.0), "beta"),
        (lambda: tr.HeadLaw(1.0, "gausian"), "value"),
        (lambda: tr.HeadLaw(1.0, key_query=[[1.0, 2.0]]), "key_query"),
        (lambda: tr.HeadLaw(1.0, value=tr.Gaussian(1.0), value_std=1.0), "value_std"),
        (lambda: tr.HeadLaw(1.0, key_query_std=1.0), "key_query_std"),
        (lambda: tr.Gaussian(1.0, mean=np.eye(4)).mean_matrix(3), "mean"),
        (lambda: drawn(tr.Sampled(lambda rng, d: np.ones(d))), "sampler"),
    ],
)
def test_bad_input_is_refused_by_name(make, argument):
    with pytest.raises(InputError) as refused:
        make()
    assert refused.value.argument == argument
