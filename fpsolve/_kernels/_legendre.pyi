from numpy import complex128, float64
from numpy.typing import NDArray

def sums(
    f: NDArray[complex128],
    abc: NDArray[float64],
    x: NDArray[float64],
    seeds: NDArray[float64],
    out: NDArray[float64],
) -> None: ...
def project(
    waves: NDArray[float64],
    abc: NDArray[float64],
    x: NDArray[float64],
    seeds: NDArray[float64],
    f: NDArray[complex128],
) -> None: ...
def unfold(
    north: NDArray[float64],
    south: NDArray[float64],
    factors: NDArray[float64],
    spin: int,
    circle: NDArray[complex128],
) -> None: ...
def fold(circle: NDArray[complex128], waves: NDArray[float64]) -> None: ...
