"""Whether two sets of vectors of the same emotions agree, and whether the words of their texts agree as well.

Texts of one emotion share words, so that even a random network gives them vectors that are alike. What counts
is by how much a model's vectors agree beyond the words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.sparse import spmatrix
from sklearn.feature_extraction.text import TfidfVectorizer

from affekt.concepts.grams import CharacterGrams

__all__ = ["Words", "alike", "own_above_others", "upper"]


class Words:
    """Texts of emotions, by their words alone: TF-IDF of words and pairs of words, and of 3 to 5 characters.

    Args:
        texts: kinds of text; kinds of one text an emotion are in one order of emotions.
    """

    def __init__(self, texts: Mapping[str, Sequence[str]]) -> None:
        everything = [text for kind in texts.values() for text in kind]
        self._spaces: list[dict[str, spmatrix]] = []
        for vectorizer in (
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            CharacterGrams(),
        ):
            terms = vectorizer.fit_transform(everything)
            ends = np.cumsum([len(some) for some in texts.values()])
            parts = [terms[end - len(some) : end] for end, some in zip(ends, texts.values(), strict=True)]
            self._spaces.append(dict(zip(texts, parts, strict=True)))
        self._lengths = [
            {kind: np.sqrt(np.maximum(np.diag(_centred(own, own)), 1e-12)) for kind, own in space.items()}
            for space in self._spaces
        ]

    def cosines(self, one: str, other: str) -> Float[np.ndarray, "ones others"]:
        """Cosines of every text's words in one kind with every text's in another, each kind centred; the
        mean over both spaces."""
        each = [
            _centred(space[one], space[other]) / np.outer(length[one], length[other])
            for space, length in zip(self._spaces, self._lengths, strict=True)
        ]
        cosines: Float[np.ndarray, "ones others"] = np.mean(each, axis=0)
        return cosines


def own_above_others(
    cosines: Float[np.ndarray, "emotions emotions"],
) -> Float[np.ndarray, " emotions"]:
    """For each emotion the share of other emotions that are farther from it than itself in the other set,
    both ways; 0.5 by chance. The scale of the cosines does not count, so that models and words compare."""
    n = len(cosines)
    own = np.diag(cosines)
    rows = ((cosines < own[:, None]).sum(1) + ((cosines == own[:, None]).sum(1) - 1) / 2) / (n - 1)
    columns = ((cosines < own[None]).sum(0) + ((cosines == own[None]).sum(0) - 1) / 2) / (n - 1)
    shares: Float[np.ndarray, " emotions"] = (rows + columns) / 2
    return shares


def alike(
    one: Float[np.ndarray, "emotions emotions"], other: Float[np.ndarray, "emotions emotions"]
) -> float:
    """Correlation of two similarity matrices over all pairs of emotions (representational similarity)."""
    return float(np.corrcoef(upper(one), upper(other))[0, 1])


def upper(cosines: Float[np.ndarray, "emotions emotions"]) -> Float[np.ndarray, " pairs"]:
    """The part above the diagonal, as a row."""
    pairs: Float[np.ndarray, " pairs"] = cosines[np.triu_indices(len(cosines), 1)]
    return pairs


def _centred(a: spmatrix, b: spmatrix) -> Float[np.ndarray, "ones others"]:
    """Inner products of rows, each side less its mean row."""
    whole = (a @ b.T).toarray()
    centred: Float[np.ndarray, "ones others"] = (
        whole - whole.mean(0) - whole.mean(1, keepdims=True) + whole.mean()
    )
    return centred
