"""Dtype, device and threads for the machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from affekt.errors import ModelError
from affekt.models import machine
from affekt.models.machine import choose_device, choose_dtype, choose_threads, choose_workers

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("avx512", "amx", "dtype"),
    [(True, False, torch.bfloat16), (False, True, torch.bfloat16), (False, False, torch.float32)],
)
def test_bfloat16_only_where_the_processor_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    assert choose_dtype("auto", CPU) == dtype


def test_a_dtype_by_name() -> None:
    assert choose_dtype("float32", CPU) == torch.float32
    with pytest.raises(
        ModelError, match=r"unknown dtype 'bfloat'; did you mean 'bfloat16'.*known: auto, bfloat16"
    ):
        choose_dtype("bfloat", CPU)


def test_a_device_by_name() -> None:
    assert choose_device("cpu") == CPU
    for missing in ("cuda:99", "gpu"):
        with pytest.raises(ModelError, match=f"no device '{missing}' on this machine"):
            choose_device(missing)


@pytest.mark.parametrize(
    ("quota", "threads"), [("150000 100000", 2), ("max 100000", 3), ("junk", 3), (None, 3)]
)
def test_no_more_threads_than_the_container_may_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str | None, threads: int
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _pid: {0, 1, 2}, raising=False)
    monkeypatch.setattr(machine, "CPU_QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert choose_threads() == threads


def test_fewer_threads_asked_for_stay_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert choose_threads() == 1


@pytest.mark.parametrize(("size", "workers"), [(1 << 20, 8), (256 << 20, 4), (8 << 30, 1)])
def test_one_process_a_processor_while_memory_lasts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int, workers: int
) -> None:
    monkeypatch.setattr(machine, "choose_threads", lambda: 8)
    monkeypatch.setattr(machine, "MEMORY_LIMIT", tmp_path / "memory.max")
    (tmp_path / "memory.max").write_text(f"{4 << 30}\n")
    assert choose_workers(size, CPU) == workers
    assert choose_workers(size, torch.device("meta")) == 1


def test_a_group_without_a_limit_leaves_the_machines_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "choose_threads", lambda: 8)
    monkeypatch.setattr(machine, "MEMORY_LIMIT", tmp_path / "memory.max")
    (tmp_path / "memory.max").write_text("max\n")
    assert choose_workers(1 << 20, CPU) == 8
