"""Search for a lasting emotional state (paper 6.5): a classifier of the felt emotion over pooled conditions,
and whether it means anything on texts without emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from affekt.concepts.shipped import implicit, natural, neutral, stories
from affekt.quality.bootstrap import mean, share
from affekt.quality.figure import Figure
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Table, Verdict
from affekt.studies.speaking.scenes import plainly

__all__ = ["Fitted", "Lasting", "chronic", "decoded"]

FOLDS = 5
PENALTY = 0.01
"""Inverse strength of the ridge on standardised residuals."""

NEUTRAL = {"quick": 40, "full": 240}
"""Dialogues without emotion in the sweep."""

FORMS = ("dialogue", "monologue", "observer")
"""Forms of the shipped texts in which an emotion is expressed openly."""

SHOWN = 3
"""Passages shown for each emotion."""

SURE = 0.8
"""Share of its confidence that a classifier keeps on texts in which nobody feels it, from which it counts as
overfitted."""


class Fitted:
    """A multinomial logistic regression on standardised rows."""

    def __init__(self, rows: Float[np.ndarray, "texts d_model"], labels: Int[np.ndarray, " texts"]) -> None:
        self._middle, self._spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
        self._fit = LogisticRegression(C=PENALTY, max_iter=500).fit(self._scaled(rows), labels)

    def _scaled(self, rows: Float[np.ndarray, "texts d_model"]) -> Float[np.ndarray, "texts d_model"]:
        scaled: Float[np.ndarray, "texts d_model"] = (rows - self._middle) / self._spread
        return scaled

    def chances(self, rows: Float[np.ndarray, "texts d_model"]) -> Float[np.ndarray, "texts labels"]:
        """The probability of each label."""
        found: Float[np.ndarray, "texts labels"] = self._fit.predict_proba(self._scaled(rows))
        return found


def decoded(
    rows: Float[np.ndarray, "texts d_model"], labels: Int[np.ndarray, " texts"], apart: Sequence[object]
) -> tuple[Float[np.ndarray, " texts"], Float[np.ndarray, " texts"]]:
    """Hits and confidence of held-out texts; texts of one group (`apart`) are never on both sides."""
    hits, sure = np.zeros(len(labels)), np.zeros(len(labels))
    for train, test in GroupKFold(FOLDS).split(rows, labels, np.array([str(a) for a in apart])):
        chances = Fitted(rows[train], labels[train]).chances(rows[test])
        known = np.unique(labels[train])
        hits[test] = known[chances.argmax(axis=1)] == labels[test]
        sure[test] = chances.max(axis=1)
    return hits, sure


@dataclass(frozen=True)
class Lasting:
    """What the search found."""

    tables: tuple[Table, ...]
    """Accuracy and confidence by kind of text, and the surest passages of books."""
    checks: tuple[Check, ...]
    """Whether it is right, and whether it is overfitted."""
    said: str
    """The same in a sentence."""


def chronic(
    lab: Lab,
    names: Sequence[str],
    scenes: Float[np.ndarray, "scenes d_model"],
    felt: Int[np.ndarray, " scenes"],
    shown: Sequence[str],
) -> Lasting:
    """A classifier of the emotion over expressed and hidden texts; its accuracy on each condition held out;
    and the sweep: how sure it is on dialogues without emotion and on passages of books, and how right on
    messages that imply one.

    Args:
        lab: model and vectors.
        names: the emotions.
        scenes: residuals of the hiders' turns.
        felt: what is felt in each scene.
        shown: what is shown in each scene.
    """
    corpus = [t for t in stories() if t.concept in names and t.form in FORMS]
    messages = [m for m in implicit() if m.concept in names]
    calm, books = neutral()[: NEUTRAL[lab.scale]], natural()
    read = plainly(
        lab,
        [
            *(t.body for t in corpus),
            *(m.text for m in messages),
            *(list(c) for c in calm),
            *(b.text for b in books),
        ],
    )
    parts = np.cumsum([len(corpus), len(messages), len(calm)])
    openly, told, plain, found = np.split(read.double().numpy(), parts)
    rows = np.concatenate([scenes, openly])
    labels = np.concatenate([felt, [list(names).index(t.concept) for t in corpus]])
    # A scene's fold is that of what it shows, an open text's that of its form.
    hits, sure = decoded(rows, labels, [*(f"shown {s}" for s in shown), *(f"form {t.form}" for t in corpus)])
    n = len(scenes)
    everything = Fitted(rows, labels)
    implied, on_plain, on_books = (everything.chances(some) for some in (told, plain, found))
    right = (implied.argmax(axis=1) == [list(names).index(m.concept) for m in messages]).astype(float)
    # Texts of one emotion are not independent of each other, so they are drawn together.
    by, groups = f"drawn by emotion ({len(names)})", [str(label) for label in labels]
    figures: Mapping[str, Figure] = {
        "expressed, held out": share(hits[n:], f"texts, {by}", groups[n:]),
        "hidden, held out": share(hits[:n], f"scenes, {by}", groups[:n]),
        "messages that imply an emotion": share(right, "messages"),
    }
    confidence = {
        "expressed, held out": mean(sure[n:], f"texts, {by}", groups[n:]),
        "hidden, held out": mean(sure[:n], f"scenes, {by}", groups[:n]),
        "messages that imply an emotion": mean(implied.max(axis=1), "messages"),
        "dialogues without emotion": mean(on_plain.max(axis=1), "dialogues"),
        "passages of books": mean(on_books.max(axis=1), "passages"),
    }
    swept = mean(np.concatenate([on_plain, on_books]).max(axis=1), "texts")
    checks, said = _judged(figures["hidden, held out"], confidence["hidden, held out"], swept, len(names))
    return Lasting(
        (_by_text(figures, confidence, 1 / len(names)), _surest(names, on_books, [b.text for b in books])),
        checks,
        said,
    )


def _by_text(figures: Mapping[str, Figure], confidence: Mapping[str, Figure], chance: float) -> Table:
    return Table.of(
        "chronic",
        [
            {
                "texts": what,
                "accuracy": figures[what].value if what in figures else None,
                "low": figures[what].low if what in figures else None,
                "high": figures[what].high if what in figures else None,
                "chance": chance,
                "confidence": own.value,
                "n": own.n,
            }
            for what, own in confidence.items()
        ],
    )


def _surest(names: Sequence[str], chances: Float[np.ndarray, "texts labels"], texts: Sequence[str]) -> Table:
    """For each emotion the passages on which the classifier is surest of it."""
    return Table.of(
        "sweep",
        [
            {
                "emotion": name,
                "place": place,
                "probability": round(float(chances[at, column]), 5),
                "passage": texts[at],
            }
            for column, name in enumerate(names)
            for place, at in enumerate(np.argsort(-chances[:, column], kind="stable")[:SHOWN], 1)
        ],
    )


def _judged(hidden: Figure, sure: Figure, swept: Figure, emotions: int) -> tuple[tuple[Check, ...], str]:
    kept = swept.value / sure.value if sure.value else float("nan")
    overfit = kept >= SURE and hidden.low > 1 / emotions
    checks = (
        Check(
            "pooled classifier of the felt emotion: right on held-out hidden scenes",
            "0.760 (chance 0.067)",
            "–",
            str(hidden),
            f"lower end above twice chance ({2 / emotions:.2f}); partly: above chance",
            _level(hidden, 1 / emotions),
            14,
        ),
        Check(
            "the same classifier is as sure on texts in which nobody feels it (overfitted)",
            "judged overfitted, a negative result",
            "–",
            f"confidence {swept} on neutral dialogues and passages of books, {sure.value:.2f} on held-out "
            "scenes",
            f"right above chance on held-out scenes, and keeps at least {SURE:.0%} of its confidence",
            "reproduced" if overfit else "not reproduced",
            14,
        ),
    )
    said = (
        f"A classifier over expressed and hidden texts is right on {hidden} of hidden scenes held out, and "
        f"on neutral dialogues and passages of books it keeps {kept:.0%} of its confidence"
        + (": it is overfitted." if overfit else ".")
    )
    return checks, said


def _level(figure: Figure, chance: float) -> Verdict:
    return "reproduced" if figure.low > 2 * chance else "partly" if figure.low > chance else "not reproduced"
