"""Sources, biases and concepts as callers write them, made ready for a model; everything wrong is found
here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from affekt.concepts.source import Source
from affekt.engines.engine import BiasLike, Opened
from affekt.engines.transformers.wording import Wording
from affekt.errors import PromptError, UnknownConcept, VectorsError
from affekt.models.prompt import Encoded, encode, require_text
from affekt.steering.bias import Bias, parse
from affekt.steering.program import Program, compile
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = [
    "biases_of",
    "columns_of",
    "encoded_of",
    "heard",
    "known_ids",
    "names_of",
    "parsed",
    "picked_of",
    "program_of",
    "said_of",
]


def encoded_of(
    model: Opened,
    source: Source | Encoded,
    generation_prompt: bool = False,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> Encoded:
    """A source as tokens that the model's context holds; raises PromptError."""
    if not isinstance(source, Encoded):
        return encode(model.tokenizer, source, generation_prompt, tools=tools, context=model.context)
    if not source.ids:
        raise PromptError("an encoded source without a token")
    if len(source) > model.context:
        raise PromptError(f"{len(source):,} tokens, the model takes {model.context:,}")
    return source


def picked_of(
    model: Opened, source: Source | Encoded, index: int, pick: Callable[[Encoded], Sequence[int]]
) -> tuple[Encoded, list[int]]:
    """A source that is collected from, and the tokens of it that are picked. A chat that ends with a user's
    turn is given its generation prompt.

    Raises:
        PromptError: for a source that is empty or longer than the context; says which one.
        IndexError: for a pick that the source has not.
    """
    last = source[-1] if not isinstance(source, (str, Encoded)) and source else {}
    asks = isinstance(last, Mapping) and last.get("role") == "user"
    try:
        encoded = encoded_of(model, source, asks)
    except PromptError as error:
        raise PromptError(f"source {index}: {error}") from None
    picked = list(pick(encoded))
    if picked and (min(picked) < 0 or max(picked) >= len(encoded)):
        raise IndexError(f"source {index}: a pick of tokens {picked} out of {len(encoded)}")
    return encoded, picked


def said_of(model: Opened, prompt: Encoded, said: str | Sequence[int]) -> tuple[int, ...]:
    """A continuation's tokens, by itself; PromptError for none, for an id that is no token, or for more than
    the context holds."""
    if isinstance(said, str):
        require_text(said)
        ids = known_ids(model, model.tokenizer(said, add_special_tokens=False)["input_ids"])
    else:
        ids = known_ids(model, said)
    if not ids:
        raise PromptError("an empty continuation has no probability to score")
    if len(prompt) + len(ids) > model.context:
        raise PromptError(
            f"prompt and continuation have {len(prompt) + len(ids):,} tokens, the model takes "
            f"{model.context:,}"
        )
    return ids


def known_ids(model: Opened, ids: Sequence[int]) -> tuple[int, ...]:
    """Token ids as they are; PromptError for one that the vocabulary has not."""
    size = len(model.tokenizer)
    for id in ids:
        if not 0 <= id < size:
            raise PromptError(f"{id} is no token of {model.identity.name}; they are 0 to {size - 1:,}")
    return tuple(int(id) for id in ids)


def heard(model: Opened, program: Program | None, prompt: Encoded, said: Sequence[int]) -> Program | None:
    """A program that has heard a whole continuation, as it would have while that was written."""
    if program is None or not program.waits:
        return program
    wording = Wording(model.tokenizer, before=prompt.ids if "text" in prompt.roles else ())
    for index, id in enumerate(said):
        wording.add(id)
        program = program.heard(wording.text, len(prompt) + index + 1)
    return program


def parsed(bias: BiasLike, vectors: ConceptVectors | None) -> Bias:
    """A bias in any of its forms as terms; raises BiasError, UnknownConcept, VectorsError."""
    if bias is None or isinstance(bias, Bias):
        return bias or Bias()
    return parse(bias, _required(vectors)) if len(bias) else Bias()


def program_of(bias: Bias, vectors: ConceptVectors | None, prompt: Encoded, model: Opened) -> Program | None:
    """A bias for one prompt; None where it changes nothing."""
    if bias.is_zero:
        return None
    program = compile(bias, _required(vectors), prompt, model.device)
    return None if program.is_empty else program


def biases_of(bias: BiasLike | Sequence[BiasLike], count: int, vectors: ConceptVectors | None) -> list[Bias]:
    """One bias for each of `count` prompts; a single one is everybody's."""
    if bias is None or isinstance(bias, (Bias, Mapping)):
        return [parsed(bias, vectors)] * count
    if len(bias) != count:
        raise PromptError(f"{len(bias)} biases for {count} prompts; give one, or one for each")
    return [parsed(one, vectors) for one in bias]


def columns_of(names: Sequence[str] | Literal["all"] | None, vectors: ConceptVectors) -> tuple[int, ...]:
    """Places of concepts on the `concepts` axis, each once; all of them for None and "all"."""
    if names is None or names == "all":
        return tuple(range(len(vectors.names)))
    if isinstance(names, str):
        raise (
            UnknownConcept(names, ("all",))
            if names not in vectors.names
            else PromptError(f"concepts are given as a list: [{names!r}]")
        )
    places = {name: place for place, name in enumerate(vectors.names)}
    for name in names:
        if name not in places:
            raise UnknownConcept(name, vectors.names)
    return tuple(dict.fromkeys(places[name] for name in names))


def names_of(model: Opened, whole: Encoded) -> list[str]:
    """Each token as written; one that stands for no character, by its name in the vocabulary."""
    bare = [id for id, (start, end) in zip(whole.ids, whole.spans, strict=True) if start == end]
    names = dict(zip(bare, model.tokenizer.convert_ids_to_tokens(bare), strict=True))
    return [
        whole.text[start:end] if end > start else names[id]
        for id, (start, end) in zip(whole.ids, whole.spans, strict=True)
    ]


def _required(vectors: ConceptVectors | None) -> ConceptVectors:
    if vectors is None:
        raise VectorsError("an emotion_bias needs concept vectors; open the engine with vectors")
    return vectors
