"""What may be asked of a reply: numbers that no engine could do anything with are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from affekt.engines import Request, Sampling
from affekt.errors import PromptError
from affekt.models.prompt import Encoded, encode
from tests.engines.small import TEXT, answers, engine

HUGE = 10**30
LONGER_THAN_PYTHON_WRITES = 10**5000


@pytest.mark.parametrize(
    "wrong",
    [
        dict(max_tokens=0),
        dict(max_tokens=HUGE),
        dict(max_tokens=LONGER_THAN_PYTHON_WRITES),
        dict(max_tokens=True),
        dict(temperature=-0.1),
        dict(temperature=float("nan")),
        dict(temperature=1e300),
        dict(top_p=0.0),
        dict(top_p=1.5),
        dict(top_k=-1),
        dict(top_k=HUGE),
        dict(seed=HUGE),
        dict(seed=-HUGE),
        dict(stop=("",)),
        dict(logprobs=51),
        dict(logprobs=HUGE),
        dict(min_tokens=-1),
        dict(min_tokens=HUGE),
    ],
    ids=range(18),
)
def test_wrong_sampling_is_refused(wrong: Any) -> None:
    with pytest.raises(PromptError, match=next(iter(wrong)).replace("stop", "stop string")):
        Sampling(**wrong)


@pytest.mark.parametrize("n", [0, HUGE])
def test_a_request_wants_a_number_of_replies_that_can_be(n: Any) -> None:
    with pytest.raises(PromptError, match=f"n is {n}; give a whole number from 1 to 1,024"):
        Request(TEXT, n=n)


def test_the_largest_numbers_that_are_taken_do_no_harm() -> None:
    most = 2**31 - 1
    sampling = Sampling(max_tokens=3, temperature=1e6, top_k=most, seed=2**63 - 1, logprobs=50)
    for seed in (2**63 - 1, -(2**63)):
        request = Request(TEXT, Sampling(3, 1.0, top_k=most, seed=seed), n=2)
        [one, other], _ = answers(engine(), [request])
        assert len(one.tokens) == len(other.tokens) == 3
    [reply], _ = answers(engine(), [Request(TEXT, sampling)])
    assert len(reply.tokens) == 3 and len(reply.logprobs) == 3
    model = engine().model
    long = encode(model.tokenizer, "calm and proud " * 700)
    source = Encoded(long.ids[:2040], long.spans[:2040], long.roles[:2040], long.text)
    [whole], _ = answers(engine(), [Request(source, Sampling(max_tokens=most, min_tokens=most))])
    assert whole.finish_reason == "length" and len(whole.whole) == model.context
