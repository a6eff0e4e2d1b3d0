"""A measure of the user's own with what the base class asks for and nothing else: what it then answers."""

from dataclasses import dataclass

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.source import MomentSource, PointSource, Source
from fpsolve.errors import InputError
from fpsolve.measures.build import build, source_of
from fpsolve.models import Homogenized, SpectralSelection
from fpsolve.schemes.euler_maruyama import euler_maruyama

X, WEIGHTS = fp.initial.simplex(3, -0.2, 3).x, np.array([0.5, 0.3, 0.2])


@dataclass(frozen=True, eq=False, repr=False)
class Bare(fp.Measure):
    """Weighted points, said by the source alone."""

    x: np.ndarray
    weights: np.ndarray
    name = "bare"
    mass = 1.0

    @classmethod
    def from_law(cls, law, *, lmax, rtol, filter=None):
        return cls(law.x, law.weights)

    @property
    def dimension(self):
        return self.x.shape[1]

    @property
    def source(self):
        return PointSource(self.x, self.weights)

    def transport(self, velocity):
        raise NotImplementedError

    def diffuse(self, amount, path, t0, t1):
        raise InputError("diffusion", amount, "none", "use tokens")

    def is_finite(self):
        return True


class OfPoints(Bare):
    """The same, which says that it is made of points."""

    @property
    def points(self):
        return self.x

    def placed(self, x):
        return OfPoints(x, self.weights)


class Smooth(Bare):
    """A density known by a source of moments."""

    @property
    def source(self):
        return build(fp.initial.von_mises_fisher([0, 0, 1], 2.0), "density", 31, 1e-6).source


class Unheard(Bare):
    """One whose source knows no points."""

    @property
    def source(self):
        hidden = PointSource(self.x, self.weights)
        names = ("mean", "evaluate", "log_M_sphere", "F_sphere", "hessian_F_sphere")
        return type("Hidden", (Source,), {name: getattr(hidden, name) for name in names})()


@pytest.mark.parametrize("d", [2, 3, 4])
def test_integrals_and_moments_are_those_of_a_cloud(d):
    x = fp.initial.simplex(3, -0.2, d).x if d > 2 else np.array([[1, 0], [0.6, 0.8], [0, -1.0]])
    bare, cloud = Bare(x, WEIGHTS), fp.Cloud(x, WEIGHTS)
    np.testing.assert_array_equal(bare.sites.x, cloud.sites.x)
    np.testing.assert_array_equal(bare.masses, cloud.masses)
    np.testing.assert_allclose(bare.mean, WEIGHTS @ x, atol=1e-15)
    if d == 4:
        assert bare.moments(3) is None is cloud.moments(3)
    else:
        np.testing.assert_array_equal(bare.moments(3), cloud.moments(3))
    for one, other in zip(bare.quadrature(), cloud.quadrature(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert bare.points is None and not bare.has_density and bare.density_on() is None and bare.score is None
    assert bare.holds(1000) and bare.without_density() is bare
    assert bare.refined(31) is None is bare.filtered(0.1)


def test_a_source_of_moments_gives_its_positive_quadrature():
    """∫ z dμ of von Mises and Fisher's law by sites and masses: coth κ - 1/κ."""
    smooth = Smooth(X, WEIGHTS)
    assert isinstance(smooth.source, MomentSource)
    assert smooth.masses @ smooth.sites.x[:, 2] == pytest.approx(1 / np.tanh(2.0) - 0.5, abs=1e-12)


def test_a_source_without_points_is_told_what_to_define():
    with pytest.raises(InputError, match=r"measure = 'bare': .* define sites and masses in Unheard"):
        _ = Unheard(X, WEIGHTS).sites


def test_points_of_an_outside_measure_are_points():
    mine, cloud = OfPoints(X, WEIGHTS), fp.Cloud(X, WEIGHTS)
    model, path = SpectralSelection(1.0, np.diag([1.0, 0.5, -0.2])), fp.BrownianPath(1)
    np.testing.assert_array_equal(model.alignment(mine), model.alignment(cloud))
    moved = euler_maruyama(model, mine, path, 0.0, 0.1)
    assert isinstance(moved, OfPoints)
    np.testing.assert_array_equal(moved.x, euler_maruyama(model, cloud, path, 0.0, 0.1).x)
    chain = fp.transformer.RandomTransformer(3, 3, 2, 2, 0.1, 1.0)
    np.testing.assert_array_equal(chain.run(mine).overlap, chain.run(cloud).overlap)


def test_what_needs_points_refuses_a_measure_without():
    bare = Bare(X, WEIGHTS)
    with pytest.raises(InputError, match="measure = 'Bare': not points of"):
        SpectralSelection(1.0, np.eye(3)).alignment(bare)
    with pytest.raises(InputError, match="measure = 'bare': a bare is not made of points"):
        euler_maruyama(SpectralSelection(1.0, np.eye(3)), bare, fp.BrownianPath(1), 0.0, 0.1)
    with pytest.raises(InputError, match=r"initial = .*: not tokens"):
        fp.transformer.RandomTransformer(3, 3, 2, 2, 0.1, 1.0).run(bare)


def test_an_isotropic_noise_is_prepared_from_an_outside_measure():
    """``noise_lmax="auto"`` and the kernel of the noise ask it for its source, and what it holds."""
    mine, cloud, model = Bare(X, WEIGHTS), fp.Cloud(X, WEIGHTS), Homogenized(1.0, "gaussian")
    assert model.prepared(mine) == model.prepared(cloud)
    t = np.linspace(-1, 1, 5)
    np.testing.assert_array_equal(model.kernel(mine)(t), model.kernel(cloud)(t))
    assert source_of(mine).mean == pytest.approx(cloud.mean)


@pytest.mark.parametrize("kind", ["density", "half_density", "log_density"])
@pytest.mark.parametrize("d", [2, 3])
def test_densities_answer_by_their_grid(kind, d):
    """κ = 2: ∫ f dμ by sites and masses, ρ on another grid, ∇log ρ = κ P_x e, degrees, which fields it holds."""
    axis = np.eye(d)[-1]
    law = fp.initial.von_mises_fisher(axis, 2.0)
    measure = build(law, kind, 31, 1e-8)
    assert measure.points is None and measure.has_density
    assert np.sum(measure.masses) == pytest.approx(1, abs=1e-12)
    assert np.sum(measure.masses * measure.sites.x[..., -1]) == pytest.approx(measure.mean[-1], abs=1e-12)
    finer = measure.refined(47)
    assert finer.lmax == 47 and finer.mean == pytest.approx(measure.mean, abs=1e-12)
    np.testing.assert_allclose(measure.density_on(finer.grid), law.density(finer.grid.x), atol=1e-11)
    np.testing.assert_array_equal(measure.density_on(), measure.values)
    x = measure.sites.x
    expected = 2 * (axis - x[..., -1:] * x)
    np.testing.assert_allclose(measure.score, expected, atol=1e-8)
    assert measure.holds(31) and not measure.holds(1000)
    filtered = measure.filtered(0.2)
    assert (filtered is None) == (kind != "density") and (filtered is None or filtered.filter == 0.2)
    with pytest.raises(InputError, match="is not made of points"):
        measure.placed(X)


def test_a_quadrature_cloud_carries_its_density_until_it_is_left_behind():
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    cloud = build(law, "cloud", 15, 1e-6)
    assert cloud.has_density
    np.testing.assert_allclose(cloud.density_on(), law.density(cloud.x), rtol=1e-12)
    assert cloud.density_on(build(law, "density", 15, 1e-6).grid) is None
    left = cloud.without_density()
    assert not left.has_density and left.density_on() is None and left.without_density() is left
    assert not cloud.placed(cloud.x).has_density
