"""A calibration: the scores of a model's own replies to neutral traffic, and what thresholds they promise."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from affekt.atomic import write_text
from affekt.engines.engine import Sampling
from affekt.errors import CalibrationError
from affekt.guards.conformal import Groups, Promise, conformal
from affekt.guards.monitor import Monitor
from affekt.models.model import Identity
from affekt.steering.bias import AffektWarning
from affekt.vectors.conceptvectors import ConceptVectors

__all__ = ["Calibrated", "Calibration", "vectors_hash"]

FORMAT = "affekt.calibration/1"


@dataclass(frozen=True)
class Calibrated:
    """A monitor and its scores."""

    monitor: Monitor
    """Without a threshold."""
    scores: Groups
    """For each dialogue, its replies' highest values (for `below`: minus the lowest)."""
    rates: tuple[float, ...]
    """False-alarm rates asked for when it was made; any other may be asked for later."""
    confidence: float | None = None
    """With which each of its thresholds keeps its rate; without, it does on the average over calibrations."""

    def promise(self, rate: float) -> Promise:
        """The score's threshold for a rate; raises CalibrationError for too few dialogues."""
        try:
            return conformal(self.scores, rate, self.confidence)
        except CalibrationError as error:
            raise CalibrationError(f"{self.monitor.name}: {error}") from None


@dataclass(frozen=True)
class Calibration:
    """What a file holds. The promise is for replies made in the same way to prompts of the same kind."""

    model: Identity
    """The model that wrote the replies."""
    vectors: str
    """Hash of what was read with."""
    layer: int
    """Layer that was read."""
    traffic: str
    """Hash of the dialogues."""
    sampling: Sampling
    """How the replies were decoded."""
    monitors: tuple[Calibrated, ...]
    """Each with its scores."""

    def of(self, monitor: Monitor) -> Calibrated:
        """The scores of a monitor that has the same values, whatever its name.

        Raises:
            CalibrationError: there is none.
        """
        for each in self.monitors:
            if each.monitor.same_values(monitor) and each.monitor.direction == monitor.direction:
                return each
        names = ", ".join(repr(each.monitor.name) for each in self.monitors)
        raise CalibrationError(
            f"monitor {monitor.name!r} is not calibrated; the calibration has {names}. Calibrate it, or "
            f"state a threshold in z"
        )

    def threshold(self, monitor: Monitor, rate: float) -> float:
        """The threshold, in z, over (under) which it raises an alarm on at most `rate` of neutral replies.

        On the average over calibrations, or for this one with its confidence.
        """
        return monitor.sign * self.of(monitor).promise(rate).threshold

    def require(self, model: Identity, vectors: ConceptVectors, layer: int | None = None) -> None:
        """Refuses another model, other vectors or another layer; another dtype is worth a warning.

        Raises:
            CalibrationError: naming both.
        """
        if model.weights_sha256 != self.model.weights_sha256:
            raise CalibrationError(
                f"this calibration is of {self.model.name} ({self.model.weights_sha256[:12]}), the model is "
                f"{model.name} ({model.weights_sha256[:12]}); calibrate it"
            )
        read = vectors.read_layer if layer is None else layer
        if read != self.layer:
            raise CalibrationError(f"this calibration is of layer {self.layer}, read is layer {read}")
        own = vectors_hash(vectors, read)
        if own != self.vectors:
            raise CalibrationError(
                f"this calibration is of the vectors {self.vectors[:12]}, not of these, {own[:12]}; calibrate"
            )
        if model.dtype != self.model.dtype:
            warnings.warn(
                f"calibrated in {self.model.dtype}, running in {model.dtype}: the promise is for the former",
                AffektWarning,
                stacklevel=2,
            )

    def compare(self, sampling: Sampling, biased: bool = False) -> None:
        """Warns where replies are made in another way than the calibration's, or may be longer."""
        if biased:
            warnings.warn(
                "the calibration's replies had no emotion_bias; under one, false alarms come at another rate",
                AffektWarning,
                stacklevel=3,
            )
        for key in ("temperature", "top_p", "top_k"):
            if getattr(sampling, key) != getattr(self.sampling, key):
                warnings.warn(
                    f"the calibration's replies had {key} {getattr(self.sampling, key)}, these have "
                    f"{getattr(sampling, key)}; the promised rate of false alarms is for the former",
                    AffektWarning,
                    stacklevel=3,
                )
        if sampling.max_tokens > self.sampling.max_tokens:
            warnings.warn(
                f"the calibration's replies had at most {self.sampling.max_tokens} tokens, these may have "
                f"{sampling.max_tokens}; longer ones raise more false alarms than promised",
                AffektWarning,
                stacklevel=3,
            )

    def save(self, path: str | Path) -> Path:
        """Writes the file, whole or not at all; raises StorageError."""
        write_text(path, json.dumps(self.to_dict(), indent=1, allow_nan=False))
        return Path(path)

    def to_dict(self) -> dict[str, Any]:
        """What the file holds; the promises are there to be read, and follow from the scores."""
        return {
            "format": FORMAT,
            "model": asdict(self.model),
            "vectors": self.vectors,
            "layer": self.layer,
            "traffic": self.traffic,
            "sampling": asdict(self.sampling),
            "monitors": [
                {
                    "monitor": asdict(each.monitor),
                    "confidence": each.confidence,
                    "promises": [asdict(each.promise(rate)) for rate in each.rates],
                    "scores": [list(group) for group in each.scores],
                }
                for each in self.monitors
            ],
        }

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Reads a file.

        Raises:
            CalibrationError: it is missing, damaged, not ours, or its promises do not follow from its scores.
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise CalibrationError(
                f"no calibration at {path}: {error.strerror}; make one with: affekt calibrate"
            ) from error
        except ValueError as error:
            raise CalibrationError(f"{path} is no calibration, or damaged: {error}") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise CalibrationError(f"{path} is no calibration of the format {FORMAT}")
        try:
            return cls(
                model=Identity(**record["model"]),
                vectors=record["vectors"],
                layer=record["layer"],
                traffic=record["traffic"],
                sampling=Sampling(**{**record["sampling"], "stop": tuple(record["sampling"]["stop"])}),
                monitors=tuple(_calibrated(each) for each in record["monitors"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"{path} is damaged: {type(error).__name__} {error}") from error


def vectors_hash(vectors: ConceptVectors, layer: int) -> str:
    """Hash of all that a reading at a layer depends on: concepts, weights and their reference."""
    at = vectors.place(layer)
    total = hashlib.sha256(json.dumps([layer, vectors.names]).encode())
    for part in (vectors.weight, vectors.mean, vectors.std):
        total.update(part[at].contiguous().numpy().tobytes())
    return total.hexdigest()


def _calibrated(record: Mapping[str, Any]) -> Calibrated:
    rates = tuple(promise["rate"] for promise in record["promises"])
    scores = tuple(tuple(float(score) for score in group) for group in record["scores"])
    calibrated = Calibrated(Monitor(**record["monitor"]), scores, rates, record.get("confidence"))
    for promise in record["promises"]:
        if calibrated.promise(promise["rate"]).threshold != promise["threshold"]:
            raise CalibrationError(
                f"{calibrated.monitor.name!r}: the threshold {promise['threshold']} does not follow from "
                f"the scores"
            )
    return calibrated
