"""PETSc's options: parsed, private to a solve, reported when unused; outcomes that are no solution are errors."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.config import parse_config
from fpsolve.petsc.library import parsed, petsc, private_options, reason_name
from fpsolve.sphere import grid
from fpsolve.transport.flows import flow_of, named_flow

LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
MODEL = fp.models.SelfAttention(beta=2.0)
RUN = {"t_end": 0.02, "dt": 0.01, "lmax": 15, "rtol": 1e-4, "scheme": "lie_euler", "measure": "half_density"}

LONG = RUN | {"t_end": 0.5, "dt": 0.5}

with_petsc = pytest.mark.usefixtures("has_petsc")


@pytest.fixture
def has_petsc():
    pytest.importorskip("petsc4py")


def standing():
    """What stands in PETSc's database."""
    return petsc().Options().getAll()


def test_a_line_of_options():
    line = "-ksp_monitor -ksp_type gmres -ksp_rtol 1e-3 -ts_time_step -0.5 -ksp_view ascii:'a file'"
    assert parsed(line) == {
        "ksp_monitor": None, "ksp_type": "gmres", "ksp_rtol": "1e-3", "ts_time_step": "-0.5",
        "ksp_view": "ascii:a file",
    }  # fmt: skip
    assert parsed(None) == parsed("") == {}


@pytest.mark.parametrize("line", ["ksp_monitor", "-ksp_type gmres cg", "-ksp_view 'ascii", 3])
def test_malformed_options(line):
    with pytest.raises(fp.errors.InputError) as caught:
        parsed(line)
    assert caught.value.argument == "petsc_options"


@with_petsc
def test_options_are_private_and_removed():
    before = standing()
    with private_options("-ksp_type gmres") as one, private_options("-ksp_type bcgs -ksp_max_it 7") as other:
        names = {f"{one}ksp_type": "gmres", f"{other}ksp_type": "bcgs", f"{other}ksp_max_it": "7"}
        assert standing() == before | names
        for prefix, kind in ((one, "gmres"), (other, "bcgs")):
            ksp = petsc().KSP().create(comm=petsc().COMM_SELF)
            ksp.setOptionsPrefix(prefix)
            ksp.setFromOptions()
            assert ksp.getType() == kind
            ksp.destroy()
    assert standing() == before


@with_petsc
@pytest.mark.parametrize("trouble", [ValueError, fp.errors.InputError])
def test_options_are_removed_after_failures(trouble):
    before = standing()
    with pytest.raises(trouble), private_options("-no_such_option 1"):
        if trouble is ValueError:
            raise ValueError
    assert standing() == before


@with_petsc
@pytest.mark.parametrize("change", [{"transport": "petsc"}, {"scheme": "petsc_ts"}])
def test_unused_options_are_reported(change):
    with pytest.raises(fp.errors.InputError, match="-ksp_tpye") as caught:
        fp.solve(MODEL, LAW, **(RUN | change), petsc_options="-ksp_tpye gmres")
    assert caught.value.argument == "petsc_options"


@with_petsc
def test_options_reach_the_solver(capfd):
    """A monitor prints; another Krylov method and another tolerance give other bits of the same state."""
    plain = fp.solve(MODEL, LAW, **RUN, transport="petsc")
    other = fp.solve(MODEL, LAW, **RUN, transport="petsc", petsc_options="-ksp_type minres -ksp_monitor -ksp_rtol 1e-6")
    assert "KSP Residual norm" in capfd.readouterr().out
    difference = np.abs(plain.mean_vector - other.mean_vector).values.max()
    assert 0 < difference < 1e-5


@with_petsc
def test_options_of_a_configuration():
    raw = {
        "model": {"name": "SelfAttention", "beta": 2.0},
        "initial": {"name": "von_mises_fisher", "mean": [0, 0, 1], "kappa": 2.0},
        "solve": LONG | {"transport": "petsc", "petsc_options": "-ksp_max_it 1"},
    }
    with pytest.raises(fp.errors.DivergedError, match="DIVERGED_MAX_IT"):
        parse_config(raw).solve()
    raw["solve"]["petsc_options"] = "-ksp_max_it 500"
    ds = parse_config(raw).solve()
    assert '"petsc_options": "-ksp_max_it 500"' in ds.fpsolve_config and '"transport": "petsc"' in ds.fpsolve_config


@with_petsc
@pytest.mark.parametrize("measure", ["density", "half_density"])
def test_a_solve_that_diverges_is_an_error(measure):
    with pytest.raises(fp.errors.DivergedError, match="-ksp_max_it") as caught:
        fp.solve(MODEL, LAW, **(LONG | {"measure": measure}), transport="petsc", petsc_options="-ksp_max_it 1")
    error = caught.value
    assert error.solver == "PETSc KSP" and error.reason == "DIVERGED_MAX_IT" and 1e-6 < error.residual < 1
    assert f"{error.residual:.3g}" in str(error)


@with_petsc
def test_too_few_steps_of_the_integrator_are_an_error():
    with pytest.raises(fp.errors.DivergedError, match="CONVERGED_ITS") as caught:
        fp.solve(MODEL, LAW, **(RUN | {"scheme": "petsc_ts"}), petsc_options="-ts_max_steps 1 -ts_time_step 1e-4")
    assert caught.value.solver == "PETSc TS" and "-ts_max_steps" in caught.value.remedy
    assert caught.value.residual == pytest.approx(0.99, abs=1e-6)  # one step of 1e-4 of dt = 0.01


@with_petsc
@pytest.mark.parametrize("measure", ["density", "half_density"])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("-ksp_atol 10", "CONVERGED_ATOL"),
        ("-ksp_convergence_test skip -ksp_max_it 1", "CONVERGED_ITS"),
        ("-ksp_converged_maxits -ksp_max_it 1", "CONVERGED_ITS"),
        ("-ksp_type preonly", "CONVERGED_ITS"),
        ("-ksp_rtol 0.5", "CONVERGED_RTOL"),
        ("-ksp_norm_type none -ksp_max_it 1", "DIVERGED_MAX_IT"),
    ],
)
def test_the_true_residual_decides(measure, options, reason):
    """Whatever KSP is told to believe; the residual in the error is ‖b - Ax‖/‖b‖, never 0."""
    with pytest.raises(fp.errors.DivergedError, match=reason) as caught:
        fp.solve(MODEL, LAW, **(LONG | {"measure": measure}), transport="petsc", petsc_options=options)
    assert caught.value.solver == "PETSc KSP" and 1e-5 < caught.value.residual <= 1 + 1e-12


NOISY = fp.models.NoisyTransformer(beta=2.0, diffusion=0.3)
WHOLE = {"t_end": 0.5, "dt": 0.5, "lmax": 15, "rtol": 1e-4, "scheme": "petsc_ts"}


@with_petsc
@pytest.mark.parametrize("options", ["-ts_max_time 0.1", "-ts_init_time 0.3", "-ts_rtol 1 -ts_atol 1"])
def test_times_and_tolerance_are_the_runs(options):
    with pytest.raises(fp.errors.InputError, match=f"^petsc_options = '{options}'"):
        fp.solve(NOISY, LAW, **WHOLE, petsc_options=options)


@with_petsc
def test_a_state_of_another_time_is_not_returned():
    """``stepover`` ends behind the end; ``interpolate`` at it, by what TS calls its solve time."""
    with pytest.raises(fp.errors.DivergedError, match="CONVERGED_TIME with residual 0"):
        fp.solve(NOISY, LAW, **WHOLE, petsc_options="-ts_exact_final_time stepover")
    plain = fp.solve(NOISY, LAW, **WHOLE)
    between = fp.solve(NOISY, LAW, **WHOLE, petsc_options="-ts_exact_final_time interpolate")
    assert abs(plain.mean_vector - between.mean_vector).max() < 1e-5


@with_petsc
@pytest.mark.parametrize(
    ("change", "options", "word"),
    [
        ({"transport": "petsc"}, "-ksp_type nosuch", "nosuch"),
        ({"transport": "petsc"}, "-ksp_rtol abc", "abc"),
        ({"transport": "petsc"}, "-ksp_max_it -5", "-5"),
        ({"transport": "petsc"}, "-pc_type jacobi", "getDiagonal"),
        ({"transport": "petsc"}, "-pc_type lu", "factorization type LU"),
        ({"scheme": "petsc_ts"}, "-ts_type nosuch", "nosuch"),
        ({"scheme": "petsc_ts"}, "-ts_time_step abc", "abc"),
    ],
)
def test_values_that_petsc_refuses_are_bad_input(change, options, word):
    before = standing()
    with pytest.raises(fp.errors.InputError, match=f"^petsc_options = '{options}': PETSc says: .*{word}") as caught:
        fp.solve(MODEL, LAW, **(RUN | change), petsc_options=options)
    assert caught.value.argument == "petsc_options" and "[0]" not in str(caught.value)
    assert standing() == before


@with_petsc
def test_the_command_line_names_a_value_that_petsc_refuses(tmp_path, capsys):
    from typer.testing import CliRunner

    from fpsolve.cli.app import app

    (tmp_path / "a.toml").write_text(
        '[model]\nname = "SelfAttention"\nbeta = 2.0\n[initial]\nname = "uniform"\n'
        '[solve]\nt_end = 0.1\ndt = 0.1\nlmax = 15\nscheme = "lie_euler"\n'
        'transport = "petsc"\npetsc_options = "-ksp_type nosuch"\n'
    )
    shown = CliRunner().invoke(app, ["run", str(tmp_path / "a.toml"), "-o", str(tmp_path / "a.nc")])
    assert shown.exit_code == 2 and not (tmp_path / "a.nc").exists()
    assert "petsc_options = '-ksp_type nosuch': PETSc says" in shown.output and "Traceback" not in shown.output


@with_petsc
def test_scipy_divergence_is_an_error(monkeypatch):
    from scipy.sparse.linalg import cg

    from fpsolve.transport import midpoint as twin

    monkeypatch.setattr(twin, "cg", lambda *args, **kwargs: cg(*args, **kwargs, maxiter=1))
    with pytest.raises(fp.errors.DivergedError, match="SciPy cg"):
        fp.solve(MODEL, LAW, **LONG, transport="midpoint")


@with_petsc
def test_names_of_reasons():
    library = petsc()
    assert reason_name(library.KSP, library.KSP.ConvergedReason.DIVERGED_BREAKDOWN) == "DIVERGED_BREAKDOWN"
    assert reason_name(library.SNES, library.SNES.ConvergedReason.DIVERGED_LINE_SEARCH) == "DIVERGED_LINE_SEARCH"
    assert reason_name(library.TS, library.TS.ConvergedReason.DIVERGED_STEP_REJECTED) == "DIVERGED_STEP_REJECTED"
    assert reason_name(library.KSP, 12345) == "reason 12345"


@with_petsc
@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"transport": "petcs"}, "transport"),
        ({"transport": "petsc", "measure": "cloud"}, "transport"),
        ({"petsc_options": "-ksp_monitor"}, "petsc_options"),
        ({"transport": "midpoint", "petsc_options": "-ksp_monitor"}, "petsc_options"),
        ({"transport": "petsc", "petsc_options": "ksp_monitor"}, "petsc_options"),
        ({"scheme": "petsc_ts", "petsc_options": "ksp_monitor"}, "petsc_options"),
        ({"scheme": "petsc_ts", "transport": "petsc"}, "transport"),
        ({"scheme": "petsc_ts", "measure": "cloud"}, "scheme"),
    ],
)
def test_refused_before_any_computing(change, argument):
    with pytest.raises(fp.errors.InputError) as caught:
        fp.solve(MODEL, LAW, **(RUN | change))
    assert caught.value.argument == argument


@with_petsc
def test_a_measure_keeps_its_flow():
    start = fp.measures.build.build(LAW, "density", 15, 1e-4, None, "petsc", "-ksp_max_it 77")
    assert start.flow == named_flow("petsc", "-ksp_max_it 77") == "petsc -ksp_max_it 77"
    assert flow_of(start.flow).keywords == {"stages": 1, "options": "-ksp_max_it 77"}
    moved = start.transport(0.1 * MODEL.flow_drift(start.source))
    assert moved.flow == start.flow and fp.measures.build.build(moved, "density", 15, 1e-4) is moved
    assert grid(15) is moved.grid
