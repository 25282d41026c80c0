"""What kernels take and give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int32]
Starts = NDArray[np.int64]
Rings = NDArray[np.int8]
Counts = NDArray[np.int64]
Counted = tuple[int, int, int]  # hits, misses, evictions
