"""Run(2T) is Run(T) and a restart, bit for bit: every model, measure and scheme, in a fresh process."""

from pathlib import Path

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.policies import POLICIES
from fpsolve.solving import prepare
from tests.command import said

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 2 * t**4, 4)
LONGER = {"dt": 0.02, "path_cell": 0.02, "save_every": 0.06, "lmax": 9, "seed": 5, "t_end": 0.24}
CLOUD = {"save_flow": True, "measure": "cloud"}
DENSITY = {"measure": "density"}
HANDED_OVER = {**DENSITY, "on_underresolved": "cloud", "lmax_cap": 19, "save_flow": True, "save_points": True}
IN_PLACE = {"lmax_cap": 19, "save_flow": True}
SHORT = {"t_end": 0.06, "rtol": 1e-3}
SPECIAL = {
    **{
        f"policy {name}": (FLOW, {**DENSITY, "on_underresolved": name})
        for name in POLICIES
        if name not in ("refine", "cloud")
    },
    **{f"policy {name}": (FLOW, {**DENSITY, "on_underresolved": name, "lmax_cap": 19}) for name in ("refine", "cloud")},
    "flow lie_euler": (FLOW, CLOUD),
    "transport midpoint": (FLOW, {"transport": "midpoint", **SHORT}),
    "transport petsc": (FLOW, {"transport": "petsc", **SHORT}),
    "flow rk4": (fp.models.SelfAttention(beta=2.0), CLOUD),
    "hand-over": (FLOW, HANDED_OVER),
    "hand-over rk4": (fp.models.SelfAttention(beta=2.0, value=6.0), HANDED_OVER),
    "in place": (FLOW, IN_PLACE),
    "in place rk4": (fp.models.SelfAttention(beta=2.0, value=6.0), IN_PLACE),
}
"""Runs whose result hangs on more than their states."""


def half(name, folder):
    """The output of one half of the program ``restart_cases``, by case."""
    program = str(Path(__file__).with_name("restart_cases.py"))
    return dict(line.split(" | ") for line in said(program, name, str(folder), timeout=600).splitlines())


def test_every_model_measure_and_scheme_goes_on_in_a_fresh_process(tmp_path):
    """The first process runs to 2T, and to T with a checkpoint; the second from that to 2T."""
    whole, restarted = half("first", tmp_path), half("second", tmp_path)
    assert whole == restarted
    for names, place in ((fp.MODELS, 0), (fp.MEASURES, -2), (fp.SCHEMES, -1)):
        taken = {label.split(" ")[place].split(",")[0] for label, digest in whole.items() if digest != "refused"}
        assert taken == set(names)
    assert len(set(whole.values())) > 120  # the runs differ from each other


@pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")
@pytest.mark.parametrize("name", SPECIAL)
def test_stopped_after_every_step(name, tmp_path):
    """Twelve steps, every third state saved; policies act, fields are collected across the stops.

    A cloud that takes over is stopped in every step of its catching up too.
    """
    model, special = SPECIAL[name]
    if special.get("transport") == "petsc":
        pytest.importorskip("petsc4py")
    whole = prepare(model, LAW, **{**LONGER, **special}).run()
    for _ in range(30):
        asked = iter([False, True])
        try:
            job = prepare(model, LAW, **{**LONGER, **special})
            ds = job.run(checkpoint=tmp_path / "run.ckpt", stop=lambda asked=asked: next(asked))
            break
        except fp.errors.Interrupted:
            continue
    assert ds.identical(whole)
    acted = {"stop": "stopped_at", "filter": "filtered_from", "refine": "refined_from", "cloud": "handed_over_at"}
    assert not name.startswith("hand-over") or {"flow", "points", "weights"} <= set(ds)
    if name.removeprefix("policy ") in acted:
        assert acted[name.removeprefix("policy ")] in ds.attrs


@pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")
def test_a_finished_run_goes_on_to_a_later_end(tmp_path):
    short, long = {**LONGER, "t_end": 0.12}, LONGER
    first = fp.solve(FLOW, LAW, **short, checkpoint=tmp_path / "a")
    again = fp.solve(FLOW, LAW, **short, checkpoint=tmp_path / "a")
    assert first.identical(again)
    assert fp.solve(FLOW, LAW, **long, checkpoint=tmp_path / "a").identical(fp.solve(FLOW, LAW, **long))


def test_strided_arrays_make_no_difference(tmp_path):
    """Points and weights that lie in every other place of a larger array."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 6))[::2, ::2]
    state = fp.Cloud(x / np.linalg.norm(x, axis=1, keepdims=True), np.broadcast_to(1 / 20, 20), tokens=True)
    model = fp.models.SelfAttention(beta=2.0, diffusion=0.1)
    few = {"dt": 0.1, "path_cell": 0.1, "measure": "cloud", "save_points": True}
    fp.solve(model, state, t_end=0.2, checkpoint=tmp_path / "a", **few)
    restarted = fp.solve(model, state, t_end=0.4, checkpoint=tmp_path / "a", **few)
    assert restarted.identical(fp.solve(model, state, t_end=0.4, **few))


def test_a_scheme_with_a_memory_would_be_seen(tmp_path):
    """The comparison fails for a scheme that carries something from step to step beside the measure."""
    memory = []

    def leaky(model, measure, path, t0, t1):
        memory.append(t0)
        return measure.transport((t1 - t0) * len(memory) * model.flow_drift(measure.source))

    few = {"dt": 0.1, "lmax": 9, "scheme": fp.Scheme(leaky, "leaky", "this test")}
    model = fp.models.SelfAttention(beta=2.0)
    whole = fp.solve(model, LAW, t_end=0.4, **few)
    memory.clear()
    fp.solve(model, LAW, t_end=0.2, checkpoint=tmp_path / "a", **few)
    memory.clear()
    assert not fp.solve(model, LAW, t_end=0.4, checkpoint=tmp_path / "a", **few).identical(whole)
