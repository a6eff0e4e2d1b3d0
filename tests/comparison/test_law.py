"""The random transformer that belongs to a model, observables of pairs of distinct tokens, and both laws."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from scipy.stats import ks_2samp

import fpsolve as fp
import fpsolve.transformer as tr
from fpsolve.comparison.law import POWERS, chain_of, drawn_points, in_law, observed, observed_tokens, resolved_state
from fpsolve.comparison.problem_checks import checked_problem
from fpsolve.comparison.routes import Rung
from fpsolve.errors import UnresolvedError
from fpsolve.measures.build import build
from fpsolve.transformer.limits import BALLISTIC, DIFFUSIVE

LAW = fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0)
MATRIX = np.array([[1.0, 2.5, 0.0], [0.0, 0.5, 0.3], [0.4, 0.0, -1.0]])
Deep, Homogenized, DrawnHeads = fp.models.DeepStochasticTransformer, fp.models.Homogenized, fp.models.DrawnHeads


def problem(model, t_end=0.5, dt=0.125, start=LAW):
    names = {"t_end": t_end, "dt": dt, "seed": 3, "member": 0, "path_cell": dt, "rtol": 1e-5}
    names |= {"tokens_rtol": 1e-4, "filter": None, "save_every": None}
    return checked_problem(model, start, names, None, 8)[1]


def both(model, members, degree=11, transformer=(24, 2, 24), limit=None, **changes):
    """Chains of a model against paths of it, or of another as its limit."""
    chain = chain_of(model, problem(model, **changes), *transformer)
    return in_law(problem(limit or model, **changes), chain, Rung("density", degree), members, lambda: None)


def student(generator, d):
    return generator.standard_t(6, size=(d, d))


@pytest.mark.parametrize("model", [
    Homogenized(beta=2.0, key_query="product", key_query_std=0.7, noise=0.8, noise_lmax=16),
    DrawnHeads(beta=2.0, key_query="gaussian", key_query_std=0.7, noise=0.8, value_std=0.4),
    Homogenized(beta=2.0, noise=0.8),
])  # fmt: skip
def test_times_match_and_the_limit_is_the_model(model):
    chain = chain_of(model, problem(model), n=16, heads=3, depth=10)
    assert chain.step**2 * chain.depth / chain.heads == pytest.approx(0.8**2 * 0.5)
    std = None if model.key_query == "identity" else 0.7
    same = tr.HeadLaw(2.0, key_query=model.key_query, key_query_std=std)
    assert chain.law.key_query_law() == same.key_query_law()
    limit = chain.limit("diffusive")
    assert (limit.beta, limit.key_query) == (2.0, model.key_query)
    assert limit.value_deviation(3) == pytest.approx(3**-0.5 if model.value_std is None else 0.4)


@pytest.mark.parametrize(("model", "limit"), [
    (Deep(2.0, 0.4, MATRIX), Deep(2.0, 0.4, MATRIX)),
    (Deep(2.0, key_query=-1.0, noise=0.8), Deep(2.0, 1 / np.sqrt(3), -1.0)),
    (Deep(2.0, 0.4, 0.5), Homogenized(1.0, value_std=0.4)),
    (DrawnHeads(2.0, key_query=MATRIX, value_std=0.4), Deep(2.0, 0.4, MATRIX)),
    (DrawnHeads(2.0, key_query="identity", value_std=0.4), Homogenized(2.0, value_std=0.4)),
    (DrawnHeads(2.0, 3, tr.Gaussian(0.5, mean=MATRIX), value_std=0.4),
     DrawnHeads(2.0, 8, tr.Gaussian(0.5, mean=MATRIX), value_std=0.4)),
    (DrawnHeads(2.0, key_query=student, value_std=0.4), DrawnHeads(2.0, key_query=student, value_std=0.4)),
])  # fmt: skip
def test_the_package_s_limit_of_the_chain_is_the_model(model, limit):
    assert chain_of(model, problem(model), n=16, heads=3, depth=10).limit("diffusive") == limit


def test_heads_of_a_fixed_matrix_share_it_and_have_values_of_their_own():
    chain = chain_of(Deep(2.0, 0.4, MATRIX), problem(Deep(2.0)), n=16, heads=3, depth=10)
    values, key_queries = next(chain.weights())
    np.testing.assert_array_equal(key_queries, MATRIX[None])
    assert values.shape == (3, 3, 3)
    assert not np.isclose(values[0], values[1]).any()


def test_a_layer_of_the_chain_has_the_covariance_of_the_model():
    """η²/H σ_V²⟨m_A(x), m_A(y)⟩ of one layer is ε² K_μ(x,y) t_end/L, for a matrix without symmetry."""
    model, x = Deep(2.0, 0.4, MATRIX, noise=0.8), fp.initial.samples(LAW, 6, 1).x
    chain = chain_of(model, problem(model), n=6, heads=3, depth=10)
    batch = chain.batch(x[None], np.full(6, 1 / 6), range(1))
    m = batch.attention(x[None], next(chain.member_weights(range(1)))[1])[0, 0]
    layer = chain.step**2 / 3 * chain.law.value_law(3).entry_std(3) ** 2 * np.einsum("na,na->n", m, m[::-1])
    source = fp.Cloud(x, np.full(6, 1 / 6)).source
    np.testing.assert_allclose(layer, 0.8**2 * 0.05 * model.covariance(source, x, x[::-1]), rtol=1e-9)


def test_what_limits_may_be_is_listed():
    """Of all laws of A in d = 2 and 3; the comparison takes the diffusive ones."""
    laws = ("identity", "gaussian", "product", "uniform", 0.5, -1.0, student, tr.Gaussian(0.5, mean=1.0))
    found = {name: set() for name in ("diffusive", "ballistic", "modified")}
    for d in (2, 3):
        for law in (*laws, np.arange(d * d).reshape(d, d)):
            for name, kinds in found.items():
                kinds.add(type(tr.limit(tr.HeadLaw(2.0, key_query=law), name, d, 0.1)))
    assert found["diffusive"] == set(DIFFUSIVE)
    assert found["ballistic"] | found["modified"] == set(BALLISTIC)


@pytest.mark.parametrize("name", fp.MODELS)
def test_every_model_of_the_table_has_a_chain_or_a_reason(name):
    needed = {
        "IsotropicFlow": {"spectrum": (1.0, 1.0)},
        "MultiHead": {"beta": 1.0, "key_query": [1.0], "value": [1.0]},
        "SpectralSelection": {"beta": 1.0, "matrix": np.eye(3)},
        "NoisyTransformer": {"beta": 1.0, "diffusion": 0.1},
        "PerceptronDrift": {"weights": [[0.0, 0.6, 0.8]]},
        "Sum": {"models": (fp.models.SelfAttention(1.0), fp.models.RandomQuadraticForm())},
    }
    bare = ("RandomQuadraticForm", "LinearGaussianLayers", "BrownianGradientFlow", "LowTemperatureLimit")
    model = fp.MODELS[name](**needed.get(name, {} if name in bare else {"beta": 2.0}))
    found = chain_of(model, problem(Deep(2.0)), n=16, heads=3, depth=10)
    if type(model) in DIFFUSIVE:
        assert type(found.limit("diffusive")) in DIFFUSIVE
        return
    name = "SelfAttention" if name == "Sum" else name
    words = f"{name} is not the diffusive limit of random layers (Homogenized, DeepStochasticTransformer and DrawnHeads"
    assert words in found
    assert ("ballistic" in found) is (fp.MODELS[name] in BALLISTIC)


@pytest.mark.parametrize(("model", "word"), [
    (fp.models.IsotropicFlow.from_kernel(lambda t: 0.5 * t, 4), "IsotropicFlow"),
    (fp.models.SelfAttention(beta=2.0), "SelfAttention"),
    (Homogenized(beta=2.0, noise=0.0), "noise"),
    (Homogenized(beta=2.0, drift=1.0), "drift"),
    (Deep(beta=2.0, key_query=MATRIX, drift=1.0), "drift"),
    (Deep(beta=2.0, noise=0.0), "noise"),
    (DrawnHeads(beta=2.0, diffusion=0.1), "diffusion"),
    (Homogenized(beta=2.0, diffusion=0.1), "diffusion"),
])  # fmt: skip
def test_other_models_have_none_and_say_why(model, word):
    assert word in chain_of(model, problem(model), n=16, heads=3, depth=10)


def test_a_model_derived_from_one_has_a_law_of_its_own():
    class Damped(Homogenized):
        pass

    assert "Damped is not the diffusive limit" in chain_of(Damped(2.0), problem(Damped(2.0)), 16, 3, 10)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("matrix", [False, True])
def test_distinct_pairs_are_unbiased(d, matrix):
    """Means over 400 samples of 12 tokens against the law's own; 4.5 standard errors, false alarms below 1e-4."""
    law = fp.initial.von_mises_fisher([0.6, 0.8] if d == 2 else [0, 0.6, 0.8], 2.0)
    model = Deep(1.5, key_query=MATRIX[:d, :d]) if matrix else Homogenized(1.5)
    exact = observed(build(law, "density", 31, 1e-6), model)
    drawn = [observed_tokens(fp.initial.samples(law, 12, 1, m).x, model) for m in range(400)]
    assert {"overlap", "energy", *(f"power_{degree}" for degree in POWERS)} < set(exact)
    for name, value in exact.items():
        values = np.array([one[name] for one in drawn])
        assert abs(values.mean() - value) < 4.5 * values.std() / 20, name


def test_energy_of_distinct_pairs_is_their_double_sum():
    x = fp.initial.samples(LAW, 9, 5).x
    pairs = np.exp(1.5 * x @ MATRIX.T @ x.T)
    expected = (pairs.sum() - np.trace(pairs)) / (9 * 8) / 3.0
    assert observed_tokens(x, Deep(1.5, key_query=MATRIX))["energy"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("route", ["density", "cloud"])
def test_points_drawn_from_a_measure_have_its_law(route):
    """Means over 400 draws of 12 points: 4.5 standard errors, false alarms below 1e-4; independent of the tokens that
    start the chain of the same member: their overlaps are uncorrelated to 4.5/√400."""
    measure, model = build(LAW, route, 15, 1e-6), Homogenized(1.5)
    paths = [fp.BrownianPath(1, member) for member in range(400)]
    drawn = [drawn_points(measure, 12, path) for path in paths]
    np.testing.assert_array_equal(drawn[3], drawn_points(measure, 30, paths[3])[:12])
    rows = [observed_tokens(x, model) for x in drawn]
    for name, value in observed(measure, model).items():
        values = np.array([row[name] for row in rows])
        assert abs(values.mean() - value) < 4.5 * values.std() / 20, name
    starts = [observed_tokens(fp.initial.samples(LAW, 12, 1, m).x, model)["overlap"] for m in range(400)]
    assert abs(np.corrcoef(starts, [row["overlap"] for row in rows])[0, 1]) < 4.5 / 20


def test_both_laws_agree_and_a_wrong_time_is_seen():
    """Means over 200 members of each: |z| < 4.5, false alarms below 1e-4; at four times the time they are apart."""
    model = Homogenized(beta=1.0, value_std=0.8)
    chain = chain_of(model, problem(model, 0.125), n=24, heads=2, depth=24)
    ticks = []
    law = in_law(problem(model, 0.125), chain, Rung("density", 15), 200, lambda: ticks.append(1))
    rows = {row[0]: row for row in law.rows()}
    assert len(ticks) == 200
    assert all(abs(row[5]) < 4.5 for row in rows.values())
    late = in_law(problem(model, 0.5), chain, Rung("density", 15), 200, lambda: None)
    assert max(abs(row[5]) for row in late.rows()) > 4.5


def test_laws_with_a_fixed_matrix_agree():
    """As above on the circle, and KS levels above 1e-5 (6 of them: false alarms below 1e-4).

    On about half of the paths the density of degree 31 is no longer resolved; points drawn from it would not have the
    law.
    """
    model, circle = Deep(4.0, 1.0, np.array([[2.0, 1.5], [0.0, -1.0]])), fp.initial.von_mises_fisher([0.6, 0.8], 2.0)
    law = both(model, 200, 31, (24, 2, 48), t_end=0.25, start=circle)
    assert 20 < law.on_clouds < 180
    assert law.limit_by == f"density 31, cloud on {law.on_clouds} of 200 paths"
    rows = list(law.rows())
    assert len(rows) == 6
    assert all(abs(row[5]) < 4.5 and row[6] > 1e-5 for row in rows)


def test_a_density_that_is_not_resolved_gives_way_to_the_cloud():
    for model, t_end, kind in ((Homogenized(2.0), 0.125, fp.Density), (Homogenized(4.0, value_std=1.5), 1.0, fp.Cloud)):
        assert type(resolved_state(problem(model, t_end), Rung("density", 11))) is kind


def test_a_density_that_stops_gives_way_to_the_cloud(monkeypatch):
    reached = []

    def last_state(problem, rung):
        reached.append(rung)
        if rung.route == "density":
            raise UnresolvedError(0.5, "not finite", "raise lmax")
        return "the cloud"

    monkeypatch.setattr(import_module("fpsolve.comparison.law"), "last_state", last_state)
    assert resolved_state(None, Rung("density", 11)) == "the cloud"
    assert reached == [Rung("density", 11), Rung("cloud", 11)]


def test_levels_alarm_falsely_as_often_as_they_say():
    """The chain's law is mostly that of its n tokens here, t = 0.02: 15 repetitions of 64 members, 105 levels.

    Below 0.05 lie at most 28 of the 105: more take five repetitions with one at least, of probability 6e-4 if the 7
    levels of a repetition were one. None below 1e-5 (1e-3); of all 960 members as one none below 1e-4 (7e-4). Against
    the measures themselves, without points drawn, half the levels of 64 are below 0.05, those of 960 below 1e-20.
    """
    model = Homogenized(beta=4.0, key_query="gaussian", noise_lmax=16)
    law = both(model, 960, transformer=(32, 2, 8), t_end=0.02, dt=0.02)
    parts = [slice(first, first + 64) for first in range(0, 960, 64)]
    pairs = [(law.limit_drawn[name], law.transformer[name]) for name in law.limit]
    levels = np.array([[ks_2samp(a[part], b[part]).pvalue for part in parts] for a, b in pairs])
    assert (levels < 0.05).sum() <= 28
    assert levels.min() > 1e-5
    assert all(row[6] > 1e-4 for row in law.rows())
    assert max(ks_2samp(law.limit[name], law.transformer[name]).pvalue for name in law.limit) < 1e-20
    bare = [ks_2samp(law.limit[k][part], law.transformer[k][part]).pvalue for k in law.limit for part in parts]
    assert (np.array(bare) < 0.05).sum() > 52


def test_levels_see_what_means_do_not():
    """A limit of a fifth of the noise: components across the axis keep mean zero, |z| < 4.5, and are less spread."""
    model = Homogenized(beta=2.0)
    law = both(model, 300, transformer=(64, 2, 16), limit=replace(model, noise=0.2))
    row = {row[0]: row for row in law.rows()}["mean_x"]
    assert abs(row[5]) < 4.5
    assert row[6] < 1e-5


def test_a_sum_of_noises_has_a_chain_whose_limit_it_is():
    """Heads, more heads and MLPs beside them; a term without a chain is named."""
    mlp = fp.models.SynchronisationByNoise(1.0, "tanh", value=0.0, noise=0.6)
    model = mlp + Deep(2.0, noise=0.8) + Homogenized(1.0, "gaussian", noise=0.5)
    chain = chain_of(model, problem(model), n=16, heads=3, depth=10)
    limit = chain.limit("diffusive").terms
    ratio = [1.0, 0.5 / 0.8, 0.6 / 0.8]
    assert [one.noise for one in limit] == pytest.approx(ratio)
    assert [type(one).__name__ for one in limit] == ["Homogenized", "Homogenized", "SynchronisationByNoise"]
    assert chain.step**2 * 10 / 3 == pytest.approx(0.64 * problem(model).t_end)
    found = chain_of(model + fp.models.RandomQuadraticForm(), problem(model), n=16, heads=3, depth=10)
    assert "RandomQuadraticForm is not the diffusive limit" in found
