"""The dtype, device and threads that suit this machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch

from affekt.errors import ModelError, closest

__all__ = ["choose_device", "choose_dtype", "choose_threads", "choose_workers"]

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")

ROOM = 4
"""Times the weights' size that a process is taken to need, so that others have memory too."""


def choose_device(asked: str = "auto") -> torch.device:
    """The device asked for; with `auto` a CUDA GPU, else Apple's, else the CPU.

    Raises:
        ModelError: for a device that this machine has not.
    """
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(f"no device {asked!r} on this machine; use 'auto', 'cpu' or 'cuda:0'") from error
    return device


def choose_dtype(asked: str, device: torch.device) -> torch.dtype:
    """The dtype asked for; with `auto` bfloat16 where the device computes in it natively, else float32.

    Raises:
        ModelError: for an unknown dtype.
    """
    if asked == "auto":
        return torch.bfloat16 if _computes_bfloat16(device) else torch.float32
    if asked not in DTYPES:
        raise ModelError(
            f"unknown dtype {asked!r}{closest(asked, DTYPES)} (known: auto, {', '.join(DTYPES)})"
        )
    return DTYPES[asked]


def choose_threads() -> int:
    """As many threads as torch would take, but no more than the processors this process may use.

    In a container with a share of the processors torch counts the whole machine's, and its threads then wait
    for one another.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(torch.get_num_threads(), allowed, _quota() or allowed))


def choose_workers(size: int, device: torch.device) -> int:
    """How many processes the work on a model is best shared among.

    One a processor while the memory lasts, since a small model gains little from a second thread; one where
    the model is not on the CPU.

    Args:
        size: bytes of the weights; each process is taken to need `ROOM` times as much.
        device: where the model is.
    """
    if device.type != "cpu":
        return 1
    return max(1, min(choose_threads(), _memory() // (ROOM * size)))


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        # Without these instructions torch emulates bfloat16, which is slower than float32.
        checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, check, lambda: False)() for check in checks)
    return False


def _quota() -> int | None:
    """The processors that the control group allows, rounded up; None where it sets no limit."""
    try:
        quota, period = CPU_QUOTA.read_text().split()
        return -(-int(quota) // int(period))
    except (OSError, ValueError):
        return None


def _memory() -> int:
    """Bytes of memory that this process may use, as far as the machine says so."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 << 30
    with suppress(OSError, ValueError):
        return min(whole, int(MEMORY_LIMIT.read_text()))
    return whole
