"""
GPT-2, BERT and LLaMA at initialisation
=======================================

How much the tokens of a network resemble one another after each layer, before it is trained. The points are networks of
the `transformers` library, several seeds each, with one standard deviation; they were measured by ``make networks`` and
are read from tests/transformer/data/networks.json. The lines are predictions from the configurations alone, nothing
fitted: the Gram matrix of the tokens as a Markov chain, in its wide limit :cite:`gpt2,bert2019,llama2023`.

Asserted: predictions lie within three standard errors of the mean over the seeds + 0.01 after every layer.
"""

import json
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import fpsolve as fp
from fpsolve.plot.palette import COLOURS

FULL = os.environ.get("FPSOLVE_GALLERY") == "full"
NAMES = ("GPT-2, 12 layers", "GPT-2, 48 layers", "BERT", "LLaMA") if FULL else ("GPT-2, 12 layers", "BERT", "LLaMA")
DATA = Path(fp.__file__).parents[1] / "tests" / "transformer" / "data" / "networks.json"
MEASURED = json.loads(DATA.read_text(encoding="utf-8"))["cases"]
IDS = {"distinct": np.arange(1, 65), "repeated": np.arange(64) ** 2 % 37 + 1}

# %%
# A configuration as the library has it, and what follows from it.

print(json.dumps(MEASURED["GPT-2, 12 layers"]["config"]))

figure = Figure(figsize=(5.6, 3.8), layout="constrained")
axes = figure.add_subplot(xlabel="layer, as a share of the depth", ylabel="mean overlap of tokens", ylim=(-0.03, 1))
for name, colour, marker in zip(NAMES, COLOURS, "osD^", strict=False):
    case = MEASURED[name]
    arch = fp.transformer.Architecture.from_transformers(case["config"])
    ds = fp.transformer.predict(arch, IDS[case["tokens"]], members=1, wide=True, progress=False)
    predicted = ds.mean_overlap.values.mean(0)
    mean, deviation = (np.array(case["mean_overlap"][key]) for key in ("mean", "deviation"))
    layer = np.arange(len(mean)) / (len(mean) - 1)
    axes.plot(layer, predicted, color=colour, linewidth=1.2)
    axes.errorbar(layer, mean, deviation, color=colour, fmt=marker, markersize=4, linewidth=1, label=name)
    off = np.abs(predicted - mean)
    print(f"{name}: largest distance {off.max():.4f} of an overlap up to {mean.max():.3f} ({case['seeds']} seeds)")
    assert (off <= 3 * deviation / np.sqrt(case["seeds"]) + 0.01).all()
axes.legend(title="predicted (lines), measured (points)", fontsize="small", loc="upper left", ncols=2)
