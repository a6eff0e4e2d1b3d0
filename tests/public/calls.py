"""A valid, quick call of everything public, whose arguments are then made wrong one by one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import fpsolve as fp

LAW = fp.initial.von_mises_fisher([0.2, -0.5, 1], 2.0)
ATTENTION = fp.models.SelfAttention(2.0)
FLOW = fp.models.IsotropicFlow([0.1, 0.1])
RUN = {"t_end": 0.02, "dt": 0.01, "lmax": 8}
X = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
TIMES = [0.1, 0.2]


@cache
def result() -> Any:
    return fp.solve(ATTENTION, LAW, **RUN, save_density=True)


@cache
def zonal_result() -> Any:
    return fp.solve(ATTENTION, fp.initial.axial(4, 2.0), **RUN, measure="zonal", save_density=True)


@cache
def density() -> Any:
    return fp.Density.from_law(LAW, lmax=8, rtol=1e-6)


@cache
def members() -> Any:
    return fp.ensemble(FLOW, LAW, members=2, **RUN)


@cache
def overlaps() -> Any:
    return fp.theory.value_noise_overlap(1.0, 3)


@cache
def small_network() -> Any:
    return fp.transformer.Architecture(
        depth=2, d=8, attention=fp.transformer.Attention(heads=2, head_dim=4, query=fp.transformer.Init(0.1))
    )


def calls(folder: Path) -> dict[str, tuple[Any, dict[str, Any]]]:
    """By name: what is called, and arguments with which it works."""
    c = density().coefficients
    return {
        "solve": (fp.solve, {"model": FLOW, "initial": LAW, **RUN, **SOLVE, "progress": False, "checkpoint": None,
            "checkpoint_every": 60.0, "threads": 1}),
        "run": (lambda **kw: next(iter(fp.run(**kw))), {
            "model": FLOW, "measure": density(), "path": fp.BrownianPath(1), "t_end": 0.02, "dt": 0.01,
            "scheme": None, "start": 0, "policy": "warn"}),
        "ensemble": (fp.ensemble, {"model": FLOW, "initial": LAW, "members": 1, "sweep": {"noise": [0.5]},
            "output": None, "block": None, "schedule": None, "fail_fast": False, "progress": False, "log_dir": None,
            **RUN, **{k: v for k, v in SOLVE.items() if k not in ("save_flow", "save_points", "observe")}}),
        "compare": (fp.compare, {"model": ATTENTION, "initial": LAW, **RUN, "tokens": [8, 16], "samples": 2,
            "members": 2, "transformer": False, "wasserstein_cells": 8, "reference_lmax": None, "degrees": None,
            "tokens_rtol": 1e-3, "kappa": 4.0, "seed": 0, "moments_lmax": 4, "rtol": 1e-6}),
        "clusters": (fp.clusters, {"state": np.array(X), "tolerance": 0.01, "share": 1e-3, "weights": [0.5, 0.5]}),
        "save": (fp.save, {"ds": result(), "path": folder / "a.nc", "overwrite": True}),
        "load": (fp.load, {"path": saved(folder), "max_bytes": 10**9}),
        "zoom": (fp.zoom, {"solution": result_with_flow(), "centre": "mean", "radius": 0.1, "time": None, "n": 8,
            "rtol": 1e-6}),
        "BrownianPath": (fp.BrownianPath, {"seed": 1, "member": 0, "cell": 0.01}),
        "Density": (fp.Density, {"coefficients": c, "rtol": 1e-6, "filter": None, "d": 3, "flow": "chebyshev",
            "coarsest": 0.0}),
        "CausalDensity": (fp.CausalDensity, {"coefficients": np.array([c, c]), "rtol": 1e-6, "d": 3,
            "flow": "chebyshev", "coarsest": 0.0}),
        "HalfDensity": (fp.HalfDensity, {"coefficients": half(), "rtol": 1e-6, "d": 3, "flow": "chebyshev"}),
        "LogDensity": (fp.LogDensity, {"coefficients": logarithm(), "rtol": 1e-6, "d": 3, "flow": "chebyshev"}),
        "Density.from_law": (fp.Density.from_law, {"law": LAW, "lmax": 8, "rtol": 1e-6, "filter": None}),
        "CausalDensity.from_law": (fp.CausalDensity.from_law, {"law": LAW, "lmax": 8, "rtol": 1e-6}),
        "HalfDensity.from_law": (fp.HalfDensity.from_law, {"law": LAW, "lmax": 8, "rtol": 1e-6}),
        "LogDensity.from_law": (fp.LogDensity.from_law, {"law": LAW, "lmax": 8, "rtol": 1e-6}),
        "Cloud.from_law": (fp.Cloud.from_law, {"law": LAW, "lmax": 8, "rtol": 1e-6}),
        "Cloud": (fp.Cloud, {"x": np.array(X), "weights": np.array([0.5, 0.5]), "log_density": None, "rtol": 1e-6,
            "tokens": True, "labels": None}),
        "ZonalDensity": (fp.ZonalDensity, {"coefficients": [1.0, 0.1], "axis": [0.0, 0.0, 0.0, 1.0], "rtol": 1e-6,
            "coarsest": 0.0}),
        "ZonalCloud": (fp.ZonalCloud, {"theta": [0.1, 1.0], "weights": [0.5, 0.5], "axis": [0.0, 0.0, 0.0, 1.0],
            "log_density": None, "rtol": 1e-6}),
        "HarmonicField": (fp.HarmonicField, {"spheroidal": 0 * c, "toroidal": 0 * c, "radial": None, "d": 3}),
        "AmbientField": (fp.AmbientField, {"function": lambda sites: sites.x}),
        "Observable": (fp.Observable, {"name": "a", "compute": lambda measure, context: 1.0, "long_name": "a",
            "dims": (), "units": "1"}),
        "Scheme": (fp.Scheme, {"step": fp.SCHEMES["rk4"].step, "summary": "a", "reference": "b"}),
        "Refine": (fp.policies.Refine, {"lmax_cap": 255}),
        "Filter": (fp.policies.Filter, {"strength": 0.1}),
        "HandOver": (fp.policies.HandOver, {"lmax_cap": 255}),
        **{f"initial.{name}": (getattr(fp.initial, name), arguments) for name, arguments in LAWS.items()},
        **{f"models.{name}": (getattr(fp.models, name), arguments) for name, arguments in MODELS.items()},
        **{f"theory.{name}": (getattr(fp.theory, name), arguments) for name, arguments in THEORY.items()},
        **{f"plot.{name}": (getattr(fp.plot, name), arguments) for name, arguments in plots(folder).items()},
        **{f"transformer.{name}": (getattr(fp.transformer, name), kw) for name, kw in transformers().items()},
        **{f"stationary.{name}": (getattr(fp.stationary, name), kw) for name, kw in stationary().items()},
        "theory.OverlapDiffusion": (fp.theory.OverlapDiffusion, {
            "drift": lambda q: -q, "variance": lambda q: (1 - q**2) ** 2}),
    }  # fmt: skip


SOLVE = {
    "scheme": None, "measure": "density", "rtol": 1e-6, "filter": None, "transport": "chebyshev",
    "petsc_options": None, "seed": 0, "path_cell": 0.01, "save_every": None, "moments_lmax": 4,
    "save_density": False, "save_points": False, "save_flow": False, "observe": None, "on_underresolved": "warn",
    "lmax_cap": 255,
}  # fmt: skip

LAWS: dict[str, dict[str, Any]] = {
    "uniform": {"d": 3},
    "axial": {"d": 5, "kappa": 2.0},
    "von_mises_fisher": {"mean": [0, 0, 1], "kappa": 2.0},
    "mixture": {"components": [LAW, LAW], "weights": [0.5, 0.5]},
    "band": {"axis": [0, 0, 1], "height": 0.1, "width": 0.2},
    "simplex": {"n": 3, "overlap": 0.1, "d": 3},
    "samples": {"law": LAW, "n": 5, "seed": 1, "member": 0},
    "points": {"x": X, "weights": [0.5, 0.5], "labels": [0.5, 1.0]},
    "function": {"density": lambda x: np.full(x.shape[:-1], 0.25 / np.pi), "d": 3},
    "prompt": {"laws": [LAW, LAW], "cells": 4},
    "array": {"values": np.full((32, 64), 0.25 / np.pi)},
}

ISOTROPIC = {"noise": 1.0, "diffusion": 0.1}
MATRICES = {"value": 1.0, "key_query": 1.0, "diffusion": 0.1}
MODELS: dict[str, dict[str, Any]] = {
    "Ballistic": {"beta": 1.0, "value": 1.0, "key_query": "gaussian", "key_query_std": 1.0, "diffusion": 0.0,
                  "draws": 4, "seed": 0, "tolerance": 0.1},
    "BrownianGradientFlow": ISOTROPIC,
    "CausalAttention": {"beta": 1.0, "decay": 1.0, "window": 0.5, "kind": "sa", "own_weight": 1.0, "value": 1.0,
                        "noise": 0.5, "value_std": 1.0, "key_query": "identity"},
    "DeepStochasticTransformer": {"beta": 1.0, "value_std": 1.0, "key_query": 1.0, "drift": 0.0, **ISOTROPIC},
    "DrawnHeads": {"beta": 1.0, "heads": 2, "key_query": "gaussian", "key_query_std": 1.0, "value_std": 1.0,
                   **ISOTROPIC},
    "Homogenized": {"beta": 1.0, "key_query": "gaussian", "key_query_std": 1.0, "value_std": 1.0, "drift": 0.0,
                    "noise_lmax": "auto", **ISOTROPIC},
    "IsotropicFlow": {"spectrum": [0.1, 0.1], "d": 3, **ISOTROPIC},
    "LinearGaussianLayers": ISOTROPIC,
    "LowTemperatureLimit": MATRICES,
    "ModifiedBallistic": {"beta": 1.0, "value": 1.0, "step": 0.1, "diffusion": 0.0, "key_query": "gaussian",
                          "key_query_std": 1.0, "draws": 4, "seed": 0, "tolerance": 0.1},
    "MultiHead": {"beta": 1.0, "key_query": [1.0, 2.0], "value": [1.0, -1.0], "weights": [0.5, 0.5],
                  "normalised": True, "diffusion": 0.0},
    "NoisyTransformer": {"beta": 1.0, "diffusion": 0.1, "kind": "usa"},
    "PerceptronDrift": {"weights": [[1.0, 0.0, 0.0]], "output": 1.0, "bias": 0.0, "activation": "relu",
                        "diffusion": 0.1},
    "RandomQuadraticForm": ISOTROPIC,
    "ScalarNoise": {"beta": 1.0, "noise": 1.0, "normalised": True, "reading": "ito", **MATRICES},
    "Sum": {"models": [ATTENTION, FLOW]},
    "SelfAttention": {"beta": 1.0, **MATRICES},
    "SpectralSelection": {"beta": 1.0, "matrix": np.eye(3), "diffusion": 0.0},
    "SynchronisationByNoise": {"beta": 1.0, "activation": "relu", "value": 1.0, "noise": 1.0, "noise_lmax": 8,
                               "draws": None, "diffusion": 0.0},
    "UnnormalisedSelfAttention": {"beta": 1.0, **MATRICES, "rescaled": False},
}  # fmt: skip


def kernel(q: Any) -> Any:
    return np.exp(q)


THEORY: dict[str, dict[str, Any]] = {
    "aligned_attracts": {"kernel": kernel, "d": 3},
    "alignment_probability": {"overlap": 0.1},
    "antipodal_attracts": {"beta": 1.0, "d": 3},
    "antipodal_exponent": {"beta": 1.0, "d": 3},
    "antipodal_probability": {"beta": 1.0, "overlap": 0.1, "d": 16},
    "attention_multiplier": {"degree": 1, "beta": 1.0, "d": 3},
    "attention_overlap": {"beta": 1.0, "kind": "sa"},
    "scalar_noise_overlap": {"beta": 1.0, "noise": 1.0, "kind": "sa", "reading": "ito"},
    "quadratic_form_overlap": {"noise": 1.0},
    "hybrid_antipodal_exponent": {"beta": 1.0, "noise": 1.0, "d": 3, "drift": "sa", "by": "value"},
    "hybrid_aligned_exponent": {"beta": 1.0, "noise": 1.0, "d": 3, "drift": "sa", "by": "value"},
    "hybrid_antipodal_threshold": {"beta": 1.0, "d": 3, "drift": "sa", "by": "value"},
    "forced_moment_bound": {"overlap": 0.1, "t": 1.0, "p": 0.5, "pull": 1.0, "noise": 1.0},
    "boost": {"x": X[0], "w": [0.1, 0.0, 0.0]},
    "boost_parameter": {"w": [0.1, 0.0, 0.0]},
    "causal_kernel": {"sigma": 0.5, "source": 0.2, "decay": 1.0},
    "compose": {"a": [0.1, 0.0, 0.0], "b": [0.1, 0.0, 0.0]},
    "critical_beta": {"diffusion": 0.1, "d": 3, "kind": "usa", "degree": 1},
    "critical_diffusion": {"beta": 1.0, "d": 3, "kind": "usa", "degree": 1},
    "critical_slope": {"d": 3},
    "critical_time": {"beta": 1.0, "decay": 1.0, "width": 8.0, "modes": 4},
    "dissipation_rate": {"kernel": kernel, "d": 3, "beta": 0.1, "power": 1.0},
    "distance_exponent": {"kernel": kernel, "d": 3, "noise": 1.0},
    "equiangular_drift": {"overlap": 0.1, "beta": 1.0, "n": 4, "kind": "sa", "rescaled": False},
    "equiangular_overlap": {
        "t": TIMES, "overlap": 0.1, "beta": 1.0, "n": 4, "kind": "sa", "deficit": False, "rescaled": False,
    },
    "equiangular_time": {"overlap": 0.1, "target": 0.5, "beta": 1.0, "n": 4, "kind": "sa", "rescaled": False},
    "is_coercive": {"kernel": kernel, "d": 3, "beta": 0.1, "power": 1.0},
    "isotropic_overlap": {"kernel": kernel, "d": 3, "noise": 1.0},
    "log_distance": {"sigma": 0.5, "source": 0.2, "decay": 1.0},
    "low_temperature_bound": {"beta": 10.0, "t": 1.0, "growth": 1.0, "decay": 1.0},
    "mode_strength": {"n": 1, "beta": 1.0},
    "mode_weight": {"n": 1, "width": 8.0},
    "moebius_density": {"x": X[0], "a": [0.1, 0.0, 0.0]},
    "moebius_moment": {"degree": 1, "radius": 0.1, "d": 3},
    "moebius_orbit": {"start": [0.0, 0.0, 0.0], "increments": [[0.1, 0.0, 0.0]], "value_std": 1.0},
    "retrieval": {"t": TIMES, "source": 0.2, "beta": 1.0, "decay": 1.0, "width": 8.0, "modes": 4},
    "retrieval_profile": {"t": TIMES, "source": 0.2, "strength": 1.0, "decay": 1.0, "sigma": 1.0},
    "simplex_drift": {"overlap": 0.1, "f": 0.2, "g": 0.1, "d": 16, "value_std": 1.0},
    "simplex_overlap": {"t": TIMES, "overlap": 0.1, "f": lambda q: 0.2, "g": lambda q: 0.1, "d": 16},
    "simplex_shares": {"overlap": 0.1, "beta": 1.0, "n": 4, "key_query": "identity", "key_query_std": 1.0},
    "synchronisation_rate": {"beta": 1.0, "kind": "sa"},
    "transition_beta": {"d": 3},
    "transition_is_continuous": {"beta": 1.0, "d": 3},
    "uniform_energy": {"beta": 1.0, "d": 3},
    "uniform_growth_rate": {"degree": 1, "beta": 1.0, "kind": "sa", "d": 3, "diffusion": 0.0},
    "value_noise_overlap": {"beta": 1.0, "d": 3, "value_std": 1.0, "noise": 1.0},
}


@cache
def result_with_flow() -> Any:
    return fp.solve(ATTENTION, LAW, **RUN, measure="cloud", save_flow=True)


@cache
def half() -> Any:
    return fp.HalfDensity.from_law(LAW, lmax=8, rtol=1e-6).coefficients


@cache
def logarithm() -> Any:
    return fp.LogDensity.from_law(LAW, lmax=8, rtol=1e-6).coefficients


def saved(folder: Path) -> Path:
    path = folder / "saved.nc"
    if not path.exists():
        fp.save(result(), path)
    return path


def plots(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        "animation": {"ds": result(), "path": folder / "a.gif", "projection": "mollweide", "fps": 10,
                      "overwrite": True},
        "density_map": {"ds": result(), "time": 0.01, "projection": "mollweide", "lon0": 0.0, "points": None,
                        "ax": None},
        "density_orthographic": {"ds": result(), "time": 0.01, "view": (0.0, 0.0), "points": None, "ax": None},
        "observable": {"ds": result(), "name": "overlap", "ax": None},
        "ensemble": {"ds": members()},
        "observables": {"ds": result()},
        "zonal_profile": {"ds": zonal_result(), "time": 0.01},
        "overview": {"ds": result(), "snapshots": 2},
        "report": {"ds": result(), "path": folder / "a.html", "title": "a", "times": 2, "overwrite": True},
    }  # fmt: skip


@cache
def prediction() -> Any:
    return fp.transformer.predict(small_network(), LAW8, n=4)


LAW8 = fp.initial.uniform(8)


def transformers() -> dict[str, dict[str, Any]]:
    head = fp.transformer.HeadLaw(1.0)
    return {
        "RandomTransformer": {"n": 4, "d": 3, "heads": 2, "depth": 2, "step": 0.1, "beta": 1.0, "value": "gaussian",
            "key_query": "identity", "value_std": None, "key_query_std": None, "seed": 0, "member": 0,
            "normalised": True, "beside": ()},
        "HeadBlock": {"law": head, "heads": 2, "step": 0.1},
        "MlpBlock": {"width": 8, "step": 0.1},
        "HeadLaw": {"beta": 1.0, "value": "gaussian", "key_query": "identity", "value_std": None,
            "key_query_std": None},
        "Gaussian": {"std": 1.0, "mean": 0.0},
        "Product": {"std": 1.0, "mean": 0.0},
        "Uniform": {"bound": 1.0, "mean": 0.0},
        "Fixed": {"mean": 1.0},
        "Sampled": {"sampler": lambda generator, d: np.eye(d), "std": 1.0, "mean": 0.0},
        "scaling": {"n": 4, "d": 3, "heads": 2, "depth": 2, "step": 0.1, "law": head, "data": None, "members": 2,
            "threshold": 0.9, "mc_samples": 16, "seed": 0, "budget": 1.0},
        "limit": {"law": head, "regime": "diffusive", "d": 3, "step": 0.1},
        "Architecture": {"depth": 2, "d": 8, "attention": small_network().attention, "mlp": None,
            "parallel": False, "name": "a"},
        "Attention": {"heads": 2, "head_dim": 4, "kv_heads": None, "mask": "bidirectional", "window": None,
            "global_every": 0, "scale": None, "log_n": None, "softcap": None, "qk_norm": "none"},
        "MLP": {"width": 8, "activation": "gelu", "gated": False},
        "Norm": {"kind": "layer", "eps": 1e-5, "place": "pre", "final": False},
        "Init": {"std": 0.1, "law": "normal", "cut": 2.0},
        "predict": {"arch": small_network(), "tokens": LAW8, "members": 1, "seed": 0, "wide": False,
            "save_gram": False, "threshold": 0.9, "n": 4, "progress": False},
        "plan": {"arch": small_network(), "n": 4, "members": 1, "wide": False, "save_gram": False},
        "verdict": {"ds": prediction()},
        "observed": {"G": np.eye(4)[None]},
        "phase_map": {"arch": small_network(), "tokens": LAW8, "logits": (1.0,), "residual": (1.0,), "n": 4},
        "what_if": {"arch": small_network(), "tokens": LAW8, "n": 4},
    }  # fmt: skip


def stationary() -> dict[str, dict[str, Any]]:
    model = fp.models.NoisyTransformer(1.0, diffusion=0.4)
    return {
        "solve": {"model": model, "guess": fp.initial.uniform(), "lmax": 8},
        "stability": {"model": model, "density": uniform(), "count": 2},
        "uniform_stability": {"model": model, "d": 3, "degrees": 4},
        "continuation": {"model": model, "start": uniform(), "parameter": "diffusion", "to": 0.39, "step": 0.1,
            "max_points": 2, "modes": 0, "away_from": None, "lmax": None, "retrace": False},
        "branch_off": {"model": fp.models.NoisyTransformer(1.0, diffusion=0.33), "direction": 1, "amplitude": 0.05,
            "parameter": "diffusion", "at": None, "lmax": 8, "d": 3},
    }


@cache
def uniform() -> Any:
    return fp.Density.from_law(fp.initial.uniform(), lmax=8, rtol=1e-8)
