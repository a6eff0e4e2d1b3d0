"""What would fill the memory or never end is refused at once, before anything of its size is made."""

import pytest

import fpsolve as fp
from fpsolve.errors import InputError

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
MODEL = fp.models.IsotropicFlow([0.1, 0.1])
RUN = {"t_end": 0.02, "dt": 0.01, "lmax": 15}
HUGE = 10**12


def compared(**asked):
    return fp.compare(fp.models.Homogenized(2.0, "gaussian"), LAW, **RUN, **asked)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: fp.initial.samples(LAW, HUGE, 1), "n"),
        (lambda: fp.models.SynchronisationByNoise(1.0, draws=HUGE), "draws"),
        (lambda: fp.models.Ballistic(1.0, key_query="gaussian", draws=HUGE), "draws"),
        (lambda: fp.models.DrawnHeads(1.0, heads=HUGE), "heads"),
        (lambda: fp.solve(MODEL, LAW, t_end=1e9, dt=0.01, lmax=15), "t_end"),
        (lambda: fp.solve(MODEL, LAW, t_end=1e7, dt=0.02, path_cell=0.02, lmax=15), "save_every"),
        (lambda: fp.solve(fp.models.SelfAttention(2e6), LAW, **RUN), "beta"),
        (lambda: fp.theory.simplex_shares(0.1, 2e6, 4, key_query="gaussian"), "beta"),
        (lambda: fp.BrownianPath(1).increment(0.0, 0.01, HUGE), "channels"),
        (lambda: fp.ensemble(MODEL, LAW, members=2, sweep={"noise": range(HUGE)}, **RUN), "sweep.noise"),
        (lambda: fp.ensemble(MODEL, LAW, members=2, sweep={"noise": range(10**30)}, **RUN), "sweep.noise"),
        (lambda: fp.ensemble(MODEL, LAW, members=2, sweep={"noise": range(5000), "kappa": range(5000)}, **RUN),
         "sweep.kappa"),
        (lambda: fp.ensemble(MODEL, LAW, members=HUGE, **RUN), "members"),
        (lambda: fp.ensemble(MODEL, LAW, members=range(10**30), **RUN), "members"),
        (lambda: compared(samples=HUGE), "samples"),
        (lambda: compared(members=HUGE), "members"),
        (lambda: compared(wasserstein_cells=10**7), "wasserstein_cells"),
        (lambda: compared(tokens=range(10, HUGE)), "tokens"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_it_is_refused_by_name(call, argument):
    with pytest.raises(InputError) as refused:
        call()
    assert refused.value.argument == argument


def test_what_fits_is_drawn():
    assert fp.initial.samples(LAW, 10_000, 1).x.shape == (10_000, 3)
