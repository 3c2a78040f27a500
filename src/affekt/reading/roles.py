"""Whose words a token is: the roles a reading may carry."""

from __future__ import annotations

from collections.abc import Iterable

from affekt.errors import ReadingError, closest

__all__ = ["CONTENT", "PROMPT_END", "ROLES", "check_roles"]

ROLES = ("text", "special", "template", "system", "user", "assistant", "thinking", "tool", "generation")
"""Every role; `generation` is the start of the coming reply, `template` all other scaffolding of a chat."""

CONTENT = ("text", "system", "user", "assistant", "thinking", "tool")
"""The roles of words somebody wrote."""

PROMPT_END = "prompt end"
"""Not a role of its own: the last `generation` token, where a reply's state is read before its first word."""


def check_roles(roles: Iterable[str]) -> None:
    """Raises ReadingError for a role that no reading can have."""
    for role in roles:
        if role not in ROLES and role != PROMPT_END:
            known = (*ROLES, PROMPT_END)
            hint = closest(role, known) or f"; the roles are {', '.join(known)}"
            raise ReadingError(f"unknown role {role!r}{hint}")
