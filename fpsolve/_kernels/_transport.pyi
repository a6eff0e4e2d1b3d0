from numpy import complex128, float64
from numpy.typing import NDArray

def flux(rho: NDArray[float64], v: NDArray[float64], first: NDArray[float64]) -> None: ...
def dot(u: NDArray[float64], v: NDArray[float64]) -> None: ...
def largest_square(v: NDArray[float64]) -> float: ...
def recur_flux(
    x: NDArray[complex128],
    rates: NDArray[float64],
    factor: float,
    y: NDArray[complex128],
    weight: float,
    result: NDArray[complex128],
) -> float: ...
def recur_skew(
    x: NDArray[complex128],
    along: NDArray[complex128],
    rates: NDArray[float64],
    factor: float,
    y: NDArray[complex128],
    weight: float,
    result: NDArray[complex128],
) -> float: ...
def bind(SH_to_spat: int, SHsph_to_spat: int, SHsphtor_to_spat: int, spat_to_SH: int, spat_to_SHsphtor: int) -> None:
    """Addresses of SHTns's transforms, for the series below; ``plan`` is the address of a plan.

    Those give how often L was applied, less than zero where the polynomials outgrow the bound on the spectrum.
    """

def polynomial_flux(
    plan: int,
    v: NDArray[float64],
    rates: NDArray[float64],
    u: NDArray[complex128],
    weights: NDArray[float64],
    rests: NDArray[float64],
    scale: float,
    rtol: float,
    growth: float,
    result: NDArray[complex128],
) -> int: ...
def polynomial_skew(
    plan: int,
    v: NDArray[float64],
    rates: NDArray[float64],
    u: NDArray[complex128],
    weights: NDArray[float64],
    rests: NDArray[float64],
    scale: float,
    rtol: float,
    growth: float,
    result: NDArray[complex128],
) -> int: ...
def polynomial_log(
    plan: int,
    lmax: int,
    v: NDArray[float64],
    divergence: NDArray[complex128],
    u: NDArray[complex128],
    weights: NDArray[float64],
    rests: NDArray[float64],
    scale: float,
    rtol: float,
    growth: float,
    result: NDArray[complex128],
) -> int: ...
