"""`affekt keys`, `affekt events`, and what `affekt serve` refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from affekt.cli.events import events
from affekt.cli.keys import keys
from affekt.cli.serve import serve
from affekt.errors import AffektError
from affekt.server.store import Database, Keys, Trail
from tests.server.test_store import event, summary

app = typer.Typer()
app.add_typer(keys, name="keys")
app.command("events")(events)
app.command("serve")(serve)


def run(*command: str) -> str:
    done = CliRunner().invoke(app, list(command), env={"COLUMNS": "220"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_keys_are_made_listed_and_taken_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'keys.sqlite'}"
    secret = run("keys", "add", "team", "--max-dial", "0.5", "--requests", "60", "--database", url).strip()
    found = Keys(Database(url)).verify(secret)
    assert found is not None and found.limits.max_dial == 0.5 and found.limits.requests_per_minute == 60
    listed = run("keys", "list", "--database", url)
    assert "team" in listed and "0.5" in listed and secret not in listed
    assert "revoked" in run("keys", "revoke", "team", "--database", url)
    assert Keys(Database(url)).verify(secret) is None
    with pytest.raises(AffektError, match="there are: team"):
        run("keys", "revoke", "taem", "--database", url)


def test_events_as_a_table_and_as_lines(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trail.sqlite'}"
    assert "no such events" in run("events", "--database", url)
    trail = Trail(Database(url))
    for number, monitor in enumerate(("fear", "anger", "fear")):
        trail.record(summary(f"r{number}"), [event(monitor, float(number))])
    table = run("events", "--database", url, "--monitor", "fear")
    assert "r0" in table and "r2" in table and "r1" not in table
    lines = [json.loads(line) for line in run("events", "--database", url, "--json").splitlines()]
    assert [line["value"] for line in lines] == [0, 1, 2]
    assert [json.loads(run("events", "--database", url, "--json", "--above", "1.5"))["request"]] == ["r2"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "there is no key; make one: affekt keys add"),
        (("--engine", "vlm"), "unknown engine 'vlm'"),
        (("--text", "keeep"), "--text is 'keeep'; give one of keep, hash, drop"),
        (("--database", "oracle://x"), "cannot be opened"),
    ],
)
def test_what_serve_refuses(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    database = () if "--database" in options else ("--database", f"sqlite:///{tmp_path / 't.sqlite'}")
    with pytest.raises(AffektError, match=said):
        run("serve", "no-such-model", *options, *database)
