"""What a server says of an error, made safe to show to the person who asked.

A server is not trusted: its words cannot steer a terminal, take more than a line, close the quotes
around them, or hold what looks like a token. They are no part of an error of ours, so that they
stand in no log, receipt or report.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

LONGEST: Final = 200
LEFT_OUT: Final = "[hidden]"
UNKNOWN: Final = "unknown"
SEVERITIES: Final = ("fatal", "error", "warning", "information")
# FHIR R4, value set issue-type, and what R5 added to it.
CODES: Final = frozenset(
    {
        "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown",
        "expired", "forbidden", "suppressed", "processing", "not-supported", "duplicate",
        "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
        "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store",
        "exception", "timeout", "incomplete", "throttled", "informational", "success",
        "limited-filter",
    }
)  # fmt: skip
_MOST_READ: Final = 4_000
_MOST_ISSUES: Final = 1_000
# Sequences of a terminal (ECMA-48): CSI; OSC, DCS, SOS, PM and APC with what they hold; others.
_SEQUENCES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_QUOTES: Final = re.compile('["«»“”„‟〝〞〟＂″‶❝❞]')
# What follows the scheme of a header, unless it is a word of a sentence: "bearer token expired".
_SCHEME: Final = re.compile(r"(?i)\b(bearer|basic|dpop)\s+(?![a-z]{1,15}(?:[\s.,;:!']|$))\S+")
_NAMED: Final = re.compile(
    r"(?i)((?:token|secret|password|passwd|pwd|assertion|api.?key|signature|\bsig)"
    r"['’]?\s*[=:]\s*)\S+"
)
_WORD: Final = re.compile(r"[\w+=~./%-]{20,}")
_LONG_RUN: Final = re.compile(r"[\w+=~%-]{20,}")
_DIGIT: Final = re.compile(r"\d")
_LETTER: Final = re.compile(r"[A-Za-z]")


@dataclass(frozen=True, slots=True)
class Words:
    """One issue of a server's OperationOutcome, the gravest, and how many more there are.

    Severity and code are FHIR's or "unknown"; the text is one line, possibly empty, and together
    they take at most 200 characters.
    """

    severity: str
    code: str
    text: str
    more: int = 0

    def __str__(self) -> str:
        return f'{self.severity}, {self.code}: "{self.text}"'


def words(resource: Any, secrets: Iterable[str] = ()) -> Words | None:
    """Return what an OperationOutcome says; None where that is not what a server answered.

    The text is details.text, else a coding's display, else diagnostics (FHIR R4,
    OperationOutcome). Secrets are texts that are not shown even if the server repeats them.
    """
    if not isinstance(resource, Mapping) or resource.get("resourceType") != "OperationOutcome":
        return None
    listed = resource.get("issue")
    issues = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    if not issues:
        return None
    first = min(issues[:_MOST_ISSUES], key=lambda issue: SEVERITIES.index(_severity(issue)))
    severity = first.get("severity")
    severity = severity if severity in SEVERITIES else UNKNOWN
    code = known_code(first.get("code"))
    room = LONGEST - len(str(Words(severity, code, "")))
    return Words(severity, code, harmless(_text(first), room, secrets), len(issues) - 1)


def known_code(code: Any) -> str:
    """Return an issue's code if FHIR has it, else "unknown": a code is a word that we repeat."""
    return code if isinstance(code, str) and code in CODES else UNKNOWN


def harmless(text: str, most: int = LONGEST, secrets: Iterable[str] = ()) -> str:
    """Return somebody else's text as one line of at most so many characters.

    Without control, hidden and direction characters, escape sequences, double quotes, and whatever
    looks like a token, a key or a password.
    """
    if len(text) > _MOST_READ:
        text = text[:_MOST_READ].rpartition(" ")[0]
    text = unicodedata.normalize("NFC", _SEQUENCES.sub("", text))
    text = _QUOTES.sub("'", " ".join("".join(map(_character, text, f" {text}")).split()))
    for secret in secrets:
        if secret:
            text = text.replace(secret, LEFT_OUT)
    text = _SCHEME.sub(rf"\1 {LEFT_OUT}", text)
    text = _NAMED.sub(rf"\1{LEFT_OUT}", text)
    text = _WORD.sub(_no_token, text)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _severity(issue: Mapping[str, Any]) -> str:
    severity = issue.get("severity")
    return severity if severity in SEVERITIES else SEVERITIES[-1]


def _text(issue: Mapping[str, Any]) -> str:
    details = issue.get("details")
    found: list[Any] = []
    if isinstance(details, Mapping):
        found.append(details.get("text"))
        coding = details.get("coding")
        found += [
            one.get("display")
            for one in (coding if isinstance(coding, list) else [])
            if isinstance(one, Mapping)
        ]
    found.append(issue.get("diagnostics"))
    return next((one for one in found if isinstance(one, str) and one.strip()), "")


def _character(one: str, before: str) -> str:
    """Blanks become spaces; letters and signs stay, and a mark on each: more would stack up."""
    if one.isspace():
        return " "
    kind = unicodedata.category(one)
    stacked = unicodedata.combining(one) and unicodedata.combining(before)
    return "" if kind[0] == "C" or kind == "Me" or stacked else one


def _no_token(match: re.Match[str]) -> str:
    """A long run of letters and digits is no word of a language."""
    word = match[0]
    runs = _LONG_RUN.findall(word)
    mixed = any(_DIGIT.search(run) and _LETTER.search(run) for run in runs)
    return LEFT_OUT if mixed else word
