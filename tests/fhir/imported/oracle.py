"""A slow, obvious interpreter of Microsoft's policy language, to compare the engine with.

It follows docs/FHIR-anonymization.md of Tools for Health Data Anonymization to the letter: all
nodes of a resource are listed; each rule in file order selects nodes, and is applied to each of them
and to everything below; a node that an earlier rule has visited is skipped with all that it
holds; resources inside others are resources of their own; what no rule visited is kept. Nodes and
their types come from fhirpathpy's tables of R4, and it evaluates the paths.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import fhirpathpy
import fhirpathpy.models

_TABLES = Path(fhirpathpy.models.__file__).parent / "r4"
_BY_TYPE = re.compile(r"nodesByType\(['\"](\w+)['\"]\)(?:\.(.+))?")
_BY_NAME = re.compile(r"nodesByName\(['\"](\w+)['\"]\)(?:\.(.+))?")
_DATES = ("date", "dateTime", "instant")
_WHOLE = ("integer", "positiveInt", "unsignedInt")
OLDEST = 89


@cache
def _table(name: str) -> Any:
    return json.loads((_TABLES / f"{name}.json").read_text(encoding="utf-8"))


@cache
def _nested() -> frozenset[str]:
    """Return the paths of elements that have elements of their own."""
    return frozenset(path.rpartition(".")[0] for path in _table("path2Type"))


def _chain(owner: str) -> Iterator[str]:
    """Yield a type or path and what it specialises."""
    while owner:
        yield owner
        if "." in owner:
            owner = str(_table("path2Type").get(owner, "BackboneElement"))
        else:
            owner = str(_table("type2Parent").get(owner, ""))


@cache
def element(owner: str, name: str) -> tuple[str, str, str]:
    """Return (name in FHIRPath, type, where its own elements are looked up)."""
    for base in _chain(owner):
        here = f"{base}.{name}"
        here = _table("pathsDefinedElsewhere").get(here, here)
        kind = _table("path2Type").get(here)
        if kind is not None:
            kind = str(kind)
            nested = kind in ("BackboneElement", "Element")
            return name, kind.replace("System.String", "string"), here if nested else kind
        if here in _nested():
            return name, "BackboneElement", here
        for stem in (name[:n] for n in range(1, len(name))):
            choices = _table("choiceTypePaths").get(f"{base}.{stem}", ())
            if name[len(stem) :] in choices:
                last = name[len(stem) :]
                small = last[0].lower() + last[1:]
                kind = small if small in _PRIMITIVES else last
                return stem, kind, kind
    raise KeyError(f"{owner}.{name}")


_PRIMITIVES = {
    "string", "code", "uri", "id", "dateTime", "markdown", "canonical", "date", "instant", "time",
    "url", "base64Binary", "oid", "uuid", "xhtml", "integer", "positiveInt", "unsignedInt",
    "decimal", "boolean",
}  # fmt: skip


@dataclass(eq=False)
class Node:
    """One node: its name in JSON and in FHIRPath, its type, its value or its children."""

    key: str
    name: str
    type: str
    parent: Node | None
    is_resource: bool = False
    where: str = ""
    value: Any = None
    original: Any = None
    listed: bool = False
    children: list[Node] = field(default_factory=list)

    def below(self) -> Iterator[Node]:
        """Yield everything below that belongs to the same resource."""
        for child in self.children:
            if not child.is_resource:
                yield child
                yield from child.below()


@dataclass(frozen=True)
class Shifted:
    """A date that moves: compared by how far it moved."""

    day: date
    rest: str


@dataclass(frozen=True)
class Noisy:
    """A number with noise: compared by how far it is away."""

    value: float
    width: float
    digits: int


@dataclass(frozen=True)
class Sealed:
    """A text that is encrypted: compared once it is decrypted."""

    text: str


def tree(resource: dict[str, Any]) -> Node:
    """Return the nodes of a resource."""
    kind = resource["resourceType"]
    root = Node(kind, kind, kind, None, is_resource=True)
    _fill(root, kind, resource)
    return root


def _fill(node: Node, owner: str, value: dict[str, Any]) -> None:
    for key in dict.fromkeys(name.removeprefix("_") for name in value):
        if key == "resourceType":
            continue
        name, kind, where = element(owner, key)
        told, beside = value.get(key), value.get(f"_{key}")
        listed = isinstance(told if told is not None else beside, list)
        values = told if isinstance(told, list) else [told]
        besides = beside if isinstance(beside, list) else [beside]
        for place in range(max(len(values), len(besides))):
            one = values[place] if place < len(values) else None
            more = besides[place] if place < len(besides) else None
            child = Node(key, name, kind, node, where=where, listed=listed)
            if kind in _PRIMITIVES:
                child.value = child.original = one
                if more:
                    _fill(child, "Element", more)
            elif isinstance(one, dict) and "resourceType" in one:
                child.type, child.is_resource = one["resourceType"], True
                _fill(child, child.type, one)
            else:
                _fill(child, where, one)
            node.children.append(child)


def written(node: Node) -> Any:
    """Return the JSON of a node; None where nothing is left of it."""
    out: dict[str, Any] = {"resourceType": node.type} if node.is_resource else {}
    for child in node.children:
        if child.type in _PRIMITIVES:
            _put(out, child, child.key, child.value)
            if child.children:
                _put(out, child, f"_{child.key}", written(child))
        else:
            _put(out, child, child.key, written(child))
    return out or None


def _put(out: dict[str, Any], child: Node, key: str, made: Any) -> None:
    if made is None:
        return
    if child.listed:
        out.setdefault(key, []).append(made)
    else:
        out[key] = made


class Oracle:
    """Microsoft's language with one policy.

    hash_key: of cryptoHash; as_of: the day on which ages are taken.
    """

    def __init__(self, policy: dict[str, Any], hash_key: bytes, as_of: date) -> None:
        self.rules = policy["fhirPathRules"]
        self.parameters = policy.get("parameters") or {}
        self.hash_key = hash_key
        self.as_of = as_of
        self.visited: set[Node] = set()
        self.labels: set[str] = set()
        self._compiled: dict[str, Callable[[Any], list[Any]]] = {}
        self._copies: dict[tuple[Node, bool], dict[str, Any]] = {}
        self._nodes: dict[Node, list[Node]] = {}

    def anonymise(self, resource: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """Return what the documentation says must leave of a resource, and its labels."""
        root = tree(resource)
        self.visited, self.labels = set(), set()
        self._copies, self._nodes = {}, {}
        self._resource(root)
        return written(root) or {}, set(self.labels)

    def _resource(self, root: Node) -> None:
        for rule in self.rules:
            for node in self.selected(rule["path"], root):
                self._apply(node, rule)
        for node in [root, *root.below()]:
            for child in node.children:
                if child.is_resource:
                    self._resource(child)

    def selected(self, path: str, root: Node) -> list[Node]:
        """Return the nodes of one resource that a rule's path selects."""
        if path in (root.type, "Resource", "DomainResource"):
            return [root]
        for pattern, by in ((_BY_TYPE, "type"), (_BY_NAME, "name")):
            found = pattern.fullmatch(path)
            if found:
                starts = [node for node in root.below() if getattr(node, by) == found[1]]
                return [hit for start in starts for hit in self._below(start, found[2])]
        start, _, rest = path.partition(".")
        if start not in (root.type, "Resource", "DomainResource"):
            return []
        return self._evaluated(root, rest)

    def _below(self, start: Node, path: str | None) -> list[Node]:
        found = [start]
        for name in path.split(".") if path else ():
            found = [child for node in found for child in node.children if child.name == name]
        return found

    def _evaluated(self, root: Node, path: str) -> list[Node]:
        """Let fhirpathpy evaluate a path on a copy in which every node is named by its number.

        Where a path has conditions, simple values stay what they are, and it has to end in an
        element that has parts.
        """
        told = self._copy(root, "where(" in path)
        answers = self._compile(f"{root.type}.{path}")({"resourceType": root.type, **told})
        numbers = [one["id"] if isinstance(one, dict) else one for one in answers]
        return [self._nodes[root][int(str(one).removeprefix("n"))] for one in numbers]

    def _compile(self, expression: str) -> Callable[[Any], list[Any]]:
        if expression not in self._compiled:
            self._compiled[expression] = fhirpathpy.compile(
                expression, fhirpathpy.models.models["r4"]
            )
        return self._compiled[expression]

    def _copy(self, root: Node, real: bool) -> dict[str, Any]:
        if (root, real) in self._copies:
            return self._copies[root, real]
        nodes = self._nodes[root] = [root, *root.below()]
        number = {node: f"n{place}" for place, node in enumerate(nodes)}

        def named(node: Node) -> dict[str, Any]:
            out: dict[str, Any] = {} if node.is_resource else {"id": number[node]}
            for child in node.children:
                if child.is_resource:
                    continue
                if child.type in _PRIMITIVES:
                    if child.key != "id" or node.is_resource:
                        _put(out, child, child.key, child.original if real else number[child])
                else:
                    _put(out, child, child.key, named(child))
            return out

        self._copies[root, real] = named(root)
        return self._copies[root, real]

    def _apply(self, node: Node, rule: dict[str, Any]) -> None:
        if node in self.visited:
            return
        getattr(self, f"_{rule['method'].lower()}")(node, rule)
        self.visited.add(node)
        for child in list(node.children):
            if not child.is_resource:
                self._apply(child, rule)

    def _keep(self, node: Node, rule: dict[str, Any]) -> None:
        """Nothing happens, and nothing else will."""

    def _redact(self, node: Node, rule: dict[str, Any]) -> None:
        if node.value is None:
            return
        said, label = self.parameters, "REDACTED"
        in_age = node.parent is not None and node.parent.type == "Age"
        if node.type in _DATES:
            partial = said.get("enablePartialDatesForRedact") and not self._old(node.value)
            # A year alone is no instant, so FHIR leaves nothing of one to keep.
            node.value = node.value[:4] if partial and node.type != "instant" else None
        elif in_age and node.type == "decimal" and said.get("enablePartialAgesForRedact"):
            node.value = None if node.value > OLDEST else node.value
        elif node.name == "postalCode" and said.get("enablePartialZipCodesForRedact"):
            few = said.get("restrictedZipCodeTabulationAreas", [])
            kept = 0 if any(node.value.startswith(one) for one in few) else 3
            node.value = node.value[:kept] + re.sub(r"\d", "0", node.value[kept:])
            label = "ABSTRED"
        else:
            node.value = None
        self.labels.add(label)

    def _old(self, told: str) -> bool:
        """Tell whether a date tells of an age over 89 today."""
        parts = [int(one) for one in told[:10].split("-")] + [1, 1]
        year, month, day = parts[:3]
        today = self.as_of
        age = today.year - year - ((today.month, today.day) < (month, day))
        return age > OLDEST

    def _dateshift(self, node: Node, rule: dict[str, Any]) -> None:
        if node.value is None or node.type not in _DATES:
            return
        if len(node.value) < 10 or self._old(node.value):
            self._redact(node, rule)
            return
        rest = node.value[10:]
        if rest:
            clock = re.match(r"T[\d:.]+", rest)
            assert clock
            rest = re.sub(r"\d", "0", clock[0]) + rest[clock.end() :]
        node.value = Shifted(date.fromisoformat(node.value[:10]), rest)
        self.labels.add("PERTURBED")

    def _hash(self, told: str) -> str:
        return hmac.new(self.hash_key, told.encode(), hashlib.sha256).hexdigest()

    def _cryptohash(self, node: Node, rule: dict[str, Any]) -> None:
        if node.value is None:
            return
        if node.name == "reference" and node.parent and node.parent.type == "Reference":
            node.value = self._reference(node.value)
        else:
            node.value = self._hash(str(node.value))
        self.labels.add("CRYTOHASH")

    def _reference(self, told: str) -> str:
        if told.startswith("#"):
            return "#" + self._hash(told[1:])
        kinds = "|".join(_table("type2Parent"))
        for pattern in (
            rf"((?:https?://[A-Za-z0-9\\/.:%$]*)?(?:{kinds})/)([A-Za-z0-9.\-]{{1,64}})(/_history/.+)?",
            r"(urn:oid:)([0-2](?:\.(?:0|[1-9][0-9]*))+)()",
            r"(urn:uuid:)([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})()",
        ):
            found = re.fullmatch(pattern, told)
            if found:
                return f"{found[1]}{self._hash(found[2])}{found[3] or ''}"
        return self._hash(told)

    def _encrypt(self, node: Node, rule: dict[str, Any]) -> None:
        if node.value is not None:
            node.value = Sealed(str(node.value))
            self.labels.add("MASKED")

    def _perturb(self, node: Node, rule: dict[str, Any]) -> None:
        if node.value is None or node.type not in ("decimal", *_WHOLE):
            return
        width = float(rule["span"])
        if str(rule.get("rangeType", "fixed")).lower() == "proportional":
            width *= abs(node.value)
        digits = 0 if node.type in _WHOLE else rule.get("roundTo", 2)
        node.value = Noisy(node.value, width / 2, digits)
        self.labels.add("PERTURBED")

    def _substitute(self, node: Node, rule: dict[str, Any]) -> None:
        """Put the constant; nothing that an earlier rule visited may stand below."""
        assert not any(one in self.visited for one in node.below())
        if node.type in _PRIMITIVES:
            node.value, node.children = rule["replaceWith"], []
        else:
            node.children = []
            _fill(node, node.where, rule["replaceWith"])
        self.visited |= set(node.below())
        self.labels.add("SUBSTITUTED")

    def _generalize(self, node: Node, rule: dict[str, Any]) -> None:
        if node.value is None:
            return
        told = rule["cases"]
        for condition, becomes in (json.loads(told) if isinstance(told, str) else told).items():
            if self._scalar(node.original, condition) is True:
                node.value = self._scalar(node.original, str(becomes))
                break
        else:
            node.value = node.value if rule.get("otherValues", "redact") == "keep" else None
        self.labels.add("GENERALIZED")

    def _scalar(self, value: Any, expression: str) -> Any:
        """Evaluate an expression about one value; groups are named as Python names them."""
        expression = expression.replace("(?<", "(?P<").replace("${year}", "\\\\g<year>")
        found = self._compile(f"value.select({expression})")({"value": value})
        made = found[0] if len(found) == 1 else None
        return getattr(made, "asStr", made)


def compare(expected: Any, found: Any, path: str = "") -> tuple[list[str], list[int]]:
    """Return the places at which two resources differ, and how far each date moved."""
    if isinstance(expected, Shifted):
        try:
            moved = date.fromisoformat(found[:10]).toordinal() - expected.day.toordinal()
        except (ValueError, TypeError):
            return [path], []
        return ([] if found[10:] == expected.rest else [path]), [moved]
    if isinstance(expected, Noisy):
        most = expected.width + 0.5 * 10**-expected.digits + 1e-9
        near = type(found) in (int, float) and abs(found - expected.value) <= most
        return ([] if near and round(found, expected.digits) == found else [path]), []
    if isinstance(expected, Sealed):
        return ([] if len(base64.b64decode(found)) >= 32 else [path]), []
    if isinstance(expected, dict) and isinstance(found, dict):
        wrong, shifts = [f"{path}.{key}" for key in expected.keys() ^ found.keys()], []
        for key in expected.keys() & found.keys():
            more = compare(expected[key], found[key], f"{path}.{key}")
            wrong, shifts = wrong + more[0], shifts + more[1]
        return wrong, shifts
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        wrong, shifts = [], []
        for one, other in zip(expected, found, strict=True):
            more = compare(one, other, f"{path}[]")
            wrong, shifts = wrong + more[0], shifts + more[1]
        return wrong, shifts
    return ([] if type(expected) is type(found) and expected == found else [path]), []
