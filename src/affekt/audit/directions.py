"""Did the activations move, or the directions? Both models' own vectors from the same texts, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from affekt.audit.comparison import Directions
from affekt.audit.keep import Keep, Seen
from affekt.audit.measure import Asked
from affekt.audit.setup import Setup
from affekt.audit.statistics import correlation
from affekt.audit.subject import Subject
from affekt.concepts.shipped import stories
from affekt.progress import Progress
from affekt.vectors.collect import from_token
from affekt.vectors.directions import unit

__all__ = ["own_vectors", "turned"]

FORM = "message"
"""The form of the texts: one for each emotion, written without stock phrases."""


def own_vectors(
    subject: Subject, layer: int, keep: Keep, progress: Progress | None = None
) -> tuple[tuple[str, ...], Float[Tensor, "concepts d_model"]]:
    """A small set of vectors of the model itself: each emotion's text less the mean of all (paper section
    2.3, one text a concept).

    Returns:
        The concepts and their unit vectors. Too few texts to read by, but the same ones for every model:
        where nothing has turned, two models' vectors of a concept are alike, noise and all.
    """
    texts = list(stories().only(form=FORM))
    asked = Asked(tuple(text.body for text in texts if isinstance(text.body, str)), "plain", (layer,))
    stage = f"{subject.identity.name}: own vectors"

    def measure() -> Seen:
        rows = torch.zeros(len(asked.texts), 1, subject.identity.d_model)
        if progress is not None:
            progress(stage, 0, len(asked.texts))
        for done, one in enumerate(subject.engine.collect(asked.texts, [layer], from_token(1)), 1):
            rows[one.index] = one.values[:, 0]
            if progress is not None:
                progress(stage, done, len(asked.texts))
        return Seen(rows)

    seen = keep(subject, {"view": "own vectors", "form": FORM, "texts": asked.texts, "layer": layer}, measure)
    rows = seen.residuals[:, 0]
    return tuple(text.concept for text in texts), unit(rows - rows.mean(dim=0))


def turned(
    setup: Setup,
    names: tuple[str, ...],
    base: Float[Tensor, "concepts d_model"],
    tuned: Float[Tensor, "concepts d_model"],
    before: Mapping[str, Seen],
    after: Mapping[str, Seen],
) -> Directions:
    """Cosines between two models' vectors, and the shift along either set."""
    cosines = (base @ tuned.T).double().numpy()
    others = np.abs(cosines[~np.eye(len(names), dtype=bool)])
    at = setup.vectors.place(setup.vectors.read_layer)
    agreement = {}
    for view in before:
        change = (after[view].residuals - before[view].residuals)[:, at]
        mean = change[change.isfinite().all(dim=1)].mean(dim=0)
        agreement[view] = correlation((base @ mean).double().numpy(), (tuned @ mean).double().numpy())
    return Directions(
        cosine=dict(zip(names, np.diag(cosines).tolist(), strict=True)),
        chance=float(np.quantile(others, 0.95)),
        agreement=agreement,
        texts=len(names),
    )
