"""`affekt guard`: try a policy on a prompt, check one, print the example."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affekt.cli.monitors import calibration_file
from affekt.cli.options import Biases, Dtype, ModelName, Vectors, bias_of, chat_of
from affekt.cli.session import open_session

if TYPE_CHECKING:
    from affekt.engines import Reply
    from affekt.guards import Guarded, Policy
    from affekt.guards.recording import ReadingEngine

__all__ = ["EXAMPLE", "guard", "guarded"]

EXAMPLE = Path(__file__).with_name("policy.yaml")
"""The policy that comes with Affekt."""

guard = typer.Typer(help="Try, check or begin a guard policy.", no_args_is_help=True)

PolicyFile = Annotated[Path, typer.Option("--policy", help="The policy (YAML); by default the example.")]


def guarded(engine: ReadingEngine, policy: Policy, calibration: Path | None, vectors: Path | None) -> Guarded:
    """An engine under a policy, with the calibration that is named, or the policy's own, or the model's."""
    from affekt.guards import guard as put

    needs = any(rule.rate is not None for rule in policy.monitors)
    if calibration is None and policy.calibration is None and needs:
        kept = calibration_file(engine.model.identity.name, vectors)
        calibration = kept if kept.is_file() else None
    return put(engine, policy, calibration=calibration)


@guard.command("try")
def try_(
    model: ModelName,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What the user says.")],
    policy: PolicyFile = EXAMPLE,
    system: Annotated[str | None, typer.Option(help="A system message.")] = None,
    bias: Biases = None,
    calibration: Annotated[
        Path | None, typer.Option(help="For rules with a rate; by default the policy's, or the model's.")
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="0 is greedy.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Seed of the sampling.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, the text and the events.")] = False,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Reply to a prompt under a policy, and say what tripped and what followed."""
    from affekt.engines import Sampling, Token
    from affekt.guards import Policy

    asked, turns = bias_of(bias), chat_of(prompt, system)
    checked = Policy.load(policy)
    _, _, engine = open_session(model, vectors, dtype)
    sampling = Sampling(max_tokens, temperature, seed=seed)
    for piece in guarded(engine, checked, calibration, vectors).stream(turns, sampling, asked or None):
        if not isinstance(piece, Token):
            _report(piece, as_json)
        elif not as_json:
            typer.echo(piece.text, nl=False)


@guard.command()
def check(
    policy: Annotated[Path, typer.Argument(help="The policy (YAML).")],
    vectors: Annotated[
        Path | None, typer.Option(help="Check its concepts against these vectors as well.")
    ] = None,
) -> None:
    """Check a policy without a model: what is wrong, and in which line."""
    from affekt.guards import Policy

    names = None
    if vectors is not None:
        from affekt.vectors import load_vectors

        names = load_vectors(vectors).names
    checked = Policy.load(policy, names)
    for rule in checked.monitors:
        limit = f"z {rule.threshold:g}" if rule.rate is None else f"calibrated to {rule.rate:.2%}"
        typer.echo(f"{rule.name} ({limit})")
    typer.echo(f"{policy}: {len(checked.monitors)} rules, nothing wrong")


@guard.command()
def example() -> None:
    """Print the example policy, to begin one's own: affekt guard example > policy.yaml."""
    typer.echo(EXAMPLE.read_text(encoding="utf-8"), nl=False)


def _report(reply: Reply, as_json: bool) -> None:
    if as_json:
        fields = {name: getattr(reply, name) for name in ("text", "finish_reason", "flagged", "replaced")}
        events = [event.to_dict() for event in reply.events]
        typer.echo(json.dumps({**fields, "events": events}, ensure_ascii=False, indent=1))
        return
    typer.echo()
    if reply.replaced:
        typer.echo(f"--- replaced by:\n{reply.text}")
    marked = ", flagged" if reply.flagged else ""
    typer.secho(f"--- {len(reply.tokens)} tokens, {reply.finish_reason}{marked}", dim=True)
    for event in reply.events:
        typer.echo(str(event))
    if not reply.events:
        typer.echo("nothing tripped")
