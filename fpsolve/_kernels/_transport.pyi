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
