"""Every topic has one cell, cells have one form, and there are never more than 32."""

from __future__ import annotations

from collections import Counter

import pytest

from affekt.concepts import Corpus
from affekt.concepts.corpus import Text
from affekt.concepts.shipped import stories, traits
from affekt.vectors.cells import MAX_CELLS, Layout, layout


def corpus(**topics: int) -> Corpus:
    """As many topics of each form as is said; two concepts."""
    return Corpus(
        tuple(
            Text(f"topic {n}", form, concept, f"{form} {n} {concept}")
            for form, count in topics.items()
            for n in range(count)
            for concept in ("calm", "angry")
        )
    )


def check(made: Layout, whole: Corpus) -> None:
    assert set(made.of) == {(text.form, text.topic) for text in whole}
    assert set(made.of.values()) == set(range(len(made.forms)))
    assert len(made.forms) <= MAX_CELLS


def test_the_shipped_corpora_have_a_cell_a_topic() -> None:
    made = layout(stories())
    check(made, stories())
    assert len(made.forms) == 17 and Counter(made.forms)["story"] == 12
    for (form, _), cell in made.of.items():
        assert made.forms[cell] == form
    assert len(layout(traits()).forms) == 12


def test_the_same_topic_in_two_forms_has_two_cells() -> None:
    made = layout(corpus(story=2, letter=2))
    assert len(set(made.of.values())) == 4


@pytest.mark.parametrize(
    "topics", [{"story": 33}, {"story": 1000}, {"story": 1000, "a": 1, "b": 3}, {"a": 20, "b": 20, "c": 20}]
)
def test_many_topics_share_cells_evenly(topics: dict[str, int]) -> None:
    whole = corpus(**topics)
    made = layout(whole)
    check(made, whole)
    assert len(made.forms) >= MAX_CELLS - 2
    for form in topics:
        sizes = Counter(cell for (own, _), cell in made.of.items() if own == form)
        assert max(sizes.values()) - min(sizes.values()) <= 1
        assert all(made.forms[cell] == form for cell in sizes)
    for form in ("a", "b"):
        if 0 < topics.get(form, 0) <= 3:
            assert Counter(made.forms)[form] == topics[form]


def test_as_many_topics_as_cells_have_one_each() -> None:
    whole = corpus(a=1, b=1, c=10, d=20)
    made = layout(whole)
    assert len(set(made.of.values())) == len(made.of) == MAX_CELLS


def test_more_forms_than_cells() -> None:
    whole = corpus(**{f"form{n}": 2 for n in range(100)})
    made = layout(whole)
    check(made, whole)
    assert len(made.forms) == MAX_CELLS


def test_the_layout_does_not_depend_on_the_order_of_texts() -> None:
    whole = corpus(story=50, letter=3)
    assert layout(whole) == layout(Corpus(whole.texts[::-1]))


def test_folds_are_forms_where_there_are_three() -> None:
    made = layout(stories())
    folds = made.folds()
    assert sorted(cell for fold in folds for cell in fold) == list(range(17))
    assert [len({made.forms[cell] for cell in fold}) for fold in folds] == [1] * 6


@pytest.mark.parametrize(("topics", "sizes"), [(1, []), (2, [1, 1]), (5, [1] * 5), (12, [3, 3, 2, 2, 2])])
def test_folds_of_one_form_are_shares_of_its_cells(topics: int, sizes: list[int]) -> None:
    folds = layout(corpus(story=topics)).folds()
    assert [len(fold) for fold in folds] == sizes
    assert len({cell for fold in folds for cell in fold}) == sum(sizes)
