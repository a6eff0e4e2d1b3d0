"""The quick subset passes, every entry tells a wrong value from a right one, and entries are chosen by name."""

import dataclasses
import inspect

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError, UnresolvedError
from fpsolve.models import IsotropicFlow
from fpsolve.validate import CATALOGUE, Row, Validation, rates, two_point, validate
from fpsolve.validate import catalogue as module
from fpsolve.validate.exponents import expected_rate, few_pairs
from fpsolve.validate.measure import statistical


@pytest.fixture(scope="module")
def quick_rows():
    return validate(quick=True)


def test_the_quick_subset_passes(quick_rows):
    assert [row for row in quick_rows if not row.passed] == []
    assert len(quick_rows) > 40


def test_every_tolerance_excludes_trivial_answers(quick_rows):
    """Zero for what is not zero would fail: nothing is compared with a tolerance of its own size."""
    loose = [row for row in quick_rows if row.exact and not row.tolerance < abs(row.exact)]
    assert {row.quantity for row in loose} <= {"E q, η² → 0"}  # its exact value is nearly zero; E q² is compared too


def test_names_are_unique_and_every_entry_takes_quick_and_seed():
    names = [entry.name for entry in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(list(inspect.signature(entry.rows).parameters) == ["quick", "seed"] for entry in CATALOGUE)


def test_rows_are_reported_one_by_one_and_are_the_same_again():
    seen = []
    rows = validate(["equiangular", "logistic_regime"], quick=True, seed=5, report=seen.append)
    assert rows == seen == validate(["logistic_regime", "equiangular"], quick=True, seed=5)
    other = validate(["logistic_regime"], quick=True, seed=6)[-1]
    assert other.quantity == rows[-1].quantity and other.computed != rows[-1].computed


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("growth", "uniform_growth_rate"),
        ("noisy", "critical_diffusion"),
        ("lost_in_the_middle", "critical_time"),
        ("equiangular", "synchronisation_rate"),
        ("equiangular", "equiangular_time"),
        ("retrieval", "retrieval_profile"),
        ("rates", "transition_beta"),
        ("rates", "antipodal_exponent"),
        ("hybrid", "hybrid_antipodal_exponent"),
        ("hybrid", "hybrid_aligned_exponent"),
        ("zonal", "uniform_growth_rate"),
        ("zonal", "transition_beta"),
    ],
)
def test_a_wrong_theory_fails(monkeypatch, name, wrong):
    """Two per cent off."""
    right = getattr(fp.theory, wrong)
    monkeypatch.setattr(fp.theory, wrong, lambda *args, **settings: 1.02 * right(*args, **settings))
    assert not all(row.passed for row in validate([name], quick=True))


def test_a_wrong_noise_fails():
    """λ of a flow whose field is five per cent too strong, by the rule: λ grows by ten per cent."""
    spectrum = (0.5, 2.0, 1.0)
    exact, start = float(fp.theory.distance_exponent(IsotropicFlow(spectrum).kernel(), 3)), few_pairs(3, 0)
    assert expected_rate(IsotropicFlow(spectrum), start) == pytest.approx(exact, rel=1e-3)
    assert expected_rate(IsotropicFlow(spectrum, noise=1.05), start) == pytest.approx(1.1025 * exact, rel=1e-3)


def test_a_wrong_noise_fails_the_two_point_rates():
    """d/dt E Σ_m|ρ_ℓm|² of a flow whose field is one per cent too strong."""
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    right, wrong = IsotropicFlow(two_point.SPECTRUM), IsotropicFlow(two_point.SPECTRUM, noise=1.01)
    exact = two_point.rate_row(right, law, 2)
    assert exact.passed
    assert two_point.rate_row(wrong, law, 2).computed == pytest.approx(1.0201 * exact.exact, rel=1e-5)


def test_the_switch_of_the_transition_is_seen_on_either_side():
    """The cubic coefficient changes sign at β_*: continuous below, discontinuous above."""
    below, above = (rates.cubic_coefficient(factor * float(fp.theory.transition_beta(3))) for factor in (0.9, 1.1))
    assert below < -0.01 and above > 0.01


def test_statistical_rows_allow_their_standard_error():
    samples = np.random.default_rng(0).normal(size=400)
    row = statistical("s", "q", 0.0, samples, bias=0.01)
    assert row.tolerance == pytest.approx(4.5 * samples.std(ddof=1) / 20 + 0.01)
    assert "false alarm" in row.note
    assert not dataclasses.replace(row, computed=row.tolerance * 1.01).passed


def test_an_entry_that_stops_is_a_row_that_fails(monkeypatch):
    def rows(quick, seed):
        yield Row("s", "q", 1.0, 1.0, 0.1)
        raise UnresolvedError(0.5, "not resolved", "raise lmax")

    def broken(quick, seed):
        raise ZeroDivisionError

    monkeypatch.setattr(module, "CATALOGUE", (Validation("stops", rows), Validation("broken", broken, quick=False)))
    first, last = validate(quick=True)
    assert first.passed and not last.passed
    assert last.quantity == "completes" and "raise lmax" in last.note
    with pytest.raises(ZeroDivisionError):  # a fault of the program is not hidden
        validate(["broken"])
    with pytest.raises(InputError, match="quick"):
        validate(["broken"], quick=True)


def test_bad_arguments_are_refused_before_any_computing():
    with pytest.raises(InputError, match="growth"):
        validate(["grow"])
    for seed in (-1, 1.5, True, 2**32):
        with pytest.raises(InputError, match="seed"):
            validate(["growth"], seed=seed)
