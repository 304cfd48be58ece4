"""The reference lists: each says where it is from, how old it is, and names each row once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bridleway import references
from bridleway.errors import UsageError

# Lists published by others and shipped with the product; the rest are the project's own.
PUBLISHED = {
    "altai", "atrs_fields", "caldicott", "data_hazards", "data_sharing_agreement",
    "digital_ethics_charter", "dpia_screening", "dpia_template", "dpv_terms", "duo_terms",
    "ethics_prompts", "fides_terms", "five_safes", "lawful_bases", "legal_gateways",
    "model_card_nhse", "nhse_ai_ethics", "nolan", "passport_model", "socitm_non_maleficence",
    "uk_data_ai_ethics_framework",
}  # fmt: skip


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("id"), str):
            yield value["id"]
        for item in value.values():
            yield from _ids(item)
    elif isinstance(value, list):
        for item in value:
            yield from _ids(item)


def test_every_published_list_is_there() -> None:
    """All lists that passports rely on are built in; the worked example is not."""
    assert set(references.names()) >= PUBLISHED
    assert "passport_example" not in references.names()


@pytest.mark.parametrize("name", references.names())
def test_list_says_source_date_licence_and_confidence(name: str) -> None:
    """Nobody meets a row without being able to learn who issued it, when, and on what terms."""
    listed = references.load(name)
    assert listed.source and all(listed.source)
    assert listed.licence and listed.confidence
    assert len(listed.as_of) == 10 and listed.as_of[4] == "-"


@pytest.mark.parametrize("name", references.names())
def test_ids_are_unique_in_a_list(name: str) -> None:
    """A code means one thing in its list."""
    twice = [code for code, n in Counter(_ids(references.load(name).data)).items() if n > 1]
    assert twice == []


def test_codes_carry_labels() -> None:
    """A code can be shown with its label."""
    assert references.codes("dpia_screening", "ico_list")["ico-6"] == "Data matching"
    assert "dpv:Citizen" in references.codes("dpv_terms", "data_subjects")


def test_values_from_of_the_model_can_all_be_looked_up() -> None:
    """Every list that the passport model takes codes from exists, groups included."""
    for row in references.load("passport_model").data["fields"]:
        places = row.get("values_from", "")
        if places and places != "levels":
            assert references.codes_from(places.replace(".*", ""))


def test_star_means_every_group_that_starts_so() -> None:
    """`purposes*` takes in the sector purposes."""
    purposes = references.codes("dpv_terms", "purposes*")
    assert "sector-publicservices:HousingWelfareManagement" in purposes
    assert "dpv:ScientificResearch" in purposes


def test_broader_follows_all_parents() -> None:
    """Mental health is known to be health, and special category data."""
    above = references.broader("dpv_terms", "data_categories")["pd:MentalHealth"]
    assert {"pd:Health", "dpv:SpecialCategoryPersonalData"} <= above


def test_gateways_show_date_confidence_and_basis() -> None:
    """No gateway row can be shown without how old and how sure it is."""
    for gateway in references.gateways().values():
        assert gateway.as_of and gateway.confidence and gateway.kind_in_words
    assert len(references.gateways()) >= 99


def test_own_lists_name_only_codes_that_exist() -> None:
    """Our own warnings, hints and hazards point at rows of the published lists."""
    for row in references.rows("touches", "warnings").values():
        assert row["gateway"] in references.gateways()
    for row in references.rows("touches", "hazards").values():
        assert set(row["hazards"]) <= set(references.codes("data_hazards", "labels"))
    known = references.codes_from(
        "fides_terms.data_categories; fides_terms.proposed_extension; dpv_terms.data_categories"
    )
    for row in references.rows("category_flags", "column_hints").values():
        assert row["category"] in known


def test_unknown_list_or_group_is_refused_with_the_nearest() -> None:
    """A slip in a name is answered with the name that was meant."""
    with pytest.raises(UsageError, match="Did you mean 'legal_gateways'"):
        references.load("legal_gateway")
    with pytest.raises(UsageError, match="Did you mean 'purposes'"):
        references.codes("dpv_terms", "purpose")


def test_notice_names_every_list_and_licence() -> None:
    """The notice attributes every list."""
    text = references.notice()
    for one in references.attributions():
        assert one.name in text and one.licence in text
