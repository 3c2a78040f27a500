"""A vLLM that is only played: it writes tokens by rule, and its worker's messages may be lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from jaxtyping import Float

from affekt.engines.vllm.channel import Inbox
from affekt.engines.vllm.driver import Driver
from affekt.engines.vllm.order import FIELD, Order

__all__ = ["PlayedVLLM", "played_driver", "token_at", "worth"]

CONTEXT = 400


def token_at(place: int) -> int:
    """The token that stands at a position of any reply."""
    return 40 + place % 20


def worth(place: int, width: int) -> Float[np.ndarray, " scalars"]:
    """What is read at a position."""
    return np.full(width, float(place), dtype=np.float32)


class Heard(Inbox):
    """A channel without a socket."""

    def __init__(self) -> None:
        self.lost = 0
        self.messages: list[tuple[dict[str, Any], Any]] = []

    def receive(self, seconds: float = 0.0) -> Any:
        assert seconds < 1
        found, self.messages = self.messages, []
        return found


@dataclass
class PlayedRow:
    """A row that runs."""

    order: Order
    length: int
    left: int
    at: int = 0


class PlayedVLLM:
    """Runs each row's prompt in one step and then a token a step."""

    def __init__(self, inbox: Heard, width: int, loses: Callable[[Order, int], bool]) -> None:
        """Takes how many scalars are read of a token, and which readings never arrive."""
        self._inbox, self._width, self._loses = inbox, width, loses
        self._rows: dict[str, PlayedRow] = {}
        self.refuses: set[int] = set()
        """Rows whose order a worker refuses, by their number."""
        self.taken = 0
        self.vllm_config = SimpleNamespace(model_config=SimpleNamespace(max_model_len=CONTEXT))

    def add_request(self, key: str, prompt: Any, params: Any) -> None:
        text = params.extra_args[FIELD]
        if self.taken in self.refuses:
            told = {"kind": "refused", "name": key, "order": text, "why": "no such vectors here"}
            self._inbox.messages.append((told, None))
        self.taken += 1
        self._rows[key] = PlayedRow(Order.from_json(text), len(prompt["prompt_token_ids"]), params.max_tokens)
        assert json.loads(text)["key"] == key

    def abort_request(self, keys: list[str]) -> None:
        for key in keys:
            self._rows.pop(key, None)

    def has_unfinished_requests(self) -> bool:
        return bool(self._rows)

    def step(self) -> list[Any]:
        return [self._forward(key, row) for key, row in list(self._rows.items())]

    def _forward(self, key: str, row: PlayedRow) -> Any:
        places = range(row.at, row.length)
        if row.order.read is not None:
            for place in places:
                if place >= row.order.first and not self._loses(row.order, place):
                    told = {"kind": "read", "rows": [[key, place, 1]]}
                    self._inbox.messages.append((told, worth(place, self._width)[None]))
        row.at, row.left = row.length, row.left - 1
        id, row.length = token_at(row.length), row.length + 1
        if not row.left:
            del self._rows[key]
        written = SimpleNamespace(token_ids=[id], logprobs=None)
        return SimpleNamespace(request_id=key, outputs=[written], finished=not row.left)


def played_driver(width: int, loses: Callable[[Order, int], bool]) -> tuple[Driver, PlayedVLLM]:
    """A driver of a played vLLM."""
    inbox = Heard()
    vllm = PlayedVLLM(inbox, width, loses)
    return Driver(vllm, inbox, "hash"), vllm
