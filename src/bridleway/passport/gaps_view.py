"""What every rule of the check sees, and the finding it may report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

from bridleway.documents import Document
from bridleway.model.passport import PersonCertificate
from bridleway.passport.document import path_text
from bridleway.passport.gaps_touch import Facts, Touched

Severity: TypeAlias = Literal["gap", "warning", "suggestion"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend, to know or to consider.

    gap: it stops the passport from being sealed; warning: a person must weigh it; suggestion:
    it may help. path: `risks.sharing[0].who`; where: `file, line n`.
    """

    severity: Severity
    path: str
    where: str
    sentence: str
    remedy: str

    def to_json(self) -> dict[str, str]:
        """Return plain JSON data."""
        return {
            "severity": self.severity,
            "path": self.path,
            "where": self.where,
            "sentence": self.sentence,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class View:
    """A passport under check, with what the workspace knows of it."""

    document: Document
    touched: Touched
    facts: Facts | None
    people: Mapping[str, PersonCertificate] | None
    now: date

    @property
    def body(self) -> Any:
        """The passport as plain data, of any shape."""
        return self.document.value

    @property
    def level(self) -> str:
        """The level that the passport asks for."""
        said = self.body.get("level")
        return said if isinstance(said, str) else ""

    @property
    def urgent(self) -> bool:
        """Whether the short form for urgent work is asked for."""
        return self.level == "level-urgent"

    def gap(self, sentence: str, remedy: str, *path: str | int) -> Finding:
        """Return a finding that stops sealing."""
        return self._find("gap", sentence, remedy, path)

    def warning(self, sentence: str, remedy: str, *path: str | int) -> Finding:
        """Return a finding that a person must weigh."""
        return self._find("warning", sentence, remedy, path)

    def suggestion(self, sentence: str, remedy: str, *path: str | int) -> Finding:
        """Return a finding that may help."""
        return self._find("suggestion", sentence, remedy, path)

    def _find(
        self, severity: Severity, sentence: str, remedy: str, path: tuple[str | int, ...]
    ) -> Finding:
        return Finding(severity, path_text(path), self.document.where(*path), sentence, remedy)


Findings: TypeAlias = Iterator[Finding]
