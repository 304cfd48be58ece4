"""Presidio's pattern recognisers: numbers and addresses of a fixed form, by regular expressions.

    {class: free-text, redact: presidio}

No language model is used and nothing is fetched: of e-mail addresses the pattern alone counts, as
Presidio's own check asks the network for a list of suffixes. So names of people, places and
illnesses are *not* found; nor is what is written unusually. Each finding becomes its kind in
brackets, as `[UK_NHS]`. Everything that could be one is replaced, however unsure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bridleway.errors import UsageError

# Those of any place, and those of the United Kingdom. DateRecognizer takes dates of birth along.
_RECOGNISERS = (
    "CreditCardRecognizer", "CryptoRecognizer", "DateRecognizer", "IbanRecognizer",
    "IpRecognizer", "MacAddressRecognizer", "NhsRecognizer", "UkDrivingLicenceRecognizer",
    "UkNinoRecognizer", "UkPassportRecognizer", "UkPostcodeRecognizer",
    "UkVehicleRegistrationRecognizer", "UrlRecognizer",
)  # fmt: skip
_PHONES = ("GB",)


def redactor() -> Callable[[str], str]:
    """Return what replaces findings in a text. Raises UsageError where Presidio is missing."""
    try:
        import presidio_analyzer
        from presidio_analyzer import predefined_recognizers as known
    except ImportError:
        raise UsageError(
            "Redacting free text needs Presidio, which is not installed.",
            "Install it: pip install 'bridleway[presidio]', or drop the column.",
            where="redact",
        ) from None
    found = [getattr(known, name)() for name in _RECOGNISERS]
    found.append(known.PhoneRecognizer(supported_regions=_PHONES))
    found.append(
        presidio_analyzer.PatternRecognizer(
            supported_entity="EMAIL_ADDRESS", patterns=known.EmailRecognizer.PATTERNS
        )
    )
    return lambda text: _redacted(text, found)


def _redacted(text: str, recognisers: Sequence[Any]) -> str:
    spans = []
    for one in recognisers:
        for hit in one.analyze(text, one.supported_entities, None):
            spans.append((hit.start, hit.end, hit.score, hit.entity_type))
    made, at = [], 0
    for start, end, kind in _merged(spans):
        made += [text[at:start], f"[{kind}]"]
        at = end
    return "".join([*made, text[at:]])


def _merged(spans: Sequence[tuple[int, int, float, str]]) -> list[tuple[int, int, str]]:
    """Return spans that do not overlap, each called by its surest finding, the longest of these."""
    made: list[tuple[int, int, list[tuple[float, int, str]]]] = []
    for start, end, score, kind in sorted(spans):
        named = (score, end - start, kind)
        if made and start < made[-1][1]:
            first, last, kinds = made[-1]
            made[-1] = (first, max(last, end), [*kinds, named])
        else:
            made.append((start, end, [named]))
    return [(start, end, max(kinds)[2]) for start, end, kinds in made]
