import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

def at(width: int, n: int, pieces: Real, table: Real, x: Real, out: Real) -> None: ...
def deposit(n: int, pieces: Real, x: Real, weights: Real, nodes: Real) -> None: ...
def sweep(
    width: int,
    n: int,
    pieces: Real,
    table: Real,
    a: Real,
    b: Real,
    error: Real,
    h: float,
    inner: float,
    outer: float,
    state: Real,
    moved: Real,
    errors: Real,
) -> bool: ...
