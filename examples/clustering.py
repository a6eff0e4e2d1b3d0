"""Deterministic attention leaves the uniform state at known rates, and its interaction energy never decreases.

Softmax self-attention, dx = P_x F_μ(βx) dt, linearised at the uniform law of S²: degree ℓ grows at the rate
ℓ(ℓ+1) i_ℓ(β) / (β i_0(β)). Later (1/2β) ∬ e^{β⟨x,y⟩} μ(dx)μ(dy) increases until all tokens are in one place.
"""

import numpy as np
from scipy.special import spherical_in

import fpsolve as fp

BETA = 4.0
MODEL = fp.models.SelfAttention(beta=BETA)


def growth_rate(degree: int, size: float = 1e-5) -> float:
    """The rate at which a small zonal harmonic of this degree on the uniform law grows."""
    legendre = np.polynomial.Legendre.basis(degree)
    start = fp.initial.function(lambda x: (1 + size * legendre(x[..., 2])) / (4 * np.pi))
    ds = fp.solve(MODEL, start, t_end=0.1, dt=0.05, lmax=15, rtol=1e-10)
    moment = ds.moments.values[:, (ds.degree == degree) & (ds.order == 0)][:, 0]
    return float(np.log(moment[-1] / moment[0]) / 0.1)


def main() -> None:
    for degree in (1, 2, 3):
        exact = degree * (degree + 1) * spherical_in(degree, BETA) / (BETA * spherical_in(0, BETA))
        computed = growth_rate(degree)
        print(f"degree {degree}: growth rate {computed:.5f}, exact {exact:.5f}")
        assert abs(computed - exact) < 1e-4

    start = fp.initial.mixture([fp.initial.von_mises_fisher(m, 3.0) for m in ([0, 0, 1], [1, 0, 0])])
    ds = fp.solve(MODEL, start, t_end=8.0, dt=0.5, measure="cloud", lmax=15, rtol=1e-4)
    print(f"energy {ds.energy.values[0]:.3f} -> {ds.energy.values[-1]:.3f}, one place: {np.exp(BETA) / (2 * BETA):.3f}")
    assert (np.diff(ds.energy) > 0).all()
    assert ds.overlap.values[-1] > 0.99


if __name__ == "__main__":
    main()
