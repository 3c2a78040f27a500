"""Writing a corpus: ask, check, keep, ask again for what is missing."""

from __future__ import annotations

import hashlib
import queue
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from affekt.concepts.writing.checks import Refusal, Sieve, faults
from affekt.concepts.writing.folder import Call, Folder
from affekt.concepts.writing.kinds import body_of
from affekt.concepts.writing.names import offered
from affekt.concepts.writing.order import Cell, Order, cell_key

__all__ = ["Writer", "filled", "write"]

Writer: TypeAlias = Callable[[str], str]
"""A prompt in, a reply out; called from several threads at once."""

Told: TypeAlias = Callable[[str, int, int], None]


@dataclass
class _Cell:
    """How far a cell is."""

    cell: Cell
    have: int = 0
    calls: int = 0
    refused: tuple[Refusal, ...] = field(default=())


def write(
    writer: Writer,
    order: Order,
    folder: Folder,
    sieve: Sieve,
    *,
    name: str,
    at_once: int = 1,
    again: bool = False,
    progress: Told | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Write what the order wants and the folder does not have; each call is kept as soon as it is checked.

    Args:
        writer: asked `at_once` times at once.
        order: what is wanted.
        folder: where it is kept.
        sieve: the checks; told here of what the folder has.
        name: the writer's, kept with each call.
        at_once: calls under way at a time.
        again: whether cells that earlier runs left short are asked for again.
        progress: told how many texts are there.
        stop: asked before each call; on True no more are begun, and those under way are kept.

    Raises:
        AffektError: whatever the writer raises; what is finished is kept.
    """
    for record in folder.records():
        sieve.let_through(body_of(record))
    cells = {cell_key(cell): _Cell(cell) for cell in order.cells}
    for call in folder.calls:
        if call.cell in cells:
            cells[call.cell].have += len(call.records)
            cells[call.cell].calls += not again
    prompt = hashlib.sha256(order.template.encode()).hexdigest()[:12]
    waiting = queue.SimpleQueue[_Cell | None]()
    open_cells = [one for one in cells.values() if _is_open(one, order)]
    for one in open_cells:
        waiting.put(one)
    failed: list[BaseException] = []
    lock = threading.Lock()
    closed = sum(
        min(one.have, order.texts) if _is_open(one, order) else order.texts for one in cells.values()
    )
    done = [closed]
    if progress is not None:
        progress("texts", done[0], order.wanted)

    def work() -> None:
        while not failed and not stop():
            try:
                one = waiting.get_nowait()
            except queue.Empty:
                return
            assert one is not None
            try:
                while _is_open(one, order) and not failed and not stop():
                    missing = min(order.texts - one.have, order.a_call)
                    reply = writer(_prompt(order, one, missing))
                    with lock:
                        taken, refused = sieve.sift(reply, one.cell, missing)
                        folder.add(Call(cell_key(one.cell), name, prompt, tuple(taken), tuple(refused)))
                        one.have += len(taken)
                        one.calls += 1
                        one.refused = tuple(refused)
                        given_up = 0 if _is_open(one, order) else order.texts - one.have
                        done[0] += len(taken) + max(0, given_up)
                        if progress is not None:
                            progress("texts", done[0], order.wanted)
            except BaseException as error:
                failed.append(error)

    # Not a pool: its threads would be waited for at the end of the process, however long their calls take.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(open_cells)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(0.2)
    if failed:
        raise failed[0]


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with the values in place of the names in braces; other braces stay as they are."""
    names = "|".join(map(re.escape, values))
    return re.sub(rf"\{{({names})\}}", lambda found: values[found.group(1)], template)


def _is_open(one: _Cell, order: Order) -> bool:
    return one.have < order.texts and one.calls < order.calls


def _prompt(order: Order, one: _Cell, missing: int) -> str:
    key = f"{cell_key(one.cell)} {one.have} {one.calls}"
    values = {
        "n": str(missing),
        "premise": order.premises.get(one.cell["topic"], one.cell["topic"]),
        "names": ", ".join(offered(2 * missing, key)),
        **one.cell,
    }
    if "concept" in values:
        values["emotion"] = values["concept"]
    return filled(order.template, values) + faults(one.refused)
