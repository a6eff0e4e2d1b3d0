"""The door between objects and plain data: what stands in configurations, results and identities, and back."""

from fpsolve.plain.differences import canonical, differences, digest
from fpsolve.plain.objects import from_plain, to_plain

__all__ = ["canonical", "differences", "digest", "from_plain", "to_plain"]
