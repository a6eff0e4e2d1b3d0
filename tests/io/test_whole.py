"""A result is read as it was written, or not at all: digests, checksums, formats, what other programs have changed."""

import json

import numpy as np
import pytest
import xarray as xr
import zarr

import fpsolve as fp
from fpsolve.errors import FPSolveError, InputError
from fpsolve.io import load, save
from fpsolve.io.content import content_digest
from fpsolve.io.files import DIGEST, FORMAT, MARK

FORMATS = ("r.nc", "r.zarr")
FLIPS = 120


def files_of(path):
    return sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def flipped(path, seed):
    """For ``FLIPS`` bits of a result's files, anywhere: flip one, yield where, and put it back."""
    files = files_of(path)
    ends = np.cumsum([one.stat().st_size for one in files])
    for bit in np.random.default_rng(seed).choice(8 * ends[-1], FLIPS, replace=False):
        n = int(np.searchsorted(ends, bit // 8, "right"))
        content = files[n].read_bytes()
        place = int(bit // 8 - ends[n] + len(content))
        altered = bytearray(content)
        altered[place] ^= 1 << (bit % 8)
        files[n].write_bytes(altered)
        yield f"{files[n]}, byte {place}"
        files[n].write_bytes(content)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.filterwarnings("ignore")
def test_no_flipped_bit_loads_as_something_else(tmp_path, name):
    """It is refused, or lies where nothing is read, as in the second copy of Zarr's metadata: then all is as it was."""
    law, asked = fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0), {"t_end": 0.2, "dt": 0.1, "lmax": 15}
    ds = fp.solve(fp.models.SelfAttention(2.0), law, save_density=True, on_underresolved="refine", **asked)
    path, refused = save(ds, tmp_path / name), 0
    for where in flipped(path, 5):
        try:
            assert load(path).identical(ds), where
        except InputError:
            refused += 1
    assert refused == FLIPS if name == "r.nc" else refused > FLIPS // 2
    assert load(path).identical(ds)


@pytest.mark.parametrize("name", FORMATS)
def test_what_no_checksum_of_the_format_covers_has_the_digest(result, tmp_path, name):
    """Values altered by a program that writes sound files, and every attribute."""
    path = save(result, tmp_path / name)
    for change in (
        lambda ds: ds.assign(energy=ds.energy + 1e-16 * (ds.energy == ds.energy[3])),
        lambda ds: ds.assign_attrs(fpsolve_config="{}"),
        lambda ds: ds.assign_coords(time=ds.time[::-1].values),
        lambda ds: ds.rename(energy="Energy"),
        lambda ds: ds.assign(energy=ds.energy.assign_attrs(units="2")),
        lambda ds: ds.reset_coords("order"),
        lambda ds: ds.isel(time=slice(1, None)),
    ):
        with xr.open_dataset(path, engine="zarr" if name == "r.zarr" else None) as found:
            other = change(found.load()).drop_encoding()
        altered = tmp_path / f"altered-{name}"
        other.to_zarr(altered, mode="w", zarr_format=2) if name == "r.zarr" else other.to_netcdf(altered)
        with pytest.raises(InputError, match=r"path = .*is damaged, or was changed since fpsolve wrote it"):
            load(altered)
    with xr.open_dataset(path) as found:  # chunks, order and compression do not matter, nor another program's copy
        found[sorted(found.variables, reverse=True)].drop_encoding().to_netcdf(tmp_path / "copy.nc")
    assert load(tmp_path / "copy.nc").identical(fp.observe.as_result(result))


@pytest.mark.parametrize("name", FORMATS)
def test_other_formats_are_refused_by_name(result, tmp_path, name):
    write = xr.Dataset.to_zarr if name == "r.zarr" else xr.Dataset.to_netcdf
    write(result, tmp_path / name)
    with pytest.raises(InputError, match=rf"its format \({MARK}\) has no number.*reads {FORMAT}"):
        load(tmp_path / name)
    write(result.assign_attrs({MARK: FORMAT + 1, DIGEST: content_digest(result)}), tmp_path / f"later-{name}")
    with pytest.raises(InputError, match=rf"its format \({MARK}\) is {FORMAT + 1}; .*reads {FORMAT}"):
        load(tmp_path / f"later-{name}")
    write(result.drop_attrs(deep=False), tmp_path / f"foreign-{name}")
    assert load(tmp_path / f"foreign-{name}").energy.identical(fp.observe.as_result(result).energy)


@pytest.mark.parametrize("name", FORMATS)
def test_attributes_of_every_kind_come_back(result, tmp_path, name):
    result.attrs |= {"one": [1.5], "some": [1, 2], "texts": ["a", "β"], "none": "", "float": np.float32(0.1), "yes": 1}
    result["status"] = ("time", np.arange(5, dtype=np.int8), {"flag_values": [0, 1], "flag_meanings": "no yes"})
    result["flag"], result["word"] = ("time", np.arange(5) > 2), ("time", ["a", "", "β", "long word", "x"])
    result["large"], result["nothing"] = np.uint64(2**64 - 1), ("empty", np.zeros(0))
    assert content_digest(load(save(result, tmp_path / name))) == content_digest(result)


def test_what_a_file_would_say_otherwise_is_refused_as_it_is_saved(result, tmp_path):
    """xarray reads such attributes as packing: another result would come back."""
    result.energy.attrs["scale_factor"] = 2.0
    for name in FORMATS:
        with pytest.raises((InputError, FPSolveError, ValueError)):
            save(result, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_every_variable_has_its_checksum(result, tmp_path):
    with xr.open_dataset(save(result, tmp_path / "r.nc")) as found:
        for name, one in found.variables.items():
            assert one.encoding["fletcher32"] and one.encoding["zlib"], name
    for _, array in zarr.open_group(save(result, tmp_path / "r.zarr"), mode="r").arrays():
        assert json.dumps([one.get_config() for one in array.compressors]).count('"checksum": true') == 1


def test_a_result_takes_less_room_than_its_numbers(tmp_path):
    ds = xr.Dataset({"density": (("time", "lat"), np.tile(np.linspace(0, 1, 1000), (100, 1)))})
    for name in FORMATS:
        path = save(ds, tmp_path / name)
        assert sum(one.stat().st_size for one in files_of(path)) < ds.nbytes / 4
