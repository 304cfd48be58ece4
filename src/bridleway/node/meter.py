"""Time in bands and, where the machine reports it, energy."""

from __future__ import annotations

import math
import time
from pathlib import Path

BAND_SECONDS = 0.5
_RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")


class Meter:
    """Measures from its birth. Exact time never leaves: it would tell about the data."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._energy = _energy()

    def band(self) -> str:
        """Return the time so far as text, rounded up to half-second bands."""
        spent = time.monotonic() - self._started
        upper = max(1, math.ceil(spent / BAND_SECONDS)) * BAND_SECONDS
        return f"at most {upper:.1f} s"

    def energy(self) -> str:
        """Return joules of the processor package so far, to the next 10, or 'not reported'."""
        now = _energy()
        if self._energy is None or now is None or now < self._energy:
            return "not reported by this machine"
        joules = (now - self._energy) / 1e6
        return f"at most {math.ceil(joules / 10) * 10} J (whole processor package)"


def _energy() -> int | None:
    try:
        return int(_RAPL.read_text())
    except (OSError, ValueError):
        return None
