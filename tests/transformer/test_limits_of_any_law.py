"""Limits of every law of A, in every d: means over drawn matrices with their errors, heads drawn in every step."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.errors import InputError
from fpsolve.models import Ballistic, DrawnHeads, ModifiedBallistic, SelfAttention
from fpsolve.models.weights import averaging_matrices


def unit(n, d, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, d)) + 0.7 * np.eye(d)[0]
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def cloud(x, rtol=1e-12):
    return fp.Cloud(x, np.full(len(x), 1 / len(x)), rtol=rtol, tokens=True)


def value_matrix(d):
    """A mean value matrix without symmetry."""
    return np.eye(d) + 0.5 * np.random.default_rng(1).normal(size=(d, d))


def sampler(generator, d):
    return 0.6 * generator.standard_t(6, size=(d, d))


LAWS = {
    "uniform": "uniform",
    "sampler": sampler,
    "gaussian": "gaussian",
    "product": tr.Product(0.7),
    "with a mean": tr.Gaussian(0.5, mean=1.0),
    "fixed": np.diag([1.0, 0.5, -1.0, 0.2]),
}


@pytest.mark.parametrize("name", LAWS)
def test_every_law_has_every_limit(name):
    chain = tr.RandomTransformer(5, 4, 3, 10, 0.1, 1.5, key_query=LAWS[name])
    mean = tr.RandomTransformer(5, 4, 3, 10, 0.1, 1.5, value=tr.Gaussian(0.5, mean=0.8), key_query=LAWS[name])
    kinds = [type(chain.limit("diffusive")), type(mean.limit("ballistic")), type(mean.limit("modified"))]
    fixed = [fp.models.DeepStochasticTransformer, SelfAttention, ModifiedBallistic]
    assert kinds == (fixed if name == "fixed" else [DrawnHeads, Ballistic, ModifiedBallistic])
    start, few = fp.initial.points(unit(5, 4)), {"t_end": 0.02, "dt": 0.01, "measure": "cloud"}
    for model in (chain.limit("diffusive"), mean.limit("ballistic"), mean.limit("modified")):
        ds = fp.solve(model, start, **few)
        assert np.abs(ds.mean_vector[-1] - ds.mean_vector[0]).max() > 1e-4


def test_gaussian_laws_are_homogenized_where_their_field_is_known():
    for d, kind in ((2, fp.models.Homogenized), (3, fp.models.Homogenized), (5, DrawnHeads)):
        for law in ("gaussian", "product"):
            assert type(tr.limit(tr.HeadLaw(1.0, key_query=law), "diffusive", d, 0.1)) is kind


@pytest.mark.parametrize("name", LAWS)
def test_drawn_heads_have_the_covariance_of_their_law(name):
    """(σ_V²/H) Σ⟨m_h(x), m_h(y)⟩ of a step against 20,000 draws of A by the chain's own route: 4.5 SE of both."""
    d, beta, count = 4, 1.5, 4000
    model = DrawnHeads(beta, count, LAWS[name], value_std=1.0)
    heads = model.drawn(fp.BrownianPath(3, cell=0.01), 0.0, 0.02, d)
    source, x, y = cloud(unit(9, d)).source, unit(1, d, 5), unit(1, d, 6)
    each = [replace(heads, matrices=A[None]).covariance(source, x, y)[0] for A in heads.matrices]
    law = tr.HeadLaw(beta, key_query=LAWS[name]).key_query_law()
    members = range(20_000 if law.is_random else 1)
    A = next(tr.weights.matrices(law, 1, 8, members, 1, 1, d))[:, 0]
    f, g = (source.F(beta * np.einsum("sab,nb->sa", A, at)) for at in (x, y))
    other = np.einsum("sa,sa->s", f, g)
    error = np.hypot(np.std(each) / np.sqrt(count), other.std() / np.sqrt(len(other)))
    assert abs(np.mean(each) - other.mean()) <= 4.5 * error + 1e-12
    assert heads.covariance(source, x, y)[0] == pytest.approx(np.mean(each))


def test_named_laws_draw_what_they_drew():
    """The Gaussian heads of a step are the path's own normals, in the order heads, rows, columns."""
    path = fp.BrownianPath(5, cell=0.01)
    heads = DrawnHeads(1.0, 3, key_query_std=0.5).drawn(path, 0.0, 0.01, 4)
    assert np.array_equal(heads.matrices, 0.5 * path.normals(0.0, 0.01, 48, "common").reshape(3, 4, 4))
    more = DrawnHeads(1.0, 5, sampler).drawn(path, 0.0, 0.01, 4).matrices
    fewer = DrawnHeads(1.0, 2, sampler).drawn(path, 0.0, 0.01, 4).matrices
    assert np.array_equal(more[:2], fewer)
    assert np.unique(more).size == more.size


@pytest.mark.parametrize("key_query", ["gaussian", "product"])
def test_quadrature_on_the_circle(key_query):
    """E_A F(βAx) in d = 2 against 20,000 draws of A: 4.5 standard errors, false alarm 3e-5."""
    source = cloud(unit(30, 2)).source
    law = tr.HeadLaw(4.0, key_query=key_query, key_query_std=0.7).key_query_law()
    drawn = source.F(4.0 * averaging_matrices(law, 20_000, 1, 2)[:, :, 0])
    error = Ballistic(4.0, 1.0, key_query, 0.7).mean_attention(source) - drawn.mean(0)
    assert (np.abs(error) <= 4.5 * drawn.std(0) / np.sqrt(len(drawn))).all()


@pytest.mark.parametrize("name", ["gaussian", "product", "uniform", "sampler", "with a mean"])
def test_means_over_drawn_matrices_have_the_stated_error(name):
    """The mean against 30,000 matrices of another seed, in units of both errors: 5 in 20 numbers, alarm 1e-5.

    By 256 matrices, or by conditioning, whose error is then a part of that of the 30,000.
    """
    d, x = 4, unit(5, 4, 7)
    source = cloud(unit(12, d)).source
    model = Ballistic(2.0, 1.0, LAWS[name])
    mean, error = model.mean_attention_at(source, x)
    A = averaging_matrices(model.law, 30_000, 99, d)
    drawn = np.stack([source.F(2.0 * A @ one) for one in x])
    exact, rest = drawn.mean(1), drawn.std(1) / np.sqrt(len(A))
    assert (np.abs(mean - exact) <= 5 * np.hypot(error, rest)).all()
    stated = model.sampling_error(source)
    if name in ("uniform", "sampler"):
        assert (0.3 * error <= np.abs(mean - exact)).mean() > 0.3  # and the error is not overstated
    elif name == "with a mean":
        assert error.max() < 3 * rest.max()
    else:  # one vector for all x
        assert np.array_equal(model.mean_attention(source), mean[0])
        assert stated <= model.tolerance
    assert 0 < stated < 0.1


def layer(x, model, step):
    """x ← N(x + η V̄ E F(βAx)) with the model's own mean."""
    source = cloud(x).source
    b, _ = model.mean_attention_at(source, x)
    moved = x + step * b @ np.asarray(model.value).T
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("d", "name"),
    [(4, "uniform"), (4, "fixed"), (2, "gaussian"), (2, "product"), (3, "sampler"), (4, "with a mean")],
)
def test_one_layer_is_the_modified_flow_to_third_order(d, name):
    """For any fixed A and for drawn A: error O(η³) of the modified drift, O(η²) of the plain one."""
    x, V, errors = unit(5, d), value_matrix(d), []
    for step in (0.04, 0.02, 0.01):
        law = LAWS[name]
        few = {"key_query": law, "draws": 8}
        plain = SelfAttention(2.0, V, law) if name == "fixed" else None
        modified = ModifiedBallistic(2.0, V, step, **few)
        plain = plain or ModifiedBallistic(2.0, V, 0.0, **few)
        ends = [cloud(x).transport(lambda s, m=m, h=step: h * m.drift_field(s)).x for m in (plain, modified)]
        errors.append([np.abs(end - layer(x, modified, step)).max() for end in ends])
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders[:, 0], 2, atol=0.15)
    np.testing.assert_allclose(orders[:, 1], 3, atol=0.15)


def test_by_difference_for_a_fixed_matrix():
    from fpsolve.models.ballistic import Moving

    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0, 0, 1], 2.0), 300, seed=1)
    rate = np.random.default_rng(3).normal(size=tokens.x.shape)
    rate -= np.einsum("na,na->n", rate, tokens.x)[:, None] * tokens.x
    A, moving = value_matrix(3), Moving(tokens.x, tokens.weights, rate, 2.0)
    exact = moving.exact(tokens.x @ A.T, rate @ A.T)
    np.testing.assert_allclose(moving.by_difference(tokens.x, rate, A), exact, atol=1e-7)


def test_the_chain_tends_to_the_ballistic_limit_of_its_law():
    """Uniform A in d = 4, 400 heads: the distance to the ODE is that of step, heads and draws, below 0.05."""
    x = unit(6, 4)
    chain = tr.RandomTransformer(6, 4, 400, 20, 0.05, 3.0, value=1.0, key_query="uniform")
    *_, (_, last) = chain.layers(x)
    model = chain.limit("ballistic")
    end = cloud(x, 1e-5).transport(lambda s: model.drift_field(s)).x
    assert np.abs(end - x).max() > 0.2
    assert np.abs(end - last.x).max() < 0.05


def test_scaling_states_the_ratio_and_its_threshold():
    for beta in (1.0, 16.0):
        scaling = tr.scaling(12, 8, 1, 100, 0.1, tr.HeadLaw(beta, key_query="gaussian"), members=0)
        assert scaling.slope_ratio == pytest.approx(scaling.slope / scaling.kappa)
        assert scaling.critical_slope_ratio == pytest.approx(7 / 5)
        assert (scaling.local_exponent > 0) == (scaling.slope_ratio > scaling.critical_slope_ratio)
    low = tr.scaling(4, 3, 1, 10, 0.1, tr.HeadLaw(1.0, value=tr.Gaussian(1.0, mean=0.5)))
    assert low.slope_ratio is None
    assert low.critical_slope_ratio == np.inf


def bad_shape(generator, d):
    return generator.normal(size=d)


def off_centre(generator, d):
    return 1 + generator.normal(size=(d, d))


@pytest.mark.parametrize("name", ["value", "key_query"])
@pytest.mark.parametrize("bad", [lambda generator: np.eye(3), lambda generator, d: "x", bad_shape])
def test_samplers_are_tried_before_running(name, bad):
    with pytest.raises(InputError) as refused:
        tr.RandomTransformer(4, 3, 1, 2, 0.1, 1.0, **{name: bad})
    assert refused.value.argument in (name, "sampler")


@pytest.mark.parametrize("law", [tr.Gaussian, tr.Sampled])
def test_a_class_is_no_law(law):
    with pytest.raises(InputError, match=rf"^value = .*{law.__name__}"):
        tr.RandomTransformer(4, 3, 1, 2, 0.1, 1.0, value=law)


@pytest.mark.parametrize("d", [2, 3, 8, 80])
def test_a_sampler_with_a_mean_of_its_own_is_found(d):
    """A mean of one entry's deviation is found; centred laws are not taken for one, whatever their shape."""
    for law in (tr.Sampled(off_centre, std=1.0), tr.Sampled(lambda g, d: np.eye(d) + g.normal(size=(d, d)) / d**0.5)):
        with pytest.raises(InputError, match="centred"):
            tr.scaling(4, d, 1, 10, 0.1, tr.HeadLaw(1.0, value=law), mc_samples=2)
    centred = (sampler, lambda g, d: g.normal() * np.ones((d, d)), lambda g, d: g.choice([-1.0, 1.0]) * np.eye(d))
    for one in centred:
        tr.Sampled(one).check_centred(d)
    moved = tr.HeadLaw(1.0, value=tr.Sampled(sampler, std=1.0, mean=0.5))
    assert not tr.scaling(4, d, 1, 10, 0.1, moved, mc_samples=2).centred


def test_a_law_of_ones_own_needs_draw_alone():

    @dataclass(frozen=True)
    class Signs(tr.MatrixLaw):
        def draw(self, at, d, layers):
            return np.random.default_rng([at.seed, at.member, at.level % 7]).choice([-1.0, 1.0], (layers, d, d))

    heads = DrawnHeads(1.0, 4, Signs(mean=2.0)).drawn(fp.BrownianPath(1, cell=0.01), 0.0, 0.01, 3)
    assert set(np.unique(heads.matrices - 2 * np.eye(3))) == {-1.0, 1.0}
    assert np.ptp(heads.matrices, axis=0).any()
