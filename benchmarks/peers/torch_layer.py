"""One layer of ``nn.TransformerEncoder`` at initialisation, drawn and applied; run by torch's own interpreter.

Reads one JSON request a line from standard input and answers each with one line of JSON. One thread, single precision,
processor time.
"""

from __future__ import annotations

import json
import sys
import time

import torch

torch.set_num_threads(1)


def main() -> None:
    layer, x = torch.nn.TransformerEncoderLayer(8, 1, 8), torch.zeros(1, 1, 8)
    for line in sys.stdin:
        request = json.loads(line)
        start = time.process_time()
        if "d" in request:
            layer = torch.nn.TransformerEncoderLayer(
                request["d"], request["heads"], request["width"], batch_first=True, norm_first=True
            ).eval()
        drawn = time.process_time() - start
        if "d" in request:
            x = torch.randn(1, request["n"], request["d"])
        start = time.process_time()
        with torch.inference_mode():
            layer(x)
        applied = time.process_time() - start
        print(json.dumps({"version": torch.__version__, "draw": drawn, "apply": applied}), flush=True)


if __name__ == "__main__":
    main()
