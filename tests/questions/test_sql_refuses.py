"""What a question may not say: refused at the word, with what to write instead."""

from __future__ import annotations

import re

import pytest

from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.questions.sql import Scope, parse
from tests.questions.made import SCOPE

# ATTACKS C01, C02, C03, C04, C05, C08, C09, C12, A11, A14, A16 and their relatives:
# text, the refusal's code, the word it points at.
ATTACKS = [
    # C01: hidden and second statements
    ("SELECT COUNT(*) FROM housing; DROP TABLE housing", "two-statements", ";"),
    ("SELECT COUNT(*) FROM housing WHERE area = 'x'; SELECT 1", "two-statements", ";"),
    ("SELECT COUNT(*) FROM query('SELECT 1')", "function", "query"),
    ("SELECT COUNT(*) FROM query_table('housing')", "function", "query_table"),
    ("SELECT json_execute_serialized_sql(json_serialize_sql('x'))", "function", None),
    ("EXECUTE p(1)", "not-select", "EXECUTE"),
    ("FROM housing", "not-select", "FROM"),
    ("FROM housing SELECT COUNT(*)", "not-select", "FROM"),
    ("PIVOT housing ON area", "not-select", "PIVOT"),
    ("SELECT COUNT(*) FROM housing PIVOT (COUNT(*) FOR area IN ('a'))", "word", "PIVOT"),
    ("SELECT COLUMNS('.*') FROM housing", "function", "COLUMNS"),
    ("SELECT * FROM housing", "rows", "*"),
    ("SELECT h.* FROM housing h", "rows", "*"),
    ("SELECT COUNT(*), * FROM housing", "rows", "*"),
    ("SELECT rent FROM housing", "no-statistic", "rent"),
    ("SELECT rent, COUNT(*) FROM housing", "rows", "rent"),
    ("SELECT COUNT(*) FROM housing -- all", "comment", "--"),
    ("SELECT COUNT(*) /*+ HINT */ FROM housing", "comment", "/*"),
    ("(SELECT COUNT(*) FROM housing)", "not-select", "("),
    ("VALUES (1)", "not-select", "VALUES"),
    # C02, C03: files, network, settings, server functions
    ("SELECT COUNT(*) FROM read_csv('people.csv')", "function", "read_csv"),
    ("SELECT COUNT(*) FROM read_parquet('s3://x')", "function", "read_parquet"),
    ("SELECT COUNT(*) FROM 'people.parquet'", "file", None),
    ("SELECT COUNT(*) FROM glob('*')", "function", "glob"),
    ("SELECT COUNT(*) FROM sniff_csv('x')", "function", "sniff_csv"),
    ("COPY housing TO 'x'", "not-select", "COPY"),
    ("EXPORT DATABASE 'x'", "not-select", "EXPORT"),
    ("ATTACH ':memory:'", "not-select", "ATTACH"),
    ("INSTALL httpfs", "not-select", "INSTALL"),
    ("SET threads = 1", "not-select", "SET"),
    ("PRAGMA version", "not-select", "PRAGMA"),
    ("SELECT getenv('HOME')", "function", "getenv"),
    ("SELECT pg_read_file('/etc/passwd')", "function", "pg_read_file"),
    ("SELECT COUNT(*) FROM housing WHERE pg_sleep(5) IS NULL", "function", "pg_sleep"),
    ("SELECT set_config('a', 'b', true)", "function", "set_config"),
    ("SELECT COUNT(*) INTO x FROM housing", "word", "INTO"),
    ("SELECT COUNT(*) FROM housing FOR UPDATE", "word", "FOR"),
    # C04: names
    ("SELECT COUNT(*) FROM information_schema.tables", "unknown-table", None),
    ("SELECT COUNT(*) FROM main.housing", "unknown-table", None),
    ('SELECT COUNT(*) FROM "a"";"', "name", '"'),
    ("SELECT COUNT(*) FROM duckdb_tables()", "function", "duckdb_tables"),
    ("SELECT COUNT(*) FROM housing WHERE rowid = 1", "unknown-column", "rowid"),
    ("SELECT COUNT(*) FROM housing WHERE housing.housing.rent = 1", "not-in-language", None),
    ("SUMMARIZE housing", "not-select", "SUMMARIZE"),
    ("EXPLAIN ANALYZE SELECT 1", "not-select", "EXPLAIN"),
    ("DESCRIBE housing", "not-select", "DESCRIBE"),
    ("SELECT stats(rent) FROM housing", "function", "stats"),
    ("SELECT COUNT(*) FROM housing AS h (a, b)", "function", "h"),
    ("SELECT COUNT(*) FROM councils", "unknown-table", "councils"),
    ("SELECT COUNT(*) FROM housing WHERE x.rent = 1", "unknown-table", None),
    ("SELECT COUNT(*) FROM housing WHERE housing.salary = 1", "unknown-column", None),
    ("SELECT COUNT(*) FROM housing WHERE visits = 1", "unknown-column", "visits"),
    # C05, C06: functions that fail on data
    ("SELECT COUNT(*) FROM housing WHERE error(area) = 1", "one", None),
    ("SELECT COUNT(*) FROM housing WHERE CAST(area AS INT) = 1", "conversion", "CAST"),
    ("SELECT COUNT(*) FROM housing WHERE TRY_CAST(area AS INT) = 1", "conversion", "TRY_CAST"),
    ("SELECT COUNT(*) FROM housing WHERE area::INT = 1", "sign", ":"),
    ("SELECT COUNT(*) FROM housing WHERE DATE(area) = 1", "conversion", "DATE"),
    ("SELECT COUNT(*) FROM housing WHERE 1 / rent = 1", "sign", "/"),
    ("SELECT COUNT(*) FROM housing WHERE rooms % 2 = 1", "sign", "%"),
    ("SELECT COUNT(*) FROM housing WHERE MOD(rooms, 2) = 1", "function", "MOD"),
    ("SELECT COUNT(*) FROM housing WHERE LOG(rent) = 1", "function", "LOG"),
    ("SELECT COUNT(*) FROM housing WHERE area || 'x' = 'y'", "sign", "|"),
    ("SELECT COUNT(*) FROM housing WHERE area -> 'x' = 'y'", "sign", "-"),
    # C08: more than one level
    ("SELECT COUNT(*) FROM (SELECT 1) x", "subquery", "FROM"),
    ("SELECT (SELECT MAX(rent) FROM housing)", "subquery", "SELECT"),
    ("SELECT COUNT(*) FROM housing WHERE rent > (SELECT 1)", "subquery", "SELECT"),
    ("SELECT COUNT(*) FROM housing WHERE EXISTS (SELECT 1)", "subquery", "EXISTS"),
    ("SELECT COUNT(*) FROM housing WHERE area IN (SELECT area FROM health)", "subquery", "SELECT"),
    ("WITH x AS (SELECT 1) SELECT COUNT(*) FROM x", "subquery", "WITH"),
    ("SELECT ROW_NUMBER() OVER (ORDER BY rent) FROM housing", "window", "ROW_NUMBER"),
    ("SELECT SUM(rent) OVER () FROM housing", "window", "OVER"),
    ("SELECT LAG(rent) FROM housing", "window", "LAG"),
    ("SELECT COUNT(*) FROM housing QUALIFY 1 = 1", "window", "QUALIFY"),
    ("SELECT COUNT(*) FROM housing UNION SELECT 1", "set", "UNION"),
    ("SELECT COUNT(*) FROM housing EXCEPT SELECT 1", "set", "EXCEPT"),
    # C09: heavy work
    ("SELECT COUNT(*) FROM range(1000000000)", "function", "range"),
    ("SELECT COUNT(*) FROM housing WHERE repeat('x', 4000000000) = 'x'", "function", "repeat"),
    ("SELECT COUNT(*) FROM housing WHERE main.repeat(area) = 'x'", "function", "repeat"),
    ("SELECT COUNT(*) FROM housing WHERE levenshtein(area, tenure) = 1", "function", None),
    ("SELECT COUNT(*) FROM housing WHERE regexp_matches(area, 'a+')", "function", None),
    ("SELECT COUNT(*) FROM housing WHERE area SIMILAR TO 'a+'", "pattern", "SIMILAR"),
    ("SELECT COUNT(*) FROM housing CROSS JOIN health", "join", "CROSS"),
    ("SELECT COUNT(*) FROM housing, health", "join", ","),
    ("SELECT COUNT(*) FROM housing TABLESAMPLE (10)", "word", "TABLESAMPLE"),
    # C12: code
    ("CREATE FUNCTION f() AS 1", "not-select", "CREATE"),
    ("CREATE MACRO f() AS 1", "not-select", "CREATE"),
    ("SELECT reflect('java.lang.Runtime', 'x')", "function", "reflect"),
    ("SELECT java_method('x')", "function", "java_method"),
    # joins
    ("SELECT COUNT(*) FROM housing h JOIN health ON h.area = 1", "join", "ON"),
    ("SELECT COUNT(*) FROM housing LEFT JOIN health USING (person)", "join", "LEFT"),
    ("SELECT COUNT(*) FROM housing NATURAL JOIN health", "join", "NATURAL"),
    ("SELECT COUNT(*) FROM housing JOIN health", "join", None),
    ("SELECT COUNT(*) FROM housing JOIN health USING (person, address)", "join", None),
    ("SELECT COUNT(*) FROM housing JOIN health USING (area)", "unknown-entity", "area"),
    ("SELECT COUNT(*) FROM housing JOIN housing USING (person)", "self-join", "housing"),
    ("SELECT COUNT(*) FROM housing h JOIN housing g USING (person)", "self-join", "housing"),
    ("SELECT COUNT(*) FROM housing health JOIN health USING (person)", "alias", None),
    ("SELECT area, COUNT(*) FROM housing JOIN health USING (person)", "ambiguous-column", "area"),
    # A11, A14, A16: figures about one person, figures before they are protected
    ("SELECT MAX(rent) FROM housing", "one-person", "MAX"),
    ("SELECT min(rent) FROM housing", "one-person", "min"),
    ("SELECT MEDIAN(rent) FROM housing", "one-person", "MEDIAN"),
    ("SELECT quantile_cont(rent, 0.999) FROM housing", "one-person", "quantile_cont"),
    ("SELECT ANY_VALUE(area) FROM housing", "one-person", "ANY_VALUE"),
    ("SELECT arg_max(area, rent) FROM housing", "one-person", "arg_max"),
    ("SELECT first(area) FROM housing", "one-person", "first"),
    ("SELECT list(area) FROM housing", "one-person", "list"),
    ("SELECT string_agg(area, ',') FROM housing", "one-person", "string_agg"),
    ("SELECT histogram(area) FROM housing", "one-person", "histogram"),
    ("SELECT mode(area) FROM housing", "one-person", "mode"),
    ("SELECT bit_xor(rooms) FROM housing", "one-person", "bit_xor"),
    ("SELECT product(rooms) FROM housing", "one-person", "product"),
    ("SELECT approx_top_k(area, 3) FROM housing", "one-person", "approx_top_k"),
    ("SELECT COUNT(DISTINCT area) FROM housing", "count", None),
    ("SELECT COUNT(DISTINCT person, area) FROM housing", "count", None),
    ("SELECT COUNT(DISTINCT address) FROM housing", "count", None),
    ("SELECT COUNT(DISTINCT housing.person) FROM housing", "count", None),
    ("SELECT COUNT(area) FROM housing", "count", "COUNT"),
    ("SELECT COUNT(1) FROM housing", "count", "COUNT"),
    ("SELECT COUNT() FROM housing", "count", "COUNT"),
    ("SELECT DISTINCT area, COUNT(*) FROM housing", "distinct", "DISTINCT"),
    ("SELECT SUM(DISTINCT rent) FROM housing", "distinct", "DISTINCT"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY area HAVING COUNT(*) = 1", "having", "HAVING"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY 1 ORDER BY COUNT(*)", "order", "COUNT"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY 1 ORDER BY rent", "order", "rent"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY 1 ORDER BY rent + 1", "order", "rent"),
    ("SELECT COUNT(*) FROM housing LIMIT 1 OFFSET 3", "limit", "OFFSET"),
    ("SELECT COUNT(*) FROM housing LIMIT 3, 1", "not-in-language", None),
    ("SELECT COUNT(*) FROM housing LIMIT 0", "limit", "0"),
    ("SELECT COUNT(*) FROM housing LIMIT rooms", "limit", "rooms"),
    ("SELECT COUNT(*) FROM housing LIMIT ALL", "word", "ALL"),
    ("SELECT SUM(rent) FILTER (WHERE rooms = 1) FROM housing", "filter", "FILTER"),
    ("SELECT SUM(rent) - SUM(rooms) FROM housing", "select-list", None),
    ("SELECT SUM(rent) * 2 FROM housing", "select-list", None),
    ("SELECT SUM(AVG(rent)) FROM housing", "nested-aggregate", "AVG"),
    ("SELECT COUNT(*) FROM housing WHERE COUNT(*) > 3", "nested-aggregate", "COUNT"),
    ("SELECT SUM(PROPORTION(furnished)) FROM housing", "nested-aggregate", "PROPORTION"),
    # groups and margins
    ("SELECT area, COUNT(*) FROM housing GROUP BY rent", "group", "rent"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY area, area", "group", "area"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY 3", "ordinal", "3"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY 2", "group", "2"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY ALL", "word", "ALL"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY area, ROLLUP(tenure)", "margins", "ROLLUP"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY GROUPING SETS ((area))", "margins", "GROUPING"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY area WITH ROLLUP", "subquery", "WITH"),
    ("SELECT area, COUNT(*) FROM housing GROUP BY (area, tenure)", "group", None),
    ("SELECT COUNT(*) FROM housing GROUP BY COUNT(*)", "group", None),
    ("SELECT tenure AS area, COUNT(*) FROM housing GROUP BY area", "ambiguous-column", "area"),
    ("SELECT rooms + 1, COUNT(*) FROM housing GROUP BY 1", "select-list", None),
    ("SELECT person, COUNT(*) FROM housing GROUP BY 1", "entity-as-column", "person"),
    # conditions
    ("SELECT COUNT(*) FROM housing WHERE 1 = 1", "constant-condition", "1"),
    ("SELECT COUNT(*) FROM housing WHERE rent = 1 OR TRUE", "constant-condition", "TRUE"),
    ("SELECT COUNT(*) FROM housing WHERE 'a' LIKE 'a'", "like", None),
    ("SELECT COUNT(*) FROM housing WHERE 1 IN (1, 2)", "constant-condition", None),
    ("SELECT COUNT(*) FROM housing WHERE area = NULL", "null", "NULL"),
    ("SELECT COUNT(*) FROM housing WHERE furnished IS TRUE", "is", None),
    ("SELECT COUNT(*) FROM housing WHERE rent IS DISTINCT FROM 3", "distinct", "DISTINCT"),
    ("SELECT COUNT(*) FROM housing WHERE area LIKE tenure", "like", None),
    ("SELECT COUNT(*) FROM housing WHERE area LIKE 'a' ESCAPE '!'", "pattern", "ESCAPE"),
    ("SELECT COUNT(*) FROM housing WHERE area LIKE 'a\\%'", "pattern", None),
    ("SELECT COUNT(*) FROM housing WHERE area ILIKE 'a'", "pattern", "ILIKE"),
    ("SELECT COUNT(*) FROM housing WHERE rent = ANY (1)", "word", "ANY"),
    ("SELECT COUNT(*) FROM housing WHERE 1 < rooms < 3", "condition-as-value", None),
    ("SELECT COUNT(*) FROM housing WHERE (rooms = 1) = TRUE", "condition-as-value", None),
    ("SELECT SUM(rent > 3) FROM housing", "condition-as-value", None),
    ("SELECT COUNT(*) FROM housing WHERE rooms + 1", "syntax", None),
    ("SELECT COUNT(*) FROM housing WHERE SUM(rent)", "nested-aggregate", "SUM"),
    (
        "SELECT COUNT(*) FROM housing WHERE CASE WHEN furnished THEN TRUE END",
        "case-condition",
        None,
    ),
    ("SELECT COUNT(*) FROM housing WHERE COALESCE(rent, 0) = 1", "function", "COALESCE"),
    ("SELECT COUNT(*) FROM housing WHERE rent BETWEEN SYMMETRIC 2 AND 1", "word", "SYMMETRIC"),
    ("SELECT COUNT(*) FROM housing WHERE moved > CURRENT_DATE", "function", "CURRENT_DATE"),
    ("SELECT COUNT(*) FROM housing WHERE moved > NOW()", "function", "NOW"),
    ("SELECT COUNT(*) FROM housing WHERE moved > moved + INTERVAL '1' DAY", "word", "INTERVAL"),
    ("SELECT COUNT(*) FROM housing WHERE area COLLATE x = 'a'", "sign", "COLLATE"),
    ("SELECT CASE WHEN furnished THEN NULL END x, COUNT(*) FROM housing GROUP BY 1", "null", None),
    # C13: type games
    ("SELECT COUNT(*) FROM housing WHERE rent = 1e3", "number", "1e3"),
    ("SELECT COUNT(*) FROM housing WHERE rent = 0x10", "number", "0x10"),
    ("SELECT COUNT(*) FROM housing WHERE rent = 1_000", "number", "1_000"),
    ("SELECT COUNT(*) FROM housing WHERE rent = 007", "number", "007"),
    ("SELECT COUNT(*) FROM housing WHERE rent = .5", "number", ".5"),
    ("SELECT COUNT(*) FROM housing WHERE rent = 1.2.3", "number", "1.2.3"),
    ("SELECT COUNT(*) FROM housing WHERE rent = 0.12345678", "number", None),
    (f"SELECT COUNT(*) FROM housing WHERE rent = {'9' * 19}", "number", None),
    ("SELECT COUNT(*) FROM housing WHERE moved = DATE '0000-00-00'", "date", None),
    ("SELECT COUNT(*) FROM housing WHERE moved = DATE '2021-02-29'", "date", None),
    ("SELECT COUNT(*) FROM housing WHERE moved = DATE '20210201'", "date", None),
    ("SELECT COUNT(*) FROM housing WHERE area = N'x'", "string-place", None),
    ("SELECT COUNT(*) FROM housing WHERE area = 'x' 'y'", "string-place", None),
    ("SELECT COUNT(*) FROM housing WHERE area = 'x", "string", "'"),
    ("SELECT COUNT(*) FROM housing WHERE area = $1", "sign", "$"),
    ("SELECT COUNT(*) FROM housing WHERE area = ?", "sign", "?"),
    ("SELECT COUNT(*) FROM housing WHERE area = {{ x }}", "sign", "{"),
    ("SELECT COUNT(*) FROM housing WHERE -furnished", "syntax", None),
    ("SELECT COUNT(*) FROM housing WHERE rent = -'x'", "syntax", None),
    # text that breaks off
    ("", "empty", None),
    (";", "empty", None),
    ("SELECT COUNT(*) FROM housing LIMIT (3)", "syntax", "LIMIT"),
    ("SELECT", "no-table", None),
    ("SELECT 1", "no-table", None),
    ("SELECT COUNT(*)", "no-table", None),
    ("SELECT COUNT(*) FROM", "syntax", None),
    ("SELECT COUNT(*), FROM housing", "syntax", ","),
    ("SELECT COUNT(*) FROM housing WHERE", "syntax", None),
    ("SELECT COUNT(*) FROM housing WHERE rent >", "syntax", None),
    ("SELECT COUNT(*) FROM housing WHERE rent == 1", "syntax", "="),
    ("SELECT COUNT(*) FROM housing WHERE rooms BETWEEN 1 3", "syntax", "3"),
    ("SELECT COUNT(*) FROM housing WHERE rooms BETWEEN floor rooms", "syntax", "rooms"),
    ("SELECT AS area, COUNT(*) FROM housing", "syntax", "AS"),
    ("SELECT COUNT(*) AS, SUM(rent) FROM housing", "syntax", "AS"),
    ("SELECT COUNT(*) FROM housing * WHERE furnished", "syntax", "*"),
    ("SELECT COUNT(*) FROM . housing", "syntax", "."),
    ("SELECT , COUNT(*) FROM housing", "syntax", ","),
    ("SELECT COUNT(DISTINCT , person) FROM housing", "syntax", ","),
    ("SELECT COUNT(*) FROM housing BY", "no-name", "BY"),
    ("SELECT COUNT(*) FROM housing WHERE furnished WHERE rooms = 1", "syntax", "WHERE"),
    ("SELECT COUNT(*) FROM housing LIMIT 3 WHERE rooms = 1", "syntax", "WHERE"),
    ("SELECT COUNT(*) FROM housing WHERE rooms = 1 JOIN health USING (person)", "syntax", "JOIN"),
    ("SELECT area, COUNT(*) FROM housing GROUP area", "syntax", "GROUP"),
    ("SELECT COUNT(*) FROM housing WHERE (rooms = 1 WHERE 1)", "syntax", "WHERE"),
    ("SELECT COUNT(*) FROM housing WHERE rooms NOT NULL", "syntax", "NOT"),
    ("SELECT SUM(rent FROM housing", "syntax", None),
    ("SELECT SUM() FROM housing", "syntax", None),
    ("SELECT SUM(rent, rooms) FROM housing", "syntax", None),
    ("SELECT COUNT(*) AS a, SUM(rent) AS A FROM housing", "two-names", None),
    ('SELECT COUNT(*) AS "select list" FROM housing', "name", '"'),
    ("SELECT CASE WHEN furnished THEN 1 END, COUNT(*) FROM housing GROUP BY 1", "no-name", None),
]


@pytest.mark.parametrize(("text", "code", "word"), ATTACKS)
def test_it_is_refused_at_the_word(text: str, code: str, word: str | None) -> None:
    """Each attack ends in one sentence with a remedy and, where there is one, at its word."""
    with pytest.raises((UsageError, Refused)) as caught:
        parse(text, SCOPE)
    error = caught.value
    if code != "one":
        assert error.code == code
    assert error.sentence.endswith(".")
    assert error.remedy.endswith(".")
    assert "sqlglot" not in str(error).lower()
    assert error.__cause__ is None
    if word is not None:
        assert error.where.endswith(f": '{word}'")
    if error.where:
        assert _pointed(text, error.where)


def _pointed(text: str, where: str) -> bool:
    """Tell whether a place names the word that really stands there."""
    found = re.fullmatch(r"line (\d+), column (\d+)(?:: '(.*)')?", where, re.DOTALL)
    if found is None:
        return False
    line = text.split("\n")[int(found.group(1)) - 1]
    word = found.group(3)
    return word is None or line[int(found.group(2)) - 1 :].startswith(word.rstrip("…"))


def test_the_place_counts_lines_and_columns() -> None:
    """`where` reads as in an editor: line 2, column 14."""
    with pytest.raises(Refused) as caught:
        parse("SELECT area,\n             MAX(rent)\nFROM housing", SCOPE)
    assert caught.value.where == "line 2, column 14: 'MAX'"
    assert caught.value.exit_code == 3


def test_an_ambiguous_name_lists_both_readings() -> None:
    """The remedy writes the column out for each table, under the question's own aliases."""
    with pytest.raises(UsageError) as caught:
        parse("SELECT COUNT(*) FROM housing h JOIN health USING (person) WHERE area = 'x'", SCOPE)
    assert caught.value.remedy == "Write 'h.area' or 'health.area'."


def test_a_near_miss_is_suggested() -> None:
    """A mistyped column is answered with the nearest one in reach."""
    with pytest.raises(Refused, match="Did you mean 'tenure'"):
        parse("SELECT COUNT(*) FROM housing WHERE tenur = 'x'", SCOPE)


def test_a_column_named_like_a_word_of_sql_gets_advice() -> None:
    """Where the refused word is also a column, the remedy says to quote it."""
    scope = Scope({"t": frozenset({"left"})})
    with pytest.raises(Refused, match='write "left" in quotes'):
        parse("SELECT COUNT(*) FROM t WHERE left = 1", scope)


def test_text_constants_are_not_repeated() -> None:
    """A constant may be somebody's name: errors point at it and do not show it."""
    for text in (
        "SELECT COUNT(*) FROM housing WHERE rent = -'Ann Poole'",
        "SELECT COUNT(*) FROM housing WHERE area = 'Ann' 'Ann Poole'",
        "SELECT COUNT(*) FROM housing WHERE area = 'Ann Poole' = 'x'",
        "SELECT COUNT(*) FROM housing WHERE moved = DATE 'Ann Poole'",
        f"SELECT COUNT(*) FROM housing WHERE area = 'Ann Poole {'x' * 200}'",
        "SELECT COUNT(*) FROM housing WHERE 'Ann Poole'",
    ):
        with pytest.raises(BridlewayError) as caught:
            parse(text, SCOPE)
        assert "Ann" not in str(caught.value)
