"""Earlier decisions: found by source and word, refusals included, and text that was reused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from bridleway.documents import PathKey
from bridleway.passport.document import path_text, sources_of, text_at, walk_texts

_FEWEST_REUSED_CHARACTERS = 30
_CODES = ("id", "code", "from", "to", "kind", "form", "name", "table", "category", "at")


@dataclass(frozen=True, slots=True)
class Hit:
    """An earlier passport that shares sources or words.

    state: its computed state; reasons: the decision makers' own words, refusals first of all.
    """

    id: str
    version: int
    title: str
    state: str
    sources: tuple[str, ...]
    words: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether it was refused; a refusal is the precedent that the next team must see."""
        return self.state == "refused"


@dataclass(frozen=True, slots=True)
class Reuse:
    """A text that stands word for word in another passport."""

    path: str
    passport: str


def search(
    passports: Iterable[tuple[Mapping[str, Any], str, Iterable[str]]],
    sources: Iterable[str],
    words: Iterable[str],
) -> list[Hit]:
    """Return the passports that share a source or a word: refusals first, then most in common.

    passports: (body, state, reasons) of each; drafts are included as they stand.
    """
    wanted_sources = set(sources)
    wanted_words = {word.lower() for word in words if word.strip()}
    hits = []
    for body, state, reasons in passports:
        shared = tuple(sorted(wanted_sources & set(sources_of(body))))
        text = " ".join(said for _, said in walk_texts(body)).lower()
        found = tuple(sorted(word for word in wanted_words if word in text))
        if shared or found:
            version = body.get("version")
            hits.append(
                Hit(
                    id=text_at(body, "id"),
                    version=version if isinstance(version, int) else 0,
                    title=text_at(body, "title"),
                    state=state,
                    sources=shared,
                    words=found,
                    reasons=tuple(reasons),
                )
            )
    return sorted(
        hits, key=lambda h: (not h.refused, -len(h.sources), -len(h.words), h.id, -h.version)
    )


def as_field(hits: Iterable[Hit], words: Iterable[str], today: date) -> dict[str, Any]:
    """Return the passport's `precedents` record of a search made today."""
    made: dict[str, Any] = {
        "searched_at": today.isoformat(),
        "words": list(words),
        "found": list(dict.fromkeys(hit.id for hit in hits if hit.id)),
    }
    return made


def reused(body: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> list[Reuse]:
    """Return each text of a passport that another passport holds word for word.

    Shown to reviewers, never blocked. Case and spacing do not count; short texts, codes and
    earlier versions of the same passport are left out.
    """
    known: dict[str, str] = {}
    for other in others:
        if text_at(other, "id") == text_at(body, "id"):
            continue
        for path, said in walk_texts(other):
            if _is_prose(path, said):
                known.setdefault(_plain(said), text_at(other, "id"))
    return [
        Reuse(path_text(path), known[_plain(said)])
        for path, said in walk_texts(body)
        if _is_prose(path, said) and _plain(said) in known
    ]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _is_prose(path: PathKey, text: str) -> bool:
    named = [step for step in path if isinstance(step, str)]
    return len(text) >= _FEWEST_REUSED_CHARACTERS and (not named or named[-1] not in _CODES)
