"""Opening models: weights, tokenizers, decoder layers, prompts and the residual stream."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affekt.models.model import Identity, Model
    from affekt.models.opening import identify, load
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
    "identify",
    "load",
    "run_to",
    "self_check",
]

_FILE = {
    "Encoded": "prompt",
    "Identity": "model",
    "Model": "model",
    "Report": "selfcheck",
    "Role": "prompt",
    "capture": "residual",
    "edit": "residual",
    "encode": "prompt",
    "identify": "opening",
    "load": "opening",
    "run_to": "residual",
    "self_check": "selfcheck",
}


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that listing the known models does not wait for torch."""
    if name not in _FILE:
        raise AttributeError(f"module 'affekt.models' has no attribute {name!r}")
    return getattr(import_module(f"affekt.models.{_FILE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
