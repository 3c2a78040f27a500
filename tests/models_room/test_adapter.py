"""PEFT adapters on their base, and models in other precisions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from affekt.errors import ModelError
from affekt.models.opening import identify, load
from affekt.models.variant import rounded, split_variant
from tests.models import tiny_network, tiny_tokenizer

IDS = torch.tensor([[1, 20, 30, 40, 50]])


def adapter(base: Path, folder: Path, scale: float, named: str | None = None) -> Path:
    """A LoRA on all attention maps, whose second factors are random at a scale."""
    network = AutoModelForCausalLM.from_pretrained(base)
    peft = get_peft_model(
        network, LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in peft.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
    peft.peft_config["default"].base_model_name_or_path = named or str(base)
    peft.save_pretrained(folder)
    return folder


def logits(name: Path | str, cache: Path) -> torch.Tensor:
    with torch.no_grad():
        return load(str(name), dtype="float32", cache=cache).network(IDS).logits


def test_an_adapter_opens_on_its_base(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    still, moved = adapter(folder, tmp_path / "still", 0.0), adapter(folder, tmp_path / "moved", 0.5)
    assert torch.equal(logits(still, cache), logits(folder, cache))
    opened = load(str(moved), dtype="float32", cache=cache)
    merged = get_merged(folder, moved)
    with torch.no_grad():
        assert torch.allclose(opened.network(IDS).logits, merged(IDS).logits, atol=1e-4)
    assert not torch.allclose(logits(moved, cache), logits(folder, cache), atol=1e-2)
    hashes = {load(str(each), cache=cache).identity.weights_sha256 for each in (folder, still, moved)}
    assert len(hashes) == 3
    assert (opened.identity.name, opened.identity.architecture) == ("moved", "LlamaForCausalLM")


def test_what_would_be_opened_is_known_without_its_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, moved = tmp_path / "cache", adapter(folder, tmp_path / "moved", 0.5)
    names = [str(folder), f"{folder}@int4", f"{folder}@bfloat16", str(moved), f"{moved}@int8"]
    opened = [load(name, cache=cache) for name in names]

    def read(*_args: object, **_more: object) -> None:
        raise AssertionError("no weights are read")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", read)
    for name, model in zip(names, opened, strict=True):
        identity, tokenizer = identify(name, cache=cache)
        assert identity == model.identity
        assert tokenizer.chat_template == model.tokenizer.chat_template
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="my-llama cannot be opened"):
        identify(str(folder), cache=cache)


def get_merged(base: Path, folder: Path) -> torch.nn.Module:
    from peft import PeftModel

    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).merge_and_unload()


def test_adapters_that_do_not_fit(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    wide = tmp_path / "wide"
    tiny_network("llama", hidden_size=64, head_dim=16).save_pretrained(wide)
    tiny_tokenizer().save_pretrained(wide)
    other = adapter(wide, tmp_path / "other", 0.5, named=str(folder))
    with pytest.raises(ModelError, match=r"adapter other does not fit LlamaForCausalLM.*another base"):
        load(str(other), cache=cache)
    lost = adapter(folder, tmp_path / "lost", 0.5, named=str(tmp_path / "gone"))
    with pytest.raises(ModelError, match=r"the base of the adapter lost is not found"):
        load(str(lost), cache=cache)
    (lost / "adapter_model.safetensors").unlink()
    config = json.loads((lost / "adapter_config.json").read_text())
    (lost / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": str(folder)}))
    with pytest.raises(ModelError, match="lost is an adapter without weights"):
        load(str(lost), cache=cache)
    (lost / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="lost does not name its base"):
        load(str(lost), cache=cache)
    (lost / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"adapter_config\.json cannot be read"):
        load(str(lost), cache=cache)
    two = adapter(folder, tmp_path / "two", 0.5)
    on = adapter(folder, tmp_path / "on", 0.5, named=str(two))
    with pytest.raises(ModelError, match="stands on another adapter"):
        load(str(on), cache=cache)


def test_variants(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    plain = load(str(folder), dtype="float32", cache=cache)
    eight, four = (load(f"{folder}@{variant}", dtype="float32", cache=cache) for variant in ("int8", "int4"))
    full = load(f"{folder}@float32", dtype="bfloat16", cache=cache)
    assert [model.identity.name for model in (eight, full)] == ["my-llama@int8", "my-llama@float32"]
    assert full.identity.weights_sha256 == plain.identity.weights_sha256 and full.identity.dtype == "float32"
    assert len({model.identity.weights_sha256 for model in (plain, eight, four)}) == 3
    with torch.no_grad():
        exact = plain.network(IDS).logits
        near, far = (float((model.network(IDS).logits - exact).norm()) for model in (eight, four))
    assert 0 < near < far / 4
    for model in (eight, four):
        assert torch.equal(model.network.lm_head.weight, plain.network.lm_head.weight)


def test_rounding_is_to_the_nearest_level() -> None:
    weight = torch.tensor([[1.0, 0.5, -0.24, 0.26], [0.0, 0.0, 0.0, 0.0]])
    rows = rounded(weight, 8)
    assert torch.allclose(rows, weight, atol=0.5 / 127) and torch.equal(rows[1], weight[1])
    assert torch.allclose(rows * 127, (rows * 127).round(), atol=1e-4)
    long = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    parts = rounded(long, 4).reshape(3, 2, 32)
    assert all(len(part.unique()) <= 15 for row in parts for part in row)


def test_names_of_variants() -> None:
    assert split_variant("smollm2") == ("smollm2", None)
    assert split_variant("smollm2@int4") == ("smollm2", "int4")
    assert split_variant("./at@home/model") == ("./at@home/model", None)
    with pytest.raises(ModelError, match=r"unknown variant 'int9' of smollm2; did you mean 'int"):
        split_variant("smollm2@int9")
