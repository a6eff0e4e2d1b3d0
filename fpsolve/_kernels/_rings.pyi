import numpy as np
from numpy.typing import NDArray

def log_sums(
    radius: float,
    targets: NDArray[np.float64],
    rings: NDArray[np.float64],
    weights: NDArray[np.float64],
    negligible: float,
    log_M: NDArray[np.float64],
) -> None: ...
