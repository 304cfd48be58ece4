"""Task -> one generated SELECT, through Ibis. Caller text never reaches an engine.

Names come from the catalogue and the source's own schema; constants are typed literals that
Ibis writes. The SELECT has one WHERE, no aggregate and no join, and nothing in it can fail on
data:

- a stored value that is not of the declared type is NULL, and so are NaN and infinity;
- a bare column in a comparison is the stored value; comparisons with constants are made on the
  column's own grid, so that no cast can overflow;
- a column in arithmetic, or in a CASE that yields a number, is its declared fixed-point value:
  clamped to its bounds, rounded half away from zero to its scale, an integer of 10**-scale
  units. Whether a result fits 64 bits is proved from the bounds before anything runs.

A compiled task does not know its node or source: 33 organisations compile once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa

from bridleway.errors import BridlewayError, Fault, Gap
from bridleway.model.catalogue import ColumnFacts, TableFacts
from bridleway.model.flow import CodeColumn, Task
from bridleway.model.question import Column, columns_in
from bridleway.sources.predicates import Words
from bridleway.sources.source import Query, Source
from bridleway.sources.stored import as_declared, as_identifier, kind_of

# DuckDB evaluates list_position once per distinct value of a dictionary-compressed column: a
# third of the time of fetching the text and encoding it here (63 -> 15 ms for 2 million rows
# and 300 wards). On values it has not compressed it is a linear search, so long lists stay here.
POSITION_LIMIT = 400
_SEPARATORS = "\x1f\x1e\x1d"  # ASCII's own, which no text should hold
MAX_DOMAIN = 32_767
_CACHE_SIZE = 512


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]
def list_position(values: dt.Array(dt.string), value: dt.string) -> dt.int32:  # type: ignore[valid-type]
    """DuckDB's own function: the 1-based position of a value, NULL where it is not listed."""


@dataclass(frozen=True, slots=True)
class Code:
    """How a fetched column becomes codes.

    how: `code` (int16, the codes themselves), `position` (1-based in `listed`, NULL for other
    and missing values) or `value` (encode by `listed`). listed: the domain without None; codes:
    the code of each; missing: the code of NULL, -1 where the domain has none.
    """

    name: str
    how: str
    listed: tuple[Any, ...]
    codes: tuple[int, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A query and what its columns are, in the order of the SELECT list."""

    query: Query
    keys: tuple[str, ...]
    codes: tuple[Code, ...]
    bits: tuple[str, ...]
    values: tuple[tuple[str, tuple[int, int] | None], ...]
    """Name, and what the fetched units are clipped to, if they are not yet."""


class _Shape:
    """What decides the SQL of a task, node and source left out; equal by its full text.

    Text, because Literal(1), Literal(True) and Literal(Decimal('1.0')) are equal to Python and
    mean different things here.
    """

    __slots__ = ("dialect", "facts", "stored", "task", "text")

    def __init__(
        self, task: Task, facts: Mapping[str, ColumnFacts], stored: Mapping[str, Any], dialect: str
    ) -> None:
        self.task, self.facts, self.stored, self.dialect = task, facts, stored, dialect
        self.text = repr(
            (
                task.table, task.keys, task.filters, task.codes, task.bits, task.values,
                sorted(facts.items()), sorted((n, str(t)) for n, t in stored.items()), dialect,
            )
        )  # fmt: skip

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shape) and other.text == self.text


def compile_task(source: Source, facts: TableFacts, task: Task) -> Compiled:
    """Return the query of a task at a source.

    facts: the declared facts of the task's table. Raises Gap where the source's schema or the
    catalogue does not carry the task.
    """
    used = columns_in((*task.filters, *(b.predicate for b in task.bits)))
    used |= columns_in(tuple(code.expression for code in task.codes))
    used |= columns_in(tuple(value.expression for value in task.values))
    names = {column.name for column in used}
    held = source.columns(task.table)
    wanted = names | {key.column for key in task.keys}
    for name in sorted(wanted):
        if name not in held or (name in names and name not in facts.columns):
            raise Gap(
                f"The column '{name}' of table '{task.table}' is "
                + ("not in the catalogue." if name in held else "no longer in the source."),
                "Describe the source again, correct the catalogue and declare a data version.",
                where=f"{task.node}.{task.source}",
            )
    shape = _Shape(
        task,
        {name: facts.columns[name] for name in names},
        {name: held[name] for name in wanted},
        source.dialect,
    )
    try:
        return _compiled(shape)
    except BridlewayError as error:
        error.where = error.where or f"{task.node}.{task.source}"
        raise
    except Exception:
        raise Fault(
            "The question cannot be written for this source's engine.",
            "Use simpler predicates, or hold the table as Parquet or DuckDB.",
            where=f"{task.node}.{task.source}",
        ) from None


@lru_cache(maxsize=_CACHE_SIZE)
def _compiled(shape: _Shape) -> Compiled:
    task = shape.task
    table = ibis.table(dict(sorted(shape.stored.items())), name=task.table)
    columns = {n: as_declared(table[n], f, shape.dialect) for n, f in shape.facts.items()}
    words = Words(task.name, columns, shape.facts, shape.dialect)
    picked: dict[str, Any] = {}
    keys = []
    for key in task.keys:
        keys.append(key.entity)
        picked[f"k_{key.entity}"] = as_identifier(table[key.column])
    codes = []
    for code in task.codes:
        picked[f"c_{code.name}"], how = _code(code, words, columns, shape)
        codes.append(how)
    for bit in task.bits:
        held = words.predicate(bit.predicate).fill_null(False)
        # DuckDB packs booleans into bits for Arrow, which takes longer than a byte each.
        picked[f"b_{bit.name}"] = held.cast("int8") if shape.dialect == "duckdb" else held
    values = []
    for value in task.values:
        picked[f"v_{value.name}"], clip = words.units(value)
        values.append((value.name, clip))
    if not picked:
        picked["row"] = ibis.literal(1, type="int8")
    for predicate in task.filters:
        table = table.filter(words.predicate(predicate))
    expression = table.select(**picked)
    return Compiled(
        query_of(expression, shape.dialect),
        tuple(keys),
        tuple(codes),
        tuple(bit.name for bit in task.bits),
        tuple(values),
    )


def query_of(expression: Any, dialect: str, lent: Mapping[str, pa.Table] | None = None) -> Query:
    """Return an Ibis table expression as a query in a dialect; lent: see `Query`."""
    return Query(
        str(ibis.to_sql(expression, dialect=dialect)),
        expression,
        pa.schema([(n, _arrow(t)) for n, t in expression.schema().items()]),
        lent or {},
    )


def _arrow(kind: Any) -> pa.DataType:
    return kind.to_pyarrow()


def _texts(listed: Sequence[str]) -> Any:
    """Return a list of texts: as one constant to split, which is written much faster than many."""
    for sign in _SEPARATORS:
        if not any(sign in text for text in listed):
            return ibis.literal(sign.join(listed)).split(sign)
    return ibis.array(list(listed))


def _code(
    code: CodeColumn, words: Words, columns: Mapping[str, Any], shape: _Shape
) -> tuple[Any, Code]:
    if len(code.domain) > MAX_DOMAIN:
        raise Gap(
            f"The domain of '{code.name}' has more than {MAX_DOMAIN:,} values.", "Band the column."
        )
    expression = code.expression
    if not isinstance(expression, Column):
        return words.case_code(expression, code.domain), Code(code.name, "code", (), (), -1)
    facts = shape.facts[expression.name]
    column = columns[expression.name]
    pairs = [(value, place) for place, value in enumerate(code.domain) if value is not None]
    listed = tuple(str(v) if facts.type in ("text", "date") else v for v, _ in pairs)
    places = tuple(place for _, place in pairs)
    missing = code.domain.index(None) if None in code.domain else -1
    if facts.type == "date":
        column = column.cast("string")
    if (
        shape.dialect == "duckdb"
        and kind_of(shape.stored[expression.name]) == "text"
        and facts.type == "text"
        and 0 < len(listed) <= POSITION_LIMIT
    ):
        if missing < 0:
            return list_position(_texts(listed), column), Code(
                code.name, "position", listed, places, -1
            )
        # NULL and "not listed" must differ: NULL is looked up as one more entry of the list.
        entries = _texts(listed).concat(ibis.array([ibis.null("string")]))
        return list_position(entries, column), Code(
            code.name, "position", (*listed, None), (*places, missing), -1
        )
    return column, Code(code.name, "value", listed, places, missing)
