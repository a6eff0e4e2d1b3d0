"""Pictures of a result: each function takes the Dataset of ``fpsolve.solve`` and returns a matplotlib Figure.

Those of one picture take ``ax=`` and return it then.

Nothing here touches matplotlib's global state, and matplotlib itself is imported at the first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fpsolve.plot.animate import animation
    from fpsolve.plot.branch_diagram import branches
    from fpsolve.plot.compared import comparison
    from fpsolve.plot.interactive.page import report
    from fpsolve.plot.layer_curves import layers, phases
    from fpsolve.plot.maps import density_map, density_orthographic
    from fpsolve.plot.pages import overview
    from fpsolve.plot.series import observable, observables
    from fpsolve.plot.spread import ensemble
    from fpsolve.plot.zonal import zonal_profile
    from fpsolve.plot.zoom import zoomed

_HOME = {
    "density_map": "maps",
    "density_orthographic": "maps",
    "observable": "series",
    "observables": "series",
    "overview": "pages",
    "animation": "animate",
    "branches": "branch_diagram",
    "comparison": "compared",
    "ensemble": "spread",
    "layers": "layer_curves",
    "phases": "layer_curves",
    "report": "interactive.page",
    "zonal_profile": "zonal",
    "zoomed": "zoom",
}

__all__ = [
    "animation",
    "branches",
    "comparison",
    "density_map",
    "density_orthographic",
    "ensemble",
    "layers",
    "observable",
    "observables",
    "overview",
    "phases",
    "report",
    "zonal_profile",
    "zoomed",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
