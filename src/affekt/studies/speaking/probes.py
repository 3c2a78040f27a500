"""Do probes made of stories and of the speaker's own turns read the same (paper 6.1, figure 75)?

Both read messages that imply an emotion, at the end of the prompt; an emotion's two readings are correlated
over the messages. In a residual stream of few directions any two probes correlate, with whatever sign: what
counts is by how much an emotion's two readings go together more than those of two emotions, and more than by
the words.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from affekt.concepts import Source
from affekt.concepts.shipped import implicit
from affekt.quality.bootstrap import jackknife, statistics
from affekt.quality.naming import DISPLAY
from affekt.steering.control import random_directions
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Table, Verdict
from affekt.studies.space.agreement import Words
from affekt.vectors.collect import prompt_end
from affekt.vectors.directions import unit

__all__ = ["judged", "probes"]

LEAST = 0.3
"""Mean R² from which on the readings are said to be the paper's (0.66)."""

SHUFFLES = 2000
"""Shuffles of the emotions of one set."""

RANDOM = 200
"""Random directions in place of either set."""

WEAKEST = 5
"""Emotions that the row names."""

_WHAT = "story and present-speaker probes read the same at the end of messages that imply an emotion, r"
_PAPER = "R² 0.66 (12 prompts), weakest for loving and calm; r 0.65 (6,300 transcripts)"

Readings = Float[np.ndarray, "messages emotions"]


def probes(
    lab: Lab,
    stories: Float[Tensor, "emotions d_model"],
    present: Float[Tensor, "emotions d_model"],
    names: Sequence[str],
    texts: tuple[Sequence[str], Sequence[str]],
) -> tuple[tuple[Table, Table], Check]:
    """Every emotion's r and R² over the shipped implicit messages, the weakest first; their means, beside
    random directions; and the row.

    Args:
        lab: the model.
        stories: unit vectors at the read layer, made of stories.
        present: those of the speaker's own emotion, made on the assistant's turns.
        names: the emotions of both.
        texts: for each emotion the words of its stories, and of its turns.
    """
    messages = [message.text for message in implicit()]
    ends = unit(_ends(lab, messages))
    told, said = ((ends @ some.T).double().numpy() for some in (stories, present))
    words = Words({"stories": texts[0], "present": texts[1], "messages": messages})
    plainly = (words.cosines("messages", "stories"), words.cosines("messages", "present"))
    own, spoken = _corr(told, said).diagonal(), _corr(*plainly).diagonal()
    table = Table.of(
        "probes",
        [
            {
                "emotion": names[i],
                "r": round(float(own[i]), 5),
                "R²": round(float(own[i] ** 2), 5),
                "r by words": round(float(spoken[i]), 5),
                "display emotion": names[i] in DISPLAY,
            }
            for i in np.argsort(own, kind="stable")
        ],
    )
    drawn = (ends @ random_directions(RANDOM, ends.shape[1], 0).T).double().numpy()
    controls = {
        "own": own,
        "of another emotion": _others(_corr(told, said)),
        "random directions for stories": _corr(drawn, said),
        "random directions for the present speaker": _corr(told, drawn),
        "words alone": spoken,
        "words alone, of another emotion": _others(_corr(*plainly)),
    }
    means = [
        {"pairs": what, "mean r": round(float(r.mean()), 5), "mean R²": round(float((r**2).mean()), 5)}
        for what, r in controls.items()
    ]
    return (Table.of("probes, means", means), table), judged(told, said, plainly, names)


def judged(
    told: Readings,
    said: Readings,
    plainly: tuple[Readings, Readings],
    names: Sequence[str],
    resamples: int = 1000,
) -> Check:
    """The row.

    Args:
        told: readings by story probes.
        said: by present-speaker probes.
        plainly: both by the words alone.
        names: the emotions.
        resamples: bootstrap samples of messages.
    """

    def measured(drawn: np.ndarray) -> tuple[float, ...]:
        r, by_words = _corr(told[drawn], said[drawn]), _corr(*(some[drawn] for some in plainly))
        return (_own(r), _apart(r), _apart(r) - _apart(by_words))

    def explaining(kept: np.ndarray) -> tuple[float, ...]:
        r = _corr(told[kept], said[kept]) ** 2
        return (_own(r), _apart(r))

    n = len(told)
    r, apart, beyond = statistics(measured, n, "messages", resamples)
    # A message drawn twice raises R² of any two readings.
    squared, explained = jackknife(explaining, n, "messages")
    between = _corr(told, said)
    reach = _reach(between)
    weakest = [names[i] for i in np.argsort(between.diagonal(), kind="stable")[:WEAKEST]]
    alike = apart.low > 0 and r.value > reach
    large = squared.value >= LEAST and explained.low > 0
    verdict: Verdict = (
        "not reproduced" if not alike else "reproduced" if large and beyond.low > 0 else "partly"
    )
    return Check(
        _WHAT,
        _PAPER,
        "–",
        f"{r}; less that of two emotions {apart}; 97.5 % of shuffles of the emotions within {reach:.2f}; "
        f"mean R² {squared}, less that of two emotions {explained}; beyond words {beyond}; weakest: "
        f"{', '.join(weakest)}",
        "r above that of two emotions (95 % interval) and above 97.5 % of shuffles of the emotions; mean R² "
        f"at least {LEAST:g} and above that of two emotions; r beyond that of the words; partly: the first "
        "alone",
        verdict,
        15,
    )


def _ends(lab: Lab, messages: Sequence[str]) -> Float[Tensor, "messages d_model"]:
    """Residuals at the end of each prompt, at the read layer."""
    out = torch.zeros(len(messages), lab.model.identity.d_model)
    chats: list[Source] = [[{"role": "user", "content": text}] for text in messages]
    for one in lab.engine().collect(chats, [lab.vectors.read_layer], prompt_end):
        out[one.index] = one.values[0, 0]
    return out


def _corr(
    one: Float[np.ndarray, "messages ones"], other: Float[np.ndarray, "messages others"]
) -> Float[np.ndarray, "ones others"]:
    """r over messages of every column with every column; 0 where one does not vary."""
    x, y = (some - some.mean(axis=0) for some in (one, other))
    size = np.sqrt((x * x).sum(axis=0))[:, None] * np.sqrt((y * y).sum(axis=0))
    r: Float[np.ndarray, "ones others"] = x.T @ y / np.where(size < 1e-12, np.inf, size)
    return r


def _others(r: Float[np.ndarray, "emotions emotions"]) -> Float[np.ndarray, " pairs"]:
    pairs: Float[np.ndarray, " pairs"] = r[~np.eye(len(r), dtype=bool)]
    return pairs


def _own(r: Float[np.ndarray, "emotions emotions"]) -> float:
    return float(r.trace()) / len(r)


def _apart(r: Float[np.ndarray, "emotions emotions"]) -> float:
    """The mean of each emotion with itself, less that of two emotions."""
    return (float(r.trace()) - float(r.sum()) / len(r)) / (len(r) - 1)


def _reach(r: Float[np.ndarray, "emotions emotions"]) -> float:
    """What the mean r stays within in 97.5 % of shuffles of one set's emotions."""
    rng, at = np.random.default_rng(0), np.arange(len(r))
    return float(np.quantile([r[at, rng.permutation(at)].mean() for _ in range(SHUFFLES)], 0.975))
