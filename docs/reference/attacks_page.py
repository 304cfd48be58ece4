"""Writes attacks.md from the attack tests themselves: `python docs/reference/attacks_page.py`.

A test fails when attacks.md is stale. What the page says of results is what the tests require:
every attack wins on the weak node and fails on a default node, or the suite fails.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("attacks.md")
ROOT = Path(__file__).parents[2]

HEAD = """\
# Attacks that are tried

Written by `docs/reference/attacks_page.py` from `tests/attacks/`. Each attack is tried on a weak
node, where the defence in question is off and the attack has to win, and on a default node, where
it must not. The suite fails if either is otherwise.

    pytest tests/attacks                                    # all, with the samples of CI
    BRIDLEWAY_EVIDENCE=1 pytest tests/attacks               # the full counts
    BRIDLEWAY_SEED=7 pytest tests/attacks                   # another seed

Severity: C names a person's value or forges an approval; H is likely to, or loses evidence; M
needs luck or an insider; L is a nuisance.
"""


def page() -> str:
    """Return the page."""
    from tests.attacks.api import ATTACKS

    for path in sorted((ROOT / "tests" / "attacks").glob("test_*.py")):
        importlib.import_module(f"tests.attacks.{path.stem}")
    parts = [HEAD]
    for one in sorted(ATTACKS.values(), key=lambda attack: attack.id):
        lines = [
            f"## {one.id} ({one.severity})",
            "",
            f"**Tried.** {one.tried}",
            "",
            f"**Weak node: the attack wins.** {one.weak}",
            "",
            f"**Default node: it does not.** {one.holds}",
            "",
        ]
        if one.ways:
            lines += [f"Ways: {'; '.join(one.ways)}.", ""]
        parts.append("\n".join([*lines, f"    pytest {one.test}", ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
