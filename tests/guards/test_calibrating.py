"""Calibrating tiny models on their own replies: the promise on dialogues not used, and the file."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from affekt.engines import Reply, Request, Sampling
from affekt.errors import CalibrationError, PolicyError, VectorsError
from affekt.guards import Calibration, Monitor, calibrate, check_drift, guard, needed, record
from affekt.guards.calibration import vectors_hash
from affekt.guards.recording import prompts, traffic_hash
from affekt.steering.bias import AffektWarning
from tests.engines.small import engine, opened, vectors_for

SAMPLING = Sampling(max_tokens=8, temperature=1.0, seed=0)
MONITORS = (
    Monitor("up", "angry"),
    Monitor("down", "angry", direction="below"),
    Monitor("early", {"calm": 1.0, "proud": -0.5}, "prompt_end"),
    Monitor("mean", "desperate", "reply_mean"),
    Monitor("window", "desperate", "window", window=3),
)


def traffic(n: int, seed: int) -> list[list[dict[str, str]]]:
    """Dialogues of one to three turns of random words."""
    rng = np.random.default_rng(seed)
    words = "river calm letter brother train night garden old proud smile angry afraid morning".split()
    dialogues = []
    for _ in range(n):
        dialogue = []
        for _ in range(int(rng.integers(1, 4))):
            dialogue.append({"role": "user", "content": " ".join(rng.choice(words, size=4))})
            dialogue.append({"role": "assistant", "content": " ".join(rng.choice(words, size=3))})
        dialogues.append(dialogue)
    return dialogues


@pytest.fixture(scope="module")
def made() -> Calibration:
    return calibrate(engine(), MONITORS, [0.1, 0.25], traffic(60, 1), SAMPLING)


def test_false_alarms_on_dialogues_not_used_are_as_promised(made: Calibration) -> None:
    drifts = check_drift(engine(), made, traffic(60, 2))
    assert [drift.monitor for drift in drifts] == [m.name for m in MONITORS for _ in range(2)]
    for drift in drifts:
        most = stats.betabinom.ppf(0.9999, drift.n, *drift.promise.spread)
        assert drift.rate * drift.n <= most + 1
        assert drift.verdict != "broken", str(drift)


def test_drift_is_of_the_same_model_and_later_dialogues(made: Calibration) -> None:
    with pytest.raises(CalibrationError, match="the calibration itself"):
        check_drift(engine(), made, traffic(60, 1))
    with pytest.raises(CalibrationError, match="of the vectors"):
        check_drift(engine(), replace(made, vectors="0" * 64), traffic(60, 2))


def test_scores_are_those_of_a_reading_of_the_reply() -> None:
    one, chats = engine(), traffic(4, 3)
    scores = record(one, MONITORS, chats, Sampling(max_tokens=8, min_tokens=8))
    for dialogue, turns in enumerate(prompts(chats)):
        for turn, source in enumerate(turns):
            request = Request(source, Sampling(max_tokens=8, min_tokens=8), read="all")
            reply = next(piece for piece in one.generate([request]) if isinstance(piece, Reply))
            reading, end = reply.reading, reply.prompt_tokens
            assert reading is not None
            text = [i for i in range(end, len(reading)) if reading.roles[i] != "special"]
            for monitor in MONITORS:
                rows = [end - 1] if monitor.position == "prompt_end" else text
                expected = monitor.score(reading.z[rows], reading.concepts)
                assert scores[monitor.name][dialogue][turn] == pytest.approx(expected, abs=1e-3)


def test_each_turn_of_a_user_is_a_prompt() -> None:
    chat = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    assert prompts([chat, "text"]) == [[chat[:2], chat], ["text"]]
    with pytest.raises(CalibrationError, match="dialogue 1 has no turn of a user"):
        prompts([chat, chat[:1]])


def test_too_few_dialogues_are_refused_before_anything_runs() -> None:
    def run(_stage: str, _done: int, _total: int) -> None:
        raise AssertionError("a reply was written")

    with pytest.raises(CalibrationError, match="at least 99 are needed"):
        calibrate(engine(), MONITORS, 0.01, traffic(98, 1), SAMPLING, progress=run)
    with pytest.raises(CalibrationError, match="with 95% confidence; at least 299 are needed"):
        calibrate(engine(), MONITORS, 0.01, traffic(298, 1), SAMPLING, progress=run, confidence=0.95)
    assert needed(0.01) == 99 and needed(0.01, 0.95) == 299


def test_the_file_says_what_is_promised_and_comes_back(made: Calibration, tmp_path: Path) -> None:
    path = made.save(tmp_path / "calibration.json")
    assert Calibration.load(path) == made
    record = json.loads(path.read_text())
    promise = record["monitors"][0]["promises"][0]
    assert promise["n"] == 60 and promise["replies"] > 60
    assert promise["low"] < promise["guaranteed"] <= 0.1 < promise["high"]
    assert record["model"]["name"] == "tiny-llama" and record["sampling"]["temperature"] == 1.0
    assert record["traffic"] == traffic_hash(traffic(60, 1))
    assert record["layer"] == 2


def test_a_confidence_is_stated_in_the_file_and_comes_back(made: Calibration, tmp_path: Path) -> None:
    sure = replace(made, monitors=tuple(replace(each, confidence=0.9) for each in made.monitors))
    path = sure.save(tmp_path / "calibration.json")
    record = json.loads(path.read_text())
    assert [each["confidence"] for each in record["monitors"]] == [0.9] * len(MONITORS)
    assert {p["confidence"] for each in record["monitors"] for p in each["promises"]} == {0.9}
    assert Calibration.load(path) == sure
    for monitor in MONITORS:
        assert monitor.sign * sure.threshold(monitor, 0.1) >= monitor.sign * made.threshold(monitor, 0.1)
    record["monitors"][0]["confidence"] = 0.5
    path.write_text(json.dumps(record))
    with pytest.raises(CalibrationError, match="does not follow from the scores"):
        Calibration.load(path)


def test_a_file_that_states_no_confidence_is_one_without(made: Calibration, tmp_path: Path) -> None:
    path = made.save(tmp_path / "calibration.json")
    record = json.loads(path.read_text())
    for each in record["monitors"]:
        del each["confidence"]
        for promise in each["promises"]:
            del promise["confidence"]
    path.write_text(json.dumps(record))
    assert Calibration.load(path) == made


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text[:-30], "damaged"),
        (lambda text: text.replace('"confidence": null', '"confidence": "sure"'), "damaged: Type"),
        (lambda text: text.replace("affekt.calibration/1", "other"), "no calibration of the format"),
        (lambda text: text.replace('"threshold": ', '"threshold": 1', 2), "damaged|follow"),
        (lambda text: text.replace('"layer"', '"leyer"'), "damaged: KeyError"),
        (lambda _text: "[]", "no calibration"),
    ],
)
def test_a_damaged_file_is_refused(made: Calibration, tmp_path: Path, change: Any, message: str) -> None:
    path = made.save(tmp_path / "calibration.json")
    path.write_text(change(path.read_text()))
    with pytest.raises(CalibrationError, match=message):
        Calibration.load(path)
    with pytest.raises(CalibrationError, match="affekt calibrate"):
        Calibration.load(tmp_path / "missing.json")


def test_thresholds_are_on_the_monitors_side(made: Calibration) -> None:
    up, down = (made.threshold(monitor, 0.1) for monitor in MONITORS[:2])
    assert down < up
    loose, tight = (made.threshold(MONITORS[0], rate) for rate in (0.25, 0.05))
    assert loose <= up <= tight
    with pytest.raises(CalibrationError, match="up: 60 dialogues cannot promise"):
        made.threshold(MONITORS[0], 0.01)
    with pytest.raises(CalibrationError, match="'furious' is not calibrated; the calibration has 'up'"):
        made.threshold(Monitor("furious", "furious"), 0.1)


def test_a_policy_takes_its_thresholds_from_the_file(made: Calibration, tmp_path: Path) -> None:
    made.save(tmp_path / "here.json")
    path = tmp_path / "policy.yaml"
    path.write_text("calibration: here.json\nmonitors:\n- {what: angry, rate: 10 %, action: stop}\n")
    guarded = guard(engine(), path)
    assert guarded.guardian.wires[0].monitor.threshold == made.threshold(MONITORS[0], 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guarded.generate("The river", replace(SAMPLING, seed=5))
    with pytest.warns(AffektWarning, match="temperature 1.0, these have 0.5"):
        guarded.generate("The river", Sampling(max_tokens=4, temperature=0.5))
    with pytest.warns(AffektWarning, match="had no emotion_bias"):
        guarded.generate("The river", replace(SAMPLING, seed=5), bias={"calm": {"dose": 0.1}})
    with pytest.warns(AffektWarning, match="at most 8 tokens"):
        guarded.generate("The river", replace(SAMPLING, max_tokens=9))
    path.write_text("calibration: here.json\nmonitors:\n- {what: furious, rate: 10 %, action: stop}\n")
    with pytest.raises(
        PolicyError, match=r"monitors\[0\].rate: monitor 'furious above at reply: stop' is not"
    ):
        guard(engine(), path)


def test_another_model_or_other_vectors_are_refused(made: Calibration) -> None:
    rules = {"monitors": [{"what": "angry", "rate": 0.1, "action": "stop"}]}
    elsewhere = replace(made, model=replace(made.model, name="other", weights_sha256="f" * 64))
    with pytest.raises(CalibrationError, match=r"of other \(ffffffffffff\), the model is tiny-llama \(0000"):
        guard(engine(), rules, calibration=elsewhere)
    model = opened()
    other = vectors_for(model, seed=1)
    with pytest.raises(CalibrationError, match="of the vectors"):
        guard(model, rules, other, made)
    with pytest.raises(CalibrationError, match="layer 2, read is layer 1"):
        guard(engine(), rules | {"layer": 1}, calibration=made)
    with pytest.warns(AffektWarning, match="calibrated in bfloat16"):
        guard(engine(), rules, calibration=replace(made, model=replace(made.model, dtype="bfloat16")))


def test_the_hash_is_of_what_is_read_with() -> None:
    vectors = vectors_for(opened())
    assert vectors_hash(vectors, 2) == vectors_hash(replace(vectors, doses=vectors.doses + 1), 2)
    assert vectors_hash(vectors, 2) != vectors_hash(vectors, 1)
    assert vectors_hash(vectors, 2) != vectors_hash(replace(vectors, std=vectors.std * 1.01), 2)


def test_a_stopped_run_goes_on_from_where_it_was(tmp_path: Path) -> None:
    state, chats = tmp_path / "state.jsonl", traffic(10, 4)
    whole = record(engine(), MONITORS, chats, SAMPLING)

    class Stopped(Exception):
        pass

    def stop(_stage: str, done: int, _total: int) -> None:
        if done == 7:
            raise Stopped

    with pytest.raises(Stopped):
        record(engine(), MONITORS, chats, SAMPLING, progress=stop, resume=state)
    with state.open("a") as file:
        file.write('{"id": "9.0", "sco')
    seen: list[int] = []
    again = record(
        engine(), MONITORS, chats, SAMPLING, progress=lambda _s, done, _t: seen.append(done), resume=state
    )
    assert seen[:2] == [7, 8] and seen[-1] == sum(map(len, prompts(chats)))
    for name, groups in whole.items():
        for one, other in zip(groups, again[name], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)
    with pytest.raises(CalibrationError, match="another run"):
        record(engine(), MONITORS[:1], chats, SAMPLING, resume=state)


def test_replies_without_text_have_no_score() -> None:
    scores = record(engine(), MONITORS[:1], traffic(12, 5), Sampling(max_tokens=1, temperature=3.0, seed=1))
    assert all(np.isfinite(score) for group in scores["up"] for score in group)


def test_vectors_and_names_are_needed() -> None:
    from affekt.engines import TransformersEngine

    with pytest.raises(VectorsError):
        calibrate(TransformersEngine(opened()), MONITORS, 0.25, traffic(10, 1))
    with pytest.raises(CalibrationError, match="a name of its own"):
        record(engine(), [MONITORS[0], MONITORS[0]], traffic(1, 1))
