"""A program's own `AsyncLLM`, steered and read token by token beside plain requests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from affekt.engines import Request, Sampling, TransformersEngine
from affekt.engines.vllm import Companion, Written
from affekt.engines.vllm.channel import Outbox
from affekt.engines.vllm.order import FIELD, Order
from affekt.errors import AffektError, BiasError, ModelError, PromptError, UnknownConcept
from affekt.models import load
from affekt.models.prompt import encode
from tests.engines.small import CHAT, LONG, TEXT, vectors_for
from tests.vllm.opened import SHARE, needs_vllm, replies_of, saved
from tests.vllm.played import token_at, worth

pytest.importorskip("zmq")

PROMPT = (5, 6, 7)


class Params:
    """As much of `SamplingParams` as is looked at."""

    def __init__(self, kind: str = "DELTA", n: int = 1) -> None:
        self.output_kind, self.n = SimpleNamespace(name=kind), n
        self.extra_args: Any = {"own": 1}

    def clone(self) -> Params:
        return Params(self.output_kind.name, self.n)


class PlayedAsyncLLM:
    """Writes five tokens by rule; its worker's readings may be lost."""

    def __init__(self, held: Any, folder: Path, lost: tuple[int, ...] = ()) -> None:
        vectors, file = held
        told = {"vectors": str(file), "channel": f"ipc://{folder}/readings"}
        self.vllm_config = SimpleNamespace(
            additional_config={"affekt": told},
            parallel_config=SimpleNamespace(worker_cls="affekt.engines.vllm.cpu_worker.CPUWorker"),
        )
        self._channel, self._width, self._lost = told["channel"], 2 * len(vectors.names) + 1, lost
        self.asked: list[tuple[Any, Any]] = []
        self.refuses = False

    async def generate(self, prompt: Any, params: Any, name: str) -> Any:
        self.asked.append((prompt, params))
        told, written = params.extra_args.get(FIELD), []
        outbox = Outbox(self._channel)
        if self.refuses:
            outbox.send({"kind": "refused", "name": name, "order": told, "why": "no such vectors"})
        for at in range(len(PROMPT), len(PROMPT) + 5):
            if told and at - 1 not in self._lost:
                rows = [[Order.from_json(told).key, at - 1, 1], ["another", at, 1]]
                values = np.stack([worth(at - 1, self._width), worth(-1, self._width)])
                outbox.send({"kind": "read", "rows": rows}, values)
            await asyncio.sleep(0.02)
            written.append(token_at(at))
            new = written[-1:] if params.output_kind.name == "DELTA" else list(written)
            yield SimpleNamespace(
                outputs=[SimpleNamespace(token_ids=new)],
                prompt_token_ids=list(PROMPT),
                finished=len(written) == 5,
            )


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("held")
    vectors = vectors_for(load(str(saved(folder / "model")), dtype="float32"))
    return vectors, vectors.save(folder / "v.safetensors")


def written(llm: PlayedAsyncLLM, params: Params, **more: Any) -> list[Written]:
    """All that comes of a request."""

    async def run() -> list[Written]:
        companion = Companion(llm)
        try:
            return [piece async for piece in companion.generate(PROMPT, params, **more)]
        finally:
            companion.close()

    return asyncio.run(run())


def indices(pieces: list[Written]) -> list[int]:
    """Of the readings as they came, none before the token after its own."""
    for at, piece in enumerate(pieces):
        assert all(index < at for index in piece.readings)
    return [index for piece in pieces for index in piece.readings]


@pytest.mark.parametrize("kind", ["DELTA", "CUMULATIVE"])
def test_each_reading_comes_once_under_the_index_of_its_token(kind: str, held: Any, tmp_path: Path) -> None:
    vectors, _ = held
    llm, at = PlayedAsyncLLM(held, tmp_path), vectors.index("calm")
    pieces = written(llm, Params(kind), emotions=["calm"], emotion_bias={"calm": {"dose": 0.2}})
    readout = vectors.readout()
    assert indices(pieces) == [0, 1, 2, 3]
    for piece in pieces:
        for index, z in piece.readings.items():
            expected = (len(PROMPT) + index - readout.mean[2, at]) / readout.std[2, at]
            assert z == pytest.approx([float(expected)], abs=1e-4)
    assert not pieces[-1].missing
    [(prompt, params)] = llm.asked
    order = Order.from_json(params.extra_args[FIELD])
    assert params.extra_args["own"] == 1 and order.late is not None and len(prompt["cache_salt"]) == 32


def test_a_reading_that_is_lost_is_told_and_stands_at_no_other_token(
    held: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("affekt.engines.vllm.companion.WAIT", 0.2)
    pieces = written(PlayedAsyncLLM(held, tmp_path, lost=(4, 6)), Params(), emotions=["calm"])
    assert indices(pieces) == [0, 2]
    assert [piece.missing for piece in pieces] == [(), (), (), (), (1, 3)]


def test_a_request_that_asks_for_nothing_passes_as_it_is(held: Any, tmp_path: Path) -> None:
    llm = PlayedAsyncLLM(held, tmp_path)
    assert len(written(llm, Params())) == 5
    [(prompt, params)] = llm.asked
    assert prompt == {"prompt_token_ids": list(PROMPT)} and params.extra_args == {"own": 1}


def test_what_cannot_be_done_is_refused(held: Any, tmp_path: Path) -> None:
    llm = PlayedAsyncLLM(held, tmp_path)
    elsewhere = {"calm": {"dose": 0.2, "where": {"after": "x"}}}
    for wrong, params, kind in (
        ({"emotions": ["clam"]}, Params(), UnknownConcept),
        ({"emotion_bias": elsewhere}, Params(), BiasError),
        ({"emotions": ["calm"]}, Params(n=2), PromptError),
    ):
        with pytest.raises(kind):
            written(llm, params, **wrong)
    assert not llm.asked
    llm.refuses = True
    with pytest.raises(AffektError, match="refused the order: no such vectors"):
        written(llm, Params(), emotion_bias={"calm": {"dose": 0.2}})
    llm.vllm_config.parallel_config.worker_cls = "auto"
    with pytest.raises(ModelError, match="without Affekt's worker"):
        Companion(llm)


@needs_vllm
def test_an_async_llm_writes_and_reads_as_the_transformers_engine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vllm import SamplingParams
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    from affekt.engines.vllm import arguments

    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "0")
    folder = saved(tmp_path / "model")
    model = load(str(folder), dtype="float32")
    vectors = vectors_for(model)
    file = vectors.save(tmp_path / "v.safetensors")
    theirs = TransformersEngine(model, vectors)
    sources: list[Any] = [TEXT, CHAT, LONG]
    biases: list[Any] = [{"calm": {"dose": 0.5}}, None, {"angry": {"dose": 0.4, "where": "reply"}}]
    requests = [
        Request(source, Sampling(max_tokens=8, min_tokens=8), bias=bias, read=("calm", "angry"))
        for source, bias in zip(sources, biases, strict=True)
    ]
    expected, _ = replies_of(theirs, requests)

    async def one(companion: Companion, k: int) -> tuple[list[int], dict[int, Any]]:
        params = SamplingParams(
            temperature=0.0, max_tokens=8, ignore_eos=True, detokenize=False,
            output_kind=RequestOutputKind.DELTA,
        )  # fmt: skip
        ids: list[int] = []
        readings: dict[int, Any] = {}
        async for piece in companion.generate(
            encode(model.tokenizer, sources[k], True).ids,
            params,
            emotion_bias=biases[k],
            emotions=["calm", "angry"],
            chat=k > 0,
        ):
            ids += piece.output.outputs[0].token_ids
            readings |= piece.readings
            assert not piece.missing
        return ids, readings

    async def all_of_it() -> list[tuple[list[int], dict[int, Any]]]:
        llm = AsyncLLM.from_engine_args(
            AsyncEngineArgs(
                model=str(folder), dtype="float32", max_model_len=256, kv_cache_memory_bytes=1 << 28,
                generation_config="vllm", **SHARE, **arguments(file),
            )
        )  # fmt: skip
        companion = Companion(llm)
        try:
            return list(await asyncio.gather(*(one(companion, k) for k in range(3))))
        finally:
            companion.close()
            llm.shutdown()

    for (ids, readings), reply in zip(asyncio.run(all_of_it()), expected, strict=True):
        assert tuple(ids) == reply.tokens and sorted(readings) == list(range(7))
        assert reply.reading is not None
        for index, z in readings.items():
            np.testing.assert_allclose(z, reply.reading.z[reply.prompt_tokens + index], atol=1e-3)
