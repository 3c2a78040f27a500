"""TF-IDF of the runs of 3 to 5 characters in words, counted once for each different word.

The same matrices as scikit-learn's `TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5),
sublinear_tf=True)`, which cuts every word of every text anew: the runs of a text are the sum of its words',
so that it is enough to cut each different word once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

__all__ = ["CharacterGrams"]


class CharacterGrams:
    """A vectorizer: `fit_transform`, then `transform`."""

    def __init__(self) -> None:
        self._grams = CountVectorizer(analyzer="char_wb", ngram_range=(3, 5), lowercase=False)
        self._weights = TfidfTransformer(sublinear_tf=True)

    def fit_transform(self, texts: Sequence[str]) -> csr_matrix:
        """Rows of unit length, a text each.

        Raises:
            ValueError: no text has a word.
        """
        words, counts = _counted(texts)
        grams = _product(counts, self._grams.fit_transform(words))
        return csr_matrix(self._weights.fit_transform(grams))

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """Other texts in the same columns; runs that were not there are left out."""
        words, counts = _counted(texts)
        return csr_matrix(self._weights.transform(_product(counts, self._grams.transform(words))))


def _counted(texts: Sequence[str]) -> tuple[list[str], csr_matrix]:
    """The different words, and how often each text has each."""
    place: dict[str, int] = {}
    rows, columns, counts = [], [], []
    for row, text in enumerate(texts):
        for word, count in Counter(text.lower().split()).items():
            rows.append(row)
            columns.append(place.setdefault(word, len(place)))
            counts.append(float(count))
    return list(place), csr_matrix((counts, (rows, columns)), shape=(len(texts), len(place)))


def _product(counts: csr_matrix, grams: csr_matrix) -> csr_matrix:
    product = csr_matrix(counts @ grams)
    product.sort_indices()
    return product
