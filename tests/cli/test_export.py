"""``fpsolve export``: the same values and attributes, whole or in part; refusals before anything is written."""

import numpy as np
import pytest
import xarray as xr

from fpsolve.cli.exporting import export_store
from fpsolve.ensembles import ensemble
from fpsolve.errors import InputError
from fpsolve.measures import initial
from fpsolve.models import IsotropicFlow

RUN = {"t_end": 0.2, "dt": 0.1, "path_cell": 0.1, "lmax": 9, "moments_lmax": 2, "save_density": True}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "ens.zarr"
    law = initial.von_mises_fisher([0, 0, 1], 1.0)
    ensemble(IsotropicFlow([0.0, 1.0]), law, members=5, sweep={"noise": [0.1, 0.2]}, output=path, **RUN)
    return path


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def same(path, expected):
    """Equal names, dimensions, attributes, and values bit for bit, texts apart from their width."""
    found = xr.load_dataset(path, decode_times=False, mask_and_scale=False)
    marks = {name: found.attrs.pop(name) for name in ("fpsolve_format", "fpsolve_sha256")}
    assert marks["fpsolve_format"] == 2 and len(marks["fpsolve_sha256"]) == 64
    assert found.attrs == expected.attrs and set(found.variables) == set(expected.variables)
    for name, one in expected.variables.items():
        other = found[name].variable
        attrs = {key: np.asarray(value).tolist() for key, value in one.attrs.items() if key != "_FillValue"}
        assert one.dims == other.dims and attrs == {k: np.asarray(v).tolist() for k, v in other.attrs.items()}, name
        np.testing.assert_array_equal(other.values.astype(one.dtype), one.values, str(name))
    return True


def opened(store, group=None):
    return xr.open_zarr(store, group=group, decode_times=False, mask_and_scale=False, chunks=None)


def test_the_whole_store_and_the_statistics(store, tmp_path):
    assert export_store(store).name == "ens.nc" and same("ens.nc", opened(store))
    assert export_store(store, group="statistics").name == "ens-statistics.nc"
    assert same("ens-statistics.nc", opened(store, "statistics"))
    assert xr.open_dataset("ens.nc").sizes["member"] == 5


@pytest.mark.parametrize(
    ("parts", "chosen"),
    [
        (["member=0:3"], {"member": slice(0, 3)}),
        (["member=1:", "time=-1"], {"member": slice(1, None), "time": -1}),
        (["noise=1", "time=::2"], {"noise": 1, "time": slice(None, None, 2)}),
    ],
)
def test_parts(store, parts, chosen, tmp_path):
    export_store(store, tmp_path / "part.nc", parts=parts)
    assert same("part.nc", opened(store).isel(chosen))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("member", "not of the form"),
        ("membre=0", "did you mean 'member'"),
        ("member=5", "member has 5 positions"),
        ("member=a:b", "neither a position nor a range"),
        ("member=", "neither a position nor a range"),
        ("member=0:5:0", "neither a position nor a range"),
        ("member=4:2", "takes none of the 5"),
    ],
)
def test_parts_that_are_none(store, part, words, tmp_path):
    with pytest.raises(InputError, match=words):
        export_store(store, parts=[part])
    assert list(tmp_path.iterdir()) == []


def test_refusals(store, tmp_path):
    (tmp_path / "ens.nc").write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        export_store(store)
    assert (tmp_path / "ens.nc").read_text() == "precious"
    assert export_store(store, overwrite=True) and same("ens.nc", opened(store))
    for arguments, words in (
        ((tmp_path / "none.zarr",), "does not exist"),
        ((tmp_path / "ens.nc", tmp_path / "b.nc"), "cannot be read as Zarr"),
        ((store, tmp_path / "b.zarr"), "suffix"),
        ((store, tmp_path / "b.nc", "statistic"), "did you mean 'statistics'"),
    ):
        with pytest.raises(InputError, match=words):
            export_store(*arguments)
    xr.Dataset({"f": ("x", np.ones(2, complex))}).to_zarr(tmp_path / "complex.zarr", zarr_format=2)
    with pytest.raises(InputError, match="f = 'complex128'"):
        export_store(tmp_path / "complex.zarr", tmp_path / "b.nc")
    assert not (tmp_path / "b.nc").exists()
