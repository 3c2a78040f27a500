"""Studies side by side: the same files as one after the other, and no process is left, however it ends."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from affekt.errors import AffektError
from affekt.studies import Crew, Lab, Result, run
from tests.studies.small import lab


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def gone() -> bool:
    """Whether this process has no child left, soon."""
    until = time.monotonic() + 20
    while multiprocessing.active_children() and time.monotonic() < until:
        time.sleep(0.05)
    return not multiprocessing.active_children()


def test_a_crew_writes_what_one_process_writes_and_keeps_it(tmp_path: Path) -> None:
    names, crew = ["lens", "implicit"], Crew(lab, 2)
    heard: list[str] = []
    told = Lab(lab().model, lab().vectors, progress=lambda stage, *_: heard.append(stage))
    alone = list(run(lab(), tmp_path / "alone", names))
    shared = list(run(told, tmp_path / "shared", names, crew=crew))
    assert {result.study for result, _ in shared} == set(names) and not any(kept for _, kept in shared)
    assert files(tmp_path / "alone") == files(tmp_path / "shared") and len(alone) == 2
    assert gone()
    again = list(run(told, tmp_path / "shared", names, crew=crew))
    assert [result.study for result, _ in again] == names and all(kept for _, kept in again)


def waiting(_: Lab) -> Result:
    time.sleep(600)
    raise AssertionError


def dying(_: Lab) -> Result:
    os._exit(9)


def refusing(_: Lab) -> Result:
    raise AffektError("no such word")


@pytest.mark.parametrize("end, said", [(dying, "died.*kept.*--workers 1"), (refusing, "^no such word$")])
def test_an_error_of_one_ends_all(end: object, said: str) -> None:
    started = time.monotonic()
    with pytest.raises(AffektError, match=said):
        list(Crew(lab, 2).run([waiting, end]))  # type: ignore[list-item]
    assert time.monotonic() - started < 300 and gone()


def test_a_crew_that_is_left_ends(tmp_path: Path) -> None:
    results = run(lab(), tmp_path, ["lens", "implicit"], crew=Crew(lab, 2))
    next(results)
    results.close()
    assert gone() and len(list(tmp_path.glob("*/result.json"))) >= 1
