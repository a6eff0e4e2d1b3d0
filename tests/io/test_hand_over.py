"""Checkpoints of runs under ``measure="auto"``: taken up at any step they have the bits of one go."""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.errors import InputError, Interrupted, UnderResolvedWarning
from fpsolve.io.checkpoint import read
from fpsolve.solving import prepare

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
SQUARED = fp.initial.function(lambda x: 3 / (4 * np.pi) * x[..., 2] ** 2)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
RUN = {"t_end": 0.24, "dt": 0.02, "path_cell": 0.02, "save_every": 0.06, "lmax": 21, "rtol": 1e-4, "seed": 5}
DRIFT = {"t_end": 1.2, "dt": 0.1, "save_every": 0.3, "lmax": 9, "rtol": 1e-4}
CATCHES_UP = {"lmax": 15, "measure": "density", "on_underresolved": "cloud"}
CASES = {
    "noise": (FLOW, LAW, RUN),
    "noise, heun": (FLOW, LAW, {**RUN, "scheme": "heun"}),
    "noise, points": (FLOW, LAW, {**RUN, "on_underresolved": "cloud"}),
    "drift": (fp.models.SelfAttention(beta=2.0, value=3.0), LAW, DRIFT),
    "zeros, which catch up": (FLOW, SQUARED, {**RUN, **CATCHES_UP}),
}


def job(name, save_flow):
    model, law, run = CASES[name]
    more = {"save_points": True} if name.endswith("points") else {}
    return prepare(model, law, **run, **more, save_flow=save_flow)


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        yield


@pytest.mark.parametrize("save_flow", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_stopped_after_any_step_it_goes_on_to_the_same_bits(name, save_flow, tmp_path):
    """Stopped once, after each step in turn; the state in the checkpoint is that of a density, then a cloud's."""
    whole, kinds = job(name, save_flow).run(), []
    assert ("flow" in whole) == save_flow and 0 < whole.handed_over_at < whole.time.values[-1]
    for n in range(1, 100):
        file, asked = tmp_path / f"{n}.ckpt", []

        def stop(asked=asked, n=n):
            asked.append(1)
            return len(asked) > n

        try:
            ds = job(name, save_flow).run(checkpoint=file, stop=stop)
        except Interrupted:
            kinds.append(read(file)[0].state.name)
            ds = job(name, save_flow).run(checkpoint=file)
        assert ds.identical(whole), f"stopped after {n} steps"
        if len(asked) <= n:
            break
    assert len(set(kinds)) == 2 and kinds == sorted(kinds, key=lambda kind: kind == "cloud")


@pytest.mark.parametrize("save_flow", [False, True])
def test_stopped_after_every_step_it_comes_to_the_same_bits(save_flow, tmp_path):
    whole = job("noise", save_flow).run()
    for _ in range(20):
        asked = iter([False, True])
        try:
            ds = job("noise", save_flow).run(checkpoint=tmp_path / "a", stop=lambda asked=asked: next(asked))
            break
        except Interrupted:
            continue
    assert ds.identical(whole)


def test_a_flow_across_the_hand_over_is_zoomed_from_the_start(tmp_path):
    """That of a run taken up behind its hand-over, against the characteristics of the law on the same path."""
    with pytest.raises(Interrupted):
        job("noise", True).run(checkpoint=tmp_path / "a", stop=iter([False] * 9 + [True] * 9).__next__)
    ds = job("noise", True).run(checkpoint=tmp_path / "a")
    cloud = fp.solve(FLOW, LAW, **{**RUN, "lmax": 63, "rtol": 1e-6}, measure="cloud", save_flow=True)
    here, there = (fp.zoom(one, [0, 0, 1], 0.4, n=8) for one in (ds, cloud))
    assert ds.sizes["step"] == 12 and ds.handed_over_at < 9 * 0.02
    np.testing.assert_allclose(here.density, there.density, rtol=2e-3)


def test_another_measure_is_another_run(tmp_path):
    """What ``auto`` stands for is the same run by its name; a density is none."""
    file, run = tmp_path / "a.ckpt", {**RUN, "t_end": 0.12}
    first = fp.solve(FLOW, LAW, **run, checkpoint=file)
    assert fp.solve(FLOW, LAW, **run, measure="log_density", on_underresolved="cloud", checkpoint=file).identical(first)
    for other in ({"measure": "density"}, {"measure": "log_density"}, {"on_underresolved": "stop"}):
        with pytest.raises(InputError, match=r"^checkpoint = .*belongs to another run"):
            fp.solve(FLOW, LAW, **run, **other, checkpoint=file)


@dataclass(frozen=True)
class Gentle(fp.policies.Filter):
    """A filter of one's own."""

    strength: float = 0.1
    name: ClassVar[str] = "gentle"


@pytest.mark.parametrize(
    ("asked", "measure"),
    [
        ({"save_points": True}, "cloud"), ({"save_points": True, "on_underresolved": "cloud"}, "log_density"),
        ({"save_points": True, "on_underresolved": {"name": "cloud", "lmax_cap": 30}}, "log_density"),
        ({"save_points": True, "on_underresolved": fp.policies.HandOver()}, "log_density"),
        ({"on_underresolved": Gentle()}, "density"), ({"on_underresolved": fp.policies.Filter(0.1)}, "density"),
        ({"on_underresolved": {"name": "filter", "strength": 0.1}}, "density"),
    ],
)  # fmt: skip
def test_a_policy_that_was_asked_for_has_the_measure_that_it_needs(asked, measure):
    assert prepare(FLOW, LAW, **RUN, **asked).state.name == measure
