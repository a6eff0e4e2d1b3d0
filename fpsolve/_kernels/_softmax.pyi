from numpy import float64
from numpy.typing import NDArray

def first(
    g: NDArray[float64],
    y: NDArray[float64],
    log_w: NDArray[float64],
    log_M: NDArray[float64],
    F: NDArray[float64],
) -> None: ...
def first_and_second(
    g: NDArray[float64],
    y: NDArray[float64],
    log_w: NDArray[float64],
    log_M: NDArray[float64],
    F: NDArray[float64],
    second: NDArray[float64],
) -> None: ...
