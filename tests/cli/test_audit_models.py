"""`affekt compare` on real folders: an adapter, its merged copy, the base at fewer bits, other templates."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from affekt.cli.compare import compare
from affekt.errors import ModelError
from affekt.models import load
from affekt.vectors import save_vectors
from affekt.vectors.provenance import Provenance
from tests.audit.planted import PROMPTS, held
from tests.cli.session import run
from tests.models import tiny_network, tiny_tokenizer

SIZE: dict[str, Any] = {"hidden_size": 64, "head_dim": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, a cousin of it, an adapter of either, a merged model, vectors and prompts."""
    root = tmp_path_factory.mktemp("audit")
    network = tiny_network("llama", **SIZE)
    network.save_pretrained(root / "base")
    with torch.no_grad():
        next(network.parameters()).add_(0.01)
    network.save_pretrained(root / "cousin")
    for name in ("base", "cousin"):
        tiny_tokenizer().save_pretrained(root / name)
        adapter(root / name, root / f"adapter-of-{name}")
    merged = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(root / "base"), root / "adapter-of-base"
    ).merge_and_unload()
    merged.save_pretrained(root / "merged")
    tiny_tokenizer().save_pretrained(root / "merged")
    shutil.copytree(root / "base", root / "plain")
    (root / "plain" / "chat_template.jinja").unlink()
    model = load(str(root / "base"), dtype="float32", cache=root / "cache" / "affekt")
    vectors = replace(held(model), provenance=Provenance(model.identity, {}, {}))
    save_vectors(vectors, root / "base.safetensors")
    lines = [json.dumps({"text": prompt.text, "group": prompt.group}) for prompt in PROMPTS]
    (root / "prompts.jsonl").write_text("\n".join(lines))
    return root


def adapter(base: Path, folder: Path) -> None:
    network = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.5)
    network.peft_config["default"].base_model_name_or_path = str(base)
    network.save_pretrained(folder)


def compared(folder: Path, monkeypatch: pytest.MonkeyPatch, *tuned: str) -> list[dict[str, Any]]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    names = [str(folder / name) for name in tuned]
    run(
        compare,
        folder / "base",
        *names,
        *("--vectors", folder / "base.safetensors", "--prompts", folder / "prompts.jsonl"),
        *("--reply-tokens", 3, "--no-floor", "--dtype", "float32", "--json", folder / "out.jsonl"),
    )
    return [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]


def shift(record: dict[str, Any], view: str, name: str = "sad") -> float:
    [row] = [
        row for row in record["shifts"] if (row["view"], row["group"], row["name"]) == (view, "all", name)
    ]
    return float(row["shift"])


def test_an_adapter_its_merged_copy_and_fewer_bits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, merged, eight, four = compared(
        folder, monkeypatch, "adapter-of-base", "merged", "base@int8", "base@int4"
    )
    for view in ("plain end", "chat end"):
        assert abs(shift(own, view)) > 1e-3
        assert shift(own, view) == pytest.approx(shift(merged, view), abs=1e-3)

    def size(record: dict[str, Any]) -> float:
        return max(record["size_by_layer"][record["views"].index("chat end")])

    assert 0 < size(eight) < size(four)
    assert {token["name"] for token in own["tokens"]} and all(token["token"] for token in own["tokens"])


def test_a_base_without_a_template_is_asked_in_plain_text(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [one] = compared(folder, monkeypatch, "plain")
    assert one["views"] == ["plain end", "reply"] and "Human/Assistant form only" in one["notes"][0]
    # The two are asked in batches of other company, which rounds otherwise.
    assert shift(one, "plain end") == pytest.approx(0, abs=1e-5)


def test_an_adapter_for_another_base(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"adapter-of-cousin is an adapter for another base.*cousin, not on"):
        compared(folder, monkeypatch, "adapter-of-cousin")


def test_every_model_is_found_before_one_is_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affekt.cli.auditing.open_model", None)
    with pytest.raises(ModelError, match=r"no such file or folder: .*adapter-of-nobody"):
        compared(folder, monkeypatch, "merged", "adapter-of-nobody")
    with pytest.raises(ModelError, match=r"unknown variant 'int5' of .*base; did you mean 'int8'"):
        compared(folder, monkeypatch, "base@int5")
