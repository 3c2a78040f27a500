"""Guards: monitors with a promised rate of false alarms, and policies that act before a token is shown."""

from affekt.guards.calibrating import calibrate, check_drift
from affekt.guards.calibration import Calibrated, Calibration
from affekt.guards.conformal import Promise, needed
from affekt.guards.drift import Drift
from affekt.guards.event import Event
from affekt.guards.guarded import Guarded, guard, guardian
from affekt.guards.homeostat import Homeostat
from affekt.guards.monitor import Monitor
from affekt.guards.policy import Policy, Rule
from affekt.guards.recording import record
from affekt.guards.tightening import tighten
from affekt.guards.watch import Guardian

__all__ = [
    "Calibrated",
    "Calibration",
    "Drift",
    "Event",
    "Guarded",
    "Guardian",
    "Homeostat",
    "Monitor",
    "Policy",
    "Promise",
    "Rule",
    "calibrate",
    "check_drift",
    "guard",
    "guardian",
    "needed",
    "record",
    "tighten",
]
