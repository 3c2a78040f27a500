"""Opening models: weights, tokenizers, decoder layers, prompts and the residual stream."""

from affekt.models.model import Identity, Model
from affekt.models.opening import load
from affekt.models.prompt import Encoded, Role, encode
from affekt.models.residual import capture, edit, run_to
from affekt.models.selfcheck import Report, self_check

__all__ = [
    "Encoded",
    "Identity",
    "Model",
    "Report",
    "Role",
    "capture",
    "edit",
    "encode",
    "load",
    "run_to",
    "self_check",
]
