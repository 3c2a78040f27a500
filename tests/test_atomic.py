"""A file is written whole or not at all, whatever interrupts the writing."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from affekt.atomic import Appended, check_writable, is_part, replacing, write_text
from affekt.errors import StorageError


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_the_file_appears_only_when_all_is_written(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    with replacing(target) as part:
        part.write_text("whole")
        assert not target.exists() and part.parent == target.parent and is_part(part)
    assert target.read_text() == "whole" and not is_part(target)
    assert names(target.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [RuntimeError("bad"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(type(error)), replacing(target) as part:
        part.write_text("half")
        raise error
    assert target.read_text() == "old" and names(tmp_path) == ["file.txt"]


def test_whether_a_file_can_be_put_somewhere_is_found_without_putting_one(tmp_path: Path) -> None:
    old = tmp_path / "old.txt"
    old.write_text("old")
    for target in (old, tmp_path / "new" / "file.txt"):
        check_writable(target)
    assert names(tmp_path) == ["new", "old.txt"] and names(tmp_path / "new") == []
    assert old.read_text() == "old"
    for target, why in ((tmp_path / "new", "it is a folder"), (old / "file.txt", "old.txt/file.txt")):
        with pytest.raises(StorageError, match=f"could not write .*{why}"):
            check_writable(target)
    assert names(tmp_path) == ["new", "old.txt"]


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        StorageError, match=r"could not write .*file\.txt: the disk is full; nothing was left"
    ):
        write_text(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old" and names(tmp_path) == ["file.txt"]


def test_a_real_full_disk(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with pytest.raises(StorageError, match="the disk is full"), replacing(tmp_path / "file"):
        with open("/dev/full", "w") as full:
            full.write("x" * 10)
    assert names(tmp_path) == []


@pytest.mark.parametrize("where", ["file/under.txt", "folder"])
def test_a_place_that_takes_no_file(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").touch()
    with pytest.raises(StorageError, match="could not write"):
        write_text(tmp_path / where, "x")
    assert names(tmp_path) == ["file", "folder"] and names(tmp_path / "folder") == ["kept"]


def test_an_inner_storage_error_keeps_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the inner one"), replacing(tmp_path / "a"):
        raise StorageError("the inner one")
    assert names(tmp_path) == []


def test_permissions_are_the_users_or_the_old_files(tmp_path: Path) -> None:
    plain, fresh, private = (tmp_path / name for name in ("plain", "fresh", "private"))
    plain.touch()
    private.touch()
    private.chmod(0o600)
    write_text(fresh, "x")
    write_text(private, "x")
    assert fresh.stat().st_mode == plain.stat().st_mode
    assert private.stat().st_mode & 0o777 == 0o600


def test_permissions_do_not_depend_on_how_it_is_written(tmp_path: Path) -> None:
    with replacing(tmp_path / "new") as part:
        part.with_name("other").touch(0o600)
        part.with_name("other").replace(part)
    (tmp_path / "plain").touch()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "one")
    write_text(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "two"


def test_text_is_utf8_and_unchanged(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "a\r\nb\n\u2028é😀")
    assert (tmp_path / "t").read_bytes() == "a\r\nb\n\u2028é😀".encode()


def test_long_names(tmp_path: Path) -> None:
    target = tmp_path / ("é" * 120 + ".txt")
    write_text(target, "x")
    assert target.read_text() == "x"


KILLED = """
import os, sys
from affekt.atomic import replacing
with replacing(sys.argv[1]) as part:
    part.write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_kill_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    source = str(Path(__file__).parents[1] / "src")
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(target)], env={**os.environ, "PYTHONPATH": source}, check=False
    )
    assert run.returncode == -signal.SIGKILL
    assert target.read_text() == "old"
    left = [each for each in tmp_path.iterdir() if each != target]
    assert len(left) == 1 and is_part(left[0])


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """Writing beyond it fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_are_added_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"torn")
    with no_file_over(100), Appended(file, keep=0) as log:
        log.add(b"a" * 60 + b"\n", sync=True)
        with pytest.raises(StorageError, match=r"could not write .*log: File too large; what was"):
            log.add(b"b" * 60 + b"\n")
    assert file.read_bytes() == b"a" * 60 + b"\n"
    with Appended(file) as log:
        log.add(b"c\n")
    assert file.read_bytes().endswith(b"a\nc\n")


def test_a_folder_is_no_file_to_add_to(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Is a directory"):
        Appended(tmp_path)
