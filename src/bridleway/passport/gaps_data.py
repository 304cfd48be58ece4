"""What opens: sources, fields, tables, links, questions, techniques, disclosure and outputs."""

from __future__ import annotations

import re

from bridleway import references
from bridleway.errors import UsageError, nearest
from bridleway.model.catalogue import TableFacts
from bridleway.model.policy import Rules
from bridleway.passport.document import (
    at,
    bindings_of,
    map_at,
    node_of,
    records_at,
    source_of,
    sources_of,
    techniques_of,
    text_at,
    texts_at,
)
from bridleway.passport.fhir_extracts import COLUMN, HEALTH, is_fhir_table
from bridleway.passport.gaps_touch import (
    ListedField,
    category_flags,
    question_words,
    special_category_hint,
    tables_read,
)
from bridleway.passport.gaps_view import Findings, View

_USING = re.compile(r"\busing\s*\(\s*([A-Za-z_][A-Za-z0-9_]*)\s*\)", re.IGNORECASE)


def table_rules(view: View) -> Findings:
    """Table names stand for tables of listed sources, which exist."""
    sources, bound = sources_of(view.body), bindings_of(view.body)
    for name, places in bound.items():
        here = ("data", "tables", name, "at")
        for number, place in enumerate(places):
            if place.count(".") != 2:
                continue
            if source_of(place) not in sources:
                yield view.gap(
                    f"Table '{name}' reads '{source_of(place)}', which is not under data.sources."
                    f"{nearest(source_of(place), sources)}",
                    "List the source with its fields, or take the table out.",
                    *here, number,
                )  # fmt: skip
            elif view.facts is not None and place not in view.facts:
                yield view.gap(
                    f"No catalogue describes '{place}'.{nearest(place, view.facts)}",
                    "Describe the source with `bridleway source describe`, or correct the name.",
                    *here, number,
                )  # fmt: skip
        if len(places) != len(set(places)):
            yield view.gap(f"Table '{name}' names a place twice.", "Keep one.", *here)
        said = map_at(view.body, "data", "tables", name)
        if "disjoint" in said and not text_at(said, "why") and len(places) > 1:
            yield view.gap(
                f"Table '{name}' says whether people overlap, but not why.",
                "Add why: what makes it so.",
                "data", "tables", name,
            )  # fmt: skip
        most = at(said, "at_most")
        if type(most) is int and most > len(places):
            yield view.gap(
                f"Table '{name}' says that a person is at {most} of {len(places)} places at most.",
                "Write a number up to the number of places.",
                "data", "tables", name, "at_most",
            )  # fmt: skip
    read = {source_of(p) for places in bound.values() for p in places}
    for source, number in sources.items():
        if bound and source not in read:
            yield view.gap(
                f"No table of the passport reads '{source}'.",
                "Name its table under data.tables, or take the source out.",
                "data", "sources", number,
            )  # fmt: skip


def field_rules(view: View) -> Findings:
    """Each field exists, says which table it is of, and opens in a form that fits its class."""
    seen: set[tuple[str, str, str]] = set()
    for one in view.touched.fields:
        here = ("data", "sources", one.source_at, "fields", one.field_at)
        if not one.name:
            continue
        key = (one.source, one.table, one.name)
        if key in seen:
            yield view.gap(f"'{one.name}' is listed twice.", "Keep one.", *here)
        seen.add(key)
        tables = _tables_of(view, one.source)
        if tables is not None and tables:
            yield from _exists(view, one, tables, here)
        yield from _class_and_category(view, one, here)


def _tables_of(view: View, source: str) -> list[TableFacts] | None:
    if view.facts is None:
        return None
    places = {p for places in bindings_of(view.body).values() for p in places}
    return [view.facts[p] for p in sorted(places) if source_of(p) == source and p in view.facts]


def _exists(
    view: View, one: ListedField, tables: list[TableFacts], here: tuple[str | int, ...]
) -> Findings:
    said = text_at(view.body, *here, "table")
    if said and said not in [t.table for t in tables]:
        yield view.gap(
            f"'{one.source}' has no table '{said}' in this passport."
            f"{nearest(said, [t.table for t in tables])}",
            "Correct the name, or add the table under data.tables.",
            *here, "table",
        )  # fmt: skip
        return
    holders = [t for t in tables if one.name in t.columns and said in ("", t.table)]
    if not holders:
        known = [c for t in tables if said in ("", t.table) for c in t.columns]
        yield view.gap(
            f"'{one.source}' has no column '{one.name}'.{nearest(one.name, known)}",
            "Take a name from the catalogue.",
            *here, "name",
        )  # fmt: skip
    elif len(holders) > 1 and not said:
        yield view.gap(
            f"'{one.name}' is in several tables of '{one.source}'.",
            f"Add table: {' or '.join(t.table for t in holders)}.",
            *here,
        )


def _class_and_category(view: View, one: ListedField, here: tuple[str | int, ...]) -> Findings:
    cls = one.column.cls if one.column else ""
    if cls == "identifier" and one.form not in ("key-only", "hashed", ""):
        yield view.gap(
            f"'{one.name}' is an identifier, and opens {one.form}.",
            "Write form: key-only; an identifier joins, and is never shown. In an extract it can "
            "leave as a pseudonym: form: hashed.",
            *here, "form",
        )  # fmt: skip
    if not one.category and cls != "plain":
        why = f"the catalogue classes it as {cls}" if cls else "the catalogue is not at hand"
        yield view.gap(
            f"'{one.name}' has no category, and {why}.",
            "Add category: an id of fides_terms or dpv_terms, such as uk.housing.tenure.",
            *here,
        )
        return
    if _says_special(one):
        return
    if hint := _name_suggests(view, one):
        yield view.warning(
            f"The name '{one.name}' suggests {hint}, and its category does not say so.",
            "Check the category: special category data asks for more.",
            *here,
        )
    elif _holds_resources(view, one) and "made-up" not in view.touched:
        yield view.warning(
            f"'{one.name}' holds FHIR resources, which is health data, and its category does not "
            "say so.",
            f"Write category: {HEALTH}, or a part of it.",
            *here,
        )


def _says_special(one: ListedField) -> bool:
    return any(flag in ("special", "offence") for flag, _ in category_flags(one.category))


def _name_suggests(view: View, one: ListedField) -> str:
    """Return the kind of data that a field's name suggests and the passport leaves out, or "".

    A key such as `patient` says what its rows are about. Where another field of its table is said
    to be of that kind, or every record is made up, the passport has said more than the name does.
    """
    hint = special_category_hint(one.name)
    is_key = one.form in ("key-only", "hashed") or (
        one.column is not None and one.column.cls == "identifier"
    )
    if hint and is_key:
        said = {
            label
            for other in view.touched.fields
            if (other.source, other.table) == (one.source, one.table)
            for _, label in category_flags(other.category)
        }
        if "made-up" in view.touched or hint in said:
            return ""
    return hint


def _holds_resources(view: View, one: ListedField) -> bool:
    facts = (view.facts or {}).get(f"{one.source}.{one.table}")
    return one.name == COLUMN and facts is not None and is_fhir_table(facts)


def link_rules(view: View) -> Findings:
    """Links name tables of the passport, which identify the entity and list its column."""
    bound = bindings_of(view.body)
    for number, link in records_at(view.body, "data", "links"):
        here, entity = ("data", "links", number), text_at(link, "entity")
        tables = texts_at(link, "tables")
        if len(set(tables)) < 2 and tables and len(bound.get(tables[0], [])) < 2:
            yield view.gap("A link joins two tables or more.", "Name them.", *here, "tables")
        for index, name in enumerate(tables):
            if name not in bound:
                yield view.gap(
                    f"'{name}' is not under data.tables.{nearest(name, bound)}",
                    "Take a name from data.tables.",
                    *here, "tables", index,
                )  # fmt: skip
                continue
            for place in bound[name]:
                yield from _identifies(view, place, entity, here)
    yield from _joins_are_links(view)


def _identifies(view: View, place: str, entity: str, here: tuple[str | int, ...]) -> Findings:
    known = (view.facts or {}).get(place)
    if known is None or not entity:
        return
    key = known.entities.get(entity)
    if key is None:
        yield view.gap(
            f"'{place}' does not say which column identifies a {entity}."
            f"{nearest(entity, known.entities)}",
            "Join by an entity of its catalogue, or add it there.",
            *here, "entity",
        )  # fmt: skip
    elif not any(
        f.source == known.source_id and f.name == key.column and f.table in ("", known.table)
        for f in view.touched.fields
    ):
        yield view.gap(
            f"The join by {entity} reads '{key.column}' of '{place}', which is not listed.",
            f"List it under data.sources: name: {key.column}, form: key-only, why.",
            *here,
        )


def _joins_are_links(view: View) -> Findings:
    links = {
        (text_at(link, "entity").lower(), name)
        for _, link in records_at(view.body, "data", "links")
        for name in texts_at(link, "tables")
    }
    entities = {entity for entity, _ in links}
    for number, question in records_at(view.body, "questions"):
        words = question_words(text_at(question, "text"))
        for entity in _USING.findall(words) if links else ():
            if entity.lower() not in entities:
                yield view.gap(
                    f"Question '{text_at(question, 'id')}' joins by '{entity}', which no link "
                    f"allows.{nearest(entity, entities)}",
                    "Add the link under data.links, or join by one that is there.",
                    "questions", number, "text",
                )  # fmt: skip


def question_rules(view: View) -> Findings:
    """Each question has a technique that fits it, and reads only the passport's table names."""
    questions = {text_at(q, "id"): (n, q) for n, q in records_at(view.body, "questions")}
    uses, bound = techniques_of(view.body), bindings_of(view.body)
    for name in map_at(view.body, "technique"):
        if name not in questions and name != "results_in_the_clear" and questions:
            yield view.gap(
                f"There is no question '{name}' to use a technique for."
                f"{nearest(name, [q for q in questions if q])}",
                f"Write one of {', '.join(questions)}.",
                "technique", name,
            )  # fmt: skip
    for name, (number, question) in questions.items():
        if not name:
            continue
        if name not in map_at(view.body, "technique") and map_at(view.body, "technique"):
            yield view.gap(
                f"Question '{name}' has no technique.",
                f"Add technique.{name}: {{use: local, federated or linked, why: ...}}.",
                "questions", number,
            )  # fmt: skip
        read = tables_read(text_at(question, "text"))
        for table in read:
            if bound and table not in bound:
                yield view.gap(
                    f"Question '{name}' reads '{table}', which is not under data.tables."
                    f"{nearest(table, bound)}",
                    "Add it there, or use a name that is.",
                    "questions", number, "text",
                )  # fmt: skip
        places = [p for table in read for p in bound.get(table, [])]
        yield from _technique_fits(view, name, number, text_at(question, "kind"), uses, places)


def _technique_fits(
    view: View, name: str, number: int, kind: str, uses: dict[str, str], places: list[str]
) -> Findings:
    use, nodes = uses.get(name, ""), {node_of(p) for p in places}
    here = ("technique", name, "use")
    if use and (kind == "decision") != (use == "decision") and kind in ("decision", "statistic"):
        yield view.gap(
            f"Question '{name}' is of kind {kind}, and its technique is {use}.",
            "A decision uses decision; a statistic uses local, federated, linked or blind.",
            *here,
        )
    if use == "local" and len({source_of(p) for p in places}) > 1:
        yield view.gap(
            f"Question '{name}' reads several sources, and local means one.",
            "Write use: linked to join people, or federated to add totals.",
            *here,
        )
    if use == "federated" and places and len(nodes) < 3:
        yield view.gap(
            f"Question '{name}' is federated over {len(nodes)} organisations; under three, a "
            "total shows what the other one sent.",
            "Add organisations, or use linked.",
            *here,
        )
    if use in ("linked", "blind") and places and len({source_of(p) for p in places}) < 2:
        yield view.gap(
            f"Question '{name}' is {use}, and reads one source only.", "Write use: local.", *here
        )


def disclosure_rules(view: View) -> Findings:
    """The rules are ones the software knows, and the outputs promise the same."""
    said = {n: v for n, v in map_at(view.body, "disclosure").items() if n != "preset"}
    try:
        rules = Rules.from_json(said)
    except UsageError:
        return  # the shape has already said which rule, and where
    for name, output in (("smallest_group", "smallest_group"), ("rounding_counts", "rounding")):
        shown = at(view.body, "outputs", output)
        if type(shown) is int and name in said and shown != said[name]:
            yield view.gap(
                f"outputs.{output} is {shown}, and disclosure.{name} is {said[name]}.",
                "Write the same number in both.",
                "outputs", output,
            )  # fmt: skip
    looser = rules.looser_than(Rules())
    if looser:
        yield view.warning(
            f"Looser than a new node's floor: {', '.join(looser)}.",
            "The strictest of passport and policies applies; a node may withhold more.",
            "disclosure",
        )


def output_rules(view: View) -> Findings:
    """The form fits the questions; outputs that name people are checked by a second person."""
    form = text_at(view.body, "outputs", "form")
    row = references.rows("own_terms", "outputs").get(form)
    if row is None:
        return
    kinds = references.rows("own_terms", "question_kinds")
    for _, question in records_at(view.body, "questions"):
        kind = kinds.get(text_at(question, "kind"))
        if kind and form not in kind["forms"]:
            yield view.gap(
                f"Question '{text_at(question, 'id')}' is of kind {kind['id']}, which never "
                f"gives the form '{form}'.",
                f"Write {' or '.join(kind['forms'])}.",
                "outputs", "form",
            )  # fmt: skip
    if not row["automatic"] and not text_at(view.body, "outputs", "checker"):
        yield view.gap(
            "This form of output is not safe by rule alone, and nobody checks it.",
            "Add outputs.checker: a second person.",
            "outputs",
        )
