"""Real networks at random initialisation, measured layer by layer and compared with predictions: ``make networks``.

``python -m benchmarks.networks [--only NAME …] [--predict] [-o FILE] [--figure FILE]`` builds every network of
``CASES`` with the `transformers` library or torch, several seeds each, measures it by
``fp.transformer.measure_network``, writes means and deviations over the seeds with versions to a JSON, compares them
with ``fp.transformer.predict`` and draws both. A file that exists is added to. ``--predict`` measures nothing and needs
no torch. Status 1 where a prediction is off.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fpsolve as fp
from benchmarks.common import machine
from benchmarks.results import check_figure, write_drawn
from fpsolve.io.atomic import write_whole

DATA = Path(__file__).parent.parent / "tests" / "transformer" / "data" / "networks.json"
FIGURE = Path(__file__).parent.parent / "docs" / "images" / "networks.png"

_PLAIN = {"hidden_size": 768, "num_hidden_layers": 12, "vocab_size": 1000, "initializer_range": 0.02}
_GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_positions": 1024, "vocab_size": 1000,
         "initializer_range": 0.02, "activation_function": "gelu_new"}  # fmt: skip
_WIDTH = {"num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "gelu"}
_LLAMA = _PLAIN | {"num_attention_heads": 12, "intermediate_size": 2048, "hidden_act": "silu"}
_SMALL = {"hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4,
          "intermediate_size": 688, "hidden_act": "silu", "vocab_size": 1000, "initializer_range": 0.04}  # fmt: skip

CASES: dict[str, dict[str, Any]] = {
    "GPT-2, 12 layers": {"config": _GPT2 | {"n_layer": 12}, "tokens": "distinct", "seeds": 16},
    "GPT-2, 48 layers": {"config": _GPT2 | {"n_layer": 48}, "tokens": "distinct", "seeds": 6},
    "BERT": {
        "config": _PLAIN | _WIDTH | {"model_type": "bert", "max_position_embeddings": 512},
        "tokens": "repeated",
        "seeds": 12,
    },
    "ViT": {
        "config": {key: value for key, value in (_PLAIN | _WIDTH).items() if key != "vocab_size"}
        | {"model_type": "vit", "image_size": 112, "patch_size": 16},
        "tokens": "image",
        "seeds": 32,
    },
    "LLaMA": {"config": _LLAMA | {"model_type": "llama", "num_key_value_heads": 12}, "tokens": "distinct", "seeds": 32},
    "LLaMA, grouped heads": {
        "config": _LLAMA | {"model_type": "llama", "num_key_value_heads": 3},
        "tokens": "repeated",
        "seeds": 32,
    },
    "GPT-NeoX": {
        "config": _PLAIN | _WIDTH | {"model_type": "gpt_neox", "num_attention_heads": 8},
        "tokens": "distinct",
        "seeds": 12,
    },
    "Gemma 2": {
        "config": _PLAIN
        | {"model_type": "gemma2", "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 128,
           "intermediate_size": 3072, "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 128,
           "sliding_window": 16, "attn_logit_softcapping": 50.0},
        "tokens": "distinct",
        "seeds": 12,
    },
    "torch encoder": {"preset": {"preset": "torch-encoder"}, "tokens": "vectors", "seeds": 12},
    "torch encoder, pre-norm": {
        "preset": {"preset": "torch-encoder", "norm_first": True},
        "tokens": "vectors",
        "seeds": 12,
    },
    "Mistral, d 256": {
        "config": _SMALL | {"model_type": "mistral", "sliding_window": 12},
        "tokens": "distinct",
        "seeds": 48,
    },
    "Qwen 3, d 256": {"config": _SMALL | {"model_type": "qwen3", "head_dim": 64}, "tokens": "repeated", "seeds": 128},
    "OLMo 2, d 256": {"config": _SMALL | {"model_type": "olmo2", "pad_token_id": 0}, "tokens": "distinct", "seeds": 48},
    "Granite, d 256": {
        "config": _SMALL
        | {"model_type": "granite", "embedding_multiplier": 12.0, "residual_multiplier": 0.3}
        | {"attention_multiplier": 0.1},
        "tokens": "distinct",
        "seeds": 48,
    },
}  # fmt: skip
"""What is measured: a configuration of the `transformers` library or a preset of torch's layer, tokens, seeds."""

TOKENS = 64

WIDE = 512
"""Width from which the wide limit is compared, too; the exact chain is at every width."""

AGREE = {
    "mean_overlap": "within 3 joint standard errors + 0.01 after every layer",
    "mean_square": "within 3 %, or 3 joint standard errors where these are larger, after every layer",
    "squared_norm": "token by token within 3 joint standard errors + 3 % after the last layer",
    "attention_entropy": "within 2 % in every layer",
}


def architecture(case: dict[str, Any]) -> fp.transformer.Architecture:
    """The architecture of a case."""
    if "preset" in case:
        return fp.transformer.Architecture.preset(**case["preset"])
    return fp.transformer.Architecture.from_transformers(case["config"])


def tokens(case: dict[str, Any]) -> np.ndarray:
    """What ``predict`` starts from: distinct ids, ids of which many repeat, patches of an image, uniform directions."""
    kind = case["tokens"]
    if kind == "distinct":
        return np.arange(1, TOKENS + 1)
    if kind == "repeated":
        return np.arange(TOKENS) ** 2 % 37 + 1
    if kind == "vectors":
        d = architecture(case).d
        return np.sqrt(d) * fp.initial.samples(fp.initial.uniform(d), TOKENS, seed=7).x
    size, patch = case["config"]["image_size"], case["config"]["patch_size"]
    split = image(size).reshape(3, size // patch, patch, size // patch, patch)
    return split.transpose(1, 3, 0, 2, 4).reshape((size // patch) ** 2, -1)


def image(size: int) -> np.ndarray:
    """Three channels of smooth waves about zero, (3, size, size)."""
    x = np.arange(size) / size
    waves = [
        np.cos(2 * np.pi * (3 * x[:, None] + c) + 9 * x[None] ** 2) * np.sin(40 * x[None] * (c + 1)) for c in range(3)
    ]
    return np.stack(waves) + 0.3


def networks(case: dict[str, Any]) -> Iterator[Any]:
    """The networks of a case, one at a time, seeds 0, 1, …"""
    import torch

    for seed in range(case["seeds"]):
        torch.manual_seed(seed)
        if "preset" in case:
            a = architecture(case)
            assert a.attention is not None and a.mlp is not None
            first = a.norm.place == "pre"
            layers = [  # by itself each: nn.TransformerEncoder copies the weights of one
                torch.nn.TransformerEncoderLayer(
                    a.d, a.attention.heads, a.mlp.width, batch_first=True, norm_first=first
                )
                for _ in range(a.depth)
            ]
            encoder = torch.nn.TransformerEncoder(layers[0], a.depth, enable_nested_tensor=False)
            encoder.layers = torch.nn.ModuleList(layers)
            yield encoder
        else:
            yield _from_library(case["config"])


def _from_library(keys: dict[str, Any]) -> Any:
    """A network of the library; its full configuration must say what the keys of the case say."""
    import transformers

    transformers.logging.set_verbosity_error()
    config = transformers.AutoConfig.for_model(**keys)
    for name in ("bos_token_id", "eos_token_id"):
        setattr(config, name, None)
    read = fp.transformer.Architecture.from_transformers
    if read(config) != read(keys):
        told = "the library's defaults are not those that fpsolve reads"
        raise SystemExit(f"{keys['model_type']}: {told}: {read(config)}, {read(keys)}")
    return transformers.AutoModel.from_config(config)


def measured(case: dict[str, Any]) -> dict[str, Any]:
    """The record of a case: means and deviations over its seeds by layer, and its last layer's norms by token."""
    given = tokens(case)
    if case["tokens"] == "image":
        given = image(case["config"]["image_size"])
    ds = fp.transformer.measure_network(networks(case), given)
    last = ds.squared_norm.isel(layer=-1)
    about = json.loads(ds.attrs["fpsolve_versions"])
    versions = {name: about[name] for name in ("fpsolve", "numpy", "torch", "transformers") if name in about}
    found: dict[str, Any] = {**case, "date": time.strftime("%Y-%m-%d"), "versions": versions}
    found["processor"] = machine()["processor"]
    for name, one in [*((name, ds[name]) for name in ("mean_overlap", "mean_square", "attention_entropy")),
                      ("squared_norm", last)]:  # fmt: skip
        deviation = one.std("member", ddof=1)
        found[name] = {"mean": _short(one.mean("member").values), "deviation": _short(deviation.values)}
    return found


def _short(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.5g}") for value in values]


def prediction(case: dict[str, Any], members: int, **options: Any) -> Any:
    """``predict`` of a case."""
    return fp.transformer.predict(architecture(case), tokens(case), members=members, seed=11, progress=False, **options)


def best_prediction(case: dict[str, Any], members: int) -> tuple[str, Any]:
    """The wide limit from d = ``WIDE`` on, where it is off by less than the networks can tell; else the exact chain."""
    if architecture(case).d >= WIDE:
        return "wide limit", prediction(case, 1, wide=True)
    return f"exact chain, {members} networks", prediction(case, members)


def off(found: dict[str, Any], ds: Any) -> dict[str, tuple[float, int, float]]:
    """For every variable of ``AGREE`` the largest deviation over what it may be, where, and the deviation itself.

    Where is the layer, for squared_norm the token. One predicted network varies as one measured network does, so the
    joint standard error is deviation·√(1/seeds + 1/members), members infinite for the wide limit.
    """
    worst = {}
    for name in AGREE:
        mean, deviation = (np.array(found[name][key], float) for key in ("mean", "deviation"))
        one = ds[name].isel(layer=-1) if name == "squared_norm" else ds[name]
        members = np.inf if "mean_overlap_error" in ds else one.sizes["member"]
        apart = np.abs(one.mean("member").values - mean)
        joint = deviation * np.sqrt(1 / found["seeds"] + 1 / members)
        allowed = {
            "mean_overlap": 3 * joint + 0.01,
            "mean_square": np.maximum(0.03 * mean, 3 * joint),
            "squared_norm": 3 * joint + 0.03 * mean,
            "attention_entropy": 0.02 * mean,
        }[name]
        ratio = np.nan_to_num(apart / allowed)
        at = int(np.argmax(ratio))
        relative = apart[at] if name == "mean_overlap" else apart[at] / mean[at]
        worst[name] = (float(ratio[at]), at, float(relative))
    return worst


def draw(cases: dict[str, Any], predicted: dict[str, Any]) -> Any:
    """A panel for every network: mean overlap by layer, measured and predicted."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from fpsolve.plot.style import COLOURS

    columns = 4
    rows = -(-len(cases) // columns)
    figure = Figure(figsize=(13, 2.9 * rows), layout="constrained")
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, found) in zip(every, cases.items(), strict=False):
        ds, layers = predicted[name], np.arange(len(found["mean_overlap"]["mean"]))
        axes.plot(layers, ds.mean_overlap.mean("member"), color=COLOURS[0], label="predicted")
        shown = (found["mean_overlap"][key] for key in ("mean", "deviation"))
        axes.errorbar(layers, *shown, fmt="o", ms=3, lw=0.8, color=COLOURS[1],
                      label="measured, mean and deviation over seeds")  # fmt: skip
        axes.set(title=name, xlabel="layer", ylim=(-0.05, 1.05))
        axes.title.set_fontsize(10)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    for axes in every[len(cases) :]:
        axes.set_axis_off()
    for axes in every[::columns]:
        axes.set_ylabel("mean overlap")
    figure.legend(*every[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, compare, draw; the status of the process."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.networks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=list(CASES), metavar="NAME", help="this one; repeatable")
    parser.add_argument("--predict", action="store_true", help="measure nothing, compare with the file")
    parser.add_argument("--members", type=int, default=128, help="networks of the exact chain (%(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=DATA, help="the JSON (%(default)s)")
    parser.add_argument("--figure", type=Path, default=FIGURE, help="the figure (%(default)s)")
    asked = parser.parse_args(arguments)
    check_figure(asked.figure)
    cases = json.loads(asked.output.read_text(encoding="utf-8"))["cases"] if asked.output.exists() else {}
    if not asked.predict:
        measure_all(asked.only or list(CASES), asked.output, cases)
    made = {name: best_prediction(found, asked.members) for name, found in cases.items()}
    predicted = {name: ds for name, (_, ds) in made.items()}
    print("| network | seeds | " + " | ".join(AGREE) + " |\n|" + " --- |" * (len(AGREE) + 2))
    good = True
    for name, found in cases.items():
        worst = off(found, predicted[name])
        good &= all(ratio <= 1 for ratio, _, _ in worst.values())
        cells = [f"{size:.4f} at {at} ({ratio:.2f} of the allowed)" for ratio, at, size in worst.values()]
        print(f"| {name} | {found['seeds']} | {' | '.join(cells)} |")
        overlap = predicted[name].mean_overlap.mean("member").values
        found["predicted"] = {"by": made[name][0], "mean_overlap_by_layer": _short(overlap)}
        found["predicted"] |= {key: _short(np.array(values)) for key, values in worst.items()}
    write(asked.output, cases)
    write_drawn(asked.figure, draw(cases, predicted))
    print(f"written: {asked.output}, {asked.figure}" + ("" if good else "\nnot everything agrees"))
    return 0 if good else 1


def measure_all(names: list[str], output: Path, cases: dict[str, Any]) -> None:
    """Measure these, the file written after each."""
    import torch

    torch.set_num_threads(1)
    for name in names:
        started = time.perf_counter()
        cases[name] = measured(CASES[name])
        print(f"measured {name}: {time.perf_counter() - started:.0f} s", flush=True)
        ordered = {key: cases[key] for key in CASES if key in cases}
        cases.clear()
        cases.update(ordered)
        write(output, cases)


def write(output: Path, cases: dict[str, Any]) -> None:
    """The file, lists of numbers on one line each, so that it is small and its changes can be read."""
    output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"command": "make networks", "cases": cases}, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"
    write_whole(output, text.encode())


if __name__ == "__main__":
    sys.exit(main())
