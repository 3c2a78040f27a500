"""The verbs that write nothing: collect, read, score and next_token, as prompts that vLLM runs once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from affekt.concepts.source import Source
from affekt.engines.engine import Collected
from affekt.engines.transformers.ready import encoded_of, names_of, program_of
from affekt.engines.transformers.wording import Wording
from affekt.engines.vllm.driver import Driver
from affekt.engines.vllm.front import Front
from affekt.engines.vllm.order import Collecting, Order, Segment
from affekt.engines.vllm.running import Job, run_all
from affekt.engines.vllm.sampled import once
from affekt.errors import PromptError
from affekt.models.prompt import Encoded
from affekt.reading.reading import Reading
from affekt.steering.bias import Bias
from affekt.steering.plan import plan

__all__ = ["collect", "next_token", "read", "score"]


def collect(
    front: Front,
    driver: Driver,
    sources: Sequence[Source | Encoded],
    layers: Sequence[int],
    pick: Callable[[Encoded], Sequence[int]],
    mean: bool,
) -> Iterator[Collected]:
    """The collect verb; see `Engine.collect`."""
    depth, width = front.model.identity.n_layers, front.model.identity.d_model
    for layer in layers:
        if not 0 <= layer < depth:
            raise IndexError(f"layer {layer} of a model with layers 0 to {depth - 1}")
    own = tuple(sorted(set(layers)))
    empty: list[Collected] = []

    def jobs() -> Iterator[Job]:
        for index, source in enumerate(sources):
            encoded = _collected_from(front, source, index)
            picked = list(pick(encoded))
            if picked and (min(picked) < 0 or max(picked) >= len(encoded)):
                raise IndexError(f"source {index}: a pick of tokens {picked} out of {len(encoded)}")
            if not picked:
                empty.append(Collected(index, torch.empty(len(layers), 0, width), 0))
                continue
            # No token after the last one picked is needed.
            ids = encoded.ids[: max(picked) + 1]
            order = Order(driver.key(), collect=Collecting(own, tuple(sorted(picked)), mean))
            yield Job(index, ids, once(), order)

    for job, run, _ in run_all(driver, jobs()):
        yield from empty
        empty.clear()
        parts = driver.residuals(run, own)
        assert job.order.collect is not None
        values = torch.from_numpy(np.stack([parts[own.index(layer)] for layer in layers]))
        yield Collected(job.index, values, len(job.order.collect.picks))
    yield from empty


def read(
    front: Front,
    driver: Driver,
    texts: Sequence[Encoded],
    bias: Bias,
    layer: int | None,
    columns: Sequence[int],
) -> list[Reading]:
    """The read verb on encoded texts; see `Engine.read`."""
    probe, readings = front.probe(layer), {}

    def jobs() -> Iterator[Job]:
        for index, text in enumerate(texts):
            order = Order(driver.key(), read=probe.layer, segments=_segments(front, bias, text))
            yield Job(index, text.ids, once(), order)

    for job, run, _ in run_all(driver, jobs()):
        text = texts[job.index]
        scalars = np.stack([driver.reading(run, at) for at in range(len(text))])
        names = names_of(front.model, text)
        readings[job.index] = probe.reading(text, names, scalars, columns, front.model.identity.name)
    return [readings[index] for index in range(len(texts))]


def score(
    front: Front,
    driver: Driver,
    prompts: Sequence[Encoded],
    continuations: Sequence[str | Sequence[int]],
    biases: Sequence[Bias],
) -> list[Float[np.ndarray, " tokens"]]:
    """The score verb on encoded prompts; see `Engine.score`."""
    pairs: list[tuple[Encoded, tuple[int, ...], Bias]] = []
    for prompt, text, bias in zip(prompts, continuations, biases, strict=True):
        told = (
            front.model.tokenizer(text, add_special_tokens=False)["input_ids"]
            if isinstance(text, str)
            else text
        )
        ids = tuple(int(id) for id in told)
        if not ids:
            raise PromptError("an empty continuation has no probability to score")
        if len(prompt) + len(ids) > front.model.context:
            raise PromptError(
                f"prompt and continuation have {len(prompt) + len(ids):,} tokens, the model takes "
                f"{front.model.context:,}"
            )
        pairs.append((prompt, ids, bias))
    scores: dict[int, np.ndarray] = {}

    def jobs() -> Iterator[Job]:
        for index, (prompt, ids, bias) in enumerate(pairs):
            order = Order(driver.key(), segments=_segments(front, bias, prompt, ids))
            yield Job(index, (*prompt.ids, *ids), once(prompt_logprobs=0), order)

    for job, _, output in run_all(driver, jobs()):
        prompt, ids, _ = pairs[job.index]
        told = output.prompt_logprobs[len(prompt) :]
        scores[job.index] = np.array(
            [one[id].logprob for one, id in zip(told, ids, strict=True)], dtype=np.float32
        )
    return [scores[index] for index in range(len(pairs))]


def next_token(
    front: Front,
    driver: Driver,
    prompts: Sequence[Encoded],
    biases: Sequence[Bias],
    ids: Sequence[int] | None,
    vocabulary: int,
) -> Float[np.ndarray, "prompts tokens"]:
    """The next_token verb on encoded prompts; see `Engine.next_token`."""
    wanted = {"logprobs": -1} if ids is None else {"logprob_token_ids": sorted(set(ids))}
    rows: dict[int, np.ndarray] = {}

    def jobs() -> Iterator[Job]:
        for index, (prompt, bias) in enumerate(zip(prompts, biases, strict=True)):
            order = Order(driver.key(), segments=_segments(front, bias, prompt))
            yield Job(index, prompt.ids, once(fresh=False, **wanted), order)

    for job, _, output in run_all(driver, jobs()):
        [told] = output.outputs[0].logprobs
        rows[job.index] = _row(told, ids, vocabulary)
    width = vocabulary if ids is None else len(ids)
    return np.stack([rows[i] for i in range(len(prompts))]) if rows else np.zeros((0, width), np.float32)


def _row(told: Mapping[int, object], ids: Sequence[int] | None, vocabulary: int) -> np.ndarray:
    if ids is not None:
        return np.array([told[id].logprob for id in ids], dtype=np.float32)  # type: ignore[attr-defined]
    row = np.full(vocabulary, -np.inf, dtype=np.float32)
    for id, one in told.items():
        row[id] = one.logprob  # type: ignore[attr-defined]
    return row


def _segments(front: Front, bias: Bias, prompt: Encoded, said: Sequence[int] = ()) -> tuple[Segment, ...]:
    """What steers a prompt and what is said after it, with the markers that are heard in that."""
    program = program_of(bias, front.vectors, prompt, front.model)
    if program is None:
        return ()
    wording = Wording(front.model.tokenizer)
    for index, id in enumerate(said if program.waits else ()):
        wording.add(id)
        program = program.heard(wording.text, len(prompt) + index + 1)
    return (Segment(0, replace(plan(bias, prompt), schedules=program.schedules)),)


def _collected_from(front: Front, source: Source | Encoded, index: int) -> Encoded:
    last = source[-1] if not isinstance(source, (str, Encoded)) and source else {}
    asks = isinstance(last, Mapping) and last.get("role") == "user"
    try:
        return encoded_of(front.model, source, asks)
    except PromptError as error:
        raise PromptError(f"source {index}: {error}") from None
