"""Suggestions: gateways that may fit, hazards to weigh. Each shows its date and confidence.

A suggestion is never advice: a lawyer advises, a controller decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridleway import references
from bridleway.documents import Document
from bridleway.model.catalogue import TableFacts
from bridleway.passport.document import (
    at,
    controllers_of,
    flows_of,
    records_at,
    text_at,
)
from bridleway.passport.gaps_touch import touched, words_of
from bridleway.passport.gaps_view import Finding
from bridleway.passport.gaps_weigh import suggested_hazards

MOST_SUGGESTIONS = 5
_FIRST_KINDS = ("express_duty", "express_power_and_duty", "express_power")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An id of a reference list that may fit, why, and how old and sure the row is.

    about: for a gateway `controller to recipient`; for a hazard the empty text.
    """

    id: str
    label: str
    why: str
    as_of: str
    confidence: str
    about: str = ""
    kind: str = ""


def suggest_gateways(body: Any, facts: Mapping[str, TableFacts] | None = None) -> list[Suggestion]:
    """Return gateways that fit who sends, who receives and what for, at most five per flow.

    A row has to share a topic with the passport's words and to name the kind of body at one end
    of the flow; rows that name both ends come first, then those that share most topics.
    """
    listed = references.load("legal_gateways").data
    usable, weak = set(listed["usable_as_gateway"]), set(listed["weak_alone"])
    topics = _topics(body, facts)
    made: list[Suggestion] = []
    for sender, recipient in flows_of(body):
        ends = (_organisation_words(body, sender), _organisation_words(body, recipient))
        fits: list[tuple[tuple[int, ...], Suggestion]] = []
        for gateway in references.gateways().values():
            shared = sorted(topics & set(gateway.tags))
            from_fits = _names(gateway.disclose_from, ends[0])
            to_fits = _names(gateway.disclose_to, ends[1]) or (
                _names_each_other(gateway) and _names(gateway.disclose_from, ends[1])
            )
            if gateway.kind not in usable or not shared or not (from_fits or to_fits):
                continue
            alone = "; weak when it stands alone: ask a lawyer" if gateway.kind in weak else ""
            order = (
                2 - int(from_fits) - int(to_fits),
                -len(shared),
                int(gateway.kind not in _FIRST_KINDS),
            )
            fits.append(
                (
                    order,
                    Suggestion(
                        id=gateway.id,
                        label=gateway.label,
                        why=f"{gateway.kind_in_words}; for {'; '.join(gateway.purposes)}{alone}",
                        as_of=gateway.as_of,
                        confidence=gateway.confidence,
                        about=f"{sender} to {recipient}",
                        kind=gateway.kind,
                    ),
                )
            )
        fits.sort(key=lambda fit: (fit[0], fit[1].id))
        made += [suggestion for _, suggestion in fits[:MOST_SUGGESTIONS]]
    return made


def suggest_hazards(body: Any, facts: Mapping[str, TableFacts] | None = None) -> list[Suggestion]:
    """Return the Data Hazards labels that what is touched asks to weigh, with why."""
    listed = references.load("data_hazards")
    labels = references.codes("data_hazards", "labels")
    return [
        Suggestion(hazard, labels[hazard], why, listed.as_of, listed.confidence)
        for hazard, why in suggested_hazards(touched(body, facts)).items()
    ]


def suggest(document: Document, facts: Mapping[str, TableFacts] | None = None) -> list[Finding]:
    """Return suggestions as findings, for what the passport does not have yet."""
    body = document.value
    claimed = {
        (text_at(row, "from"), text_at(row, "to"))
        for _, row in records_at(body, "lawfulness", "gateways")
        if text_at(row, "id") in references.gateways()
    }
    made = []
    for one in suggest_gateways(body, facts):
        sender, _, recipient = one.about.partition(" to ")
        if (sender, recipient) not in claimed:
            made.append(
                Finding(
                    "suggestion",
                    "lawfulness.gateways",
                    document.where("lawfulness", "gateways"),
                    f"From {one.about}, '{one.id}' ({one.label}) may fit: {one.why}.",
                    f"As of {one.as_of}, confidence {one.confidence}: have a lawyer read it.",
                )
            )
    answered = {text_at(h, "id") for _, h in records_at(body, "hazards")}
    for one in suggest_hazards(body, facts):
        if one.id not in answered:
            made.append(
                Finding(
                    "suggestion",
                    "hazards",
                    document.where("hazards"),
                    f"Weigh '{one.id}' ({one.label}): {one.why}.",
                    f"As of {one.as_of}, confidence {one.confidence}: answer it with a reason.",
                )
            )
    return made


def _topics(body: Any, facts: Mapping[str, TableFacts] | None) -> set[str]:
    """Return the gateway tags that the passport's words, sources and fields point to."""
    listed = touched(body, facts).fields
    text = " ".join(
        [words_of(body), *(f"{f.name} {f.source} {f.category}" for f in listed)]
    ).replace("_", " ")
    return {
        tag
        for row in references.rows("touches", "topics").values()
        if any(word in text for word in row["words"])
        for tag in row["tags"]
    }


def _organisation_words(body: Any, node: str) -> set[str]:
    """Return the words by which gateway rows name a body of this kind, guessed from its name."""
    index = list(controllers_of(body)).index(node) if node in controllers_of(body) else -1
    name = f"{node} {at(body, 'parties', 'controllers', index, 'name') or ''}".lower()
    name = name.replace("-", " ")
    return {
        match
        for row in references.rows("touches", "organisations").values()
        if any(word in name for word in row["words"])
        for match in row["matches"]
    }


def _names(listed: tuple[str, ...], words: set[str]) -> bool:
    text = " ".join(listed).lower()
    return any(word in text for word in words)


def _names_each_other(gateway: references.Gateway) -> bool:
    return any("each other" in end for end in gateway.disclose_to)
