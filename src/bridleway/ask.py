"""The story of a question, in seven steps.

    question ─┐
              ├─(1) check ─► Grant ─(2) plan ─► Plan
    passport ─┘      │ Refused
       at each source: (3) charge ─► Charged      (4) protect ─► Protected
       at the linker:  (5) combine ─► Met         (6) clear ─► Released or withheld cells
       everywhere:     (7) issue ─► Answer, with its receipt

Refusal is the default. The same function runs embedded and between organisations: a `Road`
carries the messages, and every party checks for itself what it is asked to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from bridleway.answer import Answer
from bridleway.errors import Gap, Refused
from bridleway.model.flow import Grant
from bridleway.model.question import Asked


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks what, under which passport, for which purpose. `proof` is the asker's signature."""

    question: Asked
    passport_id: str
    purpose: str
    asker: str
    request: str
    at: str
    proof: str


@dataclass(frozen=True, slots=True)
class Charged:
    """Every touched node has charged and logged it. stored: the answer that it gave before."""

    grant: Grant
    plan: Any
    stored: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Protected:
    """Every source's partial result is at the meeting place."""

    charged: Charged


@dataclass(frozen=True, slots=True)
class Met:
    """The meeting place holds the combined result."""

    charged: Charged


@dataclass(frozen=True, slots=True)
class Held:
    """The meeting place holds the cleared result; every rule has been applied."""

    charged: Charged


class Road(Protocol):
    """Carries each step to the parties that do it."""

    def check(self, asking: Asking) -> Grant:
        """Ask every touched node; all must permit."""

    def plan(self, grant: Grant) -> Any:
        """Derive what each source does."""

    def charge(self, grant: Grant, plan: Any) -> Charged:
        """Reserve budget and log at every touched node."""

    def protect(self, charged: Charged) -> Protected:
        """Let each source compute and send its partial result to the meeting place."""

    def combine(self, protected: Protected) -> Met:
        """Let the meeting place join or add."""

    def clear(self, met: Met) -> Held:
        """Let the meeting place apply disclosure control."""

    def issue(self, held: Held | Charged) -> Answer:
        """Log the release everywhere, then hand over answer and receipt."""

    def refuse(self, asking: Asking, error: Refused | Gap) -> Refused | Gap:
        """Receipt a refusal and return it."""


def ask(asking: Asking, road: Road) -> Answer:
    """Answer a question under its passport. Raises Refused or Gap, with a receipt attached."""
    try:
        grant = road.check(asking)  # (1)
        plan = road.plan(grant)  # (2)
        charged = road.charge(grant, plan)  # (3)
        if charged.stored is not None:  # answered before on the same data: costs nothing
            return road.issue(charged)  # (7)
        protected = road.protect(charged)  # (4)
        met = road.combine(protected)  # (5)
        held = road.clear(met)  # (6)
        return road.issue(held)  # (7)
    except (Refused, Gap) as error:
        raise road.refuse(asking, error) from None
