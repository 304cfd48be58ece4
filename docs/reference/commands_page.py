"""Writes commands.md from the commands themselves: `python docs/reference/commands_page.py`.

A test fails when commands.md is stale, and compares SHAPES with what `--json` really prints.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

PAGE = Path(__file__).with_name("commands.md")

STATE: dict[str, Any] = {
    "passport": "visits",
    "state": "in-review",
    "missing": ["The controller of 'charity' has not approved this text."],
    "reasons": [],
}
ANSWER: dict[str, Any] = {
    "outcome": "answered",
    "question": "by-tenure",
    "request": "d76af8fb3e934ea29e4a532d684d96a5",
    "dummy": False,
    "columns": ["tenure", "people"],
    "groups": ["tenure"],
    "rows": [
        {"key": ["rent"], "values": {"people": 540}},
        {"key": ["other"], "values": None},
        {"key": [{"all": True}], "values": {"people": 1450}},
    ],
    "withheld": 1,
    "rules": ["Cells with fewer than 10 distinct people are withheld."],
    "advice": ["Ask for larger groups: wider areas, fewer or broader categories."],
    "figures": {"people_matched": 4520, "missing.person.housing": "fewer than 10"},
    "notes": [],
    "cost": 1,
}
ERROR: dict[str, Any] = {
    "error": "refused",
    "code": "not-permitted",
    "sentence": "Passport 'visits' does not permit this question.",
    "where": "",
    "remedy": "Ask one of those as it is written.",
}

# One example of what `--json` prints, per command. Keys are stable; new ones may be added.
ATTACKER: dict[str, Any] = {"highest": 0.2, "average": 0.087, "at_risk": 0}
ATTACKERS: dict[str, Any] = {
    "prosecutor": ATTACKER,
    "journalist": ATTACKER,
    "marketer": ATTACKER,
    "population": "none: the journalist's risk is the prosecutor's",
}
BEFORE: dict[str, Any] = {
    "risk": {
        "records": 30162,
        "classes": 11090,
        "smallest": 1,
        "highest": 1.0,
        "average": 0.368,
        "at_risk": 0.4529,
        "unique": 7655,
    },
    "attackers": ATTACKERS,
    "population_uniques": None,
    "sensitive": {"occupation": {"fewest": 1, "surest": 1.0, "farthest": 0.99, "certain": 0.292}},
}
AFTER: dict[str, Any] = {
    "risk": {
        "records": 30162,
        "classes": 2637,
        "smallest": 5,
        "highest": 0.2,
        "average": 0.087,
        "at_risk": 0.0,
        "unique": 0,
        "sizes": [[5, 310]],
    },
    "attackers": ATTACKERS,
    "population_uniques": None,
    "sensitive": {
        "occupation": {
            "fewest": 2,
            "surest": 0.8,
            "farthest": 0.3,
            "farthest_in_file": 0.3,
            "certain": 0.0,
        }
    },
}
POINT: dict[str, Any] = {
    "k": 5,
    "left_out": 1346,
    "share_left_out": 0.0446,
    "score": 0.242,
    "levels": {"tenure": 0},
}
SHAPES: dict[str, dict[str, Any]] = {
    "init": {"workspace": "trial", "nodes": [{"node": "council", "name": "Council"}]},
    "status": {
        "nodes": [
            {
                "node": "council",
                "name": "Council",
                "people": ["council/ann"],
                "sources": ["council.housing"],
            }
        ],
        "passports": [{"id": "visits", "version": 1, "state": "valid"}],
    },
    "ask": ANSWER,
    "anonymise": {
        "report": 1,
        "asked": {
            "k": 5,
            "suppression": 0.05,
            "recoding": "local",
            "population": {},
            "quasi_identifiers": ["age"],
            "sensitive": {"occupation": {"l": 2, "t": 0.3, "distance": "equal"}},
            "plain": [],
            "dropped": [],
        },
        "rows": {"before": 30162, "after": 30162, "left_out": 0, "missing": 0},
        "unit": "rows",
        "before": BEFORE,
        "after": AFTER,
        "sets": None,
        "class_sizes": [{"from": 1, "to": 1, "before": 7655, "after": 0}],
        "utility": {
            "score": 0.12,
            "granularity": 0.86,
            "intensity": 0.81,
            "entropy": 0.7,
            "discernibility": 0.99,
            "aecs": 0.99,
        },
        "columns": {
            "age": {
                "granularity": 0.75,
                "levels": [0, 1, 2],
                "highest_level": 4,
                "why": {
                    "rule": "too-many-left-out",
                    "sentence": "One level finer, about 2,085 rows (6.9 %) would stand in ...",
                    "left_out": 2085,
                    "share": 0.0691,
                    "because": [{"rows": "in groups of fewer than 5 rows", "share": 0.0675}],
                },
            }
        },
        "distances": {
            "columns": {
                "age": {"total_variation": 0.135, "hellinger": 0.217},
                "occupation": {"total_variation": 0.0, "hellinger": 0.0},
            },
            "pairs": [{"columns": ["age", "occupation"], "total_variation": 0.2}],
            "not_compared": 0,
        },
        "absent": {"share": 0.0, "named": [], "columns": {}},
        "classification": None,
        "search": None,
        "challenge": {
            "downcoding": {
                "cells": 24,
                "label_alone": 0.35,
                "baseline": 0.5,
                "success": 0.5,
                "allowed": 0.0,
                "won": False,
                "columns": {},
            },
            "minimality": {
                "occupation": {"records": 24, "baseline": 0.5, "success": 0.5, "won": False}
            },
            "chance": 0.01,
        },
    },
    "verify": {
        "verified": True,
        "outcome": "answered",
        "passport": "visits",
        "question": "by-tenure",
        "asker": "office/cas",
        "nodes": ["charity", "council"],
        "checks": ["signed by its issuer, 'linker', whose key is in the trust file"],
    },
    "demo": {
        "people": 60000,
        "seconds": 5.1,
        "answer": {"outcome": "answered", "...": "as `ask` prints it"},
        "refused": {"error": "refused", "...": "as errors are printed"},
        "receipt": "verified",
        "checks": ["signed by its issuer, 'fairway-trust', whose key is in the trust file"],
    },
    "extract make": {
        "outcome": "answered",
        "request": "d76af8fb3e934ea29e4a532d684d96a5",
        "folder": "out",
        "extract": {
            "rows": 30162,
            "format": "parquet",
            "files": {"data.parquet": "8ea059a749aca399...", "...": "a SHA-256 per file"},
        },
        "cost": 1,
    },
    "extract plan": {
        "k": 5,
        "suppression": 0.05,
        "recoding": "full-domain",
        "rows": 30162,
        "proposed": POINT,
        "curve": [POINT],
        "ks": [2, 3, 4, 5],
        "search": {"nodes": 12960, "looked_at": 1650, "gap": 0.0},
    },
    "extract report": {
        "again": {
            "rows": {"after": 30162},
            "after": {"...": "as `report.json` has it"},
            "utility": {"score": 0.24, "granularity": 0.7, "intensity": 0.59},
            "columns": {"tenure": {"granularity": 1.0}},
        },
        "differs": [{"figure": "after.risk.smallest", "stored": 5, "found": 4}],
    },
    "person add": {
        "person": "council/ann",
        "roles": {"controller": ["2026-11-23", "2027-11-22"]},
        "key": "trial/nodes/council/people/ann.key.json",
    },
    "person list": {
        "people": [
            {
                "person": "council/ann",
                "name": "Ann",
                "role": "controller",
                "from": "2026-11-23",
                "until": "2027-11-22",
            }
        ]
    },
    "source add": {"source": "council.housing", "tables": ["housing"]},
    "source describe": {"source": "council.housing", "catalogue": "trial/nodes/.../catalogue.yaml"},
    "source example": {"files": ["housing.csv", "support.csv"]},
    "source release": {
        "source": "council.housing",
        "version": "8ea059a749aca399...",
        "at": "2026-11-23T15:17:44Z",
    },
    "source dummy": {"source": "council.housing", "folder": "dummy", "tables": ["housing"]},
    "source list": {
        "sources": [
            {
                "source": "council.housing",
                "catalogue": True,
                "version": "8ea059a749aca399...",
                "at": "2026-11-23T15:17:44Z",
                "problem": "",
            }
        ]
    },
    "secret set": {"node": "council", "secret": "housing-password"},
    "secret list": {
        "node": "council",
        "secrets": [
            {
                "name": "housing-password",
                "set": "2026-11-23T15:17:44Z",
                "used_by": ["council.housing"],
            }
        ],
        "keys": ["sealing", "signing"],
        "recovery": ["age1..."],
    },
    "secret rotate": {
        "node": "council",
        "secrets": ["housing-password"],
        "keys": ["sealing", "signing"],
        "recovery": ["age1..."],
    },
    "doctor": {
        "clean": False,
        "findings": [
            {
                "severity": "error",
                "check": "permissions",
                "where": "nodes/council/keys/store.key",
                "sentence": "Other users of this machine can read the file.",
                "remedy": "Run: chmod 600 store.key; renew it if it may have been copied.",
                "id": "3f9a0c5d1e7b",
            }
        ],
        "accepted": [],
        "checks": ["clock", "core_dumps", "disk"],
    },
    "passport new": {
        "file": "visits.yaml",
        "gaps": 0,
        "precedents": [{"id": "older", "version": 1, "state": "refused"}],
    },
    "passport check": {
        "gaps": 1,
        "findings": [
            {
                "severity": "gap",
                "path": "data.sources.fields.category",
                "where": "visits.yaml, line 66",
                "sentence": "'data.sources.fields.category' is still to be written.",
                "remedy": "Say it in your own words; 'none' with a reason is an answer.",
            }
        ],
    },
    "passport seal": {"sealed": "visits.dsse.json", "digest": "9d7845b81eb55e69..."},
    "passport submit": {
        "passport": "visits",
        "version": 1,
        "digest": "9d7845b81eb55e69...",
        "state": "in-review",
        "missing": ["The controller of 'charity' has not approved this text."],
    },
    "passport sign": STATE,
    "passport withdraw": STATE,
    "passport state": STATE,
    "passport show": {
        "state": "valid",
        "missing": [],
        "reasons": [],
        "passport": {"id": "visits", "...": "the whole text"},
    },
    "passport export": {"format": "dpia-md", "text": "# Data protection impact assessment ..."},
    "passport list": {
        "passports": [
            {"id": "visits", "version": 1, "state": "valid", "title": "How many people get visits"}
        ]
    },
    "policy presets": {
        "presets": [
            {
                "preset": "opensafely@1",
                "name": "OpenSAFELY, redact 7 or fewer and round to 5",
                "issuer": "OpenSAFELY",
                "basis": "read; the wording here is our own paraphrase",
                "rules": {"smallest_group": 8, "...": 5},
                "covers": ["Counts of 7 or fewer are withheld first."],
                "differs": ["The source may keep a count of zero; here zero is withheld."],
                "not_here": [
                    {"rule": "minima and maxima", "why": "Questions cannot ask for them."}
                ],
                "sources": [{"title": "OpenSAFELY documentation", "url": "...", "edition": "..."}],
            }
        ]
    },
    "policy show": {
        "node": "council",
        "preset": "opensafely@1",
        "floor": [
            {
                "rule": "smallest_group",
                "value": 8,
                "words": "Cells with fewer than 8 distinct people are withheld.",
                "source": "preset opensafely@1: OpenSAFELY documentation",
            }
        ],
        "not_here": [{"rule": "minima and maxima", "why": "Questions cannot ask for them."}],
    },
    "fhir anonymise": {
        "format": "bridleway-fhir-report-1",
        "policy": {
            "name": "analytics",
            "language": "bridleway",
            "digest": "sha256:cbc13f67c74f...",
            "warnings": [],
        },
        "resources": {"read": 81, "written": 80, "rejected": {"not-readable": 1}, "...": 0},
        "...": "as `report.json` has it",
    },
    "fhir explain": {
        "policy": "analytics",
        "digest": "sha256:cbc13f67c74f...",
        "warnings": [],
        "elements": [
            {
                "path": "Patient.gender",
                "type": "code",
                "action": "keep",
                "rule": "Patient.gender",
                "conditions": [],
            }
        ],
    },
    "fhir serve": {
        "passport": "illnesses",
        "types": ["Condition", "Patient"],
        "base": "http://127.0.0.1:8080/fhir",
    },
    "fhir import": {
        "folder": "imported",
        "transaction_time": "2026-11-28T14:17:37+00:00",
        "files": [
            {
                "type": "Patient",
                "name": "Patient.1.ndjson",
                "resources": 40,
                "sha256": "8ea059a749aca399...",
            }
        ],
        "issues": {},
    },
    "ledger check": {"ledgers": [{"node": "council", "entries": 12, "root": "5f0c..."}]},
    "ledger checkpoint": {"node": "council", "checkpoint": "bridleway/council\n12\nXw...\n"},
    "ledger sealed": {"node": "council", "notes": [{"...": "exact figures and hidden cells"}]},
    "ledger new-epoch": {"node": "council", "epoch": 2},
}

NOTES = {
    "ask": '`values` is null where the cell is withheld; a margin\'s key is `{"all": true}`; a group '
    "of missing values has the key null. Sums, means and shares are decimal text.",
    "extract make": "`bridleway extract PASSPORT` is short for it. `folder` and `extract` are null where "
    "the extract is withheld; then the exit code is 4. Of a FHIR source `extract` has `fhir` besides: the "
    "policy, its digest, and how many resources were read, written, rejected and not asked for.",
    "fhir import": "Where the server explains an error, `--json` prints `server` besides: `severity`, "
    "`code`, `text` and how many `more` there are; the server's own words, unchecked.",
    "fhir anonymise": "Exit code 0 also where lines were rejected; they are counted.",
    "fhir serve": "Ends when it is stopped.",
    "extract plan": "For the controller of the source: exact figures, which nobody else is shown. "
    "`levels` is null where they differ from row to row.",
    "extract report": "Exit code 1 if a figure differs.",
    "passport sign": "Decisions: a controller or guardian may `approve`, `approve_with_conditions`, "
    "`ask_changes`, `refuse`, `suspend`, `lift` or `revoke`; a data protection officer or lawyer "
    "`advise`s; a leader `back`s.",
    "passport check": "Exit code 5 if there is a gap. Findings that are `warning`s do not stop you.",
    "passport export": 'With `--to FILE` it prints `{"file": ..., "format": ...}` instead.',
    "doctor": "Exit code 0 if nothing but notes was found, else 1. With `--accept` it prints "
    '`{"accepted": {...}}`. Severities: `error`, `warning`, `note`.',
    "secret list": "`set` is null where a source's URL names a secret that is not stored. No command "
    "prints a value.",
    "demo": "With `--keep DIR` town and workspace stay; the demo's password is "
    "`the demo's password is public`.",
}

HEAD = """\
# Commands, options and JSON

Every command takes `--json` and then prints one line of JSON to standard output, with the keys
shown here; new keys may be added, none is renamed or removed within an edition. Progress goes to
standard error, and only on a terminal. `--workspace DIR` (or `BRIDLEWAY_WORKSPACE`) names the
workspace; without it, the current folder or the nearest one above it. A password comes from
`--password-file`, else `BRIDLEWAY_PASSWORD`, else you are asked.

## Exit codes

| code | meaning |
|---|---|
| 0 | answered, or done |
| 2 | usage: the call, the text or a file is wrong |
| 3 | refused: understood, and not permitted |
| 4 | answered, and every cell is withheld |
| 5 | gap: passport or catalogue does not say enough to decide |
| 1 | fault: something of ours, or of the machine, failed |

## Errors

One sentence, the place, the remedy, on standard error; never a value from the data. With `--json`, on
standard output (mistyped options are told as plain text, before `--json` is read):

```json
ERROR
```
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield `source add` and the like with their Click commands, in the order of the help."""
    from bridleway.cli.main import app

    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            for inner, one in command.commands.items():
                yield f"{name} {inner}", one
        else:
            yield name, command


def page() -> str:
    """Return the whole page."""
    made = [HEAD.replace("ERROR", json.dumps(ERROR, ensure_ascii=False))]
    made += [_section(name, command) for name, command in commands()]
    return "\n".join(made)


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    usage = [f"bridleway {name}"]
    usage += [_shown(p) if p.required else f"[{_shown(p)}]" for p in arguments]
    lines = [f"## {name}", "", str(command.help), "", "```", " ".join([*usage, "[OPTIONS]"]), "```"]
    lines += ["", "| | |", "|---|---|"]
    for one in arguments:
        lines.append(f"| `{_shown(one)}` | {_words(one)} |")
    for one in options:
        if one.name != "help":
            lines.append(f"| {', '.join(f'`{o}`' for o in one.opts)} | {_words(one)} |")
    lines += ["", "```json", json.dumps(SHAPES[name], ensure_ascii=False), "```", ""]
    if name in NOTES:
        lines += [NOTES[name], ""]
    return "\n".join(lines)


def _shown(argument: Any) -> str:
    return str(argument.metavar or argument.name).upper()


def _words(one: Any) -> str:
    told = (one.help or "").replace("|", "\\|")
    default = one.default
    plain = isinstance(default, int | str) and not isinstance(default, bool) and default != ""
    if plain and "efault" not in told:
        told += f" Default: {default}."
    return told + (" Required." if one.required and one.param_type_name == "option" else "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
