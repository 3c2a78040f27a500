"""Linear maps with weights and inputs of 8 bits, as compressed-tensors writes them: steered and read so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affekt.engines import Request, Sampling, TransformersEngine
from affekt.models import load
from affekt.models.variant import rounded
from tests.engines.small import PROMPTS, vectors_for
from tests.vllm.opened import SHARE, needs_vllm, replies_of, saved

pytestmark = needs_vllm

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
EIGHT: dict[str, Any] = {"num_bits": 8, "type": "int", "symmetric": True}
SCHEME = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {**EIGHT, "strategy": "channel", "dynamic": False},
            "input_activations": {**EIGHT, "strategy": "token", "dynamic": True},
        }
    },
}


def in_eight_bits(plain: Path, folder: Path) -> Path:
    """A model's files with the weights of its linear maps as whole numbers and a scale a row."""
    folder.mkdir()
    for file in plain.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((plain / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": SCHEME}))
    tensors = load_file(plain / "model.safetensors")
    for name in list(tensors):
        if name.rpartition(".weight")[0].endswith(LINEAR):
            scale = tensors[name].abs().amax(1, keepdim=True) / 127
            tensors[f"{name}_scale"] = scale
            tensors[name] = (tensors[name] / scale).round().to(torch.int8)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def round_inputs(_module: nn.Module, args: tuple[Float[Tensor, "..."], ...]) -> tuple[Tensor, ...]:
    """Each token's input in 8 bits, with a scale of its own."""
    [values] = args
    scale = values.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
    return ((values / scale).round() * scale,)


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from affekt.engines.vllm import VLLMEngine

    root = tmp_path_factory.mktemp("models")
    plain = saved(root / "plain")
    model = load(str(plain), dtype="float32")
    for name, module in model.network.named_modules():
        if name.endswith(LINEAR):
            with torch.no_grad():
                module.weight.copy_(rounded(module.weight, 8))
            module.register_forward_pre_hook(round_inputs)
    vectors = vectors_for(model)
    folder = in_eight_bits(plain, root / "eight")
    one = VLLMEngine(str(folder), vectors, sibling=True, dtype="float32", context=512, **SHARE)
    yield one, TransformersEngine(model, vectors)
    one.close()


def test_a_model_in_eight_bits_is_steered_and_read_as_its_rounded_weights_are(engines: Any) -> None:
    requests = [
        Request(source, Sampling(max_tokens=6), bias={"calm": {"dose": 0.3 * k}}, read="all")
        for k, source in enumerate(PROMPTS)
    ]
    (mine, _), (theirs, _) = (replies_of(one, requests) for one in engines)
    assert [reply.tokens for reply in mine] == [reply.tokens for reply in theirs]
    pairs = [(one.reading, other.reading) for one, other in zip(mine, theirs, strict=True)]
    z = np.concatenate([np.stack([one.z.ravel(), other.z.ravel()]) for one, other in pairs], axis=1)
    # Products of 8 bits saturate on processors that have no instruction for them, so it is not to rounding.
    assert np.corrcoef(z)[0, 1] > 0.97


def test_a_bias_moves_the_readings_of_a_model_in_eight_bits_as_far(engines: Any) -> None:
    moved = []
    for one in engines:
        steered, plain = (
            one.read(PROMPTS, ["calm"], bias={"calm": {"dose": 0.6}}),
            one.read(PROMPTS, ["calm"]),
        )
        moved.append(np.concatenate([a.z - b.z for a, b in zip(steered, plain, strict=True)]).mean())
    assert moved[0] == pytest.approx(moved[1], rel=0.1) and moved[0] > 1.0
