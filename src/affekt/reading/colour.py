"""The one colour rule: red above neutral, blue below, the paper's own colour at 0.

Red against blue is told apart with any of the usual colour blindnesses; the two ends are equally light, so
neither looks stronger. Text in the ink of the same paper keeps a contrast of 4.5 to 1 on every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

__all__ = ["DARK", "LIGHT", "RGB", "SCALE", "STEPS", "Paper", "diverging", "hexadecimal", "ramp", "step"]

RGB = tuple[int, int, int]

SCALE = 4.0
"""The |z| at which the colour is full, unless asked otherwise; one for all pictures, so that they compare."""
STEPS = 20
"""Steps of the ramp on each side of 0, where colours are looked up and not computed."""


@dataclass(frozen=True)
class Paper:
    """What the text stands on."""

    ground: RGB
    """The colour at 0."""
    ink: RGB
    """The colour of the text, on every step."""
    red: RGB
    """The colour at `scale` and above."""
    blue: RGB
    """The colour at `-scale` and below."""


LIGHT = Paper(ground=(255, 255, 255), ink=(28, 28, 32), red=(229, 92, 78), blue=(86, 141, 222))
DARK = Paper(ground=(27, 28, 32), ink=(238, 238, 242), red=(180, 55, 44), blue=(40, 98, 190))


def diverging(z: float | int, scale: float | int = SCALE, *, paper: Paper = LIGHT) -> RGB:
    """The colour of a z, red, green and blue from 0 to 255.

    Mixed in OKLab (Ottosson 2020), where equal steps of z look equally far apart.

    Raises:
        ValueError: for a scale that is not above 0, or a z that is no number.
    """
    share = _share(z, scale)
    end = paper.red if share > 0 else paper.blue
    ground, full = _lab(paper.ground), _lab(end)
    return _rgb(*(g + (f - g) * abs(share) for g, f in zip(ground, full, strict=True)))


def step(z: float | int, scale: float | int = SCALE) -> int:
    """The nearest step of the ramp, from -STEPS to STEPS."""
    return math.floor(_share(z, scale) * STEPS + 0.5)


@cache
def ramp(paper: Paper = LIGHT) -> tuple[RGB, ...]:
    """The colours of all steps, from -STEPS to STEPS."""
    return tuple(diverging(i, STEPS, paper=paper) for i in range(-STEPS, STEPS + 1))


def hexadecimal(colour: RGB) -> str:
    """As CSS writes it: `#e55c4e`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _share(z: float | int, scale: float | int) -> float:
    if not (scale > 0 and math.isfinite(scale)):
        raise ValueError(f"a colour scale of {scale}; it must be above 0")
    if math.isnan(z):
        raise ValueError("no colour for a z that is not a number")
    return max(-1.0, min(1.0, z / scale))


@cache
def _lab(colour: RGB) -> tuple[float, float, float]:
    r, g, b = (_linear(value / 255) for value in colour)
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _rgb(lightness: float, a: float, b: float) -> RGB:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    red = 4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short
    green = -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short
    blue = -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short
    return (_byte(red), _byte(green), _byte(blue))


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _byte(value: float) -> int:
    value = max(0.0, min(1.0, value))
    gamma = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * gamma)
