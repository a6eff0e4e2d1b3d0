import numpy as np
from numpy.typing import NDArray

def log_sums(
    radius: float,
    targets: NDArray[np.float64],
    rings: NDArray[np.float64],
    weights: NDArray[np.float64],
    halves: NDArray[np.float64],
    waves: NDArray[np.float64],
    table: NDArray[np.float64],
    negligible: float,
    log_M: NDArray[np.float64],
) -> int: ...
def modes(
    field: NDArray[np.float64],
    projections: NDArray[np.float64],
    table: NDArray[np.float64],
    to: int,
    out: NDArray[np.complex128],
    power: NDArray[np.float64],
) -> None: ...
