"""What if one thing were faster or larger: what each part of a computer, the cache and the predictor would buy."""

from scenarios.whatif.levers import Lever, levers

__all__ = ["Lever", "levers"]
