"""Study 4, second part (paper 3.7, 3.8): are the user's words and the prompt's end apart, and does the latter
foretell the reply?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Heatmap, Scatter

from affekt.concepts.shipped import battery, implicit
from affekt.quality.bootstrap import statistic
from affekt.quality.figure import Figure
from affekt.quality.naming import DISPLAY
from affekt.reading.axes import axis_weights
from affekt.reading.sheet import BLUE, GREY, RED
from affekt.studies.dissociated import DISSOCIATED
from affekt.studies.lab import Lab
from affekt.studies.places import END, STOP, WORDS, along, of_prompts, of_replies
from affekt.studies.replies import lexicon, replies
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, unjudged

__all__ = ["pooled", "positions"]

TOKENS = {"quick": 20, "full": 48}
"""The longest reply; the paper's has 20 tokens."""

PROMPTS = {"quick": 48, "full": 192}
"""Prompts, the eight of `DISSOCIATED` first."""

RESAMPLES = 400

LEAST = 0.3
"""r with the reply from which on a place is said to foretell it."""


def positions(lab: Lab) -> Result:
    """r between a probe at two places of the prompt and over the model's own reply, measured by the probe
    and, independently, by a lexicon of valence on the reply's text."""
    asked = [message.text for message in implicit()] + [question.text for question in battery()]
    texts = [*DISSOCIATED.values(), *_mixed(asked)][: PROMPTS[lab.scale]]
    rows = of_prompts(lab, texts)
    written = replies(lab, lab.engine(), texts, TOKENS[lab.scale], stage="positions, replies")
    rows["reply"] = of_replies(lab, written)
    there = np.isfinite(rows["reply"].numpy()).all(axis=1)
    z, random = along(lab, {place: own[torch.tensor(there)] for place, own in rows.items()})
    valence = lexicon([reply.text for reply in written])
    r = {
        "prompt's end → reply": _figure(z, END, "reply"),
        "user's last token → reply": _figure(z, STOP, "reply"),
        "user's words → reply": _figure(z, WORDS, "reply"),
        "user's last token, prompt's end": _figure(z, STOP, END),
        "end better than last token": _gain(z),
    }
    foretold, before, between = (
        r[key]
        for key in ("prompt's end → reply", "user's last token → reply", "user's last token, prompt's end")
    )
    shown = [name for name in DISPLAY if name in lab.names]
    loving = _loving(lab, z, int(there[: len(DISSOCIATED)].sum()))
    return Result(
        "positions",
        "Does the end of the prompt foretell the reply?",
        f"Over {int(there.sum())} prompts and {len(lab.names)} probes, what is read at the prompt's end "
        f"correlates with what is read over the reply by {foretold}, at the user's last token "
        f"by {before} (paper 0.87 and 0.59); the two places with each other by "
        f"{between} (paper 0.11).",
        (
            Table.of("correlations", _rows(z, random, r)),
            Table("emotions", {"emotion": lab.names, **_each(z)}),
            Table(
                "replies",
                {
                    "prompt": texts,
                    "reply": [reply.text for reply in written],
                    "lexicon": [None if np.isnan(v) else round(float(v), 4) for v in valence],
                },
            ),
        ),
        (
            Drawn(
                "places",
                _heat(lab, z, shown, int(there[: len(DISSOCIATED)].sum())),
                "z of the display emotions on messages whose own emotion is not the one that fits the reply: "
                "at "
                "the user's last token (left) and at the prompt's end (right). It shows what is read, not "
                "what "
                "is felt, and whose emotion it is it does not say.",
            ),
            Drawn(
                "foretelling",
                _foretelling(z, lab.names),
                "Each point an emotion: r over prompts with its own reading over the reply. Above the "
                "diagonal "
                "the prompt's end foretells the reply better. A probe that reads the topic correlates at "
                "both "
                "places without any state being carried.",
            ),
        ),
        (
            _foretold("prompt's end → reply, r", "0.87", "0.77", foretold, _beyond(z, random, END)),
            _foretold("user's last token → reply, r", "0.59", "–", before, _beyond(z, random, STOP)),
            by_sign(
                "prompt's end foretells better than the user's last token",
                "0.87 > 0.59",
                "–",
                r["end better than last token"],
            ),
            _apart(between, _beyond(z, random, END)),
            loving,
            _judged(lab, z[END], valence[there]),
        ),
        (
            f"Replies are the model's own, greedy, of at most {TOKENS[lab.scale]} tokens. r is over all "
            f"prompts "
            "and probes at once, each probe less its mean over prompts, so that a probe that is always high "
            "adds "
            "nothing (as they come: table). Intervals: bootstrap over prompts.",
            "Controls (table): the same r with the replies of other prompts, near 0; and along random "
            "directions of the same residuals. What random directions do as well is the residual stream's "
            "doing "
            "and not an emotion's.",
        ),
    )


def pooled(
    a: Float[np.ndarray, "prompts emotions"], b: Float[np.ndarray, "prompts emotions"], centred: bool = True
) -> float:
    """r over all cells, columns less their means where `centred`."""
    x, y = (m - (m.mean(axis=0) if centred else m.mean()) for m in (a, b))
    size = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / size if size else 0.0


def _mixed(texts: Sequence[str]) -> list[str]:
    """In an order of no meaning, the same every time, so that a first few are of all kinds."""
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]


def _figure(z: Mapping[str, np.ndarray], one: str, other: str) -> Figure:
    a, b = z[one], z[other]
    return statistic(lambda drawn: pooled(a[drawn], b[drawn]), len(a), "prompts", RESAMPLES)


def _gain(z: Mapping[str, np.ndarray]) -> Figure:
    end, stop, said = z[END], z[STOP], z["reply"]
    return statistic(
        lambda drawn: pooled(end[drawn], said[drawn]) - pooled(stop[drawn], said[drawn]),
        len(end),
        "prompts",
        RESAMPLES,
    )


def _rows(
    z: Mapping[str, np.ndarray], random: Mapping[str, np.ndarray], r: Mapping[str, Figure]
) -> list[dict[str, object]]:
    pairs = {
        "prompt's end → reply": (END, "reply"),
        "user's last token → reply": (STOP, "reply"),
        "user's words → reply": (WORDS, "reply"),
        "user's last token, prompt's end": (STOP, END),
    }
    return [
        {
            "what": what,
            "r": r[what].value,
            "low": r[what].low,
            "high": r[what].high,
            "n": r[what].n,
            "r as they come": round(pooled(z[a], z[b], centred=False), 6),
            "r along random directions": round(pooled(random[a], random[b]), 6),
            "r with another prompt's": round(pooled(z[a], np.roll(z[b], 1, axis=0)), 6),
        }
        for what, (a, b) in pairs.items()
    ]


def _each(z: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    return {
        place: np.round(
            [pooled(z[place][:, [i]], z["reply"][:, [i]]) for i in range(z["reply"].shape[1])], 5
        ).tolist()
        for place in (STOP, WORDS, END)
    }


def _beyond(z: Mapping[str, np.ndarray], random: Mapping[str, np.ndarray], place: str) -> Figure:
    """r of the emotions with the reply, less that along random directions."""
    return statistic(
        lambda drawn: (
            pooled(z[place][drawn], z["reply"][drawn]) - pooled(random[place][drawn], random["reply"][drawn])
        ),
        len(z[place]),
        "prompts",
        RESAMPLES,
    )


def _foretold(what: str, paper: str, published: str, figure: Figure, beyond: Figure) -> Check:
    """A residual stream carries something along any direction: an emotion's probe must do better."""
    large, better = figure.low > 0 and figure.value >= LEAST, beyond.low > 0
    return Check(
        what,
        paper,
        published,
        f"{figure}; beyond random directions {beyond}",
        f"at least {LEAST:g}, and above random directions; partly: one of the two",
        ("not reproduced", "partly", "reproduced")[int(large) + int(better)],
    )


def _apart(between: Figure, beyond: Figure) -> Check:
    """Two readings of noise would be apart as well; so what is read at the prompt's end must mean "
    "something."""
    told = beyond.low > 0
    verdict = "reproduced" if between.high < 0.5 and told else "not reproduced"
    rule = "upper end under 0.5, and the prompt's end foretells the reply beyond random directions"
    return Check("user's last token against prompt's end, r", "0.11", "0.63", str(between), rule, verdict)  # type: ignore[arg-type]


def _loving(lab: Lab, z: Mapping[str, np.ndarray], n: int) -> Check:
    what = "`loving` rises from the user's last token to the prompt's end"
    if "loving" not in lab.names or not n:
        return unjudged(what, "in all 8 scenarios", "–", "no `loving` vector")
    rise = (z[END] - z[STOP])[:n, lab.names.index("loving")]
    risen = int((rise > 0).sum())
    verdict = "reproduced" if risen == n else "partly" if risen > n / 2 else "not reproduced"
    here = f"in {risen} of {n} (n = {n} messages)"
    return Check(what, "in all 8 scenarios", "–", here, "in all; partly: in more than half", verdict)  # type: ignore[arg-type]


def _judged(
    lab: Lab, end: Float[np.ndarray, "prompts emotions"], valence: Float[np.ndarray, " prompts"]
) -> Check:
    what = "valence read at the prompt's end → the reply's valence by a lexicon, r"
    norms = {lab.names[i]: value for i, value in zip(*lab.norms_of("valence"), strict=True)}
    weight = axis_weights(lab.names, norms)
    both = np.isfinite(valence)
    if weight is None or both.sum() < 10:
        return unjudged(what, "not reported", "–", "vaderSentiment is not installed, or there are no replies")
    x, y = (end @ weight)[both, None], valence[both, None]
    figure = statistic(lambda drawn: pooled(x[drawn], y[drawn]), len(x), "prompts")
    return by_sign(what, "not reported", "–", figure)


def _heat(lab: Lab, z: Mapping[str, np.ndarray], shown: Sequence[str], n: int) -> Drawing:
    from plotly.subplots import make_subplots

    columns = [lab.names.index(name) for name in shown]
    chart = make_subplots(cols=2, subplot_titles=(STOP, END), shared_yaxes=True, horizontal_spacing=0.03)
    for at, place in enumerate((STOP, END), 1):
        values = z[place][:n][:, columns]
        chart.add_trace(
            Heatmap(
                z=np.round(values, 2),
                x=list(shown),
                y=list(DISSOCIATED)[:n],
                zmid=0,
                zmin=-3,
                zmax=3,
                colorscale=[[0, BLUE], [0.5, "rgba(138,136,128,.15)"], [1, RED]],
                showscale=at == 2,
            ),
            row=1,
            col=at,
        )
    chart.update_yaxes(autorange="reversed")
    chart.update_layout(height=380)
    return chart


def _foretelling(z: Mapping[str, np.ndarray], names: Sequence[str]) -> Drawing:
    each = _each(z)
    chart = Drawing(
        Scatter(
            x=each[STOP],
            y=each[END],
            text=list(names),
            mode="markers",
            marker={"color": BLUE, "opacity": 0.6},
        )
    )
    chart.add_shape(type="line", x0=-1, y0=-1, x1=1, y1=1, line={"color": GREY, "dash": "dot"})
    chart.update_layout(
        xaxis_title="r, user's last token → reply",
        yaxis_title="r, prompt's end → reply",
        xaxis_range=[-0.5, 1],
        yaxis_range=[-0.5, 1],
        height=460,
    )
    return chart
