"""A catalogue is read strictly: every complaint has its line and its remedy."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridleway.documents import read_yaml
from bridleway.errors import UsageError
from bridleway.sources.catalogue_file import read_catalogue

TEXT = """\
catalogue: 1
source: housing
tables:
  register:
    meaning: one row per tenancy
    one_row_per: [person]
    entities:
      person: {column: nhs_number, identifier: nhs-number}
    columns:
      nhs_number: {type: text, class: identifier}
      tenure: {type: text, class: plain, meaning: how they live, domain: [rent, own, null]}
      rent: {type: decimal, class: sensitive, scale: 2, bounds: [0, 5000.50]}
      moved: {type: date, class: plain, domain: [2020-01-01]}
"""


def test_a_catalogue_becomes_facts() -> None:
    """What the controller wrote is what is declared."""
    catalogue = read_catalogue(read_yaml(TEXT, "catalogue.yaml"), "council")
    facts = catalogue.tables["register"]
    assert (facts.source_id, facts.meaning) == ("council.housing", "one row per tenancy")
    assert facts.one_row_per == ("person",)
    assert facts.entities["person"].identifier == "nhs-number"
    assert facts.columns["tenure"].domain == ("rent", "own", None)
    assert facts.columns["rent"].bounds == (Decimal(0), Decimal("5000.50"))
    assert facts.columns["moved"].domain == ("2020-01-01",)


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ("catalogue: 1", "catalogue: 2", 1, "known edition"),
        ("source: housing", "source: Ho using", 2, "not an id"),
        ("meaning: one", "menaing: one", 5, "Did you mean 'meaning'"),
        ("[person]", "[household]", 6, "does not declare"),
        ("[person]", "person", 6, "not a list"),
        ("column: nhs_number", "column: nhs_numbr", 8, "Did you mean 'nhs_number'"),
        ("identifier: nhs-number", "identifier: nhs-numbr", 8, "Did you mean 'nhs-number'"),
        ("class: identifier}", "class: plain}", 8, "so it is an identifier"),
        ("type: text, class: plain", "type: txt, class: plain", 11, "Did you mean 'text'"),
        ("class: plain, meaning", "class: secret, meaning", 11, "class of 'tenure'"),
        ("[rent, own, null]", "[rent, 3]", 11, "not text"),
        ("[rent, own, null]", "[rent, rent]", 11, "twice"),
        ("[rent, own, null]", "[]", 11, "not a list"),
        ("[rent, own, null]", "[rent, yes]", 11, "read differently"),
        ("scale: 2", "scale: 9", 12, "scale outside"),
        ("scale: 2", "scale: 0", 12, "more decimals"),
        ("scale: 2", "domain: [1.5]", 12, "no public domain"),
        ("[0, 5000.50]", "[9, 1]", 12, "out of order"),
        ("[0, 5000.50]", "[0]", 12, "not two numbers"),
        ("[0, 5000.50]", "[0, yes]", 12, "read differently"),
        ("[2020-01-01]", "[2020-02-30]", 13, "not date"),
        ("moved:", "moved-in:", 13, "cannot be written"),
        ("moved:", "tenure:", 13, "there twice"),
    ],
)
def test_every_complaint_has_its_line(old: str, new: str, line: int, sentence: str) -> None:
    """File, line, sentence, remedy."""
    assert old in TEXT
    with pytest.raises(UsageError) as caught:
        read_catalogue(read_yaml(TEXT.replace(old, new), "catalogue.yaml"), "council")
    assert sentence in str(caught.value)
    assert caught.value.where == f"catalogue.yaml, line {line}"
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text", ["[]", "x", "catalogue: 1\n", "catalogue: 1\nsource: a\ntables: 3\n"]
)
def test_what_is_no_catalogue_is_said(text: str) -> None:
    """Anything else is one sentence too."""
    with pytest.raises(UsageError) as caught:
        read_catalogue(read_yaml(text, "catalogue.yaml"), "council")
    assert caught.value.where.startswith("catalogue.yaml")
