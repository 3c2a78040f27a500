"""Runs of characters: the matrices of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from affekt.concepts import shipped
from affekt.concepts.grams import CharacterGrams

ODD = [
    "",
    "a",
    "I do  not\tknow,\nshe SAID.",
    "A a A a",
    "\u0130stanbul stra\u00dfe",
    "na\u00efve\u00a0caf\u00e9 \x1c x",
]


@pytest.mark.parametrize(
    "texts", [[text.plain for text in shipped.stories().only(concept=["calm", "angry"])], ODD]
)
def test_they_are_those_of_scikit_learn(texts: list[str]) -> None:
    own = CharacterGrams()
    theirs = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    others = ["She was calm again, unquestionably.", "xqz", *ODD]
    for mine, known in (
        (own.fit_transform(texts), theirs.fit_transform(texts)),
        (own.transform(others), theirs.transform(others)),
    ):
        assert mine.shape == known.shape
        known.sort_indices()
        np.testing.assert_array_equal(mine.indptr, known.indptr)
        np.testing.assert_array_equal(mine.indices, known.indices)
        np.testing.assert_allclose(mine.data, known.data, rtol=1e-14)


def test_texts_without_a_word() -> None:
    with pytest.raises(ValueError, match="empty vocabulary"):
        CharacterGrams().fit_transform(["", " "])
    own = CharacterGrams()
    width = own.fit_transform(["A calm lake"]).shape[1]
    assert own.transform(["", " "]).shape == (2, width) and own.transform([" "]).nnz == 0
