"""What the tests of this room count."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from affekt.engines.transformers.forward import Forward


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Rows and columns of every forward's tokens, in order."""
    seen: list[tuple[int, int]] = []
    run = Forward._run

    def told(self: Forward, ids: torch.Tensor, *more: Any) -> torch.Tensor:
        seen.append((ids.shape[0], ids.shape[1]))
        return run(self, ids, *more)

    monkeypatch.setattr(Forward, "_run", told)
    return seen
