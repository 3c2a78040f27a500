"""`affekt steer`: a reply with its residual stream changed, beside the reply without."""

from __future__ import annotations

from typing import Annotated

import typer

from affekt.cli.options import Biases, Dtype, ModelName, Vectors, bias_of, chat_of
from affekt.cli.session import open_session

__all__ = ["steer"]


def steer(
    model: ModelName,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What the user says.")],
    bias: Biases = None,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    raw: Annotated[
        bool, typer.Option(help="Take the numbers as doses in mean residual norms, not as dials.")
    ] = False,
    compare: Annotated[bool, typer.Option(help="Show the reply without the bias as well.")] = True,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 120,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0)] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampling.")] = None,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Steer a reply: --bias calm=0.5 -b desperate=-0.5. Dial 1 is the largest dose that stays coherent."""
    from affekt.engines import Request, Sampling, Token
    from affekt.steering import parse

    asked, turns = bias_of(bias, raw), chat_of(prompt, system)
    _, held, engine = open_session(model, vectors, dtype)
    parse(asked, held)
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=top_p, seed=seed)
    runs = [("without bias", {}), (", ".join(bias or ()), asked)] if compare and asked else [("", asked)]
    for title, one in runs:
        if title:
            typer.secho(f"--- {title}", bold=True)
        for event in engine.generate([Request(turns, sampling, bias=one)]):
            if isinstance(event, Token):
                typer.echo(event.text, nl=False)
        typer.echo()
