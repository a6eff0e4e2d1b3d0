"""Published architectures with their initial laws.

The law of a preset is the one with which the library that users build it with creates it: `transformers` for the named
families (its ``_init_weights``, ``initializer_range`` 0.02), torch for its encoder layer. Where the authors' own code
draws otherwise, ``init="original"`` is that. What is not given follows: heads keep their width, MLPs their ratio to d.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from fpsolve.errors import InputError, check_integer, check_number
from fpsolve.transformer.network.architecture import Architecture
from fpsolve.transformer.network.parts import MLP, Attention, Embedding, Init, Norm, Positions, Residual, choice


def gpt2(
    depth: int = 12,
    d: int = 768,
    heads: int | None = None,
    width: int | None = None,
    std: float = 0.02,
    vocab: int = 50257,
    max_length: int = 1024,
    init: str = "transformers",
) -> Architecture:
    """GPT-2 :cite:`gpt2`: pre-norm, causal, learned positions, GELU by tanh, heads of 64, MLP 4d, eps 1e-5.

    All matrices and embeddings N(0, 0.02²), the two that end on the stream over √(2L), biases zero (``GPT2Model``).
    original: positions N(0, 0.01²) (openai/gpt-2, ``src/model.py``).
    """
    choice("init", init, ("transformers", "original"))
    heads, head_dim = _heads(d, heads, 64)
    w = Init(std)
    return Architecture(
        depth,
        d,
        Attention(heads, head_dim, mask="causal", query=w, key=w, value=w, output=w),
        MLP(_width(width, 4 * d), "gelu_new", up=w, down=w),
        Norm("layer", 1e-5, "pre", final=True),
        Residual(depth_scaling="gpt2"),
        Embedding(vocab, w),
        Positions("learned", w if init == "transformers" else Init(std / 2), max_length=max_length),
        name="gpt2",
    )


def bert(
    depth: int = 12,
    d: int = 768,
    heads: int | None = None,
    width: int | None = None,
    std: float = 0.02,
    vocab: int = 30522,
    max_length: int = 512,
    init: str = "transformers",
) -> Architecture:
    """BERT :cite:`bert2019`: post-norm, bidirectional, learned positions and types, normalised embeddings, eps 1e-12.

    Exact GELU, heads of 64, MLP 4d, everything N(0, 0.02²), biases and the padding's vector (id 0) zero
    (``BertModel``). original: normal laws cut at two deviations, padding drawn (google-research/bert, ``modeling.py``).
    """
    choice("init", init, ("transformers", "original"))
    heads, head_dim = _heads(d, heads, 64)
    original = init == "original"
    w = Init(std, "truncated_normal" if original else "normal")
    return Architecture(
        depth,
        d,
        Attention(heads, head_dim, query=w, key=w, value=w, output=w),
        MLP(_width(width, 4 * d), "gelu", up=w, down=w),
        Norm("layer", 1e-12, "post"),
        embedding=Embedding(vocab, w, padding=None if original else 0, types=w, norm=True),
        positions=Positions("learned", w, max_length=max_length),
        name="bert",
    )


def vit(
    depth: int = 12,
    d: int = 768,
    heads: int | None = None,
    width: int | None = None,
    std: float = 0.02,
    features: int = 768,
    max_length: int = 197,
) -> Architecture:
    """ViT :cite:`vit2021`: pre-norm, bidirectional, class token before the patches, exact GELU, heads of 64.

    Patches are vectors of 16·16·3 = 768 pixels times a matrix; eps 1e-12; everything N(0, 0.02²) (``ViTModel``; its
    ``trunc_normal_`` cuts at ±2, a hundred deviations away), biases zero.
    """
    heads, head_dim = _heads(d, heads, 64)
    w = Init(std)
    return Architecture(
        depth,
        d,
        Attention(heads, head_dim, query=w, key=w, value=w, output=w),
        MLP(_width(width, 4 * d), "gelu", up=w, down=w),
        Norm("layer", 1e-12, "pre", final=True),
        embedding=Embedding(None, w, features=features, class_token=w),
        positions=Positions("learned", w, max_length=max_length),
        name="vit",
    )


def llama(
    depth: int = 32,
    d: int = 4096,
    heads: int | None = None,
    kv_heads: int | None = None,
    head_dim: int | None = None,
    width: int | None = None,
    std: float = 0.02,
    vocab: int = 32000,
    theta: float = 10000.0,
    eps: float = 1e-6,
) -> Architecture:
    """LLaMA :cite:`llama2023`: pre-norm by RMS, causal, rotary positions, SwiGLU, no biases.

    Heads of 128, MLP 8d/3 up to the next 256, everything N(0, 0.02²) (``LlamaModel``); ``kv_heads`` for grouped queries
    (LLaMA 2 70B and 3: 8).
    """
    heads, head_dim = _heads(d, heads, 128, head_dim)
    w = Init(std)
    return Architecture(
        depth,
        d,
        Attention(heads, head_dim, kv_heads, "causal", query=w, key=w, value=w, output=w),
        MLP(_width(width, -(-8 * d // (3 * 256)) * 256), "silu", gated=True, up=w, gate=w, down=w),
        Norm("rms", eps, "pre", final=True),
        embedding=Embedding(vocab, w),
        positions=Positions("rope", theta=theta),
        name="llama",
    )


def gpt_neox(
    depth: int = 44,
    d: int = 6144,
    heads: int | None = None,
    width: int | None = None,
    std: float | None = None,
    vocab: int = 50432,
    init: str = "transformers",
) -> Architecture:
    """GPT-NeoX-20B :cite:`gptneox2022`: parallel blocks, pre-norm, causal, rotary positions on a quarter of a head.

    Heads of 96, exact GELU, MLP 4d, eps 1e-5; everything N(0, 0.02²), biases zero (``GPTNeoXModel``). original:
    √(2/(5d)), for the matrices that end on the stream 2/(L√d) (§3.4 of the paper, where L counts the layers); ``std``
    replaces the first.
    """
    choice("init", init, ("transformers", "original"))
    heads, head_dim = _heads(d, heads, 96)
    check_integer("depth", depth, 1)
    original = init == "original"
    w = Init((sqrt(2 / (5 * d)) if original else 0.02) if std is None else std)
    end = Init(2 / (depth * sqrt(d))) if original else w
    return Architecture(
        depth,
        d,
        Attention(heads, head_dim, mask="causal", query=w, key=w, value=w, output=end),
        MLP(_width(width, 4 * d), "gelu", up=w, down=end),
        Norm("layer", 1e-5, "pre", final=True),
        embedding=Embedding(vocab, w),
        positions=Positions("rope", fraction=0.25),
        parallel=True,
        name="gpt-neox",
    )


def gemma(
    depth: int = 26,
    d: int = 2304,
    heads: int | None = None,
    kv_heads: int | None = None,
    head_dim: int = 256,
    width: int | None = None,
    std: float = 0.02,
    vocab: int = 256000,
    softcap: float | None = 50.0,
    window: int | None = 4096,
) -> Architecture:
    """Gemma 2 :cite:`gemma2`: peri-norm by RMS, causal, rotary positions, gated GELU by tanh, embeddings times √d.

    Head width 256, heads d/288 (8 at d = 2304) in groups of two, logits scaled by 1/√256 and capped at 50, every other
    layer in a window of 4096, MLP 4d, eps 1e-6; everything N(0, 0.02²), the padding's vector (id 0) zero
    (``Gemma2Model``).
    """
    check_integer("d", d, 2)
    heads = max(1, d // 288) if heads is None else heads
    check_integer("heads", heads, 1)
    pairs = heads // 2 if heads % 2 == 0 else heads
    w = Init(std)
    return Architecture(
        depth,
        d,
        Attention(
            heads, head_dim, pairs if kv_heads is None else kv_heads, "causal", window,
            global_every=2, scale=1 / sqrt(256), softcap=softcap, query=w, key=w, value=w, output=w,
        ),
        MLP(_width(width, 4 * d), "gelu_pytorch_tanh", gated=True, up=w, gate=w, down=w),
        Norm("rms", 1e-6, "peri", final=True),
        embedding=Embedding(vocab, w, multiplier=sqrt(d), padding=0),
        positions=Positions("rope"),
        name="gemma",
    )  # fmt: skip


def torch_encoder(
    depth: int = 6,
    d: int = 512,
    heads: int = 8,
    width: int = 2048,
    activation: str = "relu",
    norm_first: bool = False,
) -> Architecture:
    """torch's ``nn.TransformerEncoderLayer`` with its defaults :cite:`attention2017`, independent layers.

    Queries, keys and values: Glorot-uniform over a 3d×d matrix, variance 1/(2d), bias zero; output and MLP:
    U(±1/√fan_in), variance 1/(3 fan_in); biases of the MLP U(±1/√fan_in), that of the output zero; eps 1e-5
    (``torch.nn.MultiheadAttention._reset_parameters``, ``torch.nn.Linear``). No embedding: tokens are vectors.
    ``nn.TransformerEncoder`` copies one layer, so that its layers share their initial weights; here they are
    independent, as after a re-initialisation.
    """
    heads, head_dim = _heads(d, heads, 1)
    check_integer("width", width, 1)
    qkv = Init(sqrt(1 / (2 * d)), "uniform")
    fan_d, fan_width = Init(sqrt(1 / (3 * d)), "uniform"), Init(sqrt(1 / (3 * width)), "uniform")
    return Architecture(
        depth,
        d,
        Attention(heads, head_dim, query=qkv, key=qkv, value=qkv, output=fan_d),
        MLP(width, activation, up=fan_d, down=fan_width, up_bias=fan_d, down_bias=fan_width),
        Norm("layer", 1e-5, "pre" if norm_first else "post"),
        name="torch-encoder",
    )


def random_transformer(
    depth: int = 100,
    d: int = 3,
    heads: int = 4,
    step: float = 0.1,
    beta: float = 4.0,
    key_query: str = "product",
    value_std: float | None = None,
    key_query_std: float = 1.0,
) -> Architecture:
    """The layers of :class:`RandomTransformer`, x ← N(x + (η/H) Σ_h V_h m_{A_h}(x)) :cite:`homogenized2026`.

    key_query: ``identity``, ``gaussian`` or ``product`` (W W'ᵀ, both d×d). Entries of V have deviation 1/√d by default.
    On the sphere of radius √d that the package's norms use, logits are scaled by β/d.
    """
    check_integer("d", d, 2)
    check_number("beta", beta, 0)
    check_number("step", step, 0, above=True)
    choice("key_query", key_query, ("identity", "gaussian", "product"))
    check_integer("heads", heads, 1)
    value = Init(1 / sqrt(d) if value_std is None else value_std)
    kind = {"gaussian": "dense", "product": "projected"}.get(key_query, key_query)
    w = Init(key_query_std)
    return Architecture(
        depth,
        d,
        Attention(heads, d, scale=beta / d, key_query=kind, values="dense", query=w, key=w, output=value),
        None,
        Norm("rms", 0.0, "post"),
        Residual(branch=step / heads),
        name="random-transformer",
    )


PRESETS: dict[str, Callable[..., Architecture]] = {
    "gpt2": gpt2,
    "bert": bert,
    "vit": vit,
    "llama": llama,
    "gpt-neox": gpt_neox,
    "gemma": gemma,
    "torch-encoder": torch_encoder,
    "random-transformer": random_transformer,
}
"""Published architectures by name, as functions of their sizes."""


def _heads(d: int, heads: int | None, standard: int, head_dim: int | None = None) -> tuple[int, int]:
    """Heads and their width: of the standard width unless one of them is given, heads × width = d unless both are."""
    check_integer("d", d, 2)
    if heads is None:
        width = standard if head_dim is None else head_dim
        check_integer("head_dim", width, 1)
        if d % width:
            raise InputError("d", d, f"heads of width {width} do not divide it", "give heads= as well")
        return d // width, width
    check_integer("heads", heads, 1)
    if head_dim is None and d % heads:
        raise InputError("heads", heads, f"do not divide d = {d}", "give a number of heads that does")
    return heads, d // heads if head_dim is None else head_dim


def _width(width: int | None, standard: int) -> int:
    return standard if width is None else width

