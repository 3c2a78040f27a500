from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given

from affekt.errors import ReadingError, UnknownConcept
from affekt.models.rendering import Role
from affekt.reading.reading import Reading
from affekt.reading.roles import ROLES
from tests.reading.readings import CHAT, CONCEPTS, chat, made, parts


def changed(**fields: object) -> Reading:
    return Reading.from_dict(chat().to_dict() | fields)


def test_a_column_is_the_z_of_one_concept():
    reading = chat()
    assert len(reading) == len(CHAT)
    np.testing.assert_array_equal(reading.of("desperate"), reading.z[:, 1])


@pytest.mark.parametrize("ask", [lambda r: r.of("desparate"), lambda r: r.select(["calm", "desparate"])])
def test_a_misspelt_concept_is_answered_with_the_right_one(ask):
    with pytest.raises(UnknownConcept, match="'desparate'; did you mean 'desperate'"):
        ask(chat())


def test_select_keeps_the_order_asked_for():
    two = chat().select(["grief-stricken", "calm"])
    assert two.concepts == ("grief-stricken", "calm")
    np.testing.assert_array_equal(two.z, chat().z[:, [2, 0]])
    np.testing.assert_array_equal(two.cosine, chat().cosine[:, [2, 0]])
    np.testing.assert_array_equal(two.projection, chat().projection[:, [2, 0]])


def test_where_takes_the_tokens_of_one_or_more_roles():
    reading = chat()
    assert reading.where("user").tokens == ("I", " am", " lost", ".")
    both = reading.where("user", "assistant")
    assert both.tokens == ("I", " am", " lost", ".", "Breathe", ",", " slowly", ".")
    np.testing.assert_array_equal(both.z, reading.z[[3, 4, 5, 6, 10, 11, 12, 13]])
    assert both.text == reading.text and both.spans[0] == reading.spans[3]


def test_a_role_that_is_not_there_selects_nothing_and_a_misspelt_one_is_an_error():
    assert len(chat().where("thinking")) == 0
    with pytest.raises(ReadingError, match="'asistant'; did you mean 'assistant'"):
        chat().where("asistant")


def test_the_prompt_end_is_the_last_token_of_the_generation_prompt():
    reading = chat()
    assert reading.prompt_end == 9
    assert reading.where("prompt end").tokens == ("\n",)
    np.testing.assert_array_equal(reading.where("prompt end").z, reading.z[9:10])
    assert reading.where("user").prompt_end is None
    assert len(reading.where("user").where("prompt end")) == 0


def test_content_leaves_out_scaffolding_and_the_first_token_of_a_text():
    assert chat().content().tokens == ("I", " am", " lost", ".", "Breathe", ",", " slowly", ".")
    assert made([("So", "text"), (" tired", "text")]).content().tokens == (" tired",)


def test_a_span_takes_every_token_that_shares_a_character_with_it():
    reading = chat()
    start = reading.text.index("m lost")
    assert reading.span(start, start + 2).tokens == (" am", " lost")
    assert reading.span(0, 1).tokens == ("<|user|>",), "a token without characters is in no span"
    with pytest.raises(ReadingError, match="characters 5 to 5"):
        reading.span(5, 5)
    with pytest.raises(ReadingError, match="not a part of a text"):
        reading.span(0, len(reading.text) + 1)


def test_mean_and_peak_say_how_many_tokens_they_rest_on():
    reading = chat()
    mean = reading.mean("user")
    assert mean.n == 4
    np.testing.assert_allclose(mean.z, reading.z[3:7].mean(axis=0), rtol=1e-6)
    assert mean.margin is None, "four tokens are too few for an interval"
    peak = reading.peak("user")
    assert peak.n == 4 and peak.tokens == (6, 6, 6), "indices are of the whole reading"
    assert peak.of("calm") == pytest.approx(0.18)
    with pytest.raises(UnknownConcept):
        peak.of("calmer")


def test_a_mean_of_nothing_says_what_there_is():
    with pytest.raises(ReadingError, match=r"no token of thinking; the tokens here: .*user 4.*assistant 4"):
        chat().mean("thinking")


def test_the_margin_covers_the_true_mean_of_tokens_that_are_alike():
    rng = np.random.default_rng(1)
    inside = naive = 0
    for _ in range(200):
        noise, z = rng.normal(size=(400, 1)), np.zeros((400, 1))
        for i in range(1, 400):
            z[i] = 0.6 * z[i - 1] + noise[i]
        mean = made([("a", "text")] * 400, z, ("calm",)).mean()
        inside += abs(mean.z[0]) <= mean.margin[0]
        naive += abs(mean.z[0]) <= 1.96 * z.std() / 20
    assert inside / 200 > 0.85
    assert naive / 200 < 0.75


def test_top_is_of_one_token_or_of_the_mean_over_the_content():
    reading = made(CHAT, np.array([[9, 9, 9]] * 3 + [[1, 3, 2]] * 11))
    assert reading.top(2, token=3) == [("desperate", 3.0), ("grief-stricken", 2.0)]
    assert reading.top(1) == [("desperate", 3.0)]
    assert [name for name, _ in reading.top(k=9, token=0)] == list(CONCEPTS), "ties keep their order"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spans": [[0, 1]]}, "14 tokens, but 1 spans"),
        ({"roles": ["user"]}, "14 tokens, but 1 roles"),
        ({"roles": ["boss", *(role for _, role in CHAT[1:])]}, "unknown role 'boss'"),
        ({"concepts": ["calm", "calm", "sad"]}, "'calm' stands twice"),
        ({"spans": [[0, 999], *([[0, 0]] * 13)]}, r"token 0 has the span \(0, 999\)"),
        (
            dict.fromkeys(("z", "cosine", "projection"), [[0.0, 0.0]] * 14),
            r"z has the shape \(14, 2\), expected \(14 tokens, 3 concepts\)",
        ),
        ({"cosine": [[0, 0, 0]] * 13 + [[0, float("nan"), 0]]}, r"nan at token 13 .*concept 'desperate'"),
        ({"projection": [[float("inf"), 0, 0]] * 14}, r"projection is inf at token 0 \('<s>'\)"),
        ({"z": [[0.0], [0.0, 1.0]]}, "not a reading"),
        ({"smoothin": ""}, "no 'smoothin'; did you mean 'smoothing'"),
        ({"format": "other"}, "format is 'other'"),
    ],
)
def test_a_reading_that_does_not_add_up_is_refused(fields, message):
    with pytest.raises(ReadingError, match=message):
        changed(**fields)


def test_a_record_without_a_part_names_it():
    record = chat().to_dict()
    del record["z"], record["layer"]
    with pytest.raises(ReadingError, match="without z, layer"):
        Reading.from_dict(record)
    with pytest.raises(ReadingError, match="not JSON"):
        Reading.from_json("{")
    with pytest.raises(ReadingError, match="list"):
        Reading.from_json("[]")


@given(parts())
def test_json_round_trip_keeps_everything_to_five_digits(of):
    reading = made(*of)
    line = reading.to_json()
    again = Reading.from_json(line)
    assert again.to_json() == line
    for name in ("text", "tokens", "spans", "roles", "concepts", "layer", "model", "smoothing"):
        assert getattr(again, name) == getattr(reading, name)
    np.testing.assert_allclose(again.z, reading.z, rtol=5.1e-5, atol=1e-11)
    np.testing.assert_allclose(again.cosine, reading.cosine, rtol=5.1e-5, atol=1e-11)
    np.testing.assert_allclose(again.projection, reading.projection, rtol=5.1e-5, atol=1e-11)


def test_numbers_in_a_file_are_short():
    z = np.array([[0.1, -12345.678, 1 / 3]])
    numbers = json.loads(made([("a", "text")], z).to_json())["z"][0]
    assert numbers == [0.1, -12346.0, 0.33333]


def test_the_roles_are_those_of_an_encoded_prompt():
    assert set(ROLES) == set(get_args(Role))
