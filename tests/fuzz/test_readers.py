"""Every reader keeps its contract on any bytes, on damaged inputs and on the kept corpus."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attacks.api import SEED, count
from tests.fuzz.mutate import mutated
from tests.fuzz.questions_at_engines import look
from tests.fuzz.targets import TARGETS, corpus

NAMES = sorted(TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_the_kept_inputs_keep_the_contract(name: str) -> None:
    kept = corpus(name)
    assert len(kept) >= 3, "a starting corpus is kept"
    for data in kept:
        TARGETS[name](data)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_inputs_keep_the_contract(name: str) -> None:
    chance, kept = random.Random(SEED), corpus(name)
    for _ in range(150):
        TARGETS[name](mutated(chance.choice(kept), kept, chance))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(
    data=st.binary(max_size=300) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace"))
)
def test_any_bytes_keep_the_contract(name: str, data: bytes) -> None:
    TARGETS[name](data)


def test_no_generated_question_makes_an_engine_error() -> None:
    """CI looks at a sample; `make evidence PART=questions` at a million."""
    told = look(SEED, count(1_500, 20_000))
    assert told["failures"] == []
    assert told["seen"]["answered"] > 100
