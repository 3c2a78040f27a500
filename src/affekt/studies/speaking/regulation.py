"""Emotion regulation between speakers (paper 6.3): what the other's emotion lies near to, rated by people.

The vectors of the other's emotions are made of dialogues of which people have rated the user's emotion and
not the assistant's, those of the speaker's own emotions of dialogues of which they have rated the assistant's
and not the user's. No turn is in both, and no dialogue has two ratings: where one has, vectors that hold one
of its emotions and nothing of regulation go along with the rating of the other, by whatever the two happen to
share.

Counted on the shipped dialogues, 1,000 draws each, valence and arousal, clipped and plain, 199 shuffles:
turns of noise are called at least partly regulated in 0.9 to 1.7 %, with few common directions in 0.6 to
0.8 %; turns that hold the assistant's emotion alone in 1.6 to 1.8 %, the user's alone in 2.4 to 3.1 %
(intervals from 1.5 to 4.4), both in unrelated directions in 1.6 to 2.3 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from affekt.concepts.dialogues import TwoEmotions
from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Table, Verdict, unjudged

__all__ = ["Facing", "facing", "regulation", "weights"]

SHUFFLES = 2000
"""Permutations of the dialogues' emotions, for each side."""

RARE = 0.025
"""Share of permutations as low as what is found, at most; of each side's."""

LEAST = 0.2
"""Size of r from which on the paper's is said to be found."""

FEWEST = 10
"""Emotions on each side under which nothing is measured."""

BATCH = 100
"""Permutations at a time."""


@dataclass(frozen=True, eq=False)
class Facing:
    """Rated emotions of users, and rated emotions of assistants, in dialogues of which no one has both."""

    at: tuple[Int[np.ndarray, " user_rated"], Int[np.ndarray, " assistant_rated"]]
    """Places of the dialogues of either side."""
    shown: tuple[Int[np.ndarray, " user_rated"], Int[np.ndarray, " assistant_rated"]]
    """Which of its side's emotions each of them shows."""
    ratings: tuple[Float[np.ndarray, " others"], Float[np.ndarray, " presents"]]
    """Ratings of either side's emotions."""
    same: Bool[np.ndarray, "others presents"]
    """An emotion beside itself, which is left out."""

    def near(
        self, gram: Float[np.ndarray, "dialogues dialogues"], clip: bool
    ) -> Float[np.ndarray, " others"]:
        """How the ratings around each emotion of the other differ from the mean rating, weighted by cosine.

        Args:
            gram: inner products of the dialogues' residuals (or words), less their mean.
            clip: whether cosines under 0 weigh nothing.
        """
        return self._near(gram, clip, *(_shares(shown) for shown in self.shown))

    def p(
        self,
        gram: Float[np.ndarray, "dialogues dialogues"],
        clip: bool,
        shuffles: int = SHUFFLES,
        seed: int = 0,
    ) -> tuple[float, float]:
        """How often the covariance of `near` and ratings is as low with the emotions shuffled over dialogues.

        First the users' emotions are shuffled over the dialogues of their side: exact where the assistant's
        turns hold nothing of the user's emotion, whatever they hold of their own. Then the assistants' over
        theirs: exact where they hold nothing of their own. Regulation needs both, so that the greater of the
        two is its p. The covariance, since r has no scale: a single direction that holds the user's emotion
        alone gives r = 1 or -1 by chance. Vectors are made anew for each shuffle.
        """
        rng = np.random.default_rng(seed)
        own = [_shares(shown) for shown in self.shown]
        found = self._covariance(self._near(gram, clip, *own))
        slack = 1e-9 * abs(found)
        out = []
        for side in (0, 1):
            low = 0
            for drawn in _shuffled(self.shown[side], shuffles, rng):
                both = (_shares(drawn), own[1]) if side == 0 else (own[0], _shares(drawn))
                low += int((self._covariance(self._near(gram, clip, *both)) <= found + slack).sum())
            out.append((1 + low) / (1 + shuffles))
        return out[0], out[1]

    def _near(
        self,
        gram: Float[np.ndarray, "dialogues dialogues"],
        clip: bool,
        others: Float[np.ndarray, "*users others user_rated"],
        presents: Float[np.ndarray, "*assistants presents assistant_rated"],
    ) -> Float[np.ndarray, "*drawn others"]:
        between = others @ gram[np.ix_(*self.at)] @ np.swapaxes(presents, -1, -2)
        lengths = [
            np.sqrt(np.maximum(((share @ gram[np.ix_(at, at)]) * share).sum(axis=-1), 1e-12))
            for share, at in zip((others, presents), self.at, strict=True)
        ]
        cosines = between / (lengths[0][..., :, None] * lengths[1][..., None, :])
        near: Float[np.ndarray, "*drawn others"] = weights(cosines, self.same, clip) @ self.ratings[1]
        return near

    def _covariance(self, near: Float[np.ndarray, "*drawn others"]) -> Float[np.ndarray, "*drawn"]:
        return np.asarray(near @ (self.ratings[0] - self.ratings[0].mean()))


def facing(dialogues: Sequence[TwoEmotions], rated: Mapping[str, float]) -> Facing:
    """Parts dialogues by whose emotion is rated; those in which both are, or neither, are left out."""
    users = [i for i, d in enumerate(dialogues) if d.user in rated and d.assistant not in rated]
    assistants = [i for i, d in enumerate(dialogues) if d.assistant in rated and d.user not in rated]
    others, one = _emotions(dialogues[i].user for i in users)
    presents, other = _emotions(dialogues[i].assistant for i in assistants)
    return Facing(
        (np.array(users, dtype=int), np.array(assistants, dtype=int)),
        (one, other),
        (
            np.array([rated[n] for n in others], dtype=float),
            np.array([rated[n] for n in presents], dtype=float),
        ),
        others[:, None] == presents[None],
    )


def regulation(
    lab: Lab,
    dialogues: Sequence[TwoEmotions],
    turns: Float[np.ndarray, "dialogues dialogues"],
    words: Float[np.ndarray, "dialogues dialogues"],
) -> tuple[Table, list[Check]]:
    """r between the other's rating and the mean rating of the present-speaker vectors near to it.

    Args:
        lab: holds the human norms.
        dialogues: of two emotions, each dialogue's own.
        turns: inner products of residuals over the assistant's turns, less their mean.
        words: of the words of these turns.
    """
    rows, checks = [], []
    for axis in ("valence", "arousal"):
        places, ratings = lab.norms_of(axis)
        sides = facing(dialogues, {lab.names[i]: float(v) for i, v in zip(places, ratings, strict=True)})
        if min(len(some) for some in sides.ratings) < FEWEST:
            why = "too few dialogues of which one emotion is rated and the other is not"
            checks.append(unjudged(_WHAT[axis], _PAPER[axis], "–", why, 16))
            continue
        for clip in (True, False):
            near = {source: sides.near(gram, clip) for source, gram in _sources(turns, words)}
            found = {source: _r(some, sides.ratings[0]) for source, some in near.items()}
            p = {source: sides.p(gram, clip) for source, gram in _sources(turns, words)}
            rows += [
                {
                    "axis": axis,
                    "of": source,
                    "weights": "clipped at 0" if clip else "plain",
                    "r": figure.value,
                    "low": figure.low,
                    "high": figure.high,
                    "as low, users' emotions shuffled": p[source][0],
                    "as low, assistants' emotions shuffled": p[source][1],
                    "least p attainable": 1 / (1 + SHUFFLES),
                    "n": figure.n,
                }
                for source, figure in found.items()
            ]
            if clip:
                beyond = _beyond(near["vectors"], near["words alone"], sides.ratings[0])
                checks.append(_check(axis, found, p["vectors"], beyond))
    return Table.of("regulation", rows), checks


def weights(
    cosines: Float[np.ndarray, "*drawn others presents"], out: Bool[np.ndarray, "others presents"], clip: bool
) -> Float[np.ndarray, "*drawn others presents"]:
    """What gives, times the ratings, the mean rating around each other-speaker emotion, weighted by cosine,
    less the plain mean of the same ratings: the ones left out count in neither."""
    near = np.where(out, 0.0, np.clip(cosines, 0, None) if clip else cosines)
    total = np.abs(near).sum(axis=-1, keepdims=True)
    near = near / np.where(total == 0, 1, total)
    plain = ~out / np.maximum((~out).sum(axis=-1, keepdims=True), 1)
    less: Float[np.ndarray, "*drawn others presents"] = near - near.sum(axis=-1, keepdims=True) * plain
    return less


_WHAT = {
    "valence": "valence of the other and of what it lies near to",
    "arousal": "high arousal of the other lies near low arousal of one's own",
}
_PAPER = {"valence": "r = 0.07, none", "arousal": "r = −0.47"}


def _check(axis: str, found: dict[str, Figure], p: tuple[float, float], beyond: Figure) -> Check:
    main = found["vectors"]
    here = (
        f"{main}; as low with users' emotions shuffled p = {p[0]:.4f}, assistants' p = {p[1]:.4f}; "
        f"words alone {found['words alone']}; beyond words {beyond}"
    )
    if axis == "valence":
        rule = "not judged: that nothing is there is found in a random network as well"
        return Check(_WHAT[axis], _PAPER[axis], "–", here, rule, "not measured", 16)
    rare, large, more = max(p) <= RARE, main.value <= -LEAST, beyond.high < 0
    verdict: Verdict = (
        "reproduced" if rare and large and more else "partly" if rare and large else "not reproduced"
    )
    return Check(
        _WHAT[axis],
        _PAPER[axis],
        "–",
        here,
        f"as low in at most {RARE:.1%} of shuffles of the users' emotions, and of the assistants'; at least "
        f"{LEAST:g} in size; and below words alone (95 % interval of the difference); partly: all but this",
        verdict,
        16,
    )


def _sources(turns: np.ndarray, words: np.ndarray) -> tuple[tuple[str, np.ndarray], ...]:
    return ("vectors", turns), ("words alone", words)


def _emotions(shown: Iterable[str]) -> tuple[np.ndarray, Int[np.ndarray, " dialogues"]]:
    """The emotions, and which of them each dialogue shows."""
    emotions, places = np.unique(np.array(list(shown), dtype=str), return_inverse=True)
    return emotions, places.astype(int)


def _shuffled(shown: Int[np.ndarray, " dialogues"], n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    for first in range(0, n, BATCH):
        yield rng.permuted(np.tile(shown, (min(BATCH, n - first), 1)), axis=1)


def _shares(shown: Int[np.ndarray, "*drawn dialogues"]) -> Float[np.ndarray, "*drawn emotions dialogues"]:
    """What gives each emotion's mean over the dialogues that show it."""
    one = (shown[..., None, :] == np.arange(shown.max() + 1)[:, None]).astype(np.float64)
    shares: Float[np.ndarray, "*drawn emotions dialogues"] = one / one.sum(axis=-1, keepdims=True)
    return shares


def _r(a: Float[np.ndarray, " emotions"], b: Float[np.ndarray, " emotions"]) -> Figure:
    return statistic(lambda drawn: _corr(a[drawn], b[drawn]), len(a), "emotions")


def _beyond(
    a: Float[np.ndarray, " emotions"],
    plain: Float[np.ndarray, " emotions"],
    b: Float[np.ndarray, " emotions"],
) -> Figure:
    return statistic(
        lambda drawn: _corr(a[drawn], b[drawn]) - _corr(plain[drawn], b[drawn]), len(a), "emotions"
    )


def _corr(a: Float[np.ndarray, " emotions"], b: Float[np.ndarray, " emotions"]) -> float:
    x, y = a - a.mean(), b - b.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size else 0.0
