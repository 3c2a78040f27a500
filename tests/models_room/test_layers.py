"""Finding decoder blocks in every family, among decoys, and not at all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from affekt.errors import SelfCheckError
from affekt.models.layers import find
from tests.models import FAMILIES, HYBRIDS, tiny, tiny_network


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_of_every_family(family: str) -> None:
    network = tiny_network(family)
    blocks = find(network)
    assert len(blocks) == network.config.num_hidden_layers
    hidden = network(input_ids=torch.tensor([[7, 8, 9]]), output_hidden_states=True).hidden_states
    seen: list[torch.Tensor] = []
    handles = [block.register_forward_hook(lambda _m, _a, out: seen.append(out)) for block in blocks]
    network(input_ids=torch.tensor([[7, 8, 9]]))
    for handle in handles:
        handle.remove()
    residuals = [out[0] if isinstance(out, tuple) else out for out in seen]
    # transformers' last hidden state is after the final norm; all earlier ones are the blocks' outputs.
    for ours, theirs in zip(residuals[:-1], hidden[1:-1], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("family", HYBRIDS)
def test_hybrids_mix_kinds_of_blocks(family: str) -> None:
    network = tiny_network(family)
    kinds = {tuple(sorted(name for name, _ in block.named_children())) for block in find(network)}
    assert len(kinds) == 2


def test_experts_as_many_as_layers_are_no_decoder() -> None:
    network = tiny_network("mixtral", num_local_experts=4, num_hidden_layers=4)
    assert {type(block).__name__ for block in find(network)} == {"MixtralDecoderLayer"}


def test_a_longer_list_that_is_not_run_in_order_is_passed_over() -> None:
    network = tiny_network("llama")
    network.decoys = nn.ModuleList(nn.Linear(32, 32) for _ in range(9))
    network.same_length = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))
    assert find(network) == tuple(network.model.layers)


def test_a_configuration_that_counts_wrongly_does_not_matter() -> None:
    network = tiny_network("qwen2")
    network.config.num_hidden_layers = 17
    assert find(network) == tuple(network.model.layers)


def test_a_single_block() -> None:
    assert len(find(tiny_network("llama", num_hidden_layers=1))) == 1


def test_probing_leaves_no_hooks_and_the_same_numbers() -> None:
    network = tiny_network("llama")
    ids = torch.tensor([[1, 50, 60]])
    before = network(input_ids=ids).logits
    find(network)
    assert torch.equal(network(input_ids=ids).logits, before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_a_network_whose_blocks_do_not_chain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network("llama")
    block = type(network.model.layers[0])

    def aside(self: Any, hidden_states: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.zeros_like(hidden_states) + 1.0 + id(self) % 7

    monkeypatch.setattr(block, "forward", aside)
    monkeypatch.setattr(type(network.model), "forward", _ignoring_outputs)
    with pytest.raises(
        SelfCheckError, match=r"no decoder blocks found.*model\.layers \(4 x LlamaDecoderLayer\)"
    ):
        find(network)


def _ignoring_outputs(self: Any, input_ids: torch.Tensor, **_: Any) -> Any:
    from transformers.modeling_outputs import BaseModelOutputWithPast

    hidden = self.embed_tokens(input_ids)
    for block in self.layers:
        block(hidden)
    return BaseModelOutputWithPast(last_hidden_state=hidden)


def test_the_residual_is_as_wide_as_the_model_says() -> None:
    assert tiny("gemma2").identity.d_model == 32
