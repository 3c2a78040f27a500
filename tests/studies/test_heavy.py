"""The studies that generate or compare much, on a random model with little asked."""

from __future__ import annotations

import pytest

from affekt.studies import STUDIES, drift, positions, preferences
from tests.studies.small import lab


def test_preferences(monkeypatch: pytest.MonkeyPatch) -> None:
    things = preferences.activities()[:8]
    monkeypatch.setattr(preferences, "activities", lambda: things)
    monkeypatch.setattr(preferences, "STEERED", ("blissful", "hostile"))
    result = preferences.preferences(lab())
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["activities"]["elo"]) == 8 and len(tables["correlations"]["r"]) == 171
    arms = tables["steering"]
    assert arms["kind"] == ["emotion", "emotion", "random", "random", "mixture", "mixture"]
    assert {check.what.split(" ")[0] for check in result.checks} == {"r", "change", "effect"}
    assert "56 ordered pairs" in result.notes[0]


def test_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(positions.PROMPTS, "quick", 6)
    monkeypatch.setitem(positions.TOKENS, "quick", 3)
    result = positions.positions(lab())
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["replies"]["prompt"]) == 6 and set(tables["emotions"]) == {
        *("emotion", "user", "prompt_end", "between")
    }
    assert len(result.checks) == 5


def test_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(drift.PROMPTS, "quick", 1)
    monkeypatch.setattr(drift, "DOSES", (0.1, 0.8))
    monkeypatch.setattr(drift, "TOKENS", 4)
    result = drift.drift(lab())
    [table] = result.tables
    assert len(table.columns["arm"]) == 8 and sum(table.columns["random"]) == 2


def test_causal() -> None:
    result = STUDIES["causal"](lab())
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["changes"]["change"]) == 144 and result.drawn
    assert len(result.checks) == 2
