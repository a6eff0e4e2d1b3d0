"""A result with every kind of variable, coordinate and attribute that a run writes."""

import json

import numpy as np
import pytest
import xarray as xr


@pytest.fixture
def result() -> xr.Dataset:
    rng = np.random.default_rng(3)
    time = 0.01 * np.array([0, 10, 20, 30, 40])
    degree = np.array([0, 1, 1, 1])
    mean_vector = ("component", np.array(["x", "y", "z"]))
    ds = xr.Dataset(
        {
            "mean_vector": (
                ("time", "component"),
                rng.standard_normal((5, 3)),
                {"units": "1", "long_name": "mean"},
            ),
            "energy": ("time", rng.standard_normal(5), {"units": "1"}),
            "moments": (("time", "harmonic"), rng.standard_normal((5, 4))),
            "density": (("time", "lat", "lon"), rng.random((5, 6, 12)), {"units": "sr-1"}),
            "weights": ("point", np.full(7, 1 / 7)),
        },
        coords={
            "time": ("time", time, {"units": "1", "long_name": "time"}),
            mean_vector[0]: mean_vector,
            "degree": ("harmonic", degree),
            "order": ("harmonic", np.array([0, -1, 0, 1])),
            "lat": ("lat", np.linspace(75, -75, 6), {"units": "degrees_north"}),
            "lon": ("lon", 30.0 * np.arange(12), {"units": "degrees_east"}),
        },
        attrs={
            "Conventions": "CF-1.11",
            "title": "Itô, β = 4",
            "fpsolve_config": json.dumps(
                {"model": {"name": "Homogenized", "beta": 4.0}, "solve": {"scheme": None}}
            ),
            "seed": 12345678901234,
            "dt": 0.1 + 0.2,
        },
    )
    ds.energy[0] = np.nextafter(1.0, 2.0)
    ds.energy[1] = 5e-324
    ds.energy[2] = -0.0
    return ds
