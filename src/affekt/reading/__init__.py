"""Readings: the numbers of each concept at each token, what is made of them, and ways to show them."""

from affekt.reading.axes import Axis, AxisTrace, arousal, fit_axis, valence
from affekt.reading.colour import diverging
from affekt.reading.reading import Reading
from affekt.reading.smoothing import exponential, window
from affekt.reading.summary import Summary

__all__ = [
    "Axis",
    "AxisTrace",
    "Reading",
    "Summary",
    "arousal",
    "diverging",
    "exponential",
    "fit_axis",
    "valence",
    "window",
]
