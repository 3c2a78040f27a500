"""Linear maps in 8 and in 4 bits, as compressed-tensors, GPTQ and AWQ write them: steered and read so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affekt.engines import Request, Sampling, TransformersEngine
from affekt.engines.vllm.kernels import OPERATION, four_bits
from affekt.errors import ModelError
from affekt.models import load
from tests.engines.small import PROMPTS, vectors_for
from tests.vllm.opened import SHARE, needs_vllm, replies_of, saved

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
EIGHT: dict[str, Any] = {"num_bits": 8, "type": "int", "symmetric": True}
GROUP = 32
SCHEMES: dict[str, dict[str, Any]] = {
    "w8a8": {
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
    },
    "gptq": {
        **{"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False, "sym": True},
        "lm_head": False,
    },
    "awq": {
        **{"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"},
        "modules_to_not_convert": ["lm_head"],
    },
}

Packed = tuple[dict[str, Tensor], Float[Tensor, "out in"]]
"""What is stored of a weight, by the end of its name, and the weight that it stands for."""


def eight(weight: Float[Tensor, "out in"]) -> Packed:
    """Whole numbers and a scale a row."""
    scale = weight.abs().amax(1, keepdim=True) / 127
    whole = (weight / scale).round()
    return {"weight": whole.to(torch.int8), "weight_scale": scale}, whole * scale


def gptq(weight: Float[Tensor, "out in"]) -> Packed:
    """Numbers around 8, eight inputs in a word; a scale for each group of inputs."""
    groups = weight.T.reshape(-1, GROUP, weight.shape[0])
    scale = (groups.abs().amax(1, keepdim=True) / 7).half().float()
    whole = (groups / scale).round().clamp(-8, 7)
    inputs = weight.shape[1]
    stored = {
        "qweight": words((whole + 8).reshape(inputs, -1).T.int()).T.contiguous(),
        # By custom the zero is stored less one.
        "qzeros": words(torch.full((len(groups), weight.shape[0]), 7, dtype=torch.int32)),
        "scales": scale[:, 0].half(),
        "g_idx": torch.arange(inputs, dtype=torch.int32) // GROUP,
    }
    return stored, (whole * scale).reshape(inputs, -1).T


def awq(weight: Float[Tensor, "out in"]) -> Packed:
    """Numbers from 0, eight outputs in a word in an order of its own; a scale and a zero for each group."""
    groups = weight.T.reshape(-1, GROUP, weight.shape[0])
    low, high = groups.amin(1, keepdim=True), groups.amax(1, keepdim=True)
    scale = ((high - low) / 15).half().float()
    zero = (-low / scale).round().clamp(0, 15)
    whole = (groups / scale + zero).round().clamp(0, 15)
    inputs = weight.shape[1]

    def interleaved(values: Tensor) -> Tensor:
        return words(values.int().reshape(len(values), -1, 8)[:, :, [0, 2, 4, 6, 1, 3, 5, 7]].flatten(1))

    stored = {
        "qweight": interleaved(whole.reshape(inputs, -1)),
        "qzeros": interleaved(zero[:, 0]),
        "scales": scale[:, 0].half(),
    }
    return stored, ((whole - zero) * scale).reshape(inputs, -1).T


def words(values: Int[Tensor, "rows numbers"]) -> Int[Tensor, "rows words"]:
    """Eight numbers of 4 bits a word, the first lowest."""
    parts = values.reshape(len(values), -1, 8).long() << torch.arange(0, 32, 4)
    whole = parts.sum(-1)
    return torch.where(whole >= 1 << 31, whole - (1 << 32), whole).to(torch.int32).contiguous()


PACKINGS: dict[str, Callable[[Tensor], Packed]] = {"w8a8": eight, "gptq": gptq, "awq": awq}


def packed(plain: Path, folder: Path, kind: str) -> tuple[Path, dict[str, Tensor]]:
    """A model's files with its linear maps packed, and the weights that they stand for."""
    folder.mkdir()
    for file in plain.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((plain / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": SCHEMES[kind]}))
    tensors, meant = load_file(plain / "model.safetensors"), {}
    for name in list(tensors):
        module = name.rpartition(".weight")[0]
        if module.endswith(LINEAR):
            stored, meant[module] = PACKINGS[kind](tensors.pop(name))
            tensors |= {f"{module}.{end}": part for end, part in stored.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder, meant


def round_inputs(_module: nn.Module, args: tuple[Float[Tensor, "..."], ...]) -> tuple[Tensor, ...]:
    """Each token's input in 8 bits, with a scale of its own."""
    [values] = args
    scale = values.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
    return ((values / scale).round() * scale,)


def can_run(folder: Path) -> bool:
    """Whether vLLM has a product for these weights on this machine."""
    import vllm._custom_ops  # noqa: F401
    from vllm.platforms import current_platform

    return not current_platform.is_cpu() or not four_bits(folder) or hasattr(torch.ops._C, OPERATION)


@pytest.fixture(scope="module", params=list(SCHEMES))
def engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from affekt.engines.vllm import VLLMEngine

    kind, root = request.param, tmp_path_factory.mktemp("models")
    plain = saved(root / "plain")
    folder, meant = packed(plain, root / kind, kind)
    model = load(str(plain), dtype="float32")
    for name, weight in meant.items():
        module = model.network.get_submodule(name)
        with torch.no_grad():
            module.weight.copy_(weight)
        if kind == "w8a8":
            module.register_forward_pre_hook(round_inputs)
    vectors = vectors_for(model)
    # vLLM's products of 4 bits are of halves.
    dtype = "float32" if kind == "w8a8" else "bfloat16"
    if not can_run(folder):
        with pytest.raises(ModelError, match=rf"weights of 4 bits \({kind}\).* AVX-512"):
            VLLMEngine(str(folder), vectors, sibling=True, dtype=dtype, context=512, **SHARE)
        pytest.skip("vLLM's build for this CPU multiplies no weights of 4 bits; that it is refused is tested")
    one = VLLMEngine(str(folder), vectors, sibling=True, dtype=dtype, context=512, **SHARE)
    yield one, TransformersEngine(model, vectors)
    one.close()


@needs_vllm
def test_a_quantised_model_is_steered_and_read_as_the_weights_that_it_stands_for(engines: Any) -> None:
    requests = [
        Request(source, Sampling(max_tokens=6), bias={"calm": {"dose": 0.3 * k}}, read="all")
        for k, source in enumerate(PROMPTS)
    ]
    (mine, _), (theirs, _) = (replies_of(one, requests) for one in engines)
    if engines[0].identity.dtype == "float32":
        assert [reply.tokens for reply in mine] == [reply.tokens for reply in theirs]
    read = [one.read([reply.whole for reply in theirs], bias={"calm": {"dose": 0.3}}) for one in engines]
    z = np.stack([np.concatenate([reading.z.ravel() for reading in own]) for own in read])
    # Products of 8 bits saturate on processors that have no instruction for them, so it is not to rounding.
    assert np.corrcoef(z)[0, 1] > 0.97


@needs_vllm
def test_a_bias_moves_the_readings_of_a_quantised_model_as_far(engines: Any) -> None:
    moved = []
    for one in engines:
        steered, plain = (
            one.read(PROMPTS, ["calm"], bias={"calm": {"dose": 0.6}}),
            one.read(PROMPTS, ["calm"]),
        )
        moved.append(np.concatenate([a.z - b.z for a, b in zip(steered, plain, strict=True)]).mean())
    assert moved[0] == pytest.approx(moved[1], rel=0.1) and moved[0] > 1.0


@pytest.mark.parametrize("kind", ["gptq", "awq"])
def test_numbers_are_packed_as_their_readers_unpack_them(kind: str) -> None:
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(1))
    stored, meant = PACKINGS[kind](weight)
    assert (weight - meant).abs().max() < weight.abs().max() / 7
    shifts = torch.arange(0, 32, 4)
    scales = stored["scales"].float().repeat_interleave(GROUP, 0)

    def unpacked(words_: Tensor) -> Tensor:
        numbers = (words_[..., None] >> shifts) & 15
        order = [0, 4, 1, 5, 2, 6, 3, 7] if kind == "awq" else list(range(8))
        return numbers[..., order].flatten(-2)

    zeros = unpacked(stored["qzeros"]).repeat_interleave(GROUP, 0) + (kind == "gptq")
    whole = unpacked(stored["qweight"]) if kind == "awq" else unpacked(stored["qweight"].T.contiguous()).T
    torch.testing.assert_close(((whole - zeros) * scales).T, meant, atol=1e-5, rtol=1e-4)


def test_four_bits_are_told_from_eight(tmp_path: Path) -> None:
    for kind, expected in (("w8a8", ""), ("gptq", "gptq"), ("awq", "awq"), (None, "")):
        told = {} if kind is None else {"quantization_config": SCHEMES[kind]}
        (tmp_path / "config.json").write_text(json.dumps(told))
        assert four_bits(tmp_path) == expected
