"""From an `emotion_bias` to edits of the residual stream."""

from affekt.steering.bias import AffektWarning, Bias, Ramp, Term, Where, parse
from affekt.steering.control import random_directions
from affekt.steering.dose import Dose, largest_dose
from affekt.steering.edit import BatchEdit, batch_edits
from affekt.steering.program import Program, compile

__all__ = [
    "AffektWarning",
    "BatchEdit",
    "Bias",
    "Dose",
    "Program",
    "Ramp",
    "Term",
    "Where",
    "batch_edits",
    "compile",
    "largest_dose",
    "parse",
    "random_directions",
]
