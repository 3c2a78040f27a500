"""The vLLM engine on a GPU, held to the transformers engine; skipped where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from affekt.engines import Request, Sampling
from affekt.engines.vllm.fitting import fit
from affekt.engines.vllm.posting import Posting
from tests.engines.small import PROMPTS
from tests.vllm.opened import both, needs_vllm, replies_of, saved
from tests.vllm.stub import Sent

pytestmark = [needs_vllm, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]

STRONG: dict[str, Any] = {"calm": {"dose": 0.6}, "desperate": {"dose": -0.4, "where": "reply"}}


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with both(saved(tmp_path_factory.mktemp("llama"))) as pair:
        yield pair


def test_the_worker_for_gpus_is_chosen() -> None:
    assert fit({})["worker_cls"] == "affekt.engines.vllm.gpu_worker.GPUWorker"


def test_a_reading_is_sent_when_the_device_has_come_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import affekt.engines.vllm.posting as module

    marks, plain = [], module._recorded

    def recorded() -> Any:
        marks.append(plain())
        return SimpleNamespace(synchronize=marks[-1].synchronize)

    monkeypatch.setattr(module, "_recorded", recorded)
    sent = Sent()
    device = torch.device("cuda")
    posting = Posting.on(sent, device)
    wide = torch.ones(4096, 4096, device=device)
    posting.send({"kind": "read"}, (wide @ wide)[:2, :3])
    until = time.monotonic() + 30
    while not sent.messages and time.monotonic() < until:
        time.sleep(0.01)
    ((header, values),) = sent.messages
    assert header == {"kind": "read"} and len(marks) == 1
    np.testing.assert_array_equal(values, np.full((2, 3), 4096.0, dtype=np.float32))


def test_a_steered_greedy_reply_and_its_readings_are_the_transformers_engines(engines: Any) -> None:
    requests = [
        Request(PROMPTS[0], Sampling(max_tokens=12, temperature=0.0), bias=spec, read="all")
        for spec in (None, STRONG)
    ]
    (mine, _), (theirs, _) = (replies_of(one, requests) for one in engines)
    for one, other in zip(mine, theirs, strict=True):
        assert one.tokens == other.tokens
        assert one.reading is not None and other.reading is not None
        np.testing.assert_allclose(one.reading.z, other.reading.z, atol=1e-2, rtol=1e-2)
    assert mine[0].tokens != mine[1].tokens or not np.allclose(mine[0].reading.z, mine[1].reading.z)
