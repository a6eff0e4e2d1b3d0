"""What users set around the package changes no number: NumPy's errors, warnings, streams; names are told."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from tests.command import FPSOLVE, python, said

LAW = "fp.initial.von_mises_fisher([0.2, -0.5, 1.0], 30.0)"
RUN = f"""
import sys, numpy as np, fpsolve as fp
SETTING
for model, measure in ((fp.models.Homogenized(2.0, "gaussian"), "density"), (fp.models.SelfAttention(3.0), "cloud")):
    ds = fp.solve(model, {LAW}, t_end=0.02, dt=0.01, lmax=63, measure=measure, moments_lmax=2)
    sys.stdout.write(ds.mean_vector.values.tobytes().hex() + " ")
"""


@pytest.fixture(scope="module")
def plain():
    return said("-W", "ignore", "-c", RUN.replace("SETTING", ""))


@pytest.mark.parametrize(
    "setting",
    [
        'np.seterr(all="raise")',
        "sys.stderr = None",
        "sys.stderr = type('S', (), {'write': print, 'flush': lambda self: None})()",
    ],
)
def test_surroundings_change_nothing(plain, setting):
    assert said("-W", "ignore", "-c", RUN.replace("SETTING", setting)) == plain


def test_warnings_that_are_errors_stop_nothing_that_is_resolved(plain):
    assert said("-W", "error", "-c", RUN.replace("SETTING", "")) == plain


def test_the_public_names_alone_are_listed():
    assert set(dir(fp)) == {*fp.__all__, "__version__"}
    assert set(dir(fp.initial)) == {"LAWS", *fp.initial.LAWS}
    for place in (fp, fp.initial, fp.models, fp.theory, fp.transformer, fp.plot, fp.stationary):
        assert all(getattr(place, name) is not None for name in dir(place))


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: fp.models.Homogenized(betta=2.0), "beta"),
        (lambda: fp.models.SelfAttention(1.0, valeu=2.0), "value"),
        (lambda: fp.initial.von_mises_fisher(mean=[0, 0, 1], kapa=2.0), "kappa"),
        (lambda: fp.initial.uniform(dim=3), "d"),
        (lambda: fp.Cloud(np.eye(3), weight=np.ones(3) / 3), "weights"),
    ],
)
def test_an_unknown_keyword_is_told_with_the_nearest(call, near):
    with pytest.raises(InputError, match=f"did you mean '{near}'"):
        call()


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match=r"^beta = \(nothing\): is required by Homogenized"):
        fp.models.Homogenized(noise=1.0)


def test_unit_rows_in_single_precision_are_unit_rows():
    rows = np.random.default_rng(1).normal(size=(500, 3))
    single = (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32)
    law = fp.initial.points(single)
    assert np.abs((law.x**2).sum(1) - 1).max() < 1e-15 and np.abs(law.x - single).max() < 1e-7
    with pytest.raises(InputError, match="off the unit sphere"):
        fp.initial.points(single.astype(float) * (1 + 1e-6))


def test_options_without_effect_are_refused(tmp_path):
    refused = [(["--steps", "3"], "nothing to profile"), (["--json", "--profile", "x.toml"], "leave out --js")]
    for words, told in refused:
        done = python(*FPSOLVE, "info", *words, cwd=tmp_path)
        assert done.returncode == 2 and told in done.stderr
