"""Drafting: what the catalogue knows is filled in, what nobody said is a TODO."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worked import (
    FACTS,
    FULL,
    FULL_FACTS,
    SQL,
    TODAY,
    TRIAL,
    column,
    facts,
    full_text,
    table,
    trial_text,
)

from bridleway.documents import read_yaml
from bridleway.errors import Gap, UsageError
from bridleway.passport.document import is_placeholder, read_passport, walk_texts
from bridleway.passport.gaps import check, gaps_only
from bridleway.passport.new import NewQuestion, new, templates
from bridleway.passport.precedents import Hit
from bridleway.passport.writing import to_yaml


@pytest.mark.parametrize("template", templates())
def test_every_template_makes_a_text_that_reads_back(template: str) -> None:
    """A draft is strict YAML, and every gap in it is a TODO or needs a person's word."""
    text = new(replace(FULL, template=template), FULL_FACTS)
    body = read_passport(text).value
    assert body["id"] == FULL.id and body["questions"][0]["text"] == FULL.questions[0].text
    gaps = gaps_only(check(read_passport(text), FULL_FACTS, None, TODAY))
    unsaid = {path for path, said in walk_texts(body) if is_placeholder(said)}
    assert unsaid and len(gaps) >= len(unsaid) // 2
    assert not any("no field" in gap.sentence for gap in gaps)


def test_templates_are_the_four_levels_and_a_trial() -> None:
    """There is a template for each level, and one for a first question."""
    assert set(templates()) >= {"light", "standard", "full", "urgent", "first-question"}


def test_the_lowest_template_follows_the_classes() -> None:
    """Without a template named, the data decides how much has to be said."""
    assert "level: level-full" in new(replace(FULL, template=""), FULL_FACTS)
    assert "level: level-standard" in new(replace(TRIAL, template=""), FACTS)
    parks = table("council", "parks", "benches", column("area", "plain"))
    answers = replace(
        TRIAL, template="", tables={"benches": ("council.parks.benches",)},
        questions=(NewQuestion("all", "SELECT area, COUNT(*) AS n FROM benches GROUP BY area"),),
        linker="", recipients=("council",),
    )  # fmt: skip
    text = new(answers, facts(parks))
    assert "level: level-light" in text and "linker" not in read_passport(text).value


def test_the_catalogue_fills_sources_fields_controllers_and_links() -> None:
    """Only the columns that the questions use are listed, identifiers as keys only."""
    body = read_passport(trial_text()).value
    listed = {s["id"]: {f["name"]: f["form"] for f in s["fields"]} for s in body["data"]["sources"]}
    assert listed == {
        "council.housing": {"nhs_number": "key-only", "tenure": "raw", "ward": "raw"},
        "trust.library": {"nhs_number": "key-only", "loans": "raw"},
    }
    assert body["data"]["links"][0]["entity"] == "person"
    assert [c["sources"] for c in body["parties"]["controllers"]] == [
        ["council.housing"], ["trust.library"],
    ]  # fmt: skip


def test_fill_wins_over_the_template() -> None:
    """What the writer says replaces what the template says, by path."""
    body = read_passport(
        trial_text({"purpose.aim": "To learn.", "risks.sharing[0].who": "Me"})
    ).value
    assert body["purpose"]["aim"] == "To learn."
    assert body["risks"]["sharing"][0]["who"] == "Me"
    with pytest.raises(UsageError, match="no place"):
        trial_text({"risks.sharing[7].who": "x"})


def test_a_trial_with_one_source_needs_no_linker() -> None:
    """A question over one source is local, and its passport is complete."""
    sql = "SELECT ward, COUNT(DISTINCT person) AS people FROM housing GROUP BY ward"
    answers = replace(
        TRIAL, tables={"housing": ("council.housing.register",)}, linker="",
        questions=(NewQuestion("by-ward", sql),),
    )  # fmt: skip
    document = read_passport(new(answers, FACTS))
    assert document.value["technique"]["by-ward"]["use"] == "local"
    assert gaps_only(check(document, FACTS, None, TODAY)) == []


def test_the_same_table_at_three_organisations_is_federated() -> None:
    """One table name over three organisations asks for totals only."""
    columns = (column("nhs_number", "identifier"), column("ward", "quasi-identifier"))
    held = facts(*(table(node, "gp", "list", *columns) for node in ("north", "east", "west")))
    sql = "SELECT ward, COUNT(DISTINCT person) AS people FROM patients GROUP BY ward"
    answers = replace(TRIAL, tables={"patients": tuple(held)},
                      questions=(NewQuestion("by-ward", sql),))  # fmt: skip
    document = read_passport(new(answers, held))
    assert document.value["technique"]["by-ward"]["use"] == "federated"
    assert gaps_only(check(document, held, None, TODAY)) == []


def test_a_draft_shows_gateways_and_refusals_that_were_found() -> None:
    """Suggestions carry date and confidence; a refusal is shown with its reasons."""
    hit = Hit("old", 2, "Old", "refused", ("council.housing",), (), ("Tenants\nwere not asked.",))
    text = new(FULL, FULL_FACTS, [hit])
    assert "# old (refused): Tenants were not asked." in text
    assert "as of 20" in text and "confidence" in text
    body = read_passport(text).value
    assert body["precedents"]["found"] == ["old"]
    assert is_placeholder(body["precedents"]["reused"])


def test_comments_of_the_template_are_kept() -> None:
    """A draft explains itself."""
    assert "# The balance:" in full_text()


def test_health_data_in_a_trial_raises_the_level_and_says_what_is_needed() -> None:
    """A first question over health data is not complete, and says what it lacks."""
    text = new(
        replace(FULL, template="first-question", roles={"dpo": "council/dee-roy"}), FULL_FACTS
    )
    body = read_passport(text).value
    assert body["level"] == "level-full"
    assert is_placeholder(body["roles"]["caldicott-guardian"])
    assert is_placeholder(body["lawfulness"]["article9"])


def test_unknown_places_and_templates_are_refused() -> None:
    """A place that no catalogue describes is a gap, an unknown template a slip."""
    with pytest.raises(Gap, match="Did you mean 'council.housing.register'"):
        new(replace(TRIAL, tables={"housing": ("council.housing.registr",)}), FACTS)
    with pytest.raises(UsageError, match="Did you mean 'standard'"):
        new(replace(TRIAL, template="standrad"), FACTS)


def test_constants_in_a_question_name_no_columns() -> None:
    """A column's name inside a quoted constant opens nothing."""
    sql = SQL.replace("'private rent'", "'band'")
    body = read_passport(new(replace(TRIAL, questions=(NewQuestion("q", sql),)), FACTS)).value
    assert "band" not in {f["name"] for s in body["data"]["sources"] for f in s["fields"]}


_text = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Co", "Cs", "Zl", "Zp")),
    max_size=150,
)
_scalar = _text | st.integers(-(10**16), 10**16) | st.booleans() | st.none() | st.sampled_from(
    ["yes", "No", "null", "2026-11-23", "12", "1.5", "a: b", "# x", "- x", "x #y", "~", "a\n b\n"]
)  # fmt: skip
_bodies = st.recursive(
    _scalar,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_text, _bodies, min_size=1, max_size=4))
def test_what_is_written_is_what_is_read(body: dict[str, object]) -> None:
    """Writing a body as YAML and reading it strictly gives the same body."""
    assert read_yaml(to_yaml(body)).value == body
