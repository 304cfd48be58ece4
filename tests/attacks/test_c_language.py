"""Family C: the question language and the engine.

The weak node runs the caller's text as it is (or behind a filter of forbidden words); the default
node is a whole workspace, at which every text is tried as a question and as a pinned question.
"""

from __future__ import annotations

import ast
import gc
import json
import multiprocessing
import pickle  # noqa: TID251 (the weak node)
import re
import resource
import threading
import time
from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import sqlglot

from bridleway.errors import BridlewayError
from bridleway.model.catalogue import ColumnFacts, EntityKey, TableFacts
from bridleway.model.flow import BitColumn, KeyColumn, Task
from bridleway.model.question import Compare, Literal
from bridleway.node.rehearsal import rehearsal_grant
from bridleway.node.workers.runner import Inline
from bridleway.node.workspace import Workspace
from bridleway.questions.sql import Scope, parse
from bridleway.sources.connect import connect
from bridleway.sources.engines._files import FileSource
from bridleway.sources.run import run
from tests.attacks.api import attack
from tests.attacks.lab import Lab, column, rules_of
from tests.attacks.standing import (
    ASKER,
    MARKER,
    PASSPORT,
    is_clean,
    pinned_body,
    quick_passwords,
    raw,
    raw_engine,
    standing_place,
    try_text,
)
from tests.sources.oracle import truth
from tests.support.place import (
    PASSWORD,
    approve,
    body,
    make_place,
    submit,
)

SRC = Path(__file__).resolve().parents[2] / "src" / "bridleway"


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Passwords cost little here."""
    with quick_passwords():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace with a valid passport."""
    with standing_place(tmp_path_factory.mktemp("language")) as made:
        yield made


def _through(place: Workspace, texts: dict[str, str]) -> list[str]:
    """Return the names of texts that were not refused cleanly before any source."""
    through = [name for name, text in texts.items() if not try_text(place, text).refused_clean]
    print("not refused:", through)
    return through


# -- C01: SQL inside SQL


_NO_WORDS = re.compile(r"\b(insert|update|delete|alter|copy|attach|nhs_number|name)\b", re.I)

HIDDEN_SQL = {
    "query": "SELECT * FROM query('SELECT na' || 'me FROM register')",
    "query table": "SELECT * FROM query_table('reg' || 'ister')",
    "serialised": "SELECT * FROM json_execute_serialized_sql("
    "json_serialize_sql('SELECT ' || 'na' || 'me FROM register'))",
    "columns by pattern": "SELECT COLUMNS('na.*') FROM register",
    "no select": "FROM register",
    "pivot": "PIVOT register ON area USING first(COLUMNS('na.*'))",
    "prepared": "PREPARE p AS FROM register; EXECUTE p",
    "two statements": "SELECT 1; DROP TABLE gone; FROM register",
    "behind a comment": "SELECT 1 -- harmless\n; FROM register",
    "comment as space": "SELECT/**/*/**/FROM/**/register",
    "nested comment": "SELECT /* a /* b */ c */ * FROM register",
}


@attack(
    "C01",
    severity="C",
    tried="SQL hidden in SQL: query('...'), query_table, serialised SQL, EXECUTE, PIVOT, "
    "COLUMNS, FROM without SELECT, a second statement, comments",
    weak="text passed on behind a filter of words: each brings a person's name",
    holds="none of it is in the grammar: refused before a source is opened; what runs is "
    "generated, and constants are typed literals of the question",
)
def test_c01(kind: str, place: Workspace) -> bool:
    """What a text hides from a filter of words is not in the grammar."""
    if kind == "weak":
        return all(
            not _NO_WORDS.search(text) and MARKER in raw(raw_engine(), text)
            for text in HIDDEN_SQL.values()
        )
    quoted = "SELECT COUNT(DISTINCT person) AS people FROM housing WHERE tenure = '{}'"
    breaks_out = {
        "quote": quoted.format("rent' OR '1'='1"),
        "doubled quote": quoted.format("x''; DROP TABLE register; --"),
        "backslash": quoted.format("\\' OR 1=1 --"),
        "dollar": "SELECT COUNT(DISTINCT person) FROM housing WHERE tenure = $$rent$$",
        "escape": "SELECT COUNT(DISTINCT person) FROM housing WHERE tenure = E'rent'",
    }
    through = _through(place, HIDDEN_SQL | {k: breaks_out[k] for k in ("dollar", "escape")})
    # A constant with quotes is a constant: whatever it holds, it matches nobody.
    for name in ("quote", "doubled quote", "backslash"):
        told = try_text(place, breaks_out[name])
        if any(row["values"] for answer in told.answers for row in answer.rows):
            through.append(name)
    return bool(through)


# -- C02: files, network, configuration


def escapes(folder: Path) -> dict[str, str]:
    """Return the probe statements, aimed at a folder with a secret."""
    secret, out = folder / "secret.csv", folder / "out"
    return {
        "read_csv": f"SELECT * FROM read_csv('{secret}')",
        "read_csv_auto": f"SELECT * FROM read_csv_auto('{secret}')",
        "read_csv list": f"SELECT * FROM read_csv(['{secret}'])",
        "read_text": f"SELECT content FROM read_text('{secret}')",
        "read_blob": f"SELECT content FROM read_blob('{secret}')",
        "read_json": f"SELECT * FROM read_json('{folder / 'secret.json'}')",
        "read_json_objects": f"SELECT * FROM read_json_objects('{folder / 'secret.json'}')",
        "read_ndjson": f"SELECT * FROM read_ndjson('{folder / 'secret.json'}')",
        "read_parquet": f"SELECT * FROM read_parquet('{folder / 'secret.parquet'}')",
        "parquet_scan": f"SELECT * FROM parquet_scan('{folder / 'secret.parquet'}')",
        "parquet_metadata": f"SELECT * FROM parquet_metadata('{folder / 'secret.parquet'}')",
        "parquet_schema": f"SELECT * FROM parquet_schema('{folder / 'secret.parquet'}')",
        "file after FROM": f"FROM '{secret}'",
        "file in SELECT": f"SELECT * FROM '{secret}'",
        "file in double quotes": f'SELECT * FROM "{secret}"',
        "file in JOIN": f"SELECT * FROM (SELECT 1) JOIN '{secret}' ON true",
        "file below": f"SELECT (SELECT name FROM '{secret}')",
        "file in WITH": f"WITH t AS (FROM '{secret}') SELECT * FROM t",
        "glob": f"SELECT * FROM glob('{folder}/*')",
        "glob in reader": f"SELECT * FROM read_csv('{folder}/*.csv')",
        "sniff_csv": f"SELECT * FROM sniff_csv('{secret}')",
        "/etc/passwd": "SELECT content FROM read_text('/etc/passwd')",
        "/proc/self/environ": "SELECT content FROM read_blob('/proc/self/environ')",
        "file URL": f"SELECT * FROM read_csv('file://{secret}')",
        "http URL": "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "https URL": "SELECT * FROM 'https://127.0.0.1:9/x.parquet'",
        "s3 URL": "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
        "COPY TO": f"COPY register TO '{out}.csv'",
        "COPY query TO": f"COPY (SELECT 1) TO '{out}.parquet' (FORMAT parquet)",
        "COPY TO stdout": "COPY (SELECT 1) TO '/dev/stdout'",
        "COPY FROM": f"COPY register FROM '{secret}'",
        "COPY DATABASE": "COPY FROM DATABASE memory TO memory",
        "EXPORT": f"EXPORT DATABASE '{out}-export'",
        "IMPORT": f"IMPORT DATABASE '{folder}'",
        "ATTACH": f"ATTACH '{out}.db' AS other",
        "ATTACH memory": "ATTACH ':memory:' AS other",
        "ATTACH network": "ATTACH 'postgresql://127.0.0.1:9/x' AS other (TYPE postgres)",
        "DETACH": "DETACH held",
        "USE": "USE memory.main",
        "INSTALL": "INSTALL httpfs",
        "INSTALL from": "INSTALL h3 FROM community",
        "LOAD": "LOAD httpfs",
        "LOAD path": f"LOAD '{folder}/evil.duckdb_extension'",
        "FORCE INSTALL": "FORCE INSTALL httpfs",
        "CREATE SECRET": "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
        "duckdb_secrets": "SELECT * FROM duckdb_secrets()",
        "which_secret": "SELECT * FROM which_secret('s3://bucket', 's3')",
        "SET": "SET enable_external_access = true",
        "SET GLOBAL": "SET GLOBAL memory_limit = '100GB'",
        "SET paths": f"SET allowed_directories = ['{folder}']",
        "RESET": "RESET lock_configuration",
        "PRAGMA": "PRAGMA enable_profiling = 'json'",
        "PRAGMA function": "PRAGMA database_list",
        "CALL": "CALL pragma_version()",
        "SET VARIABLE": "SET VARIABLE x = 1",
        "getenv": "SELECT getenv('HOME')",
        "current_setting": "SELECT current_setting('home_directory')",
        "duckdb_settings": "SELECT * FROM duckdb_settings()",
        "duckdb_logs": "SELECT * FROM duckdb_logs()",
        "Python variable": "SELECT * FROM python_table",
        "Python variable quoted": 'SELECT * FROM "python_table"',
        "Python attribute": "SELECT * FROM python_table.schema",
        "CREATE TABLE AS": f"CREATE TABLE stolen AS FROM '{secret}'",
        "CREATE VIEW": f"CREATE VIEW stolen AS FROM '{secret}'",
        "CREATE MACRO": "CREATE MACRO steal() AS TABLE FROM register",
        "CREATE FUNCTION": "CREATE FUNCTION steal(x) AS x",
        "INSERT": f"INSERT INTO gone FROM '{secret}'",
        "DELETE": "DELETE FROM register",
        "UPDATE": "UPDATE register SET area = 'x'",
        "CHECKPOINT": "CHECKPOINT",
        "VACUUM": "VACUUM",
        "BEGIN": "BEGIN TRANSACTION",
        "query file": f"SELECT * FROM query('FROM ''{secret}''')",
        "query_table file": f"SELECT * FROM query_table('{secret}')",
        "serialised file": f"SELECT * FROM json_execute_serialized_sql("
        f"json_serialize_sql('SELECT * FROM ''{secret}'''))",
    }


# What a raw engine answers without a network and without further packages.
WINS_RAW = (
    "read_csv", "read_csv_auto", "read_csv list", "read_json", "read_json_objects", "read_ndjson",
    "read_parquet", "parquet_scan", "file after FROM", "file in SELECT",
    "file in double quotes", "file in JOIN", "file below", "file in WITH", "glob in reader",
    "query file", "query_table file", "serialised file",
)  # fmt: skip


def _plant(folder: Path) -> None:
    (folder / "secret.csv").write_text(f"name,v\n{MARKER},1\n")
    (folder / "secret.json").write_text(json.dumps({"name": MARKER}) + "\n")
    duckdb.sql(f"SELECT '{MARKER}' AS name").write_parquet(str(folder / "secret.parquet"))


def _before_and_after(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@attack(
    "C02",
    severity="C",
    tried="75 statements that reach for files, network, extensions, secrets, configuration, the "
    "environment and Python variables",
    weak="a raw engine reads the file, lists the folder, writes files, takes settings",
    holds="refused by grammar before a source is opened; and the engine of a source is locked: "
    "it opens nothing but its own files, loads nothing and takes no setting",
)
def test_c02(kind: str, place: Workspace, tmp_path: Path) -> bool:
    """Neither the grammar nor a source's engine lets a text out."""
    _plant(tmp_path)
    python_table = duckdb.sql(f"SELECT '{MARKER}' AS name").to_arrow_table()
    probes = escapes(tmp_path)
    if kind == "weak":
        engine = raw_engine()
        engine.register("python_table", python_table)
        read = [name for name in WINS_RAW if MARKER not in raw(engine, probes[name])]
        for name in ("COPY TO", "EXPORT", "ATTACH", "SET GLOBAL", "Python variable"):
            raw(engine, probes[name])
        assert not read, read
        return {"out.csv", "out-export", "out.db"} <= _before_and_after(tmp_path)
    assert len(probes) >= 66
    through = _through(place, probes)
    # The same statements at the engine of a source, as if the grammar were gone.
    before = _before_and_after(tmp_path)
    for node, source in (("council", "housing"), ("health", "conditions"), ("jobs", "claims")):
        with place.node(node).holdings.opened(source) as held:
            held.tables()
            cursor = held._engine.cursor()  # type: ignore[attr-defined]
            settings = cursor.execute("SELECT name, value FROM duckdb_settings()").fetchall()
            for name, text in probes.items():
                told = raw(cursor, text)
                if MARKER in told and "python" not in name.lower():
                    through.append(f"{source}: {name}")
            for name in ("Python variable", "Python variable quoted"):
                if MARKER in raw(cursor, probes[name]):
                    through.append(f"{source}: {name}")
            # As the next question finds them: USE changes the path of its own cursor alone.
            again = held._engine.cursor()  # type: ignore[attr-defined]
            after = again.execute("SELECT name, value FROM duckdb_settings()").fetchall()
            if dict(settings) != dict(after):
                through.append(f"{source}: {set(after) - set(settings)}")
            loaded = raw(cursor, "SELECT extension_name FROM duckdb_extensions() WHERE loaded")
            if any(f"'{name}'" in loaded for name in ("httpfs", "postgres", "sqlite", "aws")):
                through.append(f"{source}: extension")
    if _before_and_after(tmp_path) != before:
        through.append("a file was written")
    print("got through:", through)
    return bool(through)


@pytest.mark.parametrize("source", ["council.housing", "health.conditions", "jobs.claims"])
def test_c02_the_sources_own_files_are_not_written(
    tmp_path: Path, source: str, place: Workspace
) -> None:
    """What the engine of a source may open, it may not write."""
    node, name = source.split(".")
    with place.node(node).holdings.opened(name) as held:
        stamp = held.quick_stamp()
        (path, *_) = held._found()  # type: ignore[attr-defined]
        cursor = held._refresh().cursor()  # type: ignore[attr-defined]
        copy = f"COPY (SELECT 1 AS lost) TO '{path}'"
        raw(cursor, copy)
        assert held.quick_stamp() == stamp


# -- C04: names

NAMES = {
    "hidden column": "SELECT name FROM {t}",
    "hidden column quoted": 'SELECT "name" FROM {t}',
    "capitals": "SELECT NAME FROM {t}",
    "qualified": "SELECT {t}.name FROM {t}",
    "struct": "SELECT {t} FROM {t}",
    "star": "SELECT * FROM {t}",
    "exclude": "SELECT * EXCLUDE (area) FROM {t}",
    "rename": "SELECT * RENAME (name AS area) FROM {t}",
    "main schema": "SELECT name FROM main.{t}",
    "catalogue": "SELECT name FROM memory.main.{t}",
    "quoted schema": 'SELECT name FROM "main"."{t}"',
    "alias over columns": "SELECT a FROM {t} AS t(a, b, c, d, e)",
    "group by": "SELECT name, COUNT(*) FROM {t} GROUP BY name",
    "group by ordinal": "SELECT name, COUNT(*) FROM {t} GROUP BY 1",
    "order by": "SELECT name FROM {t} ORDER BY ALL",
    "summarise": "SUMMARIZE {t}",
    "stats": "SELECT stats(name) FROM {t}",
    "aggregate": "SELECT max(name), min(name) FROM {t} WHERE name LIKE 'Ada%'",
    "using columns": "SELECT unnest({t}) FROM {t}",
}
STRUCTURE = {
    "information_schema": "SELECT column_name FROM information_schema.columns",
    "duckdb_columns": "SELECT column_name FROM duckdb_columns()",
    "pragma": "SELECT name FROM pragma_table_info('{t}')",
    "describe": "DESCRIBE {t}",
    "show": "SHOW ALL TABLES",
    "sqlite_master": "SELECT sql FROM sqlite_master",
}
COUNTS = {
    "explain analyze": "EXPLAIN ANALYZE SELECT area FROM {t}",
    "rowid": "SELECT max(rowid) + 1 FROM {t}",
    "duckdb_tables": "SELECT estimated_size FROM duckdb_tables()",
}
ODD_NAMES = {
    "a quote in a name": 'SELECT COUNT(*) FROM "housing"";DROP TABLE x;"',
    "a keyword as a name": 'SELECT "select" FROM housing',
    "a real column that is not open": "SELECT low_income, COUNT(*) FROM housing GROUP BY 1",
    "the key": "SELECT nhs_number, COUNT(*) AS n FROM housing GROUP BY nhs_number",
    "the key compared": "SELECT COUNT(*) AS n FROM housing WHERE nhs_number = '9990000018'",
    "another node's table": "SELECT COUNT(*) FROM council.register",
}


@attack(
    "C04",
    severity="C",
    tried="hidden columns, other schemas, quoted and odd names, rowid, information_schema, "
    "stats(), SUMMARIZE, EXPLAIN ANALYZE",
    weak="hidden columns, smallest and largest values, the schema and true row counts",
    holds="a name means what the passport's dictionary says or nothing: refused, without the "
    "column's name being confirmed",
)
def test_c04(kind: str, place: Workspace) -> bool:
    """Only the passport's names resolve."""
    if kind == "weak":
        engine = raw_engine()
        named = all("Ada Mark" in raw(engine, t.format(t="register")) for t in NAMES.values())
        shape = all("nhs_number" in raw(engine, t.format(t="register")) for t in STRUCTURE.values())
        counted = all("2" in raw(engine, t.format(t="register")) for t in COUNTS.values())
        return named and shape and counted
    told = {n: t.format(t="housing") for n, t in (NAMES | STRUCTURE | COUNTS).items()}
    through = _through(place, told | {n: t for n, t in ODD_NAMES.items() if "the key" not in n})
    # The key is in the passport's dictionary, to join on: nobody is compared or listed.
    for name in ("the key", "the key compared"):
        tried = try_text(place, ODD_NAMES[name])
        if tried.answers or tried.touched or not all(is_clean(e) for e in tried.errors):
            through.append(name)
    print(through)
    return bool(through)


# -- C05, C06: errors that tell

THROWS = {
    "error": "SELECT error(name) FROM {t}",
    "cast in a case": "SELECT CAST(CASE WHEN disabled THEN name ELSE '1' END AS INT) FROM {t}",
    "cast": "SELECT name::INT FROM {t}",
    "date": "SELECT strptime(name, '%Y-%m-%d') FROM {t}",
    "date cast": "SELECT name::DATE FROM {t}",
    "JSON": "SELECT name::JSON FROM {t}",
    "enum": "SELECT name::ENUM('a', 'b') FROM {t}",
    "compared": "SELECT COUNT(*) FROM {t} WHERE name = 5",
    "coalesce": "SELECT COALESCE(name, '1')::INT FROM {t}",
}


@pytest.fixture(scope="module")
def odd_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace whose rents are stored as text, some people's with a name in them."""
    folder = tmp_path_factory.mktemp("odd")
    with make_place(folder, 300) as made:
        _store_rents(made, folder, f"'{MARKER}'")
        submit(made, body())
        approve(made, PASSPORT)
        yield made


def _store_rents(place: Workspace, folder: Path, poison: str, of: str = "rowid % 40 = 3") -> None:
    """Store rents as text; those of some people are something else. Release the data again."""
    place.node("council").holdings.close()  # DuckDB lets nobody write beside a reader
    with duckdb.connect(str(folder / "data" / "housing.duckdb")) as engine:
        engine.execute("ALTER TABLE register ALTER rent TYPE VARCHAR")
        engine.execute(f"UPDATE register SET rent = {poison} WHERE {of}")
    place.release_source("council", "housing")


@attack(
    "C05",
    severity="C",
    tried="make the engine's error text carry a value: error(), casts, dates, JSON, comparisons",
    weak="the error text holds a person's name",
    holds="no throwing function is in the grammar; stored text that is no number is missing; the "
    "engine's words go nowhere",
)
def test_c05(kind: str, place: Workspace, odd_place: Workspace) -> bool:
    """Whatever fails, fails in our words."""
    if kind == "weak":
        told = {n: raw(raw_engine(), text.format(t="register")) for n, text in THROWS.items()}
        print("do not win:", {n: t for n, t in told.items() if "Ada Mark" not in t})
        return all("Ada Mark" in t for t in told.values())
    through = _through(place, {n: t.format(t="housing") for n, t in THROWS.items()})
    # Values that cannot be read as declared, under an honest question.
    honest = odd_place.ask("rent-by-area", PASSPORT, ASKER, PASSWORD)
    if MARKER in json.dumps(honest.to_json()) or not any(r["values"] for r in honest.rows):
        through.append("odd values")
    # An engine that fails in the middle, with a name in its words.
    question = pin_again(odd_place)
    node = odd_place.node("council")
    workers, node.runner = node.runner, Inline()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileSource, "read", _breaks)
        try:
            odd_place.ask(question, "asked-again", ASKER, PASSWORD)
            through.append("a broken engine answered")
        except BridlewayError as error:
            if not is_clean(error) or error.__cause__ is not None:
                through.append("a broken engine's words")
            if MARKER in repr(error.__context__):
                through.append("the context of the error")
        finally:
            node.runner = workers
    print(through)
    return bool(through)


def _breaks(source: FileSource, _: Any) -> Iterator[Any]:
    """Fail as an engine fails on somebody's value."""

    def fails() -> None:
        raise duckdb.ConversionException(f"Could not convert string '{MARKER}' to INT32")

    source._guarded(fails)
    yield


def pin_again(place: Workspace) -> str:
    """Pin another question over housing and return its id."""
    text = "SELECT tenure, COUNT(DISTINCT person) AS people FROM housing GROUP BY tenure"
    made = pinned_body(text) | {"id": "asked-again"}
    submit(place, made)
    approve(place, "asked-again")
    return "probe"


FAILS_IF = {
    "overflow": "SELECT 9223372036854775807 + (CASE WHEN {c} THEN 1 ELSE 0 END) FROM {t}",
    "logarithm": "SELECT log(CASE WHEN {c} THEN -1 ELSE 1 END) FROM {t}",
    "root": "SELECT sqrt(CASE WHEN {c} THEN -1 ELSE 1 END) FROM {t}",
    "cast": "SELECT CAST(CASE WHEN {c} THEN 'x' ELSE '1' END AS INT) FROM {t}",
    "pattern": "SELECT regexp_matches('a', CASE WHEN {c} THEN '(' ELSE 'a' END) FROM {t}",
    "error": "SELECT CASE WHEN {c} THEN error('yes') ELSE 'no' END FROM {t}",
    "narrow": "SELECT CAST(CASE WHEN {c} THEN 300 ELSE 1 END AS TINYINT) FROM {t}",
    "subquery of two rows": "SELECT (SELECT area FROM {t} WHERE {c} OR area = 'south')",
    "negative shift": "SELECT 1 << (CASE WHEN {c} THEN -1 ELSE 1 END) FROM {t}",
}
ONLY_IN_DEFAULT = {
    "division": "SELECT SUM(rent / (CASE WHEN disabled THEN 0 ELSE 1 END)) AS x FROM housing",
    "whole division": "SELECT SUM(1 // (CASE WHEN tenure = 'own' THEN 0 ELSE 1 END)) FROM housing",
    "remainder": "SELECT SUM(1 % (CASE WHEN tenure = 'own' THEN 0 ELSE 1 END)) FROM housing",
    "power": "SELECT SUM(rent ** 400) FROM housing",
    "long product": f"SELECT SUM({' * '.join(['rent'] * 40)}) FROM housing",
    "huge literal": "SELECT SUM(rent * 999999999999999999999999) FROM housing",
}


@attack(
    "C06",
    severity="C",
    tried="an error only if the secret holds: overflow, log(-1), bad pattern, casts, division, "
    "values that break a sum",
    weak="an error says yes, an answer says no",
    holds="no data-dependent failure can be written; poisoned values change neither whether there "
    "is an answer nor the error",
)
def test_c06(kind: str, place: Workspace, tmp_path: Path) -> bool:
    """Whether a question fails does not depend on the data."""
    if kind == "weak":
        won = []
        for text in FAILS_IF.values():
            engine = raw_engine()
            secret = f"name = '{MARKER}' AND disabled"
            yes = text.format(c=secret, t="register")
            fails = _fails(engine, yes)
            engine.execute("UPDATE register SET disabled = false")
            won.append(fails and not _fails(engine, yes))
        return all(won)
    texts = {n: t.format(c="disabled", t="housing") for n, t in FAILS_IF.items()}
    through = _through(place, texts | ONLY_IN_DEFAULT)
    # A few people's values are poisoned: the same cells told or withheld, or the same refusal.
    poison = (
        "CASE rowid WHEN 7 THEN '999999999999999999999999999999' WHEN 8 THEN 'inf' WHEN 9 THEN "
        "'nan' WHEN 10 THEN repeat('9', 100000) WHEN 11 THEN '1e308' ELSE rent END"
    )
    seen = []
    for of in ("false", "rowid BETWEEN 7 AND 11"):
        folder = tmp_path / of[:5]
        with make_place(folder, 300) as made:
            _store_rents(made, folder, poison, of)
            submit(made, body())
            approve(made, PASSPORT)
            try:
                answer = made.ask("rent-by-area", PASSPORT, ASKER, PASSWORD)
                seen.append([r["values"] is None for r in answer.rows])
            except BridlewayError as error:
                seen.append([str(error)])
    print(through, seen)
    return bool(through) or seen[0] != seen[1]


def _fails(engine: duckdb.DuckDBPyConnection, text: str) -> bool:
    try:
        engine.execute(text).fetchall()
    except duckdb.Error:
        return True
    return False


# -- C08: rows through the back door

ROW_LEVEL = {
    "scalar subquery": "SELECT (SELECT name FROM {t} WHERE disabled) AS n",
    "correlated": "SELECT (SELECT name FROM {t} b WHERE b.rent = a.rent) FROM {t} a",
    "lateral": "SELECT x.name FROM {t} a, LATERAL (SELECT a.name) x",
    "semi join": "SELECT name FROM {t} SEMI JOIN (SELECT 900 AS rent) USING (rent)",
    "in subquery": "SELECT name FROM {t} WHERE rent IN (SELECT max(rent) FROM {t})",
    "exists": "SELECT name FROM {t} a WHERE EXISTS (SELECT 1 FROM {t} b WHERE a.rent > b.rent)",
    "having subquery": "SELECT name FROM {t} GROUP BY name HAVING max(rent) = "
    "(SELECT max(rent) FROM {t})",
    "cte": "WITH hidden AS (SELECT name FROM {t}) SELECT * FROM hidden",
    "recursive cte": "WITH RECURSIVE r AS (SELECT name, 1 AS n FROM {t} UNION ALL "
    "SELECT name, n + 1 FROM r WHERE n < 2) SELECT name FROM r",
    "row_number": "SELECT name, row_number() OVER (ORDER BY rent) FROM {t}",
    "lag": "SELECT lag(name, -1) OVER (ORDER BY rent) FROM {t}",
    "first_value": "SELECT first_value(name) OVER (ORDER BY rent DESC) FROM {t}",
    "qualify": "SELECT name FROM {t} QUALIFY row_number() OVER (ORDER BY rent DESC) = 1",
    "any_value": "SELECT any_value(name) FROM {t}",
    "arg_max": "SELECT arg_max(name, rent) FROM {t}",
    "list": "SELECT list(name) FROM {t}",
    "string_agg": "SELECT string_agg(name, ',') FROM {t}",
    "filter": "SELECT max(name) FILTER (WHERE name LIKE 'Ada%') FROM {t}",
    "union": "SELECT 'x' UNION SELECT name FROM {t}",
    "self join": "SELECT a.name FROM {t} a JOIN {t} b USING (nhs_number)",
    "asof": "SELECT a.name FROM {t} a ASOF JOIN {t} b ON a.rent >= b.rent",
    "values": "SELECT name FROM {t} JOIN (VALUES (900)) v(rent) USING (rent)",
}


@attack(
    "C08",
    severity="C",
    tried="row-level values by subqueries, lateral and semi joins, CTEs, window functions, "
    "value-returning aggregates, self joins",
    weak="each returns a person's name",
    holds="one level of filter, join, group and aggregate; nothing else is in the grammar",
)
def test_c08(kind: str, place: Workspace) -> bool:
    """No road from a question to a row."""
    if kind == "weak":
        lost = [
            n
            for n, t in ROW_LEVEL.items()
            if MARKER not in raw(raw_engine(), t.format(t="register"))
        ]
        print(
            "do not win:", {n: raw(raw_engine(), ROW_LEVEL[n].format(t="register")) for n in lost}
        )
        return not lost
    over = {n: t.format(t="housing") for n, t in ROW_LEVEL.items()}
    # The same shapes over columns that the passport opens.
    opened = {f"{n}, open": t.replace("name", "area") for n, t in over.items()}
    return bool(_through(place, over | opened))


# -- C09, C10, C11: heavy work

HEAVY = {
    "repeat": "SELECT length(repeat('x', 4000000000))",
    "levenshtein": "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))",
    "range": "SELECT count(*) FROM range(100000000000)",
    "cross join": "SELECT count(*) FROM range(10000000) a, range(10000000) b",
    "recursive": "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) "
    "SELECT max(n) FROM r",
    "rpad": "SELECT length(rpad('x', 2147483647, 'y'))",
    "pattern": "SELECT regexp_matches(repeat('a', 50000000), '(a?){500}b')",
    "in list": f"SELECT COUNT(*) FROM housing WHERE rent IN ({', '.join(map(str, range(9000)))})",
    "ands": "SELECT COUNT(*) FROM housing WHERE " + " AND ".join(["tenure = 'rent'"] * 200_000),
}
HELD_BYTES = 3 * 2**30  # an address space that the test machine survives


def _naive_engine(text: str, told: Any) -> None:
    """What a node does that trusts the engine's own cancelling: a timer that interrupts."""
    resource.setrlimit(resource.RLIMIT_AS, (HELD_BYTES, HELD_BYTES))
    engine = duckdb.connect(config={"memory_limit": "256MB", "threads": 1})
    timer = threading.Timer(1.0, engine.interrupt)
    timer.daemon = True
    timer.start()
    told.send("started")
    try:
        engine.execute(text).fetchall()
    except BaseException:
        told.send("ended")
        return
    told.send("ended")


def outlives_interrupt(text: str, seconds: float = 3.0) -> bool:
    """Tell whether work is still on this long after it began, its interrupt due at 1 s."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    worker = context.Process(target=_naive_engine, args=(text, theirs), daemon=True)
    worker.start()
    try:
        assert mine.poll(30)
        mine.recv()
        return not mine.poll(seconds)
    finally:
        worker.kill()
        worker.join()


@attack(
    "C09",
    severity="C",
    tried="work without end: repeat to 4 GB, levenshtein of 200 kB texts, endless recursion, "
    "cross joins, huge IN lists; and a source whose view is heavy by itself",
    weak="a timer's interrupt at 1 s is ignored: the node goes on",
    holds="none of it can be written; a heavy source's worker is killed at the policy's "
    "worker.seconds, charged once, and the node goes on",
)
def test_c09(kind: str, place: Workspace, tmp_path: Path) -> bool:
    """Hostile work is refused, or dies alone at its limit."""
    if kind == "weak":
        return outlives_interrupt(HEAVY["levenshtein"])
    through = _through(place, HEAVY)
    assert not through
    return not _heavy_view_is_stopped(tmp_path)


# Costs nothing until a question reads the column.
SLOW = "list_sum(list_transform(range(2000000), x -> (x * 7 + length(nhs_number)) % 13)) > 0"


def _heavy_view_is_stopped(folder: Path) -> bool:
    """Ask a source whose view works for minutes; tell whether the node stopped it."""
    with make_place(folder, 300) as made:
        made.node("council").holdings.close()
        with duckdb.connect(str(folder / "data" / "housing.duckdb")) as engine:
            engine.execute("ALTER TABLE register RENAME TO held")
            engine.execute(
                "CREATE VIEW register AS SELECT nhs_number, area, rent, "
                f"CASE WHEN {SLOW} THEN 'rent' ELSE 'own' END AS tenure FROM held"
            )
        policy = made.node("council").folder / "policy.yaml"
        limited = re.sub(r"worker: \{[^}]*\}", "worker: {seconds: 2}", policy.read_text())
        assert limited != policy.read_text()
        policy.write_text(limited)
        made.release_source("council", "housing")
        submit(made, body())
        approve(made, PASSPORT)
        began = time.monotonic()
        with pytest.raises(BridlewayError) as stopped:
            made.ask("by-area", PASSPORT, ASKER, PASSWORD)
        spent = time.monotonic() - began
        policy.write_text(limited.replace("seconds: 2", "seconds: 60"))
        made.ask("rent-by-area", PASSPORT, ASKER, PASSWORD)  # the node goes on
        # By the clock of a busy machine; tests/node/test_workers.py measures the half second.
        return spent < 12 and is_clean(stopped.value)


BOMBS = {
    "brackets": "SELECT COUNT(*) FROM housing WHERE " + "(" * 5_000 + "disabled" + ")" * 5_000,
    "nots": "SELECT COUNT(*) FROM housing WHERE " + "NOT " * 50_000 + "disabled",
    "selects": "SELECT COUNT(*) FROM " + "(SELECT * FROM " * 800 + "housing" + ")" * 800,
    "ands": "SELECT COUNT(*) FROM housing WHERE " + " AND ".join(["tenure = 'rent'"] * 20_000),
    "10 MB": "SELECT COUNT(*) FROM housing WHERE tenure = '" + "x" * 10_000_000 + "'",
    "minus": "SELECT SUM(" + "-" * 15_000 + "rent) FROM housing",
    "cases": "SELECT SUM("
    + "CASE WHEN rent > 1 THEN " * 60
    + "rent"
    + " END" * 60
    + ") FROM housing",
    "dots": "SELECT " + "a." * 7_000 + "b FROM housing",
    "digits": "SELECT SUM(rent * " + "9" * 15_000 + ") FROM housing",
    "open quote": "SELECT COUNT(*) FROM housing WHERE tenure = '" + "'" * 15_000,
    "open comment": "SELECT COUNT(*) FROM housing " + "/*" * 7_000,
    "newlines": "\n" * 15_000 + "SELECT",
    "surrogates": "SELECT \ud800 FROM housing",
    "zero bytes": "SELECT COUNT(*) \x00 FROM housing",
}


@attack(
    "C10",
    severity="H",
    tried="5,000 brackets, 50,000 NOTs, 800 nested SELECTs, 20,000 ANDs, 10 MB of text",
    weak="the parser recurses until it fails, or works for seconds before any check",
    holds="size, tokens and depth are checked on the bare text first; every bomb is refused "
    "within half a second",
)
def test_c10(kind: str, place: Workspace) -> bool:
    """A bomb never reaches the parser."""
    if kind == "weak":
        with pytest.raises(RecursionError):
            sqlglot.parse(BOMBS["brackets"][:40] + "(" * 1500 + "1" + ")" * 1500)
        began = time.perf_counter()
        try:
            sqlglot.parse(BOMBS["ands"])
        except RecursionError:
            return True
        return time.perf_counter() - began > 0.5
    scope = Scope({"housing": frozenset({"tenure", "rent"})}, frozenset({"person"}))
    through = []
    for name, text in BOMBS.items():
        began = time.perf_counter()
        try:
            parse(text, scope)
            through.append(name)
        except BridlewayError as error:
            if not is_clean(error, text):
                through.append(f"{name} is echoed")
        if time.perf_counter() - began > 0.5:
            through.append(f"{name} is slow")
    print(through)
    return bool(through) or bool(_through(place, {n: BOMBS[n] for n in ("brackets", "10 MB")}))


@attack(
    "C11",
    severity="H",
    tried="an answer of a million cells: GROUP BY over everything, wide cubes",
    weak="a cell per person comes back",
    holds="groups are public domains; an answer of more than most_cells cells is refused from the "
    "declarations alone, before a source is read, alike on all data",
)
def test_c11(kind: str) -> bool:
    """The size of an answer is known, and bounded, before any data is."""
    rows = [{"a": f"v{i % 300}", "b": f"v{i % 299}", "c": f"v{i % 7}"} for i in range(3000)]
    if kind == "weak":
        lab = Lab([column("a", "text"), column("b", "text"), column("c", "text")], rows)
        found = lab.raw(
            "SELECT nhs_number, a, b, c, COUNT(*) FROM people GROUP BY CUBE (nhs_number, a, b, c)"
        )
        return len(found) > 20_000
    domain = tuple(f"v{i}" for i in range(300))
    texts = (
        "SELECT a, b, COUNT(DISTINCT person) AS n FROM people GROUP BY a, b",
        "SELECT a, b, c, COUNT(DISTINCT person) AS n FROM people GROUP BY CUBE (a, b, c)",
        "SELECT nhs_number, COUNT(DISTINCT person) AS n FROM people GROUP BY nhs_number",
    )
    told = []
    for data in (rows, rows[:2]):
        lab = Lab(
            [column(n, "text", domain=domain) for n in ("a", "b", "c")], data, rules_of("default")
        )
        read: list[str] = []
        lab.source.read = lambda query, read=read: read.append(query) or iter(())  # type: ignore
        for text in texts:
            try:
                lab.ask(text)
                print("answered:", text)
                return True
            except BridlewayError as error:
                told.append(str(error))
        if read:
            print("read:", len(read), told)
            return True
    print(told)
    return told[:3] != told[3:]


# -- C12: code

HARM: list[str] = []


def harm(how: str) -> None:
    """What the attacker's code does."""
    HARM.append(how)


class _Evil:
    def __reduce__(self) -> Any:
        return harm, ("unpickled",)


_RUNS_CODE = {
    "eval", "exec", "compile", "__import__", "create_function", "register_function",
    "create_udf", "udf", "scalar", "execute_serialized", "unpickle",
}  # fmt: skip
_CODE_MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib",
                 "jinja2", "mako", "code", "runpy"}  # fmt: skip


def code_runners(root: Path) -> list[str]:
    """Return every place in the sources that could turn data into code."""
    found = []
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [a.name.split(".")[0] for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").split(".")[0]]
            if set(names) & _CODE_MODULES:
                found.append(f"{path.name}:{node.lineno}: import")
            if isinstance(node, ast.Call):
                called = node.func
                name = called.id if isinstance(called, ast.Name) else ""
                method = called.attr if isinstance(called, ast.Attribute) else ""
                owner = (
                    called.value.id
                    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
                    else ""
                )
                if name in _RUNS_CODE or method in _RUNS_CODE - {"compile", "scalar"}:
                    found.append(f"{path.name}:{node.lineno}: {name or method}()")
                if method == "compile" and owner not in ("re", "ibis"):
                    found.append(f"{path.name}:{node.lineno}: {owner}.compile()")
                if owner == "yaml" and method in ("load", "unsafe_load", "full_load", "load_all"):
                    loaders = {ast.unparse(k.value) for k in node.keywords if k.arg == "Loader"}
                    if loaders != {"loader"}:
                        found.append(f"{path.name}:{node.lineno}: yaml.{method}")
    return found


@attack(
    "C12",
    severity="C",
    tried="functions and macros in the text, pickled or self-made Python objects as questions",
    weak="a node that unpickles questions, or evaluates their text, runs the caller's code",
    holds="no route from a question to code: only nouns of the model are taken; nothing in the "
    "sources unpickles, evaluates or registers a function (checked on their syntax)",
)
def test_c12(kind: str, place: Workspace) -> bool:
    """A question is data."""
    HARM.clear()
    if kind == "weak":
        pickle.loads(pickle.dumps(_Evil()))  # noqa: S301 (the weak node)
        eval("harm('evaluated')")  # noqa: S307 (the weak node)
        return HARM == ["unpickled", "evaluated"]
    through = _through(
        place,
        {
            "macro": "CREATE MACRO f(x) AS x",
            "function": "CREATE OR REPLACE FUNCTION f(x) AS x",
            "lambda": "SELECT list_transform([rent], x -> x + 1) FROM housing",
            "method": "SELECT rent.f() FROM housing",
            "python": "SELECT COUNT(DISTINCT __import__('os').system('id')) FROM housing",
        },
    )
    objects = (
        pickle.dumps(_Evil()),
        _Evil(),
        lambda: harm("called"),
        {"select": "x"},
        Compare("=", Literal("a"), Literal("b")),
    )
    for given in objects:
        try:
            place.ask(given, PASSPORT, ASKER, PASSWORD)  # type: ignore[arg-type]
            through.append(repr(type(given)))
        except BridlewayError as error:
            if not is_clean(error):
                through.append(f"{type(given)} error")
        except Exception as error:
            # An object that is no question at all is a programming error, as long as nothing ran.
            if MARKER in str(error):
                through.append(f"{type(given)} {type(error)}")
    return bool(through) or bool(HARM) or bool(code_runners(SRC))


# -- C13: type games

_TYPED: dict[str, list[str | None]] = {
    "integer": ["1", " 1 ", "+1", "-0", "0", "1e3", "0x10", "１２", "1_000", "1,000", "1.0",
                "007", "9" * 18, "9" * 19, "9" * 100_000, "", "NaN", "inf", "\t5", "5\n", "٣",
                "1.5", "--1", "1 2", None],
    "decimal": ["1.5", "-0.0", "1e3", "0x1p3", "１.５", "1,5", ".5", "5.", "1.2345678901234567",
                "999999999999", "9999999999999", "0." + "1" * 100_000, "+2.50", " 2.5 ", "NaN",
                "Infinity", "-1.005", "", None],
    "date": ["2024-02-29", "2023-02-29", "0000-00-00", "0000-01-01", "0001-01-01", "9999-12-31",
             "10000-01-01", "2024-2-3", "20240203", "2024-02-03T00:00:00", "2024-02-03T12:00:00",
             "２０２４-02-03", "2024-13-01", "2024-00-10", "1900-02-29", "2000-02-29",
             "2024-02-03 ", "03/02/2024", "infinity", "now", "epoch", "today", "", None],
    "boolean": ["true", "TRUE", "t", "1", "0", "no", "off", "on", "yes", "2", "Ｔ", "", None],
    "text": ["Straße", "STRASSE", "é", "e\u0301", "a", "A", "a ", " a", "Ａ", "ﬁ", "fi", "İ",
             "i", "%", "_", "\\", "", "a\u200b", "Ω", "\u2126", None],
}  # fmt: skip
_ASKED = {
    "integer": ["c = 1", "c = 0", "c >= 0", "c < 1000", "c IN (1, 7, 12)", "c BETWEEN -5 AND 20",
                "c IS NULL", "c <> 1", "NOT c > 5"],
    "decimal": ["c = 1.5", "c = 0", "c >= 0", "c < 1000", "c > 0.111", "c IS NULL", "c <> 2.5",
                "c BETWEEN -1.01 AND -1"],
    "date": ["c = DATE '2024-02-29'", "c < DATE '1950-01-01'", "c >= DATE '2024-01-01'",
             "c IS NULL", "c <> DATE '2024-02-03'", "c BETWEEN DATE '0001-01-01' AND "
             "DATE '9999-12-31'"],
    "boolean": ["c", "NOT c", "c IS NULL", "c = TRUE", "c <> TRUE"],
    "text": ["c = 'a'", "c = 'é'", "c IN ('A', 'Straße')", "c LIKE 'a%'",
             "c LIKE '%e'", "c LIKE '_'", "c IS NULL", "c <> 'a'"],
}  # fmt: skip


def _python_reads(kind: str, text: str | None) -> Any:
    """The plain reading of stored text: what the catalogue promises, in twelve lines."""
    if text is None:
        return None
    if kind == "text":
        return text
    stripped = text.strip(" ")
    if kind == "integer":
        return int(stripped) if re.fullmatch(r"[-+]?[0-9]{1,18}", stripped, re.A) else None
    if kind == "decimal":
        fits = re.fullmatch(r"[-+]?[0-9]{1,12}(\.[0-9]{1,15})?", stripped, re.A)
        return (
            Decimal(stripped).quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)
            if fits
            else None
        )
    if kind == "boolean":
        word = text.strip(" \t\n\r\v\f").lower()
        return True if word in ("true", "t", "yes", "y", "1") else (
            False if word in ("false", "f", "no", "n", "0") else None
        )  # fmt: skip
    day = text[:10]
    if len(text) > 10 and not re.fullmatch(r".{10}[T ]00:00(:00(\.0+)?)?Z?", text):
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day, re.A):
        return None
    try:
        return date.fromisoformat(day)
    except ValueError:
        return None


def _facts(kind: str) -> TableFacts:
    limit = Decimal(10**12)
    more = {"scale": 6, "bounds": (-limit, limit)} if kind == "decimal" else {}
    columns = {
        "person": ColumnFacts("person", "text", "identifier"),
        "c": ColumnFacts("c", kind, "plain", **more),  # type: ignore[arg-type]
    }
    key = EntityKey("person", "person", "nhs-number")
    return TableFacts("n", "s", "t", columns, {"person": key}, ("person",))


def _predicate(facts: TableFacts, where: str) -> Any:
    """Return the condition as a node plans it: constants in the type of their column."""
    scope = Scope({"t": frozenset({"c"})}, frozenset({"person"}))
    question = parse(f"SELECT COUNT(DISTINCT person) AS n FROM t WHERE {where}", scope)
    return rehearsal_grant(question, {"t": [facts]}, "local").question.where


def _population(source: Any, facts: TableFacts, predicate: Any) -> frozenset[str]:
    """Return the stored keys of the rows of which a source says that they meet a condition."""
    key = KeyColumn("person", "person", "nhs-number")
    task = Task("n", "s", "t", "t", (key,), bits=(BitColumn("b0", predicate),))
    found: set[str] = set()
    for rows in run(source, facts, task):
        found |= {
            k for k, b in zip(rows.keys["person"].to_pylist(), rows.bits["b0"], strict=True) if b
        }
    return frozenset(found)


def _naive_populations() -> bool:
    """Cast as each place does by itself: the same condition finds other people."""
    engine = duckdb.connect()
    differ = 0
    for text in _TYPED["integer"]:
        (there,) = engine.execute("SELECT TRY_CAST(? AS BIGINT) > 0", [text]).fetchone() or (0,)
        try:
            here = int(text) > 0 if text is not None else None
        except ValueError:
            here = None
        differ += bool(there) != bool(here)
    return differ >= 3


@attack(
    "C13",
    severity="H",
    tried="values that places read differently: 1e3, 0x10, full-width digits, 0000-00-00, "
    "numbers of 100,000 digits, -0, accents in two forms, capitals, trailing spaces",
    weak="each place casts by itself: one condition finds different people",
    holds="text is read by shapes that every engine reads alike, the rest is missing: DuckDB, "
    "PostgreSQL and plain Python find the same people",
)
def test_c13(kind: str, tmp_path: Path, postgres_url: str) -> bool:
    """One condition, one population, wherever the data is."""
    if kind == "weak":
        return _naive_populations()
    through = []
    with psycopg.connect(postgres_url, autocommit=True) as server:
        for typed, values in _TYPED.items():
            schema, file = f"games_{typed}", tmp_path / f"{typed}.duckdb"
            rows = [(str(n), value) for n, value in enumerate(values)]
            with duckdb.connect(str(file)) as engine:
                engine.execute("CREATE TABLE t (person VARCHAR, c VARCHAR)")
                engine.executemany("INSERT INTO t VALUES (?, ?)", rows)
            server.execute(f"CREATE SCHEMA {schema}")
            server.execute(f"CREATE TABLE {schema}.t (person TEXT, c TEXT)")
            with server.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {schema}.t VALUES (%s, %s)", rows)
            facts = _facts(typed)
            read = {n: {"c": _python_reads(typed, value)} for n, value in rows}
            joiner = "&" if "?" in postgres_url else "?"
            there = f"{postgres_url}{joiner}options=-csearch_path%3D{schema}"
            sources = [
                connect(url, base=tmp_path, name="n.s", threads=1)
                for url in (f"duckdb://{file}", there)
            ]
            try:
                for where in _ASKED[typed]:
                    predicate = _predicate(facts, where)
                    found = [_population(source, facts, predicate) for source in sources]
                    plain = frozenset(
                        n for n, row in read.items() if truth(predicate, row, facts.columns) is True
                    )
                    if {plain} != set(found):
                        through.append((where, found[0] ^ plain, found[1] ^ plain))
            finally:
                for source in sources:
                    source.close()
    print(through)
    # Constants are held to the same: what engines could read apart is no constant.
    for constant in ("1e3", "0x10", "１２", "1_000", "9" * 40, "DATE '0000-00-00'", "INF",
                     "DATE '2024-02-30'", "'e\u0301'", "'a\u200b'", "0.1234567"):  # fmt: skip
        try:
            _predicate(_facts("decimal"), f"c = {constant}")
            through.append(constant)
        except BridlewayError:
            pass
    return bool(through)


# -- C14: before the row filter


@attack(
    "C14",
    severity="M",
    tried="a predicate that the optimiser evaluates ahead of the row filter (people who opted "
    "out), and fails or works longer on the rows behind it",
    weak="the caller's predicate runs first and its error names somebody who opted out",
    holds="rows are limited in the controller's own view, nothing that fails can be written over "
    "it: people behind it change neither answer nor errors",
)
def test_c14(kind: str, tmp_path: Path) -> bool:
    """People behind a source's row filter leave no trace."""
    if kind == "weak":
        engine = raw_engine()
        caller = "CASE WHEN rent > 800 THEN error(name) ELSE rent END"
        return MARKER in raw(engine, f"SELECT sum({caller}) FILTER (NOT disabled) FROM register")
    told = []
    for opted_out in (True, False):
        folder = tmp_path / str(opted_out)
        with make_place(folder, 600) as made:
            made.node("council").holdings.close()
            with duckdb.connect(str(folder / "data" / "housing.duckdb")) as engine:
                engine.execute("ALTER TABLE register RENAME TO everyone")
                engine.execute("ALTER TABLE everyone ALTER rent TYPE VARCHAR")
                engine.execute("ALTER TABLE everyone ADD COLUMN opted_out BOOLEAN")
                engine.execute("UPDATE everyone SET opted_out = rowid % 20 = 1")
                engine.execute(f"UPDATE everyone SET rent = '{MARKER}' WHERE opted_out")
                if not opted_out:
                    engine.execute("DELETE FROM everyone WHERE opted_out")
                engine.execute(
                    "CREATE VIEW register AS SELECT nhs_number, area, tenure, rent FROM everyone "
                    "WHERE NOT opted_out"
                )
            made.release_source("council", "housing")
            submit(made, body())
            approve(made, PASSPORT)
            answer = made.ask("rent-by-area", PASSPORT, ASKER, PASSWORD)
            told.append((answer.rows, answer.figures))
            # The table behind the view is no name of the passport's.
            if any(
                try_text(made, f"SELECT COUNT(*) FROM {name}").answers
                for name in ("everyone", "held.main.everyone", "council.everyone")
            ):
                return True
    return told[0] != told[1] or MARKER in repr(told)


def test_harm_is_not_collected_by_chance() -> None:
    """The code attacks' harm list stays empty when nothing runs."""
    gc.collect()
    assert code_runners(SRC) == []
