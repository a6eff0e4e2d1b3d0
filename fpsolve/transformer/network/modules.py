"""Architectures from PyTorch modules: structure, deviations by matrix from the weights, and how Gaussian these look.

Torch is imported only when a function here is called (the extra ``networks``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from fpsolve.errors import InputError, MissingDependencyError, NotGaussianWarning
from fpsolve.plain.arguments import checked_arguments
from fpsolve.surroundings import warn
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.configuration import from_transformers
from fpsolve.transformer.network.parts import MLP, Attention, Init, Norm

QKV = ("attention.query", "attention.key", "attention.value")

MATRICES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(^|\.)(wte|word_embeddings|embed_tokens|embed_in|patch_embeddings\.projection)$", ("embedding.token",)),
    (r"(^|\.)(wpe|position_embeddings)$", ("positions.init",)),
    (r"(^|\.)token_type_embeddings$", ("embedding.types",)),
    (r"(^|\.)cls_token$", ("embedding.class_token",)),
    (r"\.(c_attn|in_proj|query_key_value)$", QKV),
    (r"\.(q_proj|query)$", QKV[:1]),
    (r"\.(k_proj|key)$", QKV[1:2]),
    (r"\.(v_proj|value)$", QKV[2:]),
    (r"\.(attn\.c_proj|o_proj|out_proj|attention\.output\.dense|attention\.dense)$", ("attention.output",)),
    (r"\.gate_proj$", ("mlp.gate",)),
    (r"\.(c_fc|up_proj|linear1|intermediate\.dense|dense_h_to_4h|fc1)$", ("mlp.up",)),
    (r"\.(mlp\.c_proj|down_proj|linear2|output\.dense|dense_4h_to_h|fc2)$", ("mlp.down",)),
)
"""Names of parameters, without ``.weight`` or ``.bias``, and what of an architecture they hold; first match."""

KURTOSIS = {"normal": 0.0, "truncated_normal": -0.634470, "uniform": -1.2}
"""Excess kurtosis of the laws; of the normal one cut at two deviations by scipy.stats.truncnorm(-2, 2)."""

SURE = 6.0
"""Standard errors, and deviations of the largest singular value, beyond which something is no accident: 1e-8 each."""

BIG = 2**22
"""Entries worked at once."""


@dataclass(frozen=True)
class WeightStatistics:
    """What the entries of one matrix of a module look like.

    name, key, shape: the parameter, what it is in an architecture (``attention.query``), its shape; rms: root of the
    mean square of the entries; mean: their mean over rms; kurtosis: excess; norm: the largest singular value over that
    of iid entries, rms(√rows + √columns), which it exceeds by 6/(√rows + √columns) with probability below e^{-18}.
    """

    name: str
    key: str
    shape: tuple[int, ...]
    rms: float
    mean: float
    kurtosis: float
    norm: float

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(np.prod(self.shape))

    @property
    def law(self) -> str:
        """``zero``, the law of :class:`Init` with this kurtosis within six standard errors √(24/size), or ``other``."""
        if self.rms == 0:
            return "zero"
        near = min(KURTOSIS, key=lambda law: abs(self.kurtosis - KURTOSIS[law]))
        return near if abs(self.kurtosis - KURTOSIS[near]) < SURE * sqrt(24 / self.size) + 0.02 else "other"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why it is not a matrix of iid centred entries of a known law; empty where nothing speaks against it."""
        found = [f"entries of excess kurtosis {self.kurtosis:.2f}"] if self.law == "other" else []
        if abs(self.mean) > SURE / sqrt(self.size) + 1e-6:
            found.append(f"mean {self.mean:.3f} deviations")
        if len(self.shape) == 2 and self.norm > 1 + SURE / sum(map(sqrt, self.shape)):
            found.append(f"largest singular value {self.norm:.2f} times that of iid entries")
        return tuple(found)


def from_torch(module: Any) -> Architecture:
    """The architecture of a PyTorch module with the deviations of its weights, see :meth:`Architecture.from_torch`."""
    torch = need_torch()
    arch = _structure(torch, module)
    found: dict[str, list[WeightStatistics]] = {}
    for law in weight_statistics(module):
        found.setdefault(law.key, []).append(law)
    depth = max((len(laws) for key, laws in found.items() if key.startswith(("attention.", "mlp."))), default=0)
    if depth != arch.depth:
        raise InputError(
            "module", type(module).__name__, f"has weights of {depth} blocks, not {arch.depth}", "pass it whole"
        )
    changes: dict[str, Any] = {"residual.depth_scaling": "none"}
    data = arch.to_dict()
    for key, laws in found.items():
        part, _, name = key.partition(".")
        if data[part] is None or name not in data[part]:
            raise InputError("module", laws[0].name, "is no part of the modelled architecture", "use a plain one")
        changes[key] = _pooled(key, laws)
    remarks = [f"{one.name}: {', '.join(one.remarks)}" for laws in found.values() for one in laws if one.remarks]
    remarks += _repeated(torch, module) + _gains(module)
    if remarks:
        shown = "; ".join(remarks[:6]) + (f"; and {len(remarks) - 6} more" if len(remarks) > 6 else "")
        text = (
            f"not as at a Gaussian initialisation, the prediction is that of iid weights of these deviations: {shown}"
        )
        warn(text, NotGaussianWarning)
    return arch.changed(**changes)


def need_torch() -> Any:
    """The module ``torch``, imported at the first use. Raises MissingDependencyError where it is not installed."""
    try:
        import torch
    except ImportError as error:
        text = "reading PyTorch modules needs torch, which is not installed: pip install 'fpsolve[networks]'"
        raise MissingDependencyError(text) from error
    return torch


def blocks(module: Any, depth: int | None = None) -> list[Any]:
    """The blocks of a module in order: its first list of ``depth`` modules, or itself where it is one encoder layer."""
    torch = need_torch()
    if isinstance(module, torch.nn.TransformerEncoderLayer):
        return [module]
    for _, one in module.named_modules():
        if isinstance(one, torch.nn.ModuleList) and len(one) == (depth or len(one)) > 0:
            return list(one)
    raise InputError("module", type(module).__name__, "no list of blocks was found in it", "pass the whole network")


@checked_arguments
def weight_statistics(module: Any) -> list[WeightStatistics]:
    """What the entries of every matrix and bias of a module look like, in the order of its parameters.

    module: an ``nn.TransformerEncoder``, one of its layers, or a model of the `transformers` library. Output layers,
    poolers and normalisations are left out. Raises InputError for a matrix inside a block that is not known,
    MissingDependencyError without torch.
    """
    need_torch()
    found = []
    heads = getattr(getattr(module, "config", None), "num_attention_heads", None)
    inside = {id(weight) for block in blocks(module, _depth(module)) for weight in block.parameters()}
    for name, weight in module.named_parameters():
        stem, kind = (
            (name.rsplit(".", 1)[0], name.rsplit(".", 1)[1]) if name.endswith((".weight", ".bias")) else (name, "")
        )
        if name.endswith(("in_proj_weight", "in_proj_bias")):
            stem, kind = name.rsplit("_", 1)
        keys = next((keys for pattern, keys in MATRICES if re.search(pattern, f".{stem}")), None)
        if keys is None:
            if weight.ndim > 1 and id(weight) in inside:
                raise InputError(
                    "module", name, "this matrix is of no part that is modelled", "use a plain architecture"
                )
            continue
        if kind == "bias" and keys[0].startswith(("embedding", "positions")):
            continue
        for key, part in zip(keys, split_parts(name, weight.detach(), heads, len(keys)), strict=True):
            found.append(_looked_at(name, key + ("_bias" if kind == "bias" else ""), part))
    return found


def _depth(module: Any) -> int | None:
    config = getattr(module, "config", None)
    return None if config is None else getattr(config, "num_hidden_layers", None)


def _structure(torch: Any, module: Any) -> Architecture:
    """The architecture of a module without its deviations."""
    nn = torch.nn
    if isinstance(module, nn.TransformerEncoder | nn.TransformerEncoderLayer):
        return _encoder(torch, module)
    if getattr(module, "config", None) is not None and hasattr(module.config, "to_dict"):
        return from_transformers(module.config)
    problem = "is no nn.TransformerEncoder, no layer of one and no model of the transformers library"
    raise InputError("module", type(module).__name__, problem, "write the architecture by hand")


def _encoder(torch: Any, module: Any) -> Architecture:
    nn = torch.nn
    layers = [module] if isinstance(module, nn.TransformerEncoderLayer) else list(module.layers)
    shapes = {tuple((name, tuple(weight.shape)) for name, weight in layer.named_parameters()) for layer in layers}
    if len(shapes) > 1 or len({layer.norm_first for layer in layers}) > 1:
        raise InputError("module", type(module).__name__, "its layers differ", "use equal layers")
    first = layers[0]
    d, heads = first.self_attn.embed_dim, first.self_attn.num_heads
    return Architecture(
        len(layers),
        d,
        Attention(heads, d // heads),
        MLP(first.linear1.out_features, _activation(torch, first.activation)),
        Norm(
            "layer", first.norm1.eps, "pre" if first.norm_first else "post", getattr(module, "norm", None) is not None
        ),
        name="torch-encoder",
    )


def _activation(torch: Any, function: Any) -> str:
    nn, F = torch.nn, torch.nn.functional
    plain = {F.relu: "relu", F.gelu: "gelu", F.silu: "silu", torch.relu: "relu", torch.tanh: "tanh", F.mish: "mish"}
    if isinstance(function, nn.Module):
        tanh = getattr(function, "approximate", "none") == "tanh"
        kinds = {nn.ReLU: "relu", nn.GELU: "gelu_pytorch_tanh" if tanh else "gelu", nn.SiLU: "silu", nn.Tanh: "tanh"}
        found = next((name for kind, name in kinds.items() if isinstance(function, kind)), None)
    else:
        found = plain.get(function)
    if found is None:
        raise InputError("module.activation", function, "not a known activation", "use relu, gelu, silu, tanh or mish")
    return found


def split_parts(name: str, weight: Any, heads: int | None, parts: int) -> Iterator[Any]:
    """Queries, keys and values of one parameter (outputs, inputs), an array of torch or NumPy.

    Outputs come in thirds; in GPT-NeoX (``query_key_value``) head by head, in thirds of each; GPT-2's Conv1D
    (``c_attn``) keeps outputs in columns.
    """
    if parts == 1:
        yield weight.reshape(len(weight), -1) if weight.ndim == 4 else weight
        return
    if "c_attn" in name and weight.ndim == 2:
        weight = weight.T
    blocks = heads or 0 if "query_key_value" in name else 1
    if not blocks or len(weight) % (blocks * parts):
        problem = f"{len(weight)} outputs are no {parts} equal parts" + (f" of {blocks} heads" if blocks != 1 else "")
        raise InputError("module", name, problem, "use a network with as many key-value heads as heads")
    every = weight.reshape(blocks, parts, -1, *weight.shape[1:])
    yield from (every[:, one].reshape(-1, *weight.shape[1:]) for one in range(parts))


def _looked_at(name: str, key: str, weight: Any) -> WeightStatistics:
    """Moments and norm of one matrix or vector; rows of an embedding that are zero (padding) do not count."""
    if key.startswith(("embedding.token", "positions")) and weight.ndim == 2:
        weight = weight[weight.abs().amax(1) > 0]
    shape, flat = tuple(weight.shape), weight.reshape(-1)
    sums = np.zeros(4)
    for chunk in flat.split(BIG):
        x = chunk.double()
        sums += [float((x**power).sum()) for power in (1, 2, 3, 4)]
    first, second, third, fourth = sums / max(flat.numel(), 1)
    rms, variance = sqrt(second), second - first**2
    if variance <= 0:
        return WeightStatistics(name, key, shape, rms, float(np.sign(first)), 0.0 if rms == 0 else -2.0, 0.0)
    central = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    largest = _largest(weight) / (rms * sum(map(sqrt, shape))) if weight.ndim == 2 else 0.0
    return WeightStatistics(name, key, shape, rms, first / rms, central / variance**2 - 3, largest)


def _largest(weight: Any, steps: int = 12) -> float:
    """A lower bound on the largest singular value, by power iteration: sharp where one stands out."""
    v = weight.new_ones(weight.shape[1]) + 0.5 * weight[0] / weight[0].norm().clamp(min=1e-30)
    for _ in range(steps):
        v = weight.T @ (weight @ (v / v.norm()))
    return float((weight @ (v / v.norm())).double().norm())


def _pooled(key: str, laws: list[WeightStatistics]) -> Init:
    """One initial law for a matrix of all layers: the mean square of its entries, the law of most of them."""
    rms = sqrt(float(np.mean([one.rms**2 for one in laws])))
    every = [one.law for one in laws]
    law = max(set(every), key=every.count)
    if key.endswith("_bias") and rms > 0:  # few entries: judged together
        size, kurtosis = sum(one.size for one in laws), float(np.mean([one.kurtosis for one in laws]))
        law = WeightStatistics("", key, (size,), rms, 0.0, kurtosis, 0.0).law
    if law not in KURTOSIS:
        law = "normal"
    return Init(rms / Init(1.0, law).deviation, law)


def _repeated(torch: Any, module: Any) -> list[str]:
    """Whether blocks are copies of one another, as ``nn.TransformerEncoder`` makes them."""
    every = [max(block.parameters(), key=lambda weight: weight.numel()) for block in blocks(module, _depth(module))]
    if len(every) > 1 and torch.equal(every[0], every[1]):
        return ["layers that are copies of one another (nn.TransformerEncoder copies its layer: draw each anew)"]
    return []


def _gains(module: Any) -> list[str]:
    """Normalisations with other gains than one (zero where one is added) or with biases."""
    found = []
    for name, one in module.named_modules():
        if "norm" not in type(one).__name__.lower():
            continue
        gain, bias = getattr(one, "weight", None), getattr(one, "bias", None)
        plain = (
            gain is None
            or bool((gain == 1).all())
            or ("gemma" in type(one).__name__.lower() and bool((gain == 0).all()))
        )
        if not plain or (bias is not None and bool((bias != 0).any())):
            found.append(f"{name}: gains or biases of a trained normalisation")
    return found
