"""Tiny random models of every family Affekt promises, and a tiny tokenizer; nothing is downloaded.

`tiny("qwen2")` is a float32 `Model` of 3 or 4 blocks and width 32. Weights are large enough that the most
likely token is not near a tie, so greedy replies do not depend on rounding.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from affekt.models.layers import find
from affekt.models.model import Identity, Model

__all__ = ["FAMILIES", "HYBRIDS", "TEMPLATE", "tiny", "tiny_network", "tiny_tokenizer"]

BOS, EOS, PAD, START, END = "<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"

TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""A ChatML-like template which, as many do, carries the BOS itself and strips the contents."""

LINES = (
    "The river was calm in the morning and she felt at ease, so she wrote a letter to her brother.",
    "He was angry and afraid: nobody had told him that the train would not come before the night.",
    "They were proud of their garden. What shall we do now? I do not know, said the old man, and smiled.",
)

SIZES: dict[str, Any] = dict(
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=2048,
)

GATES: dict[str, Any] = dict(
    linear_num_value_heads=4, linear_num_key_heads=2, linear_key_head_dim=8, linear_value_head_dim=8
)

EXPERTS: dict[str, Any] = dict(
    num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32
)

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": SIZES | dict(tie_word_embeddings=True),
    "mistral": SIZES | dict(sliding_window=256),
    "qwen2": SIZES,
    "qwen3": SIZES,
    "gemma2": SIZES | dict(sliding_window=256, query_pre_attn_scalar=8),
    "gemma3_text": SIZES | dict(sliding_window=256, query_pre_attn_scalar=8),
    "phi3": SIZES,
    "gpt2": dict(n_embd=32, n_layer=3, n_head=4, n_positions=2048),
    "gpt_neox": SIZES,
    "olmo2": SIZES,
    "falcon": dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=4, max_position_embeddings=2048),
    "qwen2_moe": SIZES | EXPERTS,
    "mixtral": SIZES | dict(num_local_experts=4, num_experts_per_tok=2),
    "qwen3_next": SIZES | EXPERTS | GATES,
    "lfm2": SIZES | dict(full_attn_idxs=[1, 3], block_auto_adjust_ff_dim=False),
}

FAMILIES: tuple[str, ...] = tuple(CONFIGS)
"""Every family that `tiny` can make, by transformers' `model_type`."""

HYBRIDS: tuple[str, ...] = ("qwen3_next", "lfm2")
"""Families whose blocks are not all attention blocks."""


@cache
def _trained() -> str:
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=[PAD, BOS, EOS, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A",
                pair=f"{BOS} $A {BOS} $B",
                special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
            ),
        ]
    )
    return tokenizer.to_str()


def tiny_tokenizer(template: str | None = TEMPLATE) -> PreTrainedTokenizerBase:
    """A byte-level BPE of at most 384 tokens which adds BOS; any text survives encoding and decoding.

    Args:
        template: the chat template, or None for a base model without one.
    """
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_trained()),
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[EOS, START, END],
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def tiny_network(family: str, seed: int = 0, **config: Any) -> PreTrainedModel:
    """A random float32 network of a family, in eval mode; `config` overrides its configuration."""
    tokenizer = tiny_tokenizer()
    ids = dict(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    settings = AutoConfig.for_model(family, **(CONFIGS[family] | dict(vocab_size=384) | ids | config))
    torch.manual_seed(seed)
    network = AutoModelForCausalLM.from_config(settings, dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(seed)
    embeddings = {id(network.get_input_embeddings().weight), id(network.get_output_embeddings().weight)}
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.dim() >= 2 and "conv" not in name:
                scale = 0.6 if id(weight) in embeddings else weight.shape[-1] ** -0.5
                weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
    return network


def tiny(family: str = "llama", seed: int = 0, template: str | None = TEMPLATE, **config: Any) -> Model:
    """A tiny random `Model` of a family, not self-checked.

    Args:
        family: one of `FAMILIES`.
        seed: of the weights; two seeds give two models that differ in every weight.
        template: the tokenizer's chat template, or None for a base model.
        config: settings that override the family's small configuration.
    """
    network = tiny_network(family, seed, **config)
    layers = find(network)
    identity = Identity(
        name=f"tiny-{family}",
        weights_sha256=f"{seed:064x}",
        dtype="float32",
        architecture=type(network).__name__,
        n_layers=len(layers),
        d_model=network.get_input_embeddings().embedding_dim,
    )
    return Model(identity, network, tiny_tokenizer(template), layers, context=2048)
