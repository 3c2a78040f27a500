"""What extraction refuses, and what it says; as much as can be before the first text is run."""

from __future__ import annotations

import pytest

from affekt.concepts import Corpus
from affekt.concepts.corpus import Text
from affekt.errors import CorpusError, VectorsError
from affekt.vectors import Recipe
from tests.vectors.fake import Fake
from tests.vectors.test_extraction import CORPUS, run

pytestmark = pytest.mark.usefixtures("small_references")


def text(concept: str, topic: str = "sea", form: str = "story", words: int = 60) -> Text:
    return Text(topic, form, concept, " ".join([concept, *(f"w{n}" for n in range(words - 1))]))


REFUSED: list[tuple[list[Corpus], str]] = [
    ([], "no corpus; leave it out"),
    ([Corpus((), "empty")], "empty holds no text"),
    ([Corpus((text("calm"),), "one")], "one holds the one concept 'calm'; .*texts of at least one more"),
    ([CORPUS, Corpus((text("calm"), text("glad")), "two")], "'calm' is in made and in two; load both as one"),
    (
        [Corpus((text("calm"), text("glad"), text("sad", "hill")), "c")],
        r"c: 'sad' shares no topic \(of one form\) with another concept; give .*one topic to all",
    ),
]


@pytest.mark.parametrize(("corpora", "said"), REFUSED, ids=[said[:20] for _, said in REFUSED])
def test_corpora_that_cannot_work_are_refused_before_anything_runs(corpora: list[Corpus], said: str) -> None:
    fake = Fake()
    with pytest.raises(CorpusError, match=said):
        run(fake, corpora)
    assert fake.seen == []


def test_a_corpus_without_the_fifty_tokens_says_what_to_do() -> None:
    texts = (text("calm"), text("glad", words=20), text("sad", words=50))
    with pytest.raises(
        CorpusError,
        match=r"c: no text of 'sad' \(and of 1 more\) is longer than 50 tokens \(2 of 3 texts are too "
        r"short\); average from an earlier token",
    ):
        run(corpora=[Corpus(texts, "c")])
    assert set(run(corpora=[Corpus(texts, "c")], recipe=Recipe(first_token=10)).names) == {
        "calm",
        "glad",
        "sad",
    }


def test_short_texts_may_leave_a_concept_alone_in_its_topics() -> None:
    texts = (
        text("calm"),
        text("glad"),
        text("glad", "hill"),
        text("sad", "hill"),
        text("calm", "hill", words=9),
    )
    corpus = Corpus((*texts, text("odd", "lake"), text("calm", "lake", words=9)), "c")
    with pytest.raises(CorpusError, match="'odd' shares no topic"):
        run(corpora=[corpus])


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([4], r"\[4\] asked for; fake has the layers 0 to 3"),
        ([-1, 2], r"\[-1, 2\] asked for"),
        ([], "no layers asked for"),
    ],
)
def test_layers_that_the_model_has_not(layers: list[int], said: str) -> None:
    with pytest.raises(VectorsError, match=said):
        run(layers=layers)
