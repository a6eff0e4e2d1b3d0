"""The mean-field solution against finite-N tokens on the same noise path and the random transformer in law."""

from fpsolve.comparison.comparison import compare
from fpsolve.comparison.page import as_text

__all__ = ["as_text", "compare"]
