"""Every error a user can meet, in one tree.

BridlewayError
├── UsageError   2 / 400   the call, the text or the file is wrong
├── Refused      3 / 403   understood, and not permitted; says why and what would change it
├── Gap          5 / 422   passport or catalogue is not complete enough to decide
└── Fault        1 / 500   something of ours, or of the machine, failed

A question whose every cell is withheld is no error: its answer carries exit code 4
(`WITHHELD_EXIT_CODE`). Every error is one sentence, the place, and the remedy. None ever
contains a value from the data: sentences are built from names that the passport, the
catalogue or the user's own text holds. Such a name may be hostile, so what an error shows is
short and free of control characters, whoever wrote it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

WITHHELD_EXIT_CODE = 4
OUT_OF_MEMORY = "memory"  # the code of every error that means that memory ran out
MAX_NAME_SHOWN = 100
MAX_SHOWN = 900

# A quote that opens: an apostrophe, or the quote that closes a name, follows a letter.
_LONG_NAME = re.compile(rf"(?<!\w)'([^']{{{MAX_NAME_SHOWN}}})[^']+'(?!\w)")
_STEERING = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def plain(text: str) -> str:
    """Return text that cannot steer a terminal or forge a line of a log.

    Control, bidirectional, zero-width and line-breaking characters are written as escapes such
    as `\\x1b`, so that a name in a sentence stays a name.
    """
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c) in _STEERING else c
        for c in text
    )


def shown(text: str) -> str:
    """Return a text as an error may show it: plain, and bounded however long its names are."""
    text = plain(text)
    if len(text) > MAX_NAME_SHOWN:
        text = _LONG_NAME.sub(r"'\1…'", text)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


class BridlewayError(Exception):
    """A sentence for a person, where it happened, and what to do about it."""

    exit_code = 1
    http_status = 500
    kind = "error"

    def __init__(self, sentence: str, remedy: str = "", *, where: str = "", code: str = "") -> None:
        super().__init__(shown(sentence))
        self.sentence = shown(sentence)
        self.remedy = shown(remedy)
        self.where = shown(where)
        self.code = code or self.kind

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return plain(f"{place}{self.sentence}{remedy}")

    def to_json(self) -> dict[str, str]:
        """Return the stable shape that `--json` prints and that messages between nodes carry."""
        return {
            "error": self.kind,
            "code": self.code,
            "sentence": self.sentence,
            "where": self.where,
            "remedy": self.remedy,
        }


class UsageError(BridlewayError):
    """The call, the text or the file is wrong."""

    exit_code = 2
    http_status = 400
    kind = "usage"


class Refused(BridlewayError):
    """Understood, and not permitted."""

    exit_code = 3
    http_status = 403
    kind = "refused"


class Gap(BridlewayError):
    """The passport or the catalogue does not say enough to decide."""

    exit_code = 5
    http_status = 422
    kind = "gap"


class Fault(BridlewayError):
    """Something of ours, or of the machine under us, failed."""

    exit_code = 1
    http_status = 500
    kind = "fault"


_KINDS: dict[str, type[BridlewayError]] = {
    cls.kind: cls for cls in (UsageError, Refused, Gap, Fault)
}


def from_json(told: dict[str, str]) -> BridlewayError:
    """Rebuild an error that another node told us. Unknown kinds become a `Fault`."""
    cls = _KINDS.get(str(told.get("error")), Fault)
    return cls(
        str(told.get("sentence", "The other node failed without a reason.")),
        str(told.get("remedy", "")),
        where=str(told.get("where", "")),
        code=str(told.get("code", "")),
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the closest known name, or an empty string."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
