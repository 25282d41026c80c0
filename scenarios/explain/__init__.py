"""Why a run takes as long as it does, in a screenful of text."""

from scenarios.explain.explanation import Explanation, explain
from scenarios.explain.text import lines

__all__ = ["Explanation", "explain", "lines"]
