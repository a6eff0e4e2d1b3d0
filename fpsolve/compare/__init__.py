"""The mean-field solution against finite-N tokens on the same noise path and the random transformer in law."""

from fpsolve.compare.comparison import compare
from fpsolve.compare.page import as_text

__all__ = ["as_text", "compare"]
