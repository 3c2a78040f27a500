"""Other families, and a model in two shards: residuals in one part and in two, norms, attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affekt.engines import Request, Sampling
from tests.engines.small import PROMPTS, TEXT, assert_same
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
            # The capped attention of gemma2 is approximated by both, not alike.
            assert_same(one.reading, other.reading, 5e-3 if family == "gemma2" else 2e-3)


@pytest.mark.parametrize(
    ("split", "held"),
    [("tensor_parallel_size", [[0, 1, 2, 3], [0, 1, 2, 3]]), ("pipeline_parallel_size", [[0, 1], [2, 3]])],
)
def test_a_model_in_two_processes_is_steered_and_read_as_one(
    split: str, held: list[list[int]], tmp_path: Path
) -> None:
    # Processors are named one for each process: on small machines vLLM does not find enough by itself.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0|1")
        with both(saved(tmp_path), **{split: 2}) as engines:
            assert [(state["rank"], state["layers"]) for state in engines[0].state()] == list(enumerate(held))
            requests = [
                Request(source, Sampling(max_tokens=6), bias={"calm": {"dose": 0.3 * k}}, read="all")
                for k, source in enumerate(PROMPTS)
            ]
            (mine, _), (theirs, _) = (replies_of(one, requests) for one in engines)
            for one, other in zip(mine, theirs, strict=True):
                assert one.tokens == other.tokens
                assert_same(one.reading, other.reading, 1e-3)
            collected = [list(one.collect([TEXT], [0, 3], lambda _encoded: [1, 4])) for one in engines]
            np.testing.assert_allclose(collected[0][0].values, collected[1][0].values, atol=1e-3, rtol=1e-3)
