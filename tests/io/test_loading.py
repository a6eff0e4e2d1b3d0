"""What is read: packed numbers as xarray decodes them, nothing of a size or by a codec that nobody asked for."""

import json
import os

import numpy as np
import pytest
import xarray as xr
import zarr

import fpsolve as fp
from fpsolve.cli.exporting import export_store
from fpsolve.config import load_config
from fpsolve.errors import InputError
from fpsolve.observe import as_result

PACKED = xr.Dataset(
    {
        "overlap": ("time", np.array([0.3296, 0.5, np.nan])),
        "day": ("time", np.array(["2020-01-01", "2020-01-02", "2020-02-03"], "M8[ns]")),
        "took": ("time", np.array([1, 20, 300], "m8[s]").astype("m8[ns]")),
        "seconds": ("time", np.array([0.5, 1.5, 2.5]), {"units": "s"}),
        "right": ("time", np.array([True, False, True])),
    },
    {"time": [0.0, 1.0, 2.0], "component": ["x", "yy"]},
)
ENCODING = {"overlap": {"dtype": "int16", "scale_factor": 1e-4, "_FillValue": -999}}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["p.nc", "p.zarr"])
def test_what_was_packed_comes_back_as_numbers(tmp_path, name):
    path = tmp_path / name
    if name == "p.nc":
        PACKED.to_netcdf(path, encoding=ENCODING)
    else:
        PACKED.to_zarr(path, encoding=ENCODING, zarr_format=2)
    found = fp.load(path)
    xr.testing.assert_allclose(found, as_result(PACKED), rtol=1e-12)  # in units of the scale factor
    assert found.overlap.attrs == {} and found.seconds.dtype == float and found.took.dtype == PACKED.took.dtype
    again = fp.load(fp.save(found, tmp_path / f"again-{name}"))
    xr.testing.assert_identical(again, found)


@pytest.mark.parametrize("name", ["big.nc", "big.zarr"])
def test_a_small_file_may_not_fill_the_memory_unasked(tmp_path, name):
    ds = xr.Dataset({"density": (("time", "lat"), np.zeros((1000, 2000)))})
    path = tmp_path / name
    ds.to_netcdf(path, encoding={"density": {"zlib": True}}) if name == "big.nc" else ds.to_zarr(path, zarr_format=2)
    with pytest.raises(InputError, match=r"holds 0.016 GB, more than max_bytes = 1000000; pass max_bytes=None"):
        fp.load(path, max_bytes=1000000)
    assert fp.load(path, max_bytes=None).nbytes == fp.load(path).nbytes == 16_000_000


def test_a_small_store_of_a_great_shape_is_refused(tmp_path):
    """27 kB that say they are 3.4 GB, as no chunk is there."""
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=2)
    group.create_array("x", shape=(430_000_000,), chunks=(1_000_000,), dtype="f8", fill_value=0).attrs.put(
        {"_ARRAY_DIMENSIONS": ["time"]}
    )
    with pytest.raises(InputError, match=r"holds 3.44 GB"):
        fp.load(tmp_path / "b.zarr")


class Evil:
    ran: list[int] = []  # noqa: RUF012

    def __reduce__(self):
        return Evil.ran.append, (1,)


@pytest.mark.parametrize("place", ["compressor", "filters"])
def test_no_codec_runs_code(tmp_path, place):
    path = tmp_path / "e.zarr"
    fp.save(PACKED[["seconds"]], path)
    for file in (path / "seconds" / ".zarray", path / ".zmetadata"):
        meta = json.loads(file.read_text())
        array = meta if file.name == ".zarray" else meta["metadata"]["seconds/.zarray"]
        array[place] = {"id": "pickle"} if place == "compressor" else [{"id": "pickle", "protocol": 5}]
        file.write_text(json.dumps(meta))
    for read in (fp.load, lambda store: export_store(store, tmp_path / "e.nc")):
        with pytest.raises(InputError, match="is packed by 'pickle'"):
            read(path)
    assert not os.path.lexists(tmp_path / "e.nc")


def test_pipes_and_devices_are_refused_and_not_waited_for(tmp_path):
    for name in ("p.nc", "p.zarr"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match=r"path = .*is no f"):
            fp.load(tmp_path / name)
    os.mkfifo(tmp_path / "run.toml")
    with pytest.raises(InputError, match=r"config = .*is no file"):
        load_config(tmp_path / "run.toml")
    law = fp.initial.uniform()
    model = fp.models.SelfAttention(1.0)
    os.mkfifo(tmp_path / "c")
    for argument in ({"checkpoint": tmp_path / "c"}, {"checkpoint": "/dev/null"}):
        with pytest.raises(InputError, match=r"checkpoint = .*is a device, a pipe"):
            fp.solve(model, law, t_end=0.1, dt=0.1, lmax=8, **argument)
    with pytest.raises(InputError, match=r"path = .*is a device, a pipe"):
        fp.save(PACKED, tmp_path / "p.nc", overwrite=True)
