"""Settings of the whole suite: quiet, single-threaded tiny models, no deadlines on a busy machine."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from hypothesis import HealthCheck, settings

settings.register_profile("affekt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("affekt")
