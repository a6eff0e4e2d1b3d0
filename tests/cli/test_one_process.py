"""A run is the work of one process, and its warnings are lines."""

import pytest

import fpsolve as fp
from fpsolve.errors import InputError
from tests.command import FPSOLVE, python

CONFIG = """
[model]
name = "SelfAttention"
beta = 2.0
[initial]
name = "von_mises_fisher"
mean = [0, 0, 1]
kappa = 2.0
[solve]
t_end = 1.5
dt = 0.05
lmax = 8
"""


@pytest.mark.parametrize(("command", "why"), [("run", "know nothing of each other"), ("compare", "one process")])
def test_several_ranks_are_refused_at_once(tmp_path, monkeypatch, command, why):
    """Here no launcher has started two, so that MPI knows of one."""
    (tmp_path / "a.toml").write_text(CONFIG)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    done = python(*FPSOLVE, command, "a.toml", cwd=tmp_path)
    assert done.returncode == 2 and why in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["a.toml"]


def test_a_warning_is_one_line_without_a_place(tmp_path):
    (tmp_path / "a.toml").write_text(CONFIG)
    done = python(*FPSOLVE, "run", "a.toml", "--set", "solve.measure=density", cwd=tmp_path)
    told = [line for line in done.stderr.splitlines() if "under-resolved" in line]
    assert len(told) == 1 and told[0].startswith("fpsolve: warning: the density is under-resolved")
    assert ".py" not in done.stderr and "return " not in done.stderr


def test_the_same_in_python_is_a_warning_at_the_callers_line():
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    with pytest.warns(fp.errors.UnderResolvedWarning) as seen:
        fp.solve(fp.models.SelfAttention(2.0), law, t_end=1.5, dt=0.05, lmax=8, measure="density")
    assert seen[0].filename == __file__
    with pytest.raises(InputError):
        fp.solve(fp.models.SelfAttention(2.0), law, t_end=0.6)
