"""Size, depth and characters are checked on the bare text, in milliseconds."""

from __future__ import annotations

import time

import pytest

from bridleway.errors import BridlewayError, UsageError
from bridleway.questions.sql import parse
from bridleway.questions.sql_text import MAX_IN_VALUES, MAX_TEXT_BYTES
from tests.questions.made import SCOPE

HEAD = "SELECT COUNT(*) FROM housing WHERE "


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "(" * 5_000 + "rooms = 1" + ")" * 5_000,
        HEAD + "NOT " * 50_000 + "furnished",
        HEAD + "NOT " * 3_000 + "furnished",
        HEAD + " AND ".join(["rooms = 1"] * 20_000),
        HEAD + " AND ".join(["a=1"] * 1_900),
        HEAD + "rooms = " + "- " * 4_000 + "1",
        HEAD + "rooms IN (" + ",".join(["1"] * 1_000_000) + ")",
        HEAD + "rooms IN (" + ",".join(map(str, range(MAX_IN_VALUES + 1))) + ")",
        HEAD + "CASE WHEN furnished THEN " * 500 + "1" + " END" * 500 + " = 1",
        HEAD + "furnished = NOT " * 400 + "furnished",
        HEAD + "rooms" + "+rooms" * 1_500 + " = 1",
        HEAD + "rooms" + " = rooms" * 1_000,
        HEAD + "SELECT ( " * 800,
        HEAD + "rent = " + "9" * 10_000,
        HEAD + "area = '" + "x" * 10_000 + "'",
        HEAD + "x" * 10_000 + " = 1",
        HEAD + '"' * 10_000,
        HEAD + "'" * 10_001,
        HEAD + "." * 10_000,
        "SELECT COUNT(*) FROM housing " + "JOIN health housing " * 40,
        "SELECT " + "COUNT(*), " * 1_000 + "COUNT(*) FROM housing",
        "x" * 10_000_000,
        "é" * (MAX_TEXT_BYTES - 1),
    ],
    ids=range(23),
)
def test_heavy_text_is_refused_at_once(text: str) -> None:
    """No text costs more than a fraction of a second or ends in a RecursionError (C09, C10)."""
    started = time.thread_time()
    with pytest.raises(BridlewayError) as caught:
        parse(text, SCOPE)
    assert time.thread_time() - started < 0.5
    assert len(str(caught.value)) < 500


def test_what_is_within_the_limits_is_read() -> None:
    """A long honest question is answered: 250 conditions, a list of 500, 25 brackets."""
    many = " OR ".join(f"rooms = {number}" for number in range(250))
    assert parse(HEAD + many, SCOPE).where is not None
    values = ",".join(map(str, range(MAX_IN_VALUES)))
    assert parse(HEAD + f"rooms IN ({values})", SCOPE).where is not None
    assert parse(HEAD + "(" * 25 + "rooms = 1" + ")" * 25, SCOPE).where is not None


@pytest.mark.parametrize(
    "odd",
    [
        "\u202e", "\u2066", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u0000", "\u0007", "\u001b",
        "\u0085", "\u2028", "\u00a0", "\u3000", "\uff11", "\u0661", "\uff41", "\u3164", "\u034f",
        "\ufe0f", "\U000e0041", "\ue000", "\ud800",
    ],
    ids=lambda odd: f"U+{ord(odd):04X}",
)  # fmt: skip
@pytest.mark.parametrize("place", ["area = '{}'", "area{} = 'x'", "rooms = 1{}", "{}area = 'x'"])
def test_hidden_and_look_alike_characters_are_refused(odd: str, place: str) -> None:
    """Bidirectional, zero-width, control and full-width characters never get in (C13)."""
    with pytest.raises(UsageError) as caught:
        parse(HEAD + place.format(odd), SCOPE)
    assert caught.value.code == "hidden-character"
    assert caught.value.where.startswith("line 1, column ")


def test_accented_text_is_welcome_and_letters_outside_quotes_are_not() -> None:
    """Place names keep their accents; an accent as a character of its own is refused."""
    assert parse(HEAD + "area = 'Ynys Môn'", SCOPE).where is not None
    with pytest.raises(UsageError):
        parse(HEAD + "area = 'Ynys Mo\u0302n'", SCOPE)
    with pytest.raises(BridlewayError):
        parse(HEAD + "ar\u00e9a = 'x'", SCOPE)
    with pytest.raises(BridlewayError):
        parse(HEAD + "\u0430rea = 'x'", SCOPE)  # a Cyrillic a


def test_only_text_is_a_question() -> None:
    """Bytes, None and numbers get the sentence too."""
    for value in (None, b"SELECT", 3, ["SELECT"]):
        with pytest.raises(UsageError):
            parse(value, SCOPE)  # type: ignore[arg-type]
