"""How a GGUF says that its tokenizer cuts a text before merging bytes.

transformers gives some byte-level tokenizers GPT-2's rule whatever the file says, which cuts numbers wrongly.
"""

from __future__ import annotations

from tokenizers import Regex, pre_tokenizers
from transformers import PreTrainedTokenizerBase

__all__ = ["as_in_gguf"]

DIGIT_BY_DIGIT = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell"})
"""GPT-2's rule after every digit was set apart."""

LLAMA_3 = frozenset({"llama-bpe", "llama3", "llama-v3"})
"""Digits in threes, contractions in any case, line ends apart."""

LLAMA_3_RULE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def as_in_gguf(tokenizer: PreTrainedTokenizerBase, rule: str | None) -> None:
    """Gives the tokenizer the rule named in `tokenizer.ggml.pre`; unknown names change nothing."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return
    if rule in DIGIT_BY_DIGIT:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    elif rule in LLAMA_3:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(LLAMA_3_RULE), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
