"""Synthetic routing with the statistics of real models."""

from sim.synth.draw import synthesize
from sim.synth.style import Style

__all__ = ["Style", "synthesize"]
