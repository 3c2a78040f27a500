"""The verbs that write nothing: collect, read, score and next_token, as prompts that vLLM runs once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float

from affekt.concepts.source import Source
from affekt.engines.desk import Desk
from affekt.engines.engine import Collected
from affekt.engines.transformers.ready import heard, names_of, picked_of, program_of, said_of
from affekt.engines.vllm.draft import segment
from affekt.engines.vllm.driver import Driver
from affekt.engines.vllm.order import Collecting, Order, Segment
from affekt.engines.vllm.running import Job, run_all
from affekt.engines.vllm.sampled import once
from affekt.models.prompt import Encoded
from affekt.reading.reading import Reading
from affekt.steering.bias import Bias

__all__ = ["collect", "next_token", "read", "score"]


def collect(
    desk: Desk,
    driver: Driver,
    sources: Sequence[Source | Encoded],
    layers: Sequence[int],
    pick: Callable[[Encoded], Sequence[int]],
    mean: bool,
) -> Iterator[Collected]:
    """The collect verb; see `Engine.collect`."""
    depth, width = desk.model.identity.n_layers, desk.model.identity.d_model
    for layer in layers:
        if not 0 <= layer < depth:
            raise IndexError(f"layer {layer} of a model with layers 0 to {depth - 1}")
    own = tuple(sorted(set(layers)))
    ranks: dict[int, list[int]] = {}
    empty: list[Collected] = []

    def jobs() -> Iterator[Job]:
        for index, source in enumerate(sources):
            encoded, picked = picked_of(desk.model, source, index, pick)
            if not picked:
                empty.append(Collected(index, torch.empty(len(layers), 0, width), 0))
                continue
            # No token after the last one picked is needed.
            ids = encoded.ids[: max(picked) + 1]
            ascending = sorted(range(len(picked)), key=picked.__getitem__)
            ranks[index] = [0] if mean else np.argsort(ascending).tolist()
            picks = tuple(picked[at] for at in ascending)
            yield Job(index, ids, once(), Order(driver.key(), collect=Collecting(own, picks, mean)))

    for job, run, _ in run_all(driver, jobs()):
        yield from empty
        empty.clear()
        parts = [run.collected[layer] for layer in own]
        assert job.order.collect is not None
        rows = ranks.pop(job.index)
        values = torch.from_numpy(np.stack([parts[own.index(layer)][rows] for layer in layers]))
        yield Collected(job.index, values, len(job.order.collect.picks))
    yield from empty


def read(
    desk: Desk,
    driver: Driver,
    texts: Sequence[Encoded],
    bias: Bias,
    layer: int | None,
    columns: Sequence[int],
) -> list[Reading]:
    """The read verb on encoded texts; see `Engine.read`."""
    probe, readings = desk.probe(layer), {}

    def jobs() -> Iterator[Job]:
        for index, text in enumerate(texts):
            order = Order(driver.key(), read=probe.layer, segments=_segments(desk, bias, text))
            yield Job(index, text.ids, once(), order)

    for job, run, _ in run_all(driver, jobs()):
        text = texts[job.index]
        scalars = np.stack([run.readings[at] for at in range(len(text))])
        names = names_of(desk.model, text)
        readings[job.index] = probe.reading(text, names, scalars, columns, desk.model.identity.name)
    return [readings[index] for index in range(len(texts))]


def score(
    desk: Desk,
    driver: Driver,
    prompts: Sequence[Encoded],
    continuations: Sequence[str | Sequence[int]],
    biases: Sequence[Bias],
) -> list[Float[np.ndarray, " tokens"]]:
    """The score verb on encoded prompts; see `Engine.score`."""
    pairs: list[tuple[Encoded, tuple[int, ...], Bias]] = []
    for prompt, text, bias in zip(prompts, continuations, biases, strict=True):
        pairs.append((prompt, said_of(desk.model, prompt, text), bias))
    scores: dict[int, np.ndarray] = {}

    def jobs() -> Iterator[Job]:
        for index, (prompt, ids, bias) in enumerate(pairs):
            order = Order(driver.key(), segments=_segments(desk, bias, prompt, ids))
            yield Job(index, (*prompt.ids, *ids), once(prompt_logprobs=0), order)

    for job, _, output in run_all(driver, jobs()):
        prompt, ids, _ = pairs[job.index]
        told = output.prompt_logprobs[len(prompt) :]
        scores[job.index] = np.array(
            [one[id].logprob for one, id in zip(told, ids, strict=True)], dtype=np.float32
        )
    return [scores[index] for index in range(len(pairs))]


def next_token(
    desk: Desk,
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
            order = Order(driver.key(), segments=_segments(desk, bias, prompt))
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


def _segments(desk: Desk, bias: Bias, prompt: Encoded, said: Sequence[int] = ()) -> tuple[Segment, ...]:
    """What steers a prompt and what is said after it, with the markers that are heard in that."""
    program = heard(desk.model, program_of(bias, desk.vectors, prompt, desk.model), prompt, said)
    return () if program is None else (segment(prompt, bias, program, 0),)
