"""The SELECT of an extract: columns of one table, as they are, and which rows."""

from __future__ import annotations

import pytest

from bridleway.errors import BridlewayError, Refused, UsageError
from bridleway.model.question import Column, Compare, Listing, Literal, asked_from_json
from bridleway.questions.sql import parse_listing
from tests.questions.made import SCOPE


def test_columns_leave_in_the_order_of_the_text() -> None:
    """Brackets and case mean nothing; where rows are picked, the condition is in one form."""
    listing = parse_listing("SELECT rooms, (AREA) FROM housing WHERE NOT rent <= 5", SCOPE)
    columns = (Column("housing", "rooms"), Column("housing", "area"))
    assert (listing.table, listing.columns) == ("housing", columns)
    assert listing == parse_listing("select rooms, area from Housing where rent > 5", SCOPE)
    assert isinstance(listing.where, Compare)


def test_a_listing_of_every_row_has_no_condition() -> None:
    """And is what its JSON says."""
    listing = parse_listing("SELECT area FROM housing", SCOPE)
    assert listing.where is None and listing.tables == ("housing",) and listing.joins == ()
    assert asked_from_json(listing.to_json()) == listing
    assert listing.digest != parse_listing("SELECT tenure FROM housing", SCOPE).digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT area FROM housing JOIN health USING (person)", "An extract has no JOIN."),
        ("SELECT area FROM housing GROUP BY area", "An extract has no GROUP BY."),
        ("SELECT area FROM housing ORDER BY area", "An extract has no ORDER BY."),
        ("SELECT area FROM housing LIMIT 5", "An extract has no LIMIT."),
        ("SELECT rooms + 1 FROM housing", "An extract lists columns as they are"),
        ("SELECT COUNT(*) FROM housing", "An extract lists columns as they are"),
        ("SELECT area AS ward FROM housing", "An extract lists columns as they are"),
        ("SELECT 'x' FROM housing", "An extract lists columns as they are"),
        ("SELECT area, area FROM housing", "The extract lists a column twice."),
        ("SELECT area FROM elsewhere", "'elsewhere'"),
        ("SELECT DISTINCT area FROM housing", ""),
        ("SELECT * FROM housing", ""),
    ],
)
def test_what_an_extract_cannot_say(text: str, said: str) -> None:
    """One sentence, and what to write instead."""
    with pytest.raises((Refused, UsageError)) as caught:
        parse_listing(text, SCOPE)
    assert said in caught.value.sentence and caught.value.remedy


def test_a_listing_names_a_column() -> None:
    """Whoever makes one in Python is told too."""
    with pytest.raises(BridlewayError, match="lists no column"):
        Listing("housing", ())
    with pytest.raises(BridlewayError, match="twice"):
        Listing("housing", (Column("housing", "area"),) * 2)
    assert Literal(1) != Literal(True)
