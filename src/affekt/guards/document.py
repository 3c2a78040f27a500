"""A YAML file as data, with the line of each key: what is wrong can be shown where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from affekt.errors import PolicyError

__all__ = ["At", "Document", "read_document", "written"]

At: TypeAlias = tuple[str | int, ...]
"""A place in nested data: keys, and indices of lists."""


@dataclass(frozen=True)
class Document:
    """What a file holds."""

    data: Mapping[str, Any]
    """Its mapping."""
    path: Path
    """The file."""
    lines: Mapping[At, int]
    """The line of each place, from 1."""

    def place(self, at: At) -> str:
        """`policy.yaml, line 3, monitors[0].action`; of a place that is not there, the nearest around it."""
        around = at
        while around and around not in self.lines:
            around = around[:-1]
        line = f", line {self.lines[around]}" if around in self.lines else ""
        return f"{self.path}{line}" + (f", {written(at)}" if at else "")


def written(at: At) -> str:
    """A place as one writes it: `monitors[0].action.do`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in at)
    return text.removeprefix(".")


def read_document(path: Path) -> Document:
    """Reads one YAML mapping.

    Raises:
        PolicyError: no such file, no YAML, two documents, a key twice, or anything but a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise PolicyError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{path}: not UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise PolicyError(f"{path}{line}: not one YAML document: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise PolicyError(f"{path}: not YAML: {error}") from error
    if node is None or not isinstance(data, dict):
        what = "empty" if data is None else f"a {type(data).__name__}"
        raise PolicyError(f"{path}: the file is {what}; expected a mapping with 'monitors'")
    return Document(data, path, dict(_lines(node, (), path)))


def _lines(node: yaml.Node, at: At, path: Path) -> list[tuple[At, int]]:
    line = node.start_mark.line + 1
    found = [(at, line)] if at else []
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            found += _lines(child, (*at, index), path)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise PolicyError(f"{path}, line {line}: the key {key.value!r} is no text; put it in quotes")
            if key.value in seen:
                raise PolicyError(f"{path}, line {line}: the key {key.value!r} stands twice")
            seen.add(key.value)
            found += [*_lines(child, (*at, key.value), path), ((*at, key.value), line)]
    return found
