"""A layer of a predicted network against the same layer of torch, drawn and applied, one core.

torch is that of ``make networks``, or any other that ``FPSOLVE_TORCH_PYTHON`` names:

    FPSOLVE_TORCH_PYTHON=.venv-networks/bin/python python -m benchmarks --only network_layer

Predicted are both ways, the exact chain and the wide limit, by twice the depth less once the depth, so that set-up does
not count. torch's layer is built, which draws its weights, and applied to the tokens, in single precision; ours is
double. Heads of 64, MLPs of 4d. Processor time, one thread each, in turns.
"""

from __future__ import annotations

import time
from statistics import median

from threadpoolctl import threadpool_limits

import fpsolve as fp
from benchmarks.peers import Peer, interpreter

DEPTH = 2
SIZES = ((768, 64), (768, 256), (4096, 256))
"""Width and tokens."""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: width, tokens, way, its seconds a layer, torch's to draw and to apply the layer, torch's over ours."""
    rounds = 3 if quick else 7
    with threadpool_limits(1):
        return [row for d, n in (SIZES[:2] if quick else SIZES) for row in _rows(d, n, rounds)]


def _rows(d: int, n: int, rounds: int) -> list[dict[str, object]]:
    size = {"d": d, "heads": d // 64, "width": 4 * d}
    arch = fp.transformer.Architecture.preset("torch-encoder", depth=DEPTH, norm_first=True, **size)
    ours: dict[str, list[float]] = {"exact chain": [], "wide limit": []}
    draws, applications, name = [], [], "torch (not installed)"
    python = interpreter("FPSOLVE_TORCH_PYTHON")
    peer = Peer(python, "torch_layer.py") if python else None
    for _ in range(rounds):
        for way, found in ours.items():
            times = []
            for depth in (DEPTH, 2 * DEPTH):
                start = time.process_time()
                fp.transformer.predict(arch.changed(depth=depth), n, wide=way == "wide limit", progress=False)
                times.append(time.process_time() - start)
            found.append((times[1] - times[0]) / DEPTH)
        if peer is not None:
            answer = peer.ask(n=n, **size)
            name = f"torch {answer['version']}"
            draws.append(answer["draw"])
            applications.append(answer["apply"])
    if peer is not None:
        peer.__exit__()
    rows: list[dict[str, object]] = []
    for way, found in ours.items():
        row: dict[str, object] = {"tokens": n, "d": d, "way": way, "peer": name, "layer_s": median(found)}
        if draws:
            row |= {"peer_draw_s": median(draws), "peer_apply_s": median(applications)}
            row["over_apply"] = median(b / c for b, c in zip(applications, found, strict=True))
            row["ratio"] = median((a + b) / c for a, b, c in zip(draws, applications, found, strict=True))
        rows.append(row)
    return rows
