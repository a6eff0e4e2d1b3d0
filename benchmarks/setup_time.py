"""Set-up: grids and plans, tables of the laws, import of the package."""

from __future__ import annotations

import subprocess
import sys
import time

import fpsolve as fp
from fpsolve.attention.kernel import SpectrumEngine
from fpsolve.attention.laws import KeyQueryLaw
from fpsolve.measures.build import build
from fpsolve.sphere.grid import Grid


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows: what, seconds (first call in this process)."""
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    works = {
        "import fpsolve (fresh process)": lambda: subprocess.run([sys.executable, "-c", "import fpsolve"], check=True),
        "grid and plan, lmax 63": lambda: Grid(63),
        "grid and plan, lmax 255": lambda: Grid(255),
        "initial density, lmax 255": lambda: build(law, "density", 255, 1e-6),
        "table of the gaussian law, beta 4": lambda: SpectrumEngine(KeyQueryLaw("gaussian", 1.0), 4.0, 1.0, 16),
        "table of the product law, beta 4": lambda: SpectrumEngine(KeyQueryLaw("product", 1.0), 4.0, 1.0, 16),
    }
    rows: list[dict[str, object]] = []
    for name, work in works.items():
        start = time.perf_counter()
        work()
        rows.append({"what": name, "seconds": time.perf_counter() - start})
    return rows
