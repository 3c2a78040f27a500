"""`affekt drift`: the verdict on later traffic, and what it refuses to compare."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from affekt.cli import calibrate as calibrate_command
from affekt.cli import drift as command
from affekt.cli.calibrate import calibrate
from affekt.cli.drift import drift
from affekt.cli.traffic import read_traffic
from affekt.engines import Sampling
from affekt.errors import CalibrationError, CorpusError
from affekt.guards import Calibration, Drift, record
from tests.cli.session import Spied, log, run, use


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Spied:
    return use(monkeypatch, calibrate_command, command)


@pytest.fixture
def made(engine: Spied, tmp_path: Path) -> Path:
    """A calibration of two monitors, with a look at how a run of it is decoded."""
    traffic, file = log(tmp_path / "log.jsonl", 24), tmp_path / "c.json"
    run(
        calibrate, "m", "-m", "desperate", "-m", "calm:below", "--rate", "0.05", "--max-tokens", "3",
        "--traffic", traffic, "--out", file,
    )  # fmt: skip
    return file


def test_the_verdict_is_that_of_the_replies_to_the_later_traffic(
    engine: Spied, made: Path, tmp_path: Path
) -> None:
    later = log(tmp_path / "later.jsonl", 12, start=100)
    engine.asked = []
    said = json.loads(run(drift, "m", "--calibration", made, "--traffic", later, "--json"))
    assert {request.sampling.max_tokens for request in engine.asked} == {3}
    before = Calibration.load(made)
    monitors = [each.monitor for each in before.monitors]
    scores = record(engine, monitors, read_traffic(later).sources, Sampling(3, seed=0), before.layer)
    assert [row["monitor"] for row in said] == ["desperate", "calm:below"]
    for each, row in zip(before.monitors, said, strict=True):
        own = Drift.of(each.monitor.name, each.promise(0.05), each.scores, scores[each.monitor.name])
        assert row["n"] == 12
        assert (row["rate"], row["verdict"]) == (own.rate, own.verdict)
        assert row["low"] <= row["rate"] <= row["high"]
    assert not list(tmp_path.glob("*.parts"))


def test_a_broken_promise_is_an_exit_code(made: Path, tmp_path: Path) -> None:
    before = Calibration.load(made)
    first, second = before.monitors
    lower = replace(first, scores=tuple(tuple(score - 50 for score in group) for group in first.scores))
    replace(before, monitors=(lower, second)).save(made)
    later = log(tmp_path / "later.jsonl", 12, start=100)
    lines = run(drift, "m", "--calibration", made, "--traffic", later, code=1).splitlines()
    assert lines[0].startswith("desperate: the promise does not hold any more; calibrate again: 100.00%")
    assert "promised 5.00%" in lines[0] and "n = 12" in lines[0] and "the scores have moved" in lines[0]
    assert lines[1].startswith("calm:below: ") and "does not hold" not in lines[1]


def test_the_traffic_of_the_calibration_itself_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="give traffic that came later"):
        run(drift, "m", "--calibration", made, "--traffic", tmp_path / "log.jsonl")


def test_another_model_and_no_calibration_are_refused(engine: Spied, made: Path, tmp_path: Path) -> None:
    later = log(tmp_path / "later.jsonl", 3)
    before = Calibration.load(made)
    replace(before, model=replace(before.model, name="other", weights_sha256="f" * 64)).save(made)
    with pytest.raises(CalibrationError, match=r"is of other .* the model is tiny-llama"):
        run(drift, "m", "--calibration", made, "--traffic", later)
    with pytest.raises(CalibrationError, match="make one with: affekt calibrate"):
        run(drift, "m", "--vectors", tmp_path / "v.safetensors", "--traffic", later)
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(CorpusError, match=r"bad\.jsonl:1: "):
        run(drift, "m", "--calibration", made, "--traffic", tmp_path / "bad.jsonl")
