"""The profile of a configuration: rows, shares, sums, and that nothing stays wrapped."""

import re
import sys
import time
from itertools import count

import pytest

import fpsolve as fp
from fpsolve._kernels import _transport
from fpsolve.cli import profiling
from fpsolve.cli.profiling import Clock, Profile, profile
from fpsolve.errors import InputError, UnderResolvedWarning
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


ONCE = ("set-up", "result", "all")


@pytest.fixture(autouse=True)
def few_runs(monkeypatch):
    monkeypatch.setattr(profiling, "ROUNDS", (1, 1))


def table(path, steps=2, model="Homogenized", key_query='key_query = "gaussian"', measure="density"):
    """(milliseconds, share, calls) of each row of a step, milliseconds of what is done once, and the text."""
    config = path / "config.toml"
    config.write_text(CONFIG.format(model=model, key_query=key_query, measure=measure))
    text = profile(config, steps)
    lines = text.splitlines()[1:]
    rows = [re.fullmatch(r"(\w.*?) +([\d.-]+) +([\d.-]+)% *([\d.]*)", line) for line in lines[: -len(ONCE)]]
    once = [re.fullmatch(r"([\w-]+) +([\d.]+)  \w.*", line) for line in lines[-len(ONCE) :]]
    assert tuple(row[1] for row in once) == ONCE, text
    each = {row[1]: (float(row[2]), float(row[3]) / 100, float(row[4] or "nan")) for row in rows}
    return each, {row[1]: float(row[2]) for row in once}, text


def test_rows_of_a_density_run_add_up(tmp_path):
    rows, once, text = table(tmp_path, steps=4)
    step, share, _ = rows.pop("a step")
    tolerance = 1e-3 * (len(rows) + 1)  # the digits of each row
    assert sum(milliseconds for milliseconds, *_ in rows.values()) == pytest.approx(step, abs=tolerance), text
    assert sum(share for _, share, _ in rows.values()) == pytest.approx(1, abs=0.01) and share == 1
    assert 4 * step + once["set-up"] + once["result"] == pytest.approx(once["all"], abs=4e-3), text


def test_rows_of_a_density_run(tmp_path):
    rows, _, text = table(tmp_path)
    named = "scalar synthesis,vector synthesis,grid products,Chebyshev series,noise,spectrum,scheme,transport,checks"
    for name in named.split(","):
        assert rows[name][1] >= 0, text
    calls = {name: row[2] for name, row in rows.items()}
    assert calls["transport"] == calls["Chebyshev series"] == calls["scheme"] == 1
    assert calls["observers"] == 0.5  # every second step is saved; the first state belongs to the set-up
    assert calls["spectrum"] == 2.0  # of every step, and looked up by the observers for noise_tail and noise_level


def test_isotropic_noise_of_a_fixed_law_has_its_row(tmp_path):
    rows, _, text = table(tmp_path, model="SynchronisationByNoise", key_query='activation = "tanh"')
    assert rows["spectrum"][2] == 1.5, text  # of every step, and by the observers


def test_milliseconds_are_those_of_the_clock(tmp_path, monkeypatch):
    """On a clock that goes on by a second at each look, a call in which nothing else is timed takes a second."""
    looks = count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(looks)))
    rows, once, text = table(tmp_path, steps=4)
    for name in ("Chebyshev series", "vector synthesis"):
        assert rows[name][0] == 1000 * rows[name][2] > 0, text
    assert once["all"] == 4 * rows["a step"][0] + once["set-up"] + once["result"], text


def test_the_dataset_is_outside_the_steps(tmp_path, monkeypatch):
    solving = sys.modules["fpsolve.solving"]
    assemble = solving.dataset

    def slow(*arguments):
        time.sleep(0.3)
        return assemble(*arguments)

    monkeypatch.setattr(solving, "dataset", slow)
    rows, once, text = table(tmp_path)
    assert once["result"] >= 300 and rows["a step"][0] < 150, text
    assert solving.dataset is slow


def test_the_table_of_given_seconds():
    seconds, calls = {"noise": 0.1, "spectrum": 0.2}, {"noise": 6, "spectrum": 4}
    text = Profile(4, 1.0, 0.25, 0.35, seconds, calls).as_text(3)
    assert text.splitlines() == [
        "where                ms a step   share  calls a step",
        "spectrum                50.000   50.0%             1",
        "noise                   25.000   25.0%           1.5",
        "rest                    25.000   25.0%",
        "a step                 100.000  100.0%",
        "set-up                 250.000  once",
        "result                 350.000  once",
        "all                   1000.000  4 steps, the quickest of 3 such runs",
    ]


def test_the_quickest_of_several_runs_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(profiling, "ROUNDS", (3, 3))
    totals = iter([0.1, 5.0, 3.0, 4.0])  # the first one makes plans and is not measured
    monkeypatch.setattr(profiling, "_measured", lambda *_: Profile(2, next(totals), 0.0, 0.0, {}, {}))
    rows, once, text = table(tmp_path)
    assert once["all"] == 3000 and rows["a step"][0] == 1500 and "of 3 such runs" in text


@pytest.mark.parametrize(("measure", "row"), [("cloud", "sums at points"), ("half_density", "scalar analysis")])
def test_other_measures_have_rows_of_their_own(tmp_path, measure, row):
    rows, _, text = table(tmp_path, measure=measure)
    assert row in rows, text


def test_everything_is_put_back(tmp_path):
    before = [vars(shtns.sht)["SH_to_spat"], _transport.flux, dict(vars(fp.models.SelfAttention))]
    table(tmp_path, model="SelfAttention", key_query="")
    assert [vars(shtns.sht)["SH_to_spat"], _transport.flux, dict(vars(fp.models.SelfAttention))] == before
    assert "noise_field" not in vars(fp.models.SelfAttention)  # inherited, and so again


def test_steps_are_whole_saves_within_the_run(tmp_path):
    assert "  4 steps, " in table(tmp_path, steps=3)[2]


def test_steps_are_those_that_a_policy_lets_be(tmp_path):
    """Where the law outgrows its degree the run ends early, and a step is one of those that were made."""
    text = CONFIG.format(model="Homogenized", key_query="", measure="density").replace("lmax = 31", "lmax = 11")
    config = tmp_path / "config.toml"
    config.write_text(text.replace("kappa = 2.0", "kappa = 8.0") + 'on_underresolved = "stop"\n')
    with pytest.warns(UnderResolvedWarning, match="the run ends at t = ") as warned:
        steps = int(re.search(r"  (\d+) steps, ", profile(config, 50))[1])
    reached = float(re.search(r"ends at t = ([\d.]+)", str(warned[-1].message))[1])
    assert steps == round(reached / 0.01) < 50


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
