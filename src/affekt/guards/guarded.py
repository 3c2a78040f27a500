"""A guarded model: what it writes is read token by token, and shown only as the policy allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affekt.concepts.source import Source
from affekt.engines.engine import BiasLike, Reply, Request, Sampling
from affekt.engines.token import Token
from affekt.engines.transformers import TransformersEngine
from affekt.errors import AffektError, VectorsError
from affekt.guards.calibration import Calibration
from affekt.guards.policy import Policy
from affekt.guards.recording import ReadingEngine
from affekt.guards.tripwire import tripwires
from affekt.guards.watch import Guardian
from affekt.models.model import Model
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Guarded", "guard", "guardian"]


@dataclass(frozen=True)
class Guarded:
    """An engine under a policy."""

    engine: ReadingEngine
    """What writes."""
    policy: Policy
    """What is allowed."""
    guardian: Guardian
    """The policy made ready: the `guard` of each `Request`."""
    calibration: Calibration | None = None
    """Where thresholds came from, if from a calibration."""

    def generate(self, messages: Source, sampling: Sampling | None = None, bias: BiasLike = None) -> Reply:
        """Replies to a chat, or goes on with a text.

        Returns:
            The reply: `text`, `events`, `finish_reason` (`guard` where the policy ended it), `flagged`.

        Raises:
            AffektError: as `stream`.
        """
        replies = [piece for piece in self.stream(messages, sampling, bias) if isinstance(piece, Reply)]
        if not replies:
            raise AffektError("the engine ended without a reply")
        return replies[0]

    def stream(
        self, messages: Source, sampling: Sampling | None = None, bias: BiasLike = None
    ) -> Iterator[Token | Reply]:
        """The tokens as they may be shown, and the reply at the end.

        Args:
            messages: a chat or a text.
            sampling: how to decode; greedily unless given.
            bias: the request's own; the guard's wins where they contradict each other.

        Raises:
            PromptError: for a prompt that is empty or too long.
            BiasError: for a bias that cannot be applied.

        Warns:
            AffektWarning: the thresholds were calibrated on replies made in another way.
        """
        request = self.request(messages, sampling, bias)
        if self.calibration is not None:
            self.calibration.compare(request.sampling, biased=bias is not None)
        return self.engine.generate([request])

    def request(
        self,
        messages: Source,
        sampling: Sampling | None = None,
        bias: BiasLike = None,
        id: str | None = None,
    ) -> Request:
        """A request under the policy, to go to the engine together with others."""
        return Request(
            source=messages,
            sampling=sampling or Sampling(),
            bias=bias,
            layer=self.policy.layer,
            guard=self.guardian,
            id=id,
        )


def guard(
    model: Model | ReadingEngine,
    policy: Policy | str | Path | Mapping[str, Any],
    vectors: ConceptVectors | None = None,
    calibration: Calibration | str | Path | None = None,
) -> Guarded:
    """Puts a model under a policy.

    Args:
        model: an engine with vectors, or a model together with `vectors`.
        policy: a policy, its YAML file, or its keys.
        vectors: the model's concept vectors, where `model` is no engine.
        calibration: for rules that state a rate; the policy's own file unless given.

    Raises:
        PolicyError: the policy contradicts itself, or names what the vectors do not hold.
        CalibrationError: the calibration is of another model or of other vectors.
        VectorsError: no vectors, or those of another model.
    """
    if isinstance(model, Model):
        if vectors is None:
            raise VectorsError(
                "a guard reads with concept vectors; give vectors=, or an engine that has them"
            )
        engine: ReadingEngine = TransformersEngine(model, vectors)
    else:
        engine = model
        if vectors is not None and vectors is not engine.vectors:
            raise VectorsError("this engine reads with vectors of its own; leave out vectors=")
    checked = Policy.of(policy)
    source = checked.calibration if calibration is None else calibration
    loaded = Calibration.load(source) if isinstance(source, str | Path) else source
    return Guarded(engine, checked, guardian(engine, checked, loaded), loaded)


def guardian(engine: ReadingEngine, policy: Policy, calibration: Calibration | None = None) -> Guardian:
    """A policy made ready for an engine; raises PolicyError, CalibrationError, VectorsError."""
    if engine.vectors is None:
        raise VectorsError("a guard reads with concept vectors; open the engine with vectors")
    wires = tripwires(policy, engine.model.identity, engine.vectors, calibration)
    return Guardian(wires, policy.hold_back or 0)
