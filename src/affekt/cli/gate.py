"""`affekt gate`: fail a build when a tuned model's baseline moved where it must not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from affekt.cli.auditing import Against, Controls, Fresh, Prompts, Replies, Views, audit, line
from affekt.cli.options import Dtype, Vectors

__all__ = ["FAILED", "gate"]

FAILED = 20
"""The exit code of a gate that is shut; lower ones say that it could not be tried."""


def gate(
    base: Annotated[str, typer.Argument(help="The model before: a short name, hub id, folder or GGUF file.")],
    tuned: Annotated[str, typer.Argument(help="The checkpoint: a model, or the folder of a PEFT adapter.")],
    policy: Annotated[
        Path | None, typer.Option(help="Rules in YAML; by default fear, desperation and anger stay down.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write a summary for a pull request.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML.")] = None,
    json: Annotated[Path | None, typer.Option(help="Also write the verdict as JSON.")] = None,
    track: Annotated[
        Path | None,
        typer.Option(
            help="A history of checkpoints, JSON Lines: the verdict is added to it, and the lines over "
            "training are drawn beside it, as .html."
        ),
    ] = None,
    step: Annotated[
        float | None, typer.Option(help="Where in training the checkpoint stands; by default the next place.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="With --track: where the lines are drawn instead.")
    ] = None,
    vectors: Vectors = None,
    prompts: Prompts = None,
    control: Controls = None,
    against: Against = None,
    view: Views = None,
    reply_tokens: Replies = 32,
    fresh: Fresh = False,
    dtype: Dtype = "auto",
) -> None:
    """Hold a checkpoint against rules in noise floors: exit code 0 passes (warnings too), 20 fails.

    Any other exit code means that the gate could not be tried, and says why.
    """
    from json import dumps

    from affekt.atomic import write_text
    from affekt.audit.gate import DEFAULT, GatePolicy, judge
    from affekt.audit.history import agree, read_history, record, same_line
    from affekt.audit.junit import junit as as_junit
    from affekt.audit.lines import lines
    from affekt.audit.markdown import MARKS
    from affekt.audit.markdown import line as told
    from affekt.audit.markdown import markdown as as_markdown
    from affekt.audit.wording import opponent
    from affekt.errors import PolicyError

    rules = DEFAULT if policy is None else GatePolicy.load(policy)
    if chart is not None and track is None:
        raise PolicyError("--chart draws a history; name its file with --track")
    drawn = chart or (track.with_suffix(".html") if track is not None else None)
    if track is not None and drawn == track:
        raise PolicyError(f"--track {track} keeps lines of JSON and would be drawn over; name it .jsonl")
    if against and rules.against not in (None, against):
        raise PolicyError(f"the policy says against: {rules.against}, the command --against {against}")
    held = against or rules.against or "base"
    measured = None
    if track is not None:
        before = read_history(track)
        agree(before, held)
        measured = line(base, vectors=vectors, prompts=prompts, reply_tokens=reply_tokens, dtype=dtype)
        same_line(before, measured)
    [comparison] = audit(
        base,
        [tuned],
        vectors=vectors,
        prompts=prompts,
        controls=control or [],
        against=held,
        views=view or [],
        reply_tokens=reply_tokens,
        floor=True,
        directions=False,
        fresh=fresh,
        dtype=dtype,
        policy=rules,
    )
    verdict = judge(rules, comparison)
    for finding in verdict.findings:
        typer.echo(f"{MARKS[finding.verdict]}  {finding.rule.title}\n        {told(finding.worst)}")
    typer.echo(f"{MARKS[verdict.word]}  {tuned} against {opponent(comparison)}")
    if markdown is not None:
        write_text(markdown, as_markdown(verdict))
    if junit is not None:
        write_text(junit, as_junit(verdict))
    if json is not None:
        write_text(json, dumps(verdict.to_dict(), allow_nan=False, indent=2) + "\n")
    if track is not None:
        assert drawn is not None and measured is not None
        whole = record(track, verdict, step, measured)
        write_text(drawn, lines(whole))
        typer.echo(f"history: {len(whole)} checkpoints, {drawn}")
    if verdict.word == "fail":
        raise typer.Exit(FAILED)
