"""Predicted collapse against random transformers themselves, and what is reported of members that do not collapse."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.transformer.collapse import Collapse, mean_overlap

GRID = [  # n, d, heads, depth, step, β, law of A, members
    (16, 64, 1, 30, 0.6, 4.0, "gaussian", 100),  # λ > 0 under the initial law, and yet
    (16, 64, 1, 25, 0.6, 1.0, "gaussian", 100),
    (32, 16, 1, 34, 0.6, 1.0, "gaussian", 220),
    (16, 16, 1, 30, 0.6, 0.2, "product", 280),
    (16, 32, 1, 30, 0.6, 2.0, "gaussian", 160),
    (16, 32, 2, 34, 0.7, 0.1, "product", 160),
    (12, 24, 3, 34, 0.9, 1.0, "gaussian", 200),
    (16, 16, 4, 40, 1.0, 0.5, "identity", 240),
    (8, 8, 4, 50, 1.0, 0.5, "identity", 400),
    (16, 64, 1, 10, 0.6, 8.0, "gaussian", 48),  # mitigated at this depth, as are the next two
    (16, 32, 1, 8, 0.6, 1.0, "product", 48),
    (16, 3, 4, 12, 0.5, 2.0, "identity", 96),  # λ < 0 under the initial law, and yet
]

SCATTERED = [  # medians of so few members say little where single ones differ so much
    (8, 8, 1, 40, 0.6, 2.0, "gaussian", 200),
    (8, 8, 2, 50, 0.8, 4.0, "product", 200),
    (6, 4, 2, 50, 0.8, 1.0, "product", 200),
    (12, 3, 1, 50, 0.7, 2.0, "gaussian", 200),
]


def passages(n, d, heads, depth, step, beta, key_query, members):
    """First layers at which the mean overlap of distinct tokens of random transformers passes 0.9."""
    chain = tr.RandomTransformer(n, d, heads, depth, step, beta, key_query=key_query, seed=77)
    ds = chain.run_members(fp.initial.uniform(d), members, save_every=1)
    over = (n * ds.overlap.values - 1) / (n - 1) > 0.9
    return np.where(over.any(1), over.argmax(1), np.inf)


def named(case):
    return f"n{case[0]}-d{case[1]}-beta{case[5]:g}-{case[6]}"


@pytest.mark.parametrize("case", GRID, ids=named)
def test_predicted_layers_are_those_of_random_transformers(case):
    """Medians within 10 % or one layer, 2.5 to 5 standard errors of their difference; verdicts alike."""
    n, d, heads, depth, step, beta, key_query, members = case
    law = tr.HeadLaw(beta, key_query=key_query)
    known = fp.scaling(n, d, heads, depth, step, law, members=members, mc_samples=2)
    first = passages(*case)
    measured, share = np.quantile(first, 0.5, method="inverted_cdf"), np.isfinite(first).mean()
    assert known.collapse.route == "chain" and known.collapse.members == members
    assert known.mitigated is bool(share < 0.05)
    if share > 0.5:
        assert abs(known.collapse_layers - measured) <= max(1, 0.1 * measured)
        assert known.collapse_time == pytest.approx(known.collapse_layers * step**2 / heads)
    else:
        assert known.mitigated and known.collapse_layers == np.inf
    assert known.uncollapsed == round(members * (1 - known.collapse_probability))


@pytest.mark.parametrize("case", SCATTERED, ids=named)
def test_scattered_passages_have_the_law_of_random_transformers(case):
    """Kolmogorov-Smirnov at 1e-4 for the layers, those without collapse after all others."""
    n, d, heads, depth, step, beta, key_query, members = case
    known = fp.scaling(n, d, heads, depth, step, tr.HeadLaw(beta, key_query=key_query), members=members, mc_samples=2)
    predicted, measured = (np.minimum(first, depth + 1) for first in (known.collapse.first_layers, passages(*case)))
    assert ks_2samp(predicted, measured).pvalue > 1e-4
    assert known.collapse_probability > 0.5 and not known.mitigated


def test_the_verdict_is_not_the_local_exponent():
    """d = 64, n = 32, Gaussian A: at η²L/H = 9 tokens have collapsed for both signs of λ; at 2 they have not."""
    for beta, sign in ((4.0, 1), (0.5, -1)):
        law = tr.HeadLaw(beta, key_query="gaussian")
        late = fp.scaling(32, 64, 1, 40, 0.5, law, members=20, mc_samples=200)
        early = fp.scaling(32, 64, 1, 8, 0.5, law, members=20, mc_samples=200)
        assert np.sign(late.local_exponent) == np.sign(early.local_exponent) == sign
        assert not late.mitigated and early.mitigated
        assert late.collapse_time == pytest.approx(late.collapse_layers * 0.25)


KNOWN = [(64, 4.0, 7.0, 0.8), (64, 1.0, 5.9, 0.4), (16, 1.0, 8.7, 0.9)]


@pytest.mark.parametrize(("d", "beta", "time", "allowed"), KNOWN)
def test_known_times(d, beta, time, allowed):
    """n = 32, η = 0.25: where the overlap averaged over members passes 0.9, in η²L/H; a layer is 0.06.

    Measured with random transformers of other steps and seeds. ``allowed``: about 4 standard errors, and a drift of up
    to 0.5 with η.
    """
    members = 24 if d == 64 else 100
    known = fp.scaling(32, d, 1, 176, 0.25, tr.HeadLaw(beta, key_query="gaussian"), members=members, mc_samples=2)
    mean = known.collapse.overlaps.mean(0)
    assert np.argmax(mean > 0.9) / 16 == pytest.approx(time, abs=allowed)


@pytest.mark.parametrize(("value", "key_query"), [("uniform", "gaussian"), ("gaussian", "uniform"), ("product", 1.0)])
def test_other_laws_run_the_transformer_itself(value, key_query):
    """To round-off the members of run_members with the same seed, tokens of a law included."""
    start = fp.initial.von_mises_fisher([0, 0, 1], 1.0)
    chain = tr.RandomTransformer(5, 3, 2, 6, 0.5, 2.0, value, key_query, seed=3)
    known = chain.scaling(start, members=7, mc_samples=2)
    ds = chain.run_members(start, 7, save_every=1)
    assert known.collapse.route == "layers"
    assert np.allclose(known.collapse.overlaps, (5 * ds.overlap - 1) / 4, atol=1e-12)


def test_both_routes_begin_at_the_data():
    x = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 3.0), 4, seed=1)
    weighted = fp.initial.points(x.x, [0.1, 0.2, 0.3, 0.4])
    C, w = x.x @ x.x.T, np.array([0.1, 0.2, 0.3, 0.4])
    off = 1 - np.eye(4)
    for law in (tr.HeadLaw(1.0), tr.HeadLaw(1.0, key_query="uniform")):
        equal = tr.scaling(4, 3, 1, 2, 0.5, law, x, members=3, mc_samples=2).collapse
        assert np.allclose(equal.overlaps[:, 0], (C * off).sum() / 12)
        assert np.ptp(equal.overlaps[:, -1]) > 0.01
        own = tr.scaling(4, 3, 1, 2, 0.5, law, weighted, members=3, mc_samples=2).collapse
        assert np.allclose(own.overlaps[:, 0], w @ (C * off) @ w / (w @ off @ w))
    drawn = tr.scaling(4, 3, 1, 2, 0.5, tr.HeadLaw(1.0), members=3, mc_samples=2).collapse
    assert np.ptp(drawn.overlaps[:, 0]) > 0.01  # every member has tokens of its own


def test_members_that_do_not_collapse_are_counted():
    """Medians and quartiles of all members; with fewer collapsed than their share they are infinite."""
    overlaps = np.array([[0, 0.95, 1.0], [0, 0.5, 0.95], [0, 0.1, 0.2], [0, 0.91, 0.3], [0, 0.0, 0.0]])
    known = Collapse(0.9, 0.5, overlaps, "chain")
    assert known.first_layers.tolist() == [1, 2, np.inf, 1, np.inf]
    assert known.members == 5 and known.uncollapsed == 2 and known.probability == pytest.approx(0.6)
    assert known.layers == 2 and known.layers_quartiles == (1, np.inf)
    assert known.time == 1 and known.time_quartiles == (0.5, np.inf)
    assert known.overlap_at_depth == pytest.approx(0.3) and known.overlap_quartiles == pytest.approx((0.2, 0.95))
    assert known.probability_interval == pytest.approx((0.14663, 0.94726), abs=1e-5)  # Clopper and Pearson
    assert not known.mitigated
    never = Collapse(0.9, 0.5, np.zeros((20, 4)), "chain")
    assert never.layers == never.time == np.inf and never.mitigated
    assert never.probability_interval == pytest.approx((0.0, 1 - 0.025 ** (1 / 20)))
    assert Collapse(-0.5, 0.5, np.zeros((2, 4)), "chain").layers == 0


def test_collapsed_tokens_and_single_tokens():
    """Equal tokens stay so and have collapsed at layer 0; of one token there is nothing to say."""
    one = fp.initial.points(np.tile([[0.0, 0.6, 0.8]], (4, 1)))
    known = tr.scaling(4, 3, 2, 5, 0.5, tr.HeadLaw(2.0, key_query="product"), one, mc_samples=2)
    assert known.collapse_layers == known.collapse_time == 0 and known.collapse_probability == 1
    assert np.allclose(known.collapse.overlaps, 1, atol=1e-13)
    lonely = fp.initial.points(np.eye(3), [1.0, 0.0, 0.0])
    for n, data in ((1, None), (3, lonely)):
        known = tr.scaling(n, 3, 1, 5, 0.5, tr.HeadLaw(1.0), data, mc_samples=2)
        assert known.collapse is known.mitigated is known.collapse_layers is known.uncollapsed is None
        assert known.overlap_at_depth is known.collapse_time is known.collapse_probability is None
    assert tr.scaling(4, 3, 1, 5, 0.5, tr.HeadLaw(1.0), members=0, mc_samples=2).collapse is None


def test_the_threshold_is_an_argument():
    law = tr.HeadLaw(1.0, key_query="gaussian")
    low, high = (tr.scaling(8, 8, 1, 60, 0.6, law, threshold=q, mc_samples=2) for q in (0.5, 0.99))
    assert (low.collapse.overlaps == high.collapse.overlaps).all()
    assert low.collapse_layers < high.collapse_layers
    assert low.collapse_probability >= high.collapse_probability


def test_mean_overlap_is_that_of_pairs():
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    pairs = [(x[:, i] * x[:, j]).sum(-1) for i in range(5) for j in range(i)]
    assert mean_overlap(x, np.full(5, 0.2)) == pytest.approx(np.mean(pairs, axis=0))
