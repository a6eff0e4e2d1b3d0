"""The chain against its limits: diffusive in law, ballistic and modified ballistic along the path."""

import numpy as np
import pytest

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.errors import InputError
from fpsolve.models.ballistic import Ballistic, ModifiedBallistic, Moving
from fpsolve.theory import value_noise_overlap

BETA, OVERLAP, DIFFUSIVE_TIME = 1.0, -0.3, 1.0


def overlaps(depth, heads, members):
    """Samples of the final overlap of two tokens, A = I and V of unit deviation, less a martingale.

    With the exact u(q,t) the sum of u'(q_l) times the part of q_{l+1} - q_l linear in V has mean zero; taking it away
    leaves a third to two thirds of the standard error.
    """
    step = np.sqrt(DIFFUSIVE_TIME * heads / depth)
    chain = tr.RandomTransformer(2, 3, heads, depth, step, BETA, value_std=1.0, seed=7)
    start, numbers = fp.initial.simplex(2, OVERLAP, 3), range(members)
    batch = chain.batch(np.broadcast_to(start.x, (members, 2, 3)), start.weights, numbers)
    weights, martingale = chain.member_weights(numbers), np.zeros(members)
    for layer, x in batch:
        q = np.einsum("ma,ma->m", x[:, 0], x[:, 1])
        if layer == depth:
            return q - martingale
        V, A = next(weights)
        update = step * np.einsum("mab,mnb->mna", V.mean(1), batch.attention(x, A)[:, 0])
        slope = exact().backward(lambda q: q, DIFFUSIVE_TIME * (1 - layer / depth)).deriv()(q)
        for i, j in ((0, 1), (1, 0)):
            martingale += slope * np.einsum("ma,ma->m", x[:, j] - q[:, None] * x[:, i], update[:, i])


def exact():
    return value_noise_overlap(BETA, 3, 1.0)


def test_overlap_of_two_tokens_tends_to_the_diffusive_limit():
    """Weak error of E⟨x1,x2⟩ at η²L/H = 1, H = 1, L = 4, 8, 16: it falls, and order one extrapolates it away.

    It falls by 5 standard errors or more each time (false alarm 1e-6); extrapolated it may be 4.5 of them (7e-6).
    """
    limit = exact().expect(lambda q: q, OVERLAP, DIFFUSIVE_TIME)
    samples = [overlaps(depth, 1, 14_000) - limit for depth in (4, 8, 16)]
    errors = np.array([s.mean() for s in samples])
    deviations = np.array([s.std() / np.sqrt(len(s)) for s in samples])
    assert errors[0] > errors[1] > errors[2] > 0
    assert errors[0] > 12 * deviations[0]  # there is an error to be seen
    extrapolated = 2 * errors[2] - errors[1]
    assert abs(extrapolated) <= 4.5 * np.hypot(2 * deviations[2], deviations[1])
    assert errors[2] < errors[0] / 2


def test_only_diffusive_time_counts_when_heads_change():
    """H = 4 with η doubled, L = 16: the limit within the bias of L = 16, below 0.03, and 4.5 standard errors (7e-6)."""
    sample = overlaps(16, 4, 3000) - exact().expect(lambda q: q, OVERLAP, DIFFUSIVE_TIME)
    assert abs(sample.mean()) <= 0.03 + 4.5 * sample.std() / np.sqrt(len(sample))


def unit(n, d, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def value_matrix(d):
    """A mean value matrix without symmetry."""
    return np.eye(d) + 0.5 * np.random.default_rng(1).normal(size=(d, d))


def moved(model, x, time, rtol=1e-12):
    return fp.Cloud(x, np.full(len(x), 1 / len(x)), rtol=rtol).transport(lambda s: time * model.drift_field(s)).x


def last_layer(chain, x):
    return list(chain.layers(x))[-1][1].x


@pytest.mark.parametrize(("d", "n"), [(2, 4), (3, 6), (7, 5)])
def test_one_layer_is_the_modified_flow_to_third_order(d, n):
    """Error after one layer: O(η³) for the modified drift, O(η²) for the plain one."""
    x, V = unit(n, d), value_matrix(d)
    errors = []
    for step in (0.04, 0.02, 0.01):
        layer = last_layer(tr.RandomTransformer(n, d, 1, 1, step, 2.0, value=V), x)
        models = Ballistic(2.0, V), ModifiedBallistic(2.0, V, step)
        errors.append([np.abs(moved(model, x, step) - layer).max() for model in models])
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders[:, 0], 2, atol=0.15)
    np.testing.assert_allclose(orders[:, 1], 3, atol=0.15)


def test_chain_tends_to_the_ode_and_faster_to_the_modified_one():
    """At ηL = 1 the error is O(η), and O(η²) against the modified model."""
    x, V = unit(8, 3), value_matrix(3)
    errors = []
    for depth in (10, 20, 40):
        chain = tr.RandomTransformer(8, 3, 1, depth, 1 / depth, 2.0, value=V)
        models = chain.limit("ballistic"), chain.limit("modified")
        errors.append([np.abs(moved(model, x, 1.0) - last_layer(chain, x)).max() for model in models])
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders[:, 0], 1, atol=0.2)
    np.testing.assert_allclose(orders[:, 1], 2, atol=0.2)


def test_random_values_with_a_mean_fluctuate_about_the_ode():
    """Random V = V̄ + Gaussian: the distance to the ODE falls as (ηT/H)^{1/2}, so to a quarter from H = 4 to 64.

    The ratio of the root mean squares of 60 members each is right to 20 % at four standard errors.
    """
    x = unit(4, 3)
    ode = moved(Ballistic(2.0, 0.8), x, 1.0)
    law = tr.Gaussian(0.5, mean=0.8)
    chains = (tr.RandomTransformer(4, 3, heads, 100, 0.01, 2.0, value=law) for heads in (4, 64))
    ends = (chain.run_members(x, 60, save_points=True).points.values[:, -1] for chain in chains)
    few, many = (np.sqrt(np.mean((end - ode) ** 2)) for end in ends)
    assert few < 0.1
    assert 3.2 < few / many < 4.8


@pytest.mark.parametrize("beta", [0.0, 1.0, 8.0, 60.0])
def test_rate_of_attention_exact_and_by_difference(beta):
    rng = np.random.default_rng(3)
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), 400, seed=1)
    rate = 0.5 * rng.normal(size=tokens.x.shape)
    rate -= np.einsum("na,na->n", rate, tokens.x)[:, None] * tokens.x
    moving = Moving(tokens.x, tokens.weights, rate, beta)
    exact = moving.exact(tokens.x, rate)
    np.testing.assert_allclose(moving.by_difference(tokens.x, rate), exact, atol=3e-9)
    at_rest = Moving(tokens.x, tokens.weights, 0 * rate, beta)
    assert not at_rest.by_difference(tokens.x, 0 * rate).any()


def test_modified_model_is_the_same_on_every_measure():
    model = ModifiedBallistic(2.0, value_matrix(3), 0.3)
    law = fp.initial.von_mises_fisher([0, 0, 1], 3.0)
    results = [
        fp.solve(model, law, t_end=0.4, dt=0.4, measure=measure, lmax=23, rtol=1e-7).mean_vector.values
        for measure in ("density", "cloud")
    ]
    np.testing.assert_allclose(*results, atol=1e-6)


@pytest.mark.parametrize("key_query", ["gaussian", "product"])
def test_mean_attention_of_random_key_queries(key_query):
    """E_A F(βAx) by quadrature against 20,000 draws of A, at two x: 4.5 standard errors, false alarm 4e-5."""
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 3.0), 30, seed=1)
    source = fp.Cloud(tokens.x, tokens.weights).source
    law = {"gaussian": tr.Gaussian, "product": tr.Product}[key_query](0.7)
    A = next(tr.weights.matrices(law, 1, 0, range(1), 20_000, 1, 3))[0]
    for x in np.eye(3)[:2]:
        drawn = source.F(4.0 * A @ x)
        error = Ballistic(4.0, 1.0, key_query, 0.7).mean_attention(source) - drawn.mean(0)
        assert (np.abs(error) <= 4.5 * drawn.std(0) / np.sqrt(len(drawn))).all()


def test_random_key_queries_with_a_mean_value_tend_to_their_ode():
    """Gaussian A, fixed V, 400 heads: the distance to the ODE is that of step and fluctuations, below 0.03."""
    x = unit(6, 3) + np.array([1.0, 0, 0])
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    chain = tr.RandomTransformer(6, 3, 400, 20, 0.05, 3.0, value=1.0, key_query="gaussian")
    model = chain.limit("ballistic")
    assert model == Ballistic(3.0, 1.0, "gaussian", 1.0)
    ode = moved(model, x, 1.0, rtol=1e-4)
    assert np.abs(ode - x).max() > 0.4
    assert np.abs(ode - last_layer(chain, x)).max() < 0.03


def test_limits_are_the_models():
    law = tr.HeadLaw(4.0, key_query="product", key_query_std=0.5, value_std=0.3)
    assert tr.limit(law, "diffusive", 3, 0.1) == fp.models.Homogenized(4.0, "product", 0.5, value_std=0.3)
    scaled = tr.HeadLaw(4.0, value=tr.Uniform(0.6), key_query=2.0)
    assert tr.limit(scaled, "diffusive", 3, 0.1) == fp.models.Homogenized(8.0, value_std=0.6 / np.sqrt(3))
    assert tr.limit(tr.HeadLaw(4.0, value=2.0), "modified", 3, 0.1) == ModifiedBallistic(4.0, 2.0, 0.1)


@pytest.mark.parametrize(
    ("law", "regime", "argument"),
    [
        (tr.HeadLaw(1.0), "ballistics", "regime"),
        (tr.HeadLaw(1.0, value=tr.Gaussian(1.0, mean=1.0)), "diffusive", "value"),
        (tr.HeadLaw(1.0, value=lambda rng, d: rng.normal(size=(d, d))), "diffusive", "value"),
        (tr.HeadLaw(1.0, value=tr.Gaussian(1.0, mean=1.0), key_query="uniform"), "diffusive", "value"),
        (tr.HeadLaw(1.0, value=tr.Sampled(lambda rng, d: 1 + rng.normal(size=(d, d)))), "ballistic", "sampler"),
        (tr.HeadLaw(1.0, key_query=np.eye(2)), "ballistic", "mean"),
        ("gaussian", "ballistic", "law"),
    ],
)
def test_limits_that_do_not_exist_are_refused_by_name(law, regime, argument):
    with pytest.raises(InputError) as refused:
        tr.limit(law, regime, 3, 0.1)
    assert refused.value.argument == argument


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: Ballistic(1.0, key_query="uniforms"), "key_query"),
        (lambda: Ballistic(1.0, key_query=tr.Gaussian), "key_query"),
        (lambda: tr.HeadLaw(1.0, key_query=lambda rng: np.eye(3)), "key_query"),
        (lambda: Ballistic(1.0, key_query=tr.Gaussian(1.0), key_query_std=2.0), "key_query_std"),
        (lambda: Ballistic(1.0, np.eye(3), np.eye(2)), "key_query"),
        (lambda: Ballistic(1.0, draws=1), "draws"),
        (lambda: Ballistic(-1.0), "beta"),
        (lambda: Ballistic(1.0, value=[1.0, 2.0]), "value"),
        (lambda: ModifiedBallistic(1.0, step=-0.1), "step"),
        (lambda: ModifiedBallistic(1.0, value=np.ones((2, 3))), "value"),
    ],
)
def test_bad_models_are_refused_by_name(make, argument):
    with pytest.raises(InputError) as refused:
        make()
    assert refused.value.argument == argument
