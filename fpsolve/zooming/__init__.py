"""The density of a cloud run at any point, by the flow that moved the points, run backwards."""

from fpsolve.zooming.evaluate import zoom

__all__ = ["zoom"]
