"""The server's policy: a floor that a request may raise and never lower, read anew without a restart."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from affekt.errors import AffektError, CalibrationError, PolicyError, VectorsError
from affekt.guards.calibration import Calibration
from affekt.guards.guarded import guardian
from affekt.guards.policy import Policy
from affekt.guards.recording import ReadingEngine
from affekt.guards.tightening import tighten
from affekt.guards.watch import Guardian

__all__ = ["Floor"]

log = logging.getLogger("affekt.server")


class Floor:
    """The policy that all replies are under, if there is one."""

    def __init__(
        self, engine: ReadingEngine, file: Path | None = None, calibration: Path | None = None
    ) -> None:
        """Takes the policy's file, and a calibration for rules with a rate that name none themselves.

        Raises:
            PolicyError: a policy that is wrong, or has rates without a calibration.
            CalibrationError: a calibration of another model.
        """
        self._engine, self._file, self._kept = engine, file, calibration
        self.policy: Policy | None = None
        """The floor."""
        self.calibration: Calibration | None = self._calibration(None)
        """Where its thresholds come from."""
        self._guardian: Guardian | None = None
        if file is not None:
            self._load(file)

    @property
    def guardian(self) -> Guardian | None:
        """The floor made ready; None where there is none."""
        return self._guardian

    @property
    def watched(self) -> Mapping[str, str]:
        """Per monitor of the floor what it watches, in a word; metrics tell these apart, and none besides."""
        rules = self.policy.monitors if self.policy is not None else ()
        return {rule.name: rule.what if isinstance(rule.what, str) else "mixture" for rule in rules}

    def reload(self) -> bool:
        """Reads the policy's file again; one that is wrong changes nothing and is logged. Whether it was
        taken."""
        if self._file is None:
            log.warning("no policy file to reload")
            return False
        try:
            self._load(self._file)
        except AffektError as error:
            log.error("the policy stays as it was: %s", error)
            return False
        log.info("policy reloaded")
        return True

    def watcher(self, extra: Policy | None) -> tuple[Guardian | None, int | None]:
        """The guard of one request, and the layer it reads.

        Args:
            extra: what the request adds.

        Raises:
            PolicyError: what the request adds is wrong, or would loosen the floor.
        """
        if extra is None:
            return self._guardian, self.policy.layer if self.policy else None
        if extra.calibration is not None:
            raise PolicyError("calibration: a request cannot name a file; the server has its own")
        policy = tighten(self.policy, extra) if self.policy is not None else extra
        try:
            return guardian(self._engine, policy, self.calibration), policy.layer
        except (CalibrationError, VectorsError) as error:
            raise PolicyError(str(error)) from error

    def _load(self, file: Path) -> None:
        policy = Policy.load(file)
        calibration = self._calibration(policy)
        ready = guardian(self._engine, policy, calibration)
        self.policy, self.calibration, self._guardian = policy, calibration, ready

    def _calibration(self, policy: Policy | None) -> Calibration | None:
        named = policy.calibration if policy is not None else None
        if named is not None:
            return Calibration.load(named)
        return Calibration.load(self._kept) if self._kept is not None and self._kept.is_file() else None
