"""`affekt drift`: whether later traffic still keeps the promise of a calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from affekt.cli.monitors import calibration_file
from affekt.cli.options import Dtype, ModelName, Vectors
from affekt.cli.session import open_session
from affekt.cli.traffic import read_traffic
from affekt.errors import CalibrationError
from affekt.progress import progress_bar

__all__ = ["drift"]


def drift(
    model: ModelName,
    traffic: Annotated[
        Path, typer.Option(help='Later dialogues, JSON Lines with "messages" or "text" on each line.')
    ],
    calibration: Annotated[
        Path | None, typer.Option(help="The calibration; by default the one kept for the model.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    vectors: Vectors = None,
    dtype: Dtype = "auto",
) -> None:
    """Compare later traffic with a calibration: does the promised rate of false alarms still hold?

    The model replies to the later dialogues as it did in the calibration. Exits with 1 if a promise is
    broken.
    """
    from dataclasses import asdict

    from affekt.guards import Calibration, Drift, record
    from affekt.guards.recording import traffic_hash

    later = read_traffic(traffic)
    named = Calibration.load(calibration) if calibration else None
    opened, held, engine = open_session(model, vectors, dtype)
    file = calibration or calibration_file(opened.identity.name, vectors)
    before = named or Calibration.load(file)
    before.require(opened.identity, held, before.layer)
    if traffic_hash(later.sources) == before.traffic:
        raise CalibrationError(f"{traffic} is what {file} was made from; give traffic that came later")
    later.fit(opened)
    monitors = [each.monitor for each in before.monitors]
    parts = file.with_suffix(f".{later.key(monitors, before.sampling, before.layer)}.parts")
    with progress_bar("in all") as progress:
        scores = record(engine, monitors, later.sources, before.sampling, before.layer, progress, parts)
    found = [
        Drift.of(each.monitor.name, each.promise(rate), each.scores, scores[each.monitor.name])
        for each in before.monitors
        for rate in each.rates
    ]
    parts.unlink(missing_ok=True)
    if as_json:
        typer.echo(json.dumps([{**asdict(one), "moved": bool(one.moved)} for one in found], indent=1))
    else:
        for one in found:
            typer.echo(str(one))
    if any(one.verdict == "broken" for one in found):
        raise typer.Exit(1)
