"""`affekt calibrate`: thresholds of monitors for a promised rate of false alarms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affekt.cli.monitors import calibration_file, monitor_of, of_policy, unique
from affekt.cli.options import Dtype, ModelName, Vectors
from affekt.cli.session import open_session
from affekt.cli.traffic import read_traffic, shipped_traffic
from affekt.progress import progress_bar

if TYPE_CHECKING:
    from affekt.guards import Calibration, Monitor

__all__ = ["calibrate"]


def calibrate(
    model: ModelName,
    monitor: Annotated[
        list[str] | None,
        typer.Option(
            "--monitor",
            "-m",
            metavar="WHAT[:below][@POSITION]",
            help="A concept, valence or arousal; at prompt_end, reply (each token), reply_mean or window:N. "
            "May be given several times.",
        ),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Calibrate what this policy (YAML) needs; by default the example's.")
    ] = None,
    rate: Annotated[
        list[float] | None,
        typer.Option(help="False alarms per reply, 0.01 unless a policy says; may be given several times."),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            help="Chance with which this calibration keeps each rate, such as 0.95; unless given, a rate is "
            "kept on the average over calibrations. Takes more dialogues: 299 for a rate of 0.01."
        ),
    ] = None,
    traffic: Annotated[
        Path | None,
        typer.Option(help='Dialogues, JSON Lines with "messages" or "text"; by default 240 neutral ones.'),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file; by default beside the model's vectors.")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest reply, as in use.")] = 128,
    temperature: Annotated[float, typer.Option(min=0.0, help="As in use; 0 is greedy.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.0, max=1.0, help="As in use.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the sampling.")] = 0,
    layer: Annotated[int | None, typer.Option(help="Layer to read; by default the vectors' own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Set thresholds for a rate of false alarms per reply, on the model's own replies to neutral dialogues.

    A stopped run goes on where it was.
    """
    from affekt.engines import Sampling
    from affekt.guards import calibrate as run

    monitors, rates, read = _wanted(monitor, policy, rate)
    dialogues = read_traffic(traffic) if traffic else shipped_traffic()
    sampling = Sampling(max_tokens, temperature, top_p, seed=seed)
    opened, held, engine = open_session(model, vectors, dtype)
    monitors = unique(monitors, held.names)
    dialogues.fit(opened)
    file = out or calibration_file(opened.identity.name, vectors)
    at = read if layer is None else layer
    parts = file.with_suffix(f".{dialogues.key(monitors, sampling, at)}.parts")
    with progress_bar("in all") as progress:
        made = run(engine, monitors, rates, dialogues.sources, sampling, at, progress, parts, confidence)
    made.save(file)
    parts.unlink(missing_ok=True)
    if as_json:
        typer.echo(json.dumps({"file": str(file), "layer": made.layer, "thresholds": _rows(made)}, indent=1))
        return
    for row in _rows(made):
        typer.echo(_line(row))
    typer.echo(f"written to {file}")
    if policy is None and monitor is None:
        typer.echo(f'next: affekt guard try {model} --prompt "…"')


def _wanted(
    asked: list[str] | None, policy: Path | None, rate: list[float] | None
) -> tuple[list[Monitor], tuple[float, ...], int | None]:
    """The monitors, the rates, each once, and the layer that the policy reads."""
    from affekt.cli.guard import EXAMPLE
    from affekt.guards import Policy

    monitors = [monitor_of(each) for each in asked or ()]
    rates, layer = list(rate or ()), None
    if policy is not None or not asked:
        checked = Policy.load(policy or EXAMPLE)
        needed, its_rates = of_policy(checked)
        monitors, rates, layer = [*monitors, *needed], [*rates, *its_rates], checked.layer
    return monitors, tuple(dict.fromkeys(rates or [0.01])), layer


def _rows(made: Calibration) -> list[dict[str, Any]]:
    """What is promised, a row for each monitor and rate; the threshold is in z, as a policy states it."""
    from dataclasses import asdict

    return [
        {
            "monitor": each.monitor.name,
            **asdict(each.promise(rate)),
            "direction": each.monitor.direction,
            "threshold": made.threshold(each.monitor, rate),
        }
        for each in made.monitors
        for rate in each.rates
    ]


def _line(row: dict[str, Any]) -> str:
    side = "over" if row["direction"] == "above" else "under"
    if row["confidence"] is None:
        known = f", guaranteed {row['guaranteed']:.2%} on the average over calibrations (of this one: 95 % "
        known += f"interval {row['low']:.2%} to {row['high']:.2%})"
    else:
        known = (
            f" with {100 * row['confidence']:.4g}% confidence (of this one: under {row['high']:.2%} with it)"
        )
    return (
        f"{row['monitor']}: alarm {side} z {row['threshold']:.2f}; at most {row['rate']:.2%} false alarms "
        f"per reply{known}, n = {row['n']} dialogues, {row['replies']} replies"
    )
