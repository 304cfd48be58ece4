"""A passport's data read into the noun that nodes enforce: each wrong part is named by its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from bridleway.errors import Gap, UsageError, nearest
from bridleway.model.names import is_sql_name, require_id
from bridleway.model.passport import FieldUse, Passport, PinnedQuestion, TableBinding
from bridleway.passport.preset import rules_said
from bridleway.passport.rules import rules_of
from bridleway.passport.times import end_of, require_time, start_of

LEVELS = ("level-light", "level-standard", "level-full", "level-urgent")
KINDS = ("statistic", "decision", "extract", "test-data")
FORMS = ("raw", "banded", "hashed", "key-only")


def wrong(sentence: str, remedy: str, path: str) -> NoReturn:
    """Raise the Gap of a part that cannot be enforced."""
    raise Gap(sentence, remedy, where=path, code="passport-incomplete")


class Part:
    """One record of the passport and its path."""

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, Mapping):
            _missing(path)
        self.value: Mapping[str, Any] = value
        self.path = path

    def where(self, key: str) -> str:
        """Return the path of one of its keys."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Tell whether it states the key."""
        return self.value.get(key) is not None

    def part(self, key: str) -> Part:
        """Return the record under a key."""
        return Part(self.value.get(key), self.where(key))

    def parts(self, key: str) -> list[Part]:
        """Return the records of the list under a key; none where it is absent."""
        found = self.value.get(key)
        if found is None:
            return []
        if not isinstance(found, Sequence) or isinstance(found, str):
            wrong(f"'{self.where(key)}' is not a list.", "Write one.", self.where(key))
        return [Part(item, f"{self.where(key)}[{n}]") for n, item in enumerate(found)]

    def text(self, key: str, default: str | None = None) -> str:
        """Return the text under a key, never blank unless a default says so."""
        found = self.value.get(key, default)
        if found is None and default is not None:
            return default
        if not isinstance(found, str) or (not found.strip() and default is None):
            _missing(self.where(key))
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of the list under a key."""
        found = self.value.get(key)
        if (
            not isinstance(found, Sequence)
            or isinstance(found, str)
            or not all(isinstance(item, str) for item in found)
        ):
            _missing(self.where(key))
        return tuple(found)

    def whole(self, key: str) -> int:
        """Return the whole number of 1 or more under a key."""
        found = self.value.get(key)
        if type(found) is not int or found < 1:
            wrong(
                f"'{self.where(key)}' is not a whole number of 1 or more.",
                "Correct it.",
                self.where(key),
            )
        return found

    def one_of(self, key: str, known: tuple[str, ...]) -> Any:
        """Return the text under a key if it is one of those known."""
        found = self.text(key)
        if found not in known:
            wrong(
                f"'{self.where(key)}' is none of {', '.join(known)}.",
                "Choose one.",
                self.where(key),
            )
        return found

    def id(self, key: str) -> str:
        """Return the id under a key."""
        return _id(self.text(key), self.where(key))

    def person(self, key: str) -> str:
        """Return the person id `node/person` under a key."""
        found = self.text(key)
        node, _, name = found.partition("/")
        try:
            require_id(node, "node")
            require_id(name, "person")
        except UsageError:
            wrong(f"'{self.where(key)}' is not a person id.", "Write NODE/NAME.", self.where(key))
        return found


def _missing(path: str) -> NoReturn:
    wrong(
        f"The passport does not say '{path}' in a form that can be enforced.",
        "Run `bridleway passport check` on its file.",
        path,
    )


def _id(value: str, path: str) -> str:
    try:
        return require_id(value, path)
    except UsageError:
        wrong(
            f"'{path}' is not an id.",
            "Use lower-case letters a to z, digits and hyphens, at most 64.",
            path,
        )


def passport_from_body(body: Any, digest: str) -> Passport:
    """Build the noun from a passport's data. Raises UsageError or Gap with the path."""
    if not isinstance(body, Mapping):
        raise UsageError("This is not a passport.", "Start from `bridleway passport new`.")
    whole = Part(body)
    _require_known_keys(body)
    data, validity, technique = whole.part("data"), whole.part("validity"), whole.part("technique")
    tables = _tables(data)
    passport = Passport(
        body=body,
        digest=digest,
        id=whole.id("id"),
        version=whole.whole("version"),
        level=whole.one_of("level", LEVELS),
        author=whole.part("roles").person("author"),
        purpose=whole.part("purpose").text("code"),
        questions=_questions(whole, technique),
        tables=tables,
        fields=_fields(data, tables),
        links=tuple(entity for entity, _ in _links(data, tables)),
        controllers=_controllers(whole.part("parties"), tables),
        users=_users(whole),
        linker=whole.id("linker") if whole.has("linker") else None,
        rules=rules_said(body) if whole.has("disclosure") and whole.part("disclosure") else {},
        valid_from=require_time(validity.value.get("from"), "validity.from"),
        valid_until=require_time(validity.value.get("until"), "validity.until"),
        most_runs=validity.whole("runs"),
        results_in_the_clear=technique.text("results_in_the_clear", "").strip(),
    )
    if end_of(passport.valid_until) < start_of(passport.valid_from):
        wrong("The passport ends before it starts.", "Swap the dates.", "validity.until")
    rules_of(passport)
    return passport


def links_of(passport: Passport) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return each declared link: the entity and the passport's tables that it may join."""
    return _links(Part(passport.body).part("data"), passport.tables)


def _require_known_keys(body: Mapping[str, Any]) -> None:
    from bridleway.passport.gaps_model import shapes

    known = shapes()
    for key in body:
        if key not in known:
            raise UsageError(
                f"A passport has no field '{key}'.{nearest(str(key), known)}",
                "Take it out, or correct its name.",
                where=str(key),
            )


# -- questions


def _questions(whole: Part, technique: Part) -> tuple[PinnedQuestion, ...]:
    made: dict[str, PinnedQuestion] = {}
    for item in whole.parts("questions"):
        name = item.id("id")
        if name in made:
            wrong(f"Two questions have the id '{name}'.", "Name one of them anew.", item.path)
        if not technique.has(name):
            wrong(
                f"The passport names no technique for question '{name}'.",
                f"Add it under technique: {name}: {{use: linked, why: ...}}.",
                item.path,
            )
        use = technique.part(name)
        kind = item.one_of("kind", KINDS)
        made[name] = PinnedQuestion(
            id=name,
            kind=kind,
            recipe=_recipe(whole, name) if kind == "extract" else None,
            text=item.text("text"),
            technique=use.text("use"),
            why=use.text("why", ""),
        )
    if not made:
        wrong("The passport has no question.", "Add one under questions.", "questions")
    return tuple(made.values())


def _recipe(whole: Part, name: str) -> Mapping[str, Any]:
    """Return an extract's recipe, once it can be read."""
    from bridleway.extract.recipe import read_recipe
    from bridleway.passport.fhir_extracts import is_fhir, read_fhir

    if not whole.has("extracts") or not whole.part("extracts").has(name):
        wrong(
            f"The passport has no recipe for extract '{name}'.",
            f"Add it under extracts: {name}. `bridleway extract plan` proposes one.",
            "extracts",
        )
    told = whole.part("extracts").part(name)
    try:
        if is_fhir(told.value):
            read_fhir(told.value, told.path)
        else:
            read_recipe(told.value, told.path)
    except UsageError as error:
        raise Gap(
            error.sentence, error.remedy, where=error.where, code="passport-incomplete"
        ) from None
    return told.value


# -- tables, fields, links


def _tables(data: Part) -> dict[str, TableBinding]:
    made: dict[str, TableBinding] = {}
    tables = data.part("tables")
    for name in tables.value:
        if not is_sql_name(name):
            wrong(f"'{name}' is no name for a table.", "Use a to z, 0 to 9 and _.", tables.path)
        item = tables.part(name)
        at = tuple(_place(place, item.where("at")) for place in item.texts("at"))
        if not at:
            wrong(f"Table '{name}' has no place.", "Write at: [node.source.table].", item.path)
        if len({node for node, _, _ in at}) != len(at):
            wrong("A table stands for two tables of one node.", "Name them apart.", item.path)
        most = item.whole("at_most") if item.has("at_most") else None
        disjoint = item.value.get("disjoint") is True
        made[name] = TableBinding(name, at, disjoint, most, item.text("why", ""))
    if not made:
        wrong("The passport names no table.", "Add one under data.tables.", "data.tables")
    return made


def _place(place: str, path: str) -> tuple[str, str, str]:
    node, _, rest = place.partition(".")
    source, _, table = rest.partition(".")
    if not table:
        wrong("A table's place is not NODE.SOURCE.TABLE.", "Correct it.", path)
    return _id(node, path), source, table


def _fields(data: Part, tables: Mapping[str, TableBinding]) -> dict[str, dict[str, FieldUse]]:
    """Resolve data.sources[].fields to each table name of the passport.

    A field without `table` belongs to the source's only table. A table that stands for several
    organisations opens what the sources of all of them list, in the form that they agree on.
    """
    held: dict[str, set[str]] = {}
    for binding in tables.values():
        for node, source, table in binding.at:
            held.setdefault(f"{node}.{source}", set()).add(table)
    listed = _listed(data, held)
    for source in held:
        if source not in listed:
            wrong(
                f"A table reads '{source}', which is not under data.sources.",
                "List the source with its fields, or take the table out.",
                "data.sources",
            )
    made: dict[str, dict[str, FieldUse]] = {}
    for binding in tables.values():
        parts = [listed[f"{n}.{s}"].get(t, {}) for n, s, t in binding.at]
        shared = [name for name in parts[0] if all(name in part for part in parts)]
        for name in shared:
            if len({part[name].form for part in parts}) > 1:
                wrong(
                    f"The organisations of '{binding.name}' open '{name}' in different forms.",
                    "Write one form for all of them.",
                    f"data.tables.{binding.name}",
                )
        made[binding.name] = {name: parts[0][name] for name in shared}
    return made


def _listed(data: Part, held: Mapping[str, set[str]]) -> dict[str, dict[str, dict[str, FieldUse]]]:
    """Return source id -> table -> field name -> use."""
    made: dict[str, dict[str, dict[str, FieldUse]]] = {}
    for source in data.parts("sources"):
        name = source.text("id")
        if name in made:
            wrong(f"The source '{name}' is there twice.", "Keep one.", source.path)
        of_source = made.setdefault(name, {})
        known = held.get(name, set())
        for item in source.parts("fields"):
            table = _table_of(item, name, known)
            use = FieldUse(
                name=item.text("name"),
                form=item.one_of("form", FORMS),
                why=item.text("why", ""),
                category=item.text("category", ""),
            )
            of_table = of_source.setdefault(table, {})
            if use.name in of_table:
                wrong(f"'{use.name}' is listed twice.", "Keep one.", item.path)
            of_table[use.name] = use
    return made


def _table_of(item: Part, source: str, known: set[str]) -> str:
    if item.has("table"):
        table = item.text("table")
        if known and table not in known:
            wrong(
                f"No table of the passport is '{source}.{table}'.{nearest(table, known)}",
                "Correct the name, or add the table under data.tables.",
                item.where("table"),
            )
        return table
    if len(known) > 1:
        wrong(
            f"Source '{source}' has several tables, and a field does not say which.",
            "Add `table:` to each field.",
            item.path,
        )
    return next(iter(known), "")


def _links(
    data: Part, tables: Mapping[str, TableBinding]
) -> tuple[tuple[str, frozenset[str]], ...]:
    made = []
    for link in data.parts("links"):
        entity, joined = link.text("entity"), link.texts("tables")
        if not is_sql_name(entity):
            wrong(f"'{link.where('entity')}' is no name.", "Write person.", link.where("entity"))
        for name in joined:
            if name not in tables:
                wrong(
                    f"'{name}' is not under data.tables.{nearest(name, tables)}",
                    "Take a name from data.tables.",
                    link.where("tables"),
                )
        made.append((entity, frozenset(joined)))
    return tuple(made)


# -- people


def _controllers(parties: Part, tables: Mapping[str, TableBinding]) -> dict[str, tuple[str, ...]]:
    made: dict[str, tuple[str, ...]] = {}
    for item in parties.parts("controllers"):
        node = item.id("id")
        if node in made:
            wrong(f"The controller '{node}' is there twice.", "Keep one.", item.path)
        made[node] = item.texts("sources")
        for source in made[node]:
            if source.partition(".")[0] != node:
                wrong(
                    f"'{node}' is named as controller of '{source}', which another node holds.",
                    "A controller decides for the sources of its own node.",
                    item.where("sources"),
                )
    for binding in tables.values():
        for node, source, _ in binding.at:
            if f"{node}.{source}" not in made.get(node, ()):
                wrong(
                    f"No controller is named for '{node}.{source}'.",
                    f"Add it to the sources of '{node}' under parties.controllers.",
                    "parties.controllers",
                )
    return made


def _users(whole: Part) -> tuple[str, ...]:
    """Return who may ask: person ids, and `node:role` for everybody in a role at a node."""
    made = []
    for item in whole.parts("users"):
        if item.has("person"):
            made.append(item.person("person"))
        else:
            made.append(f"{item.id('node')}:{item.id('role')}")
    return tuple(made)
