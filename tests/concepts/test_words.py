"""The text-only baseline: near the published figures on the shipped corpus, and sane on tiny ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from affekt.concepts import shipped
from affekt.concepts.corpus import Corpus, Text
from affekt.concepts.source import Source
from affekt.concepts.words import TextBaseline, fit
from affekt.errors import CorpusError

TINY = Corpus(
    (
        Text("a", "story", "calm", "The lake lay still and the boats slept."),
        Text("b", "story", "calm", "Still air, still water, a slow breath."),
        Text("a", "story", "angry", "He slammed the door and shouted at the boats."),
        Text("b", "story", "angry", "Shouting, she slammed her fist down."),
    )
)


def top(baseline: TextBaseline, texts: Sequence[Source], names: Sequence[str], k: int) -> float:
    scores = baseline.scores(texts)
    own = scores[np.arange(len(names)), [baseline.concepts.index(name) for name in names]]
    return float(np.mean((scores > own[:, None]).sum(1) < k))


@pytest.fixture(scope="module")
def topics_only() -> TextBaseline:
    return fit(shipped.stories().only(form="story"))


def test_scores_are_sums_of_two_cosines_and_find_the_right_word() -> None:
    baseline = fit(TINY)
    chat = [{"role": "user", "content": "She slammed it, shouting."}]
    scores = baseline.scores(["The water was still.", chat, "Xqzzy!", ""])
    assert baseline.concepts == ("angry", "calm") and scores.shape == (4, 2)
    assert scores[0, 1] > scores[0, 0] and scores[1, 0] > scores[1, 1]
    assert scores.min() >= 0 and scores.max() <= 2
    assert np.all(scores[3] == 0)


def test_a_text_alone_has_the_scores_it_has_among_others() -> None:
    baseline = fit(TINY)
    texts = ["The water was still.", "Slam!", "boats"]
    assert np.array_equal(baseline.scores(texts)[1:2], baseline.scores(texts[1:2]))
    assert baseline.scores([]).shape == (0, 2)


def test_a_long_text_counts_no_more_than_a_short_one() -> None:
    own = Text("c", "story", "calm", "Door.")
    long = Text("c", "story", "calm", "Door. " * 500)
    once, often = (fit(Corpus((*TINY.texts, text))).scores(["Slow breath."]) for text in (own, long))
    assert np.allclose(once, often, atol=0.05)


def test_nothing_to_fit_is_an_error() -> None:
    with pytest.raises(CorpusError, match="no texts"):
        fit(Corpus(()))
    with pytest.raises(CorpusError, match="no words"):
        fit(Corpus((Text("a", "story", "calm", "?"),)))


def test_a_held_out_topic_by_the_same_hand_is_nearly_solved_by_words() -> None:
    stories = shipped.stories().only(form="story")
    held = stories.only(topic="airport")
    baseline = fit(stories.without(topic="airport"))
    texts, names = [text.plain for text in held], [text.concept for text in held]
    assert top(baseline, texts, names, 1) > 0.88
    assert top(baseline, texts, names, 5) > 0.95


@pytest.mark.parametrize(
    ("form", "low", "high"),
    [
        ("situation", 0.24, 0.36),
        ("message", 0.5, 0.62),
        ("dialogue", 0.29, 0.41),
        ("monologue", 0.36, 0.48),
        ("observer", 0.33, 0.45),
    ],
)
def test_an_unseen_form_is_not(topics_only: TextBaseline, form: str, low: float, high: float) -> None:
    held = shipped.stories().only(form=form)
    assert low < top(topics_only, [text.plain for text in held], [text.concept for text in held], 1) < high


def test_nor_are_implicit_prompts(topics_only: TextBaseline) -> None:
    prompts = shipped.implicit()
    texts, names = [prompt.text for prompt in prompts], [prompt.concept for prompt in prompts]
    assert 0.4 < top(topics_only, texts, names, 1) < 0.6
    assert 0.7 < top(topics_only, texts, names, 5) < 0.9
