"""An OpenAI-compatible server with `emotion_bias`, live readings, a guard and an audit trail."""

from affekt.server.app import create_app
from affekt.server.logs import JsonLines
from affekt.server.service import Service
from affekt.server.serving import Serving
from affekt.server.settings import Settings

__all__ = ["JsonLines", "Service", "Serving", "Settings", "create_app"]
