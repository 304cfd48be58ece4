"""What a passport touches: personal, special, confidential data and so on, and why.

Read from three places, the strictest winning: the catalogue's classes, the categories that the
passport gives its fields, and what the passport says of people, techniques and risks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from bridleway import references
from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.passport.document import (
    at,
    bindings_of,
    map_at,
    records_at,
    source_of,
    techniques_of,
    text_at,
    texts_at,
)

Facts = Mapping[str, TableFacts]
"""Declared facts by `node.source.table`."""

_READS = re.compile(r"\b(?:from|join)\s+([A-Za-z_][A-Za-z0-9_]*)", re.IGNORECASE)
_JOIN = re.compile(r"\bjoin\b", re.IGNORECASE)
_QUOTED = re.compile(r"'(?:[^']|'')*'")


@dataclass(frozen=True, slots=True)
class ListedField:
    """A field that the passport lists, where it stands, and what the catalogue says of it.

    column is None where the catalogue is not at hand or does not hold the field.
    """

    source: str
    source_at: int
    field_at: int
    name: str
    table: str
    form: str
    category: str
    column: ColumnFacts | None


@dataclass(frozen=True, slots=True)
class Touched:
    """What a passport touches. reasons: flag -> why, in plain words.

    Flags: personal, special, offence, confidential, health, vulnerable, sensitive, joined, met
    (federated or linked: results meet somewhere), model, residual-high, decision, named (the
    output names people), made-up.
    """

    reasons: Mapping[str, str]
    fields: tuple[ListedField, ...]

    def __contains__(self, flag: str) -> bool:
        return flag in self.reasons

    @property
    def level(self) -> str:
        """The lowest level allowed for work that is not urgent."""
        if any(f in self for f in ("special", "offence", "vulnerable", "residual-high")):
            return "level-full"
        return "level-standard" if "personal" in self else "level-light"

    @property
    def why_level(self) -> str:
        """Why it is not lower, in plain words."""
        for flag in ("special", "offence", "vulnerable", "residual-high", "personal"):
            if flag in self:
                return self.reasons[flag]
        return "no personal data is touched"


def touched(body: Any, facts: Facts | None) -> Touched:
    """Weigh a passport's body (any shape) with the facts of the tables it names."""
    fields = tuple(_listed(body, facts))
    reasons: dict[str, str] = {}
    for flag, why in _flags(body, facts, fields):
        reasons.setdefault(flag, why)
    return Touched(MappingProxyType(reasons), fields)


def question_words(text: str) -> str:
    """Return a question's text without its quoted constants."""
    return _QUOTED.sub("''", text)


def tables_read(text: str) -> list[str]:
    """Return the table names that a question's text reads, in order."""
    return list(dict.fromkeys(_READS.findall(question_words(text))))


def _listed(body: Any, facts: Facts | None) -> Iterator[ListedField]:
    bound = [place for places in bindings_of(body).values() for place in places]
    for source_at, source in records_at(body, "data", "sources"):
        source_id = text_at(source, "id")
        tables = {p.split(".", 2)[2]: p for p in bound if p.count(".") == 2 and
                  source_of(p) == source_id}  # fmt: skip
        for field_at, said in records_at(source, "fields"):
            name, table = text_at(said, "name"), text_at(said, "table")
            candidates = [table] if table else list(tables)
            column = None
            for one in candidates:
                known = (facts or {}).get(f"{source_id}.{one}")
                if known and name in known.columns:
                    column, table = known.columns[name], one
                    break
            yield ListedField(
                source_id, source_at, field_at, name, table, text_at(said, "form"),
                text_at(said, "category"), column,
            )  # fmt: skip


def _flags(
    body: Any, facts: Facts | None, fields: tuple[ListedField, ...]
) -> Iterator[tuple[str, str]]:
    yield from _flags_of_facts(body, facts)
    for one in fields:
        place = f"{one.source}.{one.name}"
        if one.column and one.column.cls != "plain":
            yield "personal", f"the catalogue classes '{place}' as {one.column.cls}"
            if one.column.cls == "sensitive":
                yield "sensitive", f"the catalogue classes '{place}' as sensitive"
        if one.form in ("hashed", "key-only"):
            yield "personal", f"'{place}' is used as a key"
        for flag, label in category_flags(one.category):
            yield flag, f"'{place}' is {label if flag != 'personal' else 'about a person'}"
            if flag in ("special", "offence"):
                yield "sensitive", f"'{place}' is {label}"
    yield from _flags_of_words(body)


def _flags_of_facts(body: Any, facts: Facts | None) -> Iterator[tuple[str, str]]:
    for places in bindings_of(body).values():
        for place in places:
            known = (facts or {}).get(place)
            for column in known.columns.values() if known else ():
                if column.cls == "identifier":
                    yield "personal", f"'{place}' holds the identifier '{column.name}'"
            for entity in known.entities if known else ():
                yield "personal", f"'{place}' identifies a {entity}"


def _flags_of_words(body: Any) -> Iterator[tuple[str, str]]:
    uses = techniques_of(body)
    for name, use in uses.items():
        if use in ("linked", "blind", "decision"):
            yield "joined", f"question '{name}' is {use}"
        if use in ("linked", "federated"):
            yield "met", f"question '{name}' is {use}"
    for _, question in records_at(body, "questions"):
        if _JOIN.search(question_words(text_at(question, "text"))):
            yield "joined", f"question '{text_at(question, 'id')}' joins tables"
        if text_at(question, "kind") == "decision":
            yield "decision", f"question '{text_at(question, 'id')}' decides about a person"
            yield "personal", "a question is about one person"
    if records_at(body, "data", "links"):
        yield "joined", "data.links lists a join"
    if "joined" in uses.values() or records_at(body, "data", "links"):
        yield "personal", "records about the same person are joined"
    if at(body, "people", "vulnerable", "applies") is True:
        yield "vulnerable", "people.vulnerable applies"
    for who in texts_at(body, "people", "who"):
        if "dpv:VulnerableHuman" in references.broader("dpv_terms", "data_subjects").get(who, ()):
            yield "vulnerable", f"people.who names {who}"
            yield "personal", f"people.who names {who}"
    for side in ("sharing", "not_sharing"):
        for _, risk in records_at(body, "risks", side):
            if side == "sharing" and text_at(risk, "residual") == "high":
                yield "residual-high", f"risk '{text_at(risk, 'id')}' stays high"
    if text_at(body, "outputs", "form") in ("list", "records"):
        yield "named", "the output is a list or records"
    if text_at(body, "model"):
        yield "model", "a model is used"
    article6 = at(body, "lawfulness", "article6")
    claimed = article6.values() if isinstance(article6, Mapping) else [article6]
    if "trial-no-real-people" in claimed:
        yield "made-up", "the passport says that the records are made up"


@cache
def _flag_rows() -> tuple[tuple[str, tuple[str, ...], frozenset[str], frozenset[str]], ...]:
    return tuple(
        (
            row["label"],
            tuple(row["flags"]),
            frozenset(row["categories"]),
            frozenset(row.get("except") or ()),
        )
        for row in references.rows("category_flags", "rows").values()
    )


@cache
def category_flags(category: str) -> tuple[tuple[str, str], ...]:
    """Return (flag, label) of a category id: what kind of data it says a field is."""
    if not category:
        return ()
    broader = set(references.broader("dpv_terms", "data_categories").get(category, (category,)))
    steps = category.split(".")
    broader |= {".".join(steps[:n]) for n in range(1, len(steps) + 1)}
    return tuple(
        (flag, label)
        for label, flags, categories, unless in _flag_rows()
        if broader & categories and category not in unless
        for flag in flags
    )


@cache
def special_category_hint(column: str) -> str:
    """Return what a column's name suggests of special category or offence data, or nothing."""
    name = column.lower()
    for row in references.rows("category_flags", "rows").values():
        if ("special" in row["flags"] or "offence" in row["flags"]) and any(
            name.startswith(word) or f"_{word}" in name for word in row["words"]
        ):
            return str(row["label"])
    return ""


@cache
def category_hint(column: str) -> str:
    """Return the category that a column's name suggests, or an empty string."""
    name = column.lower()
    for row in references.rows("category_flags", "column_hints").values():
        for word in row["words"]:
            if re.search(rf"(?:^|_){re.escape(word)}", name):
                return str(row["category"])
    return ""


def needed_roles(body: Any, what: Touched) -> dict[str, str]:
    """Return role -> why a named person in it is needed, beyond the author."""
    made: dict[str, str] = {}
    if "personal" in what and "made-up" not in what:
        made["dpo"] = "personal data is touched"
    if "health" in what and "confidential" in what:
        made["caldicott-guardian"] = (
            f"confidential health or care information is touched ({what.reasons['confidential']})"
        )
    for flag, why in (
        ("vulnerable", "people at a disadvantage are in the data"),
        ("residual-high", "a risk stays high"),
        ("named", "the output names people or cases"),
    ):
        if flag in what and "leader" not in made:
            made["leader"] = f"{why} ({what.reasons[flag]})"
    return made


def flows_with_only_weak_gateways(body: Any) -> list[tuple[str, str]]:
    """Return the (controller, recipient) flows whose every gateway is weak when it stands alone."""
    weak = set(references.load("legal_gateways").data["weak_alone"])
    known = references.gateways()
    kinds: dict[tuple[str, str], set[str]] = {}
    for _, row in records_at(body, "lawfulness", "gateways"):
        gateway = known.get(text_at(row, "id"))
        if gateway:
            flow = (text_at(row, "from"), text_at(row, "to"))
            kinds.setdefault(flow, set()).add(gateway.kind)
    return [flow for flow, used in kinds.items() if used <= weak]


def words_of(body: Any) -> str:
    """Return the passport's own words on what it is about, in lower case, for matching."""
    parts = [text_at(body, "title"), text_at(body, "question", "plain")]
    parts += [str(v) for v in map_at(body, "purpose").values() if isinstance(v, str)]
    return " ".join(parts).lower()
