"""Ensembles on one rank: against single runs, in memory and on disk, interrupted, damaged and taken up again."""

import numpy as np
import pytest
import xarray as xr

import fpsolve as fp
from fpsolve.ensembles import member
from fpsolve.errors import FPSolveError, InputError, Interrupted
from fpsolve.models import IsotropicFlow
from tests.ensembles.conftest import LAW, MODEL, RUN


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def same(one, other, group=None):
    """Equal in every array, bit for bit, and every attribute."""
    return xr.open_zarr(one, group=group).identical(xr.open_zarr(other, group=group))


@pytest.fixture
def counted(monkeypatch):
    """The members that are computed, in order."""
    seen, run = [], member.Runner.run
    monkeypatch.setattr(member.Runner, "run", lambda self, *a: seen.append((a[1], a[2])) or run(self, *a))
    return seen


def test_every_member_is_the_run_of_its_own_path(small):
    """Bit for bit; equal members of two points have the same path."""
    ds = small(members=range(2, 5), sweep={"noise": [0.1, 0.3], "kappa": [0.5, 1.5]})
    assert dict(ds.sizes) | {"component": 3} == {
        "noise": 2, "kappa": 2, "member": 3, "time": 3, "component": 3, "harmonic": 16,
    }  # fmt: skip
    assert ds.member.values.tolist() == [2, 3, 4] and (ds.status == 1).all() and (ds.cause == "").all()
    law = fp.initial.von_mises_fisher([1, 2, 2], 0.5)
    run = fp.solve(IsotropicFlow(MODEL.spectrum, 0.3), law, member=4, **RUN)
    one = ds.sel(noise=0.3, kappa=0.5, member=4)
    for name, values in run.data_vars.items():
        np.testing.assert_array_equal(one[name], values, str(name))
    assert np.array_equal(ds.time, run.time) and np.array_equal(ds.degree, run.degree)


def test_a_store_holds_what_memory_does(small, tmp_path):
    path = tmp_path / "a.zarr"
    here, there = small(), small(output=path)
    assert here.identical(there.load()) and (there.status == 1).all()
    found = xr.open_zarr(path, group="statistics")
    assert (found["count"] == 3).all() and np.allclose(found.overlap_mean, here.overlap.mean("member"), rtol=1e-13)
    assert files(tmp_path / "a.zarr.work") == [*(f"blocks/0-{n}.record" for n in range(3)), "lock", "log.txt"]


def test_blocks_change_files_and_no_bits(small, tmp_path):
    small(output=tmp_path / "a.zarr", members=5, block=2), small(output=tmp_path / "b.zarr", members=5)
    for group in (None, "statistics"):
        assert same(tmp_path / "a.zarr", tmp_path / "b.zarr", group)
    assert len(list((tmp_path / "a.zarr/overlap").glob("[0-9]*"))) == 3


def test_the_same_call_again_computes_nothing(small, tmp_path, counted):
    small(output=tmp_path / "a.zarr")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a.zarr").rglob("*")}
    counted.clear()
    small(output=tmp_path / "a.zarr")
    assert counted == []
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "a.zarr").rglob("*")}


def test_what_was_altered_in_the_store_is_computed_again(small, tmp_path, counted, capfd):
    """One bit of one member, a chunk that is cut short and one that is gone; the others are kept."""
    path = tmp_path / "a.zarr"
    small(output=tmp_path / "b.zarr", members=6, block=2), small(output=path, members=6, block=2)
    group = xr.open_zarr(path)
    import zarr

    array = zarr.open_group(path, mode="r+")["overlap"]
    array[1, 2] = np.nextafter(group.overlap.values[1, 2], 1)
    cut = path / "mass/1.0"
    cut.write_bytes(cut.read_bytes()[:-3])
    (path / "entropy/2.0").unlink()
    counted.clear()
    small(output=path, members=6, block=2)
    assert counted == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5)]
    assert same(path, tmp_path / "b.zarr") and same(path, tmp_path / "b.zarr", "statistics")
    assert "member 1 is not in the store as it was written" in capfd.readouterr().err


def test_a_store_that_lost_its_records_is_refused(small, tmp_path):
    import shutil

    small(output=tmp_path / "a.zarr")
    shutil.rmtree(tmp_path / "a.zarr.work")
    with pytest.raises(InputError, match=r"a\.zarr\.work.*move it along"):
        small(output=tmp_path / "a.zarr")


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_stopped_anywhere_the_same_call_goes_on(small, tmp_path, steps, counted):
    """``stop`` after so many steps: done members are not computed again, and the bits are those of one go."""
    path, asked = tmp_path / "a.zarr", []
    with pytest.raises(Interrupted, match="goes on from"):
        small(output=path, block=3, stop=lambda: asked.append(1) or len(asked) > steps)
    assert files(tmp_path / "a.zarr.work/members") == ["0-0.records"][: steps // 2]
    assert (xr.open_zarr(path).status == 0).all()
    counted.clear()
    small(output=path, block=3)
    assert [one for _, one in counted] == list(range(steps // 2, 3))
    small(output=tmp_path / "b.zarr")
    assert same(path, tmp_path / "b.zarr") and same(path, tmp_path / "b.zarr", "statistics")
    assert files(tmp_path / "a.zarr.work") == ["blocks/0-0.record", "lock", "log.txt"]


def test_a_damaged_record_is_named_and_its_member_computed_again(small, tmp_path, capfd):
    path, asked = tmp_path / "a.zarr", []
    with pytest.raises(Interrupted):
        small(output=path, block=3, stop=lambda: asked.append(1) or len(asked) > 4)
    one = tmp_path / "a.zarr.work/members/0-0.records"
    whole = one.read_bytes()
    one.write_bytes(whole[:500] + b"\xff" + whole[501:-7])
    small(output=path, block=3)
    told = capfd.readouterr().err
    assert "record of member 0 is not trusted" in told and "record of member 1 is not trusted" in told
    small(output=tmp_path / "b.zarr")
    assert same(path, tmp_path / "b.zarr")


def test_a_damaged_block_record_is_not_trusted(small, tmp_path, counted, capfd):
    path = tmp_path / "a.zarr"
    small(output=path)
    record = tmp_path / "a.zarr.work/blocks/0-1.record"
    record.write_bytes(record.read_bytes().replace(b"1", b"2", 1))
    counted.clear()
    small(output=path)
    assert counted == [(0, 1)] and "record of block 1 is not trusted" in capfd.readouterr().err


@pytest.mark.parametrize("how", ["unresolved", "float"])
def test_a_bad_member_is_recorded_and_the_rest_go_on(small, tmp_path, fragile, how):
    ds = small(fragile(how), output=tmp_path / "a.zarr", measure="density")
    assert ds.status.values.tolist() == [1, 2, 1]
    cause = {"unresolved": "UnresolvedError: stopped at t = 0: the tail", "float": "FloatingPointError: overflow"}
    assert str(ds.cause.values[1]).startswith(cause[how]) and ds.cause.values[[0, 2]].tolist() == ["", ""]
    assert np.isnan(ds.overlap[1]).all() and np.isfinite(ds.overlap[[0, 2]]).all()
    found = xr.open_zarr(tmp_path / "a.zarr", group="statistics")
    assert (found["count"] == 2).all() and (found.failed, found.underresolved) == (1, 0)
    np.testing.assert_allclose(found.overlap_mean, ds.overlap[[0, 2]].mean("member"), rtol=1e-14)


def test_fail_fast_ends_at_the_first_bad_member(small, fragile):
    with pytest.raises(FPSolveError, match="member 1 failed: UnresolvedError: stopped at t = 0"):
        small(fragile(), fail_fast=True, measure="density")


def test_other_errors_are_no_members_fault(small, fragile, tmp_path):
    """They end the call; what is done stays."""
    with pytest.raises(KeyError):
        small(fragile("bug"), output=tmp_path / "a.zarr", block=3)
    assert files(tmp_path / "a.zarr.work/members") == ["0-0.records"]


def test_laws_and_measures_as_values_of_a_sweep(small):
    laws = [fp.initial.uniform(), LAW]
    ds = small(sweep={"initial": laws, "measure": ["density", "cloud"]}, members=1)
    assert ds.initial.values.tolist() == ["uniform(d=3)", "von_mises_fisher(mean=[1, 2, 2], kappa=1.5)"]
    assert np.isnan(ds.tail.sel(measure="cloud")).all() and np.isfinite(ds.tail.sel(measure="density")).all()
    np.testing.assert_allclose(*(ds.mean_vector.sel(measure=one)[1, 0, -1] for one in ds.measure.values), atol=2e-3)


def test_dimensions_and_degrees_are_filled_with_nan(small):
    """d = 2, 3, 4 with points: components and the harmonics that a point does not have are NaN, counts stay right."""
    model = fp.models.Homogenized(beta=1.0, key_query="identity")
    law = fp.initial.samples(fp.initial.uniform(3), 6, seed=1)
    ds = small(model, law, sweep={"initial": [fp.initial.simplex(3, 0.2, d) for d in (3, 4)]}, measure="cloud",
               members=2, save_points=True)  # fmt: skip
    assert ds.component.values.tolist() == ["0", "1", "2", "3"]
    assert np.isnan(ds.mean_vector[0, ..., 3]).all() and np.isfinite(ds.mean_vector[1]).all()
    assert ds.points.shape == (2, 2, 3, 3, 4) and ds.weights.dims == ("initial", "point")


def test_a_swept_name_that_a_variable_has_is_written_in_full(small):
    about = {"sweep": {"lmax": [15, 23]}, "members": 1, "measure": "density"}
    ds = small(**about, on_underresolved="filter")
    assert "solve.lmax" in ds.dims and ds.lmax.dims == ("solve.lmax", "member", "time")
    assert ds.method.values.tolist() == [[["density"] * 3]] * 2
    assert small(**about).lmax.values.tolist() == [15, 23]


def test_under_resolved_members_say_from_when(small):
    ds = small(IsotropicFlow(MODEL.spectrum, 2.0), members=2, measure="density")
    assert (ds.unresolved_from > 0).all()


def test_records_of_another_command_are_not_trusted(small, tmp_path, capfd):
    """A member of another seed under this one's name."""
    stores = [tmp_path / "a.zarr", tmp_path / "b.zarr"]
    for seed, path in enumerate(stores):
        asked = []
        with pytest.raises(Interrupted):
            small(output=path, block=3, seed=seed, stop=lambda asked=asked: asked.append(1) or len(asked) > 3)
    record = "members/0-0.records"
    (tmp_path / "b.zarr.work" / record).write_bytes((tmp_path / "a.zarr.work" / record).read_bytes())
    small(output=stores[1], seed=1, block=3)
    assert "record of member 0 is not trusted: it belongs to another command" in capfd.readouterr().err
    small(output=tmp_path / "c.zarr", seed=1)
    assert same(stores[1], tmp_path / "c.zarr")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (".zmetadata", "cut"), (".zmetadata", "gone"), (".zgroup", "cut"), ("time/0", "cut"), ("time/0", "gone"),
        ("time/.zarray", "cut"), ("member/.zattrs", "gone"), ("entropy/.zarray", "gone"), ("status/.zarray", "cut"),
        ("statistics/.zgroup", "cut"), ("statistics/overlap_mean/0", "cut"),
    ],
)  # fmt: skip
def test_what_is_damaged_beside_the_members_is_named_and_written_again(small, tmp_path, counted, capfd, name, how):
    """The same bytes in every file, and nothing is computed."""
    path = tmp_path / "a.zarr"
    small(output=path)
    before = {one: (path / one).read_bytes() for one in files(path)}
    (path / name).write_bytes(before[name][: len(before[name]) // 2]) if how == "cut" else (path / name).unlink()
    counted.clear(), capfd.readouterr()
    small(output=path)
    assert counted == [] and {one: (path / one).read_bytes() for one in files(path)} == before
    told = capfd.readouterr().err + (tmp_path / "a.zarr.work/log.txt").read_text()
    assert "written again" in told if not name.startswith("statistics/overlap") else told


@pytest.mark.parametrize("fail_fast", [True, False])
def test_fail_fast_does_not_pass_over_members_that_failed_before(small, fragile, tmp_path, fail_fast):
    path, about = tmp_path / "a.zarr", {"measure": "density"}
    small(fragile(), output=path, **about)
    if fail_fast:
        with pytest.raises(FPSolveError, match=r"member 1 failed: UnresolvedError: stopped at t = 0.*keeps it"):
            small(fragile(), output=path, fail_fast=True, **about)
    else:
        small(fragile(), output=path, **about)


def test_dimensions_name_valid_keys_of_a_sweep(small):
    """A name that a variable has is written in full, as the sweep takes it."""
    model, law = fp.models.SelfAttention(beta=1.0), fp.initial.simplex(3, 0.1, 3)
    about = {"members": 1, "measure": "cloud"}
    ds = small(model, law, sweep={"overlap": [0.1, 0.2]}, **about)
    assert ds.status.dims == ("initial.overlap", "member")
    assert small(model, law, sweep={"initial.overlap": [0.1, 0.2]}, **about).overlap.equals(ds.overlap)


def test_functions_in_one_sweep_are_told_apart_by_their_content(small):
    """Two functions of one name are two values; the same one twice is refused."""
    laws = [fp.initial.function(lambda x, a=a: (1 + a * x[..., 2]) / 12.566370614359172) for a in (0.1, 0.2, 0.2)]
    ds = small(sweep={"initial": laws[:2]}, members=1)
    assert len(set(ds.initial.values)) == 2 and (np.diff(ds.mean_vector[:, 0, 0, 2]) > 0.03).all()
    assert small(sweep={"initial": laws[:2]}, members=1).initial.equals(ds.initial)
    with pytest.raises(InputError, match="a value stands there twice"):
        small(sweep={"initial": laws[1:]}, members=1)
