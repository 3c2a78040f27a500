"""The audit: what training did to a model's emotional baseline, and whether it may ship."""

from affekt.audit.compare import compare
from affekt.audit.comparison import Comparison, Shift
from affekt.audit.prompts import Prompt, load_prompts, shipped_prompts

__all__ = ["Comparison", "Prompt", "Shift", "compare", "load_prompts", "shipped_prompts"]
