"""From what was seen of two models to their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from affekt.audit.carriers import carriers, pairs
from affekt.audit.comparison import ALL, Comparison, Directions
from affekt.audit.floor import Arm
from affekt.audit.keep import Seen
from affekt.audit.quantities import quantities
from affekt.audit.reference import Reference
from affekt.audit.setup import Setup
from affekt.audit.statistics import correlation, discoveries, floor_of, moved

__all__ = ["assembled"]


def assembled(
    base: str,
    tuned: str,
    setup: Setup,
    reference: Reference,
    after: Mapping[str, Seen],
    arms: Sequence[Arm],
    directions: Directions | None = None,
    notes: tuple[str, ...] = (),
) -> Comparison:
    """The comparison of a model with what it is held against, seen at the same views."""
    before = reference.mean
    columns = quantities(setup.vectors.concepts)
    kinds = [column.kind for column in columns]
    emotions = np.array([kind == "emotion" for kind in kinds])
    groups = (*dict.fromkeys(prompt.group for prompt in setup.prompts), ALL)
    views = tuple(before)
    shape = (len(views), len(groups), len(columns))
    names = ("base_z", "tuned_z", "shift", "low", "high", "floor", "p", "q")
    values = {name: np.full(shape, np.nan) for name in names}
    n, empty = np.zeros(shape[:2], dtype=np.int64), np.zeros(shape[:2], dtype=np.int64)
    differences = {view: setup.difference(before[view], after[view], view) for view in views}
    for v, view in enumerate(views):
        z = {"base_z": setup.z(before[view], view), "tuned_z": setup.z(after[view], view)}
        both = np.isfinite(differences[view]).all(axis=1)
        for g, group in enumerate(groups):
            rows = np.array([i for i in _rows(setup, group) if both[i]], dtype=int)
            floor = _floor(arms, view, _rows(setup, group), kinds)
            found = moved(differences[view][rows], floor)
            n[v, g] = found.n
            empty[v, g] = np.isnan(z["tuned_z"][_rows(setup, group)]).any(axis=1).sum()
            values["floor"][v, g] = floor
            for name, per_prompt in z.items():
                values[name][v, g] = per_prompt[rows].mean(axis=0) if len(rows) else np.nan
            for name, value in (("shift", found.mean), ("low", found.low), ("high", found.high)):
                values[name][v, g] = value
            values["p"][v, g] = found.p
            for kind in set(kinds):
                own = np.array([each == kind for each in kinds])
                values["q"][v, g, own] = discoveries(found.p[own])
    by_layer = _by_layer(setup, before, after)
    felt = by_layer[..., emotions]
    comparison = Comparison(
        base=base,
        tuned=tuned,
        reference=reference.names,
        vectors=setup.vectors.provenance.model.name,
        layer=setup.vectors.read_layer,
        views=views,
        reply_form=setup.reply_form,
        groups=groups,
        quantities=columns,
        asked=np.array([len(_rows(setup, group)) for group in groups]),
        n=n,
        empty=empty,
        base_z=values["base_z"],
        tuned_z=values["tuned_z"],
        shift=values["shift"],
        low=values["low"],
        high=values["high"],
        floor=values["floor"],
        p=values["p"],
        q=values["q"],
        arms={view: tuple(arm.name for arm in arms if view in arm.differences) for view in views},
        layers=setup.vectors.layers,
        size_by_layer=np.sqrt((felt**2).mean(axis=-1)),
        layer_agreement=np.array(
            [[[correlation(one, other) for other in view] for one in view] for view in felt]
        ),
        cluster_by_layer=by_layer[..., np.array([kind == "cluster" for kind in kinds])],
        norm_ratio=np.array([_norm_ratio(setup, reference, after, view) for view in views]),
        pairs=pairs(before["reply"], after["reply"], differences["reply"], setup.prompts)
        if "reply" in views
        else (),
        directions=directions,
        notes=notes + _empty(after),
    )
    return replace(comparison, carriers=carriers(comparison, differences, setup.prompts))


def _rows(setup: Setup, group: str) -> list[int]:
    return [i for i, prompt in enumerate(setup.prompts) if group in (ALL, prompt.group)]


def _floor(
    arms: Sequence[Arm], view: str, rows: Sequence[int], kinds: Sequence[str]
) -> Float[np.ndarray, " quantities"]:
    """The floor of a group: from each arm, the rows of the group's prompts."""
    means = []
    for arm in arms:
        if view in arm.differences:
            here = [k for k, i in enumerate(arm.rows[view]) if i in set(rows)]
            own = arm.differences[view][here]
            own = own[np.isfinite(own).all(axis=1)]
            if len(own):
                means.append(own.mean(axis=0))
    return floor_of(np.array(means), kinds) if means else np.zeros(len(kinds))


def _by_layer(
    setup: Setup, before: Mapping[str, Seen], after: Mapping[str, Seen]
) -> Float[np.ndarray, "views layers quantities"]:
    """The shift over all prompts at each layer (paper, figure 84)."""
    return np.array(
        [
            [
                _mean(setup.difference(before[view], after[view], view, layer))
                for layer in setup.vectors.layers
            ]
            for view in before
        ]
    )


def _mean(rows: Float[np.ndarray, "prompts quantities"]) -> Float[np.ndarray, " quantities"]:
    there = rows[np.isfinite(rows).all(axis=1)]
    mean: Float[np.ndarray, " quantities"] = (
        there.mean(axis=0) if len(there) else np.full(rows.shape[1], np.nan)
    )
    return mean


def _norm_ratio(setup: Setup, reference: Reference, after: Mapping[str, Seen], view: str) -> float:
    """By the mean of their lengths: the mean of several residuals is shorter than they are."""
    one = torch.stack([setup.norms(seen[view]) for seen in reference.each]).mean(dim=0)
    other = setup.norms(after[view])
    both = one.isfinite() & other.isfinite()
    return float(other[both].mean() / one[both].mean())


def _empty(after: Mapping[str, Seen]) -> tuple[str, ...]:
    if "reply" not in after:
        return ()
    empty = int(after["reply"].residuals[:, 0, 0].isnan().sum())
    return (f"{empty} of {len(after['reply'].replies)} replies are empty and left out.",) if empty else ()
