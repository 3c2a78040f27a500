"""The socket from workers to the front end: where it listens, and what it drops."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest

from affekt.engines.vllm.channel import Inbox, Outbox
from affekt.errors import ModelError

pytest.importorskip("zmq")


def test_a_channel_where_nothing_can_listen_is_refused_and_a_folder_is_made(tmp_path: Path) -> None:
    Inbox(f"ipc://{tmp_path}/not/yet/readings").close()
    assert (tmp_path / "not" / "yet").stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for address in (f"ipc://{tmp_path}/file/readings", f"tcp://127.0.0.1:{port}", "nowhere"):
            with pytest.raises(ModelError, match="nothing can listen at the channel"):
                Inbox(address)


def test_what_a_full_channel_drops_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affekt.engines.vllm.channel.BOUND", 4)
    inbox = Inbox()
    outbox = Outbox(inbox.address)
    for at in range(200):
        outbox.send({"kind": "read", "rows": [["k", at, 1]]}, np.zeros((1, 5000), dtype=np.float32))
    assert outbox.lost > 0
    seen = [header["rows"][0][1] for header, _ in inbox.receive(1.0)]
    assert seen == sorted(seen) and len(seen) < 200
    inbox.close()
