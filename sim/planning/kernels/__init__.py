"""What plans whole runs, compiled. Import this package only where Numba is installed.

Experts are numbered through all MoE blocks: expert e of MoE block m is key `m × n_experts + e`.
"""

from sim.planning.kernels.decide import decide
from sim.planning.kernels.issue import issue

__all__ = ["decide", "issue"]
