"""Making a folder once: killed, raced, on a full disk."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from affekt.errors import ModelError, StorageError
from affekt.models.cache import cache_folder, make_once


def process(script: str, *arguments: Path) -> subprocess.Popen[str]:
    """A Python process that has `make_once` and its arguments as `paths`."""
    lines = "import sys, time\nfrom pathlib import Path\nfrom affekt.models.cache import make_once\n"
    lines += "paths = [Path(argument) for argument in sys.argv[1:]]\n" + textwrap.dedent(script)
    source = Path(__file__).parents[2] / "src"
    return subprocess.Popen(
        [sys.executable, "-c", lines, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )


def test_the_folder_is_where_the_user_keeps_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder(tmp_path) == tmp_path
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "affekt"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "affekt"


def test_made_once_then_found(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(part: Path) -> None:
        made.append(part)
        (part / "weights").write_text("w")

    for _ in range(2):
        assert (make_once(tmp_path / "m", make) / "weights").read_text() == "w"
    assert len(made) == 1 and not made[0].exists()


def test_a_killed_process_leaves_nothing_half_made(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    killed = process(
        """
        def make(part):
            (part / "half").write_text("h")
            print("halfway", flush=True)
            time.sleep(600)
        make_once(paths[0], make)
        """,
        folder,
    )
    assert killed.stdout is not None and killed.stdout.readline() == "halfway\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not folder.exists()
    assert list(tmp_path.glob(".m.part/half")), "the half made folder is aside, and stays until the next"

    make_once(folder, lambda part: (part / "whole").touch())
    assert [path.name for path in folder.iterdir()] == ["whole"]
    assert not list(tmp_path.glob("*.part"))


def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    script = """
        def make(part):
            with paths[1].open("a") as log:
                log.write("made\\n")
            time.sleep(1)
            (part / "whole").touch()
        print((make_once(paths[0], make) / "whole").exists())
        """
    log = tmp_path / "log"
    both = [process(script, tmp_path / "m", log) for _ in range(2)]
    outputs = [one.communicate(timeout=300) for one in both]
    assert [out for out, _ in outputs] == ["True\n", "True\n"]
    assert log.read_text() == "made\n"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk(tmp_path: Path, error: Exception) -> None:
    def make(part: Path) -> None:
        (part / "half").touch()
        raise error

    with pytest.raises(StorageError, match="the disk is full; free some space"):
        make_once(tmp_path / "m", make)
    assert not list(tmp_path.glob("*.part")) and not (tmp_path / "m").exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not write to the cache"):
        make_once(tmp_path / "file" / "m", lambda _part: None)


def test_other_errors_pass_and_leave_nothing(tmp_path: Path) -> None:
    def make(part: Path) -> None:
        raise ModelError("damaged")

    with pytest.raises(ModelError, match="damaged"):
        make_once(tmp_path / "m", make)
    assert not list(tmp_path.glob("*.part"))
    make_once(tmp_path / "m", lambda _part: None)
