from __future__ import annotations

from typing import Any

import pytest

from affekt.errors import BiasError
from affekt.models.prompt import Encoded
from affekt.steering import parse
from affekt.steering.schedule import Schedule, schedule
from tests.steering.vectors import chat, made, plain

VECTORS = made()


def of(where: Any, prompt: Encoded, mode: str = "add", **more: Any) -> Schedule:
    value = {"mode": mode, "where": where, **({"dose": 0.1} if mode == "add" else {}), **more}
    return schedule(parse({"calm": value}, VECTORS).terms[0], prompt)


def reached(own: Schedule, upto: int = 10) -> list[int]:
    return [position for position in range(-1, upto) if own.strength(position)]


@pytest.mark.parametrize(
    ("where", "positions"),
    [
        ("both", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("prompt", [0, 1, 2, 3, 4, 5, 6]),
        ("reply", [7, 8, 9]),
        ({"role": "user"}, [1, 2, 3, 4]),
        ({"role": "assistant"}, [7, 8, 9]),
        ({"role": "generation"}, [5, 6]),
        ({"span": [4, 8]}, [1, 2]),
        ({"span": [3, 6]}, [1]),
        ({"span": [12, 99]}, [4, 5, 6]),
        ({"first": 2}, [0, 1]),
        ({"first": 99}, [0, 1, 2, 3, 4, 5, 6]),
        ({"first": 2, "of": "reply"}, [7, 8]),
        ({"last": 3}, [4, 5, 6]),
        ({"last": 99}, [0, 1, 2, 3, 4, 5, 6]),
        ({"after": "it"}, [3, 4, 5, 6, 7, 8, 9]),
        ({"after": "it n"}, [4, 5, 6, 7, 8, 9]),
        ({"after": "A:"}, [7, 8, 9]),
        ({"after": "</think>"}, []),
    ],
)
def test_places_in_a_chat(where, positions):
    assert reached(of(where, chat())) == positions


def test_the_reply_of_a_plain_text_is_text():
    assert reached(of({"role": "text"}, plain())) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    with pytest.raises(BiasError, match="no token of role 'assistant'; it has special, text"):
        of({"role": "assistant"}, plain())


def test_a_span_leaves_out_tokens_without_characters():
    assert reached(of({"span": [0, 3]}, plain())) == [1]


def test_a_place_the_prompt_has_not_is_an_error():
    with pytest.raises(
        BiasError, match=r"calm.where: the prompt has no token of role 'tool'; it has generation"
    ):
        of({"role": "tool"}, chat())
    with pytest.raises(BiasError, match=r"span \(40, 50\); its text has 16 characters"):
        of({"span": [40, 50]}, chat())


@pytest.mark.parametrize("mode", ["ablate", "clamp", "set"])
def test_constraints_leave_the_first_token_alone_unless_it_is_named(mode):
    extra: dict[str, Any] = {"ablate": {}, "clamp": {"high": 1}, "set": {"value": 1}}[mode]
    assert reached(of("both", chat(), mode, **extra)) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert reached(of("prompt", chat(), mode, **extra)) == [1, 2, 3, 4, 5, 6]
    assert reached(of({"first": 2}, chat(), mode, **extra)) == [0, 1]
    assert reached(of({"role": "special"}, chat(), mode, **extra)) == [0]


@pytest.mark.parametrize(
    ("where", "ramp", "strengths"),
    [
        ("both", {"over": 4}, [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1]),
        ("reply", {"over": 2}, [0, 0, 0, 0, 0, 0, 0, 0, 0.5, 1]),
        ("reply", {"over": 2, "from": 1, "to": 0.5}, [0, 0, 0, 0, 0, 0, 0, 1, 0.75, 0.5]),
        ({"role": "user"}, {"over": 2, "from": 0.5}, [0, 0.5, 0.75, 1, 1, 0, 0, 0, 0, 0]),
        ({"after": "now"}, {"over": 4}, [0, 0, 0, 0, 0, 0, 0.25, 0.5, 0.75, 1]),
        ({"last": 2}, {"over": 1}, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
    ],
)
def test_ramps_count_the_tokens_reached(where, ramp, strengths):
    own = of(where, chat(), ramp=ramp)
    assert [own.strength(position) for position in range(10)] == pytest.approx(strengths)


def test_a_ramp_with_a_gap_counts_on_in_the_reply():
    prompt = Encoded((1, 2, 3), ((0, 1), (1, 2), (2, 3)), ("assistant", "user", "generation"), "abc")
    own = of({"role": "assistant"}, prompt, ramp={"over": 4})
    assert [own.strength(position) for position in range(7)] == [0, 0, 0, 0.25, 0.5, 0.75, 1.0]


def test_a_marker_is_found_while_the_reply_is_written():
    own = of({"after": "</think>"}, chat(), ramp={"over": 2, "from": 0.5})
    assert own.heard("so </thi", 9) is own
    later = own.heard("so </think>", 10)
    assert later.marker is None and [later.strength(p) for p in (9, 10, 11, 12)] == [0, 0.5, 0.75, 1.0]
    assert later.heard("so </think> </think>", 15) is later
