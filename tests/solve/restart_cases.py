"""Every model with every scheme and measure that takes it, tiny; as a program, one half of the restart tests.

``restart_cases.py first FOLDER``: each case without a stop, then again, stopped and started from its checkpoint.
``restart_cases.py second FOLDER``: each case once more from its checkpoint, in a fresh process. Prints a digest a line.
"""

import contextlib
import hashlib
import inspect
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np

import fpsolve as fp
from fpsolve.solving import prepare

REQUIRED = {
    "beta": 2.0,
    "spectrum": (0.0, 0.5, 0.2),
    "weights": ((0.6, 0.8), (1.0, -0.5)),
    "key_query": (1.0, 0.5),
    "value": (1.0, -0.5),
    "matrix": ((1.0, 0.2), (0.2, -1.0)),
    "models": (fp.models.SelfAttention(2.0), fp.models.DrawnHeads(2.0, heads=2), fp.models.RandomQuadraticForm(0.5)),
}
"""Values for the parameters that models ask for."""

THREE = {
    "matrix": ((1.0, 0.2, 0.0), (0.2, -1.0, 0.0), (0.0, 0.0, 0.3)),
    "weights": ((0.6, 0.8, 0.1), (1.0, -0.5, 0.4)),
}

VARIANTS = {
    "Homogenized": ({"key_query": "gaussian"}, {"key_query": "product"}, {"drift": 0.5}),
    "SynchronisationByNoise": ({"activation": "tanh", "draws": 4},),
    "CausalAttention": ({"kind": "sa", "noise": 0.5, "window": 0.15},),
}
"""Settings beyond the least that take other paths through the code."""

FULL = (fp.models.IsotropicFlow, fp.models.SelfAttention)
"""One model with noise and one without, run by every scheme on every measure."""

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 1.0)
STARTS = {
    "sphere": LAW,
    "circle": fp.initial.von_mises_fisher([0.3, 1.0], 1.0),
    "tokens": fp.initial.samples(LAW, 12, 3),
    "labels": fp.initial.points([[1, 0], [0, 1], [0.6, 0.8], [-0.8, 0.6]], labels=[0.1, 0.2, 0.3, 0.4]),
    "prompt": fp.initial.prompt([LAW, fp.initial.uniform(3)], 2),
}

STEPS = {"dt": 0.02, "path_cell": 0.04, "lmax": 8, "rtol": 1e-5, "seed": 5}
"""dt is half a root cell: the two steps share a bridge."""

UNTOLD = ("euler_maruyama", "geodesic_euler")
"""Schemes of one step of length dt, which refuse an accuracy."""


def models():
    """(label, class, parameters, whether they are the least) for each entry of the table."""
    for name, cls in fp.MODELS.items():
        parameters = inspect.signature(cls).parameters
        least = {p.name: REQUIRED[p.name] for p in parameters.values() if p.default is p.empty}
        least |= {"heads": 2} if "heads" in parameters else {}
        yield name, cls, least, True
        for extra in (*VARIANTS.get(name, ()), *([{"diffusion": 0.1}] if "diffusion" in parameters else [])):
            yield name + "".join(f",{key}={value}" for key, value in extra.items()), cls, {**least, **extra}, False


def cases():
    """(label, job of t_end) that ``prepare`` takes: each model with each scheme and with each measure.

    The schemes on the first measure that they take, and on all for the models in ``FULL``; variants on S² and tokens.
    """
    for label, cls, parameters, least in models():
        for place, start in STARTS.items():
            ordered = place in ("labels", "prompt")
            if ordered != (cls is fp.models.CausalAttention) or (place == "circle" and not least):
                continue
            wide = {key: value for key, value in THREE.items() if key in parameters}
            here = parameters | (wide if place in ("sphere", "tokens") else {})
            here |= {"d": 2} if place == "circle" and "d" in inspect.signature(cls).parameters else {}
            for n, measure in enumerate(fp.MEASURES):
                every = least and (place == "sphere" or ordered) and (n == 0 or cls in FULL or ordered)
                for m, (scheme, job) in enumerate(taken(cls(**here), start, measure)):
                    if m == 0 or every or (least and fp.SCHEMES[scheme].measures):
                        yield f"{label} {place} {measure} {scheme}", job


def taken(model, start, measure):
    """(scheme, job of t_end) for the schemes that ``prepare`` takes."""
    found = []
    for scheme in fp.SCHEMES:
        keep = {"save_points": measure == "cloud", "save_density": measure != "cloud"}
        steps = {key: value for key, value in STEPS.items() if key != "rtol" or scheme not in UNTOLD}
        job = partial(prepare, model, start, measure=measure, scheme=scheme, **steps, **keep)
        with contextlib.suppress(fp.errors.InputError):
            job(t_end=0.04)
            found.append((scheme, job))
    return found


def digest(ds):
    """SHA-256 over every variable, coordinate and attribute."""
    total = hashlib.sha256(repr(sorted((k, v) for k, v in ds.attrs.items())).encode())
    for name in sorted(ds.variables):
        total.update(f"{name} {ds[name].dims}".encode() + np.ascontiguousarray(ds[name].values).tobytes())
    return total.hexdigest()[:16]


def result(job, **how):
    """The digest of a run, or ``refused`` where its first step says that scheme and model do not fit."""
    try:
        return digest(job.run(**how))
    except fp.errors.InputError:
        return "refused"


def main(half, folder):
    """Print ``label | digest`` for each case."""
    warnings.simplefilter("ignore", fp.errors.UnderResolvedWarning)
    for n, (label, job) in enumerate(cases()):
        file = Path(folder) / f"{n}.ckpt"
        if half == "first":
            print(label, result(job(t_end=0.04)), sep=" | ", flush=True)
            result(job(t_end=0.02), checkpoint=file)
        else:
            print(label, result(job(t_end=0.04), checkpoint=file), sep=" | ", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
