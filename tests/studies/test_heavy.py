"""The studies that generate or compare much, on a random model with little asked."""

from __future__ import annotations

import numpy as np
import pytest

from affekt.studies import STUDIES, causal, drift, positions, preferences
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
    assert {check.what.split(" ")[0] for check in result.checks} == {*("r", "change", "effect", "probes'")}
    assert "56 ordered pairs" in result.notes[0]


def test_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(positions.PROMPTS, "quick", 12)
    monkeypatch.setitem(positions.TOKENS, "quick", 3)
    result = positions.positions(lab())
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["replies"]["prompt"]) == 12 and len(tables["emotions"]["emotion"]) == 171
    assert len(tables["correlations"]["what"]) == 4 and len(result.checks) == 6
    # A random network's stream carries the reply along any direction; a probe is not better than those.
    assert result.checks[0].verdict != "reproduced" and result.checks[3].verdict == "not reproduced"


def test_pooled_r_is_of_cells_less_their_columns_means() -> None:
    rng = np.random.default_rng(0)
    one, offsets = rng.normal(size=(30, 20)), 50 * rng.normal(size=20)
    assert positions.pooled(one, one + offsets) == pytest.approx(1)
    other = rng.normal(size=(30, 20))
    assert abs(positions.pooled(one + offsets, other + offsets)) < 0.15
    assert positions.pooled(one + offsets, other + offsets, centred=False) > 0.9
    assert positions.pooled(np.zeros((3, 2)), np.zeros((3, 2))) == 0


def test_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(drift.PROMPTS, "quick", 1)
    monkeypatch.setitem(drift.DOSES, "quick", (0.1, 0.8))
    monkeypatch.setattr(drift, "TOKENS", 4)
    result = drift.drift(lab())
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["doses"]["arm"]) == 2 * (6 + 3) and sum(tables["doses"]["random"]) == 6
    assert len(tables["concepts"]["concept"]) == 171 + 3
    assert np.mean(np.abs(tables["concepts"]["nats at 0.8"])) > np.mean(
        np.abs(tables["concepts"]["nats at 0.1"])
    )


def test_causal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(causal.RANDOM, "quick", 2)
    result = STUDIES["causal"](lab())
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["changes, He feels"]["change"]) == len(tables["changes, I feel"]["change"]) == 144
    assert len(tables["free replies"]["reply"]) == 3 * (1 + 12 + 3) and len(result.checks) == 5
