"""Predictions against real networks of `transformers` and torch, measured by ``make networks``; no torch needed here.

What agrees is said once, in ``benchmarks.networks.AGREE``: mean overlap within 3 joint standard errors + 0.01 after
every layer, squared norms within 3 % (or 3 joint standard errors of the few networks), attention entropy within 2 %.
"""

import json

import numpy as np
import pytest

from benchmarks.networks import AGREE, CASES, DATA, WIDE, architecture, off, prediction, tokens
from fpsolve.transformer import Architecture

MEASURED = json.loads(DATA.read_text(encoding="utf-8"))["cases"]
WIDE_NETWORKS = [name for name, found in MEASURED.items() if architecture(found).d >= WIDE]


def members(name):
    """Few, so that all take some ten seconds: fewer of the deep and wide ones."""
    arch = architecture(MEASURED[name])
    return max(2, min(8, round(1e5 / (arch.depth * arch.mlp.width))))


def test_the_file_is_of_these_cases():
    assert list(MEASURED) == list(CASES)
    for name, case in CASES.items():
        assert {key: MEASURED[name][key] for key in case} == case, "run make networks"
        assert {"torch", "fpsolve"} <= set(MEASURED[name]["versions"]) and MEASURED[name]["date"]
        assert len(MEASURED[name]["mean_overlap"]["mean"]) == architecture(case).depth + 1
    families = {found["config"]["model_type"] for found in MEASURED.values() if "config" in found}
    assert {"gpt2", "bert", "llama", "vit", "gpt_neox"} <= families


@pytest.mark.parametrize("name", MEASURED)
def test_exact_chain(name):
    worst = off(MEASURED[name], prediction(MEASURED[name], members(name)))
    assert all(ratio <= 1 for ratio, _, _ in worst.values()), worst
    assert set(worst) == set(AGREE)


@pytest.mark.parametrize("name", WIDE_NETWORKS)
def test_wide_limit(name):
    """No members, so only the measured networks' own standard errors are allowed beside 0.01 and 3 %."""
    worst = off(MEASURED[name], prediction(MEASURED[name], 1, wide=True))
    assert all(ratio <= 1 for ratio, _, _ in worst.values()), worst


@pytest.mark.parametrize("name", MEASURED)
def test_the_comparison_in_the_file_is_within_the_bounds_alone(name):
    """With the wide limit or many predicted networks mean squares are within 3 %, entropies within 2 %, no error aside.

    The allowed part of what is off is below one for all four, squared norms token by token with standard errors.
    """
    found = MEASURED[name]["predicted"]
    assert all(found[key][0] <= 1 for key in AGREE)
    assert found["mean_square"][2] <= 0.03 and found["attention_entropy"][2] <= 0.02


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("GPT-2, 12 layers", {"residual.depth_scaling": "none"}),
        ("GPT-2, 12 layers", {"attention.mask": "bidirectional"}),
        ("BERT", {"embedding.types": None}),
        ("BERT", {"norm.place": "pre"}),
        ("ViT", {"mlp.activation": "relu"}),
        ("LLaMA", {"mlp.gated": False}),
        ("LLaMA, grouped heads", {"attention.mask": "bidirectional"}),
        ("GPT-NeoX", {"parallel": False}),
        ("Gemma 2", {"attention.window": None, "attention.global_every": 0}),
        ("Gemma 2", {"norm.place": "pre"}),
        ("torch encoder", {"mlp.up.std": 0.02}),
    ],
)
def test_another_architecture_is_seen(name, harm):
    """The tolerances tell these networks from their nearest relatives."""
    from fpsolve.transformer import predict

    found = MEASURED[name]
    ds = predict(architecture(found).changed(**harm), tokens(found), wide=True)
    assert max(ratio for ratio, _, _ in off(found, ds).values()) > 1


def test_the_published_numbers_of_gpt2():
    """Mean overlap after layers 1, 6 and 12 of another measurement, four seeds: 0.171, 0.483, 0.574."""
    mean, deviation = (np.array(MEASURED["GPT-2, 12 layers"]["mean_overlap"][key]) for key in ("mean", "deviation"))
    at = [1, 6, 12]
    assert (np.abs(mean[at] - [0.171, 0.483, 0.574]) < 3 * deviation[at] * np.sqrt(1 / 4 + 1 / 16)).all()


def test_configurations_in_the_file_are_read_as_architectures():
    assert all(isinstance(architecture(found), Architecture) for found in MEASURED.values())
