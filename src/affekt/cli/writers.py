"""Who writes a corpus: a local model, or an OpenAI-compatible endpoint; a prompt in, a reply out."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from affekt.errors import AffektError, ModelError, WriterError, closest

if TYPE_CHECKING:
    from openai import OpenAI

    from affekt.concepts.writing import Writer
    from affekt.engines import Engine

__all__ = ["endpoint_writer", "engine_writer"]

PATIENCE = 8
"""Times that a call is tried again after a rate limit, a failure of the server or of the line; the client
waits longer each time, or as long as the server says."""

NEWER = "max_completion_tokens"
"""What some endpoints call the longest reply, and say so where they are told `max_tokens`."""

GATHER = 0.05
"""Seconds in which calls that come together become one batch."""

PARTING = 5.0
"""Seconds in which a batch under way may end when the process does."""


@contextmanager
def endpoint_writer(
    url: str, model: str, key: str, max_tokens: int, temperature: float, timeout: float
) -> Iterator[Writer]:
    """Writes through an OpenAI-compatible endpoint.

    Raises:
        WriterError: openai is not installed, the endpoint is not there, refuses the key or has no such model.
    """
    try:
        import openai
    except ImportError as error:
        raise WriterError("--endpoint needs the openai client; pip install 'affekt[write]'") from error
    with openai.OpenAI(base_url=url, api_key=key or "none", max_retries=PATIENCE, timeout=timeout) as client:
        _check_model(client, url, model)
        names = ["max_tokens"]

        def write(prompt: str) -> str:
            limit = names[0]
            try:
                answer = client.chat.completions.create(
                    model=model,
                    messages=[{"role": "user", "content": prompt}],
                    temperature=temperature,
                    extra_body={limit: max_tokens},
                )
            except openai.OpenAIError as error:
                if isinstance(error, openai.BadRequestError) and limit != NEWER and NEWER in str(error):
                    names[:] = [NEWER]
                    return write(prompt)
                raise WriterError(f"{url}: {_said(error)}") from error
            return (answer.choices[0].message.content or "") if answer.choices else ""

        yield write


def _check_model(client: OpenAI, url: str, model: str) -> None:
    """Asks once what there is, before hours of work; one that does not list its models is believed."""
    import openai

    try:
        names = [one.id for one in client.with_options(max_retries=1).models.list()]
    except (openai.NotFoundError, openai.InternalServerError, openai.RateLimitError):
        return
    except openai.OpenAIError as error:
        raise WriterError(f"{url}: {_said(error)}") from error
    if names and model not in names:
        shown = f" (it has {', '.join(names[:8])}{' …' if len(names) > 8 else ''})"
        raise WriterError(f"{url} has no model {model!r}{closest(model, names)}{shown}")


def _said(error: Exception) -> str:
    import openai

    if isinstance(error, openai.APITimeoutError):
        return "no answer in time; give it longer with --timeout, or ask for less at once"
    if isinstance(error, openai.APIConnectionError):
        return f"no connection ({error.__cause__ or error})"
    if isinstance(error, openai.AuthenticationError):
        return "the key is refused; give one with --key or in AFFEKT_WRITER_KEY"
    return " ".join(str(error).split())[:300]


@dataclass
class _Asked:
    prompt: str
    seed: int
    done: threading.Event = field(default_factory=threading.Event)
    reply: str = ""
    failed: BaseException | None = None


@contextmanager
def engine_writer(engine: Engine, max_tokens: int, temperature: float, batch: int) -> Iterator[Writer]:
    """Writes on an engine of this process: calls that come together are one batch of its `generate`.

    A prompt's reply is always the same: the seed is drawn from the prompt.
    """
    waiting: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()

    def serve() -> None:
        while (first := waiting.get()) is not None:
            asked = [first]
            while len(asked) < batch:
                try:
                    more = waiting.get(timeout=GATHER)
                except queue.Empty:
                    break
                if more is None:
                    waiting.put(None)
                    break
                asked.append(more)
            _generate(engine, asked, max_tokens, temperature)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()

    def write(prompt: str) -> str:
        one = _Asked(prompt, int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:4], "big"))
        waiting.put(one)
        one.done.wait()
        if one.failed is not None:
            raise one.failed
        return one.reply

    try:
        yield write
    finally:
        waiting.put(None)
        thread.join(PARTING)


def _generate(engine: Engine, asked: list[_Asked], max_tokens: int, temperature: float) -> None:
    """Runs a batch; each is done as soon as its own reply is, whatever becomes of the others."""
    from affekt.engines import Reply, Request, Sampling

    try:
        requests = [
            Request(
                [{"role": "user", "content": one.prompt}],
                Sampling(max_tokens, temperature, seed=one.seed),
                id=str(number),
            )
            for number, one in enumerate(asked)
        ]
        for piece in engine.generate(requests):
            if isinstance(piece, Reply):
                one = asked[int(piece.request)]
                one.reply = piece.text
                one.done.set()
    except BaseException as error:
        failure = error if isinstance(error, AffektError) else ModelError(f"the model failed: {error}")
        for one in asked:
            if not one.done.is_set():
                one.failed = failure
                one.done.set()
