"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from affekt.errors import BiasError, PromptError

__all__ = ["Biases", "Dtype", "ModelName", "Vectors", "bias_of", "chat_of"]

ModelName = Annotated[
    str,
    typer.Argument(help="A short name (see `affekt models`), a Hugging Face id, a folder or a GGUF file."),
]
Vectors = Annotated[
    Path | None, typer.Option("--vectors", help="Vectors file; by default the one kept for the model.")
]
Dtype = Annotated[str, typer.Option(help="bfloat16, float32, or auto for what suits the machine.")]
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


def chat_of(prompt: str, system: str | None) -> list[dict[str, str]]:
    """A chat of what a user says, after a system message if there is one; PromptError for an empty prompt."""
    if not prompt.strip():
        raise PromptError("the prompt is empty; give at least one word")
    turns = [{"role": "system", "content": system}] if system else []
    return [*turns, {"role": "user", "content": prompt}]
