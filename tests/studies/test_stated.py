"""The place where a user's statement ends: in the message, and among the tokens of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
import torch
from transformers import PreTrainedTokenizerBase

from affekt.concepts.shipped import battery, implicit
from affekt.models.prompt import Encoded, encode
from affekt.studies.prompts import places
from affekt.studies.prompts.dissociated import DISSOCIATED
from affekt.studies.prompts.places import END, LAST, STOP, WORDS, of_prompts
from affekt.studies.prompts.stated import Stated, stated, stop_of
from tests.models import TEMPLATE, tiny_tokenizer
from tests.studies.small import lab

MESSAGES: Mapping[str, tuple[str, bool]] = {
    "The river was calm. What do you think?": ("The river was calm.", True),
    "He was angry! She left. Please tell me why.": ("He was angry! She left.", True),
    "I took 3.5 mg at 10.30 a.m. What now?": ("I took 3.5 mg at 10.30 a.m.", True),
    "I took 3.5 mg": ("I took 3.5 mg", False),
    "Dr. Smith said so, e.g. on Monday. Was he right?": ("Dr. Smith said so, e.g. on Monday.", True),
    "What shall we do now?": ("What shall we do now?", False),
    "The train would not come": ("The train would not come", False),
    "She said “I do not know.” What shall I do?": ("She said “I do not know.”", True),
    'She said "wait!"\nCan I go?': ('She said "wait!"', True),
    "I am at ease.\n\nWhat next?\nAnd then?\n": ("I am at ease.", True),
    "i am afraid\n\nwhat shall i do": ("i am afraid\n\nwhat shall i do", False),
    "i am afraid\n\nwhat shall i do?": ("i am afraid", True),
    "Now I wait… Why? Which train? Tell me.": ("Now I wait…", True),
    "What is a river? He asked me in the morning.": ("What is a river? He asked me in the morning.", False),
    "Write a letter. Don't make it long.": ("Write a letter. Don't make it long.", False),
    "  He smiled. What then?  ": ("  He smiled.", True),
    "I": ("I", False),
}


@pytest.mark.parametrize("text", MESSAGES)
@pytest.mark.parametrize("template", [TEMPLATE, None], ids=["template", "base"])
def test_the_place_is_the_token_of_the_statements_stop(text: str, template: str | None) -> None:
    statement, apart = MESSAGES[text]
    found = stated(text)
    assert (text[: found.end], found.apart) == (statement, apart)
    tokenizer = tiny_tokenizer(template)
    encoded = _encoded(tokenizer, text)
    at = stop_of(encoded, found)
    start, end = encoded.spans[at]
    assert encoded.roles[at] == "user" and statement[-1] in encoded.text[start:end]
    user = [i for i, role in enumerate(encoded.roles) if role == "user"]
    # By another way: the user's tokens up to it say the statement, and no more.
    said = tokenizer.decode([encoded.ids[i] for i in user if i <= at])
    assert said.strip() == statement.strip()
    assert (at == user[-1]) != apart


def test_a_token_that_holds_more_than_the_stop() -> None:
    """Llama and Qwen have `.` and two line breaks as one token, mostly scaffold without a template."""
    text = "Human: It is late.\n\nAssistant:"
    pieces = ["Human:", " It", " is", " late", ".\n\n", "Assistant:"]
    roles = ("template", "user", "user", "user", "template", "generation")
    starts = [sum(map(len, pieces[:i])) for i in range(len(pieces) + 1)]
    encoded = Encoded(tuple(range(6)), tuple(pairwise(starts)), roles, text)
    assert stop_of(encoded, stated("It is late.")) == 4
    # Merged with what goes before it, and a character of several tokens.
    merged = Encoded((1, 2, 3), ((0, 2), (2, 8), (8, 13)), ("user",) * 3, "He left. Why?")
    assert stop_of(merged, stated("He left. Why?")) == 1
    bytes_ = Encoded((1, 2, 3, 4, 5), ((0, 2), (2, 3), (2, 3), (2, 3), (3, 8)), ("user",) * 5, "Oh… Why?")
    assert stop_of(bytes_, stated("Oh… Why?")) == 3


def test_a_statement_that_the_template_says_too() -> None:
    tokenizer = tiny_tokenizer("{{ 'user: I see. ' }}" + TEMPLATE)
    encoded = _encoded(tokenizer, "I see. What now?")
    at = stop_of(encoded, stated("I see. What now?"))
    assert encoded.roles[at] == "user" and encoded.text[: encoded.spans[at][1]].count("I see.") == 2


def test_the_shipped_messages_are_parted_where_they_are_known_to_be() -> None:
    for statement, request in DISSOCIATED.values():
        assert stated(f"{statement} {request}") == Stated.joined(statement, request)
        assert statement[-1] in ".!" and request[-1] == "?"
    # Written as a story that ends in a request.
    assert all(stated(message.text).apart for message in implicit())
    facts = [stated(question.text) for question in battery() if question.group == "neutral"]
    assert 0 < sum(message.apart for message in facts) < len(facts) / 4


@pytest.mark.parametrize("template", [TEMPLATE, None], ids=["template", "base"])
def test_residuals_are_those_of_the_places(template: str | None) -> None:
    here = lab(template)
    messages = [
        Stated.joined(*DISSOCIATED["old honey"]),
        stated("The river was calm"),
        stated("Why? I wait."),
    ]
    rows = of_prompts(here, messages)
    for index, message in enumerate(messages):
        encoded = _encoded(here.model.tokenizer, message.text)
        [one] = here.engine().collect(
            [encoded], [here.vectors.read_layer], lambda own: range(len(own)), mean=False
        )
        every, user = one.values[0], [i for i, role in enumerate(encoded.roles) if role == "user"]
        said = encoded.text.index(message.text[: message.end]) + message.end
        [stop] = [i for i in user if encoded.spans[i][1] == said]
        assert (stop == user[-1]) == (index > 0), "a stop that is not the message's own end, and two that are"
        for place, expected in (
            (STOP, every[stop]),
            (LAST, every[user[-1]]),
            (WORDS, every[user].mean(0)),
            (END, every[-1]),
        ):
            assert torch.allclose(rows[place][index], expected, atol=1e-4), place


def test_z_at_the_statements_end_is_referred_to_that_of_letters() -> None:
    here, letters = lab(), places.letters()[:20]
    assert len(places.letters()) == 171
    rows = of_prompts(here, letters)
    z, _ = places.along(here, rows, rows)
    for place in (STOP, LAST):
        assert abs(z[place].mean(axis=0)).max() < 1e-4
        assert z[place].std(axis=0, ddof=1) == pytest.approx(1, abs=1e-4)
    assert abs(z[END].mean(axis=0)).max() > 0.01, "by the vectors' own reference"


def _encoded(tokenizer: PreTrainedTokenizerBase, text: str) -> Encoded:
    return encode(tokenizer, [{"role": "user", "content": text}], generation_prompt=True)
