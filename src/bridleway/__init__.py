"""Bridleway answers questions across sensitive data without sharing the data.

    import bridleway as bw

    with bw.open("trial") as workspace:
        answer = workspace.ask("by-area", "renters-in-need", "city/sam-okoro", password)
    answer.table()
    answer.plot()

A question runs only under a passport that every touched controller signed. What comes out is
safe to see, with a receipt that anybody can verify offline.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Name -> module that holds it: nothing heavy is imported before it is used.
_WHERE = {
    "Answer": "bridleway.answer",
    "BridlewayError": "bridleway.errors",
    "Fault": "bridleway.errors",
    "Gap": "bridleway.errors",
    "Passport": "bridleway.model.passport",
    "Question": "bridleway.model.question",
    "Refused": "bridleway.errors",
    "Rules": "bridleway.model.policy",
    "UsageError": "bridleway.errors",
    "Workspace": "bridleway.node.workspace",
    "ask": "bridleway.api",
    "col": "bridleway.questions.build",
    "init": "bridleway.api",
    "open": "bridleway.api",
    "question": "bridleway.questions.build",
    "verify": "bridleway.api",
}

__all__ = [
    "Answer",
    "BridlewayError",
    "Fault",
    "Gap",
    "Passport",
    "Question",
    "Refused",
    "Rules",
    "UsageError",
    "Workspace",
    "__version__",
    "ask",
    "col",
    "init",
    "open",
    "question",
    "verify",
]

if TYPE_CHECKING:
    from bridleway.answer import Answer
    from bridleway.api import ask, init, open, verify
    from bridleway.errors import BridlewayError, Fault, Gap, Refused, UsageError
    from bridleway.model.passport import Passport
    from bridleway.model.policy import Rules
    from bridleway.model.question import Question
    from bridleway.node.workspace import Workspace
    from bridleway.questions.build import col, question


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    if name == "extract":  # a room of its own: bw.extract.anonymise
        return importlib.import_module("bridleway.extract")
    raise AttributeError(f"module 'bridleway' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)


class _Package(ModuleType):
    """Keeps `bridleway.ask` the function: importing the submodule would hide it."""

    @property
    def ask(self) -> Any:
        """Ask a question under a passport; see `bridleway.api.ask`."""
        return importlib.import_module("bridleway.api").ask

    @ask.setter
    def ask(self, _: ModuleType) -> None:
        """Let the import system bind the submodule, to no effect."""


sys.modules[__name__].__class__ = _Package
