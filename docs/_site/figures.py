"""Figures of the gallery's scripts: every matplotlib figure among an example's variables, known to pyplot or not.

A figure is taken once, after the block that makes it.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

TAKEN: WeakSet[Figure] = WeakSet()


def scraper(block: tuple[Any, ...], variables: dict[str, Any], gallery: dict[str, Any]) -> str:
    """The reStructuredText that shows what is new."""
    paths = []
    for figure in variables["example_globals"].values():
        if isinstance(figure, Figure) and figure not in TAKEN:
            TAKEN.add(figure)
            paths.append(next(variables["image_path_iterator"]))
            figure.savefig(paths[-1], dpi=150)
    return figure_rst(paths, gallery["src_dir"])


def _get_sg_image_scraper() -> Callable[..., str]:
    return scraper
