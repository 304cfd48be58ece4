"""Seals a passport's text and reads sealed ones: verify first, parse once, then believe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from bridleway.errors import BridlewayError, Gap, Refused, UsageError
from bridleway.keys.dsse import Signer, open_envelope
from bridleway.keys.dsse import seal as seal_envelope
from bridleway.model.canonical import canonical_json, sha256_hex, strict_json
from bridleway.model.names import is_sql_name, require_id
from bridleway.model.passport import (
    PAYLOAD_PASSPORT,
    FieldUse,
    Passport,
    PersonCertificate,
    PinnedQuestion,
    TableBinding,
)

LEVELS = ("level-light", "level-standard", "level-full", "level-urgent")
KINDS = ("statistic", "decision", "extract", "test-data")
FORMS = ("raw", "banded", "hashed", "key-only")


def seal(body: Mapping[str, Any], author: Signer) -> bytes:
    """Return the passport as strict JSON in a DSSE envelope signed by its author.

    Raises UsageError or Gap where the text lacks a part that nodes enforce.
    """
    payload = canonical_json(body)
    passport_from_body(body, sha256_hex(payload))
    return seal_envelope(payload, PAYLOAD_PASSPORT, author)


def read_sealed(envelope: bytes, people: Mapping[str, PersonCertificate]) -> Passport:
    """Verify a sealed passport and read it. people: key id -> certificate.

    The digest is the SHA-256 of the payload's exact bytes. Raises Refused unless the person
    whom the text names as author signed it and held the role on the first day of validity or
    when certified.
    """
    keys = {keyid: person.public_key for keyid, person in people.items()}
    payload, signers = open_envelope(envelope, PAYLOAD_PASSPORT, keys)
    passport = passport_from_body(strict_json(payload), sha256_hex(payload))
    signed = {people[keyid].id for keyid in signers}
    if signed != {passport.author}:
        raise Refused(
            "The passport is not signed by the author that it names.",
            f"{passport.author} seals and submits it.",
            code="author",
        )
    author = next(people[keyid] for keyid in signers)
    if "author" not in author.roles:
        raise Refused(
            f"{author.id} is not certified as an author.",
            "Add the role: bridleway person add ... --role author.",
            code="author",
        )
    return passport


class _Reader:
    """Reads one part after the other; the first that is wrong is named by its path."""

    def __init__(self, body: Any) -> None:
        if not isinstance(body, Mapping):
            raise UsageError("This is not a passport.", "Start from `bridleway passport new`.")
        self.body = body

    def get(self, path: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        value: Any = self.body
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None and default is not ...:
            return default
        if not isinstance(value, kind) or isinstance(value, bool) and kind is int:
            raise Gap(
                f"The passport does not say '{path}' in a form that can be enforced.",
                "Run `bridleway passport check` on its file.",
                where=path,
                code="passport-incomplete",
            )
        return value

    def records(self, path: str) -> list[Mapping[str, Any]]:
        found = self.get(path, Sequence)
        if isinstance(found, str) or not all(isinstance(item, Mapping) for item in found):
            raise Gap(f"'{path}' is not a list of records.", "Correct it.", where=path)
        return list(found)


def passport_from_body(body: Any, digest: str) -> Passport:
    """Build the noun from a passport's data. Raises UsageError or Gap with the path."""
    read = _Reader(body)
    tables = _tables(read)
    try:
        passport = Passport(
            body=body,
            digest=digest,
            id=require_id(read.get("id", str), "passport id"),
            version=read.get("version", int),
            level=_one_of(read.get("level", str), LEVELS, "level"),
            author=_person(read.get("roles.author", str), "roles.author"),
            purpose=read.get("purpose.code", str),
            questions=_questions(read),
            tables=tables,
            fields=_fields(read, tables),
            links=tuple(str(link.get("entity", "")) for link in _optional(read, "data.links")),
            controllers={
                str(c.get("id")): tuple(map(str, c.get("sources") or ()))
                for c in read.records("parties.controllers")
            },
            users=_users(read),
            linker=read.get("linker", str, None),
            rules=dict(read.get("disclosure", Mapping, {})),
            valid_from=_moment(read.get("validity.from", str), "validity.from"),
            valid_until=_moment(read.get("validity.until", str), "validity.until"),
            most_runs=read.get("validity.runs", int),
            results_in_the_clear=read.get("technique.results_in_the_clear", str, ""),
        )
    except BridlewayError:
        raise
    except (TypeError, ValueError, AttributeError, KeyError):
        raise Gap(
            "The passport has a part in a form that cannot be enforced.",
            "Run `bridleway passport check` on its file.",
            code="passport-incomplete",
        ) from None
    from bridleway.model.policy import Rules

    Rules.from_json(passport.rules)
    return passport


def _optional(read: _Reader, path: str) -> list[Mapping[str, Any]]:
    return read.records(path) if read.get(path, Sequence, None) else []


def _one_of(value: str, known: tuple[str, ...], path: str) -> Any:
    if value not in known:
        raise Gap(f"'{path}' is none of {', '.join(known)}.", "Choose one.", where=path)
    return value


def _person(value: str, path: str) -> str:
    node, _, name = value.partition("/")
    try:
        require_id(node, "node")
        require_id(name, "person")
    except UsageError:
        raise Gap(f"'{path}' is not a person id.", "Write NODE/NAME.", where=path) from None
    return value


def _moment(value: str, path: str) -> str:
    """Return an ISO date, or a UTC moment for urgent passports, unchanged."""
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        raise Gap(f"'{path}' is not a date.", "Write 2026-11-23.", where=path) from None
    return value


def _questions(read: _Reader) -> tuple[PinnedQuestion, ...]:
    made = []
    for index, item in enumerate(read.records("questions")):
        where = f"questions[{index}]"
        name, text = item.get("id"), item.get("text")
        if not isinstance(name, str) or not isinstance(text, str):
            raise Gap("A question has no id or no text.", "Add them.", where=where)
        use = (
            read.body["technique"].get(name)
            if isinstance(read.body.get("technique"), Mapping)
            else None
        )
        if not isinstance(use, Mapping) or not isinstance(use.get("use"), str):
            raise Gap(
                f"The passport names no technique for question '{name}'.",
                f"Add it under technique: {name}: {{use: linked, why: ...}}.",
                where=where,
            )
        kind = _one_of(str(item.get("kind")), KINDS, f"{where}.kind")
        made.append(PinnedQuestion(name, kind, text, use["use"], str(use.get("why", ""))))
    if len({q.id for q in made}) != len(made) or not made:
        raise Gap(
            "The questions are none, or two have the same id.", "Correct them.", where="questions"
        )
    return tuple(made)


def _tables(read: _Reader) -> dict[str, TableBinding]:
    made = {}
    for name, item in read.get("data.tables", Mapping).items():
        where = f"data.tables.{name}"
        places = item.get("at") if isinstance(item, Mapping) else None
        if not is_sql_name(name) or not isinstance(places, Sequence) or not places:
            raise Gap(
                "A table has no name or no place.",
                "Write name: {at: [node.source.table]}.",
                where=where,
            )
        at = []
        for place in places:
            parts = tuple(str(place).split(".", 2))
            if len(parts) != 3:
                raise Gap("A table's place is not NODE.SOURCE.TABLE.", "Correct it.", where=where)
            at.append((parts[0], parts[1], parts[2]))
        if len({node for node, _, _ in at}) != len(at):
            raise Gap("A table stands for two tables of one node.", "Name them apart.", where=where)
        at_most = item.get("at_most")
        if at_most is not None and (type(at_most) is not int or at_most < 1):
            raise Gap("'at_most' is not a whole number of 1 or more.", "Correct it.", where=where)
        made[name] = TableBinding(
            name, tuple(at), item.get("disjoint") is True, at_most, str(item.get("why", ""))
        )
    return made


def _fields(read: _Reader, tables: Mapping[str, TableBinding]) -> dict[str, dict[str, FieldUse]]:
    """Resolve data.sources[].fields to each table name of the passport.

    A field without `table` belongs to the source's only table; a table that stands for several
    organisations has a field when the source of any of them lists it for all of them.
    """
    listed: dict[tuple[str, str], dict[str, FieldUse]] = {}
    used: dict[str, set[str]] = {}
    for binding in tables.values():
        for node, held, table in binding.at:
            used.setdefault(f"{node}.{held}", set()).add(table)
    for index, source in enumerate(read.records("data.sources")):
        name = str(source.get("id"))
        known = used.get(name, set())
        for item in source.get("fields") or ():
            stated = item.get("table")
            if stated is None and len(known) > 1:
                raise Gap(
                    f"Source '{name}' has several tables: a field does not say which.",
                    "Add `table:` to each field.",
                    where=f"data.sources[{index}].fields",
                )
            for one in [str(stated)] if stated is not None else sorted(known):
                form = _one_of(str(item.get("form")), FORMS, f"data.sources[{index}].fields[].form")
                listed.setdefault((name, one), {})[str(item["name"])] = FieldUse(
                    str(item["name"]), form, str(item.get("why", "")), str(item.get("category", ""))
                )
    made: dict[str, dict[str, FieldUse]] = {}
    for binding in tables.values():
        parts = [listed.get((f"{n}.{s}", t), {}) for n, s, t in binding.at]
        first, *rest = parts
        made[binding.name] = {
            name: use for name, use in first.items() if all(name in part for part in rest)
        }
    return made


def _users(read: _Reader) -> tuple[str, ...]:
    made = []
    for item in read.records("users"):
        if item.get("person"):
            made.append(_person(str(item["person"]), "users[].person"))
        else:
            made.append(f"{item.get('node')}:{item.get('role')}")
    return tuple(made)
