"""The dial: for each concept the largest dose that leaves replies coherent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from affekt.concepts import Concept
from affekt.engines.engine import Engine, Sampling
from affekt.errors import CalibrationError
from affekt.progress import Progress
from affekt.quality.coherence import everyday, losses
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["BOUND", "BROKEN", "GRID", "calibrate_dial", "largest", "likeness", "shrunk", "spread_out"]

BOUND = 0.5
"""Largest rise of the unsteered model's loss on its own steered replies, in nats per token."""

GRID = (0.1, 0.18, 0.32, 0.56, 1.0)
"""Doses tried, in mean residual norms shared out over the steering band."""

LOWER = 0.2
"""Quantile of the measured doses that concepts get which were not measured."""

BROKEN = 2.0
"""What an empty or looping reply counts for, in nats per token, when a dose is judged."""

FEWEST = 4
"""Concepts under which nothing is said of their differences."""

SIGNS = (1, -1)


@dataclass(frozen=True)
class _Trials:
    """What was measured: rises of the loss, NaN where an arm had already broken at smaller doses."""

    doses: tuple[float, ...]
    rises: Float[np.ndarray, "doses arms signs prompts"]


def calibrate_dial(
    engine: Engine,
    vectors: ConceptVectors,
    *,
    bound: float = BOUND,
    measured: int = 20,
    prompts: Sequence[str] | None = None,
    max_tokens: int = 24,
    grid: Sequence[float] = GRID,
    progress: Progress | None = None,
) -> ConceptVectors:
    """Find the dose at which the dial stands at 1 for every concept.

    Steering every concept at every dose would take hours on a small machine, and concepts differ little. So a
    sample of them, spread over the clusters, is steered at rising doses, both ways, all in one batch a dose;
    each stops when its replies cost the unsteered model `bound` nats per token more than its own greedy
    replies do. How far the measured doses differ beyond what other prompts would change is estimated from
    halves of the prompts, and the differences are shrunk by it. The other concepts of the same kind get a
    lower quantile.

    Args:
        engine: runs the model, steered by these vectors.
        vectors: their doses are set in the result.
        bound: largest mean rise of the loss.
        measured: how many concepts are steered; more are measured more exactly, in more time.
        prompts: user messages; by default four short everyday ones.
        max_tokens: length of the replies.
        grid: doses, rising.
        progress: called as the work goes on.

    Returns:
        The vectors with `doses`, and under `card["dial"]` how they were found.

    Raises:
        CalibrationError: the model gives no usable reply unsteered, or there is nothing to search.
    """
    if not bound > 0 or len(grid) < 2 or list(grid) != sorted(set(grid)) or not grid[0] > 0:
        raise CalibrationError("a calibration needs a bound over 0 and at least two rising doses over 0")
    asked = list(prompts) if prompts is not None else everyday(4)
    sample = spread_out(vectors.concepts, measured)
    trials, asked, sampled = _measure(engine, sample, asked, bound, grid, max_tokens, progress)
    rises = trials.rises
    found = np.array([largest(trials.doses, rises[:, i], bound) for i in range(len(sample))])
    kinds = [concept.kind for concept in sample]
    alike = likeness(rises)
    kept = shrunk(found, alike)
    doses = vectors.doses.clone()
    for i, concept in enumerate(vectors.concepts):
        own = [dose for other, dose in zip(sample, kept, strict=True) if other.name == concept.name]
        same = [dose for kind, dose in zip(kinds, kept, strict=True) if kind == concept.kind] or list(kept)
        doses[i] = float(own[0] if own else np.quantile(same, LOWER))
    about: dict[str, Any] = {
        "bound": bound,
        "grid": list(trials.doses),
        "prompts": len(asked),
        "broken": BROKEN,
        "max_tokens": max_tokens,
        "layers": list(vectors.steer_layers),
        "variant": vectors.steer_variant,
        "inferred_quantile": LOWER,
        "reliability": alike,
        "sampled_rise": sampled,
        "measured": {
            concept.name: {
                "dose": float(kept[i]),
                "own": float(found[i]),
                "rise": _json(rises[:, i].mean((1, 2))),
            }
            for i, concept in enumerate(sample)
        },
        "inferred": len(vectors.concepts) - len(sample),
    }
    return replace(vectors, doses=doses, card={**vectors.card, "dial": about})


def spread_out(concepts: Sequence[Concept], n: int) -> list[Concept]:
    """`n` concepts (all where there are fewer), every kind by its share and every cluster in turn."""
    groups: dict[tuple[str, str], list[Concept]] = {}
    for concept in concepts:
        groups.setdefault((concept.kind, concept.cluster or ""), []).append(concept)
    sizes = {kind: sum(c.kind == kind for c in concepts) for kind, _ in groups}
    chosen: list[Concept] = []
    for kind, size in sizes.items():
        share = min(size, max(2, round(n * size / len(concepts))))
        own = [members for (of, _), members in groups.items() if of == kind]
        # Of each cluster the first, then those in between by halves, so that near neighbours come last.
        turns = [[members[i] for i in _by_halves(len(members))] for members in own]
        rounds = [members[turn] for turn in range(size) for members in turns if turn < len(members)]
        chosen += rounds[:share]
    return chosen


def largest(doses: Sequence[float], rises: Float[np.ndarray, "doses signs prompts"], bound: float) -> float:
    """The dose at which the mean rise, of the sign that costs more, meets a bound; the largest tried if none
    does.

    What lies above the first dose that breaks it is not looked at.
    """
    held, cost_held = 0.0, 0.0
    for dose, cost in zip(doses, rises.mean(2).max(1).tolist(), strict=True):
        if cost >= bound:
            return _between(held, cost_held, dose, cost, bound)
        held, cost_held = dose, cost
    return held


def _between(held: float, cost_held: float, broken: float, cost: float, bound: float) -> float:
    """The dose at which a cost meets the bound, between one that held it and one that broke it.

    Costs grow with a power of the dose, about its square, so logarithms are joined by a straight line; where
    one has none, the costs themselves are.
    """
    if held > 0 and cost_held > 0:
        share = np.log(bound / cost_held) / np.log(cost / cost_held)
        return float(held * (broken / held) ** share)
    return float(held + (bound - cost_held) / (cost - cost_held) * (broken - held))


def likeness(rises: Float[np.ndarray, "doses arms signs prompts"]) -> float:
    """Reliability of the differences between arms: how alike two halves of the prompts order their costs.

    Over all doses that every arm was given, stepped up to all prompts by Spearman-Brown; 0 where the halves
    disagree, or there are too few prompts or arms to say.
    """
    common = rises[~np.isnan(rises).any((1, 2, 3))]
    if not len(common) or rises.shape[3] < 2:
        return 0.0
    one, other = (common[..., half::2].mean(3).max(2) for half in (0, 1))
    if one.shape[1] < FEWEST:
        return 0.0
    a, b = (_standard(costs).mean(0) for costs in (one, other))
    size = float(np.sqrt((a @ a) * (b @ b)))
    r = max(0.0, float(a @ b) / size) if size else 0.0
    return 2 * r / (1 + r)


def _standard(costs: Float[np.ndarray, "doses arms"]) -> Float[np.ndarray, "doses arms"]:
    """Costs of one dose made comparable with those of another."""
    spread = costs.std(1, keepdims=True)
    standard: Float[np.ndarray, "doses arms"] = (costs - costs.mean(1, keepdims=True)) / np.where(
        spread == 0, 1, spread
    )
    return standard


def shrunk(found: Float[np.ndarray, " arms"], alike: float) -> Float[np.ndarray, " arms"]:
    """Doses drawn together, on a log scale, by as much as their differences are noise."""
    logs = np.log(found)
    together: Float[np.ndarray, " arms"] = np.exp(logs.mean() + alike * (logs - logs.mean()))
    return together


def _measure(
    engine: Engine,
    sample: Sequence[Concept],
    prompts: Sequence[str],
    bound: float,
    grid: Sequence[float],
    max_tokens: int,
    progress: Progress | None,
) -> tuple[_Trials, list[str], float | None]:
    """Rises of the loss over a grid of doses; the prompts used; the rise of sampling."""
    greedy = Sampling(max_tokens=max_tokens)
    base, _ = losses(engine, prompts, [None] * len(prompts), greedy)
    usable = [i for i, loss in enumerate(base) if np.isfinite(loss)]
    if not usable:
        raise CalibrationError(
            "the model gives no usable reply without steering (all are empty or go in circles), so it "
            "cannot be said what steering costs; give other prompts, or steer by raw doses"
        )
    asked, base = [prompts[i] for i in usable], base[usable]
    free, _ = losses(
        engine, asked, [None] * len(asked), Sampling(max_tokens=max_tokens, temperature=1.0, seed=0)
    )
    free = (free - base)[np.isfinite(free)]
    rises = np.full((len(grid), len(sample), len(SIGNS), len(asked)), np.nan)
    alive: Bool[np.ndarray, " arms"] = np.ones(len(sample), dtype=bool)
    for step, dose in enumerate(grid):
        if progress is not None:
            progress("dial", step, len(grid))
        arms = [i for i in range(len(sample)) if alive[i]]
        if not arms:
            break
        rows = [(i, s, p) for i in arms for s in range(len(SIGNS)) for p in range(len(asked))]
        biases = [{sample[i].name: {"dose": dose * SIGNS[s]}} for i, s, _ in rows]
        loss, _ = losses(engine, [asked[p] for _, _, p in rows], biases, greedy)
        for (i, s, p), value in zip(rows, loss, strict=True):
            rises[step, i, s, p] = value - base[p] if np.isfinite(value) else BROKEN
        for i in arms:
            alive[i] = bool((rises[step, i].mean(1) < bound).all())
    if progress is not None:
        progress("dial", len(grid), len(grid))
    return _Trials(tuple(grid), rises), asked, float(free.mean()) if len(free) else None


def _by_halves(n: int) -> list[int]:
    """0 to n - 1, ends first, then middles of what is between."""
    order, gaps = [], [(0, n - 1)]
    seen: set[int] = set()
    for low, high in gaps:
        for i in (low, high, (low + high) // 2):
            if i not in seen and 0 <= i < n:
                order.append(i)
                seen.add(i)
        middle = (low + high) // 2
        gaps += [gap for gap in ((low, middle), (middle, high)) if gap[1] - gap[0] > 1]
    return order


def _json(values: Float[np.ndarray, " doses"]) -> list[float | None]:
    return [round(float(v), 4) if np.isfinite(v) else None for v in values]
