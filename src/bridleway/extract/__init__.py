"""Record-level extracts: tables leave anonymised by default, with risk and utility measured.

import bridleway as bw

bw.extract.curve("patients.parquet", recipe).plot()
bw.extract.anonymise("patients.parquet", recipe, "out")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Name -> module that holds it: nothing heavy is imported before it is used.
_WHERE = {"anonymise": "bridleway.extract.tables", "curve": "bridleway.extract.tables"}

__all__ = ["anonymise", "curve"]

if TYPE_CHECKING:
    from bridleway.extract.tables import anonymise, curve


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'bridleway.extract' has no attribute '{name}'")
