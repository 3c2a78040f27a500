"""A PostgreSQL server of its own, from Debian's package, for as long as the tests run."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

__all__ = ["BINARIES", "Postgres", "postgres_server"]

BINARIES = sorted(glob("/usr/lib/postgresql/*/bin"))


class Postgres:
    """A server that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"postgresql://affekt@/postgres?host={folder}"
        self._data = folder / "data"
        self._as_user: list[str] = []
        if os.getuid() == 0:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
            self._as_user = ["runuser", "-u", "postgres", "--"]
        self._run("initdb", "-D", str(self._data), "-U", "affekt", "-A", "trust", "-N")

    def start(self) -> None:
        # Only a socket in a folder of its own: nothing listens on a port that another run might use.
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}'"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *options: str) -> None:
        command = [*self._as_user, f"{BINARIES[-1]}/{program}", *options]
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="affekt-pg"))
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        try:
            server.stop()
        except subprocess.CalledProcessError:
            pass  # a test has stopped it
        shutil.rmtree(folder, ignore_errors=True)
