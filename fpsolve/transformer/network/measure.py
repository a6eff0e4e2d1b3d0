"""Real PyTorch networks measured: the variables of :func:`predict` from hidden states and attention weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from fpsolve.errors import InputError
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer.network.modules import blocks, need_torch


def states(module: Any, inputs: Any, keywords: dict[str, Any]) -> tuple[Real, Real]:
    """Gram matrices (batch, layer, n, n) of the tokens before the first and after every block, and entropies.

    The entropies are the means over heads and tokens of -Σ_j π_ij log π_ij, (batch, blocks).
    """
    torch = need_torch()
    every = blocks(module, getattr(getattr(module, "config", None), "num_hidden_layers", None))
    encoder = not hasattr(module, "config")
    given = _tensor(torch, module, inputs, encoder)
    first = every[0].self_attn if encoder else None
    turned = encoder and not first.batch_first
    grams: list[Real] = []
    entropies: list[Real] = []

    def keep(x: Any) -> None:
        x = (x[0] if isinstance(x, tuple) else x).double()
        x = x.transpose(0, 1) if turned else x
        grams.append((x @ x.transpose(1, 2) / x.shape[-1]).cpu().numpy())

    def before(_: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        keep(positional[0] if positional else next(named[key] for key in ("hidden_states", "src") if key in named))

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_evaluating(module))
        stack.callback(every[0].register_forward_pre_hook(before, with_kwargs=True).remove)
        for block in every:
            stack.callback(block.register_forward_hook(lambda _, __, output: keep(output)).remove)
        if encoder:
            for block in every:
                stack.callback(block.self_attn.register_forward_pre_hook(_with_weights, with_kwargs=True).remove)
                hook = block.self_attn.register_forward_hook(lambda _, __, output: entropies.append(_entropy(output[1])))
                stack.callback(hook.remove)
            module(given.transpose(0, 1) if turned else given, **keywords)
        else:
            stack.enter_context(_eager(module))
            answer = module(**{module.main_input_name: given}, output_attentions=True, **keywords)
            entropies += [_entropy(pi) for pi in answer.attentions]
    return np.stack(grams, 1), np.stack(entropies, 1)


def _tensor(torch: Any, module: Any, inputs: Any, encoder: bool) -> Any:
    """The inputs with a batch axis, on the module's device. Raises InputError naming what is wrong."""
    given = torch.as_tensor(np.asarray(inputs) if isinstance(inputs, list | tuple | range) else inputs)
    where = next(module.parameters())
    ids = not encoder and module.main_input_name == "input_ids"
    if ids != (not (given.is_floating_point() or given.is_complex() or given.dtype == torch.bool)):
        wanted = "token ids (n,) or (batch, n)" if ids else "vectors (n, d), pixels (channels, height, width), or batches"
        raise InputError("inputs", str(given.dtype), "not what this module takes", f"pass {wanted}")
    axes = 1 if ids else 2 if encoder else 3
    if given.ndim not in (axes, axes + 1):
        raise InputError("inputs", tuple(given.shape), f"has neither {axes} axes nor a batch's more", "pass one sequence")
    given = given if given.ndim == axes + 1 else given[None]
    if ids:
        vocab = module.config.vocab_size
        if given.numel() and (int(given.min()) < 0 or int(given.max()) >= vocab):
            outside = int(given[(given < 0) | (given >= vocab)][0])
            raise InputError("inputs", outside, f"outside the vocabulary of {vocab} ids", f"give ids in [0, {vocab})")
        return given.to(where.device)
    if not bool(torch.isfinite(given).all()):
        raise InputError("inputs", "array", "has entries that are not finite", "give finite numbers")
    width = _layer(module).self_attn.embed_dim if encoder else module.config.num_channels
    axis = -1 if encoder else 1
    if given.shape[axis] != width:
        raise InputError("inputs", tuple(given.shape), f"this module takes {width} components or channels", "reshape them")
    return given.to(where.device, where.dtype)


def _layer(module: Any) -> Any:
    return blocks(module)[0]


def _with_weights(_: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Makes ``nn.MultiheadAttention`` return the attention weights of every head."""
    return positional, {**named, "need_weights": True, "average_attn_weights": False}


def _entropy(pi: Any) -> Real:
    """Mean over heads and tokens of the entropy of attention weights (batch, heads, n, n), in nats."""
    pi = pi.double()
    return (-(pi * pi.clamp(min=1e-300).log()).sum(-1).mean((1, 2))).cpu().numpy()


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Without dropout; the module's mode comes back."""
    training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(training)


@contextmanager
def _eager(module: Any) -> Iterator[None]:
    """Attention as the plain product of matrices, the only one that shows its weights; the way chosen before comes back."""
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(before)
