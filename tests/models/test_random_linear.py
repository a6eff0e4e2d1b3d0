"""Random quadratic form, linear Gaussian layers and Brownian gradient flow against their closed forms.

Statistical tests stay within 4 standard errors on fixed seeds: with other seeds each fails once in 15,000 times.
"""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.source import PointSource
from fpsolve.models.random_linear import BrownianGradientFlow, LinearGaussianLayers, RandomQuadraticForm
from fpsolve.sphere.scattered import Points
from fpsolve.theory.overlap import OverlapDiffusion, isotropic_overlap

SYSTEMS = [RandomQuadraticForm(), LinearGaussianLayers(), BrownianGradientFlow()]
DIMENSIONS = [2, 3, 5]


def rotated_pairs(overlap, d, count, seed):
    """2·count points: pairs of the given overlap in independent uniform orientations."""
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=(2, count, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    u -= (u * x).sum(1, keepdims=True) * x
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return np.concatenate([x, overlap * x + np.sqrt(1 - overlap**2) * u])


def ends(model, x, t_end, dt, members, **settings):
    """The points at t_end of members 0..members-1, shape (members, n, d)."""
    start = fp.initial.points(x)
    runs = []
    for member in range(members):
        state = fp.Cloud(start.x, start.weights, rtol=1e-5, tokens=True)
        path = fp.BrownianPath(11, member, dt)
        for _, here in fp.run(model, state, path, t_end=t_end, dt=dt, **settings):
            last = here.x
        runs.append(last)
    return np.array(runs)


def overlaps(points):
    first, second = np.split(points, 2, axis=-2)
    return np.einsum("mna,mna->mn", first, second)


def fields(model, d):
    """s_k(x) for each channel, as a function of rows of points: shape (channels, n, d)."""
    source = PointSource(np.eye(d)[:1], np.ones(1))

    def at(x):
        sites = Points(x)
        return np.stack([model.noise_field(source, e).ambient(sites) for e in np.eye(model.channels(d))])

    return at


def exact(model, x, y):
    """The stated Q(x, y)."""
    d = len(x)
    if isinstance(model, RandomQuadraticForm):
        return x @ y * np.eye(d) + np.outer(y, x)
    return model.kernel()(x @ y) * np.eye(d)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("model", SYSTEMS)
def test_covariance(model, d):
    x, y = rotated_pairs(0.3, d, 1, 1)
    s = fields(model, d)(np.stack([x, y]))
    assert np.abs(np.einsum("ka,kb->ab", s[:, 0], s[:, 1]) - exact(model, x, y)).max() < 1e-13


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("model", SYSTEMS)
def test_no_drift_separates_flow_layer_map_and_ito(model, d):
    """½ P Σ (σ_k·∇)σ_k = 0, so that the flow's tangential Itô drift vanishes, and P_x Q(x,x) x = 0."""
    x = rotated_pairs(0.3, d, 1, 2)[:1]
    at, h = fields(model, d), 1e-5
    project = np.eye(d) - x.T @ x
    drift = np.zeros(d)
    for k, sigma in enumerate(at(x)[:, 0] @ project):
        moved = [(x + sign * h * sigma) / np.linalg.norm(x + sign * h * sigma) for sign in (1, -1)]
        tangent = [at(z)[k, 0] - (at(z)[k, 0] @ z[0]) * z[0] for z in moved]
        drift += 0.5 * project @ (tangent[0] - tangent[1]) / (2 * h)
    assert np.abs(drift).max() < 1e-9
    assert np.abs(project @ exact(model, x[0], x[0]) @ x[0]).max() < 1e-14


def generator(model, d):
    """Drift and variance of the overlap, as the docstrings state them."""
    if isinstance(model, RandomQuadraticForm):
        return OverlapDiffusion(lambda z: -2 * z * (1 - z**2), lambda z: 4 * (1 - z**2) ** 2)
    return isotropic_overlap(model.kernel(), d)


@pytest.mark.parametrize("d", DIMENSIONS)
@pytest.mark.parametrize("model", SYSTEMS)
def test_generator_of_the_overlap(model, d):
    """Drift tr(P_xQ(x,y)P_y) - z(tr P_xQ(x,x) + tr P_yQ(y,y))/2 and variance from the channels, without statistics."""
    z = -0.35
    x, y = rotated_pairs(z, d, 1, 3)
    s = fields(model, d)(np.stack([x, y]))
    a, b = s[:, 0] - np.outer(s[:, 0] @ x, x), s[:, 1] - np.outer(s[:, 1] @ y, y)
    drift = (a * b).sum() - z * ((a**2).sum() + (b**2).sum()) / 2
    variance = ((a @ y + b @ x) ** 2).sum()
    stated = generator(model, d)
    assert abs(drift - stated.drift(np.array(z))) < 1e-13
    assert abs(variance - stated.variance(np.array(z))) < 1e-13


@pytest.mark.parametrize("d", DIMENSIONS)
def test_linear_layers_are_the_quadratic_form_at_half_speed(d):
    z = np.linspace(-0.9, 0.9, 5)
    layers, form = generator(LinearGaussianLayers(), d), generator(RandomQuadraticForm(), d)
    assert np.abs(2 * layers.drift(z) - form.drift(z)).max() < 1e-13
    assert np.abs(2 * layers.variance(z) - form.variance(z)).max() < 1e-13


@pytest.mark.parametrize(
    ("model", "d"), [*((RandomQuadraticForm(), d) for d in DIMENSIONS), (LinearGaussianLayers(noise=np.sqrt(2)), 4)]
)
def test_probability_of_alignment(model, d):
    """P(z_∞ = 1) = ½ + arcsin(z₀)/π; pairs in random orientations share a path, members are independent."""
    z0 = 0.45
    final = overlaps(ends(model, rotated_pairs(z0, d, 40, d), 1.6, 0.1, 40))
    assert (np.abs(final) > 0.9).mean() > 0.7
    for aligned in (final > 0, 0.5 + np.arcsin(np.clip(final, -1, 1)) / np.pi):
        means = aligned.mean(1)
        deviation = np.hypot(means.std(ddof=1) / np.sqrt(len(means)), 0.002)
        assert deviation < 0.03
        assert abs(means.mean() - 0.5 - np.arcsin(z0) / np.pi) < 4 * deviation


@pytest.mark.parametrize("scheme", ["lie_euler", "euler_maruyama"])
@pytest.mark.parametrize("model", [RandomQuadraticForm(), LinearGaussianLayers(), BrownianGradientFlow()])
def test_mean_overlap_at_a_time(model, scheme):
    """E z and E z² at T = 1/4 against the exact backward equation, d = 3; 0.006 is left for the bias of the step."""
    z0, t_end = -0.3, 0.25
    q = overlaps(ends(model, rotated_pairs(z0, 3, 60, 5), t_end, t_end / 8, 60, scheme=scheme))
    for power in (1, 2):
        means = (q**power).mean(1)
        deviation = means.std(ddof=1) / np.sqrt(len(means))
        stated = float(generator(model, 3).expect(lambda z, p=power: z**p, z0, t_end))
        assert deviation < 0.03
        assert abs(means.mean() - stated) < 4 * deviation + 0.006, (means.mean(), stated, deviation)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_moebius_cross_ratio(d):
    """|x₁-x₂||x₃-x₄|/(|x₁-x₃||x₂-x₄|) is constant along every path."""
    x = fp.initial.samples(fp.initial.uniform(d), 4, 7).x
    state = fp.Cloud(x, np.full(4, 0.25), rtol=1e-12, tokens=True)

    def ratio(z):
        distance = np.linalg.norm(z[:, None] - z[None], axis=-1)
        return distance[0, 1] * distance[2, 3] / (distance[0, 2] * distance[1, 3])

    runs = list(fp.run(BrownianGradientFlow(), state, fp.BrownianPath(3, 0, 0.1), t_end=1.0, dt=0.1))
    assert np.abs(runs[-1][1].x - x).max() > 0.3
    assert max(abs(ratio(here.x) / ratio(x) - 1) for _, here in runs) < 1e-8


@pytest.mark.parametrize("d", DIMENSIONS)
def test_brownian_gradient_flow_contracts_pairs(d):
    """Near alignment d log|x-y|² = -(d-1)dt + 2dB: mean over members and variance over T = 1/2."""
    angle, t_end = 1e-4, 0.5
    x = np.eye(d)[:2]
    close = np.stack([x[0], np.cos(angle) * x[0] + np.sin(angle) * x[1]])
    state = [fp.Cloud(close, np.full(2, 0.5), rtol=1e-8, tokens=True) for _ in range(60)]
    logs = []
    for member, cloud in enumerate(state):
        path = fp.BrownianPath(5, member, 0.125)
        *_, (_, last) = fp.run(BrownianGradientFlow(), cloud, path, t_end=t_end, dt=0.125)
        logs.append(2 * np.log(np.linalg.norm(last.x[0] - last.x[1]) / angle))
    deviation = np.std(logs, ddof=1) / np.sqrt(len(logs))
    assert abs(np.mean(logs) + (d - 1) * t_end) < 4 * deviation + 0.02
    assert abs(np.var(logs, ddof=1) / (4 * t_end) - 1) < 4 * np.sqrt(2 / (len(logs) - 1))


@pytest.mark.parametrize("model", SYSTEMS)
def test_every_measure_sees_the_same_flow(model):
    start = fp.initial.von_mises_fisher([0, 0.6, 0.8], 1.0)
    settings = {"t_end": 0.04, "dt": 0.02, "path_cell": 0.02, "lmax": 39, "seed": 4}
    runs = [fp.solve(model, start, measure=m, **settings) for m in ("density", "half_density", "log_density", "cloud")]
    means = [ds.mean_vector.values[-1] for ds in runs]
    assert np.abs(means[0] - runs[0].mean_vector.values[0]).max() > 0.03
    assert np.abs(means[0] - means[1]).max() < 1e-5
    assert np.abs(means[0] - means[2]).max() < 1e-5
    assert np.abs(means[0] - means[3]).max() < 1e-5


def test_schemes_and_bad_input():
    start = fp.initial.samples(fp.initial.uniform(4), 5, 1)
    settings = {"t_end": 0.02, "dt": 0.01, "measure": "cloud"}
    for model in SYSTEMS:
        assert model.calculus == "any"
        for scheme in ("heun", "ninomiya", "lie_euler", "euler_maruyama"):
            ds = fp.solve(model, start, scheme=scheme, **settings)
            assert np.isfinite(ds.mean_vector.values).all()
    with pytest.raises(fp.errors.InputError):
        RandomQuadraticForm(noise=-1.0)
    still = fp.solve(LinearGaussianLayers(noise=0.0), start, **settings)
    assert np.ptp(still.mean_vector.values, axis=0).max() == 0
