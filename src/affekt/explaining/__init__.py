"""Why a model replied as it did: concepts taken out one at a time, against random directions."""

from affekt.explaining.explain import explain
from affekt.explaining.explanation import Effect, Explanation, Firing, Replied
from affekt.explaining.told import Told, tell, told_by

__all__ = ["Effect", "Explanation", "Firing", "Replied", "Told", "explain", "tell", "told_by"]
