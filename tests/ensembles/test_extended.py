"""Further members in a store that is there: nothing is computed twice, and the bits are those of one go."""

import json

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr

import fpsolve as fp
from fpsolve.cli.app import app
from fpsolve.ensembles import main, member, mending
from fpsolve.errors import InputError, Interrupted
from tests.ensembles.conftest import MODEL, RUN

GROUPS = (None, "statistics")


@pytest.fixture
def counted(monkeypatch):
    """The (point, member) that are computed, in order."""
    seen, run = [], member.Runner.run
    monkeypatch.setattr(member.Runner, "run", lambda self, *a: seen.append((a[1], a[2])) or run(self, *a))
    return seen


def files(store):
    """Every file of a store but the lists of what wrote it."""
    return {str(one.relative_to(store)): one.read_bytes() for one in store.rglob("*") if one.is_file()}


def same(one, other):
    return all(xr.open_zarr(one, group=g).identical(xr.open_zarr(other, group=g)) for g in GROUPS)


@pytest.mark.parametrize("block", [2, 3])
def test_further_members_are_those_of_one_go(small, tmp_path, counted, block):
    """Blocks that end with the old members, and such as are filled up; a sweep of two points."""
    one, whole, about = tmp_path / "a.zarr", tmp_path / "b.zarr", {"sweep": {"noise": [0.1, 0.3]}, "block": block}
    small(output=one, members=3, **about)
    counted.clear()
    ds = small(output=one, members=5, **about)
    assert sorted(counted) == [(point, n) for point in (0, 1) for n in (3, 4)]
    small(output=whole, members=5, sweep=about["sweep"], block=min(block, 3))
    assert ds.member.values.tolist() == [0, 1, 2, 3, 4] and (ds.status == 1).all()
    assert same(one, whole) and files(one) == files(whole)
    counted.clear()
    small(output=one, members=5, **about)
    assert counted == [] and fp.load(one).identical(fp.load(whole))


def test_a_store_that_begins_elsewhere_is_extended_at_its_end(small, tmp_path, counted):
    small(output=tmp_path / "a.zarr", members=range(2, 4))
    counted.clear()
    ds = small(output=tmp_path / "a.zarr", members=range(2, 6))
    assert [n for _, n in counted] == [4, 5] and ds.member.values.tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize("at", [1, 15, 23])
def test_a_job_that_dies_as_it_extends_leaves_a_store_that_can_be(small, tmp_path, counted, monkeypatch, at):
    """Ended before each write of metadata: with the old members or the new ones nothing is lost."""
    path, write, written = tmp_path / "a.zarr", mending.write_whole, []

    def dying(*args):
        written.append(args)
        if len(written) >= at:
            raise KeyboardInterrupt
        write(*args)

    small(output=path, members=2)
    with monkeypatch.context() as patch:
        patch.setattr(mending, "write_whole", dying)
        try:
            small(output=path, members=3)
        except KeyboardInterrupt:
            pass
    counted.clear()
    small(output=path, members=3)
    assert len(counted) <= 1
    small(output=tmp_path / "b.zarr", members=3, block=1)
    assert same(path, tmp_path / "b.zarr")


def test_a_stopped_extension_goes_on(small, tmp_path, counted):
    path, asked = tmp_path / "a.zarr", []
    small(output=path, members=2)
    with pytest.raises(Interrupted):
        small(output=path, members=4, stop=lambda: asked.append(1) or len(asked) > 2)
    found = xr.open_zarr(path)
    assert found.status.values.tolist() == [1, 1, 1, 0] and np.isnan(found.overlap[3]).all()
    counted.clear()
    small(output=path, members=4)
    assert [n for _, n in counted] == [3]


def test_damage_is_still_named_while_a_store_is_extended(small, tmp_path, counted, capfd):
    path = tmp_path / "a.zarr"
    small(output=path, members=3)
    zarr.open_group(path, mode="r+")["overlap"][1, 2] = 7.0
    counted.clear()
    small(output=path, members=4)
    assert [n for _, n in counted] == [3, 1]
    told = capfd.readouterr().err
    assert "member 1 is not in the store as it was written" in told and "member 3" not in told


def test_the_command_extends_a_store(tmp_path, monkeypatch, capsys, counted):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e.toml").write_text(
        '[model]\nname = "IsotropicFlow"\nspectrum = [0.0, 1.0]\nnoise = 0.3\n[initial]\nname = "uniform"\n'
        "[solve]\nt_end = 0.1\ndt = 0.1\npath_cell = 0.1\nlmax = 8\n[ensemble]\nmembers = 2\n"
    )
    for options in ([], ["--members", "5"], ["--members", "0:5"]):
        app(["ensemble", "e.toml", "--no-progress", *options], standalone_mode=False)
    assert [n for _, n in counted] == [0, 1, 2, 3, 4]
    assert "member 5; 5 members done" in capsys.readouterr().out
    assert app(["ensemble", "e.toml", "--no-progress"], standalone_mode=False) == 2
    assert "members = '0:2': the store has 0:5; pass 0:5" in capsys.readouterr().err


def test_a_disk_without_room_for_further_members_is_refused(small, tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    small(output=path, members=2)
    before, seen = files(path), []
    monkeypatch.setattr(main, "check_space", lambda *asked: seen.append(asked[2]))
    small(output=path, members=5)
    small(output=tmp_path / "b.zarr", members=3)
    assert seen[0] == seen[1] > 0 and before != files(path)


def test_a_store_of_the_format_of_before_is_refused_by_name(small, tmp_path):
    path = tmp_path / "a.zarr"
    small(output=path, members=2)
    attrs = json.loads((path / ".zattrs").read_text())
    (path / ".zattrs").write_text(json.dumps({**attrs, "fpsolve_ensemble": 1}))
    with pytest.raises(InputError, match=r"output = .*its format \(fpsolve_ensemble\) is 1; .* reads 2"):
        small(output=path, members=2)


def test_no_flipped_bit_in_what_is_read_of_the_metadata_loads(small, tmp_path):
    path = tmp_path / "a.zarr"
    small(output=path, members=2)
    whole, refused, rng = fp.load(path), 0, np.random.default_rng(2)
    content = (path / ".zmetadata").read_bytes()
    for bit in rng.choice(8 * len(content), 60, replace=False):
        altered = bytearray(content)
        altered[bit // 8] ^= 1 << (bit % 8)
        (path / ".zmetadata").write_bytes(altered)
        try:
            assert fp.load(path).identical(whole), bit
        except InputError:
            refused += 1
    assert refused > 30


def test_equal_numbers_are_one_configuration(small, tmp_path, counted):
    """Integers, floats and NumPy's: one store, and in it the same bytes."""
    path = tmp_path / "a.zarr"
    spectrum, noise = np.asarray(MODEL.spectrum), [1, 2]
    model, law = fp.models.IsotropicFlow(spectrum, 1), fp.initial.von_mises_fisher([1, 2, 2], 2)
    small(model, law, output=path, sweep={"noise": noise}, members=1)
    before = files(path)
    counted.clear()
    for number in (float, np.int64, np.float32):
        model, law = fp.models.IsotropicFlow(spectrum, number(1)), fp.initial.von_mises_fisher([1, 2, 2], number(2))
        small(model, law, output=path, sweep={"noise": list(map(number, noise))}, members=np.int64(1))
        assert files(path) == before, number
    small(model, law, output=path, sweep={"noise": np.array(noise)}, members=1)
    assert counted == [] and files(path) == before


def test_seeds_of_every_size_are_exact_in_sweeps(small, tmp_path, counted):
    seeds = [3, 2**53 + 1, 2**63, 2**64 - 1]
    path = tmp_path / "a.zarr"
    ds = small(output=path, sweep={"seed": seeds}, members=1)
    one = fp.solve(MODEL, fp.initial.von_mises_fisher([1, 2, 2], 1.5), seed=2**64 - 1, **RUN)
    assert ds.seed.values.tolist() == [str(seed) for seed in seeds]
    np.testing.assert_array_equal(ds.sel(seed=str(2**64 - 1), member=0).moments, one.moments)
    counted.clear()
    small(output=path, sweep={"seed": seeds}, members=1)
    assert counted == []


def test_zeros_are_no_damage(small, tmp_path, capfd):
    """A chunk of zeros is a chunk: one member, 0, and a sweep over 0.0."""
    path = tmp_path / "a.zarr"
    small(output=path, sweep={"noise": [0.0]}, members=1)
    before = files(path)
    capfd.readouterr()
    small(output=path, sweep={"noise": [0.0]}, members=1)
    assert "damaged" not in capfd.readouterr().err and files(path) == before
    (path / "noise" / "0").unlink()
    small(output=path, sweep={"noise": [0.0]}, members=1)
    assert "noise/0 was damaged" in capfd.readouterr().err and files(path) == before


def test_other_bytes_of_the_same_content_are_no_damage(small, tmp_path, capfd):
    """As another version of zarr or of its codec writes them; other content is."""
    path = tmp_path / "a.zarr"
    small(output=path, sweep={"noise": [0.1, 0.2]}, members=2)
    about, chunk = path / "noise/.zarray", path / "noise/0"
    about.write_text(json.dumps(json.loads(about.read_text())))
    chunk.write_bytes(numcodecs.Zstd(level=9, checksum=False).encode(np.array([0.1, 0.2])))
    written = about.read_bytes(), chunk.read_bytes()
    capfd.readouterr()
    small(output=path, sweep={"noise": [0.1, 0.2]}, members=2)
    assert "damaged" not in capfd.readouterr().err and (about.read_bytes(), chunk.read_bytes()) == written
    chunk.write_bytes(numcodecs.Zstd(level=9).encode(np.array([0.1, 0.3])))
    small(output=path, sweep={"noise": [0.1, 0.2]}, members=2)
    assert "noise/0 was damaged: written again" in capfd.readouterr().err
    assert xr.open_zarr(path).noise.values.tolist() == [0.1, 0.2]
