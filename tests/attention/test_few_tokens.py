"""Spectra of a few tokens, whose attention is a direct sum: by their moments, against log M at every site."""

from __future__ import annotations

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.attention.source import PointSource
from fpsolve.attention.spectrum import spectrum_engine


@pytest.mark.parametrize("kind", ["gaussian", "product"])
@pytest.mark.parametrize(("count", "kappa"), [(1, 2.0), (2, 0.1), (30, 2.0), (100, 30.0)])
def test_the_spectrum_of_few_tokens(kind: str, count: int, kappa: float) -> None:
    engine = spectrum_engine(KeyQueryLaw(kind, 1.0, 3), 4.0, 1.0, 12)
    tokens = fp.initial.samples(fp.initial.von_mises_fisher([0.6, 0.0, 0.8], kappa), count, seed=3)
    source = fp.Cloud(tokens.x, tokens.weights).source
    assert isinstance(source, PointSource)
    direct = np.stack([source.log_M_sphere(float(r), engine.grid) for r in engine.radii])
    np.testing.assert_allclose(engine.of(source), engine.spectrum(direct), rtol=0, atol=2e-6 * 4 * np.pi)
