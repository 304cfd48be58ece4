"""The papers that lie beside the rows of an extract: their names, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CONTRACT, REPORT, PAGE, SUMS = "contract.json", "report.json", "report.html", "SHA256SUMS"
PAPERS = (CONTRACT, REPORT, PAGE)


def paper(told: Mapping[str, Any]) -> str:
    """Return a paper as the text of its file."""
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def papers(contract: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, str]:
    """Return every paper of an extract, by the name of its file."""
    from bridleway.extract.page import page_of

    return {CONTRACT: paper(contract), REPORT: paper(report), PAGE: page_of(report)}
