"""PETSc's TS: against closed forms and an independent integrator, to the tolerance that was asked for; beside MPI."""

import sys
from functools import partial

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import solve_ivp

import fpsolve as fp
from fpsolve.sphere.geometry import geometry
from fpsolve.theory import growth
from tests.command import FPSOLVE, MPIEXEC, ranks_of, said

pytest.importorskip("petsc4py")

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
NU = 0.3


def final_error(ds, exact):
    return np.linalg.norm(ds.moments.values[-1] - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-9])
def test_heat_equation(d, rtol):
    """Without drift ρ_ℓm(t) = e^{-νℓ(ℓ+1)t} ρ_ℓm(0); on the circle e^{-νm²t}."""
    law = fp.initial.von_mises_fisher([1.0] + [0.0] * (d - 1), 4.0)
    model = fp.models.UnnormalisedSelfAttention(beta=1.0, value=0.0, diffusion=NU)
    ds = fp.solve(model, law, t_end=0.5, dt=0.5, lmax=31, scheme="petsc_ts", rtol=rtol, moments_lmax=31)
    ells = geometry(d).real_degrees_orders(31)[0]
    assert final_error(ds, np.exp(-0.5 * NU * ells * (ells + d - 2)) * ds.moments.values[0]) < rtol


@pytest.mark.parametrize("diffusion", [0.0, NU])
@pytest.mark.parametrize("degree", [1, 2])
def test_growth_rates_of_the_uniform_state(degree, diffusion):
    """A small zonal perturbation of degree ℓ grows at ℓ(ℓ+1)[i_ℓ(β)/β - ν]."""
    amplitude, beta, t = 1e-6, 2.0, 0.5
    legendre = np.polynomial.legendre.Legendre.basis(degree)
    start = fp.initial.function(lambda x: (1 + amplitude * legendre(x[..., 2])) / (4 * np.pi))
    model = fp.models.UnnormalisedSelfAttention(beta=beta, diffusion=diffusion)
    ds = fp.solve(model, start, t_end=t, dt=t, lmax=15, scheme="petsc_ts", rtol=1e-12)
    first, last = ds.moments.values[[0, -1], degree * (degree + 1)]
    expected = growth.uniform_growth_rate(degree, beta, "usa", diffusion=diffusion)
    assert np.log(last / first) / t == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("measure", ["density", "half_density"])
@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-9])
def test_without_diffusion_against_the_eighth_order(measure, rtol):
    """The reference: the package's own Dormand-Prince of order 8 at 1e-12."""
    run = partial(
        fp.solve, fp.models.SelfAttention(beta=2.0), LAW, t_end=0.5, dt=0.25, lmax=31, measure=measure, moments_lmax=31
    )
    exact = run(scheme="rk4", rtol=1e-12).moments.values[-1]
    assert final_error(run(scheme="petsc_ts", rtol=rtol), exact) < rtol


@pytest.fixture(scope="module")
def noisy():
    """A model with drift and diffusion, and its exact state at t = 0.4: SciPy's DOP853, νΔ explicit too."""
    model = fp.models.NoisyTransformer(beta=1.5, diffusion=NU)
    start = fp.measures.build.build(LAW, "density", 15, 1e-12)

    def rate(_, u):
        state = start.at(u)
        out = NU * state.geometry.laplacian(15) * u
        state.generator(model.flow_drift(state.source).on(state.grid)).add_to(u, out, 1.0)
        return out

    end = solve_ivp(rate, (0, 0.4), start.coefficients, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    return model, start.geometry.to_real(np.ascontiguousarray(end))


@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-9])
def test_with_diffusion_against_scipy(noisy, rtol):
    model, exact = noisy
    ds = fp.solve(model, LAW, t_end=0.4, dt=0.2, lmax=15, moments_lmax=15, scheme="petsc_ts", rtol=rtol)
    assert final_error(ds, exact) < rtol
    assert abs(ds.mass.values[-1] - 1) < 1e-13


def test_the_step_is_not_limited_by_diffusion():
    """ν ℓmax² dt = 240: νΔ is implicit, so that a loose tolerance takes few evaluations of the drift."""
    model = fp.models.NoisyTransformer(beta=1.0, diffusion=0.6)
    start = fp.measures.build.build(LAW, "density", 63, 1e-3)
    calls = []

    stepping = sys.modules["fpsolve.schemes.petsc_ts"]  # the package's name is that of the scheme

    class Counting(stepping.Equation):
        def drift(self, *arguments):
            calls.append(1)
            super().drift(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stepping, "Equation", Counting)
        stepping.petsc_ts(model, start, fp.BrownianPath(0), 0.0, 0.1)
    assert len(calls) < 100


@pytest.mark.parametrize(
    ("model", "change", "argument"),
    [
        (fp.models.IsotropicFlow([0.0, 1.0]), {}, "scheme"),
        (fp.models.NoisyTransformer(beta=1.0, diffusion=0.1), {"measure": "half_density"}, "diffusion"),
    ],
)
def test_refused(model, change, argument):
    with pytest.raises(fp.errors.InputError) as caught:
        fp.solve(model, LAW, t_end=0.1, dt=0.01, lmax=15, scheme="petsc_ts", **change)
    assert caught.value.argument == argument


RANKS = """
from mpi4py import MPI
import fpsolve as fp
rank = MPI.COMM_WORLD.rank
law, model = fp.initial.von_mises_fisher([0, 0, 1], 1.0 + rank), fp.models.SelfAttention(beta=2.0)
run = dict(t_end=0.1, dt=0.1, lmax=15, rtol=1e-6, measure="half_density")
alone = fp.solve(model, law, **run).mean_vector.values[-1, 2]
if rank == 1:  # one rank's solve is no other rank's affair
    other = fp.solve(model, law, scheme="lie_euler", transport="petsc", **run)
here = fp.solve(model, law, scheme="petsc_ts", **run).mean_vector.values[-1, 2]
from petsc4py import PETSc
assert PETSc.COMM_WORLD.size == 1 and MPI.COMM_WORLD.size == 2
gathered = MPI.COMM_WORLD.gather((rank, abs(here - alone) < 1e-6, here))
if rank == 0:
    print(len(gathered), all(ok for _, ok, _ in gathered), len({value for *_, value in gathered}))
"""


def on_two_ranks(*arguments, **options):
    """What Python prints on two ranks."""
    if MPIEXEC is None:
        pytest.skip("no mpiexec in this environment")
    done = ranks_of(2, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_rank_solves_its_own():
    """Under mpiexec each rank's PETSc is its own, solves need no other rank, and MPI goes on beside them."""
    assert on_two_ranks("-c", RANKS).split() == ["2", "True", "2"]


ENSEMBLE = """
[model]
name = "IsotropicFlow"
spectrum = [0.0, 0.3, 0.2]
[initial]
name = "von_mises_fisher"
mean = [0, 0, 1]
kappa = 2.0
[solve]
t_end = 0.02
dt = 0.01
lmax = 15
rtol = 1e-4
scheme = "lie_euler"
measure = "half_density"
transport = "petsc"
petsc_options = "-ksp_type cg"
[ensemble]
members = 4
"""


def test_an_ensemble_with_implicit_transport_on_two_ranks(tmp_path):
    """The store of two ranks is that of one process, bit for bit."""
    (tmp_path / "a.toml").write_text(ENSEMBLE)
    command = (*FPSOLVE, "ensemble", "a.toml", "-o")
    on_two_ranks(*command, "two.zarr", cwd=tmp_path)
    said(*command, "one.zarr", cwd=tmp_path)
    one, two = (xr.open_zarr(tmp_path / name) for name in ("one.zarr", "two.zarr"))
    assert two.sizes["member"] == 4 and one.identical(two)
    assert len(np.unique(two.mean_vector.values[:, -1, 0])) == 4 and np.abs(two.mass - 1).max() < 1e-8
