"""What every study works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float
from torch import Tensor

from affekt.concepts.dialogues import Deflection, Dialogues, TwoEmotions
from affekt.concepts.shipped import deflection, two_emotions
from affekt.engines import TransformersEngine
from affekt.models.model import Model
from affekt.progress import Progress
from affekt.studies.parts import Parts
from affekt.vectors import ConceptVectors

__all__ = ["Lab", "Scale"]

DOSE = 0.3
"""Mean residual norms, shared out over the band, for vectors without a calibrated dial."""

Scale: TypeAlias = Literal["quick", "full"]


@dataclass(frozen=True)
class Lab:
    """A model, its vectors, and how much may be asked of it."""

    model: Model
    """The opened model."""
    vectors: ConceptVectors
    """Its own vectors."""
    scale: Scale = "quick"
    """`quick` takes fewer prompts and resamples; `full` takes all."""
    progress: Progress | None = None
    """Told how far a study is."""
    more: Dialogues = field(default_factory=Dialogues)
    """Dialogues of the user's own, read beside the shipped ones."""
    parts: Parts = field(default_factory=Parts)
    """What the study at hand measured before it was stopped."""

    @property
    def quick(self) -> bool:
        """Whether less is asked."""
        return self.scale == "quick"

    @property
    def has_template(self) -> bool:
        """Whether the model has a chat template."""
        return bool(self.model.tokenizer.chat_template)

    def engine(self, vectors: ConceptVectors | None = None) -> TransformersEngine:
        """An engine with the vectors, or with others of the same model."""
        return TransformersEngine(self.model, vectors or self.vectors)

    @property
    def emotions(self) -> list[int]:
        """Places of the emotions among the concepts."""
        return [i for i, concept in enumerate(self.vectors.concepts) if concept.kind == "emotion"]

    @property
    def names(self) -> list[str]:
        """The emotions' words."""
        return [self.vectors.names[i] for i in self.emotions]

    @property
    def dialogues(self) -> list[TwoEmotions]:
        """Dialogues of two emotions whose emotions have vectors, the shipped ones first."""
        every, names = (*two_emotions(), *self.more.two_emotions), set(self.names)
        return [d for d in every if d.user in names and d.assistant in names]

    @property
    def scenes(self) -> list[Deflection]:
        """Scenes of an emotion behind another, both of which have vectors, the shipped ones first."""
        every, names = (*deflection(), *self.more.scenes), set(self.names)
        return [s for s in every if s.felt in names and s.shown in names]

    def units(self, layer: int | None = None) -> Float[Tensor, "emotions d_model"]:
        """Unit vectors of the emotions, neutral components removed, at a layer (default: the read layer)."""
        return self.vectors.directions(layer, "projected")[self.emotions]

    def norms_of(self, axis: str) -> tuple[list[int], Float[np.ndarray, " words"]]:
        """Places among the emotions of those with human norms, and the norms (Russell & Mehrabian 1977)."""
        concepts = [self.vectors.concepts[i] for i in self.emotions]
        rated = [(i, getattr(c, axis)) for i, c in enumerate(concepts) if getattr(c, axis) is not None]
        return [i for i, _ in rated], np.array([value for _, value in rated], dtype=np.float64)

    @property
    def dose(self) -> float:
        """The dose at which the model's own dial stands at 1, in mean residual norms: the median of the
        calibrated ones, which are the largest that leave a text coherent; `DOSE` where none is calibrated."""
        known = self.vectors.doses[self.vectors.doses.isfinite()]
        return round(float(known.median()), 3) if len(known) else DOSE

    def told(self, stage: str, done: int, total: int) -> None:
        """Reports progress."""
        if self.progress is not None:
            self.progress(stage, done, total)
