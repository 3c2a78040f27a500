"""From what a model has answered to the items it was asked for, however broken its JSON is."""

from __future__ import annotations

import json
import re
from typing import Any

from affekt.errors import CorpusError

__all__ = ["items"]

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)


def items(reply: str) -> list[Any] | None:
    """The texts of a reply: the list under `texts` (or under whatever name), or the list itself.

    Thinking, fences and words around the JSON are left out. JSON that is broken (a comma, a quote, a bracket
    too few) is repaired; a text that it cuts short is found later by its end.

    Returns:
        The items; None where there is no JSON object or list.

    Raises:
        CorpusError: json-repair is not installed.
    """
    body = _THOUGHT.sub("", reply)
    for candidate in (*_FENCE.findall(body), body):
        start = re.search(r"[\[{]", candidate)
        if start is None:
            continue
        found = _listed(_parsed(candidate[start.start() :]))
        if found is not None:
            return found
    return None


def _parsed(text: str) -> Any:
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)[0]
    except (ValueError, RecursionError):
        try:
            from json_repair import loads
        except ImportError as error:
            raise CorpusError("reading replies needs json-repair; pip install 'affekt[write]'") from error
        try:
            return loads(text)
        except (ValueError, RecursionError):
            return None


def _listed(value: Any) -> list[Any] | None:
    """The list that is meant; several objects one after the other are a list too."""
    if isinstance(value, dict):
        inside = value.get("texts")
        if not isinstance(inside, list):
            lists = [each for each in value.values() if isinstance(each, list)]
            inside = (
                lists[0] if len(lists) == 1 and "turns" not in value and "messages" not in value else [value]
            )
        return inside
    if isinstance(value, list) and value:
        if len(value) == 1 and isinstance(value[0], dict) and isinstance(value[0].get("texts"), list):
            return list(value[0]["texts"])
        roles = all(isinstance(each, dict) and "content" in each for each in value)
        return [value] if roles else value
    return None
