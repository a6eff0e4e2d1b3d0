"""``fpsolve validate``: every closed form that the literature has, computed by the package."""

from fpsolve.validate.catalogue import CATALOGUE, validate
from fpsolve.validate.rows import Row, Validation, as_text, write

__all__ = ["CATALOGUE", "Row", "Validation", "as_text", "validate", "write"]
