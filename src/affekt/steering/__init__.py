"""From an `emotion_bias` to edits of the residual stream."""

from affekt.steering.bias import AffektWarning, Bias, Ramp, Term, Where, parse
from affekt.steering.edit import BatchEdit, batch_edits
from affekt.steering.program import Program, compile

__all__ = [
    "AffektWarning",
    "BatchEdit",
    "Bias",
    "Program",
    "Ramp",
    "Term",
    "Where",
    "batch_edits",
    "compile",
    "parse",
]
