"""Sums of models: the model that has both parts, to the bit; streams of each term; what does not add is refused."""

import inspect
from dataclasses import replace
from itertools import accumulate, product

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import CalculusError, InputError
from fpsolve.models import (
    BrownianGradientFlow,
    CausalAttention,
    DeepStochasticTransformer,
    DrawnHeads,
    Homogenized,
    IsotropicFlow,
    LinearGaussianLayers,
    ModifiedBallistic,
    NoisyTransformer,
    RandomQuadraticForm,
    SelfAttention,
    SpectralSelection,
    Sum,
    SynchronisationByNoise,
    UnnormalisedSelfAttention,
)
from fpsolve.schemes import SCHEMES
from fpsolve.theory import OverlapDiffusion, isotropic_overlap, value_noise_overlap
from fpsolve.transport.velocity import HarmonicField

LAW = fp.initial.von_mises_fisher([0.0, 0.6, 0.8], 2.0)
SHORT = {"t_end": 0.04, "dt": 0.02, "path_cell": 0.04, "lmax": 11, "rtol": 1e-7, "seed": 3}
FIELD = {"activation": "tanh", "noise_lmax": 6, "value": 0.0}

PAIRS = {
    "value noise": (
        DeepStochasticTransformer(2.0, drift=0.5),
        SelfAttention(2.0, value=0.5) + DeepStochasticTransformer(2.0),
    ),
    "MLP noise": (
        SynchronisationByNoise(2.0, **{**FIELD, "value": 0.7}),
        SelfAttention(2.0, value=0.7) + SynchronisationByNoise(2.0, **FIELD),
    ),
    "drawn MLPs": (
        SynchronisationByNoise(2.0, **{**FIELD, "value": 0.7}, draws=3),
        SelfAttention(2.0, value=0.7) + SynchronisationByNoise(2.0, **FIELD, draws=3),
    ),
    "own noise": (
        NoisyTransformer(2.0, 0.1, kind="sa"),
        SelfAttention(2.0, diffusion=0.06) + RandomQuadraticForm(0.0, diffusion=0.04),
    ),
}
"""Models that have two parts, and the sums of these."""

MEASURES = [name for name in fp.MEASURES if "zonal" not in name]
"""Common noise breaks the symmetry about an axis."""

ITO = {*MEASURES, "lie_euler", "euler_maruyama", "geodesic_euler"}
TAKEN = {
    "value noise": ITO,
    "MLP noise": ITO | {"heun", "ninomiya"},
    "drawn MLPs": ITO | {"heun", "ninomiya"},
    "own noise": {"density", "log_density", "rk4", "lie_euler", "heun"},
}
"""Measures and schemes that these take at least."""


def run(model, measure="density", scheme=None, start=LAW, **settings):
    settings = {**SHORT, **settings}
    if scheme in ("euler_maruyama", "geodesic_euler"):
        settings.pop("rtol")
    if not isinstance(start, type(LAW)):
        settings.pop("lmax")
    elif measure == "causal_density":
        start = fp.initial.prompt(start, 2)
    return fp.solve(model, start, measure=measure, scheme=scheme, **settings)


def assert_same(one, other, within=0.0):
    assert set(one.variables) == set(other.variables)
    for name in other.variables:
        if one[name].dtype.kind in "fc":
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=within, err_msg=str(name))


@pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning", "ignore::fpsolve.errors.SamplingWarning")
@pytest.mark.parametrize("name", PAIRS)
def test_a_sum_is_the_model_with_both_parts(name):
    """On every measure by every scheme that takes it, on the same path: to round-off; and with tokens in d = 5."""
    whole, parts = PAIRS[name]
    ran = set()
    for measure, scheme in product(MEASURES, set(SCHEMES) - {"petsc_ts"}):
        try:
            one = run(whole, measure, scheme)
        except InputError as error:
            with pytest.raises(type(error)):
                run(parts, measure, scheme)
            continue
        assert_same(one, run(parts, measure, scheme), 1e-12)
        ran |= {measure, scheme}
    assert ran >= TAKEN[name]
    if name != "MLP noise":
        tokens = fp.initial.samples(fp.initial.uniform(5), 12, 3)
        one, other = run(whole, "cloud", start=tokens), run(parts, "cloud", start=tokens)
        assert_same(one[["mean_vector", "overlap"]], other[["mean_vector", "overlap"]], 1e-12)


@pytest.mark.parametrize(("measure", "scheme"), [("zonal", "rk4"), ("zonal_cloud", "rk4"), ("density", "petsc_ts")])
def test_attention_in_two_shares_is_one(measure, scheme):
    """About an axis, and by PETSc, where no model with common noise goes: heads and ν add."""
    if scheme == "petsc_ts":
        pytest.importorskip("petsc4py")
    nu = 0.0 if measure == "zonal_cloud" else 0.1
    parts = SelfAttention(2.0, value=0.4, diffusion=0.7 * nu) + SelfAttention(2.0, value=0.6, diffusion=0.3 * nu)
    one, other = (run(model, measure, scheme) for model in (SelfAttention(2.0, diffusion=nu), parts))
    np.testing.assert_allclose(one.moments, other.moments, rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.overlap, other.overlap, rtol=0, atol=1e-12)
    assert abs(run(SelfAttention(2.0, value=0.4, diffusion=nu), measure, scheme).overlap - one.overlap).max() > 1e-3


def a_model(name):
    """A model of the table."""
    needed = {"beta": 2.0, "spectrum": (0.0, 0.5), "matrix": np.diag([1.0, 0.2, -1.0]), "diffusion": 0.1}
    needed |= {"weights": [[0.6, 0.8, 0.1], [1.0, -0.5, 0.4]]}
    needed |= {"key_query": [1.0, 0.5], "value": [1.0, -0.5], "models": (SelfAttention(2.0),)}
    wanted = inspect.signature(fp.MODELS[name]).parameters.values()
    return fp.MODELS[name](**{one.name: needed[one.name] for one in wanted if one.default is one.empty})


@pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning", "ignore::fpsolve.errors.SamplingWarning")
@pytest.mark.parametrize("name", fp.MODELS)
def test_a_sum_of_one_is_the_model(name):
    """Every variable of a run, to the bit."""
    model = a_model(name)
    start, measure = LAW, "density" if name != "CausalAttention" else "cloud"
    if name == "CausalAttention":
        start = fp.initial.points([[1, 0], [0, 1], [0.6, 0.8], [-0.8, 0.6]], labels=[0.1, 0.2, 0.3, 0.4])
    one, other = (run(each, measure, start=start) for each in (model, Sum((model,))))
    assert_same(one, other)
    assert one.attrs["fpsolve_config"] != other.attrs["fpsolve_config"] or name == "Sum"


def test_isotropic_noises_are_one_field():
    """The covariance over all channels is Σ ε² C, by one set of coefficients; kernels add; a term keeps its path."""
    flow, mlp = IsotropicFlow((0.3, 0.5, 0.2), noise=0.7), SynchronisationByNoise(2.0, **FIELD, noise=1.3)
    both = flow + mlp
    cloud = fp.Cloud(fp.initial.simplex(2, -0.2, 3).x, np.full(2, 0.5), tokens=True)
    source, n = cloud.source, both.channels(3)
    assert n == flow.channels(3) + mlp.channels(3)
    fields = [both.noise_field(source, e) for e in np.eye(n)]
    assert all(isinstance(one, HarmonicField) for one in fields)
    s = np.stack([one.ambient(cloud.sites) for one in fields])
    expected = 0.49 * flow.kernel()(-0.2) + 1.69 * mlp.kernel()(-0.2)
    assert np.abs(np.einsum("ka,kb->ab", s[:, 0], s[:, 1]) - expected * np.eye(3)).max() < 1e-12
    assert both.kernel(cloud)(-0.2) == pytest.approx(expected, abs=1e-14)
    C = np.pad(0.49 * np.array(flow.spectrum), (0, 4)) + 1.69 * mlp.spectrum(source)
    np.testing.assert_allclose(both.spectrum(source), C, atol=1e-15)
    path = fp.BrownianPath(3, cell=0.02)
    for sum_, at in ((both, 1), (mlp + flow, 0)):
        increment = sum_.on_streams(lambda own, k: own.increment(0.0, 0.02, k), path, 3)
        terms = [flow, mlp] if at else [mlp, flow]
        ends = list(accumulate(term.channels(3) for term in terms))
        part = increment[ends[at] - mlp.channels(3) : ends[at]]
        np.testing.assert_array_equal(part, path.of_term(at).increment(0.0, 0.02, mlp.channels(3)))


def test_streams_of_terms():
    """A term's increments and drawn weights depend on its place alone, refine like the path, and differ in pairs."""
    path = fp.BrownianPath(5, 2, cell=0.04)
    other = path.of_term(1)
    assert path.of_term(0) is path and other.of_term(0) == path and other != path
    assert fp.BrownianPath(5, 2, 0.04, 1) == other
    whole = other.increment(0.0, 0.04, 30)
    halves = other.increment(0.0, 0.02, 30) + other.increment(0.02, 0.04, 30)
    np.testing.assert_array_equal(whole, halves)
    assert abs(np.corrcoef(whole, path.increment(0.0, 0.04, 30))[0, 1]) < 0.6
    drawn = (DrawnHeads(1.0) + DrawnHeads(1.0, heads=3)).drawn(path, 0.0, 0.04, 3)
    alone = DrawnHeads(1.0).drawn(path, 0.0, 0.04, 3)
    np.testing.assert_array_equal(drawn.terms[0].matrices, alone.matrices)
    assert np.abs(drawn.terms[1].matrices - alone.matrices[:3]).min() > 1e-6
    silent = replace(DrawnHeads(1.0), noise=0.0) + DrawnHeads(1.0, heads=3)
    np.testing.assert_array_equal(silent.drawn(path, 0.0, 0.04, 3).terms[1].matrices, drawn.terms[1].matrices)
    with pytest.raises(InputError, match="term = -1"):
        fp.BrownianPath(5, term=-1)


def generator_rates(model, start):
    """Rates of E q and of the variance of q = ⟨x₁,x₂⟩ over all channels, from the fields and the Itô equation."""
    (x, y), source, d = start.x, start.source, start.dimension
    sites = start.sites
    b = model.drift_field(source).on(sites)
    fields = [model.noise_field(source, e).on(sites) for e in np.eye(model.channels(d))]
    square = [sum(f[i] @ f[i] for f in fields) for i in (0, 1)]
    cross = sum(f[0] @ f[1] for f in fields)
    drift = b[0] @ y + x @ b[1] - 0.5 * sum(square) * (x @ y) + cross
    return drift, sum((f[0] @ y + x @ f[1]) ** 2 for f in fields)


@pytest.mark.parametrize("q", [-0.7, 0.1, 0.8])
def test_a_whole_block_of_two_tokens(q):
    """Attention noise and MLP noise: drift and variance of the overlap are those of both diffusions."""
    mlp = SynchronisationByNoise(2.0, **FIELD, noise=1.3)
    block = Homogenized(2.0, noise=0.8) + mlp + SelfAttention(2.0)
    start = fp.Cloud(fp.initial.simplex(2, q, 3).x, np.full(2, 0.5), tokens=True)
    a = 1 / (1 + np.exp(2.0 * (1 - q)))
    attention = OverlapDiffusion(lambda z: 2 / (1 + np.exp(2.0 * (1 - z))) * (1 - z**2), lambda z: 0 * z)
    parts = (value_noise_overlap(2.0, 3, noise=0.8), isotropic_overlap(mlp.kernel(), 3, 1.3), attention)
    drift, variance = generator_rates(block, start)
    assert drift == pytest.approx(sum(float(one.drift(np.array(q))) for one in parts), abs=1e-12)
    assert variance == pytest.approx(sum(float(one.variance(np.array(q))) for one in parts), abs=1e-12)
    assert a > 0


def test_what_a_sum_says_of_itself():
    attention, noise = SelfAttention(2.0, diffusion=0.1), DeepStochasticTransformer(2.0, diffusion=0.2)
    both = attention + noise
    assert both == Sum((attention, noise)) and hash(both) == hash(Sum((attention, noise)))
    assert both.diffusion == pytest.approx(0.3) and both.beta == 2.0
    assert both.calculus == "ito" and both.is_stochastic
    assert (attention + replace(noise, noise=0.0)).calculus == "any"
    assert (both + attention).terms == (attention, noise, attention)
    assert (RandomQuadraticForm() + SpectralSelection(1.0, np.diag([1.0, 2.0]))).dimension == 2
    assert not hasattr(SelfAttention(2.0) + UnnormalisedSelfAttention(1.0), "beta")
    assert (SelfAttention(2.0) + Homogenized(1.0)).beta == 2.0  # the energy is that of the drift
    heads = (attention + UnnormalisedSelfAttention(2.0, key_query=0.5)).fixed_heads
    assert [head.normalised for head in heads] == [True, False]
    assert both.fixed_heads == () and len(both.interaction) == 1
    with pytest.raises(TypeError):
        attention + 1.0


@pytest.mark.parametrize(("made", "words"), [
    (lambda: ModifiedBallistic(2.0) + SelfAttention(1.0), "ModifiedBallistic.*quadratic"),
    (lambda: SelfAttention(1.0) + ModifiedBallistic(2.0), "ModifiedBallistic.*quadratic"),
    (lambda: Sum(()), "no model"),
    (lambda: Sum((SelfAttention(1.0), 3.0)), "models = .*should be of the kind Model"),
    (lambda: Sum(SelfAttention(1.0)), "models = .*should be a list"),
    (lambda: IsotropicFlow((1.0,)) + IsotropicFlow((1.0,), d=2), "different dimensions"),
    (lambda: SelfAttention(1.0, value=np.eye(3)) + SelfAttention(1.0, value=np.eye(4)), r"models\[1\].value"),
])  # fmt: skip
def test_what_does_not_add(made, words):
    with pytest.raises(InputError, match=words):
        made()


def test_checks_of_a_run_reach_every_term():
    noise = DeepStochasticTransformer(2.0)
    with pytest.raises(CalculusError, match="DeepStochasticTransformer depends on μ"):
        run(SelfAttention(2.0) + noise, scheme="heun")
    with pytest.raises(InputError, match=r"models\[1\].value"):
        run(noise + SelfAttention(1.0, value=np.eye(4)))
    with pytest.raises(InputError, match="lmax"):
        run(noise + IsotropicFlow((1.0,) * 30))
    with pytest.raises(InputError, match="d = 2 and d = 3"):
        run(noise + Homogenized(2.0, "gaussian"), "cloud", start=fp.initial.samples(fp.initial.uniform(5), 4, 1))
    with pytest.raises(InputError, match="no spectrum"):
        (noise + IsotropicFlow((1.0,))).spectrum(fp.initial.samples(LAW, 3, 1))
    with pytest.raises(InputError, match="no kernel"):
        (RandomQuadraticForm() + LinearGaussianLayers()).kernel()


@pytest.mark.parametrize("q", [-0.4, 0.6])
def test_linear_noises_in_any_dimension(q):
    """LinearGaussianLayers + BrownianGradientFlow in d = 6: the overlap of the kernel k(t) = ε₁² t + ε₂²."""
    noises = LinearGaussianLayers(0.5) + BrownianGradientFlow(0.3)
    start = fp.Cloud(fp.initial.simplex(2, q, 6).x, np.full(2, 0.5), tokens=True)
    drift, variance = generator_rates(noises, start)
    exact = isotropic_overlap(noises.kernel(), 6)
    np.testing.assert_allclose(noises.kernel()(np.array([q, 1.0])), [0.25 * q + 0.09, 0.34], atol=1e-15)
    assert drift == pytest.approx(float(exact.drift(np.array(q))), abs=1e-12)
    assert variance == pytest.approx(float(exact.variance(np.array(q))), abs=1e-12)


def test_tokens_with_positions_add_too():
    """CausalAttention is known at the tokens alone: so is a sum with it, which points and `rk4` take."""
    start = fp.initial.points([[1, 0], [0, 1], [0.6, 0.8], [-0.8, 0.6]], labels=[0.1, 0.2, 0.3, 0.4])
    both = CausalAttention(1.0) + SelfAttention(1.0)
    cloud = fp.Cloud(start.x, start.weights, labels=np.array([0.1, 0.2, 0.3, 0.4]), tokens=True)
    fields = [term.drift_field(cloud.source).on(cloud.sites) for term in (both, *both.terms)]
    np.testing.assert_allclose(fields[0], fields[1] + fields[2], atol=1e-15)
    assert not both.flowable and both.measures == CausalAttention.measures and both.dimension is None
    ds = run(both, "cloud", start=start)
    assert '"scheme": "rk4"' in ds.attrs["fpsolve_config"]
    with pytest.raises(InputError, match="acts on positions"):
        run(both, "density", start=fp.initial.uniform(2))
