"""Where each concept lies on the plane of valence and arousal: as people rate it, else as its vector says."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from affekt.errors import ReadingError
from affekt.reading.axes import fit_axis
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["coordinates"]


def coordinates(vectors: ConceptVectors) -> list[dict[str, float | str] | None]:
    """Per concept its place, and whether people or the vectors say so (`human`, `vectors`); None for styles,
    and for all where too few words are rated.

    The places that vectors say are stretched to the spread of the human ones: ridge regression draws what it
    predicts towards the middle."""
    directions = vectors.directions(variant="whitened").numpy()
    axes = [_axis(vectors, directions, axis) for axis in ("valence", "arousal")]
    found: list[dict[str, float | str] | None] = []
    for at, concept in enumerate(vectors.concepts):
        if axes[0] is None or axes[1] is None or concept.kind != "emotion":
            found.append(None)
            continue
        said = concept.valence is not None and concept.arousal is not None
        x = concept.valence if said else axes[0][at]
        y = concept.arousal if said else axes[1][at]
        assert x is not None and y is not None
        place: dict[str, float | str] = {"valence": round(float(x), 3), "arousal": round(float(y), 3)}
        found.append(place | {"from": "human" if said else "vectors"})
    return found


def _axis(
    vectors: ConceptVectors, directions: Float[np.ndarray, "concepts d_model"], axis: str
) -> Float[np.ndarray, " concepts"] | None:
    rated = [at for at, concept in enumerate(vectors.concepts) if getattr(concept, axis) is not None]
    ratings = np.array([getattr(vectors.concepts[at], axis) for at in rated], dtype=float)
    try:
        scores = fit_axis(directions[rated], ratings, resamples=50).of(directions)
    except ReadingError:
        return None
    middle, spread = scores[rated].mean(), scores[rated].std() or 1.0
    places: Float[np.ndarray, " concepts"] = ratings.mean() + (scores - middle) / spread * ratings.std()
    inside: Float[np.ndarray, " concepts"] = np.clip(places, ratings.min(), ratings.max())
    return inside
