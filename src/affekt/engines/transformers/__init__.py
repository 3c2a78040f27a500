"""The transformers engine: CPU, one GPU, or several by device_map."""

from affekt.engines.transformers.batch import Batch
from affekt.engines.transformers.engine import TransformersEngine

__all__ = ["Batch", "TransformersEngine"]
