"""Capturing and editing the residual stream, and stopping early."""

from __future__ import annotations

import copy
import threading
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from affekt.models.model import Model
from affekt.models.residual import capture, edit, positions, run_to
from tests.models import FAMILIES, tiny

IDS = torch.tensor([[1, 40, 90, 200, 31, 7]])


def captured(
    model: Model, layers: range | list[int], ids: Tensor = IDS, mask: Tensor | None = None
) -> dict[int, Tensor]:
    kept: dict[int, Tensor] = {}
    mask = torch.ones_like(ids) if mask is None else mask
    with capture(model, layers, lambda layer, residual: kept.update({layer: residual.clone()})):
        run_to(model, ids, mask, max(layers))
    return kept


def logits(model: Model, ids: Tensor = IDS) -> Tensor:
    with torch.no_grad():
        return model.network(input_ids=ids).logits


def hooks(model: Model) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.network.modules()
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_capture_is_the_hidden_states_that_transformers_gives(family: str) -> None:
    model = tiny(family)
    with torch.no_grad():
        hidden = model.network(input_ids=IDS, output_hidden_states=True).hidden_states
    ours = captured(model, range(len(model.layers)))
    for layer in range(len(model.layers) - 1):
        assert torch.equal(ours[layer], hidden[layer + 1])


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_of_one_layer_is_what_the_rest_of_the_network_sees(family: str) -> None:
    model = tiny(family)
    vector = torch.randn(32, generator=torch.Generator().manual_seed(1))
    plain, before = logits(model), captured(model, range(len(model.layers)))
    with edit(model, {1: lambda residual: residual + vector}):
        steered, after = logits(model), captured(model, range(len(model.layers)))
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1] + vector)
    assert not torch.allclose(after[2], before[2])
    assert (steered - plain).abs().max() > 1e-2
    assert torch.equal(logits(model), plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_by_zero_changes_no_bit(family: str) -> None:
    model = tiny(family)
    plain = logits(model)
    with edit(model, {layer: lambda residual: residual + 0.0 for layer in range(len(model.layers))}):
        assert torch.equal(logits(model), plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_cached_steps_are_edited_as_a_whole_forward_is(family: str) -> None:
    model = tiny(family)
    vector = torch.randn(32, generator=torch.Generator().manual_seed(2))
    with edit(model, {2: lambda residual: residual + vector}), torch.no_grad():
        whole = model.network(input_ids=IDS, use_cache=False).logits
        cache, steps = None, []
        for column in range(IDS.shape[1]):
            out = model.network(input_ids=IDS[:, column : column + 1], past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            steps.append(out.logits)
    assert torch.allclose(torch.cat(steps, dim=1), whole, atol=2e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_of_a_padded_batch_equal_the_rows_alone(family: str) -> None:
    model = tiny(family)
    short, pad = IDS[:, :3], torch.zeros(1, 3, dtype=torch.long)
    ids = torch.cat([IDS, torch.cat([pad, short], 1), torch.cat([short, pad], 1)])
    mask = torch.tensor([[1] * 6, [0] * 3 + [1] * 3, [1] * 3 + [0] * 3])
    layers = range(len(model.layers))
    alone, batch = captured(model, layers, short), captured(model, layers, ids, mask)
    for layer in layers:
        assert torch.allclose(batch[layer][1, 3:], alone[layer][0], atol=1e-4)
        assert torch.allclose(batch[layer][2, :3], alone[layer][0], atol=1e-4)


def test_run_to_runs_no_later_block_and_no_logits() -> None:
    model = tiny("llama")
    ran: list[str] = []
    watched: Mapping[str, torch.nn.Module] = {
        "block 2": model.layers[2],
        "norm": model.network.model.norm,
        "head": model.network.lm_head,
    }
    handles = [
        module.register_forward_pre_hook(lambda _m, _a, name=name: ran.append(name))
        for name, module in watched.items()
    ]
    kept = captured(model, [0, 1])
    assert sorted(kept) == [0, 1] and ran == []
    captured(model, [2])
    assert ran == ["block 2"]
    for handle in handles:
        handle.remove()


def test_run_to_sees_edits() -> None:
    model = tiny("gpt2")
    before = captured(model, [1])
    with edit(model, {1: lambda residual: residual * 2}):
        assert torch.equal(captured(model, [1])[1], before[1] * 2)


def test_capture_entered_first_still_sees_the_edit() -> None:
    model = tiny("gpt2")
    before = captured(model, [1])[1]
    kept: list[Tensor] = []
    with capture(model, [1], lambda _layer, residual: kept.append(residual.clone())):
        with edit(model, {1: lambda residual: residual + 1}):
            logits(model)
    assert torch.equal(kept[0], before + 1)


def test_a_block_that_returns_a_tuple_keeps_its_other_values(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama")
    block = type(model.layers[0])
    plain_forward, others = block.forward, []

    def as_tuple(
        self: torch.nn.Module, hidden_states: Tensor | tuple[Tensor, str], **rest: object
    ) -> tuple[Tensor, str]:
        if isinstance(hidden_states, tuple):
            hidden_states, other = hidden_states
            others.append(other)
        return plain_forward(self, hidden_states, **rest), "kept"

    monkeypatch.setattr(block, "forward", as_tuple)
    model.network.model.norm.register_forward_pre_hook(lambda _m, args: (args[0][0],))
    plain = logits(model)
    with edit(model, {1: lambda residual: residual + 1}):
        assert not torch.equal(logits(model), plain)
    assert set(others) == {"kept"}


@pytest.mark.parametrize("where", ["take", "edit", "outside"])
def test_hooks_are_gone_after_any_error(where: str) -> None:
    model = tiny("llama")
    plain = logits(model)

    def fail(*_: object) -> Tensor:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        if where == "take":
            with capture(model, [1], fail):
                logits(model)
        elif where == "edit":
            with edit(model, {0: lambda residual: residual + 1, 1: fail}):
                run_to(model, IDS, torch.ones_like(IDS), 3)
        else:
            with edit(model, {0: lambda residual: residual + 1}):
                raise RuntimeError("mine")
    assert hooks(model) == 0
    assert torch.equal(logits(model), plain)


def test_a_layer_that_is_not_there() -> None:
    model = tiny("llama")
    with pytest.raises(IndexError, match="layer 4 of a model with layers 0 to 3"):
        with edit(model, {0: lambda residual: residual, 4: lambda residual: residual}):
            pass
    with pytest.raises(IndexError, match="layer -1"):
        run_to(model, IDS, torch.ones_like(IDS), -1)
    assert hooks(model) == 0


def test_an_edit_that_changes_the_shape() -> None:
    model = tiny("llama")
    with pytest.raises(ValueError, match=r"layer 1 made \(1, 6, 16\) of a residual \(1, 6, 32\)"):
        with edit(model, {1: lambda residual: residual[..., :16]}):
            logits(model)
    assert hooks(model) == 0


def test_an_edit_in_another_dtype_is_cast_back() -> None:
    model = tiny("llama")
    with edit(model, {1: lambda residual: residual.double() + 1}):
        assert logits(model).dtype == torch.float32


def test_positions_start_at_the_first_token() -> None:
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0]])
    assert positions(mask).tolist() == [[0, 0, 0, 1], [0, 1, 1, 1]]


def test_another_threads_forward_waits_until_the_hooks_are_gone() -> None:
    model, found = tiny(), dict[int, Tensor]()
    plain = captured(model, [2])
    other = threading.Thread(target=lambda: found.update(captured(model, [2])))
    with edit(model, {1: lambda residual: residual + 5.0}):
        other.start()
        other.join(0.3)
        assert not found, "it ran between the other's hooks"
        steered = captured(model, [2])
    other.join()
    assert torch.equal(found[2], plain[2])
    assert not torch.allclose(steered[2], plain[2])


def test_a_copy_of_a_model_has_a_network_and_a_turn_of_its_own() -> None:
    model = tiny("llama")
    other = copy.deepcopy(model)
    assert other.turn is not model.turn and other.identity == model.identity
    assert all(any(layer is part for part in other.network.modules()) for layer in other.layers)
    assert next(other.network.parameters()) is not next(model.network.parameters())
