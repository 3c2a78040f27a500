"""Engines: what runs a model, behind four verbs."""

from affekt.engines.engine import Collected, Engine, Reply, Request, Sampling, Token, TopToken
from affekt.engines.watch import Directive, Watch, Watcher, WatchRow

__all__ = [
    "Collected",
    "Directive",
    "Engine",
    "Reply",
    "Request",
    "Sampling",
    "Token",
    "TopToken",
    "Watch",
    "WatchRow",
    "Watcher",
]
