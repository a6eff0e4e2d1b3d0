"""Time-stepping schemes: each composes models and transports into one step."""

from fpsolve.schemes.euler_maruyama import euler_maruyama
from fpsolve.schemes.heun import heun
from fpsolve.schemes.lie_euler import lie_euler
from fpsolve.schemes.ninomiya import ninomiya
from fpsolve.schemes.rk4 import rk4
from fpsolve.schemes.table import Scheme, check_scheme, named

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
    ),
    "rk4": Scheme(
        rk4,
        "classical Runge-Kutta with the drift re-evaluated in every stage",
        "Hairer, Norsett & Wanner 1993",
        strong_order=4,
        weak_order=4,
        deterministic=True,
    ),
}
"""Every scheme by name, with the calculus, orders and source that tables and tests are made from."""

__all__ = ["SCHEMES", "Scheme", "check_scheme", "named"]
