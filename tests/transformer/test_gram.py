"""The primitives of the Gram chain against tokens and matrices drawn in R^d."""

from itertools import islice

import numpy as np
import pytest
from scipy.stats import chi2, ks_2samp

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.transformer import gram

MEMBERS = range(4000)


def at(what=150, layer=3, index=0, members=MEMBERS, seed=5):
    return gram.Place(seed, members, what, layer, index)


def tokens(n, d, rank=None, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rank or d)) @ rng.normal(size=(rank or d, d)) / np.sqrt(rank or 1)


@pytest.mark.parametrize(("n", "d", "rank"), [(5, 9, None), (5, 3, None), (6, 9, 2), (1, 2, None)])
def test_a_factor_gives_its_gram_matrix(n, d, rank):
    x = tokens(n, d, rank)
    X = gram.factor(x @ x.T, d)
    assert X.shape == (n, min(n, d))
    assert np.allclose(gram.gram(X), x @ x.T, atol=1e-13 * np.trace(x @ x.T))
    assert np.allclose(gram.gram(gram.compress(x)), x @ x.T, atol=1e-13 * np.trace(x @ x.T))


def test_equal_tokens_get_equal_rows():
    """Clipped roots alone would part them by 1e-8 of their length; distinct tokens stay apart, also in a batch."""
    x = tokens(6, 40)
    x = np.concatenate([x, x[[2, 2, 0]], x[:1] + 1e-5])
    X = gram.factor(np.stack([x @ x.T, np.eye(10)]), 40)[0]
    assert (X[6] == X[2]).all() and (X[7] == X[2]).all() and (X[8] == X[0]).all()
    assert np.linalg.norm(X[9] - X[0]) == pytest.approx(1e-5 * np.sqrt(40), rel=1e-3)


def test_a_factor_keeps_distances_that_a_gram_matrix_loses():
    """Two tokens 1e-11 apart stay so through compression, equal ones stay equal to round-off."""
    x = np.repeat(tokens(3, 30), 2, axis=0)
    x[1, 0] += 1e-11
    X = gram.compress(x)
    assert X.shape == (6, 6)
    assert np.linalg.norm(X[1] - X[0]) == pytest.approx(1e-11, rel=1e-3)
    assert np.linalg.norm(X[3] - X[2]) < 1e-14


def test_normalisation():
    x = tokens(4, 7)
    d = np.sum(x * x, 1) + 0.3
    assert np.allclose(gram.gram(gram.normalised(x, 0.3)), x @ x.T / np.sqrt(np.outer(d, d)), rtol=1e-13)


def test_numbers_belong_to_their_address():
    """The bits of (seed, member, layer, what, index), whatever else is asked for; more only append."""
    all_of_them, one = at(members=range(5)).normals(3, 2), at(members=[3]).normals(3, 2)
    assert (all_of_them[3] == one[0]).all()
    assert (at(members=[3]).normals(9).ravel()[:6] == one.ravel()).all()
    for other in (at(151), at(layer=4), at(index=1), at(seed=6), at(members=[2])):
        assert (other.normals(6)[0] != one.ravel()).all()


def test_columns_have_the_covariance_of_the_tokens():
    """W x_i, W of iid entries: covariance s² per G, exactly; outputs independent. 4.5 standard errors."""
    x, per = tokens(4, 6), 6.0
    drawn = gram.columns(gram.factor(x @ x.T / per, 6), 3, 0.7, at(), per)
    flat = drawn.swapaxes(1, 2).reshape(len(drawn), -1)
    exact = np.kron(np.eye(3), 0.49 * x @ x.T)
    error = np.sqrt((exact**2 + np.outer(np.diag(exact), np.diag(exact))) / len(flat))
    assert (np.abs(flat.T @ flat / len(flat) - exact) <= 4.5 * error).all()


@pytest.mark.parametrize(("degrees", "p"), [(7, 3), (4, 4), (1000, 2)])
def test_bartlett_is_wishart(degrees, p):
    """Mean, and determinant as a product of χ², by Kolmogorov-Smirnov at 1e-4."""
    L = gram.bartlett(degrees, p, at())
    W = gram.gram(L)
    assert np.allclose(np.triu(L[0], 1), 0)
    error = np.sqrt(degrees * (1 + np.eye(p)) / len(W))
    assert (np.abs(W.mean(0) - degrees * np.eye(p)) <= 4.5 * error).all()
    rng = np.random.default_rng(0)
    products = np.prod([chi2.rvs(degrees - i, size=4000, random_state=rng) for i in range(p)], axis=0)
    assert ks_2samp(np.linalg.det(W), products).pvalue > 1e-4


@pytest.mark.parametrize(("n", "d", "p"), [(4, 30, 4), (4, 30, 9), (4, 6, 4), (5, 3, 5), (3, 8, 1), (4, 5, 12)])
def test_the_residual_is_that_of_tokens_and_matrices(n, d, p):
    """X + B Z in R^d, Z drawn with all its d columns, against the drawn Gram matrix: means, and laws of three numbers.

    Bartlett in the first two rows and the fifth, columns in the others; p > n is compressed first. 4.5 standard errors
    for n(n+1)/2 means, Kolmogorov-Smirnov at 1e-4.
    """
    x, B, per = tokens(n, d), 0.6 * tokens(n, p, seed=2), 2.0
    X = gram.factor(x @ x.T / per, d)
    drawn = gram.gram(gram.residual(X, B, d, at(), per))
    rng = np.random.default_rng(3)
    direct = gram.gram((x + B @ rng.normal(size=(4000, p, d))) / np.sqrt(per))
    mean = (x @ x.T + d * B @ B.T) / per
    for samples in (drawn, direct):
        assert (np.abs(samples.mean(0) - mean) <= 4.5 * samples.std(0) / np.sqrt(4000)).all()
    eigenvalues = [np.linalg.eigvalsh(samples)[:, -1] for samples in (drawn, direct)]
    for first, second in (eigenvalues, (drawn[:, 0, 0], direct[:, 0, 0]), (drawn[:, 0, -1], direct[:, 0, -1])):
        assert ks_2samp(first, second).pvalue > 1e-4
    assert gram.residual(X, B, d, at(members=range(2)), per).shape[-1] <= min(n, d)


@pytest.mark.parametrize(
    "law", [tr.Gaussian(0.7, mean=0.3), tr.Product(0.7), tr.Product(0.7, mean=-1.0), tr.Fixed(mean=2.0)]
)
@pytest.mark.parametrize(("r", "d"), [(2, 2), (3, 7)])
def test_key_queries_on_a_subspace(law, r, d):
    """The r×r block of A: mean square, trace and determinant against d×d matrices of the law."""
    drawn = np.broadcast_to(gram.bilinear(law, r, d, at()), (len(MEMBERS), r, r))
    z = np.random.default_rng(2).normal(size=(len(MEMBERS), law.normals(d)))
    direct = law.made_of(z, d)[:, :r, :r]
    for number in (lambda M: (M**2).sum((1, 2)), lambda M: np.trace(M, axis1=1, axis2=2), np.linalg.det):
        assert ks_2samp(number(drawn), number(direct)).pvalue > 1e-4
    if isinstance(law, tr.Product):  # E|A - mean|² = r² d std⁴
        squares = ((drawn - law.mean * np.eye(r)) ** 2).sum((1, 2))
        assert abs(squares.mean() - r * r * d * 0.7**4) <= 4.5 * squares.std() / np.sqrt(len(squares))


def overlaps_of_network(chain, x, members, layers):
    x = np.broadcast_to(x, (members, *x.shape))
    states = chain.batch(x, np.full(chain.n, 1 / chain.n), range(members))
    return gram.gram(next(x for layer, x in states if layer == layers))


def overlaps_of_chain(chain, x, members, layers):
    X = gram.compress(np.broadcast_to(x, (members, *x.shape)))
    weights = np.full(chain.n, 1 / chain.n)
    states = gram.AttentionChain(X, weights, chain.law, chain.d, chain.heads, chain.step, 11, range(members))
    return gram.gram(next(islice(states, layers, None))[1])


@pytest.mark.parametrize(
    ("n", "d", "heads", "key_query", "beta", "mean"),
    [
        (8, 16, 1, "gaussian", 2.0, 0.0),
        (8, 16, 3, "product", 0.3, 0.0),
        (6, 16, 4, "identity", 4.0, 0.0),
        (6, 64, 2, "gaussian", 4.0, 0.0),
        (6, 64, 1, "product", 0.1, 0.0),
        (16, 3, 2, "gaussian", 2.0, 0.0),  # more tokens than dimensions
        (6, 8, 2, tr.Product(0.5, mean=-1.0), 2.0, 0.4),
    ],
)
def test_the_chain_is_the_random_transformer_in_law(n, d, heads, key_query, beta, mean):
    """Four layers of step 0.5: mean, least and one overlap, largest eigenvalue; Kolmogorov-Smirnov at 1e-4 each."""
    members, layers = 300 if d == 64 else 1000, 4
    value = tr.Gaussian(1 / np.sqrt(d), mean=mean)
    chain = tr.RandomTransformer(n, d, heads, layers, 0.5, beta, value, key_query, seed=9)
    x = fp.initial.samples(fp.initial.von_mises_fisher(np.eye(d)[0], 1.0), n, seed=3).x
    network, predicted = (overlaps(chain, x, members, layers) for overlaps in (overlaps_of_network, overlaps_of_chain))
    pairs = np.triu_indices(n, 1)
    for C in (network, predicted):
        assert np.allclose(np.diagonal(C, axis1=1, axis2=2), 1, atol=1e-12)
    for number in (
        lambda C: C[:, *pairs].mean(1),
        lambda C: C[:, *pairs].min(1),
        lambda C: C[:, 0, 1],
        lambda C: np.linalg.eigvalsh(C)[:, -1],
    ):
        assert ks_2samp(number(network), number(predicted)).pvalue > 1e-4


def test_members_and_weights_of_the_chain():
    """A member is the same alone; a token without weight moves no other; fixed weights are the network to round-off."""
    x = fp.initial.samples(fp.initial.uniform(5), 6, seed=3).x
    law, weights = tr.HeadLaw(2.0, key_query="gaussian"), np.array([0.2] * 5 + [0.0])
    both = gram.AttentionChain(gram.compress(np.stack([x, x])), weights, law, 5, 2, 0.5, 3, range(4, 6))
    alone = gram.AttentionChain(gram.compress(x[None]), weights, law, 5, 2, 0.5, 3, range(5, 6))
    both, alone = (next(islice(states, 3, None))[1] for states in (both, alone))
    assert np.allclose(both[1], alone[0], atol=1e-13)
    other = x.copy()
    other[-1] = -x[0]
    moved = gram.AttentionChain(other[None], weights, law, 5, 2, 0.5, 3, range(5, 6))
    start = gram.AttentionChain(x[None], weights, law, 5, 2, 0.5, 3, range(5, 6))
    first, second = (gram.gram(next(islice(states, 1, None))[1])[0] for states in (moved, start))
    assert np.allclose(first[:5, :5], second[:5, :5], atol=1e-13) and not np.allclose(first[5], second[5])
    fixed = tr.RandomTransformer(6, 5, 2, 3, 0.5, 2.0, value=-0.7, key_query=1.5)
    network, predicted = (overlaps(fixed, x, 1, 3) for overlaps in (overlaps_of_network, overlaps_of_chain))
    assert np.allclose(network, predicted, atol=1e-13)


def test_which_laws_are_chains():
    for key_query in ("identity", "gaussian", "product", 2.0, tr.Gaussian(1.0, mean=0.5)):
        assert gram.is_chain(tr.HeadLaw(1.0, key_query=key_query), 3)
    assert gram.is_chain(tr.HeadLaw(1.0, value=1.0), 3)
    for key_query in ("uniform", np.diag([1.0, 2, 3]), tr.Gaussian(1.0, mean=np.ones((3, 3))), sampler):
        assert not gram.is_chain(tr.HeadLaw(1.0, key_query=key_query), 3)
    for value in ("uniform", "product", np.diag([1.0, 2, 3]), sampler):
        assert not gram.is_chain(tr.HeadLaw(1.0, value=value), 3)


def sampler(rng, d):
    return rng.normal(size=(d, d))
