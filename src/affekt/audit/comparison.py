"""What training did to a model, as numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from affekt.audit.prompts import Form
from affekt.audit.quantities import Quantity
from affekt.audit.statistics import RATE, correlation
from affekt.errors import AffektError, UnknownConcept, closest

__all__ = ["ALL", "Carrier", "Comparison", "Directions", "Pair", "Shift", "TokenCarrier", "finite"]

FORMAT = "affekt.comparison/1"

ALL = "all"
"""The group of all prompts together."""


@dataclass(frozen=True)
class Shift:
    """One quantity at one view, over one group of prompts."""

    view: str
    group: str
    name: str
    kind: str
    n: int
    """Prompts."""
    base: float
    """Mean z of the reference: of the base, or over the controls."""
    tuned: float
    """Mean z of the tuned model."""
    shift: float
    """Their difference."""
    low: float
    """Lower end of its 95 % interval, over prompts."""
    high: float
    """Upper end."""
    floor: float
    """Largest shift seen where nothing of interest had changed."""
    q: float
    """p of a shift within the floor, corrected over all quantities of the kind."""

    @property
    def units(self) -> float:
        """The shift in noise floors."""
        return self.shift / self.floor if self.floor else math.copysign(math.inf, self.shift)

    @property
    def called(self) -> bool:
        """Whether it is above the floor beyond chance."""
        return self.q <= RATE


@dataclass(frozen=True)
class Carrier:
    """A prompt that carries a shift."""

    view: str
    name: str
    prompt: str
    """The prompt's id."""
    text: str
    """The message."""
    difference: float
    """Its own difference in z."""
    share: float
    """Its part of the sum over all prompts."""


@dataclass(frozen=True)
class TokenCarrier:
    """A token of a tuned model's reply, read by both models, that carries a shift."""

    name: str
    """The concept."""
    prompt: str
    """The prompt's id."""
    before: str
    """What stands before it in the reply."""
    token: str
    """The token as written."""
    base: float
    """The z there of the base, or of the first control."""
    tuned: float
    """The tuned model's."""
    share: float
    """Its part of the sum of the differences over the replies that were read."""


@dataclass(frozen=True)
class Pair:
    """What both models answered."""

    prompt: str
    """The prompt's id."""
    text: str
    """The message."""
    base: str
    """The base's reply, or the first control's where controls are the reference."""
    tuned: str
    """The tuned model's."""


@dataclass(frozen=True)
class Directions:
    """Whether the directions moved, rather than the activations: both models' own, from the same texts."""

    cosine: Mapping[str, float]
    """Cosine between the base's vector of each concept and the tuned model's."""
    chance: float
    """The largest absolute cosine of 95 % of pairs of different concepts."""
    agreement: Mapping[str, float]
    """For each view, r over emotions between the shift along the base's vectors and along the tuned
    model's."""
    texts: int
    """Texts the vectors were made of."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A tuned model against its base or the mean of controls: one set of prompts, places and vectors."""

    base: str
    tuned: str
    reference: tuple[str, ...]
    """What the tuned model is held against: the base alone, or the controls, whose mean it is."""
    vectors: str
    """The model that the vectors come from."""
    layer: int
    """Where z is read."""
    views: tuple[str, ...]
    reply_form: Form
    """In which form replies were asked for: `chat`, by the template, or `plain`."""
    groups: tuple[str, ...]
    """The prompts' groups, the last of them `ALL`."""
    quantities: tuple[Quantity, ...]
    asked: Int[np.ndarray, " groups"]
    """Prompts that were asked."""
    n: Int[np.ndarray, "views groups"]
    """Prompts of which both have a reading."""
    empty: Int[np.ndarray, "views groups"]
    """Prompts of which the tuned model has none: it answered nothing."""
    base_z: Float[np.ndarray, "views groups quantities"]
    tuned_z: Float[np.ndarray, "views groups quantities"]
    shift: Float[np.ndarray, "views groups quantities"]
    low: Float[np.ndarray, "views groups quantities"]
    high: Float[np.ndarray, "views groups quantities"]
    floor: Float[np.ndarray, "views groups quantities"]
    p: Float[np.ndarray, "views groups quantities"]
    q: Float[np.ndarray, "views groups quantities"]
    arms: Mapping[str, tuple[str, ...]]
    """What the floor of each view is made of."""
    layers: tuple[int, ...]
    size_by_layer: Float[np.ndarray, "views layers"]
    """Root mean square over the emotions of the shift over all prompts."""
    layer_agreement: Float[np.ndarray, "views layers layers"]
    """r over emotions between the shifts at two layers."""
    cluster_by_layer: Float[np.ndarray, "views layers clusters"]
    """Shift of each cluster over all prompts."""
    norm_ratio: Float[np.ndarray, " views"]
    """Mean length of the tuned model's residuals over the reference's."""
    carriers: tuple[Carrier, ...] = ()
    pairs: tuple[Pair, ...] = ()
    tokens: tuple[TokenCarrier, ...] = ()
    """Filled in by `affekt.audit.examples.with_tokens`."""
    directions: Directions | None = None
    notes: tuple[str, ...] = field(default=())
    """What the reader must know."""

    @property
    def against(self) -> str:
        """`base` or `controls`."""
        return "base" if self.reference == (self.base,) else "controls"

    def measured(self, view: str, group: str = ALL) -> bool:
        """Whether there were two prompts at least to measure a shift by."""
        return bool(self.n[self.views.index(view), self.groups.index(group)] >= 2)

    def missing(self, view: str, group: str = ALL) -> str:
        """How many readings there are not, such as `8 of 8 replies of NAME were empty`."""
        g = self.groups.index(group)
        here, asked = (self.views.index(view), g), int(self.asked[g])
        empty, lost = int(self.empty[here]), asked - int(self.n[here])
        said = [f"{empty} of {asked} replies of {self.tuned} were empty"] if empty else []
        if lost > empty:
            said.append(f"{lost - empty} of {asked} of {' or '.join(self.reference)} alone")
        return ", ".join(said) or f"only {asked} prompt{'s' * (asked != 1)} asked"

    def at(self, view: str, group: str, name: str) -> Shift:
        """One shift; raises UnknownConcept, or AffektError for a view or group that is not there."""
        for what, value, known in (("view", view, self.views), ("group", group, self.groups)):
            if value not in known:
                raise AffektError(
                    f"no {what} {value!r} here{closest(value, known)} (there are: {', '.join(known)})"
                )
        names = [quantity.name for quantity in self.quantities]
        if name not in names:
            raise UnknownConcept(name, names)
        return self._shift(self.views.index(view), self.groups.index(group), names.index(name))

    def shifts(self, view: str, group: str = ALL, kind: str = "emotion") -> list[Shift]:
        """All quantities of a kind, the largest rise first."""
        v, g = self.views.index(view), self.groups.index(group)
        found = [self._shift(v, g, i) for i, one in enumerate(self.quantities) if one.kind == kind]
        return sorted(found, key=lambda one: -one.shift)

    def emotions(self) -> np.ndarray:
        """Which quantities are emotions."""
        return np.array([quantity.kind == "emotion" for quantity in self.quantities])

    def agreement(self, view: str, one: str, other: str) -> float:
        """r over emotions between the shifts of two groups (paper, figure 36: 0.90)."""
        v, a, b = self.views.index(view), self.groups.index(one), self.groups.index(other)
        own = self.emotions()
        return correlation(self.shift[v, a, own], self.shift[v, b, own])

    def likeness(self, view: str, group: str) -> float:
        """r over emotions between base and tuned (paper, figure 36: 0.83 neutral, 0.67 challenging)."""
        v, g, own = self.views.index(view), self.groups.index(group), self.emotions()
        return correlation(self.base_z[v, g, own], self.tuned_z[v, g, own])

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types: a row for each shift, and what the page shows besides. NaN becomes None."""
        rows = [
            {**vars(one), "units": one.units, "called": one.called}
            for v in range(len(self.views))
            for g in range(len(self.groups))
            for one in (self._shift(v, g, i) for i in range(len(self.quantities)))
        ]
        record = {
            "format": FORMAT,
            **{
                name: getattr(self, name)
                for name in (
                    *("base", "tuned", "against", "reference", "vectors", "layer"),
                    *("views", "reply_form", "groups"),
                )
            },
            "arms": dict(self.arms),
            "layers": self.layers,
            "size_by_layer": self.size_by_layer.tolist(),
            "cluster_by_layer": self.cluster_by_layer.tolist(),
            "layer_agreement": self.layer_agreement.tolist(),
            "norm_ratio": self.norm_ratio.tolist(),
            "carriers": [vars(one) for one in self.carriers],
            "tokens": [vars(one) for one in self.tokens],
            "pairs": [vars(one) for one in self.pairs],
            "directions": vars(self.directions) if self.directions else None,
            "notes": self.notes,
            "shifts": rows,
        }
        plain: dict[str, Any] = finite(record)
        return plain

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False)

    def _shift(self, v: int, g: int, i: int) -> Shift:
        values = {
            name: float(getattr(self, source)[v, g, i])
            for name, source in (
                *(("base", "base_z"), ("tuned", "tuned_z"), ("shift", "shift"), ("low", "low")),
                *(("high", "high"), ("floor", "floor"), ("q", "q")),
            )
        }
        quantity = self.quantities[i]
        return Shift(self.views[v], self.groups[g], quantity.name, quantity.kind, int(self.n[v, g]), **values)


def finite(value: Any) -> Any:
    """A value of JSON's types with None for every number that JSON has not: NaN and the infinities."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
