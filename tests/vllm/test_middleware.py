"""`vllm serve`'s middleware on an application that answers as vLLM does; no vLLM is needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from affekt.engines.vllm.channel import Outbox
from affekt.engines.vllm.order import END, Order
from affekt.errors import BiasError
from affekt.models.model import Identity
from affekt.server.vllm_asking import Desk
from affekt.server.vllm_middleware import Middleware
from affekt.vectors.conceptvectors import ConceptVectors, Provenance
from tests.steering.vectors import made

pytest.importorskip("zmq")

CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
PROMPT, WRITTEN = 5, 4


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    identity = Identity("stub", "0" * 64, "float32", "Stub", 4, 32)
    held = made(32, (1, 2), provenance=Provenance(identity, {}, {}))
    return held.save(tmp_path_factory.mktemp("held") / "v.safetensors")


class Served:
    """An application like vLLM's server, the worker's end of the channel in it."""

    def __init__(self, vectors: Path, folder: Path) -> None:
        self.held = ConceptVectors.load(vectors)
        channel = f"ipc://{folder}/readings"
        config = SimpleNamespace(
            additional_config={"affekt": {"vectors": str(vectors), "channel": channel}},
            parallel_config=SimpleNamespace(worker_cls="affekt.engines.vllm.cpu_worker.CPUWorker"),
        )
        self.state = SimpleNamespace(engine_client=SimpleNamespace(vllm_config=config))
        self.outbox = Outbox(channel)
        self.middleware = Middleware(self)
        self.seen: list[dict[str, Any]] = []
        self.skip: set[int] = set()

    def scalars(self, place: int) -> np.ndarray:
        return np.full((1, 2 * len(self.held.names) + 1), float(place), dtype=np.float32)

    def z(self, place: int, concept: str) -> float:
        readout, at = self.held.readout(), self.held.index(concept)
        return round(float((place - readout.mean[2, at]) / readout.std[2, at]), 4)

    def read(self, key: str, place: int) -> None:
        if place not in self.skip:
            self.outbox.send({"kind": "read", "rows": [[key, place, 1]]}, self.scalars(place))

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        raw = (await receive())["body"]
        try:
            body = json.loads(raw)
        except ValueError:
            body = {"form": raw}
        self.seen.append(body)
        order = body.get("vllm_xargs", {}).get("affekt")
        key = Order.from_json(order).key if order else ""
        kind = b"text/event-stream" if body.get("stream") else b"application/json"
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
        if not body.get("stream"):
            for at in range(PROMPT - 1, PROMPT + WRITTEN - 1):
                self.read(key, at)
            choice = {"index": 0, "token_ids": [7] * WRITTEN, "finish_reason": "length"}
            told = {"choices": [choice], "prompt_token_ids": [1] * PROMPT}
            await send({"type": "http.response.body", "body": json.dumps(told).encode()})
            return
        for at in range(WRITTEN):
            self.read(key, PROMPT + at - 1)
            await asyncio.sleep(0.05)
            choice = {"index": 0, "token_ids": [7], "finish_reason": "length" if at == WRITTEN - 1 else None}
            told = {"choices": [choice], **({"prompt_token_ids": [1] * PROMPT} if not at else {})}
            line = f"data: {json.dumps(told)}\n\n".encode()
            # A chunk may be cut anywhere.
            await send({"type": "http.response.body", "body": line[:9], "more_body": True})
            await send({"type": "http.response.body", "body": line[9:], "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})

    def ask(self, **fields: Any) -> tuple[int, bytes]:
        return self.post(json.dumps({**CHAT, **fields}).encode())

    def post(self, raw: bytes, path: str = "/v1/chat/completions") -> tuple[int, bytes]:
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http", "method": "POST", "path": path, "app": self,
            "headers": [(b"content-length", b"1")],
        }  # fmt: skip

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.middleware(scope, receive, send))
        return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:])


@pytest.fixture
def served(vectors: Path, tmp_path: Path) -> Iterator[Served]:
    one = Served(vectors, tmp_path)
    yield one
    if one.middleware._listener is not None:
        one.middleware._listener.close()


def test_a_request_without_affekts_fields_passes_as_it_is(served: Served) -> None:
    status, body = served.ask(seed=3)
    assert status == 200 and served.seen == [{**CHAT, "seed": 3}]
    assert "affekt" not in json.loads(body)["choices"][0]


def test_a_whole_reply_has_each_reading_at_its_token(served: Served) -> None:
    status, body = served.ask(emotions=["calm", "angry"], emotion_bias={"calm": {"dose": 0.2}})
    choice = json.loads(body)["choices"][0]
    assert status == 200 and "token_ids" not in choice and "missing" not in choice["affekt"]
    assert [entry["index"] for entry in choice["affekt"]["tokens"]] == [0, 1, 2]
    for entry in choice["affekt"]["tokens"]:
        assert entry["z"] == pytest.approx(
            {name: served.z(PROMPT + entry["index"], name) for name in ("calm", "angry")}, abs=1e-3
        )
    order = Order.from_json(served.seen[0]["vllm_xargs"]["affekt"])
    assert order.first == END and order.read == served.held.read_layer and order.late is not None
    assert "emotion_bias" not in served.seen[0] and served.seen[0]["return_token_ids"] is True


def test_a_stream_has_each_reading_under_its_own_index(served: Served) -> None:
    served.skip = {PROMPT + 1}
    import affekt.server.vllm_middleware as module

    module_wait, module.WAIT = module.WAIT, 0.2
    try:
        _, body = served.ask(emotions=["calm"], stream=True)
    finally:
        module.WAIT = module_wait
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    fields = [json.loads(line)["choices"][0].get("affekt") for line in lines[:-1]]
    told = {entry["index"]: entry["z"]["calm"] for field in fields if field for entry in field["tokens"]}
    assert told == pytest.approx({at: served.z(PROMPT + at, "calm") for at in (0, 2)}, abs=1e-3)
    assert fields[-1]["missing"] == [1]


def test_the_cache_salt_goes_with_the_bias_and_the_clients_own(served: Served) -> None:
    def salt(**fields: Any) -> str | None:
        served.ask(**fields)
        return served.seen[-1].get("cache_salt")

    one = salt(emotion_bias={"calm": {"dose": 0.2}})
    assert one is not None and one == salt(emotion_bias={"calm": {"dose": 0.2}}, emotions=["calm"])
    others = [
        salt(emotion_bias={"calm": {"dose": 0.3}}),
        salt(emotion_bias={"calm": {"dose": 0.2}}, cache_salt="mine"),
    ]
    assert len({one, *others}) == 3
    assert salt(emotions=["calm"]) is None


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"emotion_bias": {"clam": {"dose": 0.2}}}, "did you mean 'calm'"),
        ({"emotion_bias": {"calm": {"dose": 0.2, "where": {"after": "x"}}}}, "needs the prompt's text"),
        ({"emotions": "calm"}, "give a list"),
        ({"emotions": ["calm"], "n": 2}, "one reply"),
        ({"vllm_xargs": {"affekt": "{}"}}, "set by Affekt"),
        ({"emotion_bias": {"calm": 0.5}, "use_beam_search": True}, "with n and a temperature"),
    ],
)
def test_fields_that_cannot_be_meant_are_refused(served: Served, fields: Any, says: str) -> None:
    status, body = served.ask(**fields)
    assert status == 400 and says in json.loads(body)["error"]["message"] and not served.seen


def test_a_bias_that_a_worker_would_refuse_is_refused_at_the_desk(vectors: Path, tmp_path: Path) -> None:
    held = ConceptVectors.load(vectors)
    blind = replace(held, weight=-held.weight).save(tmp_path / "blind.safetensors")
    with pytest.raises(BiasError, match="does not see its own"):
        Desk(blind).prepared({**CHAT, "emotion_bias": {"calm": {"mode": "set", "value": 1.0}}}, True)
    for fine in ({"dose": 0.2, "where": {"last": 9}}, {"dose": 0.2, "where": {"first": 9}}):
        told, _ = Desk(blind).prepared({**CHAT, "emotion_bias": {"calm": fine}}, True)
        assert told["vllm_xargs"]


def test_several_api_servers_are_refused(served: Served) -> None:
    served.state.engine_client.vllm_config.parallel_config._api_process_count = 2
    status, body = served.ask(emotions=["calm"])
    assert status == 400 and "--api-server-count 1" in json.loads(body)["error"]["message"]
    assert not served.seen


@pytest.mark.parametrize("body", [b'[1, "emotions"]', b'{"emotions"', b"[" * 20_000 + b'"emotions"'])
def test_a_body_that_is_no_object_is_refused(served: Served, body: bytes) -> None:
    status, told = served.post(body)
    assert status == 400 and b"JSON" in told and not served.seen


def test_an_order_spelt_with_escapes_does_not_get_past_the_desk(served: Served) -> None:
    plain = json.dumps({**CHAT, "tag": "\u00e9"}).encode()
    assert b"\\u" in plain and served.post(plain)[0] == 200
    hidden = plain.replace(b'"tag"', b'"vllm_xargs": {"\\u0061ffekt": "{}"}, "tag"')
    status, told = served.post(hidden)
    assert status == 400 and b"vllm_xargs.affekt is set by Affekt" in told
    assert len(served.seen) == 1


def test_an_order_in_another_encoding_does_not_get_past_the_desk(served: Served) -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-32-be"):
        hidden = json.dumps({**CHAT, "vllm_xargs": {"affekt": "{}"}}).encode(encoding)
        status, told = served.post(hidden)
        assert status == 400 and b"vllm_xargs.affekt is set by Affekt" in told and not served.seen
    assert served.post(json.dumps(CHAT).encode("utf-16"))[0] == 200 and served.seen == [CHAT]


FORM = b'--x\r\nContent-Disposition: form-data; name="vllm_xargs"\r\n\r\n%s\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/v1/responses", {"input": "Hi", "emotion_bias": {"calm": 0.5}}),
        ("/v1/messages", {"messages": CHAT["messages"], "emotions": ["calm"]}),
        ("/v1/responses", {"input": "Hi", "vllm_xargs": {"affekt": "{}"}}),
        ("/inference/v1/generate", {"token_ids": [1], "sampling_params": {"extra_args": {"affekt": "{}"}}}),
        ("/v1/responses", b'{"vllm_xargs": {"\\u0061ffekt": "{}"}}'),
        ("/v1/responses", json.dumps({"vllm_xargs": {"affekt": "{}"}}).encode("utf-16")),
        ("/v1/audio/transcriptions", FORM % b'{"affekt": "{}"}'),
        ("/v1/audio/transcriptions", FORM % b'{"\\u0061ffekt": "{}"}'),
    ],
    ids=range(8),
)
def test_a_path_that_is_not_served_refuses_what_would_not_be_done(
    served: Served, path: str, raw: Any
) -> None:
    status, told = served.post(raw if isinstance(raw, bytes) else json.dumps(raw).encode(), path)
    assert status == 400 and b"/v1/chat/completions and /v1/completions only" in told and not served.seen


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(
            {"input": "her emotions, caf\u00e9", "tools": [{"parameters": {"emotions": {}}}]}
        ).encode(),
        FORM % b'{"session_id": "affect"}',
        b"\0\xff\0 audio",
        b"",
    ],
    ids=range(4),
)
def test_other_paths_pass_as_they_are(served: Served, raw: bytes) -> None:
    assert served.post(raw, "/v1/responses")[0] == 200
    assert served.seen == [json.loads(raw) if raw.startswith(b"{") else {"form": raw}]


def test_a_vllm_without_affekts_worker_refuses_what_it_could_not_do(served: Served) -> None:
    served.state.engine_client.vllm_config.parallel_config.worker_cls = "auto"
    status, body = served.ask(emotion_bias={"calm": {"dose": 0.2}})
    assert status == 400 and "without Affekt's worker" in json.loads(body)["error"]["message"]
    assert not served.seen


def test_the_desk_reads_vectors_once(vectors: Path) -> None:
    body, watched = Desk(vectors).prepared({**CHAT, "emotions": ["calm"]}, chat=True)
    assert watched is not None and json.loads(body["vllm_xargs"]["affekt"])["key"] == watched.key
