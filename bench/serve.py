"""A server under load: what readings and a bias cost, what eight clients get, and a storm of 64.

    affekt serve smollm2-135m-instruct --port 8123 --queue 16 --database sqlite:///bench.sqlite
    python bench/serve.py --url http://127.0.0.1:8123 [--pairs 5] [--tokens 64] [--storm 600]

Time to first token and tokens per second with all 171 emotions read and two concepts steered, over the same
server with neither, in turn: medians over the pairs. The storm is 64 clients for
`--storm` seconds: no reply may be another's, every accepted one must be on record once. Prints JSON."""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from affekt.server.store import Database, Trail

FULL = {"emotions": "all", "emotion_bias": {"calm": 0.5, "desperate": -0.5}}
QUESTION = "Describe in a few sentences how a small harbour town wakes up in the morning. Person {}."


def stream(client: httpx.Client, number: int, tokens: int, extra: dict[str, Any]) -> tuple[float, int]:
    """Seconds to the first token, and tokens."""
    body = {
        "messages": [{"role": "user", "content": QUESTION.format(number)}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        **extra,
    }
    began, first, count = time.perf_counter(), 0.0, 0
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("data: {") and '"finish_reason":null' in line:
                first = first or time.perf_counter() - began
                count += 1
    return first, count


def round_of(client: httpx.Client, clients: int, tokens: int, extra: dict[str, Any]) -> dict[str, float]:
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        found = list(pool.map(lambda number: stream(client, number, tokens, extra), range(clients)))
    seconds = time.perf_counter() - began
    return {
        "first": statistics.median(first for first, _ in found),
        "rate": sum(count for _, count in found) / seconds,
    }


def costs(client: httpx.Client, clients: int, tokens: int, pairs: int) -> dict[str, Any]:
    round_of(client, clients, tokens, FULL), round_of(client, clients, tokens, {})
    firsts, rates, plain, waits = [], [], [], []
    for pair in range(pairs):
        order = (FULL, {}) if pair % 2 else ({}, FULL)
        found = [(extra, round_of(client, clients, tokens, extra)) for extra in order]
        full = next(each for extra, each in found if extra)
        bare = next(each for extra, each in found if not extra)
        firsts.append(bare["first"] / full["first"])
        rates.append(full["rate"] / bare["rate"])
        plain.append(bare["rate"])
        waits.append(bare["first"])
    return {
        "first_token_ratio": round(statistics.median(firsts), 3),
        "first_token_ratios": [round(first, 3) for first in sorted(firsts)],
        "plain_first_token_seconds": round(statistics.median(waits), 3),
        "rate_ratio": round(statistics.median(rates), 3),
        "rate_ratios": [round(rate, 3) for rate in sorted(rates)],
        "plain_tokens_per_second": round(statistics.median(plain), 1),
    }


def storm(client: httpx.Client, seconds: float, database: str | None, pid: int | None) -> dict[str, Any]:
    """64 clients at once, each asking about another emotion. Whose reply it is, the readings at the end of
    its prompt tell: they must be nearest to those that the same request had alone."""
    words = [concept["name"] for concept in client.get("/v1/emotions").json()["concepts"][:64]]

    def ask(number: int) -> httpx.Response:
        chat = [{"role": "user", "content": f"What is it like to be {words[number]}?"}]
        body = {"messages": chat, "max_tokens": 12, "temperature": 0, "emotions": "all"}
        return client.post("/v1/chat/completions", json=body)

    def mark(got: httpx.Response) -> np.ndarray:
        summary = got.json()["choices"][0]["affekt"]["summary"]
        return np.array([figures["prompt_end"] for figures in summary.values()])

    alone = np.stack([mark(ask(number)) for number in range(64)])
    statuses: dict[str, int] = {}
    mixed, accepted, memory = 0, [], []
    lock, began = threading.Lock(), time.monotonic()

    def client_of(number: int) -> None:
        nonlocal mixed
        while time.monotonic() < began + seconds:
            got = ask(number)
            with lock:
                statuses[str(got.status_code)] = statuses.get(str(got.status_code), 0) + 1
                if got.status_code == 200:
                    accepted.append(got.json()["id"])
                    nearest = int(np.linalg.norm(alone - mark(got), axis=1).argmin())
                    mixed += nearest != number
            if got.status_code == 429:
                time.sleep(0.2)

    threads = [threading.Thread(target=client_of, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if pid is not None:
            memory.append(resident(pid))
        time.sleep(1)
    found: dict[str, Any] = {"seconds": seconds, "statuses": statuses, "mixed_up": mixed}
    if memory:
        # The first fifth is warm-up.
        settled = memory[len(memory) // 5 :]
        found["memory_mib"] = {"settled": settled[0], "end": settled[-1], "most": max(settled)}
    if database is not None:
        kept = [row["request"] for row in Trail(Database(database)).replies(limit=10**7)]
        found["on_record_exactly_once"] = all(count == 1 for count in Counter(kept).values()) and set(
            accepted
        ) <= set(kept)
    return found


def resident(pid: int) -> float:
    """MiB of memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--storm", type=float, default=0.0)
    parser.add_argument("--database", help="the server's, to look for every accepted request in it")
    parser.add_argument("--pid", type=int, help="the server's process, to watch its memory")
    options = parser.parse_args()
    limits = httpx.Limits(max_connections=128)
    with httpx.Client(base_url=options.url, timeout=300, limits=limits) as client:
        name = client.get("/v1/models").json()["data"][0]["id"]
        found: dict[str, Any] = {"model": name, "pairs": options.pairs, "tokens": options.tokens}
        for clients in options.clients:
            found[f"clients_{clients}"] = costs(client, clients, options.tokens, options.pairs)
        if {1, 8} <= set(options.clients):
            one, eight = (found[f"clients_{n}"]["plain_tokens_per_second"] for n in (1, 8))
            found["eight_over_one"] = round(eight / one, 2)
        if options.storm:
            found["storm"] = storm(client, options.storm, options.database, options.pid)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
