"""Scores of a model's own replies: what monitors would have seen, recorded where a guard would look."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from affekt.concepts.source import Source
from affekt.engines.engine import Engine, Opened, Reply, Request, Sampling
from affekt.errors import CalibrationError
from affekt.guards.calibration import vectors_hash
from affekt.guards.conformal import Groups
from affekt.guards.ledger import Ledger
from affekt.guards.monitor import Monitor
from affekt.guards.recorder import Recorder
from affekt.progress import Progress
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["ReadingEngine", "prompts", "record", "traffic_hash"]


@runtime_checkable
class ReadingEngine(Engine, Protocol):
    """An engine that says what it reads with."""

    @property
    def model(self) -> Opened:
        """The opened model."""

    @property
    def vectors(self) -> ConceptVectors | None:
        """Its concept vectors."""


def prompts(traffic: Sequence[Source]) -> list[list[Source]]:
    """Per dialogue, a prompt for each user's turn: the dialogue up to it. A text is one prompt.

    Raises:
        CalibrationError: a dialogue without a user's turn.
    """
    found: list[list[Source]] = []
    for index, source in enumerate(traffic):
        if isinstance(source, str):
            found.append([source])
            continue
        turns: list[Source] = [
            source[: at + 1] for at, message in enumerate(source) if message.get("role") == "user"
        ]
        if not turns:
            raise CalibrationError(f"dialogue {index} has no turn of a user, so there is nothing to reply to")
        found.append(turns)
    return found


def traffic_hash(traffic: Sequence[Source]) -> str:
    """Hash of the dialogues, in their order."""
    body = json.dumps([s if isinstance(s, str) else [dict(m) for m in s] for s in traffic], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def record(
    engine: ReadingEngine,
    monitors: Sequence[Monitor],
    traffic: Sequence[Source],
    sampling: Sampling | None = None,
    layer: int | None = None,
    progress: Progress | None = None,
    resume: str | Path | None = None,
) -> dict[str, Groups]:
    """Has the model reply to each user's turn and takes each monitor's score of every reply.

    Replies without a token that is text have no score and are left out, as are dialogues of nothing else.

    Args:
        engine: writes the replies.
        monitors: of different names.
        traffic: dialogues, whose own replies are only context, or texts.
        sampling: how to decode; greedily unless given. With a seed, every reply gets one of its own.
        layer: layer to read.
        progress: called at the start and after each reply.
        resume: file for the scores so far; a stopped run goes on from there.

    Raises:
        CalibrationError: two monitors of one name, a reading that is no number, `resume` of another run.
        PromptError: for a dialogue that is too long for the model.
    """
    sampling = sampling or Sampling()
    names = [monitor.name for monitor in monitors]
    if not names or len(set(names)) < len(names):
        raise CalibrationError("give at least one monitor, and each a name of its own")
    dialogues = prompts(traffic)
    requests = {
        f"{dialogue}.{turn}": Request(
            source=prompt,
            sampling=_seeded(sampling, f"{dialogue}.{turn}"),
            layer=layer,
            guard=Recorder(monitors),
            id=f"{dialogue}.{turn}",
        )
        for dialogue, turns in enumerate(dialogues)
        for turn, prompt in enumerate(turns)
    }
    ledger = Ledger(resume, _key(engine, monitors, traffic, sampling, layer))
    waiting = [request for id, request in requests.items() if id not in ledger.rows]
    if progress is not None:
        progress("replies", len(ledger.rows), len(requests))
    with ledger:
        for piece in engine.generate(waiting) if waiting else ():
            if isinstance(piece, Reply):
                ledger.add(piece.request, _sound(piece))
                if progress is not None:
                    progress("replies", len(ledger.rows), len(requests))
    return {name: _grouped(name, dialogues, ledger.rows) for name in names}


def _sound(reply: Reply) -> Mapping[str, float]:
    scores: Mapping[str, float] = reply.events[0]
    for name, score in scores.items():
        if math.isnan(score) or score == math.inf:
            raise CalibrationError(
                f"{name} is {score} in the reply {reply.request}; its readings are no numbers"
            )
    return scores


def _grouped(name: str, dialogues: Iterable[object], rows: Mapping[str, Mapping[str, float]]) -> Groups:
    groups: dict[int, list[float]] = {}
    for index, _ in enumerate(dialogues):
        groups[index] = []
    for id, scores in sorted(rows.items(), key=lambda row: [int(part) for part in row[0].split(".")]):
        if scores[name] != -math.inf:
            groups[int(id.split(".")[0])].append(scores[name])
    return tuple(tuple(group) for group in groups.values() if group)


def _seeded(sampling: Sampling, id: str) -> Sampling:
    """With a seed of the reply's own: one for all would make the draws of all replies alike."""
    if sampling.seed is None:
        return sampling
    own = hashlib.sha256(f"{sampling.seed} {id}".encode()).digest()
    return replace(sampling, seed=int.from_bytes(own[:6], "big"))


def _key(
    engine: ReadingEngine,
    monitors: Sequence[Monitor],
    traffic: Sequence[Source],
    sampling: Sampling,
    layer: int | None,
) -> str:
    """Hash of all that a score depends on."""
    vectors = engine.vectors
    about = [
        engine.model.identity.weights_sha256,
        None if vectors is None else vectors_hash(vectors, vectors.read_layer if layer is None else layer),
        [(monitor.name, monitor.reading_key(), monitor.direction) for monitor in monitors],
        traffic_hash(traffic),
        asdict(sampling),
    ]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
