"""The random transformer that belongs to a model, and observables of pairs of distinct tokens."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.compare.arguments import checked_problem
from fpsolve.compare.law import POWERS, chain_of, in_law, observed, observed_tokens
from fpsolve.compare.routes import Rung
from fpsolve.measures.build import build

LAW = fp.initial.von_mises_fisher([0, 0.6, 0.8], 2.0)


def problem(model, t_end=0.5, **changes):
    names = {"t_end": t_end, "dt": 0.125, "seed": 3, "member": 0, "path_cell": 0.125, "rtol": 1e-5}
    names |= {"tokens_rtol": 1e-4, "filter": None, "save_every": None, **changes}
    return checked_problem(model, LAW, names, None, 8)[1]


@pytest.mark.parametrize("model", [
    fp.models.Homogenized(beta=2.0, key_query="product", key_query_std=0.7, noise=0.8),
    fp.models.DrawnHeads(beta=2.0, key_query="gaussian", key_query_std=0.7, noise=0.8, value_std=0.4),
    fp.models.Homogenized(beta=2.0, noise=0.8),
])  # fmt: skip
def test_times_match_and_the_limit_is_the_model(model):
    chain = chain_of(model, problem(model), n=16, heads=3, depth=10)
    assert chain.step**2 * chain.depth / chain.heads == pytest.approx(0.8**2 * 0.5)
    assert chain.law.key_query_law() == fp.transformer.HeadLaw(
        2.0, key_query=model.key_query, key_query_std=None if model.key_query == "identity" else 0.7
    ).key_query_law()
    limit = chain.limit("diffusive")
    assert (limit.beta, limit.key_query) == (2.0, model.key_query)
    assert limit.value_deviation(3) == pytest.approx(3**-0.5 if model.value_std is None else 0.4)


@pytest.mark.parametrize(("model", "word"), [
    (fp.models.IsotropicFlow.from_kernel(lambda t: 0.5 * t, 4), "IsotropicFlow"),
    (fp.models.SelfAttention(beta=2.0), "SelfAttention"),
    (fp.models.Homogenized(beta=2.0, noise=0.0), "noise"),
    (fp.models.Homogenized(beta=2.0, drift=1.0), "drift"),
    (fp.models.Homogenized(beta=2.0, diffusion=0.1), "diffusion"),
])  # fmt: skip
def test_other_models_have_none_and_say_why(model, word):
    assert word in chain_of(model, problem(model), n=16, heads=3, depth=10)


@pytest.mark.parametrize("d", [2, 3])
def test_distinct_pairs_are_unbiased(d):
    """Means over 400 samples of 12 tokens against the law's own; 4.5 standard errors, false alarms below 1e-4."""
    law = fp.initial.von_mises_fisher([0.6, 0.8] if d == 2 else [0, 0.6, 0.8], 2.0)
    exact = observed(build(law, "density", 31, 1e-6), 1.5)
    drawn = [observed_tokens(fp.initial.samples(law, 12, 1, m).x, 1.5) for m in range(400)]
    assert {"overlap", "energy", *(f"power_{degree}" for degree in POWERS)} < set(exact)
    for name, value in exact.items():
        values = np.array([one[name] for one in drawn])
        assert abs(values.mean() - value) < 4.5 * values.std() / 20, name


def test_both_laws_agree_and_a_wrong_time_is_seen():
    """Means over 200 members of each: |z| < 4.5, false alarms below 1e-4; at twice the time they are apart."""
    model = fp.models.Homogenized(beta=1.0, value_std=0.8)
    chain = chain_of(model, problem(model), n=24, heads=2, depth=24)
    ticks = []
    law = in_law(problem(model), chain, Rung("density", 11), 200, lambda: ticks.append(1))
    rows = {row[0]: row for row in law.rows()}
    assert len(ticks) == 200
    assert all(abs(row[5]) < 4.5 for row in rows.values())
    late = in_law(problem(model, t_end=1.0), chain, Rung("density", 11), 200, lambda: None)
    assert max(abs(row[5]) for row in late.rows()) > 4.5
