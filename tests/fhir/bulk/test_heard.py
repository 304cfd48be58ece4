"""What a server says: one line, in quotes that it cannot close, and nothing that is a secret."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bridleway.fhir.bulk.heard import CODES, LONGEST, SEVERITIES, Words, harmless, known_code, words

JWT = "eyJhbGciOiJFUzM4NCIsImtpZCI6ImsifQ.eyJpc3MiOiJtZSIsInN1YiI6Im1lIn0.c2lnbmF0dXJlLW9mLWl0LTE"


def outcome(*issues: Any) -> dict[str, Any]:
    """An OperationOutcome of such issues."""
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


@pytest.mark.parametrize(
    ("issue", "text"),
    [
        ({"details": {"text": "a"}, "diagnostics": "b"}, "a"),
        ({"details": {"coding": [7, {"display": "c"}]}, "diagnostics": "b"}, "c"),
        ({"details": {"text": 7}, "diagnostics": "b"}, "b"),
        ({"details": 7, "diagnostics": {"x": 1}}, ""),
    ],
)
def test_where_the_text_is(issue: dict[str, Any], text: str) -> None:
    """details.text, a coding's display, diagnostics; nothing where they are no texts."""
    said = words(outcome({"severity": "error", "code": "invalid", **issue}))
    assert said == Words("error", "invalid", text)
    assert str(said) == f'error, invalid: "{text}"'


def test_the_gravest_is_told() -> None:
    """The first of those, and how many others there are."""
    said = words(outcome(
        {"severity": "information", "code": "success"}, "x",
        {"severity": "fatal", "code": "exception", "diagnostics": "a"},
        {"severity": "fatal", "code": "exception", "diagnostics": "b"},
    ))  # fmt: skip
    assert said == Words("fatal", "exception", "a", 2)


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "x",
        {},
        {"resourceType": "Patient"},
        {"resourceType": "OperationOutcome"},
        outcome(),
    ],
)
def test_what_is_no_outcome(told: Any) -> None:
    """Says nothing."""
    assert words(told) is None


def test_severity_and_code_are_those_of_fhir() -> None:
    """They are words that we repeat: others become unknown."""
    assert words(outcome({"severity": ["x"], "code": "usage: fine"})) == Words(
        "unknown", "unknown", ""
    )
    assert known_code("not-supported") == "not-supported" and known_code([1]) == "unknown"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\ntwo\r\n\tthree\u2028four", "one two three four"),
        ("\x1b[2J\x1b[1;31mred\x1b[0m \x9b5mblink", "red blink"),
        ("\x1b]0;title\x07a\x1b]8;;https://evil.example\x1b\\b\x1b(0c\x1b", "abc"),
        ("a\u202eb\u200bc\u2066d\ufeffe\x00f\x7fg\ue000h", "abcdefgh"),
        ('said". usage: “Send” «it»', "said'. usage: 'Send' 'it'"),
        ("Group 'x' of http://hl7.org/fhir/StructureDefinition/Patient is unknown.",
         "Group 'x' of http://hl7.org/fhir/StructureDefinition/Patient is unknown."),
        ("The bearer token is expired, basic authentication", None),
        (f"Token {JWT} is expired", "Token [hidden] is expired"),
        ("Authorization: Bearer abc123.", "Authorization: Bearer [hidden]"),
        ("access_token=abc&x client_secret: 's3' \"password\": x",
         "access_token=[hidden] client_secret: [hidden] 'password': [hidden]"),
        ("See https://files.example/f?X-Sig=0123456789abcdefghij0123", None),
        ("e\u0301n Zx\u0335\u0336\u0337lgo", "\u00e9n Zx\u0335lgo"),
        ("own to\u200bken-7", "own [hidden]"),
    ],
)  # fmt: skip
def test_what_is_shown_of_a_text(text: str, shown: str | None) -> None:
    """Blanks in place of breaks, no sequences, no hidden signs, no quotes, no secrets."""
    made = harmless(text, secrets=["token-7", ""])
    assert made == shown if shown is not None else "0123456789" not in made
    if text.startswith("The bearer"):
        assert made == text


@settings(max_examples=300, deadline=None)
@given(some.text(max_size=400), some.sampled_from([*SEVERITIES, "x"]), some.sampled_from([*CODES]))
def test_any_text_is_one_line_within_its_quotes(text: str, severity: str, code: str) -> None:
    """At most 200 characters with severity and code, printable, and two quotes in it."""
    said = words(outcome({"severity": severity, "code": code, "diagnostics": text}))
    line = str(said)
    assert len(line) <= LONGEST and line.isprintable() and line.count('"') == 2
    assert line.endswith('"')


@pytest.mark.parametrize(
    "piece", ["a", "1a", "\x1b[", "token", "bearer ", "=", "\x1b]", "'a:", "\u0301"]
)
def test_long_texts_are_quick(piece: str) -> None:
    """A server cannot keep the client busy with a text."""
    began = time.process_time()
    assert len(harmless(piece * 1_000_000)) <= LONGEST
    assert time.process_time() - began < 1


def test_a_secret_is_hidden_before_the_text_is_cut() -> None:
    """Its first part does not stay at the end of the line."""
    assert "s3cr" not in harmless("x " * 97 + "s3cret-of-ours", secrets=["s3cret-of-ours"])
