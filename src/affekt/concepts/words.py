"""The text-only baseline: what the words alone tell of a concept, without any model.

A corpus's writer gives a concept away by stock phrases. A read-out of a model proves something only by what
it adds to this baseline, fitted on the same texts and asked about the same held-out ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from affekt.concepts.corpus import Corpus
from affekt.concepts.grams import CharacterGrams
from affekt.concepts.shipped import stories
from affekt.concepts.source import Source
from affekt.concepts.text import plain
from affekt.errors import CorpusError

__all__ = ["TextBaseline", "fit", "of_stories"]


@dataclass(frozen=True)
class TextBaseline:
    """Centroids of each concept's texts in two TF-IDF spaces: words and pairs of words; 3 to 5 characters."""

    concepts: tuple[str, ...]
    """The concepts, in the order of the corpus's."""
    spaces: tuple[tuple[Any, csr_matrix], ...]
    """A fitted vectorizer and its unit centroids, [concepts, terms], for each space."""

    def scores(self, texts: Sequence[Source]) -> Float[ndarray, "texts concepts"]:
        """Sum over the spaces of the cosine of each text to each centroid, 0 to 2; higher is nearer."""
        bodies = [plain(text) for text in texts]
        total = np.zeros((len(bodies), len(self.concepts)))
        if bodies:
            for vectorizer, centroids in self.spaces:
                total += (vectorizer.transform(bodies) @ centroids.T).toarray()
        return total


def fit(corpus: Corpus) -> TextBaseline:
    """Fit the baseline on all texts of a corpus; each text counts the same whatever its length.

    Raises:
        CorpusError: the corpus holds no texts, or none with a word in it.
    """
    if not len(corpus):
        raise CorpusError(f"{corpus.name}: no texts to fit a baseline on")
    concepts = tuple(concept.name for concept in corpus.concepts)
    row = {name: index for index, name in enumerate(concepts)}
    rows = [row[text.concept] for text in corpus]
    member = csr_matrix((np.ones(len(rows)), (rows, range(len(rows)))), shape=(len(concepts), len(rows)))
    bodies = [text.plain for text in corpus]
    spaces = []
    for vectorizer in (
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        CharacterGrams(),
    ):
        try:
            terms = vectorizer.fit_transform(bodies)
        except ValueError as error:
            raise CorpusError(f"{corpus.name}: no words to fit a baseline on") from error
        spaces.append((vectorizer, csr_matrix(normalize(member @ terms))))
    return TextBaseline(concepts, tuple(spaces))


@cache
def of_stories() -> TextBaseline:
    """The baseline fitted on the shipped stories, once."""
    return fit(stories())
