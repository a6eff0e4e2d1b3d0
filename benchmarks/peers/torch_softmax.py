"""The direct softmax sum F_i = Σ_j x_j e^{β x_i·x_j} / Σ_j e^{β x_i·x_j} in torch; run by torch's own interpreter.

Reads one JSON request a line from standard input and answers each with one line of JSON. One thread, double precision.
"""

from __future__ import annotations

import json
import sys
import time

import torch

torch.set_num_threads(1)

ROWS = 512
"""Rows of the attention matrix held at once by the first way."""


def by_blocks(x: torch.Tensor, beta: float) -> torch.Tensor:
    """softmax(β x xᵀ) x, some rows at a time so that the matrix stays in the cache."""
    return torch.cat([torch.softmax(beta * (rows @ x.T), dim=1) @ x for rows in x.split(ROWS)])


def by_library(x: torch.Tensor, beta: float) -> torch.Tensor:
    """torch's own fused attention."""
    heads = x[None, None]
    return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, scale=beta)[0, 0]


def causal(x: torch.Tensor, beta: float) -> torch.Tensor:
    """The same over earlier tokens and the token itself."""
    heads = x[None, None]
    return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True, scale=beta)[0, 0]


WAYS = {"blocks": by_blocks, "library": by_library, "causal": causal}


def main() -> None:
    x, beta = torch.zeros(1, 3), 0.0
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, object] = {"version": torch.__version__}
        if "x" in request:
            x, beta = torch.tensor(request["x"], dtype=torch.float64), request["beta"]
        if "way" in request:
            start = time.perf_counter()
            result = WAYS[request["way"]](x, beta)
            answer["seconds"] = time.perf_counter() - start
            answer["F"] = result[:1000].tolist()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
