"""Policies as objects: those of the package with parameters, and a user's own in runs, checkpoints and ensembles."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.config import parse_config
from fpsolve.errors import InputError, Interrupted
from fpsolve.notes import FILTERED, NOTES, STOPPED, Note
from fpsolve.policies import CAP, POLICIES, Filter, HandOver, Policy, Refine, filtered, may_follow_points, policy_of
from fpsolve.solving import prepare

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
RUN = {"t_end": 0.3, "dt": 0.02, "path_cell": 0.02, "seed": 2, "lmax": 15, "measure": "density"}

pytestmark = pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")

STRONGLY = Note("strongly_from", "time of a strong filter", begins=lambda before, state, _: (state.filter or 0) > 0.1)


@dataclass(frozen=True)
class Gradual(Policy):
    """Double the filter, from a tenth of the usual limits on."""

    strongest: float = 0.32
    notes: ClassVar[tuple] = (FILTERED, STRONGLY, STOPPED)

    def limit(self, state, defect):
        return 0.1 * defect.limit

    def successor(self, state, shown=()):
        strength = max(0.02, 2 * (state.filter or 0.0))
        return filtered(state, strength) if strength <= self.strongest else None


def test_an_own_policy_acts_at_its_limit_by_its_successor_with_its_notes():
    ds = fp.solve(FLOW, LAW, **RUN, on_underresolved=Gradual())
    strengths = ds["filter"].values
    assert set(strengths) <= {0.0, 0.02, 0.04, 0.08, 0.16, 0.32} and (np.diff(strengths) >= 0).all()
    assert (ds.tail.values[strengths < 0.32] <= 1e-4).all(), "a tenth of 1e-3, while it can do something"
    first = float(ds.time.values[strengths > 0][0])
    assert ds.filtered_from == pytest.approx(first)
    assert ds.strongly_from == pytest.approx(float(ds.time.values[strengths > 0.1][0])) and "stopped_at" not in ds.attrs
    usual = fp.solve(FLOW, LAW, **RUN, on_underresolved="filter")
    assert first < usual.filtered_from and np.array_equal(ds.moments[:2], usual.moments[:2])
    told = json.loads(ds.fpsolve_config)["solve"]["on_underresolved"]
    assert told["name"] == "Gradual" and told["strongest"] == 0.32 and len(told["source"]) == 16


def test_checkpoints_know_an_own_policy(tmp_path):
    whole = fp.solve(FLOW, LAW, **RUN, on_underresolved=Gradual())
    asked = iter([False] * 8 + [True])
    with pytest.raises(Interrupted):
        prepare(FLOW, LAW, **RUN, on_underresolved=Gradual()).run(checkpoint=tmp_path / "a", stop=lambda: next(asked))

    @dataclass(frozen=True)
    class Other(Gradual):
        name: ClassVar[str] = "Gradual"

    for other in (Gradual(0.16), Other(), "filter"):
        with pytest.raises(InputError, match=r"another run \(solve.on_underresolved"):
            fp.solve(FLOW, LAW, **RUN, on_underresolved=other, checkpoint=tmp_path / "a")
    assert fp.solve(FLOW, LAW, **RUN, on_underresolved=Gradual(), checkpoint=tmp_path / "a").identical(whole)


def test_an_ensemble_has_the_notes_of_an_own_policy_as_variables(tmp_path):
    ds = fp.ensemble(FLOW, LAW, members=2, **RUN, on_underresolved=Gradual(), output=tmp_path / "a.zarr")
    alone = fp.solve(FLOW, LAW, **RUN, member=1, on_underresolved=Gradual())
    assert float(ds.strongly_from.sel(member=1)) == alone.strongly_from and ds.strongly_from.long_name
    assert np.array_equal(ds.moments.sel(member=1), alone.moments) and (ds.status == 1).all()
    swept = fp.ensemble(FLOW, LAW, members=1, **RUN, sweep={"on_underresolved": ["filter", Gradual(), Gradual(0.08)]})
    assert np.array_equal(swept["filter"].values[1, 0], ds["filter"].values[0])
    assert swept["filter"].max(("member", "time")).values.tolist() == [0.15, 0.32, 0.08]


def test_names_are_short_for_objects_and_configurations_hold_both():
    one = fp.solve(FLOW, LAW, **RUN, on_underresolved="refine", lmax_cap=31)
    other = fp.solve(FLOW, LAW, **RUN, on_underresolved=Refine(31))
    assert one.identical(other) and json.loads(one.fpsolve_config)["solve"]["on_underresolved"] == "refine"
    strong = fp.solve(FLOW, LAW, **RUN, on_underresolved=Filter(0.3))
    assert strong["filter"].values[-1] == 0.3
    config = {"model": {"name": "IsotropicFlow", "spectrum": FLOW.spectrum}, "initial": LAW.recipe}
    table = {"name": "filter", "strength": 0.3}
    assert json.loads(strong.fpsolve_config)["solve"]["on_underresolved"] == table
    assert parse_config({**config, "solve": {**RUN, "on_underresolved": table}}).solve().identical(strong)
    assert [policy_of(name).recorded() for name in POLICIES] == list(POLICIES)
    assert may_follow_points("cloud") and may_follow_points({"name": "cloud"}) and not may_follow_points("Gradual")


@pytest.mark.parametrize(
    ("given", "more", "words"),
    [
        ("wait", {}, r"^on_underresolved = 'wait'"),
        (3, {}, r"^on_underresolved = 3: should be"),
        ({"name": "filter", "strenth": 1.0}, {}, r"^on_underresolved\.strenth = 1\.0"),
        (Refine(31), {"lmax_cap": 63}, r"^lmax_cap = 63: on_underresolved='refine' has a cap of its own"),
        (Gradual(), {"lmax_cap": 63}, r"^lmax_cap = 63: on_underresolved='Gradual' raises no degree"),
        (Refine(15), {}, r"^lmax_cap = 15: must be an integer above lmax = 15"),
        (HandOver(3), {}, r"^lmax_cap = 3: must be an integer >= 4"),
        (Gradual(), {"measure": "cloud"}, r"^on_underresolved = 'Gradual': points have no degree"),
    ],
)
def test_what_is_no_policy_or_cannot_be_followed(given, more, words):
    with pytest.raises(InputError, match=words):
        fp.solve(FLOW, LAW, **{**RUN, **more}, on_underresolved=given)


def test_a_filter_of_no_strength_is_refused():
    with pytest.raises(InputError, match=r"^strength = 0"):
        Filter(0.0)


def test_every_policy_says_what_it_does_and_notes_what_results_know():
    assert CAP == Refine().lmax_cap == HandOver().lmax_cap
    for one in POLICIES.values():
        assert one.sentence and {note.name for note in one.notes} <= set(NOTES)
