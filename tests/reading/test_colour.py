from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affekt.reading.colour import DARK, LIGHT, SCALE, STEPS, Paper, diverging, hexadecimal, ramp, step

PAPERS = pytest.mark.parametrize("paper", [LIGHT, DARK], ids=["light", "dark"])


def luminance(colour: tuple[int, int, int]) -> float:
    parts = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@PAPERS
def test_neutral_is_the_paper_and_the_ends_are_red_and_blue(paper: Paper):
    assert diverging(0, paper=paper) == paper.ground
    assert diverging(SCALE, paper=paper) == diverging(99, paper=paper) == paper.red
    assert diverging(-SCALE, paper=paper) == diverging(-99, paper=paper) == paper.blue
    assert paper.red[0] > paper.red[2] and paper.blue[2] > paper.blue[0]


@PAPERS
def test_text_can_be_read_on_every_step(paper: Paper):
    assert min(contrast(colour, paper.ink) for colour in ramp(paper)) >= 4.5


@PAPERS
def test_both_ends_are_equally_light(paper: Paper):
    assert contrast(paper.red, paper.blue) < 1.15


@PAPERS
def test_stronger_readings_stand_out_more_from_the_paper(paper: Paper):
    for sign in (1, -1):
        away = [contrast(diverging(sign * z / 4, paper=paper), paper.ground) for z in range(17)]
        assert away == sorted(away) and away[-1] > away[0] + 1


def test_red_and_blue_differ_for_the_colour_blind():
    # Blue against red differs most in the channel that the common (red-green) blindnesses leave whole.
    for paper in (LIGHT, DARK):
        assert abs(paper.red[2] - paper.blue[2]) >= 100


@given(st.floats(-20, 20), st.floats(0.1, 10))
def test_the_ramp_is_the_rule_looked_up(z, scale):
    k = step(z, scale)
    assert -STEPS <= k <= STEPS
    assert ramp()[k + STEPS] == diverging(k / STEPS, 1.0)
    assert ramp()[k + STEPS] == diverging(k * scale / STEPS, scale) or abs(k) == STEPS
    assert abs(k - max(-1, min(1, z / scale)) * STEPS) <= 0.5 + 1e-9


def test_bad_numbers_have_no_colour():
    with pytest.raises(ValueError, match="scale of 0"):
        diverging(1, 0)
    with pytest.raises(ValueError, match="not a number"):
        diverging(float("nan"))


def test_hexadecimal_is_what_css_takes():
    assert hexadecimal((1, 171, 255)) == "#01abff"
