from __future__ import annotations

import json

import pytest

from affekt.concepts.writing import KINDS
from affekt.concepts.writing.checks import Refusal, Sieve, faults
from affekt.concepts.writing.likeness import Likeness
from affekt.concepts.writing.names import Names, names_in, offered
from tests.concepts.writing.scripted import words

CELL = {"topic": "storm", "concept": "afraid"}


def sift(*texts: object, cell: dict[str, str] = CELL, kind: str = "stories") -> tuple[list, list[str]]:
    taken, refused = Sieve.of(KINDS[kind]).sift(json.dumps({"texts": texts}), cell, 9)
    return taken, [one.reason for one in refused]


def test_a_good_story_is_taken_in_the_shape_of_a_corpus() -> None:
    text = words(70, "a")
    assert sift(text) == ([{"topic": "storm", "form": "story", "concept": "afraid", "text": text}], [])
    assert sift({"story": text})[0][0]["text"] == text


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (words(30, "a"), "too short"),
        (words(70, "a").rstrip("."), "cut off"),
        (words(70, "a") + " He was afraid.", "names the emotion"),
        (words(70, "a") + " \ud800.", "not text"),
        (17, "wrong shape"),
        ({"titel": "x"}, "wrong shape"),
    ],
)
def test_what_is_refused_and_why(item: object, reason: str) -> None:
    assert sift(item) == ([], [reason])


def test_copies_are_refused_exact_and_near() -> None:
    text = words(100, "a")
    near = text.replace("river", "brook", 1)
    taken, reasons = sift(text, text.upper(), near, words(100, "b"))
    assert len(taken) == 2 and reasons == ["twice", "nearly twice"]


def test_replies_that_are_none() -> None:
    def reason(reply: str) -> str:
        return Sieve.of(KINDS["stories"]).sift(reply, CELL, 2)[1][0].reason

    assert reason("I'm sorry, but I can't write that.") == "declined"
    assert reason("Once upon a time.") == "no JSON"
    assert reason('{"texts": []}') == "no texts"


def test_no_more_is_taken_than_is_missing() -> None:
    sieve = Sieve.of(KINDS["stories"])
    reply = json.dumps([words(70, str(i)) for i in range(5)])
    assert len(sieve.sift(reply, CELL, 2)[0]) == 2 and sieve.names.texts == 2


def test_a_name_in_every_text_is_one_too_many() -> None:
    sieve, reasons = Sieve.of(KINDS["stories"]), []
    for i in range(40):
        text = f"{words(70, str(i))} Then the {'Elias' if i < 20 else 'baker'} of old met Elias again."
        reasons += [one.reason for one in sieve.sift(json.dumps([text]), CELL, 1)[1]]
    assert reasons and set(reasons) == {"a name too often"}
    assert sieve.names.counts["Elias"] == 9
    assert sieve.names.often() == [("Elias", 1.0)]


def test_names() -> None:
    assert names_in("On Monday the baker, Elias, met old Marta. Then I left.") == {"Elias", "Marta"}
    assert offered(4, "a") == offered(4, "a") != offered(4, "b")
    assert len(set(offered(30, "c"))) == 30
    drawn = [name for i in range(600) for name in offered(2, str(i))]
    assert max(map(drawn.count, set(drawn))) < 0.05 * 600
    assert Names.of(["the Elias"] * 8).often() == []


def test_likeness_of_a_text_does_not_hang_on_order() -> None:
    likeness = Likeness()
    for i in range(50):
        likeness.add(str(i), words(120, str(i)))
    assert likeness.like(words(120, "new")) is None
    assert likeness.like(words(120, "7")) == ("7", 1.0)
    half = " ".join(words(120, "9").split()[:100]) + " " + words(20, "x")
    found = likeness.like(half)
    assert found is not None and found[0] == "9" and 0.4 <= found[1] < 1


CHAT = [{"role": "user", "content": words(40, "u")}, {"role": "AI", "content": words(40, "v")}]
PAIR = {"topic": "t", "user_emotion": "calm", "assistant_emotion": "angry"}
HIDE = {"topic": "t", "felt": "angry", "shown": "happy"}


def test_neutral_dialogues() -> None:
    taken, _ = sift([{"role": "system", "content": "Be brief."}, *CHAT], cell={"topic": "t"}, kind="neutral")
    assert [turn["role"] for turn in taken[0]["messages"]] == ["system", "user", "assistant"]
    assert list(taken[0]) == ["topic", "messages"]
    for wrong in (CHAT[:1], [*CHAT, CHAT[0]], [CHAT[1], CHAT[0]], "text", [{"role": "x", "content": "y"}]):
        assert sift(wrong, cell={"topic": "t"}, kind="neutral")[0] == []


def test_two_emotions_are_not_named_on_either_side() -> None:
    long = [*CHAT, {"role": "user", "content": "And?"}, {"role": "assistant", "content": "So it goes."}]
    taken, _ = sift(long, cell=PAIR, kind="two_emotions")
    assert list(taken[0]) == ["topic", "user_emotion", "assistant_emotion", "messages"]
    named = [*long[:3], {"role": "assistant", "content": "I speak angrily."}]
    assert sift(named, cell=PAIR, kind="two_emotions") == ([], ["names the emotion"])
    assert sift(CHAT, cell=PAIR, kind="two_emotions") == ([], ["wrong shape"])


def test_hidden_feelings_may_be_named_in_the_preamble_alone() -> None:
    turns = [{"speaker": "Ann", "role": "A", "text": words(40, "u")}]
    scene = {"preamble": "Ann is angry.", "turns": turns}
    taken, _ = sift(scene, cell=HIDE, kind="deflection")
    assert list(taken[0]) == ["felt", "shown", "preamble", "turns"]
    said = {"preamble": "p", "turns": [*turns, {"speaker": "Bo", "role": "B", "text": "Are you angry?"}]}
    assert sift(said, cell=HIDE, kind="deflection")[1] == ["names the emotion"]
    for wrong in (
        {"preamble": "p", "turns": [{"speaker": "Bo", "role": "C", "text": "x"}]},
        {"turns": turns},
    ):
        assert sift(wrong, cell=HIDE, kind="deflection")[1] == ["wrong shape"]


def test_a_writer_is_told_what_was_wrong() -> None:
    told = faults([Refusal("too short", ""), Refusal("no JSON", ""), Refusal("too short", "")])
    assert told.count("too short") == 1 and "not JSON" in told
    assert faults([]) == "" == faults([Refusal("declined", "")])
