"""The studies that generate or compare much, on a random model with little asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affekt.studies import Lab, causal, drift, positions, preferences
from affekt.studies.choosing import halves
from affekt.studies.prompts import foretold, places
from affekt.studies.prompts.places import END, LAST, STOP, WORDS
from affekt.vectors import ConceptVectors
from tests.studies.small import lab, twice


def test_preferences(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    things = preferences.activities()[:8]
    monkeypatch.setattr(preferences, "activities", lambda: things)
    monkeypatch.setattr(preferences, "STEERED", ("blissful", "hostile"))
    given: list[np.ndarray] = []

    def spied(lab: Lab, vectors: ConceptVectors, texts: list[str], wins: np.ndarray, *more: Any) -> Any:
        given.append(wins)
        return halves.moved(lab, vectors, texts, wins, *more)

    monkeypatch.setattr(preferences, "moved", spied)
    result = twice("preferences", tmp_path)
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["activities"]["elo"]) == 8 and len(tables["correlations"]["r"]) == 171
    arms = tables["steering"]
    assert arms["kind"] == ["emotion", "emotion", "random", "random", "mixture", "mixture"]
    assert {check.what.split(" ")[0] for check in result.checks} == {*("r", "change", "effect", "probes'")}
    # Who meets a steered one is compared without steering too: its change starts from a measured outcome.
    _, _, met = preferences.matches(8, preferences.OPPONENTS["quick"])
    played = preferences._played(8, preferences.PAIRS["quick"]) | met
    assert f"{played.sum()} ordered pairs" in result.notes[0] and met.sum() < played.sum() < 56
    assert all((own != 0.5)[met].all() for own in given)
    assert (played == played.T).all() and preferences._played(64, 1.0).sum() == 4032


def test_positions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(positions.PROMPTS, "quick", 12)
    monkeypatch.setitem(positions.TOKENS, "quick", 3)
    monkeypatch.setattr(positions, "letters", lambda: places.letters()[:6])
    result = twice("positions", tmp_path)
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["replies"]["prompt"]) == 12 and len(tables["emotions"]["emotion"]) == 171
    assert len(tables["correlations"]["what"]) == 2 * 6 and len(result.checks) == 6
    apart = tables["replies"]["request apart"]
    assert apart[:8] == [True] * 8 and 8 < sum(apart) < 12
    assert tables["correlations"]["n"] == [12] * 6 + [sum(apart)] * 6
    assert f"{sum(apart)} of the 12 prompts" in result.notes[1]
    parted = zip(tables["replies"]["prompt"], tables["replies"]["statement"], strict=True)
    assert [prompt == statement for prompt, statement in parted] == [not one for one in apart]
    # A random network's stream carries the reply along any direction; a probe is not better than those.
    assert [check.verdict for check in result.checks if check.verdict == "reproduced"] == []


def planted(seed: int, end: float, stop: float) -> dict[str, np.ndarray]:
    """Readings of 40 prompts along 30 directions, a share of the reply's in each place."""
    rng = np.random.default_rng(seed)
    said, first, last = rng.normal(size=(3, 40, 30))
    return {
        END: end * said + (1 - end) * last,
        STOP: stop * said + (1 - stop) * first,
        LAST: stop * said + (1 - stop) * first,
        WORDS: stop * said + (1 - stop) * first,
        "reply": said,
    }


def test_what_foretells_the_reply_must_do_so_beyond_random_directions() -> None:
    def verdicts(z: dict[str, np.ndarray], random: dict[str, np.ndarray]) -> list[str]:
        return [check.verdict for check in foretold.Read(z, random).checks()]

    carries, plain = planted(0, 0.7, 0.2), planted(1, 0.0, 0.0)
    assert verdicts(carries, plain)[0] == verdicts(carries, plain)[2] == "reproduced"
    assert verdicts(carries, plain)[3] == "reproduced"
    # What random directions do as well is no finding, however large.
    assert verdicts(carries, planted(1, 0.7, 0.2)) == ["partly", "not reproduced", *["not reproduced"] * 2]
    assert verdicts(plain, planted(2, 0.0, 0.0)) == ["not reproduced"] * 4


def test_a_rise_is_held_against_random_mixtures() -> None:
    names = [f"emotion {i}" for i in range(60)]
    rng = np.random.default_rng(0)
    z = {STOP: rng.normal(size=(48, 60)), END: rng.normal(size=(48, 60))}
    assert foretold.rise(z, names, "emotion 7", 8).verdict == "not reproduced"
    z[END][:8, 7] += 9
    z[STOP][:8, 7] -= 9
    assert foretold.rise(z, names, "emotion 7", 8).verdict == "reproduced"
    z[END][0, 7] -= 30
    assert foretold.rise(z, names, "emotion 7", 8).verdict == "partly"
    # All readings rise together: every mixture with a mean does too, and the probe is nothing special.
    shared = {STOP: z[STOP] * 0, END: rng.normal(size=(48, 1)) + 0.01 * rng.normal(size=(48, 60))}
    shared[END][:8] += 3
    assert foretold.rise(shared, names, "emotion 7", 8).verdict == "not reproduced"


def test_pooled_r_is_of_cells_less_their_columns_means() -> None:
    rng = np.random.default_rng(0)
    one, offsets = rng.normal(size=(30, 20)), 50 * rng.normal(size=20)
    assert foretold.pooled(one, one + offsets) == pytest.approx(1)
    other = rng.normal(size=(30, 20))
    assert abs(foretold.pooled(one + offsets, other + offsets)) < 0.15
    assert foretold.pooled(one + offsets, other + offsets, centred=False) > 0.9
    assert foretold.pooled(np.zeros((3, 2)), np.zeros((3, 2))) == 0


def test_drift(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(drift.PROMPTS, "quick", 1)
    monkeypatch.setitem(drift.DOSES, "quick", (0.1, 0.8))
    monkeypatch.setattr(drift, "TOKENS", 4)
    result = twice("drift", tmp_path)
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["doses"]["arm"]) == 2 * (6 + 3) and sum(tables["doses"]["random"]) == 6
    assert len(tables["concepts"]["concept"]) == 171 + 3
    assert np.mean(np.abs(tables["concepts"]["nats at 0.8"])) > np.mean(
        np.abs(tables["concepts"]["nats at 0.1"])
    )


def test_causal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(causal.RANDOM, "quick", 2)
    result = twice("causal", tmp_path)
    tables = {table.name: table.columns for table in result.tables}
    assert len(tables["changes, He feels"]["change"]) == len(tables["changes, I feel"]["change"]) == 144
    assert len(tables["free replies"]["reply"]) == 3 * (1 + 12 + 3) and len(result.checks) == 5


def test_as_many_emotions_steer_as_in_the_paper_each_once() -> None:
    r = np.random.default_rng(0).normal(size=171)
    full = preferences._chosen(replace(lab(), scale="full"), r)
    assert len(full) == len(set(full)) == 35 and full[:2] == ["blissful", "hostile"]
    rest = np.array([r[lab().names.index(name)] for name in full[2:]])
    assert (np.diff(rest) > 0).all() and rest[0] == pytest.approx(r.min(), abs=0.5)
    assert preferences._chosen(lab(), r) == list(preferences.STEERED)
