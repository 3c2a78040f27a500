"""A request made ready: encoded, its bias compiled, its concepts found. Everything wrong with it is found
here."""

from __future__ import annotations

from dataclasses import dataclass

from affekt.engines.desk import Desk
from affekt.engines.engine import Request
from affekt.engines.transformers.probe import Probe
from affekt.engines.transformers.ready import columns_of, encoded_of, parsed, program_of
from affekt.errors import PolicyError, PromptError
from affekt.models.prompt import Encoded
from affekt.steering.bias import Bias
from affekt.steering.program import Program

__all__ = ["Entry", "ready"]


@dataclass(frozen=True)
class Entry:
    """What all replies to one request share."""

    id: str
    """Its name."""
    request: Request
    """As it came."""
    prompt: Encoded
    """Its prompt, generation prompt included."""
    bias: Bias
    """What steers it at first."""
    program: Program | None
    """The same for this prompt."""
    probe: Probe | None
    """Its read-out, where it is read or guarded."""
    columns: tuple[int, ...] | None
    """The concepts wanted, where it is read."""
    limit: int
    """Most tokens of a reply."""
    hold: int
    """By how many tokens its stream is held back."""

    @property
    def rewind(self) -> int | None:
        """The most tokens its guard may drop at once; None without a guard that does so."""
        guard = self.request.guard
        return guard.rewind if guard is not None and guard.rewind > 0 else None


def ready(core: Desk, request: Request, id: str) -> Entry:
    """Checks and encodes a request; raises PromptError, BiasError, UnknownConcept, VectorsError,
    PolicyError."""
    prompt = encoded_of(core.model, request.source, True, request.tools)
    room = core.model.context - len(prompt)
    if room < 1:
        raise PromptError(
            f"the prompt has {len(prompt):,} tokens and fills the model's context of {core.model.context:,}; "
            f"there is no room for a reply"
        )
    bias = parsed(request.bias, core.vectors)
    guard = request.guard
    if guard is not None and guard.rewind > 0 and not core.joins:
        raise PolicyError(
            f"a guard that drops tokens needs a cache that goes back; a {core.kind} cache of "
            f"{core.model.identity.architecture} does not"
        )
    depth = core.model.identity.n_layers
    for layer in request.residuals:
        if not 0 <= layer < depth:
            raise PromptError(f"layer {layer} of a model with layers 0 to {depth - 1}")
    reads = request.read is not None
    return Entry(
        id=id,
        request=request,
        prompt=prompt,
        bias=bias,
        program=program_of(bias, core.vectors, prompt, core.model),
        probe=core.probe(request.layer) if reads or guard is not None else None,
        columns=columns_of(request.read, core.required("reading")) if reads else None,
        limit=min(request.sampling.max_tokens, room),
        hold=0 if guard is None else max(guard.hold, guard.rewind - 1, 0),
    )
