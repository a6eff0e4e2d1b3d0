"""Self-attention systems, one file each; the table is all that a new one has to enter."""

from fpsolve.models.base import Model
from fpsolve.models.homogenized import Homogenized
from fpsolve.models.isotropic_flow import IsotropicFlow
from fpsolve.models.self_attention import SelfAttention

MODELS: dict[str, type[Model]] = {cls.__name__: cls for cls in (Homogenized, IsotropicFlow, SelfAttention)}
"""Every system by the name that configurations use."""

__all__ = ["MODELS", "Homogenized", "IsotropicFlow", "Model", "SelfAttention"]
