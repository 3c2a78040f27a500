"""A writer that says what it is told to, and texts that pass every check."""

from __future__ import annotations

import json
import random
import re
import threading

from affekt.concepts.writing import KINDS, Order
from affekt.concepts.writing.order import Premise

WORDS = (
    "river lamp window basket cart field stone bell road table ladder garden kettle bridge market letter "
    "paper clock door coat tree boat wall street bench"
).split()


def words(n: int, seed: str) -> str:
    """A paragraph of nonsense, `n` words, different for each seed."""
    rng = random.Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(n)).capitalize() + "."


def order(texts: int = 2, a_call: int = 2, tries: int = 3, topics: int = 2) -> Order:
    premises = [Premise(f"topic-{i}", f"Something about number {i}") for i in range(topics)]
    cells = tuple(KINDS["stories"].plan(premises, ["afraid", "calm", "angry"], 0))
    template = KINDS["stories"].prompt
    return Order(cells, {one.topic: one.text for one in premises}, texts, a_call, tries, template)


class Scripted:
    """Writes good stories, except on the calls (counted from 1) for which it has something else to say."""

    def __init__(self, instead: dict[int, str] | None = None, seed: str = "") -> None:
        self.instead = instead or {}
        self.seed = seed
        self.prompts: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, prompt: str) -> str:
        with self.lock:
            self.prompts.append(prompt)
            number = len(self.prompts)
        if number in self.instead:
            return self.instead[number]
        asked = re.search(r"Write (\d+)", prompt)
        assert asked is not None
        return json.dumps(
            {"texts": [words(70, f"{self.seed} {number} {i}") for i in range(int(asked.group(1)))]}
        )
