"""Whatever the text, the outcome is a question or a sentence."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.model.question import Question
from bridleway.questions.sql import parse
from bridleway.questions.write import to_sql
from tests.questions import made
from tests.questions.test_sql_refuses import ATTACKS

VALID = (
    "SELECT area, tenure AS kind, COUNT(DISTINCT person) AS people, SUM(rent * 2 - 1) AS total "
    "FROM housing WHERE rooms BETWEEN 1 AND 3 AND NOT furnished AND tenure NOT IN ('a', 'b') "
    "AND area NOT LIKE 'x%' AND moved > DATE '2020-01-31' "
    "GROUP BY ROLLUP (area, kind) ORDER BY people DESC, 1 LIMIT 10",
    "SELECT CASE WHEN h.rooms > 2 THEN 'big' ELSE 'small' END AS size, COUNT(*) AS n, "
    "PROPORTION(disabled AND visits > 3) AS share FROM housing AS h JOIN health USING (person) "
    "WHERE (h.area = 'x' OR visits IS NOT NULL) AND h.rent <> -1.5 GROUP BY CUBE (1)",
)
PIECE = re.compile(r"'(?:[^']|'')*'|[A-Za-z_]+|[0-9.]+|<>|[^\s]")
WORDS = sorted({piece for text in VALID for piece in PIECE.findall(text)})
WORDS = sorted({*WORDS, *(piece for text, _, _ in ATTACKS for piece in PIECE.findall(text)[:12])})
WHOLE = {text: parse(text, made.SCOPE) for text in VALID}


def outcome(text: str) -> Question | BridlewayError:
    """Parse; everything but a question or a user's error fails the test."""
    try:
        question = parse(text, made.SCOPE)
    except (UsageError, Refused) as error:
        assert error.sentence and error.__cause__ is None
        assert "Traceback" not in str(error) and "sqlglot" not in str(error)
        return error
    assert isinstance(question, Question)
    assert parse(to_sql(question), made.SCOPE) == question
    return question


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    """Random characters."""
    outcome(text)


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_any_words(words: list[str]) -> None:
    """Random words of SQL, after SELECT."""
    outcome("SELECT " + " ".join(words))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_mutation_of_a_valid_question(data: st.DataObject) -> None:
    """Words dropped, doubled, swapped, replaced in valid questions."""
    pieces = PIECE.findall(data.draw(st.sampled_from(VALID)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(pieces) - 1))
        match data.draw(st.sampled_from(["drop", "double", "swap", "replace", "insert"])):
            case "drop":
                del pieces[at]
            case "double":
                pieces.insert(at, pieces[at])
            case "swap":
                other = data.draw(st.integers(0, len(pieces) - 1))
                pieces[at], pieces[other] = pieces[other], pieces[at]
            case "replace":
                pieces[at] = data.draw(st.sampled_from(WORDS))
            case _:
                pieces.insert(at, data.draw(st.sampled_from(WORDS)))
    outcome(" ".join(pieces))


@settings(max_examples=900, deadline=None)
@given(st.sampled_from(VALID), st.sampled_from(WORDS), st.integers(1, 200))
def test_no_added_word_is_overlooked(text: str, added: str, at: int) -> None:
    """A word put in anywhere changes the question, makes it refused, or is an alias."""
    pieces = PIECE.findall(text)
    at = 1 + at % (len(pieces) - 1)
    if outcome(" ".join([*pieces[:at], added, *pieces[at:]])) == WHOLE[text]:
        assert _is_idle(added, pieces[at - 1], pieces[at]), (pieces[at - 1], added)


def _is_idle(added: str, before: str, after: str) -> bool:
    """Tell whether a word means nothing in SQL either."""
    if added == "AS":
        return before in ("area", "housing") or after in ("h", "kind")
    if added in ("ASC", "+") or (added == "*" and before == "x"):
        return True
    if (added, after) in (
        ("0", "-"),
        ("area", "area"),
        ("health", "health"),
        ("housing", "housing"),
    ):
        return True
    names_a_table = before in ("housing", "health") and added.isidentifier()
    return names_a_table or (before == added and added in ("area", "tenure"))


def test_no_word_is_overlooked() -> None:
    """Leaving out any one word of a question changes it or makes it refused.

    A parser that silently drops what it does not understand would answer another question.
    """
    for text in VALID:
        pieces = PIECE.findall(text)
        for at, piece in enumerate(pieces):
            less = outcome(" ".join(pieces[:at] + pieces[at + 1 :]))
            if piece == "AS":
                continue
            assert less != WHOLE[text], f"{piece!r} at {at} makes no difference"
