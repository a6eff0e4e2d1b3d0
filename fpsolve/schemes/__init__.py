"""Time-stepping schemes: each composes models and transports into one step."""

from fpsolve.schemes.euler_maruyama import euler_maruyama
from fpsolve.schemes.geodesic_euler import geodesic_euler
from fpsolve.schemes.heun import heun
from fpsolve.schemes.lie_euler import lie_euler
from fpsolve.schemes.ninomiya import ninomiya
from fpsolve.schemes.petsc_ts import petsc_ts
from fpsolve.schemes.rk4 import rk4
from fpsolve.schemes.scheme import Scheme, check_scheme, named

SCHEMES: dict[str, Scheme] = {
    "lie_euler": Scheme(
        lie_euler,
        "transport by the field frozen at the start of the step",
        "Malham & Wiese 2008",
        calculus=("any", "ito"),
        strong_order=0.5,
        weak_order=1,
    ),
    "heun": Scheme(
        heun,
        "average of the fields at start and predictor, one increment",
        "Malham & Wiese 2008",
        strong_order=0.5,
        weak_order=1,
    ),
    "ninomiya": Scheme(
        ninomiya,
        "two flows a step, the drift living in the second",
        "Ninomiya & Ninomiya 2009",
        weak_order=2,
    ),
    "euler_maruyama": Scheme(
        euler_maruyama,
        "the transformer's layer map on points, x <- N(x + u)",
        "arXiv:2604.01978",
        calculus=("any", "ito"),
        strong_order=0.5,
        weak_order=1,
        measures=("cloud",),
        joint=True,
        carries_density=False,
        uses_rtol=False,
    ),
    "geodesic_euler": Scheme(
        geodesic_euler,
        "points along great circles, x <- exp_x(u); takes fields known only jointly",
        "arXiv:2604.01978",
        calculus=("any", "ito"),
        strong_order=0.5,
        weak_order=1,
        measures=("cloud",),
        joint=True,
        carries_density=False,
        uses_rtol=False,
    ),
    "rk4": Scheme(
        rk4,
        "classical Runge-Kutta with the drift re-evaluated in every stage",
        "Hairer, Norsett & Wanner 1993",
        strong_order=4,
        weak_order=4,
        deterministic=True,
        joint=True,
        adaptive=True,
    ),
    "petsc_ts": Scheme(
        petsc_ts,
        "PETSc's adaptive integrators, ν implicit; needs PETSc",
        "Kennedy & Carpenter 2003",
        measures=("density", "half_density"),
        deterministic=True,
        diffuses=True,
        takes_options=True,
        uses_filter=False,
        adaptive=True,
    ),
}
"""Every scheme by name, with the calculus, orders and source that tables and tests are made from."""

__all__ = ["SCHEMES", "Scheme", "check_scheme", "named"]
