"""Engines: what runs a model, behind four verbs."""

from affekt.engines.engine import Collected, Engine, Reply, Request, Sampling
from affekt.engines.extract import extract
from affekt.engines.opening import AnyEngine, open_engine
from affekt.engines.token import Token, TopToken
from affekt.engines.transformers import TransformersEngine
from affekt.engines.watch import Directive, Watch, Watcher, WatchRow

__all__ = [
    "AnyEngine",
    "Collected",
    "Directive",
    "Engine",
    "Reply",
    "Request",
    "Sampling",
    "Token",
    "TopToken",
    "TransformersEngine",
    "Watch",
    "WatchRow",
    "Watcher",
    "extract",
    "open_engine",
]
