"""What a GPU's worker does otherwise than a CPU's, on a device that is only played."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from affekt.engines.vllm.posting import Posting
from affekt.engines.vllm.served import served
from tests.vllm.opened import saved
from tests.vllm.stub import Sent


class Behind:
    """A device that has not come so far until it is told that it has."""

    def __init__(self) -> None:
        self.marks: list[threading.Event] = []

    def mark(self) -> Any:
        reached = threading.Event()
        self.marks.append(reached)
        return SimpleNamespace(synchronize=reached.wait)


class Heard(Sent):
    """Counts what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = threading.Semaphore(0)

    def send(self, header: Mapping[str, Any], values: Any = None) -> None:
        super().send(header, values)
        self.arrived.release()


def test_a_step_does_not_wait_for_the_device_and_messages_keep_their_order() -> None:
    outbox, device = Heard(), Behind()
    arrived = outbox.arrived
    posting = Posting(outbox, device.mark)
    values = torch.zeros(1, 2)
    posting.send({"kind": "read", "at": 0}, values)
    posting.send({"kind": "refused", "at": 1})
    assert not arrived.acquire(timeout=0.1), "nothing is sent before the device has it"
    # The device writes the copy before it reaches the mark.
    values.fill_(3.0)
    device.marks[1].set()
    assert not arrived.acquire(timeout=0.1), "a later message does not overtake"
    device.marks[0].set()
    assert arrived.acquire(timeout=10) and arrived.acquire(timeout=10)
    assert [header["at"] for header, _ in outbox.messages] == [0, 1]
    assert outbox.messages[0][1].tolist() == [[3.0, 3.0]]


def test_what_a_device_that_lags_cannot_keep_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affekt.engines.vllm.posting.BOUND", 2)
    outbox, device = Sent(), Behind()
    posting = Posting(outbox, device.mark)
    for at in range(9):
        posting.send({"kind": "read", "at": at}, torch.zeros(1))
    assert 9 - 3 <= outbox.lost <= 9 - 2


@pytest.mark.parametrize("native", [True, False])
def test_the_front_end_does_not_open_a_gpu(
    native: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opens(*_: Any, **__: Any) -> bool:
        raise AssertionError("this opens the GPU in the process that vLLM's are forked from")

    kinds = [torch.bfloat16, torch.float32] if native else [torch.float32]
    platforms = SimpleNamespace(current_platform=SimpleNamespace(supported_dtypes=kinds))
    monkeypatch.delenv("PYTORCH_NVML_BASED_CUDA_CHECK", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "vllm", SimpleNamespace(platforms=platforms))
    monkeypatch.setitem(__import__("sys").modules, "vllm.platforms", platforms)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", opens)
    monkeypatch.setattr(
        torch.cuda, "is_available", lambda: os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK") == "1"
    )
    assert served(str(saved(tmp_path))).identity.dtype == ("bfloat16" if native else "float32")
