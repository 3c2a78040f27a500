"""The audit trail and the keys, in SQLite and in a real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from affekt.server.store import Database, Filter, Keys, Limits, StoreError, Summary, Trail


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        opened = Database(f"sqlite:///{tmp_path / 'trail.sqlite'}")
    else:
        opened = Database(request.getfixturevalue("postgres"))
    opened.migrate()
    yield opened
    opened.close()


def summary(request: str = "r1", choice: int = 0, key: str | None = None, **fields: object) -> Summary:
    return Summary(request, choice, "tiny", key, 3, 4, "stop", **fields)


def event(monitor: str = "alarm", value: float | None = 2.0, **fields: object) -> dict[str, object]:
    return {
        "time": datetime.now(UTC).isoformat(),
        "monitor": monitor,
        "position": "reply",
        "token": 2,
        "text": " no",
        "value": value,
        "threshold": 1.5,
        "direction": "above",
        "action": "flag",
        "followed": "flagged",
        "values": {monitor: value},
        "concepts": ("desperate",),
        "heat": {"first": 1, "z": [0.5, value], "text": ["Oh", " no"]},
        **fields,
    }


def test_a_reply_is_there_once_with_its_events(database: Database) -> None:
    trail = Trail(database, "keep")
    trail.record(summary(bias={"calm": 0.5}, readings={"calm": {"mean": 1.0}}), [event()], "Hi", "Ho")
    trail.record(summary(), [event(), event()], "x", "y")
    trail.record(summary(choice=1), [])
    [one, two] = sorted(trail.replies(), key=lambda row: row["choice"])
    assert one["prompt"] == "Hi" and one["reply"] == "Ho" and one["bias"] == {"calm": 0.5}
    assert two["choice"] == 1
    assert [row["value"] for row in trail.events()] == [2.0]
    [told] = trail.record(summary("r2", key="team"), [event()])
    assert told in list(trail.events()) and told["key"] == "team" and told["concepts"] == ["desperate"]
    assert trail.record(summary("r2", key="team"), [event()]) == []


def test_text_is_kept_hashed_or_dropped(database: Database) -> None:
    for mode, seen in (("keep", "secret"), ("hash", "sha256:"), ("drop", None)):
        trail = Trail(database, mode)
        trail.record(summary(mode), [event(text=" secret")], "secret", "secret")
        [row] = trail.replies(request=mode)
        [tripped] = trail.events(Filter(request=mode))
        assert (row["prompt"] is None) if seen is None else row["prompt"].startswith(seen)
        assert ("secret" in str(row) + str(tripped)) == (mode == "keep")
        heat = tripped["heat"]
        assert heat["z"] == [0.5, 2.0] and heat["text"] == (["Oh", " no"] if mode == "keep" else None)


def test_filters(database: Database) -> None:
    trail = Trail(database)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(12):
        when = (start + timedelta(days=number)).isoformat()
        own = [event("fear" if number % 2 else "anger", float(number), time=when)]
        trail.record(summary(f"r{number}", time=start + timedelta(days=number)), own)

    def values(**fields: object) -> list[float]:
        return [row["value"] for row in trail.events(Filter(**fields))]

    assert values(monitor="fear") == [1, 3, 5, 7, 9, 11]
    assert values(above=9.5) == [10, 11] and values(below=1) == [0, 1]
    assert values(limit=2) == [10, 11] and values(limit=None) == list(range(12))
    assert values(since=start + timedelta(days=10)) == [10, 11]
    assert values(until=start + timedelta(days=2)) == [0, 1]
    assert values(concept="desperate", limit=3) == [9, 10, 11] and values(concept="calm") == []
    assert values(concept="fear", limit=2) == [9, 11]  # a monitor's own name
    assert values(concept="des%") == values(concept="desp") == []
    assert values(request="r4") == [4] and values(action="stop") == []
    ids = [row["id"] for row in trail.events()]
    assert values(after=ids[8]) == [9, 10, 11]
    mixed = [event("mix", 20.0, concepts=("calm", "loving"))]
    trail.record(summary("mixed"), mixed)
    assert values(concept="loving") == [20] and values(concept="calm", above=21) == []
    trail.record(summary("keyed", key="team"), [event(value=30.0)])
    assert values(key="team") == [30]


def test_what_is_old_is_forgotten(database: Database) -> None:
    trail = Trail(database, retention_days=7)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    for age in (1, 6, 8, 30):
        when = now - timedelta(days=age)
        trail.record(summary(f"age{age}", time=when), [event(time=when.isoformat())])
    assert trail.prune(now) == 2 and trail.prune(now) == 0
    assert {row["request"] for row in trail.replies()} == {"age1", "age6"}
    assert len(list(trail.events())) == 2


def test_hostile_values_are_kept_as_they_can_be(database: Database) -> None:
    trail = Trail(database, "keep")
    nasty = "a\x00b\ud800c'; DROP TABLE replies; --\n\u202e"
    trail.record(
        summary(bias={nasty: float("nan")}, readings={"calm": {"mean": float("inf")}}),
        [event(monitor=nasty[:3], text=nasty, value=None)],
        nasty,
        nasty,
    )
    [row] = trail.replies()
    assert "DROP TABLE" in row["prompt"] and "\x00" not in row["prompt"]
    assert list(row["bias"].values()) == [None] and row["readings"] == {"calm": {"mean": None}}
    assert next(trail.events())["value"] is None


def test_keys(database: Database) -> None:
    keys = Keys(database)
    one, two = keys.add("one", Limits(max_dial=0.5)), keys.add("two")
    assert one.startswith("ak-") and len(one) > 40 and one != two
    found = keys.verify(one)
    assert found is not None and found.name == "one" and found.limits.max_dial == 0.5
    assert keys.verify(one[:-1]) is None and keys.verify("") is None and keys.verify("ak-\ud800") is None
    keys.revoke("one")
    assert keys.verify(one) is None and keys.verify(two) is not None
    assert [(key.name, key.revoked is None) for key in keys.list()] == [("one", False), ("two", True)]
    with pytest.raises(StoreError, match="already"):
        keys.add("two")
    with pytest.raises(StoreError, match="there are: one, two"):
        keys.revoke("three")
    with database.session() as session:
        dump = str(session.execute(text("SELECT * FROM keys")).all())
    assert one not in dump and two not in dump


def test_migrating_again_changes_nothing_and_a_newer_database_is_refused(database: Database) -> None:
    Trail(database).record(summary())
    database.migrate()
    assert len(Trail(database).replies()) == 1
    with database.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        database.migrate()


def test_a_database_of_the_first_version_is_brought_forward(database: Database) -> None:
    with database.session() as session:
        for column in ("concepts", "heat"):
            session.execute(text(f"ALTER TABLE events DROP COLUMN {column}"))
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        session.execute(
            text(
                "INSERT INTO replies VALUES ('old', 0, '2026-01-01 00:00:00', NULL, 'm', 1, 1, 'stop', "
                f"{'false' if not database.lite else '0'}, 1.0, '{{}}', '{{}}', NULL, NULL)"
            )
        )
        session.execute(
            text(
                "INSERT INTO events (time, request, choice, monitor, position, text, value, threshold, "
                "direction, action, followed, readings) VALUES "
                "('2026-01-01 00:00:00', 'old', 0, 'm', 'reply', '', 1, 1, 'above', 'flag', '', '{}')"
            )
        )
    database.migrate()
    [old] = Trail(database).events()
    assert old["concepts"] == [] and old["heat"] is None and old["request"] == "old"


def test_a_file_that_is_gone_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "trail.sqlite"
    opened = Database(f"sqlite:///{file}")
    opened.migrate()
    trail = Trail(opened)
    trail.record(summary("before"))
    away = file.rename(tmp_path / "away")
    for name in ("one", "two"):
        with pytest.raises(StoreError, match="is gone"):
            trail.record(summary(name))
    assert not file.exists()
    away.rename(file)
    trail.record(summary("after"))
    assert {row["request"] for row in trail.replies()} == {"before", "after"}


def test_a_failed_record_leaves_nothing(database: Database) -> None:
    trail = Trail(database)
    with pytest.raises(TypeError, match="fromisoformat"):
        trail.record(summary(), [event(), {**event(), "time": None}])
    assert trail.replies() == [] and list(trail.events()) == []


def _fill(url: str, name: str) -> None:
    trail = Trail(Database(url))
    for number in range(60):
        trail.record(summary(f"{name}{number}"), [event()])


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trail.sqlite'}"
    Database(url).migrate()
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=_fill, args=(url, name)) for name in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    trail = Trail(Database(url))
    assert len(trail.replies(limit=1000)) == 120 and len(list(trail.events(Filter(limit=None)))) == 120


def test_what_was_recorded_survives_a_kill(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'trail.sqlite'}"
    Database(url).migrate()
    code = (
        "import os, signal, sys; from tests.server.test_store import *;"
        "Trail(Database(sys.argv[1])).record(summary(), [event()]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, url], cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(Trail(Database(url)).events())) == 1


def test_a_database_that_fails_says_so_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "trail.sqlite"
    url = f"sqlite:///{file}"
    opened = Database(url)
    opened.migrate()
    trail = Trail(opened, "keep")
    with opened.session() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar_one()
        session.execute(text(f"PRAGMA max_page_count = {pages}"))
        # The limit is the connection's own, and the pool keeps this one.
    with pytest.raises(StoreError, match="full") as caught:
        for number in range(200):
            trail.record(summary(f"r{number}"), [], "x" * 10_000)
    assert "\n" not in str(caught.value)
    opened.close()
    locked = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    assert locked.execute("SELECT count(*) FROM replies").fetchone()[0] < 200
    with pytest.raises(StoreError, match=r"cannot be opened|fails"):
        Database(f"sqlite:///{file}/no/such").migrate()
    with pytest.raises(StoreError) as gone:
        Database("postgresql://user:secret@127.0.0.1:1/none").migrate()
    assert "secret" not in str(gone.value)
    with pytest.raises(StoreError, match="cannot be opened"):
        Database("no database at all")
