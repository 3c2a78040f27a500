"""Study 8 (paper section 4): what the model prefers, whether probes foretell it, and whether vectors move
it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.concepts.shipped import activities
from affekt.engines import TransformersEngine
from affekt.models.prompt import Encoded, Role, encode
from affekt.quality.bootstrap import count, mean, statistic
from affekt.quality.controls import with_random
from affekt.quality.figure import Figure
from affekt.reading.sheet import GREY
from affekt.studies.elo import elo, hard
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign
from affekt.vectors.directions import unit

__all__ = ["compared", "feeling", "preferences", "question"]

ASKED = "Which of these would you rather be doing: (A) {a}, or (B) {b}? Answer with one letter."
FELT = "How would you feel about {a}?"
PREFILL = "("
GENERATION: tuple[Role, ...] = ("generation",)

STEERED = ("blissful", "hostile", "loving", "afraid", "enthusiastic", "sad")
"""Emotions that steer under `quick`; `full` takes more, spread over the range of correlations."""

FULL = 20
"""Emotions that steer under `full`."""

RANDOM = 4
"""Random directions that steer, as a control."""

DOSE = 0.5
"""Mean residual norms on the tokens of the steered activities (paper 4.4)."""

OPPONENTS = 6
"""Other activities that each steered one meets under `quick`; all of them under `full`."""


def preferences(lab: Lab) -> Result:
    """Elo of 64 activities from all ordered pairs, its correlation with every probe, and steering of half."""
    things = activities()
    texts = [thing.text for thing in things]
    engine = lab.engine()
    wins, certain = compared(lab, engine, texts)
    strengths, advantage = elo(wins)
    strict, _ = elo(hard(wins))
    off = ~np.eye(len(texts), dtype=bool)
    first = count(float((wins[off] > 0.5).sum()), int(off.sum()), "ordered pairs")
    agree = mean(((wins > 0.5) == (wins.T < 0.5))[off].astype(float), "ordered pairs")
    z, random = feeling(lab, engine, texts)
    r = np.array([_r(z[:, i], strengths) for i in range(z.shape[1])])
    names = lab.names
    chance = np.array([abs(_r(random[:, i], strengths)) for i in range(random.shape[1])])
    reach = float(np.quantile(chance, 0.95))
    moved, effects = _steered(lab, texts, wins, r)
    own = [row for row in moved if not row["random"]]
    link = _link(own)
    checks = [
        _correlated(name, z, strengths, names, sign) for name, sign in (("blissful", 1), ("hostile", -1))
    ]
    checks += _moves(effects, reach_of(moved))
    checks.append(
        by_sign(
            "effect of steering against correlation, over emotions",
            "r = 0.85",
            "0.40, 0.30; 0.00",
            link,
            least=0.5,
        )
    )
    table = Table.of(
        "activities",
        [
            {
                "activity": t.id,
                "category": t.category,
                "elo": round(float(s), 3),
                "hard elo": round(float(h), 3),
            }
            for t, s, h in zip(things, strengths, strict, strict=True)
        ],
    )
    beyond = int((np.abs(r) > reach).sum())
    return Result(
        "preferences",
        "What does it prefer, do probes foretell it, and do vectors move it?",
        f"Shown first, an activity is chosen in {first}; the two orders of a pair agree in {agree}. "
        f"{beyond} of {len(names)} probes correlate with Elo beyond 95 % of random directions (|r| "
        f"{reach:.2f}).",
        (
            table,
            Table("correlations", {"emotion": names, "r": np.round(r, 5).tolist()}),
            Table.of("steering", moved),
        ),
        (
            Drawn(
                "elo",
                _ranking(things, strengths),
                "Elo by category. With a strong liking for one place, differences mean little.",
            ),
            Drawn(
                "effects",
                _effects(own),
                "Each point an emotion: how its probe correlates with Elo, and how far steering the "
                "activities' "
                "tokens by it moves their Elo. A line would mean that what foretells preference also makes "
                "it.",
            ),
        ),
        tuple(checks),
        (
            f"{int(off.sum()):,} ordered pairs by the logits of A and B; soft Elo by Bradley-Terry with a "
            f"term for the first place, which is worth {advantage:+.0f} points here. "
            f"Median |log odds| of a pair: {certain:.2f}.",
            f"Random directions: {random.shape[1]} for the correlations, {RANDOM} for steering, of the same "
            "norm.",
            "A category such as unsafe differs from others in more than emotion; r is over 64 activities "
            "and says nothing of why.",
        ),
        {"first": first.to_dict(), "agree": agree.to_dict(), "advantage": advantage, "beyond_random": beyond},
    )


def question(lab: Lab, a: str, b: str) -> Encoded:
    """One comparison, the reply begun with an open bracket."""
    chat = [{"role": "user", "content": ASKED.format(a=a, b=b)}]
    asked = encode(lab.model.tokenizer, chat, generation_prompt=True)
    more = tuple(lab.model.tokenizer(PREFILL, add_special_tokens=False)["input_ids"])
    end = len(asked.text)
    return replace(
        asked,
        ids=asked.ids + more,
        spans=asked.spans + ((end, end + len(PREFILL)),) * len(more),
        roles=asked.roles + GENERATION * len(more),
        text=asked.text + PREFILL,
    )


def compared(
    lab: Lab,
    engine: TransformersEngine,
    texts: Sequence[str],
    pairs: Bool[np.ndarray, "items items"] | None = None,
    bias: Mapping[int, Mapping[str, Any]] | None = None,
) -> tuple[Float[np.ndarray, "items items"], float]:
    """The probability that the first of each ordered pair is chosen.

    Args:
        lab: model and tokenizer.
        engine: what runs it.
        texts: the activities.
        pairs: which to compare; all by default. The others are 0.5.
        bias: for some activities, what steers their tokens.

    Returns:
        Probabilities of A among A and B, and the median |log odds|.
    """
    played = ~np.eye(len(texts), dtype=bool) if pairs is None else pairs
    asked = [(int(i), int(j)) for i, j in zip(*np.nonzero(played), strict=True)]
    prompts = [question(lab, texts[i], texts[j]) for i, j in asked]
    letters = [lab.model.tokenizer(letter, add_special_tokens=False)["input_ids"][-1] for letter in "AB"]
    biases = None
    if bias is not None:
        biases = [_bias(prompt, texts, pair, bias) for prompt, pair in zip(prompts, asked, strict=True)]
    logits = np.concatenate(
        [
            engine.next_token(
                prompts[at : at + 512], None if biases is None else biases[at : at + 512], letters
            )
            for at in _told(lab, len(prompts), 512)
        ]
    )
    odds = logits[:, 0] - logits[:, 1]
    wins = np.full(played.shape, 0.5)
    for (i, j), value in zip(asked, odds, strict=True):
        wins[i, j] = 1 / (1 + np.exp(-float(value)))
    return wins, float(np.median(np.abs(odds)))


def feeling(
    lab: Lab, engine: TransformersEngine, texts: Sequence[str], random: int = 200
) -> tuple[Float[np.ndarray, "items emotions"], Float[np.ndarray, "items random"]]:
    """Mean z of every emotion over an activity's own tokens, asked about by itself; and projections on random
    directions of the same residuals."""
    sources = [[{"role": "user", "content": FELT.format(a=text)}] for text in texts]
    readout = lab.vectors.readout().only(lab.emotions)
    directions = unit(
        torch.randn(random, lab.model.identity.d_model, generator=torch.Generator().manual_seed(0))
    )
    z, drawn = np.zeros((len(texts), len(lab.emotions))), np.zeros((len(texts), random))
    found = {text: i for i, text in enumerate(texts)}

    def pick(encoded: Encoded) -> list[int]:
        own = max((text for text in found if text in encoded.text), key=len)
        return _tokens(encoded, own)

    for one in engine.collect(sources, [readout.layer], pick):
        row = one.values[0, 0]
        z[one.index] = readout.z(row, "user").double().numpy()
        drawn[one.index] = (directions @ row).double().numpy()
    return z, drawn


def _tokens(encoded: Encoded, text: str) -> list[int]:
    start = encoded.text.index(text)
    end = start + len(text)
    return [i for i, (a, b) in enumerate(encoded.spans) if a < end and b > start and b > a]


def _bias(
    prompt: Encoded, texts: Sequence[str], pair: tuple[int, int], bias: Mapping[int, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """What steers one comparison: the tokens of those of its activities that are steered."""
    terms: dict[str, list[Any]] = {}
    for item in pair:
        if item in bias:
            start = prompt.text.index(texts[item])
            where = {"span": [start, start + len(texts[item])]}
            for name, term in bias[item].items():
                terms.setdefault(name, []).append({**term, "where": where})
    return terms or None


def _steered(
    lab: Lab, texts: Sequence[str], wins: Float[np.ndarray, "items items"], r: Float[np.ndarray, " emotions"]
) -> tuple[list[dict[str, Any]], dict[str, Figure]]:
    """Half of the activities steered against the other half; the change of their Elo, activity by
    activity."""
    rng = np.random.default_rng(0)
    half = np.sort(rng.permutation(len(texts))[: len(texts) // 2])
    rest = np.setdiff1d(np.arange(len(texts)), half)
    played = np.zeros(wins.shape, dtype=bool)
    for item in half:
        meets = rng.choice(rest, min(OPPONENTS, len(rest)), replace=False) if lab.quick else rest
        played[item, meets] = played[meets, item] = True
    everything, plain = with_random(lab.vectors, RANDOM, 0)
    engine = lab.engine(everything)
    arms = [*_chosen(lab, r), *plain]
    before, _ = elo(np.where(played, wins, 0.5), played)
    rows, effects = [], {}
    for done, arm in enumerate(arms, 1):
        bias = {int(item): {arm: {"dose": DOSE}} for item in half}
        after, _ = elo(compared(replace(lab, progress=None), engine, texts, played, bias)[0], played)
        change = (after - before)[half] - (after - before)[rest].mean()
        figure = effects[arm] = mean(change, "activities")
        rows.append(
            {
                "arm": arm,
                "random": arm in plain,
                "effect": figure.value,
                "low": figure.low,
                "high": figure.high,
            }
            | {"r": float(r[lab.names.index(arm)]) if arm in lab.names else None}
        )
        lab.told("preferences, steered", done, len(arms))
    return rows, effects


def _chosen(lab: Lab, r: Float[np.ndarray, " emotions"]) -> list[str]:
    always = [name for name in STEERED if name in lab.names]
    if lab.quick:
        return always
    spread = np.argsort(r)[np.linspace(0, len(r) - 1, FULL).astype(int)]
    return list(dict.fromkeys([*always, *(lab.names[i] for i in spread)]))


def reach_of(moved: Sequence[Mapping[str, Any]]) -> float:
    """The farthest that a random direction moved Elo."""
    return max((abs(float(row["effect"])) for row in moved if row["random"]), default=0.0)


def _moves(effects: Mapping[str, Figure], reach: float) -> list[Check]:
    rows = []
    for name, sign, paper in (("blissful", 1, "+212"), ("hostile", -1, "−303")):
        if name in effects:
            figure = effects[name]
            rows.append(
                by_sign(
                    f"change of Elo when steered by {name}, beyond random directions ({reach:.0f})",
                    paper,
                    "10 of 12 emotions as valence says; none",
                    figure,
                    sign,
                    least=reach,
                )
            )
    return rows


def _correlated(name: str, z: np.ndarray, strengths: np.ndarray, names: Sequence[str], sign: int) -> Check:
    at = names.index(name)
    figure = statistic(lambda drawn: _r(z[drawn, at], strengths[drawn]), len(strengths), "activities")
    paper = {"blissful": "0.71", "hostile": "−0.74"}[name]
    return by_sign(
        f"r of the {name} probe with Elo", paper, "0.82, −0.65; unsettled", figure, sign, least=0.3
    )


def _link(rows: Sequence[Mapping[str, Any]]) -> Figure:
    x, y = (np.array([float(row[key]) for row in rows]) for key in ("r", "effect"))
    return statistic(lambda drawn: _r(x[drawn], y[drawn]), len(rows), "emotions")


def _ranking(things: Sequence[Any], strengths: np.ndarray) -> Drawing:
    chart = Drawing(
        Scatter(
            x=strengths,
            y=[thing.category for thing in things],
            text=[thing.text for thing in things],
            mode="markers",
            marker={"color": GREY},
            hovertemplate="%{text}: %{x:.0f}<extra></extra>",
        )
    )
    chart.update_layout(xaxis_title="Elo", height=380, showlegend=False)
    return chart


def _effects(rows: Sequence[Mapping[str, Any]]) -> Drawing:
    chart = Drawing(
        Scatter(
            x=[row["r"] for row in rows],
            y=[row["effect"] for row in rows],
            text=[row["arm"] for row in rows],
            mode="markers+text",
            textposition="top center",
            marker={"color": GREY},
        )
    )
    chart.update_layout(
        xaxis_title="r of the probe with Elo", yaxis_title="change of Elo under steering", height=420
    )
    return chart


def _r(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _told(lab: Lab, total: int, step: int) -> Any:
    for at in range(0, total, step):
        lab.told("preferences", at, total)
        yield at
    lab.told("preferences", total, total)
