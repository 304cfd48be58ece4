"""YAML and JSON are read strictly, with the place and the remedy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridleway.documents import MAX_BYTES, read_yaml
from bridleway.errors import UsageError
from bridleway.model.canonical import canonical_json, strict_json


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("a: 1\nb: 2\na: 3", "twice", 3),
        ("a: yes", "differently", 1),
        ("x: 1\nNo: 1", "true or false", 2),
        ("a: &n [1]\nb: *n", "aliases", 1),
        ("a: !!python/object/apply:os.system [ls]", "Tags", 1),
        ("a: 1e5", "differently", 1),
        ("a: 0x10", "differently", 1),
        ("a: 010", "differently", 1),
        ("a: .nan", "differently", 1),
        ("a: {b: one, two}", "comma", 1),
        ("a: [1", "not YAML", 2),
        ("a: b\u200bc", "hidden", 1),
        ("a: \u202eabc", "hidden", 1),
        ("a: 1\n---\nb: 2", "one document", 0),
        ("", "one document", 0),
        ("? [a]\n: 1", "key must be a word", 1),
    ],
)
def test_a_trap_is_named_with_line_and_remedy(text: str, said: str, line: int) -> None:
    """Every trap of YAML is one sentence with a place."""
    with pytest.raises(UsageError) as caught:
        read_yaml(text, "file.yaml")
    assert said in caught.value.sentence
    assert caught.value.remedy
    assert caught.value.where == ("file.yaml" if not line else f"file.yaml, line {line}")


def test_dates_stay_text_and_every_value_knows_its_line() -> None:
    """What was written is what is read."""
    document = read_yaml("when: 2026-11-23\nlist:\n  - {a: '07', b: 7}\n", "p.yaml")
    assert document.value == {"when": "2026-11-23", "list": [{"a": "07", "b": 7}]}
    assert document.where("list", 0, "b") == "p.yaml, line 3"


def test_a_bomb_of_aliases_and_a_deep_or_large_text_are_refused() -> None:
    """No document can eat the machine."""
    bomb = "a: &a [1,1]\n" + "\n".join(f"b{i}: &b{i} [*a,*a]" for i in range(9))
    for text in (bomb, "[" * 200, "a: " + "x" * (MAX_BYTES + 1)):
        with pytest.raises(UsageError):
            read_yaml(text)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    """No other error ever leaves the reader."""
    try:
        read_yaml(text)
    except UsageError as error:
        assert error.sentence and error.remedy


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_canonical_json_has_one_text_and_reads_back(value: object) -> None:
    """Equal values have equal bytes."""
    data = canonical_json(value)
    assert strict_json(data) == value
    assert canonical_json(strict_json(data)) == data


@pytest.mark.parametrize(
    "data", [b'{"k":10,"k":1}', b"[NaN]", b"[1.5]", b"[1e3]", b"{", b"\xff", b"[" * 9000]
)
def test_loose_json_is_refused(data: bytes) -> None:
    """Duplicates, NaN, floats, damage and depth are refused."""
    with pytest.raises(UsageError):
        strict_json(data)
