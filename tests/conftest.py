from __future__ import annotations

from hypothesis import settings

settings.register_profile("moesim", deadline=None)  # shared machines stall now and then
settings.load_profile("moesim")
