"""Valence and arousal, derived from the concepts through human norms.

Two ways: `fit_axis` learns a direction of the residual stream from the concepts' vectors; `valence` and
`arousal` take a norm-weighted mean of a reading's z and need nothing but the reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from affekt.concepts.concept import emotions
from affekt.errors import ReadingError
from affekt.reading.reading import Reading

__all__ = ["Axis", "AxisTrace", "arousal", "axis_weights", "fit_axis", "normed_mean", "valence"]

FEWEST_WORDS = 10
CHUNK = 1024
"""Tokens bootstrapped at once, so that a long text needs no more memory than a short one."""
PENALTIES = 10.0 ** np.arange(-2, 3.5, 0.5)
"""Ridge penalties tried, in units of the vectors' mean variance along their components."""


@dataclass(frozen=True, eq=False)
class Axis:
    """A direction of the residual stream along which concepts lie as people rate them."""

    direction: Float[np.ndarray, " d_model"]
    """Its product with a residual, less that of a neutral one, is the predicted rating's change."""
    r_cross_validated: float
    """Pearson's r between the ratings and the scores of words that the fit had not seen."""
    interval: tuple[float, float]
    """95 % interval of that r, by bootstrap over words."""
    n: int
    """How many words it was fitted on."""

    def of(self, residual: Float[np.ndarray, "*rows d_model"]) -> Float[np.ndarray, "*rows"]:
        """The score of residuals. Its zero has no meaning: compare with the score of neutral ones."""
        score: Float[np.ndarray, "*rows"] = residual @ self.direction
        return score


@dataclass(frozen=True, eq=False)
class AxisTrace:
    """A derived axis at each token of a reading."""

    name: str
    """Such as `valence`."""
    values: Float[np.ndarray, " tokens"]
    """Weighted mean of z; 0 is neutral, and an offset that all concepts share cancels."""
    low: Float[np.ndarray, " tokens"]
    """Lower end of the 95 % interval, by bootstrap over the words."""
    high: Float[np.ndarray, " tokens"]
    """Upper end of it."""
    n: int
    """How many words with human norms it rests on."""


def fit_axis(
    vectors: Float[np.ndarray, "words d_model"],
    ratings: Float[np.ndarray, " words"],
    *,
    folds: int = 9,
    repeats: int = 20,
    resamples: int = 2000,
    seed: int = 0,
) -> Axis:
    """Ridge regression from concept vectors to human ratings.

    The penalty is chosen by leave-one-out error inside each training part, so a held-out word has no say in
    it. The held-out scores are averaged over the repeats before r is taken. Where vectors and ratings have
    nothing in common, r lies rather below 0 than around it (about -0.2 for 45 words), as in any
    cross-validation: what a training part gains by chance, the held-out part lacks.

    Args:
        vectors: one vector a word, in one layer's residual space.
        ratings: what people say of each word, such as `Concept.valence`.
        folds: parts of the cross-validation; as many as there are words leaves one out.
        repeats: how often the words are dealt anew into parts.
        resamples: bootstrap samples for the interval.
        seed: of the dealing and the bootstrap.

    Raises:
        ReadingError: for fewer than 10 words, numbers that do not match, or ratings that are all the same.
    """
    n = len(ratings)
    if len(vectors) != n:
        raise ReadingError(f"{len(vectors)} vectors, but {n} ratings")
    if n < FEWEST_WORDS:
        raise ReadingError(f"an axis needs at least {FEWEST_WORDS} rated words; these are {n}")
    if not (np.isfinite(vectors).all() and np.isfinite(ratings).all()):
        raise ReadingError("the vectors or the ratings hold a value that is not finite")
    if np.ptp(ratings) == 0:
        raise ReadingError(f"all {n} ratings are {ratings[0]}; an axis needs different ones")
    x, y = vectors.astype(np.float64), ratings.astype(np.float64)
    rng = np.random.default_rng(seed)
    scores = _held_out(x, y, min(folds, n), repeats, rng)
    low, high = _interval(scores, y, resamples, rng)
    return Axis(_ridge(x, y), _pearson(scores, y), (low, high), n)


def valence(reading: Reading) -> AxisTrace:
    """Pleasant against unpleasant at each token; raises ReadingError where no column has norms."""
    norms = {c.name: c.valence for c in emotions() if c.valence is not None}
    return normed_mean(reading, norms, "valence")


def arousal(reading: Reading) -> AxisTrace:
    """Stirred against still at each token; raises ReadingError where no column has norms."""
    norms = {c.name: c.arousal for c in emotions() if c.arousal is not None}
    return normed_mean(reading, norms, "arousal")


def axis_weights(
    concepts: Sequence[str], norms: Mapping[str, float]
) -> Float[np.ndarray, " concepts"] | None:
    """What each concept's z counts for in a derived axis: 0 for one without a norm; None for too few norms.

    Args:
        concepts: in the order of the z.
        norms: a rating for each word.
    """
    rated = [at for at, concept in enumerate(concepts) if concept in norms]
    ratings = np.array([norms[concepts[at]] for at in rated])
    if len(rated) < FEWEST_WORDS or np.ptp(ratings) == 0:
        return None
    weights = np.zeros(len(concepts))
    weights[rated] = _weights(np.ones((1, len(rated))), ratings)[0]
    return weights


def normed_mean(
    reading: Reading, norms: Mapping[str, float], name: str, *, resamples: int = 400, seed: int = 0
) -> AxisTrace:
    """The mean of z weighted by ratings less their own mean, at each token.

    Args:
        reading: its concepts without a rating are left out.
        norms: a rating for each word.
        name: the axis's name.
        resamples: bootstrap samples of the words, for the interval.
        seed: of the bootstrap.

    Raises:
        ReadingError: where fewer than 10 concepts are rated, or all alike.
    """
    rated = [concept for concept in reading.concepts if concept in norms]
    ratings = np.array([norms[concept] for concept in rated])
    if len(rated) < FEWEST_WORDS or np.ptp(ratings) == 0:
        raise ReadingError(
            f"{name} needs at least {FEWEST_WORDS} concepts with different human norms; "
            f"this reading has {len(rated)}"
        )
    z = reading.select(rated).z.astype(np.float64).T
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(rated), np.full(len(rated), 1 / len(rated)), size=resamples)
    samples = _weights(drawn, ratings)
    low, high = np.empty((2, len(reading)))
    for start in range(0, len(reading), CHUNK):
        some = slice(start, start + CHUNK)
        low[some], high[some] = np.percentile(samples @ z[:, some], [2.5, 97.5], axis=0)
    values = (_weights(np.ones((1, len(rated))), ratings) @ z)[0]
    return AxisTrace(name, values, low, high, len(rated))


def _weights(
    times: Float[np.ndarray, "samples words"] | np.ndarray, ratings: Float[np.ndarray, " words"]
) -> Float[np.ndarray, "samples words"]:
    """Centred ratings, each as often as its word was drawn; absolute weights add up to 1."""
    mean = (times @ ratings / times.sum(axis=1))[:, None]
    weights = times * (ratings - mean)
    total = np.abs(weights).sum(axis=1, keepdims=True)
    shares: Float[np.ndarray, "samples words"] = weights / np.where(total == 0, 1, total)
    return shares


def _ridge(
    x: Float[np.ndarray, "words d_model"], y: Float[np.ndarray, " words"]
) -> Float[np.ndarray, " d_model"]:
    """Ridge weights by the dual form; the penalty with the least exact leave-one-out error."""
    n = len(y)
    x, y = x - x.mean(axis=0), y - y.mean()
    values, basis = np.linalg.eigh(x @ x.T)
    values = np.maximum(values, 0)
    unit = max(values.mean(), np.finfo(np.float64).tiny)
    turned = basis.T @ y
    best, weights = np.inf, np.zeros(x.shape[1])
    for penalty in PENALTIES * unit:
        shrunk = values / (values + penalty)
        own = (basis * shrunk * basis).sum(axis=1) + 1 / n  # the intercept's share included
        error = float((((y - basis @ (shrunk * turned)) / (1 - own)) ** 2).mean())
        if error < best:
            best, weights = error, x.T @ (basis @ (turned / (values + penalty)))
    return weights


def _held_out(
    x: Float[np.ndarray, "words d_model"],
    y: Float[np.ndarray, " words"],
    folds: int,
    repeats: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, " words"]:
    # No intercept in the scores: a training part's mean rating runs against its held-out words' ratings, and
    # would make r -1 where the vectors say nothing.
    scores = np.zeros(len(y))
    middle = x.mean(axis=0)
    for _ in range(repeats):
        for part in np.array_split(rng.permutation(len(y)), folds):
            kept = np.setdiff1d(np.arange(len(y)), part)
            scores[part] += (x[part] - middle) @ _ridge(x[kept], y[kept])
    return scores / repeats


def _interval(
    scores: Float[np.ndarray, " words"],
    ratings: Float[np.ndarray, " words"],
    resamples: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    draws = rng.integers(len(ratings), size=(resamples, len(ratings)))
    low, high = np.percentile([_pearson(scores[draw], ratings[draw]) for draw in draws], [2.5, 97.5])
    return float(low), float(high)


def _pearson(a: Float[np.ndarray, " words"], b: Float[np.ndarray, " words"]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0
