"""The same seed gives the same bits in fresh processes, whatever the number of threads."""

from concurrent.futures import ThreadPoolExecutor

from tests.command import said

PROGRAM = """
import hashlib
import numpy as np
import fpsolve as fp

law = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
product = fp.models.Homogenized(beta=4.0, key_query="product", noise_lmax=16)
values = fp.models.Homogenized(beta=4.0)
noisy = fp.models.SelfAttention(beta=4.0, diffusion=0.1)
tokens = fp.initial.samples(law, 70_000, 3)
axial, causal = fp.models.SelfAttention(beta=4.0), fp.models.CausalAttention(2.0, kind="sa", noise=0.5)
plain = ("density", "half_density", "log_density", "cloud")
cases = [(model, law, measure) for model in (product, values) for measure in plain]
cases += [(axial, law, measure) for measure in ("zonal", "zonal_cloud")]
cases.append((causal, fp.initial.prompt(law, 2), "causal_density"))
for model, start, measure in [*cases, (values, tokens, "cloud"), (noisy, tokens, "cloud"), (noisy, law, "density")]:
    few = {"t_end": 0.02, "dt": 0.01, "seed": 7, "rtol": 1e-5} | ({} if start is tokens else {"lmax": 31})
    ds = fp.solve(model, start, measure=measure, **few, save_points=measure == "cloud", save_density=measure != "cloud")
    digest = hashlib.sha256()
    for name in sorted(ds.variables):
        digest.update(np.ascontiguousarray(ds[name].values).tobytes())
    print(measure, type(model).__name__, len(ds.variables), digest.hexdigest())
"""


def _bits(threads: int) -> str:
    return said("-c", PROGRAM, threads=threads, timeout=300)


def test_six_fresh_processes_give_identical_bits():
    """Three with one thread, three with two; clouds of more than one block of points among the measures."""
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(_bits, [1, 2, 1, 2, 1, 2]))
    assert len(outputs[0].splitlines()) == 14
    assert len(set(outputs)) == 1
