from numpy import complex128, float64, int64, uint64
from numpy.typing import NDArray

def bind(SH_to_spat: int, SHsph_to_spat: int, SHsphtor_to_spat: int, spat_to_SH: int, spat_to_SHsphtor: int) -> None:
    """Addresses of SHTns's transforms; ``plan`` below is the address of a plan."""

def log_m(
    plans: NDArray[uint64],
    degrees: NDArray[int64],
    points: NDArray[int64],
    factors: NDArray[float64],
    radii: NDArray[float64],
    moments: NDArray[complex128],
    top: int,
    degree: int,
    floor: float,
    whole: bool,
    modes: NDArray[complex128],
) -> int: ...
def contracted(modes: NDArray[complex128], degree: int, tensor: NDArray[float64], out: NDArray[float64]) -> None: ...
def attention(
    plan: int,
    degree: int,
    r: float,
    value: NDArray[complex128],
    slope: NDArray[complex128],
    cos_theta: NDArray[float64],
    sin_theta: NDArray[float64],
    x: NDArray[float64],
    frame: NDArray[float64],
    m: NDArray[float64],
    f: NDArray[float64],
    product: NDArray[float64],
) -> tuple[float, float, float]:
    """The least m in parts of a bound on the largest, the largest |f|² and |product|²."""

def times(matrix: NDArray[float64], v: NDArray[float64], out: NDArray[float64]) -> None: ...
def tangential(v: NDArray[float64], frame: NDArray[float64], out: NDArray[float64]) -> None: ...
def logarithms(m: NDArray[float64], shift: float) -> None: ...
def potentials(
    degree: int, amplitudes: NDArray[float64], increments: NDArray[float64], out: NDArray[complex128]
) -> None: ...
