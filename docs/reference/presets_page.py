"""Writes presets.md from the preset files: `python docs/reference/presets_page.py`.

A test fails when presets.md is stale.
"""

from __future__ import annotations

from pathlib import Path

from bridleway.disclosure.statuses import ACRO_CHECKS
from bridleway.references.presets import Preset, presets

PAGE = Path(__file__).with_name("presets.md")

HEAD = """\
# Presets and cell statuses

A preset is the disclosure floor of somebody else, by name, with its source. What a source does not
name stays at the strict default of a node: a preset switches nothing off.

In a node's `policy.yaml`, and under `disclosure` in a passport, a preset can only be tightened. A
looser entry is refused, with its line:

```yaml
policy: 1
preset: opensafely        # or opensafely@1, to hold to that edition
rules:
  rounding_counts: 10     # stricter than the preset's 5
```

A file that `bridleway init` wrote holds every rule: take out the lines that the preset is to give,
since a stricter line stays in force.

```yaml
disclosure: {preset: opensafely}
```

A passport is sealed with the edition and every value written out, so whoever signs sees the
numbers, and a later edition changes no signed text. As always, the strictest of the passport and
of the policies of all touched nodes applies. `bridleway policy presets` lists the presets,
`bridleway policy show NODE` says a node's floor in words, each rule with where it is from.

Each preset is one file in `src/bridleway/references/data/presets/`; dropping one in adds it. A
published edition is never changed: a new number is a new edition, in a file of its own.
"""

STATUSES = """\
## Cell statuses

For the controllers alone, the sealed log (`bridleway ledger sealed NODE`) keeps the status of every
cell that does not pass, with every rule that it fails. An asker never sees it: why a cell is
withheld can tell what is in it.

| status | meaning |
|---|---|
| `fail` | a rule withholds the cell, or holds it at its last released figure |
| `review` | the cell is shown, and something about it asks for a look |
| `pass` | neither |

Statuses agree with ACRO 1.0.2, rule by rule, on some hundred tables at the edges of the rules
(`tests/disclosure/test_acro.py`). ACRO's verdicts are recorded, and asked for again where
`BRIDLEWAY_ACRO_PYTHON` names a Python that has it.

| finding | ACRO's check |
|---|---|
ROWS

Findings of rules that ACRO has not keep their own names: `complement`, `homogeneity`,
`differencing`, `held`, `secondary suppression`.

Where the two differ, on purpose:

- A sum needs enough people who contribute: zeros and missing values are no contributors. ACRO
  counts records.
- A cell in which every value is zero is marked by ACRO's p % check, against its own comment; here
  it has no contributor and is withheld by the threshold.
- Where any value of a table is negative, ACRO checks no dominance in the whole table and asks for
  a review; here absolute contributions are checked, cell by cell, and the cell is marked as well.
- ACRO's check of missing values (off by default) also marks cells without anybody.
- No analysis of ACRO 1.0.2 asks for its check of equal values; here it is a finding that asks for
  a look.
- A sum of which the largest hold exactly the limit counts as dominated, as in ACRO; the Handbook on
  Statistical Disclosure Control asks for more than the limit.
- Checks of models, survival tables and plots have no counterpart: questions cannot ask for them.
"""


def page() -> str:
    """Return the whole page."""
    rows = "\n".join(f"| `{word}` | {check} |" for word, check in ACRO_CHECKS.items())
    return "\n".join([HEAD, *map(_section, presets()), STATUSES.replace("ROWS", rows)])


def _section(one: Preset) -> str:
    rules = ", ".join(f"`{name}: {str(value).lower()}`" for name, value in one.rules.items())
    lines = [f"## {one.label}", "", f"{one.name}. Issued by {one.issuer}.", ""]
    lines += [f"- Rules: {rules}"]
    lines += [f"- Source: [{s.title}]({s.url}), {s.edition}" for s in one.sources]
    lines += [f"- How it was read: {one.basis} (as of {one.as_of})"]
    lines += ["", "Covers:", "", *(f"- {line}" for line in one.covers)]
    lines += ["", "Otherwise here:", "", *(f"- {line}" for line in one.differs)]
    lines += ["", "Not here:", "", *(f"- {rule}. {why}" for rule, why in one.not_here)]
    lines += ["", "| people | released | by the source |", "|---|---|---|"]
    for e in one.examples:
        released = "withheld" if e.released is None else e.released
        lines.append(f"| {e.count} | {released} | {e.source} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
