"""A body of the API as a request to the engine, within what the operator and the key allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from affekt.concepts.source import Source
from affekt.engines.engine import Request, Sampling
from affekt.errors import BiasError, PromptError
from affekt.server.access import Dial
from affekt.server.emotions_asked import Asked, asked
from affekt.server.failures import Refused
from affekt.server.overseeing import Overseen
from affekt.server.service import Service
from affekt.server.wire import ChatBody, CompletionBody
from affekt.steering.bias import parse

__all__ = ["chat_request", "check_bias", "completion_requests"]


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


def check_bias(service: Service, bias: Mapping[str, Any] | None, dial: Dial) -> None:
    """Refuses a bias that the operator does not allow, or that says nothing sensible.

    Raises:
        Refused: forbidden, beyond the cap, or in a form that is not allowed.
        BiasError, UnknownConcept: wrong in itself.
    """
    if not bias:
        return
    if dial.most == 0:
        raise Refused(403, "emotion_bias is not allowed here", "bias_forbidden", "emotion_bias")
    for name, value in bias.items():
        forms = value if isinstance(value, list) else [value]
        full = any(isinstance(form, Mapping) and set(form) - {"dial"} for form in forms)
        if full and not dial.raw:
            message = f"emotion_bias.{name}: only the dial, -{dial.most:g} to {dial.most:g}, is allowed here"
            raise Refused(403, message, "raw_dose_forbidden", "emotion_bias")
        # Several terms of one concept add up.
        total = sum(abs(_dial(form)) for form in forms)
        if not total <= dial.most:
            message = f"emotion_bias.{name} is {total:g}; give -{dial.most:g} to {dial.most:g}"
            raise Refused(400, message, "bias_too_large", "emotion_bias")
    if service.engine.vectors is None:
        raise BiasError("this server has no concept vectors to steer with")
    parse(bias, service.engine.vectors)


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


def _dial(form: Any) -> float:
    """The dial of a form; 0 where it has none, or none that is a number."""
    dial = form.get("dial", 0.0) if isinstance(form, Mapping) else form
    return float(dial) if isinstance(dial, int | float) and not isinstance(dial, bool) else 0.0


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
    check_bias(service, body.emotion_bias, dial)
    vectors = service.engine.vectors
    if body.emotions and vectors is None:
        raise PromptError("this server has no concept vectors to read with")
    wanted = asked(body.emotions, vectors.names if vectors is not None else ())
    guard, layer = service.floor.watcher(body.policy)
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
