"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from affekt.errors import BiasError, ModelError, PromptError

__all__ = ["Biases", "Dtype", "EngineOptions", "ModelName", "Vectors", "bias_of", "chat_of", "options_of"]

ModelName = Annotated[
    str,
    typer.Argument(help="A short name (see `affekt models`), a Hugging Face id, a folder or a GGUF file."),
]
Vectors = Annotated[
    Path | None, typer.Option("--vectors", help="Vectors file; by default the one kept for the model.")
]
Dtype = Annotated[str, typer.Option(help="bfloat16, float32, or auto for what suits the machine.")]
EngineOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-option",
        help="KEY=VALUE for vLLM, such as tensor_parallel_size=2, context=8192 or quantization=awq; may be "
        "given several times.",
    ),
]
Biases = Annotated[
    list[str] | None,
    typer.Option(
        "--bias", "-b", help="CONCEPT=DIAL from -1 to 1, such as calm=0.5; may be given several times."
    ),
]


def bias_of(pairs: Sequence[str] | None, raw: bool = False) -> dict[str, float | dict[str, float]]:
    """`["calm=0.5"]` as an `emotion_bias`; with `raw` the numbers are doses in mean residual norms.

    Raises:
        BiasError: a pair that is not CONCEPT=NUMBER, or a concept given twice.
    """
    bias: dict[str, float | dict[str, float]] = {}
    for pair in pairs or ():
        name, found, number = pair.rpartition("=")
        name = name.strip()
        try:
            value = float(number)
        except ValueError:
            found = ""
        if not found or not name:
            raise BiasError(f"--bias takes CONCEPT=NUMBER, such as calm=0.5; got {pair!r}")
        if name in bias:
            raise BiasError(f"--bias names {name!r} twice")
        bias[name] = {"dose": value} if raw else value
    return bias


def options_of(pairs: Sequence[str] | None) -> dict[str, Any]:
    """`["context=8192"]` as arguments of an engine; a value is JSON where it can be, else it is text.

    Raises:
        ModelError: a pair that is not KEY=VALUE, or a key given twice.
    """
    options: dict[str, Any] = {}
    for pair in pairs or ():
        name, found, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not found or not name.isidentifier() or not value.strip():
            raise ModelError(f"--engine-option takes KEY=VALUE, such as context=8192; got {pair!r}")
        if name in options:
            raise ModelError(f"--engine-option names {name!r} twice")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value.strip()
    return options


def chat_of(prompt: str, system: str | None) -> list[dict[str, str]]:
    """A chat of what a user says, after a system message if there is one; PromptError for an empty prompt."""
    if not prompt.strip():
        raise PromptError("the prompt is empty; give at least one word")
    turns = [{"role": "system", "content": system}] if system else []
    return [*turns, {"role": "user", "content": prompt}]
