"""What plans whole runs, compiled. Import this package only where Numba is installed.

Experts are numbered through all MoE blocks: expert e of MoE block m is key `m × n_experts + e`.
"""

from sim.compiler import keep_by_sources

keep_by_sources()

from sim.planning.kernels.decide import decide  # noqa: E402
from sim.planning.kernels.issue import issue  # noqa: E402

__all__ = ["decide", "issue"]
