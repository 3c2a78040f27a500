"""Opening models from disk, and the real default model."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from affekt.errors import ModelError, SelfCheckError
from affekt.models import opening
from affekt.models.model import Model
from affekt.models.opening import load
from affekt.models.prompt import encode
from affekt.models.registry import Entry
from affekt.models.selfcheck import self_check
from tests.models_room.tiny_gguf import write_gguf


def test_a_folder_opens(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = load(str(folder), dtype="float32", cache=tmp_path / "cache")
    identity = model.identity
    assert (identity.name, identity.dtype, identity.architecture) == (
        "my-llama",
        "float32",
        "LlamaForCausalLM",
    )
    assert (identity.n_layers, identity.d_model, len(model.layers), model.context) == (4, 32, 4, 2048)
    assert len(identity.weights_sha256) == 64
    assert not model.network.training and model.device == torch.device("cpu")
    assert str(tmp_path) not in str(identity)
    assert capfd.readouterr() == ("", "")


def test_identity_tells_weights_and_dtype_apart(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    one = load(str(folder), dtype="float32", cache=cache).identity
    half = load(str(folder), dtype="bfloat16", cache=cache).identity
    assert half.weights_sha256 == one.weights_sha256 and half != one
    network = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        network.model.norm.weight[0] += 1
    network.save_pretrained(folder)
    assert load(str(folder), dtype="float32", cache=cache).identity.weights_sha256 != one.weights_sha256


def test_a_gguf_and_a_short_name_open(registered: Entry, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    write_gguf(file)
    cache = tmp_path / "cache"
    by_file, by_name = load(str(file), cache=cache), load("tiny-135m", cache=cache)
    assert (by_file.identity.name, by_name.identity.name) == ("mine", "tiny-135m")
    assert by_file.identity.weights_sha256 == by_name.identity.weights_sha256
    assert encode(by_name.tokenizer, [{"role": "user", "content": "Hi"}]).roles.count("user") == 2


def test_a_model_that_fails_the_self_check_is_not_opened(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: Model) -> None:
        raise SelfCheckError(f"{model.identity.name} fails")

    monkeypatch.setattr(opening, "self_check", fail)
    with pytest.raises(SelfCheckError, match="my-llama fails"):
        load(str(folder), cache=tmp_path / "cache")
    assert load(str(folder), cache=tmp_path / "cache", check=False).identity.n_layers == 4


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", "{}", "my-llama cannot be opened"),
        ("config.json", '{"model_type": "llamo"}', "my-llama cannot be opened.*llamo"),
        ("model.safetensors", "cut", "my-llama cannot be opened"),
        ("tokenizer.json", "{}", "the tokenizer of my-llama cannot be opened"),
    ],
)
def test_damaged_files_are_one_line(
    folder: Path, tmp_path: Path, file: str, content: str, message: str
) -> None:
    (folder / file).write_text(content)
    with pytest.raises(ModelError, match=message) as caught:
        load(str(folder), cache=tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_padding_gets_some(folder: Path, tmp_path: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert load(str(folder), cache=tmp_path / "cache").tokenizer.pad_token == "<|im_end|>"


def test_transformers_logs_again_afterwards(folder: Path, tmp_path: Path) -> None:
    transformers_logging.set_verbosity(logging.INFO)
    try:
        load(str(folder), cache=tmp_path / "cache")
        assert transformers_logging.get_verbosity() == logging.INFO
    finally:
        transformers_logging.set_verbosity(logging.WARNING)


@pytest.mark.slow
def test_the_default_model(default_model: Model) -> None:
    identity = default_model.identity
    assert (identity.name, identity.n_layers, identity.d_model) == ("smollm2-135m-instruct", 30, 576)
    report = self_check(default_model)
    assert report.holds and report.seconds < 30
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    encoded = encode(default_model.tokenizer, chat, generation_prompt=True)
    reply = default_model.network.generate(torch.tensor([encoded.ids]), max_new_tokens=12, do_sample=False)
    assert "Paris" in default_model.tokenizer.decode(reply[0, len(encoded) :])


@pytest.mark.slow
def test_the_default_tokenizer_sets_digits_apart(default_model: Model) -> None:
    tokens = default_model.tokenizer.tokenize("of 12000  mg")
    assert tokens == ["of", "Ġ", "1", "2", "0", "0", "0", "Ġ", "Ġmg"]
