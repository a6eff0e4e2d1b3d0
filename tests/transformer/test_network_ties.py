"""The networks' chain against the rest of the package: RandomTransformer, overlap diffusion, drawn heads, closed forms.

Kolmogorov–Smirnov tests at 1e-5, means within 4.5 standard errors, on fixed seeds.
"""

import numpy as np
import pytest
from scipy.stats import ks_2samp

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.transformer import Architecture, RandomTransformer, predict

RAN = "random-transformer"


@pytest.mark.parametrize("key_query", ["identity", "gaussian", "product"])
def test_the_preset_is_the_random_transformer_in_law(key_query):
    """Mean overlap and one overlap after each of 4 large steps, from the same law of tokens."""
    sizes = {"d": 5, "heads": 2, "depth": 4, "step": 0.8, "beta": 3.0, "key_query": key_query}
    ours = predict(Architecture.preset(RAN, **sizes), fp.initial.uniform(5), n=4, members=400, save_gram=True)
    chain = RandomTransformer(n=4, seed=7, **sizes)
    x = chain.run_members(fp.initial.uniform(5), 400, save_every=1, save_points=True).points.values
    theirs = np.einsum("mlia,mlja->mlij", x, x)
    np.testing.assert_allclose(ours.mean_square, 1, atol=1e-12)
    for layer in (1, 4):
        for pair in ((0, 1), (2, 3)):
            assert ks_2samp(ours.gram.values[:, layer, *pair], theirs[:, layer, *pair]).pvalue > 1e-5
        means = (theirs[:, layer].sum((1, 2)) - 4) / 12
        assert ks_2samp(ours.mean_overlap.values[:, layer], means).pvalue > 1e-5


def test_small_steps_follow_the_overlap_diffusion():
    """Two tokens, value noise: mean and mean square of the overlap at diffusive time 0.5 against fp.theory."""
    q0, d, beta, depth = -0.3, 4, 1.0, 40
    arch = Architecture.preset(
        RAN, d=d, heads=1, depth=depth, step=np.sqrt(0.5 / depth), beta=beta, key_query="identity"
    )
    G = np.array([[1, q0], [q0, 1]])
    q = predict(arch, G, members=1500, save_gram=True).gram.values[:, -1, 0, 1]
    exact = fp.theory.value_noise_overlap(beta, d)
    for moment, values in ((1, q), (2, 1.5 * q * q - 0.5)):  # Legendre polynomials; 0.01 for the steps
        error = abs(values.mean() - float(exact.legendre_moment(moment, q0, 0.5)))
        assert error < 4.5 * values.std() / np.sqrt(len(values)) + 0.01


def test_small_steps_follow_drawn_heads():
    """Gaussian A, four tokens in d = 3: the mean overlap at diffusive time 0.4 against DrawnHeads by Euler–Maruyama."""
    start = fp.initial.points([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-0.6, 0.8, 0]])
    arch = Architecture.preset(RAN, d=3, heads=8, depth=40, step=np.sqrt(0.4 * 8 / 40), beta=2.0, key_query="gaussian")
    ours = predict(arch, start.x @ start.x.T, members=400).mean_overlap.values[:, -1]
    drawn = RandomTransformer(4, 3, 8, 40, np.sqrt(0.4 * 8 / 40), 2.0, key_query="gaussian").limit("diffusive")
    theirs = []
    for member in range(50):
        ds = fp.solve(
            drawn, start, t_end=0.4, dt=0.04, measure="cloud", scheme="euler_maruyama", seed=1, member=member,
        )  # fmt: skip
        theirs.append((16 * float(ds.overlap[-1]) - 4) / 12)
    error = np.hypot(np.std(ours) / np.sqrt(400), np.std(theirs) / np.sqrt(50))
    assert abs(np.mean(ours) - np.mean(theirs)) < 4.5 * error


def even(place, depth=100, s=0.02):
    """Attention alone with even weights: Σ = s·(mean of C)·11ᵀ."""
    arch = Architecture.preset("torch-encoder", depth=depth, d=4096, heads=64).changed(mlp=None)
    value = (s / 4096**2) ** 0.25  # s_O² s_V² d·d_h·H = s
    changes = {"attention.scale": 0.0, "norm.place": place, "norm.kind": "rms", "norm.eps": 0.0}
    return arch.changed(**changes, **{f"attention.{name}": value for name in ("query", "key", "value", "output")})


@pytest.mark.parametrize("place", ["pre", "post"])
def test_pre_norm_is_post_norm_in_its_own_time(place):
    """y = (1+(n-1)q)/(n(1-q)) grows as e^{sτ}, dτ = dt/r²: τ is the time of layers in post-norm, shorter in pre-norm.

    Even attention makes the wide limit's equation logistic, q̇ = s(1-q)(1+(n-1)q)/n per τ; first order in s = 0.02.
    """
    n, s = 8, 0.02
    q0 = 0.2
    ds = predict(even(place, s=s), np.full((n, n), q0) + (1 - q0) * np.eye(n), wide=True)
    q, square = ds.mean_overlap.values[0], ds.mean_square.values[0]
    tau = np.concatenate([[0], np.cumsum(0.5 * (1 / square[1:] + 1 / square[:-1]))])
    y = (1 + (n - 1) * q0) / (n * (1 - q0)) * np.exp(s * tau)
    np.testing.assert_allclose(q, (n * y - 1) / (n * y + n - 1), atol=0.006)
    assert (place == "pre") == (square[-1] > 1.3)
    if place == "pre":  # the time without its change is off
        wrong = (1 + (n - 1) * q0) / (n * (1 - q0)) * np.exp(s * np.arange(len(q)))
        assert np.abs(q - (n * wrong - 1) / (n * wrong + n - 1)).max() > 0.05


def test_noise_level_and_noise_time_of_equal_overlaps():
    """A = I, tokens of equal overlap γ: E|m|² is γ + (1-γ)Σπ², and one layer's time is η²/H of it."""
    n, g, beta = 6, 0.3, 2.0
    arch = Architecture.preset(RAN, d=64, heads=3, depth=1, step=0.6, beta=beta, key_query="identity")
    ds = predict(arch, np.full((n, n), g) + (1 - g) * np.eye(n), members=2)
    p = np.exp(beta * np.where(np.arange(n) == 0, 1, g))
    p /= p.sum()
    level = g + (1 - g) * (p @ p)
    np.testing.assert_allclose(ds.noise_level[:, 1], level, rtol=1e-12)
    np.testing.assert_allclose(ds.noise_time[:, 1], 0.6**2 / 3 * level, rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 1.5, 4.0])
def test_ordered_weights_at_logits_that_grow_like_log_n(gamma):
    """Equal overlaps ρ, β = γ log n: the largest weight is n^γ(1-ρ)/(n^γ(1-ρ) + n - 1), the others share the rest.

    It tends to 0 for γ(1-ρ) < 1 and to 1 above.
    """
    rho, largest = 0.2, []
    for n in (8, 64):
        arch = Architecture.preset(RAN, d=128, heads=1, depth=1, beta=1.0, key_query="identity").changed(
            **{"attention.log_n": gamma}
        )
        for wide in (False, True):
            ds = predict(arch, np.full((n, n), rho) + (1 - rho) * np.eye(n), wide=wide)
            first = n ** (gamma * (1 - rho)) / (n ** (gamma * (1 - rho)) + n - 1)
            expected = [first] + 7 * [(1 - first) / (n - 1)]
            np.testing.assert_allclose(ds.ordered_weights[0, 1], expected, rtol=1e-9)
        largest.append(first)
    assert (largest[1] > largest[0]) == (gamma * (1 - rho) > 1)


def test_attention_sharpens_as_the_random_energy_model_freezes():
    """Orthogonal tokens: scores are iid normals of deviation s, energies of that model, and freeze at s_c = √(2 log n).

    The forward half of the trainability diagrams of :cite:`twofailures2025` rests on it. Entropies and largest weights
    against iid normals (2000 rows, heads of 1024: within 0.02); for n → ∞ the entropy's share is 1 - (s/s_c)² below.
    """
    n, rng = 128, np.random.default_rng(0)
    arch = Architecture.preset("torch-encoder", depth=1, d=4096, heads=4).changed(mlp=None)
    even = {"norm.kind": "rms", "norm.eps": 0.0, "norm.place": "pre"}
    even |= {"attention.query": 1 / 64, "attention.key": 1 / 64}
    shares = []
    for ratio in (0.25, 0.5, 1.0, 2.0, 4.0):
        s = ratio * np.sqrt(2 * np.log(n))
        ds = predict(arch.changed(**even, **{"attention.scale": s / 32}), np.eye(n), wide=True)
        p = np.exp(s * rng.normal(size=(2000, n)))
        p /= p.sum(1, keepdims=True)
        shares.append(float(ds.attention_entropy[0, 1]) / np.log(n))
        assert shares[-1] == pytest.approx(-(p * np.log(np.maximum(p, 1e-300))).sum(1).mean() / np.log(n), abs=0.02)
        largest = np.sort(p, 1)[:, ::-1][:, :8].mean(0)
        np.testing.assert_allclose(ds.ordered_weights[0, 1], largest, atol=0.02)
    assert shares[0] == pytest.approx(1 - 0.25**2, abs=0.02)
    assert shares[1] > 0.2 > shares[3]  # attention fails on either side of s_c


def test_scaling_of_an_architecture():
    """The preset's own noise is η²/H in every layer; pre-norm's falls as the stream grows; regimes by their sizes."""
    small = fp.scaling(Architecture.preset(RAN, d=8, heads=4, depth=50, step=0.4), 6, members=2)
    np.testing.assert_allclose(small.noise[1:], 0.4**2 / 4, rtol=1e-9)  # the first finds iid vectors of any length
    assert small.diffusive_time == pytest.approx(50 * 0.4**2 / 4, rel=1e-2)
    assert (small.regime, small.rank, small.heads) == ("diffusive", 8, 4)
    assert fp.scaling(Architecture.preset(RAN, d=8, heads=1, depth=5, step=0.8), 6).regime == "discrete"
    assert fp.scaling(Architecture.preset(RAN, d=8, heads=9, depth=2, step=0.1), 6).regime == "ballistic"
    gpt2 = fp.scaling(Architecture.preset("gpt2", depth=6, d=64, heads=4), tokens=8)
    assert gpt2.noise[0] > gpt2.noise[-1] and gpt2.rank == 16
    s = fp.scaling(n=4, d=3, heads=1, depth=4, step=0.1, law=fp.transformer.HeadLaw(1.0), members=0)
    assert s.diffusive_time == pytest.approx(0.04)
    with pytest.raises(InputError, match="attention"):
        fp.scaling(Architecture.preset("gpt2", depth=2, d=64, attention=None))
