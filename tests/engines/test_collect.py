from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from affekt.engines.transformers import collect as module
from affekt.errors import PromptError
from affekt.models.prompt import Encoded, encode
from affekt.vectors.collect import from_token, prompt_end
from tests.engines.small import CHAT, LONG, PROMPTS, TEXT, engine, hooks, opened, outputs, plain_logits
from tests.models import FAMILIES


def second_on(encoded: Encoded) -> Sequence[int]:
    return range(1, len(encoded))


@pytest.mark.parametrize("family", FAMILIES)
def test_means_are_those_of_whole_forwards(family: str) -> None:
    one = engine(family)
    model = one.model
    found = {c.index: c for c in one.collect(PROMPTS, [2, 0], second_on)}
    assert sorted(found) == list(range(len(PROMPTS)))
    for index, source in enumerate(PROMPTS):
        whole = encode(model.tokenizer, source, generation_prompt=not isinstance(source, str))
        residuals, _ = outputs(model, whole, None, whole, one.vectors)
        expected = torch.stack([residuals[layer][1:].mean(0) for layer in (2, 0)])[:, None]
        assert found[index].tokens == len(whole) - 1
        torch.testing.assert_close(found[index].values, expected, atol=2e-5, rtol=1e-4)


def test_single_tokens_come_as_rows_in_the_order_picked() -> None:
    one = engine()
    [got] = one.collect([LONG], [1], lambda encoded: [7, 3, len(encoded) - 1], mean=False)
    whole = encode(one.model.tokenizer, LONG, generation_prompt=True)
    residuals, _ = outputs(one.model, whole, None, whole, one.vectors)
    torch.testing.assert_close(got.values[0], residuals[1][[7, 3, len(whole) - 1]], atol=2e-5, rtol=1e-4)


def test_a_chat_that_the_assistant_has_ended_gets_no_generation_prompt() -> None:
    one = engine()
    seen: list[int] = []

    def pick(encoded: Encoded) -> Sequence[int]:
        seen.append(encoded.roles.count("generation"))
        return prompt_end(encoded)

    list(one.collect([CHAT, [*CHAT, {"role": "assistant", "content": "Nothing."}], TEXT], [0], pick))
    assert seen[0] > 0
    assert seen[1:] == [0, 0]


def test_a_source_too_short_to_pick_from_gives_no_row_and_no_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_to", None)
    [got] = engine().collect([TEXT], [1, 2], from_token(500))
    assert got.values.shape == (2, 0, 32)
    assert got.tokens == 0


def test_batches_hold_to_the_budget_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [f"{TEXT} {'she smiled and ' * (i % 7)}" for i in range(20)]
    shapes: list[tuple[int, int]] = []
    whole = module.run_to

    def watched(model: object, ids: torch.Tensor, mask: torch.Tensor, deepest: int) -> None:
        shapes.append((ids.shape[0], ids.shape[1]))
        assert deepest == 1
        whole(model, ids, mask, deepest)

    monkeypatch.setattr(module, "run_to", watched)
    monkeypatch.setattr(module, "WINDOW", 8)
    many = {c.index: c.values for c in engine(token_budget=150).collect(sources, [1], second_on)}
    assert all(rows == 1 or rows * tokens <= 150 for rows, tokens in shapes)
    assert len(shapes) < 20
    alone = {c.index: c.values for c in engine(token_budget=1).collect(sources, [1], second_on)}
    for index in range(20):
        torch.testing.assert_close(many[index], alone[index], atol=2e-5, rtol=1e-4)


def test_results_may_be_changed_in_place() -> None:
    [got] = engine().collect([TEXT], [1], second_on)
    got.values.add_(1.0)
    assert not got.values.is_inference()


@pytest.mark.parametrize("wrong", ["", [], [{"role": "clown", "content": "x"}], "calm " * 5000])
def test_a_bad_source_is_named_and_leaves_nothing_behind(wrong: object) -> None:
    one = engine()
    before = plain_logits(one.model)
    with pytest.raises(PromptError, match="source 1"):
        list(one.collect([TEXT, wrong], [1], second_on))  # type: ignore[list-item]
    with pytest.raises(IndexError, match="layer 9"):
        list(one.collect([TEXT], [9], second_on))
    with pytest.raises(IndexError, match="source 0"):
        list(one.collect([TEXT], [1], lambda encoded: [len(encoded)]))
    assert hooks(one.model) == 0
    assert torch.equal(before, plain_logits(opened()))


def test_nothing_asked_is_nothing_done() -> None:
    assert list(engine().collect([], [1], second_on)) == []
