"""The engine that runs a model in vLLM; vLLM itself is imported when one is opened."""

from affekt.engines.vllm.companion import Companion, Written, arguments
from affekt.engines.vllm.engine import VLLMEngine

__all__ = ["Companion", "VLLMEngine", "Written", "arguments"]
