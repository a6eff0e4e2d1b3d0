"""The Gauss grid in both layouts: round trips, tangent fields, dealiasing, plans, inputs left alone."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from fpsolve.errors import InputError
from fpsolve.sphere import grid
from fpsolve.sphere import harmonics as sh
from fpsolve.sphere.grid import THETA_LAYOUT_FROM, Grid, _even_latitudes
from fpsolve.sphere.harmonics import Coefficients

LAYOUTS = (31, THETA_LAYOUT_FROM)


def random_modes(lmax: int, seed: int = 0, decay: float = 0.0) -> Coefficients:
    rng = np.random.default_rng(seed)
    c = rng.normal(size=sh.size(lmax)) + 1j * rng.normal(size=sh.size(lmax))
    c[: lmax + 1] = c[: lmax + 1].real
    return c * (1.0 + sh.degrees_orders(lmax)[0]) ** -decay


def said_by(code: str) -> str:
    """Everything that a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_layouts_are_the_two_that_exist(lmax: int) -> None:
    g = grid(lmax)
    assert g.shape == ((g.nphi, g.nlat) if lmax >= THETA_LAYOUT_FROM else (g.nlat, g.nphi))
    np.testing.assert_allclose(np.einsum("ija,ija->ij", g.x, g.x), 1, rtol=1e-14)
    np.testing.assert_allclose(g.x[..., 2], g.cos_theta, rtol=0, atol=0)
    np.testing.assert_allclose(g.x[..., 0], np.sqrt(1 - g.cos_theta**2) * np.cos(g.phi), rtol=0, atol=1e-14)
    np.testing.assert_allclose(g.x[..., 1], np.sqrt(1 - g.cos_theta**2) * np.sin(g.phi), rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.cross(g.frame[0], g.frame[1]), g.x, rtol=0, atol=1e-14)


@pytest.mark.parametrize("lmax", [1, 2, 7, 31, 127])
def test_quadrature_is_exact(lmax: int) -> None:
    g = grid(lmax)
    assert g.weights.sum() == pytest.approx(4 * np.pi, rel=1e-14)
    for power in range(0, 2 * g.nlat - 1, max(1, g.nlat // 4)):
        expected = 4 * np.pi / (power + 1) if power % 2 == 0 else 0.0
        assert abs(g.integral(g.cos_theta**power) - expected) < 1e-12
    assert g.integral(g.x[..., 0] ** 2) == pytest.approx(4 * np.pi / 3, rel=1e-13)


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_round_trip(lmax: int) -> None:
    g, c = grid(lmax), random_modes(lmax)
    np.testing.assert_allclose(g.to_modes(g.to_grid(c)), c, rtol=0, atol=1e-12)
    low = random_modes(lmax // 3, 2)
    np.testing.assert_allclose(g.to_modes(g.to_grid(low), lmax // 3), low, rtol=0, atol=1e-12)


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_products_of_two_fields_are_analysed_exactly(lmax: int) -> None:
    """Against a grid of twice the degree, on which the product is a field of its own degree."""
    a, b = random_modes(lmax, 1, 1.0), random_modes(lmax, 2, 1.0)
    g, fine = grid(lmax), grid(2 * lmax)
    product = g.to_modes(g.to_grid(a) * g.to_grid(b))
    exact = fine.to_modes(fine.to_grid(a) * fine.to_grid(b))
    np.testing.assert_allclose(product, sh.resized(exact, lmax), rtol=0, atol=1e-12 * np.abs(exact).max())


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_flux_of_two_fields_is_analysed_exactly(lmax: int) -> None:
    """div(ρ v) with v of degree ℓmax: the vector analysis does not alias either."""
    rho, s, t = (random_modes(lmax, seed, 1.0) for seed in (1, 2, 3))
    g, fine = grid(lmax), grid(2 * lmax)
    coarse = g.surface_div(g.to_grid(rho) * g.tangent(s, t))
    exact = fine.surface_div(fine.to_grid(rho) * fine.tangent(s, t))
    np.testing.assert_allclose(coarse, sh.resized(exact, lmax), rtol=0, atol=2e-12 * np.abs(exact).max())


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_tangent_fields_of_degree_one_have_their_closed_forms(lmax: int) -> None:
    """S = ⟨a,x⟩ gives ∇S = a - ⟨a,x⟩x, T = ⟨a,x⟩ gives ∇T × x = a × x."""
    g, a = grid(lmax), np.array([0.3, -0.7, 0.4])
    linear, zero = g.to_modes(g.x @ a), np.zeros(sh.size(lmax), complex)
    gradient = a - (g.x @ a)[..., None] * g.x
    for v in (g.gradient(linear), g.tangent(linear, zero)):
        np.testing.assert_allclose(g.to_ambient(v), gradient, rtol=0, atol=1e-11)
    np.testing.assert_allclose(g.to_ambient(g.tangent(zero, linear)), np.cross(a, g.x), rtol=0, atol=1e-11)
    np.testing.assert_allclose(g.from_ambient(gradient), g.gradient(linear), rtol=0, atol=1e-11)


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_tangent_is_gradient_plus_rotated_gradient(lmax: int) -> None:
    g, s, t = grid(lmax), random_modes(lmax, 1, 1.0), random_modes(lmax, 2, 1.0)
    expected = g.to_ambient(g.gradient(s)) + np.cross(g.to_ambient(g.gradient(t)), g.x)
    np.testing.assert_allclose(g.to_ambient(g.tangent(s, t)), expected, rtol=0, atol=1e-11)
    back = g.tangent_modes(g.tangent(s, t))
    for found, put in zip(back, (s, t), strict=True):
        np.testing.assert_allclose(found[1:], put[1:], rtol=0, atol=1e-12)  # the constant has no gradient
        assert abs(found[0]) < 1e-12


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_divergence_is_the_laplacian_of_the_potential(lmax: int) -> None:
    g, s, t = grid(lmax), random_modes(lmax, 1, 1.0), random_modes(lmax, 2, 1.0)
    expected = s * sh.laplacian(lmax)
    np.testing.assert_allclose(g.surface_div(g.tangent(s, t)), expected, rtol=0, atol=1e-11 * lmax)


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_inputs_are_left_alone(lmax: int) -> None:
    g, s, t = grid(lmax), random_modes(lmax, 1), random_modes(lmax, 2)
    field, v = g.to_grid(s), g.tangent(s, t)
    kept = [array.copy() for array in (s, t, field, v)]
    g.to_modes(field)
    g.tangent_modes(v)
    g.surface_div(v)
    g.gradient(s)
    for array, before in zip((s, t, field, v), kept, strict=True):
        assert np.array_equal(array, before)


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_results_do_not_share_memory(lmax: int) -> None:
    g, c = grid(lmax), random_modes(lmax)
    field = g.to_grid(c)
    first = g.to_modes(field)
    copy = first.copy()
    g.to_modes(2 * field)
    assert np.array_equal(first, copy)


def test_latitudes_avoid_the_slow_numbers() -> None:
    for lmax in range(1, 300):
        least = (2 * lmax + max(lmax, 26)) // 2 + 1
        nlat = _even_latitudes(least)
        assert least <= nlat < max(least, 32) + 16
        assert nlat % 8 == 0 and nlat % 64 != 0
    assert all(grid(lmax).nlat % 64 for lmax in (42, 63, 84, 127))


class PlanSpy:
    """Stands for the shtns module and remembers how plans are made."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.made: list[tuple[Any, ...]] = []
        self.flags: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def sht(self, *args: Any) -> Any:
        self.made.append(args)
        plan, flags = self._module.sht(*args), self.flags

        class Spied:
            def __getattr__(self, name: str) -> Any:
                return getattr(plan, name)

            def set_grid(self, nlat: int, nphi: int, options: int, eps: float) -> Any:
                flags.append(options)
                return plan.set_grid(nlat, nphi, options, eps)

        return Spied()


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_every_plan_is_quick_and_of_one_thread(lmax: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["fpsolve.sphere.grid"]
    spy = PlanSpy(module.shtns)  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "shtns", spy)
    g = Grid(lmax)
    g.plan(lmax // 2)
    assert len(spy.made) == len(spy.flags) == 2
    for (_, _, _, norm, threads), flags in zip(spy.made, spy.flags, strict=True):
        assert norm == spy.sht_orthonormal and threads == 1
        assert flags & spy.sht_quick_init and not flags & spy.SHT_ALLOW_PADDING
        assert bool(flags & spy.SHT_THETA_CONTIGUOUS) == (lmax >= THETA_LAYOUT_FROM)


@pytest.mark.parametrize("lmax", LAYOUTS)
def test_the_plan_itself_reports_one_thread(lmax: int) -> None:
    code = f"from fpsolve.sphere import grid; grid({lmax}).plan({lmax}).print_info()"
    said = said_by(code)
    assert re.search(r"\[1 threads, orthonormalized\]", said), said


def test_importing_the_package_prints_nothing() -> None:
    assert said_by("import fpsolve") == ""


BITS = """
import hashlib, numpy as np
from fpsolve.sphere import grid
from fpsolve.sphere.harmonics import size
digest = hashlib.sha256()
for lmax in {degrees}:
    g, rng = grid(lmax), np.random.default_rng(0)
    c = rng.normal(size=size(lmax)) + 0j
    field = g.to_grid(c)
    v = g.tangent(c, c)
    for array in (field, v, g.to_modes(field), *g.tangent_modes(v)):
        digest.update(array.tobytes())
print(digest.hexdigest())
"""


def test_bits_are_the_same_in_every_process() -> None:
    code = BITS.format(degrees=LAYOUTS)
    said = {said_by(code) for _ in range(2)}
    assert len(said) == 1 and len(said.pop().strip()) == len(hashlib.sha256().hexdigest())


def test_a_degree_too_high_for_the_grid_is_refused() -> None:
    g = Grid(7)
    with pytest.raises(InputError, match="does not hold"):
        g.plan(g.nlat)
