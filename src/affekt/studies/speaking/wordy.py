"""Texts as rows of numbers by their words alone, for controls of what is decoded from residuals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

__all__ = ["rows_of_words"]

WIDTH = 200
"""Components that are kept."""


def rows_of_words(texts: Sequence[str]) -> Float[np.ndarray, "texts components"]:
    """TF-IDF of words and pairs of words, at most `WIDTH` components of it (latent semantic analysis)."""
    terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(list(texts))
    width = max(1, min(WIDTH, min(terms.shape) - 1))
    rows: Float[np.ndarray, "texts components"] = TruncatedSVD(width, random_state=0).fit_transform(terms)
    return rows
