"""A body of the API as a request to the engine, within what the operator and the key allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from affekt.concepts.source import Source
from affekt.engines.engine import Request, Sampling
from affekt.errors import PromptError
from affekt.guards.policy import Policy
from affekt.server.access import Dial
from affekt.server.allowance import check_bias, check_policy
from affekt.server.emotions_asked import Asked, asked
from affekt.server.failures import Refused
from affekt.server.overseeing import Overseen
from affekt.server.service import Service
from affekt.server.wire import ChatBody, CompletionBody

__all__ = ["chat_request", "completion_requests"]


def chat_request(service: Service, body: ChatBody, dial: Dial) -> tuple[Request, Asked | None]:
    """What a chat asks of the engine.

    Raises:
        Refused: another model, more than the operator allows.
        AffektError: a bias, a policy or emotions that are wrong.
    """
    if body.top_logprobs is not None and not body.logprobs:
        raise Refused(400, "top_logprobs needs logprobs: true", "invalid_request", "top_logprobs")
    logprobs = (body.top_logprobs or 0) if body.logprobs else None
    limit = body.max_completion_tokens or body.max_tokens
    source = [turn.message() for turn in body.messages]
    tools = None if body.tool_choice == "none" else body.tools
    _harmless(service, "tools", tools)
    _harmless(service, "messages", [(message.get("name"), message.get("tool_call_id")) for message in source])
    return _request(service, body, source, limit, logprobs, dial, tools)


def completion_requests(
    service: Service, body: CompletionBody, dial: Dial
) -> tuple[list[Request], Asked | None]:
    """What a completion asks: a request for each prompt; raises as `chat_request`."""
    if len(body.prompts) * body.n > service.settings.max_choices:
        raise Refused(400, f"at most {service.settings.max_choices} replies a request", "too_many", "n")
    made = [
        _request(service, body, prompt, body.max_tokens or 16, body.logprobs, dial) for prompt in body.prompts
    ]
    return [request for request, _ in made], made[0][1]


def _harmless(service: Service, param: str, said: Any) -> None:
    """Refuses a special token where a template shows more than the contents of messages. In a content it
    stays text; elsewhere nobody could tell it from one of the template's own."""
    texts = list(_strings(said))
    for token in service.special_tokens:
        if any(token in text for text in texts):
            message = f"{param}: {token!r} is a special token of this model, which may stand in contents only"
            raise Refused(400, message, "special_token", param)


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, the names of its fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, own in value.items():
            yield str(name)
            yield from _strings(own)
    elif isinstance(value, list | tuple):
        for own in value:
            yield from _strings(own)


def _request(
    service: Service,
    body: ChatBody | CompletionBody,
    source: Source,
    limit: int | None,
    logprobs: int | None,
    dial: Dial,
    tools: list[dict[str, Any]] | None = None,
) -> tuple[Request, Asked | None]:
    settings = service.settings
    if body.model and body.model not in service.names:
        message = f"the model {body.model!r} is not here; this server runs {service.name!r}"
        raise Refused(404, message, "model_not_found", "model")
    if body.n > settings.max_choices:
        raise Refused(400, f"n is {body.n}; at most {settings.max_choices}", "too_many", "n")
    if limit is not None and limit > settings.max_tokens:
        message = f"max_tokens is {limit}; at most {settings.max_tokens}"
        raise Refused(400, message, "too_many_tokens", "max_tokens")
    vectors = service.engine.vectors
    check_bias(vectors, body.emotion_bias, dial)
    if body.emotions and vectors is None:
        raise PromptError("this server has no concept vectors to read with")
    wanted = asked(body.emotions, vectors.names if vectors is not None else ())
    own = Policy(**body.policy) if body.policy is not None else None
    if own is not None:
        check_policy(own, body.emotion_bias, dial, service.floor.policy)
    guard, layer = service.floor.watcher(own)
    sampling = Sampling(
        max_tokens=limit or settings.default_tokens,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=body.seed,
        stop=body.stops,
        logprobs=logprobs,
    )
    request = Request(
        source=source,
        sampling=sampling,
        bias=body.emotion_bias or None,
        read=wanted.read if wanted else None,
        layer=layer,
        guard=Overseen(guard) if guard is not None else None,
        n=body.n,
        tools=tools,
    )
    return request, wanted
