"""Does the dial hold on prompts, and for concepts, that it was not set on?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from affekt.engines.engine import Sampling
from affekt.quality.bootstrap import mean, share
from affekt.quality.coherence import everyday, losses
from affekt.quality.controls import with_random
from affekt.quality.dial import BOUND, BROKEN, spread_out
from affekt.quality.figure import Figure
from affekt.quality.naming import EngineFor
from affekt.quality.section import Cell, Section, unmeasured
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["TITLE", "dialled"]

TITLE = "Does a dial of 1 leave replies coherent?"

SIGNS = (1, -1)


def dialled(
    engine_for: EngineFor,
    vectors: ConceptVectors,
    arms: int = 12,
    prompts: Sequence[str] | None = None,
    max_tokens: int = 24,
    seed: int = 0,
) -> Section:
    """Rise of the unsteered model's loss on replies at a dial of 1 and -1, on prompts that did not set the
    dial.

    Args:
        engine_for: makes engines for the vectors with random directions beside them.
        vectors: with doses, see `calibrate_dial`.
        arms: concepts of each kind: measured when the dial was set, and inferred; and random directions.
        prompts: user messages; by default four that `calibrate_dial` does not use.
        max_tokens: length of the replies.
        seed: of the random directions.
    """
    known = [
        c
        for c, dose in zip(vectors.concepts, vectors.doses.tolist(), strict=True)
        if np.isfinite(dose) and dose
    ]
    if not known:
        return unmeasured(TITLE, "the dial is not calibrated")
    about = vectors.card.get("dial", {})
    bound = float(about.get("bound", BOUND))
    set_by = set(about.get("measured", ()))
    everything, plain = with_random(vectors, arms, seed)
    everything, mixed = with_random(everything, arms, seed + 1, spanned=True)
    engine = engine_for(everything)
    asked = list(prompts) if prompts is not None else everyday(4, part=1)
    greedy = Sampling(max_tokens=max_tokens)
    base, _ = losses(engine, asked, [None] * len(asked), greedy)
    usable = [i for i, loss in enumerate(base) if np.isfinite(loss)]
    if not usable:
        return unmeasured(TITLE, "the model gives no usable reply without steering")
    asked, base = [asked[i] for i in usable], base[usable]
    dose_of = dict(zip(vectors.names, vectors.doses.tolist(), strict=True))
    middle = float(np.median([dose_of[c.name] for c in known]))
    groups = {
        "concepts that set the dial": [
            c.name for c in spread_out([c for c in known if c.name in set_by], arms)
        ],
        "concepts with an inferred dose": [
            c.name for c in spread_out([c for c in known if c.name not in set_by], arms)
        ],
        "random directions": list(plain),
        "random mixtures of concepts": list(mixed),
    }
    rows: list[tuple[Cell, ...]] = []
    figures: dict[str, Figure] = {}
    data: dict[str, object] = {"bound": bound, "prompts": len(asked)}
    for group, names in groups.items():
        if not names:
            continue
        cases = [(name, sign, p) for name in names for sign in SIGNS for p in range(len(asked))]
        biases = [{name: {"dose": sign * dose_of.get(name, middle)}} for name, sign, _ in cases]
        loss, texts = losses(engine, [asked[p] for _, _, p in cases], biases, greedy)
        rise = (loss - base[[p for _, _, p in cases]]).reshape(len(names), len(SIGNS), len(asked))
        broken = ~np.isfinite(rise)
        cost = np.where(broken, np.nan, rise)
        per_arm = np.array([_mean(own) for own in cost])
        worst = np.where(broken, BROKEN, rise).mean(2).max(1)
        figures[group] = mean(per_arm, "directions")
        rows.append(
            (
                group,
                f"{np.median([dose_of.get(name, middle) for name in names]):.3f}",
                figures[group],
                share((worst <= bound).astype(float), "directions"),
                mean(broken.mean((1, 2)), "directions"),
            )
        )
        data[group] = {
            name: [None if not np.isfinite(r) else round(float(r), 4) for r in own.flat]
            for name, own in zip(names, rise, strict=True)
        }
        data[f"{group}, replies"] = [
            {"bias": next(iter(bias)), "sign": sign, "reply": text}
            for (_, sign, _), bias, text in list(zip(cases, biases, texts, strict=True))[:8]
        ]
    return Section(
        TITLE,
        _verdict([figures[group] for group in list(groups)[:2] if group in figures], bound),
        (
            "steered by",
            "dose (median)",
            "rise, nats a token",
            f"both signs within {bound:g}",
            "empty or looping",
        ),
        tuple(rows),
        (
            f"Loss of the unsteered model on greedy replies of {max_tokens} tokens at a dial of 1 and of "
            f"-1, above that of its own replies to the same {len(asked)} everyday messages, none of which "
            f"set the dial. Random directions get the median dose. A broken reply counts as {BROKEN:g} "
            f"nats for "
            "the bound, and is left out of the mean rise.",
            _how_set(about, len(vectors.concepts)),
        ),
        data,
    )


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _how_set(about: dict[str, object], concepts: int) -> str:
    measured = about.get("measured")
    if not isinstance(measured, dict):
        return "The doses were not set by a calibration of this kind."
    sampled = about.get("sampled_rise")
    scale = (
        f" For scale: its own replies sampled at temperature 1 rise by {sampled:.2f}."
        if isinstance(sampled, float)
        else ""
    )
    return (
        f"The dial was set at the dose whose rise is {about['bound']:g} nats a token (the sign that costs "
        f"more), measured for {len(measured)} concepts spread over the clusters and inferred for "
        f"{concepts - len(measured)}: the {about['inferred_quantile']:.0%} quantile of the measured. "
        f"Reliability of differences between concepts: {about['reliability']:.2f}.{scale}"
    )


def _verdict(figures: Sequence[Figure], bound: float) -> str:
    over = [figure for figure in figures if figure.low > bound]
    unsure = [figure for figure in figures if figure.low <= bound < figure.high]
    if over:
        return (
            f"The dial is set too high: on new prompts the rise is over {bound:g} nats a token; calibrate "
            "with more prompts."
        )
    if unsure:
        return f"On new prompts the rise at a dial of 1 is about the bound of {bound:g} nats a token."
    return f"On new prompts the rise at a dial of 1 stays under the bound of {bound:g} nats a token."
