"""A policy: which monitors watch a reply, and what happens when one trips."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from affekt.concepts.concept import emotions, styles
from affekt.concepts.spelling import slip_for
from affekt.errors import PolicyError, closest
from affekt.guards.action import Checked, Resample
from affekt.guards.contradiction import contradiction
from affekt.guards.document import read_document
from affekt.guards.misplaced import Misplaced, misplaced
from affekt.guards.monitor import AXES
from affekt.guards.rule import Rule

__all__ = ["Policy", "Rule"]


class Policy(Checked):
    """What a guard does. Checked when it is made; PolicyError names the place of what contradicts itself."""

    name: str = "policy"
    """What to call it."""
    layer: Annotated[int, Field(ge=0)] | None = None
    """Layer that is read; the vectors' own unless given."""
    hold_back: Annotated[int, Field(ge=0)] | None = None
    """By how many tokens the stream is delayed; as few as the actions need unless given."""
    calibration: str | None = None
    """The calibration file; a relative path starts at the policy's folder."""
    monitors: Annotated[tuple[Rule, ...], Field(min_length=1)]
    """The rules; the harshest action of those that trip at a token is taken."""

    def __init__(self, /, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise misplaced(error, settings) from None

    @field_validator("monitors", mode="before")
    @classmethod
    def _some(cls, value: Any) -> Any:
        if not value:
            raise ValueError("no monitor; a policy without one guards nothing")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        found = contradiction(self.monitors, self.hold_back)
        if found is not None:
            at, message = found
            raise PydanticCustomError("contradiction", "{message}", {"message": message, "at": at})
        return self

    @classmethod
    def load(cls, path: str | Path, concepts: Collection[str] | None = None) -> Policy:
        """Reads and checks a YAML file.

        Args:
            path: the file.
            concepts: those of the vectors it is for; without them slips of known words are found, and all
                else once the policy meets vectors.

        Raises:
            PolicyError: naming the file, the line and the key.
        """
        document = read_document(Path(path))
        try:
            policy = cls(**document.data)
            policy.check_concepts(concepts)
        except Misplaced as error:
            raise PolicyError(f"{document.place(error.at)}: {error.message}") from None
        if policy.calibration is None:
            return policy
        return policy.model_copy(update={"calibration": str(Path(path).parent / policy.calibration)})

    @classmethod
    def of(cls, policy: Policy | str | Path | Mapping[str, Any]) -> Policy:
        """A policy as it is, from its file, or from a mapping that says what a file would."""
        if isinstance(policy, Policy):
            return policy
        return cls(**policy) if isinstance(policy, Mapping) else cls.load(policy)

    def check_concepts(self, concepts: Collection[str] | None) -> None:
        """Raises PolicyError for a concept that is not among `concepts`, or, without them, for slips only."""
        for index, rule in enumerate(self.monitors):
            for where, name in rule.concepts():
                meant = _meant(name, concepts)
                if meant is not None:
                    raise Misplaced(("monitors", index, *where), f"unknown concept {name!r}{meant}")

    @property
    def rewind(self) -> int:
        """The most tokens that an action may drop; 0 where none does."""
        actions = [rule.action for rule in self.monitors]
        return max((action.drop for action in actions if isinstance(action, Resample)), default=0)


def _meant(name: str, concepts: Collection[str] | None) -> str | None:
    """The tail of the error about a concept; None where there is no error."""
    known = _SHIPPED if concepts is None else concepts
    if name in known:
        return None
    if concepts is None:
        slip = slip_for(name, _SHIPPED)
        return None if slip is None else f"; did you mean {slip!r}?"
    return closest(name, (*known, *AXES)) or f"; the vectors hold {len(known)} others"


_SHIPPED = tuple(concept.name for concept in (*emotions(), *styles()))
