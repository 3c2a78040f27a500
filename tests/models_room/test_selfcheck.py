"""The self-check passes on every family and refuses networks that would give wrong readings."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from affekt.errors import SelfCheckError
from affekt.models import selfcheck
from affekt.models.selfcheck import self_check
from tests.models import FAMILIES, tiny


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_passes(family: str) -> None:
    model = tiny(family)
    report = self_check(model)
    assert report.holds and len(report.findings) == 5
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.network.modules())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_passes(dtype: torch.dtype) -> None:
    model = tiny("llama")
    model.network.to(dtype)
    assert self_check(model).holds


def test_a_single_block_passes() -> None:
    assert self_check(tiny("llama", num_hidden_layers=1)).holds


def test_the_report_is_one_line_a_finding() -> None:
    lines = str(self_check(tiny("gpt2"))).splitlines()
    assert lines[0].startswith("self-check of tiny-gpt2 (")
    assert lines[1] == "ok   decoder blocks found: 3 x GPT2Block, width 32"
    assert all(line.startswith("ok   ") for line in lines[1:])


def test_an_edit_that_the_next_block_does_not_see() -> None:
    model = tiny("llama")
    plain, kept = model.layers[1].forward, []

    def keeping(*args: Any, **rest: Any) -> Tensor:
        kept.append(plain(*args, **rest))
        return kept[-1].clone()

    def around(_block: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return (kept[-1], *args[1:]), kwargs

    model.layers[1].forward = keeping
    model.layers[2].register_forward_pre_hook(around, with_kwargs=True)
    with pytest.raises(
        SelfCheckError, match=r"tiny-llama \(LlamaForCausalLM\) fails the self-check.*block 2 does not get"
    ):
        self_check(model)


def test_a_last_block_that_the_logits_do_not_see() -> None:
    model = tiny("llama")
    kept: list[Tensor] = []
    model.layers[-1].register_forward_pre_hook(lambda _m, args: kept.append(args[0]))
    model.network.model.norm.register_forward_pre_hook(lambda _m, _args: (kept[-1],))
    with pytest.raises(
        SelfCheckError, match="an edit of the last block reaches the logits: largest change of a logit 0"
    ):
        self_check(model)


def test_blocks_called_past_their_hooks() -> None:
    model = tiny("llama")
    unused = tuple(tiny("llama", seed=1).layers)
    with pytest.raises(SelfCheckError, match="decoder blocks found: the network does not run them"):
        self_check(dataclasses.replace(model, layers=unused))


def test_a_block_that_changes_what_it_gives_when_watched() -> None:
    model = tiny("llama")
    calls = iter(range(1000))
    model.layers[2].register_forward_hook(lambda _m, _a, out: out + 1e-3 * next(calls))
    with pytest.raises(SelfCheckError, match="an edit by zero changes nothing: logits differ by"):
        self_check(model)


def test_padding_that_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("gpt2")
    monkeypatch.setattr(selfcheck, "position_arguments", lambda _network, _mask: {})
    with pytest.raises(
        SelfCheckError, match=r"a row in a padded batch equals the row alone: largest relative diff"
    ):
        self_check(model)
