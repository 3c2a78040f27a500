"""What was seen of a model, and where it stays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from affekt.audit.subject import Subject
from affekt.errors import VectorsError
from affekt.vectors import tensorfile
from affekt.version import __version__

__all__ = ["Keep", "Seen"]

FORMAT = 2
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
    """A folder where what was measured stays, by a hash of all that it depends on; None keeps nothing.

    That is the model, what is asked, the device, and the versions of what measures: what one version has seen
    of a base is not held against what another sees of a tuned model.
    """

    folder: Path | None = None
    fresh: bool = False
    """Measure anew, and keep that instead of what was there."""

    def __call__(self, subject: Subject, facts: Mapping[str, object], measure: Callable[[], Seen]) -> Seen:
        """What `measure` gives, taken from the folder where it was measured before."""
        if self.folder is None:
            return measure()
        model = subject.identity
        about = {"format": FORMAT, "weights": model.weights_sha256, "dtype": model.dtype, **facts}
        about |= {"device": subject.device, "versions": _versions()}
        about |= {"template": hashlib.sha256(subject.template.encode()).hexdigest()}
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        file = self.folder / f"{key[:32]}.safetensors"
        if not self.fresh:
            with suppress(VectorsError, OSError, KeyError):
                tensors, kept = tensorfile.read(file)
                return Seen(tensors["residuals"], tuple(kept["replies"]))
        seen = measure()
        tensorfile.write(file, {"residuals": seen.residuals}, {"replies": list(seen.replies)})
        return seen


def _versions() -> dict[str, str]:
    return {"affekt": __version__, **{name: version(name) for name in ("torch", "transformers")}}
