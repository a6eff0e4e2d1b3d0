"""Attention of tokens in order: blocks, moments and running sums against all pairs."""

from itertools import product

import numpy as np
import pytest

from fpsolve.attention import in_order
from fpsolve.attention.bessel import moment_degree
from fpsolve.attention.in_order import attention_in_order, attention_in_order_direct
from fpsolve.attention.past import Past, RunningSum, past_of_cells, past_of_cells_direct

PASTS = (Past(0, None, 0), Past(1, None, 1), Past(30, 0.2, 0.5), Past(0, 0.13, 0), Past(2, 0.001, 1))
N = 540  # at least 512, and the moments of β = 5


@pytest.fixture(autouse=True)
def moments_serve_few_tokens(monkeypatch):
    """Where the pairs would be faster, too."""
    monkeypatch.setattr(in_order, "DIRECT_BELOW", 512)


def tokens(d, labels, seed=0, n=N):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    w = rng.uniform(size=n)
    at = {
        "own": (rng.permutation(n) + 1) / n,
        "few": rng.integers(1, 40, n) / 40,
        "crowded": rng.integers(1, 4, n) / 4,
        "mixed": np.where(np.arange(n) < 300, 0.5, (np.arange(n) + 1) / n),
    }[labels]
    return x / np.linalg.norm(x, axis=1)[:, None], w / w.sum(), at


@pytest.mark.parametrize(("labels", "d"), [*product(("own", "few", "crowded", "mixed"), (2, 3)), ("mixed", 5)])
def test_blocks_are_the_sum_over_all_pairs(labels, d):
    """Far below the 1e-9 that is promised."""
    x, w, at = tokens(d, labels)
    for beta in (0.0, 5.0, 8.0):  # moments of so many tokens serve up to 5, pairs beyond
        for past in PASTS:
            for normalised in (True, False):
                fast = attention_in_order(x, w, at, beta, past, normalised)
                slow = attention_in_order_direct(x, w, at, beta, past, normalised)
                assert np.abs(fast - slow).max() < 1e-12 * (1 if normalised else np.exp(beta))


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("past", [Past(0, None, 0), Past(1, 0.3, 0), Past(1, None, 1)])
def test_far_from_a_concentrated_past_pairs_take_over(d, past):
    """Half the tokens near one pole, then half near the other: e^{-2β} of the past is seen, which no moments know."""
    n, beta = 1200, 10.0
    assert moment_degree(beta) ** 2 <= n  # so that moments serve
    rng = np.random.default_rng(3)
    x = 0.02 * rng.normal(size=(n, d))
    x[:, -1] += np.where(np.arange(n) < n // 2, 1.0, -1.0)
    x /= np.linalg.norm(x, axis=1)[:, None]
    at = np.where(np.arange(n) < n // 2, 0.25, 0.5)
    at[n // 2 :] += np.arange(n // 2) / n * 0.02
    w = np.full(n, 1 / n)
    fast = attention_in_order(x, w, at, beta, past, True)
    assert np.abs(fast - attention_in_order_direct(x, w, at, beta, past, True)).max() < 1e-9


def test_moments_alone_would_be_wrong_there(monkeypatch):
    """So the test above can fail."""
    monkeypatch.setattr(in_order, "CANCELLED", 0.0)
    with pytest.raises(AssertionError):
        test_far_from_a_concentrated_past_pairs_take_over(3, Past(0, None, 0))


def test_the_order_in_which_tokens_are_given_does_not_matter():
    x, w, at = tokens(3, "own")
    turn = np.random.default_rng(1).permutation(N)
    one = attention_in_order(x, w, at, 2.0, Past(1, 0.5, 1), True)
    assert np.array_equal(one[turn], attention_in_order(x[turn], w[turn], at[turn], 2.0, Past(1, 0.5, 1), True))


@pytest.mark.parametrize("d", [2, 3])
def test_moments_and_pairs_are_two_routes(d, monkeypatch):
    """So that the tests here compare what they say: both are taken, and differ in bits alone."""
    x, w, at = tokens(d, "own")
    by_moments = attention_in_order(x, w, at, 2.0, Past(1, 0.5, 1), True)
    monkeypatch.setattr(in_order, "DIRECT_BELOW", N + 1)
    by_pairs = attention_in_order(x, w, at, 2.0, Past(1, 0.5, 1), True)
    assert 0 < np.abs(by_moments - by_pairs).max() < 1e-12


def test_bits_do_not_depend_on_later_tokens():
    """Causality to the bit, but for the end of the last block."""
    x, w, at = tokens(3, "own")
    order = np.argsort(at)
    x, w, at = x[order], w[order], at[order]
    whole = attention_in_order(x, w, at, 2.0, Past(1, None, 1), True)[:640]
    assert np.array_equal(whole, attention_in_order(x[:640], w[:640], at[:640], 2.0, Past(1, None, 1), True))


def test_a_window_sees_w_tokens_and_decoders_see_themselves():
    n, w = 50, 7
    x, _, _ = tokens(3, "own", n=n)
    at, weights = np.arange(1, n + 1) / n, np.full(n, 1 / n)
    seen = attention_in_order(x, weights, at, 0.0, Past(0.0, w / n, 1.0), True)
    assert np.abs(seen - [x[max(0, j - w + 1) : j + 1].mean(axis=0) for j in range(n)]).max() < 1e-14


@pytest.mark.parametrize("window", [None, 0.3, 0.31, 0.004, 2.0])
@pytest.mark.parametrize("decay", [0.0, 5.0, 400.0])
def test_running_sums_over_cells_are_their_matrix(window, decay):
    count = 60
    u = np.random.default_rng(0).normal(size=(count, 4))
    positions, past = (np.arange(count) + 0.5) / count, Past(decay, window, 0.5)
    fast, slow = (f(u, positions, 1 / count, past) for f in (past_of_cells, past_of_cells_direct))
    assert np.abs(fast - slow).max() < 1e-13 * np.abs(slow).max()


def test_nothing_is_subtracted():
    """A window that has left a huge summand behind is as accurate as if that had never been there."""
    huge, rest = np.array([1e30]), np.random.default_rng(0).uniform(size=(40, 1))
    running = RunningSum(0.0)
    for k, u in enumerate([huge, *rest]):
        running.add(u, k / 41)
    running.drop_before(1)
    assert running.seen_from(1.0) == pytest.approx(rest.sum(), rel=1e-15)


@pytest.mark.parametrize(("own", "order"), [(0.5, 2.0), (0.0, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("window", [None, 0.25, 0.2])
def test_how_a_cell_sees_itself_sets_the_order(own, order, window):
    """∫ k_λ(σ, σ') f(σ') dσ' over the past, σ > 1/2, against P cells: order 2 with half weight, 1 otherwise."""
    errors = []
    for count in (40, 80, 160, 320):
        positions, past = (np.arange(count) + 0.5) / count, Past(2.0, window, own)
        f = np.stack([np.exp(positions), np.ones(count)], -1)
        top, mass = past_of_cells(f, positions, 1 / count, past).T
        low = np.zeros(count) if window is None else np.maximum(positions - window, 0)
        exact = 2 / 3 * (np.exp(positions) - np.exp(3 * low - 2 * positions)) / -np.expm1(-2 * (positions - low))
        last = slice(count // 2, None)
        errors.append(np.abs(top[last] / mass[last] - exact[last]).max())
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx(order, abs=0.2)
