"""Advice: which strategy, with how large a cache, for one model on one machine, and what to buy first."""

from scenarios.advise.answer import Advice, advise
from scenarios.advise.question import Question

__all__ = ["Advice", "Question", "advise"]
