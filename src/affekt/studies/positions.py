"""Study 4, second part (paper 3.7, 3.8): are the end of the user's statement and the prompt's end apart, and
does the latter foretell the reply?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.concepts.shipped import battery, implicit
from affekt.quality.bootstrap import statistic
from affekt.quality.naming import DISPLAY
from affekt.reading.axes import axis_weights
from affekt.reading.sheet import BLUE, GREY
from affekt.studies.heat import cells
from affekt.studies.lab import Lab
from affekt.studies.prompts.dissociated import DISSOCIATED
from affekt.studies.prompts.foretold import MIXTURES, Places, Read, pooled, rise
from affekt.studies.prompts.places import END, STOP, along, letters, of_prompts, of_replies
from affekt.studies.prompts.stated import Stated, stated
from affekt.studies.replies import lexicon, replies
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, unjudged

__all__ = ["positions"]

TOKENS = {"quick": 20, "full": 48}
"""The longest reply; the paper's has 20 tokens."""

PROMPTS = {"quick": 48, "full": 192}
"""Prompts, the eight of `DISSOCIATED` first."""

RISES = "loving"
"""Rises from the statement's end to the prompt's end in all of the paper's eight scenarios."""


def positions(lab: Lab) -> Result:
    """r between a probe at two places of the prompt and over the model's own reply, measured by the probe
    and, independently, by a lexicon of valence on the reply's text."""
    asked = [message.text for message in implicit()] + [question.text for question in battery()]
    messages = [
        *(Stated.joined(*parts) for parts in DISSOCIATED.values()),
        *(stated(text) for text in _mixed(asked)),
    ][: PROMPTS[lab.scale]]
    texts = [message.text for message in messages]
    rows = of_prompts(lab, messages)
    zero = of_prompts(lab, letters(), "positions, reference")
    written = replies(lab, lab.engine(), texts, TOKENS[lab.scale], stage="positions, replies")
    rows["reply"] = of_replies(lab, written)
    there = np.isfinite(rows["reply"].numpy()).all(axis=1)
    read = Read(*along(lab, {place: own[torch.tensor(there)] for place, own in rows.items()}, zero))
    valence = lexicon([reply.text for reply in written])
    apart = [message.apart for message, kept in zip(messages, there, strict=True) if kept]
    first = int(there[: len(DISSOCIATED)].sum())
    shown = [name for name in DISPLAY if name in lab.names]
    return Result(
        "positions",
        "Does the end of the prompt foretell the reply?",
        f"Over {int(there.sum())} prompts and {len(lab.names)} probes, what is read at the prompt's end "
        f"correlates with what is read over the reply by {read.r(END, 'reply')}, at the end of the user's "
        f"statement by {read.r(STOP, 'reply')} (paper 0.87 and 0.59); the two places with each other by "
        f"{read.r(STOP, END)} (paper 0.11).",
        (
            read.table(apart),
            Table("emotions", {"emotion": lab.names, **read.each()}),
            Table(
                "replies",
                {
                    "prompt": texts,
                    "statement": [message.text[: message.end] for message in messages],
                    "request apart": [message.apart for message in messages],
                    "reply": [reply.text for reply in written],
                    "lexicon": [None if np.isnan(v) else round(float(v), 4) for v in valence],
                },
            ),
        ),
        (
            Drawn(
                "places",
                _heat(lab, read.z, shown, first),
                "z of the display emotions on messages whose own emotion is not the one that fits the reply: "
                "at the end of the user's statement (left) and at the prompt's end (right). It shows what is "
                "read, not what is felt, and whose emotion it is it does not say.",
            ),
            Drawn(
                "foretelling",
                _foretelling(read, lab.names),
                "Each point an emotion: r over prompts with its own reading over the reply, at the end of "
                "the user's statement and at the prompt's end. Above the diagonal the prompt's end foretells "
                "the reply better. A probe that reads the topic correlates at both places without any state "
                "being carried.",
            ),
        ),
        (*read.checks(), _risen(lab, read.z, first), _judged(lab, read.z[END], valence[there])),
        (
            f"Replies are the model's own, greedy, of at most {TOKENS[lab.scale]} tokens. r is over all "
            "prompts and probes at once, each probe less its mean over prompts, so that a probe that is "
            "always high adds nothing (as they come: table). Intervals: bootstrap over prompts.",
            "The statement's end is the token with the last character of the full stop (or !, ?, … and a "
            "closing quote) before the questions and requests that a message ends with. "
            f"{sum(apart)} of the {len(apart)} prompts state something before they ask; the others end in no "
            "request or are nothing else, and are read at the end of the message. The user's last token is "
            "judged by no rule: the tables have it, and the prompts with statement and request apart alone.",
            "z at the statement's end is referred to the statement's end of letters, one for each emotion, "
            "and at the prompt's end to the end of the same letters' prompts: what every text does at such a "
            "place is in no z.",
            "Controls (table): the same r with the replies of other prompts, near 0; and along random "
            "directions of the same residuals. What random directions do as well is the residual stream's "
            "doing and not an emotion's.",
        ),
    )


def _mixed(texts: Sequence[str]) -> list[str]:
    """In an order of no meaning, the same every time, so that a first few are of all kinds."""
    return [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]


def _risen(lab: Lab, z: Places, n: int) -> Check:
    if RISES in lab.names and n:
        return rise(z, lab.names, RISES, n)
    why = f"no “{RISES}” vector" if n else "no replies"
    return unjudged(f"“{RISES}” rises from the statement's end to the prompt's end", "in all 8", "–", why)


def _judged(
    lab: Lab, end: Float[np.ndarray, "prompts emotions"], valence: Float[np.ndarray, " prompts"]
) -> Check:
    what = "valence read at the prompt's end → the reply's valence by a lexicon, r, beyond random mixtures"
    norms = {lab.names[i]: value for i, value in zip(*lab.norms_of("valence"), strict=True)}
    weight = axis_weights(lab.names, norms)
    both = np.isfinite(valence)
    if weight is None or both.sum() < 10:
        why = "vaderSentiment is not installed, or there are no replies"
        return unjudged(what, "not reported", "–", why, 13)
    x, y = (end @ weight)[both, None], valence[both, None]
    mixtures = end[both] @ np.random.default_rng(0).normal(size=(end.shape[1], MIXTURES))
    reach = float(np.quantile([abs(pooled(mixture[:, None], y)) for mixture in mixtures.T], 0.95))
    figure = statistic(lambda drawn: pooled(x[drawn], y[drawn]), len(x), "prompts")
    return by_sign(what, "not reported", "–", figure, least=round(reach, 3), row=13)


def _heat(lab: Lab, z: Places, shown: Sequence[str], n: int) -> Drawing:
    from plotly.subplots import make_subplots

    columns = [lab.names.index(name) for name in shown]
    chart = make_subplots(cols=2, subplot_titles=(STOP, END), shared_yaxes=True, horizontal_spacing=0.03)
    for at, place in enumerate((STOP, END), 1):
        trace = cells(
            z[place][:n][:, columns], shown, list(DISSOCIATED)[:n], zmin=-3, zmax=3, showscale=at == 2
        )
        chart.add_trace(trace, row=1, col=at)
    chart.update_yaxes(autorange="reversed")
    chart.update_layout(height=380)
    return chart


def _foretelling(read: Read, names: Sequence[str]) -> Drawing:
    each = read.each()
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
        xaxis_title="r, statement's end → reply",
        yaxis_title="r, prompt's end → reply",
        xaxis_range=[-0.5, 1],
        yaxis_range=[-0.5, 1],
        height=460,
    )
    return chart
