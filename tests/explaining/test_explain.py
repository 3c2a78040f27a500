"""Known causes are found, chance is not taken for one, and the cost is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from affekt.errors import CalibrationError, PromptError, ReadingError, UnknownConcept
from affekt.explaining import Explanation, Told, explain
from tests.explaining.scripted import Scripted, scripted, told


def why(engine: Scripted, text: Told | None = None, **options: object) -> Explanation:
    return explain(engine, engine.vectors, text or told(), engine.with_vectors, **options)  # type: ignore[arg-type]


def test_the_planted_cause_comes_first_and_stands_out() -> None:
    found = why(scripted("angry"))
    first = found.ranking()[0]
    assert first.concept == "angry" and first.nats > 1 and first.stands_out
    assert first.chance.low > 0 and first.chance.z > 5
    assert found.of("angry", "prompt").stands_out or found.of("angry", "reply").stands_out
    assert not any(e.stands_out for e in found.effects if e.concept != "angry")


def test_a_concept_that_works_against_the_reply_comes_last() -> None:
    found = why(scripted("angry", -1.0))
    last = found.ranking()[-1]
    assert last.concept == "angry" and last.nats < -1 and last.stands_out and last.chance.z < -5


def test_falls_are_those_of_the_log_probability() -> None:
    engine = scripted("angry")
    found = why(engine)
    effect = found.of("angry")
    residuals = engine.stream[-1][[9, 11, 12, 13]]
    own = engine.vectors["angry"]
    expected = (residuals @ own) * (own @ engine.cause)
    assert effect.falls[0] == pytest.approx(expected.tolist(), abs=1e-4)
    assert effect.nats == pytest.approx(float(expected.sum()), abs=1e-4)
    assert found.nats == pytest.approx(sum(found.replies[0].logprobs), abs=1e-5)


def test_the_reply_place_leaves_the_first_token_and_the_prompt_place_the_others() -> None:
    found = why(scripted("angry"))
    assert found.places == ("both", "prompt", "reply")
    assert found.of("angry", "reply").falls[0][0] == 0.0
    assert np.abs(found.of("angry", "prompt").falls[0][1:]).max() < 1e-5
    parts = found.of("angry", "prompt").nats + found.of("angry", "reply").nats
    assert found.of("angry", "both").nats == pytest.approx(parts, abs=1e-4)


def test_the_share_is_that_of_the_tokens_reached() -> None:
    engine = scripted("angry")
    found = why(engine)
    own = engine.vectors["angry"]
    for place, ids in (
        ("both", [5, 6, 7, 8, 9, 11, 12, 13]),
        ("prompt", [5, 6, 7, 8, 9]),
        ("reply", [11, 12, 13]),
    ):
        rows = engine.stream[:, ids]
        share = ((rows @ own) ** 2).sum(1) / (rows**2).sum((1, 2))
        assert found.of("angry", place).share == pytest.approx(float(share.mean()), rel=1e-4)  # type: ignore[arg-type]
        likes = [c for c in found.controls if c.place == place and c.like == "angry"]
        assert likes and all(c.share == pytest.approx(float(share.mean()), rel=1e-3) for c in likes)


def test_the_cost_stays_within_the_rows_allowed_and_is_one_call() -> None:
    engine = scripted("angry")
    found = why(engine)
    assert engine.calls == [found.rows] and found.rows <= 60
    assert all(effect.n == len(found.controls) // 3 >= 8 for effect in found.effects)
    few = why(engine, rows=28)
    assert few.rows <= 28 and len(few.ranking()) == 1
    with pytest.raises(
        CalibrationError, match="27 rows are too few: one concept and 8 random directions at 3 places need 28"
    ):
        why(engine, rows=27)


def test_all_concepts_on_request() -> None:
    engine = scripted("angry")
    told_of: list[tuple[str, int, int]] = []
    found = why(engine, full=True, progress=lambda *step: told_of.append(step))
    assert set(found.concepts) == set(engine.vectors.names) and found.screen == "all 5"
    assert found.ranking()[0].n == 24
    assert told_of[-1] == ("ablating", found.rows, found.rows) and max(engine.calls) <= 64


def test_concepts_asked_for_are_tested_and_unknown_ones_refused() -> None:
    engine = scripted("angry")
    found = why(engine, rows=28, concepts=["proud", "calm"])
    assert set(found.concepts) == {"proud", "calm"} and found.screen.startswith("2 asked for; 0 of 5")
    with pytest.raises(UnknownConcept, match="did you mean 'proud'"):
        why(engine, concepts=["prouder"])


def test_a_pair_is_explained_by_the_log_odds() -> None:
    engine = scripted("angry")
    one, other = told((11, 12, 13)), told((21, 22, 23, 24, 25))
    found, reverse = why(engine, one, against=other), why(engine, other, against=one)
    assert found.is_pair and found.nats == pytest.approx(-reverse.nats, abs=1e-5)
    assert found.nats == pytest.approx(why(engine, one).nats - why(engine, other).nats, abs=1e-5)
    effect = found.of("angry")
    assert [len(falls) for falls in effect.falls] == [3, 5]
    assert effect.nats == pytest.approx(sum(effect.falls[0]) - sum(effect.falls[1]), abs=1e-5)
    assert reverse.of("angry").nats == pytest.approx(-effect.nats, abs=1e-5)
    alone = why(engine, one).of("angry").nats - why(engine, other).of("angry").nats
    assert effect.nats == pytest.approx(alone, abs=1e-4)
    assert found.rows <= 120


def test_what_the_two_replies_share_does_not_explain_the_choice() -> None:
    engine = scripted("angry")
    one, other = told((11, 12, 13)), told((12, 11, 14))
    assert abs(why(engine, one, against=other).of("angry", "prompt").nats) < 1e-5


def test_pairs_that_do_not_belong_together_are_refused() -> None:
    engine = scripted()
    with pytest.raises(PromptError, match="different prompts"):
        why(engine, told(), against=told((21, 22), prompt=(1, 5, 6)))
    with pytest.raises(PromptError, match="the same"):
        why(engine, told(), against=told())


def test_short_texts() -> None:
    engine = scripted("angry")
    assert why(engine, told((11,))).places == ("prompt",)
    bare = told((11, 12, 13))
    assert why(engine, replace(bare, prompt_tokens=1)).places == ("reply",)
    with pytest.raises(PromptError, match="nothing to ablate"):
        why(engine, _single())
    with pytest.raises(ReadingError, match="nothing was ablated at 'reply', only at prompt"):
        why(engine, told((11,))).ranking("reply")
    with pytest.raises(PromptError, match="nothing to explain"):
        replace(bare, prompt_tokens=len(bare.whole))


def _single() -> Told:
    whole = told((11,), prompt=(1, 5)).whole
    return Told(replace(whole, ids=whole.ids[1:], spans=whole.spans[1:], roles=whole.roles[1:]), 1)


def test_the_same_seed_gives_the_same_explanation() -> None:
    engine = scripted("angry")
    assert why(engine).to_dict() == why(engine).to_dict()
    assert why(engine).to_dict()["controls"] != why(engine, seed=1).to_dict()["controls"]


def test_where_concepts_fired_first() -> None:
    engine = scripted("angry")
    engine.stream[:, 12] += 30 * engine.vectors["angry"]
    engine.stream[:, 1] += 90 * engine.vectors["angry"]
    found = why(engine)
    [fired] = [own for own in found.fired() if own.concept == "angry"]
    z = found.replies[0].reading.of("angry")
    assert fired.peak == 7 and fired.z == pytest.approx(float(z[7]))
    assert fired.first is not None and z[fired.first] >= 2
    assert all(value < 2 for value in z[1 : fired.first])
    engine.stream *= 0.01
    assert all(own.first is None for own in why(engine).fired())


def test_json_holds_everything() -> None:
    found = why(scripted("angry"), against=told((21, 22)))
    record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert record["format"] == "affekt.explanation/1" and record["layers"] == [1, 2]
    first = record["effects"][0]
    assert first["concept"] == "angry" and first["place"] == "both" and first["n"] == found.ranking()[0].n
    assert first["low"] <= first["excess"] <= first["high"]
    assert first["nats"] == pytest.approx(first["expected"] + first["excess"], rel=1e-3)
    assert [reply["text"] for reply in record["replies"]] == ["11 12 13 14 ", "21 22 "]
    assert len(record["controls"]) == len(found.controls)
