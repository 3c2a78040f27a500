"""Search for a lasting emotional state (paper 6.5): a classifier of the felt emotion over pooled conditions,
and whether it means anything on texts without emotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from affekt.concepts.shipped import implicit, neutral, stories
from affekt.quality.bootstrap import mean, share
from affekt.quality.figure import Figure
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Table, Verdict
from affekt.studies.scenes import plainly

__all__ = ["Fitted", "chronic", "decoded"]

FOLDS = 5
PENALTY = 0.01
"""Inverse strength of the ridge on standardised residuals."""

NEUTRAL = {"quick": 40, "full": 240}
"""Dialogues without emotion in the sweep."""

FORMS = ("dialogue", "monologue", "observer")
"""Forms of the shipped texts in which an emotion is expressed openly."""

SURE = 0.8
"""Share of its confidence that a classifier keeps on texts without emotion, from which it counts as
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


def chronic(
    lab: Lab,
    names: Sequence[str],
    scenes: Float[np.ndarray, "scenes d_model"],
    felt: Int[np.ndarray, " scenes"],
    shown: Sequence[str],
) -> tuple[Table, list[Check], str]:
    """A classifier of the emotion over expressed and hidden texts; its accuracy on each condition held out;
    and the sweep: how sure it is on texts without emotion, and how right on messages that imply one.

    Args:
        lab: model and vectors.
        names: the emotions.
        scenes: residuals of the hiders' turns.
        felt: what is felt in each scene.
        shown: what is shown in each scene.
    """
    corpus = [t for t in stories() if t.concept in names and t.form in FORMS]
    open_rows = plainly(lab, [t.body for t in corpus]).double().numpy()
    open_labels = np.array([list(names).index(t.concept) for t in corpus])
    rows = np.concatenate([scenes, open_rows])
    labels = np.concatenate([felt, open_labels])
    # A scene's fold is that of what it shows, an open text's that of its form.
    hits, sure = decoded(rows, labels, [*(f"shown {s}" for s in shown), *(f"form {t.form}" for t in corpus)])
    n = len(scenes)
    everything = Fitted(rows, labels)
    calm = plainly(lab, [list(chat) for chat in neutral()[: NEUTRAL[lab.scale]]]).double().numpy()
    messages = [m for m in implicit() if m.concept in names]
    told = plainly(lab, [m.text for m in messages]).double().numpy()
    natural = everything.chances(told)
    right = (natural.argmax(axis=1) == [list(names).index(m.concept) for m in messages]).astype(float)
    on_neutral = mean(everything.chances(calm).max(axis=1), "dialogues")
    figures: Mapping[str, Figure] = {
        "expressed, held out": share(hits[n:], "texts"),
        "hidden, held out": share(hits[:n], "scenes"),
        "messages that imply an emotion": share(right, "messages"),
    }
    confidence = {
        "expressed, held out": mean(sure[n:], "texts"),
        "hidden, held out": mean(sure[:n], "scenes"),
        "messages that imply an emotion": mean(natural.max(axis=1), "messages"),
        "dialogues without emotion": on_neutral,
    }
    table = Table.of(
        "chronic",
        [
            {
                "texts": what,
                "accuracy": figures[what].value if what in figures else None,
                "low": figures[what].low if what in figures else None,
                "high": figures[what].high if what in figures else None,
                "chance": 1 / len(names),
                "confidence": sure_of.value,
                "n": sure_of.n,
            }
            for what, sure_of in confidence.items()
        ],
    )
    own = confidence["hidden, held out"].value
    kept = on_neutral.value / own if own else float("nan")
    overfit = kept >= SURE and figures["hidden, held out"].low > 1 / len(names)
    checks = [
        Check(
            "pooled classifier of the felt emotion: right on held-out hidden scenes",
            "0.760 (chance 0.067)",
            "–",
            str(figures["hidden, held out"]),
            f"lower end above twice chance ({2 / len(names):.2f}); partly: above chance",
            _level(figures["hidden, held out"], 1 / len(names)),
        ),
        Check(
            "the same classifier is as sure on texts without emotion (overfitted)",
            "judged overfitted, a negative result",
            "–",
            f"confidence {on_neutral} on neutral dialogues, {own:.2f} on held-out scenes",
            f"right above chance on held-out scenes, and keeps at least {SURE:.0%} of its confidence",
            "reproduced" if overfit else "not reproduced",
        ),
    ]
    said = (
        f"A classifier over expressed and hidden texts is right on {figures['hidden, held out']} of hidden "
        f"scenes held out, and on texts without emotion it keeps {kept:.0%} of its confidence"
        + (": it is overfitted." if overfit else ".")
    )
    return table, checks, said


def _level(figure: Figure, chance: float) -> Verdict:
    return "reproduced" if figure.low > 2 * chance else "partly" if figure.low > chance else "not reproduced"
