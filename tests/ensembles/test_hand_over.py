"""Ensembles under ``measure="auto"``: members hand over at times of their own, go on as clouds and count to the end."""

import warnings

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.cli.ensembling import plan_ensemble
from fpsolve.ensembles import ensemble, statistics
from fpsolve.errors import Interrupted, UnderResolvedWarning
from fpsolve.models import IsotropicFlow
from tests.ensembles.conftest import LAW

SHARP = IsotropicFlow([0.2, 4.0, 1.0], noise=0.25)
"""Noise that the degree 15 follows for some of the members to the end, for the others not."""
SHARPER = IsotropicFlow(SHARP.spectrum, 0.4)
FINE = {"t_end": 0.4, "dt": 0.05, "path_cell": 0.05, "lmax": 15, "moments_lmax": 3, "save_every": 0.1,
        "members": 8, "progress": False}  # fmt: skip


@pytest.fixture(scope="module")
def handed_over():
    return ensemble(SHARP, LAW, **FINE)


def test_members_hand_over_at_their_own_times(handed_over):
    """``cloud_error`` is NaN before, ``tail`` from then on; some members stay what they were."""
    ds, at = handed_over, handed_over.handed_over_at
    assert at.notnull().any() and at.isnull().any() and len(set(at.values[at.notnull().values])) > 1
    later = (ds.time > at - 1e-9).transpose("member", "time")
    assert (ds.cloud_error.notnull() == later).all() and (ds.tail.isnull() == later).all()
    assert ((ds.method == "cloud") == later).all() and ((ds.method == "log_density") == ~later).all()
    assert ds.cloud_error.max() < 1e-3 and ds.cloud_unresolved_from.isnull().all()
    assert (ds.status == 1).all() and ds.unresolved_from.isnull().all() and ds.stopped_at.isnull().all()


def test_members_count_to_the_end(handed_over):
    """Means are over all members; of what clouds and densities have alone over those that have it, counted."""
    found = statistics(handed_over)
    assert (found["count"] == 8).all() and found.underresolved == 0 and found.failed == 0
    np.testing.assert_allclose(found.overlap_mean, handed_over.overlap.mean("member"), rtol=1e-13)
    clouds = handed_over.cloud_error.notnull().sum("member")
    assert "overlap_count" not in found and (found.cloud_error_count == clouds).all()
    assert (found.tail_count == 8 - clouds).all()
    np.testing.assert_allclose(found.cloud_error_mean, handed_over.cloud_error.mean("member"), rtol=1e-13)


def test_they_are_right(handed_over):
    """Against clouds from the beginning, of a higher degree."""
    clouds = ensemble(SHARP, LAW, **{**FINE, "lmax": 47}, measure="cloud")
    assert abs(handed_over.moments - clouds.moments).max() < 1e-4


def test_a_member_whose_cloud_is_too_coarse_says_so_and_counts():
    """The error of its quadrature says how far it may be trusted."""
    coarse = {**FINE, "lmax": 7, "lmax_cap": 7, "on_underresolved": "cloud"}
    ds = ensemble(IsotropicFlow(SHARP.spectrum, 1.0), LAW, **coarse)
    begun = ds.cloud_unresolved_from
    assert begun.notnull().any() and (statistics(ds)["count"] == 8).all() and (ds.status == 1).all()
    assert (ds.cloud_error.max("time") > 1e-3)[begun.notnull().values].all()


@pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")
def test_every_member_is_its_run_alone(handed_over, tmp_path):
    """Also from a store: those that hand over and those that do not, which have no ``cloud_error``."""
    ensemble(SHARP, LAW, output=tmp_path / "a.zarr", **FINE)
    stored = fp.load(tmp_path / "a.zarr")
    about = {key: value for key, value in FINE.items() if key not in ("members", "progress")}
    for member in range(8):
        alone = fp.solve(SHARP, LAW, member=member, **about)
        assert ("cloud_error" in alone) == bool(handed_over.handed_over_at.notnull()[member])
        for ds in (handed_over, stored):
            assert ds.isel(member=member, drop=True).identical(alone)


def test_a_laws_own_measure_at_every_point_of_a_sweep():
    """A band has zeros and stays a density, as does ν > 0, which no cloud takes over from."""
    model, laws = fp.models.NoisyTransformer(1.0, 0.0), [LAW, fp.initial.band([0, 0, 1])]
    about = {"t_end": 0.2, "dt": 0.1, "lmax": 15, "members": 1, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        ds = ensemble(model, LAW, sweep={"initial": laws, "diffusion": [0.0, 0.1]}, **about)
        for n, law in enumerate(laws):
            for k, nu in enumerate((0.0, 0.1)):
                alone = fp.solve(fp.models.NoisyTransformer(1.0, nu), law, **{
                    key: value for key, value in about.items() if key not in ("members", "progress")})  # fmt: skip
                assert ds.isel(initial=n, diffusion=k, member=0, drop=True).identical(alone)


@pytest.fixture(scope="module")
def sharper():
    ds = ensemble(SHARPER, LAW, **{**FINE, "members": 1})
    assert 0.05 < ds.handed_over_at.item() < 0.35
    return ds


@pytest.mark.parametrize("steps", range(1, 8))
def test_stopped_at_every_step_an_ensemble_goes_on(sharper, steps, tmp_path):
    """A member before, at and after its hand-over, from its checkpoint: the bits are those of one go."""
    about, asked = {**FINE, "members": 1, "output": tmp_path / "a.zarr"}, []
    with pytest.raises(Interrupted):
        ensemble(SHARPER, LAW, stop=lambda: asked.append(1) or len(asked) > steps, **about)
    checkpoint = tmp_path / "a.zarr.work/checkpoints/0-0.checkpoint"
    assert checkpoint.exists()
    found = ensemble(SHARPER, LAW, **about).load()
    assert found.identical(sharper) and not checkpoint.exists()


def test_the_command_tells_what_clouds_would_take(tmp_path):
    text = (
        '[model]\nname = "IsotropicFlow"\nspectrum = [0.2, 4.0]\n[initial]\nname = "uniform"\n'
        "[solve]\nt_end = 0.1\ndt = 0.05\npath_cell = 0.05\nlmax = 31\n%s[ensemble]\nmembers = 8\n"
    )
    for measure, told in (("", True), ('measure = "density"\n', False)):
        (tmp_path / "e.toml").write_text(text % measure)
        assert ("with clouds" in plan_ensemble(tmp_path / "e.toml", ranks=2)) == told
