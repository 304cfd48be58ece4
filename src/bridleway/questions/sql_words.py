"""SQL's words: which ones the question language has, and what to write instead of the others."""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """Why a word is not in the language, what to write instead, and the refusal's code."""

    sentence: str
    remedy: str
    code: str


FUNCTIONS = frozenset(
    ("COUNT", "SUM", "AVG", "VAR_SAMP", "VARIANCE", "VAR_POP", "STDDEV", "STDDEV_SAMP")
    + ("STDDEV_POP", "PROPORTION")
)
FUNCTION_LIST = (
    "COUNT(*), COUNT(DISTINCT person), SUM, AVG, VAR_SAMP, VAR_POP, STDDEV_SAMP, STDDEV_POP "
    "and PROPORTION"
)
MARGINS = frozenset({"ROLLUP", "CUBE"})
MAY_PRECEDE_BRACKET = frozenset(
    ("IN", "AND", "OR", "NOT", "WHERE", "WHEN", "THEN", "ELSE", "USING", "BETWEEN", "BY")
    + ("SELECT", "CASE", "LIKE")
)
MAY_PRECEDE_STRING = frozenset(
    ("DATE", "AND", "OR", "BETWEEN", "LIKE", "THEN", "ELSE", "WHEN", "CASE", "NOT", "WHERE")
    + ("SELECT", "BY")
)
NO_CALLS = frozenset(
    {"AS", "ASC", "DESC", "DISTINCT", "END", "INNER", "IS", "NULL", "TRUE", "FALSE"}
)
CLAUSES = frozenset({"SELECT", "FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "JOIN"})
# Words that cannot name a table or a column of the answer unless they are quoted.
RESERVED = MAY_PRECEDE_BRACKET | CLAUSES | NO_CALLS | FUNCTIONS | MARGINS

_ONE_LEVEL = "Filter, join, group and count in one SELECT."
_INNER = "Only inner joins are answered."
_WRITE_USING = "Write JOIN table USING (person)."
_WRITE_LIKE = "Write LIKE with % and _."
_AFTER = "Filter or sort the answer after it is released."
_SUBQUERY = Advice(
    "Subqueries are not allowed: they can single out people.", _ONE_LEVEL, "subquery"
)
_JOIN = Advice(_INNER, _WRITE_USING, "join")
_SETS = Advice("Several SELECTs cannot be combined.", "Ask them as separate questions.", "set")
_WINDOW = Advice(
    "Window functions are not allowed: they return figures about single rows.",
    "Use GROUP BY.",
    "window",
)
_ONE_PERSON = Advice(
    "This function returns one person's value.",
    "Use AVG, or count people in bands: COUNT(DISTINCT person) with GROUP BY over a CASE.",
    "one-person",
)
_PATTERN = Advice("This kind of pattern is not in the question language.", _WRITE_LIKE, "pattern")
_CONVERT = Advice(
    "Conversions are not allowed: they fail on some people's data, which tells who is there.",
    "Compare the column as it is; constants take the type of their column.",
    "conversion",
)
_NULLS = Advice(
    "This function for missing values is not in the question language.",
    "Write CASE WHEN column IS NULL THEN ... ELSE ... END.",
    "function",
)
_NOW = Advice(
    "A question must mean the same on every day.",
    "Write the date: DATE '2026-01-31'.",
    "function",
)

# Words that shape a statement. None of them may stand bare in a question, even as a name.
REFUSED_WORDS: dict[str, Advice] = {
    "HAVING": Advice("HAVING would act on figures before they are protected.", _AFTER, "having"),
    "FILTER": Advice(
        "FILTER is not in the question language.",
        "Write SUM(CASE WHEN condition THEN column END), or PROPORTION(condition).",
        "filter",
    ),
    "OVER": _WINDOW,
    "WINDOW": _WINDOW,
    "QUALIFY": _WINDOW,
    "UNION": _SETS,
    "INTERSECT": _SETS,
    "EXCEPT": _SETS,
    "EXISTS": _SUBQUERY,
    "LATERAL": _SUBQUERY,
    "WITH": Advice("WITH is not in the question language.", _ONE_LEVEL, "subquery"),
    "RECURSIVE": _SUBQUERY,
    "ON": Advice("Joins name an entity, not a condition.", _WRITE_USING, "join"),
    "LEFT": _JOIN,
    "RIGHT": _JOIN,
    "FULL": _JOIN,
    "OUTER": _JOIN,
    "CROSS": _JOIN,
    "NATURAL": _JOIN,
    "SEMI": _JOIN,
    "ANTI": _JOIN,
    "ASOF": _JOIN,
    "POSITIONAL": _JOIN,
    "STRAIGHT_JOIN": _JOIN,
    "APPLY": _JOIN,
    "OFFSET": Advice("OFFSET is not in the question language.", "Use ORDER BY and LIMIT.", "limit"),
    "FETCH": Advice("FETCH is not in the question language.", "Write LIMIT n.", "limit"),
    "TOP": Advice("TOP is not in the question language.", "Write ORDER BY ... LIMIT n.", "limit"),
    "GROUPING": Advice(
        "GROUPING SETS is not in the question language.",
        "Write GROUP BY ROLLUP (...) or CUBE (...).",
        "margins",
    ),
    "NULLS": Advice("The place of NULLs is fixed.", "Leave NULLS FIRST or LAST out.", "order"),
    "ILIKE": _PATTERN,
    "RLIKE": _PATTERN,
    "REGEXP": _PATTERN,
    "SIMILAR": _PATTERN,
    "GLOB": _PATTERN,
    "ESCAPE": _PATTERN,
    "COLLATE": Advice("Texts compare exactly.", "Leave COLLATE out.", "sign"),
    "DIV": Advice("Division can fail on data.", "Ask for both sums, or use AVG.", "sign"),
    "MOD": Advice("Division can fail on data.", "Ask for both sums, or use AVG.", "sign"),
    "XOR": Advice("XOR is not in the question language.", "Use AND, OR and NOT.", "sign"),
    "ALL": Advice("ALL is not in the question language.", "Name the columns.", "word"),
    "ANY": Advice("ANY is not in the question language.", "Use IN (...).", "word"),
    "SOME": Advice("SOME is not in the question language.", "Use IN (...).", "word"),
    "SYMMETRIC": Advice("BETWEEN takes the lower end first.", "Leave SYMMETRIC out.", "word"),
    "ISNULL": Advice("ISNULL is not in the question language.", "Write IS NULL.", "word"),
    "NOTNULL": Advice("NOTNULL is not in the question language.", "Write IS NOT NULL.", "word"),
    "UNKNOWN": Advice("UNKNOWN is not in the question language.", "Write IS NULL.", "word"),
    "TABLESAMPLE": Advice("Samples cannot be asked for.", "Leave TABLESAMPLE out.", "word"),
    "PIVOT": Advice("PIVOT is not in the question language.", "Use GROUP BY.", "word"),
    "UNPIVOT": Advice("UNPIVOT is not in the question language.", "Use GROUP BY.", "word"),
    "INTO": Advice("A question only reads.", "Leave INTO out.", "word"),
    "VALUES": Advice("A question reads the passport's tables only.", "Name a table.", "word"),
    "INTERVAL": Advice("Dates are not calculated.", "Write the date itself.", "word"),
    "FOR": Advice("A question only reads.", "Leave FOR out.", "word"),
    "CURRENT_DATE": _NOW,
    "CURRENT_TIME": _NOW,
    "CURRENT_TIMESTAMP": _NOW,
    "LOCALTIME": _NOW,
    "LOCALTIMESTAMP": _NOW,
}

_TIMES = ("NOW", "TODAY", "GETDATE", "AGE", "DATE_DIFF", "DATEDIFF", "DATE_PART", "EXTRACT", "YEAR")
_ORDER_STATISTICS = (
    "MIN", "MAX", "MEDIAN", "MODE", "QUANTILE", "PERCENTILE_CONT", "PERCENTILE_DISC",
    "QUANTILE_CONT", "QUANTILE_DISC", "ARG_MAX", "ARG_MIN", "MAX_BY", "MIN_BY", "ANY_VALUE",
    "FIRST", "LAST", "ARBITRARY", "LIST", "ARRAY_AGG", "STRING_AGG", "GROUP_CONCAT", "LISTAGG",
    "HISTOGRAM", "APPROX_TOP_K", "TOP_K", "BIT_XOR", "BIT_AND", "BIT_OR", "PRODUCT", "JSON_AGG",
    "JSON_GROUP_ARRAY", "KURTOSIS", "SKEWNESS", "ENTROPY", "APPROX_QUANTILE", "RESERVOIR_QUANTILE",
)  # fmt: skip
_RANKS = (
    "ROW_NUMBER", "RANK", "DENSE_RANK", "LAG", "LEAD", "NTILE", "FIRST_VALUE", "LAST_VALUE",
    "NTH_VALUE", "PERCENT_RANK", "CUME_DIST",
)  # fmt: skip
_CONVERSIONS = (
    "CAST", "TRY_CAST", "CONVERT", "TO_DATE", "STRPTIME", "TO_NUMBER", "TO_CHAR", "DATE",
    "TIMESTAMP", "ERROR", "STRFTIME",
)  # fmt: skip

REFUSED_FUNCTIONS: dict[str, Advice] = {
    **dict.fromkeys(_TIMES, _NOW),
    **dict.fromkeys(_ORDER_STATISTICS, _ONE_PERSON),
    **dict.fromkeys(_RANKS, _WINDOW),
    **dict.fromkeys(_CONVERSIONS, _CONVERT),
    **dict.fromkeys(("COALESCE", "IFNULL", "NVL", "NULLIF", "ISNULL"), _NULLS),
    **dict.fromkeys(
        ("IF", "IIF", "DECODE", "CHOOSE"),
        Advice("This function is not in the question language.", "Write CASE.", "function"),
    ),
    **dict.fromkeys(
        ("VAR", "STDEV", "STD", "MEAN", "STDDEV_SAMPLE", "STDEVP", "VARP"),
        Advice(
            "This function is not in the question language.",
            "Write AVG, VAR_SAMP, VAR_POP, STDDEV_SAMP or STDDEV_POP.",
            "function",
        ),
    ),
    "APPROX_COUNT_DISTINCT": Advice(
        "This function is not in the question language.",
        "Write COUNT(DISTINCT person): it is exact.",
        "function",
    ),
    "COUNT_IF": Advice(
        "This function is not in the question language.",
        "Write PROPORTION(condition), or put the condition into WHERE.",
        "function",
    ),
}
OTHER_FUNCTION = Advice(
    "This is not a function of the question language.", f"There are {FUNCTION_LIST}.", "function"
)

# Bare words that SQL parsers read as something else than a name; `to_sql` quotes them.
_PARSER_WORDS = frozenset(
    ("ALTER", "ARRAY", "CONNECT_BY_ROOT", "CREATE", "CURRENT_CATALOG", "CURRENT_SCHEMA")
    + ("CURRENT_DATETIME", "CURRENT_ROLE", "CURRENT_USER", "DELETE", "DESCRIBE", "DROP", "EXECUTE")
    + ("GRANT", "IF", "INSERT", "LOCK", "MAP", "MERGE", "NEXT", "PARTITIONED_BY", "PRIOR")
    + ("RETURNING", "REVOKE", "ROLLBACK", "ROW", "SESSION_USER", "SET", "STRUCT", "TIME")
    + ("TIMESTAMP", "TRY_CAST", "UNCACHE", "UNIQUE", "UNNEST", "UPDATE", "USE", "USER")
)
QUOTED_NAMES = frozenset(
    {*REFUSED_WORDS, *FUNCTIONS, *MARGINS, *MAY_PRECEDE_BRACKET, *MAY_PRECEDE_STRING, *CLAUSES}
    | NO_CALLS
    | _PARSER_WORDS
)


def quoted(name: str) -> str:
    """Return a name as a question writes it: in double quotes where it is also a word of SQL."""
    return f'"{name}"' if name.upper() in QUOTED_NAMES else name
