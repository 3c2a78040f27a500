"""Study 2 (paper 3.2): the logit lens: do vectors point at their own words, and at words of their kind?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from plotly.graph_objects import Box
from plotly.graph_objects import Figure as Drawing
from torch import Tensor

from affekt.quality import lens
from affekt.quality.bootstrap import mean
from affekt.quality.unembedding import Unembedding, unembedding
from affekt.reading.sheet import BLUE, GREY
from affekt.steering.control import random_directions
from affekt.studies.lab import Lab
from affekt.studies.result import Drawn, Result, Table, by_sign, by_size, unjudged
from affekt.studies.sections import figure_of, table_of
from affekt.vectors.recipe import VARIANTS

__all__ = ["family_above_others", "vocabulary"]

RANDOM = 100
"""Random directions whose families are looked at as well."""


def vocabulary(lab: Lab) -> Result:
    """Rank of the own word among all tokens, with and without the final norm's gain; and whether words of the
    same cluster lie above words of other clusters."""
    through = unembedding(lab.model)
    section = lens.lens(lab.vectors, through)
    what = "share of vectors whose word is in the lens's top 100"
    if not section.rows:
        return Result(
            "lens", section.title, section.verdict, checks=(unjudged(what, "–", "–", section.verdict),)
        )
    shares = [i for i, row in enumerate(section.rows) if not str(row[0]).startswith("random")]
    best = max((figure_of(section, i, 3) for i in shares), key=lambda figure: figure.value)
    arms, random = _families(lab, through)
    figures = {label: mean(shares, "emotions") for label, shares in arms.items()}
    chosen = max(figures, key=lambda label: figures[label].value)
    beyond = mean(arms[chosen] - 0.5, "emotions")
    families = [
        {
            "vectors": label,
            "share": f.value,
            "low": f.low,
            "high": f.high,
            "n": f.n,
            "random, 2.5 %": random[label.split(", ")[1]][0],
            "random, 97.5 %": random[label.split(", ")[1]][1],
        }
        for label, f in figures.items()
    ]
    tokens = [
        {
            "vectors": label,
            "emotion": word,
            "rank": about["rank"],
            "family above others": round(float(arms[label][lab.names.index(word)]), 5),
            "top": " ".join(about["top"]),
        }
        for label, words in section.data.items()
        if isinstance(words, dict)
        for word, about in words.items()
    ]
    return Result(
        "lens",
        section.title,
        f"{section.verdict} Words of the same cluster lie above other emotions' words for {figures[chosen]} "
        f"of "
        f"pairs ({chosen}; 0.5 by chance).",
        (table_of("summary", section), Table.of("families", families), Table.of("tokens", tokens)),
        (
            Drawn(
                "ranks",
                _ranks(section.data, random_rank=_random_rank(section.rows)),
                "Rank of each emotion's own word among all tokens by direct effect, for each kind of vector; "
                "lower is better, the axis is logarithmic. Dotted: the median of random directions. A vector "
                "of the middle layers may act through later layers and point at no word.",
            ),
        ),
        (
            by_size(what, "each vector shown names related tokens (table 1)", "–", best, 0.5, 0.1),
            by_sign(
                "words of the same cluster lie above words of other clusters (share of pairs beyond 0.5)",
                "related tokens among the highest",
                "–",
                beyond,
                least=0.1,
            ),
        ),
        (
            *section.notes,
            "Family: the other words of the paper's cluster; its share is that of pairs of a family word and "
            "a "
            f"word of another cluster of which the family word is higher. {RANDOM} random directions give "
            f"its "
            "spread.",
        ),
        {"best family": chosen},
    )


def family_above_others(
    logits: Float[np.ndarray, "rows emotions"], clusters: Sequence[str], tokens: Sequence[int]
) -> Float[np.ndarray, " rows"]:
    """For the i-th row, the share of pairs (a word of the i-th word's cluster, a word of another) in which
    the former is higher; words that begin with the own word's token are left out; NaN without a family."""
    shares = np.full(len(logits), np.nan)
    kinds, firsts = np.array(clusters), np.array(tokens)
    for i, row in enumerate(logits):
        others = firsts != firsts[i]
        family, rest = row[others & (kinds == kinds[i])], row[others & (kinds != kinds[i])]
        if len(family) and len(rest):
            higher = (family[:, None] > rest[None]) + (family[:, None] == rest[None]) / 2
            shares[i] = higher.mean()
    return shares


def _families(
    lab: Lab, through: Unembedding
) -> tuple[dict[str, Float[np.ndarray, " emotions"]], dict[str, tuple[float, float]]]:
    """Each arm's shares, and for each way of looking the central 95 % of means over random sets."""
    tokens = [through.first_token(name) for name in lab.names]
    clusters = [lab.vectors.concepts[i].cluster or "" for i in lab.emotions]
    arms, random = {}, {}
    drawn = random_directions(RANDOM, lab.model.identity.d_model, 0)
    for gained, how in ((True, "through the final norm"), (False, "as it is")):
        if gained and through.norm is None:
            continue

        def words(directions: Float[Tensor, "rows d_model"], gained: bool = gained) -> np.ndarray:
            return through.logits(directions, gained)[:, torch.tensor(tokens)].numpy()

        for variant in VARIANTS:
            units = lab.vectors.directions(None, variant)[lab.emotions]
            arms[f"{variant}, {how}"] = family_above_others(words(units), clusters, tokens)
        plain = words(drawn)
        rng = np.random.default_rng(0)
        sets = [plain[rng.integers(RANDOM, size=len(tokens))] for _ in range(RANDOM)]
        means = [float(np.nanmean(family_above_others(some, clusters, tokens))) for some in sets]
        low, high = np.quantile(means, (0.025, 0.975))
        random[how] = (round(float(low), 5), round(float(high), 5))
    return arms, random


def _random_rank(rows: Sequence[Sequence[Any]]) -> float:
    return min(float(row[1].value) for row in rows if str(row[0]).startswith("random"))


def _ranks(data: Mapping[str, Any], random_rank: float) -> Drawing:
    chart = Drawing(
        [
            Box(
                x=[about["rank"] for about in words.values()],
                name=label,
                text=list(words),
                boxpoints="all",
                jitter=0.4,
                pointpos=0,
                marker={"color": BLUE, "size": 3, "opacity": 0.5},
                line={"color": GREY, "width": 1},
            )
            for label, words in data.items()
            if isinstance(words, dict)
        ]
    )
    chart.add_vline(random_rank, line={"color": GREY, "dash": "dot"})
    chart.update_layout(xaxis_title="rank of the own word", xaxis_type="log", height=420, showlegend=False)
    return chart
