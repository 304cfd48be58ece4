"""Reads policies: Bridleway's own, Microsoft's as they are (JSON with comments, YAML), Bahmni's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from bridleway.documents import Document, read_text, read_yaml
from bridleway.errors import UsageError, nearest
from bridleway.fhir import bahmni, reach
from bridleway.fhir.methods import encrypt, method, substitute
from bridleway.fhir.paths.rules import parse_rule_path
from bridleway.fhir.policy import (
    BANDS,
    KEEPS_ALL,
    MAX_SHIFT,
    MICROSOFT,
    OWN,
    SCOPES,
    People,
    Policy,
    Rule,
    wrong_policy,
)
from bridleway.fhir.r4 import PRIMITIVES

SHIPPED = ("analytics", "safe-harbor")
ERRORS = (
    "Whatever processingErrors says, a resource that cannot be processed does not leave, is "
    "counted, and the others go on."
)
SHIFT_KEY = (
    "dateShiftKey is not used: shifts are HMAC-SHA256 under the workspace's key or that of "
    "--key-file."
)
_FLAGS = tuple(f"enablePartial{what}ForRedact" for what in ("Ages", "Dates", "ZipCodes"))
_ZIPS = "restrictedZipCodeTabulationAreas"
_TOP = ("fhirVersion", "processingErrors", "processingError", "fhirPathRules", "parameters")
_OWN_TOP = ("name", "default", "patients", "fhirVersion", "fhirPathRules", "parameters")
PARAMETERS = (
    "dateShiftKey", "dateShiftKeyPrefix", "dateShiftScope", "dateShiftFixedOffsetInDays",
    "dateShiftDays", "cryptoHashKey", "encryptKey", "enablePartialAgesForRedact",
    "enablePartialDatesForRedact", "enablePartialZipCodesForRedact",
    "restrictedZipCodeTabulationAreas", "customSettings", "useAdditionalDetails",
)  # fmt: skip


def shipped(name: str) -> Policy:
    """Return a policy that comes with Bridleway."""
    if name not in SHIPPED:
        raise UsageError(
            f"There is no policy '{name}'.{nearest(name, SHIPPED)}",
            f"Known: {', '.join(SHIPPED)}; or name a file.",
        )
    folder = files("bridleway.fhir") / "policies"
    return read_policy((folder / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")


def policy_of(named: str) -> Policy:
    """Return a policy by the name of a shipped one or of a file."""
    if named in SHIPPED or ("/" not in named and "." not in named):
        return shipped(named)
    return read_policy(read_text(named), Path(named).name)


def read_policy(text: str, name: str) -> Policy:
    """Read a policy. Raises UsageError with file, line and remedy.

    A document that says `default` is Bridleway's own; `resources` is Bahmni's; else it is
    Microsoft's, whose elements without a rule are kept.
    """
    document = _document(text.removeprefix("\ufeff"), name)
    body = document.value
    if not isinstance(body, dict):
        raise wrong_policy("This is no policy.", "Begin with `default: redact`.", name)
    if "resources" in body:
        return _checked(bahmni.read(document))
    is_own = "default" in body
    known = _OWN_TOP if is_own else _TOP
    for key in body:
        if key not in known:
            raise wrong_policy(
                f"A policy has no '{key}'.{nearest(str(key), known)}",
                f"Known: {', '.join(known)}.",
                document.where(key),
            )
    if str(body.get("fhirVersion") or "R4").upper() != "R4":
        raise wrong_policy(
            "The policy is for another version of FHIR.",
            "Only R4 is supported.",
            document.where("fhirVersion"),
        )
    default = body.get("default", "keep")
    if default not in ("keep", "redact"):
        raise wrong_policy(
            "default is neither keep nor redact.", "Write redact.", document.where("default")
        )
    parameters = _parameters(document, is_own)
    policy = Policy(
        name=str(body.get("name", Path(name).stem)),
        language=OWN if is_own else MICROSOFT,
        default=default,
        rules=_rules(document),
        parameters=parameters,
        digest=digest_of(body),
        people=_people(document) if is_own else People(),
        warnings=_warnings(document, default),
    )
    return _checked(policy)


def _warnings(document: Document, default: str) -> tuple[str, ...]:
    found = [] if default == "redact" else [KEEPS_ALL]
    for key in ("processingErrors", "processingError"):
        told = document.value.get(key)
        if told is None:
            continue
        if str(told).lower() not in ("raise", "skip"):
            raise wrong_policy(f"{key} is neither raise nor skip.", "Say one.", document.where(key))
        found.append(ERRORS)
    if (document.value.get("parameters") or {}).get("dateShiftKey"):
        found.append(SHIFT_KEY)
    return tuple(found)


def digest_of(body: object) -> str:
    """Return the SHA-256 of a policy's document as canonical JSON."""
    told = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(told.encode()).hexdigest()


def _checked(policy: Policy) -> Policy:
    for rule in policy.rules:
        _require_fit(rule)
    found = reach.check(policy)
    return replace(policy, warnings=(*policy.warnings, *found)) if found else policy


def _require_fit(rule: Rule) -> None:
    """Refuse a constant or cases that fit no element which the rule's path selects."""
    types = {owner if e is None else e.type for owner, e in reach.reached(rule.path)}
    if not types:
        return
    if rule.method == "generalize" and "cases" in rule.settings and not types & set(PRIMITIVES):
        raise wrong_policy(
            "cases generalise single values, and the path selects elements that hold several.",
            "Write the path to its end.",
            rule.where,
        )
    if rule.method == "substitute":
        refused = None
        for name in sorted(types):
            try:
                substitute.constant(rule, name)
                return
            except UsageError as error:
                refused = error
        if refused is not None:
            raise refused


def _document(text: str, name: str) -> Document:
    if not text.lstrip().startswith(("{", "/*", "//")):
        document = read_yaml(text, name)
        return replace(document, value=_floats(document.value))
    try:
        value = json.loads(without_comments(text), object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise wrong_policy(
            "This is no JSON.", f"{error.msg}.", f"{name}, line {error.lineno}"
        ) from None
    except (ValueError, RecursionError):
        raise wrong_policy("A name stands twice in one record.", "Say it once.", name) from None
    return Document(name, value)


def _floats(value: Any) -> Any:
    """Return a YAML value with numbers as JSON has them."""
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("twice")
    return found


def without_comments(text: str) -> str:
    """Return JSON without comments and trailing commas; lines stay where they are."""
    out: list[str] = []
    position, end = 0, len(text)
    while position < end:
        letter = text[position]
        if letter == '"':
            stop = position + 1
            while stop < end and text[stop] != '"':
                stop += 2 if text[stop] == "\\" else 1
            out.append(text[position : stop + 1])
            position = stop + 1
        elif text.startswith("//", position):
            stop = text.find("\n", position)
            position = end if stop < 0 else stop
        elif text.startswith("/*", position):
            stop = text.find("*/", position)
            stop = end if stop < 0 else stop + 2
            out.append("\n" * text.count("\n", position, stop))
            position = stop
        else:
            if letter in "]}":
                _drop_comma(out)
            out.append(letter)
            position += 1
    return "".join(out)


def _drop_comma(out: list[str]) -> None:
    for place in range(len(out) - 1, -1, -1):
        if out[place].isspace() or not out[place]:
            continue
        if out[place] == ",":
            out[place] = ""
        return


def _rules(document: Document) -> tuple[Rule, ...]:
    told = document.value.get("fhirPathRules")
    if not isinstance(told, list) or not told:
        raise wrong_policy(
            "The policy has no rules.", "List them under fhirPathRules.", document.name
        )
    return tuple(rule for number, one in enumerate(told) for rule in _rule(one, number, document))


def _rule(told: Any, number: int, document: Document) -> Iterator[Rule]:
    """Yield a rule, once for each path that its path joins by `|`."""
    where = f"{document.where('fhirPathRules', number)}, rule {number + 1}"
    if not isinstance(told, Mapping) or not {"path", "method"} <= set(told):
        raise wrong_policy("The rule does not say path and method.", "Say both.", where)
    path, named = told["path"], told["method"]
    if not isinstance(path, str) or not isinstance(named, str):
        raise wrong_policy("Path and method of the rule are no texts.", "Write texts.", where)
    part = method(named, where)
    settings = {key: value for key, value in told.items() if key not in ("path", "method")}
    for key in settings:
        if key not in part.SETTINGS:
            known = sorted(part.SETTINGS)
            raise wrong_policy(
                f"{part.NAME} takes no '{key}'.{nearest(str(key), known)}",
                f"It takes: {', '.join(known) or 'nothing'}.",
                where,
            )
    for key in ("otherValues", "rangeType"):  # words that Microsoft reads in any case
        if isinstance(settings.get(key), str):
            settings[key] = settings[key].lower()
    for one in _joined(path):
        rule = Rule(parse_rule_path(one, where), part.NAME, settings, where)
        if hasattr(part, "check"):
            part.check(rule)
        yield rule


def _joined(path: str) -> list[str]:
    """Return the paths that `|` joins, outside of quotes and brackets."""
    found, quoted, depth, start = [], "", 0, 0
    for place, letter in enumerate(path):
        if quoted:
            quoted = "" if letter == quoted and path[place - 1] != "\\" else quoted
        elif letter in "'\"`":
            quoted = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "|" and depth == 0:
            found.append(path[start:place].strip())
            start = place + 1
    return [*found, path[start:].strip()]


def _parameters(document: Document, is_own: bool) -> Mapping[str, Any]:
    told = document.value.get("parameters") or {}
    where = document.where("parameters")
    if not isinstance(told, dict):
        raise wrong_policy("parameters is no record.", "Write name: value.", where)
    for key in told:
        if key not in PARAMETERS:
            raise wrong_policy(
                f"There is no parameter '{key}'.{nearest(str(key), PARAMETERS)}",
                f"Known: {', '.join(PARAMETERS)}.",
                where,
            )
    for key in _FLAGS:
        if told.get(key) not in (None, True, False):
            raise wrong_policy(f"{key} is neither true nor false.", "Say one.", where)
    areas = told.get(_ZIPS)
    if areas is not None and not (
        isinstance(areas, list) and all(isinstance(a, str) and a.isdecimal() for a in areas)
    ):
        raise wrong_policy(
            f"{_ZIPS} is no list of digits as texts.", 'Write ["036", "059"].', where
        )
    scope = told.get("dateShiftScope", "patient")
    if str(scope).lower() not in SCOPES:
        raise wrong_policy(
            "dateShiftScope is none that is known.", f"Write one of {', '.join(SCOPES)}.", where
        )
    days = told.get("dateShiftDays", 1)
    if type(days) is not int or not 1 <= days <= MAX_SHIFT:
        raise wrong_policy(
            "dateShiftDays is no number from 1 to 3,650.", "Write 182 for half a year.", where
        )
    fixed = told.get("dateShiftFixedOffsetInDays")
    if fixed is not None and type(fixed) is not int:
        raise wrong_policy("dateShiftFixedOffsetInDays is no number.", "Leave it out.", where)
    if is_own:
        for key in ("dateShiftKey", "cryptoHashKey", "encryptKey", "dateShiftFixedOffsetInDays"):
            if told.get(key) not in (None, ""):
                raise wrong_policy(
                    f"A policy holds no keys and no shifts, and this one says {key}.",
                    "Leave it out: keys come from the workspace or --key-file.",
                    where,
                )
    encrypt.check_key(str(told.get("encryptKey") or ""), where)
    kept = dict(told)
    if "dateShiftScope" in kept:
        kept["dateShiftScope"] = str(kept["dateShiftScope"]).lower()
    return kept


def _people(document: Document) -> People:
    told = document.value.get("patients") or {}
    where = document.where("patients")
    if not isinstance(told, dict) or set(told) - {"k", "heldBack", "birthBands"}:
        raise wrong_policy(
            "patients says something else.", "It says k, heldBack, birthBands.", where
        )
    k, share = told.get("k", 0), told.get("heldBack", 0.02)
    bands = told.get("birthBands", list(BANDS))
    if type(k) is not int or k < 0 or k == 1:
        raise wrong_policy("k is no number of 2 or more, nor 0 to measure only.", "Write 5.", where)
    if type(share) not in (int, float) or not 0 <= share < 1:
        raise wrong_policy("heldBack is no share from 0 to 1.", "Write 0.02.", where)
    ok = isinstance(bands, list) and bands and all(type(b) is int and b > 0 for b in bands)
    if not ok or list(bands) != sorted(set(bands)):
        raise wrong_policy("birthBands are no rising years.", "Write [1, 5, 10].", where)
    return People(k, float(share), tuple(bands))
