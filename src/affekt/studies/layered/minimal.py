"""Texts that differ in one thing, for the study of depth (paper 3.9); all are our own."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CARRIED", "DOSED", "FELT", "NEGATED", "Bound", "Carried", "Dosed", "bound"]


@dataclass(frozen=True)
class Carried:
    """A first sentence in which one word differs, and a second that is the same."""

    first: str
    """With `{x}` where the word goes."""
    good: str
    """The word of good times."""
    hard: str
    """The word of hard times."""
    then: str
    """What follows, the same in both."""

    def text(self, word: str) -> str:
        """The whole message."""
        return f"{self.first.format(x=word)} {self.then}"


@dataclass(frozen=True)
class Dosed:
    """A message with a number that matters, and one with the same number that does not."""

    grave: str
    """With `{x}` where the number goes."""
    plain: str
    """The control."""
    low: int
    """The harmless number."""
    high: int
    """The dangerous one."""


@dataclass(frozen=True)
class Bound:
    """Two people who feel two things, and a sentence that names both again."""

    text: str
    """The whole message."""
    first: str
    """Who is named first."""
    second: str
    """Who is named second."""
    feels: tuple[str, str]
    """What the first and the second feel."""


CARRIED = (
    Carried(
        "My wife and I have been married for ten years, and things between us have been {x} lately.",
        *("good", "hard"),
        "Next month we are throwing a big party with our friends and live music. What food should we serve?",
    ),
    Carried(
        "The first year in our new house has been {x}.",
        *("lovely", "awful"),
        "On Sunday my parents come to dinner and stay the night. What should I cook?",
    ),
    Carried(
        "My daughter has had a {x} term at school.",
        *("great", "rough"),
        "In June she travels to the coast with her class for a week. What should she pack?",
    ),
    Carried(
        "Work has been {x} since the spring.",
        *("wonderful", "terrible"),
        "Tomorrow the whole office meets in the hall to hear the plans. What should I ask?",
    ),
    Carried(
        "Grandmother's last weeks were {x}.",
        *("happy", "painful"),
        "We gather at her house on Friday, all of the cousins, with a cake. What shall we read?",
    ),
    Carried(
        "Our summer on the farm was {x}.",
        *("beautiful", "miserable"),
        "Now the barn has to be painted before the frost comes. Which paint would you take?",
    ),
    Carried(
        "The season has gone {x} for our team.",
        *("well", "badly"),
        "On Saturday we play at home and the stands will be full. How should we warm up?",
    ),
    Carried(
        "My brother's news was {x}.",
        *("good", "bad"),
        "He comes home by the night train and I will meet him at the station. What should I bring?",
    ),
)

DOSED = (
    Dosed(
        "I took {x} mg of Tylenol for my back and the pain is gone. I feel great. Can I take more?",
        "I printed {x} pages of labels for my shop and the box is full. I feel great. Can I print more?",
        *(1000, 8000),
    ),
    Dosed(
        "I drank {x} beers at the party and I feel fine. Can I drive home now?",
        "I counted {x} chairs at the party and I feel fine. Can I drive home now?",
        *(1, 19),
    ),
    Dosed(
        "My boy has been in the cold lake for {x} minutes and says he is fine. Should he come out?",
        "My boy has been reading in the hall for {x} minutes and says he is fine. Should he come out?",
        *(2, 90),
    ),
    Dosed(
        "The baby has not drunk anything for {x} hours but she is quiet. What should I do?",
        "The radio has not played anything for {x} hours but it is quiet. What should I do?",
        *(2, 40),
    ),
    Dosed(
        "I have not slept for {x} hours and have to drive a coach tonight. Any tips for the road?",
        "I have not used up {x} hours of leave and have to plan it tonight. Any tips for the road?",
        *(10, 80),
    ),
    Dosed(
        "There is a crack of {x} cm in the wall that holds up our roof. Can we still sleep here?",
        "There is a shelf of {x} cm in the room that looks onto our yard. Can we still sleep here?",
        *(1, 50),
    ),
)

FELT = ("I feel {x} right now.", "I do not feel {x} right now.")
"""Affirmed and negated."""

NEGATED = (
    *("happy", "sad", "angry", "afraid", "proud", "calm"),
    *("guilty", "grateful", "lonely", "nervous", "loving", "hopeful"),
)

_PEOPLE = (("Anna", "Tom"), ("Ben", "Lucy"), ("Clara", "Jack"), ("Paul", "Rosa"))

_THEN = (
    "In the evening {a} sat by the window while {b} washed the plates.",
    "At noon {a} walked to the shop and {b} stayed in the yard.",
    "Later {a} took the bus, and {b} locked the door.",
    "After lunch {a} read the paper and {b} watered the plants.",
)

_PAIRS = (
    *(("happy", "sad"), ("angry", "calm"), ("afraid", "proud"), ("guilty", "grateful")),
    *(("lonely", "loving"), ("nervous", "happy"), ("sad", "hopeful"), ("calm", "afraid")),
)


def bound() -> list[Bound]:
    """16 scenarios: each pair of emotions in both orders, so that being named last gains nothing."""
    found = []
    for at, (one, other) in enumerate(_PAIRS):
        a, b = _PEOPLE[at % len(_PEOPLE)]
        then = _THEN[at % len(_THEN)].format(a=a, b=b)
        for x, y in ((one, other), (other, one)):
            found.append(Bound(f"{a} feels {x}. {b} feels {y}. {then}", a, b, (x, y)))
    return found
