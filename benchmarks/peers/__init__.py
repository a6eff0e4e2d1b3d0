"""Programs of other packages, run by interpreters of their own and timed in turns with this package."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Peer:
    """A script of this folder under another Python: requests and answers are lines of JSON, one thread."""

    def __init__(self, interpreter: str, script: str) -> None:
        single = dict.fromkeys(("OMP_NUM_THREADS", "NUMEXPR_MAX_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [interpreter, str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | single,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to one request. Raises RuntimeError when the peer has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peer ended with status {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def interpreter(variable: str) -> str | None:
    """The Python named by an environment variable, or None when it is not there."""
    path = os.environ.get(variable)
    return path if path and Path(path).exists() else None
