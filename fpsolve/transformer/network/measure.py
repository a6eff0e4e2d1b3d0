"""Real PyTorch networks measured: the variables of :func:`predict` from hidden states and attention weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from fpsolve.errors import InputError, check_number
from fpsolve.observe import Result, versions
from fpsolve.plain.arguments import checked_arguments
from fpsolve.sphere.harmonics import Real
from fpsolve.transformer.network.exact import State
from fpsolve.transformer.network.modules import blocks, need_torch
from fpsolve.transformer.network.observe import observed
from fpsolve.transformer.network.predict import finished, part


@checked_arguments
def measure_network(
    module: Any,
    inputs: Any,
    *,
    save_gram: bool = False,
    threshold: float = 0.9,
    **keywords: Any,
) -> Result:
    """The tokens of a real PyTorch network, layer by layer, under the names of :func:`predict`.

    module: an ``nn.TransformerEncoder``, one of its layers, or a model of the `transformers` library; or several of one
    architecture (a generator builds one at a time), which are the members. inputs: token ids (n,); vectors (n, d) for
    torch's encoder; pixels (channels, height, width); with one more axis in front every sequence of the batch is a
    member. keywords: further arguments of the module's forward (``mask``, for example). The module runs in evaluation
    mode, without dropout; its mode comes back, its weights are not touched.

    Returns a Dataset, dimensions (member, layer, …), layer 0 what enters the first block, then after every block,
    before any last normalisation: mean_overlap, overlap_quantile, mean_square, squared_norm, effective_rank,
    attention_entropy (mean over heads and tokens, nats), with ``save_gram`` gram; by member collapse_layer, and
    final_mean_overlap where a last normalisation follows. Inner products are summed in double precision. Raises
    InputError before running the network, MissingDependencyError without torch (extra ``networks``).
    """
    torch = need_torch()
    check_number("threshold", threshold, -1, 1)
    parts: list[xr.Dataset] = []
    names: list[str] = []
    for one in [module] if isinstance(module, torch.nn.Module) else module:
        if not isinstance(one, torch.nn.Module):
            raise InputError("module", one, "is no PyTorch module", "pass a module, or several of them")
        states = _states(torch, one, inputs, keywords)
        records = [observed(one.gram) | one.about | ({"gram": one.gram} if save_gram else {}) for one in states]
        first = sum(done.sizes["member"] for done in parts)
        parts.append(part(records, range(first, first + len(states[0].gram)), states[-1]))
        names.append(type(one).__name__)
    if not parts:
        raise InputError("module", "()", "no module was given", "pass one")
    if len({(done.sizes["layer"], done.sizes["token"]) for done in parts}) > 1:
        raise InputError("module", ", ".join(names), "have different depths", "measure one architecture at a time")
    config = {"model": {"name": names[0]}, "initial": {"name": "inputs", "n": parts[0].sizes["token"]}}
    about = {**versions(), "torch": torch.__version__}
    if "transformers" in sys.modules:
        about["transformers"] = sys.modules["transformers"].__version__
    return finished(xr.concat(parts, "member"), threshold, f"fpsolve: {names[0]}, measured", config, about)


def _states(torch: Any, module: Any, inputs: Any, keywords: dict[str, Any]) -> list[State]:
    """The states of one module after layers 0, 1, …, the last one with the Gram matrix after the last normalisation."""
    every = blocks(module, getattr(getattr(module, "config", None), "num_hidden_layers", None))
    encoder = isinstance(every[0], torch.nn.TransformerEncoderLayer)
    given = _tensor(torch, module, inputs, None if not encoder else every[0].self_attn.embed_dim)
    turned = encoder and not every[0].self_attn.batch_first
    grams: list[Real] = []
    entropies: list[Real] = []

    def gram(x: Any) -> Real:
        x = (x[0] if isinstance(x, tuple) else x).double()
        x = x.transpose(0, 1) if turned else x
        return np.asarray((x @ x.transpose(1, 2) / x.shape[-1]).cpu().numpy())

    def before(_: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        grams.append(gram(positional[0] if positional else named["src" if encoder else "hidden_states"]))

    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(_evaluating(module))
        stack.callback(every[0].register_forward_pre_hook(before, with_kwargs=True).remove)
        for block in every:
            stack.callback(block.register_forward_hook(lambda _, __, output: grams.append(gram(output))).remove)
        if encoder:
            for block in every:
                stack.callback(block.self_attn.register_forward_pre_hook(_with_weights, with_kwargs=True).remove)
                hook = block.self_attn.register_forward_hook(
                    lambda _, __, output: entropies.append(_entropy(output[1]))
                )
                stack.callback(hook.remove)
            last = module(given.transpose(0, 1) if turned else given, **keywords)
        else:
            stack.enter_context(_eager(module))
            answer = module(**{module.main_input_name: given}, output_attentions=True, **keywords)
            entropies += [_entropy(pi) for pi in answer.attentions]
            last = getattr(answer, "last_hidden_state", None)
        after = None if last is None else gram(last)
    if len(grams) != len(every) + 1 or len(entropies) != len(every):
        problem = f"showed {len(grams)} states and {len(entropies)} attention weights of {len(every)} blocks"
        raise InputError("module", type(module).__name__, problem, "pass the plain network")
    states = [
        State(G, {} if not layer else {"attention_entropy": entropies[layer - 1]}) for layer, G in enumerate(grams)
    ]
    if after is not None and not np.allclose(after, grams[-1], rtol=1e-5, atol=1e-7):
        states[-1] = replace(states[-1], projected=after)
    return states


def _tensor(torch: Any, module: Any, inputs: Any, d: int | None) -> Any:
    """The inputs with a batch axis, on the module's device; d components for an encoder. Raises InputError."""
    given = torch.as_tensor(np.asarray(inputs) if isinstance(inputs, list | tuple | range) else inputs)
    where = next(module.parameters())
    ids = d is None and module.main_input_name == "input_ids"
    if ids != (not (given.is_floating_point() or given.is_complex() or given.dtype == torch.bool)):
        wanted = (
            "token ids (n,) or (batch, n)" if ids else "vectors (n, d), pixels (channels, height, width), or batches"
        )
        raise InputError("inputs", str(given.dtype), "not what this module takes", f"pass {wanted}")
    axes = 1 if ids else 3 if d is None else 2
    if given.ndim not in (axes, axes + 1):
        raise InputError(
            "inputs", tuple(given.shape), f"has neither {axes} axes nor a batch's more", "pass one sequence"
        )
    given = given if given.ndim == axes + 1 else given[None]
    if ids:
        vocab = module.config.vocab_size
        if given.numel() and (int(given.min()) < 0 or int(given.max()) >= vocab):
            outside = int(given[(given < 0) | (given >= vocab)][0])
            raise InputError("inputs", outside, f"outside the vocabulary of {vocab} ids", f"give ids in [0, {vocab})")
        return given.to(where.device)
    if not bool(torch.isfinite(given).all()):
        raise InputError("inputs", "array", "has entries that are not finite", "give finite numbers")
    width, axis = (module.config.num_channels, 1) if d is None else (d, -1)
    if given.shape[axis] != width:
        raise InputError(
            "inputs", tuple(given.shape), f"this module takes {width} components or channels", "reshape them"
        )
    return given.to(where.device, where.dtype)


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
    """Attention as plain products of matrices, which shows its weights; the way chosen before comes back."""
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    try:
        yield
    finally:
        module.set_attn_implementation(before)
