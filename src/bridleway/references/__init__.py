"""Reference lists: dated data with issuer and licence, one YAML file per list.

Dropping a file into `data/` adds a list. Every list names its `source`, `licence`, `as_of` date
and `confidence`; rows carry an `id` and a `label`. A list with a top-level `gateways` key adds
gateways, so that an organisation can ship its own rows beside the common ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from bridleway.errors import Fault, UsageError, nearest

_HEAD = ("list", "source", "licence", "as_of", "confidence")


@dataclass(frozen=True, slots=True)
class ReferenceList:
    """One list: who issued it, under which licence, how old and how sure it is, and its rows."""

    name: str
    source: tuple[str, ...]
    licence: str
    as_of: str
    confidence: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a notice must say about one list."""

    name: str
    source: tuple[str, ...]
    licence: str
    as_of: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """One row of the gateway lists, with the date and confidence that must be shown beside it.

    basis: whether the text was read, read in part, or is from memory.
    """

    id: str
    label: str
    kind: str
    disclose_from: tuple[str, ...]
    disclose_to: tuple[str, ...]
    purposes: tuple[str, ...]
    conditions: tuple[str, ...]
    extent: str
    confidence: str
    basis: str
    tags: tuple[str, ...]
    as_of: str
    kind_in_words: str


@cache
def names() -> tuple[str, ...]:
    """Return the names of all lists, sorted."""
    found = (item.name for item in files(__package__).joinpath("data").iterdir())
    return tuple(sorted(n.removesuffix(".yaml") for n in found if n.endswith(".yaml")))


@cache
def load(name: str) -> ReferenceList:
    """Return one list. Raises UsageError for an unknown name, Fault for a broken file."""
    import yaml

    if name not in names():
        raise UsageError(
            f"There is no reference list '{name}'.{nearest(name, names())}",
            f"Known: {', '.join(names())}.",
        )
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = files(__package__).joinpath("data", f"{name}.yaml").read_text(encoding="utf-8")
    data = loader(text).get_single_data()
    if not isinstance(data, dict) or any(not data.get(key) for key in _HEAD):
        raise Fault(
            f"The reference list '{name}' does not say its source, licence, date and confidence.",
            f"Add {', '.join(_HEAD)} at its top.",
        )
    return ReferenceList(
        name=name,
        source=tuple(str(line) for line in data["source"]),
        licence=str(data["licence"]),
        as_of=str(data["as_of"]),
        confidence=str(data["confidence"]),
        data=MappingProxyType({k: v for k, v in data.items() if k not in _HEAD}),
    )


def _rows(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("id"), str):
            yield value
        for item in value.values():
            yield from _rows(item)
    elif isinstance(value, list):
        for item in value:
            yield from _rows(item)


@cache
def rows(name: str, *groups: str) -> Mapping[str, Mapping[str, Any]]:
    """Return id -> row, at any depth, of some groups of a list (of all groups if none is named).

    A group is a top-level key; `purposes*` means every key that starts with `purposes`.
    """
    data = load(name).data
    picked: list[Any] = []
    for group in groups or ("*",):
        start = group.removesuffix("*")
        keys = [k for k in data if k == group or (group != start and k.startswith(start))]
        if not keys:
            raise UsageError(
                f"The reference list '{name}' has no group '{group}'.{nearest(group, data)}",
                f"Known: {', '.join(data)}.",
            )
        picked += [data[key] for key in keys]
    return MappingProxyType({row["id"]: row for row in _rows(picked)})


@cache
def codes(name: str, *groups: str) -> Mapping[str, str]:
    """Return id -> label of some groups of a list (of all groups if none is named)."""
    found = rows(name, *groups)
    return MappingProxyType({code: str(row.get("label", code)) for code, row in found.items()})


@cache
def codes_from(places: str) -> Mapping[str, str]:
    """Return id -> label for a `values_from` text: `list.group; list.group*; list`."""
    made: dict[str, str] = {}
    for place in places.split(";"):
        name, _, group = place.strip().partition(".")
        made.update(codes(name, group) if group else codes(name))
    return MappingProxyType(made)


@cache
def gateways() -> Mapping[str, Gateway]:
    """Return id -> gateway over every list that has a `gateways` key."""
    made: dict[str, Gateway] = {}
    for name in names():
        listed = load(name)
        kinds = listed.data.get("kinds") or {}
        for row in listed.data.get("gateways") or ():
            made[row["id"]] = Gateway(
                id=row["id"],
                label=f"{row['act']}, {row['provision']}",
                kind=row["kind"],
                disclose_from=tuple(row["disclose_from"]),
                disclose_to=tuple(row["disclose_to"]),
                purposes=tuple(row["purposes"]),
                conditions=tuple(row.get("conditions") or ()),
                extent=str(row.get("extent", "")),
                confidence=str(row["confidence"]),
                basis=str(row.get("basis", "")),
                tags=tuple(row.get("tags") or ()),
                as_of=listed.as_of,
                kind_in_words=str(kinds.get(row["kind"], row["kind"])),
            )
    return MappingProxyType(made)


@cache
def broader(name: str, group: str) -> Mapping[str, frozenset[str]]:
    """Return id -> every id above it by `parent`, itself included."""
    found = rows(name, group)

    def above(code: str, seen: frozenset[str]) -> frozenset[str]:
        if code in seen:
            return seen
        parent = found.get(code, {}).get("parent") or ()
        seen |= {code}
        for one in (parent,) if isinstance(parent, str) else parent:
            seen = above(one, seen)
        return seen

    return MappingProxyType({code: above(code, frozenset()) for code in found})


def attributions() -> tuple[Attribution, ...]:
    """Return source, licence and date of every list, for a notice."""
    lists = (load(name) for name in names())
    return tuple(Attribution(one.name, one.source, one.licence, one.as_of) for one in lists)


def notice() -> str:
    """Return the attributions as plain text, one paragraph per list."""
    parts = [
        f"{one.name} (as of {one.as_of})\n  Source: {'; '.join(one.source)}\n"
        f"  Licence: {one.licence}"
        for one in attributions()
    ]
    return "\n\n".join(parts) + "\n"
