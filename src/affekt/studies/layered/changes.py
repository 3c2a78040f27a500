"""What differs, layer by layer, between texts that differ in one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from affekt.models.prompt import Encoded
from affekt.studies.lab import Lab
from affekt.studies.layered.bank import Bank
from affekt.studies.layered.depth import Depth, readings, token_at
from affekt.studies.layered.minimal import CARRIED, DOSED, FELT, NEGATED, bound
from affekt.studies.result import Table

__all__ = ["Change", "binding", "carried", "dosed", "negation"]

HAPPY, AFRAID = "happy", "terrified"
"""Read of what went before, and of doses, as in the paper's figures 12 and 13."""


@dataclass(frozen=True, eq=False)
class Change:
    """Differences at some places of the texts."""

    about: str
    """What is subtracted from what."""
    places: Mapping[str, Mapping[str, np.ndarray]]
    """Place -> `own` [layers, templates] and `random` [layers, templates, mixtures]."""
    map: tuple[Float[np.ndarray, "layers tokens"], list[str]] | None = None
    """Of the first template: differences by layer and token, and the tokens' texts."""

    def map_table(self, kind: str) -> Table:
        """The map as a table, a row a token."""
        assert self.map is not None
        values, tokens = self.map
        columns = {f"layer {layer}": np.round(row, 4).tolist() for layer, row in enumerate(values)}
        return Table(f"map, {kind}", {"token": tokens} | columns)


def carried(lab: Lab, bank: Bank) -> Change:
    """happy after good times less happy after hard ones, on words that are the same."""
    texts = [pair.text(word) for pair in CARRIED for word in (pair.good, pair.hard)]
    found = readings(lab, bank, texts)
    column = bank.names.index(HAPPY)
    after, end = [], []
    for at, pair in enumerate(CARRIED):
        good, hard = found[2 * at], found[2 * at + 1]
        spans = [_span(one.encoded, pair.then) for one in (good, hard)]
        n = min(len(span) for span in spans)
        # Counted from the end, where the two have the same tokens.
        after.append(good.z[:, spans[0][-n:]].mean(axis=1) - hard.z[:, spans[1][-n:]].mean(axis=1))
        end.append(good.z[:, -1] - hard.z[:, -1])
    return Change(
        "happy(good) − happy(hard)",
        {
            "the same words after": _parted(after, column, len(bank.names)),
            "the prompt's end": _parted(end, column, len(bank.names)),
        },
        _aligned(found[0], found[1], column),
    )


def dosed(lab: Lab, bank: Bank) -> Change:
    """terrified at a high dose less at a low one, less the same of the same numbers without danger."""
    texts = [form.format(x=x) for d in DOSED for form in (d.grave, d.plain) for x in (d.high, d.low)]
    found = readings(lab, bank, texts)
    column = bank.names.index(AFRAID)
    number, end = [], []
    for at, dose in enumerate(DOSED):
        high, low, plain_high, plain_low = found[4 * at : 4 * at + 4]
        ends = [one.z[:, -1] for one in (high, low, plain_high, plain_low)]
        end.append((ends[0] - ends[1]) - (ends[2] - ends[3]))
        at_digit = [
            one.z[:, token_at(one.encoded, str(x), last=False)]
            for one, x in ((high, dose.high), (low, dose.low), (plain_high, dose.high), (plain_low, dose.low))
        ]
        number.append((at_digit[0] - at_digit[1]) - (at_digit[2] - at_digit[3]))
    return Change(
        "terrified(8000 mg) − terrified(1000 mg)",
        {
            "the number": _parted(number, column, len(bank.names)),
            "the prompt's end": _parted(end, column, len(bank.names)),
        },
        _aligned(found[0], found[1], column),
    )


def negation(lab: Lab, bank: Bank) -> Change:
    """An emotion affirmed less the same negated, at its word, at `now`, and at the prompt's end."""
    words = [word for word in NEGATED if word in bank.names]
    found = readings(lab, bank, [form.format(x=word) for word in words for form in FELT])
    at: dict[str, list[np.ndarray]] = {"the emotion's word": [], "now": [], "the prompt's end": []}
    for i, word in enumerate(words):
        pair = found[2 * i : 2 * i + 2]
        for place, pick in (("the emotion's word", word), ("now", "now"), ("the prompt's end", None)):
            one, other = (each.z[:, -1 if pick is None else token_at(each.encoded, pick)] for each in pair)
            at[place].append(_own_first(one - other, bank.names.index(word), len(bank.names)))
    return Change(
        "affirmed − negated", {place: _parted(values, 0, len(bank.names)) for place, values in at.items()}
    )


def binding(lab: Lab, bank: Bank) -> Change:
    """A person's own emotion less the other's: at its word, and where the person is named again. A template
    is a pair of emotions, averaged over the orders in which they are named."""
    scenes = bound()
    found = readings(lab, bank, [scene.text for scene in scenes])
    word, again = [], []
    for scene, one in zip(scenes, found, strict=True):
        at_word, at_name = [], []
        for own, (feels, name) in enumerate(zip(scene.feels, (scene.first, scene.second), strict=True)):
            other = scene.feels[1 - own]
            columns = [bank.names.index(feels), bank.names.index(other)]
            at_word.append(_contrast(one.z[:, token_at(one.encoded, feels, last=False)], columns, bank))
            at_name.append(_contrast(one.z[:, token_at(one.encoded, name)], columns, bank))
        word.append(np.mean(at_word, axis=0))
        again.append(np.mean(at_name, axis=0))
    return Change(
        "own − other's",
        {
            "the emotion's word": _parted(_by_pair(word), 0, len(bank.names)),
            "the person named again": _parted(_by_pair(again), 0, len(bank.names)),
        },
    )


def _by_pair(values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Means over the two scenes of each pair, which `bound` gives one after the other."""
    return [np.mean(both, axis=0) for both in zip(values[::2], values[1::2], strict=True)]


def _parted(values: Sequence[np.ndarray], column: int, names: int) -> dict[str, np.ndarray]:
    stacked = np.stack(values, axis=1)
    return {"own": stacked[:, :, column], "random": stacked[:, :, names:]}


def _own_first(values: Float[np.ndarray, "layers columns"], column: int, names: int) -> np.ndarray:
    """The emotion's column moved to the front; the mixtures stay where they are."""
    out = values.copy()
    out[:, 0] = values[:, column]
    assert names <= values.shape[1]
    return out


def _contrast(values: Float[np.ndarray, "layers columns"], columns: Sequence[int], bank: Bank) -> np.ndarray:
    """One emotion less another in the front; each mixture less the next one after."""
    out = np.zeros_like(values)
    out[:, 0] = values[:, columns[0]] - values[:, columns[1]]
    mixtures = values[:, len(bank.names) :]
    out[:, len(bank.names) :] = mixtures - np.roll(mixtures, 1, axis=1)
    return out


def _span(encoded: Encoded, words: str) -> list[int]:
    start = encoded.text.index(words)
    end = start + len(words)
    return [i for i, (a, b) in enumerate(encoded.spans) if a < end and b > start and b > a]


def _aligned(one: Depth, other: Depth, column: int) -> tuple[np.ndarray, list[str]]:
    """The difference on the tokens from the end on that both share, the one that differs included."""
    a, b = one.encoded, other.encoded
    n = 0
    while n < min(len(a), len(b)) and a.ids[len(a) - 1 - n] == b.ids[len(b) - 1 - n]:
        n += 1
    n = min(n + 1, len(a), len(b))
    values = one.z[:, -n:, column] - other.z[:, -n:, column]
    tokens = [a.text[start:end].replace("\n", "⏎") for start, end in a.spans[-n:]]
    return values, tokens
