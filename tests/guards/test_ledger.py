"""Scores on disk: none is lost, and a full disk is one line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from affekt.errors import CalibrationError, StorageError
from affekt.guards.ledger import Ledger
from tests.test_atomic import no_file_over


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    file = tmp_path / "new" / "scores"
    with Ledger(file, "k") as ledger:
        ledger.add("0.0", {"calm": 1.5})
        ledger.add("0.1", {"calm": -math.inf})
    file.write_bytes(file.read_bytes() + b'{"id": "1.0", "sco')
    with Ledger(file, "k") as ledger:
        assert ledger.rows == {"0.0": {"calm": 1.5}, "0.1": {"calm": -math.inf}}
    assert len(file.read_text().splitlines()) == 3
    with pytest.raises(CalibrationError, match="scores of another run"):
        Ledger(file, "other")


def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "scores"
    with Ledger(file, "k") as ledger:
        ledger.add("0.0", {"calm": 1.5})
    before = file.read_bytes()
    with no_file_over(len(before) + 10), pytest.raises(StorageError), Ledger(file, "k") as ledger:
        ledger.add("1.0", {"calm": 2.5})
    assert file.read_bytes() == before
    with no_file_over(10), pytest.raises(StorageError), Ledger(file, "k"):
        pass
    assert file.read_bytes() == before
