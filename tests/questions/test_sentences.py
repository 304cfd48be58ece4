"""What is said of each refused question, word for word, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridleway.errors import BridlewayError
from bridleway.questions.sql import parse
from tests.questions.made import SCOPE
from tests.questions.test_check import REFUSALS, checked
from tests.questions.test_sql_refuses import ATTACKS
from tests.support.recorded import entry_is_recorded

SAID = Path(__file__).parent / "said" / "refused.json"
TEXTS = sorted({text for text, *_ in ATTACKS})
CHECKED = sorted({text for text, _ in REFUSALS})


def said(error: BridlewayError) -> list[str]:
    """Return everything that an error tells."""
    return [type(error).__name__, error.code, error.where, error.sentence, error.remedy]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_that_is_not_read_is_told_why(text: str) -> None:
    with pytest.raises(BridlewayError) as caught:
        parse(text, SCOPE)
    name = text if len(text) < 200 else f"{text[:80]} ... {len(text)} characters"
    entry_is_recorded(SAID, name, said(caught.value))


@pytest.mark.parametrize("text", CHECKED)
def test_a_question_that_the_facts_forbid_is_told_why(text: str) -> None:
    with pytest.raises(BridlewayError) as caught:
        checked(text)
    entry_is_recorded(SAID, f"checked: {text}", said(caught.value))
