"""The profile of a configuration: rows, shares, and that nothing stays wrapped."""

import re
import time

import pytest

import fpsolve as fp
from fpsolve._kernels import _transport
from fpsolve.cli.profiling import Clock, profile
from fpsolve.errors import InputError
from fpsolve.sphere._shtns import shtns

CONFIG = """
[model]
name = "{model}"
beta = 4.0
{key_query}
[initial]
name = "von_mises_fisher"
mean = [0.0, 0.0, 1.0]
kappa = 2.0
[solve]
t_end = 1.0
dt = 0.01
lmax = 31
measure = "{measure}"
save_every = 0.02
"""


def table(path, steps=2, model="Homogenized", key_query='key_query = "gaussian"', measure="density"):
    """Share by row, and the number of calls."""
    config = path / "config.toml"
    config.write_text(CONFIG.format(model=model, key_query=key_query, measure=measure))
    text = profile(config, steps)
    rows = [re.fullmatch(r"(\w.*?) +([\d.-]+) +([\d.-]+)%(.*)", line) for line in text.splitlines()[1:]]
    return {row[1]: (float(row[3]) / 100, row[4]) for row in rows}, text


def test_rows_of_a_density_run_add_up(tmp_path):
    rows, text = table(tmp_path)
    for name in "scalar synthesis,vector analysis,grid products,recurrence,noise,spectrum,observers".split(","):
        assert rows[name][0] >= 0, text
    shares = [share for name, (share, _) in rows.items() if name != "a step"]
    assert sum(shares) == pytest.approx(1, abs=0.01)
    calls = {name: float(count) for name, (_, count) in rows.items() if count.strip().replace(".", "").isdigit()}
    assert calls["vector analysis"] == calls["recurrence"] > 10  # one recurrence for each application
    assert calls["spectrum"] == 1


@pytest.mark.parametrize(("measure", "row"), [("cloud", "sums at points"), ("half_density", "scalar analysis")])
def test_other_measures_have_rows_of_their_own(tmp_path, measure, row):
    rows, text = table(tmp_path, measure=measure)
    assert row in rows, text


def test_everything_is_put_back(tmp_path):
    before = [vars(shtns.sht)["SH_to_spat"], _transport.flux, dict(vars(fp.models.SelfAttention))]
    table(tmp_path, model="SelfAttention", key_query="")
    assert [vars(shtns.sht)["SH_to_spat"], _transport.flux, dict(vars(fp.models.SelfAttention))] == before
    assert "noise_field" not in vars(fp.models.SelfAttention)  # inherited, and so again


def test_steps_are_whole_saves_within_the_run(tmp_path):
    assert "over 4 steps" in table(tmp_path, steps=3)[1]


def test_bad_number_of_steps_is_refused(tmp_path):
    with pytest.raises(InputError, match="steps"):
        profile(tmp_path / "config.toml", 0)


def test_inner_calls_count_once():
    clock = Clock()
    inner = clock.timed("inner", lambda: time.sleep(0.02))
    clock.timed("outer", lambda: [inner(), inner()])()
    assert clock.calls == {"inner": 2, "outer": 1}
    assert clock.seconds["inner"] >= 0.04
    assert clock.seconds["outer"] < clock.seconds["inner"] / 2
