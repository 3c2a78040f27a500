"""Converting GGUF files: faithful weights, tokenizer, template; damaged files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from affekt.errors import ModelError
from affekt.models.gguf import convert
from affekt.models.pretokenizing import as_in_gguf
from tests.models import TEMPLATE, tiny_tokenizer
from tests.models_room.tiny_gguf import write_gguf


def converted(tmp_path: Path, **options: object) -> tuple[Path, torch.nn.Module]:
    file, folder = tmp_path / "tiny.gguf", tmp_path / "out"
    network = write_gguf(file, **options)  # type: ignore[arg-type]
    folder.mkdir()
    convert(file, folder, "tiny")
    return folder, network


@pytest.mark.parametrize("tied", [True, False])
def test_the_weights_are_those_of_the_file_in_bfloat16(tmp_path: Path, tied: bool) -> None:
    folder, network = converted(tmp_path, tied=tied)
    saved = load_file(folder / "model.safetensors")
    written = network.state_dict()
    assert set(saved) == set(written) - ({"lm_head.weight"} if tied else set())
    for name, weight in saved.items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, written[name].bfloat16()), name
    opened = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    network.load_state_dict({name: weight.bfloat16() for name, weight in written.items()})
    ids = torch.tensor([[1, 40, 90, 200]])
    assert torch.allclose(opened(input_ids=ids).logits, network(input_ids=ids).logits, atol=1e-4)


def test_the_folder_keeps_nothing_of_the_gguf(tmp_path: Path) -> None:
    folder, _ = converted(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config and config["dtype"] == "bfloat16"
    assert config["tie_word_embeddings"] is True
    for file in folder.glob("*.json"):
        assert str(tmp_path) not in file.read_text() and "A tiny llama" not in file.read_text()


def test_the_tokenizer_and_its_template(tmp_path: Path) -> None:
    folder, _ = converted(tmp_path)
    ours, original = AutoTokenizer.from_pretrained(folder), tiny_tokenizer()
    assert ours.is_fast and ours.chat_template == TEMPLATE
    for text in ("He was angry & afraid: 12345 — naïve 🙂\n\n  now?", "<|im_start|>user\nhi<|im_end|>"):
        assert ours(text, add_special_tokens=False) == original(text, add_special_tokens=False)
    assert (ours.bos_token, ours.eos_token) == (original.bos_token, original.eos_token)


def test_numbers_are_cut_as_the_file_says() -> None:
    def pieces(rule: str | None) -> list[str]:
        tokenizer = tiny_tokenizer()
        as_in_gguf(tokenizer, rule)
        return [
            piece for piece, _ in tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("took 12345 mg")
        ]

    assert pieces("smollm") == ["took", "Ġ", "1", "2", "3", "4", "5", "Ġmg"]
    assert pieces("llama-bpe") == ["took", "Ġ", "123", "45", "Ġmg"]
    assert pieces("unheard of") == pieces(None) == ["took", "Ġ12345", "Ġmg"]


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_file_cut_short(tmp_path: Path, kept: float) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ModelError, match=r"tiny\.gguf cannot be opened: it is damaged, cut short"):
        convert(file, tmp_path, "tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.gguf"]


def test_a_file_with_damaged_bytes(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(file)
    whole = bytearray(file.read_bytes())
    whole[8:24] = b"\xff" * 16
    file.write_bytes(whole)
    with pytest.raises(ModelError, match=r"tiny\.gguf cannot be opened"):
        convert(file, tmp_path, "tiny")


def test_an_architecture_that_nobody_knows(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(file, architecture="nonsense")
    with pytest.raises(ModelError, match=r"unknown architecture.*nonsense"):
        convert(file, tmp_path, "tiny")


def test_a_file_that_is_no_gguf(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(b"PK\x03\x04")
    with pytest.raises(ModelError, match="not a GGUF file"):
        convert(file, tmp_path, "tiny")


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    write_gguf(file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-64] + b"\xff" * 64)
    with pytest.raises(ModelError, match="not finite"):
        convert(file, tmp_path, "tiny")


def test_transformers_says_nothing_meanwhile(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    converted(tmp_path)
    assert capfd.readouterr() == ("", "")
