"""Quality: what a set of vectors is worth, measured on what its extraction has not seen."""

from affekt.quality.card import KEYS, QUICK, check
from affekt.quality.dial import calibrate_dial
from affekt.quality.figure import Figure
from affekt.quality.keeping import concept_vectors, dial_to, extract_to
from affekt.quality.markdown import markdown
from affekt.quality.section import Section
from affekt.quality.terminal import render

__all__ = [
    "KEYS",
    "QUICK",
    "Figure",
    "Section",
    "calibrate_dial",
    "check",
    "concept_vectors",
    "dial_to",
    "extract_to",
    "markdown",
    "render",
]
