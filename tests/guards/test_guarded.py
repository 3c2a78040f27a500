"""Guards on running tiny models: nothing from the tripping token on is shown, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affekt.engines import Reply, Request, Sampling, Token, TransformersEngine
from affekt.errors import PolicyError, VectorsError
from affekt.guards import Event, Policy, guard
from tests.engines.small import CHAT, LONG, engine, hooks, opened, plain_logits, prompt_of, vectors_for

SAMPLING = Sampling(max_tokens=24, min_tokens=24, temperature=1.0, seed=2)
FAMILIES = ("llama", "gemma2", "gpt2", "qwen2_moe", "qwen3_next", "lfm2")


@dataclass(frozen=True)
class Crossing:
    """A concept and a threshold that an unguarded reply first goes over at a known token."""

    concept: str
    threshold: float
    at: int
    plain: Reply


def crossing(
    one: TransformersEngine, source: Any = CHAT, least: int = 4, sampling: Sampling = SAMPLING
) -> Crossing:
    """The latest first crossing of any concept, so that much has been shown before."""
    plain = answer(one, Request(source, sampling, read="all"))
    assert plain.reading is not None
    z = plain.reading.z[plain.prompt_tokens :]
    best: Crossing | None = None
    for column, concept in enumerate(plain.reading.concepts):
        highest = np.maximum.accumulate(z[:, column])
        for at in range(1, len(z)):
            gap = z[at, column] - highest[at - 1]
            if gap > 0.1 and (best is None or at > best.at):
                best = Crossing(concept, float(highest[at - 1] + gap / 2), at, plain)
    assert best is not None and best.at >= least
    return best


@cache
def known(family: str = "llama") -> Crossing:
    return crossing(engine(family))


def answer(one: TransformersEngine, request: Request) -> Reply:
    return next(piece for piece in one.generate([request]) if isinstance(piece, Reply))


def split(pieces: Iterator[Token | Reply]) -> tuple[list[Token], Reply]:
    tokens = []
    for piece in pieces:
        if isinstance(piece, Reply):
            return tokens, piece
        tokens.append(piece)
    raise AssertionError("no reply")


def policy(found: Crossing, action: Any, **settings: Any) -> Policy:
    return Policy(
        monitors=[{"what": found.concept, "threshold": found.threshold, "action": action}], **settings
    )


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    count, logits = hooks(opened()), plain_logits(opened())
    yield
    assert hooks(opened()) == count
    assert torch.equal(plain_logits(opened()), logits)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("hold", [0, 3])
def test_stop_shows_nothing_from_the_tripping_token_on(family: str, hold: int) -> None:
    one = engine(family)
    found = known(family)
    tokens, reply = split(guard(one, policy(found, "stop", hold_back=hold)).stream(CHAT, SAMPLING))
    assert [token.id for token in tokens] == list(found.plain.tokens[: found.at])
    assert reply.tokens == found.plain.tokens[: found.at]
    assert (reply.finish_reason, reply.flagged, reply.replaced) == ("guard", True, False)
    (event,) = reply.events
    assert isinstance(event, Event)
    assert (event.token, event.request, event.action) == (found.at, "0", "stop")
    assert event.value > found.threshold
    assert hooks(one.model) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_policy_that_never_trips_changes_nothing(family: str) -> None:
    one = engine(family)
    plain = answer(one, Request(CHAT, SAMPLING))
    reply = guard(one, Policy(monitors=[{"what": "calm", "threshold": 1e6, "action": "stop"}])).generate(
        CHAT, SAMPLING
    )
    assert (reply.text, reply.tokens, reply.finish_reason) == (plain.text, plain.tokens, plain.finish_reason)
    assert not reply.events and not reply.flagged


def test_three_lines_for_a_user(tmp_path: Path) -> None:
    model = opened()
    found = known()
    path = tmp_path / "policy.yaml"
    path.write_text(
        f"monitors:\n- what: {found.concept}\n  threshold: {found.threshold}\n"
        "  action: {do: refuse, text: Let me start again.}\n"
    )
    guarded = guard(model, path, vectors_for(model))
    reply = guarded.generate(CHAT, SAMPLING)
    assert (reply.text, reply.finish_reason, reply.replaced) == ("Let me start again.", "guard", True)
    assert reply.events[0].followed == "the reply is replaced"


def test_refuse_before_the_first_token() -> None:
    one = engine()
    rule = {
        "what": "calm",
        "threshold": -1e6,
        "position": "prompt_end",
        "action": {"do": "refuse", "text": "No."},
    }
    tokens, reply = split(guard(one, Policy(monitors=[rule])).stream(CHAT, SAMPLING))
    assert tokens == [] and reply.text == "No." and reply.events[0].token is None


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3_next", "lfm2"])
@pytest.mark.parametrize("times", [1, 3])
def test_resample_shows_only_what_was_kept(family: str, times: int) -> None:
    one = engine(family)
    found = known(family)
    action = {"do": "resample", "bias": {found.concept: {"dose": -0.5}}, "drop": 3, "times": times}
    tokens, reply = split(guard(one, policy(found, action)).stream(CHAT, SAMPLING))
    assert 1 <= len(reply.events) <= times + 1
    assert [token.id for token in tokens] == list(reply.tokens)
    assert [token.index for token in tokens] == list(range(len(tokens)))
    assert reply.tokens[: found.at - 2] == found.plain.tokens[: found.at - 2]
    if reply.finish_reason == "guard":
        assert len(reply.events) == times + 1 and "no try" in reply.events[-1].followed
    else:
        assert len(reply.tokens) == 24
    assert hooks(one.model) == 0


def test_resample_to_no_avail_refuses() -> None:
    one = engine()
    action = {"do": "resample", "bias": {"proud": {"dose": 0.5}}, "drop": 2, "times": 2, "text": "No."}
    rule = {"what": "calm", "threshold": -1e6, "action": action}
    tokens, reply = split(guard(one, Policy(monitors=[rule])).stream(CHAT, SAMPLING))
    assert tokens == [] and reply.text == "No." and len(reply.events) == 3


@pytest.mark.parametrize("family", ["llama", "gemma2", "qwen3_next"])
def test_damp_holds_the_reading_at_the_threshold(family: str) -> None:
    one = engine(family)
    found = known(family)
    guarded = guard(one, policy(found, "damp"))
    request = Request(CHAT, SAMPLING, read=(found.concept,), guard=guarded.guardian)
    reply = answer(one, request)
    assert reply.reading is not None and reply.flagged and len(reply.events) == 1
    z = reply.reading.z[reply.prompt_tokens :, 0]
    assert z[found.at] > found.threshold
    assert (z[found.at + 1 :] <= found.threshold + 1e-3).all()
    assert reply.tokens[: found.at + 1] == found.plain.tokens[: found.at + 1]


def test_counter_brings_the_mean_reading_back_through_the_engine() -> None:
    one = engine()
    sampling = Sampling(max_tokens=80, min_tokens=80, temperature=1.0, seed=1)
    plain = answer(one, Request(CHAT, sampling, read=("angry",)))
    assert plain.reading is not None
    threshold = float(np.median(plain.reading.z[plain.prompt_tokens :]))
    action = {"do": "counter", "bias": {"angry": {"dose": -1.0}}, "gain": 0.02}
    rule = {"what": "angry", "threshold": threshold, "action": action}
    guarded = guard(one, Policy(monitors=[rule]))
    reply = answer(one, Request(CHAT, sampling, read=("angry",), guard=guarded.guardian))
    assert reply.reading is not None and reply.flagged and len(reply.tokens) == 80
    at = reply.events[0].token
    assert reply.tokens[: at + 1] == plain.tokens[: at + 1]
    late = reply.reading.z[-40:, 0]
    assert late.mean() < threshold - 0.1
    assert late.mean() < plain.reading.z[-40:, 0].mean() - 0.1
    assert "% of the bias" in reply.events[0].followed


def test_requests_with_different_policies_share_a_batch() -> None:
    one = engine()
    first, second = known(), crossing(one, LONG, least=1)
    guards = [guard(one, policy(first, "stop")), guard(one, policy(second, {"do": "refuse", "text": "No."}))]
    requests = [
        guards[0].request(CHAT, SAMPLING, id="a"),
        guards[1].request(LONG, SAMPLING, id="b"),
        Request(CHAT, SAMPLING, id="c"),
    ]
    together = {piece.request: piece for piece in one.generate(requests) if isinstance(piece, Reply)}
    alone = [answer(one, request) for request in requests]
    for request, reply in zip(requests, alone, strict=True):
        other = together[str(request.id)]
        assert (other.text, other.tokens, other.finish_reason) == (
            reply.text,
            reply.tokens,
            reply.finish_reason,
        )
        assert [event.token for event in other.events] == [event.token for event in reply.events]
    assert together["b"].text == "No." and len(together["c"].tokens) == 24


def test_each_of_several_replies_has_a_guard_of_its_own() -> None:
    one = engine()
    sampling = Sampling(max_tokens=24, min_tokens=24, temperature=1.5, seed=3)
    rule = {"what": "calm", "threshold": 0.8, "action": "stop"}
    request = Request(CHAT, sampling, guard=guard(one, Policy(monitors=[rule])).guardian, n=4)
    replies = [piece for piece in one.generate([request]) if isinstance(piece, Reply)]
    assert len({reply.tokens for reply in replies}) > 1
    for reply in replies:
        for event in reply.events:
            assert event.choice == reply.choice and event.token == len(reply.tokens)


def test_what_is_shown_never_tripped() -> None:
    """Read again in a separate forward, no token that was shown is over the threshold."""
    one = engine()
    sampling = Sampling(max_tokens=24, temperature=1.0, seed=5)
    rule = {"what": "angry", "threshold": 0.5, "action": "stop"}
    request = Request(CHAT, sampling, guard=guard(one, Policy(monitors=[rule])).guardian, n=8)
    ended = 0
    for reply in (piece for piece in one.generate([request]) if isinstance(piece, Reply)):
        ended += reply.finish_reason == "guard"
        if reply.tokens:
            (reading,) = one.read([reply.whole], ["angry"])
            z = reading.of("angry")[len(prompt_of(reply)) :]
            roles = reading.roles[len(prompt_of(reply)) :]
            assert all(value <= 0.5 + 1e-3 for value, role in zip(z, roles, strict=True) if role != "special")
    assert ended > 0


def test_a_caller_that_walks_away_leaves_nothing() -> None:
    one = engine()
    found = known()
    stream = guard(one, policy(found, "damp")).stream(CHAT, SAMPLING)
    for _ in range(found.at):
        next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert hooks(one.model) == 0


def test_a_guard_needs_vectors_of_its_model() -> None:
    rules = Policy(monitors=[{"what": "calm", "threshold": 1.0, "action": "stop"}])
    with pytest.raises(VectorsError, match="vectors="):
        guard(opened(), rules)
    with pytest.raises(VectorsError, match="open the engine with vectors"):
        guard(TransformersEngine(opened()), rules)
    with pytest.raises(VectorsError, match="of its own"):
        guard(engine(), rules, vectors_for(opened()))
    with pytest.raises(VectorsError, match="extracted from"):
        guard(opened("gpt2"), rules, vectors_for(opened()))


def test_what_the_vectors_do_not_hold_is_said_before_anything_runs() -> None:
    one = engine()

    def wrong(**rule: Any) -> str:
        with pytest.raises(PolicyError) as caught:
            guard(one, {"monitors": [{"what": "calm", "threshold": 1.0, "action": "stop"} | rule]})
        return str(caught.value)

    assert "monitors[0].what: unknown concept 'clam'; did you mean 'calm'?" in wrong(what="clam")
    assert "monitors[0].what.afraid: unknown concept" in wrong(what={"afraid": 1.0})
    assert "human norms" in wrong(what="valence")
    assert "not calibrated" in wrong(action={"do": "counter", "bias": {"angry": 0.5}})
    assert "monitors[0].rate" in wrong(threshold=None, rate=0.05)
    with pytest.raises(VectorsError, match="hold the layers"):
        guard(one, {"layer": 0, "monitors": [{"what": "calm", "threshold": 1.0, "action": "stop"}]})


def test_ranges_that_cannot_both_be_held_are_found_once_thresholds_are_known() -> None:
    rules = [
        {"what": "calm", "threshold": 1.0, "action": "damp"},
        {"what": "angry", "threshold": 1.0, "action": {"do": "damp", "hold": {"calm": {"low": 2.0}}}},
    ]
    with pytest.raises(PolicyError, match="cannot be held at 2 or more and at 1 or less"):
        guard(engine(), {"monitors": rules})
