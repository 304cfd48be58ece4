"""Earlier decisions are found, refusals first; suggestions carry date and confidence."""

from __future__ import annotations

import copy

from worked import FACTS, FULL, FULL_FACTS, TODAY, full_text, trial_text

from bridleway.passport.document import read_passport
from bridleway.passport.new import new
from bridleway.passport.precedents import as_field, reused, search
from bridleway.passport.suggest import suggest, suggest_gateways, suggest_hazards

TRIAL_BODY = read_passport(trial_text()).value
FULL_BODY = read_passport(full_text()).value


def test_a_shared_source_or_word_is_found_and_refusals_come_first() -> None:
    """The refusal with its reasons is what the next team must see first."""
    passports = [
        (TRIAL_BODY, "valid", ()),
        (FULL_BODY, "refused", ("The guardian found the purpose too wide.",)),
    ]
    hits = search(passports, ["council.housing"], ["adaptation"])
    assert [hit.state for hit in hits] == ["refused", "valid"]
    assert hits[0].reasons == ("The guardian found the purpose too wide.",)
    assert hits[0].words == ("adaptation",) and hits[0].refused
    assert search(passports, ["work.jobs"], ["zebra"]) == []


def test_a_search_becomes_the_field_that_the_check_asks_for() -> None:
    """Date, words and hits are recorded as they were searched."""
    hits = search([(TRIAL_BODY, "valid", ())], ["council.housing"], [])
    field = as_field(hits, ["renters"], TODAY)
    assert field == {
        "searched_at": "2026-11-23", "words": ["renters"], "found": ["library-renters"]
    }  # fmt: skip


def test_text_reused_word_for_word_is_marked() -> None:
    """Reused text is shown as reused, whatever its case and spacing; codes are not text."""
    other = copy.deepcopy(FULL_BODY)
    other["id"] = "another"
    other["purpose"]["aim"] = "Quite different words for what is done with this answer."
    paths = {one.path: one.passport for one in reused(FULL_BODY, [other])}
    assert paths["context"] == "another"
    assert "purpose.aim" not in paths and "purpose.code" not in paths
    shouted = {"id": "x", "context": f"  {other['context'].upper()}\n"}
    assert [one.path for one in reused(shouted, [other])] == ["context"]


def test_earlier_versions_of_the_same_passport_are_not_reuse() -> None:
    """A passport does not copy from itself."""
    assert reused(FULL_BODY, [copy.deepcopy(FULL_BODY)]) == []


def test_gateways_fit_sender_topic_and_flow() -> None:
    """Each flow gets a few rows, each with its date, confidence and kind in plain words."""
    found = suggest_gateways(FULL_BODY, FULL_FACTS)
    assert {one.about for one in found} == {"council to city", "health to city"}
    assert all(one.as_of and one.confidence and one.why for one in found)
    assert any(one.id == "ha2004-s237" for one in found)
    assert not any(one.kind in ("restriction", "prohibition", "not_a_gateway") for one in found)


def test_hazards_follow_what_is_touched() -> None:
    """Joining suggests the linkage hazards; a plain table only the general one."""
    joined = {one.id for one in suggest_hazards(TRIAL_BODY, FACTS)}
    assert {"hz-lacks-consent", "hz-incompatible-data", "hz-risk-to-privacy"} <= joined
    assert [one.id for one in suggest_hazards({}, {})] == ["hz-general"]


def test_suggestions_leave_out_what_is_already_there() -> None:
    """A complete passport gets no suggestion; a draft gets some, none of them a verdict."""
    assert suggest(read_passport(full_text()), FULL_FACTS) == []
    draft = suggest(read_passport(new(FULL, FULL_FACTS)), FULL_FACTS)
    assert draft and {one.severity for one in draft} == {"suggestion"}
    assert all("As of" in one.remedy and "lawful" not in one.sentence for one in draft)
