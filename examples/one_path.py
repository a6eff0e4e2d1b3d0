"""Density, quadrature cloud and finitely many tokens driven by one Brownian path.

The conditional law of a token given the common noise is one random density. Its characteristics (a weighted
quadrature of the start) see the same flow, to the spatial error; N iid tokens see it up to N^{-1/2}.
"""

import numpy as np

import fpsolve as fp

MODEL = fp.models.Homogenized(beta=4.0)  # A = I: nine Brownian motions drive every token
LAW = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
TOKENS = 4000


def main() -> None:
    common = {"t_end": 0.2, "dt": 0.02, "path_cell": 0.02, "seed": 3, "save_every": 0.1}
    density = fp.solve(MODEL, LAW, lmax=31, rtol=1e-8, **common)
    cloud = fp.solve(MODEL, LAW, measure="cloud", lmax=31, rtol=1e-8, **common)
    tokens = fp.solve(MODEL, fp.initial.samples(LAW, TOKENS, seed=1), measure="cloud", **common)
    other = fp.solve(MODEL, LAW, lmax=31, **{**common, "seed": 4})

    def moved(ds):
        return np.abs(ds.mean_vector - density.mean_vector).max().item()

    print(f"tail of the density at the end: {density.tail.values[-1]:.1e}")
    print(f"largest difference of the mean: quadrature cloud {moved(cloud):.1e}, {TOKENS} tokens {moved(tokens):.1e}")
    print(f"another path: {moved(other):.1e}")
    assert moved(cloud) < 1e-7
    assert moved(tokens) < 5 / np.sqrt(TOKENS)
    assert moved(other) > 5 / np.sqrt(TOKENS)


if __name__ == "__main__":
    main()
