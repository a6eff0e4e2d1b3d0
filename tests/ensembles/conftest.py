"""A small ensemble: isotropic noise, a handful of steps at a low degree."""

from dataclasses import dataclass

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.ensembles import ensemble
from fpsolve.errors import UnresolvedError
from fpsolve.models import IsotropicFlow

RUN = {"t_end": 0.2, "dt": 0.1, "path_cell": 0.1, "lmax": 15, "save_every": 0.1, "rtol": 1e-4, "moments_lmax": 3}
LAW = fp.initial.von_mises_fisher([1, 2, 2], 1.5)
MODEL = IsotropicFlow([0.2, 4 * np.pi / 3, 1.0], noise=0.3)


@dataclass(frozen=True)
class Fragile(IsotropicFlow):
    """Loses member ``bad`` at its first step by ``how``."""

    bad: int = 1
    how: str = "unresolved"

    def drawn(self, path, t0, t1, d):
        if path.member == self.bad:
            if self.how == "float":
                raise FloatingPointError("overflow")
            if self.how == "bug":
                raise KeyError("no such thing")
            raise UnresolvedError(t0, "the tail is 0.2", "raise lmax")
        return self


@pytest.fixture
def small():
    """``small(members=3, …)`` runs the small ensemble with some arguments changed."""

    def run(model=MODEL, initial=LAW, **changes):
        return ensemble(model, initial, **{"members": 3, **RUN, **changes})

    return run


@pytest.fixture
def fragile():
    return lambda how="unresolved", bad=1: Fragile(MODEL.spectrum, MODEL.noise, bad=bad, how=how)
