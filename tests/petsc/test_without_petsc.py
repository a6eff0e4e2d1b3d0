"""Nothing else needs PETSc or MPI: with both made unimportable the package works and says how to install them."""

from tests.command import said

BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("petsc4py", "mpi4py", "petsc"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""

RUNS = """
import fpsolve as fp
law, model = fp.initial.von_mises_fisher([0, 0, 1], 2.0), fp.models.SelfAttention(beta=2.0)
run = dict(t_end=0.02, dt=0.01, lmax=15, rtol=1e-4)
for measure in ("density", "half_density", "log_density", "cloud"):
    fp.solve(model, law, measure=measure, **run)
fp.solve(model, law, transport="midpoint", **run)
for change in (dict(transport="petsc"), dict(transport="petsc_gauss"), dict(scheme="petsc_ts")):
    try:
        fp.solve(model, law, **run, **change)
    except fp.errors.MissingDependencyError as error:
        assert isinstance(error, ImportError) and "pip install petsc petsc4py" in str(error), error
    else:
        raise AssertionError(change)
print("done")
"""

QUIET = """
import sys
import fpsolve as fp
fp.solve(fp.models.SelfAttention(beta=2.0), fp.initial.uniform(), t_end=0.01, dt=0.01, lmax=15)
print(*[name for name in ("petsc4py", "mpi4py", "mpi4py.MPI") if name in sys.modules], "end")
"""


def output(program):
    return said("-c", program).split()


def test_everything_else_works_without_it():
    assert output(BLOCK + RUNS) == ["done"]


def test_importing_and_solving_imports_neither():
    assert output(QUIET) == ["end"]
