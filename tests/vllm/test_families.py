"""Other families: residuals in one part and in two, several kinds of norms and attention."""

from __future__ import annotations

from pathlib import Path

import pytest

from affekt.engines import Request, Sampling
from tests.engines.small import PROMPTS, assert_same
from tests.vllm.opened import both, needs_vllm, replies_of, saved

pytestmark = needs_vllm


@pytest.mark.parametrize(("family", "fused"), [("gpt2", False), ("gemma2", True), ("qwen3", True)])
def test_a_family_is_found_steered_and_read(family: str, fused: bool, tmp_path: Path) -> None:
    with both(saved(tmp_path, family)) as engines:
        [state] = engines[0].state()
        assert state["fused"] is fused and state["layers"] == list(range(engines[1].model.identity.n_layers))
        requests = [
            Request(source, Sampling(max_tokens=6), bias={"calm": {"dose": 0.3 * k}}, read="all")
            for k, source in enumerate(PROMPTS)
        ]
        (mine, _), (theirs, _) = (replies_of(one, requests) for one in engines)
        for one, other in zip(mine, theirs, strict=True):
            assert one.tokens == other.tokens
            assert_same(one.reading, other.reading, 2e-3)
