"""`affekt read`: what it takes as a chat."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from affekt.cli.read import read
from tests.cli.session import run


@pytest.mark.parametrize("content", ["5", '"hello"', "[" * 20_000, "1" * 5000, "{", '{"messages": 3}'])
def test_a_file_that_holds_no_chat(tmp_path: Path, content: str) -> None:
    file = tmp_path / "chat.json"
    file.write_text(content)
    app = typer.Typer()
    app.command()(read)
    run(app, "no-such-model", "--chat", file, code=2)
