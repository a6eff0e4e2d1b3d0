"""Regimes, and the kernel's numbers against quadrature, other routes and measured contraction."""

import numpy as np
import pytest

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.errors import InputError

LAW = tr.HeadLaw(2.0, key_query="gaussian")


def tokens(n, d, kappa=2.0):
    return fp.initial.samples(fp.initial.von_mises_fisher(np.eye(d)[-1], kappa), n, seed=4)


@pytest.mark.parametrize(
    ("heads", "depth", "step", "regime"),
    [
        (1, 100, 0.1, "diffusive"),
        (100, 1000, 0.1, "diffusive"),
        (1, 5, 1.0, "discrete"),  # one layer's noise is not small
        (1000, 100, 0.01, "ballistic"),
        (100, 100, 0.05, "modified"),
        (1000, 50, 0.2, "discrete"),  # η³L = 0.4
    ],
)
def test_regimes(heads, depth, step, regime):
    scaling = tr.scaling(4, 5, heads, depth, step, LAW, mc_samples=10, members=0)
    assert scaling.regime == regime
    assert scaling.ballistic_time == pytest.approx(step * depth)
    assert scaling.ode_term == pytest.approx(step**2 * depth)
    assert scaling.modified_term == pytest.approx(step**3 * depth)
    assert scaling.diffusive_time == pytest.approx(step**2 * depth / heads)


@pytest.mark.parametrize("key_query", ["gaussian", "product"])
def test_kernel_in_three_dimensions(key_query):
    """κ is the model's; k'(1) by sampling agrees with the model's series at β = 1 (4.5 standard errors)."""
    data, model = tokens(12, 3), fp.models.Homogenized(1.0, key_query)
    scaling = tr.scaling(12, 3, 4, 100, 0.1, model, data, mc_samples=4000, members=0)
    kernel = model.kernel(data)
    assert scaling.kappa == pytest.approx(kernel.kappa, abs=1e-6)
    assert scaling.local_exponent == pytest.approx(-kernel.kappa, abs=1e-6)
    assert scaling.slope == pytest.approx(kernel.derivative(1.0), abs=4.5 * scaling.slope_error + 1e-4)


@pytest.mark.parametrize("name", ["gaussian", "product"])
@pytest.mark.parametrize("d", [2, 3, 6])
def test_routes_agree(name, d):
    """Averages over the direction by formula, and plain draws of A: 4.5 standard errors, false alarm 7e-6 each."""
    data = tokens(10, d)
    law = {"gaussian": tr.Gaussian, "product": tr.Product}[name](0.8)

    def sampler(rng, d):
        W, other = 0.8 * rng.normal(size=(2, d, d))
        return W if name == "gaussian" else W @ other.T

    known = tr.scaling(10, d, 1, 10, 0.1, tr.HeadLaw(2.0, key_query=law), data, mc_samples=4000, members=0)
    drawn = tr.scaling(10, d, 1, 10, 0.1, tr.HeadLaw(2.0, key_query=sampler), data, mc_samples=4000, members=0)
    assert known.isotropic and not drawn.isotropic
    for number in ("kappa", "slope", "local_exponent"):
        error = np.hypot(getattr(known, f"{number}_error"), getattr(drawn, f"{number}_error"))
        assert 0 < error
        assert abs(getattr(known, number) - getattr(drawn, number)) <= 4.5 * error


def test_nothing_attends_at_beta_zero():
    """m = the mean: κ = σ_V²|m̄|², k' = 0, λ = -(d-1)κ/2, in every d and for every law."""
    for d in (2, 3, 9):
        data = tokens(7, d)
        kappa = np.sum(data.x.mean(0) ** 2) / d
        for law in ("identity", "gaussian", "product"):
            scaling = tr.scaling(7, d, 1, 10, 0.1, tr.HeadLaw(0.0, key_query=law), data, mc_samples=5, members=0)
            assert scaling.kappa == pytest.approx(kappa, rel=1e-6)
            assert scaling.slope == pytest.approx(0, abs=1e-12)
            assert scaling.local_exponent == pytest.approx(-(d - 1) * kappa / 2, rel=1e-6)


def test_identity_key_query_is_summed_exactly():
    data = tokens(9, 4)
    scaling = tr.scaling(9, 4, 1, 10, 0.1, tr.HeadLaw(3.0), data, members=0)
    m = fp.Cloud(data.x, data.weights).source.F(3.0 * data.x)
    assert scaling.kappa == pytest.approx(np.mean(np.sum(m * m, 1)) / 4)
    assert scaling.kappa_error == scaling.slope_error == 0


@pytest.mark.parametrize(("beta", "sign"), [(1.0, -1), (16.0, 1)])
def test_exponent_is_the_measured_contraction(beta, sign):
    """E log of the stretching of a tiny distance in one layer of small noise, over η²: λ, in d = 8 of either sign.

    The pair V, -V cancels the term linear in η. Bounds: 4.5 standard errors of both, and O(η²) = 1 %.
    """
    d, n, eta, draws = 8, 12, 0.03, 6000
    data = tokens(n, d, 1.0).x.copy()
    law = tr.HeadLaw(beta, key_query="gaussian")
    rng = np.random.default_rng(5)
    z = rng.normal(size=(draws, d))
    x = data[0]
    e = z - (z @ x)[:, None] * x
    pair = np.stack([np.broadcast_to(x, e.shape), x + 1e-5 * e / np.linalg.norm(e, axis=1, keepdims=True)], 1)
    pair /= np.linalg.norm(pair, axis=-1, keepdims=True)
    V, A = rng.normal(size=(2, draws, d, d)) / np.sqrt([d, 1])[:, None, None, None]
    p = np.exp(beta * np.einsum("sab,skb,na->skn", A, pair, data))
    update = np.einsum("sab,skb->ska", V, (p / p.sum(-1, keepdims=True)) @ data)
    logs = np.zeros(draws)
    for sign_of_v in (1, -1):
        moved = pair + sign_of_v * eta * update
        moved /= np.linalg.norm(moved, axis=-1, keepdims=True)
        after, before = (np.linalg.norm(states[:, 1] - states[:, 0], axis=-1) for states in (moved, pair))
        logs += 0.5 * np.log(after / before)
    measured, error = logs.mean() / eta**2, logs.std() / np.sqrt(draws) / eta**2
    scaling = tr.scaling(n, d, 1, 100, eta, law, data, mc_samples=4000, members=0)
    allowed = 4.5 * np.hypot(error, scaling.local_exponent_error) + 0.01 * abs(measured)
    assert abs(measured - scaling.local_exponent) <= allowed
    assert np.sign(scaling.local_exponent) == sign


def test_uniform_tokens_are_the_default():
    """β = 0, d = 128: E|m̄|² = 1/n, and V of variance 1/d; the mean of 20 seeds is right to 4.5 standard errors."""
    n, d = 6, 128
    chain = tr.RandomTransformer(n, d, 2, 10, 0.1, 0.0)
    squares = d * np.array([chain.scaling(seed=seed, members=0).kappa for seed in range(20)])
    assert abs(squares.mean() - 1 / n) <= 4.5 * squares.std() / np.sqrt(20)


def test_a_mean_value_has_no_kernel_but_a_prediction():
    scaling = tr.scaling(4, 3, 1, 10, 0.1, tr.HeadLaw(1.0, value=tr.Gaussian(1.0, mean=0.5)))
    assert not scaling.centred
    assert scaling.kappa is scaling.slope is scaling.slope_ratio is scaling.local_exponent is None
    assert scaling.collapse.members == 16


@pytest.mark.parametrize(
    ("argument", "options"),
    [
        ("n", {"n": 0}),
        ("d", {"d": 1}),
        ("heads", {"heads": 1.5}),
        ("step", {"step": 0.0}),
        ("law", {"law": "gaussian"}),
        ("data", {"data": np.eye(3)[:2]}),
        ("data", {"data": "uniform"}),
        ("mc_samples", {"mc_samples": 1}),
        ("members", {"members": -1}),
        ("members", {"members": 10**6}),  # beyond the budget
        ("members", {"depth": 10**7}),
        ("budget", {"budget": 0.0}),
        ("threshold", {"threshold": 1.5}),
        ("value", {"law": tr.HeadLaw(1.0, value=lambda rng, d: rng.normal(size=(d, d)))}),
    ],
)
def test_bad_input_is_refused_by_name(argument, options):
    good = {"n": 4, "d": 3, "heads": 1, "depth": 10, "step": 0.1, "law": LAW}
    with pytest.raises(InputError) as refused:
        tr.scaling(**{**good, **options})
    assert refused.value.argument == argument
