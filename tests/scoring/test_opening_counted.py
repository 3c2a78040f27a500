"""A worker that dies while it opens its engine: the part's count rises, and the run ends with a reason."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from affekt.scoring import Columns, rays, survey
from affekt.scoring.place import Place
from tests.scoring.corpora import parquet


class Killed(BaseException):
    """What a kill leaves behind: nothing after it runs."""


def test_workers_that_die_while_they_open_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def dies(*_: Any) -> None:
        tried.append(1)
        raise Killed

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=lambda given: given))
    monkeypatch.setattr(rays, "Scorer", dies)
    source = parquet(tmp_path / "in.parquet", [{"id": 1, "text": "calm"}])
    found, out = survey(str(source), Columns("text", "id")), Place(tmp_path / "out")
    given = [(None, None, found, out.url, "key", found.parts, "this run")]
    for _ in range(rays.DEATHS):
        with pytest.raises(Killed):
            rays._Worker(given)({"part": [0]})
    answer = rays._Worker(given)({"part": [0]})
    assert len(tried) == rays.DEATHS and answer["kind"] == ["ModelError"]
    assert "3 workers died" in answer["message"][0] and "opened the model" in answer["message"][0]
    assert "fewer --workers" in answer["message"][0]


def test_an_engine_that_is_spread_over_devices_asks_for_as_many() -> None:
    assert rays._gpus({}, 0.25) == 0.25 and rays._gpus({}, 4.0) == 1.0
    assert rays._gpus({"tensor_parallel_size": 2, "pipeline_parallel_size": 2}, 4.0) == 4.0
    assert rays._gpus({"tensor_parallel_size": 2}, 0.0) == 0.0, "on processors alone it asks for none"
