"""Matrices of another size than the tokens are refused by their argument's name before any velocity is asked for."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve import models
from fpsolve.errors import InputError

I2, I3 = np.eye(2), np.eye(3)

CASES = [
    (models.SelfAttention(1.0, I2), "value"),
    (models.SelfAttention(1.0, key_query=I2), "key_query"),
    (models.UnnormalisedSelfAttention(1.0, I2), "value"),
    (models.UnnormalisedSelfAttention(1.0, key_query=I2), "key_query"),
    (models.MultiHead(1.0, [1.0, I2], [1.0, 1.0]), "key_query"),
    (models.MultiHead(1.0, [1.0, 1.0], [1.0, I2]), "value"),
    (models.MultiHead.gradient_flow(1.0, [I2]), "key_query"),
    (models.Ballistic(1.0, I2), "value"),
    (models.Ballistic(1.0, key_query=I2), "key_query"),
    (models.ModifiedBallistic(1.0, I2), "value"),
    (models.ModifiedBallistic(1.0, key_query=I2), "key_query"),
    (models.Homogenized(1.0, drift=I2), "drift"),
    (models.SynchronisationByNoise(1.0, value=I2), "value"),
    (models.SynchronisationByNoise(1.0, value=I2, draws=2), "value"),
    (models.LowTemperatureLimit(I2), "value"),
    (models.LowTemperatureLimit(key_query=2 * I2), "key_query"),
    (models.DeepStochasticTransformer(1.0, key_query=I2), "key_query"),
    (models.DeepStochasticTransformer(1.0, drift=I2), "drift"),
    (models.DrawnHeads(1.0, key_query=fp.transformer.Gaussian(1.0, mean=I2)), "mean"),
    (models.DrawnHeads(1.0, key_query=lambda generator, d: I2), "sampler"),
    (models.SpectralSelection(1.0, I2), "initial"),
]


@pytest.mark.parametrize(("model", "argument"), CASES)
@pytest.mark.parametrize("measure", ["density", "cloud"])
def test_matrices_of_another_size_are_refused(model, argument, measure, monkeypatch):
    for verb in ("drift_field", "correction_field", "noise_field", "flow_drift", "drawn"):
        monkeypatch.setattr(type(model), verb, None)  # nothing is computed
    law = fp.initial.von_mises_fisher([0, 0, 1], 1.0)
    with pytest.raises(InputError) as refused:
        fp.solve(model, law, t_end=0.1, dt=0.1, measure=measure, lmax=15, path_cell=0.1)
    assert refused.value.argument == argument


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: models.SelfAttention(1.0, I3, I2), "key_query"),
        (lambda: models.UnnormalisedSelfAttention(1.0, I3, I2), "key_query"),
        (lambda: models.LowTemperatureLimit(I3, I2), "key_query"),
        (lambda: models.MultiHead.gradient_flow(1.0, [I2, I3]), "key_query"),
        (lambda: models.MultiHead(1.0, [I2], [I3]), "value"),
        (lambda: models.ModifiedBallistic(1.0, I3, key_query=I2), "key_query"),
    ],
)
def test_matrices_of_two_sizes_are_refused_at_construction(make, argument):
    with pytest.raises(InputError) as refused:
        make()
    assert refused.value.argument == argument


def test_a_scheme_of_ones_own_must_say_that_it_takes_joint_fields():
    start = fp.initial.points(I2, labels=[0.5, 1.0])
    step, few = fp.SCHEMES["geodesic_euler"].step, {"t_end": 0.1, "dt": 0.1, "measure": "cloud"}
    mine = fp.Scheme(step, "mine", "this test")
    with pytest.raises(InputError, match="mine"):
        fp.solve(models.CausalAttention(1.0), start, scheme=mine, **few)
    fp.solve(models.CausalAttention(1.0), start, scheme=fp.Scheme(step, "mine", "this test", joint=True), **few)


def test_values_that_were_taken_are_refused_by_name():
    selection = models.SpectralSelection(1.0, np.diag([1.0, 0.5, -1.0]))
    density = fp.Density.from_law(fp.initial.uniform(), lmax=7, rtol=1e-6)
    circle = fp.initial.points(I2)
    for call, argument in (
        (lambda: selection.rates("a"), "mode"),
        (lambda: selection.rates(0.5), "mode"),
        (lambda: selection.rates(0, "half"), "fraction"),
        (lambda: selection.rates(0, np.nan), "fraction"),
        (lambda: selection.alignment(density), "measure"),
        (lambda: selection.alignment(circle), "measure"),
        (lambda: models.NoisyTransformer(1.0, 0.1).threshold(1, d=2.5), "d"),
        (lambda: models.NoisyTransformer(1.0, 0.1).growth_rate(1, d="3"), "d"),
    ):
        with pytest.raises(InputError) as refused:
            call()
        assert refused.value.argument == argument
    tokens = fp.initial.points(I3)
    np.testing.assert_allclose(selection.alignment(tokens), np.full(3, 1 / 3))


def test_remedies_help():
    with pytest.raises(InputError, match=r"SynchronisationByNoise\(draws=8\)"):
        models.IsotropicFlow([1.0, 1.0], d=5)
    with pytest.raises(InputError, match="draws=8"):
        start = fp.initial.samples(fp.initial.uniform(5), 4, 1)
        fp.solve(models.SynchronisationByNoise(1.0), start, t_end=0.1, dt=0.1, measure="cloud", path_cell=0.1)
