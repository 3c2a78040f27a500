"""Calibrating monitors on the model's own replies, and looking later whether the promises hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from affekt.concepts.shipped import neutral
from affekt.concepts.source import Source
from affekt.engines.engine import Sampling
from affekt.errors import CalibrationError, VectorsError
from affekt.guards.calibration import Calibrated, Calibration, vectors_hash
from affekt.guards.conformal import demand
from affekt.guards.drift import Drift
from affekt.guards.monitor import Monitor
from affekt.guards.recording import ReadingEngine, record, traffic_hash
from affekt.progress import Progress

__all__ = ["calibrate", "check_drift"]


def calibrate(
    engine: ReadingEngine,
    monitors: Sequence[Monitor],
    rates: float | Sequence[float],
    traffic: Sequence[Source] | None = None,
    sampling: Sampling | None = None,
    layer: int | None = None,
    progress: Progress | None = None,
    resume: str | Path | None = None,
    confidence: float | None = None,
) -> Calibration:
    """Calibrates monitors on the model's own replies to neutral dialogues.

    Args:
        engine: with the vectors that will be used.
        monitors: their thresholds do not matter.
        rates: false alarms per reply to be promised.
        traffic: dialogues; the shipped neutral ones unless given.
        sampling: as the guarded replies will be decoded; greedily unless given.
        layer: layer to read; the vectors' own unless given.
        progress: called after each reply.
        resume: file for the scores so far.
        confidence: such as 0.95: the true rate of each threshold of this calibration is then at most the one
            asked for with that chance; unless given, on the average over calibrations. For m thresholds
            jointly ask for 1 - 0.05 / m.

    Raises:
        CalibrationError: too few dialogues for a rate and a confidence, said before anything is run; or as
            for `record`.
        VectorsError: the engine has no vectors.
    """
    wanted = (rates,) if isinstance(rates, float) else tuple(rates)
    dialogues: Sequence[Source] = neutral() if traffic is None else traffic
    for rate in wanted:
        demand(len(dialogues), rate, confidence)
    vectors = engine.vectors
    if vectors is None:
        raise VectorsError("calibrating needs concept vectors; open the engine with vectors")
    read = vectors.read_layer if layer is None else layer
    sampling = sampling or Sampling()
    scores = record(engine, monitors, dialogues, sampling, read, progress, resume)
    calibrated = [
        Calibrated(replace(m, threshold=None), scores[m.name], wanted, confidence) for m in monitors
    ]
    for each in calibrated:
        for rate in wanted:
            each.promise(rate)
    return Calibration(
        model=engine.model.identity,
        vectors=vectors_hash(vectors, read),
        layer=read,
        traffic=traffic_hash(dialogues),
        sampling=sampling,
        monitors=tuple(calibrated),
    )


def check_drift(
    engine: ReadingEngine,
    calibration: Calibration,
    traffic: Sequence[Source],
    progress: Progress | None = None,
    resume: str | Path | None = None,
) -> list[Drift]:
    """Whether a calibration's promises still hold for the model's replies to later dialogues.

    Args:
        engine: of the calibration's model and vectors.
        calibration: its monitors and rates are checked.
        traffic: later dialogues, or texts.
        progress: called after each reply.
        resume: file for the scores so far.

    Returns:
        One for each monitor and rate that the calibration was made for.

    Raises:
        CalibrationError: another model, other vectors, or the dialogues of the calibration itself.
        VectorsError: the engine has no vectors.
    """
    if engine.vectors is None:
        raise VectorsError("reading needs concept vectors; open the engine with vectors")
    calibration.require(engine.model.identity, engine.vectors, calibration.layer)
    if traffic_hash(traffic) == calibration.traffic:
        raise CalibrationError("these are the dialogues of the calibration itself; give later ones")
    monitors = [each.monitor for each in calibration.monitors]
    later = record(engine, monitors, traffic, calibration.sampling, calibration.layer, progress, resume)
    return [
        Drift.of(each.monitor.name, each.promise(rate), each.scores, later[each.monitor.name])
        for each in calibration.monitors
        for rate in each.rates
    ]
