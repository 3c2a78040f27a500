"""What goes wrong: another version, settings past the hooks, foreign vectors, a worker that dies."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from affekt.engines import Request, Sampling
from affekt.engines.vllm.channel import Inbox, Outbox
from affekt.engines.vllm.driver import Driver, Run
from affekt.engines.vllm.origin import end_with, origin
from affekt.engines.vllm.versions import check_version
from affekt.engines.vllm.worker import belong, refuse
from affekt.errors import ModelError, ReadingError, VectorsError
from affekt.models import load
from tests.engines.small import TEXT, vectors_for
from tests.vllm.opened import both, needs_vllm, replies_of, saved


@pytest.mark.parametrize("found", [None, "0.31.0", "0.33.1", "1.0.0", "0.320.0"])
def test_another_version_is_refused_and_says_which_is_wanted(found: str | None) -> None:
    with pytest.raises(ModelError, match=r"0\.32\.\*"):
        check_version(found)
    assert check_version("0.32.0") == "0.32.0"


def config(**more: Any) -> Any:
    named = SimpleNamespace
    return named(
        compilation_config=named(
            mode=named(name=more.get("mode", "NONE")),
            cudagraph_mode=named(name=more.get("graphs", "NONE")),
            pass_config=named(enable_sp=more.get("sp", False)),
        ),
        parallel_config=named(enable_dbo=more.get("dbo", False)),
        use_v2_model_runner=more.get("v2", False),
        speculative_config=more.get("draft"),
    )


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"mode": "VLLM_COMPILE"}, "--enforce-eager"),
        ({"graphs": "FULL"}, "--enforce-eager"),
        ({"v2": True}, "VLLM_USE_V2_MODEL_RUNNER=0"),
        ({"draft": object()}, "speculative"),
        ({"dbo": True}, "dual batch"),
        ({"sp": True}, "sequence parallelism"),
    ],
)
def test_settings_that_pass_the_hooks_are_refused(
    more: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("affekt.engines.vllm.worker.installed", lambda: "0.32.0")
    refuse(config())
    with pytest.raises(ModelError, match=says):
        refuse(config(**more))


class Idle:
    """A vLLM that has nothing to do."""

    def has_unfinished_requests(self) -> bool:
        return False


def test_a_missing_reading_is_an_error_and_no_other_stands_in_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("zmq")
    monkeypatch.setattr("affekt.engines.vllm.driver.WAIT", 0.5)
    inbox = Inbox()
    driver, run = Driver(Idle(), inbox, ""), Run("k")
    driver._runs["k"] = run
    outbox = Outbox(inbox.address)
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    outbox.send({"kind": "read", "rows": [["other", 4, 1], ["k", 5, 1], ["k", 7, 1]]}, rows)
    assert until(lambda: driver.has(run, [7]), 10) and driver.has(run, [5])
    np.testing.assert_array_equal(run.readings[5], rows[1])
    np.testing.assert_array_equal(run.readings[7], rows[2])
    # Position 7 has come, so 6 never will; 8 may still, for a while.
    with pytest.raises(ReadingError, match="token 6 did not come"):
        driver.has(run, [6])
    assert not driver.has(run, [8])
    time.sleep(0.6)
    with pytest.raises(ReadingError, match="token 8 did not come"):
        driver.has(run, [8])
    inbox.close()


@pytest.mark.parametrize("change", [{"weights_sha256": "f" * 64}, {"d_model": 32}, {"n_layers": 9}])
def test_a_worker_refuses_vectors_of_another_model_or_width(change: dict[str, Any], tmp_path: Path) -> None:
    model = load(str(saved(tmp_path)), dtype="float32")
    told = SimpleNamespace(model=str(tmp_path), hf_text_config=model.network.config)
    belong(vectors_for(model), told)
    other = dataclasses.replace(model, identity=dataclasses.replace(model.identity, **change))
    with pytest.raises(VectorsError, match="these vectors were extracted from"):
        belong(vectors_for(other), told)
    siblings = "weights_sha256" in change
    elsewhere = SimpleNamespace(model=str(tmp_path / "nowhere"), hf_text_config=model.network.config)
    for permitted, config in ((True, told), (False, elsewhere)):
        with contextlib.nullcontext() if siblings else pytest.raises(VectorsError, match="layers of"):
            belong(vectors_for(other), config, permitted)


@needs_vllm
def test_vectors_of_another_model_are_refused_before_vllm_opens(tmp_path: Path) -> None:
    from affekt.engines.vllm import VLLMEngine

    model = load(str(saved(tmp_path)), dtype="float32")
    other = dataclasses.replace(model.identity, weights_sha256="f" * 64)
    foreign = vectors_for(dataclasses.replace(model, identity=other))
    with pytest.raises(VectorsError, match="these vectors were extracted from"):
        VLLMEngine(str(tmp_path), foreign, dtype="float32")


@needs_vllm
def test_a_model_that_vllm_does_not_run_is_refused(tmp_path: Path) -> None:
    from affekt.engines.vllm import VLLMEngine

    folder = saved(tmp_path)
    config = (folder / "config.json").read_text().replace("LlamaForCausalLM", "NobodyForCausalLM")
    (folder / "config.json").write_text(config.replace('"model_type": "llama"', '"model_type": "llama"'))
    with pytest.raises(ModelError, match="vLLM cannot open"):
        VLLMEngine(str(folder), dtype="float32", context=256)


def workers() -> list[Any]:
    """The processes in which vLLM's workers of this process run."""
    import psutil

    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that has just ended
            found += [process] if "Worker" in " ".join(process.cmdline()) else []
    return found


@needs_vllm
def test_a_worker_that_dies_fails_its_requests_and_the_engine_opens_anew(tmp_path: Path) -> None:
    import psutil

    request = Request(TEXT, Sampling(max_tokens=5), id="x")
    with both(saved(tmp_path), context=256) as (one, theirs):
        [expected], _ = replies_of(theirs, [request])
        batch = one.open_batch()
        batch.add(Request(TEXT, Sampling(max_tokens=200), read="all"))
        batch.step()
        # As a terminal does on Ctrl-C: they go on, since only this process is asked what that means.
        for process in psutil.Process().children(recursive=True):
            process.send_signal(signal.SIGINT)
        for _ in range(20):
            batch.step()
        assert batch.busy and workers()
        os.kill(workers()[0].pid, signal.SIGKILL)
        with pytest.raises(ModelError, match="has died"):
            while batch.busy:
                batch.step()
        [mine], _ = replies_of(one, [request])
        assert mine.tokens == expected.tokens
        # While nothing runs: a batch that a server holds open is none the worse for it.
        batch = one.open_batch()
        os.kill(workers()[0].pid, signal.SIGKILL)
        assert until(lambda: not workers(), 30)
        time.sleep(1.0)
        with contextlib.suppress(ModelError):
            batch.add(request)
            while batch.busy:
                batch.step()
        batch = one.open_batch() if batch._closed else batch
        batch.add(request)
        pieces = [piece for _ in range(200) if batch.busy for piece in batch.step()]
        assert pieces[-1].tokens == expected.tokens


OPENS = """
import sys, time
from affekt.engines.vllm import VLLMEngine

engine = VLLMEngine(sys.argv[1], dtype="float32", context=256, selfcheck=False)
print("open", flush=True)
time.sleep(600)
"""


@needs_vllm
def test_with_vllm_too_a_lost_reading_is_read_again_at_its_own_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("affekt.engines.vllm.driver.WAIT", 1.0)
    requests = [
        Request(TEXT, Sampling(max_tokens=12), bias={"calm": {"dose": 0.1 * k}}, read="all", id=str(k))
        for k in range(3)
    ]
    send, messages = Outbox.send, itertools.count()

    def sends(self: Outbox, header: Any, values: Any = None) -> None:
        if header["kind"] != "read" or next(messages) % 5 != 2:
            send(self, header, values)

    with socket.create_server(("127.0.0.1", 0)) as free:
        channel = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with both(saved(tmp_path), context=256, in_process=True, channel=channel) as (one, theirs):
        expected, _ = replies_of(theirs, requests)
        monkeypatch.setattr(Outbox, "send", sends)
        mine, _ = replies_of(one, requests)
        assert next(messages) > 12
        for own, other in zip(mine, expected, strict=True):
            assert own.tokens == other.tokens
            assert own.reading is not None and other.reading is not None
            np.testing.assert_allclose(own.reading.z, other.reading.z, atol=1e-3)


@needs_vllm
@pytest.mark.parametrize("while_opening", [True, False])
def test_nothing_is_left_of_vllm_when_the_process_that_opened_it_is_killed(
    while_opening: bool, tmp_path: Path
) -> None:
    import psutil

    command = [sys.executable, "-c", OPENS, str(saved(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as opener:
        process = psutil.Process(opener.pid)
        if while_opening:
            assert until(lambda: any(child.children() for child in process.children()), 300)
        else:
            assert opener.stdout is not None and "open" in opener.stdout.readline()
        started = process.children(recursive=True)
        opener.kill()
    assert len(started) >= 2
    _, left = psutil.wait_procs(started, timeout=60)
    for one in left:
        one.kill()
    assert not left


def until(there: Any, seconds: float) -> bool:
    """Whether something has come within so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(Exception):
            if there():
                return True
        time.sleep(0.2)
    return False


def test_a_process_ends_with_the_one_it_is_told_of() -> None:
    ended = threading.Event()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        told = f"{platform.node()}:{other.pid}"
        end_with(told, ended.set)
        assert not ended.wait(0.3)
        other.kill()
    assert ended.wait(10)
    gone = threading.Event()
    end_with(told, gone.set)
    assert gone.is_set(), "it had ended before"
    for elsewhere in (origin(), f"another-machine:{os.getpid() + 1}"):
        end_with(elsewhere, lambda: pytest.fail("that is no process to end with"))


def test_an_argument_that_vllm_has_not_is_named_with_the_nearest() -> None:
    from affekt.engines.vllm.opening import _check_known

    names = ["tensor_parallel_size", "quantization"]
    _check_known({"quantization": "awq"}, names)
    with pytest.raises(ModelError, match="'tensor_paralel_size'; did you mean 'tensor_parallel_size'"):
        _check_known({"tensor_paralel_size": 2}, names)
    with pytest.raises(ModelError, match="'contxt'; did you mean 'context'"):
        _check_known({"contxt": 64}, names)
