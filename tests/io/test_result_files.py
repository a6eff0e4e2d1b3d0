"""Results on disk: bit-exact round trips, nothing overwritten unasked, nothing lost by a failure."""

import os

import numpy as np
import pytest
import xarray as xr

from fpsolve.errors import FPSolveError, InputError
from fpsolve.io import check_output, load, save

FORMATS = ("r.nc", "r.zarr")


def assert_same_bits(one: xr.Dataset, two: xr.Dataset) -> None:
    assert set(one.variables) == set(two.variables)
    assert one.sizes == two.sizes
    assert one.attrs == two.attrs
    for name, variable in one.variables.items():
        other = two.variables[name]
        assert variable.dims == other.dims
        assert variable.dtype == other.dtype, name
        assert variable.values.tobytes() == other.values.tobytes(), name
        assert variable.attrs == other.attrs, name


@pytest.mark.parametrize("name", FORMATS)
def test_round_trip_is_bit_exact(result, tmp_path, name):
    path = save(result, tmp_path / name)
    loaded = load(path)
    assert_same_bits(result, loaded)
    assert set(loaded.coords) == set(result.coords)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", FORMATS)
def test_special_values_survive(result, tmp_path, name):
    result["energy"][:3] = [np.nan, -np.inf, 9.969209968386869e36]  # the last is NetCDF's default fill value
    loaded = load(save(result, tmp_path / name))
    assert result.energy.values.tobytes() == loaded.energy.values.tobytes()


def test_a_loaded_result_is_saved_in_the_other_format(result, tmp_path):
    once = load(save(result, tmp_path / "a.zarr"))
    twice = load(save(once, tmp_path / "b.nc"))
    thrice = load(save(twice, tmp_path / "c.zarr"))
    assert_same_bits(result, thrice)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FORMATS)
def test_saving_and_loading_are_silent(result, tmp_path, name):
    load(save(result, tmp_path / name))


@pytest.mark.parametrize("name", FORMATS)
def test_existing_result_is_replaced_only_when_asked(result, tmp_path, name):
    path = save(result, tmp_path / name)
    with pytest.raises(InputError, match=r"output = .*exists already") as refused:
        save(2 * result, path)
    assert refused.value.argument == "path"
    assert_same_bits(result, load(path))
    changed = result.drop_vars("weights").assign_attrs(title="second")
    assert_same_bits(changed, load(save(changed, path, overwrite=True)))
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", FORMATS)
def test_failed_writing_keeps_the_old_file(result, tmp_path, name, monkeypatch):
    path = save(result, tmp_path / name)

    def full_disk(self, target, **options):
        target.mkdir() if target.suffix == ".zarr" else target.write_text("half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full_disk)
    monkeypatch.setattr(xr.Dataset, "to_zarr", full_disk)
    with pytest.raises(FPSolveError, match="No space left"):
        save(2 * result, path, overwrite=True)
    monkeypatch.undo()
    assert_same_bits(result, load(path))
    assert os.listdir(tmp_path) == [name]


def test_failed_swap_brings_the_old_store_back(result, tmp_path, monkeypatch):
    path = save(result, tmp_path / "r.zarr")
    rename = os.rename

    def refuse_the_new(source, target):
        if ".partial" in str(source) and ".before" not in str(source):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_the_new)
    monkeypatch.setattr("fpsolve.io.atomic._exchanged", lambda one, other: False)
    with pytest.raises(FPSolveError, match="Input/output error"):
        save(2 * result, path, overwrite=True)
    monkeypatch.undo()
    assert_same_bits(result, load(path))
    assert os.listdir(tmp_path) == ["r.zarr"]


def test_file_that_appears_while_writing_is_kept(result, tmp_path, monkeypatch):
    path = tmp_path / "r.nc"
    write = xr.Dataset.to_netcdf

    def slow(self, target, **options):
        path.write_text("someone else's")
        write(self, target, **options)

    monkeypatch.setattr(xr.Dataset, "to_netcdf", slow)
    with pytest.raises(InputError, match="exists already"):
        save(result, path)
    assert path.read_text() == "someone else's"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("r.h5", r"suffix '.h5' is not one of .nc, .zarr"),
        ("r", r"suffix ''"),
        ("missing/r.nc", r"folder .* does not exist"),
        ("/proc/r.nc", r"folder '/proc' cannot be written"),
    ],
)
def test_bad_outputs_are_refused_by_name(tmp_path, name, problem):
    with pytest.raises(InputError, match=problem) as refused:
        check_output(tmp_path / name)
    assert refused.value.argument == "path"


def test_checking_creates_nothing(tmp_path):
    assert check_output(tmp_path / "r.zarr") == tmp_path / "r.zarr"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", FORMATS)
def test_folder_that_is_no_result_is_never_replaced(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not a Zarr store"):
        check_output(tmp_path / name, overwrite=True)


def test_complex_numbers_are_refused(result, tmp_path):
    result["modes"] = ("time", np.zeros(5, complex))
    with pytest.raises(InputError, match="modes = 'complex128'"):
        save(result, tmp_path / "r.nc")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["none.nc", "none.zarr", "none.txt"])
def test_missing_result(tmp_path, name):
    with pytest.raises(InputError, match="path = ") as refused:
        load(tmp_path / name)
    assert refused.value.argument == "path"


def test_unreadable_result(tmp_path):
    (tmp_path / "r.nc").write_text("not NetCDF")
    with pytest.raises(InputError, match="cannot be read as netcdf4"):
        load(tmp_path / "r.nc")


def test_loaded_file_is_closed(result, tmp_path):
    path = save(result, tmp_path / "r.nc")
    ds = load(path)
    path.unlink()
    assert float(ds.energy[0]) == np.nextafter(1.0, 2.0)
    assert isinstance(ds.density.variable._data, np.ndarray)
