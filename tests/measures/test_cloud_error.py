"""Nested quadratures: what they are exact for, and that ``cloud_error`` is honest."""

import warnings

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.defects import CLOUD_UNRESOLVED
from fpsolve.errors import InputError, UnderResolvedWarning
from fpsolve.measures.build import build
from fpsolve.measures.cloud import Cloud
from fpsolve.sphere.geometry import geometry
from fpsolve.sphere.nested import LARGEST_OF, error_of, nested_masses, nested_weights

FLOW = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3)
LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
RUN = {"t_end": 1.0, "dt": 0.05, "path_cell": 0.05, "scheme": "ninomiya", "save_every": 0.25, "measure": "cloud"}


def quiet(*arguments, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnderResolvedWarning)
        return fp.solve(*arguments, **named)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("lmax", [4, 15, 31, 63, 127])
def test_nested_weights_are_positive_and_exact_to_half_and_a_quarter_of_the_degree(d, lmax):
    grid = geometry(d).grid(lmax)
    nodes = grid.nlat if d == 3 else grid.n
    for weights, stride in zip(nested_weights(grid), (2, 4), strict=True):
        assert (weights[weights != 0] > 0).all() and (weights != 0).mean() <= (1 / stride) ** (d - 1) + 1e-12
        degree = min(nodes // stride - 1, grid.lmax)
        table = geometry(d).size(degree)
        for column in range(0, table, max(1, table // 40)):
            modes = np.zeros(table, complex)
            modes[column] = 1.0
            exact = geometry(d).area ** 0.5 if column == 0 else 0.0
            assert abs((weights * grid.to_grid(modes)).sum() - exact) < 1e-11


def largest_error(found, exact, d=3):
    """max over ℓ = 1, …, 8 of the distance that ``cloud_error`` estimates."""
    degree = found.degree.values
    squares = (found.moments - exact.moments).values ** 2
    by_degree = [squares[:, degree == ell].sum(1) * geometry(d).area / (degree == ell).sum() for ell in range(1, 9)]
    return np.sqrt(np.max(by_degree, axis=0))


@pytest.mark.parametrize("seed", [1, 3])
def test_the_estimate_is_that_of_the_true_error(seed):
    """Against a cloud of degree 95 of the same path, which is ten times as right and more."""
    fine = quiet(FLOW, LAW, **RUN, seed=seed, lmax=95)
    for lmax in (15, 31):
        ds = quiet(FLOW, LAW, **RUN, seed=seed, lmax=lmax)
        true, said = largest_error(ds, fine), ds.cloud_error.values
        seen = true > 1e-5
        assert seen.sum() >= 2 and (said[seen] > 0.4 * true[seen]).all() and (said[seen] < 60 * true[seen]).all()
        assert (said > 0.4 * true - 1e-12).all()
        begun = ds.attrs.get("cloud_unresolved_from", np.inf)
        assert (ds.time.values[said > CLOUD_UNRESOLVED] >= begun).all() and begun <= 1.0


def test_a_cloud_that_is_too_coarse_is_warned_of():
    with pytest.warns(UnderResolvedWarning, match=r"quadrature of the cloud is under-resolved from t = .*raise lmax"):
        fp.solve(FLOW, LAW, **RUN, seed=1, lmax=15)


def test_attention_gathers_points_without_an_error():
    ds = fp.solve(fp.models.SelfAttention(beta=4.0), LAW, t_end=1.0, dt=0.1, measure="cloud", lmax=31)
    assert (ds.cloud_error < 1e-9).all() and "cloud_unresolved_from" not in ds.attrs


def test_on_the_circle_and_for_positions():
    flow = fp.models.IsotropicFlow.from_kernel(lambda t: 0.05 + 0.5 * t + 0.15 * t**3, 3, d=2)
    law = fp.initial.von_mises_fisher([0.3, -0.5], 2.0)
    fine, ds = (quiet(flow, law, **RUN, seed=2, lmax=lmax) for lmax in (511, 31))
    true, said = largest_error(ds, fine, 2), ds.cloud_error.values
    assert (said > 0.4 * true - 1e-12).all() and said.max() > 1e-9
    prompt = fp.initial.prompt([LAW, fp.initial.uniform(3)], 4)
    assert Cloud.from_law(prompt, lmax=9, rtol=1e-6).cloud_error < 1e-6


@pytest.mark.parametrize("d", [2, 3, 64])
def test_circles_of_latitude_have_one_too(d):
    """Against four times as many; the error of the mean is far below, as sums over meridians converge exponentially."""
    run = {"t_end": 1.0, "dt": 0.5, "measure": "zonal_cloud", "rtol": 1e-8}
    model, law = fp.models.SelfAttention(beta=2.0), fp.initial.axial(d, 2.0)
    fine, ds = (quiet(model, law, **run, lmax=lmax) for lmax in (95, 15))
    assert (ds.cloud_error > 0.4 * np.abs(ds.axis_mean - fine.axis_mean) - 1e-7).all()
    assert (fine.cloud_error < 1e-9).all() and (ds.cloud_error > 0).all()


def test_a_law_that_no_coarser_quadrature_sees_has_a_large_error():
    grid = geometry(3).grid(9)
    values = np.where((nested_weights(grid)[0] == 0) & (grid.cos_theta > 0.5), 1.0, 0.0)
    masses = nested_masses(grid, values)
    assert not masses.any()
    sets = [grid.to_modes(values / grid.integral(values), LARGEST_OF), *np.zeros((2, geometry(3).size(8)), complex)]
    assert error_of(sets, geometry(3)) > 0.5


def test_tokens_have_none_and_wrong_masses_are_refused():
    tokens = fp.initial.samples(LAW, 20, 1)
    assert Cloud.from_law(tokens, lmax=9, rtol=1e-6).cloud_error is None
    with pytest.raises(InputError, match=r"^nested = \(2, 3\): must be two finite masses for each of the 20 points"):
        Cloud(tokens.x, tokens.weights, nested=np.ones((2, 3)))


@pytest.mark.parametrize("measure", ["density", "half_density", "log_density"])
@pytest.mark.parametrize("d", [2, 3])
def test_the_quadrature_of_any_density_has_one(measure, d):
    law = fp.initial.von_mises_fisher([0.3, -0.5, 1.0][:d], 20.0)
    few, many = (Cloud.taken_from(build(law, measure, lmax, 1e-6)).cloud_error for lmax in (15, 63))
    assert few is not None and many < 1e-12 < few < 0.1
