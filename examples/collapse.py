"""A collapse to the Dirac mass: a log density while its degree resolves it, characteristics from then on.

Self-attention gathers all tokens in one place. Near the end F_μ is nearly the mean m of μ, |m| → 1, so that the
distance r of a token to the place obeys ṙ = -r: on S² the peak of the density grows as e^{2t}, to any height. The
log density gives up early; the cloud that takes over where it stands goes on, and ``fp.zoom`` shows what it stands for.
"""

import numpy as np

import fpsolve as fp
from fpsolve.zooming import zoom

MODEL = fp.models.SelfAttention(beta=4.0)
START = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
TIMES = (7.0, 8.0)


def main(figure: str | None = None) -> None:
    ds = fp.solve(MODEL, START, t_end=8.0, dt=0.25, scheme="lie_euler", lmax=15, rtol=1e-5)
    print(f"by the log density until t = {ds.handed_over_at - 0.25:.2f}, then by the cloud")
    assert list(dict.fromkeys(ds.method.values)) == ["log_density", "cloud"]
    assert ds.cloud_error.max() < 1e-5 and "cloud_unresolved_from" not in ds.attrs
    assert ds.overlap.values[-1] > 0.9999

    close = [zoom(ds, "mean", 1e-6, time=time, n=8) for time in TIMES]
    peaks = [float(one.density.max()) for one in close]
    rate = np.log(peaks[1] / peaks[0]) / (TIMES[1] - TIMES[0])
    print(f"peak {peaks[0]:.0f}, then {peaks[1]:.0f}: it grows as e^{{{rate:.3f} t}}, a collapse by e^{{2t}}")
    assert abs(rate - 2) < 0.01

    whole = zoom(ds, "mean", 0.05, n=24)
    print(f"mass within 0.05 of the mean: {whole.mass:.4f}")
    assert whole.mass > 0.99
    if figure:
        from fpsolve.plot.zoom import zoomed

        zoomed(whole).savefig(figure)


if __name__ == "__main__":
    import sys

    main(next((word for word in sys.argv[1:] if word.endswith(".png")), None))
