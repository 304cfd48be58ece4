"""Record keys: a small pseudorandom number per person, from which cells draw their noise.

Cell-key perturbation (Fraser & Wooton 2005; used by the ABS and by the ONS for Census 2021): each
person has a record key, a cell's key is the sum of its people's record keys, and noise is looked
up by it. The same people get the same noise whatever the question's text, so that asking again in
other words averages nothing away, and two sets that differ in one person differ in their noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RECORD_KEY = "record"  # the frame's column
RECORD_KEYS = 256  # how many there are


def record_keys(tokens: NDArray[np.uint64]) -> NDArray[np.int16]:
    """Return the record keys, 0 to 255, of people's tokens under the node's record secret."""
    return (tokens % np.uint64(RECORD_KEYS)).astype(np.int16)
