"""What was seen of a model, and where it stays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from affekt.audit.subject import Subject
from affekt.errors import VectorsError
from affekt.vectors import tensorfile

__all__ = ["Keep", "Seen"]

FORMAT = 1
"""Of what is kept; a file of another format is measured anew."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Residuals of one model at one view."""

    residuals: Float[Tensor, "prompts layers d_model"]
    """At the prompt's end, or the mean over a reply; NaN where a reply is empty."""
    replies: tuple[str, ...] = ()
    """What was written, where the view is the reply."""


@dataclass(frozen=True)
class Keep:
    """A folder where what was measured stays, by a hash of all that it depends on; None keeps nothing."""

    folder: Path | None = None

    def __call__(self, subject: Subject, facts: Mapping[str, object], measure: Callable[[], Seen]) -> Seen:
        """What `measure` gives, taken from the folder where it was measured before."""
        if self.folder is None:
            return measure()
        model = subject.identity
        about = {"format": FORMAT, "weights": model.weights_sha256, "dtype": model.dtype, **facts}
        about |= {"template": hashlib.sha256(subject.template.encode()).hexdigest()}
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        file = self.folder / f"{key[:32]}.safetensors"
        with suppress(VectorsError, OSError, KeyError):
            tensors, kept = tensorfile.read(file)
            return Seen(tensors["residuals"], tuple(kept["replies"]))
        seen = measure()
        tensorfile.write(file, {"residuals": seen.residuals}, {"replies": list(seen.replies)})
        return seen
