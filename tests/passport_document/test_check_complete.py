"""Complete passports pass the check, and quickly."""

from __future__ import annotations

import pytest
from worked import FACTS, FULL_FACTS, FULL_FILL, PEOPLE, TODAY, full_text, trial_text

from bridleway.documents import Document, read_yaml
from bridleway.errors import Gap, UsageError
from bridleway.passport.document import path_key, read_passport
from bridleway.passport.gaps import check, gaps_only, lowest_level, require_complete

COMPLETE = {"conflicts": "none declared"}


def test_a_first_question_leaves_nothing_to_do() -> None:
    """From a few answers, a trial gets a passport without a gap; what it claims is a warning."""
    findings = check(read_passport(trial_text()), FACTS, None, TODAY)
    assert gaps_only(findings) == []
    assert any("made up" in f.sentence for f in findings)


def test_a_full_passport_over_health_data_passes() -> None:
    """A full passport with every answer given has no gap, people known or not."""
    document = read_passport(full_text(COMPLETE))
    assert gaps_only(check(document, FULL_FACTS, None, TODAY)) == []
    assert gaps_only(check(document, FULL_FACTS, PEOPLE, TODAY)) == []
    assert gaps_only(check(document, None, None, TODAY)) == []


def test_what_is_not_filled_is_a_gap_with_file_line_and_remedy() -> None:
    """Each TODO is reported once, where it stands, with what to do."""
    document = read_passport(full_text(), "trial.yaml")
    (gap,) = gaps_only(check(document, FULL_FACTS, None, TODAY))
    assert gap.path == "conflicts"
    assert gap.where.startswith("trial.yaml, line ")
    line = int(gap.where.rpartition(" ")[2])
    assert full_text().split("\n")[line - 1].startswith("conflicts:")
    assert gap.sentence.endswith(".") and gap.remedy


def test_a_sealed_body_without_lines_can_be_checked() -> None:
    """A text that came as JSON is checked the same; the place is then its name."""
    body = read_passport(full_text()).value
    (gap,) = gaps_only(check(Document("sealed", body), FULL_FACTS, None, TODAY))
    assert gap.where == "sealed"


def test_require_complete_raises_one_sentence() -> None:
    """Sealing is stopped by one error that names the first gap and how many there are."""
    document = read_passport(full_text({"title": "TODO"}))
    with pytest.raises(Gap, match="and 1 more"):
        require_complete(check(document, FULL_FACTS, None, TODAY))
    require_complete(check(read_passport(full_text(COMPLETE)), FULL_FACTS, None, TODAY))


def test_a_document_that_is_no_record_is_refused() -> None:
    """A list or a word is no passport."""
    with pytest.raises(UsageError, match="passport"):
        check(read_yaml("[1, 2]", "x.yaml"), None, None, TODAY)


def test_no_finding_calls_anything_lawful() -> None:
    """The product never says lawful: gateway claimed, advice recorded, controller decides."""
    for text, facts in ((trial_text(), FACTS), (full_text({"title": "TODO"}), FULL_FACTS)):
        for finding in check(read_passport(text), facts, None, TODAY):
            said = finding.sentence.replace("lawfulness", "").lower()
            assert "lawful" not in said


def test_level_is_computed_from_classes() -> None:
    """An identifier means standard, special category data means full."""
    assert lowest_level(read_passport(trial_text()), FACTS)[0] == "level-standard"
    assert lowest_level(read_passport(full_text()), FULL_FACTS)[0] == "level-full"
    assert lowest_level(Document("x", {}), {})[0] == "level-light"


def test_every_path_of_the_worked_passport_can_be_written_down() -> None:
    """Paths are read back as they were written."""
    assert path_key("risks.sharing[0].who") == ("risks", "sharing", 0, "who")
    assert all(path_key(path) for path in FULL_FILL)


def test_a_list_is_no_passport() -> None:
    """A passport is lines of `field: value`, and the place is the file."""
    with pytest.raises(UsageError) as caught:
        read_passport("- purpose\n- aim\n", "p.yaml")
    assert caught.value.where == "p.yaml"
