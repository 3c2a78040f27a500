"""Study 4 (paper 3.7 and 3.8): does the end of the prompt foretell the reply, better than the user's words
do?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from plotly.graph_objects import Figure as Drawing
from plotly.graph_objects import Scatter

from affekt.concepts.shipped import battery, implicit
from affekt.engines import Reply, Request, Sampling
from affekt.models.prompt import Encoded
from affekt.quality.bootstrap import RESAMPLES
from affekt.quality.figure import Figure
from affekt.quality.places import z_at
from affekt.reading.axes import axis_weights
from affekt.reading.sheet import GREY
from affekt.studies.lab import Lab
from affekt.studies.result import Check, Drawn, Result, Table, by_sign, unjudged

__all__ = ["positions"]

TOKENS = {"quick": 24, "full": 64}
PROMPTS = {"quick": 60, "full": 192}


def positions(lab: Lab) -> Result:
    """r over prompts between a probe at two places of the prompt and over the model's own reply, measured by
    the probe and, independently, by a lexicon of valence on the reply's text."""
    asked = [message.text for message in implicit()] + [question.text for question in battery()]
    texts = asked[: PROMPTS[lab.scale]]
    engine, names = lab.engine(), lab.names
    z = z_at(engine, lab.vectors, texts, names)
    replies = _replies(lab, texts)
    reply_z = _reply_z(lab, replies)
    there = np.isfinite(reply_z).all(axis=1)
    lexicon = _lexicon([reply.text for reply in replies])
    r = {place: _r(values[there], reply_z[there]) for place, values in z.items()}
    r["between"] = _r(z["user"][there], z["prompt_end"][there])
    figures = {key: _mean_r(z, reply_z, there, key) for key in ("prompt_end", "user", "between", "gain")}
    checks = [
        by_sign("prompt end → reply, mean r over emotions", "0.87", "0.77", figures["prompt_end"], least=0.3),
        by_sign("user's words → reply, mean r over emotions", "0.59", "–", figures["user"]),
        by_sign("prompt end foretells better than the user's words", "0.87 > 0.59", "–", figures["gain"]),
        _apart(figures["between"]),
        _judged(lab, z["prompt_end"], lexicon, there),
    ]
    table = Table(
        "emotions", {"emotion": names} | {key: np.round(values, 5).tolist() for key, values in r.items()}
    )
    chart = Drawing(
        Scatter(x=r["user"], y=r["prompt_end"], text=names, mode="markers", marker={"color": GREY})
    )
    chart.update_layout(
        xaxis_title="r, user's words → reply", yaxis_title="r, prompt's end → reply", height=420
    )
    return Result(
        "positions",
        "Does the end of the prompt foretell the reply?",
        f"Over {int(there.sum())} prompts a probe at the prompt's end correlates with itself over the reply "
        "by "
        f"{figures['prompt_end']}, over the user's words by {figures['user']} (paper 0.87 and 0.59).",
        (
            table,
            Table(
                "replies",
                {"prompt": texts, "reply": [reply.text for reply in replies], "lexicon": lexicon.tolist()},
            ),
        ),
        (
            Drawn(
                "positions",
                chart,
                "Each point an emotion. Above the diagonal the prompt's end foretells the reply better. A "
                "probe "
                "that reads the topic correlates at both places without any state being carried.",
            ),
        ),
        tuple(checks),
        (
            f"Replies are greedy, of at most {TOKENS[lab.scale]} tokens. Intervals: bootstrap over prompts "
            "of the "
            "mean over emotions.",
        ),
    )


def _replies(lab: Lab, texts: Sequence[str]) -> list[Reply]:
    sampling = Sampling(max_tokens=TOKENS[lab.scale], stop=() if lab.has_template else ("\nHuman:",))
    requests = [Request([{"role": "user", "content": t}], sampling, id=str(i)) for i, t in enumerate(texts)]
    found: dict[int, Reply] = {}
    for piece in lab.engine().generate(requests):
        if isinstance(piece, Reply):
            found[int(piece.request)] = piece
            lab.told("positions, replies", len(found), len(texts))
    return [found[i] for i in range(len(texts))]


def _reply_z(lab: Lab, replies: Sequence[Reply]) -> Float[np.ndarray, "prompts emotions"]:
    readout = lab.vectors.readout().only(lab.emotions)
    starts = {reply.whole.ids: reply.prompt_tokens for reply in replies}

    def pick(encoded: Encoded) -> Sequence[int]:
        return range(starts[encoded.ids], len(encoded))

    out = np.full((len(replies), len(lab.emotions)), np.nan)
    for one in lab.engine().collect([reply.whole for reply in replies], [readout.layer], pick):
        if one.values.shape[1]:
            out[one.index] = readout.z(one.values[0, 0], "reply").double().numpy()
    return out


def _r(
    a: Float[np.ndarray, "prompts emotions"], b: Float[np.ndarray, "prompts emotions"]
) -> Float[np.ndarray, " emotions"]:
    x, y = a - a.mean(0), b - b.mean(0)
    r: np.ndarray = (x * y).sum(0) / np.sqrt((x * x).sum(0) * (y * y).sum(0))
    return r


def _mean_r(z: dict[str, np.ndarray], reply: np.ndarray, there: np.ndarray, key: str) -> Figure:
    """The mean over emotions of r over prompts (or a difference of two), with its bootstrap over prompts."""
    rows = np.flatnonzero(there)

    def measure(drawn: np.ndarray) -> float:
        user, end, said = z["user"][drawn], z["prompt_end"][drawn], reply[drawn]
        if key == "between":
            return float(np.nanmean(_r(user, end)))
        if key == "gain":
            return float(np.nanmean(_r(end, said)) - np.nanmean(_r(user, said)))
        return float(np.nanmean(_r(end if key == "prompt_end" else user, said)))

    rng = np.random.default_rng(0)
    drawn = [measure(rng.choice(rows, len(rows))) for _ in range(RESAMPLES // 8)]
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return Figure(measure(rows), float(low), float(high), len(rows), "prompts")


def _apart(between: Figure) -> Check:
    return Check(
        "user's words against prompt's end, mean r over emotions",
        "0.11",
        "0.63",
        str(between),
        "upper end under 0.5: the two places are apart",
        "reproduced" if between.high < 0.5 else "not reproduced",
    )


def _lexicon(texts: Sequence[str]) -> Float[np.ndarray, " prompts"]:
    """Valence of each reply by words alone; NaN where vaderSentiment is not installed."""
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        return np.full(len(texts), np.nan)
    analyzer = SentimentIntensityAnalyzer()
    return np.array([analyzer.polarity_scores(text)["compound"] for text in texts])


def _judged(lab: Lab, end: np.ndarray, lexicon: np.ndarray, there: np.ndarray) -> Check:
    what = "valence at the prompt's end → the reply's valence by a lexicon"
    norms = {lab.names[i]: value for i, value in zip(*lab.norms_of("valence"), strict=True)}
    weight = axis_weights(lab.names, norms)
    both = there & np.isfinite(lexicon)
    if weight is None or both.sum() < 10:
        return unjudged(what, "not reported", "–", "vaderSentiment is not installed, or there are no replies")
    x, y = (end @ weight)[both], lexicon[both]
    from affekt.quality.bootstrap import statistic

    figure = statistic(lambda drawn: float(np.corrcoef(x[drawn], y[drawn])[0, 1]), len(x), "prompts")
    return by_sign(what, "not reported", "–", figure)
