"""Readings made by hand or by chance, for the tests of this room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from affekt.reading.reading import Reading
from affekt.reading.roles import ROLES

CONCEPTS = ("calm", "desperate", "grief-stricken")
CHAT = (
    ("<s>", "special"),
    ("<|user|>", "special"),
    ("\n", "template"),
    ("I", "user"),
    (" am", "user"),
    (" lost", "user"),
    (".", "user"),
    ("\n", "template"),
    ("<|assistant|>", "generation"),
    ("\n", "generation"),
    ("Breathe", "assistant"),
    (",", "assistant"),
    (" slowly", "assistant"),
    (".", "assistant"),
)


def made(
    tokens: Sequence[tuple[str, str]],
    z: np.ndarray | None = None,
    concepts: tuple[str, ...] = CONCEPTS,
    unwritten: tuple[str, ...] = ("<s>",),
) -> Reading:
    """A reading of the tokens one after another; those `unwritten` have no characters in the text."""
    text, spans = "", []
    for token, _ in tokens:
        start = len(text)
        text += "" if token in unwritten else token
        spans.append((start, len(text)))
    if z is None:
        z = np.random.default_rng(0).normal(size=(len(tokens), len(concepts)))
    z = np.asarray(z, dtype=np.float32)
    return Reading(
        text=text,
        tokens=tuple(token for token, _ in tokens),
        spans=tuple(spans),
        roles=tuple(role for _, role in tokens),
        concepts=concepts,
        z=z,
        cosine=z / 100,
        projection=z * 10,
        layer=20,
        model="tiny-model",
    )


def chat() -> Reading:
    """A short chat whose z are 0.00, 0.01, 0.02 … in reading order."""
    z = np.arange(len(CHAT) * len(CONCEPTS)).reshape(len(CHAT), -1) / 100
    return made(CHAT, z)


Parts = tuple[list[tuple[str, str]], np.ndarray, tuple[str, ...], tuple[str, ...]]


@st.composite
def parts(draw: st.DrawFn, most: int = 8, span: float = 1e4) -> Parts:
    """What `made` makes any valid reading of: any characters, any roles, none or several tokens and concepts.

    The reading itself is made in the test: the checks of its types draw random numbers of their own.
    """
    words = draw(st.lists(st.text(max_size=4), max_size=most))
    tokens = [(word, draw(st.sampled_from(ROLES))) for word in words]
    names = tuple(draw(st.lists(st.text(min_size=1, max_size=6), max_size=4, unique=True)))
    numbers = st.floats(-span, span, width=32)
    z = draw(hnp.arrays(np.float32, (len(tokens), len(names)), elements=numbers))
    return tokens, z, names, ()
