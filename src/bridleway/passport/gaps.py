"""The check: every gap of a passport in plain words, with file, line and remedy.

A gap stops sealing; a warning asks a person to weigh; a suggestion may help. The check never
says that something is lawful: a gateway is claimed, advice is recorded, a controller decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date

from bridleway.documents import Document
from bridleway.errors import Gap, UsageError
from bridleway.model.catalogue import TableFacts
from bridleway.model.passport import PersonCertificate
from bridleway.passport import (
    gaps_data,
    gaps_extract,
    gaps_law,
    gaps_needs,
    gaps_parties,
    gaps_time,
    gaps_weigh,
)
from bridleway.passport.gaps_preset import with_preset
from bridleway.passport.gaps_touch import touched
from bridleway.passport.gaps_view import Finding, Findings, View

__all__ = ["Finding", "check", "gaps_only", "lowest_level", "require_complete"]

_RULES: tuple[Callable[[View], Findings], ...] = (
    gaps_needs.shape_rules,
    gaps_needs.needs_rules,
    gaps_needs.level_rules,
    gaps_parties.controller_rules,
    gaps_parties.id_rules,
    gaps_parties.gateway_rules,
    gaps_parties.linker_rules,
    gaps_parties.people_rules,
    gaps_parties.setting_rules,
    gaps_data.table_rules,
    gaps_data.field_rules,
    gaps_data.link_rules,
    gaps_data.question_rules,
    gaps_extract.extract_rules,
    gaps_data.disclosure_rules,
    gaps_data.output_rules,
    gaps_law.controllers_covered_rules,
    gaps_law.basis_rules,
    gaps_law.confidence_rules,
    gaps_law.prohibition_rules,
    gaps_law.screening_rules,
    gaps_weigh.risk_rules,
    gaps_weigh.hazard_rules,
    gaps_weigh.scrutiny_rules,
    gaps_weigh.safeguard_rules,
    gaps_weigh.vulnerable_rules,
    gaps_time.validity_rules,
    gaps_time.precedent_rules,
)
_ORDER = {"gap": 0, "warning": 1, "suggestion": 2}


def check(
    document: Document,
    facts: Mapping[str, TableFacts] | None,
    people: Iterable[PersonCertificate] | None,
    now: date,
) -> list[Finding]:
    """Return everything to mend, to weigh or to consider: gaps first, each group in line order.

    facts: what catalogues declare, by `node.source.table`; None where none is at hand (then only
    the passport's own words are weighed). people: certified people; None where not known.
    Raises UsageError where the document is no record at all.
    """
    if not isinstance(document.value, dict):
        raise UsageError(
            "A passport is a list of `field: value` lines.",
            "Start from `bridleway passport new`.",
            where=document.name,
        )
    document, mistaken = with_preset(document)
    view = View(
        document=document,
        touched=touched(document.value, facts),
        facts=facts,
        people=None if people is None else {person.id: person for person in people},
        now=now,
    )
    found = dict.fromkeys([*mistaken, *(finding for rule in _RULES for finding in rule(view))])
    return sorted(found, key=lambda f: (_ORDER[f.severity], _line(f.where)))


def _line(where: str) -> int:
    number = where.rpartition("line ")[2]
    return int(number) if number.isdigit() else 0


def gaps_only(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that stop sealing."""
    return [finding for finding in findings if finding.severity == "gap"]


def require_complete(findings: Iterable[Finding]) -> None:
    """Raise Gap, naming the first gap and how many more there are, unless there is none."""
    gaps = gaps_only(findings)
    if gaps:
        more = f" (and {len(gaps) - 1} more)" if len(gaps) > 1 else ""
        first = gaps[0]
        raise Gap(
            f"The passport is not complete: {first.sentence.rstrip('.')}{more}.",
            f"{first.remedy} `bridleway passport check` lists all.",
            where=first.where,
            code="passport-incomplete",
        )


def lowest_level(document: Document, facts: Mapping[str, TableFacts] | None) -> tuple[str, str]:
    """Return the lowest level that a passport may have unless it is urgent, and why."""
    what = touched(document.value, facts)
    return what.level, what.why_level
