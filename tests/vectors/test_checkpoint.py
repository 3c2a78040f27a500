"""The state of a run on disk: only a sound file of the same key is taken up; a killed save loses little."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from affekt.atomic import is_part
from affekt.vectors import checkpoint as module
from affekt.vectors.checkpoint import Checkpoint


def state(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"sums": torch.full((2, 3), value), "count": torch.tensor(4)}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path, "k")
    kept.save("stage", state(2.5), {3, 1}, now=True)
    sums, done = Checkpoint(tmp_path, "k").load("stage", state())
    assert done == {1, 3} and set(sums) == {"sums", "count"}
    assert torch.equal(sums["sums"], state(2.5)["sums"])


def test_a_state_without_a_text_is_a_state(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path, "k")
    kept.save("stage", state(), set(), now=True)
    assert kept.load("stage", state())[1] == set()


def test_stages_and_keys_are_kept_apart(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path, "k")
    kept.save("a/b: ../c", state(1.0), {1}, now=True)
    kept.save("d", state(2.0), {2}, now=True)
    Checkpoint(tmp_path, "other").save("d", state(3.0), {3}, now=True)
    assert kept.load("a/b: ../c", state())[1] == {1} and kept.load("d", state())[1] == {2}
    assert kept.load("nothing", state()) == ({}, set())
    assert Checkpoint(tmp_path, "third").load("d", state()) == ({}, set())
    assert all(each.parent == tmp_path for each in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "like",
    [
        {"sums": torch.zeros(2, 4), "count": torch.tensor(0)},
        {"sums": torch.zeros(2, 3), "count": torch.tensor(0.0)},
        {"sums": torch.zeros(2, 3)},
        {"sums": torch.zeros(2, 3), "count": torch.tensor(0), "more": torch.zeros(1)},
    ],
)
def test_sums_of_another_shape_are_not_taken_up(tmp_path: Path, like: dict[str, torch.Tensor]) -> None:
    kept = Checkpoint(tmp_path, "k")
    kept.save("stage", state(), {1}, now=True)
    assert kept.load("stage", like) == ({}, set())


def test_a_damaged_file_is_not_taken_up(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path, "k")
    kept.save("stage", state(), {1}, now=True)
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        assert kept.load("stage", state()) == ({}, set())


def test_facts_change_the_key_and_so_does_their_order() -> None:
    base = Checkpoint(Path("x"), "k")
    keys = [
        base.key,
        base.about([1, 2]).key,
        base.about([2, 1]).key,
        base.about([12]).key,
        base.about([[1, 2]]).key,
        base.about(["1", "2"]).key,
        base.about([{"a": 1}]).key,
        base.about([1]).about([2]).about([]).key,
        Checkpoint(Path("x"), "l").about([1, 2]).key,
    ]
    assert len(set(keys)) == len(keys)
    assert base.about([{"a": 1, "b": (2,)}]).key == base.about(iter([{"b": [2], "a": 1}])).key


def test_it_saves_now_and_then_and_rarely_where_saving_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = time.monotonic() + 1
    clock = [start]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    written: list[float] = []

    def slow(*_: object) -> None:
        written.append(clock[0])
        clock[0] += 10.0

    monkeypatch.setattr(module.tensorfile, "write", slow)
    kept = Checkpoint(tmp_path, "k", _saved=start)
    for second in range(500):
        clock[0] = max(clock[0], start + second)
        kept.save("stage", state(), {1})
    assert written[0] == start + module.SAVE_EVERY
    assert [b - a for a, b in pairwise(written)] == [pytest.approx(10.0 + 10.0 / module.SHARE, abs=1.1)] * 2
    kept.save("stage", state(), {1}, now=True)
    assert len(written) == 4 and written[-1] == clock[0] - 10


def test_clear_takes_only_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    Checkpoint(folder, "k").save("stage", state(), {1}, now=True)
    Checkpoint(folder, "l").save("stage", state(), {1}, now=True)
    (folder / ".x.sums.0123.part").touch()
    (folder / ".tmpAbCd").touch()
    (folder / "mine.txt").touch()
    Checkpoint(folder).clear()
    assert [each.name for each in folder.iterdir()] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    Checkpoint(folder).clear()
    assert not folder.exists()
    Checkpoint(folder).clear()


SAVING = """
import sys, torch
from pathlib import Path
from affekt.vectors.checkpoint import Checkpoint
kept = Checkpoint(Path(sys.argv[1]), "k")
for n in range(100000):
    kept.save("stage", {"sums": torch.full((400, 400), float(n))}, set(range(n)), now=True)
    print(n, flush=True)
"""


def test_kill_during_a_save_leaves_a_state_that_is_whole(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", SAVING, str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        for _ in range(20):
            last = int(run.stdout.readline())
        time.sleep(0.013)
        run.send_signal(signal.SIGKILL)
    kept = Checkpoint(tmp_path, "k")
    sums, done = kept.load("stage", {"sums": torch.zeros(400, 400)})
    assert len(done) >= last
    assert torch.equal(sums["sums"], torch.full((400, 400), float(len(done))))
    assert all(
        each.suffix == ".sums" or is_part(each) or each.name.startswith(".tmp") for each in tmp_path.iterdir()
    )
    kept.clear()
    assert not tmp_path.exists()
