"""Listing -> the Ibis table that an extract is made of. Caller text never reaches an engine."""

from __future__ import annotations

from typing import Any

import ibis

from bridleway.errors import Gap
from bridleway.model.catalogue import TableFacts
from bridleway.model.question import Listing, columns_in
from bridleway.sources.predicates import Words
from bridleway.sources.source import Source
from bridleway.sources.stored import as_declared, as_identifier

PERSON = "bridleway_person"
_SIGNS = "[^0-9A-Za-z]"
_ZEROS = "^0+([0-9A-Z])"


def rows_of(source: Source, facts: TableFacts, listing: Listing) -> Any:
    """Return the listed columns in their declared types, and `PERSON`: whose each row is.

    facts: the declared facts of the table, with its person key. A row without a person is left
    out: it cannot be told whose it is. Raises Gap where catalogue and source disagree.
    """
    held = source.columns(facts.table)
    key = facts.entities["person"].column
    names = sorted({column.name for column in columns_in(listing)})
    for name in (*names, key):
        if name not in held or (name in names and name not in facts.columns):
            raise Gap(
                f"The column '{name}' of table '{facts.table}' is "
                + ("not in the catalogue." if name in held else "no longer in the source."),
                "Describe the source again, correct the catalogue and declare a data version.",
                where=facts.source_id,
            )
    table = ibis.table(dict(sorted(held.items())), name=facts.table)
    columns = {n: as_declared(table[n], facts.columns[n], source.dialect) for n in names}
    if listing.where is not None:
        words = Words(listing.table, columns, facts.columns, source.dialect)
        table = table.filter(words.predicate(listing.where))
    # People are told apart by letters and digits alone, leading zeros apart: an identifier that is
    # written in two ways must not count as two people.
    person = as_identifier(table[key]).cast("string").re_replace(_SIGNS, "").upper()
    person = person.re_replace(_ZEROS, r"\1").nullif("")
    made = table.select(**{c.name: columns[c.name] for c in listing.columns}, **{PERSON: person})
    return made.filter(made[PERSON].notnull())
