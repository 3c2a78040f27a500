"""A corpus read by two vLLM engines on this machine's Ray: what one gives."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from affekt.models import load
from affekt.scoring import Columns, Settings, score_corpus
from tests.engines.small import vectors_for
from tests.scoring.corpora import corpus, table
from tests.vllm.opened import needs_vllm, saved

pytestmark = needs_vllm
pytest.importorskip("ray", reason="Ray is not installed (affekt[scale])")


def test_two_workers_with_an_engine_each_give_what_one_gives(tmp_path: Path) -> None:
    import psutil
    import ray

    folder = saved(tmp_path / "tiny")
    vectors = vectors_for(load(str(folder), dtype="float32"))
    source = corpus(tmp_path / "in", 12)
    asked = Settings(str(folder), "vllm", "float32", columns=Columns("text", "id"), per_token=True, part=3)
    one = score_corpus(source, tmp_path / "one", asked, vectors)
    engines = [p for p in psutil.Process().children(recursive=True) if p.name().startswith("VLLM")]
    assert not psutil.wait_procs(engines, timeout=60)[1], "vLLM is left"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        two = score_corpus(source, tmp_path / "two", asked, vectors, workers=2)
    finally:
        ray.shutdown()
    assert one.documents == two.documents == 12
    for kind in ("documents", "tokens"):
        alone, shared = (table(tmp_path / run / kind) for run in ("one", "two"))
        assert list(alone) == list(shared)
        for column, values in alone.items():
            # vLLM batches as texts come, and a product over another number of rows may round otherwise.
            if isinstance(values[0], float):
                np.testing.assert_allclose(values, shared[column], atol=1e-4)
            else:
                assert values == shared[column], column
    figures, others = one.percentiles(), two.percentiles()
    assert figures.pop("concept") == others.pop("concept")
    for name in figures:
        np.testing.assert_allclose(figures[name], others[name], atol=1 / 32, err_msg=name)
    assert one.passages()["id"] == two.passages()["id"]
