"""Does what is read at a place of the prompt foretell what is read over the reply, beyond any direction?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.studies.prompts.places import END, LAST, STOP, WORDS
from affekt.studies.result import Check, Table, Verdict

__all__ = ["MIXTURES", "Places", "Read", "pooled", "rise"]

Places: TypeAlias = Mapping[str, Float[np.ndarray, "prompts _"]]
"""Place -> what is read there, a column a direction."""

RESAMPLES = 400

LEAST = 0.3
"""r with the reply from which on a place is said to foretell it."""

APART = 0.5
"""r of two places under which they are apart."""

MIXTURES = 1000
"""Random mixtures of the readings that say how far any of them goes."""

PAIRS = {
    "prompt's end → reply": (END, "reply"),
    "statement's end → reply": (STOP, "reply"),
    "user's last token → reply": (LAST, "reply"),
    "user's words → reply": (WORDS, "reply"),
    "statement's end, prompt's end": (STOP, END),
    "user's last token, prompt's end": (LAST, END),
}
"""What is correlated. No rule judges the user's last token: it shows what the choice of the place does."""


@dataclass(frozen=True)
class Read:
    """The same prompts read by the emotions' probes and along random directions."""

    z: Places
    """The emotions' z."""
    random: Places
    """Projections on random directions of the whole space: a residual stream carries something along any
    direction, and an emotion's probe must do better."""

    def r(self, one: str, other: str) -> Figure:
        """Of the emotions, at two places."""
        return self._over(lambda read, drawn: pooled(read[one][drawn], read[other][drawn]), False)

    def beyond(self, place: str) -> Figure:
        """r with the reply, less that along random directions."""
        return self._over(lambda read, drawn: pooled(read[place][drawn], read["reply"][drawn]), True)

    def gain(self, beyond: bool) -> Figure:
        """How much better the prompt's end foretells the reply than the statement's end does; `beyond` what
        random directions gain."""
        return self._over(
            lambda read, drawn: (
                pooled(read[END][drawn], read["reply"][drawn])
                - pooled(read[STOP][drawn], read["reply"][drawn])
            ),
            beyond,
        )

    def _over(self, measure: Callable[[Places, np.ndarray], float], beyond: bool) -> Figure:
        return statistic(
            lambda drawn: measure(self.z, drawn) - (measure(self.random, drawn) if beyond else 0.0),
            len(self.z[END]),
            "prompts",
            RESAMPLES,
        )

    def only(self, where: Sequence[bool]) -> Read:
        """Some of the prompts."""
        kept = np.array(where, dtype=bool)
        return Read(*({place: own[kept] for place, own in of.items()} for of in (self.z, self.random)))

    def table(self, apart: Sequence[bool]) -> Table:
        """Every pair of places, with its controls: on all prompts, and on those whose statement and request
        are `apart`."""
        rows = self._rows("all")
        if sum(apart) > 1:
            rows += self.only(apart)._rows("statement and request apart")
        return Table.of("correlations", rows)

    def _rows(self, prompts: str) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for what, (a, b) in PAIRS.items():
            figure = self.r(a, b)
            rows.append(
                {
                    "prompts": prompts,
                    "what": what,
                    "r": figure.value,
                    "low": figure.low,
                    "high": figure.high,
                    "n": figure.n,
                    "r as they come": round(pooled(self.z[a], self.z[b], centred=False), 6),
                    "r along random directions": round(pooled(self.random[a], self.random[b]), 6),
                    "r with another prompt's": round(pooled(self.z[a], np.roll(self.z[b], 1, axis=0)), 6),
                }
            )
        return rows

    def each(self) -> dict[str, list[float]]:
        """r of every emotion with its own reading over the reply, place by place."""
        said = self.z["reply"]
        return {
            place: np.round(
                [pooled(self.z[place][:, [i]], said[:, [i]]) for i in range(said.shape[1])], 5
            ).tolist()
            for place in (STOP, LAST, WORDS, END)
        }

    def checks(self) -> list[Check]:
        """The rows on what foretells what."""
        end, stop = self.beyond(END), self.beyond(STOP)
        return [
            _foretold("prompt's end → reply, r", "0.87", "0.77", self.r(END, "reply"), end),
            _foretold("statement's end → reply, r", "0.59", "–", self.r(STOP, "reply"), stop),
            _better(self.gain(False), self.gain(True)),
            _apart(self.r(STOP, END), end),
        ]


def pooled(
    a: Float[np.ndarray, "prompts emotions"], b: Float[np.ndarray, "prompts emotions"], centred: bool = True
) -> float:
    """r over all cells, columns less their means where `centred`."""
    x, y = (m - (m.mean(axis=0) if centred else m.mean()) for m in (a, b))
    size = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / size if size else 0.0


def rise(z: Places, names: Sequence[str], name: str, n: int) -> Check:
    """Whether a probe rises from the statement's end to the prompt's end on the first `n` prompts, more than
    random mixtures of all readings do.

    A reading's rise is taken in units of its own spread over all prompts, so that mixtures compare; each
    place's z is referred to texts read at that place, so that what every text does there is not counted.
    """
    rises = z[END] - z[STOP]
    own = rises[:n, names.index(name)]
    mixtures = rises @ np.random.default_rng(0).normal(size=(len(names), MIXTURES))
    reach = float(np.quantile(np.abs(_steady(mixtures, n)), 0.95))
    strength = float(_steady(rises[:, [names.index(name)]], n)[0])
    risen, beyond = int((own > 0).sum()), strength > reach
    verdict: Verdict = (
        "not reproduced" if not beyond or risen <= n / 2 else "reproduced" if risen == n else "partly"
    )
    return Check(
        f"“{name}” rises from the statement's end to the prompt's end",
        "in all 8 scenarios",
        "–",
        f"in {risen} of {n}; mean rise {strength:+.2f} of its spread, 95 % of random mixtures within "
        f"{reach:.2f} (n = {n} messages)",
        "in all, and on the mean beyond 95 % of random mixtures of the readings; partly: in more than half, "
        "and beyond these",
        verdict,
    )


def _steady(rises: Float[np.ndarray, "prompts directions"], n: int) -> Float[np.ndarray, " directions"]:
    """The mean over the first `n` in units of the spread over all."""
    spread = rises.std(axis=0)
    steady: Float[np.ndarray, " directions"] = rises[:n].mean(axis=0) / np.where(spread == 0, 1, spread)
    return steady


def _foretold(what: str, paper: str, published: str, figure: Figure, beyond: Figure) -> Check:
    large, better = figure.low > 0 and figure.value >= LEAST, beyond.low > 0
    verdicts: tuple[Verdict, ...] = ("not reproduced", "partly", "reproduced")
    return Check(
        what,
        paper,
        published,
        f"{figure}; beyond random directions {beyond}",
        f"at least {LEAST:g}, and above random directions; partly: one of the two",
        verdicts[int(large) + int(better)],
        13,
    )


def _better(gain: Figure, beyond: Figure) -> Check:
    return Check(
        "prompt's end foretells better than the statement's end",
        "0.87 > 0.59",
        "–",
        f"{gain}; beyond random directions {beyond}",
        "95 % interval above 0, and above what random directions gain",
        "reproduced" if gain.low > 0 and beyond.low > 0 else "not reproduced",
        13,
    )


def _apart(between: Figure, beyond: Figure) -> Check:
    """Two readings of noise would be apart as well; so what is read at the prompt's end must mean
    something."""
    return Check(
        "statement's end against prompt's end, r",
        "0.11",
        "0.63",
        str(between),
        f"upper end under {APART:g}, and the prompt's end foretells the reply beyond random directions",
        "reproduced" if between.high < APART and beyond.low > 0 else "not reproduced",
        12,
    )
