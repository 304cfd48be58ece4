"""Writes a source's catalogue as commented YAML for a person to correct: shapes, never values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import pyarrow as pa

from bridleway.errors import UsageError
from bridleway.model.names import is_sql_name
from bridleway.sources import shapes
from bridleway.sources.catalogue_file import EDITION, read_catalogue
from bridleway.sources.compile import query_of
from bridleway.sources.identity import identifier_types, normalise
from bridleway.sources.release_checks import with_release_checks
from bridleway.sources.source import Source
from bridleway.sources.stored import as_identifier, kind_of
from bridleway.sources.suggest import LINKING, Shape, Suggestion, suggest

__all__ = ["describe", "read_catalogue", "with_release_checks"]

_SAMPLE = 5_000
_DECLARED = {
    "text": "text",
    "integer": "integer",
    "decimal": "decimal",
    "floating": "decimal",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "date",
}
# A text column's type is tried in this order; a leading zero means a code, not a number.
_SNIFFED = (
    ("boolean", "^(?i:true|false|yes|no|t|f|y|n)$"),
    ("integer", "^-?(0|[1-9][0-9]{0,17})$"),
    ("decimal", "^-?(0|[1-9][0-9]{0,11})(\\.[0-9]+)?$"),
    ("date", shapes.DATE),
)
_BANDS = ((10, "at most 10"), (100, "11 to 100"), (1_000, "101 to 1,000"),
          (10_000, "1,001 to 10,000"), (100_000, "10,001 to 100,000"),
          (1_000_000, "100,001 to 1,000,000"))  # fmt: skip
_SHARES = ((0.01, "under 1 %"), (0.05, "1 to 5 %"), (0.2, "5 to 20 %"), (0.5, "20 to 50 %"))
_TRAPS = {"yes", "no", "on", "off", "y", "n", "true", "false", "null"}


def describe(
    source: Source, node: str, name: str, domains: Mapping[str, Sequence[str]] | None = None
) -> str:
    """Return the catalogue of a source as YAML text that `read_catalogue` reads.

    It holds names, types, shares in bands and suggestions. What only a person knows is left as a
    comment to fill in: meaning, bounds, public domains, one_row_per. domains: public domains that
    a person already knows, by `COLUMN` or `TABLE.COLUMN`. Raises UsageError where there is no
    such column, or it cannot have a domain.
    """
    waiting = dict(domains or {})
    tables = source.tables()
    if not tables:
        raise UsageError("The source holds no table.", "Check the URL.", where=f"{node}.{name}")
    lines = [
        f"# What {node} declares about its source '{name}'. Suggested by counting; please correct.",
        "# Classes: identifier (names one person or place), quasi-identifier (singles out in",
        "# combination), sensitive (harms if known), plain (public or harmless).",
        "# bounds: sums and averages clamp to them; domain: the public list of values that may",
        "# head a group (null for a group of missing values). Neither may be copied from the data:",
        "# write what the form, the law or the map allows.",
        f"catalogue: {EDITION}",
        f"source: {_plain(name)}",
        "tables:",
    ]
    for table in tables:
        if not is_sql_name(table):
            lines.append(
                f"  # left out: a table whose name questions cannot write ({_safe(table)})"
            )
            continue
        lines += _table(source, table, waiting)
    if waiting:
        raise UsageError(
            f"No column '{next(iter(waiting))}' can have a public domain here.",
            "Name a text, date or whole-number column that is no identifier: COLUMN or "
            "TABLE.COLUMN.",
            where=f"{node}.{name}",
        )
    return "\n".join(lines) + "\n"


def _table(source: Source, table: str, waiting: dict[str, Sequence[str]]) -> list[str]:
    stored = source.columns(table)
    shapes_of, left_out = _measured(source, table, stored)
    known: Mapping[str, Suggestion] = getattr(source, "known", {})
    found = {name: known.get(name) or suggest(name, shape) for name, shape in shapes_of.items()}
    lines = [
        f"  {_plain(table)}:",
        '    meaning: ""  # what one row is, in one sentence',
        "    # people: 10000  # about how many, a public figure: questions are weighed by it",
        "    # population: true  # these people's record keys perturb counts where cell keys apply",
    ]
    lines += _entities(found)
    lines.append("    columns:")
    for name, shape in shapes_of.items():
        told = next((key for key in (f"{table}.{name}", name) if key in waiting), "")
        has_domain = found[name].cls != "identifier" and shape.declared in (
            "text",
            "integer",
            "date",
        )
        domain = waiting.pop(told) if told and has_domain else ()
        lines += _column(name, shape, found[name], domain)
    lines += [f"      # left out: {_safe(name)} ({why})" for name, why in left_out]
    return lines


def _entities(found: Mapping[str, Suggestion]) -> list[str]:
    chosen: dict[str, str] = {}
    others = []
    for name, hint in found.items():
        if not hint.entity:
            continue
        entry = f"{hint.entity}: {{column: {_plain(name)}, identifier: {hint.identifier}}}"
        if hint.entity in LINKING and hint.entity not in chosen:
            chosen[hint.entity] = entry
        else:
            others.append(entry)
    unit = next(iter(chosen), "person")
    lines = [
        "    # At most one row for each of them? Then say so, and the release checks it:",
        f"    # one_row_per: [{unit}]",
    ]
    if chosen:
        lines += ["    entities:", *(f"      {entry}" for entry in chosen.values())]
    else:
        lines += ["    # entities:  # which column identifies the person, household or address?"]
        lines += ["    #   person: {column: COLUMN, identifier: reference}"]
    return lines + [f"      # possible, with class identifier: {entry}" for entry in others]


def _column(name: str, shape: Shape, hint: Suggestion, domain: Sequence[str] = ()) -> list[str]:
    told = f"{_share(shape.nulls)} missing, {_band(shape.distinct)} different"
    lines = [
        f"      {_plain(name)}:  # {told}",
        f"        type: {shape.declared}",
        f"        class: {hint.cls}  # suggested: {hint.why}",
        '        meaning: ""',
    ]
    if hint.cls == "identifier":
        return lines
    if shape.declared == "decimal":
        lines.append("        scale: 2  # decimal places kept, 0 to 6")
    if shape.declared in ("integer", "decimal"):
        lines.append("        # bounds: [LOWEST, HIGHEST]  # before SUM or AVG")
    if domain:
        # A whole number stands plain; text and days are quoted where YAML could misread them.
        write = str if shape.declared == "integer" else _plain
        lines.append(f"        domain: [{', '.join(map(write, domain))}]")
    elif shape.declared == "boolean":
        lines.append("        domain: [true, false]")
    elif shape.declared in ("text", "integer") and shape.distinct <= 10_000:
        lines.append("        # domain: [VALUE, VALUE]  # before GROUP BY")
    return lines


# -- measuring


def _measured(
    source: Source, table: str, stored: Mapping[str, Any]
) -> tuple[dict[str, Shape], list[tuple[str, str]]]:
    held = ibis.table(dict(stored), name=table)
    usable, left_out = {}, []
    for name, kind in stored.items():
        if kind_of(kind) == "other":
            left_out.append((name, "its stored type fits none of the catalogue's"))
        elif not is_sql_name(name):
            left_out.append((name, "questions cannot write its name"))
        else:
            usable[name] = kind
    counted = _counts(source, held, usable)
    rows = counted["rows"]
    made = {}
    for place, (name, kind) in enumerate(usable.items()):
        filled = counted[f"n{place}"]
        valid = _valid_shares(source, held, name) if filled else {}
        declared = _DECLARED[kind_of(kind)]
        if source.untyped and filled:
            fits = {word: counted[f"t{place}_{word}"] == filled for word, _ in _SNIFFED}
            declared = next((word for word in fits if fits[word]), "text")
        if suggest(name, Shape(declared, rows, 0.0, 0, valid)).cls == "identifier":
            declared = "text" if kind_of(kind) == "text" else declared
        nulls = 1 - filled / rows if rows else 0.0
        made[name] = Shape(declared, rows, nulls, counted[f"d{place}"], valid)
    return made, left_out


def _counts(source: Source, held: Any, usable: Mapping[str, Any]) -> dict[str, int]:
    asked: dict[str, Any] = {"rows": held.count()}
    for place, (name, kind) in enumerate(usable.items()):
        column = held[name]
        asked[f"n{place}"] = column.count()
        asked[f"d{place}"] = (
            column.approx_nunique() if source.dialect == "duckdb" else column.nunique()
        )
        if source.untyped and kind_of(kind) == "text":
            for word, shape in _SNIFFED:
                asked[f"t{place}_{word}"] = column.re_search(shape).sum().fill_null(0)
    asked = {name: count.cast("int64") for name, count in asked.items()}
    batches = list(source.read(query_of(held.aggregate(**asked), source.dialect)))
    return {
        name: int(value) for name, value in pa.Table.from_batches(batches).to_pylist()[0].items()
    }


def _valid_shares(source: Source, held: Any, name: str) -> dict[str, float]:
    """Return identifier type -> share of some values that its rule accepts."""
    column = held[name]
    if kind_of(column.type()) not in ("text", "integer", "date", "timestamp"):
        return {}
    some = held.filter(column.notnull()).limit(_SAMPLE).select(value=as_identifier(column))
    values = pa.chunked_array(
        [batch.column(0) for batch in source.read(query_of(some, source.dialect))]
        or [pa.array([], pa.string())]
    )
    shares = {}
    for identifier in identifier_types():
        if identifier != "reference" and len(values):
            shares[identifier] = float(normalise(values, identifier).valid.mean())
    return shares


# -- writing


def _share(share: float) -> str:
    if share == 0:
        return "none"
    if share == 1:
        return "all"
    return next((text for limit, text in _SHARES if share < limit), "over 50 %")


def _band(distinct: int) -> str:
    return next((text for limit, text in _BANDS if distinct <= limit), "over 1,000,000")


def _plain(text: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", text) and text.lower() not in _TRAPS:
        return text
    return json.dumps(text, ensure_ascii=False)


def _safe(text: str) -> str:
    """Return a name for a comment: what could end the line or hide is dropped."""
    return "".join(c for c in text if c.isprintable())[:60]
