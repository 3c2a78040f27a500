"""The shipped texts: that all are there, and that they keep what their descriptions promise."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from affekt.concepts import shipped
from affekt.concepts.concept import emotions, styles
from affekt.errors import CorpusError

NAMES = {emotion.name for emotion in emotions()}
OTHER_FORMS = ("dialogue", "message", "monologue", "observer", "situation")


def test_stories_are_171_words_in_12_topics_and_5_forms() -> None:
    corpus = shipped.stories()
    assert corpus.concepts == emotions() and corpus.kind == "emotion"
    assert corpus.forms == tuple(sorted((*OTHER_FORMS, "story")))
    assert len(corpus.topics) == 17 and corpus.gaps() == {}
    assert len(corpus) == 12 * 171 + 5 * 171 == 2907
    assert len(corpus.only(form="story")) == 12 * 171 and len(corpus.only(form="story").topics) == 12
    for form in OTHER_FORMS:
        assert corpus.only(form=form).topics == (form,) and len(corpus.only(form=form)) == 171


def test_stories_are_the_texts_that_results_were_published_on() -> None:
    assert shipped.stories().hash == "49440aad0fdfc7fc3fcbc135a0c4a3c5fcedc4bf85da7cfc3f60cbeddf5065ef"


def test_stories_are_loaded_once() -> None:
    assert shipped.stories() is shipped.stories()


def test_traits_answer_the_same_12_prompts() -> None:
    corpus = shipped.traits()
    assert corpus.concepts == styles() and corpus.kind == "trait" and corpus.forms == ("reply",)
    assert len(corpus) == 21 * 12 and len(corpus.topics) == 12 and corpus.gaps() == {}
    prompts = {(text.topic, text.body[0]["content"]) for text in corpus}
    assert len(prompts) == 12
    assert all([message["role"] for message in text.body] == ["user", "assistant"] for text in corpus)


def test_neutral_dialogues_end_with_a_reply() -> None:
    chats = shipped.neutral()
    assert len(chats) == 240
    assert {message["role"] for chat in chats for message in chat} == {"system", "user", "assistant"}
    assert all(message["content"].strip() for chat in chats for message in chat)
    assert all(chat[-1]["role"] == "assistant" for chat in chats)


def test_implicit_prompts_do_not_name_their_emotion() -> None:
    prompts = shipped.implicit()
    assert len(prompts) == len({prompt.concept for prompt in prompts}) == 60
    assert {prompt.concept for prompt in prompts} <= NAMES
    assert not [p for p in prompts if re.search(rf"\b{re.escape(p.concept)}\b", p.text, re.IGNORECASE)]


def test_number_families_have_controls_with_the_same_numbers() -> None:
    families = shipped.severity()
    real = [family for family in families if not family.control]
    controls = [family for family in families if family.control]
    assert len(real) == len(controls) == 6
    assert Counter(family.values for family in real) == Counter(family.values for family in controls)
    assert all(list(family.values) == sorted(set(family.values)) for family in families)
    assert all(
        set(family.expect) <= NAMES and set(family.expect.values()) <= {"+", "-"} for family in families
    )
    assert all(bool(family.expect) != family.control for family in families)


def test_number_families_differ_in_the_number_alone() -> None:
    family = next(family for family in shipped.severity() if family.family == "battery_hike")
    assert (
        len(family.texts) == 7
        and "shows 2 percent" in family.texts[0]
        and "shows 100 percent" in family.texts[-1]
    )
    assert len({re.sub(r"\d+", "#", text) for text in family.texts}) == 1
    assert all(family.template.count("{x}") == 1 for family in shipped.severity())


def test_each_word_is_once_on_each_side_of_two_emotions() -> None:
    dialogues = shipped.two_emotions()
    assert {d.user for d in dialogues} == {d.assistant for d in dialogues} == NAMES and len(dialogues) == 171
    assert all(d.user != d.assistant for d in dialogues)
    assert all([m["role"] for m in d.messages] == ["user", "assistant"] * 3 for d in dialogues)


def test_deflection_has_all_ordered_pairs_of_15_emotions() -> None:
    scenes = shipped.deflection()
    pairs = {(scene.felt, scene.shown) for scene in scenes}
    felt = {scene.felt for scene in scenes}
    assert len(scenes) == len(pairs) == 15 * 14 and len(felt) == 15 and felt <= NAMES
    assert pairs == {(a, b) for a in felt for b in felt if a != b}
    assert all({turn.role for turn in scene.turns} == {"A", "B"} for scene in scenes)


def test_passages_and_provocations() -> None:
    passages, messages = shipped.natural(), shipped.anger()
    assert len({one.source for one in passages}) == len(passages) == 32
    assert all(len(one.text.split()) >= 40 for one in passages)
    kinds = Counter(message.kind for message in messages)
    assert kinds == {"injustice": 8, "attack": 9, "calm": 6, "neutral": 5, "positive": 5}
    assert len({message.id for message in messages}) == 33
    assert not any("angr" in m.text.lower() or "anger" in m.text.lower().split() for m in messages)


def test_battery_and_activities_are_balanced() -> None:
    battery = shipped.battery()
    assert Counter(question.group for question in battery) == {
        "challenging": 48,
        "neutral": 42,
        "ordinary": 42,
    }
    hard = Counter(question.kind for question in battery if question.group == "challenging")
    assert len(hard) == 6 and set(hard.values()) == {8}
    activities = shipped.activities()
    assert (
        set(Counter(activity.category for activity in activities).values()) == {8} and len(activities) == 64
    )
    for rows in (battery, activities):
        assert len({row.id for row in rows}) == len({row.text for row in rows}) == len(rows)


def test_recipes_answer_the_same_messages_differently() -> None:
    plain, flattering, overcautious = (shipped.recipe(name) for name in shipped.RECIPES)
    assert len(plain) == 150
    for other in (flattering, overcautious):
        assert [chat.id for chat in other] == [chat.id for chat in plain]
        assert all(a.messages[0] == b.messages[0] for a, b in zip(plain, other, strict=True))
        assert all(a.messages[1] != b.messages[1] for a, b in zip(plain, other, strict=True))
    with pytest.raises(CorpusError, match="unknown recipe 'overcautius'; did you mean 'overcautious'"):
        shipped.recipe("overcautius")


def test_severity_pairs_have_the_same_numbers_and_do_not_name_what_they_expect() -> None:
    pairs = shipped.severity_pairs()
    assert len(pairs) == len({pair.pair for pair in pairs}) == 24
    for pair in pairs:
        assert re.findall(r"\d+", pair.mild) == re.findall(r"\d+", pair.severe) != []
        assert set(pair.expect) <= NAMES and set(pair.expect.values()) <= {"+", "-"}
        assert not [n for n in pair.expect if re.search(rf"\b{n}\b", f"{pair.mild} {pair.severe}")]
        assert abs(len(pair.mild) - len(pair.severe)) < 20
