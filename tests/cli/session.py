"""A tiny model in the place of the one that a command would open, and dialogues for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from affekt.concepts.concept import Concept
from affekt.engines import Reply, Request, Token
from affekt.engines.transformers import TransformersEngine
from tests.engines.small import opened, vectors_for

NAMES = ("calm", "desperate", "afraid", "angry", "hateful")
"""The concepts of the tiny vectors: those of the example policy."""


class Spied(TransformersEngine):
    """An engine that keeps what it was asked, and can be stopped as by Ctrl-C."""

    asked: list[Request]
    stop_after: int | None = None

    def generate(self, requests: Sequence[Request]) -> Iterator[Token | Reply]:
        self.asked = [*getattr(self, "asked", []), *requests]
        done = 0
        for piece in super().generate(requests):
            yield piece
            done += isinstance(piece, Reply)
            if done == self.stop_after:
                raise KeyboardInterrupt


def spied() -> Spied:
    model = opened()
    held = vectors_for(
        model, concepts=tuple(Concept(name) for name in NAMES), doses=torch.full((len(NAMES),), 0.3)
    )
    return Spied(model, held)


def use(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> Spied:
    """Has commands open a tiny model."""
    engine = spied()
    for module in modules:
        monkeypatch.setattr(module, "open_session", lambda *_: (engine.model, engine.vectors, engine))
    return engine


def run(command: Any, *words: object, typed: str | None = None, code: int = 0) -> str:
    """What a command prints; an error that it raises is raised here too."""
    app = command
    if not isinstance(command, typer.Typer):
        app = typer.Typer()
        app.command()(command)
    result = CliRunner().invoke(app, [str(word) for word in words], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def log(path: Path, n: int, start: int = 0) -> Path:
    """`n` dialogues, each different; every third has two turns of the user."""
    lines = []
    for number in range(start, start + n):
        chat = [{"role": "user", "content": f"What about the river {number}?"}]
        if number % 3 == 0:
            chat += [{"role": "assistant", "content": "Calm."}, {"role": "user", "content": "And then?"}]
        lines.append(json.dumps({"id": number, "messages": chat}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
