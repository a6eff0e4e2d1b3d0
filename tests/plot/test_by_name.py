"""Pictures follow names and coordinates, not the order in which a Dataset has its dimensions."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import fpsolve as fp
from fpsolve.observe.flow import Flow
from fpsolve.stationary.state import as_density
from fpsolve.zooming.evaluate import _dataset
from fpsolve.zooming.patch import patch


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())


def turned(ds):
    """The same numbers in another order of dimensions, latitudes, components and harmonics."""
    ds = ds.transpose(*reversed(list(ds.dims)))
    return ds.isel({name: slice(None, None, -1) for name in ("lat", "component", "harmonic") if name in ds.dims})


@pytest.mark.parametrize(
    ("picture", "result"), [("overview", "wandering"), ("density_map", "wandering"), ("density_map", "cloud")]
)
def test_a_run(picture, result, request):
    ds = request.getfixturevalue(result)
    draw = getattr(fp.plot, picture)
    if picture == "overview":  # the colours of the components follow their order
        ds = ds.drop_vars("mean_vector")
    assert np.array_equal(pixels(draw(turned(ds))), pixels(draw(ds)))


def test_an_orthographic_map_looks_at_the_mean(wandering):
    first = fp.plot.density_orthographic(wandering)
    again = fp.plot.density_orthographic(wandering.isel(component=[2, 0, 1]))
    assert np.array_equal(pixels(first), pixels(again))


def test_a_zoom():
    here = patch(np.array([0.0, 0.6, 0.8]), 0.1, 12)
    law = fp.initial.von_mises_fisher([0, 0, 1], 30.0)
    about = {"time": 1.0, "centre": [0.0, 0.6, 0.8], "radius": 0.1}
    ds = _dataset(here, np.log(law.density(here.x)), about, {"model": {"name": "none"}})
    other = ds.transpose("azimuth", "distance")
    assert other.density.dims != ds.density.dims
    assert np.array_equal(pixels(fp.plot.zoomed(other)), pixels(fp.plot.zoomed(ds)))


def test_the_flow_and_the_last_state_of_a_run():
    law = fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0)
    asked = {"t_end": 0.1, "dt": 0.05, "lmax": 8, "measure": "cloud", "save_flow": True, "moments_lmax": 4}
    ds = fp.solve(fp.models.SelfAttention(2.0), law, progress=False, **asked)
    other = turned(ds)
    flow, same = Flow.of_dataset(ds), Flow.of_dataset(other)
    assert other.flow.dims != ds.flow.dims and np.array_equal(flow.potentials, same.potentials)
    states = [as_density(one, 15) for one in (ds, other)]
    assert states[0] == states[1] and np.allclose(states[0].mean, ds.mean_vector.isel(time=-1), atol=1e-12)
