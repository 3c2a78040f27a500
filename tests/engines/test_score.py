from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from affekt.engines.transformers import next_token
from affekt.engines.transformers import score as module
from affekt.engines.transformers.front import alike
from affekt.errors import BiasError, PromptError
from affekt.models.prompt import Encoded, encode
from tests.engines.small import (
    CHAT,
    LONG,
    PROMPTS,
    STRONG,
    TEXT,
    as_bias,
    engine,
    hooks,
    outputs,
    plain_logits,
)
from tests.models import FAMILIES

SAID = (" the train would not come", "I do not know.", "Proud, angry", " was")


def expected(one: Any, source: Any, said: str, spec: Any) -> np.ndarray:
    """Log-probabilities from one forward over prompt and continuation, with the prompt's own program."""
    prompt = encode(one.model.tokenizer, source, generation_prompt=True)
    ids = one.model.tokenizer(said, add_special_tokens=False)["input_ids"]
    whole = Encoded(
        ids=(*prompt.ids, *ids),
        spans=(*prompt.spans, *[(0, 0)] * len(ids)),
        roles=(*prompt.roles, *["assistant"] * len(ids)),
        text=prompt.text,
    )
    _, logits = outputs(one.model, whole, as_bias(spec, one.vectors), prompt, one.vectors)
    logprobs = logits.log_softmax(-1)
    start = len(prompt)
    return np.array([float(logprobs[start + i - 1, id]) for i, id in enumerate(ids)])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("spec", [None, STRONG], ids=["plain", "biased"])
def test_continuations_score_as_in_one_whole_forward(family: str, spec: Any) -> None:
    one = engine(family)
    # The first prompt comes three times: it is run once, its continuations beside each other.
    prompts = [*PROMPTS, PROMPTS[0], PROMPTS[0]]
    said = [*SAID, SAID[1], SAID[3]]
    got = one.score(prompts, said, bias=spec)
    for source, words, own in zip(prompts, said, got, strict=True):
        np.testing.assert_allclose(own, expected(one, source, words, spec), atol=1e-4, rtol=1e-4)


def test_a_shared_prompt_is_run_once(forwards: list[tuple[int, int]]) -> None:
    one = engine()
    alone = [one.score([CHAT], [said])[0] for said in SAID]
    forwards.clear()
    together = one.score([CHAT] * 4, SAID)
    assert len(forwards) == 2
    assert forwards[0][0] == 1
    assert forwards[1][0] == 3  # one of them is a single token, which the prompt foretells
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_each_pair_may_have_its_own_bias() -> None:
    one = engine()
    specs = [None, STRONG, {"angry": {"mode": "ablate", "where": "reply"}}, STRONG]
    got = one.score([TEXT] * 4, [SAID[0]] * 4, bias=specs)
    for spec, own in zip(specs, got, strict=True):
        np.testing.assert_allclose(own, expected(one, TEXT, SAID[0], spec), atol=1e-4)
    assert np.abs(got[0] - got[1]).max() > 0.05
    assert np.abs(got[0] - got[2]).max() > 1e-4


def test_a_prompt_that_no_bias_reaches_is_run_once_for_all_biases(forwards: list[tuple[int, int]]) -> None:
    one = engine()
    names = ("calm", "angry", "proud", "desperate")
    specs: list[Any] = [None, *({name: {"mode": "ablate", "where": "reply"}} for name in names)]
    alone = [one.score([CHAT], [SAID[0]], bias=spec)[0] for spec in specs]
    forwards.clear()
    together = one.score([CHAT] * 5, [SAID[0]] * 5, bias=specs)
    assert [rows for rows, _ in forwards] == [1, 1]  # five replies of one text begin as one row
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_text_under_many_biases_scores_as_under_each_alone(family: str) -> None:
    one = engine(family)
    specs: list[Any] = [None, STRONG, {"calm": {"mode": "ablate"}}]
    specs += [{name: {"mode": "ablate", "where": "prompt"}} for name in ("angry", "proud")]
    specs += [{name: {"mode": "ablate", "where": "reply"}} for name in ("angry", "proud")]
    got = one.score([CHAT] * len(specs), [SAID[0]] * len(specs), bias=specs)
    for spec, own in zip(specs, got, strict=True):
        np.testing.assert_allclose(own, expected(one, CHAT, SAID[0], spec), atol=1e-4, rtol=1e-4)


def test_one_text_under_many_biases_shares_the_blocks_before_the_first_steered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = engine()
    specs: list[Any] = [{name: {"mode": "ablate", "layers": [2]}} for name in ("calm", "angry", "proud")]
    specs += [None, *({name: {"mode": "ablate", "layers": [2], "where": "reply"}} for name in ("calm",))]
    rows: dict[int, list[int]] = {0: [], 3: []}
    for layer, seen in rows.items():
        monkeypatch.setattr(one.model.layers[layer], "forward", counting(one.model.layers[layer], seen))
    one.score([CHAT] * len(specs), [SAID[0]] * len(specs), bias=specs)
    assert rows[0] == [1, 1, 1]
    assert rows[3] == [3, 1, 2]  # three whole rows; the prompt that no bias reaches, then two replies to it
    assert hooks(one.model) == 0


def counting(block: Any, seen: list[int]) -> Any:
    """The block's forward, which notes how many rows it has run."""
    whole = block.forward

    def forward(hidden: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(len(hidden))
        return whole(hidden, *args, **kwargs)

    return forward


def test_a_marker_within_the_continuation_is_heard() -> None:
    one = engine()
    spec = {"calm": {"dose": 0.8, "where": {"after": "train"}}}
    said = " the train would not come before the night"
    plain, steered = one.score([TEXT, TEXT], [said, said], bias=[None, spec])
    changed = np.flatnonzero(np.abs(plain - steered) > 1e-4)
    tokens = one.model.tokenizer(said, add_special_tokens=False)["input_ids"]
    heard = next(i for i in range(len(tokens)) if "train" in one.model.tokenizer.decode(tokens[: i + 1]))
    # The token after the marker is the first that is steered; the next one is the first foretold anew.
    assert changed[0] == heard + 2


def test_few_logits_at_a_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine()
    prompts, said = [*PROMPTS, *[CHAT] * 4], [*SAID, *SAID]
    whole = one.score(prompts, said)
    monkeypatch.setattr(module, "MOST_LOGITS", 384 * 3)
    for a, b in zip(whole, one.score(prompts, said), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_next_tokens_are_those_of_each_prompt_alone(family: str) -> None:
    one = engine(family)
    specs = [None, STRONG, {"calm": {"mode": "ablate"}}, None]
    got = one.next_token(PROMPTS, bias=specs)
    assert got.shape == (4, 384)
    for source, spec, own in zip(PROMPTS, specs, got, strict=True):
        prompt = encode(one.model.tokenizer, source, generation_prompt=True)
        _, logits = outputs(one.model, prompt, as_bias(spec, one.vectors), prompt, one.vectors)
        np.testing.assert_allclose(own, logits[-1].log_softmax(-1), atol=2e-4)
    np.testing.assert_array_equal(one.next_token(PROMPTS, bias=specs, ids=[5, 9]), got[:, [5, 9]])


def test_wrong_pairs_are_refused_and_leave_nothing_behind() -> None:
    one = engine()
    before = plain_logits(one.model)
    with pytest.raises(PromptError, match="continuations for"):
        one.score([TEXT], ["a", "b"])
    with pytest.raises(PromptError, match="empty continuation"):
        one.score([TEXT], [""])
    with pytest.raises(PromptError, match="half a surrogate pair"):
        one.score([TEXT], ["a \ud83d"])
    with pytest.raises(PromptError, match="takes 2,048"):
        one.score([LONG], [[7] * 2048])
    for id in (-1, 10**9):
        with pytest.raises(PromptError, match=f"{id} is no token of tiny-llama; they are 0 to"):
            one.score([TEXT], [[7, id]])
        with pytest.raises(PromptError, match=f"{id} is no token"):
            one.next_token([TEXT], ids=[id])
    with pytest.raises(PromptError, match="biases for"):
        one.score([TEXT], ["a"], bias=[None, None])
    with pytest.raises(BiasError):
        one.next_token([TEXT], bias={"calm": "loud"})
    assert one.score([], []) == []
    assert one.next_token([], ids=[1, 2]).shape == (0, 2)
    assert hooks(one.model) == 0
    assert torch.equal(before, plain_logits(one.model))


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_that_begin_alike_share_a_forward(family: str) -> None:
    one = engine(family)
    first = "Is the calm river in the morning better than "
    prompts = [
        *(f"{first}{rest}" for rest in ("an old man?", "a letter", "night", "a garden now")),
        TEXT,
        first,
    ]
    got = one.next_token(prompts)
    alone = np.stack([one.next_token([prompt])[0] for prompt in prompts])
    np.testing.assert_allclose(got, alone, atol=2e-4)


def test_steered_prompts_share_what_comes_before_their_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    one = engine()
    first = "Is the calm river in the morning, when nobody is about and the boats are tied up, better than "
    prompts = [f"{first}{rest}" for rest in ("an old man?", "a letter", "night", "a garden now")]
    places = [{"span": [len(first), len(first) + 5]}, {"span": [60, 70]}, {"last": 2}, {"span": [80, 90]}]
    specs = [{"calm": {"dose": 0.5, "where": where}} for where in places]
    shared: list[int] = []
    branches = next_token._branches

    def told(core: object, all_: object, programs: object, group: list[int], *more: Any) -> object:
        shared.append(len(group))
        return branches(core, all_, programs, group, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(next_token, "_branches", told)
    got = one.next_token(prompts, bias=specs)
    assert shared == [4]
    alone = np.stack([one.next_token([p], bias=[s])[0] for p, s in zip(prompts, specs, strict=True)])
    assert shared == [4]
    np.testing.assert_allclose(got, alone, atol=2e-4)
    assert np.abs(got - one.next_token(prompts)).max(axis=1).min() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_one_prompt_steered_in_several_ways_is_as_under_each_alone(family: str) -> None:
    one = engine(family)
    first = "Is the calm river in the morning, when nobody is about and the boats are tied up, better than "
    where = {"span": [len(first), len(first) + 5]}
    prompts = [f"{first}{rest}" for rest in ("night?", "a letter") for _ in range(3)]
    names = ["calm", "angry", "proud"] * 2
    specs: list[Any] = [{name: {"mode": "ablate", "where": where}} for name in names]
    got = one.next_token(prompts, bias=specs)
    alone = np.stack([one.next_token([p], bias=[s])[0] for p, s in zip(prompts, specs, strict=True)])
    np.testing.assert_allclose(got, alone, atol=2e-4)
    assert np.abs(got[0] - got[1]).max() > 1e-4


def test_one_prompt_steered_in_several_ways_shares_the_blocks_before_the_first_steered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = engine()
    first = "Is the calm river in the morning, when nobody is about and the boats are tied up, better than "
    where = {"span": [len(first), len(first) + 5]}
    prompts = [f"{first}{rest}" for rest in ("night?", "a letter") for _ in range(3)]
    specs: list[Any] = [
        {name: {"mode": "ablate", "layers": [2], "where": where}} for name in ("calm", "angry", "proud") * 2
    ]
    rows: dict[int, list[int]] = {0: [], 3: []}
    for layer, seen in rows.items():
        monkeypatch.setattr(one.model.layers[layer], "forward", counting(one.model.layers[layer], seen))
    one.next_token(prompts, bias=specs)
    assert rows[0] == [1, 1, 1] and rows[3] == [1, 3, 3]  # the front, then each prompt in its three ways
    assert hooks(one.model) == 0


def test_groups_of_prompts() -> None:
    def groups(prompts: list[tuple[int, ...]], reach: list[int] | None = None) -> list[list[int]]:
        return sorted(sorted(group) for group in alike(prompts, reach))

    one, other = tuple(range(100)), tuple(range(100, 200))
    prompts = [(*one, 1), (*one, 2, 3), (9, 9), (*one, 1), (1, 7, 7)]
    assert groups(prompts) == [[0, 1, 3], [2], [4]]
    # What is steered is not shared; and a little in common is worth no forward.
    assert groups(prompts, [99, 10, 2, 99, 3]) == [[0, 3], [1], [2], [4]]
    assert groups([(1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3, 6)]) == [[0], [1], [2]]
    # Many with much in common stay apart from others with which they share less.
    many = [(*range(40), *middle, i) for middle in (one, other) for i in range(30)]
    assert groups(many) == [list(range(30)), list(range(30, 60))]
    assert list(alike([])) == []


def test_prompts_of_the_same_tokens_in_other_roles_are_steered_each_in_its_own_way() -> None:
    one = engine()
    prompt = encode(one.model.tokenizer, CHAT, generation_prompt=True)
    other = replace(prompt, roles=("user",) * len(prompt))
    spec = {"calm": {"dose": 0.5, "where": {"role": "user"}}}
    together = one.score([prompt, other], [SAID[0]] * 2, spec)
    for source, own in zip((prompt, other), together, strict=True):
        assert np.allclose(one.score([source], [SAID[0]], spec)[0], own, atol=1e-5)
    assert not np.allclose(together[0], together[1], atol=1e-3)
