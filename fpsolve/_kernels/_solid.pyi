import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

def sums(lmax: int, start: int, rows: Real, bounds: Real, x: Real, radii: Real, zeroths: Real, out: Real) -> None: ...
