"""Study 6 (paper 3.9): where in depth an emotion is read: what went before, negation, and who feels it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.models.prompt import Encoded
from affekt.quality.bootstrap import mean
from affekt.studies.lab import Lab
from affekt.studies.result import Drawn, Result, Table, by_sign

__all__ = ["layers"]

AFTER = (
    "I put the kettle on and sat down at the table.",
    "The bus came at ten past nine, as it always does.",
    "She closed the door behind her and walked to the corner.",
    "We washed the plates and left them by the window.",
)
"""Sentences that say nothing of a feeling."""

PAIRS = (
    ("happy", "The letter said that I had been accepted.", "The letter said that I had been turned down."),
    ("relieved", "The scan was clear; the lump is nothing.", "The scan was not clear; the lump has spread."),
    ("proud", "My daughter won the prize she worked for.", "My daughter was caught cheating for the prize."),
    (
        "afraid",
        "Somebody tried the handle of our door last night.",
        "Somebody repaired the handle of our door.",
    ),
    ("lonely", "Nobody came to my birthday this year.", "Everybody came to my birthday this year."),
    ("angry", "He read my diary aloud to his friends.", "He gave my diary back and had not opened it."),
    ("grateful", "A stranger paid for my mother's operation.", "A stranger sold my mother's operation date."),
    ("sad", "The old dog died in his sleep on Sunday.", "The old dog was in high spirits on Sunday."),
)
"""Emotion, a sentence that calls for it, and one of the same words that does not."""

NEGATED = ("He is {x}.", "He is not {x}.", "She felt {x} that day.", "She felt not at all {x} that day.")
WORDS = ("happy", "angry", "afraid", "sad", "proud", "calm", "guilty", "grateful")
BOUND = ("Tom is {x} and Anna is {y}. Tom", "Anna is {y} and Tom is {x}. Tom")


def layers(lab: Lab) -> Result:
    """z at every layer that the vectors hold: of what a sentence before leaves on neutral words, of a negated
    emotion word, and of the emotion of the one who is named last."""
    held = lab.vectors.layers
    measured = {
        "carried over": (_carried(lab), [name for name, _, _ in PAIRS for _ in AFTER], "emotions"),
        "negation": (_negated(lab), [word for word in WORDS for _ in range(len(NEGATED) // 2)], "words"),
        "binding": (_bound(lab), [x for x in WORDS for y in WORDS if x != y], "words"),
    }
    rows, figures = [], {}
    for kind, (values, groups, of) in measured.items():
        for at, layer in enumerate(held):
            figure = mean(values[at], f"texts, drawn by {of} ({len(set(groups))})", groups)
            if layer == lab.vectors.read_layer:
                figures[kind] = figure
            rows.append(
                {
                    "what": kind,
                    "layer": layer,
                    "z": figure.value,
                    "low": figure.low,
                    "high": figure.high,
                    "n": figure.n,
                }
            )
    checks = [
        by_sign(
            "a sentence before raises its emotion on neutral words after it (z)",
            "yes, from early-middle layers",
            "–",
            figures["carried over"],
        ),
        by_sign(
            "a negated emotion word is read lower than an affirmed one (z)",
            "in later layers",
            "–",
            figures["negation"],
        ),
        by_sign(
            "at a name, the emotion of that person is above the other's (z)",
            "in later layers",
            "–",
            figures["binding"],
        ),
    ]
    chart = Drawing(
        [
            Scatter(
                x=list(held),
                y=[row["z"] for row in rows if row["what"] == kind],
                name=kind,
                mode="lines+markers",
            )
            for kind in measured
        ]
    )
    chart.update_layout(xaxis_title="layer", yaxis_title="difference in z", height=380, showlegend=True)
    return Result(
        "layers",
        "Where in depth is an emotion read?",
        f"At layer {lab.vectors.read_layer}: carried over {figures['carried over']}, negation "
        f"{figures['negation']}, binding "
        f"{figures['binding']} (differences in z).",
        (Table.of("layers", rows),),
        (
            Drawn(
                "layers",
                chart,
                "Each line: a difference in z between two texts that differ in what is asked. Only the "
                "layers that the vectors hold.",
            ),
        ),
        tuple(checks),
        (
            f"{len(PAIRS)} pairs x {len(AFTER)} neutral sentences; {len(WORDS)} words x {len(NEGATED) // 2} "
            "sentences; "
            f"{len(WORDS) * (len(WORDS) - 1)} ordered pairs of words x {len(BOUND)} orders.",
        ),
    )


def _carried(lab: Lab) -> Float[np.ndarray, "layers texts"]:
    """z of the emotion beyond the mean of all, over the neutral sentence, after the one prefix less after the
    other."""
    texts, names = [], []
    for name, calling, other in PAIRS:
        for after in AFTER:
            texts += [f"{calling} {after}", f"{other} {after}"]
            names += [name, name]

    def pick(encoded: Encoded) -> list[int]:
        start = max(encoded.text.rfind(after) for after in AFTER)
        return [i for i, (a, b) in enumerate(encoded.spans) if a >= start and b > a]

    z = _z(lab, texts, pick)
    z = z - z.mean(axis=-1, keepdims=True)
    own = np.stack([z[:, i, lab.names.index(name)] for i, name in enumerate(names)], axis=1)
    change: np.ndarray = own[:, 0::2] - own[:, 1::2]
    return change


def _negated(lab: Lab) -> Float[np.ndarray, "layers texts"]:
    """z of the word beyond the mean of all, at the full stop, affirmed less negated."""
    texts = [form.format(x=word) for word in WORDS for form in NEGATED]
    z = _z(lab, texts, lambda encoded: [len(encoded) - 1])
    z = z - z.mean(axis=-1, keepdims=True)
    columns = [lab.names.index(word) for word in WORDS for _ in NEGATED]
    own = np.stack([z[:, i, column] for i, column in enumerate(columns)], axis=1)
    change: np.ndarray = own[:, 0::2] - own[:, 1::2]
    return change


def _bound(lab: Lab) -> Float[np.ndarray, "layers texts"]:
    """z of Tom's emotion less Anna's, at the last word, `Tom`; both orders, so that the nearer one gains
    nothing."""
    pairs = [(x, y) for x in WORDS for y in WORDS if x != y]
    texts = [form.format(x=x, y=y) for x, y in pairs for form in BOUND]
    z = _z(lab, texts, lambda encoded: [len(encoded) - 1])
    own = np.array(
        [
            z[:, i, lab.names.index(x)] - z[:, i, lab.names.index(y)]
            for i, (x, y) in enumerate(pair for pair in pairs for _ in BOUND)
        ]
    )
    mean_of_orders: np.ndarray = own.reshape(len(pairs), len(BOUND), -1).mean(axis=1).T
    return mean_of_orders


def _z(lab: Lab, texts: list[str], pick: object) -> Float[np.ndarray, "layers texts emotions"]:
    held = lab.vectors.layers
    readouts = [lab.vectors.readout(layer).only(lab.emotions) for layer in held]
    out = np.zeros((len(held), len(texts), len(lab.emotions)))
    for one in lab.engine().collect(texts, held, pick):  # type: ignore[arg-type]
        for at, readout in enumerate(readouts):
            out[at, one.index] = readout.z(one.values[at, 0], "text").double().numpy()
    return out
