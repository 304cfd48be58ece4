"""Peak memory of a process and all that it started: shared pages count once (PSS)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

INTERVAL = 0.02  # seconds between two looks


class PeakOfTree:
    """Looks at the tree of this process while it is open. `peak_mb` is the most it saw."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> PeakOfTree:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(INTERVAL):
            self.peak_mb = max(self.peak_mb, sum(map(_pss_mb, _tree(os.getpid()))))


def _tree(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for tasks in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in tasks.read_text().split()]
            except OSError:
                continue
    return found


def _pss_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
