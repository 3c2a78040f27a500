"""What an audit asks, and of whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from affekt.audit.keep import Keep, Seen
from affekt.audit.measure import VIEWS, Asked, Writing, ends, ends_and_replies, replies
from affekt.audit.prompts import Form, Prompt
from affekt.audit.quantities import weights
from affekt.audit.subject import Subject
from affekt.errors import PromptError, closest
from affekt.progress import Progress
from affekt.vectors import ConceptVectors
from affekt.vectors.readout import Position

__all__ = ["Setup", "views_of"]

POSITION: dict[str, Position] = {"plain end": "prompt_end", "chat end": "prompt_end", "reply": "reply"}


@dataclass(frozen=True)
class Setup:
    """The same questions for every model of one audit."""

    prompts: tuple[Prompt, ...]
    """The messages."""
    vectors: ConceptVectors
    """One set, read on every model."""
    views: tuple[str, ...]
    """The places that are compared."""
    reply_form: Form
    """In which form replies are asked for."""
    writing: Writing
    """How replies are written."""
    keep: Keep
    """Where measurements stay."""
    progress: Progress | None = None
    """Told how far the work is."""

    def asked(self, form: Form, paraphrased: bool = False) -> Asked:
        """The messages in a form; with `paraphrased`, those that have one in other words."""
        texts = [prompt.paraphrase if paraphrased else prompt.text for prompt in self.prompts]
        return Asked(tuple(text for text in texts if text is not None), form, self.vectors.layers)

    def form(self, view: str) -> Form:
        """The form in which a view is asked for."""
        return self.reply_form if view == "reply" else "plain" if view == "plain end" else "chat"

    def see(
        self, subject: Subject, view: str, *, paraphrased: bool = False, writing: Writing | None = None
    ) -> Seen:
        """A model's residuals at a view."""
        asked = self.asked(self.form(view), paraphrased)
        if view == "reply":
            return replies(subject, asked, writing or self.writing, self.keep, self.progress)
        return ends(subject, asked, self.keep, self.progress)

    def look(self, subject: Subject, *, paraphrased: bool = False) -> dict[str, Seen]:
        """A model's residuals at every view; a reply is written and read in the pass that reads the end of
        its prompt."""
        seen: dict[str, Seen] = {}
        end = f"{self.reply_form} end"
        if "reply" in self.views and end in self.views:
            asked = self.asked(self.reply_form, paraphrased)
            seen[end], seen["reply"] = ends_and_replies(
                subject, asked, self.writing, self.keep, self.progress
            )
        return {
            view: seen[view] if view in seen else self.see(subject, view, paraphrased=paraphrased)
            for view in self.views
        }

    def z(self, seen: Seen, view: str, layer: int | None = None) -> Float[np.ndarray, "prompts quantities"]:
        """z of every quantity, for each prompt; NaN for an empty reply."""
        layer = self.vectors.read_layer if layer is None else layer
        readout = self.vectors.readout(layer)
        z = readout.z(seen.residuals[:, self.vectors.place(layer)], POSITION[view]).double().numpy()
        weighted: Float[np.ndarray, "prompts quantities"] = np.matmul(z, weights(self.vectors.concepts))
        return weighted

    def difference(
        self, before: Seen, after: Seen, view: str, layer: int | None = None
    ) -> Float[np.ndarray, "prompts quantities"]:
        """z after less z before, prompt by prompt."""
        change: Float[np.ndarray, "prompts quantities"] = self.z(after, view, layer) - self.z(
            before, view, layer
        )
        return change

    def norms(self, seen: Seen) -> Float[Tensor, " prompts"]:
        """Length of each residual at the read layer."""
        rows = seen.residuals[:, self.vectors.place(self.vectors.read_layer)]
        lengths: Tensor = torch.linalg.vector_norm(rows, dim=-1)
        return lengths


def views_of(asked: Sequence[str], with_template: bool, names: str) -> tuple[str, ...]:
    """The views that every model has, in the order of `VIEWS`; those that were asked for must be among them.

    Raises:
        PromptError: an unknown view, or one that needs a template that some model has not.
    """
    for view in asked:
        if view not in VIEWS:
            raise PromptError(f"unknown view {view!r}{closest(view, VIEWS)} (known: {', '.join(VIEWS)})")
        if view == "chat end" and not with_template:
            raise PromptError(
                f"the view 'chat end' needs a chat template, which not all of {names} have; compare "
                "'plain end' and 'reply' instead"
            )
    return tuple(
        view for view in VIEWS if (view in asked or not asked) and (with_template or view != "chat end")
    )
