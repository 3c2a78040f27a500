"""A request's `emotion_bias`: parsed, checked against the vectors, and resolved to doses and layers."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, get_args

from affekt.errors import BiasError
from affekt.steering import grammar
from affekt.steering.term import Mode, Ramp, Term, Where
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["MAX_DOSE", "MAX_TERMS", "MAX_Z", "AffektWarning", "Bias", "Ramp", "Term", "Where", "parse"]

MAX_TERMS = 64
"""Most terms of one bias: far over any mixture with a meaning, far under a request that is a mistake."""

MAX_DOSE = 10.0
"""Largest raw dose in mean residual norms; text breaks well before 1."""

MAX_Z = 100.0
"""Largest z that `clamp` and `set` take."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "add": ("dial", "dose", "share"),
    "ablate": (),
    "clamp": ("low", "high"),
    "set": ("value",),
}
"""The keys that belong to one mode only."""

SHARED = ("mode", "layers", "where", "ramp")


class AffektWarning(UserWarning):
    """Something allowed that is likely to disappoint, such as a dial beyond 1."""


@dataclass(frozen=True)
class Bias:
    """What a request asks to be done with concepts; the order in which they were named does not matter."""

    terms: tuple[Term, ...] = ()
    """In a canonical order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(sorted(self.terms, key=_canonical)))
        if len(self.terms) > MAX_TERMS:
            raise BiasError(f"a bias of {len(self.terms)} terms; at most {MAX_TERMS} at once are taken")
        for one, other in combinations(self.terms, 2):
            if clash := _clash(one, other):
                raise BiasError(clash)

    @property
    def is_zero(self) -> bool:
        """Whether it changes nothing: no terms, or only adds of dose 0."""
        return all(term.is_zero for term in self.terms)

    def key(self) -> str:
        """A hash shared only by biases that do the same under the same vectors; all zero biases share one."""
        body = json.dumps([_canonical(term) for term in self.terms if not term.is_zero])
        return hashlib.sha256(body.encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """The terms as JSON values, for records."""
        return {"terms": [term.to_dict() for term in self.terms]}

    def under(self, stronger: Bias) -> Bias:
        """Both at once; where they contradict each other only `stronger` holds, as a guard's should."""
        kept = [t for t in self.terms if not any(_clash(t, other) for other in stronger.terms)]
        return replace(self, terms=(*kept, *stronger.terms))


def parse(spec: Any, vectors: ConceptVectors) -> Bias:
    """Reads an `emotion_bias`, as it came from JSON, YAML or a caller.

    Args:
        spec: mapping of concept to a dial (`{"calm": 0.5}`), to a full form (`{"calm": {"dose": 0.2, "where":
            "reply"}}`), or to a list of these. A dial of 1 is the largest dose that leaves the text coherent.
        vectors: the concepts, layers and calibrated doses it is resolved against.

    Raises:
        BiasError: for a key, type, value, layer or combination that cannot be meant.
        UnknownConcept: for a concept that the vectors do not hold.

    Warns:
        AffektWarning: for a dial beyond -1 to 1.
    """
    if not isinstance(spec, Mapping):
        raise BiasError(f"emotion_bias: expected a mapping of concepts, not {type(spec).__name__}")
    if len(spec) > MAX_TERMS:
        raise BiasError(f"emotion_bias: {len(spec)} concepts; at most {MAX_TERMS} at once are taken")
    terms: list[Term] = []
    for concept, value in spec.items():
        if not isinstance(concept, str):
            raise BiasError(f"emotion_bias: expected a concept's name as key, not {concept!r}")
        index = vectors.index(concept)
        many = isinstance(value, Sequence) and not isinstance(value, str)
        if many and not value:
            raise BiasError(f"emotion_bias.{concept}: an empty list; give a dial or leave the concept out")
        for i, form in enumerate(value if many else [value]):
            at = f"emotion_bias.{concept}[{i}]" if many else f"emotion_bias.{concept}"
            terms.append(_term(concept, index, form, vectors, at))
    return Bias(tuple(terms))


def _term(concept: str, index: int, form: Any, vectors: ConceptVectors, at: str) -> Term:
    if not isinstance(form, Mapping):
        form = {"dial": grammar.number(form, at)}
    mode: Mode = _mode(form, at)
    term = Term(
        concept=concept,
        mode=mode,
        layers=grammar.layers(form.get("layers", vectors.steer_layers), vectors.layers, f"{at}.layers"),
        where=grammar.where(form.get("where", "both"), f"{at}.where"),
        ramp=grammar.ramp(form["ramp"], f"{at}.ramp") if "ramp" in form else None,
    )
    match mode:
        case "add":
            share = grammar.switch(form.get("share", True), f"{at}.share")
            return replace(term, dose=_dose(concept, form, float(vectors.doses[index]), at), share=share)
        case "clamp":
            low = grammar.number(form["low"], f"{at}.low", -MAX_Z, MAX_Z) if "low" in form else -math.inf
            high = grammar.number(form["high"], f"{at}.high", -MAX_Z, MAX_Z) if "high" in form else math.inf
            if math.isinf(low) and math.isinf(high):
                raise BiasError(f"{at}: 'clamp' needs 'low', 'high' or both, in z")
            if low > high:
                raise BiasError(f"{at}: low {low:g} is above high {high:g}")
            return replace(term, low=low, high=high)
        case "set":
            if "value" not in form:
                raise BiasError(f"{at}: 'set' needs 'value', in z")
            return replace(term, value=grammar.number(form["value"], f"{at}.value", -MAX_Z, MAX_Z))
        case "ablate":
            return term


def _mode(form: Mapping[Any, Any], at: str) -> Mode:
    grammar.keys(form, (*SHARED, *(key for own in KEYS.values() for key in own)), at)
    name = grammar.one_of(form.get("mode", "add"), get_args(Mode), f"{at}.mode")
    mode: Mode = next(mode for mode in get_args(Mode) if mode == name)
    for other, own in KEYS.items():
        for key in own:
            if key in form and other != mode:
                raise BiasError(f"{at}.{key}: belongs to mode '{other}', not to '{mode}'")
    return mode


def _dose(concept: str, form: Mapping[Any, Any], calibrated: float, at: str) -> float:
    """The raw dose in mean residual norms, from `dose` or `dial`."""
    if ("dial" in form) == ("dose" in form):
        raise BiasError(f"{at}: 'add' needs either 'dial' (-1 to 1) or 'dose' (in mean residual norms)")
    if "dose" in form:
        return grammar.number(form["dose"], f"{at}.dose", -MAX_DOSE, MAX_DOSE)
    dial = grammar.number(form["dial"], f"{at}.dial")
    if dial == 0.0:
        return 0.0
    if not calibrated > 0.0:
        raise BiasError(
            f"{at}.dial: the dial of {concept!r} is not calibrated in these vectors; calibrate it, or give "
            f"a raw 'dose' in mean residual norms"
        )
    if abs(dial) > 1.0:
        warnings.warn(
            f"{at}.dial: {dial:g} is beyond -1 to 1, the range in which the text stays coherent",
            AffektWarning,
            stacklevel=4,
        )
    return grammar.number(dial * calibrated, f"{at}.dial: the dose", -MAX_DOSE, MAX_DOSE)


def _canonical(term: Term) -> str:
    return json.dumps(term.to_dict(), sort_keys=True)


def _clash(one: Term, other: Term) -> str:
    """Why two terms cannot both hold, or an empty string."""
    layers = set(one.layers) & set(other.layers)
    if one.concept != other.concept or not layers or one.where.apart(other.where):
        return ""
    modes = {one.mode, other.mode}
    free = modes == {"add"} or modes == {"add", "clamp"} or one.is_zero or other.is_zero
    if free:
        return ""
    return (
        f"emotion_bias.{one.concept}: '{one.mode}' and '{other.mode}' contradict each other at layer "
        f"{min(layers)}; keep one, or give them different layers or a different 'where' (prompt, reply)"
    )
