"""Requests as JSON Lines: every record checked before any work, each fault with its file and line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affekt.errors import AffektError, PromptError, closest

if TYPE_CHECKING:
    from affekt.engines import Request, TransformersEngine
    from affekt.guards import Guarded

__all__ = ["Defaults", "Fault", "Order", "Record", "orders", "read_records"]

SOURCES = ("messages", "prompt", "text")
"""What is replied to: a chat, what a user says, or a text to go on with; one of them in each record."""

NUMBERS: Mapping[str, type] = {
    "max_tokens": int,
    "min_tokens": int,
    "top_k": int,
    "seed": int,
    "logprobs": int,
    "n": int,
    "temperature": float,
    "top_p": float,
}
"""Settings of a reply, by their type."""

TWINS = {"emotion_bias": "bias", "emotions": "read"}
"""Keys with a second name, that of the HTTP interface."""

KEYS = (*SOURCES, *NUMBERS, *TWINS, *TWINS.values(), "id", "stop", "tools", "meta")
"""All that a record may hold; `meta` is carried through to its answer."""


MOST_REPLIES = 1024
"""Most replies to one record: they are written at once, whatever the batch's size."""


@dataclass(frozen=True)
class Record:
    """One line of the file, of the right keys and types."""

    where: str
    """File and line."""
    id: str
    """Its own, or the number of its line."""
    fields: Mapping[str, Any]
    """The rest, twins under their first names."""


@dataclass(frozen=True)
class Fault:
    """A line that cannot be used."""

    where: str
    """File and line."""
    why: str
    """What is wrong with it."""

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"


@dataclass(frozen=True)
class Defaults:
    """What holds for records that do not say otherwise."""

    max_tokens: int = 128
    """The longest reply."""
    temperature: float = 0.0
    """0 is greedy."""
    bias: Mapping[str, Any] | None = None
    """The `emotion_bias`."""
    read: tuple[str, ...] | None = None
    """Concepts to read."""


@dataclass(frozen=True)
class Order:
    """A record ready to be answered."""

    request: Request
    """What the engine gets; the prompt is encoded, the bias parsed."""
    key: str
    """A hash of all that the answer depends on."""
    meta: Any
    """What is carried through."""

    @property
    def id(self) -> str:
        """The request's id."""
        return str(self.request.id)


def read_records(path: Path) -> tuple[list[Record], list[Fault]]:
    """The records of a file and its faults, without a model.

    Raises:
        PromptError: the file cannot be read, or holds nothing.
    """
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise PromptError(f"{path}: cannot be read ({error.strerror})") from error
    records: list[Record] = []
    faults: list[Fault] = []
    seen: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = _record(where, number, line)
            if record.id in seen:
                raise PromptError(f"the id {record.id!r} stands at {seen[record.id]} already")
        except PromptError as error:
            faults.append(Fault(where, str(error)))
            continue
        seen[record.id] = where
        records.append(record)
    if not records and not faults:
        raise PromptError(f"{path}: no record")
    return records, faults


def orders(
    records: Sequence[Record], defaults: Defaults, engine: TransformersEngine, guarded: Guarded | None = None
) -> tuple[list[Order], list[Fault]]:
    """Records made ready for a model, and those that it cannot answer.

    Args:
        records: as read.
        defaults: for what they leave out.
        engine: with vectors.
        guarded: the engine under a policy that watches every reply.
    """
    made: list[Order] = []
    faults: list[Fault] = []
    context = _context_key(engine, guarded)
    for record in records:
        try:
            made.append(_order(record, defaults, engine, guarded, context))
        except AffektError as error:
            faults.append(Fault(record.where, str(error)))
    return made, faults


def _record(where: str, number: int, line: bytes) -> Record:
    try:
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PromptError(f"not UTF-8 at byte {error.start + 1}") from error
    except (ValueError, RecursionError) as error:
        raise PromptError(f"not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise PromptError(f"expected a JSON object, found {type(fields).__name__}")
    for key in fields:
        if key not in KEYS:
            raise PromptError(f"unknown key {key!r}{closest(key, KEYS) or '; put your own under meta'}")
    for second, first in TWINS.items():
        if first in fields and second in fields:
            raise PromptError(f"{first!r} and {second!r} are the same; give one")
    fields = {TWINS.get(key, key): value for key, value in fields.items() if value is not None}
    _check(fields)
    name = fields.pop("id", number)
    if isinstance(name, bool) or not isinstance(name, (str, int)) or name == "":
        raise PromptError(f"id: expected a text or a whole number, not {name!r}")
    return Record(where, str(name), fields)


def _check(fields: Mapping[str, Any]) -> None:
    given = [key for key in SOURCES if key in fields]
    if len(given) != 1:
        raise PromptError(f"expected one of {', '.join(SOURCES)}, found {' and '.join(given) or 'none'}")
    for key in ("prompt", "text"):
        if not isinstance(fields.get(key, ""), str):
            raise PromptError(f"{key}: expected a text, not {type(fields[key]).__name__}")
        if key in fields and not fields[key].strip():
            raise PromptError(f"{key}: it is empty; give at least one word")
    messages = fields.get("messages", [])
    if not isinstance(messages, list) or not all(isinstance(turn, dict) for turn in messages):
        raise PromptError("messages: expected a list of objects with role and content")
    for key, kind in NUMBERS.items():
        value = fields.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, kind)):
            raise PromptError(f"{key}: expected a {'whole ' * (kind is int)}number, not {value!r}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise PromptError(f"{key}: {value!s:.20}… is too large a number")
    if fields.get("n", 1) > MOST_REPLIES:
        raise PromptError(
            f"n: {fields['n']} replies; at most {MOST_REPLIES:,} a record, more by more records"
        )
    if not isinstance(fields.get("bias", {}), dict):
        raise PromptError(f"bias: expected an object of concepts, not {fields['bias']!r}")
    for key in ("read", "stop"):
        value = fields.get(key, [])
        if not isinstance(value, (str, list)) or not all(isinstance(word, str) for word in value):
            raise PromptError(f"{key}: expected a list of texts, not {value!r}")
    if not isinstance(fields.get("tools", []), list):
        raise PromptError("tools: expected a list")


def _order(
    record: Record, defaults: Defaults, engine: TransformersEngine, guarded: Guarded | None, context: str
) -> Order:
    from affekt.engines import Request, Sampling
    from affekt.models.prompt import encode
    from affekt.steering import parse

    fields, vectors, model = record.fields, engine.vectors, engine.model
    assert vectors is not None
    settings = {key: fields[key] for key in NUMBERS if key in fields and key != "n"}
    stop = fields.get("stop", [])
    sampling = Sampling(
        **{"max_tokens": defaults.max_tokens, "temperature": defaults.temperature} | settings,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
    )
    bias = parse(fields.get("bias", defaults.bias or {}), vectors)
    read = _names(fields["read"]) if "read" in fields else defaults.read
    for name in read or ():
        if read != "all":
            vectors.index(name)
    source = fields["text"] if "text" in fields else fields.get("messages")
    if source is None:
        source = [{"role": "user", "content": fields["prompt"]}]
    tools = fields.get("tools")
    prompt = encode(model.tokenizer, source, generation_prompt=True, tools=tools, context=model.context)
    if len(prompt) >= model.context:
        raise PromptError(f"the prompt fills the context of {model.context:,} tokens; shorten it")
    request = Request(
        source=prompt,
        sampling=sampling,
        bias=bias,
        read=read,
        layer=guarded.policy.layer if guarded is not None else None,
        guard=guarded.guardian if guarded is not None else None,
        id=record.id,
        n=fields.get("n", 1),
    )
    body = [context, prompt.ids, repr(sampling), bias.key(), read, request.n]
    key = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]
    return Order(request, key, fields.get("meta"))


def _names(asked: str | list[str]) -> Any:
    """Concepts as a request wants them."""
    if asked in ("all", ["all"]):
        return "all"
    return (asked,) if isinstance(asked, str) else tuple(dict.fromkeys(asked))


def _context_key(engine: TransformersEngine, guarded: Guarded | None) -> str:
    """What all answers depend on: the model, its vectors, and the policy with its calibrated thresholds."""
    from affekt.guards.calibration import vectors_hash

    vectors, model = engine.vectors, engine.model.identity
    assert vectors is not None
    policy = ""
    if guarded is not None:
        limits = [wire.monitor.threshold for wire in guarded.guardian.wires]
        policy = f"{guarded.policy.model_dump_json()} {limits}"
    return f"{model.weights_sha256} {model.dtype} {vectors_hash(vectors, vectors.read_layer)} {policy}"
