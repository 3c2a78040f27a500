"""A study that is stopped midway goes on from what it measured, and ends as if it had not been stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, isnan
from pathlib import Path
from typing import Any

import pytest

from affekt.engines import TransformersEngine
from affekt.studies import drift, preferences, run
from affekt.studies.choosing import choices
from affekt.studies.parts import Parts
from affekt.vectors import ConceptVectors
from tests.studies.small import lab


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asks little, in small parts."""
    things = preferences.activities()[:8]
    monkeypatch.setattr(preferences, "activities", lambda: things)
    monkeypatch.setattr(preferences, "STEERED", ("blissful",))
    monkeypatch.setattr(choices, "CHUNK", 8)
    monkeypatch.setitem(drift.WRITTEN, "quick", 2)
    monkeypatch.setattr(drift, "WRITING", 2)
    monkeypatch.setattr(drift, "TOKENS", 4)
    monkeypatch.setattr(drift, "TOGETHER", 40)


def stop(folder: Path, study: str, stage: str) -> None:
    """Runs a study and stops it once some of a stage is measured, and not all."""

    def told(at: str, done: int, total: int) -> None:
        if at == stage and 0 < done < total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run(replace(lab(), progress=told), folder, [study]))


@pytest.mark.parametrize(
    ("name", "verb", "stage"),
    [("preferences", "next_token", "preferences, steered"), ("drift", "score", "drift, written")],
)
def test_a_study_stopped_midway_goes_on(
    name: str, verb: str, stage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    little(monkeypatch)
    calls: list[int] = []
    plain: Callable[..., Any] = getattr(TransformersEngine, verb)

    def counted(self: TransformersEngine, *given: Any, **named: Any) -> Any:
        calls.append(1)
        return plain(self, *given, **named)

    monkeypatch.setattr(TransformersEngine, verb, counted)
    list(run(lab(), tmp_path / "whole", [name]))
    asked = len(calls)

    calls.clear()
    stop(tmp_path / "stopped", name, stage)
    assert not (tmp_path / "stopped" / name).exists()
    before = len(calls)
    [(_, kept)] = run(lab(), tmp_path / "stopped", [name])
    assert not kept and 2 < before < asked
    # What both runs need and nobody keeps, such as the loss without steering, is little.
    assert len(calls) <= asked + 3
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


def test_a_fresh_run_takes_no_part_of_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    little(monkeypatch)
    stop(tmp_path, "preferences", "preferences, steered")
    parts = [file for file in tmp_path.rglob("*.json")]
    assert parts
    for file in parts:
        file.write_text("[[1e9]]")
    [(result, _)] = run(lab(), tmp_path, ["preferences"], fresh=True)
    assert "e+" not in result.headline and [path.name for path in tmp_path.iterdir()] == ["preferences"]


def test_parts_of_other_vectors_are_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    little(monkeypatch)
    stop(tmp_path / "here", "preferences", "preferences, steered")
    vectors: ConceptVectors = lab().vectors
    other = replace(lab(), vectors=replace(vectors, whitened=vectors.whitened + 1))
    list(run(other, tmp_path / "here", ["preferences"]))
    list(run(other, tmp_path / "alone", ["preferences"]))
    here = contents(tmp_path / "here" / "preferences")
    assert here == contents(tmp_path / "alone" / "preferences")


def test_a_part_is_measured_once_and_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    made = [0.1 + 0.2, -0.0, inf, float("nan"), 1e-310]
    parts = Parts(tmp_path / "parts")
    assert parts.once("some, 3", lambda: made) is made
    again = parts.once("some, 3", lambda: pytest.fail("measured twice"))
    assert again[:3] == made[:3] and isnan(again[3]) and again[4] == made[4]
    assert str(again[1]) == "-0.0"
    parts.clear()
    assert not (tmp_path / "parts").exists() and parts.once("some, 3", lambda: 1) == 1


def test_a_damaged_part_is_measured_anew(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.once("one", lambda: [1, 2, 3])
    (tmp_path / "one.json").write_text("[1, 2")
    assert parts.once("one", lambda: [4]) == [4] == parts.once("one", lambda: [5])


def test_without_a_folder_nothing_is_kept() -> None:
    parts = Parts()
    assert parts.once("one", lambda: 1) == 1 and parts.once("one", lambda: 2) == 2
    parts.clear()
