"""The recipe of an extract: what each column is, and what must hold of the file that leaves.

    k: 5
    suppression: 0.05
    columns:
      age: {class: quasi-identifier, hierarchy: {numbers: {widths: [5, 10, 20]}}}
      diagnosis: {class: sensitive, l: 2, t: 0.3}
      nhs_number: {class: identifier}

A recipe is plain data: a passport holds it for its extract, `bridleway anonymise` takes it from a
file or from the command line. Every column of the table is declared; what is not is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn, TypeAlias
from typing import Literal as OneOf

from bridleway import parts
from bridleway.errors import UsageError, nearest
from bridleway.extract.asked import (
    MISSING,
    SEPARATOR,
    WITHINS,
    AskedPopulation,
    M,
    Missing,
    SetColumn,
)  # fmt: skip
from bridleway.extract.locally import Change, Pseudonym, Redaction, changes_of, pseudonyms_of

Recoding: TypeAlias = OneOf["full-domain", "local"]
Distance: TypeAlias = OneOf["equal", "ordered", "hierarchical"]

BUILDERS = "bridleway.extract.builders"
FILES = {"file": "path", "mapping": "file"}  # builders that read a file, and the option naming it
CLASSES = (
    "quasi-identifier", "sensitive", "set", "identifier", "pseudonym", "entity", "plain",
    "free-text",
)  # fmt: skip
SUPPRESSED = ("rows", "cells")
RECODINGS = ("full-domain", "local")
DISTANCES = ("equal", "ordered", "hierarchical")

_WITHIN = re.compile(r"bridleway_(rows|run|(from|to|lent|change)(_[0-9]+)?|[0-9]+)")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")

# What is said of a column besides its class.
_KNOWN = {
    "plain": ("class", "change"),
    "free-text": ("class", "redact"),
    "pseudonym": ("class", "identifier"),
}

K = 5
SUPPRESSION = 0.05
LEAST_L = 2
MOST_T = 0.3


@dataclass(frozen=True, slots=True)
class Quasi:
    """A quasi-identifier.

    builder, options: its hierarchy; level: to which it is generalised, where the recipe says it
    (with local recoding, at least). missing: a missing value is a category like any other, or
    rows without a value do not leave. averaged: instead of a hierarchy, its numbers are
    microaggregated within the classes of the other quasi-identifiers; the search sees its top.
    """

    name: str
    builder: str = "values"
    options: Mapping[str, Any] = field(default_factory=dict)
    level: int | None = None
    missing: Missing = "category"
    averaged: bool = False


@dataclass(frozen=True, slots=True)
class Sensitive:
    """A sensitive column, and what every class must be like in it.

    distinct, entropy: l of l-diversity; recursive: (c, l); t: of t-closeness, by `distance`;
    beta: of beta-likeness. order: the values in order; builder, options: their hierarchy.
    """

    name: str
    distinct: int | None = None
    entropy: float | None = None
    recursive: tuple[float, int] | None = None
    t: float | None = None
    distance: Distance = "equal"
    beta: float | None = None
    enhanced: bool = False
    order: tuple[str | None, ...] | None = None
    builder: str = "values"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is done to a table.

    suppression: the largest share of rows that may be left out; dropped: identifiers and free
    text; plain: columns that leave as they are; entity: whose distinct values k counts;
    classify: the column whose prediction the report checks; items: a column of sets; population:
    what is known or asked of those from whom the rows were drawn. changes: of sensitive and plain
    columns; pseudonyms: identifiers that leave as keyed pseudonyms, and why; redacted: free text
    that leaves with what is found in it replaced. suppress: whether rows that stay too few are
    left out, or cells of theirs. downcoding: by which share of the hidden cells that attack may
    beat its baseline.
    """

    quasi: tuple[Quasi, ...]
    sensitive: tuple[Sensitive, ...] = ()
    dropped: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    entity: str | None = None
    k: int = K
    suppression: float = SUPPRESSION
    recoding: Recoding = "full-domain"
    classify: str | None = None
    items: SetColumn | None = None
    population: AskedPopulation = AskedPopulation()
    suppress: str = "rows"
    changes: tuple[Change, ...] = ()
    pseudonyms: tuple[Pseudonym, ...] = ()
    why_pseudonyms: str = ""
    redacted: tuple[Redaction, ...] = ()
    downcoding: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """Return every column that is declared."""
        entity = () if self.entity in (None, *self.own_names) else (self.entity or "",)
        return (*self.released, *self.dropped, *entity)

    @property
    def released(self) -> tuple[str, ...]:
        """Return the columns that leave."""
        named = (*(q.name for q in self.quasi), *(s.name for s in self.sensitive))
        kept = (*self.own_names, *(one.column for one in self.redacted))
        return (*named, *self._sets, *self.plain, *kept)

    @property
    def own_names(self) -> tuple[str, ...]:
        """Return the columns that leave as pseudonyms."""
        return tuple(one.column for one in self.pseudonyms)

    @property
    def drawn(self) -> tuple[str, ...]:
        """Return the columns that change by chance."""
        return tuple(one.column for one in self.changes if one.draws is not None)

    @property
    def changed_last(self) -> tuple[str, ...]:
        """Return the columns that change in this process, after the engine has made the rows."""
        return (*self.drawn, *self.own_names, *(one.column for one in self.redacted))

    @property
    def needed(self) -> tuple[str, ...]:
        """Return the quasi-identifiers without which a row does not leave."""
        return tuple(one.name for one in self.quasi if one.missing == "leave-out")

    @property
    def _sets(self) -> tuple[str, ...]:
        return () if self.items is None else (self.items.name,)


def require_declared(recipe: Recipe, columns: Sequence[str]) -> None:
    """Raise UsageError unless the recipe declares every column, and none that is not there."""
    _require_names(columns)
    undeclared = [name for name in columns if name not in recipe.columns]
    if undeclared:
        listed = ", ".join(f"'{name}'" for name in undeclared[:20])
        raise UsageError(
            f"{'A column is' if len(undeclared) == 1 else 'Columns are'} not declared: {listed}.",
            "Say of each column what it is: quasi-identifier, sensitive, set, identifier, entity, "
            "free-text or plain. Identifiers and free text do not leave.",
            where=undeclared[0],
        )
    for name in recipe.columns:
        if name not in columns:
            raise UsageError(
                f"The table has no column '{name}'.{nearest(name, columns)}",
                "Correct the name, or take it out of the recipe.",
                where=name,
            )


def require_population(recipe: Recipe, columns: Sequence[str]) -> None:
    """Raise UsageError unless a table of the population has the columns that are looked up."""
    entity = () if recipe.entity is None else (recipe.entity,)
    for name in (*(q.name for q in recipe.quasi), *entity):
        if name not in columns:
            raise UsageError(
                f"The population has no column '{name}'.{nearest(name, columns)}",
                "Name a table of everybody from among whom the rows were drawn, with the same "
                "quasi-identifiers, and the entity where rows are not people.",
                where="population",
            )


def _require_names(columns: Sequence[str]) -> None:
    """Raise UsageError for names that no engine tells apart, or that are used within."""
    known: set[str] = set()
    for name in columns:
        if not name.strip():
            raise UsageError("A column has no name.", "Give it one.")
        if name.casefold() in known:
            raise UsageError(
                "Two columns have the same name, or names that differ in case alone.",
                "Rename one of them.",
                where=name,
            )
        if _WITHIN.fullmatch(name.casefold()):
            raise UsageError(
                "A column has a name that extracts use themselves.", "Rename it.", where=name
            )
        known.add(name.casefold())


def read_recipe(body: object, where: str = "recipe") -> Recipe:
    """Read a recipe from plain data. Raises UsageError with the place."""
    return _Reader(where).recipe(body)


def _class_of(said: Any) -> Any:
    return said.get("class") if isinstance(said, Mapping) else said


class _Reader:
    def __init__(self, where: str) -> None:
        self.where = where

    def recipe(self, body: object) -> Recipe:
        known = ("k", "suppression", "recoding", "suppress", "pseudonyms", "classify", "columns",
                 "population", "downcoding")  # fmt: skip
        told = self._record(body, "", known)
        columns = self._record(told.get("columns"), "columns", None)
        quasi: list[Quasi] = []
        sensitive: list[Sensitive] = []
        sets: list[SetColumn] = []
        others: dict[str, list[str]] = {name: [] for name in CLASSES}
        for name, said in columns.items():
            path = f"columns.{name}"
            one = {"class": said} if isinstance(said, str) else said
            cls = self._record(one, path, None).get("class")
            if cls not in CLASSES:
                self._wrong(f"'{cls}' is no class of a column.{nearest(str(cls), CLASSES)}",
                            f"Known: {', '.join(CLASSES)}.", path)  # fmt: skip
            if cls == "quasi-identifier":
                quasi.append(self._quasi(name, one, path))
            elif cls == "sensitive":
                sensitive.append(self._sensitive(name, one, path))
            elif cls == "set":
                sets.append(self._set(name, one, path))
            else:
                self._record(one, path, _KNOWN.get(cls, ("class",)))
                others[cls].append(name)
        if not quasi:
            self._wrong(
                "The recipe names no quasi-identifier.",
                "Name the columns by which somebody could be recognised.",
                "columns",
            )
        if len(others["entity"]) > 1:
            self._wrong("Two columns are the entity.", "Name one.", "columns")
        if len(sets) > 1:
            self._wrong("Two columns are sets, and items of both together would not be looked at.",
                        "Name one, and drop the other or join them in one column.",
                        "columns")  # fmt: skip
        recoding = told.get("recoding", "full-domain")
        if recoding not in RECODINGS:
            self._wrong(
                f"'{recoding}' is no recoding.", f"Known: {', '.join(RECODINGS)}.", "recoding"
            )
        suppress = told.get("suppress", "rows")
        if suppress not in SUPPRESSED:
            self._wrong(
                f"'{suppress}' cannot be suppressed.",
                f"Known: {', '.join(SUPPRESSED)}.",
                "suppress",
            )
        if suppress == "cells" and recoding == "local":
            self._wrong(
                "Local recoding leaves nothing out, so it suppresses no cells.",
                "Take out `suppress`, or write `recoding: full-domain`.",
                "suppress",
            )
        pseudonyms, why = pseudonyms_of(told, columns, self._at)
        redacted = tuple(
            Redaction.read(name, columns[name], self._at(f"columns.{name}"))
            for name in others["free-text"]
            if isinstance(columns[name], Mapping) and "redact" in columns[name]
        )
        kept = {one.column for one in redacted}
        # A pseudonym makes rows of one person known as such: k then counts people.
        entities = others["entity"] or others["pseudonym"]
        return Recipe(
            tuple(quasi),
            tuple(sensitive),
            (*others["identifier"], *(name for name in others["free-text"] if name not in kept)),
            tuple(others["plain"]),
            entities[0] if entities else None,
            self._whole(told, "k", 1, K) or K,
            self._number(told, "suppression", 0, 1, SUPPRESSION) or 0.0,
            recoding,
            self._classify(told.get("classify"), columns, others),
            sets[0] if sets else None,
            self._population(told.get("population", {})),
            suppress,
            changes_of(columns, [s.name for s in sensitive] + others["plain"], self._at),
            pseudonyms,
            why,
            redacted,
            self._number(told, "downcoding", 0, 1, 0.0) or 0.0,
        )

    def _classify(
        self, name: object, columns: Mapping[str, Any], others: Mapping[str, list[str]]
    ) -> str | None:
        if name is None:
            return None
        away = {*others["identifier"], *others["free-text"], *others["entity"]}
        away |= {column for column, said in columns.items() if _class_of(said) == "set"}
        away |= {*others["pseudonym"]}
        leaves = [column for column in columns if column not in away]
        if name not in leaves:
            self._wrong(f"No column '{name}' leaves.{nearest(str(name), leaves)}",
                        "Name a column that does.", "classify")  # fmt: skip
        return str(name)

    def _population(self, said: object) -> AskedPopulation:
        path = "population"
        one = self._record(said, path, ("k", "presence", "fraction", "size"))
        presence = None
        if "presence" in one:
            two = self._record(one["presence"], f"{path}.presence", ("least", "most"))
            least, most = (
                self._number(two, key, 0, 1, default, f"{path}.presence.{key}")
                for key, default in (("least", 0.0), ("most", 1.0))
            )
            presence = (least or 0.0, 1.0 if most is None else most)
            if presence[0] > presence[1]:
                self._wrong("'least' is more than 'most'.", "Write the smaller one as least.",
                            f"{path}.presence")  # fmt: skip
        fraction = self._number(one, "fraction", 0, 1, None, path)
        size = self._whole(one, "size", 1, None, path)
        if fraction == 0:
            self._wrong(
                "'fraction' is 0.", "Write which part of the population the table is.", path
            )
        if fraction is not None and size is not None:
            self._wrong(
                "The population has both a fraction and a size.", "Write one of them.", path
            )
        return AskedPopulation(self._whole(one, "k", 1, None, path), presence, fraction, size)

    def _set(self, name: str, said: object, path: str) -> SetColumn:
        one = self._record(said, path, ("class", "m", "within", "separator", "hierarchy"))
        within, separator = one.get("within", "class"), one.get("separator", SEPARATOR)
        if within not in WITHINS:
            self._wrong(f"Items are not counted within '{within}'.", "Write class or table.", path)
        if not isinstance(separator, str) or not separator:
            self._wrong("'separator' is no text.", 'Write what stands between items: ";".', path)
        builder, options = self._hierarchy(one.get("hierarchy", "values"), path)
        m = self._whole(one, "m", 1, M, path) or M
        return SetColumn(name, m, within, separator, builder, options)

    def _quasi(self, name: str, said: object, path: str) -> Quasi:
        one = self._record(said, path, ("class", "hierarchy", "level", "missing", "microaggregate"))
        averaged = one.get("microaggregate", False)
        if not isinstance(averaged, bool):
            self._wrong("'microaggregate' is neither true nor false.", "Write true.", path)
        if averaged and ("hierarchy" in one or "level" in one):
            self._wrong("A column that is microaggregated has no hierarchy and no level.",
                        "Leave one of the two out.", path)  # fmt: skip
        builder, options = self._hierarchy(one.get("hierarchy", "values"), path)
        missing = one.get("missing", "category")
        if missing not in MISSING:
            self._wrong(
                f"'{missing}' is no way to treat missing values.{nearest(str(missing), MISSING)}",
                "Write category, or leave-out: rows without a value do not leave. A missing value "
                "that counts as any other protects nobody.",
                path,
            )
        level = 1 if averaged else self._whole(one, "level", 0, None, path)
        return Quasi(name, builder, options, level, missing, averaged)

    def _sensitive(self, name: str, said: object, path: str) -> Sensitive:
        known = ("class", "l", "entropy-l", "recursive", "t", "distance", "beta", "enhanced",
                 "order", "hierarchy", "change")  # fmt: skip
        one = self._record(said, path, known)
        asked = [key for key in ("l", "entropy-l", "recursive", "t", "beta") if key in one]
        distance = one.get("distance", "equal")
        if distance not in DISTANCES:
            self._wrong(f"'{distance}' is no distance.", f"Known: {', '.join(DISTANCES)}.", path)
        order = one.get("order")
        if order is not None and not isinstance(order, list):
            self._wrong("'order' is no list of values.", "List every value.", path)
        builder, options = self._hierarchy(one.get("hierarchy", "values"), path)
        enhanced = one.get("enhanced", False)
        if not isinstance(enhanced, bool):
            self._wrong("'enhanced' is neither true nor false.", "Write true or false.", path)
        return Sensitive(
            name,
            # Where the recipe says nothing, both: l against homogeneity, t against skewness.
            self._whole(one, "l", 2, None if asked else LEAST_L, path),
            self._number(one, "entropy-l", 1, 1e9, None, path),
            self._recursive(one.get("recursive"), path),
            self._number(one, "t", 0, 1, None if asked else MOST_T, path),
            distance,
            self._number(one, "beta", 0, 1e9, None, path),
            enhanced,
            None if order is None else tuple(None if v is None else str(v) for v in order),
            builder,
            options,
        )

    def _recursive(self, said: object, path: str) -> tuple[float, int] | None:
        if said is None:
            return None
        one = self._record(said, f"{path}.recursive", ("c", "l"))
        c, least = self._number(one, "c", 0, 1e9, None, path), self._whole(one, "l", 2, None, path)
        if c is None or least is None:
            self._wrong("'recursive' lacks c or l.", "Write {c: 3, l: 2}.", path)
        return c, least

    def _hierarchy(self, said: object, path: str) -> tuple[str, Mapping[str, Any]]:
        one = {said: {}} if isinstance(said, str) else said
        if not isinstance(one, Mapping) or len(one) != 1:
            self._wrong("'hierarchy' is not one builder with its options.",
                        "Write `hierarchy: postcodes` or `hierarchy: {numbers: {widths: [5]}}`.",
                        path)  # fmt: skip
        ((builder, options),) = one.items()
        try:
            parts.load(BUILDERS, str(builder))
        except UsageError as error:
            self._wrong(f"There is no hierarchy '{builder}'.", error.remedy, path)
        options = {} if options is None else options
        if not isinstance(options, Mapping):
            self._wrong("The options of a hierarchy are no record.", "Write {name: value}.", path)
        return str(builder), options

    # -- plain values

    def _record(self, said: object, path: str, known: Iterable[str] | None) -> Mapping[str, Any]:
        if not isinstance(said, Mapping):
            self._wrong("This is no record of names and values.", "Write `name: value`.", path)
        if known is not None:
            for key in said:
                if key not in known:
                    self._wrong(f"There is no '{key}' here.{nearest(str(key), known)}",
                                f"Known: {', '.join(known)}.", path)  # fmt: skip
        return said

    def _whole(
        self, said: Mapping[str, Any], key: str, least: int, default: int | None, path: str = ""
    ) -> int | None:
        found = said.get(key, default)
        if found is None:
            return None
        if type(found) is not int or found < least:
            self._wrong(
                f"'{key}' is no whole number of at least {least}.", "Write one.", path or key
            )
        return found

    def _number(
        self, said: Mapping[str, Any], key: str, least: float, most: float,
        default: float | None, path: str = "",
    ) -> float | None:  # fmt: skip
        found = said.get(key, default)
        if found is None:
            return None
        if isinstance(found, str) and _NUMBER.fullmatch(found):  # as signed documents write it
            found = Decimal(found)
        if isinstance(found, bool) or not isinstance(found, int | float | Decimal):
            self._wrong(f"'{key}' is no number.", "Write one.", path or key)
        if not least <= float(found) <= most:
            self._wrong(f"'{key}' is not between {least:g} and {most:g}.", "Write one that is.",
                        path or key)  # fmt: skip
        return float(found)

    def _at(self, path: str) -> str:
        return ": ".join(p for p in (self.where, path) if p)

    def _wrong(self, sentence: str, remedy: str, path: str) -> NoReturn:
        raise UsageError(sentence, remedy, where=self._at(path))
