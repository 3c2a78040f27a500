from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from affekt.engines import Request, Sampling
from affekt.engines.transformers.sample import FEW, Chooser, choose
from tests.engines.small import CHAT, LONG, PROMPTS, STRONG, TEXT, answers, engine


def drawn(logits: torch.Tensor, n: int = 4000, **sampling: float) -> Counter[int]:
    chooser = Chooser(Sampling(seed=7, **sampling), 0)  # type: ignore[arg-type]
    return Counter(chooser.pick(logits) for _ in range(n))


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([1.0, 0.0, -1.0, 2.0])
    counts = drawn(logits, temperature=0.7)
    expected = (logits / 0.7).softmax(-1)
    for token in range(4):
        assert abs(counts[token] / 4000 - float(expected[token])) < 0.03


def test_top_k_and_top_p_leave_the_likeliest() -> None:
    logits = torch.log(torch.tensor([0.4, 0.05, 0.3, 0.25]))
    assert set(drawn(logits, temperature=1.0, top_k=2)) == {0, 2}
    assert set(drawn(logits, temperature=1.0, top_p=0.41)) == {0, 2}
    assert set(drawn(logits, temperature=1.0, top_p=0.39)) == {0}
    assert set(drawn(logits, temperature=1.0, top_p=0.96)) == {0, 1, 2, 3}
    assert set(drawn(logits, temperature=1.0, top_k=3, top_p=0.7)) == {0, 2}
    counts = drawn(logits, temperature=1.0, top_p=0.7)
    assert abs(counts[0] / 4000 - 4 / 7) < 0.03


def test_a_flat_distribution_is_sorted_whole() -> None:
    logits = torch.zeros(4 * FEW)
    assert max(drawn(logits, n=500, temperature=1.0, top_p=0.9)) > FEW


def test_all_mass_on_one_token_is_that_token() -> None:
    logits = torch.full((50,), -torch.inf)
    logits[13] = 0.0
    assert set(drawn(logits, n=20, temperature=2.0)) == {13}
    assert set(drawn(logits, n=20, temperature=2.0, top_p=0.5)) == {13}


def test_greedy_and_drawing_rows_stand_in_one_batch() -> None:
    logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    chosen = choose(logits, [Chooser(Sampling(), 0), None, Chooser(Sampling(temperature=1.0, seed=1), 0)])
    assert chosen[0] == int(logits[0].argmax())
    assert chosen[2] == Chooser(Sampling(temperature=1.0, seed=1), 0).pick(logits[2])


@pytest.mark.parametrize(
    "sampling", [dict(), dict(top_p=0.8), dict(top_k=20), dict(top_k=30, top_p=0.9)], ids=str
)
def test_a_rows_draws_do_not_depend_on_its_neighbours(sampling: dict[str, float]) -> None:
    one = engine("qwen2")
    own = Sampling(max_tokens=12, temperature=1.3, seed=11, **sampling)  # type: ignore[arg-type]
    requests = [
        Request(LONG, Sampling(max_tokens=5, temperature=0.9, seed=2)),
        Request(CHAT, own, read="all"),
        Request(TEXT, Sampling(max_tokens=20), bias=STRONG),
        Request(TEXT, own, n=2),
    ]
    together, _ = answers(one, requests)
    alone, _ = answers(one, requests[1:2])
    assert together[1].tokens == alone[0].tokens
    assert [reply.tokens for reply in together[3:]] == [
        reply.tokens for reply in answers(one, requests[3:])[0]
    ]
    assert together[3].tokens != together[4].tokens


def test_seeds_repeat_and_differ() -> None:
    one = engine("qwen2")

    def texts(seed: int | None) -> list[tuple[int, ...]]:
        request = Request(CHAT, Sampling(max_tokens=10, temperature=1.5, seed=seed), n=3)
        return [reply.tokens for reply in answers(one, [request])[0]]

    assert texts(1) == texts(1)
    assert len({*texts(1), *texts(2)}) == 6
    assert texts(None) != texts(None)


def test_probabilities_of_draws_are_those_of_the_model() -> None:
    one = engine("qwen2")
    firsts = [
        reply.tokens[0]
        for reply in answers(
            one, [Request(PROMPTS[0], Sampling(max_tokens=1, temperature=1.0, seed=5), n=400)]
        )[0]
    ]
    probabilities = np.exp(one.next_token([PROMPTS[0]])[0])
    best = int(probabilities.argmax())
    share = firsts.count(best) / 400
    assert (
        abs(share - probabilities[best])
        < 4 * (probabilities[best] * (1 - probabilities[best]) / 400) ** 0.5 + 1e-3
    )


def test_a_temperature_near_zero_is_greedy() -> None:
    logits = torch.tensor([[1.0, 30.0, -1.0, 29.0]])
    assert choose(logits, [Chooser(Sampling(seed=7, temperature=1e-300), 0)]) == [1]
