from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("moesim", deadline=None)  # shared machines stall now and then
settings.load_profile("moesim")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has it ignored in what it runs in the background
